//! `run PLAN` beside an engine that runs: it is handed what of the plan is new or
//! corrected, where it works on the plan's batch, and is followed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{SystemClock, limits};
use crate::domain::{Facts, MigrationId, MigrationSpec};
use crate::journal::{
    BatchId, BatchRow, JournalError, Loaded, MigrationRow, NewRequest, Reader, RequestId,
    RequestKind, Requests,
};
use crate::machine::{DECISIONS, Machine, State};
use crate::report::{MigrationView, Verdict, clock_text, spoken_as};

use super::args::RunArgs;
use super::error::CliError;
use super::exit::Exit;
use super::night::tell;
use super::operator::operator;
use super::order::pause;
use super::out::{Out, Paint};
use super::place::{self, BatchSettings, Place};
use super::preflight::all_may_begin;
use super::run::{PlanFile, batch_of};
use super::sort::{Known, Sorted};
use super::status::{engine, now_ms};
use super::work::{ClientWork, Work};

/// A plan that is run beside an engine.
pub(super) struct Beside<'a> {
    pub(super) out: &'a Out,
    pub(super) place: &'a Place,
    /// With the clients that are asked for.
    pub(super) file: &'a PlanFile,
    pub(super) digest: &'a str,
    pub(super) args: &'a RunArgs,
}

