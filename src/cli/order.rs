//! Orders of operators: `hold`, `release`, `retry`, `cancel`, `rollback` and
//! `abandon`.
//!
//! An order is a request in the journal. Where an engine runs, it takes the
//! request up, and the answer is waited for. Where none runs, this process takes
//! the lock, applies the order itself, and goes on as the engine of these
//! clients where there is work to be done.

use std::sync::Arc;

use crate::base::{SystemClock, limits};
use crate::domain::NimName;
use crate::fleet::{
    BatchSettings, CannotOrder, Costs, LeadsTo, OperatorOrder, batch_again, create, current,
    latest_of, possible, still_runs,
};
use crate::journal::{
    Append, BatchRow, JournalError, Loaded, NewRequest, OrderAnswer, RequestId, RequestKind,
    Requests, WhyRefused,
};
use crate::machine::{Operator, State};
use crate::report::{self, FRESH_CLONE, MigrationView, Verdict, spoken, ways_out};

use super::args::EngineArgs;
use super::confirm::confirmed;
use super::engine_run::{EngineRun, OpenJournal, tell};
use super::error::CliError;
use super::estate::{Estate, runtime};
use super::exit::Exit;
use super::handover::begin_anew;
use super::interrupt;
use super::operator::operator;
use super::out::{Out, Paint};
use super::state_dir::{self, StateDir};
use super::status::now_ms;

/// Which clients an order is for.
pub(super) enum Whom<'a> {
    /// These.
    Named(&'a [NimName]),
    /// All for which it may mean something.
    All,
    /// All that wait for an operator after a failure.
    Failed,
}

/// An order that is given.
pub(super) struct Order<'a> {
    pub(super) out: &'a Out,
    pub(super) place: &'a StateDir,
    pub(super) asked: OperatorOrder,
    pub(super) engine: &'a EngineArgs,
    /// Clients are rebooted, and finished mksysbs removed, without asking.
    pub(super) yes: bool,
}

