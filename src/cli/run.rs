//! `nimshift run PLAN` and `nimshift resume`.

use std::collections::BTreeMap;

use crate::domain::{EstateKind, MigrationId};
use crate::fleet::{self, BatchSettings, Known, Sorted, latest_of, unhidden};
use crate::journal::{BatchId, BatchRow, RequestKind};
use crate::lab::Lab;
use crate::report::Verdict;

use super::args::{EngineArgs, PhasesArg, RunArgs};
use super::beside::Beside;
use super::engine_run::{EngineRun, OpenJournal, tell_at_rest};
use super::error::CliError;
use super::estate::{Estate, check_hosts, estate_of, hosts_of, open_lab};
use super::exit::Exit;
use super::left;
use super::operator::operator;
use super::out::Out;
use super::plan_file::{only, read_plan};
use super::preflight::all_may_begin;
use super::state_dir::StateDir;

/// `nimshift run PLAN`.
pub(super) fn run(out: &Out, place: &StateDir, args: &RunArgs) -> Result<Exit, CliError> {
    let mut file = read_plan(&args.plan)?;
    if let Some(PhasesArg(phases)) = &args.phases {
        for spec in &mut file.plan.migrations {
            spec.options.phases = Some(phases.clone());
        }
    }
    // The plan of a few of its clients is the same plan.
    let digest = file.plan.digest();
    // So is the lab of a few, which the others are to find.
    let whole = file.plan.clone();
    only(&mut file.plan, &args.client)?;
    // All that can be wrong is looked at before anything is made.
    let lab = if file.plan.estate.kind != EstateKind::Lab {
        None
    } else if Lab::exists(&place.lab()) {
        check_hosts(&file.plan, &open_lab(place)?.hosts()?)?;
        None
    } else {
        let estate = estate_of(&whole, &args.plan)?;
        check_hosts(&whole, &hosts_of(&estate))?;
        Some(estate)
    };
    // Where there is no journal, none is made before that.
    let is_first = !place.journal().exists();
    if args.preflight && is_first {
        all_may_begin(out, place, &file.plan, file.plan.migrations.clone())?;
    }
    let mut open = loop {
        match OpenJournal::new(place) {
            Ok(open) => break open,
            Err(held) if held.exit() == Exit::Held => {
                let beside = Beside { out, place, file: &file, digest: &digest, args };
                // An engine that has just ended by itself leaves the plan to us.
                if let Some(exit) = beside.run(held, lab.is_some())? {
                    return Ok(exit);
                }
            }
            Err(error) => return Err(error),
        }
    };
    let batches: BTreeMap<BatchId, BatchRow> =
        place.reader()?.batches()?.into_iter().map(|batch| (batch.id, batch)).collect();
    let clients: Vec<String> =
        file.plan.migrations.iter().map(|spec| spec.client.to_string()).collect();
    let views = left::as_they_stand(place, &clients)?;
    let known = Known { loaded: &open.loaded, batches: &batches, views: &views, beside: false };
    let sorted = all_or_none(Sorted::new(&file.plan, &digest, &known))?;
    if args.preflight && !is_first {
        let fresh = sorted.fresh.iter().map(|(_, spec)| spec.clone().into_owned());
        all_may_begin(out, place, &file.plan, fresh.collect())?;
    }
    let estate = Estate::of_plan(place, &file.plan, lab, args.scale.time_scale)?;
    for (client, what) in &sorted.said {
        Out::note(&format!("{client}: {what}"));
    }
    let created_ms = estate.clock.now_ms();
    let by = (created_ms, operator());
    let begun = fleet::begin(&open.journal, &file, &digest, &sorted.fresh, by)?;
    let of_plan = latest_of(unhidden(std::mem::take(&mut open.loaded)), &clients);
    open.loaded = of_plan.into_iter().filter(|one| !sorted.is_fresh(&one.client)).collect();
    open.loaded.extend(begun);
    if open.loaded.iter().all(|one| one.machine.state().is_at_rest()) {
        open.journal.close()?;
        Out::note("nothing to do: no client of the plan is to be started or continued");
        let ids: Vec<MigrationId> = open.loaded.iter().map(|one| one.id).collect();
        return tell_at_rest(out, place, (&clients, &ids), created_ms);
    }
    let limits = BatchSettings::of(&file.plan).engine_limits();
    EngineRun { out, place, estate: &estate, limits, args: &args.engine, takes_work: true }.run(
        open,
        &clients,
        Verdict::of,
    )
}

/// `sorted`, or an error where not all of the plan can be run.
fn all_or_none(sorted: Sorted<'_>) -> Result<Sorted<'_>, CliError> {
    if sorted.refused.is_empty() {
        return Ok(sorted);
    }
    let refused: Vec<String> =
        sorted.refused.iter().map(|one| format!("{} {}", one.client, one.why)).collect();
    let error = CliError::usage(format!(
        "the plan cannot be run: a client can be in one live migration only\n{}",
        refused.join("\n")
    ));
    Err(sorted.refused.into_iter().fold(error, |error, one| error.help(one.way)))
}

/// `nimshift resume`.
pub(super) fn resume(out: &Out, place: &StateDir, args: &EngineArgs) -> Result<Exit, CliError> {
    // A state directory is not made to find nothing in it.
    drop(place.reader()?);
    let mut open = OpenJournal::new(place)?;
    let batches = place.reader()?.batches()?;
    let clients: Vec<String> = open.loaded.iter().map(|one| one.client.clone()).collect();
    let all = latest_of(std::mem::take(&mut open.loaded), &clients);
    let unfinished = all.iter().any(|one| !one.machine.state().is_at_rest());
    let Some(settings) = BatchSettings::of_all(&batches)? else {
        open.journal.close()?;
        return Err(CliError::usage("nothing to resume: no plan has been run here")
            .help("start with `nimshift run PLAN`"));
    };
    let estate = Estate::open(place, &settings)?;
    // What was handed to an engine that died before it took it is not lost.
    let requests = place.reader()?.pending_requests()?;
    let is_handed = requests.iter().any(|request| request.kind == RequestKind::Run);
    if !unfinished && !is_handed {
        open.journal.close()?;
        let waiting = all.iter().filter(|one| !one.machine.state().is_terminal());
        let waiting: Vec<&str> = waiting.map(|one| one.client.as_str()).collect();
        let what = if waiting.is_empty() {
            "all have ended".to_owned()
        } else {
            format!("{} need your order", waiting.join(", "))
        };
        Out::note(&format!("nothing to resume: {what}; `nimshift status` shows them"));
        let verdicts = all.iter().map(|one| Verdict::of_going_on(one.machine.state()));
        return Ok(Exit::from(verdicts.max().unwrap_or(Verdict::AllMigrated)));
    }
    open.loaded = all;
    let limits = settings.engine_limits();
    EngineRun { out, place, estate: &estate, limits, args, takes_work: true }.run(
        open,
        &clients,
        Verdict::of_going_on,
    )
}
