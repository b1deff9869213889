//! What a night's sleep rests on: every step of every phase, in all flavours,
//! fails, is repeated, undone and cut off at every point. All of it iterates
//! over the registry: a new step is taken in by itself.

mod believed;
mod beside_undo;
mod clean_copy;
mod clocks;
mod engine;
mod faulty;
mod foreign;
mod ground;
mod looks;
mod messes;
mod modes;
mod nimadm;
mod others;
mod over_lab;
mod places;
#[expect(dead_code, reason = "the tests of the journal use more of it")]
#[path = "../journal/power_vfs.rs"]
mod power_vfs;
mod reboots;
mod same;
mod same_call;
mod silence;
mod takeover;
mod two_engines;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nimshift::domain::{Direction, Driver, Phase, Repeat, UndoKind};
use nimshift::engine::Ended;
use nimshift::journal::{Journal, RequestKind};
use nimshift::lab::{Expectation, Stage};
use nimshift::phases::StepDef;

use faulty::{Arrives, Dies, FORMS, Fails, Form, Halves, Mark, Twice};
use over_lab::OverLab;
use power_vfs::{Disk, Loss, Vfs};
use world::{CLIENT, FLAVOURS, Flavour, World, assert_same, flavours, is_soak, virtual_time};

fn forward(def: &StepDef) -> Mark {
    Mark { step: def.step(), direction: Direction::Forward }
}

/// The image of the estate after a migration that met no trouble.
async fn good_end(flavour: Flavour) -> serde_json::Value {
    let world = World::new(flavour);
    let ended = world.live(Arc::new(world.plain_performer())).await;
    assert!(matches!(ended, Ended::AtRest), "{ended:?}");
    assert_eq!(world.state(), "migrated", "{flavour:?}");
    world.lab.image().expect("an image")
}

#[test]
fn a_migration_ends_well_and_leaves_nothing() {
    for flavour in flavours() {
        virtual_time(async || {
            let world = World::new(flavour);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{flavour:?}");
            let violations = world.lab.check(&[flavour.expected()]).expect("a check");
            assert!(violations.is_empty(), "{violations:#?}");
            world.assert_replays("a good end");
        });
    }
}

#[test]
fn every_step_of_the_registry_is_in_a_flavour() {
    for def in nimshift::phases::registry() {
        let is_in = |flavour: &Flavour| flavour.steps().iter().any(|step| step.name == def.name);
        assert!(FLAVOURS.iter().any(is_in), "{} is never tested", def.name);
    }
}

#[test]
fn actions_succeed_idempotently() {
    for flavour in flavours() {
        let good = virtual_time(async || good_end(flavour).await);
        for def in flavour.sample(flavour.steps()) {
            virtual_time(async || {
                let what = format!("{flavour:?}, {} made twice", def.name);
                let world = World::new(flavour);
                let inner = Arc::new(world.plain_performer());
                let mark = Some(forward(def));
                world.live(Arc::new(Twice { inner, mark, direction: Direction::Forward })).await;
                assert_eq!(world.state(), "migrated", "{what}");
                assert_same(&good, &world.lab.image().expect("an image"), &what);
                world.assert_replays(&what);
            });
        }
    }
}

/// Fails `def` in `form`, and returns the world after the engine came to rest.
async fn failed(flavour: Flavour, def: &StepDef, form: Form, undo_twice: bool) -> World {
    let world = World::new(flavour);
    let done = || AtomicBool::new(false);
    let inner = match form {
        Form::Half => {
            let lab = world.lab.clone();
            let around = Halves { lab: lab.clone(), mark: forward(def), done: done() };
            world.performer(Arc::new(OverLab { lab, around }))
        }
        _ => world.plain_performer(),
    };
    let fails = Fails { inner: Arc::new(inner), mark: forward(def), form, done: done() };
    if undo_twice {
        let inner = Arc::new(fails);
        world.live(Arc::new(Twice { inner, mark: None, direction: Direction::Undo })).await;
    } else {
        world.live(Arc::new(fails)).await;
    }
    world
}

