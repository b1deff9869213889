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

/// Jobs that a host does not begin; see [`Transport::bar`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bar {
    /// What their ids begin with.
    pub prefix: String,
    /// In whose name.
    pub by: String,
}

/// What a host knows of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// The host has never heard of it.
    Absent,
    /// Nothing of it is there, but the host was booted since it last began a job:
    /// a job that was begun before may have been lost with all of its traces but
    /// its effect.
    Rebooted,
    /// It runs; `output_bytes` grow as it says something.
    Running {
        /// Bytes of output so far: what a stall is told by.
        output_bytes: u64,
        /// For how long, by its host, where that can tell.
        ran: Option<Duration>,
    },
    /// It ended, and this is all it gave.
    Done(Output),
    /// No command of it has begun, and none ever will: it was ended before. What
    /// it was to do may be asked for again, as another job.
    NotBegun,
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
        host: HostId,
        /// One line.
        why: String,
    },
    /// The connection broke: the request may have been carried out.
    #[error("the connection to {host} was lost: {why}")]
    Lost {
        host: HostId,
        /// One line.
        why: String,
    },
    /// The time limit passed: the request may have been carried out.
    #[error("{host} did not answer within {}", humantime::format_duration(*limit))]
    TimedOut { host: HostId, limit: Duration },
    /// The host's name is not known where it was looked up. Not arrived.
    #[error("cannot resolve the name of {host}: {why}")]
    Unresolved {
        host: HostId,
        /// One line.
        why: String,
    },
    /// The host is there and nobody listens. Not arrived.
    #[error("{host} refuses connections: {why}")]
    Refused {
        host: HostId,
        /// One line.
        why: String,
    },
    /// The host key differs from known_hosts. Nothing arrived.
    #[error("the host key of {host} differs from known_hosts: {why}")]
    HostKey {
        host: HostId,
        /// One line.
        why: String,
    },
    /// There is no way in: no key that fits, or settings that do not. Not arrived.
    #[error("no login on {host}: {why}")]
    Login {
        host: HostId,
        /// One line.
        why: String,
    },
    /// The login did not lead to a shell that runs programs. Not arrived.
    #[error("no shell on {host}: {why}")]
    NoShell {
        host: HostId,
        /// One line.
        why: String,
    },
    /// The host could not do it, and has not: no room for a job, for one.
    #[error("{host} cannot do it: {why}")]
    Unable {
        host: HostId,
        /// One line.
        why: String,
    },
    /// The host begins no jobs of that name any more: another has taken over what
    /// they belong to. Not arrived.
    #[error("{host} starts no more jobs of that name: {by} has barred them")]
    Barred { host: HostId, by: String },
    /// There is no such host.
    #[error("there is no host {0}")]
    UnknownHost(HostId),
}

impl TransportError {
    /// Whether the request may have been carried out, all the same.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, TransportError::Lost { .. } | TransportError::TimedOut { .. })
    }

    /// Whether only a person can help: asking again gives the same answer.
    pub fn needs_a_person(&self) -> bool {
        match self {
            TransportError::HostKey { .. }
            | TransportError::Login { .. }
            | TransportError::NoShell { .. }
            | TransportError::Barred { .. }
            | TransportError::UnknownHost(_) => true,
            TransportError::Unreachable { .. }
            | TransportError::Lost { .. }
            | TransportError::TimedOut { .. }
            | TransportError::Unresolved { .. }
            | TransportError::Refused { .. }
            | TransportError::Unable { .. } => false,
        }
    }

    /// Whether the host did not answer at all, which may pass: it may be booting.
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            TransportError::Unreachable { .. }
                | TransportError::Refused { .. }
                | TransportError::Unresolved { .. }
        )
    }

    /// What can be done about it, where a person has to.
    pub fn way_out(&self) -> Option<&'static str> {
        match self {
            TransportError::HostKey { .. } => {
                Some("first find out why the key differs, then put the right one into known_hosts")
            }
            TransportError::Login { .. } => Some(
                "`ssh` to the host by hand, without a password: key, agent, user, PermitRootLogin, ssh configuration",
            ),
            TransportError::NoShell { .. } => Some(
                "the login must lead to a POSIX shell: look at its login shell, profile, forced command",
            ),
            TransportError::Refused { .. } => Some("is sshd running, and on this port?"),
            TransportError::Unresolved { .. } => Some("look at the name, DNS and /etc/hosts"),
            TransportError::UnknownHost(_) => Some("name a host of the plan"),
            _ => None,
        }
    }
}

