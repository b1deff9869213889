//! The clock of the engine's machine is set in the middle of the night, by hours,
//! back or forward: the night takes as long as it would have.

use std::sync::Arc;
use std::time::Duration;

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use nimshift::base::{Millis, TokioClock};
use nimshift::engine::{Observer, SlotView};
use nimshift::journal::Journal;
use nimshift::lab::{FaultKind, FaultSpec};
use nimshift::machine::State;

use crate::over_lab::{Around, Call, OverLab};
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

/// A life of an engine that ends while the clone goes on.
async fn dies_while_it_clones(world: &World) {
    let disks = || world.lab.exec_words(CLIENT, &["lspv".to_owned()]).expect("a host").stdout;
    let clones = async {
        while !disks().contains("altinst_rootvg") {
            world.clock.sleep(Duration::from_secs(10)).await;
        }
    };
    tokio::select! {
        biased;
        () = clones => {}
        _ = world.live(Arc::new(world.plain_performer())) => panic!("at rest"),
    }
}

#[test]
fn a_job_is_as_old_as_its_host_says() {
    for to in [EVENING_MS - HOURS, EVENING_MS + 10 * HOURS] {
        virtual_time(async || {
            let world = World::new(FLAVOURS[0]);
            dies_while_it_clones(&world).await;
            // Between two engines, while the clone goes on, which may take six hours.
            world.set.set(to);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{to}: {}", world.story());
            let told = world.journal_text();
            assert!(!told.contains("Failed {"), "{to}: no attempt went wrong: {}", world.story());
        });
    }
}

/// The engine's process is stopped for an hour behind the first answered look at a
/// job that goes on, and goes on then.
struct Stopped {
    world_clock: nimshift::base::ClockRef,
    looks: AtomicBool,
    done: AtomicBool,
}

impl Around for Stopped {
    async fn before(&self, call: &Call<'_>) {
        if let Call::Start(_, id, _) = call {
            let is_clone = id.as_str().contains("clone-rootvg");
            self.looks.store(is_clone, Ordering::SeqCst);
        }
    }

    async fn after(&self, call: &Call<'_>) {
        let looks = matches!(call, Call::Poll) && self.looks.load(Ordering::SeqCst);
        if looks && !self.done.swap(true, Ordering::SeqCst) {
            self.world_clock.sleep(Duration::from_secs(3_600)).await;
        }
    }
}

async fn stopped(world: &World) -> Duration {
    let begun = world.clock.steady();
    let around = Stopped {
        world_clock: Arc::clone(&world.clock),
        looks: AtomicBool::new(false),
        done: AtomicBool::new(false),
    };
    let over = Arc::new(OverLab { lab: world.lab.clone(), around });
    world.live(Arc::new(world.performer(over.clone()))).await;
    assert!(over.around.done.load(Ordering::SeqCst), "it was stopped");
    world.clock.steady().saturating_sub(begun)
}

#[test]
fn an_engine_that_was_stopped_for_an_hour_ends_nothing_by_that() {
    virtual_time(async || {
        let world = World::new(FLAVOURS[0]);
        stopped(&world).await;
        assert_eq!(world.state(), "migrated", "{}", world.story());
        assert!(!world.journal_text().contains("Failed {"), "{}", world.story());
    });
    // A clone that hangs is ended when two hours were watched, and no sooner.
    virtual_time(async || {
        let world = World::new(FLAVOURS[0]);
        let hangs = FaultSpec::once(FaultKind::Stalled, CLIENT).on("alt_disk_copy");
        world.lab.add_fault(hangs).expect("a fault");
        let took = stopped(&world).await;
        assert_eq!(world.state(), "migrated", "{}", world.story());
        let told = world.journal_text();
        assert!(told.contains("the job said nothing for 2h"), "{}", world.story());
        assert!(took > Duration::from_secs(2 * 3_600 + 3_000), "{took:?}");
    });
}
