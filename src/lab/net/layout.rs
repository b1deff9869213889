//! Where things lie, and what is remembered of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::lab::store::{self, StoreError};

/// Why hosts could not be made reachable.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Something of the machine is missing.
    #[error("{what} is missing: {cure}")]
    Missing {
        what: String,
        /// What to do about it.
        cure: String,
    },
    /// A file of the lab's cannot be used.
    #[error(transparent)]
    File(#[from] StoreError),
    /// A program of the machine failed.
    #[error("`{command}` failed: {why}")]
    Failed {
        command: String,
        /// What it said.
        why: String,
    },
    /// The lab's hosts are not reachable by ssh.
    #[error("the lab in {0} is not reached by ssh")]
    NotUp(PathBuf),
    /// They are already.
    #[error("the lab in {0} is reached by ssh already")]
    IsUp(PathBuf),
    /// A trouble that this way of reaching hosts does not know.
    #[error("`{what}` cannot be had: {why}")]
    Beyond { what: &'static str, why: &'static str },
    /// A host that is to be entered does not run.
    #[error("`{0}` does not run")]
    HostDown(String),
    /// A host did not come up.
    #[error("`{host}` does not come up: {console}")]
    Silent {
        host: String,
        /// What its console shows.
        console: String,
    },
    /// The process that all hosts depend on.
    #[error("the lab's keeper is gone: `nimshift lab down`, then `nimshift lab up --ssh`")]
    KeeperGone,
    /// The kernel refuses.
    #[error("cannot {what}: {why}")]
    Refused {
        /// What was tried.
        what: String,
        why: String,
    },
    /// The estate could not be read.
    #[error(transparent)]
    Lab(#[from] crate::lab::handle::LabError),
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> NetError + '_ {
    |source| store::io(path)(source).into()
}

/// How the hosts are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// `sshd -i` for each connection, started by the client's `ProxyCommand`.
    Proxy,
    /// Namespaces with a network and an `sshd` of their own. Needs root.
    Namespaces,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Introduced as 1 in 0.1.0.
    pub format: u32,
    pub way: Way,
    pub hosts: Vec<String>,
}

/// The directory of a lab, as far as ssh is concerned.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    lab: PathBuf,
}

impl Layout {
    pub(super) fn new(lab: &Path) -> Layout {
        Layout { lab: lab.to_owned() }
    }

    pub(super) fn lab(&self) -> &Path {
        &self.lab
    }

    pub(super) fn top(&self) -> PathBuf {
        self.lab.join("ssh")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.top().join(name)
    }

    pub(super) fn home(&self, host: &str) -> PathBuf {
        self.top().join("hosts").join(host)
    }

    pub(super) fn root(&self, host: &str) -> PathBuf {
        self.home(host).join("root")
    }

    pub(super) fn record(&self) -> Result<Record, NetError> {
        let path = self.file("estate.json");
        if !path.is_file() {
            return Err(NetError::NotUp(self.lab.clone()));
        }
        Ok(store::read_json(&path)?)
    }

    pub(super) fn write_record(&self, record: &Record) -> Result<(), NetError> {
        let text = serde_json::to_string(record).expect("the record is plain data");
        write(&self.file("estate.json"), &text)
    }
}

/// What the kernel gave for `what`, or that it refuses.
pub(super) fn refused<T, E: std::fmt::Display>(
    what: &str,
    result: Result<T, E>,
) -> Result<T, NetError> {
    result.map_err(|why| NetError::Refused { what: what.to_owned(), why: why.to_string() })
}

/// What a file holds, if it is there and whole.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Writes a file that appears whole or not at all.
pub(super) fn write(path: &Path, text: &str) -> Result<(), NetError> {
    let new = path.with_extension(format!("new{}", std::process::id()));
    fs::write(&new, text).map_err(io(&new))?;
    fs::rename(&new, path).map_err(io(path))
}

pub(super) fn make_dir(path: &Path) -> Result<(), NetError> {
    fs::create_dir_all(path).map_err(io(path))
}
