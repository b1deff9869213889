//! nimadm's operations beside the migration: what is asked for a client, by the plan, the
//! journal and what is given.

use std::collections::BTreeMap;

use crate::domain::{
    DiskName, EstateKind, FailurePolicy, HostName, Limits, MigrationSpec, Mode, NimName, Options,
    Part, Plan, RetryPolicy, Target, Task,
};
use crate::journal::{BatchRow, Loaded};
use crate::machine::State;
use crate::report::has_begun;

use super::current::{Row, current};
use super::settings::{BatchSettings, UnreadSettings};

/// An operation, as it is asked for.
pub struct OperationAsked<'a> {
    pub task: &'a Task,
    /// The plan that says what is not given.
    pub plan: Option<&'a Plan>,
    /// The master, where it is given.
    pub master: Option<&'a HostName>,
    /// The SPOT, where it is given.
    pub spot: Option<&'a NimName>,
    /// Whether another's lease is taken over.
    pub force: bool,
    /// Changes what plan or journal say of a client.
    pub adapt: &'a dyn Fn(&mut MigrationSpec),
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
            Some(live) if live.spec.task == *self.task => OperationOn::GoesOn(live),
            // A copy must be put to sleep before what waits can go on.
            Some(live)
                if *self.task == Task::Sleep && live.machine.state().waits_for_operator() =>
            {
                OperationOn::Begins
            }
            Some(live) => OperationOn::InFlight(live),
            None => OperationOn::Begins,
        }
    }

    /// What is asked for `client`, for which `before` counts: by the plan, by `before` or
    /// what is known of SPOTs, or by a `master` alone.
    pub fn spec<E>(
        &self,
        client: &NimName,
        before: Option<&Loaded>,
        spots: &BTreeMap<NimName, MigrationSpec>,
        master: impl FnOnce() -> Result<HostName, E>,
    ) -> Result<MigrationSpec, E> {
        let is_it = |spec: &&MigrationSpec| match self.task {
            Task::Sync { .. } => spec.target.spot == *client,
            _ => spec.client == *client,
        };
        let of_plan = self.plan.and_then(|plan| plan.migrations.iter().find(is_it));
        let of_journal = match self.task {
            Task::Sync { .. } => spots.get(client),
            _ => before.map(|one| &*one.spec),
        };
        let given = self.master.or_else(|| self.plan.map(|plan| &plan.master));
        let mut spec = match (of_plan, of_journal) {
            (Some(spec), _) => spec.clone(),
            (None, Some(spec)) if self.plan.is_none() => spec.clone(),
            _ => bare(client, &given.cloned().map_or_else(master, Ok)?, self.spot),
        };
        if let Some(master) = given {
            spec.master.clone_from(master);
        }
        if let Some(spot) = self.spot {
            spec.target.spot.clone_from(spot);
        }
        spec.task = self.task.clone();
        spec.part = None;
        spec.options.phases = None;
        spec.options.force = self.force;
        spec.on_failure = FailurePolicy::Rollback;
        (self.adapt)(&mut spec);
        Ok(spec)
    }
}

/// The SPOTs of `rows`, which are in the order of the journal, with what was asked for
/// last: those of migrations, and those that a sync has found. No other operation needs
/// one, or names it.
pub fn known_spots<T: Row>(rows: impl IntoIterator<Item = T>) -> BTreeMap<NimName, MigrationSpec> {
    let has_spot = |row: &T| match row.task() {
        Task::Migrate => true,
        Task::Sync { .. } => !matches!(row.state(), State::Refused { .. }),
        _ => false,
    };
    let rows = current(rows.into_iter().filter(has_spot));
    rows.iter().map(|row| (row.spec().target.spot.clone(), row.spec().clone())).collect()
}

/// What a wake is asked for by its flags.
pub fn adapt_wake(
    spec: &mut MigrationSpec,
    disks: &[DiskName],
    mount_options: Option<&String>,
    post_script: Option<&NimName>,
) {
    if !disks.is_empty() {
        disks.clone_into(&mut spec.options.disks);
    }
    spec.options.mount_options = mount_options.cloned();
    spec.options.post_script = post_script.cloned();
    spec.options.cache_vg = None;
}

/// The same for the synchronizing of software.
pub fn adapt_sync(spec: &mut MigrationSpec, lpp_source: Option<&NimName>) {
    if let Some(lpp_source) = lpp_source {
        spec.target.lpp_source.clone_from(lpp_source);
    }
    // There is no client: its name is only the operation's.
    spec.mode = Mode::MksysbToMksysb;
    spec.client.clone_from(&spec.target.spot);
}

/// What a cleanup of a client is about: the `disks` of its copy, and the `systems` that
/// it was seen with.
pub fn adapt_cleanup(
    specs: &mut [MigrationSpec],
    disks: &BTreeMap<NimName, Vec<DiskName>>,
    systems: &BTreeMap<String, Part>,
) {
    for spec in specs.iter_mut().filter(|spec| spec.task == Task::Cleanup) {
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
    let migrations = loaded.iter().filter(|one| one.spec.task == Task::Migrate);
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

/// A client that neither plan nor journal know. What the operation does not use
/// is filled with what is given: the SPOT's name, the lowest level.
fn bare(client: &NimName, master: &HostName, spot: Option<&NimName>) -> MigrationSpec {
    let spot = spot.unwrap_or(client).clone();
    let target = Target { lpp_source: spot.clone(), spot, level: "5300".parse().expect("a level") };
    let retry =
        RetryPolicy { attempts: 4, delay_ms: 30_000, delay_max_ms: 300_000, jitter_percent: 20 };
    MigrationSpec {
        options: Options { accept_licenses: true, ..Options::default() },
        ..MigrationSpec::plain(client.clone(), master.clone(), target, retry)
    }
}
