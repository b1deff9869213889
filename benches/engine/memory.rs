//! Memory of waiting migrations, measured in a process of its own.

use std::path::Path;
use std::process::Command;

use nimshift::base::{Clock as _, SystemClock};
use nimshift::engine::{Core, Delays, EngineLimits};
use nimshift::journal::{Journal, OpenOptions};

/// Resident bytes that a process gains for each of the migrations in the
/// journal in `dir`.
pub(crate) fn per_migration(dir: &Path, clients: usize) -> u64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).arg("--memory").arg(dir).output().expect("a child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    bytes / u64::try_from(clients).expect("few clients")
}

/// The child: resident bytes after the migrations are loaded, less those before.
pub(crate) fn child(dir: &Path) -> u64 {
    let before = resident();
    let options = OpenOptions::new("bench", 3, SystemClock.now_ms());
    let (_journal, loaded) = Journal::open(dir, &options).expect("the journal");
    let mut commands = Vec::new();
    let limits = EngineLimits::of_migrations(loaded.len().max(1));
    let core = Core::new(loaded, &limits, Delays::seeded(1), &mut commands, SystemClock.moment());
    assert!(core.in_flight() > 0, "they are waiting for their steps");
    resident().saturating_sub(before)
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = text.split_whitespace().nth(1).expect("two fields").parse().expect("a number");
    pages * 4096
}
