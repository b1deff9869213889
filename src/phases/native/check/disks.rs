//! The target disks, and the copies that stand on the client already.

use crate::aix::argv;
use crate::aix::{self, Bootable, PhysicalVolume};
use crate::base::sanitize_line;
use crate::domain::{DiskName, Lease};

use super::objections::Objections;
use super::rootvg::{Room, SPARE_MB};
use crate::phases::copy::{ALT_VG, OLD_VG, foreign, other_disk};
use crate::phases::lease::wait_or_clean;
use crate::phases::native::record::disk_size;
use crate::phases::operations::cleanup_check::is_on_copy;
use crate::phases::read::HostAnswers;
use crate::phases::step::Context;

/// A copy that is there already: one that somebody is making is not to be removed.
fn check_copy(
    ctx: &Context<'_>,
    client: HostAnswers<'_>,
    row: &PhysicalVolume,
    holder: Option<&Lease>,
    against: &mut Objections,
) {
    let vg = row.vg.as_deref().unwrap_or_default();
    if let Some(holder) = holder {
        let words = holder.words();
        let text =
            format!("{vg} on {} belongs to a migration that is under way: {words}", row.disk);
        return against.permanent(text, &wait_or_clean(ctx));
    }
    let running = client.processes().unwrap_or_default();
    if let Some(process) = running.iter().find(|process| is_on_copy(&process.args)) {
        let args = sanitize_line(&process.args, 100);
        return against.permanent(
            format!("{vg} on {} is worked on: process {} ({args})", row.disk, process.pid),
            "wait until it has ended",
        );
    }
    // Only what may be a migration's is cleaned up.
    let remove = match vg {
        ALT_VG => {
            let client = &ctx.spec.client;
            format!(
                "`nimshift cleanup {client}` removes it (one of others, `nimshift cleanup {client} --force`)"
            )
        }
        vg => {
            let disk = &row.disk;
            format!(
                "`alt_rootvg_op -X {vg}` removes it, then `chpv -C {disk}`; to keep it, give it another \
                 name: `alt_rootvg_op -v NAME -d {disk}`"
            )
        }
    };
    let hint = format!("if it is no longer needed, {remove}");
    against.permanent(format!("{vg} is on {} already", row.disk), &hint);
}

pub(super) fn check_disks(
    ctx: &Context<'_>,
    client: HostAnswers<'_>,
    room: Option<&Room>,
    holder: Option<&Lease>,
    against: &mut Objections,
) {
    let Some(lspv) = against.read("the client's disks", client.lspv()) else {
        return;
    };
    let disks = &ctx.spec.options.disks;
    for vg in [ALT_VG, OLD_VG] {
        if let Some(row) = lspv.iter().find(|row| row.is_in(vg)) {
            check_copy(ctx, client, row, holder, against);
        }
    }
    let mut sizes_mb = Some(Vec::new());
    for disk in disks {
        match lspv.iter().find(|row| row.disk == *disk) {
            None => {
                against.permanent(
                    format!("{disk} is not on the client"),
                    &format!("`cfgmgr`, or {}", other_disk(ctx.spec)),
                );
                sizes_mb = None;
                continue;
            }
            Some(row) => check_owner(ctx, row, against),
        }
        check_bootable(disk, client, against);
        let size = client.read(argv::disk_size(disk), disk_size);
        let size = against.read(&format!("the size of {disk}"), size);
        sizes_mb = sizes_mb.zip(size).map(|(mut all, size)| {
            all.push(size);
            all
        });
    }
    if let (Some(sizes_mb), Some(room)) = (sizes_mb, room) {
        check_room(ctx, &sizes_mb, room, against);
    }
}

/// Whether the copy finds room on disks of these sizes. With an `image_data` the site says
/// how many copies there are: one at least.
fn check_room(ctx: &Context<'_>, sizes_mb: &[u64], room: &Room, against: &mut Objections) {
    let mirrored = room.mirrored().filter(|_| ctx.spec.options.image_data.is_none());
    let disks = sizes_mb.len();
    if let Some((copies, lv)) = mirrored
        && u64::try_from(disks).is_ok_and(|disks| disks < copies)
    {
        let hint = format!(
            "name {copies} target disks in `disks` of the plan; to give the mirror up, an `image_data` \
             (-i) with COPIES=1"
        );
        let plural = if disks == 1 { "disk" } else { "disks" };
        let text = format!(
            "rootvg is mirrored ({lv} has {copies} copies), and cannot be copied to {disks} {plural}"
        );
        return against.permanent(text, &hint);
    }
    let gives_up = room.mirrored().is_some() && mirrored.is_none();
    let used = if gives_up { room.one_copy_mb() } else { room.used_mb() };
    let wanted = used.saturating_add(SPARE_MB);
    // A disk holds one copy of a partition and no more.
    let most =
        if mirrored.is_some() { room.one_copy_mb().saturating_add(SPARE_MB) } else { u64::MAX };
    let total = sizes_mb.iter().fold(0, |total: u64, size| total.saturating_add(*size.min(&most)));
    if total < wanted {
        against.permanent(
            format!("the target disks have {total} MB, the copy needs {wanted} MB"),
            &format!("{}: a larger one", other_disk(ctx.spec)),
        );
    }
}

/// A disk that firmware cannot boot from is refused by nimadm, too, before it clones.
fn check_bootable(disk: &DiskName, client: HostAnswers<'_>, against: &mut Objections) {
    let bootable = client.read(argv::bootable(disk), aix::is_bootable);
    if against.read(&format!("whether {disk} can be booted"), bootable) == Some(Bootable::No) {
        against.permanent(
            format!("firmware cannot boot from {disk}: `bootinfo -B {disk}` prints 0"),
            "a disk that DLPAR has added since the last boot is so until the client is rebooted: reboot \
             it, or name another disk in the plan (`disks`)",
        );
    }
}

fn check_owner(ctx: &Context<'_>, row: &PhysicalVolume, against: &mut Objections) {
    match row.vg.as_deref() {
        // Told once for the whole volume group.
        None | Some(ALT_VG | OLD_VG) => {}
        Some("rootvg") => {
            against.permanent(format!("the client runs from {}", row.disk), &other_disk(ctx.spec));
        }
        Some(_) => against.permanent(foreign(row), &other_disk(ctx.spec)),
    }
}
