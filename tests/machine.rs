//! The machine of one migration: every state against every event, walks
//! through failures, and random histories.

use std::fmt::Write as _;
use std::sync::Arc;

use nimshift::domain::{
    BootFailure, Cause, Direction, FailureClass, FailurePolicy, Phase, Repeat, Residue, StepName,
    StepSpec, Ticket, UndoKind,
};
use nimshift::machine::{
    Blueprint, Course, DECISIONS, Effect, Event, EventKind, Machine, Operator, Place, State, Then,
    Transition,
};
use proptest::prelude::*;

/// gate, lease, clone, restore, finish, reboot: one of each kind of step.
fn blueprint(on_failure: FailurePolicy) -> Arc<Blueprint> {
    let step = |phase, name, repeat, undo, gate| StepSpec {
        phase,
        step: StepName::new(name),
        repeat,
        undo,
        gate,
    };
    Arc::new(Blueprint {
        steps: vec![
            step(Phase::Clone, "gate", Repeat::Safe, UndoKind::Nothing, true),
            step(Phase::Clone, "lease", Repeat::Safe, UndoKind::Reverse, false),
            step(Phase::Clone, "copy", Repeat::AfterUndo, UndoKind::Reverse, false),
            step(Phase::MigrateBase, "restore", Repeat::Never, UndoKind::Nothing, false),
            step(Phase::Finish, "bootlist", Repeat::Safe, UndoKind::Reverse, false),
            step(Phase::End, "reboot", Repeat::Safe, UndoKind::Backout, false),
            step(Phase::End, "verify", Repeat::Safe, UndoKind::Nothing, false),
        ],
        attempts_max: 3,
        on_failure,
        on_boot_failure: BootFailure::Hold,
    })
}

fn by() -> Operator {
    Operator("ann".to_owned())
}

fn cause(class: FailureClass) -> Cause {
    Cause::new(class, "it failed")
}

/// A test's hold on a machine: gives the answer that is waited for.
struct Walk {
    machine: Machine,
    now_ms: u64,
    seen: Vec<Ticket>,
}

impl Walk {
    fn begin(on_failure: FailurePolicy) -> Walk {
        let machine = Machine::new(blueprint(on_failure));
        let mut walk = Walk { machine, now_ms: 1_000, seen: Vec::new() };
        walk.event(EventKind::Begin);
        walk
    }

    fn event(&mut self, kind: EventKind) -> Transition {
        let event = Event { at_ms: self.now_ms, kind };
        let transition = self.machine.apply(&event).expect("an event that is waited for");
        for effect in &transition.effects {
            if let Effect::Run { ticket, .. } = effect
                && self.seen.last() != Some(ticket)
            {
                assert!(!self.seen.contains(ticket), "{ticket} was asked for before");
                self.seen.push(ticket.clone());
            }
        }
        transition
    }

    fn ticket(&self) -> Ticket {
        self.machine
            .wanted()
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Run { ticket, .. } | Effect::Sleep { ticket, .. } => Some(ticket),
                Effect::Interrupt { .. } => None,
            })
            .expect("something is in flight")
    }

    fn succeed(&mut self) -> &mut Walk {
        let ticket = self.ticket();
        self.event(EventKind::Succeeded { ticket, facts: None });
        self
    }

    fn fail(&mut self, class: FailureClass, trace: Residue) -> &mut Walk {
        let ticket = self.ticket();
        let retry_at_ms = self.now_ms + 100;
        self.event(EventKind::Failed {
            ticket,
            cause: cause(class),
            trace,
            retry_at_ms,
            facts: None,
        });
        self
    }

    fn wake(&mut self) -> &mut Walk {
        self.now_ms += 100;
        let ticket = self.ticket();
        self.event(EventKind::TimerFired { ticket });
        self
    }

    /// Succeeds until the step `name` is in flight.
    fn up_to(&mut self, name: &str) -> &mut Walk {
        let is_there = |ticket: &Ticket| {
            ticket.step.as_str() == name && ticket.direction == Direction::Forward
        };
        while !is_there(&self.ticket()) {
            self.succeed();
        }
        self
    }

    fn state(&self) -> &'static str {
        self.machine.state().name()
    }

    /// Steps of the attempts asked for since the last call.
    fn asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen)
            .iter()
            .map(|ticket| match ticket.direction {
                Direction::Forward => format!("{}#{}", ticket.step, ticket.attempt),
                Direction::Undo => format!("undo {}#{}", ticket.step, ticket.attempt),
            })
            .collect()
    }
}

