//! What the engine decides. No I/O: inputs in, commands out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::base::{Millis, Moment};
use crate::domain::{Answer, AttemptRecord, Direction, Facts, MigrationId, Outcome, Phase, Ticket};
use crate::journal::{
    Ack, Append, JournalError, Loaded, OrderAnswer, RequestId, RequestKind, WhyRefused,
};
use crate::machine::{DECISIONS, Effect, Event, EventKind, Operator, State};
use crate::phases::Order;

use super::delay::{Delays, longest};
use super::limits::EngineLimits;
use super::places::Places;
use super::slot::{Attempt, Committing, Slot, SlotView, Waiting};

mod join;

/// What the machine is told of a request; `None` for one that is not about a
/// migration.
pub fn order(kind: RequestKind, by: Operator) -> Option<EventKind> {
    Some(match kind {
        RequestKind::Cancel => EventKind::Cancel { by },
        RequestKind::Rollback => EventKind::Rollback { by },
        RequestKind::Hold => EventKind::Hold { by },
        RequestKind::Release => EventKind::Release { by },
        RequestKind::Retry => EventKind::Retry { by },
        RequestKind::Abandon => EventKind::Abandon { by },
        RequestKind::Run => return None,
    })
}

/// An operator's request, as it was journaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRequest {
    /// Its row.
    pub id: RequestId,
    /// What is asked.
    pub kind: RequestKind,
    /// Of which migration.
    pub migration: MigrationId,
    pub by: Operator,
}

/// What the core is told.
#[derive(Debug)]
pub enum Input {
    /// The journal has stored, or refused, an entry.
    Acked(Ack),
    /// An attempt has ended.
    Answered {
        /// Which migration's: its index in the core.
        slot: usize,
        ticket: Ticket,
        /// What it gave.
        answer: Box<Answer>,
    },
    /// Time has passed.
    Tick,
    /// An operator asks for something.
    Requested(OperatorRequest),
    /// No new work: what is in flight may end.
    Stop,
}

/// What the core wants done.
#[derive(Debug)]
pub enum Command {
    /// Store this entry, and say when it is stored.
    Append(Box<Append>),
    /// Make this attempt.
    Start {
        /// Which migration's.
        slot: usize,
        order: Box<Order>,
    },
    /// Tell the operator that the request came to nothing.
    AnswerRequest { id: RequestId, why: WhyRefused },
    /// A transition is stored: it may be shown.
    Show {
        /// Which migration's.
        slot: usize,
        from: State,
    },
    /// The journal refused an entry: that migration stands still.
    Broken {
        /// Which migration's.
        slot: usize,
        error: JournalError,
    },
}

/// The decisions of one run.
pub struct Core {
    slots: Vec<Slot>,
    by_id: BTreeMap<MigrationId, usize>,
    pending: VecDeque<usize>,
    places: Places,
    /// Slots whose attempt is queued, in the order in which they start.
    ready: VecDeque<usize>,
    /// By due time, and then in the order in which they were set.
    timers: BTreeMap<(Duration, u64), (usize, Ticket)>,
    timers_set: u64,
    delays: Delays,
    migrations_max: usize,
    /// Migrations that have a seat, of `migrations_max`.
    seated: usize,
    in_flight: usize,
    committing: usize,
    /// Migrations that can go on without a person.
    going: usize,
    stopping: bool,
    /// When the input came that is being handled.
    now: Moment,
    /// Another engine has taken the journal over.
    fenced: bool,
}

impl Core {
    /// A core over `loaded`, and the commands that take up what was in flight
    /// when the journal was last written.
    pub fn new(
        loaded: Vec<Loaded>,
        limits: &EngineLimits,
        delays: Delays,
        out: &mut Vec<Command>,
        now: Moment,
    ) -> Core {
        let mut core = Core {
            going: 0,
            slots: Vec::new(),
            by_id: BTreeMap::new(),
            pending: VecDeque::new(),
            places: Places::new(limits),
            ready: VecDeque::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            delays,
            migrations_max: limits.migrations.max(1),
            seated: 0,
            in_flight: 0,
            committing: 0,
            stopping: false,
            now,
            fenced: false,
        };
        core.join(now, loaded, out);
        core
    }