/// How far the output of a job was read: all of the commands before `command`,
/// and so many bytes of its two streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputMark {
    pub command: usize,
    /// Bytes of its standard output.
    pub stdout: u64,
    /// Bytes of its standard error.
    pub stderr: u64,
}

/// A piece of a job's output, as it is: nothing is sanitized.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputPiece {
    /// Standard output behind the mark, of one command: at most
    /// [`OUTPUT_PIECE_BYTES_MAX`](crate::base::limits::OUTPUT_PIECE_BYTES_MAX).
    pub stdout: Vec<u8>,
    /// Standard error, in the same way.
    pub stderr: Vec<u8>,
    /// Where the next piece begins.
    pub next: OutputMark,
    /// Whether there is no more, now or later.
    pub is_last: bool,
}

impl OutputPiece {
    /// The piece that was read at `mark`. `command_ended` and `job_over` were
    /// seen before it was read; `is_short` tells that a stream had no more.
    pub fn read(
        mark: OutputMark,
        [stdout, stderr]: [Vec<u8>; 2],
        is_short: bool,
        command_ended: bool,
        job_over: bool,
    ) -> OutputPiece {
        let next = if is_short && command_ended {
            OutputMark { command: mark.command + 1, stdout: 0, stderr: 0 }
        } else {
            OutputMark {
                command: mark.command,
                stdout: mark.stdout + stdout.len() as u64,
                stderr: mark.stderr + stderr.len() as u64,
            }
        };
        let is_last = is_short && job_over && !command_ended;
        OutputPiece { stdout, stderr, next, is_last }
    }
}

/// What a [`Transport`] returns: boxed, so that transports can be exchanged at
/// run time.
pub type TransportFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, TransportError>> + Send + 'a>>;

/// A way to reach hosts.
///
/// All calls have a limit of their own, or a caller's `timeout`, counted from when
/// the call is made: where it waits for others before it, that is not its time.
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

    /// Asks after the job `id`, and answers after `wait` at the latest, which is
    /// not counted before the host can be asked. May answer earlier, where it can be
    /// told that the job does not run or that its output differs from `seen_bytes`.
    /// The host is asked once for an answer.
    fn poll<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        seen_bytes: u64,
        wait: Duration,
    ) -> TransportFuture<'a, JobState>;

    /// Ends the job `id` if it runs. Returns its state after that; `Running`
    /// when it has not ended yet. In no state can it begin after that, be it
    /// [`JobState::Absent`] or [`JobState::Rebooted`] before: a start that is
    /// still under way, from a caller that died, comes too late. The first of
    /// them becomes [`JobState::NotBegun`]; the second [`JobState::Lost`], for it
    /// may have run before the boot.
    fn kill<'a>(&'a self, host: &'a HostId, id: &'a JobId) -> TransportFuture<'a, JobState>;

    /// Forgets all jobs whose id begins with `prefix` and that do not run: nobody
    /// asks for them any more. One that was kept from beginning is forgotten
    /// a day later, by then or whenever anything is forgotten there: its start
    /// may still be under way.
    fn forget<'a>(&'a self, host: &'a HostId, prefix: &'a str) -> TransportFuture<'a, ()>;

    /// Reads the output of the job `id` behind `mark`, while it runs or after
    /// that. A job that the host does not know has none.
    fn output<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        mark: OutputMark,
    ) -> TransportFuture<'a, OutputPiece>;

    /// The bars that stand on the host, as many as are named.
    fn bars<'a>(&'a self, host: &'a HostId) -> TransportFuture<'a, Vec<Bar>>;

    /// The jobs whose id begins with `prefix` and that have not ended, as far as
    /// can be told.
    fn unfinished<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
    ) -> TransportFuture<'a, Vec<JobId>>;

    /// In the name of `by`, lets the host begin no more jobs whose id begins with
    /// `prefix`, or, unless `bars`, lets it again. A job that began at the same
    /// moment ends before its first command, or is seen by
    /// [`Transport::unfinished`] afterwards.
    fn bar<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
        by: &'a str,
        bars: bool,
    ) -> TransportFuture<'a, ()>;
}
