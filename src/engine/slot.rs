//! One migration as the engine holds it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::base::Millis;
use crate::domain::{
    AttemptRecord, Direction, Facts, MigrationId, MigrationSpec, StepSpec, Ticket,
};
use crate::journal::{Loaded, RequestId};
use crate::machine::{DECISIONS, Effect, EventKind, Machine, Place, State};

/// Something that has happened to a migration and is not yet applied.
pub(super) struct Waiting {
    pub(super) at_ms: Millis,
    pub(super) kind: EventKind,
    pub(super) record: Option<(Ticket, AttemptRecord)>,
    pub(super) request: Option<RequestId>,
}

/// A transition whose entry is on its way to the journal.
pub(super) struct Committing {
    pub(super) from: State,
    pub(super) effects: Vec<Effect>,
    pub(super) facts: Option<Box<Facts>>,
}

/// Work that was started.
pub(super) struct InFlight {
    pub(super) ticket: Ticket,
    pub(super) interrupt: watch::Sender<bool>,
}

/// One migration. At most one entry of it is on its way to the journal, and at
/// most one attempt is in flight.
pub(super) struct Slot {
    pub(super) id: MigrationId,
    pub(super) client: String,
    pub(super) machine: Machine,
    pub(super) seq: u64,
    /// Which decisions its last entry was made by.
    pub(super) decisions: u32,
    pub(super) spec: Arc<MigrationSpec>,
    pub(super) facts: Arc<Facts>,
    pub(super) committing: Option<Box<Committing>>,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) in_flight: Option<InFlight>,
    /// The attempt that was taken up last, by an earlier engine or by this one.
    pub(super) issued: Option<Ticket>,
    /// The ticket that stands in the ready queue.
    pub(super) queued: Option<Ticket>,
    /// Whether the queued attempt is to be interrupted as soon as it starts.
    pub(super) interrupted: bool,
    /// Whether it has been counted as begun.
    pub(super) admitted: bool,
    /// The journal refused an entry of it: it stands still until a restart.
    pub(super) broken: bool,
}

impl Slot {
    pub(super) fn new(loaded: Loaded) -> Slot {
        let Loaded { id, client, seq, decisions, machine, spec, facts, .. } = loaded;
        Slot {
            id,
            client,
            machine,
            seq,
            decisions,
            spec,
            facts: Arc::new(facts),
            committing: None,
            waiting: VecDeque::new(),
            in_flight: None,
            issued: None,
            queued: None,
            interrupted: false,
            admitted: false,
            broken: false,
        }
    }

    /// Puts before `next` that it goes on by today's decisions: it had ended under
    /// older ones.
    pub(super) fn adopt(&mut self, next: Waiting) -> Waiting {
        self.decisions = DECISIONS;
        let state = Box::new(self.machine.state().clone());
        let kind = EventKind::Adopted { decisions: DECISIONS, state };
        let adopted = Waiting { at_ms: next.at_ms, kind, record: None, request: None };
        self.waiting.push_front(next);
        adopted
    }

    /// Whether the state, as it is, can be left without a person.
    pub(super) fn can_go_on(&self) -> bool {
        let state = self.machine.state();
        !self.broken && !state.is_terminal() && !state.waits_for_operator()
    }

    /// Whether `ticket` is the work that the state wants in flight.
    pub(super) fn wants(&self, ticket: &Ticket) -> bool {
        self.machine
            .wanted()
            .iter()
            .any(|effect| matches!(effect, Effect::Run { ticket: wanted, .. } if wanted == ticket))
    }

    /// Whether it is held, and its step in flight has not ended.
    pub(super) fn is_held_in_flight(&self) -> bool {
        self.in_flight.is_some() && matches!(self.machine.state(), State::Held { .. })
    }

    pub(super) fn view(&self) -> SlotView<'_> {
        SlotView { id: self.id, client: &self.client, spec: &self.spec, machine: &self.machine }
    }
}

/// A migration as observers see it.
#[derive(Debug, Clone, Copy)]
pub struct SlotView<'a> {
    /// The migration.
    pub id: MigrationId,
    /// Its client.
    pub client: &'a str,
    /// What it is asked to do.
    pub spec: &'a Arc<MigrationSpec>,
    machine: &'a Machine,
}

impl<'a> SlotView<'a> {
    /// The state it is in.
    pub fn state(&self) -> &'a State {
        self.machine.state()
    }

    /// The step it is at, if it has begun and not ended.
    pub fn step(&self) -> Option<&'a StepSpec> {
        self.state().place().map(|place| self.machine.blueprint().step(place))
    }

    /// The step at `place`, if there is one.
    pub fn step_at(&self, place: Place) -> Option<&'a StepSpec> {
        self.machine.blueprint().steps.get(usize::from(place.step))
    }

    /// Steps done and steps in all, going forward.
    pub fn progress(&self) -> (usize, usize) {
        let all = self.machine.blueprint().steps.len();
        let done = match self.state() {
            State::Migrated { .. } => all,
            state => state.place().map_or(0, |place| usize::from(place.step)),
        };
        (done, all)
    }

    /// The attempt that the state is about.
    pub fn ticket(&self) -> Option<Ticket> {
        let direction =
            if self.state().is_compensating() { Direction::Undo } else { Direction::Forward };
        self.state().place().map(|place| self.machine.blueprint().ticket(place, direction))
    }
}