/// After a failure all is as it was: before it began, or, for a part of a
/// migration, before the parts that others have done.
fn assert_taken_back(flavour: Flavour, world: &World, def: &StepDef, what: &str) {
    let expected = if def.gate { "refused" } else { "rolled_back" };
    assert_eq!(world.state(), expected, "{what}: {}", world.last_cause());
    let whole = matches!(flavour, Flavour::Part | Flavour::TakenOver) && !def.gate;
    let image = if whole { &world.first_image } else { &world.begun_image };
    let is = world.lab.image().expect("an image");
    // A takeover that did not come to its end leaves the lease to its holder.
    let is_left = flavour == Flavour::TakenOver && is == world.begun_image;
    let image = if is_left && def.name == "take-lease" { &is } else { image };
    assert_same(image, &is, what);
    if world.first_image == *image {
        let violations = world.lab.check(&[Expectation::untouched(CLIENT)]).expect("a check");
        assert!(violations.is_empty(), "{what}: {violations:#?}");
    }
    world.assert_replays(what);
}

/// After a failure of what is not taken back it is ordered again, and ends well.
async fn assert_goes_on(flavour: Flavour, world: &World, good: &serde_json::Value, what: &str) {
    assert_eq!(world.state(), "rolled_back", "{what}");
    world.assert_replays(what);
    world.again(flavour.spec());
    world.live(Arc::new(world.plain_performer())).await;
    assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
    assert_same(good, &world.lab.image().expect("an image"), what);
    let violations = world.lab.check(&[flavour.expected()]).expect("a check");
    assert!(violations.is_empty(), "{what}: {violations:#?}");
}

async fn assert_mended(
    flavour: Flavour,
    world: &World,
    def: &StepDef,
    good: &serde_json::Value,
    what: &str,
) {
    if flavour == Flavour::Part && !def.gate && def.phase < Phase::PreScript {
        // What others have done before is not the failed part's to take back.
        assert_eq!(world.state(), "rolled_back", "{what}");
        world.assert_replays(what);
        world.again(Flavour::Cleanup.spec());
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
        world.assert_untouched(what);
    } else if flavour.only_goes_on() && !def.gate {
        assert_goes_on(flavour, world, good, what).await;
    } else {
        assert_taken_back(flavour, world, def, what);
    }
}

#[test]
fn action_failure_can_unwind() {
    failures_unwind(Driver::Native);
}

#[test]
fn action_failure_can_unwind_by_nimadm() {
    failures_unwind(Driver::Nimadm);
}

fn failures_unwind(driver: Driver) {
    for flavour in flavours().filter(|flavour| flavour.driver() == driver) {
        let good = virtual_time(async || good_end(flavour).await);
        let steps = flavour.steps();
        let points = steps.iter().flat_map(|def| FORMS.map(|form| (*def, form)));
        for (def, form) in flavour.sample(points) {
            virtual_time(async || {
                let what = format!("{flavour:?}, {} fails, {form:?}", def.name);
                let world = failed(flavour, def, form, false).await;
                assert_mended(flavour, &world, def, &good, &what).await;
            });
        }
    }
}

#[test]
fn action_failure_can_unwind_idempotently() {
    for flavour in flavours() {
        let good = virtual_time(async || good_end(flavour).await);
        for def in flavour.sample(flavour.steps()) {
            virtual_time(async || {
                let what = format!("{flavour:?}, {} fails, every undo made twice", def.name);
                let world = failed(flavour, def, Form::Reply, true).await;
                assert_mended(flavour, &world, def, &good, &what).await;
            });
        }
    }
}

#[test]
fn undo_failure_is_stuck_and_resumable() {
    for flavour in flavours() {
        let steps = flavour.steps();
        let last = steps.last().expect("steps");
        for def in steps.iter().filter(|def| def.undo != UndoKind::Nothing) {
            virtual_time(async || {
                let what = format!("{flavour:?}, undo of {} fails", def.name);
                let world = World::new(flavour);
                let last_fails = Fails {
                    inner: Arc::new(world.plain_performer()),
                    mark: forward(last),
                    form: Form::Reply,
                    done: AtomicBool::new(false),
                };
                let undo_fails = Fails {
                    inner: Arc::new(last_fails),
                    mark: Mark { step: def.step(), direction: Direction::Undo },
                    form: Form::Before,
                    done: AtomicBool::new(false),
                };
                let performer = Arc::new(undo_fails);
                world.live(performer.clone()).await;
                assert_eq!(world.state(), "undo_stuck", "{what}");
                world.live(performer.clone()).await;
                assert_eq!(world.state(), "undo_stuck", "{what}: a restart is not an order");
                world.order(RequestKind::Retry);
                world.live(performer).await;
                assert_taken_back(flavour, &world, last, &what);
            });
        }
    }
}

