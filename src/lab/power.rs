//! Hosts that go down and come up again.

use std::sync::Arc;

use super::software;
use super::world::{Host, JobStage, LvKind, Mount, Power, Source, Vg, World};
use crate::base::Millis;

/// How long a host takes to stop and boot.
const REBOOT_MS: Millis = 300_000;

/// Takes the host down; it boots by itself. What ran is lost, what was mounted
/// is not, and exports that no file holds are gone.
pub(crate) fn reboot(world: &mut World, host: &str, now: Millis) {
    let host = world.at_mut(host);
    host.power = Power::Booting { up_at_ms: now + REBOOT_MS };
    stop(host);
}

fn stop(host: &mut Host) {
    for job in host.jobs.values_mut().filter(|job| job.stage == JobStage::Running) {
        let job = Arc::make_mut(job);
        job.stage = JobStage::Lost;
        job.due_ms = None;
    }
    host.mounts.clear();
    host.exports.retain(|_, export| export.permanent);
}

/// Boots the host from the first disk of its bootlist that has a boot image.
pub(crate) fn boot(world: &mut World, name: &str, now: Millis) {
    let host = world.at_mut(name);
    stop(host);
    let found = host.bootlist.iter().find_map(|disk| {
        let (group, vg) = host.vg_of(disk)?;
        let (_, lv) = vg.boot_lv(disk)?;
        lv.boot_image.clone().map(|image| (disk.clone(), group.clone(), image))
    });
    let Some((disk, group, image)) = found else {
        host.power = Power::Dead { why: "no bootable disk in the bootlist".to_owned() };
        return;
    };
    let vg = &host.vgs[&group];
    if let Some(why) = unfit(vg, &image) {
        host.power = Power::Dead { why };
        return;
    }
    take_as_rootvg(host, &group);
    host.power = Power::Up;
    host.boot_ms = now;
    host.boots += 1;
    host.boot_disk = disk;
    host.disks.values_mut().for_each(|disk| disk.dlpar = false);
    mount_all(host, now);
}

/// Why the system in the group cannot come up with that boot image.
fn unfit(vg: &Vg, image: &str) -> Option<String> {
    if !vg.lvs.contains_key("hd4") {
        return Some(
            "LED 554: the volume group was awake, its names are those of a copy".to_owned(),
        );
    }
    let list = vg.usr().and_then(|usr| usr.text(software::LIST)).map(software::from_text);
    let kernel = list.unwrap_or_default().into_iter().find(|fileset| fileset.name == "bos.mp64");
    match kernel {
        Some(kernel) if software::version_release(&kernel.aix) == image => None,
        Some(_) => Some("LED 554: the boot image is not of the installed level".to_owned()),
        None => Some("LED 552: there is no operating system on the disk".to_owned()),
    }
}

/// Makes the group the running rootvg, and the earlier one what it then is.
fn take_as_rootvg(host: &mut Host, group: &str) {
    if group != "rootvg" {
        // A copy that boots leaves the earlier system as old_rootvg; the earlier
        // system that boots again knows the copy by its first name.
        let left = if group == "altinst_rootvg" { "old_rootvg" } else { "altinst_rootvg" };
        let booted = host.vgs.remove(group);
        if let Some(mut earlier) = host.vgs.remove("rootvg") {
            earlier.on = false;
            earlier.asleep = true;
            // Another of that name stays on its disks. A blank that no list shows keeps
            // the two apart.
            if let Some(other) = host.vgs.remove(left) {
                host.vgs.insert(format!("{left} "), other);
            }
            host.vgs.insert(left.to_owned(), earlier);
        }
        if let Some(booted) = booted {
            host.vgs.insert("rootvg".to_owned(), booted);
        }
    }
    for (name, vg) in &mut host.vgs {
        vg.on = !vg.is_system() || name == "rootvg";
        if name == "rootvg" {
            vg.asleep = false;
        }
    }
}

/// Mounts what a boot mounts: every file system of groups that are on, parents
/// first.
pub(crate) fn mount_all(host: &mut Host, now: Millis) {
    let mut mounts: Vec<Mount> = Vec::new();
    for (group, vg) in host.vgs.iter().filter(|(_, vg)| vg.on) {
        for (name, lv) in vg.lvs.iter().filter(|(_, lv)| lv.is_file_system()) {
            // Cache file systems are made with `-A no`.
            let Some(point) = lv.mount_point.clone().filter(|point| !point.contains("_alt/"))
            else {
                continue;
            };
            let log = vg.lvs.iter().find(|(_, lv)| lv.kind == LvKind::Log);
            mounts.push(Mount {
                point,
                source: Source::Lv { vg: group.clone(), lv: name.clone() },
                options: format!("rw,log=/dev/{}", log.map_or("INLINE", |(name, _)| name)),
                at_ms: now,
            });
        }
    }
    mounts.sort_by(|a, b| a.point.cmp(&b.point));
    host.mounts = mounts;
}
