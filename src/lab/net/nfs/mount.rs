//! One mount: a process that answers the kernel until it is unmounted.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fuser::{Config, MountOption, Session, SessionACL};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};

use super::ask::{Asker, NoAnswer, Patience};
use super::files::Mounted;
use super::wire::{Handle, Op, Refusal};
use crate::base::{Millis, SystemClock};
use crate::lab::handle::{Lab, LabError};
use crate::lab::world::{Mount, Source};

/// The type that the kernel shows for these mounts.
pub(super) const FS_TYPE: &str = "fuse.aixnfs";

/// What `nimshift lab nfs` says when the mount stands.
pub(super) const MOUNTED: &str = "mounted";

/// How long a server is waited for before anything is mounted.
const FIRST_ANSWER_MS: Millis = 10_000;

/// Why there is no mount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The estate could not be read.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The emulation has no such mount.
    #[error("{0} is no NFS mount of the host")]
    NoSuchMount(String),
    /// It is not known where its server is.
    #[error("the address of `{0}` is not known")]
    NoAddress(String),
    /// The server refuses.
    #[error("access denied for {0}")]
    Denied(String),
    /// What was mounted is no more.
    #[error("{0}: stale NFS file handle")]
    Stale(String),
    /// The server is away.
    #[error("server {0} not responding")]
    Silent(String),
    /// The kernel refuses.
    #[error("cannot mount on {path}: {source}")]
    Kernel { path: PathBuf, source: io::Error },
}

/// A mount of the emulation's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Where, as the host sees it.
    pub point: String,
    pub server: String,
    pub handle: Handle,
    pub options: String,
    /// When it was made: tells one mount at a place from a later one.
    pub at_ms: Millis,
}

impl Wanted {
    pub(super) fn of(mount: &Mount) -> Option<Wanted> {
        let Source::Nfs { host, path, vg, lv, sub, serial } = &mount.source else { return None };
        Some(Wanted {
            point: mount.point.clone(),
            server: host.clone(),
            handle: Handle {
                path: path.clone(),
                vg: vg.clone(),
                lv: lv.clone(),
                sub: sub.clone(),
                serial: *serial,
            },
            options: mount.options.clone(),
            at_ms: mount.at_ms,
        })
    }

    /// As a mount table shows it.
    pub(super) fn source(&self) -> String {
        format!("{}:{}", self.server, self.handle.path)
    }
}

/// NFS mounts of `host` by the emulation's table, in the order they were made.
pub(super) fn wanted(lab: &Lab, host: &str) -> Result<Vec<Wanted>, LabError> {
    lab.with(|world, _, _| {
        let found = world.find(host).ok_or_else(|| LabError::UnknownHost(host.to_owned()))?;
        Ok(found.mounts.iter().filter_map(Wanted::of).collect())
    })?
}

/// As [`wanted`], of many hosts.
pub(super) fn tables(
    lab: &Lab,
    hosts: Vec<String>,
) -> Result<Vec<(String, Vec<Wanted>)>, LabError> {
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    lab.with(|world, _, _| {
        let table = |host: String| {
            let mounts = world.find(&host)?.mounts.iter().filter_map(Wanted::of).collect();
            Some((host, mounts))
        };
        hosts.into_iter().filter_map(table).collect()
    })
}

/// Where a mount is made, and whom it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub host: String,
    /// The mount point, by the emulation's table.
    pub point: String,
    /// The directory that it is mounted over.
    pub at: PathBuf,
    pub server: SocketAddr,
    /// Whether the mount ends with the thread that has started this process.
    pub with_parent: bool,
}

/// Mounts what the emulation's table has at `spot`, says so by `say`, and answers
/// until it is unmounted.
pub fn mount(lab: &Path, spot: &Spot, say: impl FnOnce(&str)) -> Result<(), MountError> {
    if spot.with_parent {
        // Without it, the mount would only stand a while longer.
        let _ = set_pdeathsig(Signal::SIGKILL);
    }
    let wanted = wanted(&Lab::open(lab)?, &spot.host)?;
    let found = wanted.into_iter().rev().find(|wanted| wanted.point == spot.point);
    let wanted = found.ok_or_else(|| MountError::NoSuchMount(spot.point.clone()))?;
    let asker = Asker::new(
        (wanted.server.clone(), spot.server),
        spot.host.clone(),
        wanted.handle.clone(),
        SystemClock::read_ms() << 20 | u64::from(std::process::id() & 0xf_ffff),
        Patience::of(&wanted.options),
    );
    let source = wanted.source();
    let first = Op::Look { path: String::new() };
    match asker.ask_within(first, &[], Patience::Soft(FIRST_ANSWER_MS)) {
        Ok(_) => {}
        Err(NoAnswer::Refused(Refusal::Denied)) => return Err(MountError::Denied(source)),
        Err(NoAnswer::Refused(_)) => return Err(MountError::Stale(source)),
        Err(NoAnswer::TimedOut) => return Err(MountError::Silent(wanted.server)),
    }
    let owner = (geteuid().as_raw(), getegid().as_raw());
    let kernel = |source| MountError::Kernel { path: spot.at.clone(), source };
    let session = Session::new(Mounted::new(asker, owner), &spot.at, &config(&wanted));
    let session = session.map_err(kernel)?;
    say(MOUNTED);
    session.run().map_err(kernel)
}

fn config(wanted: &Wanted) -> Config {
    let read_only = wanted.options.split(',').any(|option| option == "ro");
    // Options go to the kernel as one text with commas.
    let name = wanted.source().replace([',', '\\'], "_");
    let (_, subtype) = FS_TYPE.split_once('.').unwrap_or_default();
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(name),
        // `Subtype` is for libfuse's helper; the kernel takes it itself.
        MountOption::CUSTOM(format!("subtype={subtype}")),
        MountOption::DefaultPermissions,
        if read_only { MountOption::RO } else { MountOption::RW },
    ];
    config.acl = SessionACL::All;
    config
}