#[test]
fn a_migration_that_meets_no_trouble_is_migrated() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    for _ in 0..7 {
        assert_eq!(walk.state(), "executing");
        walk.succeed();
    }
    assert_eq!(walk.state(), "migrated");
    assert_eq!(
        walk.asked(),
        ["gate#1", "lease#1", "copy#1", "restore#1", "bootlist#1", "reboot#1", "verify#1"]
    );
}

#[test]
fn the_gate_refuses_and_skips_with_nothing_to_undo() {
    let mut walk = Walk::begin(FailurePolicy::Hold);
    walk.fail(FailureClass::Permanent, Residue::Clean);
    assert_eq!(walk.state(), "refused");
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.fail(FailureClass::AlreadyDone, Residue::Clean);
    assert_eq!(walk.state(), "skipped");
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    for _ in 0..2 {
        walk.fail(FailureClass::Transient, Residue::Clean).wake();
    }
    walk.fail(FailureClass::Transient, Residue::Clean);
    assert_eq!(walk.state(), "refused");
}

#[test]
fn a_permanent_failure_undoes_the_failed_step_and_all_before_it_in_reverse() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("bootlist").asked();
    walk.fail(FailureClass::Permanent, Residue::Left);
    assert_eq!(walk.state(), "undoing");
    walk.succeed().succeed().succeed();
    assert_eq!(walk.asked(), ["undo bootlist#1", "undo copy#1", "undo lease#1"]);
    assert_eq!(walk.state(), "rolled_back");
}

#[test]
fn a_permanent_failure_waits_for_a_person_where_the_plan_says_so() {
    let mut walk = Walk::begin(FailurePolicy::Hold);
    walk.up_to("restore").fail(FailureClass::Permanent, Residue::Left);
    assert_eq!(walk.state(), "awaiting_operator");
    walk.event(EventKind::Rollback { by: by() });
    assert_eq!(walk.state(), "undoing");
}

#[test]
fn a_transient_failure_is_retried_up_to_the_bound() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("bootlist").asked();
    walk.fail(FailureClass::Transient, Residue::Left).wake();
    walk.fail(FailureClass::Transient, Residue::Clean).wake();
    assert_eq!(walk.asked(), ["bootlist#2", "bootlist#3"]);
    walk.fail(FailureClass::Transient, Residue::Clean);
    assert_eq!(walk.state(), "undoing", "the third failure is permanent");
}

#[test]
fn a_timer_for_another_attempt_is_rejected_and_its_own_is_taken_whatever_the_clock_shows() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("lease").fail(FailureClass::Transient, Residue::Clean);
    let ticket = walk.ticket();
    let other = Ticket { attempt: 2, ..ticket.clone() };
    let wrong = Event { at_ms: walk.now_ms + 100, kind: EventKind::TimerFired { ticket: other } };
    assert!(walk.machine.apply(&wrong).is_err());
    assert_eq!(walk.state(), "backing_off");
    // The wait was as long as it was to be; the clock was set back meanwhile.
    let own = Event { at_ms: 1, kind: EventKind::TimerFired { ticket } };
    assert!(walk.machine.apply(&own).is_ok());
    assert_eq!(walk.state(), "executing");
}

