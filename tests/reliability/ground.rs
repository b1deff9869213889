//! What a migration stands on is taken from it: hosts are rebooted between its
//! steps, and whatever can go wrong does so for as long as it takes to make it
//! wait for a person. What then is printed leads out.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nimshift::domain::{
    Control, Direction, FailurePolicy, HostRole, MigrationSpec, Options, Phase, UndoKind,
};
use nimshift::engine::Performer;
use nimshift::journal::{Reader, RequestKind};
use nimshift::lab::{FaultKind, FaultSpec, Lab};
use nimshift::machine::Blueprint;
use nimshift::phases::{LeftBy, StepDef, left, plan_steps};
use nimshift::report::{MigrationView, Story, asked_after, next_step, remains};

use super::faulty::{Fails, First, Form, Mark};
use super::world::{CLIENT, Flavour, MASTER, World, assert_same, by_hand, is_soak, virtual_time};
use super::{forward, good_end};

/// A boot takes five.
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// One of each mode, and of each driver.
const TRIED: [Flavour; 7] = [
    Flavour::Plain,
    Flavour::Cached,
    Flavour::Update,
    Flavour::ClientToMksysb,
    Flavour::MksysbToClient,
    Flavour::NimadmPlain,
    Flavour::NimadmCached,
];

fn hosts(flavour: Flavour) -> impl Iterator<Item = &'static str> {
    let has_client = flavour.spec().task.has_client();
    [CLIENT, MASTER].into_iter().filter(move |host| has_client || *host == MASTER)
}

/// The steps before the copy is booted that are not the gate.
fn steps_between(flavour: Flavour) -> Vec<&'static StepDef> {
    let steps = flavour.steps().into_iter().filter(|def| !def.gate);
    steps.take_while(|def| def.undo != UndoKind::Backout).collect()
}

/// Those of them before which `host` may be booted: a client whose bootlist is set
/// boots the copy.
fn steps_before_boot(flavour: Flavour, host: &str) -> Vec<&'static StepDef> {
    let mut steps = steps_between(flavour);
    steps.retain(|def| host != CLIENT || def.phase < Phase::Finish);
    steps
}

fn reboots<P>(world: &World, host: &'static str, mark: Mark, inner: Arc<P>) -> First<P> {
    let lab = world.lab.clone();
    let act = Box::new(move || lab.boot_host(host, None).expect("a host"));
    First { inner, mark, act, takes: TEN_MINUTES, done: AtomicBool::new(false) }
}

fn fails<P>(def: &StepDef, inner: Arc<P>) -> Fails<P> {
    Fails { inner, mark: forward(def), form: Form::Before, done: AtomicBool::new(false) }
}

fn holding(flavour: Flavour) -> MigrationSpec {
    MigrationSpec { on_failure: FailurePolicy::Hold, ..flavour.spec() }
}

/// The migration of `spec`, as reports have it.
fn view(world: &World, spec: &MigrationSpec) -> MigrationView {
    let reader = Reader::open(world.dir()).expect("a journal");
    let row = reader.migrations(None).expect("migrations").pop().expect("one");
    let blueprint = Blueprint::new(spec, plan_steps(spec).steps).expect("a blueprint");
    MigrationView {
        id: row.id,
        batch: "test".to_owned(),
        client: row.client,
        number: row.number,
        state: row.state,
        blueprint: Arc::new(blueprint),
        spec: Arc::new(spec.clone()),
        since_ms: row.updated_ms,
        cleaned_ms: None,
        seen: None,
        is_silent: false,
        is_archived: false,
        is_gone: false,
    }
}

/// Its story, with what its hosts say is left on them.
async fn story_of(world: &World, spec: &MigrationSpec) -> Story {
    let view = view(world, spec);
    let reader = Reader::open(world.dir()).expect("a journal");
    let entries = reader.history(view.id).expect("a history");
    let mut story = Story { view, entries, found: Vec::new(), before: None };
    let facts = story.facts();
    let owner = format!("test.{}", story.view.id);
    let by = LeftBy {
        spec,
        facts: &facts,
        owner: &owner,
        control: &Control::default(),
        now_ms: world.clock.now_ms(),
    };
    story.found = left(&world.lab, by, &asked_after(&story)).await;
    story
}

/// Gives the order that is printed for a migration that waits, and lets an engine
/// live on.
async fn follow_the_hint(world: &World, spec: &MigrationSpec, performer: Arc<dyn Performer>) {
    let next = next_step(&view(world, spec)).expect("a way out");
    // Who was told to reboot once is booted by a person.
    if next.contains("by hand") || next.contains("if it is booted from") {
        by_hand(&world.lab, CLIENT, "bootlist -m normal hdisk1");
        world.lab.boot_host(CLIENT, None).expect("a host");
        tokio::time::sleep(TEN_MINUTES).await;
    }
    let order = if next.contains(&format!("`nimshift retry {CLIENT}`")) {
        RequestKind::Retry
    } else {
        panic!("no order is printed: {next}")
    };
    world.order(order);
    world.live(performer).await;
}

