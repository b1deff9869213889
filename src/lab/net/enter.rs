//! From the machine into the root of a host.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, chdir, getegid, geteuid, pivot_root};

use super::here::Here;
use super::layout::{Layout, NetError, refused};

fn map(from: u32, to: u32, group_from: u32, group_to: u32) -> Result<(), NetError> {
    let write = |name: &str, text: String| {
        refused("map users of a namespace", fs::write(format!("/proc/self/{name}"), text))
    };
    // Only a process that cannot change its groups may map them.
    let _ = fs::write("/proc/self/setgroups", "deny");
    write("uid_map", format!("{from} {to} 1"))?;
    write("gid_map", format!("{group_from} {group_to} 1"))
}

/// Whether this user may make the namespaces that hosts are made of.
pub(super) fn check_namespaces() -> Result<(), NetError> {
    if geteuid().is_root() {
        return Ok(());
    }
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let clone =
        fs::read_to_string("/proc/sys/kernel/unprivileged_userns_clone").unwrap_or_default();
    if limit.trim() == "0" || clone.trim() == "0" {
        return Err(NetError::Missing {
            what: "a user namespace".to_owned(),
            cure: "run as root, or let users make them (sysctl user.max_user_namespaces, \
                   kernel.unprivileged_userns_clone)"
                .to_owned(),
        });
    }
    Ok(())
}

/// Makes the host's root this process's own root, in a mount namespace of its
/// own.
///
/// Without root, it is done as root of a user namespace, and left again as the
/// user that it was: nothing of it can be undone from within. Of a process that
/// is on a host already, the way leads through the machine's root that it sees.
pub fn enter(lab: &Path, host: &str) -> Result<(), NetError> {
    let layout = Layout::new(lab);
    let (user, group): (Uid, Gid) = (geteuid(), getegid());
    if user.is_root() {
        refused(
            "make a mount namespace (root of a container may lack CAP_SYS_ADMIN)",
            unshare(CloneFlags::CLONE_NEWNS),
        )?;
    } else {
        refused(
            "make a user namespace (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)",
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS),
        )?;
        map(0, user.as_raw(), 0, group.as_raw())?;
    }
    take_root(&layout, host, false, &[])?;
    if !user.is_root() {
        refused("leave a user namespace", unshare(CloneFlags::CLONE_NEWUSER))?;
        map(user.as_raw(), 0, group.as_raw(), 0)?;
    }
    Ok(())
}

/// Makes the host's root this process's own root, in the mount namespace that it
/// has made. `own_proc`: it is in a namespace of process ids as well. `more`:
/// directories of the machine, and where the root has them.
pub(super) fn take_root(
    layout: &Layout,
    host: &str,
    own_proc: bool,
    more: &[(PathBuf, PathBuf)],
) -> Result<(), NetError> {
    let root = layout.root(host);
    let machine = Here::find().map_or_else(|| Path::new("/").to_owned(), |here| here.base);
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    refused("keep mounts private", mount(none, "/", none, private, none))?;
    let bind = |from: &Path, to: &Path| {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        refused(
            &format!("mount {} on {}", from.display(), to.display()),
            mount(Some(from), to, none, flags, none),
        )
    };
    bind(&root, &root)?;
    // Bound first, and so without what follows.
    bind(&machine, &root.join("lab/base"))?;
    bind(&layout.file("farm"), &root.join("lab/farm"))?;
    bind(Path::new("/dev"), &root.join("dev"))?;
    for (from, to) in more {
        bind(from, to)?;
    }
    if own_proc {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        refused("mount /proc", mount(Some("proc"), &root.join("proc"), Some("proc"), flags, none))?;
    } else {
        bind(Path::new("/proc"), &root.join("proc"))?;
    }
    refused("go to the host's root", chdir(&root))?;
    // Not `chroot`: whoever is in one may make no user namespace.
    refused("take the host's root", pivot_root(".", "."))?;
    refused("leave the machine's root", umount2(".", MntFlags::MNT_DETACH))
}
