//! A step forward: a job that is there is attached to, and only what is missing
//! is begun.

use crate::domain::{Lease, Outcome, Presence, Repeat, Residue, TaskKind, Way};
use crate::transport::{JobId, JobState, Output, Script};

use super::takeover;
use super::{Attempt, JobEnd, Run, failed, of_transport, permanent, transient};
use crate::phases::lease;
use crate::phases::step::Answers;

impl Attempt<'_> {
    pub(super) async fn forward(&mut self, run: Run) -> Outcome {
        let own = self.job(&self.order.ticket);
        let state = match self.own_state(&own).await {
            Ok(state) => state,
            Err(cause) => return failed(cause, self.unheard()),
        };
        match state {
            JobState::Done(output) => {
                self.way = Way::Taken;
                self.after_run(run, Some(output), None).await
            }
            JobState::Running { .. } => self.attach(run, &own).await,
            JobState::Lost => self.after_run(run, None, None).await,
            JobState::NotBegun => self.after_run(run, Some(Output::default()), None).await,
            // The boot may have taken the job's traces and left its effect.
            JobState::Rebooted if self.order.issued => self.after_run(run, None, None).await,
            JobState::Absent | JobState::Rebooted => {
                match self.running_earlier(&self.order.ticket).await {
                    Ok(Some(earlier)) => self.attach(run, &earlier).await,
                    Ok(None) => self.begin(run, &own).await,
                    Err(error) => failed(of_transport(&error), self.unheard()),
                }
            }
        }
    }

    /// What an attempt may have left on a host that cannot be asked.
    fn unheard(&self) -> Residue {
        if self.may_run() { Residue::Left } else { Residue::Clean }
    }

    async fn attach(&mut self, run: Run, id: &JobId) -> Outcome {
        self.way = Way::Attached;
        match self.wait(id, &self.limits()).await {
            JobEnd::Through(output) => self.after_run(run, output, None).await,
            JobEnd::Wrong(outcome) => outcome,
        }
    }

    /// Looks, and starts what is missing.
    async fn begin(&mut self, run: Run, own: &JobId) -> Outcome {
        let (finding, answers) = match self.probe().await {
            Ok(seen) => seen,
            Err(error) => return failed(of_transport(&error), Residue::Clean),
        };
        self.before = Some(finding.presence.clone());
        let starts = finding.blocked_by.is_none()
            && match finding.presence {
                Presence::Absent => true,
                Presence::Partial => self.def.repeat_in(&self.order.spec) == Repeat::Safe,
                Presence::Present | Presence::Unknown(_) => false,
            };
        if !starts && self.order.issued {
            match self.jobs.settled_state(self.host(), own).await {
                // What was seen may be its doing.
                Ok(JobState::Running { .. }) => return self.attach(run, own).await,
                Ok(JobState::Done(output)) => {
                    self.way = Way::Taken;
                    return self.after_run(run, Some(output), None).await;
                }
                Ok(JobState::Lost) => return self.after_run(run, None, None).await,
                Ok(JobState::NotBegun | JobState::Absent | JobState::Rebooted) => {}
                Err(error) => return failed(of_transport(&error), Residue::Left),
            }
        }
        self.job_ended = None;
        let gone = self.gone(&finding);
        if let Some(cause) = finding.blocked_by {
            return failed(cause, gone.unwrap_or(Residue::Clean));
        }
        // A copy that no job of ours has begun is somebody else's.
        let is_there = matches!(finding.presence, Presence::Present | Presence::Partial)
            || self.order.spec.keeps_failed_copy();
        if is_there && let Some(outcome) = self.not_begun().await {
            return outcome;
        }
        match finding.presence {
            Presence::Present => {
                self.facts = finding.facts;
                return Outcome::Done;
            }
            Presence::Absent => {}
            Presence::Partial if starts => {}
            Presence::Partial => {
                return failed(
                    transient(format!("found half done: {}", self.def.about)),
                    Residue::Left,
                );
            }
            // Acting on hosts that cannot be read would be guessing.
            Presence::Unknown(why) => {
                return failed(transient(why), gone.unwrap_or(Residue::Left));
            }
        }
        if let Some(holder) = &finding.takes_over_from
            && let Some(outcome) = self.stands_in_the_way(holder).await
        {
            return outcome;
        }
        if let Some(outcome) = self.happened_before().await {
            return outcome;
        }
        let script = self.guarded(self.with_context(|ctx| run(ctx, &answers)));
        if script.is_empty() {
            return failed(permanent(format!("no way to {}", self.def.about)), Residue::Clean);
        }
        match self.carry_out(own, &script).await {
            JobEnd::Through(output) => self.after_run(run, output, Some(&script)).await,
            JobEnd::Wrong(outcome) => outcome,
        }
    }

    /// Why the lease of `holder` is not taken over.
    async fn stands_in_the_way(&mut self, holder: &Lease) -> Option<Outcome> {
        // Only what cleans up ends the jobs of others, and only by force.
        let ends = self.order.spec.task.kind() == TaskKind::Cleanup;
        match takeover::clear(&self.jobs, &self.hosts, holder, &self.owner, ends).await {
            takeover::Way::Clear => {
                let (who, client, master) = (&holder.owner, &self.hosts.client, &self.hosts.master);
                if holder.job_prefix().is_some() {
                    self.notes.push(format!(
                        "{who} is barred: its journal begins nothing more on {client}, and that \
                         migration nothing on {master}"
                    ));
                }
                None
            }
            takeover::Way::Job(job, host) => {
                let why = format!("its job {job} on {host} has not ended");
                let finding = self.with_context(|ctx| lease::refused(ctx, holder, Some(why)));
                finding.blocked_by.map(|cause| failed(cause, Residue::Clean))
            }
            takeover::Way::Unknown(error) => Some(failed(of_transport(&error), Residue::Left)),
        }
    }

    /// After a job: its words, then its effect. `output` is none where the job
    /// was lost; `script` is none where another process started it.
    async fn after_run(
        &mut self,
        run: Run,
        output: Option<Output>,
        script: Option<&Script>,
    ) -> Outcome {
        let guessed;
        let script = if let Some(script) = script {
            script
        } else {
            guessed = self.guarded(self.with_context(|ctx| run(ctx, &Answers::default())));
            &guessed
        };
        self.write_down(script, output.as_ref());
        if let Some(outcome) = self.turned_away(output.as_ref()).await {
            self.job_ended = None;
            return outcome;
        }
        if let Some(cause) = self.ended_before(script, output.as_ref()) {
            let bar = self.probe().await.ok().and_then(|(finding, _)| finding.blocked_by);
            return failed(bar.unwrap_or(cause), Residue::Left);
        }
        self.job_ended = Some(true);
        let finding = match self.settle(&Presence::Present).await {
            Ok(finding) => finding,
            Err(outcome) => return outcome,
        };
        self.after = Some(finding.presence.clone());
        let words = self.words(script, output.as_ref());
        if finding.presence == Presence::Present && finding.blocked_by.is_none() {
            return match words {
                Some(cause)
                    if output.is_some() && self.overrules(&cause, script, output.as_ref()) =>
                {
                    failed(cause, Residue::Left)
                }
                _ => {
                    self.facts = finding.facts;
                    Outcome::Done
                }
            };
        }
        let trace = match finding.presence {
            Presence::Absent => Residue::Clean,
            _ => Residue::Left,
        };
        if let Some(cause) = self.only_once() {
            return failed(finding.blocked_by.unwrap_or(cause), Residue::Left);
        }
        if output.is_none() {
            let text = format!("the job was lost on {}: {}", self.host(), self.def.about);
            return failed(finding.blocked_by.unwrap_or_else(|| transient(text)), trace);
        }
        let cause = words.or(finding.blocked_by).unwrap_or_else(|| match &finding.presence {
            Presence::Unknown(why) => transient(why.clone()),
            // It was ended before, or its shell could not go on.
            _ if output.as_ref().is_some_and(|output| output.commands.is_empty()) => transient(
                format!("the job ended on {} before it began: {}", self.host(), self.def.about),
            ),
            _ => permanent(format!(
                "the commands exited 0, but the check afterwards found no effect: {}",
                self.def.about
            )),
        });
        failed(cause, trace)
    }
}
