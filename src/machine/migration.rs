//! The machine of one migration.
//!
//! Entry actions say what a state wants done and do nothing themselves: they
//! are one function of the state, [`Machine::wanted`], which is also what a
//! restart asks for.

use std::sync::Arc;

use statig::blocking::{IntoStateMachineExt as _, StateMachine};
use statig::prelude::{Handled, Outcome, Super, state_machine};

use crate::base::limits;
use crate::domain::{
    BootFailure, Cause, Direction, FailureClass, FailurePolicy, Repeat, Residue, Ticket,
};

use super::DECISIONS;
use super::blueprint::Blueprint;
use super::event::{Effect, Event, EventKind, Operator};
use super::state::{Course, Place, State, Then};

/// What one event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    pub from: State,
    pub to: State,
    /// What the state after wants in flight.
    pub effects: Vec<Effect>,
}

/// The event means nothing in this state: a late answer, or an order that came
/// too early or too late. The state is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` does not apply to a migration that is {state}")]
pub struct Rejected {
    pub event: &'static str,
    /// The state, for people.
    pub state: String,
}

/// One migration.
pub struct Machine(StateMachine<Migration>);

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Machine").field(self.state()).finish()
    }
}

impl Machine {
    /// A migration that has not begun.
    pub fn new(blueprint: Arc<Blueprint>) -> Machine {
        let mut machine = Machine(Migration { blueprint }.state_machine());
        machine.0.init_with_context(&mut Outbox::default());
        machine
    }

    /// A migration in `state`, whatever led to it. Refused where its steps have
    /// no such place.
    pub fn at(blueprint: Arc<Blueprint>, state: State) -> Result<Machine, Rejected> {
        let mut machine = Machine::new(blueprint);
        let kind = EventKind::Adopted { decisions: DECISIONS, state: Box::new(state) };
        machine.apply(&Event { at_ms: 0, kind })?;
        Ok(machine)
    }

    /// The state it is in.
    pub fn state(&self) -> &State {
        self.0.state()
    }

    /// What it was built from.
    pub fn blueprint(&self) -> &Arc<Blueprint> {
        &self.0.inner().blueprint
    }

    /// What must be in flight in the state it is in: what a restart begins or
    /// finds again.
    pub fn wanted(&self) -> Vec<Effect> {
        self.0.inner().wanted(self.state())
    }

    /// The attempt that was asked for in the state it is in, or in the one that a
    /// hold keeps: it may have been begun.
    pub fn attempt(&self) -> Option<Ticket> {
        let state = match self.state() {
            State::Held { resume } => resume,
            state => state,
        };
        self.0.inner().wanted(state).into_iter().find_map(|effect| match effect {
            Effect::Run { ticket, .. } => Some(ticket),
            Effect::Interrupt { .. } | Effect::Sleep { .. } => None,
        })
    }

    /// Applies `event`, or leaves the machine as it is.
    ///
    /// statig's own `handle` returns nothing and drops an event that no handler
    /// takes, so handlers say through the outbox that they took it.
    pub fn apply(&mut self, event: &Event) -> Result<Transition, Rejected> {
        let from = self.state().clone();
        let mut outbox = Outbox::default();
        if matches!(event.kind, EventKind::Hold { .. }) {
            // A superstate handler cannot tell which of its children it was
            // called for.
            outbox.source = Some(Box::new(from.clone()));
        }
        self.0.handle_with_context(event, &mut outbox);
        if outbox.taken {
            return Ok(Transition { from, to: self.state().clone(), effects: outbox.effects });
        }
        assert_eq!(from, *self.state(), "a rejected event must not change the state");
        assert!(outbox.effects.is_empty(), "a rejected event must have no effects");
        Err(Rejected { event: event.kind.name(), state: from.to_string() })
    }
}

/// What the handlers of one event are given, and what they leave behind.
#[derive(Debug, Default)]
pub struct Outbox {
    source: Option<Box<State>>,
    effects: Vec<Effect>,
    taken: bool,
}

/// Shared storage of the machine: what no event changes.
pub struct Migration {
    blueprint: Arc<Blueprint>,
}

