//! Processes of the machine: started, and ended.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::layout::NetError;

/// A command of the machine, not yet run.
#[expect(clippy::disallowed_methods, reason = "hosts of the lab are processes")]
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// Runs a command of the machine and gives its output.
pub(super) fn run<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> Result<String, NetError> {
    let mut made = command(program);
    made.args(args).stdin(Stdio::null());
    let text = || {
        let args = args.iter().map(|arg| arg.as_ref().to_string_lossy().into_owned());
        std::iter::once(program.display().to_string()).chain(args).collect::<Vec<_>>().join(" ")
    };
    match made.output() {
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

/// Processes whose environment has `NAME=value`, as far as this user may see.
pub(super) fn with_variable(name: &str, value: &str) -> Vec<Pid> {
    let wanted = format!("{name}={value}");
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

/// Ends every process that has the variable, and those that they make
/// meanwhile. This process is left out.
pub(super) fn kill_all(name: &str, value: &str) {
    for _ in 0..20 {
        let found: Vec<Pid> =
            with_variable(name, value).into_iter().filter(|pid| *pid != Pid::this()).collect();
        if found.is_empty() {
            return;
        }
        for pid in found {
            // One that is gone already is what was wanted.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}
