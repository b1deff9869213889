//! The journal: what it takes, what it refuses, and what it survives.

#![expect(clippy::unwrap_used, reason = "these are tests, beyond what clippy takes for one")]

mod append;
mod archive;
mod busy;
mod damage;
mod files;
#[cfg(target_os = "linux")]
mod locks;
mod night;
mod power;
mod power_vfs;
#[path = "../skipped/mod.rs"]
mod skipped;
