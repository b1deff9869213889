//! Looks that fail for a reason that may pass: a step that only looks is tried
//! again then, whichever of its commands it was and whatever it said.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use nimshift::aix::{Entry, catalogue};
use nimshift::domain::{FailureClass, Outcome};
use nimshift::engine::{Performer, PerformerFuture, StepPerformer};
use nimshift::phases::Order;
use nimshift::phases::find;
use nimshift::transport::{CommandOutput, Output};

use super::over_lab::{Around, Call, OverLab};
use super::world::{World, flavours, virtual_time};

/// What one command says in place of its answer: which one, of those of an attempt.
#[derive(Default)]
struct Spoilt {
    command: usize,
    words: String,
    /// How many there have been.
    seen: usize,
}

/// One command of a look fails.
#[derive(Default)]
struct Spoils(Mutex<Option<Spoilt>>);

impl Around for Spoils {
    async fn before(&self, _call: &Call<'_>) {}

    fn said(&self, output: &mut Output) {
        if let Some(spoilt) = self.0.lock().expect("a lock").as_mut() {
            let at = spoilt.command.checked_sub(spoilt.seen);
            if let Some(said) = at.and_then(|at| output.commands.get_mut(at)) {
                let stderr = format!("{}\n", spoilt.words);
                *said = CommandOutput { status: 1, stderr, ..CommandOutput::default() };
            }
            spoilt.seen += output.commands.len();
        }
    }
}

/// A line as the entry has it.
fn words(entry: &Entry) -> String {
    let id = entry.ids.first().map(String::as_str).unwrap_or_default();
    let words = entry.patterns.first().map_or(entry.text.as_str(), String::as_str);
    format!("{}: {id} {words}", entry.tool)
}

/// Makes each attempt of a step that only looks once with each of its commands
/// failing, by every message in turn, before it is made as it is.
struct EachSpoilt {
    inner: StepPerformer,
    spoils: Arc<OverLab<Spoils>>,
    tried: Arc<AtomicUsize>,
}

impl Performer for EachSpoilt {
    fn perform(&self, order: Order) -> PerformerFuture {
        let def = find(order.ticket.phase, &order.ticket.step).expect("a step");
        if def.run.is_some() {
            return self.inner.perform(order);
        }
        let (inner, spoils, tried) =
            (self.inner.clone(), Arc::clone(&self.spoils), Arc::clone(&self.tried));
        Box::pin(async move {
            let passing: Vec<String> = catalogue()
                .iter()
                .filter(|entry| entry.class == FailureClass::Transient)
                .map(words)
                .collect();
            let mut command = 0;
            loop {
                let mut counted = 0;
                for words in &passing {
                    let next = Spoilt { command, words: words.clone(), seen: 0 };
                    *spoils.around.0.lock().expect("a lock") = Some(next);
                    let answer = inner.perform(order.clone()).await;
                    counted = spoils.around.0.lock().expect("a lock").take().map_or(0, |s| s.seen);
                    if command >= counted {
                        break;
                    }
                    tried.fetch_add(1, Ordering::SeqCst);
                    if let Outcome::Failed { cause, .. } = answer.outcome {
                        let ticket = &order.ticket;
                        let what = format!("{ticket}, command {command}: {words}: {cause:?}");
                        assert_eq!(cause.class, FailureClass::Transient, "{what}");
                    }
                }
                command += 1;
                if command >= counted {
                    return inner.perform(order).await;
                }
            }
        })
    }
}

#[test]
fn a_look_that_fails_for_a_reason_that_may_pass_is_tried_again() {
    let tried = Arc::new(AtomicUsize::new(0));
    for flavour in flavours() {
        virtual_time(async || {
            let world = World::new(flavour);
            let lab = world.lab.clone();
            let spoils = Arc::new(OverLab { lab, around: Spoils::default() });
            let inner = world.performer(spoils.clone());
            let performer = EachSpoilt { inner, spoils, tried: Arc::clone(&tried) };
            world.live(Arc::new(performer)).await;
            assert_eq!(world.state(), "migrated", "{flavour:?}: {}", world.last_cause());
        });
    }
    assert!(tried.load(Ordering::SeqCst) > 1_000, "{tried:?}");
}
