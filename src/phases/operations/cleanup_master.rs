//! Cleanup of the master: mounts, cache file systems, NIM, the migration's own
//! directory.

use crate::aix::argv::{self, words};
use crate::aix::{FsRow, NimObject};
use crate::domain::{HostRole, Phase, TaskKind};
use crate::transport::{Command, Script};

use super::cleanup_check::{gone, is_empty_tree, is_locked_by_living, only, tree_looks};
use crate::phases::copy::{is_below, master_top};
use crate::phases::native::mksysb;
use crate::phases::native::mount::{judge_master_unmounted, mount_looks, unmount_all};
use crate::phases::read::{Read, judged};
use crate::phases::step::{Answers, Context, STEP, StepDef, minutes};

/// NFS mounts and the cache's.
pub(crate) const MOUNTS: StepDef = StepDef {
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
pub(crate) const CACHES: StepDef = StepDef {
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

/// The client in NIM: unlocked, ready, with nothing allocated.
pub(crate) const NIM: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-nim",
    about: "reset the client in NIM, deallocate its resources",
    host: HostRole::Master,
    task: TaskKind::Cleanup,
    timeout: minutes(15),
    applies: |spec| spec.mode.has_client(),
    looks: |ctx| only(HostRole::Master, [argv::lsnim(&ctx.spec.client), argv::processes()]),
    judge: |ctx, answers| {
        judged((|| {
            let said = answers.master();
            let object = said.nim_object(&ctx.spec.client)?;
            let running = said.processes()?;
            if is_locked_by_living(&object, &running) && !ctx.spec.options.force {
                return Err(format!("{} is locked in NIM", ctx.spec.client));
            }
            Ok(gone(is_at_rest(&object)))
        })())
    },
    run: Some(|ctx, _| {
        let client = ctx.spec.client.as_str();
        let all = words(&["nim", "-Fo", "deallocate", "-a", "subclass=all", client]);
        Script::new([
            Command::new(words(&["nim", "-Fo", "reset", client])),
            Command::new(all).tolerated(),
        ])
    }),
    ..STEP
};

/// Resources that show in a machine's stanza while they are allocated.
const ALLOCATED: [&str; 9] = [
    "spot",
    "lpp_source",
    "mksysb",
    "bosinst_data",
    "image_data",
    "exclude_files",
    "installp_bundle",
    "script",
    "boot",
];

fn is_at_rest(object: &NimObject) -> bool {
    object.get("locked").is_none()
        && object.get("Cstate") == Some("ready for a NIM operation")
        && ALLOCATED.iter().all(|resource| object.get(resource).is_none())
}

/// The migration's own directory on the master, and a mksysb that is half written,
/// which only nimshift calls so. With the directory goes the lease.
pub(crate) const WORK: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-work-master",
    about: "remove the migration's own directory on the master",
    host: HostRole::Master,
    task: TaskKind::Cleanup,
    looks: |ctx| {
        let paths = [ctx.spec.work_directory()].into_iter().chain(half_written(ctx));
        only(HostRole::Master, paths.map(|path| argv::ls_d(&path)))
    },
    judge: |ctx, answers| {
        let is_there = |path: &str| answers.master().is_there(argv::ls_d(path));
        let half = half_written(ctx).map_or(Ok(false), |path| is_there(&path));
        let work = is_there(&ctx.spec.work_directory());
        judged(work.and_then(|there| Ok(gone(!there && !half?))))
    },
    run: Some(|ctx, _| {
        let half = half_written(ctx).map(|path| Command::new(["rm", "-f", &path]));
        let work = Command::new(["rm", "-rf", &ctx.spec.work_directory()]);
        Script::new(half.into_iter().chain([work]))
    }),
    ..STEP
};

/// The mksysb of the plan while it is being written.
fn half_written(ctx: &Context<'_>) -> Option<String> {
    ctx.spec.options.output.as_ref().map(|_| mksysb::part(ctx))
}
