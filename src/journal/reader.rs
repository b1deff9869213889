//! Reading beside the writer, without ever holding it up.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, RowIndex};
use serde::Serialize;

use crate::base::Millis;
use crate::domain::{Facts, MigrationId, MigrationSpec, Part, Phase};
use crate::machine::{Blueprint, DECISIONS, Effect, Event, EventKind, Machine, Rejected, State};

use super::archived;
use super::attempt::{RecordedAttempt, read_attempt};
use super::connect::{self, int, uint};
use super::error::JournalError;
use super::ids::{BatchId, RequestId};
use super::lock;
use super::older::{After, retell};
use super::paths::JournalDir;
use super::replay;
use super::request::{self, Request, UnreadableRequest};
use super::schema;

/// A batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchRow {
    pub id: BatchId,
    pub name: String,
    /// The digest of its plan.
    pub digest: String,
    /// When it was journaled.
    pub created_ms: Millis,
    pub operator: String,
    /// Which hosts it talks to, and how.
    pub estate: serde_json::Value,
    /// How many migrations it has.
    pub migrations: u64,
}

/// A migration, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationRow {
    pub id: MigrationId,
    pub batch: BatchId,
    pub client: String,
    /// Its place in the plan.
    pub number: u32,
    /// How many entries it has.
    pub seq: u64,
    pub state: State,
    /// When its batch was journaled.
    pub created_ms: Millis,
    /// When its last entry was made.
    pub updated_ms: Millis,
    /// Phases that are not run, each with its reason.
    pub skipped_phases: Vec<(Phase, String)>,
}

/// An entry of a migration's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// The epoch of the engine that wrote it.
    pub epoch: u64,
    pub event: Event,
    /// The state that followed.
    pub state: State,
    /// What that state wants in flight.
    pub effects: Vec<Effect>,
    /// The attempt that the event answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<RecordedAttempt>,
}

/// A read-only view of a journal, and of the archive beside it.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    /// Whether what the journal says of its archive must be beside it.
    is_whole: bool,
    /// What is known of copies, and up to which entry: entries are only ever added.
    copies: RefCell<(u64, BTreeMap<MigrationId, Facts>)>,
}

impl Reader {
    /// Opens the journal of the state directory `dir`.
    pub fn open(dir: &Path) -> Result<Reader, JournalError> {
        let paths = JournalDir::new(dir);
        // An emptied or vanished journal is not one that never was.
        let missing = |what: &str| {
            if lock::tells_of_journal(&paths.lock()) {
                let what = format!("it is {what}, and an engine has run here");
                return JournalError::damaged(&paths.journal(), what);
            }
            JournalError::NotFound { dir: dir.to_owned() }
        };
        if !paths.has_journal() {
            return Err(missing("gone"));
        }
        let mut reader = Reader::open_file(&paths.journal()).map_err(|error| match error {
            JournalError::NotFound { .. } => missing("empty"),
            error => error,
        })?;
        if paths.has_archive() {
            archived::attach(&reader.connection, &paths.archive())?;
        }
        reader.is_whole = true;
        Ok(reader)
    }

    /// Opens a journal by the path of its file: a backup, without an archive.
    pub fn open_file(path: &Path) -> Result<Reader, JournalError> {
        let connection = connect::reader(path)?;
        match schema::version(&connection, path)? {
            // An engine is about to make the tables.
            0 => Err(JournalError::NotFound { dir: path.to_owned() }),
            version => {
                schema::show_as_newest(&connection, path, version)?;
                if version >= schema::ARCHIVED_SINCE {
                    schema::check_decisions(&connection, path)?;
                }
                let (path, copies) = (path.to_owned(), RefCell::default());
                Ok(Reader { connection, path, is_whole: false, copies })
            }
        }
    }

    pub(super) fn parts(&self) -> (&Connection, &Path) {
        (&self.connection, &self.path)
    }

    /// Whether what is archived is looked at as well.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The migrations that are in the archive: they are told, and no order
    /// reaches them.
    pub fn archived(&self) -> Result<BTreeSet<MigrationId>, JournalError> {
        let sql = "SELECT id FROM migration WHERE batch IN (SELECT batch FROM archived)";
        let ids = self.rows(sql, [], |row| Ok(MigrationId(uint(row, 0)?)))?;
        Ok(ids.into_iter().collect())
    }

