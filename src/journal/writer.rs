//! The one writer: a thread that owns the connection, takes the appends that
//! wait and commits them together.
//!
//! It does not wait for a group to gather: while one transaction is being
//! synced, the next group gathers by itself.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender};

use rusqlite::{CachedStatement, Connection, params};
use tokio::sync::mpsc::UnboundedSender;

use crate::base::{Millis, limits};
use crate::domain::MigrationId;

use super::append::{Ack, Append};
use super::archived;
use super::attempt::{self, Text};
use super::connect::{self, int, uint};
use super::create::{NewBatch, NewMigration, insert_batch, insert_migration};
use super::digest::EntrySum;
use super::encoded::{Encoded, Entry};
use super::error::JournalError;
use super::head::{Head, HeadSum};
use super::ids::{BatchId, RequestId};
use super::schema::RECORD_VERSION;

/// What is created, with the ids that it was given.
pub(super) type Created = Result<(BatchId, Vec<MigrationId>), JournalError>;

/// A batch to be created, and the request that asked for it, with its answer.
pub(super) struct NewWork {
    pub(super) batch: NewBatch,
    pub(super) migrations: Vec<NewMigration>,
    pub(super) request: Option<(RequestId, String)>,
}

/// What the writer is told.
pub(super) enum Order {
    Append(Vec<Entry>),
    Create(Box<NewWork>, SyncSender<Created>),
    Answer(RequestId, String),
    /// Batches that were put into the archive at that time are deleted.
    Forget(Vec<BatchId>, Millis, SyncSender<Result<(), JournalError>>),
    /// Answers once all before it is done.
    Flush(SyncSender<()>),
}

/// The writer's side of a journal.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) epoch: u64,
    pub(super) heads: HashMap<u64, Head>,
    pub(super) last_entry: u64,
    pub(super) acks: UnboundedSender<Vec<Ack>>,
}

const ANSWER: &str = "UPDATE request SET answer = ?2 WHERE id = ?1 AND answer IS NULL";

/// The statements of a group.
struct Statements<'c> {
    event: CachedStatement<'c>,
    head: CachedStatement<'c>,
    attempt: CachedStatement<'c>,
    answer: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Statements<'c>> {
        Ok(Statements {
            event: connection.prepare_cached(
                "INSERT INTO event
                 (entry, migration, seq, prev, v, epoch, event, effects, attempt, chain)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?,
            head: connection.prepare_cached(
                "UPDATE head SET seq = ?3, entry = ?4, updated_ms = ?5, state = ?6, chain = ?7,
                 sum = ?8 WHERE migration = ?1 AND seq = ?2",
            )?,
            attempt: connection.prepare_cached(attempt::INSERT)?,
            answer: connection.prepare_cached(ANSWER)?,
        })
    }
}

/// Why one append, or a whole group, did not go through.
enum Stop {
    /// This append alone.
    One(JournalError),
    /// The transaction.
    Group(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Stop {
        Stop::Group(error)
    }
}

impl Writer {
    /// Works until all senders are gone.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        let mut group: Vec<Entry> = Vec::new();
        let mut answers: Vec<(RequestId, String)> = Vec::new();
        // After an I/O error nobody knows what is on the disk, and a fenced
        // engine has nothing to say: all that follows is refused.
        let mut broken: Option<JournalError> = None;
        while let Ok(first) = orders.recv() {
            let mut next = Some(first);
            let mut other = None;
            while let Some(order) = next {
                match order {
                    Order::Append(mut entries) => group.append(&mut entries),
                    Order::Answer(id, answer) => answers.push((id, answer)),
                    order => {
                        other = Some(order);
                        break;
                    }
                }
                if group.len() >= limits::GROUP_COMMIT_MAX {
                    break;
                }
                next = orders.try_recv().ok();
            }
            if !group.is_empty() || !answers.is_empty() {
                let acks = self.commit_group(&mut group, &answers, &mut broken);
                answers.clear();
                if !acks.is_empty() {
                    // Nobody may be left to hear it: the entries are kept all the same.
                    let _ = self.acks.send(acks);
                }
            }
            match other {
                Some(Order::Create(new, reply)) => {
                    let created = match &broken {
                        Some(error) => Err(error.clone()),
                        None => self.create(&new, &mut broken),
                    };
                    let _ = reply.send(created);
                }
                Some(Order::Forget(batches, at_ms, reply)) => {
                    let forgotten = match &broken {
                        Some(error) => Err(error.clone()),
                        None => self.forget(&batches, at_ms),
                    };
                    let _ = reply.send(forgotten);
                }
                Some(Order::Flush(reply)) => {
                    let _ = reply.send(());
                }
                _ => {}
            }
        }
    }

