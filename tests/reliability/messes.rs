//! What cleanup makes of hosts that somebody has left in a mess: nothing of it is
//! left, nothing else is touched, and a second cleanup finds nothing to do.

use std::sync::Arc;

use nimshift::domain::{MigrationSpec, RetryPolicy, Way};
use nimshift::journal::{Reader, RequestKind};
use nimshift::lab::{CopyExpected, Expectation};
use nimshift::transport::{Command, HostId, JobId, Script, Transport as _};

use super::world::{CLIENT, Flavour, World, assert_same, by_hand, virtual_time};

/// A line is `client: COMMAND` or `master: COMMAND`; with `job` before it, it is
/// started as a job and left running; with `cut`, it is then killed.
struct Mess {
    name: &'static str,
    lines: &'static [&'static str],
    /// Part of it is nobody's known, and stays.
    stays: bool,
}

const fn mess(name: &'static str, lines: &'static [&'static str]) -> Mess {
    Mess { name, lines, stays: false }
}

const SPOT: &str = "client: mount -o ro nim1:/export/nim/spot_7300_02/usr /ALT_MIG_SPOT";
const POINT: &str = "client: mkdir -p /ALT_MIG_SPOT";
const CLONE: &str = "client: /ALT_MIG_SPOT/sbin/alt_disk_copy -M 7.3 -P1 -d hdisk1";
const ASLEEP: &str = "client: alt_disk_copy -B -d hdisk1";
const WAKE: &str = "client: alt_rootvg_op -W -d hdisk1";
const EXPORT: &str = "client: exportfs -i -o rw=nim1,root=nim1,access=nim1 /alt_inst";
const EXPORT_USR: &str = "client: exportfs -i -o rw=nim1,root=nim1,access=nim1 /alt_inst/usr";
const TOP: &str = "master: mkdir -p /lpar01_alt/alt_inst";
const NFS: &str = "master: mount lpar01:/alt_inst /lpar01_alt/alt_inst";
const NFS_USR: &str = "master: mount lpar01:/alt_inst/usr /lpar01_alt/alt_inst/usr";
const CACHE: &str = "master: crfs -v jfs2 -g nimadmvg -m /lpar01_alt/alt_inst -a size=512M -A no";
const CACHE_USR: &str =
    "master: crfs -v jfs2 -g nimadmvg -m /lpar01_alt/alt_inst/usr -a size=512M -A no";
const LEASES: &str = "client: mkdir -p /var/adm/nimshift";
const LEASE: &str = "client: ln -s test.m77 /var/adm/nimshift/lease";
const WORK: &str = "master: mkdir -p /var/adm/nimshift-lpar01";

const MESSES: [Mess; 41] = [
    mess("nothing at all", &[]),
    mess("a mount point of the SPOT", &[POINT]),
    mess("the SPOT mounted", &[POINT, SPOT]),
    mess("the SPOT mounted twice", &[POINT, SPOT, SPOT]),
    mess("another mount point of nimadm", &["client: mkdir -p /ALT_MIG_IMD"]),
    mess("a sleeping copy", &[ASLEEP]),
    mess("an awake copy", &[POINT, SPOT, CLONE]),
    mess("a woken copy", &[ASLEEP, WAKE]),
    mess(
        "a half-made copy",
        &[POINT, SPOT, "cut client: /ALT_MIG_SPOT/sbin/alt_disk_copy -M 7.3 -P1 -d hdisk1"],
    ),
    mess(
        "a clone that goes on",
        &[POINT, SPOT, "job client: /ALT_MIG_SPOT/sbin/alt_disk_copy -M 7.3 -P1 -d hdisk1"],
    ),
    mess("an awake copy with a file system less", &[ASLEEP, WAKE, "client: umount /alt_inst/usr"]),
    mess("a file of ours in an awake copy", &[ASLEEP, WAKE, "client: touch /alt_inst/tmp/note"]),
    mess("a bootlist of a copy", &[ASLEEP, "client: bootlist -m normal hdisk1"]),
    mess("a bootlist of both", &[ASLEEP, "client: bootlist -m normal hdisk1 hdisk0"]),
    mess("a bootlist with the copy behind", &[ASLEEP, "client: bootlist -m normal hdisk0 hdisk1"]),
    mess(
        "a bootlist of a copy that is gone",
        &[ASLEEP, "client: bootlist -m normal hdisk1", "client: exportvg altinst_rootvg"],
    ),
    mess("an export of the copy", &[ASLEEP, WAKE, EXPORT]),
    mess("exports of the copy", &[ASLEEP, WAKE, EXPORT, EXPORT_USR]),
    mess("an export without a copy", &["client: mkdir -p /alt_inst", EXPORT]),
    mess("a line in /etc/exports", &["client: mknfsexp -d /alt_inst -t rw -r nim1 -I"]),
    mess(
        "a permanent export",
        &[ASLEEP, WAKE, "client: mknfsexp -d /alt_inst/usr -t rw -r nim1 -B"],
    ),
    mess("directories on the master", &[TOP]),
    mess("nested directories on the master", &["master: mkdir -p /lpar01_alt/alt_inst/usr/lib"]),
    mess("mounts on the master", &[ASLEEP, WAKE, EXPORT, TOP, NFS]),
    mess("nested mounts on the master", &[ASLEEP, WAKE, EXPORT, EXPORT_USR, TOP, NFS, NFS_USR]),
    mess(
        "a stale mount on the master",
        &[
            ASLEEP,
            WAKE,
            EXPORT,
            TOP,
            NFS,
            "client: exportfs -u /alt_inst",
            "client: alt_rootvg_op -X altinst_rootvg",
        ],
    ),
    mess("a cache file system", &[CACHE]),
    mess("a mounted cache", &[CACHE, TOP, "master: mount /lpar01_alt/alt_inst"]),
    mess(
        "a nested cache",
        &[
            CACHE,
            CACHE_USR,
            TOP,
            "master: mount /lpar01_alt/alt_inst",
            "master: mkdir -p /lpar01_alt/alt_inst/usr",
            "master: mount /lpar01_alt/alt_inst/usr",
        ],
    ),
    mess("a NIM object locked by nobody", &["master: nim -Fo change -a locked=4711 lpar01"]),
    mess(
        "resources allocated to the client",
        &["master: nim -o allocate -a spot=spot_7300_02 -a lpp_source=lpp_7300_02 lpar01"],
    ),
    mess(
        "a client that is not ready in NIM",
        &["master: nim -Fo change -a Cstate=alt_disk_mig lpar01"],
    ),
    mess("a dead lease", &[LEASES, LEASE]),
    mess("an empty lease directory", &[LEASES]),
    mess(
        "files that were brought",
        &[
            LEASES,
            LEASE,
            "client: touch /var/adm/nimshift/exclude_files /var/adm/nimshift/image.data /var/adm/nimshift/finish-clone.done",
        ],
    ),
    mess(
        "a work directory on the master",
        &[
            WORK,
            "master: touch /var/adm/nimshift-lpar01/image.data",
            "master: ln -s test.m77 /var/adm/nimshift-lpar01/lease",
        ],
    ),
    mess(
        "a job on the master",
        &[
            CACHE,
            TOP,
            "master: mount /lpar01_alt/alt_inst",
            "job master: tar -cUf - -C /lpar01_alt/alt_inst .",
        ],
    ),
    mess(
        "all of it",
        &[
            POINT,
            SPOT,
            CLONE,
            EXPORT,
            EXPORT_USR,
            TOP,
            NFS,
            NFS_USR,
            "master: crfs -v jfs2 -g nimadmvg -m /lpar01_alt/more -a size=512M -A no",
            WORK,
            LEASES,
            LEASE,
            "client: bootlist -m normal hdisk1",
            "master: nim -Fo change -a locked=4711 lpar01",
            "client: mknfsexp -d /alt_inst/mnt -t rw -r nim1 -I",
        ],
    ),
    Mess {
        name: "somebody's file in /alt_inst",
        lines: &["client: mkdir -p /alt_inst/notes", "client: touch /alt_inst/notes/todo"],
        stays: true,
    },
    Mess {
        name: "somebody's file in the SPOT's mount point",
        lines: &[POINT, "client: touch /ALT_MIG_SPOT/todo"],
        stays: true,
    },
    Mess {
        name: "somebody's file on the master",
        lines: &[TOP, "master: touch /lpar01_alt/alt_inst/todo"],
        stays: true,
    },
];

fn host(line: &str) -> (&str, &str) {
    let (host, command) = line.split_once(": ").expect("a host before a command");
    (if host == "client" { CLIENT } else { "nim1" }, command)
}

async fn make(world: &World, line: &str) {
    let as_job = line.strip_prefix("job ").or_else(|| line.strip_prefix("cut "));
    let (name, command) = host(as_job.unwrap_or(line));
    if as_job.is_none() {
        return by_hand(&world.lab, name, command);
    }
    let (name, id) = (HostId::new(name), JobId::new("old-m7-left-over".to_owned()));
    let script = Script::new([Command::new(command.split_whitespace())]);
    world.lab.start(&name, &id, &script).await.expect("a job");
    if line.starts_with("cut ") {
        world.lab.kill(&name, &id).await.expect("its end");
    }
}

/// What others have made is taken away by force alone.
fn spec_for(lines: &[&str]) -> MigrationSpec {
    let mut spec = spec();
    spec.options.force = lines.iter().any(|line| line.contains("alt_disk_copy"));
    spec
}

fn spec() -> MigrationSpec {
    let spec = Flavour::Cleanup.spec();
    MigrationSpec { retry: RetryPolicy { attempts: 6, ..spec.retry }, ..spec }
}

async fn live(world: &World, what: &str) {
    world.live(Arc::new(world.plain_performer())).await;
    assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
}

/// How the steps of the latest operation went.
fn ways(world: &World) -> Vec<(String, Way)> {
    let reader = Reader::open(world.dir()).expect("a journal");
    let id = reader.migrations(None).expect("migrations").last().expect("one").id;
    let history = reader.history(id).expect("a history");
    let attempts = history.into_iter().filter_map(|entry| entry.attempt);
    attempts.map(|one| (one.ticket.step.to_string(), one.record.way)).collect()
}

#[test]
fn every_mess_is_cleaned_and_nothing_else() {
    for Mess { name, lines, stays } in &MESSES {
        virtual_time(async || {
            let world = World::of(&Flavour::Cleanup.estate(), spec_for(lines));
            for line in *lines {
                make(&world, line).await;
            }
            let messy = world.lab.image().expect("an image");
            live(&world, name).await;
            let wanted = if *stays { &messy } else { &world.first_image };
            assert_same(wanted, &world.lab.image().expect("an image"), name);
            let violations = world.lab.check(&[Expectation::untouched(CLIENT)]).expect("a check");
            assert!(violations.is_empty(), "{name}: {violations:#?}");
            // What cleans up takes the lease and gives it back, whatever it finds.
            let is_own = |step: &str| ["cleanup-lease", "cleanup-work-client"].contains(&step);
            let acted = ways(&world).iter().any(|(step, way)| *way == Way::Ran && !is_own(step));
            assert!(!acted || !lines.is_empty() && !stays, "{name}: {:?}", ways(&world));
            world.again(spec_for(lines));
            live(&world, name).await;
            for (step, way) in ways(&world) {
                let idle = matches!(way, Way::Found | Way::Looked) || is_own(&step);
                assert!(idle, "{name}, again: {step}: {way:?}");
            }
            assert_same(wanted, &world.lab.image().expect("an image"), name);
            world.assert_replays(name);
        });
    }
}

/// What cleanup must not touch: refused, with the image as it was.
async fn refused(world: &World, why: &str) {
    let before = world.lab.image().expect("an image");
    world.live(Arc::new(world.plain_performer())).await;
    assert_eq!(world.state(), "refused", "{}", world.last_cause());
    let reader = Reader::open(world.dir()).expect("a journal");
    let state = &reader.migrations(None).expect("migrations").last().expect("one").state.clone();
    let text = &state.cause().expect("a cause").text;
    assert!(text.contains(why), "{text}");
    assert_same(&before, &world.lab.image().expect("an image"), why);
}

#[test]
fn what_others_hold_is_left_to_them_unless_ordered() {
    virtual_time(async || {
        let forced = || {
            let mut spec = spec();
            spec.options.force = true;
            spec
        };
        let world = World::of(&Flavour::Cleanup.estate(), spec());
        by_hand(&world.lab, CLIENT, "mkdir -p /var/adm/nimshift");
        by_hand(&world.lab, CLIENT, "ln -s other.m1 /var/adm/nimshift/lease");
        refused(&world, "other.m1 holds the lease").await;
        world.again(forced());
        live(&world, "a lease taken over").await;
        world.assert_untouched("a lease taken over");

        by_hand(&world.lab, "nim1", "nim -Fo change -a Cstate=BOS-installation lpar01");
        world.again(spec());
        refused(&world, "in an operation of its own").await;

        let mut estate = Flavour::Cleanup.estate();
        estate.client[0].locked = true;
        let world = World::of(&estate, spec());
        refused(&world, "which runs").await;
        world.again(forced());
        live(&world, "unlocked by order").await;
    });
}

#[test]
fn a_rootvg_that_was_left_is_kept_and_so_is_every_other_group() {
    virtual_time(async || {
        let world = World::of(&Flavour::Cleanup.estate(), spec());
        by_hand(&world.lab, CLIENT, "alt_disk_copy -B -d hdisk1");
        by_hand(&world.lab, CLIENT, "alt_rootvg_op -v old_rootvg -d hdisk1");
        let before = world.lab.image().expect("an image");
        live(&world, "old_rootvg").await;
        assert_same(&before, &world.lab.image().expect("an image"), "old_rootvg");
    });
}

#[test]
fn a_copy_that_is_newer_than_what_runs_is_not_woken() {
    virtual_time(async || {
        let mut spec = Flavour::Plain.spec();
        spec.options.reboot = false;
        let world = World::of(&Flavour::Plain.estate(), spec);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "migrated");
        let before = world.lab.image().expect("an image");
        let wake = Flavour::Wake.spec();
        world.again(wake);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "rolled_back", "{}", world.last_cause());
        assert_same(&before, &world.lab.image().expect("an image"), "nothing was woken");
    });
}

