//! A connection for OpenSSH's client: made in the lab's network, handed over as
//! an open socket.

use std::io::{ErrorKind, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::geteuid;

use super::address::Address;
use super::join::join_control;
use super::kept::Kept;
use crate::lab::handle::Lab;
use crate::lab::net::layout::{Layout, NetError, refused};
use crate::lab::net::say;

/// How long a connection is tried, as the configuration has it for `ssh`.
const CONNECT: Duration = Duration::from_secs(5);

/// `sshd`'s port.
const PORT: u16 = 22;

/// Connects to a host's `sshd` and hands the socket over on stdout, for
/// `ProxyUseFdpass`. Gives the exit status; what fails is said as `ssh` says it.
pub fn wire(dir: &Path, host: &str) -> Result<u8, NetError> {
    match connect(dir, host) {
        Err(NetError::KeeperGone) => {
            say::to_caller(&format!("{}\n", NetError::KeeperGone));
            Ok(255)
        }
        Err(error) => Err(error),
        Ok(Ok(socket)) => hand_over(&socket).map(|()| 0),
        Ok(Err(why)) => {
            say::no_connection(host, &why);
            Ok(255)
        }
    }
}

fn connect(dir: &Path, host: &str) -> Result<Result<TcpStream, String>, NetError> {
    let layout = Layout::new(dir);
    let record = layout.record()?;
    let index = record.hosts.iter().position(|known| known == host);
    let Some(address) = index.and_then(Address::of) else {
        return Err(NetError::HostDown(host.to_owned()));
    };
    if !geteuid().is_root() {
        return Err(NetError::Missing {
            what: "root".to_owned(),
            cure: "hosts that are namespaces are reached by root alone".to_owned(),
        });
    }
    let gone = || NetError::KeeperGone;
    let kept = Kept::read(&layout).ok_or_else(gone)?;
    if !join_control(&kept.keeper)? {
        return Err(gone());
    }
    if Lab::strikes_connection(dir, host)? {
        return Ok(Err("Connection timed out".to_owned()));
    }
    let to = SocketAddr::from((address.ip(), PORT));
    Ok(TcpStream::connect_timeout(&to, CONNECT).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => "Connection timed out".to_owned(),
        ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        ErrorKind::HostUnreachable => "No route to host".to_owned(),
        _ => error.to_string(),
    }))
}

/// One byte, and the socket beside it: what `mm_receive_fd` of OpenSSH expects.
fn hand_over(socket: &TcpStream) -> Result<(), NetError> {
    let fds: [RawFd; 1] = [socket.as_raw_fd()];
    let stdout = std::io::stdout().as_raw_fd();
    let sent = sendmsg::<()>(
        stdout,
        &[IoSlice::new(&[0])],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::empty(),
        None,
    );
    let what = "hand the connection over (it is for `ProxyUseFdpass yes` of ssh)";
    refused(what, sent.map(drop))
}
