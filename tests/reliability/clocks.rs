//! The clock of the engine's machine is set in the middle of the night, by hours,
//! back or forward: the night takes as long as it would have.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use nimshift::base::{Millis, TokioClock};
use nimshift::engine::{Observer, SlotView};
use nimshift::journal::Journal;
use nimshift::lab::{FaultKind, FaultSpec};
use nimshift::machine::State;

use crate::world::{CLIENT, EVENING_MS, FLAVOURS, World, virtual_time};

const HOURS: Millis = 5 * 3_600_000;

/// Sets the clock when the first retry begins to wait.
struct Sets {
    clock: TokioClock,
    to: Option<Millis>,
    waits: Arc<Notify>,
}

impl Observer for Sets {
    fn moved(&mut self, _: u64, view: SlotView<'_>, _: &State) {
        if matches!(view.state(), State::BackingOff { .. }) {
            if let Some(to) = self.to.take() {
                self.clock.set(to);
            }
            self.waits.notify_one();
        }
    }
}

/// A night with two retries, and how long it takes. The clock is set to `to` while
/// an engine waits for the first, and, if it `dies` then, before the next engine.
async fn night(to: Option<Millis>, dies: bool) -> Duration {
    let world = World::new(FLAVOURS[0]);
    let fault = FaultSpec { times: Some(2), ..FaultSpec::once(FaultKind::Unreachable, CLIENT) };
    world.lab.add_fault(fault).expect("a fault");
    let begun = world.clock.steady();
    let waits = Arc::new(Notify::new());
    let mut sets =
        Sets { clock: world.set.clone(), to: to.filter(|_| !dies), waits: Arc::clone(&waits) };
    let performer = Arc::new(world.plain_performer());
    let (journal, loaded) = Journal::open(world.dir(), &world.options).expect("the journal");
    if dies {
        tokio::select! {
            biased;
            () = waits.notified() => {}
            _ = world.live_on(&journal, loaded, performer.clone(), &mut sets) => panic!("it waits"),
        }
        drop(journal);
        if let Some(to) = to {
            world.set.set(to);
        }
        world.live(performer).await;
    } else {
        world.live_on(&journal, loaded, performer, &mut sets).await;
        journal.close().expect("a clean end");
    }
    assert_eq!(world.state(), "migrated", "{}", world.story());
    world.assert_replays("a night with a clock that was set");
    world.clock.steady().saturating_sub(begun)
}

#[test]
fn a_clock_that_is_set_neither_stalls_a_retry_nor_ends_a_wait() {
    for dies in [false, true] {
        let usual = virtual_time(async || night(None, dies).await);
        for to in [EVENING_MS - HOURS, EVENING_MS + HOURS] {
            let took = virtual_time(async || night(Some(to), dies).await);
            let slower = took.saturating_sub(usual);
            assert!(slower < Duration::from_secs(3_600), "dies {dies}, {to}: {took:?}, {usual:?}");
            // What waited when nobody lived is over by any clock.
            let faster = usual.saturating_sub(took);
            let least = if dies { 3_600 } else { 1 };
            assert!(faster < Duration::from_secs(least), "dies {dies}, {to}: {took:?}, {usual:?}");
        }
    }
}
