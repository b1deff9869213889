//! What reaches a host.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::command::{Output, Script};

/// A host, by the name that the transport knows it by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(String);

impl HostId {
    /// The host of that name.
    pub fn new(name: impl Into<String>) -> HostId {
        HostId(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A durable job on a host. Letters, digits and `_.-`, at most 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(String);

impl JobId {
    /// The job of that id.
    pub fn new(id: impl Into<String>) -> JobId {
        JobId(id.into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a host knows of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// The host has never heard of it.
    Absent,
    /// It runs; `output_bytes` grow as it says something.
    Running {
        /// Bytes of output so far: what a stall is told by.
        output_bytes: u64,
    },
    /// It ended, and this is all it gave.
    Done(Output),
    /// It was started and is gone without a result: the host was rebooted, or
    /// somebody ended it. What it did is unknown.
    Lost,
}

/// Why a host could not be asked. What a lost reply left behind is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection was made: the request has not arrived.
    #[error("{host} is unreachable: {why}")]
    Unreachable {
        /// The host.
        host: HostId,
        /// One line.
        why: String,
    },
    /// The connection broke: the request may have been carried out.
    #[error("the connection to {host} was lost: {why}")]
    Lost {
        /// The host.
        host: HostId,
        /// One line.
        why: String,
    },
    /// The time limit passed: the request may have been carried out.
    #[error("{host} did not answer within {}", humantime::format_duration(*limit))]
    TimedOut {
        /// The host.
        host: HostId,
        /// The limit.
        limit: Duration,
    },
    /// There is no such host.
    #[error("there is no host {0}")]
    UnknownHost(HostId),
}

/// What a [`Transport`] returns: boxed, so that transports can be exchanged at
/// run time.
pub type TransportFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, TransportError>> + Send + 'a>>;

/// A way to reach hosts.
///
/// All calls have a limit of their own; a caller's `timeout` is an upper bound
/// on the clock that the estate runs by.
pub trait Transport: Send + Sync {
    /// Runs `script` and waits for it. Only for what may be done twice: a lost
    /// reply is answered by asking again.
    fn exec<'a>(
        &'a self,
        host: &'a HostId,
        script: &'a Script,
        timeout: Duration,
    ) -> TransportFuture<'a, Output>;

    /// Starts `script` as the job `id`, at most once ever for that id: started
    /// again, it answers with what has become of the first start.
    fn start<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        script: &'a Script,
    ) -> TransportFuture<'a, JobState>;

    /// Asks after the job `id`: at once when it is not running or its output
    /// differs from `seen_bytes`, otherwise after `wait` at the latest.
    fn poll<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        seen_bytes: u64,
        wait: Duration,
    ) -> TransportFuture<'a, JobState>;

    /// Ends the job `id` if it runs. Returns its state after that; `Running`
    /// when it has not ended yet.
    fn kill<'a>(&'a self, host: &'a HostId, id: &'a JobId) -> TransportFuture<'a, JobState>;

    /// Forgets all jobs whose id begins with `prefix` and that do not run:
    /// their migration has ended.
    fn forget<'a>(&'a self, host: &'a HostId, prefix: &'a str) -> TransportFuture<'a, ()>;
}
