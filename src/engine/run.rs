//! The one loop around [`Core`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::base::{ClockRef, Moment, limits};
use crate::domain::{Answer, AttemptRecord, Cause, FailureClass, Outcome, Residue, Ticket, Way};
use crate::journal::{
    Ack, Append, Journal, JournalError, Loaded, NewBatch, NewMigration, OrderAnswer, RequestId,
    WhyRefused,
};
use crate::machine::{Operator, State};

use super::core::{Command, Core, Input, OperatorRequest};
use super::delay::Delays;
use super::limits::EngineLimits;
use super::panics::{Caught, remember_places};
use super::slot::SlotView;
use super::work::Performer;

/// What becomes of attempts in flight when a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// They are waited for.
    Wait,
    /// They are left to go on on their hosts, to be found again by the next run.
    Leave,
}

/// Asks a run to stop.
#[derive(Debug, Clone)]
pub struct StopHandle(Arc<watch::Sender<Option<OnStop>>>);

impl StopHandle {
    /// Asks for a stop. A later call replaces an earlier one.
    pub fn stop(&self, how: OnStop) {
        self.0.send_replace(Some(how));
    }
}

/// A handle, and the side of it that a run listens to.
pub fn stop_handle() -> (StopHandle, watch::Receiver<Option<OnStop>>) {
    let (sender, receiver) = watch::channel(None);
    (StopHandle(Arc::new(sender)), receiver)
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// Nothing more happens without a person.
    AtRest,
    /// It was asked to stop.
    Stopped,
    /// The journal could not be written. What it had acknowledged is safe.
    JournalFailed(JournalError),
}

/// Is told what a run does: after it is stored, never before.
pub trait Observer {
    /// A transition that happened at `at_ms` was stored.
    fn moved(&mut self, at_ms: u64, view: SlotView<'_>, from: &State) {
        let _ = (at_ms, view, from);
    }

    /// An attempt was started.
    fn started(&mut self, now_ms: u64, view: SlotView<'_>, ticket: &Ticket) {
        let _ = (now_ms, view, ticket);
    }

    /// A migration joined the run.
    fn joined(&mut self, now_ms: u64, view: SlotView<'_>) {
        let _ = (now_ms, view);
    }

    /// The journal refused an entry: that migration stands still.
    fn broken(&mut self, view: SlotView<'_>, error: &JournalError) {
        let _ = (view, error);
    }
}

/// An observer that looks away.
impl Observer for () {}

/// Work that another process hands to a run.
#[derive(Debug)]
pub struct NewWork {
    /// The request that it came with.
    pub request: RequestId,
    pub by: Operator,
    /// What is journaled with it.
    pub batch: NewBatch,
    pub migrations: Vec<NewMigration>,
    /// Clients of it that are not begun, each with the reason.
    pub refused: Vec<(String, String)>,
}

/// Brings operators' requests that were journaled by other processes.
pub trait RequestSource {
    /// The requests that are not answered yet and were not given out before.
    fn take(&mut self) -> Result<Vec<OperatorRequest>, JournalError>;

    /// Those that came with them, cannot be followed, and are answered so.
    fn refused(&mut self) -> Vec<(RequestId, WhyRefused)> {
        Vec::new()
    }

    /// Work that came with them.
    fn work(&mut self) -> Vec<NewWork> {
        Vec::new()
    }

    /// Is told what of it was taken, before any of it begins.
    fn joined(&mut self, taken: &[Loaded]) {
        let _ = taken;
    }
}

/// One run over one journal.
pub struct Engine<'a> {
    /// The journal, open for writing.
    pub journal: &'a Journal,
    /// Where it says what is stored.
    pub acks: mpsc::UnboundedReceiver<Vec<Ack>>,
    /// Makes attempts.
    pub performer: Arc<dyn Performer>,
    /// The estate's clock.
    pub clock: ClockRef,
    /// Is told what happens.
    pub observer: &'a mut dyn Observer,
    /// Operators' requests; `None` in runs that take none.
    pub requests: Option<&'a mut dyn RequestSource>,
    /// Where a stop is asked for.
    pub stop: watch::Receiver<Option<OnStop>>,
}

/// What goes on beside the loop.
#[derive(Default)]
struct Work {
    attempts: JoinSet<Done>,
    /// Hosts that are told to forget the jobs of ended migrations.
    forgetting: JoinSet<()>,
}

/// Which migration's attempt has ended, and what it gave, or panicked with.
type Done = (usize, Ticket, Result<Answer, String>);

