//! `lab host`: process 1 of a host.
//!
//! It makes the host's namespaces, takes its root, and then does what the keeper
//! writes on its input, one line each: `start NAME` and `stop NAME` of a
//! service, `close MS` of sessions. It tells `born`, and `answers NAME` when a
//! service listens. When its input ends, the keeper is gone: it ends, and the
//! kernel ends everything on the host.

use std::io::{IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;
use std::process::Stdio;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};

use super::address::Address;
use super::services::{self, SSHD, Service};
use super::{disk, links, sessions};
use crate::base::{Millis, SystemClock};
use crate::lab::net::layout::{Layout, NetError, refused};
use crate::lab::net::{enter, process};

/// How often it is looked whether a service that was started listens: less and
/// less often, for many hosts come up at once.
const LISTEN_LOOK_MS: u16 = 10;
const LISTEN_LOOK_MAX_MS: u16 = 320;

/// When a service that ended by itself is started again.
const RESTART_MS: Millis = 1_000;

/// The keeper writes short lines.
const LINE_MAX: usize = 4 << 10;

/// What a host is begun with.
#[derive(Debug, Clone)]
pub struct Birth {
    pub lab: PathBuf,
    pub host: String,
    /// Its number in the network.
    pub number: u16,
}

/// Is a host, until the keeper ends.
pub fn run_host(birth: &Birth) -> Result<(), NetError> {
    refused("end with the keeper", set_pdeathsig(Signal::SIGKILL))?;
    if std::io::stdin().is_terminal() || !Pid::this().as_raw().eq(&1) {
        let why = "the keeper starts it, as process 1".to_owned();
        return Err(NetError::Refused { what: "be a host".to_owned(), why });
    }
    let new = CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    refused("make the namespaces of a host", unshare(new))?;
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    refused("wait for processes", children.thread_block())?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let ended = refused("wait for processes", SignalFd::with_flags(&children, flags))?;
    let mut host = Host::new(birth)?;
    say("born");
    // The cable is there when the first order is.
    if !host.orders.wait_for("network") {
        return Ok(());
    }
    links::batch(&links::host_end(Address::numbered(birth.number)))?;
    refused("set the host's name", sethostname(&birth.host))?;
    let layout = Layout::new(&birth.lab);
    enter::take_root(&layout, &birth.host, true, &disk::mounts(&layout, &birth.host))?;
    host.live(&ended);
    Ok(())
}

