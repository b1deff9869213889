//! What others do beside a migration: they replace its copy, remove it, boot the
//! client, or lose a mark. Nothing of theirs is touched, and what happened is told.

use std::sync::Arc;

use nimshift::domain::{FailurePolicy, MigrationSpec, Options};
use nimshift::journal::{Reader, RequestKind};
use nimshift::lab::{DiskSpec, EstateFile, FaultKind, FaultSpec};
use nimshift::transport::{HostId, JobId, Script, Transport as _};

use super::world::{CLIENT, Flavour, World, assert_same, by_hand, virtual_time};

const MASTER: &str = "nim1";

/// Not rebooted by us.
fn spec(flavour: Flavour) -> MigrationSpec {
    let spec = flavour.spec();
    MigrationSpec { options: Options { reboot: false, ..spec.options }, ..spec }
}

fn world(flavour: Flavour) -> World {
    World::of(&flavour.estate(), spec(flavour))
}

fn output(world: &World, host: &str, line: &str) -> Option<String> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let said = world.lab.exec_words(host, &words).ok()?;
    (said.status == 0).then_some(said.stdout)
}

/// How many entries a migration has that meets no trouble.
fn entries(flavour: Flavour) -> u64 {
    virtual_time(async || {
        let world = world(flavour);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "migrated", "{flavour:?}: {}", world.story());
        world.entries()
    })
}

/// The client alone.
fn client(world: &World) -> serde_json::Value {
    let image = world.lab.image().expect("an image");
    let host = &image["hosts"][CLIENT];
    // Exports and mounts of a copy that is gone are nobody's.
    serde_json::json!({ "copy": host["vgs"]["altinst_rootvg"], "bootlist": host["bootlist"] })
}

/// The copy of the first migration is there, and its identity is journaled.
fn is_recorded(world: &World) -> bool {
    world.journal_text().contains("copy: Some(CopyIdentity")
}

/// What a tool does that is told to use force: another copy, finished, to boot from.
fn replace(world: &World) {
    remove(world);
    by_hand(&world.lab, CLIENT, "alt_disk_copy -d hdisk1");
}

fn remove(world: &World) {
    let mounts = output(world, CLIENT, "mount").expect("mounts");
    if mounts.contains("/alt_inst") {
        let exports = output(world, CLIENT, "exportfs").expect("exports");
        for path in exports.lines().filter_map(|line| line.split_whitespace().next()) {
            if path.starts_with("/alt_inst") {
                by_hand(&world.lab, CLIENT, &format!("exportfs -u {path}"));
            }
        }
    }
    by_hand(&world.lab, CLIENT, "alt_rootvg_op -X altinst_rootvg");
}

const DRIVEN: [Flavour; 4] =
    [Flavour::Plain, Flavour::Cached, Flavour::NimadmPlain, Flavour::NimadmCached];

#[test]
fn a_copy_that_another_has_made_is_not_touched() {
    for flavour in DRIVEN {
        for entry in 1..entries(flavour) {
            virtual_time(async || {
                let what = format!("{flavour:?}, replaced after entry {entry}");
                let world = world(flavour);
                world.live_until_entry(entry).await;
                let is_recorded = is_recorded(&world);
                let disks = output(&world, CLIENT, "lspv").expect("disks");
                if !is_recorded && !disks.contains("altinst_rootvg") {
                    return;
                }
                replace(&world);
                let theirs = client(&world);
                world.live(Arc::new(world.plain_performer())).await;
                // A clone that came to nothing is taken back at once.
                let held = if is_recorded { "awaiting_operator" } else { world.state() };
                assert!(["awaiting_operator", "undo_stuck"].contains(&held), "{what}: {held}");
                assert_eq!(world.state(), held, "{what}: {}", world.story());
                assert_same(&theirs, &client(&world), &what);
                let cause = world.last_cause();
                assert!(cause.contains("somebody else has replaced the copy"), "{what}: {cause}");
                assert!(cause.contains("Cstate"), "{what}: {cause}");
                world.order(RequestKind::Rollback);
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "undo_stuck", "{what}: {}", world.story());
                assert_same(&theirs, &client(&world), &what);
                world.assert_replays(&what);
            });
        }
    }
}