impl Engine<'_> {
    /// Runs the migrations in `loaded` until they are at rest, or the run is
    /// stopped.
    pub async fn run(
        mut self,
        loaded: Vec<Loaded>,
        limits: &EngineLimits,
        delays: Delays,
    ) -> Ended {
        remember_places();
        let mut commands = Vec::new();
        let mut core = Core::new(loaded, limits, delays, &mut commands, self.clock.moment());
        let mut work = Work::default();
        let mut failed = None;
        let mut ticks = tokio::time::interval(limits::REQUEST_POLL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        self.carry_out(&core, &mut work, &mut commands, &mut failed);
        loop {
            // An order that came at the last moment, or before the start, is
            // taken up as well.
            let input = if core.is_fenced() {
                // The other engine has them now: what runs on hosts is left to it.
                work.attempts.shutdown().await;
                work.forgetting.shutdown().await;
                break;
            } else if !core.at_rest() {
                self.next_input(&core, &mut work, &mut ticks).await
            } else if let Some(requests) = self.take_requests().filter(|_| !core.is_stopping()) {
                Happened::Requests(requests)
            } else {
                break;
            };
            let now = self.clock.moment();
            match input {
                Happened::Acks(acks) => {
                    for ack in acks {
                        core.handle(now, Input::Acked(ack), &mut commands);
                    }
                }
                Happened::Done(done) => {
                    answered(&mut core, now, *done, &mut commands);
                    while let Some(Ok(done)) = work.attempts.try_join_next() {
                        answered(&mut core, now, done, &mut commands);
                    }
                }
                Happened::Requests(Asked { orders, work: new }) => {
                    for request in orders {
                        core.handle(now, Input::Requested(request), &mut commands);
                    }
                    for new in new {
                        let (commands, failed) = (&mut commands, &mut failed);
                        let taken = self.take_on(&mut core, &mut work, now, new, commands, failed);
                        if let Some(taken) = taken {
                            self.join(&mut core, now, taken, commands);
                        }
                        self.carry_out(&core, &mut work, commands, failed);
                    }
                }
                Happened::Due => core.handle(now, Input::Tick, &mut commands),
                Happened::JournalGone => {
                    failed.get_or_insert(JournalError::Closed);
                    break;
                }
                Happened::Stop(OnStop::Wait) => {
                    core.handle(now, Input::Stop, &mut commands);
                }
                Happened::Stop(OnStop::Leave) => {
                    core.handle(now, Input::Stop, &mut commands);
                    self.carry_out(&core, &mut work, &mut commands, &mut failed);
                    work.attempts.abort_all();
                    self.settle(&mut core, &mut failed).await;
                    break;
                }
            }
            self.carry_out(&core, &mut work, &mut commands, &mut failed);
        }
        if !core.is_stopping() {
            // Each call has a limit of its own.
            while work.forgetting.join_next().await.is_some() {}
        }
        match failed {
            Some(error) => Ended::JournalFailed(error),
            None if core.is_stopping() => Ended::Stopped,
            None => Ended::AtRest,
        }
    }

    async fn next_input(
        &mut self,
        core: &Core,
        work: &mut Work,
        ticks: &mut tokio::time::Interval,
    ) -> Happened {
        loop {
            let due = core.next_due();
            let clock = &self.clock;
            let timer = async {
                match due {
                    Some(due) => clock.sleep(due.saturating_sub(clock.steady())).await,
                    None => std::future::pending().await,
                }
            };
            let takes_requests = self.requests.is_some();
            tokio::select! {
                biased;
                acks = self.acks.recv() => {
                    return acks.map_or(Happened::JournalGone, Happened::Acks);
                }
                Some(done) = work.attempts.join_next(), if !work.attempts.is_empty() => {
                    let done = done.expect("an attempt is not aborted, and its panic is caught");
                    return Happened::Done(Box::new(done));
                }
                Ok(()) = self.stop.changed() => {
                    if let Some(how) = *self.stop.borrow_and_update() {
                        return Happened::Stop(how);
                    }
                }
                () = timer => return Happened::Due,
                _ = ticks.tick(), if takes_requests => {
                    if let Some(requests) = self.take_requests() {
                        return Happened::Requests(requests);
                    }
                }
            }
        }
    }

    fn take_requests(&mut self) -> Option<Asked> {
        let source = self.requests.as_mut()?;
        let (taken, refused, work) = (source.take(), source.refused(), source.work());
        for (id, why) in refused {
            self.refuse(id, why);
        }
        let orders = taken.unwrap_or_else(|error| {
            tracing::warn!(%error, "requests of operators cannot be read");
            Vec::new()
        });
        (!orders.is_empty() || !work.is_empty()).then_some(Asked { orders, work })
    }

    fn refuse(&self, request: RequestId, why: WhyRefused) {
        let answered = self.journal.answer_request(request, &OrderAnswer::Refused(why));
        if let Err(error) = answered {
            tracing::warn!(%error, "an operator was not answered");
        }
    }

    /// Journals what of `new` can be begun, with the answer to its request.
    fn take_on(
        &mut self,
        core: &mut Core,
        work: &mut Work,
        now: Moment,
        new: NewWork,
        commands: &mut Vec<Command>,
        failed: &mut Option<JournalError>,
    ) -> Option<Vec<Loaded>> {
        let NewWork { request, by, mut batch, mut migrations, mut refused } = new;
        if core.is_stopping() {
            commands.push(Command::AnswerRequest { id: request, why: WhyRefused::Stopping });
            return None;
        }
        let clients = migrations.iter().map(|new| new.client.to_string()).collect();
        refused.extend(core.make_room(now, &clients, &by, commands));
        migrations.retain(|new| !refused.iter().any(|(client, _)| new.client.as_str() == client));
        if migrations.is_empty() {
            let why = WhyRefused::Clients(refused);
            commands.push(Command::AnswerRequest { id: request, why });
            return None;
        }
        // What is called off is journaled before what takes its place.
        self.carry_out(core, work, commands, failed);
        batch.created_ms = now.shown_ms;
        let answer = (request, OrderAnswer::Taken(refused));
        match self.journal.create_batch_for(answer, batch.clone(), migrations.clone()) {
            Ok((id, ids)) => Some(Loaded::of_batch(id, ids, &batch, migrations)),
            Err(error) => {
                failed.get_or_insert(error);
                None
            }
        }
    }

    fn join(
        &mut self,
        core: &mut Core,
        now: Moment,
        taken: Vec<Loaded>,
        commands: &mut Vec<Command>,
    ) {
        if let Some(source) = &mut self.requests {
            source.joined(&taken);
        }
        for slot in core.join(now, taken, commands) {
            self.observer.joined(now.shown_ms, core.view(slot));
        }
    }

    fn carry_out(
        &mut self,
        core: &Core,
        work: &mut Work,
        commands: &mut Vec<Command>,
        failed: &mut Option<JournalError>,
    ) {
        let mut appends = Vec::new();
        if core.is_fenced() {
            commands.retain(|command| matches!(command, Command::Broken { .. }));
        }
        for command in commands.drain(..) {
            match command {
                Command::Append(append) => {
                    appends.push(*append);
                    if appends.len() == limits::APPENDS_AT_ONCE {
                        self.append(std::mem::take(&mut appends), failed);
                    }
                }
                Command::Start { slot, order } => {
                    let now_ms = self.clock.now_ms();
                    self.observer.started(now_ms, core.view(slot), &order.ticket);
                    let ticket = order.ticket.clone();
                    let performer = Arc::clone(&self.performer);
                    let attempt = Box::pin(async move { performer.perform(*order).await });
                    work.attempts.spawn(async move { (slot, ticket, Caught(attempt).await) });
                }
                Command::AnswerRequest { id, why } => self.refuse(id, why),
                Command::Show { slot, from } => {
                    let view = core.view(slot);
                    self.observer.moved(view.since_ms, view, &from);
                    if matches!(view.state(), State::Migrated { .. } | State::RolledBack { .. }) {
                        let spec = Arc::clone(view.spec);
                        work.forgetting.spawn(self.performer.forget(view.id, spec));
                    }
                }
                Command::Broken { slot, error } => {
                    self.observer.broken(core.view(slot), &error);
                    failed.get_or_insert(error);
                }
            }
        }
        self.append(appends, failed);
    }

    /// Hands `appends` to the journal. An error comes back with each
    /// acknowledgement, too, unless the writer is gone.
    fn append(&self, appends: Vec<Append>, failed: &mut Option<JournalError>) {
        if !appends.is_empty()
            && let Err(error) = self.journal.append_all(appends)
        {
            failed.get_or_insert(error);
        }
    }

    /// Waits for the entries that are on their way, and starts nothing.
    async fn settle(&mut self, core: &mut Core, failed: &mut Option<JournalError>) {
        let mut commands = Vec::new();
        let mut work = Work::default();
        while core.is_committing()
            && let Ok(Some(acks)) =
                tokio::time::timeout(Duration::from_secs(30), self.acks.recv()).await
        {
            for ack in acks {
                core.handle(self.clock.moment(), Input::Acked(ack), &mut commands);
            }
            self.carry_out(core, &mut work, &mut commands, failed);
        }
    }
}

