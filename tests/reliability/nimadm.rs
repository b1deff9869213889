//! What only the nimadm driver meets: nimadm's own clean-up after a failure, its
//! lock, and a nimadm that is nobody's job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nimshift::domain::StepName;
use nimshift::engine::{Performer, PerformerFuture};
use nimshift::journal::RequestKind;
use nimshift::lab::{FaultKind, FaultSpec, Lab, Stage};
use nimshift::phases::Order;
use nimshift::transport::{Command, HostId, JobId, Script, Transport as _};

use super::world::{Flavour, World, assert_same, virtual_time};

const MASTER: &str = "nim1";

/// A world of `flavour`, whose nimadm keeps or cleans up, with a fault.
fn world(flavour: Flavour, keeps: bool, fault: Option<FaultSpec>) -> World {
    let mut estate = flavour.estate();
    estate.master.nimadm_keeps = keeps;
    estate.fault = fault.into_iter().collect();
    World::of(&estate, flavour.spec())
}

/// How often jobs have started a command that holds `part` on the master.
fn started(world: &World, part: &str) -> usize {
    let log = world.lab.log().expect("a log");
    let is = |entry: &&nimshift::lab::LogEntry| {
        entry.host == MASTER && entry.stage == Stage::Started && entry.line.contains(part)
    };
    log.iter().filter(is).count()
}

async fn migrates(world: &World, what: &str) {
    world.live(Arc::new(world.plain_performer())).await;
    assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
    world.assert_replays(what);
}

/// The end of a migration that met no trouble.
async fn good_end(flavour: Flavour) -> serde_json::Value {
    let world = World::new(flavour);
    migrates(&world, "no trouble").await;
    world.lab.image().expect("an image")
}

#[test]
fn a_failure_that_may_pass_is_repeated_in_the_copy_or_in_a_fresh_one() {
    for keeps in [false, true] {
        virtual_time(async || {
            let good = good_end(Flavour::NimadmPlain).await;
            let busy = FaultSpec::once(FaultKind::BusyUnmount, MASTER).on("umount /lpar01_alt");
            let world = world(Flavour::NimadmPlain, keeps, Some(busy));
            migrates(&world, "a busy unmount").await;
            // What nimadm has removed is seen, and made anew.
            assert_eq!(started(&world, "-P 1 "), if keeps { 1 } else { 2 });
            assert_eq!(started(&world, "-P 9 "), 2);
            let told = world.journal_text();
            let gone = "nimadm removes it when it cleans up by itself";
            assert_eq!(told.contains(gone), !keeps, "the probe's words are kept");
            assert_same(&good, &world.lab.image().expect("an image"), "a busy unmount");
        });
    }
}

#[test]
fn a_failure_for_good_is_taken_back_whether_nimadm_cleans_up_or_not() {
    for flavour in [Flavour::NimadmPlain, Flavour::NimadmCached] {
        for keeps in [false, true] {
            virtual_time(async || {
                let full = FaultSpec::once(FaultKind::DiskFull, MASTER).on("installp -R");
                let world = world(flavour, keeps, Some(full));
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "rolled_back");
                let cause = world.last_cause();
                assert!(cause.contains("0503-008"), "{cause}");
                world.assert_untouched("no room in phase 6");
                world.assert_replays("no room in phase 6");
            });
        }
    }
}

#[test]
fn leftovers_of_multibos_fail_phase_11_and_are_named() {
    virtual_time(async || {
        let mut estate = Flavour::NimadmPlain.estate();
        estate.client[0].multibos_hidden = true;
        let world = World::of(&estate, Flavour::NimadmPlain.spec());
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "rolled_back");
        let cause = world.last_cause();
        assert!(cause.contains("0505-218"), "{cause}");
        world.assert_untouched("multibos");
    });
}

#[test]
fn a_nimadm_that_hangs_is_ended_and_its_lock_is_reset() {
    // In phase 2 the copy is whole, and the phase is repeated in it; in phase 5
    // it is spoilt.
    for (command, clones) in [("exportfs -i", 1), ("ODM_merge", 2)] {
        virtual_time(async || {
            let good = good_end(Flavour::NimadmPlain).await;
            let hangs = FaultSpec::once(FaultKind::Stalled, MASTER).on(command);
            let world = world(Flavour::NimadmPlain, false, Some(hangs));
            migrates(&world, command).await;
            assert_eq!(started(&world, "-P 1 "), clones, "{command}");
            let reset = started(&world, "nim -Fo reset lpar01") + started(&world, "nimadm -C");
            assert!(reset > 0, "{command}");
            assert_same(&good, &world.lab.image().expect("an image"), command);
        });
    }
}

#[test]
fn a_master_that_is_rebooted_costs_a_fresh_clone() {
    for flavour in [Flavour::NimadmPlain, Flavour::NimadmCached] {
        virtual_time(async || {
            let good = good_end(flavour).await;
            let reboot = FaultSpec::once(FaultKind::Reboot, MASTER).on("ODM_merge");
            let world = world(flavour, false, Some(reboot));
            migrates(&world, "the master is rebooted").await;
            assert_eq!(started(&world, "-P 1 "), 2);
            assert_same(&good, &world.lab.image().expect("an image"), "a reboot");
        });
    }
}

/// Starts a nimadm that is nobody's before a step is begun for the first time.
struct Meets<P> {
    inner: Arc<P>,
    lab: Lab,
    step: StepName,
    done: AtomicBool,
}

fn alien() -> JobId {
    JobId::new("alien")
}

impl<P: Performer + 'static> Performer for Meets<P> {
    fn perform(&self, order: Order) -> PerformerFuture {
        if order.ticket.step != self.step || self.done.swap(true, Ordering::SeqCst) {
            return self.inner.perform(order);
        }
        let (inner, lab) = (Arc::clone(&self.inner), self.lab.clone());
        Box::pin(async move {
            let hangs = FaultSpec::once(FaultKind::Stalled, MASTER).on("installp -C");
            lab.add_fault(hangs).expect("a fault");
            let words = "nimadm -l lpp_7300_02 -c lpar01 -s spot_7300_02 -d hdisk1 -Y -P6";
            let script = Script::new([Command::new(words.split(' '))]);
            let host = HostId::new(MASTER);
            lab.start(&host, &alien(), &script).await.expect("a start");
            let clock = lab.clock();
            clock.sleep(std::time::Duration::from_secs(60)).await;
            inner.perform(order).await
        })
    }
}

#[test]
fn a_nimadm_that_is_nobodys_is_seen_and_nothing_is_done_beside_it() {
    virtual_time(async || {
        let world = world(Flavour::NimadmPlain, true, None);
        let meets = Meets {
            inner: Arc::new(world.plain_performer()),
            lab: world.lab.clone(),
            step: StepName::new("nimadm-migrate-filesets"),
            done: AtomicBool::new(false),
        };
        world.live(Arc::new(meets)).await;
        assert_eq!(world.state(), "awaiting_operator", "{}", world.story());
        let cause = world.last_cause();
        assert!(cause.contains("a nimadm that nimshift did not start works on lpar01"), "{cause}");
        assert_eq!(started(&world, "-P 6 "), 0);
        // Taking back is not done beside it either.
        world.order(RequestKind::Rollback);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "undo_stuck", "{}", world.story());
        let host = HostId::new(MASTER);
        world.lab.kill(&host, &alien()).await.expect("an end");
        world.order(RequestKind::Retry);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "rolled_back", "{}", world.story());
        world.assert_untouched("after the other nimadm");
    });
}