/// While a person is waited for after a clone that came to nothing, or to half a copy,
/// somebody cleans up and makes a copy of their own. That they do not boot from it: only
/// what was recorded of the failure tells it from ours.
#[test]
fn a_copy_that_is_made_by_hand_after_a_failed_clone_is_not_touched() {
    // nimadm runs it by c_rsh; it cleans up, or not.
    const CLONES: [(Flavour, &str, &str); 5] = [
        (Flavour::Plain, CLIENT, "alt_disk_copy"),
        (Flavour::MksysbToClient, CLIENT, "alt_disk_mksysb"),
        (Flavour::NimadmPlain, MASTER, "sbin/alt_disk_copy"),
        (Flavour::NimadmCached, MASTER, "sbin/alt_disk_copy"),
        (Flavour::NimadmMksysbToClient, MASTER, "sbin/alt_disk_mksysb"),
    ];
    let kinds = [FaultKind::Partial, FaultKind::MessageWithSuccess, FaultKind::Reboot];
    let tried = CLONES.into_iter().flat_map(|clone| kinds.map(|kind| (clone, kind)));
    for ((flavour, host, command), kind) in tried {
        for order in [RequestKind::Rollback, RequestKind::Retry] {
            virtual_time(async || {
                let what = format!("{flavour:?}: {kind:?} of its clone, then {order:?}");
                let spec = MigrationSpec { on_failure: FailurePolicy::Hold, ..spec(flavour) };
                let world = World::of(&flavour.estate(), spec);
                let fault = FaultSpec { times: None, ..FaultSpec::once(kind, host).on(command) };
                world.lab.add_fault(fault).expect("a fault");
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "awaiting_operator", "{what}: {}", world.story());
                world.lab.clear_faults().expect("no faults");
                tokio::time::sleep(std::time::Duration::from_secs(600)).await;
                if output(&world, CLIENT, "lspv").expect("disks").contains("altinst_rootvg") {
                    remove(&world);
                }
                by_hand(&world.lab, CLIENT, "alt_disk_copy -B -d hdisk1");
                let theirs = client(&world);
                for order in [order, RequestKind::Rollback] {
                    world.order(order);
                    world.live(Arc::new(world.plain_performer())).await;
                    assert_same(&theirs, &client(&world), &what);
                    let cause = world.last_cause();
                    assert!(
                        cause.contains("somebody else has replaced the copy"),
                        "{what}: {cause}"
                    );
                }
                assert_eq!(world.state(), "undo_stuck", "{what}: {}", world.story());
                world.assert_replays(&what);
                // Where it is not needed any more.
                remove(&world);
                world.order(RequestKind::Retry);
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "rolled_back", "{what}: {}", world.story());
                // What is left of nimadm's files is its own clean-up's.
                if flavour != Flavour::NimadmMksysbToClient {
                    world.assert_untouched(&what);
                }
            });
        }
    }
}

/// What a colleague has on the disk that is in no plan.
fn on_the_other_disk(world: &World) -> serde_json::Value {
    let image = world.lab.image().expect("an image");
    let groups = image["hosts"][CLIENT]["vgs"].as_object().expect("groups").clone();
    let mut groups = groups.into_iter().map(|(_, group)| group);
    let is_there = |group: &serde_json::Value| group["disks"] == serde_json::json!([OTHER_DISK]);
    groups.find(is_there).unwrap_or_default()
}

const OTHER_DISK: &str = "hdisk2";

/// What is printed then: another name, no boot from it, and the same order again.
async fn renamed_and_tried_again(world: &World, what: &str) {
    let told = world.last_cause();
    assert!(told.contains("altinst_rootvg is on hdisk2, which is not this"), "{what}: {told}");
    by_hand(&world.lab, CLIENT, "alt_rootvg_op -v other_rootvg -d hdisk2");
    by_hand(&world.lab, CLIENT, "bootlist -m normal hdisk0");
    world.order(RequestKind::Retry);
    world.live(Arc::new(world.plain_performer())).await;
}

