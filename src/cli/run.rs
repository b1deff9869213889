//! `nimshift run PLAN` and `nimshift resume`.
//!
//! What `run` does with a client is decided by its latest migration:
//!
//! | its latest migration | what happens |
//! | --- | --- |
//! | none | it is begun |
//! | of this very plan, unfinished | it goes on |
//! | of this very plan, ended | left alone |
//! | of another plan, unfinished | the run is refused |
//! | of another plan, migrated or skipped to the same target | left alone, as done |
//! | of another plan, ended otherwise | a new one is begun |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::base::{Millis, limits};
use crate::domain::{
    EstateKind, Facts, MigrationSpec, NimName, Part, Plan, PlanErrors, parse_plan_bytes,
    phases_text,
};
use crate::journal::{BatchId, BatchRow, Journal, Loaded, NewBatch, NewMigration};
use crate::lab::Lab;
use crate::machine::{Blueprint, DECISIONS, Machine, State};
use crate::phases::plan_steps;
use crate::report::{Standing, Verdict, spoken_as};

use super::args::{EngineArgs, PhasesArg, RunArgs};
use super::current::{current, is_cleaned};
use super::error::CliError;
use super::estate::{Estate, check_hosts, estate_of, hosts_of, open_lab};
use super::exit::Exit;
use super::night::{Night, Open, tell};
use super::operator::operator;
use super::out::Out;
use super::place::{BatchSettings, Place};
use super::preflight::all_may_begin;

/// A plan file, as it was read.
pub(super) struct PlanFile {
    pub(super) plan: Plan,
    pub(super) text: String,
}

/// Whether the environment accepts the software licences, as for nimadm.
pub(super) fn licences_by_environment() -> bool {
    std::env::var("ADM_ACCEPT_LICENSES").is_ok_and(|value| value == "yes")
}

/// Reads a plan. Writes nothing.
pub(super) fn read_plan(path: &Path) -> Result<PlanFile, CliError> {
    let unread = |error| CliError::file(Exit::Usage, "read the plan", path, &error);
    let size = std::fs::metadata(path).map_err(unread)?.len();
    if size > limits::PLAN_BYTES_MAX {
        let text = format!("the plan `{}` has {size} bytes: too many", path.display());
        return Err(CliError::usage(text).help("put its clients in several plans"));
    }
    let bytes = std::fs::read(path).map_err(unread)?;
    let accepted = licences_by_environment();
    let mut plan = parse_plan_bytes(&path.display().to_string(), &bytes, accepted)
        .map_err(|errors: PlanErrors| CliError::from(errors))?;
    absolute_config(&mut plan, path.parent().unwrap_or(Path::new("")))?;
    Ok(PlanFile { plan, text: String::from_utf8_lossy(&bytes).into_owned() })
}

/// Names the ssh configuration, which is relative to `folder`, from the root on:
/// `resume` is called from anywhere.
pub(super) fn absolute_config(plan: &mut Plan, folder: &Path) -> Result<(), CliError> {
    if let Some(config) = plan.estate.real.as_mut().and_then(|real| real.ssh_config.as_mut()) {
        let file = folder.join(&*config);
        let unread = |error| {
            CliError::file(Exit::Usage, "read the ssh configuration", &file, &error)
                .help("`ssh_config` in [estate] is relative to the plan file")
        };
        // `ssh` would say so of each host, in the night.
        std::fs::File::open(&file).map_err(unread)?;
        *config = std::path::absolute(&file).map_err(unread)?.display().to_string();
    }
    Ok(())
}

