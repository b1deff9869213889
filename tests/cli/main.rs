//! The program as it is used: command line in, output and exit code out.

#![expect(clippy::print_stderr, reason = "seeds are told")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod archive;
mod copies;
mod damage;
mod disks;
mod drop_in;
mod errors;
#[cfg(all(target_os = "linux", feature = "lab-net"))]
mod fault_pipe;
mod follow;
mod help;
mod hints;
mod import;
mod joining;
mod lab;
mod lease;
#[cfg(target_os = "linux")]
mod locks;
mod messages;
#[path = "../named/mod.rs"]
mod named;
mod nights;
#[cfg(all(target_os = "linux", feature = "lab-net"))]
mod nights_over_ssh;
mod nimadm;
mod older;
mod operations;
mod orders;
mod overnight;
mod parts;
mod plan;
mod preflight;
mod reports;
#[cfg(target_os = "linux")]
#[path = "../skipped/mod.rs"]
mod skipped;
#[cfg(all(target_os = "linux", feature = "lab-net"))]
mod ssh_lab;
mod told;
#[cfg(all(target_os = "linux", feature = "lab-net"))]
mod troubled_links;
mod unanswered;
mod world;
