//! What steps find out and later steps need. Journaled with the answer of the
//! step that found it.

use serde::{Deserialize, Serialize};

use super::name::{DiskName, Level, Pvid};
use super::seen::Systems;
use super::site::SiteOwn;

/// What is known of a migration's hosts.
///
/// Each step may leave some; the sum of all is what a later step is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// The client as it was before the first change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The level that was read last: the client's by the check and after the boot, the
    /// copy's when its filesets have been migrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Before a copy is woken: the name of its volume group, if it sleeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asleep: Option<String>,
    /// The lease that was taken over from another, as it said. Introduced in
    /// 0.1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_over: Option<String>,
    /// What the site had made its own in the copy before its base was migrated.
    /// Introduced in 0.1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteOwn>,
    /// The lease as it was taken: its whole text, which every change on the
    /// client asks for first. Introduced in 0.1.0: what was begun before it goes
    /// on without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// Before the reboot: the time of the client's last boot, as `who -b` tells
    /// it. Introduced in 0.1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booted: Option<String>,
    /// The copy that was made. Introduced in 0.1.0: one that was made before it
    /// is known by its disks alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyIdentity>,
    /// What the client runs from, and which copies it has, as a step saw it last.
    /// Introduced in 0.1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systems: Option<Systems>,
    /// What the mksysb that was made is told by. Introduced in 0.1.0: one that was
    /// made before it is known by its names alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mksysb: Option<MadeMksysb>,
    /// What is left where it cannot be reached, or is not known to be this
    /// migration's: for people. Introduced in 0.1.0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// What a copy is known by, whatever its name and its disks' names are by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyIdentity {
    /// The round of the migration that it was made in, or taken back.
    pub round: u32,
    /// The id of its volume group.
    pub vg_id: String,
    /// Its disks. None: it was taken back.
    pub disks: Vec<CopyDisk>,
    /// Whether it is what the step left that was to make it, and failed: half a copy,
    /// or, where it has no disks, nothing. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "is_false")]
    pub failed: bool,
}

/// What a mksysb is told by from another that somebody has made in its place; nothing
/// where it was taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MadeMksysb {
    /// The i-node, size and time of the file, as `ls` tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The `creation_date` of the NIM object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

/// A disk of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyDisk {
    /// Its name when the copy was made.
    pub name: DiskName,
    pub pvid: Pvid,
}

impl Facts {
    /// Adds what `other` knows; what it knows replaces what was known.
    pub fn absorb(&mut self, other: Facts) {
        let Facts {
            baseline,
            level,
            asleep,
            lease_over,
            site,
            lease,
            booted,
            copy,
            systems,
            mksysb,
            left,
        } = other;
        if baseline.is_some() {
            self.baseline = baseline;
        }
        if level.is_some() {
            self.level = level;
        }
        if asleep.is_some() {
            self.asleep = asleep;
        }
        if lease_over.is_some() {
            self.lease_over = lease_over;
        }
        if site.is_some() {
            self.site = site;
        }
        if lease.is_some() {
            self.lease = lease;
        }
        if booted.is_some() {
            self.booted = booted;
        }
        if copy.is_some() {
            self.copy = copy;
        }
        if systems.is_some() {
            self.systems = systems;
        }
        if mksysb.is_some() {
            self.mksysb = mksysb;
        }
        for text in left {
            if !self.left.contains(&text) {
                self.left.push(text);
            }
        }
    }
}

/// The client (and the master, as far as it matters) before the first change.
/// A rollback restores this and no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The disk that the client runs from. Where there is no client, this and
    /// what else is told of one is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_disk: Option<DiskName>,
    /// Its PVID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_pvid: Option<Pvid>,
    /// The normal bootlist: distinct disks in order.
    pub bootlist: Vec<DiskName>,
    /// rootvg's VG id.
    pub rootvg_id: String,
    /// The target disks, in the plan's order, with their ids as found.
    pub targets: Vec<BaselineDisk>,
    /// The file systems that are copied, parents first: rootvg's mounted ones,
    /// or those of the mksysb. Sizes are those of the image.data, if one is used.
    pub file_systems: Vec<BaselineFs>,
    /// Directories that the client exported.
    pub exports: Vec<String>,
    /// Mount points on the client that are not rootvg's.
    pub mounts: Vec<String>,
    /// Where the SPOT lies on the master. Empty for a wake, as is the lpp_source's:
    /// it needs neither.
    pub spot_location: String,
    /// Where the lpp_source lies on the master.
    pub lpp_source_location: String,
    /// Where the pre- and post-migration scripts lie on the master.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_script_location: Option<String>,
    /// See [`Baseline::pre_script_location`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_script_location: Option<String>,
    /// Where the exclude_files, bosinst_data and mksysb resources lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_location: Option<String>,
    /// See [`Baseline::exclude_location`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bosinst_location: Option<String>,
    /// See [`Baseline::exclude_location`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mksysb_location: Option<String>,
    /// Where a mksysb is written: the volumes that its image.data is to name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<BaselineVolume>,
    /// For the same: size of a physical partition in MiB.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pp_size_mb: u64,
    /// Time of the client's last boot, as `who -b` tells it.
    pub boot_time: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(is: &bool) -> bool {
    !is
}

/// A logical volume of the system that a mksysb is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineVolume {
    /// Its name: `hd5`.
    pub lv: String,
    /// What it is for, as `lsvg -l` names it: `boot`.
    pub kind: String,
    /// Its size in MiB.
    pub size_mb: u64,
    /// Its mount point, for a file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_point: Option<String>,
}

/// A target disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineDisk {
    /// The disk's name when it was recorded.
    pub name: DiskName,
    /// Its PVID; a new disk has none until a volume group is made on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvid: Option<Pvid>,
    /// Its size in MiB.
    pub size_mb: u64,
}

/// A file system of rootvg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineFs {
    /// The logical volume: `hd2`.
    pub lv: String,
    /// Where it is mounted: `/usr`.
    pub mount_point: String,
    /// Its size in MiB.
    pub size_mb: u64,
}

impl BaselineFs {
    /// The directory below `root` that stands for this file system's mount
    /// point: `/alt_inst` and `/usr` give `/alt_inst/usr`.
    pub fn below(&self, root: &str) -> String {
        match self.mount_point.as_str() {
            "/" => root.to_owned(),
            path => format!("{root}{path}"),
        }
    }
}
