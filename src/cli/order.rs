//! Orders of operators: `hold`, `release`, `retry`, `cancel`, `rollback` and
//! `abandon`.
//!
//! An order is a request in the journal. Where an engine runs, it takes the
//! request up, and the answer is waited for. Where none runs, this process takes
//! the lock, applies the order itself, and goes on as the engine of these
//! clients where there is work to be done.

use std::time::Duration;

use crate::base::{SystemClock, limits};
use crate::domain::{FailureClass, MigrationSpec, NimName, StepSpec, UndoKind};
use crate::engine::{STILL_RUNS, order};
use crate::fleet::{BatchSettings, Row, create, current, in_flight, latest_of, unhidden};
use crate::journal::{
    Append, JournalError, Loaded, NewBatch, NewRequest, RequestId, RequestKind, Requests,
};
use crate::machine::{Event, Operator, Place as At, State};
use crate::report::{self, FRESH_CLONE, MigrationView, Verdict, spoken, ways_out};
use crate::transport::JobState;

use super::args::EngineArgs;
use super::confirm::confirmed;
use super::error::CliError;
use super::estate::{Estate, runtime};
use super::exit::Exit;
use super::handover::begin_anew;
use super::interrupt;
use super::night::{Night, Open, tell};
use super::operator::operator;
use super::out::{Out, Paint};
use super::place::{self, Place};
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

/// An order.
pub(super) struct Order<'a> {
    pub(super) out: &'a Out,
    pub(super) place: &'a Place,
    pub(super) kind: RequestKind,
    pub(super) engine: &'a EngineArgs,
    /// For a retry that begins anew: another's lease is taken over.
    pub(super) take_lease: bool,
    /// Clients are rebooted, and finished mksysbs removed, without asking.
    pub(super) yes: bool,
}

