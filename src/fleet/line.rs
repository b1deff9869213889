//! A command line of nimadm, held against the latest migration of its client.

use crate::domain::MigrationSpec;
use crate::machine::State;
use crate::report::MigrationView;

use super::sort::after_part;

/// Whether nothing of what came before stands against a new migration: it has
/// ended with nothing done, or what it did is gone, or it was no
/// migration.
pub fn is_over(before: &MigrationView) -> bool {
    let state = &before.state;
    let stands = matches!(state, State::Migrated { .. }) && before.spec.task.is_migration();
    let cleaned = before.standing().is_cleaned();
    state.is_terminal() && (!stands || (cleaned && before.spec.mode.changes_client()))
}

/// Whether a line asks for what a migration was asked for. A lock that a failed
/// run has left may have to be forced in the meantime.
pub fn asks_for_same(asked: &MigrationSpec, begun: &MigrationSpec) -> bool {
    let mut asked = after_part(asked, begun);
    asked.options.force = begun.options.force;
    asked == *begun
}
