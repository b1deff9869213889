//! Layer 3: commands in, output out. Knows nothing of AIX, NIM or migrations.
//!
//! A [`Transport`] reaches hosts. It has two kinds of calls: [`Transport::exec`]
//! runs a script that changes nothing, or nothing that matters when it is done
//! twice; [`Transport::start`] begins a durable job, at most once for an id,
//! which goes on when the caller dies and is found again by
//! [`Transport::poll`]. [`Hosts`] are real hosts.

mod command;
mod hosts;
mod link;
mod process;
mod reach;
mod shell;
mod ssh;

pub use command::{Command, CommandOutput, End, Output, Script};
pub use hosts::{Hosts, Route, RouteWay};
pub use link::Bounds;
pub use reach::{
    Bar, HostId, JobId, JobState, OutputMark, OutputPiece, Transport, TransportError,
    TransportFuture,
};
pub use ssh::{SshSettings, SshTarget};
