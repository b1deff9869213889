//! A client is rebooted once, and once back: whatever becomes of the reply, of the
//! boot, and of the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nimshift::domain::{BootFailure, MigrationSpec};
use nimshift::journal::RequestKind;
use nimshift::lab::{FaultKind, FaultSpec, Lab, Stage};

use super::over_lab::{Around, Call, OverLab};
use super::world::{CLIENT, Flavour, World, by_hand, virtual_time};

/// Those of one client whose migration ends with a reboot, by each driver.
const BOOTED: [Flavour; 4] =
    [Flavour::Plain, Flavour::MksysbToClient, Flavour::NimadmPlain, Flavour::NimadmCached];

/// What goes wrong around the reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    LostReply,
    /// `shutdown` says that it failed, and does its work.
    ExitStatus,
    /// `rm` of the lease does.
    LeaseGone,
    /// It fails, and the client stays up.
    Refused,
    /// It says that all is well, and the client stays up.
    Nothing,
    Stalled,
    Unreachable,
    /// Somebody sets the bootlist back right before.
    OldDisk,
}

const TROUBLES: [Trouble; 9] = [
    Trouble::None,
    Trouble::LostReply,
    Trouble::ExitStatus,
    Trouble::LeaseGone,
    Trouble::Refused,
    Trouble::Nothing,
    Trouble::Stalled,
    Trouble::Unreachable,
    Trouble::OldDisk,
];

/// Makes trouble of the start of the reboot.
struct Makes {
    lab: Lab,
    trouble: Trouble,
    done: AtomicBool,
}

impl Around for Makes {
    async fn before(&self, call: &Call<'_>) {
        let Call::Start(_, id, _) = call else { return };
        if !id.as_str().contains("-reboot.f") || self.done.swap(true, Ordering::SeqCst) {
            return;
        }
        let fault = |kind| {
            let on = FaultSpec::once(kind, CLIENT);
            let on = if kind == FaultKind::Unreachable { on } else { on.on("shutdown") };
            self.lab.add_fault(on).expect("a fault");
        };
        match self.trouble {
            Trouble::None => {}
            Trouble::LostReply => {
                self.lab.add_fault(FaultSpec::once(FaultKind::LostReply, CLIENT)).expect("a fault");
            }
            Trouble::ExitStatus => fault(FaultKind::ExitStatus),
            Trouble::LeaseGone => {
                let fault = FaultSpec::once(FaultKind::ExitStatus, CLIENT);
                self.lab.add_fault(fault.on("rm -f /var/adm/nimshift/")).expect("a fault");
            }
            Trouble::Refused => fault(FaultKind::Partial),
            Trouble::Nothing => fault(FaultKind::MessageWithSuccess),
            Trouble::Stalled => fault(FaultKind::Stalled),
            Trouble::Unreachable => fault(FaultKind::Unreachable),
            Trouble::OldDisk => by_hand(&self.lab, CLIENT, "bootlist -m normal hdisk0"),
        }
    }
}

/// Drops the lease right before the start of the reboot.
struct DropsLease(Lab, AtomicBool);

impl Around for DropsLease {
    async fn before(&self, call: &Call<'_>) {
        let Call::Start(_, id, _) = call else { return };
        if id.as_str().contains("-reboot.f") && !self.1.swap(true, Ordering::SeqCst) {
            by_hand(&self.0, CLIENT, "rm -f /var/adm/nimshift/lease");
        }
    }
}

/// How often the client was told to reboot by jobs that end so.
fn told(world: &World, direction: &str) -> usize {
    let log = world.lab.log().expect("a log");
    let is_told = |line: &str| line.starts_with("shutdown");
    let of = |job: &Option<String>| job.as_ref().is_some_and(|job| job.contains(direction));
    log.iter()
        .filter(|entry| entry.stage == Stage::Started && is_told(&entry.line) && of(&entry.job))
        .count()
}

fn lease(world: &World) -> bool {
    let words = ["ls", "-l", "/var/adm/nimshift/lease"].map(str::to_owned);
    world.lab.exec_words(CLIENT, &words).is_ok_and(|said| said.status == 0)
}

fn spec(flavour: Flavour, on_boot_failure: BootFailure) -> MigrationSpec {
    MigrationSpec { on_boot_failure, ..flavour.spec() }
}

