//! Somebody takes the client, or replaces the copy, between the last look of a step
//! and its change: what changes the client asks whose it is in the same call, and
//! ends before it has changed anything.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use nimshift::domain::{MigrationSpec, Options};
use nimshift::journal::RequestKind;
use nimshift::lab::{FaultKind, FaultSpec, Lab};
use serde_json::Value;

use super::over_lab::{Around, Call, OverLab};
use super::world::{CLIENT, Flavour, MASTER, World, assert_same, by_hand, virtual_time};

const LEASE: &str = "/var/adm/nimshift/lease";
const THEIRS: &str = "two.m1@control2,batch=,epoch=1,since=2026-03-02T21:00:00Z";

/// What another does in between.
#[derive(Debug, Clone, Copy)]
enum Comes {
    /// It has the lease now.
    Takes,
    /// It has made a copy of its own in place of ours.
    Replaces,
}

/// What is theirs from now on.
fn theirs(lab: &Lab, comes: Comes) -> Value {
    let host = lab.image().expect("an image")["hosts"][CLIENT].clone();
    match comes {
        Comes::Takes => host,
        // Leases, marks and mounts of ours are ours to remove.
        Comes::Replaces => serde_json::json!({
            "copy": host["vgs"]["altinst_rootvg"], "bootlist": host["bootlist"],
        }),
    }
}

fn said(lab: &Lab, line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    lab.exec_words(CLIENT, &words).expect("an answer").stdout
}

/// Comes when the job with this number is about to begin.
struct Between {
    lab: Lab,
    comes: Comes,
    number: usize,
    begun: AtomicUsize,
    /// The job that it came before, and the client right after that.
    after: Mutex<Option<(String, Value)>>,
}

impl Between {
    /// Whether there is something to take or to replace.
    fn can_come(&self) -> bool {
        let is_ours = said(&self.lab, &format!("ls -l {LEASE}")).contains("-> one.");
        let stands = || said(&self.lab, "lspv").contains("altinst_rootvg");
        is_ours && (matches!(self.comes, Comes::Takes) || stands())
    }

    fn come(&self) {
        match self.comes {
            Comes::Takes => {
                by_hand(&self.lab, CLIENT, &format!("rm {LEASE}"));
                by_hand(&self.lab, CLIENT, &format!("ln -s {THEIRS} {LEASE}"));
            }
            Comes::Replaces => {
                for row in said(&self.lab, "exportfs").lines() {
                    let path = row.split_whitespace().next().expect("a path");
                    by_hand(&self.lab, CLIENT, &format!("exportfs -u {path}"));
                }
                by_hand(&self.lab, CLIENT, "alt_rootvg_op -X altinst_rootvg");
                by_hand(&self.lab, CLIENT, "alt_disk_copy -d hdisk1");
            }
        }
    }
}

impl Around for Between {
    async fn before(&self, call: &Call<'_>) {
        let Call::Start(_, job, _) = call else { return };
        let mut after = self.after.lock().expect("a lock");
        if after.is_some() || !self.can_come() {
            return;
        }
        if self.begun.fetch_add(1, Ordering::SeqCst) == self.number {
            self.come();
            *after = Some((job.to_string(), theirs(&self.lab, self.comes)));
        }
    }
}

/// One night, with another who comes before that job; a finished migration is
/// taken back again. False: there are fewer jobs.
async fn holds(flavour: Flavour, comes: Comes, number: usize) -> bool {
    let spec = flavour.spec();
    let spec = MigrationSpec { options: Options { reboot: false, ..spec.options }, ..spec };
    let world = World::of(&flavour.estate(), spec);
    let lab = world.lab.clone();
    let (begun, after) = (AtomicUsize::new(0), Mutex::new(None));
    let between = Between { lab: lab.clone(), comes, number, begun, after };
    let over = Arc::new(OverLab { lab: lab.clone(), around: between });
    let performer = || Arc::new(world.performer_of("one", over.clone()));
    world.live(performer()).await;
    if over.around.after.lock().expect("a lock").is_none() {
        world.order(RequestKind::Rollback);
        world.live(performer()).await;
    }
    let after = over.around.after.lock().expect("a lock").take();
    let Some((job, then)) = after else { return false };
    let what = format!("{flavour:?}: {comes:?} before {job}: {}", world.last_cause());
    assert_same(&then, &theirs(&lab, comes), &what);
    world.assert_replays(&what);
    true
}

/// Makes another mksysb in the place of ours when a job that takes one back is about to
/// begin, and keeps what it is told by.
struct Rewrites {
    lab: Lab,
    step: &'static str,
    theirs: Mutex<Option<[String; 2]>>,
}

const OUTPUT: &str = "/export/nim/mksysb/new";

fn on_master(lab: &Lab, line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    lab.exec_words(MASTER, &words).expect("an answer").stdout
}

fn mksysb(lab: &Lab, name: &str) -> [String; 2] {
    [format!("ls -lid {OUTPUT}"), format!("lsnim -l {name}")].map(|line| on_master(lab, &line))
}

