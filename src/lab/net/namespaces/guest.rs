//! A host, as the keeper holds it: begun, connected, told what its link does,
//! and without power again.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;

use super::address::Address;
use super::boot_file::InitFile;
use super::links::{self, Shape, Shaping};
use super::services::SSHD;
use super::{disk, services};
use crate::base::{Millis, SystemClock};
use crate::lab::net::identity::Identity;
use crate::lab::net::layout::{Layout, NetError, io, write};
use crate::lab::net::link::Link;
use crate::lab::net::{process, root};

/// A console that is longer is started again with the next boot.
const CONSOLE_MAX: u64 = 1 << 20;

/// An init says short lines.
const LINE_MAX: u64 = 4 << 10;

/// The thread that waits for an init does nothing else.
const STACK_BYTES: usize = 256 << 10;

/// What comes from a host's process 1.
#[derive(Debug)]
pub(super) enum Told {
    /// A line.
    Line(String),
    /// It has ended; it is for the keeper to wait for it.
    Ended,
}

/// How far a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Process 1 runs.
    Begun,
    /// It has a network of its own, without a cable.
    Born,
    /// The cable is there.
    Cabled,
    /// Its services listen.
    Answering,
}

/// What was done to the link since the host has its cable.
#[derive(Debug, Default)]
struct Applied {
    up: bool,
    shape: Shape,
    listening: bool,
    closed_at_ms: Millis,
}

struct Init {
    pid: Pid,
    orders: ChildStdin,
    boot_ms: Millis,
    stage: Stage,
    ending: bool,
    applied: Applied,
}

/// A host.
pub(super) struct Guest {
    pub(super) name: String,
    address: Address,
    init: Option<Init>,
    is_full: bool,
    /// What the link's file said when it was done last.
    seen: Option<Link>,
}

impl Guest {
    pub(super) fn new(name: String, address: Address) -> Guest {
        Guest { name, address, init: None, is_full: false, seen: None }
    }

    /// Which boot of the host runs; also while it ends.
    pub(super) fn boot_ms(&self) -> Option<Millis> {
        self.init.as_ref().map(|init| init.boot_ms)
    }

    /// Whether it is on its way down.
    pub(super) fn is_ending(&self) -> bool {
        self.init.as_ref().is_some_and(|init| init.ending)
    }

    /// Whether its services listen, those that are to.
    pub(super) fn is_settled(&self) -> bool {
        self.init.as_ref().is_some_and(|init| {
            init.stage == Stage::Answering
                || (init.stage == Stage::Cabled && !init.applied.listening)
        })
    }

