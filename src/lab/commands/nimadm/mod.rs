//! `nimadm` on the master, in its eight forms.
//!
//! Made after IBM's description of what its phases do, out of commands of the
//! lab, most of which nimadm is known to run. It knows nothing of nimshift: it
//! leaves no marks, takes no lease, and cleans up after a failure by itself.

mod args;
mod at;
mod cleanup;
mod lock;
mod log;
mod mksysb;
mod op;
mod phases;
mod run;
mod start;
#[cfg(test)]
mod tests;
mod update;

pub(crate) use args::USAGE;
pub(crate) use op::Run;
pub(crate) use run::{Next, advance};
