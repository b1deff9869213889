//! Calls to hosts with patience: jobs are started, waited for and ended, each
//! within limits on the clock that the estate runs by.

use std::time::Duration;

use tokio::sync::watch;

use crate::base::limits::{JOB_POLL_MAX, PROBE_TIMEOUT};
use crate::base::{ClockRef, Millis, duration_text};
use crate::transport::{HostId, JobId, JobState, Output, Script, Transport, TransportError};

/// The first pause between two looks at a job.
const POLL_FIRST: Duration = Duration::from_secs(1);

/// How often a start is asked for that gets no answer.
const START_TRIES: u32 = 6;

/// How often a job is told to end, and looked at.
const KILL_TRIES: u32 = 12;

/// How long a host may be silent between a job's end and the look at its effect.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// How a wait ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The job gave this.
    Done(Output),
    /// The job is gone without a result.
    Lost,
    /// The host cannot be asked until a person has seen to it. The job may run.
    Broken(TransportError),
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
pub(super) struct Refused {
    /// The last error.
    pub(super) error: TransportError,
    /// Whether one of the requests may have arrived.
    pub(super) may_run: bool,
}

/// Growing pauses up to a limit.
pub(super) struct Patience {
    end_ms: Millis,
    silence_end_ms: Millis,
    pause: Duration,
}

impl Patience {
    pub(super) fn is_over(&self, clock: &ClockRef) -> bool {
        clock.now_ms() >= self.end_ms
    }

    /// As [`Patience::is_over`], for a host that does not answer.
    pub(super) fn is_over_for_silence(&self, clock: &ClockRef) -> bool {
        clock.now_ms() >= self.end_ms.max(self.silence_end_ms)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (self.pause * 2).min(JOB_POLL_MAX);
        pause
    }
}

/// Calls to hosts.
#[derive(Clone, Copy)]
pub(super) struct Jobs<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) clock: &'a ClockRef,
    pub(super) interrupt: Option<&'a watch::Receiver<bool>>,
}

