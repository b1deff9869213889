//! A process, told apart from one that has got its number later.

use std::fs::{self, File};

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

    /// Of a process that has begun to exit.
    pub(super) fn of_leaving(pid: Pid) -> Option<Identity> {
        // Field 9 holds the kernel's PF_ flags.
        let flags: u32 = fields(pid.as_raw())?.get(9 - FIRST_FIELD)?.parse().ok()?;
        (flags & PF_EXITING != 0).then(|| Identity::of(pid)).flatten()
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

/// The kernel's mark of a process that exits (`include/linux/sched.h`).
const PF_EXITING: u32 = 4;

/// When a process was started, in ticks since the machine's boot. A process that
/// has ended but was not waited for does not count.
pub(super) fn started(pid: i32) -> Option<u64> {
    fields(pid)?.get(22 - FIRST_FIELD)?.parse().ok()
}

/// The number of the first of [`fields`], in proc(5)'s count.
const FIRST_FIELD: usize = 3;

/// Fields of `/proc/PID/stat` behind the name, which may hold anything: state and
/// what follows. None of a process that has ended.
fn fields(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<String> =
        stat.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect();
    (!matches!(fields.first()?.as_str(), "Z" | "X")).then_some(fields)
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
