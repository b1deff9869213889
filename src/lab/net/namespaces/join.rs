//! Into namespaces that others hold.

use std::fs::File;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

use super::boot_file::InitFile;
use crate::lab::net::identity::Identity;
use crate::lab::net::layout::{Layout, NetError, refused};

/// All that a host has of its own; the mounts last, for they take `/proc` away.
const ALL: [(&str, CloneFlags); 5] = [
    ("net", CloneFlags::CLONE_NEWNET),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
];

fn enter(file: &File, kind: CloneFlags, what: &str) -> Result<(), NetError> {
    refused(&format!("join {what}"), setns(file, kind))
}

/// Joins the host's namespaces. Its process ids count for the processes that this
/// one starts.
pub fn join(lab: &Path, host: &str) -> Result<(), NetError> {
    let layout = Layout::new(lab);
    let down = || NetError::HostDown(host.to_owned());
    let init = InitFile::read(&layout, host).ok_or_else(down)?.init;
    let mut files = Vec::new();
    for (name, kind) in ALL {
        files.push((init.namespace(name).ok_or_else(down)?, kind, name));
    }
    for (file, kind, name) in files {
        enter(&file, kind, &format!("the {name} namespace of `{host}`"))?;
    }
    Ok(())
}

/// Joins the keeper's control network.
pub(super) fn join_control(keeper: &Identity) -> Result<bool, NetError> {
    let Some(net) = keeper.namespace("net") else { return Ok(false) };
    enter(&net, CloneFlags::CLONE_NEWNET, "the lab's network").map(|()| true)
}

/// Does something in the network of a process, which waits for it: namespaces
/// belong to threads.
pub(super) fn in_network_of<R: Send + 'static>(
    pid: Pid,
    act: impl FnOnce() -> R + Send + 'static,
) -> Result<R, NetError> {
    let path = format!("/proc/{pid}/ns/net");
    let net = File::open(&path).map_err(crate::lab::net::layout::io(Path::new(&path)))?;
    let within = std::thread::spawn(move || {
        enter(&net, CloneFlags::CLONE_NEWNET, "a host's network").map(|()| act())
    });
    within.join().unwrap_or_else(|_| {
        Err(NetError::Refused {
            what: "work in a host's network".to_owned(),
            why: "it failed".to_owned(),
        })
    })
}
