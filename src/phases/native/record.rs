//! Phase 1: what the client is like before the first change.

use crate::aix::{self, ImageData, LogicalVolume, MountRow, argv};
use crate::domain::{
    Baseline, BaselineDisk, BaselineFs, BaselineVolume, Cause, DiskName, Facts, FailureClass,
    HostRole, Mode, NimName, Options, Phase, Target,
};

use crate::phases::native::master::image_data;
use crate::phases::read::{HostAnswers, Read, judged, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, Is, Probe, STEP, StepDef};

pub(crate) const STEPS: &[StepDef] = &[RECORD_BASELINE, RECORD_MKSYSB];

/// A rollback restores what this step finds, and no more.
const RECORD_BASELINE: StepDef = StepDef {
    phase: Phase::Clone,
    name: "record-baseline",
    about: "record the client as it is",
    host: HostRole::Client,
    drivers: Drivers::Both,
    is: &[Is::SeesOtherLease],
    applies: |spec| spec.task.has_client(),
    looks: baseline_looks,
    judge: |ctx, answers| judged(judge_baseline(ctx, answers)),
    ..STEP
};

/// As [`RECORD_BASELINE`], where there is no client.
const RECORD_MKSYSB: StepDef = StepDef {
    phase: Phase::Clone,
    name: "record-mksysb",
    about: "record the mksysb as it is",
    host: HostRole::Master,
    drivers: Drivers::Both,
    applies: |spec| !spec.task.has_client(),
    looks: baseline_looks,
    judge: |ctx, answers| judged(judge_baseline(ctx, answers)),
    ..STEP
};

fn judge_baseline(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let baseline = read_baseline(ctx, answers)?;
    Ok(match waits_for_another(ctx, answers, &baseline) {
        Some(cause) => Finding::blocked(cause),
        None => Finding::found(Facts { baseline: Some(baseline), ..Facts::default() }),
    })
}

/// The objects whose locations are recorded beside SPOT and lpp_source.
fn located(options: &Options) -> [&Option<NimName>; 5] {
    [
        &options.pre_script,
        &options.post_script,
        &options.exclude_files,
        &options.bosinst_data,
        &options.mksysb,
    ]
}

pub(crate) fn baseline_looks(ctx: &Context<'_>) -> Probe {
    let options = &ctx.spec.options;
    let further = located(options).into_iter().flatten();
    // A wake works in a copy as it is, and needs neither SPOT nor lpp_source.
    let target = ctx.spec.task.migrates().map(|aim| [&aim.target.spot, &aim.target.lpp_source]);
    let names = target.into_iter().flatten().chain(further);
    let mut master: Vec<argv::Argv> = names.map(argv::lsnim).collect();
    if ctx.spec.has_image_data() {
        master.push(argv::cat(&image_data(ctx.spec)));
    }
    let master = look(HostRole::Master, master);
    if !ctx.spec.task.has_client() {
        return vec![master];
    }
    let mut client = vec![
        argv::boot_device(),
        argv::show_bootlist(),
        argv::lspv(),
        argv::lsvg("rootvg"),
        argv::lsvg_l("rootvg"),
        argv::exports(),
        argv::mounts(),
        argv::boot_time(),
    ];
    client.extend(options.disks.iter().map(argv::disk_size));
    vec![look(HostRole::Client, client), master]
}

pub(crate) fn read_baseline(ctx: &Context<'_>, answers: &Answers) -> Read<Baseline> {
    let (master, options) = (answers.master(), &ctx.spec.options);
    let target = ctx.spec.task.migrates().map(|aim| &aim.target);
    let found =
        |name: &Option<NimName>| name.as_ref().map(|name| master.location(name)).transpose();
    let of_target = |name: fn(&Target) -> &NimName| {
        target.map_or(Ok(String::new()), |target| master.location(name(target)))
    };
    let mut baseline = Baseline {
        spot_location: of_target(|target| &target.spot)?,
        lpp_source_location: of_target(|target| &target.lpp_source)?,
        pre_script_location: found(&options.pre_script)?,
        post_script_location: found(&options.post_script)?,
        exclude_location: found(&options.exclude_files)?,
        bosinst_location: found(&options.bosinst_data)?,
        mksysb_location: found(&options.mksysb)?,
        ..Baseline::default()
    };
    if let Some(before) = ctx.spec.part.as_ref().and_then(|part| part.facts.baseline.as_ref()) {
        return Ok(carried(baseline, before));
    }
    if ctx.spec.task.has_client() {
        read_client(ctx, answers, &mut baseline)?;
    }
    if ctx.spec.has_image_data() {
        let image = argv::cat(&image_data(ctx.spec));
        apply_image(ctx, &master.read(image, aix::image_data)?, &mut baseline);
    }
    Ok(baseline)
}

/// A later part of a migration: what there was before the first change is what
/// the first part has found; only what lies on the master is looked at anew.
fn carried(now: Baseline, before: &Baseline) -> Baseline {
    Baseline {
        spot_location: now.spot_location,
        lpp_source_location: now.lpp_source_location,
        pre_script_location: now.pre_script_location,
        post_script_location: now.post_script_location,
        exclude_location: now.exclude_location,
        bosinst_location: now.bosinst_location,
        mksysb_location: now.mksysb_location,
        ..before.clone()
    }
}

