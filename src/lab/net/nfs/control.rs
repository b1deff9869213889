//! What a command tells the mounter of a host's mounts.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mount::{Wanted, tables};
use super::wire::{receive, send};
use crate::base::Millis;
use crate::lab::handle::{Lab, LabError};
use crate::lab::net::layout::{Layout, NetError, io as io_error, write};
use crate::lab::program::Unmounts;

/// How long a mounter may take for mounts that are to be made or ended.
const WAIT: Duration = Duration::from_secs(60);

/// What a mounter is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Order {
    /// Make and end mounts as the emulation's table has them now.
    Follow,
    /// End the mount there, if there is one, for a command that is about to take
    /// it from the table: it is not made again meanwhile.
    Unmount { point: String, force: bool },
    /// Follow: the command has ended, and the table says what has become of it.
    Settle { point: String },
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// It is so.
    Done,
    /// Somebody uses the mount.
    Busy,
}

/// Which mounts a mounter has seen to: by mount point, and when they were made.
pub(super) type SeenTo = Vec<(String, Millis)>;

const SOCKET: &str = "nfs.sock";
const SEEN_TO: &str = "nfs.json";

/// The socket of a host, by a path that is short whatever the lab's is.
fn with_socket<T>(
    layout: &Layout,
    host: &str,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let home = fs::File::open(layout.home(host))?;
    act(Path::new(&format!("/proc/self/fd/{}/{SOCKET}", home.as_raw_fd())))
}

/// Where a host's mounter hears orders.
pub(super) fn listen(layout: &Layout, host: &str) -> Result<UnixListener, NetError> {
    let path = layout.home(host).join(SOCKET);
    with_socket(layout, host, |socket| {
        // That of a mounter before.
        match fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        UnixListener::bind(socket)
    })
    .map_err(io_error(&path))
}

/// Remembers what a mounter has seen to.
pub(super) fn write_seen_to(layout: &Layout, host: &str, seen: &SeenTo) -> Result<(), NetError> {
    let text = serde_json::to_string(seen).expect("a list of mounts is plain data");
    write(&layout.home(host).join(SEEN_TO), &text)
}

/// What a mounter has seen to; nothing where there never was one.
fn seen_to(layout: &Layout, host: &str) -> Option<SeenTo> {
    let text = fs::read_to_string(layout.home(host).join(SEEN_TO)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether a host has, or had, a mounter.
fn has_mounter(layout: &Layout, host: &str) -> bool {
    layout.home(host).join(SEEN_TO).exists()
}

/// Gives a host's mounter an order, and waits until it is done. Nothing where the
/// host has no mounter, or is down.
fn order(layout: &Layout, host: &str, order: &Order) -> Option<Said> {
    let mut stream = with_socket(layout, host, |path| UnixStream::connect(path)).ok()?;
    stream.set_read_timeout(Some(WAIT)).ok()?;
    stream.set_write_timeout(Some(WAIT)).ok()?;
    send(&mut stream, order, &[]).ok()?;
    Some(receive(&mut stream).ok()?.0)
}

/// Lets the mounts of all hosts follow the emulation's tables. Hosts without a
/// mounter have none.
pub(in crate::lab::net) fn follow(lab: &Lab, layout: &Layout) -> Result<(), LabError> {
    let hosts = lab.hosts()?.into_iter().filter(|host| has_mounter(layout, host));
    for (host, table) in tables(lab, hosts.collect())? {
        let Some(seen) = seen_to(layout, &host) else { continue };
        let same = |(wanted, seen): (&Wanted, &(String, Millis))| {
            wanted.point == seen.0 && wanted.at_ms == seen.1
        };
        if table.len() != seen.len() || !table.iter().zip(&seen).all(same) {
            // What a host that is down would have done is done when it is up.
            let _ = order(layout, &host, &Order::Follow);
        }
    }
    Ok(())
}

/// Ends the kernel's mount before the emulation ends its own. False, and nothing
/// changed, when somebody uses it.
pub fn unmount(dir: &Path, Unmounts { host, point, force, .. }: &Unmounts) -> bool {
    let layout = Layout::new(dir);
    let seen = seen_to(&layout, host).unwrap_or_default();
    if !seen.iter().any(|(at, _)| at == point) {
        return true;
    }
    let unmount = Order::Unmount { point: point.clone(), force: *force };
    order(&layout, host, &unmount) != Some(Said::Busy)
}

/// After [`unmount`], when the emulation has ended its mount or has refused to.
pub fn settle(dir: &Path, Unmounts { host, point, .. }: &Unmounts) {
    let layout = Layout::new(dir);
    if has_mounter(&layout, host) {
        // What a host that is down would have done is done when it is up.
        let _ = order(&layout, host, &Order::Settle { point: point.clone() });
    }
}
