//! OpenSSH, as the administrators of this machine have it set up: their
//! configuration, agent, known_hosts, jump hosts and shared connections. The
//! `ssh` of this machine does all of it; we add what an unattended night needs.
//!
//! The `openssh` crate was looked at: it keeps a connection of its own beside
//! what the configuration says, and gives less of what `ssh` says on stderr, by
//! which failures are told apart here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::Invocation;
use super::reach::{HostId, TransportError};
use crate::base::sanitize_line;

/// How `ssh` is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSettings {
    /// The program: `ssh` on the path, or another.
    pub program: PathBuf,
    /// A configuration file instead of the user's own (`-F`).
    pub config: Option<PathBuf>,
    /// Where sockets of shared connections are put for hosts whose configuration
    /// says nothing of them. Without it, such connections are not shared.
    pub control_dir: Option<PathBuf>,
    /// How long a connection may take, where the configuration does not say.
    pub connect_timeout: Duration,
}

impl Default for SshSettings {
    fn default() -> SshSettings {
        SshSettings {
            program: PathBuf::from("ssh"),
            config: None,
            control_dir: None,
            connect_timeout: Duration::from_secs(15),
        }
    }
}

/// A host as `ssh` is told of it. What is not set is the configuration's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshTarget {
    /// Name, address, or an alias of the configuration.
    pub address: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    /// The host to go through, as `[USER@]HOST[:PORT]`.
    pub jump: Option<String>,
    /// Whether the user becomes root by `sudo -n`.
    pub sudo: bool,
}

/// The longest path of a socket, with what `ssh` puts in its place for `%C` and
/// appends while it makes it.
const SOCKET_PATH_MAX: usize = 104 - (40 + 18);

/// What each `ssh` is told. A configuration that says otherwise is overruled:
/// nobody is there to answer, and a host key is never taken unseen.
const ALWAYS: &[&str] = &[
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "NumberOfPasswordPrompts=0",
    // By its words a failure is told from another; from this level on it says
    // whether it was let in.
    "LogLevel=VERBOSE",
];

/// What the connection to a target is told besides.
const SESSION: &[&str] = &[
    "RequestTTY=no",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
];

/// Options for what the configuration of a target leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    options: Vec<String>,
    /// A jump host of the configuration that is made batch as well.
    jump: Option<String>,
}

impl SshSettings {
    /// Where sockets can be put: `dir`, if their paths are not too long there.
    /// Made if it is missing, for this user alone.
    pub fn control_dir(dir: &Path) -> Option<PathBuf> {
        use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
        let dir = std::path::absolute(dir).ok()?;
        if dir.as_os_str().len() + 1 > SOCKET_PATH_MAX {
            return None;
        }
        let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        let found = std::fs::symlink_metadata(&dir).ok()?;
        let is_private = found.is_dir() && found.permissions().mode() & 0o777 == 0o700;
        // What we make there is ours; the directory must be, too.
        let probe = dir.join(format!(".{}", std::process::id()));
        let mine = std::fs::File::create(&probe).and_then(|file| file.metadata()).ok();
        let _ = std::fs::remove_file(&probe);
        (is_private && mine.is_some_and(|mine| mine.uid() == found.uid())).then_some(dir)
    }

    fn base(&self) -> Vec<OsString> {
        let mut args = Vec::new();
        if let Some(config) = &self.config {
            args.extend(["-F".into(), config.clone().into_os_string()]);
        }
        for option in ALWAYS {
            args.extend(["-o".into(), OsString::from(option)]);
        }
        args
    }

    /// The process that prints what the configuration says of a target.
    pub(super) fn ask_config(&self, target: &SshTarget) -> Invocation {
        let mut args = vec![OsString::from("-G")];
        args.extend(self.base());
        args.extend(target.words());
        Invocation { program: self.program.clone().into_os_string(), args }
    }

    /// What is to be added, by what `ssh -G` printed.
    pub(super) fn gaps(&self, printed: &str) -> Gaps {
        let says = |key: &str| {
            printed.lines().find_map(|line| line.split_once(' ').filter(|(k, _)| *k == key))
        };
        let value = |key: &str| says(key).map(|(_, value)| value.trim());
        let is_open =
            |key: &str, nothing: &[&str]| value(key).is_none_or(|value| nothing.contains(&value));
        let mut options = Vec::new();
        if is_open("connecttimeout", &["none", "0"]) {
            options.push(format!("ConnectTimeout={}", self.connect_timeout.as_secs().max(1)));
        }
        if is_open("serveraliveinterval", &["0"]) {
            options.push("ServerAliveInterval=15".to_owned());
            options.push("ServerAliveCountMax=4".to_owned());
        }
        if let Some(dir) = &self.control_dir
            && is_open("controlpath", &["none", ""])
        {
            options.push("ControlMaster=auto".to_owned());
            options
                .push(format!("ControlPath={}/%C", dir.display().to_string().replace('%', "%%")));
            options.push("ControlPersist=60".to_owned());
        }
        let jump = value("proxyjump").filter(|jump| *jump != "none" && !jump.contains(','));
        Gaps { options, jump: jump.map(ToOwned::to_owned) }
    }

    /// The process that reaches `target` and runs `command` there.
    pub(super) fn reach(&self, target: &SshTarget, gaps: &Gaps, command: &str) -> Invocation {
        let mut args = self.base();
        for option in SESSION.iter().copied().chain(gaps.options.iter().map(String::as_str)) {
            args.extend(["-o".into(), OsString::from(option)]);
        }
        if let Some(jump) = target.jump.as_ref().or(gaps.jump.as_ref()) {
            args.extend(["-o".into(), self.through(jump)]);
        }
        args.push("-T".into());
        args.extend(target.words());
        args.push(
            if target.sudo { format!("sudo -n {command}") } else { command.to_owned() }.into(),
        );
        Invocation { program: self.program.clone().into_os_string(), args }
    }

