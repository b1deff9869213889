//! A consistent copy while a run goes on.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::error::JournalError;
use super::paths::{beside, sync_directory};
use super::reader::Reader;
use super::verify::{Verified, verify_reader};

/// Copies the journal of `dir` to the new file `to`, and verifies the copy.
///
/// The copy is one whole file: put in the place of `journal.db`, without the
/// old `-wal` and `-shm`, it is the journal as it was. `to` must not exist, and
/// appears only once the copy is complete, sound and on the disk.
pub fn backup(dir: &Path, to: &Path) -> Result<Verified, JournalError> {
    let reader = Reader::open(dir)?;
    if to.exists() {
        return Err(JournalError::File {
            what: "a backup replaces no file",
            path: to.to_owned(),
            why: "it exists".to_owned(),
        });
    }
    let partial = beside(to, ".partial");
    let copied = copy(&reader, &partial).and_then(|verified| {
        // SQLite has synced the file itself.
        let synced = std::fs::rename(&partial, to).and_then(|()| sync_directory(to));
        synced.map_err(|error| JournalError::file(to, "cannot put the backup in place", &error))?;
        Ok(verified)
    });
    if copied.is_err() {
        // What is not complete is not left behind; if it cannot be removed, the
        // error above says more.
        let _ = std::fs::remove_file(&partial);
    }
    copied
}

fn copy(reader: &Reader, to: &Path) -> Result<Verified, JournalError> {
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(to, "cannot write the backup", &error);
    let (source, _) = reader.parts();
    let _ = std::fs::remove_file(to);
    let mut target = Connection::open(to).map_err(failed)?;
    target.execute_batch("PRAGMA synchronous = FULL").map_err(failed)?;
    // All pages in one step: within one snapshot, and no append can restart it.
    Backup::new(source, &mut target).and_then(|backup| backup.step(-1)).map_err(failed)?;
    // One file, with nothing beside it.
    let mode: String =
        target.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).map_err(failed)?;
    if mode != "delete" {
        return Err(JournalError::Setting {
            setting: "journal_mode",
            wanted: "delete".to_owned(),
            found: mode,
        });
    }
    target.close().map_err(|(_, error)| failed(error))?;
    verify_reader(&Reader::open_file(to)?).map_err(JournalError::differs)
}
