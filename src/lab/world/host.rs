//! A machine with AIX on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::job::Job;
use super::mounts::{Export, Mount, Source};
use super::nim::NimObject;
use super::volumes::{Disk, Lv, Vg};
use crate::base::Millis;
use crate::lab::tree::is_within;

/// Whether a host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Power {
    /// It runs.
    Up,
    /// It boots, and will be up at that time.
    Booting { up_at_ms: Millis },
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
    pub power: Power,
    /// The network does not reach it before this time.
    pub cut_until_ms: Millis,
    pub boot_ms: Millis,
    /// How often it has booted since the estate was made. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub boots: u32,
    /// The disk it booted from.
    pub boot_disk: String,
    /// The normal bootlist.
    pub bootlist: Vec<String>,
    pub disks: BTreeMap<String, Disk>,
    /// Volume groups by name.
    pub vgs: BTreeMap<String, Vg>,
    /// Mounts in the order they were made.
    pub mounts: Vec<Mount>,
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
    /// How the host looked in the beginning: what [`crate::lab::Lab::check`] holds
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

    /// Where something is mounted at or below `top`, parents first; a point with
    /// several mounts as often.
    pub(crate) fn mounted_below(&self, top: &str) -> Vec<&str> {
        let points = self.mounts.iter().map(|mount| mount.point.as_str());
        let mut found: Vec<&str> = points.filter(|point| is_within(point, top)).collect();
        found.sort_unstable();
        found
    }

    /// Adds a local mount to the table.
    pub(crate) fn mount_lv(&mut self, vg: &str, lv: &str, point: &str, options: &str, now: Millis) {
        self.mounts.push(Mount {
            point: point.to_owned(),
            source: Source::Lv { vg: vg.to_owned(), lv: lv.to_owned() },
            options: options.to_owned(),
            at_ms: now,
        });
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

    /// Gives `count` more LPs of the group to the volume, disk after disk; each copy of a
    /// mirrored one on a disk of its own. False, and nothing changed, when there is no room.
    pub(crate) fn extend(&mut self, group: &str, lv: &str, count: u64) -> bool {
        let Some(vg) = self.vgs.get(group) else { return false };
        if let Some(copies) = vg.lvs.get(lv).map(|lv| lv.copies).filter(|copies| *copies > 1) {
            return self.extend_mirror(group, lv, (count, copies));
        }
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

    fn extend_mirror(&mut self, group: &str, lv: &str, (count, copies): (u64, u64)) -> bool {
        let Some(vg) = self.vgs.get(group) else { return false };
        let has_some = vg.lvs.get(lv).is_some_and(|lv| !lv.pps.is_empty());
        let fits = |disk: &&String| {
            let is_its = !has_some || vg.lvs[lv].pps.contains_key(*disk);
            is_its && self.free_pps(vg, disk) >= count
        };
        let disks: Vec<String> = vg.disks.iter().filter(fits).cloned().collect();
        let Some(disks) = usize::try_from(copies).ok().and_then(|copies| disks.get(..copies))
        else {
            return false;
        };
        let disks = disks.to_vec();
        let Some(volume) = self.vgs.get_mut(group).and_then(|vg| vg.lvs.get_mut(lv)) else {
            return false;
        };
        for disk in disks {
            *volume.pps.entry(disk).or_insert(0) += count;
        }
        true
    }

    /// Gives a second copy to each volume of the group that goes with its mirror and has
    /// but one, as `mirrorvg` does; else the name of the first that finds no room.
    pub(crate) fn mirror_all(&mut self, group: &str, disk: Option<&str>) -> Result<(), String> {
        let singles = self.vgs.get(group).into_iter().flat_map(|vg| &vg.lvs);
        let singles = singles.filter(|(_, lv)| lv.goes_with_mirror() && lv.copies == 1);
        let names: Vec<String> = singles.map(|(name, _)| name.clone()).collect();
        names
            .into_iter()
            .try_for_each(|name| if self.mirror(group, &name, disk) { Ok(()) } else { Err(name) })
    }

    /// Gives the volume one more copy, on `disk` or on the first that has room for it.
    /// False, and nothing changed, where there is none.
    pub(crate) fn mirror(&mut self, group: &str, lv: &str, disk: Option<&str>) -> bool {
        let Some((vg, volume)) = self.vgs.get(group).and_then(|vg| Some((vg, vg.lvs.get(lv)?)))
        else {
            return false;
        };
        let lps = volume.lps();
        if volume.pps.values().any(|pps| *pps != lps) {
            return false;
        }
        let fits = |name: &&String| {
            disk.is_none_or(|disk| disk == *name)
                && !volume.pps.contains_key(*name)
                && self.free_pps(vg, name) >= lps
        };
        let Some(found) = vg.disks.iter().find(fits).cloned() else { return false };
        if let Some(volume) = self.vgs.get_mut(group).and_then(|vg| vg.lvs.get_mut(lv)) {
            volume.pps.insert(found, lps);
            volume.copies += 1;
        }
        true
    }
}

/// How a host looked in the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Initial {
    pub bootlist: Vec<String>,
    /// Ids of volume groups, with the disks of each.
    pub vgs: BTreeMap<String, Vec<String>>,
    /// Disks that had an id.
    pub pvids: BTreeMap<String, String>,
    pub exports: Vec<String>,
    /// Mount points.
    pub mounts: Vec<String>,
    pub level: String,
    /// NIM objects that were locked.
    pub locked: Vec<String>,
}
