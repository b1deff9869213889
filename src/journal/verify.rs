//! The whole journal, checked beside a run.

use std::path::Path;

use serde::Serialize;

use super::archived;
use super::attempt::read_attempt;
use super::connect::{self, uint};
use super::error::{Difference, JournalError};
use super::reader::Reader;
use super::replay::replay;

/// What was found sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub batches: u64,
    /// Migrations, each replayed from its first event.
    pub migrations: u64,
    pub entries: u64,
    /// Attempts, each with its outputs.
    pub attempts: u64,
    /// Requests of operators.
    pub requests: u64,
}

/// Checks the journal of `dir` as an engine does, and every attempt and output
/// besides. Writes nothing, and can run beside an engine.
///
/// A journal that cannot be read at all is one difference; whether there is one
/// is for the caller to ask first, with [`Reader::open`].
pub fn verify(dir: &Path) -> Result<Verified, Vec<Difference>> {
    let reader = Reader::open(dir).map_err(|error| vec![unreadable(&error)])?;
    verify_reader(&reader)
}

pub(super) fn verify_reader(reader: &Reader) -> Result<Verified, Vec<Difference>> {
    match reader.snapshot(check) {
        Ok((verified, differences)) if differences.is_empty() => Ok(verified),
        Ok((_, differences)) => Err(differences),
        Err(error) => Err(vec![unreadable(&error)]),
    }
}

fn check(reader: &Reader) -> Result<(Verified, Vec<Difference>), JournalError> {
    let (connection, path) = reader.parts();
    connect::header_beside(path)?;
    connect::quick_check(connection, path)?;
    let replayed = replay(connection, path)?;
    let mut differences = replayed.differences;
    let (_, noted) = archived::check(connection, path, reader.is_whole())?;
    let fresh: Vec<Difference> =
        noted.into_iter().filter(|one| !differences.contains(one)).collect();
    differences.extend(fresh);
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(path, "cannot read the events", &error);
    let mut statement = connection
        .prepare("SELECT entry, attempt, seq, migration FROM event WHERE attempt IS NOT NULL ORDER BY entry")
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut attempts = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        let entry = uint(row, "entry").map_err(failed)?;
        let noted: Vec<u8> = row.get("attempt").map_err(failed)?;
        attempts += 1;
        if let Err(error) = read_attempt(connection, path, entry, &noted) {
            differences.push(Difference {
                migration: Some(crate::domain::MigrationId(
                    uint(row, "migration").map_err(failed)?,
                )),
                seq: Some(uint(row, "seq").map_err(failed)?),
                what: "attempt",
                ..unreadable(&error)
            });
        }
    }
    let requests = reader.requests()?;
    for one in requests.iter().filter_map(|request| request.as_ref().err()) {
        if one.is_damage {
            let what = format!("request {}: {}", one.id, one.why);
            differences.push(Difference {
                what: "request",
                ..unreadable(&JournalError::damaged(path, what))
            });
        }
    }
    let requests = requests.len() as u64;
    let verified = Verified {
        batches: replayed.batches,
        migrations: replayed.loaded.len() as u64,
        entries: replayed.entries,
        attempts,
        requests,
    };
    Ok((verified, differences))
}

fn unreadable(error: &JournalError) -> Difference {
    Difference {
        migration: None,
        client: None,
        seq: None,
        what: "file",
        recorded: error.to_string(),
        replayed: "nothing".to_owned(),
        cause: "it was damaged after it was written; restore a backup".to_owned(),
    }
}
