//! One migration as the engine holds it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::base::Millis;
use crate::domain::{
    AttemptRecord, Direction, Facts, MigrationId, MigrationSpec, Phase, StepSpec, Ticket,
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
    pub(super) facts: Option<Facts>,
    pub(super) at_ms: Millis,
}

/// The life of the attempt that a migration is at.
pub(super) enum Attempt {
    /// None was taken up, or the last one has answered.
    None,
    /// It was taken up by an earlier engine, and is not in flight in this one: its
    /// job may have been begun. A hold, or a wait for a place, does not change that.
    Issued(Ticket),
    /// It is wanted, and starts with the next that do.
    Queued {
        ticket: Ticket,
        undo_of: Option<Ticket>,
        /// Whether it was taken up before.
        issued: bool,
        /// Whether it is to be interrupted as soon as it starts.
        interrupted: bool,
    },
    /// It was started.
    InFlight { ticket: Ticket, interrupt: watch::Sender<bool> },
}

impl Attempt {
    /// Whether `ticket` is on its way already.
    pub(super) fn is_at(&self, ticket: &Ticket) -> bool {
        match self {
            Attempt::Queued { ticket: own, .. } | Attempt::InFlight { ticket: own, .. } => {
                own == ticket
            }
            Attempt::None | Attempt::Issued(_) => false,
        }
    }

    /// Whether `ticket` was taken up before.
    pub(super) fn was_issued(&self, ticket: &Ticket) -> bool {
        match self {
            Attempt::Issued(own) | Attempt::InFlight { ticket: own, .. } => own == ticket,
            Attempt::Queued { ticket: own, issued, .. } => *issued && own == ticket,
            Attempt::None => false,
        }
    }

    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self, Attempt::InFlight { .. })
    }
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
    /// When the state was stored that it is in.
    pub(super) since_ms: Millis,
    pub(super) spec: Arc<MigrationSpec>,
    pub(super) facts: Arc<Facts>,
    pub(super) committing: Option<Box<Committing>>,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) attempt: Attempt,
    /// The phase that it has a place in.
    pub(super) place: Option<Phase>,
    /// Whether it has a seat: it counts among the migrations at once.
    pub(super) is_seated: bool,
    /// An order has let it go on before this run: it has neither place nor seat yet.
    pub(super) is_ordered: bool,
    /// The journal refused an entry of it: it stands still until a restart.
    pub(super) broken: bool,
}

impl Slot {
    pub(super) fn new(loaded: Loaded) -> Slot {
        let Loaded {
            id, client, seq, decisions, machine, spec, facts, updated_ms, is_ordered, ..
        } = loaded;
        // The engine that stored its state may have begun it.
        let attempt = machine.attempt().map_or(Attempt::None, Attempt::Issued);
        Slot {
            id,
            client,
            machine,
            seq,
            decisions,
            since_ms: updated_ms,
            spec,
            facts: Arc::new(facts),
            committing: None,
            waiting: VecDeque::new(),
            attempt,
            place: None,
            is_seated: false,
            is_ordered,
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

    /// Whether it can go on without a person.
    pub(super) fn goes(&self) -> bool {
        !self.broken && !self.machine.state().is_at_rest()
    }

    /// Whether it keeps the seat that it has: until a person is waited for, or it has
    /// ended.
    pub(super) fn keeps_seat(&self) -> bool {
        match self.machine.state() {
            _ if self.broken => false,
            // Its beginning waits for an entry before it.
            State::Pending => !self.waiting.is_empty(),
            // The step that was in flight when it was held.
            State::Held { .. } => self.attempt.is_in_flight(),
            state => !state.is_at_rest(),
        }
    }

    /// The phase of the step that it is at.
    pub(super) fn phase_of(&self, at: Place) -> Phase {
        self.machine.blueprint().step(at).phase
    }

    /// Whether it keeps the place that it has: as long as it goes forward, and its
    /// next step is up to nobody.
    pub(super) fn keeps_place(&self) -> bool {
        match self.machine.state() {
            _ if self.broken => false,
            State::Executing { .. } | State::BackingOff { .. } => true,
            // The step that was in flight when it was held.
            State::Held { .. } => self.attempt.is_in_flight(),
            _ => false,
        }
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
        self.attempt.is_in_flight() && matches!(self.machine.state(), State::Held { .. })
    }

    pub(super) fn view(&self) -> SlotView<'_> {
        let Slot { id, client, spec, since_ms, machine, .. } = self;
        SlotView { id: *id, client, spec, since_ms: *since_ms, machine }
    }
}

/// A migration as observers see it.
#[derive(Debug, Clone, Copy)]
pub struct SlotView<'a> {
    pub id: MigrationId,
    pub client: &'a str,
    /// What it is asked to do.
    pub spec: &'a Arc<MigrationSpec>,
    /// When the state was stored that it is in.
    pub since_ms: Millis,
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