    /// Begins process 1. What it tells comes by `tell`.
    pub(super) fn begin(
        &mut self,
        layout: &Layout,
        boot_ms: Millis,
        tell: impl Fn(Told) + Send + 'static,
    ) -> Result<(), NetError> {
        let command = self.command(layout)?;
        let (answer, asked) = channel();
        let spawned = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || be_parent(command, &answer, tell));
        spawned.map_err(io(Path::new("a thread")))?;
        let gone = || NetError::Refused {
            what: format!("begin `{}`", self.name),
            why: "its thread has ended".to_owned(),
        };
        let (pid, orders) = asked.recv().map_err(|_| gone())??;
        let identity = Identity::of(pid).ok_or_else(gone)?;
        self.init = Some(Init {
            pid,
            orders,
            boot_ms,
            stage: Stage::Begun,
            ending: false,
            applied: Applied::default(),
        });
        let file = InitFile { init: identity, boot_ms };
        let text = serde_json::to_string(&file).expect("it is plain data");
        write(&layout.home(&self.name).join("init.json"), &text)
    }

    fn command(&self, layout: &Layout) -> Result<Command, NetError> {
        let path = layout.home(&self.name).join("console");
        if fs::metadata(&path).is_ok_and(|found| found.len() > CONSOLE_MAX) {
            fs::remove_file(&path).map_err(io(&path))?;
        }
        let console = OpenOptions::new().create(true).append(true).open(&path);
        let mut command = process::command(root::own_program()?);
        command
            .args(["lab", "host"])
            .arg(layout.lab())
            .args([&self.name, &self.address.number().to_string()])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env(process::MARK, process::mark(layout.lab(), &self.name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(console.map_err(io(&path))?);
        Ok(command)
    }

    /// Takes in a line of process 1. Gives the lines of `ip` that it needs.
    pub(super) fn hear(&mut self, layout: &Layout, line: &str) -> Option<String> {
        let init = self.init.as_mut().filter(|init| !init.ending)?;
        match line.split_once(' ') {
            None if line == "born" => {
                init.stage = Stage::Born;
                init.applied.up = !Link::read(layout, &self.name).silent();
                return Some(links::cable(self.address, init.pid, init.applied.up));
            }
            Some(("answers", SSHD)) => init.stage = init.stage.max(Stage::Answering),
            _ => {}
        }
        None
    }

    /// The cable is there.
    pub(super) fn cabled(&mut self, layout: &Layout, shaping: Shaping) -> Result<(), NetError> {
        let link = Link::read(layout, &self.name);
        if let Some(init) = self.init.as_mut().filter(|init| init.stage == Stage::Born) {
            init.stage = Stage::Cabled;
            // Sessions of an earlier boot are gone with it.
            init.applied.closed_at_ms = link.closed_at_ms;
            order(init, "network");
            let services = services::all(layout.lab(), &self.name)?;
            for service in services.iter().filter(|service| service.name != SSHD) {
                order(init, &format!("start {}", service.name));
            }
        }
        self.follow_link(&link, shaping)
    }

    /// Does what the link's file says now.
    pub(super) fn look_at_link(
        &mut self,
        layout: &Layout,
        shaping: Shaping,
    ) -> Result<(), NetError> {
        let link = Link::read(layout, &self.name);
        if link.full() != self.is_full {
            disk::set_full(layout, &self.name, link.full())?;
            self.is_full = link.full();
        }
        self.follow_link(&link, shaping)?;
        if self.seen.as_ref() != Some(&link) {
            link.write_seen(layout, &self.name)?;
            self.seen = Some(link);
        }
        Ok(())
    }

    fn follow_link(&mut self, link: &Link, shaping: Shaping) -> Result<(), NetError> {
        let Some(init) = self.init.as_mut() else { return Ok(()) };
        if init.ending || init.stage < Stage::Cabled {
            return Ok(());
        }
        let shape = Shape { delay_ms: link.delay_ms, loss_percent: link.loss_percent };
        if shape != init.applied.shape {
            init.applied.shape = shape;
            links::shape(self.address, init.pid, shaping, shape)?;
        }
        if link.silent() == init.applied.up {
            init.applied.up = !link.silent();
            links::set_up(self.address, init.applied.up)?;
        }
        if link.refused() == init.applied.listening {
            init.applied.listening = !link.refused();
            if link.refused() {
                init.stage = Stage::Cabled;
            }
            order(init, &format!("{} {SSHD}", if link.refused() { "stop" } else { "start" }));
            if link.refused() {
                // Also those that began since the trouble was asked for.
                order(init, &format!("close {}", SystemClock::read_ms()));
            }
        }
        if link.closed_at_ms > init.applied.closed_at_ms
            && link.closed_at_ms <= SystemClock::read_ms()
        {
            init.applied.closed_at_ms = link.closed_at_ms;
            order(init, &format!("close {}", link.closed_at_ms));
        }
        Ok(())
    }

    /// Takes the power away: the cable first, or the kernel would say goodbye for
    /// the host.
    pub(super) fn cut_power(&mut self, layout: &Layout, shaping: Shaping) {
        let Some(init) = self.init.as_mut().filter(|init| !init.ending) else { return };
        init.ending = true;
        links::uncable(self.address, shaping);
        // It is not waited for yet: the number is still its own.
        let _ = kill(init.pid, Signal::SIGKILL);
        let _ = fs::remove_file(layout.home(&self.name).join("init.json"));
    }

    /// Process 1 has ended, and with it everything on the host. Gives whether
    /// nobody wanted that.
    pub(super) fn ended(&mut self, layout: &Layout, shaping: Shaping) -> bool {
        let Some(init) = self.init.take() else { return false };
        let _ = waitpid(init.pid, None);
        if !init.ending {
            links::uncable(self.address, shaping);
            let _ = fs::remove_file(layout.home(&self.name).join("init.json"));
        }
        !init.ending
    }

    /// The last lines of its console.
    pub(super) fn console(&self, layout: &Layout) -> String {
        let text = fs::read(layout.home(&self.name).join("console")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

/// An init that does not take it is about to end, which is told.
fn order(init: &mut Init, line: &str) {
    let _ = writeln!(init.orders, "{line}").and_then(|()| init.orders.flush());
}

type Born = Result<(Pid, ChildStdin), NetError>;

/// The thread that is a process 1's parent: of all threads it alone has the new
/// process ids, and process 1 ends when it does.
fn be_parent(mut command: Command, answer: &Sender<Born>, tell: impl Fn(Told)) {
    let born = unshare(CloneFlags::CLONE_NEWPID)
        .map_err(std::io::Error::from)
        .and_then(|()| command.spawn())
        .map_err(io(Path::new("lab host")));
    let (pid, output) = match born.and_then(parts) {
        Ok((pid, orders, output)) => {
            let _ = answer.send(Ok((pid, orders)));
            (pid, output)
        }
        Err(error) => {
            let _ = answer.send(Err(error));
            return;
        }
    };
    let mut output = BufReader::new(output);
    loop {
        let mut line = String::new();
        match output.by_ref().take(LINE_MAX).read_line(&mut line) {
            Ok(read) if read > 0 => tell(Told::Line(line.trim_end().to_owned())),
            _ => break,
        }
    }
    // Left as it is, so that its number is not another's before the keeper knows.
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(pid), ended) == Err(nix::Error::EINTR) {}
    tell(Told::Ended);
}

fn parts(mut child: Child) -> Result<(Pid, ChildStdin, std::process::ChildStdout), NetError> {
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    match (pid, child.stdin.take(), child.stdout.take()) {
        (Ok(pid), Some(orders), Some(output)) => Ok((pid, orders, output)),
        _ => Err(NetError::Refused {
            what: "begin a host".to_owned(),
            why: "it has no pipes".to_owned(),
        }),
    }
}
