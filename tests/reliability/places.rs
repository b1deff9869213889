//! The core by itself, with answers by chance: who has a place in a phase, who
//! waits for one, and what a restart knows of attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nimshift::base::Moment;
use nimshift::domain::{
    Answer, Cause, Direction, Facts, FailureClass, MigrationId, Outcome, Phase, Residue, Ticket,
};
use nimshift::engine::{Command, Core, Delays, EngineLimits, Input, OperatorRequest};
use nimshift::journal::{Ack, BatchId, Loaded, RequestId, RequestKind};
use nimshift::machine::{Blueprint, DECISIONS, Event, EventKind, Machine, Operator, State};
use nimshift::phases::plan_steps;

use super::faulty::empty_record;
use super::power_vfs::chance;
use super::world::Flavour;

const SEED: u64 = 20_261_128;

fn moment(now_ms: u64) -> Moment {
    Moment { shown_ms: now_ms, steady: Duration::from_millis(now_ms) }
}

fn blueprint() -> Arc<Blueprint> {
    let spec = Flavour::Plain.spec();
    Arc::new(Blueprint::new(&spec, plan_steps(&spec).steps).expect("a blueprint"))
}

fn loaded(id: u64, machine: Machine, seq: u64) -> Loaded {
    Loaded {
        id: MigrationId(id),
        batch: BatchId(1),
        client: format!("lpar{id:02}"),
        number: 1,
        seq,
        decisions: DECISIONS,
        machine,
        spec: Arc::new(Flavour::Plain.spec()),
        facts: Facts::default(),
        skipped_phases: Vec::new(),
        created_ms: 0,
        updated_ms: 0,
        is_ordered: false,
    }
}

/// A night of the core: every entry is stored at once.
struct Night {
    core: Core,
    limits: EngineLimits,
    now_ms: u64,
    seed: u64,
    /// What the journal has: the events of each migration.
    stored: BTreeMap<u64, Vec<Event>>,
    states: BTreeMap<u64, State>,
    in_flight: Vec<(usize, Ticket)>,
    /// Attempts that were started, with whether they had been issued before.
    started: Vec<(u64, Ticket, bool)>,
    waited: usize,
}

impl Night {
    fn new(migrations: Vec<Loaded>, limits: EngineLimits, seed: u64) -> Night {
        let now_ms = 1_000;
        let mut commands = Vec::new();
        let core =
            Core::new(migrations, &limits, Delays::seeded(seed), &mut commands, moment(now_ms));
        let mut night = Night {
            core,
            limits,
            now_ms,
            seed,
            stored: BTreeMap::new(),
            states: BTreeMap::new(),
            in_flight: Vec::new(),
            started: Vec::new(),
            waited: 0,
        };
        night.carry_out(commands);
        night
    }

    fn chance(&mut self, one_of: u64) -> bool {
        chance(&mut self.seed).is_multiple_of(one_of)
    }

    fn input(&mut self, input: Input) {
        let mut commands = Vec::new();
        self.core.handle(moment(self.now_ms), input, &mut commands);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, mut commands: Vec<Command>) {
        while !commands.is_empty() {
            let mut next = Vec::new();
            for command in commands {
                match command {
                    Command::Append(append) => {
                        let id = append.migration;
                        self.stored.entry(id.0).or_default().push(append.event.clone());
                        self.states.insert(id.0, append.to.clone());
                        self.waited += usize::from(append.to.name() == "waiting_for_place");
                        let ack =
                            Ack { migration: id, seq: append.expected_seq + 1, result: Ok(()) };
                        self.core.handle(moment(self.now_ms), Input::Acked(ack), &mut next);
                    }
                    Command::Start { slot, order } => {
                        self.started.push((order.migration.0, order.ticket.clone(), order.issued));
                        self.in_flight.push((slot, order.ticket.clone()));
                    }
                    Command::AnswerRequest { .. } | Command::Show { .. } => {}
                    Command::Broken { error, .. } => panic!("{error}"),
                }
            }
            commands = next;
        }
    }

    fn answer(&mut self, at: usize, outcome: Outcome) {
        let (slot, ticket) = self.in_flight.remove(at);
        let answer = Box::new(Answer { outcome, facts: None, record: empty_record() });
        self.input(Input::Answered { slot, ticket, answer });
    }

    fn order(&mut self, id: u64, kind: RequestKind) {
        let by = Operator("ann".to_owned());
        let request = OperatorRequest { id: RequestId(1), kind, migration: MigrationId(id), by };
        self.input(Input::Requested(request));
    }

