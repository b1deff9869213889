//! A host's own disk: where its real directories lie, small enough to be filled,
//! and outside of the host, so that a boot does not empty it.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::statvfs;

use crate::lab::net::layout::{Layout, NetError, io, make_dir, refused};

/// What a disk holds. A job's output is bounded, and so are jobs.
const SIZE: &str = "size=64m,mode=755";

/// The directory of a host that lies on it.
const JOBS: &str = "var/adm/nimshift-jobs";

fn place(layout: &Layout, host: &str) -> PathBuf {
    layout.home(host).join("disk")
}

/// Makes a host's disk in this process's mount namespace.
pub(super) fn make(layout: &Layout, host: &str) -> Result<(), NetError> {
    let disk = place(layout, host);
    make_dir(&disk)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    refused(
        &format!("mount a disk on {}", disk.display()),
        mount(Some("lab"), &disk, Some("tmpfs"), flags, Some(SIZE)),
    )?;
    make_dir(&disk.join("jobs"))?;
    make_dir(&layout.root(host).join(JOBS))
}

/// Directories of the disk, and where the host's root has them.
pub(super) fn mounts(layout: &Layout, host: &str) -> [(PathBuf, PathBuf); 1] {
    [(place(layout, host).join("jobs"), layout.root(host).join(JOBS))]
}

/// Fills the disk, or gives the room back.
pub(super) fn set_full(layout: &Layout, host: &str, full: bool) -> Result<(), NetError> {
    let disk = place(layout, host);
    let ballast = disk.join("ballast");
    if full { fill(&disk, &ballast) } else { empty(&ballast) }
}

fn fill(disk: &Path, ballast: &Path) -> Result<(), NetError> {
    let failed = |why: nix::Error| io(ballast)(why.into());
    let file = OpenOptions::new().create(true).append(true).open(ballast).map_err(io(ballast))?;
    loop {
        let stat = statvfs(disk).map_err(failed)?;
        let free = stat.blocks_free() * stat.fragment_size();
        if free == 0 {
            return Ok(());
        }
        let length = file.metadata().map_err(io(ballast))?.len();
        let end = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        match fallocate(&file, FallocateFlags::empty(), end(length), end(free)) {
            // Others write meanwhile: what is free now is asked again.
            Ok(()) | Err(nix::Error::ENOSPC) => {}
            Err(why) => return Err(failed(why)),
        }
    }
}

fn empty(ballast: &Path) -> Result<(), NetError> {
    match fs::remove_file(ballast) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(ballast)(error)),
        _ => Ok(()),
    }
}
