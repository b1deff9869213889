//! Others who work on the same client: a colleague's nimadm, and IBM's role for
//! Ansible with the command lines that it sends. Whoever comes second refuses, and
//! nobody's finished copy is touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nimshift::domain::{Phase, StepName};
use nimshift::engine::{Performer, PerformerFuture};
use nimshift::journal::RequestKind;
use nimshift::lab::{FaultKind, FaultSpec, Lab};
use nimshift::phases::Order;
use nimshift::transport::{Command, HostId, JobId, JobState, Script, Transport as _};

use super::world::{CLIENT, Flavour, World, assert_same, virtual_time};

const MASTER: &str = "nim1";

/// As the role calls nimadm.
const NIMADM: &str = "nimadm -c lpar01 -l lpp_7300_02 -s spot_7300_02 -Y -d hdisk1";

/// Phases in which nimshift has the client: the clone is made, or more, when the role
/// comes before that step.
const PLACES: [(u8, &str); 5] = [
    (1, "clean-copy"),
    (3, "mount-filesystems"),
    (6, "install-filesets"),
    (9, "unmount-filesystems"),
    (11, "finish-clone"),
];

fn role() -> JobId {
    JobId::new("role")
}

/// Starts the role's nimadm, as Ansible does: by itself, and it is polled.
async fn start_role(lab: &Lab) {
    let script = Script::new([Command::new(NIMADM.split(' '))]);
    lab.start(&HostId::new(MASTER), &role(), &script).await.expect("a start");
}

/// What its nimadm said in the end.
async fn end_of_role(lab: &Lab) -> i32 {
    let clock = lab.clock();
    loop {
        match lab.poll(&HostId::new(MASTER), &role(), 0, Duration::ZERO).await.expect("a host") {
            JobState::Done(output) => return output.get(0).map_or(-1, |output| output.status),
            JobState::Running { .. } => clock.sleep(Duration::from_secs(60)).await,
            other => panic!("{other:?}"),
        }
    }
}

/// What comes before a step.
#[derive(Clone, Copy)]
enum Comes {
    /// A nimadm that goes on and on.
    Hanging,
    /// The role, until its nimadm has ended.
    Role,
    /// The role with `force`, until its nimadm has ended.
    Forced,
}

/// What the role does with `force` before its nimadm: it clears the disk, whatever
/// is on it, and resets the client's NIM object.
fn force(lab: &Lab) {
    let on_client = |line: &str| {
        let words = ["/usr/lpp/bos.sysmgt/nim/methods/c_rsh", CLIENT, line];
        lab.exec_words(MASTER, &words.map(str::to_owned)).expect("a master")
    };
    let disks = on_client("/usr/sbin/lspv").stdout;
    let row: Vec<&str> = disks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|row| row.first() == Some(&"hdisk1"))
        .expect("the target disk");
    match row[2] {
        "None" => {}
        vg @ ("altinst_rootvg" | "old_rootvg") => {
            on_client(&format!("/usr/sbin/alt_rootvg_op -X {vg}"));
        }
        vg => {
            on_client(&format!("/usr/sbin/reducevg -df {vg} hdisk1"));
        }
    }
    on_client("/usr/sbin/chpv -C hdisk1");
    let reset = ["nim", "-Fo", "reset", CLIENT].map(str::to_owned);
    lab.exec_words(MASTER, &reset).expect("a master");
}

/// Somebody else comes before a step is begun for the first time.
struct Meets<P> {
    inner: Arc<P>,
    lab: Lab,
    step: StepName,
    comes: Comes,
    done: AtomicBool,
}

impl<P: Performer + 'static> Performer for Meets<P> {
    fn perform(&self, order: Order) -> PerformerFuture {
        if order.ticket.step != self.step || self.done.swap(true, Ordering::SeqCst) {
            return self.inner.perform(order);
        }
        let (inner, lab, comes) = (Arc::clone(&self.inner), self.lab.clone(), self.comes);
        Box::pin(async move {
            match comes {
                Comes::Hanging => {
                    let hangs = FaultSpec::once(FaultKind::Stalled, MASTER).on("nimadm -c lpar01");
                    lab.add_fault(hangs).expect("a fault");
                    start_role(&lab).await;
                    let clock = lab.clock();
                    clock.sleep(Duration::from_secs(130)).await;
                }
                Comes::Role | Comes::Forced => {
                    if let Comes::Forced = comes {
                        force(&lab);
                    }
                    start_role(&lab).await;
                    end_of_role(&lab).await;
                }
            }
            inner.perform(order).await
        })
    }
}

async fn met(world: &World, step: &'static str, comes: Comes) {
    let meets = Meets {
        inner: Arc::new(world.plain_performer()),
        lab: world.lab.clone(),
        step: StepName::new(step),
        comes,
        done: AtomicBool::new(false),
    };
    world.live(Arc::new(meets)).await;
}