/// statig's way to say that an event leads to `state`.
fn go(state: State) -> Outcome<State> {
    Outcome::Transition(state)
}

#[state_machine(
    initial = "State::Pending",
    state(custom, name = "State"),
    superstate(derive(Debug)),
    after_transition = "Self::after_transition"
)]
impl Migration {
    #[state]
    fn pending(&self, event: &Event) -> Outcome<State> {
        match &event.kind {
            EventKind::Adopted { state, .. } => self.adopted(state),
            EventKind::Begin => go(State::Executing { at: Place::start(), stopping: None }),
            EventKind::Cancel { by } | EventKind::Rollback { by } => {
                go(State::RolledBack { cause: by.orders("cancelled before it began") })
            }
            _ => Super,
        }
    }

    #[state(superstate = "forward")]
    fn executing(
        &self,
        context: &mut Outbox,
        event: &Event,
        at: &mut Place,
        stopping: &mut Option<Cause>,
    ) -> Outcome<State> {
        let waited_for = |ticket: &Ticket| self.is_ticket(ticket, *at, Direction::Forward);
        match &event.kind {
            EventKind::Succeeded { ticket, .. } if waited_for(ticket) => {
                go(self.after_success(*at, stopping.as_ref()))
            }
            EventKind::Failed { ticket, cause, trace, retry_at_ms, .. } if waited_for(ticket) => {
                go(self.after_failure(*at, stopping.as_ref(), cause, *trace, *retry_at_ms))
            }
            EventKind::NoPlace { ticket } if waited_for(ticket) && stopping.is_none() => {
                go(State::WaitingForPlace { at: *at, since_ms: event.at_ms })
            }
            EventKind::Cancel { .. } | EventKind::Rollback { .. } if stopping.is_some() => {
                context.taken = true;
                Handled
            }
            EventKind::Cancel { by } if !self.blueprint.past_no_return(at.step) => {
                go(State::Executing { at: *at, stopping: Some(by.orders("cancelled")) })
            }
            EventKind::Rollback { by } => {
                go(State::Executing { at: *at, stopping: Some(by.orders("rolled back")) })
            }
            _ => Super,
        }
    }

    #[state(superstate = "forward")]
    fn waiting_for_place(event: &Event, at: &mut Place, since_ms: &mut u64) -> Outcome<State> {
        // A handler must name every field of its variant, used or not.
        let _ = since_ms;
        match &event.kind {
            EventKind::Admitted => go(State::Executing { at: *at, stopping: None }),
            _ => Super,
        }
    }

    #[state(superstate = "forward")]
    fn backing_off(
        &self,
        event: &Event,
        at: &mut Place,
        wake_at_ms: &mut u64,
        dirty: &mut bool,
        cause: &mut Cause,
    ) -> Outcome<State> {
        // How long it waits is the engine's matter: a clock may be set meanwhile.
        let _ = wake_at_ms;
        match &event.kind {
            EventKind::TimerFired { ticket } if self.is_ticket(ticket, *at, Direction::Forward) => {
                go(self.again(*at, *dirty, cause))
            }
            EventKind::Retry { .. } => go(self.again_by_order(*at, *dirty, cause)),
            _ => Super,
        }
    }

    #[state(superstate = "forward")]
    fn awaiting_operator(
        &self,
        event: &Event,
        at: &mut Place,
        dirty: &mut bool,
        cause: &mut Cause,
    ) -> Outcome<State> {
        match &event.kind {
            EventKind::Retry { .. } => go(self.again_by_order(*at, *dirty, cause)),
            EventKind::Abandon { .. } => go(State::Abandoned { cause: cause.clone() }),
            _ => Super,
        }
    }

    /// Going ahead.
    #[superstate(superstate = "live")]
    fn forward(&self, event: &Event, at: &mut Place) -> Outcome<State> {
        match &event.kind {
            EventKind::Cancel { by } if !self.blueprint.past_no_return(at.step) => {
                go(self.turn_back(*at, by.orders("cancelled")))
            }
            EventKind::Rollback { by } => go(self.turn_back(*at, by.orders("rolled back"))),
            _ => Super,
        }
    }

