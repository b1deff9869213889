//! A state directory, and what its journal tells.

use std::path::{Path, PathBuf};

use crate::base::{SystemClock, nearest};
use crate::domain::NimName;
use crate::journal::{JournalDir, OpenOptions, Reader};
use crate::report::MigrationView;

use super::error::CliError;

/// A state directory.
#[derive(Debug, Clone)]
pub(super) struct StateDir {
    dir: PathBuf,
}

impl StateDir {
    pub(super) fn new(dir: &Path) -> StateDir {
        StateDir { dir: dir.to_owned() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The journal's file.
    pub(super) fn journal(&self) -> PathBuf {
        JournalDir::new(&self.dir).journal()
    }

    /// The lab's directory.
    pub(super) fn lab(&self) -> PathBuf {
        self.dir.join("lab")
    }

    /// Where evidence is put.
    pub(super) fn evidence(&self) -> PathBuf {
        self.dir.join("evidence")
    }

    pub(super) fn reader(&self) -> Result<Reader, CliError> {
        Ok(Reader::open(&self.dir)?)
    }

    /// How an engine of this process opens the journal.
    pub(super) fn open_options() -> OpenOptions {
        OpenOptions::new(host_name(), std::process::id(), SystemClock::read_ms())
    }
}

/// The name of this machine.
pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .ok()
        .map(|name| name.trim().to_owned())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The one of `views` that is `client`'s, or an error that names the nearest.
pub(super) fn find<'a>(
    views: &'a [MigrationView],
    client: &NimName,
) -> Result<&'a MigrationView, CliError> {
    if let Some(view) = views.iter().find(|view| view.client == client.as_str()) {
        return Ok(view);
    }
    let error = CliError::usage(format!("the journal knows no client `{client}`"));
    Err(match nearest(client.as_str(), views.iter().map(|view| view.client.as_str())) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("`nimshift status` lists all clients"),
    })
}
