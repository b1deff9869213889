//! One attempt at a step, carried out. A first run and a recovery after a crash
//! go the same way: ask for the job of the ticket, then look, then act.
//!
//! Nothing is started while it is unknown whether an earlier start still runs,
//! and nothing is started on hosts that could not be read.

use std::time::Duration;

use crate::base::limits::{OUTPUT_BYTES_MAX, SILENCE_MIN};
use crate::base::{ClockRef, Millis};
use crate::domain::{
    Answer, AttemptRecord, Cause, CommandRecord, Direction, Facts, FailureClass, Outcome, Phase,
    Presence, Repeat, Residue, Ticket, Way,
};
use crate::transport::{HostId, JobId, JobState, Output, Script, Transport, TransportError};

use self::job::{Ended, Jobs, Limits, Refused, Silence};
use crate::phases::native::parts::is_assumed;
use crate::phases::order::{Carrier, EvidenceSink, Order, hosts};
use crate::phases::registry::{begins_phase, find};
use crate::phases::step::{Answers, Context, Finding, HostNames, Probe, Settle, StepDef};
use crate::phases::{alone, nimadm};

mod evidence;
mod forward;
mod guard;
#[cfg(test)]
mod host;
mod job;
mod ledger;
mod namesake;
pub(super) mod outcome;
#[cfg(test)]
mod patience_tests;
mod silence;
mod takeover;
#[cfg(test)]
mod tests;
mod undo;

/// Carries `order` out, for `by`.
pub async fn perform(
    transport: &dyn Transport,
    clock: &ClockRef,
    evidence: &dyn EvidenceSink,
    by: &Carrier,
    order: &Order,
) -> Answer {
    let hosts = hosts(&order.spec);
    let started_ms = clock.now_ms();
    let Some(def) = find(order.ticket.phase, &order.ticket.step) else {
        return unknown_step(order, hosts.client.as_str(), started_ms);
    };
    let mut attempt = Attempt {
        jobs: Jobs { transport, clock, interrupt: order.interrupt.as_ref() },
        by,
        order,
        def,
        owner: by.owner(order),
        hosts,
        way: Way::Found,
        before: None,
        after: None,
        commands: Vec::new(),
        looks: Vec::new(),
        facts: None,
        left: None,
        passes: false,
        notes: Vec::new(),
        stands: true,
        job_ended: order.issued.then_some(false),
    };
    let outcome = match (order.ticket.direction, def.run) {
        _ if is_assumed(def, &order.spec, &order.ticket) => {
            attempt.way = Way::Assumed;
            Outcome::Done
        }
        (Direction::Undo, _) => attempt.undo().await,
        (Direction::Forward, None) => attempt.look().await,
        (Direction::Forward, Some(run)) => attempt.forward(run).await,
    };
    let outcome = attempt.explained(outcome).await;
    attempt.tell_left(&outcome).await;
    let kept = match &outcome {
        Outcome::Failed { cause, .. } if evidence::is_wanted(def, order, cause) => {
            evidence::take(transport, evidence, &attempt.hosts, order).await
        }
        _ => Vec::new(),
    };
    attempt.answer(outcome, started_ms, kept)
}

fn unknown_step(order: &Order, host: &str, now: Millis) -> Answer {
    let text = format!("this program has no step {}", order.ticket.step);
    let cause = Cause::new(FailureClass::NeedsOperator, text)
        .with_hint("finish the migration with the version that started it");
    Answer {
        outcome: Outcome::Failed { cause, trace: Residue::Left },
        facts: None,
        record: AttemptRecord {
            host: host.to_owned(),
            started_ms: now,
            ended_ms: now,
            way: Way::Looked,
            before: None,
            after: None,
            commands: Vec::new(),
            looks: Vec::new(),
            evidence: Vec::new(),
        },
    }
}