    #[state(superstate = "compensating")]
    fn undoing(&self, event: &Event, at: &mut Place, course: &mut Course) -> Outcome<State> {
        let waited_for = |ticket: &Ticket| self.is_ticket(ticket, *at, Direction::Undo);
        match &event.kind {
            EventKind::Succeeded { ticket, .. } if waited_for(ticket) => {
                go(self.after_undo(*at, course))
            }
            EventKind::Failed { ticket, cause, retry_at_ms, .. } if waited_for(ticket) => {
                go(self.after_undo_failure(*at, course, cause, *retry_at_ms))
            }
            _ => Super,
        }
    }

    #[state(superstate = "compensating")]
    fn undo_backing_off(
        &self,
        event: &Event,
        at: &mut Place,
        course: &mut Course,
        wake_at_ms: &mut u64,
        cause: &mut Cause,
    ) -> Outcome<State> {
        // A handler must name every field of its variant, used or not.
        let _ = (wake_at_ms, cause);
        let next = || State::Undoing { at: at.next_attempt(), course: course.clone() };
        match &event.kind {
            EventKind::TimerFired { ticket } if self.is_ticket(ticket, *at, Direction::Undo) => {
                go(next())
            }
            EventKind::Retry { .. } => go(next()),
            _ => Super,
        }
    }

    #[state(superstate = "compensating")]
    fn undo_stuck(
        event: &Event,
        at: &mut Place,
        course: &mut Course,
        cause: &mut Cause,
    ) -> Outcome<State> {
        match &event.kind {
            EventKind::Retry { .. } => {
                go(State::Undoing { at: at.next_attempt(), course: course.clone() })
            }
            EventKind::Abandon { .. } => go(State::Abandoned { cause: cause.clone() }),
            _ => Super,
        }
    }

    /// Taking back. A rewind that is cancelled becomes a rollback; a second
    /// cancel changes nothing, and is no mistake.
    #[superstate(superstate = "live")]
    fn compensating(context: &mut Outbox, event: &Event, course: &mut Course) -> Outcome<State> {
        match &event.kind {
            EventKind::Cancel { by } | EventKind::Rollback { by } => {
                if course.then == Then::Forward {
                    course.then = Then::Stop;
                    course.until = 0;
                    course.cause = by.orders("cancelled");
                }
                context.taken = true;
                Handled
            }
            _ => Super,
        }
    }

    /// Standing still. The step in flight is let to end, and its answer moves
    /// the state that is gone back to; nothing new begins.
    #[state(superstate = "live")]
    fn held(&self, context: &mut Outbox, event: &Event, resume: &mut Box<State>) -> Outcome<State> {
        match &event.kind {
            EventKind::Release { .. } => go(State::clone(resume)),
            EventKind::Hold { .. } => {
                context.taken = true;
                Handled
            }
            EventKind::Succeeded { .. } | EventKind::Failed { .. } => {
                match self.answered_while_held(resume, &event.kind) {
                    // The end of the last step ends the migration, held or not.
                    Some(next) if next.is_terminal() => go(next),
                    Some(next) => go(State::Held { resume: Box::new(next) }),
                    None => Super,
                }
            }
            EventKind::Cancel { by } => match self.stopped_while_held(resume, by, false) {
                Some(next) => go(next),
                None => Super,
            },
            EventKind::Rollback { by } => match self.stopped_while_held(resume, by, true) {
                Some(next) => go(next),
                None => Super,
            },
            // Whoever hands the order on has seen that no step is in flight.
            EventKind::Abandon { by } => go(State::Abandoned { cause: self.given_up(resume, by) }),
            _ => Super,
        }
    }

    /// Anything that is neither waiting to begin nor at its end.
    #[superstate]
    fn live(&self, context: &mut Outbox, event: &Event) -> Outcome<State> {
        match (&event.kind, context.source.take()) {
            (EventKind::Adopted { state, .. }, _) => self.adopted(state),
            (EventKind::Hold { .. }, Some(resume)) => go(State::Held { resume }),
            _ => Super,
        }
    }

    /// At the target. What was done can still be taken back, by order.
    #[state(superstate = "terminal")]
    fn migrated(&self, event: &Event, at: &mut Place) -> Outcome<State> {
        match &event.kind {
            EventKind::Rollback { by } => go(self.turn_back(*at, by.orders("rolled back"))),
            _ => Super,
        }
    }