/// How often the commands of a job were started, for each job of a step that
/// must not be repeated.
fn assert_nothing_ran_twice(world: &World, what: &str) {
    let mut started: BTreeMap<(String, String), u32> = BTreeMap::new();
    for entry in world.lab.log().expect("a log") {
        if let (Some(job), Stage::Started) = (&entry.job, entry.stage) {
            *started.entry((job.clone(), entry.line.clone())).or_default() += 1;
        }
    }
    for ((job, line), times) in started {
        // A script may hold the same line twice only where it is harmless.
        let never = nimshift::phases::registry()
            .iter()
            .any(|def| def.repeat == Repeat::Never && job.contains(&format!("-{}.f", def.name)));
        assert!(!never || times == 1, "{what}: {job} started {times} times: {line}");
    }
}

/// Dies at every boundary between engine and hosts, and goes on.
///
/// The modes beside disk migration, and those of nimadm, share most of its steps:
/// of their boundaries every ninth is tried, of disk migration's all;
/// `NIMSHIFT_SOAK=1` tries all.
#[test]
fn death_at_every_call_to_a_host() {
    deaths(Driver::Native);
}

#[test]
fn death_at_every_call_to_a_host_by_nimadm() {
    deaths(Driver::Nimadm);
}

fn deaths(driver: Driver) {
    for flavour in flavours().filter(|flavour| flavour.driver() == driver) {
        let all = is_soak() || flavour.is_tried_whole();
        let stride = if all { 1 } else { 9 };
        let good = virtual_time(async || good_end(flavour).await);
        let calls = virtual_time(async || {
            let world = World::new(flavour);
            let counts = Dies::at(world.lab.clone(), u64::MAX);
            world.live(Arc::new(world.performer(counts.clone()))).await;
            counts.around.count.load(Ordering::SeqCst)
        });
        assert!(calls > 10, "a migration makes many calls: {calls}");
        for dies_at in flavour.sample((1..=calls).step_by(stride)) {
            virtual_time(async || {
                let what = format!("{flavour:?}, dead at call {dies_at} of {calls}");
                let world = World::new(flavour);
                let dies = Dies::at(world.lab.clone(), dies_at);
                world.live_until_dead(&dies).await;
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
                assert_same(&good, &world.lab.image().expect("an image"), &what);
                assert_nothing_ran_twice(&world, &what);
                world.assert_replays(&what);
            });
        }
    }
}

/// An engine dies over a start that is still under way, and that arrives in the
/// midst of what the next engine does: before it has asked for the job, between
/// that and its look, after that. What runs is attached to, and nothing twice.
///
/// Of disk migration every other start is tried, of the rest every seventh;
/// `NIMSHIFT_SOAK=1` tries all, and more moments.
#[test]
fn starts_that_arrive_late() {
    let mut arrived = 0;
    for flavour in flavours() {
        let good = virtual_time(async || good_end(flavour).await);
        let starts = virtual_time(async || {
            let world = World::new(flavour);
            let counts = Dies::at(world.lab.clone(), u64::MAX);
            world.live(Arc::new(world.performer(counts.clone()))).await;
            counts.around.starts.lock().expect("a lock").clone()
        });
        assert!(!starts.is_empty(), "{flavour:?}");
        let stride = match (is_soak(), flavour.is_tried_whole()) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 7,
        };
        for dies_at in flavour.sample(starts.into_iter().step_by(stride)) {
            for calls in if is_soak() { 0..6 } else { 1..4 } {
                virtual_time(async || {
                    let what = format!("{flavour:?}, dead at {dies_at}, after {calls} calls");
                    let world = World::new(flavour);
                    let dies = Dies::at(world.lab.clone(), dies_at);
                    world.live_until_dead(&dies).await;
                    let late = Arc::new(Arrives::after(calls, &dies));
                    world.live(Arc::new(world.performer(late.clone()))).await;
                    arrived += u32::from(late.has_arrived());
                    assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
                    assert_same(&good, &world.lab.image().expect("an image"), &what);
                    assert_nothing_ran_twice(&world, &what);
                    let story = world.story();
                    assert!(!story.contains("found half done"), "{what}: {story}");
                    world.assert_replays(&what);
                });
            }
        }
    }
    assert!(arrived > 50, "only {arrived} arrived");
}

