//! Phase 5: the base operating system is restored into the copy, and the
//! client's configuration merged. IBM tells what nimadm does here, not by which
//! programs: the commands are a stand-in.
//!
//! An update within a release (`-U`) restores nothing, so there is nothing to be
//! saved and merged: it only makes room.

use crate::aix::{self, FsUsage, argv};
use crate::domain::{HostRole, Phase, Presence, Repeat};
use crate::transport::{Command, Script};

use crate::phases::copy::{CLIENT_ROOT, baseline, file_systems, master_paths, mounted, on_client};
use crate::phases::marks;
use crate::phases::read::{Read, judged, look};
use crate::phases::step::{Answers, Context, Finding, Is, STEP, StepDef, hours, minutes};

pub(crate) const STEPS: &[StepDef] =
    &[SAVE_CONFIG, EXPAND_FILESYSTEMS, RESTORE_BOS, MERGE_DEVICES, MERGE_CONFIG];

/// Space in MiB that must be free in a file system of the copy before bos is
/// restored. Together they stay within the 500 MB that the check demands beyond
/// what rootvg uses. Nothing public tells what nimadm computes here.
const FREE_MB: [(&str, u64); 4] = [("/", 32), ("/usr", 320), ("/var", 64), ("/tmp", 64)];

const SAVE: &str = "save-config";
const RESTORE: &str = "restore-bos";
const DEVICES: &str = "merge-devices";
const CONFIG: &str = "merge-config";

/// The client's configuration files are kept for the merge.
const SAVE_CONFIG: StepDef = StepDef {
    phase: Phase::MigrateBase,
    name: SAVE,
    about: "save the configuration files of the copy",
    host: HostRole::Master,
    timeout: minutes(30),
    applies: |spec| !spec.options.update,
    looks: marks::looks,
    judge: |ctx, answers| judged(marks::judge(ctx, answers, SAVE)),
    run: Some(|ctx, _| {
        let root = ctx.spec.master_root();
        let (marks, saved) = (marks::directory(ctx), format!("{root}/lpp/save.config"));
        Script::new([
            Command::new(["mkdir", "-p", &marks, &saved]),
            Command::new(["cp", "-hpR", &format!("{root}/etc"), &format!("{saved}/")]),
            Command::new(["touch", &format!("{marks}/{SAVE}.done")]),
        ])
    }),
    ..STEP
};

/// Room for the new base.
const EXPAND_FILESYSTEMS: StepDef = StepDef {
    phase: Phase::MigrateBase,
    name: "expand-filesystems",
    about: "expand the copy's file systems",
    host: HostRole::Master,
    is: &[Is::ByRemoteShell],
    timeout: minutes(30),
    looks: |ctx| vec![look(HostRole::Master, [argv::df("-m", &master_paths(ctx)), argv::mounts()])],
    judge: |ctx, answers| {
        judged(wanted_sizes(ctx, answers).map(|wanted| {
            Finding::of(if wanted.is_empty() { Presence::Present } else { Presence::Absent })
        }))
    },
    run: Some(|ctx, answers| {
        let wanted = wanted_sizes(ctx, answers).map_or_else(
            // For people: only a host can tell.
            |_| FREE_MB.map(|(path, _)| (path.to_owned(), "<size>".to_owned())).to_vec(),
            |wanted| wanted.into_iter().map(|(path, mb)| (path, format!("{mb}M"))).collect(),
        );
        let mut commands = Vec::new();
        for fs in file_systems(ctx) {
            let Some((_, size)) = wanted.iter().find(|(path, _)| *path == fs.mount_point) else {
                continue;
            };
            commands.push(Command::new(if ctx.spec.caches() {
                argv::resize_fs(&fs.below(&ctx.spec.master_root()), size)
            } else {
                on_client(ctx, argv::resize_fs(&fs.below(CLIENT_ROOT), size))
            }));
        }
        Script::new(commands)
    }),
    ..STEP
};

