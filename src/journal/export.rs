//! A migration's history as JSON lines.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::domain::{MigrationId, MigrationSpec, Phase};
use crate::machine::{Blueprint, State};

use super::error::JournalError;
use super::ids::BatchId;
use super::reader::{Entry, Reader};

/// The first line of an export.
#[derive(Debug, Serialize)]
struct Header<'a> {
    /// Version of the lines. Introduced as 1 in 0.1.0.
    version: u32,
    migration: MigrationId,
    batch: BatchId,
    client: &'a str,
    state: &'a State,
    entries: u64,
    skipped_phases: &'a [(Phase, String)],
    spec: MigrationSpec,
    blueprint: Blueprint,
}

/// Writes the history of `migration` to `out`: a line about the migration, then
/// a line for each entry, the oldest first.
pub fn export(dir: &Path, migration: MigrationId, out: &mut dyn Write) -> Result<(), JournalError> {
    let reader = Reader::open(dir)?;
    let (row, spec, blueprint, entries) = reader.snapshot(|reader| {
        let rows = reader.migrations(None)?;
        let row = rows
            .into_iter()
            .find(|row| row.id == migration)
            .ok_or(JournalError::NoMigration(migration))?;
        let (spec, blueprint) = (reader.spec(migration)?, reader.blueprint(migration)?);
        Ok((row, spec, blueprint, reader.entries(migration)?))
    })?;
    let header = Header {
        version: 1,
        migration,
        batch: row.batch,
        client: &row.client,
        state: &row.state,
        entries: row.seq,
        skipped_phases: &row.skipped_phases,
        spec,
        blueprint,
    };
    line(out, &header)?;
    entries.iter().try_for_each(|entry: &Entry| line(out, entry))
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> Result<(), JournalError> {
    serde_json::to_writer(&mut *out, value)
        .map_err(std::io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .map_err(|error| JournalError::file(Path::new("-"), "cannot write the export", &error))
}
