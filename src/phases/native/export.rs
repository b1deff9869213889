//! Phase 2: the copy's file systems are exported to the master; with local
//! disk caching, the cache is made instead.

use crate::aix::{FsRow, MountRow, argv};
use crate::domain::{HostRole, Phase, Presence, UndoKind};
use crate::transport::{Command, Script};
use std::collections::BTreeSet;
use std::path::Path;

use crate::phases::copy::{
    client_paths, file_systems, lost_by_client, master_paths, master_top, mounted, mounts_below,
};
use crate::phases::marks;
use crate::phases::read::{Read, all_or_any, judged, look};
use crate::phases::step::{Answers, Context, Finding, Is, Probe, STEP, StepDef, hours, minutes};

pub(crate) const STEPS: &[StepDef] = &[EXPORT_FILESYSTEMS, MAKE_CACHE];

/// Plain mode.
pub(crate) const EXPORT_FILESYSTEMS: StepDef = StepDef {
    phase: Phase::Export,
    name: "export-filesystems",
    about: "export the copy's file systems to the master",
    host: HostRole::Client,
    undo: UndoKind::Reverse,
    timeout: minutes(10),
    applies: |spec| !spec.caches(),
    looks: export_looks,
    judge: |ctx, answers| judged(judge_exported(ctx, answers)),
    run: Some(export_missing),
    undo_run: Some(unexport_all),
    judge_undo: Some(judge_unexported),
    ..STEP
};

pub(crate) fn judge_exported(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let there = exported(ctx, answers)?;
    if let Some(bar) = lost_by_client(ctx, &answers.client().mounts()?) {
        return Ok(bar);
    }
    let all = there.len() == file_systems(ctx).len();
    Ok(all_or_any(all, !there.is_empty()))
}

/// Exports what is not exported.
pub(crate) fn export_missing(ctx: &Context<'_>, answers: &Answers) -> Script {
    let there = exported(ctx, answers).unwrap_or_default();
    let missing = client_paths(ctx).into_iter().filter(|path| !there.contains(path));
    let master = ctx.spec.master.as_str();
    Script::new(missing.map(|path| Command::new(argv::export(&path, master))))
}

/// What the master's exports of the copy are looked for by, here and in phase 10.
pub(crate) fn export_looks(_: &Context<'_>) -> Probe {
    vec![look(HostRole::Client, [argv::exports(), argv::mounts()])]
}

/// Those of the copy's file systems that are exported.
fn exported(ctx: &Context<'_>, answers: &Answers) -> Read<Vec<String>> {
    let exports = answers.client().exports()?;
    Ok(client_paths(ctx).into_iter().filter(|path| exports.contains(path)).collect())
}

/// Unexports what is exported, children first.
pub(crate) fn unexport_all(ctx: &Context<'_>, answers: &Answers) -> Script {
    let mut there = exported(ctx, answers).unwrap_or_else(|_| client_paths(ctx));
    there.reverse();
    Script::new(there.iter().map(|path| Command::new(argv::unexport(path)).tolerated()))
}

/// Absent when none of the copy's file systems is exported.
pub(crate) fn judge_unexported(ctx: &Context<'_>, answers: &Answers) -> Finding {
    judged(exported(ctx, answers).map(|there| {
        Finding::of(if there.is_empty() { Presence::Absent } else { Presence::Present })
    }))
}

/// With local disk caching.
pub(crate) const MAKE_CACHE: StepDef = StepDef {
    phase: Phase::Export,
    name: "make-cache",
    is: &[Is::MakesCache],
    about: "make the cache file systems on the master",
    host: HostRole::Master,
    undo: UndoKind::Reverse,
    timeout: hours(1),
    applies: |spec| spec.caches(),
    looks: cache_looks,
    judge: |ctx, answers| {
        judged((|| {
            let (made, mounts) = cache(ctx, answers)?;
            let (there, wanted) = mounted(&mounts, &master_paths(ctx));
            let all = wanted > 0 && made.len() == wanted && there == wanted;
            Ok(all_or_any(all, !made.is_empty() || there > 0))
        })())
    },
    run: Some(run_make_cache),
    undo_run: Some(undo_make_cache),
    judge_undo: Some(|ctx, answers| {
        judged((|| {
            let (made, mounts) = cache(ctx, answers)?;
            let mounted = !mounts_below(&mounts, &master_top(ctx)).is_empty();
            let has_top = answers.master().is_there(argv::ls_d(&master_top(ctx)))?;
            Ok(all_or_any(mounted || !made.is_empty(), has_top))
        })())
    }),
    ..STEP
};

