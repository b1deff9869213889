//! Migrations as an engine finds them when it starts.

use std::sync::Arc;

use crate::base::Millis;
use crate::domain::{Facts, MigrationId, MigrationSpec, Phase};
use crate::machine::{DECISIONS, Event, EventKind, Machine};

use super::append::Append;
use super::create::{NewBatch, NewMigration};
use super::ids::BatchId;

/// A migration, replayed from its first event.
#[derive(Debug)]
pub struct Loaded {
    pub id: MigrationId,
    /// The batch that it belongs to.
    pub batch: BatchId,
    /// The client, by name.
    pub client: String,
    /// Its place in the plan.
    pub number: u32,
    /// How many entries it has: what the next append expects.
    pub seq: u64,
    /// Which decisions its last entry was made by.
    pub decisions: u32,
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
    /// Whether an order has let it go on that no engine has seen.
    pub is_ordered: bool,
}

impl Loaded {
    /// The migrations of a batch that was just journaled as `id`, and they as `ids`.
    pub fn of_batch(
        id: BatchId,
        ids: Vec<MigrationId>,
        batch: &NewBatch,
        migrations: Vec<NewMigration>,
    ) -> Vec<Loaded> {
        let loaded = ids.into_iter().zip(migrations).map(|(migration, new)| Loaded {
            id: migration,
            batch: id,
            client: new.client.to_string(),
            number: new.number,
            seq: 0,
            decisions: DECISIONS,
            machine: Machine::new(new.blueprint),
            spec: new.spec,
            facts: Facts::default(),
            skipped_phases: new.skipped_phases,
            created_ms: batch.created_ms,
            updated_ms: batch.created_ms,
            is_ordered: false,
        });
        loaded.collect()
    }

    /// What has to be appended at `at_ms` before anything else of a migration
    /// that was left by older decisions. `None` where it is under today's.
    pub fn adopt(&mut self, at_ms: Millis) -> Option<Append> {
        if self.decisions == DECISIONS {
            return None;
        }
        let state = Box::new(self.machine.state().clone());
        let event = Event { at_ms, kind: EventKind::Adopted { decisions: DECISIONS, state } };
        let applied = self.machine.apply(&event);
        let transition = applied.expect("its own state has places in its blueprint");
        let append = Append {
            migration: self.id,
            expected_seq: self.seq,
            event,
            to: transition.to,
            effects: transition.effects,
            record: None,
            request: None,
        };
        self.decisions = DECISIONS;
        self.seq += 1;
        Some(append)
    }
}