/// What an engine made of work.
enum Answer {
    /// Those of these clients were not begun, each for its reason.
    Taken(BTreeMap<String, String>),
    /// None, for this reason.
    Refused(String),
    /// It ended before it saw it, and left nothing that goes on by itself.
    Gone,
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
        let beside = self.beside(&batches, &rows);
        if beside.is_empty() {
            return Err(self.another(held, &batches, &rows));
        }
        let plan = &self.file.plan;
        let loaded = self.loaded(&reader, &rows)?;
        let known = Known { loaded: &loaded, batches: &batches, beside: true };
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
        if sorted.fresh.is_empty() {
            Out::note("nothing of the plan is new to the engine that runs");
        } else {
            match self.hand_over(&reader, &beside, &rows, &sorted)? {
                Answer::Gone => return Ok(None),
                Answer::Refused(why) => {
                    let text = format!("the engine that runs takes nothing of the plan: {why}");
                    return Err(CliError::new(Exit::Held, text)
                        .help("`nimshift status --watch` shows its end; then run the plan again"));
                }
                Answer::Taken(but) => {
                    for (client, why) in but {
                        let then = format!("`nimshift history {client}` tells it; run this again");
                        self.refuse(&format!("{client} is not begun: {why}"), &then);
                        refused.insert(client);
                    }
                }
            }
        }
        let followed = self.followed(&reader, &refused)?;
        for view in followed.values().filter(|view| sorted.is_fresh(&view.client)) {
            self.out.line(&format!("{}: taken on, as {}", view.client, view.id));
        }
        let exit = self.follow(&reader, &followed)?;
        let is_fine = exit == Exit::Ok && !refused.is_empty();
        Ok(Some(if is_fine { Exit::Usage } else { exit }))
    }

    /// The batches of the plan's name that the engine may work on: those that are
    /// unfinished, and the last.
    fn beside(
        &self,
        batches: &BTreeMap<BatchId, BatchRow>,
        rows: &[MigrationRow],
    ) -> BTreeSet<BatchId> {
        let of_name = |id: &BatchId| {
            batches.get(id).is_some_and(|batch| batch.name == self.file.plan.name.as_str())
        };
        let live = rows.iter().filter(|row| !row.state.is_terminal()).map(|row| row.batch);
        let last = batches.keys().copied().rfind(of_name);
        live.filter(of_name).chain(last).collect()
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

    /// What is known of the plan's clients, as an engine loads it.
    fn loaded(&self, reader: &Reader, rows: &[MigrationRow]) -> Result<Vec<Loaded>, CliError> {
        let archived = reader.archived()?;
        let clients: BTreeSet<&str> =
            self.file.plan.migrations.iter().map(|spec| spec.client.as_str()).collect();
        let wanted = |row: &&MigrationRow| {
            clients.contains(row.client.as_str()) && !archived.contains(&row.id)
        };
        let mut loaded = Vec::new();
        for row in rows.iter().filter(wanted) {
            let spec = reader.spec(row.id)?;
            let machine = Machine::at(Arc::new(reader.blueprint(row.id)?), row.state.clone())
                .map_err(|error| {
                    CliError::new(Exit::Damaged, format!("{} cannot be read", row.id))
                        .because(&error)
                })?;
            // Only what a later part takes over is asked for.
            let facts = if spec.is_whole() { Facts::default() } else { facts(reader, row.id)? };
            loaded.push(Loaded {
                id: row.id,
                batch: row.batch,
                client: row.client.clone(),
                number: row.number,
                seq: row.seq,
                decisions: DECISIONS,
                machine,
                spec: Arc::new(spec),
                facts,
                skipped_phases: row.skipped_phases.clone(),
                created_ms: row.created_ms,
                updated_ms: row.updated_ms,
            });
        }
        loaded.sort_by_key(|one| one.id);
        Ok(loaded)
    }

    /// Posts what is new, and waits for the answer.
    fn hand_over(
        &self,
        reader: &Reader,
        beside: &BTreeSet<BatchId>,
        rows: &[MigrationRow],
        sorted: &Sorted<'_>,
    ) -> Result<Answer, CliError> {
        let last = |spec: &MigrationSpec| {
            let of_client = rows.iter().filter(|row| row.client == spec.client.as_str());
            of_client.map(|row| row.id).max()
        };
        let client = |(number, spec): &(u32, std::borrow::Cow<'_, MigrationSpec>)| ClientWork {
            number: *number,
            spec: spec.clone().into_owned(),
            after: last(spec),
        };
        let batch = batch_of(self.file, self.digest, 0);
        let settings = BatchSettings::of(&self.file.plan);
        let clients = sorted.fresh.iter().map(client).collect();
        let work = Work::new(beside.clone(), batch, settings, clients);
        let request = NewRequest {
            kind: RequestKind::Run,
            client: None,
            migration: None,
            operator: operator(),
            at_ms: SystemClock::read_ms(),
        };
        let text = serde_json::to_string(&work).expect("work has text for keys");
        let id = Requests::post_work(self.place.dir(), &request, &text).map_err(|error| {
            let too_many = matches!(error, JournalError::Encode { .. });
            let told = CliError::from(error);
            if too_many { told.help("hand it over in parts, by `--client`") } else { told }
        })?;
        self.answer(reader, id, beside)
    }

    fn answer(
        &self,
        reader: &Reader,
        id: RequestId,
        beside: &BTreeSet<BatchId>,
    ) -> Result<Answer, CliError> {
        let (mut waited, mut is_told) = (Duration::ZERO, false);
        loop {
            // Asked first: what an engine writes last is read after that.
            let holder = engine(self.place)?;
            let version = reader.data_version()?;
            if let Some(answer) = reader.request(id)?.answer {
                return Ok(understood(&answer));
            }
            if holder.is_none() {
                let goes = |row: &MigrationRow| beside.contains(&row.batch) && goes_on(&row.state);
                if !reader.migrations(None)?.iter().any(goes) {
                    return Ok(Answer::Gone);
                }
                let text = "the engine ended with work left, before it took on what is new";
                return Err(CliError::new(Exit::WorkLeft, text)
                    .help("`nimshift resume` goes on, and takes it on"));
            }
            while reader.data_version()? == version && engine(self.place)?.is_some() {
                pause();
                waited += limits::REQUEST_POLL;
                if waited >= limits::ANSWER_WAIT && !is_told {
                    is_told = true;
                    Out::note("the engine has not answered yet; what it was handed stands");
                }
            }
        }
    }

    /// What counts for each client of the plan that is not refused.
    fn followed(
        &self,
        reader: &Reader,
        refused: &BTreeSet<String>,
    ) -> Result<BTreeMap<MigrationId, MigrationView>, CliError> {
        let mut views = place::latest(place::views(reader)?);
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
                goes |= goes_on(&row.state);
                let doing = doing(view, &row.state);
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
                Out::note("the engine ended with work left: `nimshift resume` goes on");
            }
            if !goes || holder.is_none() || self.out.is_gone() {
                break;
            }
            while reader.data_version()? == version && engine(self.place)?.is_some() {
                pause();
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
    held.help("wait for its end, then run the plan; only plans of the same batch join it")
}

/// Whether it goes on without a person.
fn goes_on(state: &State) -> bool {
    !state.is_terminal() && !state.waits_for_operator()
}

fn doing(view: &MigrationView, state: &State) -> String {
    match state.place() {
        Some(at) if goes_on(state) && usize::from(at.step) < view.blueprint.steps.len() => {
            let phase = view.blueprint.step(at).phase;
            let back = if state.is_compensating() { "taking it back" } else { phase.title() };
            format!("phase {} {phase}: {back}", phase.number())
        }
        _ => spoken_as(state, &view.spec),
    }
}

fn facts(reader: &Reader, id: MigrationId) -> Result<Facts, CliError> {
    let views = place::views(reader)?;
    let Some(view) = views.into_iter().find(|view| view.id == id) else {
        return Ok(Facts::default());
    };
    Ok(place::story(reader, view)?.facts())
}

/// An answer: whether it was taken, and a line for each client that was not.
fn understood(answer: &str) -> Answer {
    let (word, rest) = answer.split_once('\n').unwrap_or((answer, ""));
    let lines = rest.lines().filter_map(|line| line.split_once(": "));
    let but: BTreeMap<String, String> =
        lines.map(|(client, why)| (client.to_owned(), why.to_owned())).collect();
    match word.strip_prefix("refused: ") {
        Some(why) => Answer::Refused(why.to_owned()),
        None => Answer::Taken(but),
    }
}