#[test]
fn a_copy_that_is_half_made_is_undone_before_it_is_made_again() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("copy").asked();
    walk.fail(FailureClass::Transient, Residue::Left).wake().succeed();
    assert_eq!(walk.asked(), ["undo copy#1", "copy#2"]);
    walk.fail(FailureClass::Transient, Residue::Left).wake().succeed();
    assert_eq!(walk.asked(), ["undo copy#1", "copy#3"], "in a round of its own");
    walk.fail(FailureClass::Transient, Residue::Left);
    assert_eq!(walk.state(), "undoing");
    walk.succeed().succeed();
    assert_eq!(walk.state(), "rolled_back");
}

#[test]
fn a_step_that_must_not_be_repeated_is_retried_in_a_fresh_copy() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("restore").asked();
    for _ in 0..2 {
        walk.fail(FailureClass::Transient, Residue::Left).wake().succeed().succeed().succeed();
        assert_eq!(walk.asked(), ["undo restore#1", "undo copy#1", "copy#1", "restore#1"]);
    }
    // No more rewinds: the failure is permanent.
    walk.fail(FailureClass::Transient, Residue::Left);
    assert_eq!(walk.asked(), ["undo restore#1"]);
    walk.succeed().succeed().succeed();
    assert_eq!(walk.state(), "rolled_back");
}

#[test]
fn a_step_that_must_not_be_repeated_runs_again_where_nothing_was_left() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("restore").asked();
    walk.fail(FailureClass::Transient, Residue::Clean).wake();
    assert_eq!(walk.asked(), ["restore#2"]);
}

#[test]
fn a_cancel_lets_the_step_in_flight_end_and_takes_back() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("copy").asked();
    let transition = walk.event(EventKind::Cancel { by: by() });
    let interrupts = |effect: &Effect| matches!(effect, Effect::Interrupt { .. });
    assert!(transition.effects.iter().any(interrupts));
    assert_eq!(walk.state(), "executing");
    walk.fail(FailureClass::Permanent, Residue::Left);
    assert_eq!(walk.state(), "undoing");
    let cause = walk.machine.state().cause().expect("a cause");
    assert_eq!(cause.text, "cancelled by ann");
}

#[test]
fn what_may_still_run_is_not_undone_without_a_word() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("restore").event(EventKind::Cancel { by: by() });
    walk.fail(FailureClass::NeedsOperator, Residue::Left);
    assert_eq!(walk.state(), "awaiting_operator");
    walk.event(EventKind::Rollback { by: by() });
    assert_eq!(walk.state(), "undoing");
}

#[test]
fn the_interrupt_is_wanted_again_after_a_restart() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("copy").event(EventKind::Cancel { by: by() });
    let wanted = walk.machine.wanted();
    assert!(matches!(wanted[..], [Effect::Run { .. }, Effect::Interrupt { .. }]), "{wanted:?}");
}

#[test]
fn after_the_reboot_only_an_order_takes_back() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("verify").asked();
    walk.fail(FailureClass::Permanent, Residue::Left);
    assert_eq!(walk.state(), "awaiting_operator");
    let cancel = Event { at_ms: 0, kind: EventKind::Cancel { by: by() } };
    assert!(walk.machine.apply(&cancel).is_err());
    walk.event(EventKind::Rollback { by: by() });
    for _ in 0..5 {
        walk.succeed();
    }
    assert_eq!(
        walk.asked(),
        ["undo verify#1", "undo reboot#1", "undo bootlist#1", "undo copy#1", "undo lease#1"]
    );
    assert_eq!(walk.state(), "rolled_back");
}

#[test]
fn what_is_migrated_can_be_taken_back_by_order() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("verify").succeed().asked();
    walk.event(EventKind::Rollback { by: by() });
    assert_eq!(walk.asked(), ["undo verify#1"]);
    walk.succeed();
    assert_eq!(walk.asked(), ["undo reboot#1"]);
}

#[test]
fn an_undo_that_fails_is_retried_then_stuck_and_goes_on_by_order() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("bootlist").fail(FailureClass::Permanent, Residue::Left);
    walk.fail(FailureClass::Transient, Residue::Left);
    assert_eq!(walk.state(), "undo_backing_off");
    walk.wake().fail(FailureClass::Permanent, Residue::Left);
    assert_eq!(walk.state(), "undo_stuck");
    walk.event(EventKind::Retry { by: by() });
    walk.succeed().succeed().succeed();
    assert_eq!(walk.state(), "rolled_back");
}

