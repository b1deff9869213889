//! Silence before a compensation: whatever a migration turned back from, nothing
//! of it runs on its hosts when the first thing is taken back, or comes later.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nimshift::domain::{Answer, Cause, FailureClass, Outcome, Repeat, Residue};
use nimshift::engine::{Performer, PerformerFuture};
use nimshift::lab::{FaultKind, FaultSpec, Lab};
use nimshift::phases::Order;
use nimshift::phases::{StepDef, registry};
use nimshift::transport::{HostId, JobId, Script, Transport as _};
use tokio::sync::Notify;

use super::faulty::empty_record;
use super::over_lab::{Around, Call, OverLab};
use super::world::{CLIENT, Flavour, MASTER, World, flavours, is_soak, virtual_time};
use super::{assert_mended, good_end};

/// What the marked step has on its host when the migration turns back.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    /// A job that does not end by itself.
    Running,
    /// A start that arrives after so many calls.
    Late(u64),
}

/// Leaves the job of the marked step to itself, and looks at the hosts at the
/// start of every undo.
struct Watch {
    lab: Lab,
    mark: String,
    leaves: Leaves,
    left_alone: Notify,
    under_way: Mutex<Option<(HostId, JobId, Script)>>,
    calls: AtomicU64,
    beside: Mutex<Vec<String>>,
}

type Watched = OverLab<Watch>;

impl Watched {
    fn new(lab: Lab, def: &StepDef, leaves: Leaves) -> Arc<Watched> {
        let around = Watch {
            lab: lab.clone(),
            mark: format!("-{}.f0.1", def.name),
            leaves,
            left_alone: Notify::new(),
            under_way: Mutex::default(),
            calls: AtomicU64::new(0),
            beside: Mutex::default(),
        };
        Arc::new(OverLab { lab, around })
    }
}

impl Watch {
    async fn running(&self) -> Vec<String> {
        let mut running = Vec::new();
        for host in [CLIENT, MASTER] {
            let found = self.lab.unfinished(&HostId::new(host), "test.").await.expect("a host");
            running.extend(found.iter().map(|job| format!("{job} on {host}")));
        }
        running
    }

    /// The start that was under way arrives now, if it is time.
    async fn arrives(&self) {
        let Leaves::Late(calls) = self.leaves else { return };
        if self.under_way.lock().expect("a lock").is_none() {
            return;
        }
        if self.calls.fetch_add(1, Ordering::SeqCst) < calls {
            return;
        }
        let asked = self.under_way.lock().expect("a lock").take();
        if let Some((host, id, script)) = asked {
            self.never_ends(&host);
            let _ = self.lab.start(&host, &id, &script).await;
        }
    }

    fn never_ends(&self, host: &HostId) {
        let fault = FaultSpec::once(FaultKind::Stalled, host.as_str());
        self.lab.add_fault(fault).expect("a fault");
    }
}

impl Around for Watch {
    async fn before(&self, call: &Call<'_>) {
        self.arrives().await;
        let Call::Start(host, id, script) = call else { return };
        if id.as_str().ends_with(&self.mark) {
            match self.leaves {
                Leaves::Running => self.never_ends(host),
                Leaves::Late(_) => {
                    let asked = ((*host).clone(), (*id).clone(), (*script).clone());
                    *self.under_way.lock().expect("a lock") = Some(asked);
                    self.left_alone.notify_one();
                    std::future::pending::<()>().await;
                }
            }
        } else if id.as_str().contains(".u") {
            let running = self.running().await;
            self.beside.lock().expect("a lock").extend(running);
        }
    }