#[test]
fn a_copy_of_others_on_another_disk_stays_where_ours_is_made_again() {
    const CLONES: [(Flavour, &str, &str); 6] = [
        (Flavour::Plain, CLIENT, "alt_disk_copy"),
        (Flavour::Cached, CLIENT, "alt_disk_copy"),
        (Flavour::MksysbToClient, CLIENT, "alt_disk_mksysb"),
        (Flavour::NimadmPlain, MASTER, "/usr/sbin/nimadm"),
        (Flavour::NimadmCached, MASTER, "/usr/sbin/nimadm"),
        (Flavour::NimadmMksysbToClient, MASTER, "/usr/sbin/nimadm"),
    ];
    for ((flavour, host, command), goes_back) in
        CLONES.into_iter().flat_map(|clone| [(clone, false), (clone, true)])
    {
        virtual_time(async || {
            let what = format!("{flavour:?}, taken back: {goes_back}");
            let world = world(flavour);
            world.lab.give_disk(CLIENT, OTHER_DISK, 40960).expect("a disk");
            let fault = FaultSpec::once(FaultKind::Unreachable, host).on(command);
            world.lab.add_fault(fault).expect("a fault");
            while world.state() != "backing_off" {
                let performer = Arc::new(world.plain_performer());
                assert!(world.live_so_long(1, performer).await, "{what}: {}", world.story());
            }
            by_hand(&world.lab, CLIENT, "alt_disk_copy -d hdisk2");
            let (theirs, bootlist) = (on_the_other_disk(&world), client(&world));
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "awaiting_operator", "{what}: {}", world.story());
            assert_same(&theirs, &on_the_other_disk(&world), &what);
            assert_same(&bootlist, &client(&world), &what);
            if goes_back {
                world.order(RequestKind::Rollback);
                world.live(Arc::new(world.plain_performer())).await;
                assert_same(&theirs, &on_the_other_disk(&world), &what);
                assert_same(&bootlist, &client(&world), &what);
                // Ours is not there, and so nothing is to be done by its name.
                if world.state() == "rolled_back" {
                    return;
                }
                assert_eq!(world.state(), "undo_stuck", "{what}: {}", world.story());
            }
            renamed_and_tried_again(&world, &what).await;
            let ended = if goes_back { "rolled_back" } else { "migrated" };
            assert_eq!(world.state(), ended, "{what}: {}", world.story());
            assert_same(&theirs, &on_the_other_disk(&world), &what);
            world.assert_replays(&what);
        });
    }
}

#[test]
fn a_copy_of_others_on_another_disk_stays_where_ours_is_booted_back_from() {
    for flavour in DRIVEN {
        virtual_time(async || {
            let what = format!("{flavour:?}");
            let world = World::of(&flavour.estate(), flavour.spec());
            world.lab.give_disk(CLIENT, OTHER_DISK, 40960).expect("a disk");
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
            by_hand(&world.lab, CLIENT, "alt_disk_copy -B -d hdisk2");
            let theirs = on_the_other_disk(&world);
            world.order(RequestKind::Rollback);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "undo_stuck", "{what}: {}", world.story());
            assert_same(&theirs, &on_the_other_disk(&world), &what);
            renamed_and_tried_again(&world, &what).await;
            assert_eq!(world.state(), "rolled_back", "{what}: {}", world.story());
            assert_same(&theirs, &on_the_other_disk(&world), &what);
            let disks = output(&world, CLIENT, "lspv").expect("disks");
            assert!(!disks.contains("altinst_rootvg"), "{what}: ours is gone: {disks}");
            world.assert_replays(&what);
        });
    }
}

#[test]
fn a_copy_that_somebody_has_removed_is_said_to_be() {
    for flavour in [Flavour::Plain, Flavour::Cached] {
        for entry in (1..entries(flavour)).step_by(3) {
            virtual_time(async || {
                let what = format!("{flavour:?}, removed after entry {entry}");
                let world = world(flavour);
                world.live_until_entry(entry).await;
                if !is_recorded(&world) {
                    return;
                }
                remove(&world);
                world.live(Arc::new(world.plain_performer())).await;
                if world.state() == "migrated" {
                    return;
                }
                assert_eq!(world.state(), "rolled_back", "{what}: {}", world.story());
                let cause = world.last_cause();
                assert!(cause.contains("somebody else has removed the copy"), "{what}: {cause}");
                world.assert_untouched(&what);
            });
        }
    }
}