#[test]
fn old_rootvg_is_woken_and_put_to_sleep() {
    virtual_time(async || {
        let world = World::new(Flavour::Plain);
        live(&world, "migrated").await;
        let before = world.lab.image().expect("an image");
        world.again(Flavour::Wake.spec());
        live(&world, "woken").await;
        let lspv = world.lab.exec_words(CLIENT, &["lspv".to_owned()]).expect("a host").stdout;
        assert!(lspv.contains("altinst_rootvg") && !lspv.contains("old_rootvg"), "{lspv}");
        world.again(Flavour::Sleep.spec());
        live(&world, "asleep").await;
        by_hand(&world.lab, CLIENT, "alt_rootvg_op -v old_rootvg -d hdisk0");
        assert_same(&before, &world.lab.image().expect("an image"), "as before");
    });
}

#[test]
fn a_failed_copy_can_be_left_awake() {
    virtual_time(async || {
        let mut spec = Flavour::Plain.spec();
        spec.failed_copy = nimshift::domain::CopyPolicy::Wake;
        let estate = Flavour::Plain.estate();
        let world = World::of(&estate, spec);
        // The SPOT's programs refuse the last phase for good.
        let faulty = super::faulty::Fails {
            inner: Arc::new(world.plain_performer()),
            mark: super::faulty::Mark {
                step: nimshift::domain::StepName::new("make-boot-image"),
                direction: nimshift::domain::Direction::Forward,
            },
            form: super::faulty::Form::Before,
            done: std::sync::atomic::AtomicBool::new(false),
        };
        world.live(Arc::new(faulty)).await;
        assert_eq!(world.state(), "rolled_back", "{}", world.last_cause());
        let mounts = world.lab.exec_words(CLIENT, &["mount".to_owned()]).expect("a host").stdout;
        assert!(mounts.contains("/alt_inst/usr"), "{mounts}");
        let exports = world.lab.exec_words(CLIENT, &["exportfs".to_owned()]).expect("a host");
        assert!(!exports.stdout.contains("/alt_inst"), "{}", exports.stdout);
        world.again(Flavour::Sleep.spec());
        live(&world, "asleep").await;
        let asleep = Expectation { copy: CopyExpected::Asleep, ..Expectation::untouched(CLIENT) };
        let violations = world.lab.check(&[asleep]).expect("a check");
        assert!(violations.is_empty(), "{violations:#?}");
    });
}