#[test]
fn what_is_stuck_can_be_abandoned() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("bootlist").fail(FailureClass::Permanent, Residue::Left);
    walk.fail(FailureClass::Permanent, Residue::Left);
    walk.event(EventKind::Abandon { by: by() });
    assert_eq!(walk.state(), "abandoned");
}

#[test]
fn a_migration_that_waits_for_a_place_goes_on_where_it_was() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    let ticket = walk.up_to("restore").ticket();
    walk.asked();
    walk.event(EventKind::NoPlace { ticket: ticket.clone() });
    assert_eq!(walk.state(), "waiting_for_place");
    assert!(walk.machine.wanted().is_empty(), "nothing is in flight meanwhile");
    walk.event(EventKind::Hold { by: by() });
    walk.event(EventKind::Release { by: by() });
    assert_eq!(walk.state(), "waiting_for_place");
    walk.event(EventKind::Admitted);
    assert_eq!(walk.ticket(), ticket);
}

#[test]
fn an_answer_that_comes_while_held_is_kept() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("copy").asked();
    let ticket = walk.ticket();
    walk.event(EventKind::Hold { by: by() });
    assert!(walk.machine.wanted().is_empty(), "nothing new begins while held");
    walk.event(EventKind::Succeeded { ticket, facts: None });
    assert_eq!(walk.state(), "held");
    walk.event(EventKind::Release { by: by() });
    assert_eq!(walk.asked(), ["restore#1"]);
}

#[test]
fn a_hold_keeps_a_compensation_as_well() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("bootlist").fail(FailureClass::Permanent, Residue::Left);
    let ticket = walk.ticket();
    walk.event(EventKind::Hold { by: by() });
    walk.event(EventKind::Succeeded { ticket, facts: None });
    walk.asked();
    walk.event(EventKind::Release { by: by() });
    assert_eq!(walk.asked(), ["undo copy#1"]);
}

#[test]
fn a_rewind_that_is_cancelled_goes_all_the_way_back() {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    walk.up_to("restore").fail(FailureClass::Transient, Residue::Left).wake().asked();
    walk.event(EventKind::Cancel { by: by() });
    walk.succeed().succeed().succeed();
    assert_eq!(walk.asked(), ["undo copy#1", "undo lease#1"]);
    assert_eq!(walk.state(), "rolled_back");
}

/// Every state, for the golden table. The match makes a new state a compile
/// error here.
fn states() -> Vec<State> {
    let at = Place { step: 2, round: 0, attempt: 1, rewinds: 0 };
    let failed = || cause(FailureClass::Transient);
    let course = || Course { from: at, until: 0, then: Then::Stop, cause: failed() };
    let executing = || State::Executing { at, stopping: None };
    let all = vec![
        State::Pending,
        executing(),
        State::Executing { at, stopping: Some(failed()) },
        State::WaitingForPlace { at, since_ms: 50 },
        State::BackingOff { at, wake_at_ms: 50, dirty: true, cause: failed() },
        State::AwaitingOperator { at, dirty: false, cause: failed() },
        State::Undoing { at, course: course() },
        State::UndoBackingOff { at, course: course(), wake_at_ms: 50, cause: failed() },
        State::UndoStuck { at, course: course(), cause: failed() },
        State::Held { resume: Box::new(executing()) },
        State::Migrated { at: Place { step: 6, ..at } },
        State::RolledBack { cause: failed() },
        State::Abandoned { cause: failed() },
        State::Refused { cause: failed() },
        State::Skipped { cause: failed() },
    ];
    for state in &all {
        match state {
            State::Pending
            | State::Executing { .. }
            | State::WaitingForPlace { .. }
            | State::BackingOff { .. }
            | State::AwaitingOperator { .. }
            | State::Undoing { .. }
            | State::UndoBackingOff { .. }
            | State::UndoStuck { .. }
            | State::Held { .. }
            | State::Migrated { .. }
            | State::RolledBack { .. }
            | State::Abandoned { .. }
            | State::Refused { .. }
            | State::Skipped { .. } => {}
        }
    }
    all
}

