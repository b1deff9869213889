//! What is mounted, and what may be mounted by others.

use serde::{Deserialize, Serialize};

use crate::base::Millis;

/// A line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mount {
    pub point: String,
    pub source: Source,
    /// Options as listed.
    pub options: String,
    pub at_ms: Millis,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// A logical volume of this host.
    Lv { vg: String, lv: String },
    /// A directory of another host.
    Nfs {
        /// The server.
        host: String,
        /// The exported directory.
        path: String,
        /// The file system that it lay in.
        vg: String,
        /// See `vg`.
        lv: String,
        /// The directory within that file system.
        sub: String,
        /// The serial of that volume at the time of the mount.
        serial: u64,
    },
}

/// An exported directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// Options as given: `rw=nim1,root=nim1`.
    pub options: String,
    /// Whether it is in /etc/exports, and so outlives a boot.
    pub permanent: bool,
}

impl Export {
    /// Whether nobody may change what is in it.
    pub(crate) fn read_only(&self) -> bool {
        self.options.split(',').any(|option| option == "ro")
    }

    /// Whether `host` may mount it.
    pub(crate) fn admits(&self, host: &str) -> bool {
        let lists = || self.options.split(',').filter_map(|option| option.split_once('='));
        let named = |key: &str| {
            lists()
                .find(|(name, _)| *name == key)
                .map(|(_, hosts)| hosts.split(':').any(|h| h == host))
        };
        named("access").or_else(|| named("rw")).unwrap_or(true)
    }
}
