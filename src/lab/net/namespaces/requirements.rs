//! What hosts as namespaces need of the machine.

use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use super::links;
use crate::lab::net::layout::{NetError, refused};
use crate::lab::net::root;

/// Whether hosts can be namespaces here. A thread tries it, with which all that
/// it made ends.
pub(in crate::lab::net) fn check() -> Result<(), NetError> {
    if !geteuid().is_root() {
        return Err(NetError::Missing {
            what: "root".to_owned(),
            cure: "run as root, or take `--ssh=proxy`".to_owned(),
        });
    }
    root::sshd()?;
    links::ip()?;
    let tried = std::thread::spawn(|| {
        let all = CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWPID;
        // The last: its first process would be the last one.
        let network = all.difference(CloneFlags::CLONE_NEWPID);
        refused("make namespaces (root of a container may lack CAP_SYS_ADMIN)", unshare(network))?;
        links::batch(
            "link add br0 type bridge\nlink add h0 type veth peer name e0\nlink set h0 master br0\n",
        )?;
        refused("make a namespace of process ids", unshare(CloneFlags::CLONE_NEWPID))
    });
    tried.join().unwrap_or_else(|_| {
        Err(NetError::Refused { what: "try namespaces".to_owned(), why: "it failed".to_owned() })
    })
}
