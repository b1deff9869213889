//! `nimshift cleanup`, `wake`, `sleep` and `sync`: nimadm's operations beside the
//! migration. Each is journaled as a migration is, and carried out by the same
//! engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{
    BootFailure, Bootlist, CopyPolicy, DiskName, FailurePolicy, HostName, Limits, MigrationId,
    MigrationSpec, Mode, NimName, Options, Plan, RetryPolicy, SPEC_FORMAT, Target, Task,
};
use crate::engine::EngineLimits;
use crate::fleet::{BatchSettings, create, current};
use crate::journal::{BatchRow, Loaded, NewBatch};
use crate::report::{self, Verdict, has_begun, operation_lines, spoken, ways_out};

use super::args::{ClientsArgs, OperationArgs, SyncArgs, WakeArgs};
use super::error::CliError;
use super::estate::{Estate, open_lab};
use super::exit::Exit;
use super::night::{Night, Open};
use super::operator::operator;
use super::out::Out;
use super::place::Place;
use super::plan_file::read_plan;

/// An operation on clients.
pub(super) struct Operation<'a> {
    pub(super) out: &'a Out,
    pub(super) place: &'a Place,
    pub(super) task: Task,
    pub(super) args: &'a OperationArgs,
    /// Changes what plan or journal say of a client.
    pub(super) adapt: &'a dyn Fn(&mut MigrationSpec),
}

/// `nimshift cleanup CLIENT…` and `nimshift sleep CLIENT…`: `task` of clients as
/// they are known.
pub(super) fn of_clients(
    out: &Out,
    place: &Place,
    task: Task,
    args: &ClientsArgs,
) -> Result<Exit, CliError> {
    Operation { out, place, task, args: &args.operation, adapt: &|_| {} }.run(&args.clients)
}

/// `nimshift wake CLIENT…`.
pub(super) fn wake(out: &Out, place: &Place, args: &WakeArgs) -> Result<Exit, CliError> {
    let adapt = |spec: &mut MigrationSpec| {
        adapt_wake(spec, &args.disks, args.mount_options.as_ref(), args.post_script.as_ref());
    };
    let task = Task::Wake;
    Operation { out, place, task, args: &args.operation, adapt: &adapt }.run(&args.clients)
}

/// `nimshift sync`.
pub(super) fn sync(out: &Out, place: &Place, args: &SyncArgs) -> Result<Exit, CliError> {
    let adapt = |spec: &mut MigrationSpec| adapt_sync(spec, args.lpp_source.as_ref());
    let task = Task::Sync { device: args.device.clone(), preview: args.preview };
    let operation = Operation { out, place, task, args: &args.operation, adapt: &adapt };
    let given = args.operation.spot.iter().cloned().collect::<Vec<_>>();
    let clients = if given.is_empty() { operation.spots()? } else { given };
    if args.lpp_source.is_none() && args.operation.spot.is_some() {
        return Err(CliError::usage("`sync` of a SPOT needs an lpp_source")
            .help("name it with `--lpp-source` (-l)"));
    }
    operation.run(&clients)
}

