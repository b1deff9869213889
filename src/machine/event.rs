//! What happens to a migration, and what it wants done. Stored formats.

use serde::{Deserialize, Serialize};

use crate::base::Millis;
use crate::domain::{Cause, Facts, FailureClass, Residue, Ticket};

use super::state::State;

/// Something that happened, and when: the machine has no clock of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Milliseconds since the Unix epoch, on the estate's clock.
    pub at_ms: Millis,
    pub kind: EventKind,
}

/// Who gave an order: a user at a host, for the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Operator(pub String);

impl Operator {
    /// The cause that `what` was ordered.
    pub(super) fn orders(&self, what: &str) -> Cause {
        let text =
            if self.0.is_empty() { what.to_owned() } else { format!("{what} by {}", self.0) };
        Cause::new(FailureClass::NeedsOperator, text)
    }
}

/// What happened.
///
/// Introduced in record version 1 (0.1.0): all kinds but those that say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum EventKind {
    /// The migration begins.
    Begin,
    /// The phase of `ticket` has no place free: it is waited for. Introduced in
    /// record version 2.
    NoPlace { ticket: Ticket },
    /// There is a place in the phase that the migration waits for. Introduced in
    /// record version 2.
    Admitted,
    /// The work of `ticket` is done. A ticket that is not in flight is a late
    /// or repeated answer, and is rejected.
    Succeeded {
        ticket: Ticket,
        /// What it found out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts: Option<Box<Facts>>,
    },
    /// The work of `ticket` failed.
    Failed {
        ticket: Ticket,
        cause: Cause,
        /// What it left behind.
        trace: Residue,
        /// When to try again, if it is tried again: chance and delays are
        /// decided outside of the machine.
        retry_at_ms: Millis,
        /// What is known of what it left behind. Introduced in record version 2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts: Option<Box<Facts>>,
    },
    /// The time that a retry of `ticket` waited for has come.
    TimerFired {
        /// The attempt that had failed.
        ticket: Ticket,
    },
    /// Stop, and take back what was done, unless the client has booted the copy.
    Cancel { by: Operator },
    /// Take back what was done, whatever it was.
    Rollback { by: Operator },
    /// Stand still once the step in flight has ended.
    Hold { by: Operator },
    /// Go on after a hold.
    Release { by: Operator },
    /// Try again at once what failed.
    Retry { by: Operator },
    /// Give up, leaving things as they are.
    Abandon { by: Operator },
    /// From here on it is decided by the rules of `decisions`; those before led
    /// to `state`. Stands where a newer program goes on with what an older one
    /// began. Introduced in record version 2.
    Adopted {
        /// The rules' number: [`DECISIONS`](super::DECISIONS) of that program.
        decisions: u32,
        /// The state to go on from.
        state: Box<State>,
    },
}

impl EventKind {
    /// What a step has found out.
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            EventKind::Succeeded { facts, .. } | EventKind::Failed { facts, .. } => {
                facts.as_deref()
            }
            _ => None,
        }
    }

    /// The name of the event, as journal and documentation have it.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::Begin => "begin",
            EventKind::NoPlace { .. } => "no_place",
            EventKind::Admitted => "admitted",
            EventKind::Succeeded { .. } => "succeeded",
            EventKind::Failed { .. } => "failed",
            EventKind::TimerFired { .. } => "timer_fired",
            EventKind::Cancel { .. } => "cancel",
            EventKind::Rollback { .. } => "rollback",
            EventKind::Hold { .. } => "hold",
            EventKind::Release { .. } => "release",
            EventKind::Retry { .. } => "retry",
            EventKind::Abandon { .. } => "abandon",
            EventKind::Adopted { .. } => "adopted",
        }
    }
}

/// What a state wants in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// The attempt of `ticket`.
    Run {
        ticket: Ticket,
        /// The forward attempt that a compensation turned back from: with its first
        /// undo, which begins with an end of all that the migration has running.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo_of: Option<Ticket>,
    },
    /// An end of the attempt of `ticket`, soon.
    Interrupt { ticket: Ticket },
    /// A [`EventKind::TimerFired`] for `ticket` at `until_ms`.
    Sleep { ticket: Ticket, until_ms: Millis },
}
