//! Hosts that do not answer for hours while a job runs on them: to an engine that
//! goes on from the journal they are what they were to the one that began it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nimshift::domain::{Direction, MigrationSpec, UndoKind};
use nimshift::engine::Performer;
use nimshift::journal::{Journal, RequestKind};
use nimshift::lab::{FaultKind, FaultSpec};
use nimshift::transport::{Command, HostId, JobId, JobState, Script, Transport as _};

use super::faulty::{Dies, Fails, Form, Mark};
use super::world::{CLIENT, Flavour, World, assert_same, virtual_time};
use super::{assert_nothing_ran_twice, forward, good_end};

const TWO_HOURS: Duration = Duration::from_secs(2 * 3600);

/// Disk migrations of both drivers, with and without a cache.
const TRIED: [Flavour; 3] = [Flavour::Plain, Flavour::Cached, Flavour::NimadmPlain];

/// A reboot may take longer than the silence, too.
fn world(flavour: Flavour) -> World {
    let reboot_timeout_ms = 3 * 3_600_000;
    World::of(&flavour.estate(), MigrationSpec { reboot_timeout_ms, ..flavour.spec() })
}

/// A life of an engine that finds all hosts silent for two hours.
async fn live_after_silence(world: &World) {
    let silence = FaultSpec {
        host: None,
        times: None,
        ..FaultSpec::once(FaultKind::Unreachable, "every host")
    };
    world.lab.add_fault(silence).expect("a fault");
    let performer = Arc::new(world.plain_performer());
    let answers = async {
        tokio::time::sleep(TWO_HOURS).await;
        world.lab.clear_faults().expect("no faults");
    };
    tokio::join!(world.live(performer), answers);
}

/// A life of an engine by `performer`, that ends when `dies` says so.
async fn live_until_dead(world: &World, performer: Arc<dyn Performer>, dies: &Dies) {
    let (journal, loaded) = Journal::open(world.dir(), &world.options).expect("the journal");
    let mut nobody = ();
    tokio::select! {
        biased;
        () = dies.around.dead.notified() => {}
        ended = world.live_on(&journal, loaded, performer, &mut nobody) => {
            panic!("the engine outlived its death: {ended:?}")
        }
    }
}

/// The boundaries behind the starts of jobs.
fn behind_starts(dies: &Dies) -> Vec<u64> {
    dies.around.starts.lock().expect("a lock").iter().map(|before| before + 1).collect()
}

#[test]
fn an_engine_that_goes_on_is_as_patient_with_a_silent_host() {
    for flavour in TRIED {
        let good = virtual_time(async || good_end(flavour).await);
        let starts = virtual_time(async || {
            let world = world(flavour);
            let counts = Dies::at(world.lab.clone(), u64::MAX);
            world.live(Arc::new(world.performer(counts.clone()))).await;
            behind_starts(&counts)
        });
        assert!(starts.len() > 10, "{flavour:?}");
        for dies_at in starts {
            virtual_time(async || {
                let what = format!("{flavour:?}, dead at {dies_at}, then silence");
                let world = world(flavour);
                let dies = Dies::at(world.lab.clone(), dies_at);
                world.live_until_dead(&dies).await;
                live_after_silence(&world).await;
                assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
                assert_same(&good, &world.lab.image().expect("an image"), &what);
                assert_nothing_ran_twice(&world, &what);
                world.assert_replays(&what);
            });
        }
    }
}

#[test]
fn what_is_taken_back_waits_for_a_silent_host_as_well() {
    for flavour in TRIED {
        let steps = flavour.steps().into_iter();
        let before = steps.take_while(|def| def.undo != UndoKind::Backout);
        let last = before.filter(|def| def.run.is_some()).last().expect("a step");
        let fails = |inner| Fails {
            inner,
            mark: Mark { direction: Direction::Forward, ..forward(last) },
            form: Form::Before,
            done: AtomicBool::new(false),
        };
        let starts = virtual_time(async || {
            let world = world(flavour);
            let counts = Dies::at(world.lab.clone(), u64::MAX);
            let inner = Arc::new(world.performer(counts.clone()));
            world.live(Arc::new(fails(inner))).await;
            assert_eq!(world.state(), "rolled_back", "{flavour:?}");
            behind_starts(&counts)
        });
        let mut tried = 0;
        for dies_at in starts.into_iter().rev().take(8) {
            virtual_time(async || {
                let what = format!("{flavour:?} taken back, dead at {dies_at}, then silence");
                let world = world(flavour);
                let dies = Dies::at(world.lab.clone(), dies_at);
                let inner = Arc::new(world.performer(dies.clone()));
                live_until_dead(&world, Arc::new(fails(inner)), &dies).await;
                if world.state() != "undoing" {
                    // The others are tried above.
                    return;
                }
                tried += 1;
                live_after_silence(&world).await;
                assert_eq!(world.state(), "rolled_back", "{what}: {}", world.last_cause());
                world.assert_untouched(&what);
                world.assert_replays(&what);
            });
        }
        assert!(tried > 1, "{flavour:?}: {tried}");
    }
}

#[test]
fn a_start_that_arrives_when_its_migration_was_taken_back_begins_nothing() {
    virtual_time(async || {
        let world = world(Flavour::Plain);
        let client = HostId::new(CLIENT);
        while world.lab.poll(&client, &clone_job(), 0, Duration::ZERO).await == Ok(JobState::Absent)
        {
            let performer = Arc::new(world.plain_performer());
            assert!(world.live_so_long(1, performer).await, "at rest");
        }
        // Its second attempt, which a dying engine has sent, and which is on its way.
        let late = JobId::new(clone_job().as_str().replace(".f0.1", ".f0.2"));
        assert_eq!(world.lab.kill(&client, &late).await, Ok(JobState::NotBegun));
        world.order(RequestKind::Rollback);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "rolled_back", "{}", world.story());
        let script = Script::new([Command::new(["alt_disk_copy", "-d", "hdisk1"])]);
        let begun = world.lab.start(&client, &late, &script).await;
        assert_eq!(begun, Ok(JobState::NotBegun));
        world.assert_untouched("a start that came late");
        // It is not kept for ever.
        tokio::time::sleep(Duration::from_secs(25 * 3_600)).await;
        world.lab.forget(&client, "another.").await.expect("a host");
        let known = world.lab.poll(&client, &late, 0, Duration::ZERO).await;
        assert_eq!(known, Ok(JobState::Absent));
    });
}

fn clone_job() -> JobId {
    JobId::new("test.m1.01-clone-rootvg.f0.1")
}
