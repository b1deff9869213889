//! Processes of the machine: started, and ended.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::layout::NetError;
use crate::base::{Millis, SystemClock};

/// How long processes that were killed are waited for.
const END_MS: Millis = 10_000;

/// A command of the machine, not yet run.
#[expect(clippy::disallowed_methods, reason = "hosts of the lab are processes")]
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// Runs a command of the machine and gives its output.
pub(super) fn run<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> Result<String, NetError> {
    feed(program, args, "")
}

/// As [`run`], with an input.
pub(super) fn feed<S: AsRef<OsStr>>(
    program: &Path,
    args: &[S],
    input: &str,
) -> Result<String, NetError> {
    let mut made = command(program);
    made.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let text = || {
        let args = args.iter().map(|arg| arg.as_ref().to_string_lossy().into_owned());
        std::iter::once(program.display().to_string()).chain(args).collect::<Vec<_>>().join(" ")
    };
    let ended = made.spawn().and_then(|mut child| {
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not want it says why by its status.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    });
    match ended {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let why = if said.is_empty() { output.status.to_string() } else { said };
            Err(NetError::Failed { command: text(), why })
        }
        Err(error) => Err(NetError::Failed { command: text(), why: error.to_string() }),
    }
}

/// A program of the machine, in the directories of an administrator.
pub(super) fn program(name: &str, package: &str) -> Result<PathBuf, NetError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"]);
    folders
        .filter(|folder| folder.starts_with('/'))
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| NetError::Missing {
            what: format!("`{name}`"),
            cure: format!("install Debian's package `{package}`"),
        })
}

/// In the environment of every process of a lab's hosts.
pub(super) const MARK: &str = "NIMSHIFT_LAB_MARK";

/// The mark of the processes of a host, or of another part of the lab.
pub(super) fn mark(lab: &Path, part: &str) -> String {
    format!("{}:{part}", lab.display())
}

/// Processes with that mark, as far as this user may see. One that has ended and
/// is not waited for has no environment.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok())
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
        })
        .map(Pid::from_raw)
        .collect()
}

/// Ends every process that has the mark, and those that they make meanwhile.
/// This process is left out. They are gone when this returns, as far as they can
/// be waited for.
pub(super) fn kill_all(mark: &str) {
    let limit = SystemClock::read_ms() + END_MS;
    loop {
        let found: Vec<Pid> = marked(mark).into_iter().filter(|pid| *pid != Pid::this()).collect();
        if found.is_empty() || SystemClock::read_ms() > limit {
            return;
        }
        for pid in found {
            // One that is gone already is what was wanted.
            let _ = kill(pid, Signal::SIGKILL);
        }
        pause(5);
    }
}

/// Waits, by the machine's time.
#[expect(clippy::disallowed_methods, reason = "processes live by the machine's time")]
pub(super) fn pause(ms: Millis) {
    std::thread::sleep(Duration::from_millis(ms));
}
