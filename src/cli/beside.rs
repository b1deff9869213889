//! `run PLAN` beside an engine that runs: it is handed what of the plan is new or
//! corrected, where it works on the plan's batch, and is followed.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{MigrationId, MigrationSpec};
use crate::fleet::{
    BatchSettings, ClientWork, Known, PlanFile, Sorted, Work, batch_of, current, last_of_each,
    loaded, of_name,
};
use crate::journal::{BatchId, BatchRow, MigrationRow, Reader};
use crate::report::{self, MigrationView, Verdict, clock_text};

use super::args::RunArgs;
use super::engine_run::tell;
use super::error::CliError;
use super::exit::Exit;
use super::handover::{Answer, hand_over};
use super::interrupt;
use super::left;
use super::operator::operator;
use super::out::{Out, Paint};
use super::preflight::all_may_begin;
use super::state_dir::StateDir;
use super::status::{engine, now_ms};

/// A plan that is run beside an engine.
pub(super) struct Beside<'a> {
    pub(super) out: &'a Out,
    pub(super) place: &'a StateDir,
    /// With the clients that are asked for.
    pub(super) file: &'a PlanFile,
    pub(super) digest: &'a str,
    pub(super) args: &'a RunArgs,
}

impl Beside<'_> {
    /// Hands the plan over, and follows its clients to their ends. `None`: the
    /// engine has ended meanwhile, and the plan can be run here.
    ///
    /// `held` is what it is refused with where the engine works on something else:
    /// another batch, or, `elsewhere`, no lab of this state directory.
    pub(super) fn run(&self, held: CliError, elsewhere: bool) -> Result<Option<Exit>, CliError> {
        if elsewhere {
            return Err(waits(held));
        }
        let Ok(reader) = self.place.reader() else { return Err(waits(held)) };
        let batches: BTreeMap<BatchId, BatchRow> =
            reader.batches()?.into_iter().map(|batch| (batch.id, batch)).collect();
        let rows = reader.migrations(None)?;
        let beside = of_name(self.file.plan.name.as_str(), batches.values(), &rows);
        if beside.is_empty() {
            return Err(self.another(held, &batches, &rows));
        }
        let plan = &self.file.plan;
        let loaded = loaded(&reader, &rows, plan)?;
        let views = self.views()?;
        let known = Known { loaded: &loaded, batches: &batches, views: &views, beside: true };
        let sorted = Sorted::new(plan, self.digest, &known);
        if self.args.preflight {
            let fresh = sorted.fresh.iter().map(|(_, spec)| spec.clone().into_owned());
            all_may_begin(self.out, self.place, plan, fresh.collect())?;
        }
        for (client, what) in &sorted.said {
            self.out.line(&format!("{client}: {what}"));
        }
        for one in &sorted.refused {
            self.refuse(&format!("{} {}", one.client, one.why), &one.help);
        }
        let mut refused: BTreeSet<String> =
            sorted.refused.iter().map(|one| one.client.clone()).collect();
        let mut left = BTreeSet::new();
        if sorted.fresh.is_empty() {
            Out::note("the running engine already has everything in the plan");
        } else {
            match self.hand_over_fresh(&reader, &beside, &rows, &sorted)? {
                Answer::Gone => return Ok(None),
                Answer::Refused(why) => {
                    let text = format!("the running engine refused the plan: {why}");
                    return Err(CliError::new(Exit::Held, text).help(
                        "wait until it ends (`nimshift status --watch`), then run the plan again",
                    ));
                }
                Answer::Taken(but) => {
                    let by_now = if but.is_empty() { Vec::new() } else { self.by_now(&reader)? };
                    for (client, why) in but {
                        left.insert(client.clone());
                        // Somebody was faster, with the same.
                        if let Some((_, what)) = by_now.iter().find(|(said, _)| *said == client) {
                            self.out.line(&format!("{client}: {what}"));
                            continue;
                        }
                        let then =
                            format!("`nimshift history {client}` shows it; then run this again");
                        self.refuse(&format!("{client} was not started: {why}"), &then);
                        refused.insert(client);
                    }
                }
            }
        }
        let followed = self.followed(&reader, &refused)?;
        let is_taken = |client: &str| sorted.is_fresh(client) && !left.contains(client);
        for view in followed.values().filter(|view| is_taken(&view.client)) {
            self.out.line(&format!("{}: accepted as {}", view.client, view.id));
        }
        if followed.is_empty() {
            return Ok(Some(if refused.is_empty() { Exit::Ok } else { Exit::Usage }));
        }
        let exit = self.follow(&reader, &followed)?;
        let is_fine = exit == Exit::Ok && !refused.is_empty();
        Ok(Some(if is_fine { Exit::Usage } else { exit }))
    }

    /// What counts for each client of the plan, as it says itself.
    fn views(&self) -> Result<Vec<MigrationView>, CliError> {
        let clients = self.file.plan.migrations.iter().map(|spec| spec.client.to_string());
        left::as_they_stand(self.place, &clients.collect::<Vec<_>>())
    }

    /// What is said by now of clients that nothing is to be begun for.
    fn by_now(&self, reader: &Reader) -> Result<Vec<(String, String)>, CliError> {
        let batches = reader.batches()?.into_iter().map(|batch| (batch.id, batch)).collect();
        let loaded = loaded(reader, &reader.migrations(None)?, &self.file.plan)?;
        let views = self.views()?;
        let known = Known { loaded: &loaded, batches: &batches, views: &views, beside: true };
        Ok(Sorted::new(&self.file.plan, self.digest, &known).said)
    }

    /// Why the plan has to wait.
    fn another(
        &self,
        held: CliError,
        batches: &BTreeMap<BatchId, BatchRow>,
        rows: &[MigrationRow],
    ) -> CliError {
        let live = rows.iter().filter(|row| !row.state.is_terminal());
        let names: BTreeSet<String> =
            live.filter_map(|row| Some(format!("`{}`", batches.get(&row.batch)?.name))).collect();
        let own = &self.file.plan.name;
        let held = if names.is_empty() {
            held
        } else {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            held.help(format!("batch {names} is under way, and the plan is batch `{own}`"))
        };
        waits(held)
    }

    /// Posts what is new, and waits for the answer.
    fn hand_over_fresh(
        &self,
        reader: &Reader,
        beside: &BTreeSet<BatchId>,
        rows: &[MigrationRow],
        sorted: &Sorted<'_>,
    ) -> Result<Answer, CliError> {
        let last = last_of_each(rows);
        let client = |(number, spec): &(u32, std::borrow::Cow<'_, MigrationSpec>)| ClientWork {
            number: *number,
            spec: spec.clone().into_owned(),
            after: last.get(spec.client.as_str()).copied(),
        };
        let batch = batch_of(self.file, self.digest, (0, operator()));
        let settings = BatchSettings::of(&self.file.plan);
        let clients = sorted.fresh.iter().map(client).collect();
        let work = Work::new(beside.clone(), batch, settings, clients);
        hand_over(self.place, reader, &work)
    }

    /// What counts for each client of the plan that is not refused.
    fn followed(
        &self,
        reader: &Reader,
        refused: &BTreeSet<String>,
    ) -> Result<BTreeMap<MigrationId, MigrationView>, CliError> {
        let mut views = current(report::views(reader)?);
        let asked = |client: &str| {
            self.file.plan.migrations.iter().any(|spec| spec.client.as_str() == client)
        };
        views.retain(|view| asked(&view.client) && !refused.contains(&view.client));
        Ok(views.into_iter().map(|view| (view.id, view)).collect())
    }

    /// Tells how `followed` go on, until they are at rest or nobody works on them,
    /// and what became of them.
    fn follow(
        &self,
        reader: &Reader,
        followed: &BTreeMap<MigrationId, MigrationView>,
    ) -> Result<Exit, CliError> {
        let mut told: BTreeMap<MigrationId, String> = BTreeMap::new();
        loop {
            let holder = engine(self.place)?;
            let version = reader.data_version()?;
            let mut goes = false;
            for row in reader.migrations(None)? {
                let Some(view) = followed.get(&row.id) else { continue };
                goes |= !row.state.is_at_rest();
                let doing = report::doing(view, &row.state);
                let is_first = !told.contains_key(&row.id);
                if told.insert(row.id, doing.clone()).as_ref() != Some(&doing)
                    && !self.args.engine.no_progress
                    && !(is_first && row.state.is_terminal())
                {
                    let at = clock_text(row.updated_ms);
                    Out::note(&format!("{at} {} {doing}", row.client));
                }
            }
            if goes && holder.is_none() {
                Out::note("the engine ended with work left: `nimshift resume` continues");
            }
            if !goes || holder.is_none() || self.out.is_gone() {
                break;
            }
            while reader.data_version()? == version && engine(self.place)?.is_some() {
                if interrupt::came() {
                    Out::note("the engine keeps running");
                    return Ok(Exit::WorkLeft);
                }
                interrupt::pause();
            }
        }
        let clients: Vec<String> = followed.values().map(|view| view.client.clone()).collect();
        let ids: Vec<MigrationId> = followed.keys().copied().collect();
        let now_ms = now_ms(self.place, reader)?;
        tell(self.out, self.place, (&clients, &ids), Verdict::of, now_ms)
    }

    fn refuse(&self, text: &str, help: &str) {
        self.out.labelled("error", Paint::Red, text);
        self.out.labelled("  help", Paint::Green, help);
    }
}

fn waits(held: CliError) -> CliError {
    held.help("wait until it ends, then run the plan; only a plan of the same batch can join it")
}
