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
    state.is_terminal() && (!stands || (cleaned && before.spec.task.changes_client()))
}

/// Whether a line asks for what a migration was asked for. A lock that a failed
/// run has left may have to be forced in the meantime.
pub fn asks_for_same(asked: &MigrationSpec, begun: &MigrationSpec) -> bool {
    let mut asked = after_part(asked, begun);
    asked.options.force = begun.options.force;
    asked == *begun
}

/// What a line finds where its client has a migration that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFinds {
    /// Another command line or plan has begun it, and it is unfinished.
    Another,
    /// A part of what the line asks for has ended: the rest is begun.
    Part,
    /// It has done what the line asks for.
    Done,
    /// It is what the line asks for, and needs an order.
    WaitsForOrder,
    /// It is what the line asks for, and goes on.
    Unfinished,
}

impl LineFinds {
    /// What the line that asks for `asked` finds in a migration begun as `begun`.
    pub fn of(asked: Option<&MigrationSpec>, begun: &MigrationSpec, state: &State) -> LineFinds {
        match asked.is_some_and(|asked| asks_for_same(asked, begun)) {
            false if state.is_terminal() => LineFinds::Part,
            false => LineFinds::Another,
            true if state.is_terminal() => LineFinds::Done,
            true if state.waits_for_operator() => LineFinds::WaitsForOrder,
            true => LineFinds::Unfinished,
        }
    }
}