    #[state(superstate = "terminal")]
    fn rolled_back(cause: &mut Cause) -> Outcome<State> {
        let _ = cause;
        Super
    }

    #[state(superstate = "terminal")]
    fn abandoned(cause: &mut Cause) -> Outcome<State> {
        let _ = cause;
        Super
    }

    #[state(superstate = "terminal")]
    fn refused(cause: &mut Cause) -> Outcome<State> {
        let _ = cause;
        Super
    }

    #[state(superstate = "terminal")]
    fn skipped(cause: &mut Cause) -> Outcome<State> {
        let _ = cause;
        Super
    }

    /// At the end.
    #[superstate]
    fn terminal(&self, event: &Event) -> Outcome<State> {
        match &event.kind {
            EventKind::Adopted { state, .. } => self.adopted(state),
            _ => Super,
        }
    }

    fn after_transition(&mut self, _source: &State, target: &State, context: &mut Outbox) {
        context.taken = true;
        context.effects = self.wanted(target);
    }
}

impl Migration {
    fn is_ticket(&self, ticket: &Ticket, at: Place, direction: Direction) -> bool {
        let step = self.blueprint.step(at);
        ticket.attempt == at.attempt
            && ticket.round == at.round
            && ticket.direction == direction
            && ticket.step == step.step
            && ticket.phase == step.phase
    }

    fn adopted(&self, state: &State) -> Outcome<State> {
        if self.has_places_of(state) { go(state.clone()) } else { Super }
    }

    /// Whether the steps of the blueprint are enough for `state`.
    fn has_places_of(&self, state: &State) -> bool {
        let known = |step: u16| usize::from(step) < self.blueprint.steps.len();
        match state {
            State::Held { resume } => self.has_places_of(resume),
            State::Migrated { at } => known(at.step),
            State::Undoing { at, course }
            | State::UndoBackingOff { at, course, .. }
            | State::UndoStuck { at, course, .. } => known(at.step) && known(course.from.step),
            state => state.place().is_none_or(|at| known(at.step)),
        }
    }

    /// What must be in flight in `state`.
    fn wanted(&self, state: &State) -> Vec<Effect> {
        let blueprint = &self.blueprint;
        match state {
            State::Executing { at, stopping } => {
                let ticket = blueprint.ticket(*at, Direction::Forward);
                let mut effects = vec![Effect::Run { ticket: ticket.clone(), undo_of: None }];
                if stopping.is_some() {
                    effects.push(Effect::Interrupt { ticket });
                }
                effects
            }
            State::BackingOff { at, wake_at_ms, .. } => {
                let ticket = blueprint.ticket(*at, Direction::Forward);
                vec![Effect::Sleep { ticket, until_ms: *wake_at_ms }]
            }
            State::Undoing { at, course } => {
                let ticket = blueprint.ticket(*at, Direction::Undo);
                // What still runs may be of the step that the migration turned
                // back from: all before it had answered.
                let undo_of = (at.step == course.from.step)
                    .then(|| blueprint.ticket(course.from, Direction::Forward));
                vec![Effect::Run { ticket, undo_of }]
            }
            State::UndoBackingOff { at, wake_at_ms, .. } => {
                let ticket = blueprint.ticket(*at, Direction::Undo);
                vec![Effect::Sleep { ticket, until_ms: *wake_at_ms }]
            }
            _ => Vec::new(),
        }
    }

    fn after_success(&self, at: Place, stopping: Option<&Cause>) -> State {
        if let Some(cause) = stopping {
            return self.turn_back(at, cause.clone());
        }
        match self.blueprint.next(at.step) {
            Some(step) => State::Executing { at: Place { step, attempt: 1, ..at }, stopping: None },
            None => State::Migrated { at },
        }
    }

