//! What the states of a batch come to.

use std::collections::BTreeMap;

use crate::machine::State;

/// What a batch has come to. The order is that of urgency: the last one that
/// holds for any migration holds for the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every migration ended at its target, or had nothing to do.
    AllMigrated,
    /// Some were taken back, refused, or given up.
    SomeFailed,
    /// Some wait for a person.
    NeedsOperator,
    /// Some have not ended and need nobody but an engine.
    WorkLeft,
}

impl Verdict {
    /// What one state comes to.
    pub fn of(state: &State) -> Verdict {
        match state {
            State::Migrated { .. } | State::Skipped { .. } => Verdict::AllMigrated,
            State::RolledBack { .. } | State::Refused { .. } | State::Abandoned { .. } => {
                Verdict::SomeFailed
            }
            State::AwaitingOperator { .. } | State::UndoStuck { .. } | State::Held { .. } => {
                Verdict::NeedsOperator
            }
            State::Pending
            | State::Executing { .. }
            | State::BackingOff { .. }
            | State::Undoing { .. }
            | State::UndoBackingOff { .. } => Verdict::WorkLeft,
        }
    }

    /// What several states come to.
    pub fn of_all<'a>(states: impl IntoIterator<Item = &'a State>) -> Verdict {
        states.into_iter().map(Verdict::of).max().unwrap_or(Verdict::AllMigrated)
    }
}

/// Names of states in the order in which counts are told.
const ORDER: [&str; 13] = [
    "migrated",
    "skipped",
    "rolled_back",
    "refused",
    "abandoned",
    "awaiting_operator",
    "undo_stuck",
    "held",
    "undoing",
    "undo_backing_off",
    "backing_off",
    "executing",
    "pending",
];

/// How many migrations are in which state, by the states' names; those that no
/// migration is in are left out.
pub fn counts<'a>(states: impl IntoIterator<Item = &'a State>) -> Vec<(&'static str, usize)> {
    let mut by_name: BTreeMap<&'static str, usize> = BTreeMap::new();
    for state in states {
        *by_name.entry(state.name()).or_default() += 1;
    }
    let mut counts: Vec<_> = by_name.into_iter().collect();
    counts.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name));
    counts
}

/// Counts as a line: `7 migrated, 1 skipped, 2 rolled back`.
pub fn counts_text<'a>(states: impl IntoIterator<Item = &'a State>) -> String {
    let parts: Vec<String> = counts(states)
        .into_iter()
        .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
        .collect();
    if parts.is_empty() { "no migrations".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Cause, FailureClass};
    use crate::machine::Place;

    fn cause() -> Cause {
        Cause::new(FailureClass::Permanent, "why")
    }

    #[test]
    fn the_most_urgent_state_decides() {
        let migrated = State::Migrated { at: Place::start() };
        let refused = State::Refused { cause: cause() };
        let held = State::Held { resume: Box::new(State::Pending) };
        let pending = State::Pending;
        assert_eq!(Verdict::of_all([]), Verdict::AllMigrated);
        assert_eq!(Verdict::of_all([&migrated, &refused]), Verdict::SomeFailed);
        assert_eq!(Verdict::of_all([&held, &refused]), Verdict::NeedsOperator);
        assert_eq!(Verdict::of_all([&held, &pending, &refused]), Verdict::WorkLeft);
    }

    #[test]
    fn counts_stand_in_a_fixed_order() {
        let states = [
            State::Pending,
            State::RolledBack { cause: cause() },
            State::Migrated { at: Place::start() },
            State::Pending,
        ];
        assert_eq!(counts_text(&states), "1 migrated, 1 rolled back, 2 pending");
    }
}