    /// What makes ids of jobs unique among state directories.
    pub fn scope(&self) -> Result<String, JournalError> {
        self.connection
            .query_row("SELECT scope FROM meta WHERE id = 1", [], |row| row.get(0))
            .map_err(|error| self.failed(&error))
    }

    /// Changes whenever another process or connection has committed.
    pub fn data_version(&self) -> Result<i64, JournalError> {
        self.connection
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(|error| self.failed(&error))
    }

    /// Runs `read` on one unchanging image of the journal.
    pub fn snapshot<T>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let begun = self.connection.unchecked_transaction().map_err(|error| self.failed(&error))?;
        let result = read(self);
        drop(begun);
        result
    }

    /// All batches, the oldest first.
    pub fn batches(&self) -> Result<Vec<BatchRow>, JournalError> {
        self.rows(
            "SELECT id, name, digest, created_ms, operator, estate, migrations FROM batch ORDER BY id",
            [],
            |row| {
                Ok(BatchRow {
                    id: BatchId(uint(row, "id")?),
                    name: row.get("name")?,
                    digest: row.get("digest")?,
                    created_ms: uint(row, "created_ms")?,
                    operator: row.get("operator")?,
                    estate: json(row, "estate")?,
                    migrations: uint(row, "migrations")?,
                })
            },
        )
    }

    /// The plan file of a batch, as it was read.
    pub fn plan_text(&self, batch: BatchId) -> Result<Option<String>, JournalError> {
        self.one("SELECT plan FROM batch WHERE id = ?1", batch.0, |row| row.get(0))
    }

    /// The migrations of `batch`, or all, in the order of their plans.
    pub fn migrations(&self, batch: Option<BatchId>) -> Result<Vec<MigrationRow>, JournalError> {
        self.rows(
            "SELECT m.id, m.batch, m.client, m.number, h.seq, h.state, b.created_ms, h.updated_ms, m.skipped
             FROM migration m JOIN head h ON h.migration = m.id JOIN batch b ON b.id = m.batch
             WHERE ?1 IS NULL OR m.batch = ?1 ORDER BY m.batch, m.number, m.id",
            [batch.map(|batch| int(batch.0))],
            |row| {
                Ok(MigrationRow {
                    id: MigrationId(uint(row, "id")?),
                    batch: BatchId(uint(row, "batch")?),
                    client: row.get("client")?,
                    number: row.get("number")?,
                    seq: uint(row, "seq")?,
                    state: json(row, "state")?,
                    created_ms: uint(row, "created_ms")?,
                    updated_ms: uint(row, "updated_ms")?,
                    skipped_phases: json(row, "skipped")?,
                })
            },
        )
    }

    /// What a migration was asked to do.
    pub fn spec(&self, migration: MigrationId) -> Result<MigrationSpec, JournalError> {
        self.one("SELECT spec FROM migration WHERE id = ?1", migration.0, |row| json(row, 0))?
            .ok_or(JournalError::NoMigration(migration))
    }

    /// Its steps.
    pub fn blueprint(&self, migration: MigrationId) -> Result<Blueprint, JournalError> {
        self.one(
            "SELECT b.body FROM migration m JOIN blueprint b ON b.digest = m.blueprint WHERE m.id = ?1",
            migration.0,
            |row| json(row, 0),
        )?
        .ok_or(JournalError::NoMigration(migration))
    }

    /// All entries of a migration, the oldest first, each with the state that
    /// replay gives after it; of entries by older decisions, with the one that
    /// is told from what they recorded.
    pub fn history(&self, migration: MigrationId) -> Result<Vec<Entry>, JournalError> {
        self.snapshot(|reader| reader.entries(migration))
    }

    pub(super) fn entries(&self, migration: MigrationId) -> Result<Vec<Entry>, JournalError> {
        let mut machine = replay::machine(self.blueprint(migration)?)
            .map_err(|why| JournalError::damaged(&self.path, why))?;
        let head = self.one(
            "SELECT h.entry, h.state, m.decisions FROM head h JOIN migration m ON m.id = h.migration
             WHERE h.migration = ?1",
            migration.0,
            |row| Ok((uint(row, "entry")?, json::<State>(row, "state")?, row.get("decisions")?)),
        )?;
        let (mut next, last, mut decisions) = head.ok_or(JournalError::NoMigration(migration))?;
        let mut links = Vec::new();
        while next != 0 {
            let link = self.link(next)?;
            // Entries are only ever added: a link that leads ahead is damage,
            // and would never end.
            if link.prev >= next || link.migration != migration.0 {
                let what = format!("entry {next} of {migration} is linked wrongly");
                return Err(JournalError::damaged(&self.path, what));
            }
            next = link.prev;
            links.push(link);
        }
        // The last state is stored, and that before each entry that adopts it.
        let mut stored = Vec::with_capacity(links.len());
        let mut state = Some(last);
        for link in &links {
            stored.push(state.take());
            if let EventKind::Adopted { state: adopted, .. } = &link.event.kind {
                state = Some(State::clone(adopted));
            }
        }
        let mut entries = Vec::with_capacity(links.len());
        for (link, stored) in links.into_iter().zip(stored).rev() {
            if let EventKind::Adopted { decisions: adopted, .. } = link.event.kind {
                decisions = adopted;
            }
            let after = match stored {
                _ if decisions == DECISIONS => After::Decided,
                Some(state) => After::Stored(Box::new(state)),
                None => After::Between,
            };
            entries.push(self.entry(link, &mut machine, after)?);
        }
        Ok(entries)
    }

    /// What is known of the copy of each migration that is not archived, and of each
    /// client that an operation was about: of their facts, those that tell it. What was
    /// read once is not read again.
    pub fn copies(&self) -> Result<BTreeMap<MigrationId, Facts>, JournalError> {
        let mut copies = self.copies.borrow_mut();
        let (known, all) = &mut *copies;
        let last = self.rows("SELECT max(entry) FROM main.event", [], |row| row.get(0))?;
        let last: i64 = last.into_iter().next().flatten().unwrap_or(0);
        let found = self.rows(
            "SELECT migration, event FROM main.event WHERE entry > ?1 AND entry <= ?2
             AND (event LIKE '%\"systems\":%' OR event LIKE '%\"baseline\":%'
                  OR event LIKE '%\"vg_id\":%') ORDER BY entry",
            [int(*known), last],
            |row| Ok((MigrationId(uint(row, 0)?), json::<Event>(row, 1)?)),
        )?;
        for (migration, event) in found {
            if let Some(facts) = event.kind.facts() {
                all.entry(migration).or_default().absorb(facts.clone());
            }
        }
        *known = u64::try_from(last).unwrap_or(0).max(*known);
        Ok(all.clone())
    }

    /// What a cleanup of each client knows of its systems, the archive included: by
    /// the latest migration that has recorded one.
    pub fn systems(&self) -> Result<BTreeMap<String, Part>, JournalError> {
        let found = self.rows(
            "SELECT m.client, m.id, e.event FROM event e JOIN migration m ON m.id = e.migration
             WHERE e.event LIKE '%\"vg_id\":%' OR e.event LIKE '%\"rootvg_id\":%'
             ORDER BY e.entry",
            [],
            |row| {
                Ok((
                    row.get("client")?,
                    MigrationId(uint(row, "id")?),
                    json::<Event>(row, "event")?,
                ))
            },
        )?;
        let mut systems: BTreeMap<String, Part> = BTreeMap::new();
        for (client, migration, event) in found {
            let Some(facts) = event.kind.facts() else { continue };
            let part =
                systems.entry(client).or_insert_with(|| Part::of(migration, Facts::default()));
            part.first = migration;
            let made = facts.copy.iter().map(|copy| &copy.vg_id);
            let ran = facts.baseline.iter().map(|baseline| &baseline.rootvg_id);
            part.made.extend(made.filter(|id| !id.is_empty()).cloned());
            part.ran.extend(ran.filter(|id| !id.is_empty()).cloned());
        }
        for Part { made, ran, .. } in systems.values_mut() {
            for ids in [&mut *made, &mut *ran] {
                ids.sort();
                ids.dedup();
            }
            made.retain(|id| !ran.contains(id));
        }
        Ok(systems)
    }

    fn link(&self, entry: u64) -> Result<Link, JournalError> {
        let found = self.one(
            "SELECT migration, seq, prev, epoch, event, effects, attempt FROM event WHERE entry = ?1",
            entry,
            |row| {
                Ok(Link {
                    entry,
                    migration: uint(row, "migration")?,
                    seq: uint(row, "seq")?,
                    prev: uint(row, "prev")?,
                    epoch: uint(row, "epoch")?,
                    event: json(row, "event")?,
                    effects: json(row, "effects")?,
                    attempt: row.get("attempt")?,
                })
            },
        )?;
        found.ok_or_else(|| JournalError::damaged(&self.path, format!("entry {entry} is missing")))
    }

    fn entry(
        &self,
        link: Link,
        machine: &mut Machine,
        after: After,
    ) -> Result<Entry, JournalError> {
        let Link { entry, seq, epoch, event, effects, attempt, .. } = link;
        let wrong = |rejected: Rejected| {
            JournalError::damaged(&self.path, format!("entry {entry}: {rejected}"))
        };
        match after {
            After::Decided => drop(machine.apply(&event).map_err(wrong)?),
            After::Stored(state) => {
                *machine = Machine::at(Arc::clone(machine.blueprint()), *state).map_err(wrong)?;
            }
            After::Between => retell(machine, &event, &effects),
        }
        let attempt = attempt
            .map(|sum| read_attempt(&self.connection, &self.path, entry, &sum))
            .transpose()?;
        Ok(Entry { seq, epoch, event, state: machine.state().clone(), effects, attempt })
    }

    /// Requests that no engine has answered, the oldest first.
    pub fn pending_requests(&self) -> Result<Vec<Request>, JournalError> {
        let found = self.requests_where("WHERE answer IS NULL ORDER BY id", [])?;
        Ok(found.into_iter().filter_map(Result::ok).collect())
    }

    /// Those of them that cannot be followed.
    pub fn unreadable_requests(&self) -> Result<Vec<UnreadableRequest>, JournalError> {
        let found = self.requests_where("WHERE answer IS NULL ORDER BY id", [])?;
        Ok(found.into_iter().filter_map(Result::err).collect())
    }

    /// All requests, the oldest first.
    pub fn requests(&self) -> Result<Vec<Result<Request, UnreadableRequest>>, JournalError> {
        self.requests_where("ORDER BY id", [])
    }

    /// One request.
    pub fn request(&self, id: RequestId) -> Result<Request, JournalError> {
        let mut found = self.requests_where("WHERE id = ?1", [int(id.0)])?;
        found.pop().ok_or(JournalError::NoRequest(id.0))?.map_err(|unreadable| {
            JournalError::damaged(&self.path, format!("request {id}: {}", unreadable.why))
        })
    }

    fn requests_where(
        &self,
        rest: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<Result<Request, UnreadableRequest>>, JournalError> {
        self.rows(
            &format!("SELECT {} FROM request {rest}", request::COLUMNS),
            params,
            request::read,
        )
    }

    fn failed(&self, error: &rusqlite::Error) -> JournalError {
        JournalError::sqlite(&self.path, "cannot read the journal", error)
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, JournalError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params, read)?.collect())
            .map_err(|error| self.failed(&error))
    }

    fn one<T>(
        &self,
        sql: &str,
        id: u64,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, JournalError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([int(id)], read).optional())
            .map_err(|error| self.failed(&error))
    }
}

/// A row of the log, on the way back from the head.
struct Link {
    entry: u64,
    migration: u64,
    seq: u64,
    prev: u64,
    epoch: u64,
    event: Event,
    effects: Vec<Effect>,
    attempt: Option<Vec<u8>>,
}

/// A column that holds JSON.
fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: impl RowIndex,
) -> rusqlite::Result<T> {
    let column = column.idx(row.as_ref())?;
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
