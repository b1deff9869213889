//! Migrations that have ended, handed to the running engine to be started again.

use std::collections::BTreeMap;

use crate::domain::MigrationSpec;
use crate::journal::{BatchId, Reader};
use crate::report::MigrationView;

use super::begin::batch_again;
use super::known::KnownError;
use super::settings::BatchSettings;
use super::work::{ClientWork, Work, last_of_each, of_name};

/// What begins the migrations `ended` anew, each as `spec_of` gives it: one piece of
/// work for each of their batches.
pub fn anew(
    reader: &Reader,
    ended: &[&MigrationView],
    spec_of: impl Fn(&MigrationView) -> MigrationSpec,
    operator: &str,
) -> Result<Vec<Work>, KnownError> {
    let (batches, rows) = (reader.batches()?, reader.migrations(None)?);
    let last = last_of_each(&rows);
    let mut by_batch: BTreeMap<BatchId, Vec<ClientWork>> = BTreeMap::new();
    for row in &rows {
        if let Some(view) = ended.iter().find(|view| view.id == row.id) {
            let after = last.get(view.client.as_str()).copied();
            let client = ClientWork { number: row.number, spec: spec_of(view), after };
            by_batch.entry(row.batch).or_default().push(client);
        }
    }
    let mut works = Vec::new();
    for (id, clients) in by_batch {
        let Some(batch) = batches.iter().find(|batch| batch.id == id) else { continue };
        let again = batch_again(reader, batch, (0, operator.to_owned()))?;
        let beside = of_name(&batch.name, batches.iter(), &rows);
        works.push(Work::new(beside, again, BatchSettings::read(batch)?, clients));
    }
    Ok(works)
}
