//! Processes of the machine: started, and ended.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::identity::{Identity, exits};
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

/// The numbers of all processes that `/proc` shows.
pub(super) fn numbers() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect()
}

/// Processes with a mark that is asked for, as far as this user may see. One that
/// is about to end has no environment any more.
fn marked(is_wanted: impl Fn(&str) -> bool) -> Vec<Identity> {
    numbers()
        .into_iter()
        .filter_map(|pid| {
            let identity = Identity::of(Pid::from_raw(pid))?;
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            let mut marks = environment.split('\0').filter_map(|entry| {
                entry.strip_prefix(MARK).and_then(|rest| rest.strip_prefix('='))
            });
            marks.any(&is_wanted).then_some(identity)
        })
        .collect()
}

/// The network that a process is in.
fn network(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// A process that is on its way out of one of the networks. It has no environment
/// any more, and holds the network until it is gone.
fn leaving(networks: &HashSet<PathBuf>) -> Option<Pid> {
    let is_of = |pid| network(pid).is_some_and(|network| networks.contains(&network));
    numbers().into_iter().find(|pid| is_of(*pid) && exits(*pid)).map(Pid::from_raw)
}

/// Ends every process of one part of a lab, and those that it makes meanwhile.
/// This process is left out.
pub(super) fn end_part(lab: &Path, part: &str) -> Result<(), NetError> {
    let wanted = mark(lab, part);
    end(|mark| mark == wanted)
}

/// Ends every process of a lab, the keeper first or not: nobody begins anything
/// without it.
pub(super) fn end_lab(lab: &Path) -> Result<(), NetError> {
    let wanted = mark(lab, "");
    // A part's name has neither; the directory of another lab may.
    end(|mark| mark.strip_prefix(&wanted).is_some_and(|part| !part.contains(['/', ':'])))
}

/// They are gone, with all that they held, when this returns.
fn end(is_wanted: impl Fn(&str) -> bool) -> Result<(), NetError> {
    let this = Pid::this();
    let own = network(this.as_raw());
    let limit = SystemClock::read_ms() + END_MS;
    let mut killed: Vec<Identity> = Vec::new();
    let mut networks = HashSet::new();
    loop {
        killed.retain(Identity::lives);
        let found = marked(&is_wanted).into_iter().filter(|found| found.pid() != this);
        for found in found {
            let network = network(found.pid().as_raw());
            networks.extend(network.filter(|network| Some(network) != own.as_ref()));
            // One that is gone already is what was wanted.
            let _ = kill(found.pid(), Signal::SIGKILL);
            if !killed.contains(&found) {
                killed.push(found);
            }
        }
        let left = killed.first().map(Identity::pid).or_else(|| leaving(&networks));
        let Some(left) = left else { return Ok(()) };
        if SystemClock::read_ms() > limit {
            return Err(NetError::Refused {
                what: format!("end process {left}"),
                why: "it does not go".to_owned(),
            });
        }
        pause(5);
    }
}

/// How a process ended, as a shell tells it: 128 and more for a signal.
pub fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Waits, by the machine's time.
#[expect(clippy::disallowed_methods, reason = "processes live by the machine's time")]
pub(super) fn pause(ms: Millis) {
    std::thread::sleep(Duration::from_millis(ms));
}
