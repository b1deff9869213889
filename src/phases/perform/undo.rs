//! A step taken back.

use crate::domain::{Cause, FailureClass, Lease, Outcome, Presence, Residue, Way};
use crate::transport::{JobId, JobState, Output, Script};

use super::takeover;
use super::{Attempt, JobEnd, failed, of_transport, permanent, transient};
use crate::phases::whose;

impl Attempt<'_> {
    pub(super) async fn undo(&mut self) -> Outcome {
        let outcome = self.take_back().await;
        if outcome == Outcome::Done && self.with_context(|ctx| whose::makes_copy(ctx, self.def)) {
            let forgotten = whose::forgotten(self.order.ticket.round);
            self.facts.get_or_insert_default().copy = Some(forgotten);
        }
        outcome
    }

    async fn take_back(&mut self) -> Outcome {
        if let Some(forward) = &self.order.undo_of
            && let Err(cause) = self.silence(forward).await
        {
            return failed(cause, Residue::Left);
        }
        let Some(undo_run) = self.def.undo_run else { return Outcome::Done };
        let own = self.job(&self.order.ticket);
        let running = match self.own_state(&own).await {
            Ok(JobState::Running { .. }) => Some(own.clone()),
            Ok(JobState::Done(output)) => {
                self.way = Way::Taken;
                return self.after_undo(&Script::default(), Some(output)).await;
            }
            Ok(JobState::NotBegun) => {
                return self.after_undo(&Script::default(), Some(Output::default())).await;
            }
            Ok(JobState::Lost) => return self.after_undo(&Script::default(), None).await,
            Ok(JobState::Rebooted) if self.order.issued => {
                return self.after_undo(&Script::default(), None).await;
            }
            Ok(JobState::Absent | JobState::Rebooted) => {
                match self.running_earlier(&self.order.ticket).await {
                    Ok(running) => running,
                    Err(error) => return failed(of_transport(&error), Residue::Left),
                }
            }
            Err(cause) => return failed(cause, Residue::Left),
        };
        if let Some(id) = running {
            self.way = Way::Attached;
            return match self.wait(&id, &self.limits()).await {
                JobEnd::Through(output) => self.after_undo(&Script::default(), output).await,
                JobEnd::Wrong(outcome) => outcome,
            };
        }
        let (finding, answers) = match self.probe().await {
            Ok(seen) => seen,
            Err(error) => return failed(of_transport(&error), Residue::Left),
        };
        self.before = Some(finding.presence.clone());
        self.facts.clone_from(&finding.facts);
        match (finding.blocked_by, finding.presence) {
            (Some(cause), _) => return failed(cause, Residue::Left),
            (None, Presence::Absent) => {
                return self.nothing_to_undo(&own, finding.takes_over_from.as_ref()).await;
            }
            (None, Presence::Unknown(why)) => return failed(transient(why), Residue::Left),
            (None, Presence::Partial | Presence::Present) => {}
        }
        if let Some(outcome) = self.happened_before().await {
            return outcome;
        }
        if let Some(outcome) = self.not_ours().await {
            return outcome;
        }
        let script = self.guarded(self.with_context(|ctx| undo_run(ctx, &answers)));
        if script.is_empty() {
            return failed(permanent(format!("no way to undo: {}", self.def.about)), Residue::Left);
        }
        match self.carry_out(&own, &script).await {
            JobEnd::Through(output) => self.after_undo(&script, output).await,
            JobEnd::Wrong(outcome) => outcome,
        }
    }

    /// There is nothing to be undone, and what an engine that died has asked for
    /// is not to come when there is something again.
    async fn nothing_to_undo(&mut self, own: &JobId, over: Option<&Lease>) -> Outcome {
        if !self.order.issued {
            return self.let_go(over).await;
        }
        match self.jobs.settled_state(self.host(), own).await {
            Ok(JobState::Running { .. }) => {
                self.way = Way::Attached;
                match self.wait(own, &self.limits()).await {
                    JobEnd::Through(output) => self.after_undo(&Script::default(), output).await,
                    JobEnd::Wrong(outcome) => outcome,
                }
            }
            Ok(_) => self.let_go(over).await,
            Err(error) => failed(of_transport(&error), Residue::Left),
        }
    }

    async fn after_undo(&mut self, script: &Script, output: Option<Output>) -> Outcome {
        self.write_down(script, output.as_ref());
        if let Some(outcome) = self.turned_away(output.as_ref()).await {
            return outcome;
        }
        if let Some(cause) = self.ended_before(script, output.as_ref()) {
            return failed(Cause { class: FailureClass::Transient, ..cause }, Residue::Left);
        }
        let finding = match self.settle(&Presence::Absent).await {
            Ok(finding) => finding,
            Err(outcome) => return outcome,
        };
        self.after = Some(finding.presence.clone());
        self.facts.clone_from(&finding.facts);
        match (finding.blocked_by, &finding.presence) {
            (Some(cause), _) => failed(cause, Residue::Left),
            (None, Presence::Absent) => self.let_go(finding.takes_over_from.as_ref()).await,
            (None, presence) => {
                if let Some(cause) = self.only_once() {
                    return failed(cause, Residue::Left);
                }
                let words = self.words(script, output.as_ref());
                let why = match (words, presence) {
                    (Some(cause), _) => Cause { class: FailureClass::Transient, ..cause },
                    (None, Presence::Unknown(why)) => transient(why.clone()),
                    (None, _) => transient(format!("is still there: {}", self.def.about)),
                };
                failed(why, Residue::Left)
            }
        }
    }

    /// The step is undone; the lease of another, if it still stands, is whole.
    async fn let_go(&self, holder: Option<&Lease>) -> Outcome {
        let Some(holder) = holder else { return Outcome::Done };
        match takeover::lift(&self.jobs, &self.hosts, holder, &self.owner).await {
            Ok(()) => Outcome::Done,
            Err(error) => failed(of_transport(&error), Residue::Left),
        }
    }
}
