//! The program as it is used: command line in, output and exit code out.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod errors;
mod help;
mod lab;
mod messages;
mod overnight;
mod plan;
mod reports;
mod world;
