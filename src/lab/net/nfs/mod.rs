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
//!                    mounter ◀── a command has changed the table ── commands
//! ```
//!
//! No command of the emulation goes through such a mount, and none holds the
//! lab's lock while it touches a path: a mount waits for the lock.

mod addresses;
mod answer;
mod ask;
mod bytes;
mod control;
mod files;
mod inodes;
mod mount;
mod mounter;
mod server;
mod wire;

pub use addresses::Addresses;
pub(super) use control::follow;
pub use control::unmount;
pub use mount::{MountError, Spot, mount};
pub use mounter::Mounter;
pub use server::Server;
pub use wire::PORT;