    /// As `-J`, whose own `ssh` would not be told that nobody is there.
    fn through(&self, jump: &str) -> OsString {
        let (user, rest) = match jump.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, jump),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut words = vec![self.program.display().to_string()];
        words.extend(self.base().iter().map(|word| word.to_string_lossy().into_owned()));
        words.extend(user.into_iter().flat_map(|user| ["-l".to_owned(), user.to_owned()]));
        words.extend(port.into_iter().flat_map(|port| ["-p".to_owned(), port.to_owned()]));
        let words: Vec<String> =
            words.iter().map(|word| super::shell::readable(&word.replace('%', "%%"))).collect();
        format!("ProxyCommand={} -W [%h]:%p -- {host}", words.join(" ")).into()
    }
}

impl SshTarget {
    fn words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        if let Some(user) = &self.user {
            words.extend(["-l".into(), OsString::from(user)]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".into(), OsString::from(port.to_string())]);
        }
        words.extend(["--".into(), OsString::from(&self.address)]);
        words
    }
}

/// Kinds of words of `ssh` that are said only before a session has begun.
#[derive(Clone, Copy)]
enum Before {
    Unresolved,
    Refused,
    HostKey,
    Login,
    Unreachable,
}

/// The first that fits decides: a jump host's failure ends in words of a closed
/// connection.
const WORDS: &[(&str, Before)] = &[
    ("remote host identification has changed", Before::HostKey),
    ("host key verification failed", Before::HostKey),
    ("no matching host key type", Before::HostKey),
    ("could not resolve hostname", Before::Unresolved),
    ("name or service not known", Before::Unresolved),
    ("temporary failure in name resolution", Before::Unresolved),
    ("permission denied", Before::Login),
    ("too many authentication failures", Before::Login),
    ("no more authentication methods", Before::Login),
    ("unable to negotiate", Before::Login),
    ("bad configuration option", Before::Login),
    ("bad owner or permissions", Before::Login),
    ("can't open user config file", Before::Login),
    ("terminating,", Before::Login),
    ("connection refused", Before::Refused),
    ("timed out during banner exchange", Before::Unreachable),
    ("connection timed out", Before::Unreachable),
    ("operation timed out", Before::Unreachable),
    ("no route to host", Before::Unreachable),
    ("network is unreachable", Before::Unreachable),
    ("host is down", Before::Unreachable),
    ("kex_exchange_identification", Before::Unreachable),
    ("ssh_exchange_identification", Before::Unreachable),
    ("banner exchange", Before::Unreachable),
    // `ProxyUseFdpass`.
    ("did not pass back a connection", Before::Unreachable),
];

/// What `ssh` says when it was let in, and at its end.
const LET_IN: &str = "Authenticated to ";
const NOISE: [&str; 4] = [LET_IN, "Transferred: ", "Bytes per second: ", "Control socket connect"];

/// What it says of a connection of its own, not of a shared one.
const CLOSED: [&str; 3] = ["connection closed by", "connection reset by", "closed by remote host"];

/// Why the program of a call did not begin, or was not heard to.
///
/// `ssh` says 255 of everything. Without one of the words that can only come
/// before a session, and if it was let in, the request may have arrived.
pub(super) fn diagnose(host: &HostId, status: Option<i32>, said: &str) -> TransportError {
    let host = host.clone();
    let lines = || said.lines().filter(|line| !NOISE.iter().any(|noise| line.starts_with(noise)));
    let last = lines().rev().find(|line| !line.trim().is_empty());
    let last = last.map(|line| sanitize_line(line, 200));
    match status {
        Some(126 | 127) => {
            let why = last.unwrap_or_else(|| "the shell was not found".to_owned());
            return TransportError::NoShell { host, why };
        }
        // A session that ended by itself has said all that it had to say.
        Some(status) if status != 255 => {
            let why = last.unwrap_or_else(|| format!("the login ended with {status}"));
            return TransportError::NoShell { host, why };
        }
        _ => {}
    }
    // A command may have gone to the shared connection before `ssh` tried one of
    // its own.
    let is_ambiguous = said.contains("read from master failed");
    let found = WORDS.iter().find_map(|(words, kind)| {
        let line = lines().find(|line| line.to_lowercase().contains(words))?;
        // A changed key is told in a frame.
        Some((*kind, sanitize_line(line.trim_matches(['@', ' ', '\r']), 200)))
    });
    let found = found.or_else(|| {
        let is_closed = |line: &&str| CLOSED.iter().any(|c| line.to_lowercase().contains(c));
        let line = lines().find(is_closed).filter(|_| !said.contains(LET_IN))?;
        Some((Before::Unreachable, sanitize_line(line, 200)))
    });
    match found {
        Some((kind, why)) if !is_ambiguous && status == Some(255) => match kind {
            Before::Unresolved => TransportError::Unresolved { host, why },
            Before::Refused => TransportError::Refused { host, why },
            Before::HostKey => TransportError::HostKey { host, why },
            Before::Login => TransportError::Login { host, why },
            Before::Unreachable => TransportError::Unreachable { host, why },
        },
        _ => TransportError::Lost {
            host,
            why: last.unwrap_or_else(|| "the connection ended without a message".to_owned()),
        },
    }
}
