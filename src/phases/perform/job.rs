//! Calls to hosts with patience: jobs are started, waited for and ended, each
//! within limits on the clock that the estate runs by.
//!
//! A limit is judged by an answer to a look that was begun after it had passed:
//! whatever this machine slept through, it looks before it ends anything. Where a
//! host does not answer, nothing is judged: its jobs go on without us.

use std::time::Duration;

use tokio::sync::watch;

use crate::base::limits::{JOB_POLL_MAX, LOOKED_AT_MAX, PROBE_TIMEOUT};
use crate::base::{ClockRef, Millis, duration_text};
use crate::transport::{HostId, JobId, JobState, Output, Script, Transport, TransportError};

/// The first pause between two looks at a job.
const POLL_FIRST: Duration = Duration::from_secs(1);

/// How often a start is asked for that a host answers with an error.
const START_TRIES: u32 = 6;

/// How often a job is told to end, and looked at.
const KILL_TRIES: u32 = 12;

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The job gave this.
    Done(Output),
    /// The job is gone without a result.
    Lost,
    /// The host cannot be asked until a person has seen to it. The job may run.
    Broken(TransportError),
    /// The host has been silent for longer than the job may run. It may run on.
    Silent(TransportError),
    /// A limit has passed, and the job was told to end.
    Late {
        /// Which limit.
        why: String,
        /// Whether the job has ended.
        has_ended: bool,
    },
    /// The attempt was given up, and the job was told to end.
    Interrupted {
        /// Whether the job has ended.
        has_ended: bool,
    },
}

/// A start that got no answer.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The last error.
    pub(crate) error: TransportError,
    /// Whether one of the requests may have arrived.
    pub(crate) may_run: bool,
}

/// How long a job may run, and a host be silent that may run it. They are counted
/// from the job's own beginning, however many engines have looked at it.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// How long it had run, at most, when they were made.
    ran: Duration,
    made: Duration,
    timeout: Duration,
    stall: Option<Duration>,
    silence: Duration,
}

impl Limits {
    /// How long the job has run at `now`.
    fn ran(&self, now: Duration) -> Duration {
        self.ran.saturating_add(now.saturating_sub(self.made))
    }

    /// Its host says that it has run for so long at `now`. What was counted from the
    /// clock here may be more, where that was set forward meanwhile; never less.
    fn is_told(&mut self, ran: Duration, now: Duration) {
        (self.ran, self.made) = (ran.min(self.ran(now)), now);
    }

    /// The time until the job has run for as long as it may.
    fn left(&self, now: Duration) -> Duration {
        self.timeout.saturating_sub(self.ran(now))
    }
}

/// Time that was watched: what passes between two looks, but no more than two
/// looks take. A machine that was suspended meanwhile has not listened.
#[derive(Debug)]
struct Watched {
    time: Duration,
    last: Duration,
}

impl Watched {
    fn from(now: Duration) -> Watched {
        Watched { time: Duration::ZERO, last: now }
    }

    fn goes_on(&mut self, now: Duration) {
        self.time += now.saturating_sub(self.last).min(LOOKED_AT_MAX);
        self.last = now;
    }
}

/// Growing pauses up to a limit.
pub(crate) struct Patience {
    limit: Duration,
    watched: Watched,
    silence: Silence,
    pause: Duration,
}

impl Patience {
    pub(crate) fn is_over(&mut self, jobs: &Jobs<'_>) -> bool {
        self.watched.goes_on(jobs.steady());
        self.watched.time >= self.limit
    }

    /// As [`Patience::is_over`], for a host that does not answer.
    pub(crate) fn is_over_for_silence(&mut self, jobs: &Jobs<'_>) -> bool {
        // Both count what has passed.
        let (is_late, is_silent) = (self.is_over(jobs), self.silence.is_over(jobs));
        is_late && is_silent
    }

    pub(crate) fn next(&mut self) -> Duration {
        next_pause(&mut self.pause)
    }
}

/// A host that does not answer, and how long it is waited for.
pub(crate) struct Silence {
    limits: Limits,
    watched: Watched,
    pause: Duration,
}

impl Silence {
    /// After a look that was not answered: whether the host has been waited for
    /// as long as what it may run may take.
    pub(crate) fn is_over(&mut self, jobs: &Jobs<'_>) -> bool {
        let now = jobs.steady();
        self.watched.goes_on(now);
        self.limits.left(now).is_zero() && self.watched.time >= self.limits.silence
    }

    pub(crate) fn next(&mut self) -> Duration {
        next_pause(&mut self.pause)
    }
}

fn next_pause(pause: &mut Duration) -> Duration {
    let next = *pause;
    *pause = (next * 2).min(JOB_POLL_MAX);
    next
}