    async fn after(&self, call: &Call<'_>) {
        let Call::Start(_, id, _) = call else { return };
        if id.as_str().ends_with(&self.mark) {
            self.left_alone.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// Gives the marked attempt up as soon as its job is left to itself.
struct TurnsBack<P> {
    inner: Arc<P>,
    watched: Arc<Watched>,
    class: FailureClass,
}

impl<P: Performer + 'static> Performer for TurnsBack<P> {
    fn perform(&self, order: Order) -> PerformerFuture {
        let id = order.ticket.job_id("test", order.migration);
        if !id.ends_with(&self.watched.around.mark) {
            return self.inner.perform(order);
        }
        let (inner, watched) = (Arc::clone(&self.inner), Arc::clone(&self.watched));
        let cause = Cause::new(self.class, "left alone by the test");
        Box::pin(async move {
            tokio::select! {
                answer = inner.perform(order) => answer,
                () = watched.around.left_alone.notified() => {
                    let outcome = Outcome::Failed { cause, trace: Residue::Left };
                    Answer { outcome, facts: None, record: empty_record() }
                }
            }
        })
    }
}

/// A migration that turns back at `def`, with its job left as `leaves` says.
/// Returns whether there was one.
async fn turned_back(
    world: &World,
    def: &StepDef,
    leaves: Leaves,
    class: FailureClass,
    what: &str,
) -> bool {
    let watched = Watched::new(world.lab.clone(), def, leaves);
    let inner = Arc::new(world.performer(watched.clone()));
    world.live(Arc::new(TurnsBack { inner, watched: watched.clone(), class })).await;
    let had_job = world
        .lab
        .log()
        .expect("a log")
        .iter()
        .any(|entry| entry.job.as_ref().is_some_and(|job| job.ends_with(&watched.around.mark)))
        || watched.around.calls.load(Ordering::SeqCst) > 0;
    let beside = watched.around.beside.lock().expect("a lock").clone();
    assert!(beside.is_empty(), "{what}: an undo began beside {beside:?}");
    let running = watched.around.running().await;
    assert!(running.is_empty(), "{what}: it ended, and on go {running:?}");
    world.assert_replays(what);
    had_job
}

/// Steps that mend what is wrong on few hosts, and find all as it should be on
/// those of the flavours: they begin no job there.
const FIND_ALL_DONE: [&str; 4] =
    ["expand-filesystems", "clean-master", "cleanup-jobs-master", "cleanup-jobs-client"];

/// Each step that has a job is left with one, in the first flavour that begins it;
/// `NIMSHIFT_SOAK=1` tries all flavours.
#[test]
fn nothing_runs_beside_an_undo() {
    let mut had_jobs = BTreeSet::new();
    for flavour in flavours() {
        let good = virtual_time(async || good_end(flavour).await);
        for (index, def) in flavour.steps().into_iter().enumerate() {
            if def.run.is_none() || had_jobs.contains(def.name) && !is_soak() {
                continue;
            }
            for leaves in [Leaves::Running, Leaves::Late(index as u64 % 5)] {
                virtual_time(async || {
                    let what = format!("{flavour:?}, {} left {leaves:?}", def.name);
                    let world = World::new(flavour);
                    let class = FailureClass::Permanent;
                    if turned_back(&world, def, leaves, class, &what).await {
                        had_jobs.insert(def.name);
                        assert_mended(flavour, &world, def, &good, &what).await;
                    }
                });
            }
        }
    }
    let all = registry().iter().filter(|def| def.run.is_some()).map(|def| def.name);
    if std::env::var_os("NIMSHIFT_FLAVOURS").is_none() {
        let never: Vec<&str> = all.filter(|name| !had_jobs.contains(name)).collect();
        assert_eq!(never, FIND_ALL_DONE, "never left with a job");
    }
}

/// As [`nothing_runs_beside_an_undo`], where a fresh copy is made.
#[test]
fn nothing_runs_beside_a_rewind() {
    let mut tried = BTreeSet::new();
    for flavour in flavours() {
        for (index, def) in flavour.steps().into_iter().enumerate() {
            let rewinds = def.run.is_some() && def.repeat != Repeat::Safe;
            if !rewinds || !tried.insert(def.name) && !is_soak() {
                continue;
            }
            for leaves in [Leaves::Running, Leaves::Late(index as u64 % 5)] {
                virtual_time(async || {
                    let what = format!("{flavour:?}, {} left {leaves:?}", def.name);
                    let world = World::new(flavour);
                    let class = FailureClass::Transient;
                    turned_back(&world, def, leaves, class, &what).await;
                    let ended = if flavour == Flavour::Part { "rolled_back" } else { "migrated" };
                    assert!([ended, "migrated"].contains(&world.state()), "{what}");
                });
            }
        }
    }
}
