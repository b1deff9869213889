//! What a client was seen to run from, and what was seen of a copy. It is said from
//! this, never from what a migration believed at its end: people boot by hand, and
//! operations take copies away.

use serde::{Deserialize, Serialize};

use super::name::{DiskName, Pvid};

/// The systems on a client's disks, as they were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Systems {
    /// The disks of `rootvg`, `altinst_rootvg` and `old_rootvg`.
    pub disks: Vec<SystemDisk>,
    /// What the client boots from next; empty where that was not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootlist: Vec<DiskName>,
}

/// A disk of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemDisk {
    pub name: DiskName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvid: Option<Pvid>,
    pub vg: String,
    /// Whether that is varied on.
    pub is_active: bool,
}

/// How a copy was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyIs {
    /// There is none.
    Gone,
    /// It sleeps.
    Asleep,
    /// It is varied on.
    Awake,
    /// Part of one is there.
    Part,
    /// The client runs from it.
    Running,
}

/// What was seen of a copy, and around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySeen {
    /// How it was seen.
    pub is: CopyIs,
    /// The name of its volume group; empty where it is gone.
    pub vg: String,
    /// The disks that it is on.
    pub disks: Vec<DiskName>,
    /// Where the client runs from it: the system that it left, if that is kept.
    pub old: Option<OldSeen>,
    /// What the client boots from next; empty where that was not looked at.
    pub bootlist: Vec<DiskName>,
}

/// The system that a client left when it booted its copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldSeen {
    /// The name of its volume group: that of a copy, once it was woken.
    pub vg: String,
    /// The disks that it is on.
    pub disks: Vec<DiskName>,
    /// Whether it is varied on.
    pub is_awake: bool,
}

impl CopySeen {
    /// Whether the client boots the copy next; `None` where that was not looked at.
    pub fn boots_next(&self) -> Option<bool> {
        self.bootlist.first().map(|disk| self.disks.contains(disk))
    }
}
