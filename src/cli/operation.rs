//! `nimshift cleanup`, `wake`, `sleep` and `sync`: nimadm's operations beside the
//! migration. Each is journaled as a migration is, and carried out by the same
//! engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{
    CopyIs, EstateKind, HostName, MigrationId, MigrationSpec, Mode, NimName, Plan, TaskKind,
};
use crate::engine::EngineLimits;
use crate::fleet::{
    Operation, OperationAsked, OperationOn, adapt_cleanup, create, current, disks_of_copies,
    known_spots, settings_for,
};
use crate::journal::{Loaded, NewBatch};
use crate::machine::State;
use crate::report::{self, MigrationView, Verdict, operation_lines, spoken, ways_out};

use super::args::{CleanupArgs, ClientsArgs, OperationArgs, SyncArgs, WakeArgs};
use super::confirm::confirmed;
use super::engine_run::{EngineRun, OpenJournal};
use super::error::CliError;
use super::estate::{Estate, open_lab};
use super::exit::Exit;
use super::left;
use super::operator::operator;
use super::out::Out;
use super::plan_file::read_plan;
use super::state_dir::StateDir;

/// An operation that is carried out on clients.
pub(super) struct OperationRun<'a> {
    pub(super) out: &'a Out,
    pub(super) place: &'a StateDir,
    pub(super) operation: Operation,
    pub(super) args: &'a OperationArgs,
}

/// `nimshift cleanup CLIENT…` and `nimshift sleep CLIENT…`: `operation` on clients as
/// they are known.
pub(super) fn of_clients(
    out: &Out,
    place: &StateDir,
    operation: Operation,
    args: &ClientsArgs,
) -> Result<Exit, CliError> {
    OperationRun { out, place, operation, args: &args.operation }.run(&args.clients)
}

/// `nimshift cleanup CLIENT…`, which asks before it removes a copy that only waits to be
/// booted.
pub(super) fn cleanup(out: &Out, place: &StateDir, args: &CleanupArgs) -> Result<Exit, CliError> {
    let ClientsArgs { clients, .. } = &args.clients;
    if !args.yes && place.journal().exists() {
        let named: Vec<String> = clients.iter().map(NimName::to_string).collect();
        let views = left::as_they_stand(place, &named)?;
        let waiting = views.iter().filter(|view| view.standing().waits_for_boot());
        let waiting: Vec<&str> = waiting.map(|view| view.client.as_str()).collect();
        let text = format!("`cleanup` removes the finished copy of {}", waiting.join(", "));
        if !waiting.is_empty() && !confirmed(&format!("{text}.")) {
            let kept = "nothing was changed; `--yes` skips this question";
            return Err(CliError::usage(text).help(kept));
        }
    }
    of_clients(out, place, Operation::Cleanup, &args.clients)
}

/// `nimshift wake CLIENT…`.
pub(super) fn wake(out: &Out, place: &StateDir, args: WakeArgs) -> Result<Exit, CliError> {
    let WakeArgs { clients, disks, mount_options, post_script, operation: args } = args;
    let operation = Operation::Wake { disks, mount_options, post_script };
    OperationRun { out, place, operation, args: &args }.run(&clients)
}

/// `nimshift sync`.
pub(super) fn sync(out: &Out, place: &StateDir, args: SyncArgs) -> Result<Exit, CliError> {
    let SyncArgs { lpp_source, device, preview, operation: args } = args;
    let needs_source = args.spot.is_some() && lpp_source.is_none();
    let operation = Operation::Sync { lpp_source, device, preview };
    let run = OperationRun { out, place, operation, args: &args };
    let spots = args.spot.clone().map_or_else(|| run.spots(), |spot| Ok(vec![spot]))?;
    if needs_source {
        return Err(no_lpp_source());
    }
    run.run(&spots)
}

fn no_lpp_source() -> CliError {
    CliError::usage("`sync` of a SPOT needs an lpp_source").help("name it with `--lpp-source` (-l)")
}

/// What is said of a copy that is newer than the system that its client runs, as the
/// client was seen: where a release was left behind, and the copy sleeps.
fn newer_copy(view: &MigrationView) -> Option<String> {
    let spec = &view.spec;
    let is_migrated = matches!(view.state, State::Migrated { .. }) && spec.is_whole();
    let is_newer = spec.task.mode() == Some(Mode::Disk) && !spec.options.update;
    let sleeps = view.seen.as_ref().is_some_and(|seen| seen.is == CopyIs::Asleep);
    (spec.task.is_migration() && is_migrated && is_newer && sleeps && !view.is_silent).then(|| {
        let (client, level) = (&view.client, &spec.target().level);
        format!("{client}: its copy is at {level}, and {client} runs an older release")
    })
}

/// An operation that is journaled, and not yet carried out.
pub(super) struct Prepared {
    pub(super) open: OpenJournal,
    pub(super) estate: Estate,
    pub(super) limits: EngineLimits,
    /// What is carried out.
    pub(super) ids: Vec<MigrationId>,
}

