//! Cleanup of what holds the copy: mounts and cache file systems of the master,
//! exports and mounts of the client.

use crate::aix::argv;
use crate::aix::{FsRow, MountRow};
use crate::domain::{HostRole, Phase, TaskKind};
use crate::transport::{Command, Script};

use super::cleanup_check::{gone, is_empty_tree, only, tree_looks};
use crate::phases::copy::{CLIENT_ROOT, is_below, master_top, mounts_below};
use crate::phases::native::mount::{judge_master_unmounted, mount_looks, unmount_all};
use crate::phases::read::{HostAnswers, Read, judged};
use crate::phases::step::{Answers, Context, STEP, StepDef, minutes};

pub(crate) const STEPS: &[StepDef] = &[MASTER_MOUNTS, CACHES, EXPORTS, CLIENT_MOUNTS];

/// NFS mounts and the cache's.
const MASTER_MOUNTS: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-mounts-master",
    about: "unmount the copy on the master",
    host: HostRole::Master,
    task: TaskKind::Cleanup,
    timeout: minutes(30),
    looks: mount_looks,
    judge: judge_master_unmounted,
    run: Some(|ctx, answers| Script::new(unmount_all(ctx, answers))),
    ..STEP
};

/// File systems of local disk caching, and the directories above them.
const CACHES: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-caches",
    about: "remove cache file systems and directories of the copy",
    host: HostRole::Master,
    task: TaskKind::Cleanup,
    timeout: minutes(30),
    looks: |ctx| {
        let top = tree_looks(&master_top(ctx));
        only(HostRole::Master, [argv::lsfs()].into_iter().chain(top))
    },
    judge: |ctx, answers| {
        judged((|| {
            let clean = caches(ctx, answers)?.is_empty();
            Ok(gone(clean && !is_empty_tree(answers.master(), &master_top(ctx))?))
        })())
    },
    run: Some(|ctx, answers| {
        let rows = caches(ctx, answers).unwrap_or_default();
        let paths = rows.iter().map(|row| row.mount_point.as_str());
        let remove = paths.map(|path| Command::new(argv::remove_fs(path)).tolerated());
        let mut commands: Vec<Command> = remove.collect();
        // Where nothing but directories is in them; what holds files stays.
        let top = master_top(ctx);
        if is_empty_tree(answers.master(), &top).unwrap_or(true) {
            commands.push(Command::new(argv::remove_empty(&top)).tolerated());
        }
        Script::new(commands)
    }),
    ..STEP
};

/// The cache file systems of the client, children first.
fn caches(ctx: &Context<'_>, answers: &Answers) -> Read<Vec<FsRow>> {
    let top = master_top(ctx);
    let mut rows = answers.master().lsfs()?;
    rows.retain(|row| is_below(&row.mount_point, &top));
    rows.sort_by(|a, b| b.mount_point.cmp(&a.mount_point));
    Ok(rows)
}

/// What mount points of a migration begin with, beside the copy's.
const MIG: &str = "ALT_MIG_";

/// Exports that are in force, and lines in /etc/exports.
const EXPORTS: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-exports",
    about: "remove exports of the copy",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    timeout: minutes(10),
    applies: |spec| spec.task.has_client(),
    looks: |_| only(HostRole::Client, [argv::exports(), argv::cat("/etc/exports")]),
    judge: |_, answers| {
        judged(exports(answers).map(|(live, lines)| gone(live.is_empty() && lines.is_empty())))
    },
    run: Some(|_, answers| {
        // A dry run has asked nobody.
        let all = || vec![CLIENT_ROOT.to_owned()];
        let (live, lines) = exports(answers).unwrap_or_else(|_| (all(), Vec::new()));
        let unexport = live.iter().map(|path| Command::new(argv::unexport(path)).tolerated());
        let forget = lines.iter().map(|path| Command::new(argv::forget_export(path)).tolerated());
        Script::new(unexport.chain(forget))
    }),
    ..STEP
};

fn is_of_copy(path: &str) -> bool {
    is_below(path, CLIENT_ROOT) || path.strip_prefix('/').is_some_and(|path| path.starts_with(MIG))
}

/// Exports of the copy that are in force, and those that /etc/exports names.
/// Children first.
pub(crate) fn exports(answers: &Answers) -> Read<(Vec<String>, Vec<String>)> {
    let (said, table) = (answers.client(), argv::cat("/etc/exports"));
    let mut live = said.exports()?;
    let mut lines = Vec::new();
    if said.is_there(table.clone())? {
        let named =
            said.output(table)?.stdout.lines().filter_map(|line| line.split_whitespace().next());
        lines.extend(named.map(str::to_owned));
    }
    for list in [&mut live, &mut lines] {
        list.retain(|path| is_of_copy(path));
        list.sort_by(|a, b| b.cmp(a));
    }
    Ok((live, lines))
}

/// The copy's mounts, the SPOT's, and mount points of the latter.
const CLIENT_MOUNTS: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-mounts-client",
    about: "unmount copy and SPOT on the client",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    timeout: minutes(30),
    applies: |spec| spec.task.has_client(),
    looks: |_| {
        let spot = argv::files_below(argv::SPOT_MOUNT);
        only(HostRole::Client, [argv::mounts(), argv::ls("/"), spot])
    },
    judge: |_, answers| {
        judged((|| {
            let said = answers.client();
            let mounted = !mounts(&said.mounts()?).is_empty();
            Ok(gone(!mounted && mount_points(said)?.is_empty()))
        })())
    },
    run: Some(|ctx, answers| {
        let said = answers.client();
        let rows = said.mounts().unwrap_or_default();
        let by_force = ctx.ticket.attempt > 1;
        let mut commands: Vec<Command> = mounts(&rows)
            .iter()
            .map(|row| Command::new(argv::unmount(&row.over, by_force)).tolerated())
            .collect();
        let points = mount_points(said).unwrap_or_else(|_| vec![argv::SPOT_MOUNT.to_owned()]);
        commands.extend(points.iter().map(|path| Command::new(["rmdir", path]).tolerated()));
        Script::new(commands)
    }),
    ..STEP
};

fn mounts(rows: &[MountRow]) -> Vec<&MountRow> {
    let mut below: Vec<&MountRow> = rows.iter().filter(|row| is_of_copy(&row.over)).collect();
    below.sort_by(|a, b| b.over.cmp(&a.over));
    below
}

/// `/ALT_MIG_SPOT` and its like. One that files of somebody lie in is left.
fn mount_points(said: HostAnswers<'_>) -> Read<Vec<String>> {
    let mounts = said.mounts()?;
    let files = said.output(argv::files_below(argv::SPOT_MOUNT))?;
    // What lies in the SPOT itself is no file of somebody.
    let is_mounted = !mounts_below(&mounts, argv::SPOT_MOUNT).is_empty();
    let kept = files.ok() && !is_mounted && !files.stdout.trim().is_empty();
    let names = said.names("/")?.into_iter().filter(|name| name.starts_with(MIG));
    let paths = names.map(|name| format!("/{name}"));
    Ok(paths.filter(|path| !kept || path != argv::SPOT_MOUNT).collect())
}
