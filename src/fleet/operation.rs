//! nimadm's operations beside the migration: what is asked for a client, by the plan, the
//! journal and what is given.

use std::collections::BTreeMap;

use crate::domain::{
    DiskName, EstateKind, FailurePolicy, HostName, Limits, MigrationSpec, NimName, Part, Plan,
    RetryPolicy, SoftwareSync, Task, TaskKind,
};
use crate::journal::{BatchRow, Loaded};
use crate::machine::State;
use crate::report::has_begun;

use super::current::{Row, current};
use super::settings::{BatchSettings, UnreadSettings};

/// How the steps of an operation are retried that is of no plan.
const USUAL_RETRY: RetryPolicy =
    RetryPolicy { attempts: 4, delay_ms: 30_000, delay_max_ms: 300_000, jitter_percent: 20 };

/// An operation, with what its flags say.
#[derive(Debug)]
pub enum Operation {
    /// See [`Task::Cleanup`].
    Cleanup,
    /// See [`Task::Wake`].
    Wake {
        /// The disks of the copy, where they are given.
        disks: Vec<DiskName>,
        /// NFS options of the master's mounts.
        mount_options: Option<String>,
        /// A script that runs in the copy.
        post_script: Option<NimName>,
    },
    /// See [`Task::Sleep`].
    Sleep,
    /// See [`Task::Sync`].
    Sync {
        /// The lpp_source, where it is given.
        lpp_source: Option<NimName>,
        device: Option<String>,
        preview: bool,
    },
}

impl Operation {
    /// Which it is.
    pub fn kind(&self) -> TaskKind {
        match self {
            Operation::Cleanup => TaskKind::Cleanup,
            Operation::Wake { .. } => TaskKind::Wake,
            Operation::Sleep => TaskKind::Sleep,
            Operation::Sync { .. } => TaskKind::Sync,
        }
    }

    /// Whether it is what was begun.
    fn is(&self, begun: &Task) -> bool {
        match (self, begun) {
            (Operation::Sync { device, preview, .. }, Task::Sync(sync)) => {
                (device, preview) == (&sync.device, &sync.preview)
            }
            _ => self.kind() == begun.kind(),
        }
    }

    /// What is asked for `name`, of which `known` is known; none for a sync without an
    /// lpp_source.
    fn task(&self, name: &NimName, known: Option<&Task>) -> Option<Task> {
        let aim = || known.and_then(Task::aim).cloned();
        Some(match self {
            Operation::Cleanup => Task::Cleanup(aim()),
            Operation::Wake { .. } => Task::Wake(aim()),
            Operation::Sleep => Task::Sleep(aim()),
            Operation::Sync { lpp_source, device, preview } => {
                let known = || known.and_then(Task::software).map(|(_, lpp_source)| lpp_source);
                Task::Sync(SoftwareSync {
                    spot: name.clone(),
                    lpp_source: lpp_source.as_ref().or_else(known)?.clone(),
                    device: device.clone(),
                    preview: *preview,
                })
            }
        })
    }
}

/// An operation, as it is asked for.
pub struct OperationAsked<'a> {
    pub operation: &'a Operation,
    /// The plan that says what is not given.
    pub plan: Option<&'a Plan>,
    /// The master, where it is given.
    pub master: Option<&'a HostName>,
    /// Whether another's lease is taken over.
    pub force: bool,
}

