//! Hosts of the lab as real processes: a root directory for each, sshd in it,
//! and the emulated AIX behind links at AIX's own paths.
//!
//! ```text
//! LAB/ssh/estate.json          how hosts are reached, and what was made for it
//! LAB/ssh/config               configuration for OpenSSH's client
//! LAB/ssh/id, known_hosts      keys
//! LAB/ssh/farm/                links: AIX's commands, and the tools of a shell
//! LAB/ssh/hosts/HOST/root/     what the host's processes see as `/`
//! LAB/ssh/hosts/HOST/link      what its network does at present
//!
//! With hosts as namespaces (`namespaces`):
//! LAB/ssh/keeper.json, .log    the process that all hosts depend on
//! LAB/ssh/hosts/HOST/init.json its process 1, while it runs
//! LAB/ssh/hosts/HOST/link.seen what of `link` is done
//! LAB/ssh/hosts/HOST/console   what its processes say
//! LAB/ssh/hosts/HOST/disk/     its disk, in the keeper's mounts alone
//! ```
//!
//! A host's files are the emulation's: its root directory holds links,
//! configuration, empty directories where the emulation has some, and the
//! directories of `here::REAL`, which are real. Linux only.

mod enter;
mod here;
mod identity;
mod keys;
mod layout;
mod link;
mod namespaces;
pub mod nfs;
mod process;
mod remote;
mod root;
mod say;
mod serve;
mod trouble;
mod up;

pub use enter::enter;
pub use here::{Here, job_of_this_process, real_tool};
pub use layout::{NetError, Way};
pub use link::Link;
pub use namespaces::{Birth, join, keep, run_host, wire};
pub use process::exit_code;
pub use remote::remote_shell;
pub use serve::serve;
pub use trouble::{end_trouble, make_trouble, way};
pub use up::{check, choose, down, follow, stop_host, up};
