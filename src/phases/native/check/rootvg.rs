//! The client's rootvg: what a copy of it takes, and what is in its way.

use crate::aix::argv::{self, Argv, words};
use crate::aix::{self, LogicalVolume, VolumeGroup};
use crate::domain::Phase;

use super::objections::Objections;
use crate::phases::read::HostAnswers;
use crate::phases::step::Context;

/// Room that a copy needs beyond what rootvg uses (reference 1.7, item 5).
pub(super) const SPARE_MB: u64 = 500;

/// The longest name of a logical volume that `alt_` can stand before.
const LV_NAME_MAX: usize = 11;

/// What the client's rootvg takes.
pub(super) struct Room {
    vg: VolumeGroup,
    volumes: Vec<LogicalVolume>,
}

impl Room {
    /// What all copies of its logical volumes take.
    pub(super) fn used_mb(&self) -> u64 {
        self.vg.used_pps.saturating_mul(self.vg.pp_size_mb)
    }

    /// What one copy of each takes.
    pub(super) fn one_copy_mb(&self) -> u64 {
        let lps = self.volumes.iter().map(|lv| lv.lps).fold(0, u64::saturating_add);
        lps.saturating_mul(self.vg.pp_size_mb)
    }

    /// How many copies there are of the volume that has most, and which that is: two or
    /// three where it is mirrored.
    pub(super) fn mirrored(&self) -> Option<(u64, &str)> {
        let copies = self.volumes.iter().map(|lv| (lv.copies(), lv.name.as_str()));
        copies.filter(|(copies, _)| *copies > 1).max_by_key(|(copies, _)| *copies)
    }
}

pub(super) fn check_rootvg(
    ctx: &Context<'_>,
    client: HostAnswers<'_>,
    against: &mut Objections,
) -> Option<Room> {
    let vg = client.read(argv::lsvg("rootvg"), aix::volume_group);
    let vg = against.read("the size of rootvg", vg);
    let volumes = client.read(argv::lsvg_l("rootvg"), aix::logical_volumes);
    let volumes = against.read("the volumes of rootvg", volumes);
    // Only a copy on the client's own disks is in the way of multibos and names.
    let ours = ctx.spec.task.changes_client();
    for lv in volumes.iter().flatten() {
        let name = &lv.name;
        if ours && name.starts_with("bos_") {
            against.permanent(
                format!("rootvg has {name}, of multibos"),
                "remove the standby BOS: `multibos -RX`",
            );
        } else if ours && name.len() > LV_NAME_MAX {
            against.permanent(
                format!("the name of {name} is longer than {LV_NAME_MAX} characters"),
                "rename it by `chlv -n`: the copy puts `alt_` before it",
            );
        }
        if lv.is_stale() {
            against.permanent(format!("{name} has stale partitions"), "`syncvg -l` it");
        }
    }
    match client.output(booted_from()) {
        Ok(output) if ours && output.stdout.contains("bos_hd5") => against.permanent(
            "the client was booted from bos_hd5, of multibos",
            "boot from hd5 and remove the standby BOS: `multibos -RX`",
        ),
        Ok(_) => {}
        Err(why) => against.permanent(why, "`bootinfo -v` on the client"),
    }
    Some(Room { vg: vg?, volumes: volumes? })
}

/// What the client was booted from.
pub(super) fn booted_from() -> Argv {
    words(&["bootinfo", "-v"])
}

pub(super) fn check_cache(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    room: Option<&Room>,
    against: &mut Objections,
) {
    let Some(vg) = &ctx.spec.options.cache_vg else { return };
    let what = format!("the cache volume group {vg}");
    let Some(cache) = against.read(&what, master.read(argv::lsvg(vg.as_str()), aix::volume_group))
    else {
        return;
    };
    let Some(room) = room.filter(|_| ctx.spec.asks_for(Phase::Export)) else { return };
    let mounted = room.volumes.iter().filter(|lv| lv.mount_point.is_some() && lv.is_file_system());
    let lps: u64 = mounted.map(|lv| lv.lps).sum();
    let wanted = lps.saturating_mul(room.vg.pp_size_mb).saturating_add(SPARE_MB);
    let free = cache.free_pps.saturating_mul(cache.pp_size_mb);
    if free < wanted {
        against.permanent(
            format!("{vg} has {free} MB free on the master, the cache needs {wanted} MB"),
            "add a disk to it, or run fewer cached migrations at once",
        );
    }
}