/// The states in which a person is waited for.
const WAITING: [&str; 2] = ["awaiting_operator", "undo_stuck"];

/// Follows what is printed, twice at most, while it waits in one of `states`.
async fn follow_the_hints(
    world: &World,
    spec: &MigrationSpec,
    states: &[&str],
    performer: Arc<dyn Performer>,
) {
    for _ in 0..2 {
        if states.contains(&world.state()) {
            follow_the_hint(world, spec, performer.clone()).await;
        }
    }
}

#[test]
fn what_is_taken_back_after_a_reboot_leaves_nothing() {
    for flavour in TRIED {
        for host in hosts(flavour) {
            for def in flavour.sample(steps_before_boot(flavour, host)) {
                virtual_time(async || {
                    let what = format!("{flavour:?}, {host} rebooted at {}, then back", def.name);
                    let world = World::new(flavour);
                    let inner = Arc::new(fails(def, Arc::new(world.plain_performer())));
                    world.live(Arc::new(reboots(&world, host, forward(def), inner))).await;
                    assert_eq!(world.state(), "rolled_back", "{what}: {}", world.last_cause());
                    world.assert_untouched(&what);
                    world.assert_replays(&what);
                });
            }
        }
    }
}

#[test]
fn a_reboot_between_two_undos_leaves_nothing() {
    for flavour in TRIED {
        for host in hosts(flavour) {
            let steps = steps_before_boot(flavour, host);
            let last = *steps.last().expect("steps");
            for def in steps.iter().filter(|def| def.undo != UndoKind::Nothing) {
                virtual_time(async || {
                    let what =
                        format!("{flavour:?}, {host} rebooted before {} is undone", def.name);
                    let world = World::new(flavour);
                    let mark = Mark { direction: Direction::Undo, ..forward(def) };
                    let inner = Arc::new(world.plain_performer());
                    let reboots = Arc::new(reboots(&world, host, mark, inner));
                    world.live(Arc::new(fails(last, reboots))).await;
                    assert_eq!(world.state(), "rolled_back", "{what}: {}", world.last_cause());
                    world.assert_untouched(&what);
                });
            }
        }
    }
}

/// A world whose client was migrated although `host` was rebooted at a step, by the
/// orders that were printed.
async fn migrated_although_rebooted(
    flavour: Flavour,
    spec: &MigrationSpec,
    (host, def): (&'static str, &'static StepDef),
    what: &str,
) -> World {
    let world = World::of(&flavour.estate(), spec.clone());
    let inner = Arc::new(world.plain_performer());
    let performer = Arc::new(reboots(&world, host, forward(def), inner));
    world.live(performer.clone()).await;
    follow_the_hints(&world, spec, &["awaiting_operator"], performer).await;
    assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
    world
}

#[test]
fn a_migration_goes_on_after_a_reboot_between_two_steps() {
    for flavour in TRIED {
        let good = virtual_time(async || good_end(flavour).await);
        let spec = holding(flavour);
        for host in hosts(flavour) {
            for def in flavour.sample(steps_before_boot(flavour, host)) {
                virtual_time(async || {
                    let what = format!("{flavour:?}, {host} rebooted at {}", def.name);
                    let world =
                        migrated_although_rebooted(flavour, &spec, (host, def), &what).await;
                    assert_same(&good, &world.lab.image().expect("an image"), &what);
                    world.assert_replays(&what);
                });
            }
        }
    }
}

/// Before the copy is asleep it is lost with its mounts; behind the bootlist the
/// client boots it.
#[test]
fn a_client_that_is_rebooted_in_the_last_phases_ends_as_it_says() {
    for flavour in [Flavour::Plain, Flavour::Cached, Flavour::NimadmPlain, Flavour::NimadmCached] {
        for reboot in [false, true] {
            let holding = holding(flavour);
            let options = Options { reboot, ..holding.options.clone() };
            let spec = MigrationSpec { options, ..holding };
            let last = flavour.steps().into_iter().filter(|def| def.phase >= Phase::Finish);
            for def in last.filter(|def| (def.applies)(&spec)) {
                virtual_time(async || {
                    let what = format!("{flavour:?}, -r: {reboot}, rebooted at {}", def.name);
                    let world =
                        migrated_although_rebooted(flavour, &spec, (CLIENT, def), &what).await;
                    for left in ["/var/adm/nimshift", "/ALT_MIG_SPOT"] {
                        let words = ["ls", "-d", left].map(str::to_owned);
                        let said = world.lab.exec_words(CLIENT, &words).expect("an answer");
                        assert_ne!(said.status, 0, "{what}: {left} is left");
                    }
                    world.assert_replays(&what);
                });
            }
        }
    }
}

