//! How much the engine does at once.

use crate::domain::Phase;

/// Limits of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Migrations that have begun and neither ended nor wait for a person.
    pub migrations: usize,
    /// Migrations at once in each phase, from its first step to its last.
    pub phases: [usize; Phase::ALL.len()],
}

impl EngineLimits {
    /// `migrations` at once, and no limit by phase.
    pub fn of_migrations(migrations: usize) -> EngineLimits {
        EngineLimits { migrations, phases: [usize::MAX; Phase::ALL.len()] }
    }

    /// At most `migrations` in `phase` at once.
    #[must_use]
    pub fn with_phase(mut self, phase: Phase, migrations: usize) -> EngineLimits {
        self.phases[phase as usize] = migrations;
        self
    }
}
