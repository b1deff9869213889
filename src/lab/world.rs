//! The estate as data: hosts, disks, volume groups, mounts, exports, NIM.
//!
//! One value, cheap to clone: hosts and file trees are shared until they are
//! changed, so that a store can see what a command changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::job::Job;
use super::tree::{Tree, is_within};
use crate::base::Millis;

/// The whole estate.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The NIM master's name.
    pub master: String,
    /// All hosts, the master included.
    pub hosts: BTreeMap<String, Arc<Host>>,
    /// What is to go wrong.
    pub faults: Arc<Vec<Fault>>,
}

impl World {
    /// The host of that name, which must exist.
    pub(crate) fn at(&self, host: &str) -> &Host {
        self.hosts.get(host).expect("a call names a host of the estate")
    }

    /// The host of that name, to be changed.
    pub(crate) fn at_mut(&mut self, host: &str) -> &mut Host {
        Arc::make_mut(self.hosts.get_mut(host).expect("a call names a host of the estate"))
    }

    /// The host of that name, if there is one.
    pub(crate) fn find(&self, host: &str) -> Option<&Host> {
        self.hosts.get(host).map(Arc::as_ref)
    }

    /// Whether the network reaches the host at `now`.
    pub(crate) fn reaches(&self, host: &str, now: Millis) -> bool {
        self.find(host).is_some_and(|host| host.power == Power::Up && host.cut_until_ms <= now)
    }

    /// Whether `from`, which runs, reaches `to` over the network.
    pub(crate) fn joins(&self, from: &str, to: &str, now: Millis) -> bool {
        from == to || (self.at(from).cut_until_ms <= now && self.reaches(to, now))
    }
}

/// Whether a host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Power {
    /// It runs.
    Up,
    /// It boots, and will be up at that time.
    Booting {
        /// When.
        up_at_ms: Millis,
    },
    /// It does not come up.
    Dead {
        /// What its console shows.
        why: String,
    },
}

/// A machine with AIX on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// Its name: host name and NIM name.
    pub name: String,
    /// Whether it runs.
    pub power: Power,
    /// The network does not reach it before this time.
    pub cut_until_ms: Millis,
    /// When it booted.
    pub boot_ms: Millis,
    /// How often it has booted since the estate was made. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub boots: u32,
    /// The disk it booted from.
    pub boot_disk: String,
    /// The normal bootlist.
    pub bootlist: Vec<String>,
    /// Disks by name.
    pub disks: BTreeMap<String, Disk>,
    /// Volume groups by name.
    pub vgs: BTreeMap<String, Vg>,
    /// Mounts in the order they were made.
    pub mounts: Vec<Mount>,
    /// Exported directories.
    pub exports: BTreeMap<String, Export>,
    /// NIM objects; empty but on the master.
    pub nim: BTreeMap<String, NimObject>,
    /// Jobs by id. Each is kept in a file of its own, not in the host's record.
    #[serde(skip)]
    pub jobs: BTreeMap<String, Arc<Job>>,
    /// Prefixes of jobs that are not begun any more, each with who says so.
    /// Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub barred: BTreeSet<(String, String)>,
    /// Remains of multibos that no list shows.
    pub multibos_leftovers: bool,
    /// Of the master: whether a `nimadm -P` that fails leaves all as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nimadm_keeps: bool,
    /// How the host looked in the beginning: what [`super::Lab::check`] holds
    /// it against.
    pub initial: Initial,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Host {
    /// The group that `disk` belongs to.
    pub(crate) fn vg_of(&self, disk: &str) -> Option<(&String, &Vg)> {
        self.vgs.iter().find(|(_, vg)| vg.disks.iter().any(|name| name == disk))
    }

    /// The group and volume of a device such as `/dev/hd2`, among groups that
    /// are varied on.
    pub(crate) fn device(&self, device: &str) -> Option<(&String, &String, &Lv)> {
        let name = device.trim_start_matches("/dev/").trim_start_matches('r');
        let exact = device.trim_start_matches("/dev/");
        self.vgs.iter().filter(|(_, vg)| vg.on).find_map(|(group, vg)| {
            let lv = vg.lvs.get_key_value(exact).or_else(|| vg.lvs.get_key_value(name));
            lv.map(|(name, lv)| (group, name, lv))
        })
    }

    /// The file system whose mount point is `point`, mounted or not, among
    /// groups that the host's own tables name.
    pub(crate) fn file_system(&self, point: &str) -> Option<(&String, &String, &Lv)> {
        self.vgs.iter().filter(|(_, vg)| vg.listed()).find_map(|(group, vg)| {
            let found = vg.lvs.iter().find(|(_, lv)| lv.mount_point.as_deref() == Some(point));
            found.map(|(name, lv)| (group, name, lv))
        })
    }

    /// The mount at exactly `point`: the latest, if there are several.
    pub(crate) fn mounted_at(&self, point: &str) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.point == point)
    }

    /// The export that decides about `path`: that of the longest directory that
    /// holds it.
    pub(crate) fn export_of(&self, path: &str) -> Option<&Export> {
        let holding = self.exports.iter().filter(|(dir, _)| is_within(path, dir));
        holding.max_by_key(|(dir, _)| dir.len()).map(|(_, export)| export)
    }

    /// PPs of `disk` that are not in use.
    pub(crate) fn free_pps(&self, group: &Vg, disk: &str) -> u64 {
        let total = self.total_pps(group, disk);
        let used: u64 = group.lvs.values().filter_map(|lv| lv.pps.get(disk)).sum();
        total.saturating_sub(used)
    }

    /// PPs of `disk`. One is the group's own.
    pub(crate) fn total_pps(&self, group: &Vg, disk: &str) -> u64 {
        let size_mb = self.disks.get(disk).map_or(0, |disk| disk.size_mb);
        (size_mb / group.pp_mb).saturating_sub(1)
    }

    /// Free PPs of the whole group.
    pub(crate) fn free_pps_of(&self, group: &Vg) -> u64 {
        group.disks.iter().map(|disk| self.free_pps(group, disk)).sum()
    }

    /// Gives `count` more PPs of the group to the volume, disk after disk.
    /// False, and nothing changed, when there are not so many.
    pub(crate) fn extend(&mut self, group: &str, lv: &str, count: u64) -> bool {
        let Some(vg) = self.vgs.get(group) else { return false };
        let mut left = count;
        let mut taken: Vec<(String, u64)> = Vec::new();
        for disk in &vg.disks {
            let take = self.free_pps(vg, disk).min(left);
            if take > 0 {
                taken.push((disk.clone(), take));
                left -= take;
            }
        }
        let volume = self.vgs.get_mut(group).and_then(|vg| vg.lvs.get_mut(lv));
        match volume {
            Some(volume) if left == 0 => {
                for (disk, take) in taken {
                    *volume.pps.entry(disk).or_insert(0) += take;
                }
                true
            }
            _ => false,
        }
    }
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    /// Its size.
    pub size_mb: u64,
    /// Its id; a new disk has none.
    pub pvid: Option<String>,
}