#[test]
fn a_client_is_rebooted_once_and_once_back() {
    for flavour in BOOTED {
        for trouble in TROUBLES {
            for policy in [BootFailure::Hold, BootFailure::Backout] {
                virtual_time(async || {
                    let what = format!("{flavour:?}, {trouble:?}, {policy:?}");
                    let world = World::of(&flavour.estate(), spec(flavour, policy));
                    let around =
                        Makes { lab: world.lab.clone(), trouble, done: AtomicBool::new(false) };
                    let over = Arc::new(OverLab { lab: world.lab.clone(), around });
                    world.live(Arc::new(world.performer(over))).await;
                    assert!(told(&world, ".f") <= 1, "{what}: told more than once");
                    let state = world.state();
                    let goes_well =
                        !matches!(trouble, Trouble::Refused | Trouble::Nothing | Trouble::Stalled)
                            && trouble != Trouble::OldDisk;
                    if goes_well {
                        assert_eq!(state, "migrated", "{what}: {}", world.story());
                        assert!(!lease(&world), "{what}: the lease is left");
                    } else {
                        assert_eq!(state, "awaiting_operator", "{what}: {}", world.story());
                    }
                    // An order to try again does not reboot it again.
                    if !goes_well {
                        world.order(RequestKind::Retry);
                        world.live(Arc::new(world.plain_performer())).await;
                        assert_eq!(world.state(), "awaiting_operator", "{what}");
                    }
                    assert!(told(&world, ".f") <= 1, "{what}: told again by a retry");
                    world.order(RequestKind::Rollback);
                    world.live(Arc::new(world.plain_performer())).await;
                    assert_eq!(world.state(), "rolled_back", "{what}: {}", world.story());
                    assert_eq!(told(&world, ".u"), usize::from(goes_well), "{what}");
                    world.assert_untouched(&what);
                    world.assert_replays(&what);
                });
            }
        }
    }
}

/// "Not tonight": somebody sets the bootlist back right before the reboot.
#[test]
fn a_client_whose_bootlist_was_set_back_is_rebooted_once_that_is_set_again() {
    for flavour in BOOTED {
        virtual_time(async || {
            let what = format!("{flavour:?}");
            let world = World::of(&flavour.estate(), spec(flavour, BootFailure::Hold));
            let trouble = Trouble::OldDisk;
            let around = Makes { lab: world.lab.clone(), trouble, done: AtomicBool::new(false) };
            let over = Arc::new(OverLab { lab: world.lab.clone(), around });
            world.live(Arc::new(world.performer(over))).await;
            assert_eq!(world.state(), "awaiting_operator", "{what}: {}", world.story());
            assert_eq!(told(&world, ".f"), 0, "{what}: {}", world.story());
            let cause = world.last_cause();
            assert!(cause.contains("begins with hdisk0, and was set to hdisk1"), "{what}: {cause}");
            // As it is printed.
            by_hand(&world.lab, CLIENT, "bootlist -m normal hdisk1");
            world.order(RequestKind::Retry);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
            assert_eq!(told(&world, ".f"), 1, "{what}");
            world.assert_replays(&what);
        });
    }
}

/// A client that somebody has booted while no engine ran is not booted behind him.
#[test]
fn a_client_that_was_booted_by_hand_before_the_reboot_is_not_rebooted() {
    let life = async |entry: Option<u64>| {
        let world = World::of(&Flavour::Plain.estate(), spec(Flavour::Plain, BootFailure::Hold));
        if let Some(entry) = entry {
            world.live_until_entry(entry).await;
            world.lab.boot_host(CLIENT, Some("hdisk0")).expect("a boot");
            tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
            by_hand(&world.lab, CLIENT, "bootlist -m normal hdisk1");
        }
        world.live(Arc::new(world.plain_performer())).await;
        world
    };
    let entries = virtual_time(async || life(None).await.entries());
    let mut seen = 0;
    for entry in entries - 5..entries {
        virtual_time(async || {
            let world = life(Some(entry)).await;
            let cause = world.last_cause();
            assert!(told(&world, ".f") <= 1, "{entry}: {cause}");
            if cause.contains("and not from the copy") {
                assert_eq!(told(&world, ".f"), 0, "{entry}");
                // As it is printed.
                world.lab.boot_host(CLIENT, Some("hdisk1")).expect("a boot");
                tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
                world.order(RequestKind::Retry);
                world.live(Arc::new(world.plain_performer())).await;
                assert_eq!(world.state(), "migrated", "{entry}: {}", world.last_cause());
                assert_eq!(told(&world, ".f"), 0, "{entry}");
                seen += 1;
            }
        });
    }
    assert!(seen > 0, "no entry of {entries} is before the reboot");
}