    fn after_failure(
        &self,
        at: Place,
        stopping: Option<&Cause>,
        cause: &Cause,
        trace: Residue,
        retry_at_ms: u64,
    ) -> State {
        let dirty = trace == Residue::Left;
        let cause = cause.clone();
        if let Some(stop) = stopping {
            // What could not be ended may still run: nothing may be undone
            // beside it without a person's word.
            if dirty && cause.class == FailureClass::NeedsOperator {
                return State::AwaitingOperator { at, dirty, cause };
            }
            return self.turn_back(at, stop.clone());
        }
        if cause.class == FailureClass::Transient
            && at.attempt < self.blueprint.attempts_max
            && self.can_repeat(at, dirty)
        {
            return State::BackingOff { at, wake_at_ms: retry_at_ms, dirty, cause };
        }
        if self.blueprint.step(at).gate {
            return match cause.class {
                FailureClass::AlreadyDone => State::Skipped { cause },
                _ => State::Refused { cause },
            };
        }
        if let Some(state) = self.made_again(at, trace, &cause) {
            return state;
        }
        if cause.class == FailureClass::NeedsOperator {
            return State::AwaitingOperator { at, dirty, cause };
        }
        let hold = if self.blueprint.past_no_return(at.step) {
            self.blueprint.on_boot_failure == BootFailure::Hold
        } else {
            self.blueprint.on_failure == FailurePolicy::Hold
        };
        if hold {
            return State::AwaitingOperator { at, dirty, cause };
        }
        self.turn_back(at, cause)
    }

    /// Goes back to the step that makes what is gone: forward again from there, for
    /// what was done in the copy is found done, or to a fresh copy.
    fn made_again(&self, at: Place, trace: Residue, cause: &Cause) -> Option<State> {
        if at.rewinds >= limits::ROUNDS_MAX || self.blueprint.past_no_return(at.step) {
            return None;
        }
        match trace {
            Residue::Clean | Residue::Left => None,
            Residue::Unmounted => {
                let (round, rewinds) = (at.round + 1, at.rewinds + 1);
                let step = self.blueprint.ground_of(at.step)?;
                let at = Place { step, round, attempt: 1, rewinds };
                Some(State::Executing { at, stopping: None })
            }
            Residue::CopyLost => {
                let until = self.blueprint.rewind_to(at.step)?;
                Some(self.compensate(at, until, Then::Forward, cause.clone()))
            }
        }
    }

    /// As [`Migration::again`], by an order: a person has seen to what kept it from
    /// going on, and going back is not counted against what was before.
    fn again_by_order(&self, at: Place, dirty: bool, cause: &Cause) -> State {
        self.again(Place { rewinds: 0, ..at }, dirty, cause)
    }

    /// Whether the step at `at` can be tried again at all.
    fn can_repeat(&self, at: Place, dirty: bool) -> bool {
        if !dirty || self.blueprint.step(at).repeat != Repeat::Never {
            return true;
        }
        // A copy that a client may run from is never thrown away for a retry.
        !self.blueprint.past_no_return(at.step)
            && at.rewinds < limits::ROUNDS_MAX
            && self.blueprint.rewind_to(at.step).is_some()
    }

    /// The next attempt at the step of `at`, after going back as far as its
    /// repeatability asks.
    fn again(&self, at: Place, dirty: bool, cause: &Cause) -> State {
        let until = match (dirty, self.blueprint.step(at).repeat) {
            (false, _) | (true, Repeat::Safe) => None,
            (true, Repeat::AfterUndo) => Some(at.step),
            (true, Repeat::Never) => self.blueprint.rewind_to(at.step),
        };
        match until {
            Some(until) => self.compensate(at, until, Then::Forward, cause.clone()),
            None => State::Executing { at: at.next_attempt(), stopping: None },
        }
    }

    /// Takes everything back, from the step of `at` on: a failed step is undone
    /// as well, for it may have been done in part.
    fn turn_back(&self, at: Place, cause: Cause) -> State {
        self.compensate(at, 0, Then::Stop, cause)
    }

    /// Begins at the step of `from`, whatever its undo is: what the migration has
    /// running is ended there, before anything is taken back.
    fn compensate(&self, from: Place, until: u16, then: Then, cause: Cause) -> State {
        let course = Course { from, until, then, cause };
        if self.blueprint.step(from).gate {
            // A gate looks, and nothing begins before it has answered.
            return Migration::compensated(from, &course);
        }
        State::Undoing { at: Place { attempt: 1, ..from }, course }
    }

