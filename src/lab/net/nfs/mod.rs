//! NFS between hosts of the lab, for real programs.
//!
//! The emulation's commands see a mounted file system through the world. A
//! program of the machine sees it through a mount of the kernel (FUSE, without
//! libfuse): one process for each mount, which puts every question to the
//! exporting host over a TCP connection. There a server answers from the world,
//! under its lock, as a command would: both see the same files, and what becomes
//! of a mount when the host is away, or no longer exports, is the same for both.
//!
//! ```text
//! program ─ kernel ─ mount (files, inodes, ask) ══ TCP ══ server ─ answer ─ world
//!                      ▲ started and ended by                       ▲
//!                    keeper ◀── a command has changed the table ── commands
//! ```
//!
//! No command of the emulation goes through such a mount, and none holds the
//! lab's lock while it touches a path: a mount waits for the lock.

mod answer;
mod ask;
mod bytes;
mod control;
mod files;
mod inodes;
mod keeper;
mod mount;
mod server;
mod wire;

pub use keeper::{Addresses, Keeper};
pub use mount::{MountError, Spot, mount};
pub use server::{Admits, Server};
pub use wire::PORT;

use std::path::Path;

use super::super::handle::{Lab, LabError};
use super::super::program::Unmounts;
use super::layout::Layout;
use control::{Order, Said};

/// Lets the mounts of all hosts follow the emulation's tables. Hosts without a
/// keeper have none.
pub(super) fn follow(lab: &Lab, layout: &Layout) -> Result<(), LabError> {
    let hosts = lab.hosts()?.into_iter().filter(|host| control::is_kept(layout, host));
    for (host, table) in mount::tables(lab, hosts.collect())? {
        control::follow(layout, &host, &table);
    }
    Ok(())
}

/// Ends the kernel's mount before the emulation ends its own. False, and nothing
/// changed, when somebody uses it.
pub fn unmount(dir: &Path, Unmounts { host, point, force, .. }: &Unmounts) -> bool {
    let layout = Layout::new(dir);
    if !control::has(&layout, host, point) {
        return true;
    }
    let order = Order::Unmount { point: point.clone(), force: *force };
    control::order(&layout, host, &order) != Some(Said::Busy)
}
