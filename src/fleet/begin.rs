//! Migrations that are begun: the batch of a plan, and what is journaled of it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::Millis;
use crate::domain::{MigrationSpec, NimName, Plan};
use crate::journal::{BatchRow, Journal, JournalError, Loaded, NewBatch, Reader};

use super::settings::BatchSettings;
use super::work::new_migration;

/// A plan file, as it was read.
pub struct PlanFile {
    pub plan: Plan,
    pub text: String,
}

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// A migration has no steps that can be carried out.
    #[error("{client} cannot be migrated: {why}")]
    Plan { client: NimName, why: String },
    /// It cannot be journaled.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Journals the batch and the migrations of `fresh`, and gives them as an engine
/// takes them.
pub fn begin(
    journal: &Journal,
    file: &PlanFile,
    digest: &str,
    fresh: &[(u32, Cow<'_, MigrationSpec>)],
    (created_ms, operator): (Millis, String),
) -> Result<Vec<Loaded>, BeginError> {
    if fresh.is_empty() {
        return Ok(Vec::new());
    }
    let batch = batch_of(file, digest, (created_ms, operator));
    let specs = fresh.iter().map(|(number, spec)| (*number, Arc::new(spec.clone().into_owned())));
    create(journal, &batch, specs)
}

/// What is journaled of a plan beside its migrations.
pub fn batch_of(
    file: &PlanFile,
    digest: &str,
    (created_ms, operator): (Millis, String),
) -> NewBatch {
    NewBatch {
        name: file.plan.name.to_string(),
        digest: digest.to_owned(),
        plan_text: file.text.clone(),
        created_ms,
        operator,
        estate: BatchSettings::of(&file.plan).value(),
    }
}

/// What is journaled beside migrations of `batch` that begin anew.
pub fn batch_again(
    reader: &Reader,
    batch: &BatchRow,
    (created_ms, operator): (Millis, String),
) -> Result<NewBatch, JournalError> {
    Ok(NewBatch {
        name: batch.name.clone(),
        digest: batch.digest.clone(),
        plan_text: reader.plan_text(batch.id)?.unwrap_or_default(),
        created_ms,
        operator,
        estate: batch.estate.clone(),
    })
}

/// Journals `batch` with a migration for each of `specs`.
pub fn create(
    journal: &Journal,
    batch: &NewBatch,
    specs: impl Iterator<Item = (u32, Arc<MigrationSpec>)>,
) -> Result<Vec<Loaded>, BeginError> {
    let migrations = specs
        .map(|(number, spec)| {
            let client = spec.client.clone();
            new_migration(number, spec).map_err(|why| BeginError::Plan { client, why })
        })
        .collect::<Result<Vec<_>, BeginError>>()?;
    let (id, ids) = journal.create_batch(batch, migrations.clone())?;
    Ok(Loaded::of_batch(id, ids, batch, migrations))
}
