//! What a journal tells of a plan's clients to a process that is not its engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::{MigrationId, Plan};
use crate::journal::{JournalError, Loaded, MigrationRow, Reader};
use crate::machine::{DECISIONS, Machine, Rejected};
use crate::report::facts_of;

use super::settings::UnreadSettings;

/// Why a plan's clients are not known.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// A migration is in no state that its steps have.
    #[error("{id} cannot be read")]
    Unread { id: MigrationId, source: Rejected },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A batch's settings cannot be read.
    #[error(transparent)]
    Settings(#[from] UnreadSettings),
}

/// What is known of the plan's clients, as an engine loads it.
pub fn loaded(
    reader: &Reader,
    rows: &[MigrationRow],
    plan: &Plan,
) -> Result<Vec<Loaded>, KnownError> {
    let archived = reader.archived()?;
    let clients: BTreeSet<&str> = plan.migrations.iter().map(|spec| spec.client.as_str()).collect();
    let wanted =
        |row: &&MigrationRow| clients.contains(row.client.as_str()) && !archived.contains(&row.id);
    let mut copies = reader.copies()?;
    let mut loaded = Vec::new();
    for row in rows.iter().filter(wanted) {
        let spec = reader.spec(row.id)?;
        let machine = Machine::at(Arc::new(reader.blueprint(row.id)?), row.state.clone())
            .map_err(|source| KnownError::Unread { id: row.id, source })?;
        // Only what a later part takes over, and what is known of copies, is asked for.
        let facts = if spec.is_whole() {
            copies.remove(&row.id).unwrap_or_default()
        } else {
            facts_of(reader.history(row.id)?.iter().map(|entry| &entry.event.kind))
        };
        loaded.push(Loaded {
            id: row.id,
            batch: row.batch,
            client: row.client.clone(),
            number: row.number,
            seq: row.seq,
            decisions: DECISIONS,
            machine,
            spec: Arc::new(spec),
            facts,
            skipped_phases: row.skipped_phases.clone(),
            created_ms: row.created_ms,
            updated_ms: row.updated_ms,
            is_ordered: false,
        });
    }
    loaded.sort_by_key(|one| one.id);
    Ok(loaded)
}
