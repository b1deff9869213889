//! What one attempt at a step gave: the answer that the machine goes on from,
//! and the record that the journal keeps of it.

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::failure::{Cause, Residue};

/// What a probe saw of a step's effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Nothing of it is there.
    Absent,
    /// Part of it is there.
    Partial,
    /// All of it is there.
    Present,
    /// The host did not say; the text tells why.
    Unknown(String),
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The effect is there (or, for an undo, gone).
    Done,
    /// It is not.
    Failed {
        cause: Cause,
        /// What was left behind.
        trace: Residue,
    },
}

/// How the work of an attempt came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Its commands were started by this attempt.
    Ran,
    /// The effect was there already: nothing was run.
    Found,
    /// Its job was running already, and was waited for.
    Attached,
    /// Its job had ended already, and its result was taken.
    Taken,
    /// The step only looks.
    Looked,
    /// The step is of a phase that was not asked for, before those that were: a
    /// part of the migration before has done it, or somebody else. Introduced
    /// in 0.1.0.
    Assumed,
}

/// One command of an attempt, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRecord {
    /// The command line, quoted for people, redacted.
    pub line: String,
    /// Its exit status; absent when it did not run or did not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Standard error and output, sanitized, redacted, bounded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Whole seconds that it took, where its host could tell. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_s: Option<u64>,
    /// The host that it ran on, where that need not be the one of the step's effect:
    /// probes look at several. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl CommandRecord {
    /// Whether it changes nothing, and asks before others do whose the client is, or
    /// whether a mark is there.
    pub fn only_asks(&self) -> bool {
        let asks = ["ls ", "test "];
        self.line.contains(" | grep -F ") || asks.iter().any(|word| self.line.starts_with(word))
    }
}

/// All that is kept of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRecord {
    /// The host of the effect, by name.
    pub host: String,
    /// When the attempt began.
    pub started_ms: u64,
    pub ended_ms: u64,
    /// How its work came about.
    pub way: Way,
    /// What the probe saw before; absent when it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Presence>,
    /// What the probe saw after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Presence>,
    /// The commands of the effect.
    pub commands: Vec<CommandRecord>,
    /// The commands of the last probe, with their output: kept where the step
    /// failed or only looks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<CommandRecord>,
    /// Digests of evidence that was put beside the journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl AttemptRecord {
    /// The host that `command` of this attempt ran on.
    pub fn host_of<'a>(&'a self, command: &'a CommandRecord) -> &'a str {
        command.host.as_deref().unwrap_or(&self.host)
    }
}

/// The answer to a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// What it found out.
    pub facts: Option<Facts>,
    /// What is kept of it.
    pub record: AttemptRecord,
}
