//! What statig 0.4.1 does, as found out rather than as documented.
//!
//! Each test pins one fact that the machine leans on or steers around. A test
//! that fails after an upgrade is a fact to read about in its changes, and not
//! a test to be mended in passing.

#![expect(missing_docs, reason = "the macro makes public types")]

use serde::{Deserialize, Serialize};
use statig::blocking::{IntoStateMachineExt as _, StateMachine};
use statig::prelude::{Handled, Outcome, Super, Transition, state_machine};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum State {
    Inside { number: u32 },
    Beside { number: u32 },
    Outside,
}

enum Event {
    GoTo(State),
    Count,
    CountAndDefer,
    Unknown,
}

/// Two leaves in one superstate and one outside of it, writing down every call.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Traced {}

#[state_machine(
    initial = "State::Inside { number: 0 }",
    state(custom, name = "State"),
    superstate(derive(Debug)),
    before_transition = "Self::before_transition",
    after_transition = "Self::after_transition"
)]
impl Traced {
    #[state(superstate = "around", entry_action = "enter_inside", exit_action = "exit_inside")]
    fn inside(context: &mut Vec<String>, event: &Event, number: &mut u32) -> Outcome<State> {
        // The macro takes the type of the context from handlers alone.
        let _ = context;
        match event {
            Event::GoTo(state) => Transition(state.clone()),
            Event::Count => {
                *number += 1;
                Handled
            }
            Event::CountAndDefer => {
                *number += 1;
                Super
            }
            Event::Unknown => Super,
        }
    }

    #[action]
    fn enter_inside(context: &mut Vec<String>, number: &u32) {
        context.push(format!("enter inside {number}"));
    }

    #[action]
    fn exit_inside(context: &mut Vec<String>, number: &u32) {
        context.push(format!("exit inside {number}"));
    }

    #[state(superstate = "around", entry_action = "enter_beside")]
    fn beside(event: &Event, number: &mut u32) -> Outcome<State> {
        let _ = number;
        match event {
            Event::GoTo(state) => Transition(state.clone()),
            _ => Super,
        }
    }

    #[action]
    fn enter_beside(context: &mut Vec<String>, number: &u32) {
        context.push(format!("enter beside {number}"));
    }

    #[superstate(entry_action = "enter_around", exit_action = "exit_around")]
    fn around() -> Outcome<State> {
        Super
    }

    #[action]
    fn enter_around(context: &mut Vec<String>) {
        context.push("enter around".to_owned());
    }

    #[action]
    fn exit_around(context: &mut Vec<String>) {
        context.push("exit around".to_owned());
    }

    #[state]
    fn outside(event: &Event) -> Outcome<State> {
        match event {
            Event::GoTo(state) => Transition(state.clone()),
            _ => Super,
        }
    }

    #[expect(clippy::unused_self, reason = "the macro calls it as a method")]
    fn before_transition(&mut self, source: &State, target: &State, context: &mut Vec<String>) {
        context.push(format!("before {source:?} to {target:?}"));
    }

    #[expect(clippy::unused_self, reason = "the macro calls it as a method")]
    fn after_transition(&mut self, source: &State, target: &State, context: &mut Vec<String>) {
        context.push(format!("after {source:?} to {target:?}"));
    }
}

fn started() -> (StateMachine<Traced>, Vec<String>) {
    let mut machine = Traced {}.state_machine();
    let mut log = vec![];
    machine.init_with_context(&mut log);
    assert_eq!(log, ["enter around", "enter inside 0"]);
    log.clear();
    (machine, log)
}

#[test]
fn before_transition_has_source_and_target_swapped() {
    let (mut machine, mut log) = started();
    machine.handle_with_context(&Event::GoTo(State::Outside), &mut log);
    assert!(log.contains(&"before Outside to Inside { number: 0 }".to_owned()), "{log:?}");
    assert!(log.contains(&"after Inside { number: 0 } to Outside".to_owned()), "{log:?}");
}

#[test]
fn a_leaf_that_changes_its_fields_is_left_and_entered_again() {
    let (mut machine, mut log) = started();
    machine.handle_with_context(&Event::GoTo(State::Inside { number: 7 }), &mut log);
    log.retain(|line| line.starts_with('e'));
    assert_eq!(log, ["exit inside 0", "enter inside 7"]);
}

#[test]
fn a_superstate_is_entered_once_for_all_of_its_children() {
    let (mut machine, mut log) = started();
    machine.handle_with_context(&Event::GoTo(State::Beside { number: 1 }), &mut log);
    machine.handle_with_context(&Event::GoTo(State::Outside), &mut log);
    log.retain(|line| line.starts_with('e'));
    assert_eq!(log, ["exit inside 0", "enter beside 1", "exit around"]);
}

/// `handle` returns `()`: an event that nobody took looks like one that was.
#[test]
fn an_event_that_no_handler_takes_is_dropped_in_silence() {
    let (mut machine, mut log) = started();
    let () = machine.handle_with_context(&Event::Unknown, &mut log);
    assert!(log.is_empty(), "{log:?}");
    assert_eq!(*machine.state(), State::Inside { number: 0 });
}

/// Fields changed in place are changed for good, with no transition to hook
/// into, even when the handler goes on to defer the event. The machine uses it
/// for a cancelled rewind.
#[test]
fn a_field_changes_without_a_transition() {
    let (mut machine, mut log) = started();
    machine.handle_with_context(&Event::Count, &mut log);
    machine.handle_with_context(&Event::CountAndDefer, &mut log);
    assert_eq!(*machine.state(), State::Inside { number: 2 });
    assert!(!log.iter().any(|line| line.starts_with("after")), "{log:?}");
}

/// A machine that comes back from serde runs the entry actions of its state at
/// its first event. That is why ours is restored by replay.
#[test]
fn a_deserialized_machine_runs_its_entry_actions_again() {
    let (mut machine, mut log) = started();
    machine.handle_with_context(&Event::GoTo(State::Beside { number: 3 }), &mut log);
    let json = serde_json::to_string(&machine).unwrap();
    let mut restored: StateMachine<Traced> = serde_json::from_str(&json).unwrap();
    let mut log = vec![];
    restored.handle_with_context(&Event::Unknown, &mut log);
    assert_eq!(log, ["enter around", "enter beside 3"]);
}

/// A machine of `Send` parts can move between threads.
#[test]
fn machines_are_send() {
    fn assert_send<T: Send>(_: &T) {}
    assert_send(&Traced {}.state_machine());
}
