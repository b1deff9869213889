//! Sessions of `sshd` on this host, as its process 1 sees them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::base::{Millis, SystemClock};
use crate::lab::net::identity::started;
use crate::lab::net::process;

/// Ends the sessions that began before `before_ms`. Commands that they began go
/// on until they notice, as anywhere.
pub(super) fn close(before_ms: Millis, listener: Option<i32>) {
    for pid in all().into_iter().filter(|pid| Some(*pid) != listener) {
        if began_ms(pid).is_some_and(|began| began < before_ms) {
            // One that is gone already is what was wanted.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Processes of `sshd`: newer ones have programs of their own for sessions.
fn all() -> Vec<i32> {
    process::numbers()
        .into_iter()
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.starts_with("sshd"))
        })
        .collect()
}

/// When a process was started, by the machine's clock.
fn began_ms(pid: i32) -> Option<Millis> {
    let ticks = started(pid)?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an uptime")]
    let up_ms = (uptime * 1000.0) as u64;
    let age_ms = up_ms.saturating_sub(ticks * 1000 / per_second.max(1));
    Some(SystemClock::read_ms().saturating_sub(age_ms))
}
