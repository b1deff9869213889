//! What a host runs by itself.

use std::path::{Path, PathBuf};

use crate::lab::net::layout::NetError;
use crate::lab::net::{nfs, root};

/// The name of `sshd` among the services.
pub(super) const SSHD: &str = "sshd";

/// A program that listens on a host as long as the keeper wants it to.
#[derive(Debug, Clone)]
pub(super) struct Service {
    /// What the keeper's orders call it.
    pub name: &'static str,
    /// The program, as the host sees it.
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Where it listens: it answers when somebody does there.
    pub port: u16,
}

/// All services of a host, in the order in which they are started.
pub(super) fn all(lab: &Path, host: &str) -> Result<Vec<Service>, NetError> {
    let sshd = Service {
        name: SSHD,
        program: root::seen(&root::sshd()?),
        args: ["-D", "-e", "-f", "/etc/ssh/sshd_config"].map(str::to_owned).to_vec(),
        port: 22,
    };
    let listen = format!("--listen=0.0.0.0:{}", nfs::PORT);
    let lab = root::seen(lab).display().to_string();
    let args = ["lab", "nfsd", "--mounts=/", "--hosts=/etc/hosts", &listen, "--", &lab, host];
    let nfsd = Service {
        name: "nfsd",
        program: root::seen(&root::own_program()?),
        args: args.map(str::to_owned).to_vec(),
        port: nfs::PORT,
    };
    Ok(vec![sshd, nfsd])
}