#[test]
fn a_client_is_not_booted_while_a_copy_is_awake() {
    virtual_time(async || {
        let first = |world: &World| {
            let reader = Reader::open(world.dir()).expect("a journal");
            reader.migrations(None).expect("migrations")[0].state.clone()
        };
        let world = World::new(Flavour::Plain);
        live(&world, "migrated").await;
        world.again(Flavour::Wake.spec());
        live(&world, "woken").await;
        let boots = |world: &World| {
            let log = world.lab.log().expect("a log");
            log.iter().filter(|entry| entry.line.starts_with("shutdown")).count()
        };
        let before = boots(&world);
        world.order(RequestKind::Rollback);
        world.live(Arc::new(world.plain_performer())).await;
        let stuck = first(&world);
        assert_eq!(stuck.name(), "undo_stuck");
        let cause = stuck.cause().expect("a cause");
        assert!(cause.text.contains("is awake"), "{cause:?}");
        assert!(cause.hint.as_ref().is_some_and(|hint| hint.contains("nimshift sleep")));
        assert_eq!(boots(&world), before);
        world.again(Flavour::Sleep.spec());
        live(&world, "asleep").await;
        world.order(RequestKind::Retry);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(first(&world).name(), "rolled_back", "{:?}", first(&world));
        assert!(boots(&world) > before);
        world.assert_untouched("after the backout");
    });
}
