//! What is asked of a client: a migration, or one of nimadm's operations beside
//! it. All of them are carried out, journaled and taken up again the same way.

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::ticket::MigrationId;

/// What a [`super::MigrationSpec`] asks for. Introduced in 0.1.0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Task {
    /// The phases of a migration.
    #[default]
    Migrate,
    /// `-C`: nothing of a migration is left on client and master, whoever left it.
    Cleanup,
    /// `-W`: the copy is woken, exported and mounted on the master.
    Wake,
    /// `-S`: the copy is unmounted, unexported and put to sleep.
    Sleep,
    /// `-M`: `bos.alt_disk_install` is brought to one level on master and SPOT.
    Sync {
        /// `-d`: another source beside the lpp_source: the higher one is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
        /// `-P`: the levels are only looked at.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        preview: bool,
    },
}

/// Which task it is, whatever else is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKind {
    /// See [`Task::Migrate`].
    Migrate,
    /// See [`Task::Cleanup`].
    Cleanup,
    /// See [`Task::Wake`].
    Wake,
    /// See [`Task::Sleep`].
    Sleep,
    /// See [`Task::Sync`].
    Sync,
}

impl Task {
    /// Which it is.
    pub fn kind(&self) -> TaskKind {
        match self {
            Task::Migrate => TaskKind::Migrate,
            Task::Cleanup => TaskKind::Cleanup,
            Task::Wake => TaskKind::Wake,
            Task::Sleep => TaskKind::Sleep,
            Task::Sync { .. } => TaskKind::Sync,
        }
    }

    /// Its name: of an operation, the command's.
    pub fn name(&self) -> &'static str {
        match self.kind() {
            TaskKind::Migrate => "migrate",
            TaskKind::Cleanup => "cleanup",
            TaskKind::Wake => "wake",
            TaskKind::Sleep => "sleep",
            TaskKind::Sync => "sync",
        }
    }

    /// Whether it is a migration and no operation.
    pub fn is_migration(&self) -> bool {
        *self == Task::Migrate
    }

    /// Whether it is an operation that is taken back where it fails.
    pub fn is_undoable(&self) -> bool {
        *self == Task::Wake
    }
}

/// What the later part of a migration takes over from the parts before it
/// (`-P 1-3`, then `-P 4-12`), and what a cleanup knows of the client's systems.
/// Introduced in 0.1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The first part: the lease on the client is in its name.
    pub first: MigrationId,
    /// What the parts before have found out: the client as it was before the
    /// first change.
    pub facts: Facts,
    /// For a cleanup: the ids of the volume groups that were made here as copies for
    /// the client, and were never its running system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<String>,
    /// For the same: those of what the client ran when it was migrated, which it may
    /// have to go back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran: Vec<String>,
}

impl Part {
    /// A later part of the migration that began as `first`, of which `facts` are known.
    pub fn of(first: MigrationId, facts: Facts) -> Part {
        Part { first, facts, made: Vec::new(), ran: Vec::new() }
    }
}
