//! Orders of operators: for whom they mean something, what they would do, and what they
//! come to where no engine runs.

use std::collections::BTreeSet;

use crate::domain::{FailureClass, MigrationId, MigrationSpec, StepSpec, UndoKind};
use crate::engine::order;
use crate::journal::{Append, Loaded, OrderAnswer, RequestId, RequestKind, WhyRefused};
use crate::machine::{Event, Operator, Place, State};
use crate::report::{MigrationView, writes_file};

use super::current::{Row, unhidden};

/// An order, as an operator gives it.
#[derive(Debug, Clone, Copy)]
pub struct OperatorOrder {
    pub kind: RequestKind,
    /// For a retry that starts again: another's lease is taken over.
    pub take_lease: bool,
}

/// Why an order cannot be given, and to which migration.
#[derive(Debug)]
pub enum CannotOrder<'a> {
    /// It is in the archive.
    Archived(&'a MigrationView),
    /// A lease is taken over by what starts again, and it does not.
    GoesOnUnderItsLease(&'a MigrationView),
    /// The client runs from its copy, and its old system is gone.
    NoWayBack(&'a MigrationView),
}

/// What an order does that is asked about first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Costs {
    pub reboots: Vec<String>,
    /// Finished mksysbs that it removes, each with its client.
    pub removes: Vec<String>,
}

/// What an order that was taken leads to, as far as its state does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeadsTo {
    /// Its state says all.
    State,
    /// The migration is given up, in the state that it had.
    GivenUp,
    /// It is taken back when the step in flight has ended.
    TakenBackLater,
    /// It is being taken back.
    TakenBackNow,
    /// It begins again from a fresh clone: the step cannot be repeated in this one.
    FreshClone,
}

impl OperatorOrder {
    /// What of `rows` the order may be about: a rollback takes back what stands, though
    /// another was refused after it.
    pub fn reached<T: Row>(self, rows: Vec<T>) -> Vec<T> {
        if self.kind == RequestKind::Rollback { unhidden(rows) } else { rows }
    }