/// `nimshift run PLAN`.
pub(super) fn run(out: &Out, place: &Place, args: &RunArgs) -> Result<Exit, CliError> {
    let mut file = read_plan(&args.plan)?;
    if let Some(PhasesArg(phases)) = &args.phases {
        for spec in &mut file.plan.migrations {
            spec.options.phases = Some(phases.clone());
        }
    }
    // The plan of a few of its clients is the same plan.
    let digest = file.plan.digest();
    only(&mut file.plan, &args.client)?;
    // All that can be wrong is looked at before anything is made.
    let lab = if file.plan.estate.kind != EstateKind::Lab {
        None
    } else if Lab::exists(&place.lab()) {
        check_hosts(&file.plan, &open_lab(place)?.hosts()?)?;
        None
    } else {
        let estate = estate_of(&file.plan, &args.plan)?;
        check_hosts(&file.plan, &hosts_of(&estate))?;
        Some(estate)
    };
    // Where there is no journal, none is made before that.
    let is_first = !place.journal().exists();
    if args.preflight && is_first {
        all_may_begin(out, place, &file.plan, file.plan.migrations.clone())?;
    }
    let mut open = Open::new(place)?;
    let batches: BTreeMap<BatchId, BatchRow> =
        place.reader()?.batches()?.into_iter().map(|batch| (batch.id, batch)).collect();
    let sorted = Sorted::new(&file.plan, &open.loaded, &batches, &digest)?;
    if args.preflight && !is_first {
        let fresh = sorted.fresh.iter().map(|(_, spec)| spec.clone().into_owned());
        all_may_begin(out, place, &file.plan, fresh.collect())?;
    }
    let estate = Estate::of_plan(place, &file.plan, lab, args.scale.time_scale)?;
    for line in &sorted.said {
        Out::note(line);
    }
    let created_ms = estate.clock.now_ms();
    let begun = begin(&open.journal, &file, &digest, &sorted.fresh, created_ms)?;
    let clients: Vec<String> =
        file.plan.migrations.iter().map(|spec| spec.client.to_string()).collect();
    let of_plan = latest_of(std::mem::take(&mut open.loaded), &clients);
    open.loaded = of_plan.into_iter().filter(|one| !sorted.is_fresh(&one.client)).collect();
    open.loaded.extend(begun);
    if open.loaded.iter().all(|one| {
        let state = one.machine.state();
        state.is_terminal() || state.waits_for_operator()
    }) {
        open.journal.close()?;
        Out::note(&format!("nothing to do: batch `{}` is at rest", file.plan.name));
        return tell(out, place, (&clients, &[]), Verdict::of, created_ms);
    }
    let limits = BatchSettings::of(&file.plan).engine_limits();
    Night { out, place, estate: &estate, limits, args: &args.engine }.run(
        open,
        &clients,
        Verdict::of,
    )
}

/// Keeps of a plan `clients`, where any are named.
pub(super) fn only(plan: &mut Plan, clients: &[NimName]) -> Result<(), CliError> {
    for client in clients {
        if !plan.migrations.iter().any(|spec| spec.client == *client) {
            return Err(CliError::usage(format!("the plan has no client `{client}`"))
                .help("`nimshift plan PLAN` shows its clients"));
        }
    }
    if !clients.is_empty() {
        plan.migrations.retain(|spec| clients.contains(&spec.client));
    }
    Ok(())
}

/// `nimshift resume`.
pub(super) fn resume(out: &Out, place: &Place, args: &EngineArgs) -> Result<Exit, CliError> {
    // A state directory is not made to find nothing in it.
    drop(place.reader()?);
    let mut open = Open::new(place)?;
    let batches = place.reader()?.batches()?;
    let clients: Vec<String> = open.loaded.iter().map(|one| one.client.clone()).collect();
    let all = latest_of(std::mem::take(&mut open.loaded), &clients);
    let unfinished = all.iter().any(|one| {
        let state = one.machine.state();
        !state.is_terminal() && !state.waits_for_operator()
    });
    let Some(settings) = BatchSettings::of_all(&batches)? else {
        open.journal.close()?;
        return Err(CliError::usage("nothing to resume: no plan has been begun here")
            .help("`nimshift run PLAN` begins"));
    };
    let estate = Estate::open(place, &settings)?;
    if !unfinished {
        open.journal.close()?;
        Out::note("nothing to resume: nothing goes on without a person");
        return tell(out, place, (&clients, &[]), Verdict::of, estate.clock.now_ms());
    }
    open.loaded = all;
    let limits = settings.engine_limits();
    Night { out, place, estate: &estate, limits, args }.run(open, &clients, Verdict::of)
}

/// What counts for each of `clients`.
pub(super) fn latest_of(mut loaded: Vec<Loaded>, clients: &[String]) -> Vec<Loaded> {
    loaded.retain(|one| clients.contains(&one.client));
    loaded.sort_by_key(|one| one.id);
    let mut latest = current(loaded);
    latest.sort_by_key(|one| one.id);
    latest
}

/// The clients of a plan, by what is to be done with them.
struct Sorted<'a> {
    fresh: Vec<(u32, Cow<'a, MigrationSpec>)>,
    said: Vec<String>,
}