/// Room for a copy that somebody makes beside ours. A nimadm whose phase fails would
/// remove it by itself.
fn with_another_disk(flavour: Flavour) -> EstateFile {
    let mut estate = flavour.estate();
    estate.master.nimadm_keeps = true;
    let disks = &mut estate.client[0].disk;
    let new = DiskSpec { name: "hdisk2".to_owned(), vg: None, pvid: None, ..disks[1].clone() };
    disks.push(new);
    estate
}

const LEFT_ALONE: &str = "the bootlist of lpar01 is hdisk2, set by somebody else: left alone";

#[test]
fn a_rollback_leaves_copy_and_bootlist_that_others_have_made_on_another_disk() {
    for flavour in DRIVEN {
        let all = entries(flavour);
        for entry in (1..=all).rev().step_by(4) {
            virtual_time(async || {
                let what = format!("{flavour:?}, replaced after entry {entry}");
                let world = World::of(&with_another_disk(flavour), spec(flavour));
                if entry == all {
                    world.live(Arc::new(world.plain_performer())).await;
                } else {
                    world.live_until_entry(entry).await;
                }
                if !is_recorded(&world) {
                    return;
                }
                remove(&world);
                by_hand(&world.lab, CLIENT, "alt_disk_copy -d hdisk2");
                let theirs = client(&world);
                assert_eq!(theirs["bootlist"][0], "hdisk2", "{what}");
                world.live(Arc::new(world.plain_performer())).await;
                world.order(RequestKind::Rollback);
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "rolled_back", "{what}: {}", world.story());
                assert_same(&theirs, &client(&world), &what);
                assert!(world.journal_text().contains(LEFT_ALONE), "{what}");
                world.assert_replays(&what);
            });
        }
    }
}

/// A night that finds the bootlist at a third disk waits for a person.
#[test]
fn a_bootlist_that_others_have_set_meanwhile_is_not_set_to_the_copy() {
    for flavour in DRIVEN {
        for order in [RequestKind::Rollback, RequestKind::Retry] {
            virtual_time(async || {
                let what = format!("{flavour:?}, {order:?}");
                let world = World::of(&with_another_disk(flavour), spec(flavour));
                by_hand(&world.lab, CLIENT, "alt_disk_copy -B -d hdisk2");
                by_hand(&world.lab, CLIENT, "alt_rootvg_op -v altinst_theirs -d hdisk2");
                while !is_recorded(&world) {
                    let performer = Arc::new(world.plain_performer());
                    assert!(world.live_so_long(1, performer).await, "{what}: at rest");
                }
                by_hand(&world.lab, CLIENT, "bootlist -m normal hdisk2");
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "awaiting_operator", "{what}: {}", world.story());
                assert!(world.last_cause().contains(LEFT_ALONE.trim_end_matches(": left alone")));
                assert_eq!(client(&world)["bootlist"], serde_json::json!(["hdisk2"]), "{what}");
                if order == RequestKind::Retry {
                    by_hand(&world.lab, CLIENT, "bootlist -m normal hdisk0");
                }
                world.order(order);
                world.live(Arc::new(world.plain_performer())).await;
                let (state, first) = match order {
                    RequestKind::Retry => ("migrated", "hdisk1"),
                    _ => ("rolled_back", "hdisk2"),
                };
                assert_eq!(world.state(), state, "{what}: {}", world.story());
                assert_eq!(client(&world)["bootlist"], serde_json::json!([first]), "{what}");
                world.assert_replays(&what);
            });
        }
    }
}