/// What the cache is looked for by.
pub(crate) fn cache_looks(ctx: &Context<'_>) -> Probe {
    let top = argv::ls_d(&master_top(ctx));
    vec![look(HostRole::Master, [argv::lsfs(), argv::mounts(), top])]
}

/// The cache's file systems that exist, and the master's mounts.
fn cache(ctx: &Context<'_>, answers: &Answers) -> Read<(Vec<FsRow>, Vec<MountRow>)> {
    Ok((cache_rows(ctx, answers)?, answers.master().mounts()?))
}

/// The cache's file systems that exist.
pub(crate) fn cache_rows(ctx: &Context<'_>, answers: &Answers) -> Read<Vec<FsRow>> {
    let paths = master_paths(ctx);
    let rows = answers.master().lsfs()?;
    Ok(rows.into_iter().filter(|row| paths.contains(&row.mount_point)).collect())
}

fn run_make_cache(ctx: &Context<'_>, answers: &Answers) -> Script {
    let Some(vg) = &ctx.spec.options.cache_vg else { return Script::default() };
    let (made, mounts) = cache(ctx, answers).unwrap_or_default();
    let mut commands = Vec::new();
    for (fs, path) in file_systems(ctx).iter().zip(master_paths(ctx)) {
        if !made.iter().any(|row| row.mount_point == path) {
            commands.push(Command::new(argv::make_fs(vg, &path, fs.size_mb)));
        }
        if !mounts.iter().any(|row| row.over == path) {
            commands.push(Command::new(["mkdir", "-p", &path]));
            commands.push(Command::new(["mount", &path]));
        }
    }
    Script::new(commands)
}

pub(crate) fn undo_make_cache(ctx: &Context<'_>, answers: &Answers) -> Script {
    let known = cache(ctx, answers).ok();
    let by_force = ctx.ticket.attempt > 1;
    let mut commands = Vec::new();
    for path in master_paths(ctx).iter().rev() {
        let (made, mounts) = match &known {
            None => (true, 1),
            Some((made, mounts)) => (
                made.iter().any(|row| row.mount_point == *path),
                mounts.iter().filter(|row| row.over == *path).count(),
            ),
        };
        for _ in 0..mounts {
            commands.push(Command::new(argv::unmount(path, by_force)).tolerated());
        }
        if made {
            commands.push(Command::new(argv::remove_fs(path)).tolerated());
        }
    }
    let mounts = known.as_ref().map(|(_, mounts)| mounts.as_slice());
    commands.extend(remove_top(ctx, mounts));
    Script::new(commands)
}

/// Removes the master's directories of the copy where they are empty. Those of
/// its file systems lie in what is mounted above them, and go with it: only where
/// `mounts` shows that nothing was mounted are they the master's own, made for a
/// mount that did not come.
pub(crate) fn remove_top(ctx: &Context<'_>, mounts: Option<&[MountRow]>) -> Vec<Command> {
    let (top, root) = (master_top(ctx), ctx.spec.master_root());
    let mut paths = BTreeSet::from([root.clone()]);
    let mut commands = Vec::new();
    if mounts.is_some_and(|mounts| mounts_below(mounts, &top).is_empty()) {
        // A step whose mounts somebody has taken away has left its marks below them.
        let marks = marks::directory(ctx);
        commands.push(Command::new(["rm", "-rf", &marks]));
        for path in master_paths(ctx).into_iter().chain([marks]) {
            let above = Path::new(&path).ancestors().take_while(|path| path.starts_with(&root));
            paths.extend(above.map(|path| path.display().to_string()));
        }
    }
    let inner = paths.iter().rev().chain([&top]);
    commands.extend(inner.map(|path| Command::new(["rmdir", path]).tolerated()));
    commands
}
