//! Keys, and the configuration of OpenSSH's client and server.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::layout::{Layout, NetError, Record, Way, io, make_dir, write};
use super::process;

/// The client's key, and one for each host.
pub(super) fn make(layout: &Layout, record: &Record) -> Result<(), NetError> {
    let keygen = process::program("ssh-keygen", "openssh-client")?;
    let key = |path: &Path, comment: &str| {
        let path = path.as_os_str();
        let args = ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"].map(AsRef::as_ref);
        process::run::<&std::ffi::OsStr>(&keygen, &[args.as_slice(), &[path]].concat())
    };
    key(&layout.file("id"), "nimshift lab")?;
    let public = layout.file("id.pub");
    let public = fs::read_to_string(&public).map_err(io(&public))?;
    let mut known = String::new();
    for host in &record.hosts {
        let folder = layout.root(host).join("etc/ssh");
        make_dir(&folder)?;
        let path = folder.join("host_key");
        key(&path, host)?;
        let path = folder.join("host_key.pub");
        let text = fs::read_to_string(&path).map_err(io(&path))?;
        let words: Vec<&str> = text.split_whitespace().take(2).collect();
        let _ = writeln!(known, "{host} {}", words.join(" "));
        write(&folder.join("authorized_keys"), &public)?;
        write(&folder.join("sshd_config"), &sshd_config(layout, host))?;
    }
    write(&layout.file("known_hosts"), &known)?;
    let sockets = layout.file("cm");
    make_dir(&sockets)?;
    fs::set_permissions(&sockets, fs::Permissions::from_mode(0o700)).map_err(io(&sockets))
}

fn sshd_config(layout: &Layout, host: &str) -> String {
    let (name, mark) = (process::MARK, process::mark(layout.lab(), host));
    format!(
        "Port 22\nListenAddress 0.0.0.0\nHostKey /etc/ssh/host_key\nUsePAM no\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nStrictModes no\n\
         AuthorizedKeysFile /etc/ssh/authorized_keys\nPermitUserEnvironment no\n\
         SetEnv PATH=/usr/bin:/etc:/usr/sbin:/usr/ucb:/sbin {name}={mark}\n\
         PidFile none\nUseDNS no\nMaxSessions 10\nMaxStartups 100\nPrintMotd no\nPrintLastLog no\n\
         LogLevel ERROR\n"
    )
}

/// The configuration for `ssh -F`.
pub(super) fn write_config(
    layout: &Layout,
    record: &Record,
    program: &Path,
) -> Result<(), NetError> {
    let top = layout.top();
    let top = top.display();
    let (program, lab) = (program.display(), layout.lab().display());
    let mut text = String::from("# Written by `nimshift lab up`.\n");
    for host in &record.hosts {
        let _ = writeln!(text, "Host {host}\n  HostKeyAlias {host}");
        let _ = match record.way {
            Way::Proxy => writeln!(text, "  ProxyCommand '{program}' lab serve '{lab}' {host}"),
            Way::Namespaces => writeln!(
                text,
                "  ProxyCommand '{program}' lab wire '{lab}' {host}\n  ProxyUseFdpass yes"
            ),
        };
    }
    let _ = write!(
        text,
        "Host *\n  User root\n  IdentityFile {top}/id\n  IdentitiesOnly yes\n  \
         UserKnownHostsFile {top}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  \
         StrictHostKeyChecking yes\n  UpdateHostKeys no\n  BatchMode yes\n  \
         PasswordAuthentication no\n  PreferredAuthentications publickey\n  ConnectTimeout 5\n  \
         KexAlgorithms curve25519-sha256\n  ServerAliveInterval 2\n  ServerAliveCountMax 3\n  \
         ForwardAgent no\n  ForwardX11 no\n  RequestTTY no\n  LogLevel INFO\n  \
         ControlMaster auto\n  ControlPath {top}/cm/%n\n  ControlPersist 60\n"
    );
    write(&layout.file("config"), &text)
}
