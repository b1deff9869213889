//! Silence before a compensation: nothing of the migration runs any more on
//! either of its hosts, or can still begin.
//!
//! Whichever step it turned back from: a step whose undo is nothing may have left
//! a job that works on the copy, and the undos to come would work beside it.

use crate::base::limits::SILENCE_ROUNDS;
use crate::domain::{Cause, Ticket};
use crate::transport::{HostId, JobId, TransportError};

use super::{Attempt, of_transport, transient};

impl Attempt<'_> {
    /// Ends what runs. `last` is the ticket that the migration turned back from:
    /// what was asked for in its name, or in that of an attempt before it, may
    /// still be under way to its host.
    pub(super) async fn silence(&self, last: &Ticket) -> Result<(), Cause> {
        let mut left = None;
        for _ in 0..SILENCE_ROUNDS {
            let found = self.patiently_running(last).await.map_err(|error| of_transport(&error))?;
            if found.is_empty() {
                return Ok(());
            }
            for (host, job) in found {
                if !self.jobs.end(&host, &job).await {
                    return Err(self.does_not_end(&host, &job));
                }
                left = Some((host, job));
            }
        }
        let (host, job) = left.expect("each round found a job");
        Err(self.does_not_end(&host, &job))
    }

    /// Asks hosts that may be booting, by the step that is taken back.
    async fn patiently_running(
        &self,
        last: &Ticket,
    ) -> Result<Vec<(HostId, JobId)>, TransportError> {
        let mut patience = self.patience();
        loop {
            match self.running(last).await {
                Err(error)
                    if error.is_silence()
                        && !patience.is_over(&self.jobs)
                        && self.jobs.pause(patience.next()).await => {}
                found => return found,
            }
        }
    }

    /// What of the migration runs, but for the undo's own jobs: those are waited
    /// for. What could begin is seen to first: what began is found then.
    async fn running(&self, last: &Ticket) -> Result<Vec<(HostId, JobId)>, TransportError> {
        let mut running = Vec::new();
        if self.def.run.is_some() {
            let after = Ticket { attempt: last.attempt + 1, ..last.clone() };
            let begun = self.running_earlier(&after).await?;
            running.extend(begun.map(|job| (self.host().clone(), job)));
        }
        let own = self.job(&self.order.ticket);
        let own = own.as_str().trim_end_matches(|c: char| c.is_ascii_digit());
        // Also a host that plays no part in the step.
        let client = self.order.spec.task.has_client().then_some(&self.hosts.client);
        for host in client.into_iter().chain([&self.hosts.master]) {
            for prefix in self.by.job_prefixes(self.order) {
                let found = self.jobs.transport.unfinished(host, &prefix).await?;
                for job in found.into_iter().filter(|job| !job.as_str().starts_with(own)) {
                    let job = (host.clone(), job);
                    if !running.contains(&job) {
                        running.push(job);
                    }
                }
            }
        }
        Ok(running)
    }

    fn does_not_end(&self, host: &HostId, job: &JobId) -> Cause {
        let client = &self.order.spec.client;
        let text =
            format!("the job {job} on {host} does not end: nothing is taken back while it runs");
        transient(text).with_hint(format!(
            "end it there (`ps -e -o pid,args | grep {job}`), then `nimshift retry {client}`"
        ))
    }
}