impl OperationRun<'_> {
    /// Carries the operation out on `clients`, and reports it.
    pub(super) fn run(&self, clients: &[NimName]) -> Result<Exit, CliError> {
        let Prepared { open, estate, limits, ids } = self.prepare(clients)?;
        let (out, place) = (self.out, self.place);
        let night = EngineRun {
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
        if self.operation.kind() == TaskKind::Wake && has_journal {
            self.can_be_woken(&clients)?;
        }
        let mut open = OpenJournal::new(self.place)?;
        let reader = self.place.reader()?;
        let mut loaded = std::mem::take(&mut open.loaded);
        loaded.sort_by_key(|one| one.id);
        let settings = settings_for(&reader.batches()?, plan.as_ref())?;
        let (disks, spots) = (disks_of_copies(&loaded), known_spots(&loaded));
        let mut latest = current(loaded);
        let (mut specs, mut ids) = self.specs(&clients, (&latest, &spots), plan.as_ref())?;
        adapt_cleanup(&mut specs, &disks, &reader.systems()?);
        let estate = Estate::open(self.place, &settings)?;
        if settings.kind == EstateKind::Lab {
            self.check_hosts(&specs)?;
        }
        latest.retain(|one| ids.contains(&one.id));
        if !specs.is_empty() {
            let created_ms = estate.clock.now_ms();
            let batch = NewBatch {
                name: self.operation.kind().name().to_owned(),
                digest: format!("{}-{created_ms}", self.operation.kind().name()),
                plan_text: String::new(),
                created_ms,
                operator: operator(),
                estate: settings.value(),
            };
            let specs = (1..).zip(specs.into_iter().map(Arc::new));
            let created = create(&open.journal, &batch, specs)?;
            ids.extend(created.iter().map(|one| one.id));
            latest.extend(created);
        }
        open.loaded = latest;
        let limits = settings.engine_limits();
        Ok(Prepared { open, estate, limits, ids })
    }

    /// Refuses what AIX would: a migrated copy that was never booted is newer than what
    /// its client runs.
    fn can_be_woken(&self, clients: &[NimName]) -> Result<(), CliError> {
        let clients: Vec<String> = clients.iter().map(NimName::to_string).collect();
        let views = left::as_they_stand(self.place, &clients)?;
        let newer: Vec<String> = views.iter().filter_map(newer_copy).collect();
        if newer.is_empty() {
            return Ok(());
        }
        Err(CliError::usage(format!(
            "AIX would refuse to wake the copy (0505-148)\n{}",
            newer.join("\n")
        ))
        .help("boot it first; then `wake` is about old_rootvg"))
    }

    fn plan(&self) -> Result<Option<Plan>, CliError> {
        self.args.plan.as_deref().map(|path| Ok(read_plan(path)?.plan)).transpose()
    }

    /// The SPOTs of the plan, or of what the journal has.
    fn spots(&self) -> Result<Vec<NimName>, CliError> {
        if let Some(plan) = self.plan()? {
            return Ok(plan.migrations.iter().map(|spec| spec.target().spot.clone()).collect());
        }
        let views = report::views(&self.place.reader()?)?;
        let spots: Vec<NimName> = known_spots(views).into_keys().collect();
        if spots.is_empty() {
            return Err(CliError::usage("no SPOT is known here")
                .help("name one with `--spot` (-s), or a plan with `--plan`"));
        }
        Ok(spots)
    }

    /// What is begun, and what goes on as it was begun.
    fn specs(
        &self,
        clients: &[NimName],
        (latest, spots): (&[Loaded], &BTreeMap<NimName, MigrationSpec>),
        plan: Option<&Plan>,
    ) -> Result<(Vec<MigrationSpec>, Vec<MigrationId>), CliError> {
        let asked = OperationAsked {
            operation: &self.operation,
            plan,
            master: self.args.master.as_ref(),
            force: self.args.force,
        };
        let (mut specs, mut going, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let mut ways = Vec::new();
        for client in clients {
            let before = latest.iter().find(|one| one.client == client.as_str());
            match asked.on(before) {
                OperationOn::Begins => {
                    let spec = asked.spec(client, before, spots, || self.master())?;
                    specs.push(spec.ok_or_else(no_lpp_source)?);
                }
                OperationOn::GoesOn(live) => {
                    Out::note(&format!("{client}: continues ({})", spoken(live.machine.state())));
                    going.push(live.id);
                }
                OperationOn::InFlight(live) => {
                    let state = live.machine.state();
                    ways.push(ways_out(client.as_str(), state));
                    refused.push(format!(
                        "{client} is in flight: {}, {}",
                        live.spec.task.name(),
                        spoken(state)
                    ));
                }
            }
        }
        if refused.is_empty() {
            return Ok((specs, going));
        }
        let error = CliError::usage(format!(
            "`{}` is refused while nimshift has work in flight\n{}",
            self.operation.kind().name(),
            refused.join("\n")
        ));
        Err(ways.into_iter().fold(error, CliError::help))
    }

    /// The master where none is given: that of what the journal has, or of the lab.
    fn master(&self) -> Result<HostName, CliError> {
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
            let client = spec.task.has_client().then(|| spec.client.to_string());
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
        let stories = report::stories(&reader, views)?;
        self.out.lines(&operation_lines(&stories, now_ms));
        let exit = Exit::from(verdict);
        if exit != Exit::Ok {
            Out::note(&format!("exit code {}: {}", exit.code(), exit.meaning()));
        }
        Ok(exit)
    }
}