#[test]
fn a_client_that_others_have_set_to_boot_from_elsewhere_is_not_rebooted_back() {
    for flavour in [Flavour::Plain, Flavour::NimadmPlain] {
        virtual_time(async || {
            let spec = flavour.spec();
            let options = Options { reboot: true, ..spec.options };
            let spec = MigrationSpec { options, ..spec };
            let world = World::of(&with_another_disk(flavour), spec);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{flavour:?}: {}", world.story());
            by_hand(&world.lab, CLIENT, "alt_disk_copy -d hdisk2");
            let theirs = client(&world);
            let booted = output(&world, CLIENT, "who -b");
            world.order(RequestKind::Rollback);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "undo_stuck", "{flavour:?}: {}", world.story());
            let cause = world.last_cause();
            assert!(cause.contains("is hdisk2, set by somebody else"), "{flavour:?}: {cause}");
            assert_same(&theirs, &client(&world), "after the rollback");
            assert_eq!(output(&world, CLIENT, "who -b"), booted, "{flavour:?}");
            world.assert_replays("not rebooted back");
        });
    }
}

#[test]
fn a_copy_that_stands_before_ours_was_begun_is_not_taken_for_ours() {
    virtual_time(async || {
        let world = world(Flavour::Plain);
        // Behind the mount of the SPOT, before the clone.
        let mut entry = 1;
        while output(&world, CLIENT, "ls -d /ALT_MIG_SPOT").is_none() {
            world.live_so_long(1, Arc::new(world.plain_performer())).await;
            entry += 1;
            assert!(entry < 20, "the SPOT is mounted in phase 1");
        }
        by_hand(&world.lab, CLIENT, "alt_disk_copy -d hdisk1");
        let theirs = client(&world);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "awaiting_operator", "{}", world.story());
        assert!(world.last_cause().contains("no job of this migration"), "{}", world.last_cause());
        world.order(RequestKind::Rollback);
        world.live(Arc::new(world.plain_performer())).await;
        assert_same(&theirs, &client(&world), "after the rollback");
    });
}

#[test]
fn a_copy_that_another_engine_is_making_is_left_to_it() {
    virtual_time(async || {
        let one = World::of(&Flavour::Plain.estate(), spec(Flavour::Plain));
        // Until its clone goes on.
        let performer = || Arc::new(one.performer_of("one", Arc::new(one.lab.clone())));
        while !output(&one, CLIENT, "lspv").expect("disks").contains("altinst_rootvg") {
            assert!(one.live_so_long(1, performer()).await, "it came to rest");
        }
        let two = one.beside();
        two.again(spec(Flavour::Plain));
        two.live(Arc::new(two.performer_of("two", Arc::new(two.lab.clone())))).await;
        assert_eq!(two.state(), "refused");
        let told = two.last_cause();
        assert!(told.contains("one.m1 on here"), "{told}");
        assert!(told.contains("since 2026-"), "{told}");
        assert!(!told.contains("alt_rootvg_op"), "{told}");
        // By order of taking it over, too.
        two.again(MigrationSpec { dead_lease_after_ms: Some(0), ..spec(Flavour::Plain) });
        two.live(Arc::new(two.performer_of("two", Arc::new(two.lab.clone())))).await;
        let reader = Reader::open(two.dir()).expect("a journal");
        let last = reader.migrations(None).expect("some").pop().expect("one");
        let told = format!("{:?}", last.state);
        assert!(told.contains("belongs to a migration that is under way: one.m1"), "{told}");
        assert!(!told.contains("alt_rootvg_op"), "{told}");
    });
}

#[test]
fn a_copy_that_is_being_made_by_hand_is_not_to_be_removed() {
    virtual_time(async || {
        let world = world(Flavour::Plain);
        let clone = ["alt_disk_copy", "-d", "hdisk1"];
        let script = Script::new([nimshift::transport::Command::new(clone)]);
        world.lab.start(&HostId::new(CLIENT), &JobId::new("smit"), &script).await.expect("a job");
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        world.live(Arc::new(world.plain_performer())).await;
        let told = world.last_cause();
        if told.contains("altinst_rootvg") {
            assert!(told.contains("is worked on: process"), "{told}");
            assert!(!told.contains("alt_rootvg_op -X"), "{told}");
        }
    });
}