/// What a wake is asked for by its flags.
pub(super) fn adapt_wake(
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
pub(super) fn adapt_sync(spec: &mut MigrationSpec, lpp_source: Option<&NimName>) {
    if let Some(lpp_source) = lpp_source {
        spec.target.lpp_source.clone_from(lpp_source);
    }
    // There is no client: its name is only the operation's.
    spec.mode = Mode::MksysbToMksysb;
    spec.client.clone_from(&spec.target.spot);
}

/// What an operation knows of its hosts.
struct Known {
    settings: BatchSettings,
    estate: serde_json::Value,
    plan: Option<Plan>,
    latest: Vec<Loaded>,
}

/// An operation that is journaled, and not yet carried out.
pub(super) struct Prepared {
    pub(super) open: Open,
    pub(super) estate: Estate,
    pub(super) limits: EngineLimits,
    /// What is carried out.
    pub(super) ids: Vec<MigrationId>,
}

impl Operation<'_> {
    /// Carries the operation out on `clients`, and reports it.
    pub(super) fn run(&self, clients: &[NimName]) -> Result<Exit, CliError> {
        let Prepared { open, estate, limits, ids } = self.prepare(clients)?;
        let (out, place) = (self.out, self.place);
        let night = Night {
            out,
            place,
            estate: &estate,
            limits,
            args: &self.args.engine,
            takes_work: false,
        };
        night.run_and_tell(open, |_| self.tell(&ids, estate.clock.now_ms()))
    }

    /// Journals the operation on `clients`, or takes up what is under way.
    pub(super) fn prepare(&self, clients: &[NimName]) -> Result<Prepared, CliError> {
        let mut clients = clients.to_vec();
        clients.sort();
        clients.dedup();
        let plan = self.plan()?;
        // A state directory is not made to find nothing in it.
        let has_journal = self.place.journal().exists();
        if plan.is_none() && !has_journal && !crate::lab::Lab::exists(&self.place.lab()) {
            drop(self.place.reader()?);
        }
        let mut open = Open::new(self.place)?;
        let batches = self.place.reader()?.batches()?;
        let mut loaded = std::mem::take(&mut open.loaded);
        loaded.sort_by_key(|one| one.id);
        let (settings, estate) = settings(&batches, plan.as_ref())?;
        let (disks, systems) = (disks_of_copies(&loaded), self.place.reader()?.systems()?);
        let known = Known { settings, estate, plan, latest: current(loaded) };
        let (mut specs, mut going) =
            self.specs(&clients, &known.latest.iter(), known.plan.as_ref())?;
        for spec in specs.iter_mut().filter(|spec| spec.task == Task::Cleanup) {
            // A wake may have been of other disks.
            if let Some(disks) = disks.get(&spec.client) {
                spec.options.disks.clone_from(disks);
            }
            spec.part = systems.get(spec.client.as_str()).cloned();
        }
        let estate = Estate::open(self.place, &known.settings)?;
        if known.settings.kind == crate::domain::EstateKind::Lab {
            self.check_hosts(&specs)?;
        }
        let created_ms = estate.clock.now_ms();
        let mut loaded = known.latest;
        loaded.retain(|one| going.contains(&one.id));
        if !specs.is_empty() {
            let batch = NewBatch {
                name: self.task.name().to_owned(),
                digest: format!("{}-{created_ms}", self.task.name()),
                plan_text: String::new(),
                created_ms,
                operator: operator(),
                estate: known.estate,
            };
            let specs = (1..).zip(specs.into_iter().map(Arc::new));
            let created = create(&open.journal, &batch, specs)?;
            going.extend(created.iter().map(|one| one.id));
            loaded.extend(created);
        }
        open.loaded = loaded;
        let limits = known.settings.engine_limits();
        Ok(Prepared { open, estate, limits, ids: going })
    }

    fn plan(&self) -> Result<Option<Plan>, CliError> {
        self.args.plan.as_deref().map(|path| Ok(read_plan(path)?.plan)).transpose()
    }

    /// The SPOTs of the plan, or of what the journal has.
    fn spots(&self) -> Result<Vec<NimName>, CliError> {
        if let Some(plan) = self.plan()? {
            return Ok(plan.migrations.into_iter().map(|spec| spec.target.spot).collect());
        }
        let views = current(report::views(&self.place.reader()?)?);
        let spots: Vec<NimName> = views.iter().map(|view| view.spec.target.spot.clone()).collect();
        if spots.is_empty() {
            return Err(CliError::usage("no SPOT is known here")
                .help("name one with `--spot` (-s), or a plan with `--plan`"));
        }
        Ok(spots)
    }

    /// What is begun, and what goes on as it was begun.
    fn specs<'a>(
        &self,
        clients: &[NimName],
        latest: &(impl Iterator<Item = &'a Loaded> + Clone),
        plan: Option<&Plan>,
    ) -> Result<(Vec<MigrationSpec>, Vec<MigrationId>), CliError> {
        let (mut specs, mut going, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let mut ways = Vec::new();
        for client in clients {
            let before = latest.clone().find(|one| one.client == client.as_str());
            match before.filter(|one| !one.machine.state().is_terminal()) {
                Some(live) if live.spec.task == self.task => {
                    let state = live.machine.state();
                    Out::note(&format!("{client}: goes on ({})", spoken(state)));
                    going.push(live.id);
                }
                // A copy must be put to sleep before what waits can go on.
                Some(live)
                    if self.task == Task::Sleep && live.machine.state().waits_for_operator() =>
                {
                    specs.push(self.spec(client, Some(live), latest.clone(), plan)?);
                }
                Some(live) => {
                    let state = live.machine.state();
                    ways.push(ways_out(client.as_str(), state));
                    refused.push(format!(
                        "{client} is in flight: {}, {}",
                        live.spec.task.name(),
                        spoken(state)
                    ));
                }
                None => specs.push(self.spec(client, before, latest.clone(), plan)?),
            }
        }
        if refused.is_empty() {
            return Ok((specs, going));
        }
        let error = CliError::usage(format!(
            "`{}` is not for what nimshift itself has in flight\n{}",
            self.task.name(),
            refused.join("\n")
        ));
        Err(ways.into_iter().fold(error, CliError::help))
    }

    /// What is asked for `client`: by the plan, the journal and the flags.
    fn spec<'a>(
        &self,
        client: &NimName,
        before: Option<&Loaded>,
        mut latest: impl Iterator<Item = &'a Loaded>,
        plan: Option<&Plan>,
    ) -> Result<MigrationSpec, CliError> {
        let is_it = |spec: &&MigrationSpec| match self.task {
            Task::Sync { .. } => spec.target.spot == *client,
            _ => spec.client == *client,
        };
        let of_plan = plan.and_then(|plan| plan.migrations.iter().find(is_it));
        let of_journal = match self.task {
            Task::Sync { .. } => latest.find(|one| one.spec.target.spot == *client),
            _ => before,
        };
        let base = match (of_plan, of_journal) {
            (Some(spec), _) => Some(spec.clone()),
            (None, Some(one)) if plan.is_none() => Some((*one.spec).clone()),
            _ => None,
        };
        let master = self.args.master.clone().or_else(|| plan.map(|plan| plan.master.clone()));
        let mut spec = match base {
            Some(spec) => spec,
            None => bare(client, &self.master(master.clone())?, self.args.spot.as_ref()),
        };
        if let Some(master) = master {
            spec.master = master;
        }
        if let Some(spot) = &self.args.spot {
            spec.target.spot.clone_from(spot);
        }
        spec.task = self.task.clone();
        spec.part = None;
        spec.options.phases = None;
        spec.options.force = self.args.force;
        spec.on_failure = FailurePolicy::Rollback;
        (self.adapt)(&mut spec);
        Ok(spec)
    }

    /// The master: as given, or that of what the journal has, or of the lab.
    fn master(&self, given: Option<HostName>) -> Result<HostName, CliError> {
        if let Some(master) = given {
            return Ok(master);
        }
        if let Ok(views) = self.place.reader().and_then(|reader| Ok(report::views(&reader)?))
            && let Some(view) = views.last()
        {
            return Ok(view.spec.master.clone());
        }
        let unknown = || {
            CliError::usage("the master is not known here")
                .help("name it with `--master`, or a plan with `--plan`")
        };
        let hosts = open_lab(self.place).map_err(|_| unknown())?.hosts()?;
        hosts.first().and_then(|name| name.parse().ok()).ok_or_else(unknown)
    }

    fn check_hosts(&self, specs: &[MigrationSpec]) -> Result<(), CliError> {
        let hosts = open_lab(self.place)?.hosts()?;
        let named = specs.iter().flat_map(|spec| {
            let client = spec.mode.has_client().then(|| spec.client.to_string());
            [Some(spec.master.to_string()), client].into_iter().flatten()
        });
        let missing: Vec<String> = named.filter(|name| !hosts.contains(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let text = format!("the lab has no host {}", missing.join(", "));
        Err(CliError::usage(text).help("`nimshift lab show` lists its hosts"))
    }

    /// The report of the operations `ids`, and the exit that they come to.
    fn tell(&self, ids: &[MigrationId], now_ms: u64) -> Result<Exit, CliError> {
        let reader = self.place.reader()?;
        let mut views = report::views(&reader)?;
        views.retain(|view| ids.contains(&view.id));
        let verdict = Verdict::of_all(views.iter().map(|view| &view.state));
        let stories = views
            .into_iter()
            .map(|view| report::story(&reader, view))
            .collect::<Result<Vec<_>, _>>()?;
        self.out.lines(&operation_lines(&stories, now_ms));
        let exit = Exit::from(verdict);
        if exit != Exit::Ok {
            Out::note(&format!("exit code {}: {}", exit.code(), exit.meaning()));
        }
        Ok(exit)
    }
}

/// The disks that the latest migration of each client has made its copy on. One that
/// was refused says nothing of the copy before it.
fn disks_of_copies(loaded: &[Loaded]) -> BTreeMap<NimName, Vec<DiskName>> {
    let migrations = loaded.iter().filter(|one| one.spec.task == Task::Migrate);
    let (begun, others): (Vec<&Loaded>, Vec<&Loaded>) =
        migrations.partition(|one| has_begun(one.machine.state()));
    let disks = |one: &Loaded| (one.spec.client.clone(), one.spec.options.disks.clone());
    others.into_iter().chain(begun).map(disks).collect()
}

/// How the hosts are reached: as the plan says, or as the latest batch did.
fn settings(
    batches: &[BatchRow],
    plan: Option<&Plan>,
) -> Result<(BatchSettings, serde_json::Value), CliError> {
    let settings = match (plan, batches.last()) {
        (Some(plan), _) => BatchSettings::of(plan),
        (None, Some(_)) => BatchSettings::of_all(batches)?.expect("there is a batch"),
        (None, None) => BatchSettings {
            kind: crate::domain::EstateKind::Lab,
            limits: Limits { migrations: 10, phases: BTreeMap::new() },
            real: None,
        },
    };
    let value = serde_json::to_value(&settings).expect("settings have text for keys");
    Ok((settings, value))
}

/// A client that neither plan nor journal know. What the operation does not use
/// is filled with what is given: the SPOT's name, the lowest level.
fn bare(client: &NimName, master: &HostName, spot: Option<&NimName>) -> MigrationSpec {
    let spot = spot.unwrap_or(client).clone();
    MigrationSpec {
        format: SPEC_FORMAT,
        client: client.clone(),
        master: master.clone(),
        mode: Mode::Disk,
        driver: crate::domain::Driver::Native,
        target: Target { lpp_source: spot.clone(), spot, level: "5300".parse().expect("a level") },
        options: Options {
            disks: Vec::new(),
            cache_vg: None,
            pre_script: None,
            post_script: None,
            scripts_repeatable: false,
            bundle: None,
            exclude_files: None,
            image_data: None,
            bosinst_data: None,
            mount_options: None,
            accept_licenses: true,
            update: false,
            force: false,
            bootlist: Bootlist::Set,
            reboot: false,
            phases: None,
            mksysb: None,
            output: None,
            new_mksysb: None,
        },
        retry: RetryPolicy {
            attempts: 4,
            delay_ms: 30_000,
            delay_max_ms: 300_000,
            jitter_percent: 20,
        },
        on_failure: FailurePolicy::Rollback,
        failed_copy: CopyPolicy::Remove,
        on_boot_failure: BootFailure::Hold,
        reboot_timeout_ms: 1_800_000,
        dead_lease_after_ms: None,
        wave: 1,
        messages: Vec::new(),
        task: Task::Migrate,
        part: None,
    }
}
