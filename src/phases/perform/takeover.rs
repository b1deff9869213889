//! Before a lease is taken over: its holder's jobs must have ended, and no more
//! of them may begin.

use crate::domain::Lease;
use crate::transport::{JobId, TransportError};

use super::job::Jobs;
use crate::phases::step::HostNames;

/// What stands in the way.
#[derive(Debug)]
pub(crate) enum Way {
    /// Nothing: the holder's jobs have ended, and are barred.
    Clear,
    /// A job that has not ended.
    Job(JobId, String),
    /// A host cannot be asked.
    Unknown(TransportError),
}

/// Asks client and master for jobs of the holder's journal, bars the holder in
/// the name of `by`, and asks again: a job that began meanwhile is seen then.
/// Where it `ends` them, the holder is barred first.
///
/// On the client no job of that journal begins any more; on the master, which
/// works for other clients too, none of that migration.
pub(crate) async fn clear(
    jobs: &Jobs<'_>,
    hosts: &HostNames,
    holder: &Lease,
    by: &str,
    ends: bool,
) -> Way {
    match ask_and_bar(jobs, hosts, holder, by, ends).await {
        Ok(None) => Way::Clear,
        Ok(Some((job, host))) => Way::Job(job, host),
        Err(error) => Way::Unknown(error),
    }
}

async fn ask_and_bar(
    jobs: &Jobs<'_>,
    hosts: &HostNames,
    holder: &Lease,
    by: &str,
    ends: bool,
) -> Result<Option<(JobId, String)>, TransportError> {
    let (Some(scope), Some(own)) = (holder.job_prefix(), holder.own_prefix()) else {
        return Ok(None);
    };
    let running = async |on_master: &str, ends: bool| {
        for (host, prefix) in [(&hosts.client, scope.as_str()), (&hosts.master, on_master)] {
            for job in jobs.transport.unfinished(host, prefix).await? {
                if !ends || !jobs.end(host, &job).await {
                    return Ok(Some((job, host.to_string())));
                }
            }
        }
        Ok(None)
    };
    if !ends && let Some(found) = running(&scope, false).await? {
        return Ok(Some(found));
    }
    for (host, prefix) in [(&hosts.client, &scope), (&hosts.master, &own)] {
        jobs.transport.bar(host, prefix, by, true).await?;
    }
    let found = running(&own, ends).await?;
    if found.is_some() {
        lift(jobs, hosts, holder, by).await?;
    }
    Ok(found)
}

/// Lets the holder's jobs begin again: its lease was not taken over.
pub(crate) async fn lift(
    jobs: &Jobs<'_>,
    hosts: &HostNames,
    holder: &Lease,
    by: &str,
) -> Result<(), TransportError> {
    let prefixes = [(&hosts.client, holder.job_prefix()), (&hosts.master, holder.own_prefix())];
    for (host, prefix) in prefixes {
        if let Some(prefix) = prefix {
            jobs.transport.bar(host, &prefix, by, false).await?;
        }
    }
    Ok(())
}
