//! Scripts that change the client begin with what asks whose it is: nothing fits
//! between the answer and the change. And what happens once is not made to happen
//! again.

use crate::domain::{Cause, Direction, FailureClass, Outcome, Phase, Residue, Ticket, UndoKind};
use crate::transport::{Bar, Command, JobId, JobState, Output, Script, TransportError};

use super::job::{Limits, Refused};
use super::{Attempt, failed, of_transport, transient};
use crate::phases::native::end;
use crate::phases::operations::cleanup_check;
use crate::phases::step::Answers;
use crate::phases::whose::{self, Whose};

impl Attempt<'_> {
    fn guards(&self) -> Vec<Command> {
        self.with_context(|ctx| whose::guards(ctx, self.def, self.stands))
    }

    /// `script` behind its guards; one that has nothing to do has none.
    pub(super) fn guarded(&self, script: Script) -> Script {
        if script.is_empty() {
            return script;
        }
        Script::new(self.guards().into_iter().chain(script.commands))
    }

    /// After a script that a guard has ended: whose the client is, asked anew. None
    /// where no guard has ended it.
    pub(super) async fn turned_away(&mut self, output: Option<&Output>) -> Option<Outcome> {
        let answered = output.map_or(&[][..], |output| &output.commands);
        let last = answered.last().filter(|last| !last.ok())?;
        if answered.len() > self.guards().len() {
            return None;
        }
        let said = last.text();
        // It may have been the question that failed.
        let again = |why: &str| transient(format!("cannot tell whose it is: {why}"));
        match self.whose().await {
            Ok(Whose::Gone(_)) if self.order.ticket.direction == Direction::Undo => None,
            Ok(whose) => Some(match self.told(&whose).await {
                Some(cause) => failed(cause, Residue::Clean),
                None => failed(again(said.trim()), Residue::Clean),
            }),
            Err(why) => Some(failed(again(&why), Residue::Clean)),
        }
    }

    /// Whose client and copy it is.
    async fn whose(&mut self) -> Result<Whose, String> {
        let looks = self.with_context(whose::looks);
        let answers = self.ask_all(&looks).await.map_err(|error| error.to_string())?;
        self.with_context(|ctx| whose::judge(ctx, &answers))
    }

    /// What is told where it is not ours, with what is known of others.
    async fn told(&mut self, whose: &Whose) -> Option<Cause> {
        let cause = self.with_context(|ctx| whose::cause(ctx, whose, ""))?;
        if let Whose::Lost(None) | Whose::Gone(_) | Whose::Others(_) = whose
            && let Some(by) = self.barred_by().await
        {
            let text = format!("{}; {by} has taken the client over", cause.text);
            return Some(self.with_context(|ctx| whose::taken_over(ctx, &by, text)));
        }
        let looks = self.with_context(whose::who_looks);
        let who = match self.ask_all(&looks).await {
            Ok(answers) => self.with_context(|ctx| whose::who(ctx, &answers)),
            Err(_) => String::new(),
        };
        self.with_context(|ctx| whose::cause(ctx, whose, &who))
    }

    /// Who bars the jobs of this migration on the client.
    async fn barred_by(&self) -> Option<String> {
        let bars = self.jobs.transport.bars(&self.hosts.client).await.ok()?;
        let job = self.job(&self.order.ticket);
        bars.into_iter().find(|bar| job.as_str().starts_with(&bar.prefix)).map(|bar| bar.by)
    }

    /// Why a start was answered with `error`.
    pub(super) fn not_begun_for(&self, error: &TransportError) -> Cause {
        match error {
            TransportError::Barred { host, by } => {
                let text = format!(
                    "{host} starts no more jobs of this migration: {by} has taken over its client"
                );
                self.with_context(|ctx| whose::taken_over(ctx, by, text))
            }
            _ => of_transport(error),
        }
    }

    /// Before anything is taken back, and before a copy that is there is taken for
    /// ours: why it is not ours.
    pub(super) async fn not_ours(&mut self) -> Option<Outcome> {
        if !self.with_context(|ctx| whose::is_guarded(ctx, self.def)) {
            if self.with_context(|ctx| whose::makes_copy(ctx, self.def)) {
                self.notes.push("begun without a record of the copy: its disks tell it".to_owned());
            }
            return None;
        }
        let whose = match self.whose().await {
            Ok(whose) => whose,
            Err(why) => return Some(failed(transient(why), Residue::Left)),
        };
        self.stands = matches!(whose, Whose::Ours(true));
        if let Whose::Gone(_) = whose {
            return None;
        }
        self.told(&whose).await.map(|cause| failed(cause, Residue::Left))
    }

    /// For a step that makes the copy, where there is one: it is somebody else's, if
    /// no job of this migration has begun it.
    pub(super) async fn not_begun(&mut self) -> Option<Outcome> {
        let is_guarded = self.with_context(|ctx| {
            whose::makes_copy(ctx, self.def) && whose::is_guarded(ctx, self.def)
        });
        if is_guarded { self.not_ours().await } else { None }
    }

    /// A step between clone and finish that has failed: whether that is because
    /// somebody else has removed or replaced the copy.
    pub(super) async fn explained(&mut self, outcome: Outcome) -> Outcome {
        let Outcome::Failed { cause, .. } = &outcome else { return outcome };
        let ticket = &self.order.ticket;
        // The last step has seen for itself that it is another's.
        let is_last = ticket.step.as_str() == end::CLEAN_CLIENT.name
            && cause.class == FailureClass::NeedsOperator;
        let works_on_copy = (is_last || (Phase::Export..=Phase::Finish).contains(&ticket.phase))
            && ticket.direction == Direction::Forward
            && self.with_context(|ctx| whose::identity(ctx).is_some());
        if !works_on_copy {
            return outcome;
        }
        match self.whose().await {
            // It removes the copy when it cleans up by itself.
            Ok(Whose::Gone(_)) if self.order.spec.task.uses_nimadm() => outcome,
            Ok(whose) => match self.told(&whose).await {
                // Nothing is made again in it.
                Some(cause) => failed(cause, Residue::Left),
                None => outcome,
            },
            Err(_) => outcome,
        }
    }

    /// After a step that makes the copy: what it has left where it failed, by which
    /// another's is told from it, however long a person is waited for. What was known
    /// of an earlier attempt is not true of one that has run since.
    pub(super) async fn tell_left(&mut self, outcome: &Outcome) {
        let ticket = &self.order.ticket;
        let makes = ticket.direction == Direction::Forward
            && self.with_context(|ctx| whose::makes_copy(ctx, self.def));
        let (Some(has_ended), true) = (self.job_ended, makes) else { return };
        let mut copy = None;
        if has_ended && *outcome != Outcome::Done {
            let looks = self.with_context(whose::looks);
            if let Ok(answers) = self.ask_all(&looks).await {
                copy = self.with_context(|ctx| whose::left_by_failed(ctx, &answers)).ok();
            }
        }
        if copy.is_none() && self.order.facts.copy.as_ref().is_some_and(|copy| copy.failed) {
            copy = Some(whose::forgotten(ticket.round.wrapping_sub(1)));
        }
        if copy.is_some() {
            let facts = if *outcome == Outcome::Done { &mut self.facts } else { &mut self.left };
            facts.get_or_insert_default().copy = copy;
        }
    }

    /// Starts the job. What cleans up lifts the bars of others on its own journal.
    pub(super) async fn start(
        &mut self,
        id: &JobId,
        script: &Script,
        limits: &Limits,
    ) -> Result<JobState, Refused> {
        if self.def.name == cleanup_check::LEASE.name
            && let Err(error) = self.lift_bars().await
        {
            return Err(Refused { error, may_run: false });
        }
        self.jobs.start(self.host(), id, script, limits).await
    }

    /// Lifts what others have barred of this journal for the client, which has nothing
    /// under way on it, and now holds what they were made for. On the master, which
    /// works for other clients too, those who have barred it on the client tell which
    /// are meant; they go first, so that none of them stays alone. Other bars are told.
    async fn lift_bars(&mut self) -> Result<(), TransportError> {
        let transport = self.jobs.transport;
        let own = format!("{}.", self.by.scope);
        let [client, master] = [self.hosts.client.clone(), self.hosts.master.clone()];
        let on_client = transport.bars(&client).await?;
        let on_master = transport.bars(&master).await?;
        let lifted = |bar: &Bar| {
            let is_own = |other: &Bar| other.prefix.starts_with(&own) && other.by == bar.by;
            bar.prefix.starts_with(&own) && on_client.iter().any(is_own)
        };
        for (host, bars) in [(&master, &on_master), (&client, &on_client)] {
            for bar in bars {
                let Bar { prefix, by } = bar;
                let jobs = format!("jobs of {} on {host}", prefix.trim_end_matches('.'));
                if lifted(bar) {
                    transport.bar(host, prefix, by, false).await?;
                    self.notes.push(format!("the bar of {by} on {jobs} is lifted"));
                } else {
                    self.notes.push(format!("{by} bars {jobs}: left as it is"));
                }
            }
        }
        Ok(())
    }

    /// For a step that happens once: what is said where it did not do what it was to.
    pub(super) fn only_once(&self) -> Option<Cause> {
        let is_once = self.def.undo == UndoKind::Backout;
        is_once.then(|| self.with_context(end::was_rebooted))
    }

    /// For the same: why its script ended before the command that makes it happen, so
    /// that nothing is to be waited for.
    pub(super) fn ended_before(&self, script: &Script, output: Option<&Output>) -> Option<Cause> {
        self.only_once()?;
        // An engine that is gone may have begun it.
        let guessed = self.guessed();
        let script = if script.is_empty() { &guessed } else { script };
        let has_ended = output.is_some_and(|output| output.commands.len() < script.commands.len());
        has_ended.then(|| self.words(script, output)).flatten()
    }

    /// The script of the step, as an attempt that is not known in detail has begun it.
    fn guessed(&self) -> Script {
        let run = match self.order.ticket.direction {
            Direction::Forward => self.def.run,
            Direction::Undo => self.def.undo_run,
        };
        let none = Answers::default();
        run.map_or_else(Script::default, |run| {
            self.guarded(self.with_context(|ctx| run(ctx, &none)))
        })
    }

    /// For a step that happens once: what is said where an earlier attempt has made it
    /// happen. That its script came to its last command is what tells it; a lease that
    /// is gone may have been dropped by others.
    pub(super) async fn happened_before(&self) -> Option<Outcome> {
        let cause = self.only_once()?;
        let whole = self.guessed().commands.len();
        let ticket = &self.order.ticket;
        for attempt in 1..ticket.attempt {
            let id = self.job(&Ticket { attempt, ..ticket.clone() });
            match self.jobs.settled_state(self.host(), &id).await {
                Ok(JobState::Absent | JobState::NotBegun) => {}
                // One that ended well was shorter: an older nimshift asked less before it.
                Ok(JobState::Done(output))
                    if output.commands.len() < whole
                        && output.commands.last().is_none_or(|last| !last.ok()) => {}
                Ok(_) => return Some(failed(cause, Residue::Left)),
                Err(error) => return Some(failed(of_transport(&error), Residue::Left)),
            }
        }
        None
    }
}
