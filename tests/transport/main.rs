//! Real hosts: programs and jobs in the shells of this machine, and over the
//! OpenSSH of this machine with nothing listening.

#![expect(clippy::print_stdout, reason = "shells are told")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod bars;
mod jobs;
mod output;
mod shells;
#[path = "../skipped/mod.rs"]
mod skipped;
mod ssh;
mod support;
