//! The remote shell between two hosts, `c_rsh`: a real shell on the other one, on
//! the caller's streams, behind the links of both.

use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::here::{BASE, Here};
use super::layout::{Layout, NetError, Way};
use super::link::Link;
use super::namespaces::Address;
use super::{process, root};
use crate::base::{Millis, SystemClock};
use crate::lab::program::Session;
use crate::transport::Command as Words;

/// How often a session looks at its links.
const LOOK_MS: u16 = 50;

/// How long a connection is tried.
const CONNECT_MS: Millis = 5_000;

/// Where a client's sshd listens.
const SSH_PORT: u16 = 22;

/// The shell that an account of AIX has, and its path.
const SHELL: &str = "/usr/bin/ksh";
const PATH: &str = "/usr/bin:/etc:/usr/sbin:/usr/ucb:/sbin";

/// Runs `line` in a shell on `client` for the host that this process is on, with
/// this process's streams, through the links of both.
pub fn remote_shell(here: &Here, client: &str, line: &str) -> Result<Session, NetError> {
    let layout = Layout::new(&here.lab);
    let record = layout.record()?;
    if record.way == Way::Namespaces {
        let index = record.hosts.iter().position(|host| host == client);
        let Some(at) = index.and_then(Address::of) else { return Ok(Session::Unreached) };
        return through_network(here, &layout, client, at.ip(), line);
    }
    let session = Connection {
        layout: Layout::new(&here.lab),
        hosts: [here.host.clone(), client.to_owned()],
        began: SystemClock::read_ms(),
        sent: AtomicU64::new(0),
        is_cut: AtomicBool::new(false),
    };
    while session.is_silent() {
        if SystemClock::read_ms() > session.began + CONNECT_MS {
            return Ok(Session::Unreached);
        }
        process::pause(u64::from(LOOK_MS));
    }
    let mut child = start(&session.layout, client, line)?;
    let (input, output, messages) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let whole = std::thread::scope(|scope| {
        let heard = scope.spawn(|| {
            let Some(messages) = messages else { return true };
            session.pump(messages.as_fd(), std::io::stderr().as_fd(), true)
        });
        let said = scope.spawn(|| {
            let Some(output) = output else { return true };
            session.pump(output.as_fd(), std::io::stdout().as_fd(), true)
        });
        // What is not read by the end of the other two is nobody's.
        scope.spawn(|| {
            if let Some(input) = input {
                session.pump(std::io::stdin().as_fd(), input.as_fd(), false);
            }
        });
        let both = heard.join().unwrap_or(false) & said.join().unwrap_or(false);
        session.is_cut.store(true, Ordering::Relaxed);
        both
    });
    if !whole {
        // The other side goes on until it finds out.
        return Ok(Session::Broken);
    }
    Ok(Session::Ended(child.wait().map_or(255, process::exit_code)))
}

/// Over the hosts' own network. nimsh itself is not emulated: the session is one
/// of the client's sshd.
fn through_network(
    here: &Here,
    layout: &Layout,
    client: &str,
    at: Ipv4Addr,
    line: &str,
) -> Result<Session, NetError> {
    let limit = Duration::from_millis(CONNECT_MS);
    let answers = TcpStream::connect_timeout(&(at, SSH_PORT).into(), limit);
    let ssh = here.tool("ssh").filter(|_| answers.is_ok());
    let Some(ssh) = ssh else { return Ok(Session::Unreached) };
    let mut command = process::command(&ssh);
    let known = format!("UserKnownHostsFile={}", layout.file("known_hosts").display());
    command.args(["-F", "none", "-T", "-l", "root", "-i"]).arg(layout.file("id"));
    for option in [
        known.as_str(),
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "ControlPath=none",
        "ConnectTimeout=5",
        "KexAlgorithms=curve25519-sha256",
        "ServerAliveInterval=2",
        "ServerAliveCountMax=3",
        "LogLevel=ERROR",
    ] {
        command.args(["-o", option]);
    }
    command
        .args(["-o", &format!("HostKeyAlias={client}")])
        .arg(at.to_string())
        .arg("--")
        .arg(whole(line));
    let status = command.status().map_err(|error| NetError::Failed {
        command: ssh.display().to_string(),
        why: error.to_string(),
    })?;
    Ok(match process::exit_code(status) {
        // What ssh says of itself; a command's own 255 is told no better.
        255 => Session::Broken,
        code => Session::Ended(code),
    })
}