/// What an operation does with a client, by what counts for it.
#[derive(Debug)]
pub enum OperationOn<'a> {
    /// It is begun.
    Begins,
    /// It goes on as it was begun.
    GoesOn(&'a Loaded),
    /// It is refused: something else is in flight.
    InFlight(&'a Loaded),
}

impl OperationAsked<'_> {
    /// What is done with a client for which `before` counts.
    pub fn on<'l>(&self, before: Option<&'l Loaded>) -> OperationOn<'l> {
        match before.filter(|one| !one.machine.state().is_terminal()) {
            Some(live) if self.operation.is(&live.spec.task) => OperationOn::GoesOn(live),
            // A copy must be put to sleep before what waits can go on.
            Some(live)
                if matches!(self.operation, Operation::Sleep)
                    && live.machine.state().waits_for_operator() =>
            {
                OperationOn::Begins
            }
            Some(live) => OperationOn::InFlight(live),
            None => OperationOn::Begins,
        }
    }

    /// What is asked for `client`, or a SPOT of that name, for which `before` counts: by the
    /// plan, by `before` or what is known of SPOTs, or by a `master` alone. None for a sync
    /// where no lpp_source is known.
    pub fn spec<E>(
        &self,
        client: &NimName,
        before: Option<&Loaded>,
        spots: &BTreeMap<NimName, MigrationSpec>,
        master: impl FnOnce() -> Result<HostName, E>,
    ) -> Result<Option<MigrationSpec>, E> {
        let syncs = self.operation.kind() == TaskKind::Sync;
        let known = match self.plan {
            Some(plan) => plan
                .migrations
                .iter()
                .find(|spec| client == if syncs { &spec.target().spot } else { &spec.client }),
            None if syncs => spots.get(client),
            None => before.map(|one| &*one.spec),
        };
        let Some(task) = self.operation.task(client, known.map(|spec| &spec.task)) else {
            return Ok(None);
        };
        let given = self.master.or_else(|| self.plan.map(|plan| &plan.master));
        let mut spec = if let Some(spec) = known {
            MigrationSpec { client: client.clone(), task, ..spec.clone() }
        } else {
            let master = given.cloned().map_or_else(master, Ok)?;
            MigrationSpec::plain(client.clone(), master, task, USUAL_RETRY)
        };
        if let Some(master) = given {
            spec.master.clone_from(master);
        }
        spec.part = None;
        spec.options.phases = None;
        spec.options.force = self.force;
        spec.on_failure = FailurePolicy::Rollback;
        if let Operation::Wake { disks, mount_options, post_script } = self.operation {
            if !disks.is_empty() {
                spec.options.disks.clone_from(disks);
            }
            spec.options.mount_options.clone_from(mount_options);
            spec.options.post_script.clone_from(post_script);
            spec.options.cache_vg = None;
        }
        Ok(Some(spec))
    }
}

/// The SPOTs that `rows`, in the order of the journal, name, with what was asked for last.
/// What a sync was refused for may be none.
pub fn known_spots<T: Row>(rows: impl IntoIterator<Item = T>) -> BTreeMap<NimName, MigrationSpec> {
    let may_be_none = |row: &T| {
        row.spec().task.kind() == TaskKind::Sync && matches!(row.state(), State::Refused { .. })
    };
    let rows = current(rows.into_iter().filter(|row| !may_be_none(row)));
    let named = |spec: &MigrationSpec| Some((spec.task.software()?.0.clone(), spec.clone()));
    rows.iter().filter_map(|row| named(row.spec())).collect()
}

/// What a cleanup of a client is about: the `disks` of its copy, and the `systems` that
/// it was seen with.
pub fn adapt_cleanup(
    specs: &mut [MigrationSpec],
    disks: &BTreeMap<NimName, Vec<DiskName>>,
    systems: &BTreeMap<String, Part>,
) {
    for spec in specs.iter_mut().filter(|spec| spec.task.kind() == TaskKind::Cleanup) {
        // A wake may have been of other disks.
        if let Some(disks) = disks.get(&spec.client) {
            spec.options.disks.clone_from(disks);
        }
        spec.part = systems.get(spec.client.as_str()).cloned();
    }
}

/// The disks that the latest migration of each client has made its copy on. One that
/// was refused says nothing of the copy before it.
pub fn disks_of_copies(loaded: &[Loaded]) -> BTreeMap<NimName, Vec<DiskName>> {
    let migrations = loaded.iter().filter(|one| one.spec.task.is_migration());
    let (begun, others): (Vec<&Loaded>, Vec<&Loaded>) =
        migrations.partition(|one| has_begun(one.machine.state()));
    let disks = |one: &Loaded| (one.spec.client.clone(), one.spec.options.disks.clone());
    others.into_iter().chain(begun).map(disks).collect()
}

/// How the hosts are reached: as the plan says, or as the latest batch did.
pub fn settings_for(
    batches: &[BatchRow],
    plan: Option<&Plan>,
) -> Result<BatchSettings, UnreadSettings> {
    Ok(match (plan, batches.last()) {
        (Some(plan), _) => BatchSettings::of(plan),
        (None, Some(_)) => BatchSettings::of_all(batches)?.expect("there is a batch"),
        (None, None) => BatchSettings {
            kind: EstateKind::Lab,
            limits: Limits { migrations: 10, phases: BTreeMap::new() },
            real: None,
        },
    })
}