#[test]
fn a_client_that_somebody_boots_from_the_copy_is_told_of() {
    for (flavour, reboots) in [
        (Flavour::Plain, false),
        (Flavour::Plain, true),
        (Flavour::NimadmPlain, false),
        (Flavour::NimadmPlain, true),
    ] {
        let spec = |reboot| {
            let spec = flavour.spec();
            MigrationSpec { options: Options { reboot, ..spec.options }, ..spec }
        };
        for within in [false, true] {
            // nimadm has left nothing to clean then.
            if within && reboots && flavour == Flavour::NimadmPlain {
                continue;
            }
            virtual_time(async || {
                let what = format!("{flavour:?}, -r: {reboots}, within clean-client: {within}");
                let world = World::of(&flavour.estate(), spec(reboots));
                let booted_from =
                    |world: &World| output(world, CLIENT, "bootlist -m normal -o").expect("a list");
                while !booted_from(&world).starts_with("hdisk1") {
                    let performer = Arc::new(world.plain_performer());
                    assert!(world.live_so_long(1, performer).await, "{what}: at rest");
                }
                if within {
                    let fault =
                        FaultSpec::once(FaultKind::Reboot, CLIENT).on("rmdir /ALT_MIG_SPOT");
                    world.lab.add_fault(fault).expect("a fault");
                } else {
                    world.lab.reboot(CLIENT).expect("a reboot");
                    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
                }
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
                let told = world.journal_text();
                assert!(told.contains("was booted from the copy"), "{what}");
                for left in ["/var/adm/nimshift", "/ALT_MIG_SPOT"] {
                    let line = format!("ls -d {left}");
                    assert_eq!(output(&world, CLIENT, &line), None, "{what}: {left} runs");
                }
                world.assert_replays(&what);
            });
        }
    }
}

#[test]
fn a_mksysb_whose_mark_is_lost_is_named_and_stays() {
    const OUTPUT: &str = "/export/nim/mksysb/new";
    for (flavour, mark) in [
        (Flavour::ClientToMksysb, "archive-mksysb.begun"),
        (Flavour::MksysbToMksysb, "archive-mksysb.begun"),
        (Flavour::NimadmClientToMksysb, "nimadm.test.m1/11.begun"),
        (Flavour::NimadmMksysbToMksysb, "nimadm.test.m1/11.begun"),
    ] {
        virtual_time(async || {
            let what = format!("{flavour:?}");
            let world = World::new(flavour);
            let file = format!("ls -d {OUTPUT}");
            while output(&world, MASTER, &file).is_none() {
                let performer = Arc::new(world.plain_performer());
                assert!(world.live_so_long(1, performer).await, "{what}: at rest");
            }
            by_hand(&world.lab, MASTER, &format!("rm -f /var/adm/nimshift-lpar01/{mark}"));
            world.order(RequestKind::Rollback);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "rolled_back", "{what}: {}", world.story());
            assert!(output(&world, MASTER, &file).is_some(), "{what}: it stays");
            let told = world.journal_text();
            assert!(told.contains("this migration may or may not have written it"), "{what}");
            world.assert_replays(&what);
        });
    }
}

