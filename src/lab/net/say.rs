//! What a connection that is not made is told as.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

/// Says why there is no connection, in the words of `ssh` where it makes the
/// connection itself.
pub(super) fn no_connection(host: &str, why: &str) {
    let line = format!("ssh: connect to host {host} port 22: {why}\n");
    to_caller(&line);
}

/// Says a line where `ssh` says its own. With `ControlPersist`, a `ProxyCommand`
/// has no other way to it: `ssh` gives it the null device.
pub(super) fn to_caller(line: &str) {
    let caller = std::os::unix::process::parent_id();
    if is_null("/proc/self/fd/2")
        && takes_lines_of_others(caller)
        && let Ok(mut theirs) = OpenOptions::new().append(true).open(format!("/proc/{caller}/fd/2"))
    {
        let _ = theirs.write_all(line.as_bytes());
        return;
    }
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Whether what is said there stays: in a file that is not appended to, the
/// process writes over it.
fn takes_lines_of_others(pid: u32) -> bool {
    const APPEND: u32 = 0o2000;
    let Ok(found) = fs::metadata(format!("/proc/{pid}/fd/2")) else { return false };
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/2")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).unwrap_or(0);
    !found.is_file() || flags & APPEND != 0
}

fn is_null(path: &str) -> bool {
    match (fs::metadata(path), fs::metadata("/dev/null")) {
        (Ok(this), Ok(null)) => this.rdev() == null.rdev() && this.rdev() != 0,
        _ => false,
    }
}