    /// Commits a group, or nothing of it; appends that do not fit are refused
    /// alone.
    fn commit_group(
        &mut self,
        group: &mut Vec<Entry>,
        answers: &[(RequestId, String)],
        broken: &mut Option<JournalError>,
    ) -> Vec<Ack> {
        let mut acks: Vec<Ack> = group
            .iter()
            .map(|append| Ack {
                migration: append.migration,
                seq: append.expected_seq + 1,
                result: Ok(()),
            })
            .collect();
        let mut undo: Vec<(u64, Head)> = Vec::with_capacity(group.len());
        let last_entry = self.last_entry;
        let done = match broken {
            Some(error) => Err(error.clone()),
            None => self.write_group(group, &mut acks, answers, &mut undo),
        };
        group.clear();
        if let Err(error) = done {
            if !self.connection.is_autocommit() {
                // It fails where SQLite has rolled back by itself.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            self.last_entry = last_entry;
            for (migration, head) in undo.into_iter().rev() {
                self.heads.insert(migration, head);
            }
            for ack in acks.iter_mut().filter(|ack| ack.result.is_ok()) {
                ack.result = Err(error.clone());
            }
            *broken = broken.take().or(lasting(error));
        }
        acks
    }

    fn write_group(
        &mut self,
        group: &mut Vec<Entry>,
        acks: &mut [Ack],
        answers: &[(RequestId, String)],
        undo: &mut Vec<(u64, Head)>,
    ) -> Result<(), JournalError> {
        let Writer { connection, path, epoch, heads, last_entry, .. } = self;
        let doing = "cannot append to the journal";
        let failed = |error: rusqlite::Error| JournalError::sqlite(path, doing, &error);
        begin(connection, path, doing, *epoch)?;
        {
            let mut statements = Statements::prepare(connection).map_err(failed)?;
            for (append, ack) in group.drain(..).zip(acks.iter_mut()) {
                let migration = append.migration.0;
                let before = heads.get(&migration).copied();
                let entry = *last_entry + 1;
                let records = append.records.as_ref().map_err(|error| Stop::One(error.clone()));
                let written = records.and_then(|records| {
                    write_one(connection, &mut statements, records, before, entry, *epoch)
                });
                match written {
                    Ok((before, after)) => {
                        undo.push((migration, before));
                        heads.insert(migration, after);
                        *last_entry = entry;
                    }
                    Err(Stop::One(error)) => ack.result = Err(error),
                    Err(Stop::Group(error)) => return Err(failed(error)),
                }
            }
            for (id, answer) in answers {
                statements.answer.execute(params![int(id.0), answer]).map_err(failed)?;
            }
        }
        commit(connection).map_err(failed)
    }

    fn forget(&self, batches: &[BatchId], at_ms: Millis) -> Result<(), JournalError> {
        let Writer { connection, path, epoch, .. } = self;
        let doing = "cannot delete what is archived";
        let failed = |error: rusqlite::Error| JournalError::sqlite(path, doing, &error);
        connection.execute_batch("PRAGMA foreign_keys = OFF").map_err(failed)?;
        let forgotten = begin(connection, path, doing, *epoch).and_then(|()| {
            archived::forget(connection, batches, at_ms)
                .and_then(|()| commit(connection))
                .map_err(failed)
        });
        if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        connection.execute_batch("PRAGMA foreign_keys = ON").map_err(failed)?;
        forgotten
    }

    fn create(&mut self, new: &NewWork, broken: &mut Option<JournalError>) -> Created {
        let created = self.write_batch(new);
        match created {
            Ok((id, heads)) => {
                let ids = heads.iter().map(|(migration, _)| MigrationId(*migration)).collect();
                self.heads.extend(heads);
                Ok((id, ids))
            }
            Err(error) => {
                if !self.connection.is_autocommit() {
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                *broken = lasting(error.clone());
                Err(error)
            }
        }
    }

    fn write_batch(&self, new: &NewWork) -> Result<(BatchId, Vec<(u64, Head)>), JournalError> {
        let NewWork { batch, migrations, request } = new;
        let connection = &self.connection;
        let doing = "cannot journal the batch";
        let failed = |error: rusqlite::Error| JournalError::sqlite(&self.path, doing, &error);
        begin(connection, &self.path, doing, self.epoch)?;
        // What is in the archive has numbers, too.
        let next = |table: &str, archived: &str| {
            let sql = format!(
                "SELECT max(coalesce((SELECT max(id) FROM {table}), 0),
                            coalesce((SELECT max({archived}) FROM archived), 0)) + 1"
            );
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
        };
        let id = next("batch", "batch").map_err(failed)?;
        insert_batch(connection, id, batch, migrations.len() as u64)?.map_err(failed)?;
        let mut known = HashSet::new();
        let mut heads = Vec::with_capacity(migrations.len());
        let first = next("migration", "last_migration").map_err(failed)?;
        for (migration, new) in (first..).zip(migrations) {
            let sum =
                insert_migration(connection, id, migration, new, batch.created_ms, &mut known)?
                    .map_err(failed)?;
            heads.push((migration, Head { seq: 0, entry: 0, chain: sum }));
        }
        if let Some((id, answer)) = request {
            connection
                .prepare_cached(ANSWER)
                .and_then(|mut statement| statement.execute(params![int(id.0), answer]))
                .map_err(failed)?;
        }
        commit(connection).map_err(failed)?;
        Ok((BatchId(id), heads))
    }
}

/// An error after which nothing more is written.
fn lasting(error: JournalError) -> Option<JournalError> {
    matches!(
        error,
        JournalError::Fenced { .. } | JournalError::Sqlite { .. } | JournalError::Damaged { .. }
    )
    .then_some(error)
}

/// Begins a transaction and asserts in it that no other engine has taken over.
fn begin(
    connection: &Connection,
    path: &Path,
    doing: &'static str,
    epoch: u64,
) -> Result<(), JournalError> {
    connect::begin(connection, path, doing)?;
    let newest = connection
        .prepare_cached("SELECT max(epoch) FROM engine_epoch")
        .and_then(|mut statement| statement.query_row([], |row| uint(row, 0)))
        .map_err(|error| JournalError::sqlite(path, doing, &error))?;
    if newest == epoch { Ok(()) } else { Err(JournalError::Fenced { epoch, newest }) }
}

fn commit(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("COMMIT")?.execute([]).map(drop)
}

/// Writes one append within a transaction of the caller. Gives the head that it
/// leads to.
pub(super) fn write_alone(
    connection: &Connection,
    append: Append,
    before: Option<Head>,
    entry: u64,
    epoch: u64,
) -> Result<rusqlite::Result<Head>, JournalError> {
    let records = Entry::new(append).records?;
    let written =
        Statements::prepare(connection).map_err(Stop::Group).and_then(|mut statements| {
            write_one(connection, &mut statements, &records, before, entry, epoch)
        });
    match written {
        Ok((_, after)) => Ok(Ok(after)),
        Err(Stop::One(error)) => Err(error),
        Err(Stop::Group(error)) => Ok(Err(error)),
    }
}

/// Writes one append, if it fits. Gives the head before and after it.
fn write_one(
    connection: &Connection,
    statements: &mut Statements<'_>,
    records: &Encoded,
    before: Option<Head>,
    entry: u64,
    epoch: u64,
) -> Result<(Head, Head), Stop> {
    let Encoded { migration, expected_seq, at_ms, event, effects, state, attempt, request } =
        records;
    let (migration, expected_seq) = (*migration, *expected_seq);
    let Some(before) = before else {
        return Err(Stop::One(JournalError::NoMigration(migration)));
    };
    if before.seq != expected_seq {
        let found = before.seq;
        return Err(Stop::One(JournalError::Conflict { migration, expected: expected_seq, found }));
    }
    let seq = expected_seq + 1;
    let attempt_sum = attempt.as_ref().map(|attempt| attempt.sum(entry));
    let chain = EntrySum {
        before: &before.chain,
        migration: migration.0,
        seq,
        entry,
        version: RECORD_VERSION,
        epoch,
        event,
        effects,
        attempt: attempt_sum.as_ref().map(|sum| &sum[..]),
    }
    .sum();
    let sum =
        HeadSum { migration: migration.0, seq, entry, updated_ms: *at_ms, state, chain: &chain }
            .sum();
    let id = int(migration.0);
    let moved = statements.head.execute(params![
        id,
        int(expected_seq),
        int(seq),
        int(entry),
        int(*at_ms),
        Text(state),
        &chain[..],
        &sum[..]
    ])?;
    if moved != 1 {
        // The row is not where this engine left it: somebody else wrote it.
        let found = before.seq;
        return Err(Stop::One(JournalError::Conflict { migration, expected: expected_seq, found }));
    }
    statements.event.execute(params![
        int(entry),
        id,
        int(seq),
        int(before.entry),
        int(RECORD_VERSION),
        int(epoch),
        Text(event),
        Text(effects),
        attempt_sum.as_ref().map(|sum| &sum[..]),
        &chain[..]
    ])?;
    if let (Some(attempt), Some(sum)) = (attempt, &attempt_sum) {
        attempt.insert(connection, &mut statements.attempt, entry, sum)?;
    }
    if let Some((request, answer)) = request {
        statements.answer.execute(params![int(request.0), answer])?;
    }
    Ok((before, Head { seq, entry, chain }))
}