/// A migration that mounts, waits for a person where `step` cannot go on, and is
/// told to retry: the step that it then is at, and whether it goes back.
fn retried_after(trace: Residue) -> (State, State) {
    let mut blueprint = Blueprint::clone(&blueprint(FailurePolicy::Hold));
    let mount = StepSpec {
        phase: Phase::Mount,
        step: StepName::new("mount"),
        repeat: Repeat::Safe,
        undo: UndoKind::Reverse,
        gate: false,
    };
    blueprint.steps.insert(3, mount);
    let machine = Machine::new(Arc::new(blueprint));
    let mut walk = Walk { machine, now_ms: 1_000, seen: Vec::new() };
    walk.event(EventKind::Begin);
    walk.up_to("restore");
    let mut gone_back = Vec::new();
    // It goes back by itself as often as it may, and then waits for a person.
    while !walk.machine.state().waits_for_operator() {
        walk.fail(FailureClass::Permanent, trace);
        gone_back.push(walk.machine.state().clone());
        if !walk.machine.state().waits_for_operator() {
            walk.up_to("restore");
        }
    }
    assert_eq!(gone_back.len(), 3, "{gone_back:?}");
    walk.event(EventKind::Retry { by: by() });
    walk.fail(FailureClass::Permanent, trace);
    (gone_back[0].clone(), walk.machine.state().clone())
}

#[test]
fn what_a_step_stands_on_is_made_again_and_a_retry_by_order_begins_that_anew() {
    let at = |step, round, rewinds| Place { step, round, attempt: 1, rewinds };
    let (first, by_order) = retried_after(Residue::Unmounted);
    // Forward from the mount, with nothing undone: the copy is as it was.
    assert_eq!(first, State::Executing { at: at(3, 1, 1), stopping: None });
    assert_eq!(by_order, State::Executing { at: at(3, 3, 1), stopping: None });
    let (first, by_order) = retried_after(Residue::CopyLost);
    for state in [&first, &by_order] {
        let State::Undoing { course, .. } = state else { panic!("{state:?}") };
        assert_eq!((course.until, course.then), (2, Then::Forward), "to a fresh copy");
    }
}

/// A machine in `state`, by the shortest history that leads there.
fn machine_in(state: &State) -> Machine {
    let mut walk = Walk::begin(FailurePolicy::Rollback);
    let permanent = FailureClass::Permanent;
    match state {
        State::Pending => return Machine::new(blueprint(FailurePolicy::Rollback)),
        State::Executing { stopping: None, .. } => {
            walk.up_to("copy");
        }
        State::Executing { .. } => {
            walk.up_to("copy").event(EventKind::Cancel { by: by() });
        }
        State::WaitingForPlace { .. } => {
            let ticket = walk.up_to("copy").ticket();
            walk.event(EventKind::NoPlace { ticket });
        }
        State::BackingOff { .. } => {
            walk.up_to("copy").fail(FailureClass::Transient, Residue::Left);
        }
        State::AwaitingOperator { .. } => {
            walk.up_to("copy").fail(FailureClass::NeedsOperator, Residue::Clean);
        }
        State::Undoing { .. } => {
            walk.up_to("copy").fail(permanent, Residue::Left);
        }
        State::UndoBackingOff { .. } => {
            walk.up_to("copy").fail(permanent, Residue::Left);
            walk.fail(FailureClass::Transient, Residue::Left);
        }
        State::UndoStuck { .. } => {
            walk.up_to("copy").fail(permanent, Residue::Left).fail(permanent, Residue::Left);
        }
        State::Held { .. } => {
            walk.up_to("copy").event(EventKind::Hold { by: by() });
        }
        State::Migrated { .. } => {
            walk.up_to("verify").succeed();
        }
        State::RolledBack { .. } => {
            walk.up_to("copy").fail(permanent, Residue::Left).succeed().succeed();
        }
        State::Abandoned { .. } => {
            walk.up_to("copy").fail(permanent, Residue::Left).fail(permanent, Residue::Left);
            walk.event(EventKind::Abandon { by: by() });
        }
        State::Refused { .. } => {
            walk.fail(permanent, Residue::Clean);
        }
        State::Skipped { .. } => {
            walk.fail(FailureClass::AlreadyDone, Residue::Clean);
        }
    }
    assert_eq!(walk.machine.state().name(), state.name());
    walk.machine
}