/// A volume group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vg {
    /// Its id, made from its first disk's, and from when it was made.
    pub id: String,
    /// Size of a physical partition.
    pub pp_mb: u64,
    /// Its disks.
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

    /// The boot volume on `disk`.
    pub(crate) fn boot_lv(&self, disk: &str) -> Option<(&String, &Lv)> {
        self.lvs.iter().find(|(_, lv)| lv.kind == LvKind::Boot && lv.pps.contains_key(disk))
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

impl Lv {
    /// Logical partitions: the lab knows no mirrors.
    pub(crate) fn lps(&self) -> u64 {
        self.pps.values().sum()
    }

    /// The files, to be changed.
    pub(crate) fn tree_mut(&mut self) -> &mut Tree {
        Arc::make_mut(self.tree.get_or_insert_default())
    }

    /// MB in use: what the site put there and what the software takes.
    pub(crate) fn used_mb(&self) -> u64 {
        let software = self.tree.as_deref().map_or(0, super::software::size_mb);
        self.data_mb + software
    }
}

/// A line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mount {
    /// Where.
    pub point: String,
    /// What.
    pub source: Source,
    /// Options as listed.
    pub options: String,
    /// When.
    pub at_ms: Millis,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// A logical volume of this host.
    Lv {
        /// Its group.
        vg: String,
        /// Its name.
        lv: String,
    },
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
        /// [`Lv::serial`] at the time of the mount.
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

/// A NIM object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NimObject {
    /// `machines` or `resources`.
    pub class: String,
    /// `standalone`, `spot` ….
    pub kind: String,
    /// Attributes in the order of `lsnim -l`.
    pub attributes: Vec<(String, String)>,
}

impl NimObject {
    /// The attribute's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sets the attribute, or removes it.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        match (self.attributes.iter_mut().find(|(key, _)| key == name), value) {
            (Some(entry), Some(value)) => value.clone_into(&mut entry.1),
            (None, Some(value)) => self.attributes.push((name.to_owned(), value.to_owned())),
            (_, None) => self.attributes.retain(|(key, _)| key != name),
        }
    }
}

/// How a host looked in the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Initial {
    /// The bootlist.
    pub bootlist: Vec<String>,
    /// Ids of volume groups, with the disks of each.
    pub vgs: BTreeMap<String, Vec<String>>,
    /// Disks that had an id.
    pub pvids: BTreeMap<String, String>,
    /// Exports.
    pub exports: Vec<String>,
    /// Mount points.
    pub mounts: Vec<String>,
    /// The level.
    pub level: String,
    /// NIM objects that were locked.
    pub locked: Vec<String>,
}