/// Tells the keeper. One that is gone takes this process along.
fn say(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// How a service stands.
struct Running {
    service: Service,
    wanted: bool,
    pid: Option<i32>,
    /// When it is to be started, where it is wanted and does not run.
    due_ms: Millis,
    told: bool,
}

struct Host {
    services: Vec<Running>,
    orders: Orders,
    mark: String,
    look_ms: u16,
}

impl Host {
    fn new(birth: &Birth) -> Result<Host, NetError> {
        let services = services::all(&birth.lab, &birth.host)?.into_iter();
        Ok(Host {
            services: services
                .map(|service| Running {
                    service,
                    wanted: false,
                    pid: None,
                    due_ms: 0,
                    told: false,
                })
                .collect(),
            orders: Orders::default(),
            mark: process::mark(&birth.lab, &birth.host),
            look_ms: LISTEN_LOOK_MS,
        })
    }

    /// Until the input ends.
    fn live(&mut self, ended: &SignalFd) {
        loop {
            self.start_what_is_due();
            let stdin = std::io::stdin();
            let mut fds = [
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
                PollFd::new(ended.as_fd(), PollFlags::POLLIN),
            ];
            // A signal that came in between is in the next round.
            let _ = poll(&mut fds, self.patience());
            let asked = fds[0].revents().is_some_and(|events| !events.is_empty());
            while matches!(ended.read_signal(), Ok(Some(_))) {}
            self.reap();
            if asked && !self.orders.read() {
                return;
            }
            while let Some(line) = self.orders.next() {
                self.obey(&line);
            }
            self.tell();
        }
    }

    fn patience(&self) -> PollTimeout {
        let waits = self.services.iter().any(|one| one.wanted && !one.told);
        if waits { PollTimeout::from(self.look_ms) } else { PollTimeout::NONE }
    }

    fn start_what_is_due(&mut self) {
        let now = SystemClock::read_ms();
        for one in self.services.iter_mut().filter(|one| one.wanted && one.pid.is_none()) {
            if one.due_ms > now {
                continue;
            }
            self.look_ms = LISTEN_LOOK_MS;
            let mut command = process::command(&one.service.program);
            command
                .args(&one.service.args)
                .env_clear()
                .env("PATH", "/usr/bin:/usr/sbin")
                .env(process::MARK, &self.mark)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            match command.spawn() {
                Ok(child) => one.pid = i32::try_from(child.id()).ok(),
                Err(error) => complain(&format!("cannot start {}: {error}", one.service.name)),
            }
            one.due_ms = now + RESTART_MS;
        }
    }

    /// Waits for all that ended: everything on the host is this process's child
    /// at last.
    fn reap(&mut self) {
        loop {
            let pid = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => pid.as_raw(),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            for one in self.services.iter_mut().filter(|one| one.pid == Some(pid)) {
                if one.wanted {
                    complain(&format!("{} has ended", one.service.name));
                }
                (one.pid, one.told) = (None, false);
            }
        }
    }

    fn obey(&mut self, line: &str) {
        let Some((word, rest)) = line.split_once(' ') else { return };
        let mut named = self.services.iter_mut().find(|one| one.service.name == rest);
        match (word, &mut named) {
            ("start", Some(one)) => (one.wanted, one.due_ms) = (true, 0),
            ("stop", Some(one)) => {
                (one.wanted, one.told) = (false, false);
                if let Some(pid) = one.pid {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            ("close", _) => {
                let listener = self.services.iter().find(|one| one.service.name == SSHD);
                let before = rest.parse().unwrap_or(0);
                sessions::close(before, listener.and_then(|one| one.pid));
            }
            _ => complain(&format!("what is `{line}`?")),
        }
    }

    fn tell(&mut self) {
        if self.services.iter().all(|one| one.told || one.pid.is_none()) {
            return;
        }
        self.look_ms = (self.look_ms * 2).min(LISTEN_LOOK_MAX_MS);
        for one in self.services.iter_mut().filter(|one| one.pid.is_some() && !one.told) {
            if is_listened_on(one.service.port) {
                one.told = true;
                say(&format!("answers {}", one.service.name));
            }
        }
    }
}

/// For the host's console.
fn complain(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Whether somebody listens on the port: then nobody else can have it. Nobody is
/// troubled with a connection, nor kept from the port by a socket that does not
/// listen; and the kernel's table of all sockets takes milliseconds to read.
fn is_listened_on(port: u16) -> bool {
    let made = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let Ok(socket) = made else { return false };
    let address = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
    setsockopt(&socket, ReuseAddr, &true).is_ok()
        && bind(socket.as_raw_fd(), &address) == Err(nix::Error::EADDRINUSE)
}

/// What the keeper wrote and is not done yet.
#[derive(Default)]
struct Orders {
    bytes: Vec<u8>,
}

impl Orders {
    /// Takes in what is there. False when there will be no more.
    fn read(&mut self) -> bool {
        let mut buffer = [0u8; 512];
        // Past std's own buffer: what it kept back, no poll would tell of.
        match nix::unistd::read(std::io::stdin().as_fd(), &mut buffer) {
            Ok(0) => false,
            Ok(read) => {
                self.bytes.extend_from_slice(&buffer[..read]);
                self.bytes.len() <= LINE_MAX
            }
            Err(nix::Error::EINTR | nix::Error::EAGAIN) => true,
            Err(_) => false,
        }
    }

    fn next(&mut self) -> Option<String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.bytes.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Waits until that line comes. False when it does not.
    fn wait_for(&mut self, wanted: &str) -> bool {
        loop {
            while let Some(line) = self.next() {
                if line == wanted {
                    return true;
                }
            }
            if !self.read() {
                return false;
            }
        }
    }
}
