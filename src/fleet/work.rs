//! Work that `run PLAN` hands to the running engine: the document that goes
//! with its request, and what the engine makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::sanitize_line;
use crate::domain::{MigrationId, MigrationSpec};
use crate::engine::NewWork;
use crate::journal::{BatchId, BatchRow, MigrationRow, NewBatch, NewMigration, Request};
use crate::machine::{Blueprint, Operator, State};
use crate::phases::plan_steps;

use super::settings::BatchSettings;

/// Introduced as 1 with version 3 of the journal's tables.
const WORK_VERSION: u32 = 1;

/// Clients of a plan that are to be begun. Unknown keys are refused.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    version: u32,
    /// The batches of that name when it was posted: an engine that has none of them
    /// at work is another's.
    pub beside: BTreeSet<BatchId>,
    pub name: String,
    pub digest: String,
    pub plan_text: String,
    pub settings: BatchSettings,
    pub clients: Vec<ClientWork>,
}

/// A client that is to be begun.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientWork {
    /// Its place in the plan.
    pub number: u32,
    pub spec: MigrationSpec,
    /// The last migration of the client when it was posted. Where there is another
    /// by now, somebody was faster.
    pub after: Option<MigrationId>,
}

impl Work {
    /// Work for an engine that has one of the batches `beside` at work.
    pub fn new(
        beside: BTreeSet<BatchId>,
        batch: NewBatch,
        settings: BatchSettings,
        clients: Vec<ClientWork>,
    ) -> Work {
        let NewBatch { name, digest, plan_text, .. } = batch;
        Work { version: WORK_VERSION, beside, name, digest, plan_text, settings, clients }
    }

    /// What came with a request, or why it cannot be read.
    pub fn read(request: &Request) -> Result<Work, String> {
        let text = request.work.as_deref().ok_or("it names no work")?;
        let unread = |why: String| {
            let why = sanitize_line(&why, 200);
            format!("this nimshift cannot read it ({why}): run the plan with the engine's version")
        };
        let work: Work = serde_json::from_str(text).map_err(|error| unread(error.to_string()))?;
        match work.version {
            WORK_VERSION => Ok(work),
            other => Err(unread(format!("version {other}"))),
        }
    }

    /// Whether it is for an engine that works on `batches`.
    pub fn is_for(&self, batches: &BTreeSet<BatchId>) -> bool {
        !self.beside.is_disjoint(batches)
    }

    /// What of it can be begun as things stand in `rows`, all migrations.
    pub fn settle(self, request: &Request, rows: &[MigrationRow]) -> NewWork {
        let last = last_of_each(rows);
        let mut migrations = Vec::new();
        let mut refused = Vec::new();
        for ClientWork { number, spec, after } in self.clients {
            let client = spec.client.to_string();
            let live = |row: &&MigrationRow| {
                row.client == client && !row.state.is_terminal() && row.state != State::Pending
            };
            let newest = last.get(client.as_str()).copied();
            if let Some(id) = newest.filter(|id| Some(*id) != after) {
                refused.push((client, format!("{id} was started meanwhile")));
            } else if let Some(row) = rows.iter().find(live) {
                refused.push((client, format!("{} is under way: {}", row.id, row.state.told())));
            } else {
                match new_migration(number, Arc::new(spec)) {
                    Ok(new) => migrations.push(new),
                    Err(why) => refused.push((client, why)),
                }
            }
        }
        let settings = self.settings.value();
        let batch = NewBatch {
            name: self.name,
            digest: self.digest,
            plan_text: self.plan_text,
            // The engine's clock is the estate's.
            created_ms: 0,
            operator: request.operator.clone(),
            estate: settings,
        };
        let by = Operator(request.operator.clone());
        NewWork { request: request.id, by, batch, migrations, refused }
    }
}

/// The last migration of each client.
pub fn last_of_each(rows: &[MigrationRow]) -> BTreeMap<&str, MigrationId> {
    let mut last = BTreeMap::new();
    for row in rows {
        let known = last.entry(row.client.as_str()).or_insert(row.id);
        *known = row.id.max(*known);
    }
    last
}

/// The batches called `name` that an engine may work on: those that are unfinished, and
/// the last.
pub fn of_name<'a>(
    name: &str,
    batches: impl Iterator<Item = &'a BatchRow>,
    rows: &[MigrationRow],
) -> BTreeSet<BatchId> {
    let all: BTreeSet<BatchId> =
        batches.filter(|batch| batch.name == name).map(|batch| batch.id).collect();
    let live = rows.iter().filter(|row| !row.state.is_terminal()).map(|row| row.batch);
    live.filter(|id| all.contains(id)).chain(all.last().copied()).collect()
}

/// What is journaled for a client, or why it cannot be migrated.
pub fn new_migration(number: u32, spec: Arc<MigrationSpec>) -> Result<NewMigration, String> {
    let planned = plan_steps(&spec);
    let blueprint = Blueprint::new(&spec, planned.steps).map_err(|error| error.to_string())?;
    Ok(NewMigration {
        client: spec.client.clone(),
        number,
        spec,
        blueprint: Arc::new(blueprint),
        skipped_phases: planned.skipped,
    })
}