/// What operators have asked for.
struct Asked {
    orders: Vec<OperatorRequest>,
    work: Vec<NewWork>,
}

enum Happened {
    Acks(Vec<Ack>),
    Done(Box<Done>),
    Requests(Asked),
    Due,
    JournalGone,
    Stop(OnStop),
}

fn answered(core: &mut Core, now: Moment, done: Done, commands: &mut Vec<Command>) {
    let (slot, ticket, given) = done;
    let answer = given.unwrap_or_else(|panic| panicked(now.shown_ms, core.view(slot), &panic));
    let input = Input::Answered { slot, ticket, answer: Box::new(answer) };
    core.handle(now, input, commands);
}

/// The answer of an attempt that panicked: its migration stands still until a
/// person has looked, and the others go on.
fn panicked(now_ms: u64, view: SlotView<'_>, panic: &str) -> Answer {
    tracing::error!(client = %view.client, panic, "an attempt panicked");
    let cause = Cause::new(FailureClass::NeedsOperator, format!("a fault in nimshift, {panic}"))
        .with_hint("report it, with the attempt from its history; what it started may still run");
    Answer {
        outcome: Outcome::Failed { cause, trace: Residue::Left },
        facts: None,
        record: AttemptRecord {
            host: view.client.to_owned(),
            started_ms: now_ms,
            ended_ms: now_ms,
            way: Way::Ran,
            before: None,
            after: None,
            commands: Vec::new(),
            looks: Vec::new(),
            evidence: Vec::new(),
        },
    }
}