    /// Decides what follows from `input`.
    pub fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Command>) {
        if self.fenced {
            return;
        }
        self.now = now;
        let now_ms = now.shown_ms;
        match input {
            Input::Acked(ack) => self.acked(ack, out),
            Input::Answered { slot, ticket, answer } => {
                self.answered(now_ms, slot, ticket, *answer, out);
            }
            Input::Tick => self.fire_timers(now_ms, out),
            Input::Requested(request) => self.requested(now_ms, request, out),
            Input::Stop => self.stopping = true,
        }
        self.go_on(now_ms, out);
    }

    /// When time matters next, on the steady side of the clock.
    pub fn next_due(&self) -> Option<Duration> {
        if self.stopping {
            return None;
        }
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }

    /// Whether nothing more will happen without a person or a restart.
    pub fn at_rest(&self) -> bool {
        self.committing == 0 && self.in_flight == 0 && (self.stopping || self.going == 0)
    }

    /// Whether entries are on their way to the journal.
    pub fn is_committing(&self) -> bool {
        self.committing > 0
    }

    /// Whether a stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether another engine has taken the journal over: from then on nothing is
    /// started or ended.
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Attempts in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The migration at `slot`.
    pub fn view(&self, slot: usize) -> SlotView<'_> {
        self.slots[slot].view()
    }

    /// All migrations.
    pub fn views(&self) -> impl Iterator<Item = SlotView<'_>> {
        self.slots.iter().map(Slot::view)
    }

    /// Puts what the state at `index` wants in flight where it belongs.
    fn take_up(&mut self, index: usize, out: &mut Vec<Command>) {
        let slot = &mut self.slots[index];
        if matches!(slot.machine.state(), State::Pending) {
            self.pending.push_back(index);
            return;
        }
        if slot.keeps_place()
            && !slot.is_ordered
            && let Some(at) = slot.machine.state().place()
        {
            let phase = slot.phase_of(at);
            slot.place = Some(phase);
            self.places.keep(phase);
        }
        let effects = slot.machine.wanted();
        self.settle_place(index);
        self.carry_out(index, effects, out);
    }

    fn carry_out(&mut self, index: usize, effects: Vec<Effect>, out: &mut Vec<Command>) {
        let interrupts = effects.iter().any(|effect| matches!(effect, Effect::Interrupt { .. }));
        for effect in effects {
            match effect {
                Effect::Run { ticket, undo_of } => {
                    if self.slots[index].attempt.is_at(&ticket) {
                        self.seat(index);
                        continue;
                    }
                    // What is to be stopped, or taken back, waits for no place.
                    let needs_place = ticket.direction == Direction::Forward && !interrupts;
                    if !needs_place || self.has_seat() {
                        self.seat(index);
                    }
                    let slot = &self.slots[index];
                    if needs_place && !(slot.is_seated && self.has_place(index, ticket.phase)) {
                        let at_ms = self.now.shown_ms;
                        self.submit(at_ms, index, EventKind::NoPlace { ticket }, None, None, out);
                        return;
                    }
                    let slot = &mut self.slots[index];
                    assert!(!slot.attempt.is_in_flight(), "a migration has one attempt in flight");
                    let issued = slot.attempt.was_issued(&ticket);
                    slot.attempt = Attempt::Queued { ticket, undo_of, issued, interrupted: false };
                    self.ready.push_back(index);
                }
                Effect::Interrupt { ticket } => match &mut self.slots[index].attempt {
                    Attempt::InFlight { ticket: own, interrupt } if *own == ticket => {
                        interrupt.send_replace(true);
                    }
                    Attempt::Queued { ticket: own, interrupted, .. } if *own == ticket => {
                        *interrupted = true;
                    }
                    _ => {}
                },
                Effect::Sleep { ticket, until_ms } => {
                    // A clock that was set since says nothing of what is left: no
                    // wait is longer than the longest.
                    let left = until_ms.saturating_sub(self.now.shown_ms);
                    let left =
                        Duration::from_millis(left).min(longest(&self.slots[index].spec.retry));
                    self.timers_set += 1;
                    let due = self.now.steady.saturating_add(left);
                    self.timers.insert((due, self.timers_set), (index, ticket));
                }
            }
        }
    }

    /// Whether one more migration may be under way.
    fn has_seat(&self) -> bool {
        self.seated < self.migrations_max
    }

    /// Gives the migration a seat, where it has none.
    fn seat(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        self.seated += usize::from(!slot.is_seated);
        slot.is_seated = true;
    }

    /// Whether the migration has a place in `phase`, or gets one that is free: that
    /// in the phase before is given back.
    fn has_place(&mut self, index: usize, phase: Phase) -> bool {
        let slot = &mut self.slots[index];
        if slot.place == Some(phase) {
            return true;
        }
        if let Some(left) = slot.place.take() {
            self.places.give_back(left);
        }
        if self.places.take(phase) {
            slot.place = Some(phase);
        }
        slot.place.is_some()
    }

    /// Gives back a place that the state at `index` does not keep, and stands in
    /// line where it waits for one.
    fn settle_place(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if !slot.keeps_place()
            && let Some(left) = slot.place.take()
        {
            self.places.give_back(left);
        }
        if let State::WaitingForPlace { at, since_ms } = slot.machine.state()
            && !slot.broken
        {
            let phase = slot.phase_of(*at);
            self.places.line_up(phase, *since_ms, index);
        }
    }

    /// Begins and starts what limits allow.
    fn go_on(&mut self, now_ms: Millis, out: &mut Vec<Command>) {
        if self.stopping || self.fenced {
            return;
        }
        // Who has begun before comes before who begins.
        for phase in Phase::ALL {
            self.let_in(now_ms, phase, out);
        }
        while self.has_seat()
            && let Some(index) = self.pending.pop_front()
        {
            let slot = &self.slots[index];
            // It may have been cancelled, or be on its way already.
            if matches!(slot.machine.state(), State::Pending) && !slot.broken {
                self.seat(index);
                self.submit(now_ms, index, EventKind::Begin, None, None, out);
            }
        }
        while let Some(index) = self.ready.pop_front() {
            self.start(index, out);
        }
    }

    /// Lets in who waits for `phase`, as long as there are places, and seats for those
    /// that have none: an order has let them go on.
    fn let_in(&mut self, now_ms: Millis, phase: Phase, out: &mut Vec<Command>) {
        loop {
            let (slots, has_seat) = (&self.slots, self.has_seat());
            // Where the next entry is on its way, it may be an order that calls it off.
            let may_enter = |index: usize| {
                let slot: &Slot = &slots[index];
                !slot.broken && slot.committing.is_none() && (slot.is_seated || has_seat)
            };
            let Some(index) = self.places.let_in(phase, may_enter) else { return };
            self.seat(index);
            self.slots[index].place = Some(phase);
            self.submit(now_ms, index, EventKind::Admitted, None, None, out);
        }
    }

    fn start(&mut self, index: usize, out: &mut Vec<Command>) {
        let slot = &mut self.slots[index];
        if !matches!(slot.attempt, Attempt::Queued { .. }) {
            return;
        }
        let Attempt::Queued { ticket, undo_of, issued, interrupted } =
            std::mem::replace(&mut slot.attempt, Attempt::None)
        else {
            unreachable!("it was looked at");
        };
        // Meanwhile the migration may have been held or turned back. Where the
        // next entry is on its way, what is wanted is looked at after it.
        if slot.broken || slot.committing.is_some() || !slot.wants(&ticket) {
            if issued {
                slot.attempt = Attempt::Issued(ticket);
            }
            return;
        }
        let (interrupt, interrupted) = watch::channel(interrupted);
        slot.attempt = Attempt::InFlight { ticket: ticket.clone(), interrupt };
        self.in_flight += 1;
        let order = Order {
            migration: slot.id,
            ticket,
            issued,
            since_ms: slot.since_ms,
            undo_of,
            spec: Arc::clone(&slot.spec),
            facts: Arc::clone(&slot.facts),
            interrupt: Some(interrupted),
        };
        out.push(Command::Start { slot: index, order: Box::new(order) });
    }

    fn answered(
        &mut self,
        now_ms: Millis,
        index: usize,
        ticket: Ticket,
        answer: Answer,
        out: &mut Vec<Command>,
    ) {
        let slot = &mut self.slots[index];
        if !slot.attempt.is_in_flight() || !slot.attempt.is_at(&ticket) {
            tracing::warn!(client = %slot.client, %ticket, "an answer that nobody waits for");
            return;
        }
        slot.attempt = Attempt::None;
        self.in_flight -= 1;
        let Answer { outcome, facts, record } = answer;
        let facts = facts.map(Box::new);
        let kind = match outcome {
            Outcome::Done => EventKind::Succeeded { ticket: ticket.clone(), facts },
            Outcome::Failed { cause, trace } => {
                let wait = self.delays.after(&slot.spec.retry, ticket.attempt);
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let retry_at_ms = now_ms.saturating_add(wait_ms);
                EventKind::Failed { ticket: ticket.clone(), cause, trace, retry_at_ms, facts }
            }
        };
        self.submit(now_ms, index, kind, Some((ticket, record)), None, out);
    }

    fn fire_timers(&mut self, now_ms: Millis, out: &mut Vec<Command>) {
        while !self.stopping
            && let Some(timer) = self.timers.first_entry()
            && timer.key().0 <= self.now.steady
        {
            let (index, ticket) = timer.remove();
            self.submit(now_ms, index, EventKind::TimerFired { ticket }, None, None, out);
        }
    }

    fn requested(&mut self, now_ms: Millis, request: OperatorRequest, out: &mut Vec<Command>) {
        let OperatorRequest { id, kind, migration, by } = request;
        let Some(order) = order(kind, by) else {
            out.push(Command::AnswerRequest { id, why: WhyRefused::NoWork });
            return;
        };
        match self.by_id.get(&migration) {
            // Nothing is left alone while it is still being changed.
            Some(index)
                if kind == RequestKind::Abandon && self.slots[*index].is_held_in_flight() =>
            {
                out.push(Command::AnswerRequest { id, why: WhyRefused::StillRuns });
            }
            Some(index) => self.submit(now_ms, *index, order, None, Some(id), out),
            None => {
                let why = WhyRefused::NotPartOfRun(migration);
                out.push(Command::AnswerRequest { id, why });
            }
        }
    }

    /// Applies an event, at once or when the entry before it is stored.
    fn submit(
        &mut self,
        at_ms: Millis,
        index: usize,
        kind: EventKind,
        record: Option<(Ticket, AttemptRecord)>,
        request: Option<RequestId>,
        out: &mut Vec<Command>,
    ) {
        let waiting = Waiting { at_ms, kind, record, request };
        let slot = &mut self.slots[index];
        if slot.committing.is_some() {
            slot.waiting.push_back(waiting);
            return;
        }
        self.apply(index, waiting, out);
    }

    fn apply(&mut self, index: usize, waiting: Waiting, out: &mut Vec<Command>) {
        let slot = &mut self.slots[index];
        if slot.broken {
            if let Some(id) = waiting.request {
                out.push(Command::AnswerRequest { id, why: WhyRefused::JournalFailed });
            }
            return;
        }
        let waiting = if slot.decisions == DECISIONS { waiting } else { slot.adopt(waiting) };
        let Waiting { at_ms, kind, record, request } = waiting;
        let event = Event { at_ms, kind };
        let went = slot.goes();
        match slot.machine.apply(&event) {
            Ok(transition) => {
                let committing = Committing {
                    from: transition.from,
                    effects: transition.effects.clone(),
                    facts: event.kind.facts().cloned(),
                    at_ms,
                };
                let answer = |id| (id, OrderAnswer::Done(Box::new(transition.to.clone())));
                let append = Append {
                    migration: slot.id,
                    expected_seq: slot.seq,
                    event,
                    request: request.map(answer),
                    to: transition.to,
                    effects: transition.effects,
                    record,
                };
                slot.committing = Some(Box::new(committing));
                self.committing += 1;
                self.recount(index, went);
                out.push(Command::Append(Box::new(append)));
            }
            Err(rejected) => {
                tracing::debug!(client = %slot.client, %rejected, "event dropped");
                if let Some(id) = request {
                    let why = WhyRefused::Rejected(rejected.to_string());
                    out.push(Command::AnswerRequest { id, why });
                }
            }
        }
    }

    /// Keeps the counts true after the state at `index` may have changed.
    fn recount(&mut self, index: usize, went: bool) {
        let slot = &mut self.slots[index];
        self.going = self.going + usize::from(slot.goes()) - usize::from(went);
        if slot.is_seated && !slot.keeps_seat() {
            slot.is_seated = false;
            self.seated -= 1;
        }
    }

    fn acked(&mut self, ack: Ack, out: &mut Vec<Command>) {
        let Some(index) = self.by_id.get(&ack.migration).copied() else {
            return;
        };
        let slot = &mut self.slots[index];
        let Some(committing) = slot.committing.take() else {
            return;
        };
        self.committing -= 1;
        if let Err(error) = ack.result {
            self.fenced |= matches!(error, JournalError::Fenced { .. });
            let went = slot.goes();
            slot.broken = true;
            self.recount(index, went);
            self.settle_place(index);
            out.push(Command::Broken { slot: index, error });
            self.drain(index, out);
            return;
        }
        slot.seq += 1;
        debug_assert_eq!(slot.seq, ack.seq, "the journal counts as the engine does");
        let Committing { from, effects, facts, at_ms } = *committing;
        slot.since_ms = at_ms;
        if let Some(facts) = facts {
            Facts::absorb(Arc::make_mut(&mut slot.facts), facts);
        }
        if let State::WaitingForPlace { at, since_ms } = &from {
            let phase = slot.phase_of(*at);
            self.places.leave_line(phase, *since_ms, index);
        }
        out.push(Command::Show { slot: index, from });
        self.drain(index, out);
        let slot = &self.slots[index];
        if slot.committing.is_none() {
            // An event that changed no mode has no effects of its own, but may
            // have kept back those of the state.
            let wanted = if effects.is_empty() { slot.machine.wanted() } else { effects };
            self.settle_place(index);
            self.carry_out(index, wanted, out);
        }
    }

    /// Applies the events that waited, until one is on its way to the journal.
    fn drain(&mut self, index: usize, out: &mut Vec<Command>) {
        while self.slots[index].committing.is_none() {
            let Some(waiting) = self.slots[index].waiting.pop_front() else {
                return;
            };
            self.apply(index, waiting, out);
        }
    }
}
