//! A process, told apart from one that has got its number later.

use std::fs::{self, File};
use std::str::FromStr;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process that ran at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pid: i32,
    /// When it was started, in ticks since the machine's boot.
    started: u64,
    /// That boot.
    boot: String,
}

impl Identity {
    /// Of a process that runs.
    pub(super) fn of(pid: Pid) -> Option<Identity> {
        let pid = pid.as_raw();
        Some(Identity { pid, started: started(pid)?, boot: boot()? })
    }

    /// Whether it runs still.
    pub(super) fn lives(&self) -> bool {
        Identity::of(Pid::from_raw(self.pid)).as_ref() == Some(self)
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.pid)
    }

    /// One of its namespaces, if it runs still.
    pub(super) fn namespace(&self, name: &str) -> Option<File> {
        let file = File::open(format!("/proc/{}/ns/{name}", self.pid)).ok()?;
        // Asked after: the number was not another's when the file was opened.
        self.lives().then_some(file)
    }
}

/// When a process was started, in ticks since the machine's boot. A process that
/// has ended but was not waited for does not count.
pub(super) fn started(pid: i32) -> Option<u64> {
    field(pid, 22)
}

/// Whether a process has begun to exit, and has not ended.
pub(super) fn exits(pid: i32) -> bool {
    // The kernel's mark (`include/linux/sched.h`) among its PF_ flags.
    const PF_EXITING: u32 = 4;
    field(pid, 9).is_some_and(|flags: u32| flags & PF_EXITING != 0)
}

/// A field of `/proc/PID/stat` behind the state, by its number in proc(5). None of
/// a process that has ended.
fn field<T: FromStr>(pid: i32, number: usize) -> Option<T> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(number - 4)?.parse().ok()
}

fn boot() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_not_the_one_that_has_its_number_later() {
        let this = Identity::of(Pid::this()).unwrap();
        assert!(this.lives());
        assert!(this.namespace("net").is_some());
        let earlier = Identity { started: this.started - 1, ..this.clone() };
        assert!(!earlier.lives());
        assert!(earlier.namespace("net").is_none());
        let other_boot = Identity { boot: "another".to_owned(), ..this };
        assert!(!other_boot.lives());
    }
}
