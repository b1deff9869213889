//! What reports are made from, as a journal has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::journal::{BatchRow, JournalError, Reader};

use super::since::mark_since;
use super::status::BatchStatus;
use super::view::{MigrationView, Story};

/// All migrations of a journal, the oldest first.
pub fn views(reader: &Reader) -> Result<Vec<MigrationView>, JournalError> {
    reader.snapshot(|reader| {
        let batches = reader.batches()?;
        let archived = reader.archived()?;
        let name = |id| batches.iter().find(|batch| batch.id == id).map(|batch| &batch.name);
        let mut rows = reader.migrations(None)?;
        rows.sort_by_key(|row| row.id);
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let views: Result<Vec<MigrationView>, JournalError> = rows
            .into_iter()
            .map(|row| {
                let number = numbers.entry(row.client.clone()).or_default();
                *number += 1;
                Ok(MigrationView {
                    id: row.id,
                    batch: name(row.batch).cloned().unwrap_or_default(),
                    client: row.client,
                    number: *number,
                    state: row.state,
                    blueprint: Arc::new(reader.blueprint(row.id)?),
                    spec: Arc::new(reader.spec(row.id)?),
                    since_ms: row.updated_ms,
                    cleaned_ms: None,
                    seen: None,
                    is_silent: false,
                    is_archived: archived.contains(&row.id),
                    is_gone: false,
                })
            })
            .collect();
        let mut views = views?;
        mark_since(&mut views, &reader.copies()?);
        Ok(views)
    })
}

/// All that happened to a migration.
pub fn story(reader: &Reader, view: MigrationView) -> Result<Story, JournalError> {
    let entries = reader.history(view.id)?;
    Ok(Story { view, entries, found: Vec::new(), before: None })
}

/// All that happened to each of `views`.
pub fn stories(reader: &Reader, views: Vec<MigrationView>) -> Result<Vec<Story>, JournalError> {
    views.into_iter().map(|view| story(reader, view)).collect()
}

impl From<&BatchRow> for BatchStatus {
    fn from(batch: &BatchRow) -> BatchStatus {
        BatchStatus {
            name: batch.name.clone(),
            plan_digest: batch.digest.clone(),
            created_ms: batch.created_ms,
        }
    }
}
