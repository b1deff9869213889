//! The states of a migration: a stored format, written by hand.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::Cause;

/// Where a migration is: which step of its blueprint, in which round, at which
/// attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Index into the blueprint's steps.
    pub step: u16,
    /// How often the migration has gone back and forward again: makes tickets
    /// unique.
    pub round: u32,
    /// The attempt at the step, from 1.
    pub attempt: u32,
    /// How many of the rounds were rewinds from a later step.
    pub rewinds: u32,
}

impl Place {
    /// The first attempt at the first step.
    pub fn start() -> Place {
        Place { step: 0, round: 0, attempt: 1, rewinds: 0 }
    }

    /// The next attempt at the same step.
    pub(super) fn next_attempt(self) -> Place {
        Place { attempt: self.attempt + 1, ..self }
    }
}

/// How far a compensation goes, and what comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Where the migration was when it turned back.
    pub from: Place,
    /// The last step to be undone.
    pub until: u16,
    /// What comes then.
    pub then: Then,
    /// Why it turned back.
    pub cause: Cause,
}

/// What comes after a compensation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The migration ends, rolled back.
    Stop,
    /// It goes forward again from [`Course::until`]: a rewind.
    Forward,
}

/// The state of one migration.
///
/// Introduced in record version 1 (0.1.0): all states but those that say
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum State {
    /// Asked for and not begun.
    Pending,
    /// A step is being made. `stopping`: it is to end, and then be taken back.
    Executing {
        at: Place,
        /// Why it is to be stopped, once it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopping: Option<Cause>,
    },
    /// The phase of a step is full: a migration that is in it has to leave first.
    /// Introduced in record version 2.
    WaitingForPlace {
        at: Place,
        /// Since when: the first to come is the first to be let in.
        since_ms: u64,
    },
    /// A step failed and is tried again at `wake_at_ms`. `dirty`: something has
    /// to be undone first.
    BackingOff {
        at: Place,
        /// When it is tried again.
        wake_at_ms: u64,
        /// Whether the failed attempt left something behind.
        dirty: bool,
        cause: Cause,
    },
    /// A person has to say how to go on.
    AwaitingOperator {
        at: Place,
        /// Whether the failed attempt left something behind.
        dirty: bool,
        cause: Cause,
    },
    /// A step is being taken back.
    Undoing {
        at: Place,
        /// How far, and what then.
        course: Course,
    },
    /// Taking back failed and is tried again at `wake_at_ms`.
    UndoBackingOff {
        at: Place,
        /// How far, and what then.
        course: Course,
        /// When it is tried again.
        wake_at_ms: u64,
        cause: Cause,
    },
    /// Taking back failed for good: a person repairs the host, and has it tried
    /// again, or gives the migration up.
    UndoStuck {
        at: Place,
        /// How far, and what then.
        course: Course,
        cause: Cause,
    },
    /// Stopped by an operator, to go on later as `resume`.
    Held {
        /// What it goes on as.
        resume: Box<State>,
    },
    /// At the target.
    Migrated {
        /// The last step's place: a later rollback goes back from here.
        at: Place,
    },
    /// Everything was taken back.
    RolledBack { cause: Cause },
    /// Given up by an operator: what is left is left.
    Abandoned {
        /// Why it had stood still.
        cause: Cause,
    },
    /// Refused by its gate, with nothing touched.
    Refused { cause: Cause },
    /// Nothing was to be done.
    Skipped { cause: Cause },
}

impl State {
    /// The name of the state, as status, journal and documentation have it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Executing { .. } => "executing",
            State::WaitingForPlace { .. } => "waiting_for_place",
            State::BackingOff { .. } => "backing_off",
            State::AwaitingOperator { .. } => "awaiting_operator",
            State::Undoing { .. } => "undoing",
            State::UndoBackingOff { .. } => "undo_backing_off",
            State::UndoStuck { .. } => "undo_stuck",
            State::Held { .. } => "held",
            State::Migrated { .. } => "migrated",
            State::RolledBack { .. } => "rolled_back",
            State::Abandoned { .. } => "abandoned",
            State::Refused { .. } => "refused",
            State::Skipped { .. } => "skipped",
        }
    }

    /// Whether the migration has ended.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            State::Migrated { .. }
                | State::RolledBack { .. }
                | State::Abandoned { .. }
                | State::Refused { .. }
                | State::Skipped { .. }
        )
    }

    /// Whether only a person can make it go on.
    pub fn waits_for_operator(&self) -> bool {
        matches!(
            self,
            State::AwaitingOperator { .. } | State::UndoStuck { .. } | State::Held { .. }
        )
    }

    /// Whether it goes on by itself no more: it has ended, or waits for a person.
    pub fn is_at_rest(&self) -> bool {
        self.is_terminal() || self.waits_for_operator()
    }

    /// Where the migration is, if it has begun and not ended.
    pub fn place(&self) -> Option<Place> {
        match self {
            State::Executing { at, .. }
            | State::WaitingForPlace { at, .. }
            | State::BackingOff { at, .. }
            | State::AwaitingOperator { at, .. }
            | State::Undoing { at, .. }
            | State::UndoBackingOff { at, .. }
            | State::UndoStuck { at, .. } => Some(*at),
            State::Held { resume } => resume.place(),
            _ => None,
        }
    }

    /// Why the migration is where it is, where there is a reason to give: the
    /// latest one.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            State::Pending | State::WaitingForPlace { .. } | State::Migrated { .. } => None,
            State::Executing { stopping, .. } => stopping.as_ref(),
            State::BackingOff { cause, .. }
            | State::AwaitingOperator { cause, .. }
            | State::UndoBackingOff { cause, .. }
            | State::UndoStuck { cause, .. }
            | State::RolledBack { cause }
            | State::Abandoned { cause }
            | State::Refused { cause }
            | State::Skipped { cause } => Some(cause),
            State::Undoing { course, .. } => Some(&course.cause),
            State::Held { resume } => resume.cause(),
        }
    }

    /// What an order has come to that led here. Who gives a migration up is told
    /// what it had stood still for: a job that still runs is named there.
    pub fn told(&self) -> String {
        match self {
            State::Abandoned { cause } => format!("{self}, as things are: {}", cause.text),
            state => state.to_string(),
        }
    }

    /// Whether it is being taken back.
    pub fn is_compensating(&self) -> bool {
        match self {
            State::Undoing { .. } | State::UndoBackingOff { .. } | State::UndoStuck { .. } => true,
            State::Held { resume } => resume.is_compensating(),
            _ => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let State::Held { resume } = self {
            return write!(f, "({resume})");
        }
        if let Some(Place { step, round, attempt, .. }) = self.place() {
            write!(f, "(step {step} #{attempt}")?;
            if round > 0 {
                write!(f, " round {round}")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}