#[test]
fn a_mksysb_that_others_have_made_in_the_place_of_ours_stays() {
    const OUTPUT: &str = "/export/nim/mksysb/new";
    const FLAVOURS: [Flavour; 4] = [
        Flavour::ClientToMksysb,
        Flavour::MksysbToMksysb,
        Flavour::NimadmClientToMksysb,
        Flavour::NimadmMksysbToMksysb,
    ];
    for (flavour, has_ended) in FLAVOURS.into_iter().flat_map(|one| [(one, false), (one, true)]) {
        virtual_time(async || {
            let what = format!("{flavour:?}, ended: {has_ended}");
            let world = World::new(flavour);
            let name = flavour.spec().options.new_mksysb.expect("a name");
            let recorded = || world.journal_text().contains("object: Some(");
            while has_ended || !recorded() {
                let performer = Arc::new(world.plain_performer());
                if !world.live_so_long(1, performer).await {
                    break;
                }
            }
            assert_eq!(world.state() == "migrated", has_ended, "{what}: {}", world.story());
            assert!(recorded(), "{what}");
            // The same bytes: another file, and another object of that name.
            let theirs = format!("{OUTPUT}.theirs");
            by_hand(&world.lab, MASTER, &format!("nim -o remove {name}"));
            by_hand(&world.lab, MASTER, &format!("cp {OUTPUT} {theirs}"));
            by_hand(&world.lab, MASTER, &format!("rm -f {OUTPUT}"));
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            by_hand(&world.lab, MASTER, &format!("cp {theirs} {OUTPUT}"));
            let define =
                format!("nim -o define -t mksysb -a server=master -a location={OUTPUT} {name}");
            by_hand(&world.lab, MASTER, &define);
            let seen = || {
                [format!("ls -lid {OUTPUT}"), format!("lsnim -l {name}")]
                    .map(|line| output(&world, MASTER, &line))
            };
            let before = seen();
            world.order(RequestKind::Rollback);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "rolled_back", "{what}: {}", world.story());
            assert_eq!(seen(), before, "{what}: they stay");
            let told = world.journal_text();
            for words in [
                format!("{OUTPUT} on the master: by its i-node, size or time it is not the file"),
                format!("the NIM object {name}: by its creation_date it is not the one"),
            ] {
                assert!(told.contains(&words), "{what}: {words}");
            }
            world.assert_replays(&what);
        });
    }
}

/// Others wait for the client to boot what is theirs: its bootlist is not ours.
#[test]
fn a_client_that_is_to_boot_something_else_next_is_not_begun() {
    for flavour in DRIVEN {
        virtual_time(async || {
            let world = World::of(&with_another_disk(flavour), spec(flavour));
            by_hand(&world.lab, CLIENT, "alt_disk_copy -d hdisk2");
            by_hand(&world.lab, CLIENT, "alt_rootvg_op -v altinst_theirs -d hdisk2");
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "awaiting_operator", "{flavour:?}: {}", world.story());
            assert!(
                world.last_cause().contains("boots next from hdisk2"),
                "{}",
                world.last_cause()
            );
            assert_eq!(client(&world)["bootlist"], serde_json::json!(["hdisk2"]), "{flavour:?}");
            by_hand(&world.lab, CLIENT, "bootlist -m normal hdisk0");
            world.order(RequestKind::Retry);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{flavour:?}: {}", world.story());
        });
    }
}

/// While a mksysb is written, somebody finishes another one in its place: his stays,
/// whatever becomes of ours.
#[test]
fn a_mksysb_that_others_finish_meanwhile_stays() {
    const OUT: &str = "/export/nim/mksysb/new";
    for flavour in [Flavour::ClientToMksysb, Flavour::MksysbToMksysb] {
        virtual_time(async || {
            let mut estate = flavour.estate();
            estate.fault = vec![FaultSpec::once(FaultKind::Slow, MASTER).on("backup -iqf")];
            let world = World::of(&estate, flavour.spec());
            let lab = world.lab.clone();
            let theirs = async {
                let writes = |lab: &nimshift::lab::Lab| {
                    let log = lab.log().expect("a log");
                    log.iter().any(|entry| entry.line.contains("backup -iqf"))
                };
                while !writes(&lab) {
                    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
                }
                let copy = ["cp", "/etc/hosts", OUT].map(str::to_owned);
                lab.exec_words(MASTER, &copy).expect("a master").status
            };
            let (_, status) = tokio::join!(world.live(Arc::new(world.plain_performer())), theirs);
            assert_eq!(status, 0, "{flavour:?}");
            let cat = ["cat", OUT].map(str::to_owned);
            let hosts = ["cat", "/etc/hosts"].map(str::to_owned);
            let read = |words: &[String]| world.lab.exec_words(MASTER, words).expect("a master");
            assert_eq!(read(&cat), read(&hosts), "{flavour:?}: {}", world.story());
            assert_ne!(world.state(), "migrated", "{flavour:?}");
        });
    }
}