impl Order<'_> {
    /// Carries the order out for `whom`.
    pub(super) fn give(&self, whom: &Whom<'_>) -> Result<Exit, CliError> {
        let reader = self.place.reader()?;
        let mut views = current(self.asked.reached(report::views(&reader)?));
        let archived = reader.archived()?;
        drop(reader);
        if !matches!(whom, Whom::Named(_)) {
            views.retain(|view| !archived.contains(&view.id));
        }
        let chosen = self.choose(&views, whom)?;
        if chosen.is_empty() {
            Out::note(&format!("`{}` applies to no client now", self.name()));
            return Ok(Exit::Ok);
        }
        self.asked.check(&chosen, &archived).map_err(|why| cannot(&why))?;
        self.ask(whom, &chosen)?;
        match OpenJournal::new(self.place) {
            Ok(open) => self.by_ourselves(open, &chosen),
            Err(error) if error.exit() == Exit::Held => self.by_the_engine(&chosen),
            Err(error) => Err(error),
        }
    }

    fn name(&self) -> &'static str {
        self.asked.kind.name()
    }

    /// Asks before what cannot be taken back.
    fn ask(&self, whom: &Whom<'_>, chosen: &[MigrationView]) -> Result<(), CliError> {
        let Costs { reboots, removes } = self.asked.costs(matches!(whom, Whom::All), chosen);
        let said = [
            counted("reboots", ["client", "clients"], &reboots),
            counted("removes", ["finished mksysb", "finished mksysbs"], &removes),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        if self.yes || said.is_empty() {
            return Ok(());
        }
        let text = format!("`{}` {}", self.name(), said.join("; it "));
        if confirmed(&format!("{text}.")) {
            return Ok(());
        }
        Err(CliError::usage(text).help("nothing was changed; `--yes` skips this question"))
    }

    fn choose(
        &self,
        views: &[MigrationView],
        whom: &Whom<'_>,
    ) -> Result<Vec<MigrationView>, CliError> {
        match whom {
            Whom::Named(clients) => {
                let mut chosen: Vec<MigrationView> = Vec::new();
                for client in *clients {
                    let view = state_dir::find(views, client)?;
                    if chosen.iter().all(|known| known.id != view.id) {
                        chosen.push(view.clone());
                    }
                }
                Ok(chosen)
            }
            Whom::All => Ok(filtered(views, |state| self.asked.applies_to(state))),
            Whom::Failed => Ok(filtered(views, OperatorOrder::has_failed)),
        }
    }

    fn post(&self, view: &MigrationView) -> Result<RequestId, JournalError> {
        let request = NewRequest {
            kind: self.asked.posted_as(&view.state),
            client: Some(view.client.clone()),
            migration: Some(view.id),
            operator: operator(),
            at_ms: SystemClock::read_ms(),
        };
        Requests::post(self.place.dir(), &request)
    }

    /// Posts the order for the running engine, and waits for its answers.
    fn by_the_engine(&self, chosen: &[MigrationView]) -> Result<Exit, CliError> {
        let is_fresh = |view: &&MigrationView| self.asked.begins_anew(&view.state);
        let (fresh, others): (Vec<_>, Vec<_>) = chosen.iter().partition(is_fresh);
        interrupt::watch();
        let begun = self.begin_anew(&fresh)?;
        let mut waiting = Vec::new();
        for view in others {
            waiting.push((view, self.post(view)?));
        }
        let reader = self.place.reader()?;
        let until = SystemClock::read_ms()
            + u64::try_from(limits::ANSWER_WAIT.as_millis()).unwrap_or(u64::MAX);
        let mut exit = if begun { Exit::Ok } else { Exit::Usage };
        while !waiting.is_empty() {
            let mut open = Vec::new();
            for (view, id) in waiting {
                match reader.request(id)?.answer {
                    Some(OrderAnswer::Done(state)) => self.done(view, &state, &is_at(&state)),
                    Some(OrderAnswer::Refused(why)) => {
                        exit = exit.max(Exit::Usage);
                        self.refused(&view.client, &why)?;
                    }
                    // Of an engine of another version: what it says is for people.
                    Some(OrderAnswer::Told(words)) => {
                        let words = words.split('(').next().unwrap_or_default();
                        self.out.line(&format!(
                            "{}: done: {}",
                            view.client,
                            words.replace('_', " ")
                        ));
                    }
                    Some(answer @ OrderAnswer::Taken(_)) => {
                        exit = exit.max(Exit::WorkLeft);
                        Out::note(&format!("{}: the engine answered `{answer}`", view.client));
                    }
                    None => open.push((view, id)),
                }
            }
            waiting = open;
            if SystemClock::read_ms() > until || interrupt::came() {
                break;
            }
            interrupt::pause();
        }
        if exit == Exit::Ok && waiting.is_empty() {
            let clients: Vec<String> = chosen.iter().map(|view| view.client.clone()).collect();
            self.tell_left(&clients)?;
        }
        for (view, _) in &waiting {
            Out::note(&format!(
                "{}: the engine has not answered yet; the order is journaled and will be carried \
                 out",
                view.client
            ));
        }
        Ok(if waiting.is_empty() { exit } else { Exit::WorkLeft })
    }

    /// Hands what starts again to the running engine. False: not all was taken.
    fn begin_anew(&self, fresh: &[&MigrationView]) -> Result<bool, CliError> {
        if fresh.is_empty() {
            return Ok(true);
        }
        let anew = |view: &MigrationView| self.asked.anew(&view.spec, &view.state);
        let refused = begin_anew(self.place, fresh, anew)?;
        for view in fresh {
            let (client, state) = (&view.client, spoken(&view.state));
            let Some(why) = refused.get(client) else {
                self.out.line(&format!("{client}: was {state}; a new migration joins the run"));
                continue;
            };
            let text =
                format!("{client} is {state}; the running engine did not start it again: {why}");
            let help = format!("wait until it ends, then `nimshift retry {client}`");
            self.complain(&text, Some(&help));
        }
        Ok(refused.is_empty())
    }

    /// Says that the order was taken and has led to `state`, which is called `is`.
    fn done(&self, view: &MigrationView, state: &State, is: &str) {
        let told = match self.asked.leads_to(state, view) {
            LeadsTo::TakenBackLater => {
                format!("{} accepted; taken back once its step has ended", self.name())
            }
            LeadsTo::TakenBackNow => format!("{} accepted; being taken back", self.name()),
            LeadsTo::FreshClone => format!("done: {is}; it {FRESH_CLONE}"),
            LeadsTo::GivenUp => format!("done: {}", state.told()),
            LeadsTo::State => format!("done: {is}"),
        };
        self.out.line(&format!("{}: {told}", view.client));
    }

    /// Says why the engine refused the order, by the state as it is now.
    fn refused(&self, client: &str, why: &WhyRefused) -> Result<(), CliError> {
        if *why == WhyRefused::StillRuns {
            let help = format!("`nimshift {} {client}` once it has ended", self.name());
            self.complain(&format!("{client}: {why}"), Some(&help));
            return Ok(());
        }
        if let WhyRefused::Said(why) = why {
            self.complain(&format!("{client}: refused: {why}"), None);
            return Ok(());
        }
        let views = current(report::views(&self.place.reader()?)?);
        match views.iter().find(|view| view.client == client) {
            Some(view) if matches!(why, WhyRefused::NotPartOfRun(_)) => {
                let way = || format!("once that run has ended, {}", ways_out(client, &view.state));
                let help = (!view.state.is_terminal()).then(way);
                let text = format!("{client} is not part of the current run");
                self.complain(&text, help.as_deref());
            }
            Some(view) => self.say_refused(client, view),
            None => self.complain(&format!("{client}: refused: {why}"), None),
        }
        Ok(())
    }

    fn complain(&self, text: &str, help: Option<&str>) {
        self.out.labelled("error", Paint::Red, text);
        if let Some(help) = help {
            self.out.labelled("  help", Paint::Green, help);
        }
    }

    fn say_refused(&self, client: &str, view: &MigrationView) {
        let state = &view.state;
        let (order, is, possible) = (self.name(), view.standing().spoken(), possible(state));
        let text = format!("`{order}` does not apply: {client} is {is}; {possible}");
        let is_early = self.asked.kind == RequestKind::Hold && matches!(state, State::Pending);
        let help = format!(
            "`nimshift cancel {client}` keeps it from starting; when it may start, then `nimshift retry {client}`"
        );
        self.complain(&text, is_early.then_some(help.as_str()));
    }

    /// Applies the order, with the lock held, and goes on as the engine of the
    /// clients where it makes work.
    fn by_ourselves(
        &self,
        mut open: OpenJournal,
        chosen: &[MigrationView],
    ) -> Result<Exit, CliError> {
        let batches = self.place.reader()?.batches()?;
        let Some(settings) = BatchSettings::of_all(&batches)? else {
            return Err(CliError::usage("no plan has run here"));
        };
        let estate = Estate::open(self.place, &settings)?;
        let clients: Vec<String> = chosen.iter().map(|view| view.client.clone()).collect();
        let mut loaded = latest_of(self.asked.reached(std::mem::take(&mut open.loaded)), &clients);
        let mut refused = false;
        for one in &mut loaded {
            // The state may have moved since it was looked at.
            let Some(view) = chosen.iter().find(|view| view.id == one.id) else {
                continue;
            };
            refused |= !self.give_to(&mut open, one, view, (&estate, &batches))?;
        }
        let work = loaded.iter().any(|one| !one.machine.state().is_at_rest());
        if !self.asked.goes_on() || !work {
            if work && self.asked.kind == RequestKind::Release {
                Out::note("no engine runs: `nimshift resume` continues");
            }
            open.journal.close()?;
            let is_given_up =
                |one: &&Loaded| matches!(one.machine.state(), State::Abandoned { .. });
            let given_up: Vec<String> =
                loaded.iter().filter(is_given_up).map(|one| one.client.clone()).collect();
            self.tell_left(&given_up)?;
            return Ok(if refused { Exit::Usage } else { Exit::Ok });
        }
        open.loaded = loaded;
        let limits = settings.engine_limits();
        let night = EngineRun {
            out: self.out,
            place: self.place,
            estate: &estate,
            limits,
            args: self.engine,
            takes_work: false,
        };
        let judge =
            if self.asked.takes_back() { Verdict::of_taking_back } else { Verdict::of_going_on };
        let exit = night.run(open, &clients, judge)?;
        Ok(if refused { Exit::Usage } else { exit })
    }

    /// Gives the order to one migration, with no engine running. False: it is refused.
    fn give_to(
        &self,
        open: &mut OpenJournal,
        one: &mut Loaded,
        view: &MigrationView,
        (estate, batches): (&Estate, &[BatchRow]),
    ) -> Result<bool, CliError> {
        let (state, now_ms) = (one.machine.state().clone(), estate.clock.now_ms());
        if self.asked.begins_anew(&state) {
            let Some(batch) = batches.iter().find(|batch| batch.id == one.batch) else {
                return Ok(true);
            };
            let again = batch_again(&self.place.reader()?, batch, (now_ms, operator()))?;
            let spec = Arc::new(self.asked.anew(&one.spec, &state));
            let mut fresh = create(&open.journal, &again, std::iter::once((one.number, spec)))?;
            *one = fresh.remove(0);
            Out::note(&format!("{}: was {}; a new migration starts", one.client, spoken(&state)));
            return Ok(true);
        }
        if self.asked.kind == RequestKind::Abandon && self.still_runs(estate, view, &state)? {
            return Ok(false);
        }
        self.apply(open, one, view, now_ms)
    }

    /// Tells what stays on the hosts of what was given up, our lease too, and what
    /// takes it away.
    fn tell_left(&self, clients: &[String]) -> Result<(), CliError> {
        if self.asked.kind != RequestKind::Abandon || clients.is_empty() {
            return Ok(());
        }
        let now_ms = now_ms(self.place, &self.place.reader()?)?;
        tell(self.out, self.place, (clients, &[]), |_| Verdict::AllMigrated, now_ms)?;
        Ok(())
    }

    /// Whether the step in flight of what is held still runs on its host; it is said, as
    /// it is where it is not known.
    fn still_runs(
        &self,
        estate: &Estate,
        view: &MigrationView,
        state: &State,
    ) -> Result<bool, CliError> {
        let State::Held { resume } = state else { return Ok(false) };
        let scope = self.place.reader()?.scope()?;
        let client = &view.client;
        match runtime()?.block_on(still_runs(&*estate.transport, view, resume, &scope)) {
            Ok(Some((host, job))) => {
                let text = format!("{client}: its step still runs on {host}, as {job}");
                let help = format!("`nimshift abandon {client}` once it has ended");
                self.complain(&text, Some(&help));
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                Out::note(&format!("{client}: cannot tell whether its step still runs: {error}"));
                Ok(false)
            }
        }
    }

    /// Journals what the order leads to. False: it does not apply there.
    fn apply(
        &self,
        open: &mut OpenJournal,
        one: &mut Loaded,
        view: &MigrationView,
        now_ms: u64,
    ) -> Result<bool, CliError> {
        let request = self.post(view)?;
        if let Some(append) = one.adopt(now_ms) {
            store(open, append)?;
        }
        let by = Operator(operator());
        match self.asked.apply(one, (request, by), now_ms) {
            Ok(append) => {
                let to = append.to.clone();
                one.seq = store(open, append)?;
                one.is_ordered = true;
                self.done(view, &to, &spoken(&to));
                Ok(true)
            }
            Err(why) => {
                open.journal.answer_request(request, &OrderAnswer::Refused(why))?;
                self.say_refused(&one.client, view);
                Ok(false)
            }
        }
    }
}