/// The power fails at every write of the journal: what it had acknowledged
/// stands, the estate goes on by itself, and the next engine ends the night.
///
/// Each operation meets one kind of loss, in turn; `NIMSHIFT_SOAK=1` tries all.
#[test]
fn crash_at_every_write() {
    crashes(Driver::Native);
}

#[test]
fn crash_at_every_write_by_nimadm() {
    crashes(Driver::Nimadm);
}

fn crashes(driver: Driver) {
    let soak = is_soak();
    for flavour in flavours().filter(|flavour| flavour.driver() == driver) {
        let good = virtual_time(async || good_end(flavour).await);
        let (first, all) = virtual_time(async || {
            let disk = Vfs::new(&format!("{flavour:?}-count"), Disk::default());
            let world = World::on_vfs(flavour, &disk.name);
            let first = disk.disk.lock().expect("no panic").operations();
            world.live(Arc::new(world.plain_performer())).await;
            let all = disk.disk.lock().expect("no panic").operations();
            (first, all)
        });
        assert!(all - first > 10, "a migration makes many writes: {first} to {all}");
        for point in flavour.sample(first + 1..all) {
            let kinds = [Loss::All, Loss::None, Loss::Some(point), Loss::Torn(point)];
            let chosen = usize::try_from(point).expect("few writes") % kinds.len();
            let tried = if soak { &kinds[..] } else { &kinds[chosen..=chosen] };
            for loss in tried {
                virtual_time(async || {
                    let what = format!("{flavour:?}, no power at write {point} of {all}, {loss:?}");
                    power_fails(flavour, point, *loss, &good, &what).await;
                });
            }
        }
    }
}

async fn power_fails(
    flavour: Flavour,
    point: u64,
    loss: Loss,
    good: &serde_json::Value,
    what: &str,
) {
    let before = Vfs::new(&format!("{flavour:?}-{point}-{loss:?}"), Disk::default());
    let mut world = World::on_vfs(flavour, &before.name);
    before.disk.lock().expect("no panic").fail_at(point);
    world.live_or_fail(Arc::new(world.plain_performer())).await;
    assert!(before.disk.lock().expect("no panic").operations() >= point, "{what}: it did not");
    let left = before.disk.lock().expect("no panic").after_power_loss(loss);
    let after = Vfs::new(&format!("{flavour:?}-{point}-{loss:?}-after"), left);
    world.options.vfs = Some(after.name.clone());
    world.live(Arc::new(world.plain_performer())).await;
    let (_, loaded) = Journal::open(world.dir(), &world.options).expect("it replays");
    assert_eq!(loaded[0].machine.state().name(), "migrated", "{what}");
    assert_same(good, &world.lab.image().expect("an image"), what);
    assert_nothing_ran_twice(&world, what);
}

/// The engine dies as soon as an entry is stored, whichever it is, with all
/// that followed from it undone or under way.
#[test]
fn cut_at_every_entry() {
    cuts(Driver::Native);
}

#[test]
fn cut_at_every_entry_by_nimadm() {
    cuts(Driver::Nimadm);
}

fn cuts(driver: Driver) {
    for flavour in flavours().filter(|flavour| flavour.driver() == driver) {
        let (good, entries) = virtual_time(async || {
            let world = World::new(flavour);
            world.live(Arc::new(world.plain_performer())).await;
            (world.lab.image().expect("an image"), world.entries())
        });
        for entry in flavour.sample(1..entries) {
            virtual_time(async || {
                let what = format!("{flavour:?}, cut at entry {entry} of {entries}");
                let world = World::new(flavour);
                world.live_until_entry(entry).await;
                assert_eq!(world.entries(), entry, "{what}");
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "migrated", "{what}");
                assert_same(&good, &world.lab.image().expect("an image"), &what);
                assert_nothing_ran_twice(&world, &what);
                world.assert_replays(&what);
            });
        }
    }
}