/// Calls to hosts.
#[derive(Clone, Copy)]
pub(crate) struct Jobs<'a> {
    pub(crate) transport: &'a dyn Transport,
    pub(crate) clock: &'a ClockRef,
    pub(crate) interrupt: Option<&'a watch::Receiver<bool>>,
}

impl Jobs<'_> {
    fn steady(&self) -> Duration {
        self.clock.steady()
    }

    /// The limits of a job that may have begun at `begun_ms`, as the clock shows
    /// it, or begins now. Its host is waited for at least as long as `silence`.
    pub(crate) fn limits(
        &self,
        begun_ms: Option<Millis>,
        timeout: Duration,
        stall: Option<Duration>,
        silence: Duration,
    ) -> Limits {
        let now_ms = self.clock.now_ms();
        let ran_ms = now_ms.saturating_sub(begun_ms.unwrap_or(now_ms));
        let (ran, made) = (Duration::from_millis(ran_ms), self.steady());
        Limits { ran, made, timeout, stall, silence }
    }

    /// Patience for what may take `limit` to show, on hosts that are waited for
    /// as `limits` say.
    pub(crate) fn patience(&self, limit: Duration, limits: &Limits) -> Patience {
        let watched = Watched::from(self.steady());
        Patience { limit, watched, silence: self.silence(limits), pause: POLL_FIRST }
    }

    /// Patience with a host that is silent from now on.
    pub(crate) fn silence(&self, limits: &Limits) -> Silence {
        let watched = Watched::from(self.steady());
        Silence { limits: limits.clone(), watched, pause: POLL_FIRST }
    }

    /// What `host` knows of the job `id` right now.
    pub(crate) async fn state(
        &self,
        host: &HostId,
        id: &JobId,
    ) -> Result<JobState, TransportError> {
        self.transport.poll(host, id, u64::MAX, Duration::ZERO).await
    }

    /// Asks with `script`, which changes nothing.
    pub(crate) async fn ask(
        &self,
        host: &HostId,
        script: &Script,
    ) -> Result<Output, TransportError> {
        self.transport.exec(host, script, PROBE_TIMEOUT).await
    }

    /// The same, for a job that may have been asked for by somebody who is gone: a
    /// start that has not arrived yet is kept from ever beginning.
    pub(crate) async fn settled_state(
        &self,
        host: &HostId,
        id: &JobId,
    ) -> Result<JobState, TransportError> {
        let state = self.state(host, id).await?;
        if !matches!(state, JobState::Absent | JobState::Rebooted) {
            return Ok(state);
        }
        let after = self.transport.kill(host, id).await?;
        // Nothing has begun since, and nothing can.
        let is_settled = matches!(
            (&state, &after),
            (JobState::Absent, JobState::NotBegun) | (JobState::Rebooted, JobState::Lost)
        );
        Ok(if is_settled { state } else { after })
    }

    /// Starts the job. A lost reply is answered by asking again, for as long as
    /// the job may run: the id starts at most once, unless the host has been
    /// booted and knows nothing of it any more.
    pub(crate) async fn start(
        &self,
        host: &HostId,
        id: &JobId,
        script: &Script,
        limits: &Limits,
    ) -> Result<JobState, Refused> {
        let mut may_run = false;
        let mut silence = self.silence(limits);
        for tried in 1.. {
            let state = if may_run {
                self.start_again(host, id, script).await
            } else {
                self.transport.start(host, id, script).await
            };
            let error = match state {
                Ok(state) => return Ok(state),
                Err(error) => error,
            };
            may_run |= error.may_have_arrived();
            let is_answer = !error.is_silence() && !error.may_have_arrived();
            let hopeless = error.needs_a_person() || (is_answer && tried >= START_TRIES);
            let over = hopeless || !may_run || silence.is_over(self);
            if over || !self.pause(silence.next()).await {
                return Err(Refused { error, may_run });
            }
        }
        unreachable!("silence has an end")
    }

    /// After a start whose reply was lost.
    async fn start_again(
        &self,
        host: &HostId,
        id: &JobId,
        script: &Script,
    ) -> Result<JobState, TransportError> {
        match self.state(host, id).await? {
            JobState::Absent => self.transport.start(host, id, script).await,
            // It may have run before the boot, or be still under way.
            JobState::Rebooted => self.transport.kill(host, id).await,
            state => Ok(state),
        }
    }

    /// Waits for the job. Where it says nothing, `signs` are asked for before it
    /// counts as stalled: what they give must have changed.
    pub(crate) async fn wait(
        &self,
        host: &HostId,
        id: &JobId,
        limits: &Limits,
        signs: Option<&Script>,
    ) -> Ended {
        let mut seen = 0;
        let mut pauses = POLL_FIRST;
        let mut limits = limits.clone();
        let mut silence = self.silence(&limits);
        // Since it last said something, as far as looks were answered.
        let mut quiet = Watched::from(self.steady());
        let mut seen_signs = self.signs(host, signs.filter(|_| limits.stall.is_some())).await;
        loop {
            let asked = self.steady();
            let pause = next_pause(&mut pauses);
            let until_stall = limits.stall.map(|stall| stall.saturating_sub(quiet.time));
            let due = until_stall.into_iter().fold(limits.left(asked), Duration::min);
            let polled = tokio::select! {
                biased;
                () = self.interrupted() => None,
                polled = self.transport.poll(host, id, seen, pause.min(due)) => Some(polled),
            };
            let mut gave_way = self.steady() > asked;
            match polled {
                None => return Ended::Interrupted { has_ended: self.end(host, id).await },
                Some(Ok(JobState::Done(output))) => return Ended::Done(output),
                Some(Ok(JobState::NotBegun)) => return Ended::Done(Output::default()),
                Some(Ok(JobState::Lost | JobState::Absent | JobState::Rebooted)) => {
                    return Ended::Lost;
                }
                Some(Ok(JobState::Running { output_bytes, ran })) => {
                    if let Some(ran) = ran {
                        limits.is_told(ran, asked);
                    }
                    silence = self.silence(&limits);
                    quiet.goes_on(asked);
                    if output_bytes != seen {
                        seen = output_bytes;
                        quiet = Watched::from(self.steady());
                        gave_way = true;
                    }
                    if limits.left(asked).is_zero() {
                        let limit = duration_text(millis(limits.timeout));
                        let why = format!("the job did not end within {limit}");
                        return self.too_late(host, id, why).await;
                    }
                    if limits.stall.is_some_and(|stall| quiet.time >= stall) {
                        let new_signs = self.signs(host, signs).await;
                        if new_signs == seen_signs && new_signs.is_some() == signs.is_some() {
                            let quiet = duration_text(millis(quiet.time));
                            let why = format!("the job said nothing for {quiet}");
                            return self.too_late(host, id, why).await;
                        }
                        if new_signs.is_some() {
                            quiet = Watched::from(self.steady());
                            seen_signs = new_signs;
                        }
                    }
                }
                Some(Err(error)) if error.needs_a_person() => return Ended::Broken(error),
                Some(Err(error)) if silence.is_over(self) => return Ended::Silent(error),
                Some(Err(_)) => {}
            }
            // A transport that answered early, or not at all, must not be asked in
            // a circle.
            if !gave_way && !self.pause(pause).await {
                return Ended::Interrupted { has_ended: self.end(host, id).await };
            }
        }
    }

    /// Ends a job that has passed a limit, unless it has ended well meanwhile.
    async fn too_late(&self, host: &HostId, id: &JobId, why: String) -> Ended {
        match self.end_with_result(host, id).await {
            Some(JobState::Done(output))
                if output.commands.iter().all(|c| c.status == 0) && !output.commands.is_empty() =>
            {
                Ended::Done(output)
            }
            state => Ended::Late { why, has_ended: state.is_some() },
        }
    }

    /// What shows that a job goes on that says nothing.
    async fn signs(&self, host: &HostId, signs: Option<&Script>) -> Option<Output> {
        self.ask(host, signs?).await.ok()
    }

    /// Ends the job. Returns whether it has ended.
    pub(crate) async fn end(&self, host: &HostId, id: &JobId) -> bool {
        self.end_with_result(host, id).await.is_some()
    }

    async fn end_with_result(&self, host: &HostId, id: &JobId) -> Option<JobState> {
        let mut pauses = POLL_FIRST;
        for _ in 0..KILL_TRIES {
            match self.transport.kill(host, id).await {
                Ok(JobState::Running { .. }) | Err(_) => {}
                Ok(state) => return Some(state),
            }
            self.clock.sleep(next_pause(&mut pauses)).await;
        }
        None
    }

    /// Sleeps. False when the attempt was given up meanwhile.
    pub(crate) async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.interrupted() => false,
            () = self.clock.sleep(pause) => true,
        }
    }

    /// Whether the attempt is to be given up.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.is_some_and(|interrupt| *interrupt.borrow())
    }

    /// Completes when the attempt is to be given up; never, if nobody can.
    async fn interrupted(&self) {
        if let Some(interrupt) = self.interrupt {
            let mut interrupt = interrupt.clone();
            if interrupt.wait_for(|given_up| *given_up).await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
