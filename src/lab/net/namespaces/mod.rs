//! Hosts as namespaces of the kernel: a network of their own, and a real `sshd`
//! that listens in it.
//!
//! ```text
//! keeper   `lab keep`: the control network (a bridge), a mount namespace with
//!  │       the hosts' disks, and the watch over world and links
//!  ├─ init `lab host`, process 1 of a host: network, mounts, host name, IPC and
//!  │   │   process ids of its own; its services
//!  │   └─ sshd -D and its sessions
//!  └─ …
//!
//! ssh ── `lab wire`: a TCP connection made in the control network, handed over
//! ```
//!
//! Namespaces and mounts are held by these processes alone. An init ends with
//! the keeper, everything on a host with its init; then nothing is left of it.

mod address;
mod boot_file;
mod bring_up;
mod disk;
mod guest;
mod init;
mod join;
mod keeper;
mod kept;
mod links;
mod requirements;
mod services;
mod sessions;
mod wire;

pub(super) use address::Address;
pub(super) use boot_file::{SEEN_MS, wait_for_end};
pub(super) use bring_up::bring_up;
pub use init::{Birth, run_host};
pub use join::join;
pub use keeper::keep;
pub(super) use kept::Kept;
pub(super) use links::Shaping;
pub(super) use requirements::check;
pub use wire::wire;