impl Order<'_> {
    /// Carries the order out for `whom`.
    pub(super) fn give(&self, whom: &Whom<'_>) -> Result<Exit, CliError> {
        let reader = self.place.reader()?;
        let mut views = current(self.reached(report::views(&reader)?));
        let archived = reader.archived()?;
        drop(reader);
        if !matches!(whom, Whom::Named(_)) {
            views.retain(|view| !archived.contains(&view.id));
        }
        let chosen = self.choose(&views, whom)?;
        if let Some(view) = chosen.iter().find(|view| archived.contains(&view.id)) {
            let (client, state) = (&view.client, spoken(&view.state));
            return Err(CliError::usage(format!(
                "{client}: its migration {} is {state} and in the archive: no order reaches it",
                view.id
            ))
            .help(format!("`nimshift history {client}` tells it; a plan begins a new one")));
        }
        if chosen.is_empty() {
            Out::note(&format!("`{}` means nothing to any client now", self.kind.name()));
            return Ok(Exit::Ok);
        }
        if self.take_lease
            && let Some(view) = chosen.iter().find(|view| !begins_anew(&view.state))
        {
            let (client, state) = (&view.client, spoken(&view.state));
            return Err(CliError::usage(format!(
                "{client} is {state}: `--take-lease` is for a migration that begins anew"
            ))
            .help(format!(
                "{}; `--take-lease` is for a retry after that",
                ways_out(client, &view.state)
            )));
        }
        let is_back = self.kind == RequestKind::Rollback;
        if let Some(view) = chosen.iter().find(|view| is_back && view.has_no_way_back()) {
            let client = &view.client;
            return Err(CliError::usage(format!(
                "{client} runs from its copy, and its old system is gone: there is no way back"
            ))
            .help(format!(
                "nothing was ordered; `nimshift cleanup {client}` removes what else is left, and \
                 looks for the old system again"
            )));
        }
        self.ask(whom, &chosen)?;
        match Open::new(self.place) {
            Ok(open) => self.by_ourselves(open, &chosen),
            Err(error) if error.exit() == Exit::Held => self.by_the_engine(&chosen),
            Err(error) => Err(error),
        }
    }

    /// What of `rows` the order may be about: a rollback takes back what stands, though
    /// another was refused after it.
    fn reached<T: Row>(&self, rows: Vec<T>) -> Vec<T> {
        if self.kind == RequestKind::Rollback { unhidden(rows) } else { rows }
    }

    /// Asks before clients are rebooted that were not named for that, and before a
    /// mksysb is removed that is finished.
    fn ask(&self, whom: &Whom<'_>, chosen: &[MigrationView]) -> Result<(), CliError> {
        let asks = match self.kind {
            RequestKind::Rollback => true,
            RequestKind::Retry => matches!(whom, Whom::All),
            _ => false,
        };
        let reboots = chosen.iter().filter(|view| asks && reboots(self.kind, view));
        let reboots: Vec<String> = reboots.map(|view| view.client.clone()).collect();
        let mksysbs: Vec<String> =
            chosen.iter().filter_map(|view| removes(self.kind, view)).collect();
        let said = [
            counted("reboots", ["client", "clients"], &reboots),
            counted("removes", ["finished mksysb", "finished mksysbs"], &mksysbs),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        if self.yes || said.is_empty() {
            return Ok(());
        }
        let text = format!("`{}` {}", self.kind.name(), said.join("; it "));
        if confirmed(&format!("{text}.")) {
            return Ok(());
        }
        Err(CliError::usage(text).help("nothing was ordered; `--yes` orders it without asking"))
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
                    let view = place::find(views, client)?;
                    if chosen.iter().all(|known| known.id != view.id) {
                        chosen.push(view.clone());
                    }
                }
                Ok(chosen)
            }
            Whom::All => Ok(filtered(views, |state| means_something(self.kind, state))),
            Whom::Failed => Ok(filtered(views, |state| {
                matches!(state, State::AwaitingOperator { .. } | State::UndoStuck { .. })
            })),
        }
    }

    /// What is posted for a client: a stuck undo is not rolled back but tried
    /// again.
    fn kind_for(&self, state: &State) -> RequestKind {
        match (self.kind, state) {
            (RequestKind::Rollback, State::UndoStuck { .. }) => RequestKind::Retry,
            (kind, _) => kind,
        }
    }

    fn post(&self, view: &MigrationView) -> Result<RequestId, JournalError> {
        let request = NewRequest {
            kind: self.kind_for(&view.state),
            client: Some(view.client.clone()),
            migration: Some(view.id),
            operator: operator(),
            at_ms: SystemClock::read_ms(),
        };
        Requests::post(self.place.dir(), &request)
    }

    /// Posts the order for the engine that runs, and waits for its answers.
    fn by_the_engine(&self, chosen: &[MigrationView]) -> Result<Exit, CliError> {
        let is_fresh =
            |view: &&MigrationView| self.kind == RequestKind::Retry && begins_anew(&view.state);
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
                    Some(answer) if answer.starts_with("done") => {
                        // Places are for the journal; people look at `status`.
                        let said = match answer.split_once(", as things are: ") {
                            Some(_) => answer,
                            None => answer.split('(').next().unwrap_or_default().replace('_', " "),
                        };
                        self.done(view, &said);
                    }
                    Some(answer) => {
                        exit = Exit::Usage;
                        self.refused(&view.client, &answer)?;
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
                "{}: the engine has not answered yet; the order is journaled, and will be carried out",
                view.client
            ));
        }
        Ok(if waiting.is_empty() { exit } else { Exit::WorkLeft })
    }

    /// Hands what begins anew to the engine that runs. False: not all was taken.
    fn begin_anew(&self, fresh: &[&MigrationView]) -> Result<bool, CliError> {
        if fresh.is_empty() {
            return Ok(true);
        }
        let anew = |view: &MigrationView| self.anew(&view.spec, &view.state);
        let refused = begin_anew(self.place, fresh, anew)?;
        for view in fresh {
            let (client, state) = (&view.client, spoken(&view.state));
            let Some(why) = refused.get(client) else {
                self.out.line(&format!("{client}: was {state}; a new migration joins the run"));
                continue;
            };
            let text = format!(
                "{client} is {state}, and is not begun anew by the engine that runs: {why}"
            );
            self.out.labelled("error", Paint::Red, &text);
            let help = format!("wait for its end, then `nimshift retry {client}`");
            self.out.labelled("  help", Paint::Green, &help);
        }
        Ok(refused.is_empty())
    }

    /// What is asked for when a migration that has ended in `state` begins anew.
    fn anew(&self, spec: &MigrationSpec, state: &State) -> MigrationSpec {
        let mut spec = match state {
            // With the part went all parts before it.
            State::RolledBack { .. } => spec.from_the_start(),
            _ => spec.clone(),
        };
        if self.take_lease {
            spec.dead_lease_after_ms = Some(0);
        }
        spec
    }

    /// Says that the order was taken, and what follows.
    fn done(&self, view: &MigrationView, answer: &str) {
        let client = &view.client;
        let is_back = matches!(self.kind, RequestKind::Cancel | RequestKind::Rollback);
        let then = match answer {
            "done: executing" if is_back => ", and taken back once its step has ended".to_owned(),
            _ if self.kind == RequestKind::Retry && view.retry_clones_anew() => {
                format!("; it {FRESH_CLONE}")
            }
            _ => String::new(),
        };
        self.out.line(&format!("{client}: {answer}{then}"));
    }

    /// Says why the engine refused the order, by the state as it is now.
    fn refused(&self, client: &str, answer: &str) -> Result<(), CliError> {
        if answer.contains(STILL_RUNS) {
            let text = format!("{client}: {STILL_RUNS}");
            self.out.labelled("error", Paint::Red, &text);
            let help = format!("`nimshift {} {client}` once it has ended", self.kind.name());
            self.out.labelled("  help", Paint::Green, &help);
            return Ok(());
        }
        let views = current(report::views(&self.place.reader()?)?);
        match views.iter().find(|view| view.client == client) {
            Some(view) if answer.contains("not part of this run") => {
                let text = format!("{client} is not part of the run that goes on");
                self.out.labelled("error", Paint::Red, &text);
                if !view.state.is_terminal() {
                    let way = ways_out(client, &view.state);
                    let help = format!("once that run has ended, {way}");
                    self.out.labelled("  help", Paint::Green, &help);
                }
            }
            Some(view) => self.say_refused(client, view),
            None => self.out.labelled("error", Paint::Red, &format!("{client}: {answer}")),
        }
        Ok(())
    }

    fn say_refused(&self, client: &str, view: &MigrationView) {
        let state = &view.state;
        let (order, is, possible) = (self.kind.name(), view.standing().spoken(), possible(state));
        let text = format!("`{order}` does not apply: {client} is {is}; {possible}");
        self.out.labelled("error", Paint::Red, &text);
        if self.kind == RequestKind::Hold && matches!(state, State::Pending) {
            let help = format!(
                "`nimshift cancel {client}` keeps it from beginning; when it may begin, then \
                 `nimshift retry {client}`"
            );
            self.out.labelled("  help", Paint::Green, &help);
        }
    }

    /// Applies the order, with the lock held, and goes on as the engine of the
    /// clients where it makes work.
    fn by_ourselves(&self, mut open: Open, chosen: &[MigrationView]) -> Result<Exit, CliError> {
        let batches = self.place.reader()?.batches()?;
        let Some(settings) = BatchSettings::of_all(&batches)? else {
            return Err(CliError::usage("no plan has run here"));
        };
        let estate = Estate::open(self.place, &settings)?;
        let clients: Vec<String> = chosen.iter().map(|view| view.client.clone()).collect();
        let mut loaded = latest_of(self.reached(std::mem::take(&mut open.loaded)), &clients);
        let mut refused = false;
        for one in &mut loaded {
            // The state may have moved since it was looked at.
            let Some(view) = chosen.iter().find(|view| view.id == one.id) else {
                continue;
            };
            let state = one.machine.state().clone();
            if self.kind == RequestKind::Retry && begins_anew(&state) {
                let Some(batch) = batches.iter().find(|batch| batch.id == one.batch) else {
                    continue;
                };
                let again = NewBatch {
                    name: batch.name.clone(),
                    digest: batch.digest.clone(),
                    plan_text: self.place.reader()?.plan_text(batch.id)?.unwrap_or_default(),
                    created_ms: estate.clock.now_ms(),
                    operator: operator(),
                    estate: batch.estate.clone(),
                };
                let spec = std::sync::Arc::new(self.anew(&one.spec, &state));
                let specs = std::iter::once((one.number, spec));
                let mut fresh = create(&open.journal, &again, specs)?;
                *one = fresh.remove(0);
                Out::note(&format!(
                    "{}: was {}; a new migration begins",
                    one.client,
                    spoken(&state)
                ));
                continue;
            }
            if self.kind == RequestKind::Abandon && self.still_runs(&estate, view, &state)? {
                refused = true;
                continue;
            }
            refused |= !self.apply(&mut open, one, view, estate.clock.now_ms())?;
        }
        let goes_on =
            matches!(self.kind, RequestKind::Retry | RequestKind::Rollback | RequestKind::Cancel);
        let work = loaded.iter().any(|one| !one.machine.state().is_at_rest());
        if !goes_on || !work {
            if work && self.kind == RequestKind::Release {
                Out::note("no engine runs: `nimshift resume` goes on");
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
        let night = Night {
            out: self.out,
            place: self.place,
            estate: &estate,
            limits,
            args: self.engine,
            takes_work: false,
        };
        let judge = match self.kind {
            RequestKind::Cancel | RequestKind::Rollback => Verdict::of_taking_back,
            _ => Verdict::of_going_on,
        };
        let exit = night.run(open, &clients, judge)?;
        Ok(if refused { Exit::Usage } else { exit })
    }

    /// Tells what stays on the hosts of what was given up, our lease too, and what
    /// takes it away.
    fn tell_left(&self, clients: &[String]) -> Result<(), CliError> {
        if self.kind != RequestKind::Abandon || clients.is_empty() {
            return Ok(());
        }
        let now_ms = now_ms(self.place, &self.place.reader()?)?;
        tell(self.out, self.place, (clients, &[]), |_| Verdict::AllMigrated, now_ms)?;
        Ok(())
    }

    /// Whether the step in flight of what is held runs on its host. Where that
    /// cannot be told, it is said.
    fn still_runs(
        &self,
        estate: &Estate,
        view: &MigrationView,
        state: &State,
    ) -> Result<bool, CliError> {
        let State::Held { resume } = state else { return Ok(false) };
        let scope = self.place.reader()?.scope()?;
        let Some((host, job)) = in_flight(view, resume, &scope) else { return Ok(false) };
        let runtime = runtime()?;
        let client = &view.client;
        match runtime.block_on(estate.transport.poll(&host, &job, 0, Duration::ZERO)) {
            Ok(JobState::Running { .. }) => {
                let text = format!("{client}: its step still runs on {host}, as {job}");
                self.out.labelled("error", Paint::Red, &text);
                let help = format!("`nimshift abandon {client}` once it has ended");
                self.out.labelled("  help", Paint::Green, &help);
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) => {
                Out::note(&format!(
                    "{client}: whether its step still runs cannot be told: {error}"
                ));
                Ok(false)
            }
        }
    }

    /// Applies the order to one migration, with no engine running. False: it
    /// means nothing there.
    fn apply(
        &self,
        open: &mut Open,
        one: &mut Loaded,
        view: &MigrationView,
        now_ms: u64,
    ) -> Result<bool, CliError> {
        let request = self.post(view)?;
        if let Some(append) = one.adopt(now_ms) {
            store(open, append)?;
        }
        let before = one.machine.state().clone();
        let by = Operator(operator());
        let kind = order(self.kind_for(&before), by).expect("it is about a migration");
        let event = Event { at_ms: now_ms, kind };
        let Ok(transition) = one.machine.apply(&event) else {
            let text = format!("refused: it is {}", spoken(&before));
            open.journal.answer_request(request, text)?;
            self.say_refused(&one.client, view);
            return Ok(false);
        };
        let answer = match &transition.to {
            State::Abandoned { .. } => format!("done: {}", transition.to.told()),
            to => format!("done: {}", spoken(to)),
        };
        self.done(view, &answer);
        let append = Append {
            migration: one.id,
            expected_seq: one.seq,
            event,
            to: transition.to,
            effects: transition.effects,
            record: None,
            request: Some((request, answer)),
        };
        one.seq = store(open, append)?;
        one.is_ordered = true;
        Ok(true)
    }
}

/// Appends, and waits until it is stored. Gives the number of the entry.
fn store(open: &mut Open, append: Append) -> Result<u64, CliError> {
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

/// Whether a retry of a migration in this state is a new migration.
fn begins_anew(state: &State) -> bool {
    matches!(state, State::RolledBack { .. } | State::Refused { .. } | State::Abandoned { .. })
}

/// What is asked about `names`, if there are any.
fn counted(does: &str, nouns: [&str; 2], names: &[String]) -> Option<String> {
    let [one, many] = nouns;
    let noun = if names.len() == 1 { one } else { many };
    (!names.is_empty()).then(|| format!("{does} {} {noun}: {}", names.len(), names.join(", ")))
}

/// The mksysb that the order removes, where it is finished: steps after the one that
/// writes it have begun.
fn removes(kind: RequestKind, view: &MigrationView) -> Option<String> {
    let writes = ["archive-mksysb", "nimadm-finish"];
    let is_written = |step: &StepSpec| writes.contains(&step.step.as_str());
    let output = view.spec.options.output.as_ref().filter(|_| view.spec.mode.writes_mksysb())?;
    let written = view.blueprint.steps.iter().position(is_written)?;
    let is_behind = match resumed(&view.state) {
        _ if kind != RequestKind::Rollback => false,
        State::Migrated { at } => usize::from(at.step) >= written,
        state if state.is_compensating() => takes_back(kind, state, written),
        state => state.place().is_some_and(|at| usize::from(at.step) > written),
    };
    is_behind.then(|| format!("{output} ({})", view.client))
}

/// The state, or the one that what is held goes on from.
fn resumed(state: &State) -> &State {
    match state {
        State::Held { resume } => resume,
        state => state,
    }
}

/// Whether the order reboots the client, at once or in its course.
fn reboots(kind: RequestKind, view: &MigrationView) -> bool {
    let reboot = view.blueprint.steps.iter().position(|step| step.undo == UndoKind::Backout);
    reboot.is_some_and(|reboot| takes_back(kind, resumed(&view.state), reboot))
}

/// Whether what the order begins comes past the step at `index`.
fn takes_back(kind: RequestKind, state: &State, index: usize) -> bool {
    let is_behind =
        |at: &At, until: u16| usize::from(until) <= index && index <= usize::from(at.step);
    match (kind, state) {
        (
            _,
            State::UndoStuck { at, course, .. }
            | State::UndoBackingOff { at, course, .. }
            | State::Undoing { at, course },
        ) => is_behind(at, course.until),
        (RequestKind::Rollback, State::Migrated { at }) => is_behind(at, 0),
        (RequestKind::Rollback, state) => state.place().is_some_and(|at| is_behind(&at, 0)),
        (RequestKind::Retry, state) => state.place().is_none_or(|at| usize::from(at.step) <= index),
        _ => false,
    }
}

/// Whether an order for all clients is given to one in this state. Rollback is
/// not given to what has ended well, nor retry to what an order has ended: that is
/// asked for by name.
fn means_something(kind: RequestKind, state: &State) -> bool {
    let live = !state.is_terminal() && !matches!(state, State::Pending);
    match kind {
        RequestKind::Hold => live && !matches!(state, State::Held { .. }),
        RequestKind::Release => matches!(state, State::Held { .. }),
        RequestKind::Retry => {
            let is_given_up = match state {
                // Only an order has this class here.
                State::RolledBack { cause } => cause.class == FailureClass::NeedsOperator,
                state => matches!(state, State::Abandoned { .. }),
            };
            (begins_anew(state) && !is_given_up)
                || matches!(
                    state,
                    State::AwaitingOperator { .. }
                        | State::UndoStuck { .. }
                        | State::BackingOff { .. }
                        | State::UndoBackingOff { .. }
                )
        }
        RequestKind::Cancel | RequestKind::Rollback => {
            !state.is_terminal() && !state.is_compensating()
        }
        RequestKind::Abandon => {
            matches!(
                state,
                State::AwaitingOperator { .. } | State::UndoStuck { .. } | State::Held { .. }
            )
        }
        // It is for an engine.
        RequestKind::Run => false,
    }
}
/// What can be ordered in a state.
fn possible(state: &State) -> &'static str {
    match state {
        State::Pending => "possible: cancel, rollback",
        State::Executing { .. } => {
            "possible: hold, rollback, and cancel before the client's reboot"
        }
        State::WaitingForPlace { .. } => "possible: hold, cancel, rollback",
        State::BackingOff { .. } => "possible: retry, hold, cancel, rollback",
        State::AwaitingOperator { .. } => "possible: retry, rollback, cancel, hold, abandon",
        State::Undoing { .. } => "possible: hold",
        State::UndoBackingOff { .. } => "possible: retry, hold",
        State::UndoStuck { .. } => "possible: retry, hold, abandon",
        State::Held { .. } => "possible: release, cancel, rollback, abandon",
        State::Migrated { .. } => "possible: rollback",
        State::RolledBack { .. } | State::Abandoned { .. } | State::Refused { .. } => {
            "possible: retry, which begins a new migration"
        }
        State::Skipped { .. } => "nothing is to be done for it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Cause;

    #[test]
    fn an_order_for_all_spares_what_has_ended_well() {
        let migrated = State::Migrated { at: crate::machine::Place::start() };
        let cause = Cause::new(FailureClass::Permanent, "x");
        for kind in RequestKind::ALL {
            assert!(!means_something(kind, &migrated), "{kind:?}");
        }
        assert!(means_something(RequestKind::Retry, &State::RolledBack { cause: cause.clone() }));
        let cancelled = Cause::new(FailureClass::NeedsOperator, "cancelled by op");
        assert!(!means_something(RequestKind::Retry, &State::RolledBack { cause: cancelled }));
        assert!(!means_something(RequestKind::Retry, &State::Abandoned { cause }));
        let held = State::Held { resume: Box::new(State::Pending) };
        assert!(means_something(RequestKind::Release, &held));
        assert!(!means_something(RequestKind::Hold, &held));
    }
}