impl<'a> Sorted<'a> {
    fn new(
        plan: &'a Plan,
        loaded: &[Loaded],
        batches: &BTreeMap<BatchId, BatchRow>,
        digest: &str,
    ) -> Result<Sorted<'a>, CliError> {
        let mut sorted = Sorted { fresh: Vec::new(), said: Vec::new() };
        let mut refused = Vec::new();
        let latest: BTreeMap<&str, &Loaded> =
            current(loaded).into_iter().map(|one| (one.client.as_str(), one)).collect();
        for (number, spec) in (1..).zip(&plan.migrations) {
            let Some(before) = latest.get(spec.client.as_str()) else {
                sorted.fresh.push((number, Cow::Borrowed(spec)));
                continue;
            };
            let state = before.machine.state();
            let batch = batches.get(&before.batch);
            let same_plan = batch.is_some_and(|batch| batch.digest == digest);
            let reached = matches!(state, State::Migrated { .. } | State::Skipped { .. });
            let name = batch.map_or("another", |batch| batch.name.as_str());
            let ended_operation = !before.spec.task.is_migration() && state.is_terminal();
            let cleaned = spec.mode.changes_client() && is_cleaned(loaded, &before.client);
            if ended_operation || (cleaned && state.is_terminal()) {
                sorted.fresh.push((number, Cow::Borrowed(spec)));
                continue;
            }
            let part = reached && !before.spec.is_whole();
            let spoken = |state: &State| spoken_as(state, &before.spec);
            match (same_plan, state.is_terminal()) {
                (true, true) => sorted.say(spec, &Standing::new(state, &before.spec).already()),
                (false, true) if part && matches!(state, State::Migrated { .. }) => {
                    let rest = rest_of(spec, before);
                    let phases = rest.options.phases.as_deref().unwrap_or_default();
                    sorted.say(
                        spec,
                        &format!("{}, goes on with phases {}", spoken(state), phases_text(phases)),
                    );
                    sorted.fresh.push((number, Cow::Owned(rest)));
                }
                (true, false) => sorted.say(spec, &format!("goes on ({})", spoken(state))),
                (false, false) => refused.push(format!(
                    "{} is {} in batch `{name}`, which is another plan",
                    spec.client,
                    spoken(state)
                )),
                (false, true) if reached && before.spec.target == spec.target => {
                    let already = Standing::new(state, &before.spec).already();
                    sorted.say(spec, &format!("{already}, by batch `{name}`"));
                }
                (false, true) => sorted.fresh.push((number, Cow::Borrowed(spec))),
            }
        }
        if refused.is_empty() {
            return Ok(sorted);
        }
        Err(CliError::usage(format!(
            "the plan cannot be run: a client can be in one live migration only\n{}",
            refused.join("\n")
        ))
        .help("`nimshift resume` finishes them, `nimshift cancel CLIENT` takes them back"))
    }

    fn say(&mut self, spec: &MigrationSpec, what: &str) {
        self.said.push(format!("{}: {what}", spec.client));
    }

    fn is_fresh(&self, client: &str) -> bool {
        self.fresh.iter().any(|(_, spec)| spec.client.as_str() == client)
    }
}

/// What is asked for, after the parts that have been done: the phases that are
/// named, or all that are left.
pub(super) fn rest_of(spec: &MigrationSpec, before: &Loaded) -> MigrationSpec {
    let first = before.spec.part.as_ref().map_or(before.id, |part| part.first);
    let mut rest = spec.clone();
    rest.part = Some(Part { first, facts: before.facts.clone() });
    rest.options.phases.get_or_insert_with(|| before.spec.phases_left());
    rest
}

/// Journals the batch and the migrations of `fresh`, and gives them as an engine
/// takes them.
pub(super) fn begin(
    journal: &Journal,
    file: &PlanFile,
    digest: &str,
    fresh: &[(u32, Cow<'_, MigrationSpec>)],
    created_ms: Millis,
) -> Result<Vec<Loaded>, CliError> {
    if fresh.is_empty() {
        return Ok(Vec::new());
    }
    let settings = BatchSettings::of(&file.plan);
    let batch = NewBatch {
        name: file.plan.name.to_string(),
        digest: digest.to_owned(),
        plan_text: file.text.clone(),
        created_ms,
        operator: operator(),
        estate: serde_json::to_value(settings).expect("settings have text for keys"),
    };
    let specs = fresh.iter().map(|(number, spec)| (*number, Arc::new(spec.clone().into_owned())));
    create(journal, &batch, specs)
}

/// Journals `batch` with a migration for each of `specs`.
pub(super) fn create(
    journal: &Journal,
    batch: &NewBatch,
    specs: impl Iterator<Item = (u32, Arc<MigrationSpec>)>,
) -> Result<Vec<Loaded>, CliError> {
    let migrations = specs
        .map(|(number, spec)| {
            let planned = plan_steps(&spec);
            let blueprint = Blueprint::new(&spec, planned.steps).map_err(|error| {
                CliError::usage(format!("{} cannot be migrated", spec.client)).because(&error)
            })?;
            Ok(NewMigration {
                client: spec.client.clone(),
                number,
                spec,
                blueprint: Arc::new(blueprint),
                skipped_phases: planned.skipped,
            })
        })
        .collect::<Result<Vec<_>, CliError>>()?;
    let (id, ids) = journal.create_batch(batch, migrations.clone())?;
    let loaded = ids.into_iter().zip(migrations).map(|(migration, new)| Loaded {
        id: migration,
        batch: id,
        client: new.client.to_string(),
        number: new.number,
        seq: 0,
        decisions: DECISIONS,
        machine: Machine::new(new.blueprint),
        spec: new.spec,
        facts: Facts::default(),
        skipped_phases: new.skipped_phases,
        created_ms: batch.created_ms,
        updated_ms: batch.created_ms,
    });
    Ok(loaded.collect())
}
