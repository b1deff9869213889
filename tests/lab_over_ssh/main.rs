//! The lab's hosts as real processes, through the machine's own `ssh` and
//! `sshd`. Skipped, with a note, where those are missing, or root.
#![cfg(all(target_os = "linux", feature = "lab-net"))]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

/// A test in each way.
macro_rules! in_both_ways {
    ($($name:ident),* $(,)?) => {
        mod proxy {
            $(#[test] fn $name() { super::$name("proxy"); })*
        }
        mod namespaces {
            $(#[test] fn $name() { super::$name("namespaces"); })*
        }
    };
}

mod both_ways;
mod end;
mod namespaces;
mod relay;
mod role;
#[path = "../skipped/mod.rs"]
mod skipped;
mod trouble;
mod world;
