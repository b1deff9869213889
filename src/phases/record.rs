//! Phase 1: what the client is like before the first change.

use std::time::Duration;

use crate::aix::argv::{self, words};
use crate::aix::{self, LogicalVolume, MountRow, NimObject};
use crate::domain::{
    Baseline, BaselineDisk, BaselineFs, DiskName, Facts, HostRole, NimName, Phase, Presence,
    Repeat, StepName, UndoKind,
};

use super::read::{Read, Said, look};
use super::step::{Answers, Context, Looks, Sight, StepDef};

/// A rollback restores what this step finds, and no more.
pub(super) const RECORD_BASELINE: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("record-baseline"),
    about: "record the client as it is",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(5 * 60),
    stall: None,
    settle: Duration::ZERO,
    weight: 0,
    applies: |_| true,
    looks: baseline_looks,
    judge: |ctx, answers| match read_baseline(ctx, answers) {
        Ok(baseline) => Sight {
            presence: Presence::Present,
            facts: Some(Facts { baseline: Some(baseline), level: None }),
            barred: None,
        },
        Err(why) => Sight::of(Presence::Unknown(why)),
    },
    run: None,
    undo_run: None,
    judge_undo: None,
};

fn baseline_looks(ctx: &Context<'_>) -> Looks {
    let options = &ctx.spec.options;
    let mut client = vec![
        words(&["getconf", "BOOT_DEVICE"]),
        argv::show_bootlist(),
        words(&["lspv"]),
        argv::lsvg("rootvg"),
        argv::lsvg_l("rootvg"),
        words(&["exportfs"]),
        words(&["mount"]),
        words(&["who", "-b"]),
    ];
    client.extend(options.disks.iter().map(argv::disk_size));
    let scripts = [&options.pre_script, &options.post_script].into_iter().flatten();
    let names = [&ctx.spec.target.spot, &ctx.spec.target.lpp_source].into_iter().chain(scripts);
    let master = names.map(argv::lsnim);
    vec![look(HostRole::Client, client), look(HostRole::Master, master)]
}

fn read_baseline(ctx: &Context<'_>, answers: &Answers) -> Read<Baseline> {
    let (client, master) = (Said::by(answers, 0), Said::by(answers, 1));
    let options = &ctx.spec.options;
    let lspv = client.read(2, aix::lspv)?;
    let bootlist = client.read(1, aix::bootlist)?;
    let vg = client.read(3, aix::volume_group)?;
    let mounts = client.read(6, aix::mounts)?;
    let volumes = client.read(4, aix::logical_volumes)?;
    let file_systems = copied_file_systems(&volumes, &mounts, vg.pp_size_mb);
    if file_systems.is_empty() {
        return Err("no file system of rootvg is mounted on the client".to_owned());
    }
    let boot_disk = boot_disk(client, &lspv)?;
    let boot_row = lspv.iter().find(|row| row.disk == boot_disk && row.is_in("rootvg"));
    let boot_pvid = boot_row
        .and_then(|row| row.pvid.clone())
        .ok_or_else(|| format!("the boot disk {boot_disk} is not a disk of rootvg"))?;
    if bootlist.is_empty() {
        return Err("the client's normal bootlist names no disk".to_owned());
    }
    let mut targets = Vec::new();
    for (index, disk) in options.disks.iter().enumerate() {
        let row = lspv.iter().find(|row| row.disk == *disk);
        let row = row.ok_or_else(|| format!("{disk} is not on the client"))?;
        let size_mb = client.read(8 + index, disk_size)?;
        targets.push(BaselineDisk { name: disk.clone(), pvid: row.pvid.clone(), size_mb });
    }
    let mut scripts = 2..;
    let mut script = |name: &Option<NimName>| match name {
        None => Ok(None),
        Some(name) => location(master, scripts.next().unwrap_or_default(), name).map(Some),
    };
    let ours: Vec<&str> = file_systems.iter().map(|fs| fs.mount_point.as_str()).collect();
    let foreign = mounts.iter().filter(|row| !ours.contains(&row.over.as_str()));
    let mounts = foreign.map(|row| row.over.clone()).collect();
    Ok(Baseline {
        boot_disk,
        boot_pvid,
        bootlist,
        rootvg_id: vg.id,
        targets,
        mounts,
        file_systems,
        exports: client.read(5, aix::exports)?,
        spot_location: location(master, 0, &ctx.spec.target.spot)?,
        lpp_source_location: location(master, 1, &ctx.spec.target.lpp_source)?,
        pre_script_location: script(&options.pre_script)?,
        post_script_location: script(&options.post_script)?,
        boot_time: client.read(7, aix::boot_time)?,
    })
}

/// The disk that the client runs from. `getconf` may print nothing after a
/// migration; then it is the only disk of rootvg, if there is only one.
fn boot_disk(client: Said<'_>, lspv: &[aix::PhysicalVolume]) -> Read<DiskName> {
    let fits: fn(&str) -> bool = |word| word.parse::<DiskName>().is_ok();
    let named = client.read(0, |text| aix::one_word("getconf BOOT_DEVICE", text, fits));
    if let Ok(disk) = &named {
        return disk.parse().map_err(|_| format!("`{disk}` is not a disk"));
    }
    let mut disks = lspv.iter().filter(|row| row.is_in("rootvg"));
    match (disks.next(), disks.next(), named) {
        (Some(only), None, _) => Ok(only.disk.clone()),
        (_, _, Err(why)) => Err(why),
        (_, _, Ok(_)) => Err("the boot disk is not known".to_owned()),
    }
}

/// The file systems of rootvg that are mounted, parents first: those are copied.
pub(super) fn copied_file_systems(
    volumes: &[LogicalVolume],
    mounts: &[MountRow],
    pp_size_mb: u64,
) -> Vec<BaselineFs> {
    let mut copied: Vec<BaselineFs> = volumes
        .iter()
        .filter(|lv| lv.is_file_system())
        .filter_map(|lv| {
            let mount_point = lv.mount_point.clone()?;
            let device = format!("/dev/{}", lv.name);
            mounts.iter().find(|row| row.over == mount_point && row.device == device)?;
            let size_mb = lv.lps.saturating_mul(pp_size_mb);
            Some(BaselineFs { lv: lv.name.clone(), mount_point, size_mb })
        })
        .collect();
    copied.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    copied
}

/// A disk's size in MiB, as `bootinfo -s` prints it.
pub(super) fn disk_size(text: &str) -> Result<u64, aix::Unread> {
    let digits: fn(&str) -> bool =
        |word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let word = aix::one_word("bootinfo -s", text, digits)?;
    word.parse().map_err(|_| aix::Unread::line("bootinfo -s", word))
}

fn location(master: Said<'_>, command: usize, name: &NimName) -> Read<String> {
    let object: NimObject = master.read(command, |text| aix::nim_object(text, name.as_str()))?;
    match object.get("location") {
        Some(path) if path.starts_with('/') => Ok(path.to_owned()),
        _ => Err(format!("the NIM object {name} has no location")),
    }
}