    /// The next engine, over what is stored.
    fn restarted(self, count: u64) -> Night {
        let migrations = (1..=count).map(|id| {
            let mut machine = Machine::new(blueprint());
            let events = self.stored.get(&id).map_or(&[][..], Vec::as_slice);
            for event in events {
                machine.apply(event).expect("stored before");
            }
            loaded(id, machine, events.len() as u64)
        });
        let mut night = Night::new(migrations.collect(), self.limits, self.seed);
        for (id, mut events) in self.stored {
            events.append(&mut night.stored.remove(&id).unwrap_or_default());
            night.stored.insert(id, events);
        }
        for (id, state) in self.states {
            night.states.entry(id).or_insert(state);
        }
        night.now_ms = self.now_ms;
        night.waited += self.waited;
        night
    }

    /// How many migrations are in `phase`: between its first step and its last, or
    /// with a step of it in flight.
    fn inside(&self, phase: Phase) -> usize {
        let blueprint = blueprint();
        let goes = self.states.iter().filter(|(_, state)| match state {
            State::Executing { at, stopping: None } | State::BackingOff { at, .. } => {
                blueprint.step(*at).phase == phase
            }
            _ => false,
        });
        let mut inside: BTreeSet<u64> = goes.map(|(id, _)| *id).collect();
        let steps = self.in_flight.iter();
        inside.extend(
            steps
                .filter(|(_, ticket)| {
                    ticket.phase == phase && ticket.direction == Direction::Forward
                })
                .map(|(slot, _)| *slot as u64 + 1),
        );
        inside.len()
    }

    /// Those that wait for `phase`, the first to come first.
    fn line(&self, phase: Phase) -> Vec<u64> {
        let blueprint = blueprint();
        let mut line: Vec<(u64, u64)> = Vec::new();
        for (id, state) in &self.states {
            if let State::WaitingForPlace { at, since_ms } = state
                && blueprint.step(*at).phase == phase
            {
                line.push((*since_ms, *id));
            }
        }
        line.sort_unstable();
        line.into_iter().map(|(_, id)| id).collect()
    }

    fn limit(&self, phase: Phase) -> usize {
        self.limits.phases[phase as usize]
    }

    fn assert_limits(&self, what: &str) {
        for phase in Phase::ALL {
            let (inside, line) = (self.inside(phase), self.line(phase));
            assert!(inside <= self.limit(phase), "{what}: {inside} in {phase}");
            assert!(
                line.is_empty() || inside == self.limit(phase) || !self.has_seat(),
                "{what}: {line:?} wait for {phase}, which has room: {inside}"
            );
        }
        let forward = |ticket: &Ticket| ticket.direction == Direction::Forward;
        let at_once = self.in_flight.iter().filter(|(_, ticket)| forward(ticket)).count();
        assert!(at_once <= self.limits.migrations, "{what}: {at_once} at once");
        let pending = self.states.len() < self.core.views().count();
        assert!(!pending || !self.has_seat(), "{what}: one may begin");
    }

    /// Whether fewer than may are under way: neither at rest nor before their beginning.
    fn has_seat(&self) -> bool {
        let is_held = |id: u64| self.in_flight.iter().any(|(slot, _)| *slot as u64 + 1 == id);
        let under_way = |(id, state): &(&u64, &State)| !state.is_at_rest() || is_held(**id);
        self.states.iter().filter(under_way).count() < self.limits.migrations
    }
}

fn gate(ticket: &Ticket) -> bool {
    blueprint().steps.iter().any(|step| step.step == ticket.step && step.gate)
}

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed { cause: Cause::new(class, "by chance"), trace: Residue::Clean }
}