/// Every kind of event, for the ticket that `machine` waits for, and for one
/// that it does not wait for.
fn adopted(state: State) -> EventKind {
    EventKind::Adopted { decisions: DECISIONS, state: Box::new(state) }
}

fn events(machine: &Machine) -> Vec<(&'static str, EventKind)> {
    let place = machine.state().place().unwrap_or_else(Place::start);
    let direction =
        if machine.state().is_compensating() { Direction::Undo } else { Direction::Forward };
    let ticket = machine.blueprint().ticket(place, direction);
    let late = Ticket { attempt: 99, ..ticket.clone() };
    let failed = |class, trace| EventKind::Failed {
        ticket: ticket.clone(),
        cause: cause(class),
        trace,
        retry_at_ms: 5_000,
        facts: None,
    };
    vec![
        ("begin", EventKind::Begin),
        ("no_place", EventKind::NoPlace { ticket: ticket.clone() }),
        ("admitted", EventKind::Admitted),
        ("succeeded", EventKind::Succeeded { ticket: ticket.clone(), facts: None }),
        ("succeeded late", EventKind::Succeeded { ticket: late.clone(), facts: None }),
        ("failed transient clean", failed(FailureClass::Transient, Residue::Clean)),
        ("failed transient dirty", failed(FailureClass::Transient, Residue::Left)),
        ("failed permanent", failed(FailureClass::Permanent, Residue::Left)),
        ("failed unmounted", failed(FailureClass::Permanent, Residue::Unmounted)),
        ("failed copy-lost", failed(FailureClass::Permanent, Residue::CopyLost)),
        ("failed already-done", failed(FailureClass::AlreadyDone, Residue::Clean)),
        ("failed needs-operator", failed(FailureClass::NeedsOperator, Residue::Left)),
        ("timer_fired", EventKind::TimerFired { ticket: ticket.clone() }),
        ("timer_fired late", EventKind::TimerFired { ticket: late }),
        ("cancel", EventKind::Cancel { by: by() }),
        ("rollback", EventKind::Rollback { by: by() }),
        ("hold", EventKind::Hold { by: by() }),
        ("release", EventKind::Release { by: by() }),
        ("retry", EventKind::Retry { by: by() }),
        ("abandon", EventKind::Abandon { by: by() }),
        ("adopted", adopted(machine.state().clone())),
    ]
}

#[test]
fn every_state_and_event_is_pinned() {
    let mut table = String::new();
    for state in states() {
        let probe = machine_in(&state);
        for (name, kind) in events(&probe) {
            let mut machine = machine_in(&state);
            let event = Event { at_ms: 10_000, kind };
            let result = machine.apply(&event).map_or_else(
                |_| "-".to_owned(),
                |transition| {
                    let effects: Vec<String> = transition.effects.iter().map(effect_text).collect();
                    format!("{} [{}]", transition.to, effects.join(", "))
                },
            );
            let stopping = if matches!(state, State::Executing { stopping: Some(_), .. }) {
                " stopping"
            } else {
                ""
            };
            let _ = writeln!(table, "{}{stopping} + {name} => {result}", state.name());
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/transitions.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &table).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).expect("the golden file is there");
    assert_eq!(table, golden, "look at the difference, then run with UPDATE_GOLDEN=1");
}