/// Appends, and waits until it is stored. Gives the number of the entry.
fn store(open: &mut OpenJournal, append: Append) -> Result<u64, CliError> {
    let migration = append.migration;
    open.journal.append(append)?;
    while let Some(acks) = open.acks.blocking_recv() {
        for ack in acks {
            ack.result?;
            if ack.migration == migration {
                return Ok(ack.seq);
            }
        }
    }
    Err(JournalError::Closed.into())
}

fn filtered(views: &[MigrationView], keep: impl Fn(&State) -> bool) -> Vec<MigrationView> {
    views.iter().filter(|view| keep(&view.state)).cloned().collect()
}

/// Why the order cannot be given.
fn cannot(why: &CannotOrder<'_>) -> CliError {
    let (CannotOrder::Archived(view)
    | CannotOrder::GoesOnUnderItsLease(view)
    | CannotOrder::NoWayBack(view)) = why;
    let (client, state) = (&view.client, spoken(&view.state));
    let (text, help) = match why {
        CannotOrder::Archived(_) => (
            format!(
                "{client}: its migration {} is {state} and archived: it takes no orders",
                view.id
            ),
            format!("`nimshift history {client}` shows it; a plan starts a new one"),
        ),
        CannotOrder::GoesOnUnderItsLease(_) => (
            format!(
                "{client} is {state}: `--take-lease` applies only when a migration starts again"
            ),
            format!("{}; then retry with `--take-lease`", ways_out(client, &view.state)),
        ),
        CannotOrder::NoWayBack(_) => (
            format!(
                "{client} runs from its copy, and its old system is gone: there is no way back"
            ),
            format!(
                "nothing was changed; `nimshift cleanup {client}` removes what else is left and \
                 looks for the old system again"
            ),
        ),
    };
    CliError::usage(text).help(help)
}

/// A state by its name alone: places are for the journal, and people look at `status`.
fn is_at(state: &State) -> String {
    state.name().replace('_', " ")
}

/// What is asked about `names`, if there are any.
fn counted(does: &str, nouns: [&str; 2], names: &[String]) -> Option<String> {
    let [one, many] = nouns;
    let noun = if names.len() == 1 { one } else { many };
    (!names.is_empty()).then(|| format!("{does} {} {noun}: {}", names.len(), names.join(", ")))
}
