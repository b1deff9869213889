//! What the states of a batch come to.

use crate::domain::FailureClass;
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
            | State::WaitingForPlace { .. }
            | State::BackingOff { .. }
            | State::Undoing { .. }
            | State::UndoBackingOff { .. } => Verdict::WorkLeft,
        }
    }

    /// What one state comes to for who has ordered that it be taken back.
    pub fn of_taking_back(state: &State) -> Verdict {
        match state {
            State::RolledBack { .. } => Verdict::AllMigrated,
            state => Verdict::of(state),
        }
    }

    /// What one state comes to for who lets it go on: what is taken back by an order has
    /// not failed.
    pub fn of_going_on(state: &State) -> Verdict {
        match state {
            State::RolledBack { cause } if cause.class == FailureClass::NeedsOperator => {
                Verdict::AllMigrated
            }
            state => Verdict::of(state),
        }
    }

    /// What several states come to.
    pub fn of_all<'a>(states: impl IntoIterator<Item = &'a State>) -> Verdict {
        states.into_iter().map(Verdict::of).max().unwrap_or(Verdict::AllMigrated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Cause;
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
}
