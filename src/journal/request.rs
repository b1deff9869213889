//! Requests of operators: the only rows that another process than the engine
//! writes. It inserts them and nothing else; the engine takes them up.

use std::path::Path;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use crate::base::Millis;

use super::connect::{self, int};
use super::digest::{Sum, Summer};
use super::error::JournalError;
use super::ids::RequestId;
use super::paths::JournalDir;
use super::schema::{self, RECORD_VERSION};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// Stand still once the step in flight has ended.
    Hold,
    /// Go on after a hold.
    Release,
    /// Try again at once what failed.
    Retry,
    /// Stop, and take back what was done, unless the client has booted the copy.
    Cancel,
    /// Take back what was done, whatever it was.
    Rollback,
    /// Give up, leaving things as they are.
    Abandon,
    /// Stop the engine: no new steps.
    Stop,
}

impl RequestKind {
    /// All kinds.
    pub const ALL: [RequestKind; 7] = [
        RequestKind::Hold,
        RequestKind::Release,
        RequestKind::Retry,
        RequestKind::Cancel,
        RequestKind::Rollback,
        RequestKind::Abandon,
        RequestKind::Stop,
    ];

    /// The name, as in the journal.
    pub fn name(self) -> &'static str {
        match self {
            RequestKind::Hold => "hold",
            RequestKind::Release => "release",
            RequestKind::Retry => "retry",
            RequestKind::Cancel => "cancel",
            RequestKind::Rollback => "rollback",
            RequestKind::Abandon => "abandon",
            RequestKind::Stop => "stop",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<RequestKind> {
        RequestKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A request to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// What is asked for.
    pub kind: RequestKind,
    /// For which client; all of them where absent.
    pub client: Option<String>,
    /// By whom.
    pub operator: String,
    /// When.
    pub at_ms: Millis,
}

/// A request in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// What is asked for.
    pub kind: RequestKind,
    /// For which client; all of them where absent.
    pub client: Option<String>,
    /// By whom.
    pub operator: String,
    /// When.
    pub at_ms: Millis,
    /// What the engine said; absent while it has not taken it up.
    pub answer: Option<String>,
}

/// Where requests are posted.
#[derive(Debug)]
pub struct Requests;

impl Requests {
    /// Posts a request to whichever engine runs, or will run, in `dir`. Returns
    /// once it is on the disk.
    pub fn post(dir: &Path, request: &NewRequest) -> Result<RequestId, JournalError> {
        let paths = JournalDir::new(dir);
        if !paths.has_journal() {
            return Err(JournalError::NotFound { dir: dir.to_owned() });
        }
        let path = paths.journal();
        let connection = connect::poster(&path)?;
        if schema::version(&connection, &path)? != schema::VERSION {
            return Err(JournalError::NotFound { dir: dir.to_owned() });
        }
        let NewRequest { kind, client, operator, at_ms } = request;
        let sum = request_sum(RECORD_VERSION, kind.name(), client.as_deref(), operator, *at_ms);
        connection
            .execute(
                "INSERT INTO request (v, kind, client, operator, at_ms, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![int(RECORD_VERSION), kind.name(), client, operator, int(*at_ms), &sum[..]],
            )
            .map_err(|error| JournalError::sqlite(&path, "cannot post the request", &error))?;
        Ok(RequestId(connection.last_insert_rowid().cast_unsigned()))
    }
}

/// The sum of a request's row, without its answer.
pub(super) fn request_sum(
    version: u64,
    kind: &str,
    client: Option<&str>,
    operator: &str,
    at_ms: u64,
) -> Sum {
    Summer::new("request")
        .int(version)
        .text(kind.as_bytes())
        .maybe(client.map(str::as_bytes))
        .text(operator.as_bytes())
        .int(at_ms)
        .finish()
}