/// `line` in a shell whose end another one tells: of one that a signal ended, ssh
/// says no more than of a connection that broke.
fn whole(line: &str) -> String {
    let shell = Words::new([SHELL, "-c", line]).shell_text();
    // A Korn shell counts signals from 256 on.
    format!("{shell}; s=$?; [ $s -le 256 ] || s=$((s - 128)); exit $s")
}

/// A shell on the client.
fn start(layout: &Layout, client: &str, line: &str) -> Result<Child, NetError> {
    let program = root::own_program()?;
    let lab = layout.lab();
    // As sshd puts it into the environment of each of its sessions.
    let of_machine = lab.strip_prefix(BASE).map(|rest| Path::new("/").join(rest));
    let mark = process::mark(of_machine.as_deref().unwrap_or(lab), client);
    let mut command = process::command(&program);
    command
        .args(["lab", "enter"])
        .arg(lab)
        .args([client, "--", SHELL, "-c", line])
        .env_clear()
        .envs([("PATH", PATH), ("HOME", "/"), ("SHELL", SHELL), ("USER", "root")])
        .env("LOGNAME", "root")
        .env(process::MARK, mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().map_err(|error| NetError::Failed {
        command: program.display().to_string(),
        why: error.to_string(),
    })
}

/// A connection between two hosts.
struct Connection {
    layout: Layout,
    hosts: [String; 2],
    began: Millis,
    /// Bytes that the other host has sent.
    sent: AtomicU64,
    /// Whether nothing is handed on any more.
    is_cut: AtomicBool,
}

impl Connection {
    fn links(&self) -> [Link; 2] {
        [0, 1].map(|at| Link::read(&self.layout, &self.hosts[at]))
    }

    fn is_silent(&self) -> bool {
        self.links().iter().any(Link::silent)
    }

    /// Hands bytes on until there are no more (true), or the session is cut.
    fn pump(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, counts: bool) -> bool {
        let mut buffer = vec![0u8; 32 << 10];
        loop {
            let links = self.links();
            if links.iter().any(|link| link.closed_at_ms > self.began) {
                self.is_cut.store(true, Ordering::Relaxed);
            }
            if self.is_cut.load(Ordering::Relaxed) {
                return false;
            }
            let sent = self.sent.load(Ordering::Relaxed);
            let stalled = links.iter().any(|link| link.stall_after.is_some_and(|at| sent >= at));
            if stalled || links.iter().any(Link::silent) {
                process::pause(u64::from(LOOK_MS));
                continue;
            }
            let mut fds = [PollFd::new(from, PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(LOOK_MS)) {
                Ok(0) | Err(_) => continue,
                Ok(_) => {}
            }
            let delay = links.iter().map(|link| link.delay_ms).max().unwrap_or(0);
            if delay > 0 {
                process::pause(delay);
            }
            let Ok(mut read) = nix::unistd::read(from, &mut buffer) else { return true };
            if read == 0 {
                return true;
            }
            let limit = links.iter().filter_map(|link| link.cut_after.or(link.stall_after)).min();
            if let Some(limit) = limit.filter(|_| counts) {
                read = read.min(usize::try_from(limit.saturating_sub(sent)).unwrap_or(read));
            }
            if write_all(to, &buffer[..read]).is_err() {
                // A reader that is gone is the reader's affair.
                return true;
            }
            if counts {
                let sent = self.sent.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
                if links.iter().any(|link| link.cut_after.is_some_and(|at| sent >= at)) {
                    self.is_cut.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        let written = nix::unistd::write(to, bytes)?;
        bytes = &bytes[written..];
    }
    Ok(())
}
