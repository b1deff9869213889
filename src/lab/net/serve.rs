//! A connection to a host: `sshd -i`, and a pipe between it and its caller that
//! can be cut, silenced or slowed at an exact byte.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::layout::{Layout, NetError};
use super::link::Link;
use super::{process, root, say};
use crate::base::SystemClock;
use crate::lab::handle::{Lab, LabError};

/// How often a connection looks at its link.
const LOOK_MS: u16 = 50;

/// Why no connection is made.
fn refusal(lab: &Lab, host: &str) -> Result<Option<String>, LabError> {
    lab.refuses_connection(host)
}

/// Serves one connection on stdin and stdout. Gives the exit status.
pub fn serve(dir: &Path, host: &str) -> Result<u8, NetError> {
    let layout = Layout::new(dir);
    layout.record()?;
    let lab = Lab::open(dir)?;
    let link = Link::read(&layout, host);
    let why = if link.silent() {
        Some("Connection timed out".to_owned())
    } else if link.refused() {
        Some("Connection refused".to_owned())
    } else {
        refusal(&lab, host)?
    };
    drop(lab);
    if let Some(why) = why {
        say::no_connection(host, &why);
        return Ok(255);
    }
    let (ours, theirs) = UnixStream::pair().map_err(super::layout::io(Path::new("socketpair")))?;
    let mut child = start(&layout, host, theirs)?;
    relay(&layout, host, ours);
    // sshd ends with its connection; sessions go on as they would.
    let _ = child.kill();
    let _ = child.wait();
    Ok(0)
}

fn start(layout: &Layout, host: &str, socket: UnixStream) -> Result<Child, NetError> {
    let program = root::own_program()?;
    let clone = socket.try_clone().map_err(super::layout::io(Path::new("socket")))?;
    let mut command = process::command(&program);
    command
        .args(["lab", "enter"])
        .arg(layout.lab())
        .arg(host)
        .arg("--")
        .arg(root::seen(&root::sshd()?))
        .args(["-i", "-e", "-f", "/etc/ssh/sshd_config"])
        .env_clear()
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)))
        .stdout(Stdio::from(std::os::fd::OwnedFd::from(clone)));
    command.spawn().map_err(|error| NetError::Failed {
        command: program.display().to_string(),
        why: error.to_string(),
    })
}

/// Hands bytes on in both directions until one side ends or the link is cut.
fn relay(layout: &Layout, host: &str, mut socket: UnixStream) {
    let began = SystemClock::read_ms();
    let (mut stdin, mut stdout) = (std::io::stdin(), std::io::stdout());
    let mut sent = 0u64;
    let mut buffer = vec![0u8; 32 << 10];
    let mut stalled = false;
    loop {
        let link = Link::read(layout, host);
        if link.closed_at_ms > began {
            return;
        }
        let silent = stalled || link.silent();
        let quiet = if silent { PollFlags::empty() } else { PollFlags::POLLIN };
        let ready = {
            let mut fds = [PollFd::new(stdin.as_fd(), quiet), PollFd::new(socket.as_fd(), quiet)];
            if poll(&mut fds, PollTimeout::from(LOOK_MS)).is_err() {
                continue;
            }
            [0, 1].map(|at| fds[at].revents().unwrap_or(PollFlags::empty()))
        };
        let [caller, server] = ready;
        // A cut line tells nobody that the other side is gone.
        if silent {
            if caller.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                return;
            }
            process::pause(u64::from(LOOK_MS));
            continue;
        }
        let any = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
        if !(caller | server).is_empty() && link.delay_ms > 0 {
            process::pause(link.delay_ms);
        }
        if caller.intersects(any) {
            match read_some(&mut stdin, &mut buffer) {
                0 => return,
                read if socket.write_all(&buffer[..read]).is_err() => return,
                _ => {}
            }
        }
        if server.intersects(any) {
            let mut read = socket.read(&mut buffer).unwrap_or(0);
            if read == 0 {
                return;
            }
            let limit = link.cut_after.or(link.stall_after).map(|limit| limit.saturating_sub(sent));
            let reached = limit.is_some_and(|limit| read as u64 >= limit);
            if reached {
                read = read.min(usize::try_from(limit.unwrap_or(0)).unwrap_or(read));
            }
            if stdout.write_all(&buffer[..read]).and_then(|()| stdout.flush()).is_err() {
                return;
            }
            sent += read as u64;
            if reached && link.cut_after.is_some() {
                return;
            }
            stalled = reached;
        }
    }
}

fn read_some(stdin: &mut std::io::Stdin, buffer: &mut [u8]) -> usize {
    // Past std's own buffer: what it kept back, no poll would tell of.
    nix::unistd::read(stdin.as_fd(), buffer).unwrap_or(0)
}