    /// Whether all of `chosen` can be given the order; `archived` are out of its reach.
    pub fn check<'a>(
        self,
        chosen: &'a [MigrationView],
        archived: &BTreeSet<MigrationId>,
    ) -> Result<(), CannotOrder<'a>> {
        if let Some(view) = chosen.iter().find(|view| archived.contains(&view.id)) {
            return Err(CannotOrder::Archived(view));
        }
        let goes_on = |view: &&MigrationView| self.take_lease && !begins_anew(&view.state);
        if let Some(view) = chosen.iter().find(goes_on) {
            return Err(CannotOrder::GoesOnUnderItsLease(view));
        }
        let is_back = self.kind == RequestKind::Rollback;
        match chosen.iter().find(|view| is_back && view.has_no_way_back()) {
            Some(view) => Err(CannotOrder::NoWayBack(view)),
            None => Ok(()),
        }
    }

    /// What it does to `chosen` that is asked about first: clients that are rebooted and,
    /// where it is for `all`, were not named for that; mksysbs that are finished.
    pub fn costs(self, all: bool, chosen: &[MigrationView]) -> Costs {
        let asks = match self.kind {
            RequestKind::Rollback => true,
            RequestKind::Retry => all,
            _ => false,
        };
        let reboots = chosen.iter().filter(|view| asks && self.reboots(view));
        Costs {
            reboots: reboots.map(|view| view.client.clone()).collect(),
            removes: chosen.iter().filter_map(|view| self.removes(view)).collect(),
        }
    }

    /// What is posted for a migration in `state`: a stuck undo is not rolled back but
    /// tried again.
    pub fn posted_as(self, state: &State) -> RequestKind {
        match (self.kind, state) {
            (RequestKind::Rollback, State::UndoStuck { .. }) => RequestKind::Retry,
            (kind, _) => kind,
        }
    }

    /// Whether it makes a new migration of one in `state`.
    pub fn begins_anew(self, state: &State) -> bool {
        self.kind == RequestKind::Retry && begins_anew(state)
    }

    /// What is asked for when a migration that has ended in `state` starts again.
    pub fn anew(self, spec: &MigrationSpec, state: &State) -> MigrationSpec {
        let mut spec = match state {
            // With the part went all parts before it.
            State::RolledBack { .. } => spec.from_the_start(),
            _ => spec.clone(),
        };
        if self.take_lease {
            spec.dead_lease_after_ms = Some(0);
        }
        spec
    }

    /// Whether there may be work after it that it is for.
    pub fn goes_on(self) -> bool {
        matches!(self.kind, RequestKind::Retry | RequestKind::Rollback | RequestKind::Cancel)
    }

    /// Whether it is for taking back.
    pub fn takes_back(self) -> bool {
        matches!(self.kind, RequestKind::Cancel | RequestKind::Rollback)
    }

    /// What the order has led to that brought `view` into `state`.
    pub fn leads_to(self, state: &State, view: &MigrationView) -> LeadsTo {
        match state {
            State::Executing { .. } if self.takes_back() => LeadsTo::TakenBackLater,
            State::Undoing { .. } if self.takes_back() => LeadsTo::TakenBackNow,
            _ if self.kind == RequestKind::Retry && view.retry_clones_anew() => LeadsTo::FreshClone,
            State::Abandoned { .. } => LeadsTo::GivenUp,
            _ => LeadsTo::State,
        }
    }

    /// Whether a migration in this state waits for an order after a failure.
    pub fn has_failed(state: &State) -> bool {
        matches!(state, State::AwaitingOperator { .. } | State::UndoStuck { .. })
    }

    /// Applies the order, posted as `request`, to a migration that no engine works on.
    /// Gives the entry to be stored, or why it does not apply there.
    pub fn apply(
        self,
        one: &mut Loaded,
        (request, by): (RequestId, Operator),
        now_ms: u64,
    ) -> Result<Append, WhyRefused> {
        let kind = self.posted_as(one.machine.state());
        let event = Event { at_ms: now_ms, kind: order(kind, by).ok_or(WhyRefused::NoWork)? };
        let rejected = |why: crate::machine::Rejected| WhyRefused::Rejected(why.to_string());
        let transition = one.machine.apply(&event).map_err(rejected)?;
        let answer = OrderAnswer::Done(Box::new(transition.to.clone()));
        Ok(Append {
            migration: one.id,
            expected_seq: one.seq,
            event,
            to: transition.to,
            effects: transition.effects,
            record: None,
            request: Some((request, answer)),
        })
    }

    /// Whether an order for all clients is given to one in this state. Rollback is
    /// not given to what has ended well, nor retry to what an order has ended: that is
    /// asked for by name.
    pub fn applies_to(self, state: &State) -> bool {
        let live = !state.is_terminal() && !matches!(state, State::Pending);
        match self.kind {
            RequestKind::Hold => live && !matches!(state, State::Held { .. }),
            RequestKind::Release => matches!(state, State::Held { .. }),
            RequestKind::Retry => {
                let is_given_up = match state {
                    // Only an order has this class here.
                    State::RolledBack { cause } => cause.class == FailureClass::NeedsOperator,
                    state => matches!(state, State::Abandoned { .. }),
                };
                (begins_anew(state) && !is_given_up)
                    || matches!(
                        state,
                        State::AwaitingOperator { .. }
                            | State::UndoStuck { .. }
                            | State::BackingOff { .. }
                            | State::UndoBackingOff { .. }
                    )
            }
            RequestKind::Cancel | RequestKind::Rollback => {
                !state.is_terminal() && !state.is_compensating()
            }
            RequestKind::Abandon => {
                matches!(
                    state,
                    State::AwaitingOperator { .. } | State::UndoStuck { .. } | State::Held { .. }
                )
            }
            // It is for an engine.
            RequestKind::Run => false,
        }
    }

    /// The mksysb that the order removes, where it is finished: steps after the one that
    /// writes it have begun.
    fn removes(self, view: &MigrationView) -> Option<String> {
        let is_written = |step: &StepSpec| writes_file(&step.step);
        let output = view.spec.options.output.as_ref();
        let output = output.filter(|_| view.spec.task.writes_mksysb())?;
        let written = view.blueprint.steps.iter().position(is_written)?;
        let is_behind = match resumed(&view.state) {
            _ if self.kind != RequestKind::Rollback => false,
            State::Migrated { at } => usize::from(at.step) >= written,
            state if state.is_compensating() => self.comes_past(state, written),
            state => state.place().is_some_and(|at| usize::from(at.step) > written),
        };
        is_behind.then(|| format!("{output} ({})", view.client))
    }

    /// Whether the order reboots the client, at once or in its course.
    fn reboots(self, view: &MigrationView) -> bool {
        let is_reboot = |step: &StepSpec| step.undo == UndoKind::Backout;
        let reboot = view.blueprint.steps.iter().position(is_reboot);
        reboot.is_some_and(|reboot| self.comes_past(resumed(&view.state), reboot))
    }

    /// Whether what the order begins comes past the step at `index`.
    fn comes_past(self, state: &State, index: usize) -> bool {
        let is_behind =
            |at: &Place, until: u16| usize::from(until) <= index && index <= usize::from(at.step);
        match (self.kind, state) {
            (
                _,
                State::UndoStuck { at, course, .. }
                | State::UndoBackingOff { at, course, .. }
                | State::Undoing { at, course },
            ) => is_behind(at, course.until),
            (RequestKind::Rollback, State::Migrated { at }) => is_behind(at, 0),
            (RequestKind::Rollback, state) => state.place().is_some_and(|at| is_behind(&at, 0)),
            (RequestKind::Retry, state) => {
                state.place().is_none_or(|at| usize::from(at.step) <= index)
            }
            _ => false,
        }
    }
}