/// A bootlist that says that it is set, and is not, reboots nobody back.
#[test]
fn a_bootlist_that_lies_reboots_no_client_back_into_its_copy() {
    for flavour in BOOTED {
        virtual_time(async || {
            let world = World::of(&flavour.estate(), spec(flavour, BootFailure::Hold));
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{flavour:?}: {}", world.story());
            let lies = FaultSpec::once(FaultKind::MessageWithSuccess, CLIENT);
            let lies = FaultSpec { times: None, ..lies.on("bootlist -m normal hdisk0") };
            world.lab.add_fault(lies).expect("a fault");
            world.order(RequestKind::Rollback);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(told(&world, ".u"), 0, "{flavour:?}: {}", world.story());
            assert_eq!(world.state(), "undo_stuck", "{flavour:?}");
            world.lab.clear_faults().expect("no faults");
            world.order(RequestKind::Retry);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(told(&world, ".u"), 1, "{flavour:?}: {}", world.story());
            assert_eq!(world.state(), "rolled_back", "{flavour:?}");
        });
    }
}

/// Who drops the lease is not who tells the client to reboot.
#[test]
fn a_lease_that_others_drop_before_the_reboot_is_not_taken_for_one() {
    for flavour in BOOTED {
        virtual_time(async || {
            let what = format!("{flavour:?}");
            let world = World::of(&flavour.estate(), spec(flavour, BootFailure::Hold));
            let around = DropsLease(world.lab.clone(), AtomicBool::new(false));
            let over = Arc::new(OverLab { lab: world.lab.clone(), around });
            world.live(Arc::new(world.performer(over))).await;
            assert_eq!(world.state(), "awaiting_operator", "{what}: {}", world.story());
            assert_eq!(told(&world, ".f"), 0, "{what}");
            let cause = world.last_cause();
            assert!(!cause.contains("was told to reboot"), "{what}: {cause}");
            // As it is printed.
            let (_, makes) = cause.split_once("; ln -s ").expect("a way out");
            let (makes, _) = makes.split_once("`)").expect("its end");
            by_hand(&world.lab, CLIENT, &format!("ln -s {makes}"));
            world.order(RequestKind::Retry);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
            assert_eq!(told(&world, ".f"), 1, "{what}");
            world.assert_replays(&what);
        });
    }
}

#[test]
fn an_engine_that_dies_around_the_reboot_does_not_reboot_again() {
    let entries = virtual_time(async || {
        let world = World::new(Flavour::Plain);
        world.live(Arc::new(world.plain_performer())).await;
        world.entries()
    });
    for old_disk in [false, true] {
        for entry in entries.saturating_sub(8)..entries {
            virtual_time(async || {
                let what = format!("dead at entry {entry} of {entries}, old disk: {old_disk}");
                let world = World::new(Flavour::Plain);
                let trouble = if old_disk { Trouble::OldDisk } else { Trouble::None };
                let around =
                    Makes { lab: world.lab.clone(), trouble, done: AtomicBool::new(false) };
                let over = Arc::new(OverLab { lab: world.lab.clone(), around });
                let performer = Arc::new(world.performer(over.clone()));
                world.live_so_long(entry, performer).await;
                world.live(Arc::new(world.performer(over))).await;
                assert!(told(&world, ".f") <= 1, "{what}: told more than once");
                let wanted = if old_disk { "awaiting_operator" } else { "migrated" };
                assert_eq!(world.state(), wanted, "{what}: {}", world.story());
                world.assert_replays(&what);
            });
        }
    }
}

#[test]
fn until_the_boot_is_verified_the_client_is_not_free() {
    virtual_time(async || {
        let world = World::new(Flavour::Plain);
        // The entry behind the reboot: it was verified by nobody yet.
        let entries = {
            let other = World::new(Flavour::Plain);
            other.live(Arc::new(other.plain_performer())).await;
            other.entries()
        };
        world.live_until_entry(entries - 1).await;
        assert!(lease(&world), "the copy has brought the lease along");
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "migrated");
        assert!(!lease(&world), "and has lost it");
        let violations = world.lab.check(&[Flavour::Plain.expected()]).expect("a check");
        assert!(violations.is_empty(), "{violations:#?}");
    });
}