type Run = fn(&Context<'_>, &Answers) -> Script;

struct Attempt<'a> {
    jobs: Jobs<'a>,
    by: &'a Carrier,
    order: &'a Order,
    def: &'static StepDef,
    owner: String,
    hosts: HostNames,
    way: Way,
    before: Option<Presence>,
    after: Option<Presence>,
    commands: Vec<CommandRecord>,
    looks: Vec<CommandRecord>,
    facts: Option<Facts>,
    /// What is known where it failed.
    left: Option<Facts>,
    /// Whether the last look failed for a reason that may pass.
    passes: bool,
    /// What was done beside its commands, for people.
    notes: Vec<String>,
    /// Whether there is a copy that a script asks for before it changes anything.
    stands: bool,
    /// Whether the job has ended that this attempt has begun, or may have found; none
    /// where nothing was begun.
    job_ended: Option<bool>,
}

/// What has become of a job: its output, or the outcome of the attempt.
enum JobEnd {
    Through(Option<Output>),
    Wrong(Outcome),
}

impl Attempt<'_> {
    fn host(&self) -> &HostId {
        self.hosts.of(self.def.host)
    }

    /// The job of `ticket`.
    fn job(&self, ticket: &Ticket) -> JobId {
        JobId::new(ticket.job_id(&self.by.scope, self.order.migration))
    }

    /// Runs `act` with what a step is given.
    fn with_context<T>(&self, act: impl FnOnce(&Context<'_>) -> T) -> T {
        act(&Context {
            spec: &self.order.spec,
            facts: &self.order.facts,
            ticket: &self.order.ticket,
            owner: &self.owner,
            control: &self.by.control,
            now_ms: self.jobs.clock.now_ms(),
        })
    }

    fn words(&self, script: &Script, output: Option<&Output>) -> Option<Cause> {
        outcome::words(&self.order.spec.messages, self.def, script, output)
    }

    fn overrules(&self, cause: &Cause, script: &Script, output: Option<&Output>) -> bool {
        outcome::overrules(&self.order.spec.messages, cause, script, output)
    }

    fn is_passing(&self, answers: &Answers) -> bool {
        outcome::is_passing(&self.order.spec.messages, answers)
    }

    /// A step that only looks.
    async fn look(&mut self) -> Outcome {
        self.way = Way::Looked;
        match self.probe().await {
            Err(error) => failed(of_transport(&error), Residue::Clean),
            Ok((finding, _)) => match (self.gone(&finding), finding.blocked_by, finding.presence) {
                (gone, Some(cause), _) => failed(cause, gone.unwrap_or(Residue::Clean)),
                (_, None, Presence::Present) => Outcome::Done,
                (gone, None, Presence::Unknown(why)) => {
                    let cause = if self.passes { transient(why) } else { permanent(why) };
                    failed(cause, gone.unwrap_or(Residue::Clean))
                }
                (_, None, Presence::Absent | Presence::Partial) => {
                    failed(permanent(format!("cannot {}", self.def.about)), Residue::Clean)
                }
            },
        }
    }

    /// What the step stands on and is gone, by a look before it has begun. Where
    /// one that may be repeated cannot read the copy, that may be no more than a
    /// mount that has gone bad.
    fn gone(&self, finding: &Finding) -> Option<Residue> {
        let is_unread =
            finding.blocked_by.is_none() && matches!(finding.presence, Presence::Unknown(_));
        let in_copy = (Phase::PreScript..=Phase::BootImage).contains(&self.def.phase)
            && self.def.repeat_in(&self.order.spec) == Repeat::Safe;
        finding.gone.or((is_unread && in_copy).then_some(Residue::Unmounted))
    }

    /// Whether a job that this attempt asks for may run already: one that an engine
    /// which is gone has begun, or that of the step which is taken back.
    fn may_run(&self) -> bool {
        self.order.issued || self.order.undo_of.is_some()
    }

    /// The limits of what the attempt may have running, from its beginning on.
    fn limits(&self) -> Limits {
        let begun_ms = self.may_run().then_some(self.order.since_ms);
        self.limits_from(begun_ms)
    }

    fn limits_from(&self, begun_ms: Option<Millis>) -> Limits {
        // For a boot that the step asks for the plan has a limit of its own.
        let boots = Duration::from_millis(self.order.spec.reboot_timeout_ms);
        let undoes = self.order.ticket.direction == Direction::Undo && !self.order.issued;
        let is_boot = self.def.settle == Settle::ByBoot;
        let silence = if is_boot || undoes { boots } else { SILENCE_MIN };
        self.jobs.limits(begun_ms, self.def.timeout, self.def.stall, silence)
    }

    /// How long a host may be silent before anything is begun. Where something may
    /// run, as long as that may take: to an engine that goes on from the journal a
    /// silent host is the same as to one that began the job. What is to be undone
    /// is there, and its host may be booting. Else only a step whose effect takes
    /// its time to show waits: its host may be booting by it.
    fn patience(&self) -> Silence {
        let spec = &self.order.spec;
        let silence = match self.order.ticket.direction {
            _ if self.may_run() => return self.jobs.silence(&self.limits()),
            Direction::Undo => Duration::from_millis(spec.reboot_timeout_ms),
            Direction::Forward => self.def.settles_in(spec),
        };
        self.jobs.silence(&self.jobs.limits(None, Duration::ZERO, None, silence))
    }

    /// What the step's host knows of the attempt's own job. After a boot it may be
    /// under way still, or the boot may have taken its traces.
    async fn own_state(&self, own: &JobId) -> Result<JobState, Cause> {
        match self.job_state(own).await {
            Ok(JobState::Rebooted) if self.order.issued => {
                let settled = self.jobs.settled_state(self.host(), own).await;
                settled.map_err(|error| of_transport(&error))
            }
            state => state,
        }
    }

    /// What the step's host knows of the job `id`.
    async fn job_state(&self, id: &JobId) -> Result<JobState, Cause> {
        let mut patience = self.patience();
        loop {
            match self.jobs.state(self.host(), id).await {
                Ok(state) => return Ok(state),
                Err(error) if error.needs_a_person() => return Err(of_transport(&error)),
                Err(error) if patience.is_over(&self.jobs) && self.may_run() => {
                    return Err(self.silent(&error, id));
                }
                Err(error) => {
                    if patience.is_over(&self.jobs) || !self.jobs.pause(patience.next()).await {
                        return Err(of_transport(&error));
                    }
                }
            }
        }
    }

    /// Starts `script` and waits for it.
    async fn carry_out(&mut self, id: &JobId, script: &Script) -> JobEnd {
        self.way = Way::Ran;
        self.commands = ledger::unanswered(script);
        if self.jobs.is_interrupted() {
            return JobEnd::Wrong(failed(interrupted(), Residue::Clean));
        }
        let limits = self.limits_from(None);
        self.job_ended = Some(false);
        match self.start(id, script, &limits).await {
            Ok(JobState::Done(output)) => JobEnd::Through(Some(output)),
            Ok(JobState::Running { .. }) => self.wait(id, &limits).await,
            Ok(JobState::NotBegun) => JobEnd::Through(Some(Output::default())),
            Ok(JobState::Lost | JobState::Absent | JobState::Rebooted) => JobEnd::Through(None),
            Err(Refused { error, may_run: false }) => {
                self.job_ended = None;
                JobEnd::Wrong(failed(self.not_begun_for(&error), Residue::Clean))
            }
            Err(_) if self.jobs.is_interrupted() => {
                JobEnd::Wrong(failed(interrupted(), Residue::Left))
            }
            Err(Refused { error, may_run: true }) => {
                let cause = if error.needs_a_person() {
                    self.beside_job(id, &self.not_begun_for(&error))
                } else {
                    self.silent(&error, id)
                };
                JobEnd::Wrong(failed(cause, Residue::Left))
            }
        }
    }

    async fn wait(&mut self, id: &JobId, limits: &Limits) -> JobEnd {
        self.job_ended = Some(false);
        let signs = nimadm::signs_of_life(self.def, &self.order.spec);
        let ended = self.jobs.wait(self.host(), id, limits, signs.as_ref()).await;
        let cause = match ended {
            Ended::Done(output) => return JobEnd::Through(Some(output)),
            Ended::Lost => return JobEnd::Through(None),
            Ended::Late { why, has_ended: true } => transient(why),
            Ended::Interrupted { has_ended: true } => interrupted(),
            // Whatever came next would run beside it.
            Ended::Late { has_ended: false, .. } | Ended::Interrupted { has_ended: false } => {
                return JobEnd::Wrong(failed(self.may_still_run(id), Residue::Left));
            }
            Ended::Broken(error) => {
                let cause = self.beside_job(id, &of_transport(&error));
                return JobEnd::Wrong(failed(cause, Residue::Left));
            }
            Ended::Silent(error) => {
                return JobEnd::Wrong(failed(self.silent(&error, id), Residue::Left));
            }
        };
        self.job_ended = Some(true);
        let trace = self.trace().await;
        JobEnd::Wrong(failed(cause, trace))
    }

    /// `cause`, where the job goes on all the same: whoever gives the migration up
    /// then is told.
    fn beside_job(&self, id: &JobId, cause: &Cause) -> Cause {
        let text = format!("the job {id} on {} may still run: {}", self.host(), cause.text);
        Cause { hint: cause.hint.clone(), ..Cause::new(cause.class, text) }
    }

    /// The host has not answered for longer than the job may run.
    fn silent(&self, error: &TransportError, id: &JobId) -> Cause {
        let text = format!("{error}, and was waited for");
        let hint = format!("bring {} back, then retry or roll back", self.host());
        self.beside_job(id, &Cause::new(FailureClass::NeedsOperator, text).with_hint(hint))
    }

    fn may_still_run(&self, id: &JobId) -> Cause {
        let text = format!("the job {id} on {} was told to end and may still run", self.host());
        Cause::new(FailureClass::NeedsOperator, text)
            .with_hint("make sure that it has ended, then retry or roll back")
    }

    /// What a failed run left behind, by one more look.
    async fn trace(&mut self) -> Residue {
        match self.probe().await {
            Ok((finding, _)) => {
                let clean = finding.presence == Presence::Absent;
                self.after = Some(finding.presence);
                if clean { Residue::Clean } else { Residue::Left }
            }
            Err(_) => Residue::Left,
        }
    }

    /// The job of an attempt before `ticket`'s that still runs. Those that their
    /// host never heard of can never begin after this, the oldest first: one that
    /// it knows has seen to those before it.
    async fn running_earlier(&self, ticket: &Ticket) -> Result<Option<JobId>, TransportError> {
        let job = |attempt| self.job(&Ticket { attempt, ..ticket.clone() });
        let mut unheard = ticket.attempt;
        while unheard > 1 {
            let id = job(unheard - 1);
            match self.jobs.state(self.host(), &id).await? {
                JobState::Running { .. } => return Ok(Some(id)),
                JobState::Done(_) | JobState::Lost => break,
                JobState::Absent | JobState::Rebooted | JobState::NotBegun => unheard -= 1,
            }
        }
        for attempt in unheard..ticket.attempt {
            let id = job(attempt);
            if let JobState::Running { .. } = self.jobs.settled_state(self.host(), &id).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Looks until `wanted` is seen, or the time is up that the effect may take.
    async fn settle(&mut self, wanted: &Presence) -> Result<Finding, Outcome> {
        let settle = self.def.settles_in(&self.order.spec);
        let mut patience = self.jobs.patience(settle, &self.limits());
        loop {
            // Asked before the look: a machine that slept in between has not
            // looked after the time was up.
            let is_late_for_silence = patience.is_over_for_silence(&self.jobs);
            let is_late = patience.is_over(&self.jobs);
            let seen = self.probe().await;
            let is_over = match &seen {
                // What bars it does not pass by waiting.
                Ok((finding, _)) => {
                    finding.presence == *wanted || finding.blocked_by.is_some() || is_late
                }
                Err(_) => is_late_for_silence,
            };
            match seen {
                Ok((finding, _)) if is_over => return Ok(finding),
                Err(error) if is_over => {
                    return Err(failed(of_transport(&error), Residue::Left));
                }
                _ => {}
            }
            if !self.jobs.pause(patience.next()).await {
                return Err(failed(interrupted(), Residue::Left));
            }
        }
    }

    /// Asks all hosts that `looks` name.
    async fn ask_all(&mut self, looks: &Probe) -> Result<Answers, TransportError> {
        let mut answers = Answers::default();
        for (role, script) in looks {
            let host = self.hosts.of(*role);
            let output = self.jobs.ask(host, script).await?;
            self.looks.extend(ledger::looked(host, script, &output));
            answers.add(*role, script, output);
        }
        Ok(answers)
    }

    /// Looks once, at all hosts that the step looks at.
    async fn probe(&mut self) -> Result<(Finding, Answers), TransportError> {
        let looks = self.with_context(|ctx| self.def.probe(ctx));
        let is_first = begins_phase(self.def, &self.order.spec);
        let looks_beside = self.with_context(|ctx| alone::looks(ctx, self.def, is_first));
        self.looks.clear();
        let answers = self.ask_all(&looks).await?;
        let beside = self.ask_all(&looks_beside).await?;
        let judge = match (self.order.ticket.direction, self.def.judge_undo) {
            (Direction::Undo, Some(judge_undo)) => judge_undo,
            _ => self.def.judge,
        };
        self.passes = self.is_passing(&answers) || self.is_passing(&beside);
        let bar = self.with_context(|ctx| alone::bar(ctx, self.def, is_first, &beside));
        let mut finding = if let Some(bar) = bar {
            bar
        } else if answers.all().any(|command| command.truncated) {
            // A part of a list could be taken for all of it.
            let why = format!("a host says more than {OUTPUT_BYTES_MAX} bytes: see the commands");
            Finding::of(Presence::Unknown(why))
        } else {
            self.with_context(|ctx| judge(ctx, &answers))
        };
        if finding.blocked_by.is_none() {
            let bar =
                self.with_context(|ctx| namesake::bar(ctx, self.def, &answers, &finding.presence));
            finding = bar.unwrap_or(finding);
        }
        if let Some(cause) = &mut finding.blocked_by
            && cause.class == FailureClass::Permanent
            && self.passes
        {
            // What it was judged by may read otherwise when that has passed.
            cause.class = FailureClass::Transient;
        }
        if self.way == Way::Looked {
            self.facts.clone_from(&finding.facts);
        }
        Ok((finding, answers))
    }

    fn write_down(&mut self, script: &Script, output: Option<&Output>) {
        if let Some(output) = output {
            self.commands = ledger::answered(script, output);
        }
    }

    fn answer(self, outcome: Outcome, started_ms: Millis, evidence: Vec<String>) -> Answer {
        let done = outcome == Outcome::Done;
        let facts = if done { self.facts } else { self.left };
        let notes = self.notes.iter().map(|text| ledger::note(text)).collect::<Vec<_>>();
        let looks = if done && self.way != Way::Looked { Vec::new() } else { self.looks };
        Answer {
            facts,
            record: AttemptRecord {
                host: self.hosts.of(self.def.host).to_string(),
                started_ms,
                ended_ms: self.jobs.clock.now_ms(),
                way: self.way,
                before: self.before,
                after: self.after,
                commands: self.commands.into_iter().chain(notes).collect(),
                looks,
                evidence,
            },
            outcome,
        }
    }
}

fn failed(cause: Cause, trace: Residue) -> Outcome {
    Outcome::Failed { cause, trace }
}

fn transient(text: impl Into<String>) -> Cause {
    Cause::new(FailureClass::Transient, text)
}

/// What cannot pass by itself is kept for a person: a rollback needs the host too.
pub(super) fn of_transport(error: &TransportError) -> Cause {
    if !error.needs_a_person() {
        return transient(error.to_string());
    }
    let cause = Cause::new(FailureClass::NeedsOperator, error.to_string());
    match error.way_out() {
        Some(way_out) => cause.with_hint(way_out),
        None => cause,
    }
}

fn permanent(text: impl Into<String>) -> Cause {
    Cause::new(FailureClass::Permanent, text)
}

fn interrupted() -> Cause {
    permanent("interrupted by the operator".to_owned())
}