    fn after_undo(&self, at: Place, course: &Course) -> State {
        let before = at.step.checked_sub(1).filter(|step| *step >= course.until);
        match before.and_then(|step| self.blueprint.undo_from(step, course.until)) {
            Some(step) => {
                State::Undoing { at: Place { step, attempt: 1, ..at }, course: course.clone() }
            }
            None => Migration::compensated(at, course),
        }
    }

    fn compensated(at: Place, course: &Course) -> State {
        let rewound = course.from.step != course.until;
        match course.then {
            Then::Stop => State::RolledBack { cause: course.cause.clone() },
            Then::Forward => State::Executing {
                at: Place {
                    step: course.until,
                    round: at.round + 1,
                    attempt: if rewound { 1 } else { course.from.attempt + 1 },
                    rewinds: at.rewinds + u32::from(rewound),
                },
                stopping: None,
            },
        }
    }

    fn after_undo_failure(
        &self,
        at: Place,
        course: &Course,
        cause: &Cause,
        retry_at_ms: u64,
    ) -> State {
        let (course, cause) = (course.clone(), cause.clone());
        if cause.class == FailureClass::Transient && at.attempt < self.blueprint.attempts_max {
            return State::UndoBackingOff { at, course, wake_at_ms: retry_at_ms, cause };
        }
        State::UndoStuck { at, course, cause }
    }

    fn answered_while_held(&self, resume: &State, kind: &EventKind) -> Option<State> {
        match (resume, kind) {
            (State::Executing { at, stopping }, EventKind::Succeeded { ticket, .. })
                if self.is_ticket(ticket, *at, Direction::Forward) =>
            {
                Some(self.after_success(*at, stopping.as_ref()))
            }
            (
                State::Executing { at, stopping },
                EventKind::Failed { ticket, cause, trace, retry_at_ms, .. },
            ) if self.is_ticket(ticket, *at, Direction::Forward) => {
                Some(self.after_failure(*at, stopping.as_ref(), cause, *trace, *retry_at_ms))
            }
            (State::Undoing { at, course }, EventKind::Succeeded { ticket, .. })
                if self.is_ticket(ticket, *at, Direction::Undo) =>
            {
                Some(self.after_undo(*at, course))
            }
            (
                State::Undoing { at, course },
                EventKind::Failed { ticket, cause, retry_at_ms, .. },
            ) if self.is_ticket(ticket, *at, Direction::Undo) => {
                Some(self.after_undo_failure(*at, course, cause, *retry_at_ms))
            }
            _ => None,
        }
    }

    /// Why a held migration was given up, with what may still run.
    fn given_up(&self, resume: &State, by: &Operator) -> Cause {
        let cause = by.orders("abandoned");
        let left = self.wanted(resume).into_iter().find_map(|effect| match effect {
            Effect::Run { ticket, .. } => Some(format!("the job of {ticket} may still run")),
            Effect::Interrupt { .. } | Effect::Sleep { .. } => None,
        });
        // Its cause may name a job.
        match left.or_else(|| resume.cause().map(|before| before.text.clone())) {
            Some(left) => Cause::new(cause.class, format!("{}; {left}", cause.text)),
            None => cause,
        }
    }

    /// What a held migration becomes when it is to be taken back: the hold is
    /// over. `None` where it cannot be.
    fn stopped_while_held(&self, resume: &State, by: &Operator, forced: bool) -> Option<State> {
        let text = if forced { "rolled back" } else { "cancelled" };
        let cause = by.orders(text);
        match resume {
            State::Executing { at, .. }
            | State::WaitingForPlace { at, .. }
            | State::BackingOff { at, .. }
            | State::AwaitingOperator { at, .. }
                if !forced && self.blueprint.past_no_return(at.step) =>
            {
                None
            }
            State::Executing { at, .. } => {
                Some(State::Executing { at: *at, stopping: Some(cause) })
            }
            State::WaitingForPlace { at, .. }
            | State::BackingOff { at, .. }
            | State::AwaitingOperator { at, .. } => Some(self.turn_back(*at, cause)),
            _ => None,
        }
    }
}