fn plain(keeps: bool) -> World {
    let mut estate = Flavour::Plain.estate();
    estate.master.nimadm_keeps = keeps;
    World::of(&estate, Flavour::Plain.spec())
}

/// The client as it stands.
fn client(world: &World) -> serde_json::Value {
    world.lab.image().expect("an image")["hosts"][CLIENT].clone()
}

#[test]
fn a_nimadm_of_somebody_else_holds_the_next_phase_whatever_it_is() {
    let steps = Flavour::Plain.steps();
    for phase in Phase::ALL {
        let first = steps.iter().find(|def| def.phase == phase).expect("a step of each phase");
        virtual_time(async || {
            let world = plain(true);
            met(&world, first.name, Comes::Hanging).await;
            let cause = world.last_cause();
            // The gate refuses, and begins nothing.
            let (held, again) = match phase {
                Phase::Clone => ("refused", "refused"),
                _ => ("awaiting_operator", "migrated"),
            };
            assert_eq!(world.state(), held, "{phase:?}: {cause}");
            let told = "a nimadm that nimshift did not start works on lpar01: process ";
            assert!(cause.contains(told) && cause.contains("of root, for 02:"), "{cause}");
            world.lab.kill(&HostId::new(MASTER), &role()).await.expect("an end");
            world.order(RequestKind::Retry);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), again, "{phase:?}: {}", world.story());
        });
    }
}

#[test]
fn a_role_that_comes_second_refuses_and_the_migration_is_whole_or_taken_back() {
    virtual_time(async || {
        let good = {
            let world = plain(true);
            world.live(Arc::new(world.plain_performer())).await;
            world.lab.image().expect("an image")
        };
        for (phase, step) in PLACES {
            let world = plain(true);
            met(&world, step, Comes::Role).await;
            assert_ne!(
                end_of_role(&world.lab).await,
                0,
                "phase {phase}: the role's nimadm refuses"
            );
            let what = format!("a role that was refused before phase {phase}");
            match world.state() {
                "migrated" => assert_same(&good, &world.lab.image().expect("an image"), &what),
                // What nimadm takes away as it cleans up is the lab's guess.
                "rolled_back" => world.assert_untouched(&what),
                other => panic!("{what}: {other}: {}", world.story()),
            }
        }
    });
}

#[test]
fn a_migration_that_comes_second_refuses_and_the_role_has_its_copy() {
    for minutes in [2, 10, 40, 90, 200] {
        virtual_time(async || {
            let world = plain(true);
            start_role(&world.lab).await;
            let clock = world.lab.clock();
            clock.sleep(Duration::from_secs(minutes * 60)).await;
            world.live(Arc::new(world.plain_performer())).await;
            let cause = world.last_cause();
            assert_ne!(world.state(), "migrated", "after {minutes} min: {cause}");
            assert_eq!(end_of_role(&world.lab).await, 0, "after {minutes} min: {cause}");
            assert!(client(&world)["vgs"].get("altinst_rootvg").is_some(), "{cause}");
            assert_eq!(client(&world)["bootlist"][0], "hdisk1", "{cause}");
        });
    }
}

/// Before its clone is recorded, a migration knows its copy by nothing but that it
/// has begun one.
#[test]
fn a_role_that_forces_keeps_its_finished_copy() {
    for flavour in [Flavour::Plain, Flavour::NimadmPlain] {
        let steps = flavour.steps();
        let first = ["take-lease", "mark-phases", "mount-spot", "clone-rootvg", "nimadm-clone"];
        let places = PLACES.map(|(_, step)| step);
        let within = steps
            .iter()
            .map(|def| def.name)
            .filter(|name| first.contains(name) || places.contains(name) || *name == "record-copy");
        for step in within {
            virtual_time(async || {
                let what = format!("{flavour:?}: a role that forced its way before {step}");
                let mut estate = flavour.estate();
                estate.master.nimadm_keeps = true;
                let world = World::of(&estate, flavour.spec());
                met(&world, step, Comes::Forced).await;
                if end_of_role(&world.lab).await != 0 {
                    return;
                }
                let cause = world.last_cause();
                assert!(client(&world)["vgs"].get("altinst_rootvg").is_some(), "{what}: {cause}");
                assert_eq!(client(&world)["bootlist"][0], "hdisk1", "{what}: {cause}");
                world.order(RequestKind::Rollback);
                world.live(Arc::new(world.plain_performer())).await;
                assert!(client(&world)["vgs"].get("altinst_rootvg").is_some(), "{what}: {cause}");
                assert_eq!(client(&world)["bootlist"][0], "hdisk1", "{what}: {cause}");
            });
        }
    }
}
