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
        match schema::version(&connection, &path)? {
            0 => return Err(JournalError::NotFound { dir: dir.to_owned() }),
            schema::VERSION => schema::check_decisions(&connection, &path)?,
            _ => return Err(JournalError::Older { path }),
        }
        let NewRequest { kind, client, operator, at_ms } = request;
        let sum = RequestSum {
            version: RECORD_VERSION,
            kind: kind.name(),
            client: client.as_deref(),
            migration: None,
            operator,
            at_ms: *at_ms,
        }
        .sum();
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

/// What the sum of a request's row is made of: all but its answer.
pub(super) struct RequestSum<'a> {
    pub(super) version: u64,
    pub(super) kind: &'a str,
    pub(super) client: Option<&'a str>,
    /// Introduced in version 2.
    pub(super) migration: Option<u64>,
    pub(super) operator: &'a str,
    pub(super) at_ms: u64,
}

impl RequestSum<'_> {
    pub(super) fn sum(&self) -> Sum {
        let sum = Summer::new("request")
            .int(self.version)
            .text(self.kind.as_bytes())
            .maybe(self.client.map(str::as_bytes))
            .text(self.operator.as_bytes())
            .int(self.at_ms);
        match self.migration {
            _ if self.version < 2 => sum,
            None => sum.int(0),
            Some(migration) => sum.int(1).int(migration),
        }
        .finish()
    }
}