/// Whether a retry of a migration in this state is a new migration.
fn begins_anew(state: &State) -> bool {
    matches!(state, State::RolledBack { .. } | State::Refused { .. } | State::Abandoned { .. })
}

/// The state, or the one that what is held goes on from.
fn resumed(state: &State) -> &State {
    match state {
        State::Held { resume } => resume,
        state => state,
    }
}

/// The orders that mean something in a state.
pub fn possible(state: &State) -> &'static str {
    match state {
        State::Pending => "possible: cancel, rollback",
        State::Executing { .. } => {
            "possible: hold, rollback, and cancel before the client's reboot"
        }
        State::WaitingForPlace { .. } => "possible: hold, cancel, rollback",
        State::BackingOff { .. } => "possible: retry, hold, cancel, rollback",
        State::AwaitingOperator { .. } => "possible: retry, rollback, cancel, hold, abandon",
        State::Undoing { .. } => "possible: hold",
        State::UndoBackingOff { .. } => "possible: retry, hold",
        State::UndoStuck { .. } => "possible: retry, hold, abandon",
        State::Held { .. } => "possible: release, cancel, rollback, abandon",
        State::Migrated { .. } => "possible: rollback",
        State::RolledBack { .. } | State::Abandoned { .. } | State::Refused { .. } => {
            "possible: retry, which begins a new migration"
        }
        State::Skipped { .. } => "no order applies",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Cause;

    #[test]
    fn an_order_for_all_spares_what_has_ended_well() {
        let applies_to =
            |kind, state: &State| OperatorOrder { kind, take_lease: false }.applies_to(state);
        let migrated = State::Migrated { at: Place::start() };
        let cause = Cause::new(FailureClass::Permanent, "x");
        for kind in RequestKind::ALL {
            assert!(!applies_to(kind, &migrated), "{kind:?}");
        }
        assert!(applies_to(RequestKind::Retry, &State::RolledBack { cause: cause.clone() }));
        let cancelled = Cause::new(FailureClass::NeedsOperator, "cancelled by op");
        assert!(!applies_to(RequestKind::Retry, &State::RolledBack { cause: cancelled }));
        assert!(!applies_to(RequestKind::Retry, &State::Abandoned { cause }));
        let held = State::Held { resume: Box::new(State::Pending) };
        assert!(applies_to(RequestKind::Release, &held));
        assert!(!applies_to(RequestKind::Hold, &held));
    }
}