#[test]
fn a_reboot_of_the_master_in_the_midst_of_any_command_is_come_back_from() {
    for flavour in [Flavour::Plain, Flavour::Cached, Flavour::ClientToMksysb, Flavour::NimadmCached]
    {
        let good = virtual_time(async || good_end(flavour).await);
        let stride = if is_soak() { 1 } else { 5 };
        let steps = steps_between(flavour);
        let last = *steps.last().expect("steps");
        for (skip, is_taken_back) in
            (0..).step_by(stride).flat_map(|skip| [(skip, false), (skip, true)])
        {
            let struck = virtual_time(async || {
                let what = format!("{flavour:?}, reboot at command {skip}, back: {is_taken_back}");
                let world = World::new(flavour);
                let fault = FaultSpec { skip, ..FaultSpec::once(FaultKind::Reboot, MASTER) };
                world.lab.add_fault(fault).expect("a fault");
                let plain = Arc::new(world.plain_performer());
                let performer: Arc<dyn Performer> =
                    if is_taken_back { Arc::new(fails(last, plain)) } else { plain };
                world.live(performer.clone()).await;
                let spec = flavour.spec();
                tokio::time::sleep(TEN_MINUTES).await;
                follow_the_hints(&world, &spec, &WAITING, performer.clone()).await;
                match world.state() {
                    "migrated" => assert_same(&good, &world.lab.image().expect("an image"), &what),
                    "rolled_back" => world.assert_untouched(&what),
                    "refused" => {}
                    _ => panic!("{what}: {} {}", world.last_cause(), world.story()),
                }
                world.lab.faults().expect("faults").iter().any(|fault| fault.hits > 0)
            });
            if !struck {
                break;
            }
        }
    }
}

/// From now on every command of the host goes wrong in that way.
fn goes_wrong(lab: &Lab, kind: FaultKind, host: HostRole) {
    let host = if host == HostRole::Client { CLIENT } else { MASTER };
    let fault = FaultSpec { times: None, ..FaultSpec::once(kind, host) };
    lab.add_fault(fault).expect("a fault");
}

/// What is claimed as left is in the estate, and what is in the estate is claimed;
/// of a host that does not answer nothing is claimed but what was seen last.
async fn assert_told_what_is_left(world: &World, spec: &MigrationSpec, what: &str) {
    let story = story_of(world, spec).await;
    let told = remains(&story);
    if asked_after(&story).is_empty() || told.iter().any(|line| line.contains("not asked since")) {
        return;
    }
    // What is told, and where an administrator looks for it.
    let table = [
        ("the lease on the client", CLIENT, "ls /var/adm/nimshift", "lease"),
        ("the SPOT's mount", CLIENT, "ls /", "ALT_MIG_SPOT"),
        ("altinst_rootvg on", CLIENT, "lspv", "altinst_rootvg"),
        ("exports below /alt_inst", CLIENT, "exportfs", "/alt_inst"),
        ("mounts below", MASTER, "ls /", "lpar01_alt"),
        ("cache file systems", MASTER, "lsfs -c", "/lpar01_alt"),
    ];
    for (text, host, line, shows) in table {
        if text == "mounts below" && spec.caches() {
            continue;
        }
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let Ok(said) = world.lab.exec_words(host, &words) else { return };
        let is_there = said.stdout.contains(shows);
        let mut lines = told.iter().filter(|line| line.contains(text)).peekable();
        // Without its copy: whether it is the mount of what nimadm makes in phase 1.
        if lines.peek().is_some_and(|line| line.ends_with("perhaps the SPOT's mount")) {
            continue;
        }
        let is_told = lines.next().is_some();
        assert_eq!(is_told, is_there, "{what}: {text}: told {told:?}; {line}: {}", said.stdout);
    }
}

#[test]
fn where_a_person_is_waited_for_what_is_printed_leads_out() {
    for flavour in [Flavour::Plain, Flavour::Cached, Flavour::NimadmPlain] {
        let good = virtual_time(async || good_end(flavour).await);
        let spec = holding(flavour);
        let steps: Vec<_> = flavour.steps().into_iter().filter(|def| !def.gate).collect();
        let points = steps.iter().flat_map(|def| FaultKind::ALL.map(|kind| (*def, kind)));
        let stride = if is_soak() { 1 } else { 3 };
        for (def, kind) in points.step_by(stride) {
            if kind == FaultKind::Reboot
                && def.host == HostRole::Client
                && def.phase >= Phase::Finish
            {
                // It may boot the copy.
                continue;
            }
            virtual_time(async || {
                let what = format!("{flavour:?}, {} at {} for ever", kind.name(), def.name);
                let world = World::of(&flavour.estate(), spec.clone());
                let (lab, host) = (world.lab.clone(), def.host);
                let performer = Arc::new(First {
                    inner: Arc::new(world.plain_performer()),
                    mark: forward(def),
                    act: Box::new(move || goes_wrong(&lab, kind, host)),
                    takes: Duration::ZERO,
                    done: AtomicBool::new(false),
                });
                world.live(performer.clone()).await;
                assert_told_what_is_left(&world, &spec, &what).await;
                world.lab.clear_faults().expect("no faults");
                tokio::time::sleep(TEN_MINUTES).await;
                follow_the_hints(&world, &spec, &WAITING, performer.clone()).await;
                match world.state() {
                    "migrated" => assert_same(&good, &world.lab.image().expect("an image"), &what),
                    "rolled_back" => world.assert_untouched(&what),
                    state => panic!("{what}: {state}: {}", world.story()),
                }
            });
        }
    }
}
