//! Requests of operators: the only rows that another process than the engine
//! writes. It inserts them and nothing else; the engine takes them up.

use std::path::Path;

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use crate::base::{Millis, limits, sanitize_line};
use crate::domain::MigrationId;

use super::answer::OrderAnswer;
use super::connect::{self, int, uint};
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
    /// Take on the work that comes with it.
    Run,
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
        RequestKind::Run,
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
            RequestKind::Run => "run",
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
    /// For which migration of it: as it was when the order was given. A later one
    /// of the same client is none of its business. Introduced in version 2.
    pub migration: Option<MigrationId>,
    pub operator: String,
    pub at_ms: Millis,
}

/// A request in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    pub id: RequestId,
    /// What is asked for.
    pub kind: RequestKind,
    /// For which client; all of them where absent.
    pub client: Option<String>,
    /// For which migration of it: as it was when the order was given. A later one
    /// of the same client is none of its business. Introduced in version 2.
    pub migration: Option<MigrationId>,
    pub operator: String,
    pub at_ms: Millis,
    /// The work that is handed over, as JSON. Introduced in version 3 of the tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<String>,
    /// What the engine said; absent while it has not taken it up.
    pub answer: Option<OrderAnswer>,
}

/// A request that cannot be followed: it is refused alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRequest {
    pub id: RequestId,
    /// Why, and what to do.
    pub why: String,
    /// Whether the row is another than was posted.
    pub is_damage: bool,
}

/// Where requests are posted.
#[derive(Debug)]
pub struct Requests;

impl Requests {
    /// Posts a request to whichever engine runs, or will run, in `dir`. Returns
    /// once it is on the disk.
    pub fn post(dir: &Path, request: &NewRequest) -> Result<RequestId, JournalError> {
        Requests::insert(dir, request, None)
    }

    /// The same, with `work` for that engine.
    pub fn post_work(
        dir: &Path,
        request: &NewRequest,
        work: &str,
    ) -> Result<RequestId, JournalError> {
        let (bytes, most) = (work.len(), limits::WORK_BYTES_MAX);
        if bytes > most {
            let why = format!("it has {bytes} bytes, more than {most}");
            return Err(JournalError::Encode { what: "the work that is handed over", why });
        }
        Requests::insert(dir, request, Some(work))
    }

    fn insert(
        dir: &Path,
        request: &NewRequest,
        work: Option<&str>,
    ) -> Result<RequestId, JournalError> {
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
        let NewRequest { kind, client, migration, operator, at_ms } = request;
        let migration = migration.map(|migration| migration.0);
        let sum = RequestSum {
            version: RECORD_VERSION,
            kind: kind.name(),
            client: client.as_deref(),
            migration,
            operator,
            at_ms: *at_ms,
            work,
        }
        .sum();
        connection
            .execute(
                "INSERT INTO request (v, kind, client, operator, at_ms, sum, migration, work)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    int(RECORD_VERSION),
                    kind.name(),
                    client,
                    operator,
                    int(*at_ms),
                    &sum[..],
                    migration.map(int),
                    work
                ],
            )
            .map_err(|error| JournalError::sqlite(&path, "cannot post the request", &error))?;
        Ok(RequestId(connection.last_insert_rowid().cast_unsigned()))
    }
}

/// The columns that [`read`] wants.
pub(super) const COLUMNS: &str =
    "id, kind, client, operator, at_ms, answer, v, sum, migration, work";

/// A row of requests. One that another version posted, or that is not what was
/// posted, is no error of the others.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Result<Request, UnreadableRequest>> {
    let id = RequestId(uint(row, "id")?);
    let changed = || UnreadableRequest {
        id,
        why: "it is not what was posted: give the order again".to_owned(),
        is_damage: true,
    };
    let (Ok(at_ms), Ok(version)) = (uint(row, "at_ms"), uint(row, "v")) else {
        return Ok(Err(changed()));
    };
    let (name, client): (String, Option<String>) = (row.get("kind")?, row.get("client")?);
    let operator: String = row.get("operator")?;
    let migration = row.get::<_, Option<i64>>("migration")?.map(i64::cast_unsigned);
    let work: Option<String> = row.get("work")?;
    let sum = RequestSum {
        version,
        kind: &name,
        client: client.as_deref(),
        migration,
        operator: &operator,
        at_ms,
        work: work.as_deref(),
    };
    let unknown = |what: String| UnreadableRequest {
        id,
        why: format!(
            "this nimshift does not know {what}: give the order with the engine's version"
        ),
        is_damage: false,
    };
    if version > RECORD_VERSION {
        return Ok(Err(unknown(format!("orders of version {version}"))));
    }
    if row.get_ref("sum")?.as_blob()? != sum.sum() {
        return Ok(Err(changed()));
    }
    let Some(kind) = RequestKind::from_name(&name) else {
        return Ok(Err(unknown(format!("the order `{}`", sanitize_line(&name, 40)))));
    };
    let migration = migration.map(MigrationId);
    let answer = row.get::<_, Option<String>>("answer")?.map(|text| OrderAnswer::read(&text));
    Ok(Ok(Request { id, kind, client, migration, operator, at_ms, work, answer }))
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
    /// Of rows without it, there is nothing in the sum.
    pub(super) work: Option<&'a str>,
}

impl RequestSum<'_> {
    pub(super) fn sum(&self) -> Sum {
        let sum = Summer::new("request")
            .int(self.version)
            .text(self.kind.as_bytes())
            .maybe(self.client.map(str::as_bytes))
            .text(self.operator.as_bytes())
            .int(self.at_ms);
        let sum = match self.migration {
            _ if self.version < 2 => sum,
            None => sum.int(0),
            Some(migration) => sum.int(1).int(migration),
        };
        match self.work {
            None => sum,
            Some(work) => sum.text(work.as_bytes()),
        }
        .finish()
    }
}