#[test]
fn a_phase_holds_as_many_migrations_as_the_plan_says() {
    const COUNT: u64 = 12;
    let phases = EngineLimits::of_migrations(10)
        .with_phase(Phase::Clone, 4)
        .with_phase(Phase::MigrateBase, 3)
        .with_phase(Phase::MigrateFilesets, 2)
        .with_phase(Phase::End, 1);
    for seed in SEED..SEED + 40 {
        let migrations = if seed % 2 == 0 { 10 } else { 6 };
        let limits = EngineLimits { migrations, ..phases };
        let fresh = (1..=COUNT).map(|id| loaded(id, Machine::new(blueprint()), 0)).collect();
        let mut night = Night::new(fresh, limits, seed);
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 20_000, "seed {seed}: it comes to no end");
            let what = format!("seed {seed}, step {steps}");
            let calm = steps > 2_000;
            if !calm && night.chance(150) {
                night = night.restarted(COUNT);
            }
            night.assert_limits(&what);
            if !calm && night.chance(20) {
                let kinds = [RequestKind::Hold, RequestKind::Release, RequestKind::Retry];
                let kind = kinds[usize::try_from(chance(&mut night.seed) % 3).expect("three")];
                let id = chance(&mut night.seed) % COUNT + 1;
                night.order(id, kind);
            } else if !night.in_flight.is_empty() {
                let count = night.in_flight.len() as u64;
                let at = usize::try_from(chance(&mut night.seed) % count).expect("few");
                let outcome = match chance(&mut night.seed) % 40 {
                    0..4 if !calm => failed(FailureClass::Transient),
                    4 if !calm => failed(FailureClass::NeedsOperator),
                    5 if !calm => failed(FailureClass::Permanent),
                    _ => Outcome::Done,
                };
                night.now_ms += 1;
                night.answer(at, outcome);
            } else if let Some(due) = night.core.next_due() {
                night.now_ms = night.now_ms.max(u64::try_from(due.as_millis()).expect("a night"));
                night.input(Input::Tick);
            } else if calm {
                let waits = night.states.iter().find(|(_, state)| state.waits_for_operator());
                let Some((id, state)) = waits.map(|(id, state)| (*id, state.clone())) else {
                    break;
                };
                let held = matches!(state, State::Held { .. });
                night.order(id, if held { RequestKind::Release } else { RequestKind::Retry });
            } else {
                steps = 2_000;
            }
        }
        let states: Vec<&str> = night.states.values().map(State::name).collect();
        assert_eq!(states.len() as u64, COUNT, "seed {seed}");
        assert!(night.states.values().all(State::is_terminal), "seed {seed}: {states:?}");
        assert!(night.waited > 0, "seed {seed}: {} waits", night.waited);
    }
}

#[test]
fn the_first_to_wait_is_the_first_to_be_let_in_also_after_a_restart() {
    let limits = EngineLimits::of_migrations(9).with_phase(Phase::Clone, 1);
    let fresh = (1..=4).map(|id| loaded(id, Machine::new(blueprint()), 0)).collect();
    let mut night = Night::new(fresh, limits, SEED);
    assert_eq!(night.line(Phase::Clone), [2, 3, 4]);
    night.order(3, RequestKind::Hold);
    assert_eq!(night.line(Phase::Clone), [2, 4]);
    let mut night = night.restarted(4);
    night.order(3, RequestKind::Release);
    assert_eq!(night.line(Phase::Clone), [2, 3, 4], "who was held keeps the place in line");
    while night.inside(Phase::Export) == 0 {
        night.answer(0, Outcome::Done);
    }
    assert_eq!(night.line(Phase::Clone), [3, 4]);
    night.order(3, RequestKind::Cancel);
    assert_eq!(night.line(Phase::Clone), [4], "what waits can be called off");
}

#[test]
fn who_is_let_go_on_by_an_order_waits_for_a_seat_as_others_do() {
    let limits = EngineLimits::of_migrations(1);
    let fresh = (1..=3).map(|id| loaded(id, Machine::new(blueprint()), 0)).collect();
    let mut night = Night::new(fresh, limits, SEED);
    // The first gives its seat up to the second, and gets it again before the third.
    let changing = |night: &Night| night.started.last().is_some_and(|(_, ticket, _)| !gate(ticket));
    while !changing(&night) {
        night.answer(0, Outcome::Done);
    }
    night.answer(0, failed(FailureClass::NeedsOperator));
    assert_eq!(night.in_flight.len(), 1);
    night.order(1, RequestKind::Retry);
    assert_eq!(night.states[&1].name(), "waiting_for_place");
    night.order(1, RequestKind::Hold);
    night.order(1, RequestKind::Release);
    while night.states[&2].name() == "executing" {
        assert_eq!(night.in_flight.len(), 1, "{:?}", night.in_flight);
        night.answer(0, Outcome::Done);
    }
    assert_eq!(night.states[&1].name(), "executing");
    assert!(!night.states.contains_key(&3));
}

