//! Migrations as an engine finds them when it starts.

use std::sync::Arc;

use crate::base::Millis;
use crate::domain::{Facts, MigrationId, MigrationSpec, Phase};
use crate::machine::Machine;

use super::ids::BatchId;

/// A migration, replayed from its first event.
#[derive(Debug)]
pub struct Loaded {
    /// Its id.
    pub id: MigrationId,
    /// The batch that it belongs to.
    pub batch: BatchId,
    /// The client, by name.
    pub client: String,
    /// Its place in the plan.
    pub number: u32,
    /// How many entries it has: what the next append expects.
    pub seq: u64,
    /// The machine, in the state that it was left in; also where it has ended.
    pub machine: Machine,
    /// What it was asked to do.
    pub spec: Arc<MigrationSpec>,
    /// What its steps found out.
    pub facts: Facts,
    /// Phases that are not run, each with its reason.
    pub skipped_phases: Vec<(Phase, String)>,
    /// When its batch was journaled.
    pub created_ms: Millis,
    /// When its last entry was made.
    pub updated_ms: Millis,
}
