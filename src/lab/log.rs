//! The log of every command that a host ran.

use serde::{Deserialize, Serialize};

use crate::base::Millis;

/// Whether a command began or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A command of a job began.
    Started,
    /// A command ended. Commands that are no job's are logged only so.
    Ended,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    pub at_ms: Millis,
    pub host: String,
    /// For which job; none for a look, or for `lab exec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The command line, quoted.
    pub line: String,
    /// Whether it began or ended.
    pub stage: Stage,
    /// Its exit status, when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

impl LogEntry {
    /// A line that has no number yet.
    pub(crate) fn new(
        at_ms: Millis,
        host: &str,
        job: Option<&str>,
        line: &str,
        stage: Stage,
        status: Option<i32>,
    ) -> LogEntry {
        LogEntry {
            seq: 0,
            at_ms,
            host: host.to_owned(),
            job: job.map(str::to_owned),
            line: crate::base::sanitize_line(line, 4096),
            stage,
            status,
        }
    }
}
