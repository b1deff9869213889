//! Names of attempts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::phase::Phase;
use super::step::StepName;

/// A migration in the journal: its row, unique within one state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MigrationId(pub u64);

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

/// Whether a step is made or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The step is made.
    Forward,
    /// The step is made sure to be gone.
    Undo,
}

/// One attempt at one effect: the idempotency key everywhere.
///
/// Unique within a migration: a rewind begins a new round, and attempts count
/// up within a round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    pub phase: Phase,
    /// The step within it.
    pub step: StepName,
    /// Made or taken back.
    pub direction: Direction,
    /// How often the migration has gone back to a fresh clone.
    pub round: u32,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl Ticket {
    /// The id of the job that carries the attempt out on its host. `scope`
    /// makes it unique among state directories. Letters, digits, `_.-` only.
    pub fn job_id(&self, scope: &str, migration: MigrationId) -> String {
        let direction = match self.direction {
            Direction::Forward => 'f',
            Direction::Undo => 'u',
        };
        let Ticket { step, round, attempt, .. } = self;
        format!(
            "{scope}.{migration}.{:02}-{step}.{direction}{round}.{attempt}",
            self.phase.number()
        )
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ticket { phase, step, round, attempt, .. } = self;
        let undo = match self.direction {
            Direction::Forward => "",
            Direction::Undo => "undo ",
        };
        write!(f, "{undo}{}/{step} #{attempt}", phase.number())?;
        if *round > 0 {
            write!(f, " (round {round})")?;
        }
        Ok(())
    }
}