#[test]
fn orders_that_no_engine_saw_let_no_more_go_on_than_may() {
    let failing = || {
        let mut machine = Machine::new(blueprint());
        let kind = EventKind::Begin;
        machine.apply(&Event { at_ms: 1, kind }).expect("an event");
        machine
    };
    let ordered = |id| Loaded { is_ordered: true, ..loaded(id, failing(), 1) };
    let mut night = Night::new((1..=4).map(ordered).collect(), EngineLimits::of_migrations(2), 1);
    while !night.in_flight.is_empty() {
        night.assert_limits("ordered");
        night.answer(0, Outcome::Done);
    }
    assert!(night.states.values().all(|state| state.name() == "migrated"));
    // Whom an engine has begun go on at once.
    let begun = (1..=4).map(|id| loaded(id, failing(), 1)).collect();
    assert_eq!(Night::new(begun, EngineLimits::of_migrations(2), 1).in_flight.len(), 4);
}

/// Machines that an engine left with an attempt that it may have begun: the
/// ticket, and the orders that lead to its start.
fn taken_up() -> Vec<(&'static str, Machine, Option<RequestKind>, bool)> {
    let by = || Operator("ann".to_owned());
    let hold = || EventKind::Hold { by: by() };
    let apply = |machine: &mut Machine, kind| {
        machine.apply(&Event { at_ms: 500, kind }).expect("an event");
    };
    let walked = |kinds: &[fn(Ticket) -> EventKind]| {
        let mut machine = Machine::new(blueprint());
        apply(&mut machine, EventKind::Begin);
        // Past the gates, to the first steps that change something.
        while machine.state().place().is_some_and(|at| at.step < 5) {
            let ticket = machine.attempt().expect("one is wanted");
            apply(&mut machine, EventKind::Succeeded { ticket, facts: None });
        }
        for kind in kinds {
            let ticket = machine.attempt().expect("one is wanted");
            apply(&mut machine, kind(ticket));
        }
        machine
    };
    let fails = |class, retry_at_ms| {
        move |ticket| EventKind::Failed {
            ticket,
            cause: Cause::new(class, "it failed"),
            trace: Residue::Clean,
            retry_at_ms,
            facts: None,
        }
    };
    let permanent: fn(Ticket) -> EventKind = |ticket| EventKind::Failed {
        ticket,
        cause: Cause::new(FailureClass::Permanent, "it failed"),
        trace: Residue::Left,
        retry_at_ms: 0,
        facts: None,
    };
    let failing = |class| {
        let mut machine = walked(&[]);
        let ticket = machine.attempt().expect("one is wanted");
        apply(&mut machine, fails(class, 600)(ticket));
        machine
    };
    let standing = |mut machine: Machine| {
        apply(&mut machine, hold());
        machine
    };
    let release = Some(RequestKind::Release);
    vec![
        ("executing", walked(&[]), None, true),
        ("undoing", walked(&[permanent]), None, true),
        ("held, executing", standing(walked(&[])), release, true),
        ("held, undoing", standing(walked(&[permanent])), release, true),
        ("backing off", failing(FailureClass::Transient), Some(RequestKind::Retry), false),
        ("waiting", failing(FailureClass::NeedsOperator), Some(RequestKind::Retry), false),
    ]
}

#[test]
fn a_restart_knows_which_attempt_may_have_been_begun() {
    for (what, machine, order, issued) in taken_up() {
        let limits = EngineLimits::of_migrations(9);
        let mut night = Night::new(vec![loaded(1, machine, 9)], limits, SEED);
        if let Some(kind) = order {
            assert!(night.started.is_empty(), "{what}");
            night.order(1, kind);
        }
        let (_, ticket, was_issued) = night.started.first().expect("it is started").clone();
        assert_eq!(was_issued, issued, "{what}: {ticket}");
    }
}

#[test]
fn an_attempt_that_waits_for_a_place_is_known_afterwards() {
    let (_, held, _, _) =
        taken_up().into_iter().find(|given| given.0 == "held, executing").unwrap();
    let phase = blueprint().steps[5].phase;
    let limits = EngineLimits::of_migrations(9).with_phase(phase, 1);
    let (_, other, _, _) = taken_up().into_iter().find(|given| given.0 == "executing").unwrap();
    let mut night = Night::new(vec![loaded(1, held, 9), loaded(2, other, 9)], limits, SEED);
    night.order(1, RequestKind::Release);
    assert_eq!(night.line(phase), [1]);
    while !night.line(phase).is_empty() {
        night.answer(0, Outcome::Done);
    }
    let (_, _, issued) = night.started.iter().find(|(id, ..)| *id == 1).expect("it was let in");
    assert!(issued, "its job may have been begun before the hold");
}