impl Jobs<'_> {
    pub(super) fn patience(&self, limit: Duration) -> Patience {
        let now = self.clock.now_ms();
        Patience {
            end_ms: now.saturating_add(millis(limit)),
            silence_end_ms: now.saturating_add(millis(SILENCE_MAX)),
            pause: POLL_FIRST,
        }
    }

    /// What `host` knows of the job `id` right now.
    pub(super) async fn state(
        &self,
        host: &HostId,
        id: &JobId,
    ) -> Result<JobState, TransportError> {
        self.transport.poll(host, id, u64::MAX, Duration::ZERO).await
    }

    /// Asks with `script`, which changes nothing.
    pub(super) async fn ask(
        &self,
        host: &HostId,
        script: &Script,
    ) -> Result<Output, TransportError> {
        self.transport.exec(host, script, PROBE_TIMEOUT).await
    }

    /// The same, for a job that may have been asked for by somebody who is gone: a
    /// start that has not arrived yet is kept from ever beginning.
    pub(super) async fn settled_state(
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

    /// Starts the job. A lost reply is answered by asking again: the id starts
    /// at most once, unless the host has been booted and knows nothing of it any
    /// more.
    pub(super) async fn start(
        &self,
        host: &HostId,
        id: &JobId,
        script: &Script,
    ) -> Result<JobState, Refused> {
        let mut may_run = false;
        let mut patience = self.patience(Duration::ZERO);
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
            let hopeless = error.needs_a_person();
            if hopeless || !may_run || tried >= START_TRIES || !self.pause(patience.next()).await {
                return Err(Refused { error, may_run });
            }
        }
        unreachable!("the tries are counted")
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

    /// Waits for the job. A host that does not answer is waited for as well:
    /// the job goes on without us. Where it says nothing, `signs` are asked for
    /// before it counts as stalled: what they give must have changed.
    pub(super) async fn wait(
        &self,
        host: &HostId,
        id: &JobId,
        timeout: Duration,
        stall: Option<Duration>,
        signs: Option<&Script>,
    ) -> Ended {
        let begun = self.clock.now_ms();
        let end = begun.saturating_add(millis(timeout));
        let mut said_ms = begun;
        let mut seen = 0;
        let mut patience = self.patience(timeout);
        let mut seen_signs = self.signs(host, signs.filter(|_| stall.is_some())).await;
        loop {
            let mut now = self.clock.now_ms();
            let mut stalled = stall.map(|stall| said_ms.saturating_add(millis(stall)));
            if now < end && stalled.is_some_and(|stalled| now >= stalled) {
                let new_signs = self.signs(host, signs).await;
                now = self.clock.now_ms();
                if new_signs.is_some() && new_signs != seen_signs {
                    said_ms = now;
                    stalled = stall.map(|stall| said_ms.saturating_add(millis(stall)));
                    seen_signs = new_signs;
                }
            }
            if now >= end || stalled.is_some_and(|stalled| now >= stalled) {
                let why = if now >= end {
                    format!("the job did not end within {}", duration_text(millis(timeout)))
                } else {
                    format!(
                        "the job said nothing for {}",
                        duration_text(now.saturating_sub(said_ms))
                    )
                };
                return match self.end_with_result(host, id).await {
                    Some(JobState::Done(output))
                        if output.commands.iter().all(|c| c.status == 0)
                            && !output.commands.is_empty() =>
                    {
                        Ended::Done(output)
                    }
                    state => Ended::Late { why, has_ended: state.is_some() },
                };
            }
            let due = stalled.map_or(end, |stalled| stalled.min(end));
            let pause = patience.next().min(Duration::from_millis(due - now));
            let polled = tokio::select! {
                biased;
                () = self.interrupted() => None,
                polled = self.transport.poll(host, id, seen, pause) => Some(polled),
            };
            let gave_way = match polled {
                None => {
                    let has_ended = self.end(host, id).await;
                    return Ended::Interrupted { has_ended };
                }
                Some(Ok(JobState::Done(output))) => return Ended::Done(output),
                Some(Ok(JobState::NotBegun)) => return Ended::Done(Output::default()),
                Some(Ok(JobState::Lost | JobState::Absent | JobState::Rebooted)) => {
                    return Ended::Lost;
                }
                Some(Err(error)) if error.needs_a_person() => return Ended::Broken(error),
                Some(Ok(JobState::Running { output_bytes })) if output_bytes != seen => {
                    seen = output_bytes;
                    said_ms = self.clock.now_ms();
                    true
                }
                // A transport that answered early, or not at all, must not be
                // asked in a circle.
                Some(Ok(JobState::Running { .. }) | Err(_)) => self.clock.now_ms() > now,
            };
            if !gave_way && !self.pause(pause.max(Duration::from_millis(1))).await {
                let has_ended = self.end(host, id).await;
                return Ended::Interrupted { has_ended };
            }
        }
    }

    /// What shows that a job goes on that says nothing.
    async fn signs(&self, host: &HostId, signs: Option<&Script>) -> Option<Output> {
        self.ask(host, signs?).await.ok()
    }

    /// Ends the job. Returns whether it has ended.
    pub(super) async fn end(&self, host: &HostId, id: &JobId) -> bool {
        self.end_with_result(host, id).await.is_some()
    }

    async fn end_with_result(&self, host: &HostId, id: &JobId) -> Option<JobState> {
        let mut patience = self.patience(Duration::ZERO);
        for _ in 0..KILL_TRIES {
            match self.transport.kill(host, id).await {
                Ok(JobState::Running { .. }) | Err(_) => {}
                Ok(state) => return Some(state),
            }
            self.clock.sleep(patience.next()).await;
        }
        None
    }

    /// Sleeps. False when the attempt was given up meanwhile.
    pub(super) async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.interrupted() => false,
            () = self.clock.sleep(pause) => true,
        }
    }

    /// Whether the attempt is to be given up.
    pub(super) fn is_interrupted(&self) -> bool {
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
