//! Disks, volume groups and logical volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::Millis;
use crate::lab::tree::Tree;

/// Size of a physical partition in every group of the lab.
pub(crate) const PP_MB: u64 = 128;

/// Sixteen hexadecimal digits made from a text.
pub(crate) fn made_up_id(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(6).fold("00f7".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// The id of a volume group that was there before all, from its first disk's.
pub(crate) fn vg_id(pvid: &str) -> String {
    format!("{}00004c000000{}", &made_up_id(pvid)[..8], &made_up_id(pvid)[4..16])
}

/// The id of one that is made now: made again on the same disk, it has another.
pub(crate) fn new_vg_id(pvid: &str, now: Millis) -> String {
    let made = made_up_id(&format!("{pvid}/{now}"));
    format!("{}00004c000000{}", &made_up_id(pvid)[..8], &made[4..16])
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    pub size_mb: u64,
    /// Its id; a new disk has none.
    pub pvid: Option<String>,
    /// Whether DLPAR has added it since the last boot: firmware does not know it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dlpar: bool,
}

/// A volume group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vg {
    /// Its id, made from its first disk's, and from when it was made.
    pub id: String,
    /// Size of a physical partition.
    pub pp_mb: u64,
    pub disks: Vec<String>,
    /// Whether it is varied on.
    pub on: bool,
    /// Whether it is a rootvg that sleeps: its volumes have the names of a
    /// running rootvg, and the host's own tables do not know them.
    pub asleep: bool,
    /// Logical volumes by name.
    pub lvs: BTreeMap<String, Lv>,
}

impl Vg {
    /// Whether the host's tables know its volumes.
    pub(crate) fn listed(&self) -> bool {
        !self.asleep
    }

    /// Whether it holds an AIX: a root file system, under whatever name.
    pub(crate) fn is_system(&self) -> bool {
        self.lvs.contains_key("hd4") || self.lvs.contains_key("alt_hd4")
    }

    /// The boot volume on `disk`: not that of a standby BOS.
    pub(crate) fn boot_lv(&self, disk: &str) -> Option<(&String, &Lv)> {
        self.lvs.iter().find(|(name, lv)| {
            lv.kind == LvKind::Boot && lv.pps.contains_key(disk) && !name.contains("bos_")
        })
    }

    /// The file system that is `/usr` in this system.
    pub(crate) fn usr(&self) -> Option<&Tree> {
        let lv = self.lvs.get("hd2").or_else(|| self.lvs.get("alt_hd2"))?;
        lv.tree.as_deref()
    }
}

/// What a logical volume is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LvKind {
    /// The boot image.
    Boot,
    /// Paging space.
    Paging,
    /// A file system's log.
    Log,
    /// System dumps.
    Dump,
    /// A file system.
    Jfs2,
}

impl LvKind {
    /// As `lsvg -l` names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            LvKind::Boot => "boot",
            LvKind::Paging => "paging",
            LvKind::Log => "jfs2log",
            LvKind::Dump => "sysdump",
            LvKind::Jfs2 => "jfs2",
        }
    }
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lv {
    /// What it is for.
    pub kind: LvKind,
    /// PPs by disk.
    pub pps: BTreeMap<String, u64>,
    /// Copies of each logical partition, each copy whole on a disk of its own.
    #[serde(default = "one_copy", skip_serializing_if = "is_one_copy")]
    pub copies: u64,
    /// Where it is to be mounted.
    pub mount_point: Option<String>,
    /// Data of the site in it: what `df` counts beside the software.
    pub data_mb: u64,
    /// The boot image in it.
    pub boot_image: Option<String>,
    /// Tells one volume of a name from a later one.
    pub serial: u64,
    /// When each mksysb in it was written: what `ls -i` tells one from another by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub archives: BTreeMap<String, Millis>,
    /// Its files. Kept on disk as files, not in the host's record.
    #[serde(skip)]
    pub tree: Option<Arc<Tree>>,
}

fn one_copy() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_one_copy(copies: &u64) -> bool {
    *copies == 1
}

impl Lv {
    /// Whether it is a file system.
    pub(crate) fn is_file_system(&self) -> bool {
        self.kind == LvKind::Jfs2
    }

    /// Physical partitions, of all copies.
    pub(crate) fn all_pps(&self) -> u64 {
        self.pps.values().sum()
    }

    /// Logical partitions.
    pub(crate) fn lps(&self) -> u64 {
        self.all_pps() / self.copies.max(1)
    }

    /// The files, to be changed.
    pub(crate) fn tree_mut(&mut self) -> &mut Tree {
        Arc::make_mut(self.tree.get_or_insert_default())
    }

    /// Whether it is mirrored with its group: a dump device is not.
    pub(crate) fn goes_with_mirror(&self) -> bool {
        self.kind != LvKind::Dump
    }

    /// Takes one copy away, that on `disk` or the last. False where there is but one, or none
    /// there.
    pub(crate) fn unmirror(&mut self, disk: Option<&str>) -> bool {
        let last = disk.map(str::to_owned).or_else(|| self.pps.keys().next_back().cloned());
        // The lab takes away a copy that is whole on one disk, and no other.
        let is_whole = |disk: &String| self.copies > 1 && self.pps.get(disk) == Some(&self.lps());
        let Some(last) = last.filter(is_whole) else { return false };
        self.pps.remove(&last);
        self.copies -= 1;
        true
    }

    /// MB in use: what the site put there and what the software takes.
    pub(crate) fn used_mb(&self) -> u64 {
        let software = self.tree.as_deref().map_or(0, crate::lab::software::size_mb);
        self.data_mb + software
    }
}