/// The file systems that are too small, by the client's mount point, each with
/// the size that it needs in MiB.
fn wanted_sizes(ctx: &Context<'_>, answers: &Answers) -> Read<Vec<(String, u64)>> {
    let (said, paths) = (answers.master(), master_paths(ctx));
    let (there, all) = mounted(&said.mounts()?, &paths);
    if there < all || all == 0 {
        return Err(format!("{there} of {all} file systems of the copy are mounted"));
    }
    let usages = said.read(argv::df("-m", &paths), aix::df)?;
    let mut wanted = Vec::new();
    for fs in file_systems(ctx) {
        let path = fs.below(&ctx.spec.master_root());
        let usage = usages.iter().find(|(over, _)| *over == path).map(|(_, usage)| *usage);
        let FsUsage { total, free } = usage.ok_or_else(|| format!("`df` does not show {path}"))?;
        let need = FREE_MB.iter().find(|(over, _)| *over == fs.mount_point);
        if let Some((_, need)) = need
            && free < *need
        {
            // One more: `df` rounds down.
            wanted.push((fs.mount_point.clone(), total + (need - free) + 1));
        }
    }
    Ok(wanted)
}

/// The point of no return for the copy.
const RESTORE_BOS: StepDef = StepDef {
    phase: Phase::MigrateBase,
    name: RESTORE,
    about: "restore the base operating system into the copy",
    host: HostRole::Master,
    repeat: Repeat::Never,
    timeout: hours(4),
    stall: Some(hours(2)),
    applies: |spec| !spec.options.update,
    looks: |ctx| {
        let mut looks = marks::looks(ctx);
        looks.push(look(HostRole::Master, [argv::base_below(&ctx.spec.master_root())]));
        looks
    },
    judge: |ctx, answers| judged(judge_bos(ctx, answers)),
    run: Some(|ctx, _| {
        let Ok(baseline) = baseline(ctx) else { return Script::default() };
        let image = format!("{}/installp/ppc/bos", baseline.lpp_source_location);
        let restore = Command::new(["restore", "-xqf", &image]).within(ctx.spec.master_root());
        marks::between(ctx, RESTORE, [restore])
    }),
    ..STEP
};

fn judge_bos(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let finding = marks::judge(ctx, answers, RESTORE)?;
    if finding.presence != Presence::Present {
        return Ok(finding);
    }
    let base = argv::base_below(&ctx.spec.master_root());
    let filesets = answers.master().read(base, aix::filesets)?;
    let level = filesets.iter().find(|row| row.name == "bos.rte").and_then(|row| row.level);
    let wanted = ctx.spec.target().level.version_release();
    let restored = level.is_some_and(|level| level.version_release() == wanted);
    Ok(Finding::of(if restored { Presence::Present } else { Presence::Partial }))
}

/// The device database.
const MERGE_DEVICES: StepDef = StepDef {
    phase: Phase::MigrateBase,
    name: DEVICES,
    about: "merge the device database",
    host: HostRole::Master,
    repeat: Repeat::Never,
    timeout: hours(1),
    applies: |spec| !spec.options.update,
    looks: marks::looks,
    judge: |ctx, answers| judged(marks::judge(ctx, answers, DEVICES)),
    run: Some(|ctx, _| {
        let merge = ["/usr/lpp/bosinst/ODM_merge", "CuDv", "CuAt", "CuDep"];
        let merge = Command::new(argv::chroot(&ctx.spec.master_root(), &merge));
        marks::between(ctx, DEVICES, [merge])
    }),
    ..STEP
};

/// The client's own settings.
const MERGE_CONFIG: StepDef = StepDef {
    phase: Phase::MigrateBase,
    name: CONFIG,
    about: "merge the saved configuration",
    host: HostRole::Master,
    repeat: Repeat::Never,
    timeout: hours(1),
    applies: |spec| !spec.options.update,
    looks: marks::looks,
    judge: |ctx, answers| judged(marks::judge(ctx, answers, CONFIG)),
    run: Some(|ctx, _| {
        let merge = ["/usr/lpp/bosinst/merge_config", "/lpp/save.config"];
        let merge = Command::new(argv::chroot(&ctx.spec.master_root(), &merge));
        marks::between(ctx, CONFIG, [merge])
    }),
    ..STEP
};