fn effect_text(effect: &Effect) -> String {
    match effect {
        Effect::Run { ticket, undo_of: None } => format!("run {ticket}"),
        Effect::Run { ticket, undo_of: Some(of) } => format!("run {ticket} of {of}"),
        Effect::Interrupt { ticket } => format!("interrupt {ticket}"),
        Effect::Sleep { ticket, until_ms } => format!("sleep {ticket} until {until_ms}"),
    }
}

/// Whatever turned a migration back: it begins at the step that it turned back
/// from, whose undo is told so, unless nothing had begun.
fn assert_silence_first(blueprint: &Blueprint, before: &State, transition: &Transition) {
    let turned = |state: &State| state.is_compensating();
    let ended = matches!(transition.to, State::RolledBack { .. });
    if turned(before) || !(turned(&transition.to) || ended) {
        return;
    }
    let at = match before {
        State::Migrated { at } => Some(*at),
        _ => before.place(),
    };
    if ended {
        assert!(at.is_none_or(|at| blueprint.step(at).gate), "{before} had begun");
        return;
    }
    let at = at.expect("what had not begun is not taken back");
    let State::Undoing { at: undone, .. } = &transition.to else {
        // Held, and turned back by the answer that came.
        return;
    };
    assert_eq!((undone.step, undone.round), (at.step, at.round));
    let ticket = blueprint.ticket(at, Direction::Forward);
    assert!(
        matches!(&transition.effects[..], [Effect::Run { undo_of: Some(of), .. }] if *of == ticket),
        "{before}: {:?}",
        transition.effects
    );
}

proptest! {
    /// Whatever happens: a replay of the events gives the same state and the
    /// same effects, a state survives its stored form, no ticket is asked for
    /// twice, and what is at its end stays there but by order.
    #[test]
    fn replay_is_exact(choices in proptest::collection::vec(any::<u8>(), 1..120)) {
        let mut walk = Machine::new(blueprint(FailurePolicy::Rollback));
        let mut events_applied: Vec<Event> = Vec::new();
        let mut transitions: Vec<Transition> = Vec::new();
        let mut asked: Vec<Ticket> = Vec::new();
        let mut now_ms = 10_000;
        for choice in choices {
            let kinds = events(&walk);
            let (_, kind) = kinds[usize::from(choice) % kinds.len()].clone();
            now_ms += 10_000;
            let event = Event { at_ms: now_ms, kind };
            let was_terminal = walk.state().is_terminal();
            let before = walk.state().clone();
            if let Ok(transition) = walk.apply(&event) {
                let adopts = matches!(event.kind, EventKind::Adopted { .. });
                let by_order = adopts || matches!(event.kind, EventKind::Rollback { .. });
                if !adopts {
                    assert_silence_first(walk.blueprint(), &before, &transition);
                }
                prop_assert!(!was_terminal || by_order);
                for effect in &transition.effects {
                    if let Effect::Run { ticket, .. } = effect {
                        let again = asked.last() == Some(ticket);
                        // These ask again for what is in flight, or waited.
                        let repeats = adopts || matches!(
                            event.kind,
                            EventKind::Release { .. }
                                | EventKind::Admitted
                                | EventKind::Cancel { .. }
                                | EventKind::Rollback { .. }
                        );
                        prop_assert!(again && repeats || !asked.contains(ticket), "{ticket} twice");
                        asked.push(ticket.clone());
                    }
                }
                if !transition.effects.is_empty() {
                    prop_assert_eq!(&transition.effects, &walk.wanted());
                }
                events_applied.push(event);
                transitions.push(transition);
            }
        }
        let mut replay = Machine::new(blueprint(FailurePolicy::Rollback));
        for (event, transition) in events_applied.iter().zip(&transitions) {
            let stored = serde_json::to_string(event).expect("an event can be stored");
            let event: Event = serde_json::from_str(&stored).expect("and read");
            prop_assert_eq!(&replay.apply(&event).expect("taken before"), transition);
        }
        let stored = serde_json::to_string(walk.state()).expect("a state can be stored");
        let state: State = serde_json::from_str(&stored).expect("and read");
        prop_assert_eq!(&state, walk.state());
        prop_assert_eq!(replay.wanted(), walk.wanted());
    }
}