impl Around for Rewrites {
    async fn before(&self, call: &Call<'_>) {
        let Call::Start(_, job, _) = call else { return };
        let is_it = job.as_str().contains(&format!("-{}.u", self.step));
        if !is_it || self.theirs.lock().expect("a lock").is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let name = Flavour::ClientToMksysb.spec().options.new_mksysb.expect("a name").to_string();
        let lines = [
            format!("nim -o remove {name}"),
            format!("cp {OUTPUT} {OUTPUT}.theirs"),
            format!("rm -f {OUTPUT}"),
            format!("cp {OUTPUT}.theirs {OUTPUT}"),
            format!("nim -o define -t mksysb -a server=master -a location={OUTPUT} {name}"),
        ];
        for line in lines {
            on_master(&self.lab, &line);
        }
        *self.theirs.lock().expect("a lock") = Some(mksysb(&self.lab, &name));
    }
}

#[test]
fn a_mksysb_that_is_made_between_the_look_and_the_rm_stays() {
    for (flavour, step) in [
        (Flavour::ClientToMksysb, "define-mksysb"),
        (Flavour::ClientToMksysb, "archive-mksysb"),
        (Flavour::MksysbToMksysb, "define-mksysb"),
        (Flavour::MksysbToMksysb, "archive-mksysb"),
        (Flavour::NimadmClientToMksysb, "nimadm-finish"),
        (Flavour::NimadmMksysbToMksysb, "nimadm-finish"),
    ] {
        virtual_time(async || {
            let what = format!("{flavour:?}, before the undo of {step}");
            let world = World::new(flavour);
            let lab = world.lab.clone();
            let around = Rewrites { lab: lab.clone(), step, theirs: Mutex::new(None) };
            let over = Arc::new(OverLab { lab: lab.clone(), around });
            world.live(Arc::new(world.performer(over.clone()))).await;
            assert_eq!(world.state(), "migrated", "{what}: {}", world.story());
            world.order(RequestKind::Rollback);
            world.live(Arc::new(world.performer(over.clone()))).await;
            let theirs = over.around.theirs.lock().expect("a lock").take().expect("a job");
            assert!(theirs.iter().all(|text| !text.is_empty()), "{what}: {theirs:?}");
            let name = flavour.spec().options.new_mksysb.expect("a name");
            assert_eq!(mksysb(&lab, name.as_str()), theirs, "{what}: {}", world.last_cause());
            world.assert_replays(&what);
        });
    }
}

/// Makes another file in the place of half a mksysb when its removal is about to begin,
/// and keeps what stands there when it is about to begin again.
struct RewritesHalf {
    lab: Lab,
    seen: Mutex<Vec<String>>,
}

impl Around for RewritesHalf {
    async fn before(&self, call: &Call<'_>) {
        let Call::Start(_, job, _) = call else { return };
        if !job.as_str().contains("-archive-mksysb.u") {
            return;
        }
        let half = format!("{OUTPUT}.nimshift");
        if self.seen.lock().expect("a lock").is_empty() {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            for line in [
                format!("cp {half} {half}.theirs"),
                format!("rm -f {half}"),
                format!("cp {half}.theirs {half}"),
            ] {
                on_master(&self.lab, &line);
            }
        }
        let stands = on_master(&self.lab, &format!("ls -lid {half}"));
        self.seen.lock().expect("a lock").push(stands);
    }
}

#[test]
fn half_a_mksysb_that_is_another_by_now_is_not_removed_in_that_call() {
    for flavour in [Flavour::ClientToMksysb, Flavour::MksysbToMksysb] {
        virtual_time(async || {
            let world = World::new(flavour);
            let lab = world.lab.clone();
            let fault = FaultSpec { times: None, ..FaultSpec::once(FaultKind::Partial, MASTER) };
            lab.add_fault(fault.on("backup")).expect("a fault");
            let around = RewritesHalf { lab: lab.clone(), seen: Mutex::new(Vec::new()) };
            let over = Arc::new(OverLab { lab: lab.clone(), around });
            world.live(Arc::new(world.performer(over.clone()))).await;
            let seen = over.around.seen.lock().expect("a lock").clone();
            assert!(seen.len() > 1 && !seen[0].is_empty(), "{flavour:?}: {seen:?}");
            assert_eq!(seen[0], seen[1], "{flavour:?}: {}", world.story());
            world.assert_replays("half a mksysb");
        });
    }
}

#[test]
fn nothing_is_changed_for_who_comes_between_the_look_and_the_change() {
    for flavour in [Flavour::Plain, Flavour::Cached, Flavour::NimadmPlain, Flavour::NimadmCached] {
        for comes in [Comes::Takes, Comes::Replaces] {
            let jobs = (0..).take_while(|number| virtual_time(|| holds(flavour, comes, *number)));
            let jobs = jobs.count();
            assert!(jobs > 3, "{flavour:?}, {comes:?}: {jobs}");
        }
    }
}
