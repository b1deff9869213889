//! Ended batches in a file of their own, so that a start does not replay years.
//!
//! `archive.db`, beside the journal, is a journal by its tables. It is written
//! anew, verified, and put in place of the one before; only then one transaction
//! deletes from the journal what is in it, and notes the batches in `archived`.
//! Until that is committed the journal has them still, and what the archive has
//! of them is not looked at: readers take a row from the archive only where the
//! journal has none of its key. So nothing is lost and nothing is twice, wherever
//! it ends.
//!
//! Numbers of batches, migrations and entries are not given again: hosts know
//! jobs by them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::base::Millis;
use crate::domain::MigrationId;

use super::archived::TABLES;
use super::connect::{self, int};
use super::error::JournalError;
use super::ids::BatchId;
use super::loaded::Loaded;
use super::open::{Journal, OpenOptions};
use super::paths::{JournalDir, beside, sync_directory};
use super::reader::Reader;
use super::schema;
use super::verify::verify_reader;

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Archived {
    pub batches: u64,
    /// Migrations of them.
    pub migrations: u64,
    /// Their entries.
    pub entries: u64,
}

/// Moves the batches of `dir` all of whose migrations ended before `before_ms`
/// to the archive, but for those of `waiting`. What a client has in the journal is
/// later than all that it has in the archive. Takes the directory as an engine does:
/// refused while one has it.
pub fn archive(
    dir: &Path,
    options: &OpenOptions,
    before_ms: Millis,
    waiting: &BTreeSet<MigrationId>,
) -> Result<Archived, JournalError> {
    if !JournalDir::new(dir).has_journal() {
        return Err(JournalError::NotFound { dir: dir.to_owned() });
    }
    let (journal, loaded) = Journal::open(dir, options)?;
    let ended = ended(&loaded, before_ms, waiting);
    let moved = Archived {
        batches: ended.len() as u64,
        migrations: ended.values().map(|one| one.migrations).sum(),
        entries: ended.values().map(|one| one.entries).sum(),
    };
    if !ended.is_empty() {
        let batches: Vec<BatchId> = ended.into_keys().collect();
        write(dir, &batches)?;
        put_in_place(dir)?;
        journal.forget(batches, options.now_ms)?;
    }
    journal.close()?;
    Ok(moved)
}

/// What a batch has.
#[derive(Default)]
struct Size {
    migrations: u64,
    entries: u64,
    /// Whether all of it ended early enough.
    is_over: bool,
}

fn ended(
    loaded: &[Loaded],
    before_ms: Millis,
    waiting: &BTreeSet<MigrationId>,
) -> BTreeMap<BatchId, Size> {
    let mut batches: BTreeMap<BatchId, Size> = BTreeMap::new();
    for one in loaded {
        let fresh = Size { is_over: true, ..Size::default() };
        let size = batches.entry(one.batch).or_insert(fresh);
        size.migrations += 1;
        size.entries += one.seq;
        let has_ended = one.machine.state().is_terminal() && one.updated_ms < before_ms;
        size.is_over &= has_ended && !waiting.contains(&one.id);
    }
    // Else an older migration of a client would be taken for its latest.
    let mut staying: BTreeSet<&str> = BTreeSet::new();
    for (batch, size) in &mut batches {
        let of_batch = loaded.iter().filter(|one| one.batch == *batch);
        let clients: Vec<&str> = of_batch.map(|one| one.client.as_str()).collect();
        size.is_over &= clients.iter().all(|client| !staying.contains(client));
        if !size.is_over {
            staying.extend(clients);
        }
    }
    batches.retain(|_, size| size.is_over);
    batches
}

/// Writes the archive with `batches` added to it to a file that has not its name
/// yet, and verifies it.
fn write(dir: &Path, batches: &[BatchId]) -> Result<(), JournalError> {
    let paths = JournalDir::new(dir);
    let (archive, partial) = (paths.archive(), beside(&paths.archive(), ".partial"));
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(&partial, "cannot write the archive", &error);
    // What an earlier try has left of it.
    for left in [&partial, &beside(&partial, "-journal")] {
        let _ = std::fs::remove_file(left);
    }
    let mut target = Connection::open(&partial).map_err(failed)?;
    target.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF").map_err(failed)?;
    let mut version = 0;
    if paths.has_archive() {
        let source = connect::reader(&archive)?;
        version = schema::version(&source, &archive)?;
        Backup::new(&source, &mut target).and_then(|backup| backup.step(-1)).map_err(failed)?;
    }
    let journal = paths.journal().display().to_string();
    target.execute("ATTACH ?1 AS journal", [&journal]).map_err(failed)?;
    target
        .execute_batch("BEGIN; CREATE TEMP TABLE moved (batch INTEGER PRIMARY KEY)")
        .map_err(failed)?;
    schema::migrate(&target, &partial, version)?;
    for batch in batches {
        target.execute("INSERT INTO moved VALUES (?1)", [int(batch.0)]).map_err(failed)?;
    }
    let copied: Vec<String> = TABLES
        .iter()
        .map(|(table, _, of_batches)| {
            format!(
                "INSERT OR IGNORE INTO main.{table}
                 SELECT * FROM journal.{table} WHERE {of_batches};"
            )
        })
        .collect();
    let meta = "INSERT OR IGNORE INTO main.meta SELECT * FROM journal.meta;";
    target.execute_batch(&format!("{meta} {} COMMIT", copied.concat())).map_err(failed)?;
    target.close().map_err(|(_, error)| failed(error))?;
    verify_reader(&Reader::open_file(&partial)?).map(drop).map_err(JournalError::differs)
}

/// Gives the archive that [`write`] has made its name. SQLite has synced it.
fn put_in_place(dir: &Path) -> Result<(), JournalError> {
    let archive = JournalDir::new(dir).archive();
    std::fs::rename(beside(&archive, ".partial"), &archive)
        .and_then(|()| sync_directory(&archive))
        .map_err(|error| JournalError::file(&archive, "cannot put the archive in place", &error))
}