/// From a mksysb its image.data says what there is; otherwise it only says how
/// large that is to be.
fn apply_image(ctx: &Context<'_>, image: &ImageData, baseline: &mut Baseline) {
    if !ctx.spec.task.reads_mksysb() {
        for fs in &mut baseline.file_systems {
            let same = image.file_systems.iter().find(|other| other.mount_point == fs.mount_point);
            fs.size_mb = same.map_or(fs.size_mb, |same| same.wanted_mb(image.shrink));
        }
        return;
    }
    let of_image = |fs: &aix::ImageFs| BaselineFs {
        lv: fs.lv.clone(),
        mount_point: fs.mount_point.clone(),
        size_mb: fs.wanted_mb(image.shrink),
    };
    baseline.file_systems = image.file_systems.iter().map(of_image).collect();
    if ctx.spec.task.writes_mksysb() {
        baseline.pp_size_mb = image.pp_size_mb;
        let point = |lv: &str| image.file_systems.iter().find(|fs| fs.lv == lv);
        let of_image = |lv: &aix::ImageVolume| BaselineVolume {
            lv: lv.name.clone(),
            kind: lv.kind.clone(),
            size_mb: lv.lps.saturating_mul(image.pp_size_mb),
            mount_point: point(&lv.name).map(|fs| fs.mount_point.clone()),
        };
        baseline.volumes = image.volumes.iter().map(of_image).collect();
    }
}

/// The bar where the client boots next from a disk that is neither its own nor one for
/// the copy: somebody waits for that boot, and a rollback would boot it.
fn waits_for_another(ctx: &Context<'_>, answers: &Answers, baseline: &Baseline) -> Option<Cause> {
    let first = baseline.bootlist.first().filter(|_| ctx.spec.task.changes_client())?;
    let lspv = answers.client().lspv().ok()?;
    let row = lspv.iter().find(|row| row.disk == *first)?;
    if row.is_in("rootvg") || ctx.spec.options.disks.contains(first) {
        return None;
    }
    let client = &ctx.spec.client;
    let own = baseline.boot_disk.as_ref().map_or("its disk", DiskName::as_str);
    let text = format!(
        "{client} boots next from {first}, which is no disk of its rootvg: somebody else has set \
         the bootlist"
    );
    let hint = format!(
        "wait for that boot, or set it back (on {client}, `bootlist -m normal {own}`), then \
         `nimshift retry {client}`"
    );
    Some(Cause::new(FailureClass::NeedsOperator, text).with_hint(hint))
}

/// What is told of a client.
fn read_client(ctx: &Context<'_>, answers: &Answers, baseline: &mut Baseline) -> Read<()> {
    let client = answers.client();
    let lspv = client.lspv()?;
    let bootlist = client.bootlist()?;
    let vg = client.read(argv::lsvg("rootvg"), aix::volume_group)?;
    let mounts = client.mounts()?;
    let volumes = client.read(argv::lsvg_l("rootvg"), aix::logical_volumes)?;
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
    for disk in &ctx.spec.options.disks {
        let row = lspv.iter().find(|row| row.disk == *disk);
        let row = row.ok_or_else(|| format!("{disk} is not on the client"))?;
        let size_mb = client.read(argv::disk_size(disk), disk_size)?;
        targets.push(BaselineDisk { name: disk.clone(), pvid: row.pvid.clone(), size_mb });
    }
    let ours: Vec<&str> = file_systems.iter().map(|fs| fs.mount_point.as_str()).collect();
    let foreign = mounts.iter().filter(|row| !ours.contains(&row.over.as_str()));
    let mounts = foreign.map(|row| row.over.clone()).collect();
    baseline.exports = client.exports()?;
    baseline.boot_time = client.read(argv::boot_time(), aix::boot_time)?;
    if ctx.spec.task.mode() == Some(Mode::ClientToMksysb) {
        let copied = |lv: &&LogicalVolume| {
            !lv.is_file_system() || file_systems.iter().any(|fs| fs.lv == lv.name)
        };
        let volume = |lv: &LogicalVolume| BaselineVolume {
            lv: lv.name.clone(),
            kind: lv.kind.clone(),
            size_mb: lv.lps.saturating_mul(vg.pp_size_mb),
            mount_point: lv.mount_point.clone().filter(|_| lv.is_file_system()),
        };
        baseline.volumes = volumes.iter().filter(copied).map(volume).collect();
        baseline.pp_size_mb = vg.pp_size_mb;
    }
    baseline.boot_disk = Some(boot_disk);
    baseline.boot_pvid = Some(boot_pvid);
    baseline.bootlist = bootlist;
    baseline.rootvg_id = vg.id;
    baseline.targets = targets;
    baseline.mounts = mounts;
    baseline.file_systems = file_systems;
    Ok(())
}

/// The disk that the client runs from. `getconf` may print nothing after a
/// migration; then it is the only disk of rootvg, if there is only one.
pub(crate) fn boot_disk(client: HostAnswers<'_>, lspv: &[aix::PhysicalVolume]) -> Read<DiskName> {
    let fits: fn(&str) -> bool = |word| word.parse::<DiskName>().is_ok();
    let named =
        client.read(argv::boot_device(), |text| aix::one_word("getconf BOOT_DEVICE", text, fits));
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
pub(crate) fn copied_file_systems(
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
pub(crate) fn disk_size(text: &str) -> Result<u64, aix::Unread> {
    let digits: fn(&str) -> bool =
        |word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let word = aix::one_word("bootinfo -s", text, digits)?;
    word.parse().map_err(|_| aix::Unread::line("bootinfo -s", word))
}
