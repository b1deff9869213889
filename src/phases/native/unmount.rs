//! Phases 9 and 10: the master lets go of the copy.

use crate::aix::argv::{self, words};
use crate::aix::{self, FsUsage};
use crate::domain::{HostRole, Phase, Presence};
use crate::transport::{Command, Script};

use crate::phases::copy::{CLIENT_ROOT, client_paths, file_systems, master_paths, mounted};
use crate::phases::copy::{lost_by_client, on_client};
use crate::phases::marks;
use crate::phases::native::export::{cache_rows, export_looks, remove_top, unexport_all};
use crate::phases::native::mount::{
    judge_master_unmounted, lacks, mount_looks, unmount_all, unmount_and_remove,
};
use crate::phases::read::{HostAnswers, Read, judged, look};
use crate::phases::step::{Answers, Context, Finding, Is, STEP, StepDef, hours, minutes};

pub(crate) const STEPS: &[StepDef] =
    &[RETURN_CACHE, UNMOUNT_FILESYSTEMS, UNEXPORT_FILESYSTEMS, REMOVE_CACHE];

/// With local disk caching: the client gets its data back.
const RETURN_CACHE: StepDef = StepDef {
    phase: Phase::Unmount,
    name: "return-cache",
    about: "copy the cache back to the client",
    host: HostRole::Master,
    is: &[Is::ByRemoteShell],
    timeout: hours(6),
    stall: Some(hours(2)),
    applies: |spec| spec.caches() && spec.task.changes_client(),
    looks: |ctx| {
        let usage = argv::df("-m", &client_paths(ctx));
        let client = [argv::ls(&marks::on_client()), argv::mounts(), usage];
        let master = [argv::mounts(), argv::df("-m", &master_paths(ctx))];
        vec![look(HostRole::Client, client), look(HostRole::Master, master)]
    },
    judge: |ctx, answers| judged(judge_return(ctx, answers)),
    run: Some(run_return),
    ..STEP
};

/// The mark that the client has its data back, as the client sees it.
fn returned() -> String {
    format!("{}/return-cache.done", marks::on_client())
}

fn judge_return(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let (client, master) = (answers.client(), answers.master());
    if let Some(bar) = lost_by_client(ctx, &client.mounts()?) {
        return Ok(bar);
    }
    if client.lists(&returned())? {
        let usages = (usage(master, &master_paths(ctx)), usage(client, &client_paths(ctx)));
        let ways = master_paths(ctx).into_iter().zip(client_paths(ctx));
        let lacks_data = match &usages {
            (Ok(sent), Ok(arrived)) => lacks(sent, arrived, ways, 16),
            _ => false,
        };
        let presence = if lacks_data { Presence::Absent } else { Presence::Present };
        return Ok(Finding::of(presence));
    }
    let (there, wanted) = mounted(&master.mounts()?, &master_paths(ctx));
    if there < wanted {
        let why = format!("{there} of {wanted} file systems of the cache are mounted");
        return Ok(Finding::unmounted(why));
    }
    Ok(Finding::of(Presence::Absent))
}

/// How full the file systems at `paths` are.
fn usage(said: HostAnswers<'_>, paths: &[String]) -> Read<Vec<(String, FsUsage)>> {
    said.read(argv::df("-m", paths), aix::df)
}

fn run_return(ctx: &Context<'_>, answers: &Answers) -> Script {
    let client = usage(answers.client(), &client_paths(ctx)).unwrap_or_default();
    let master = usage(answers.master(), &master_paths(ctx)).unwrap_or_default();
    let size = |usages: &[(String, FsUsage)], path: &str| {
        usages.iter().find(|(over, _)| over == path).map(|(_, usage)| usage.total)
    };
    let mut commands = Vec::new();
    for fs in file_systems(ctx) {
        let (from, to) = (fs.below(&ctx.spec.master_root()), fs.below(CLIENT_ROOT));
        if let (Some(cached), Some(own)) = (size(&master, &from), size(&client, &to))
            && cached > own
        {
            commands
                .push(Command::new(on_client(ctx, argv::resize_fs(&to, &format!("{cached}M")))));
        }
        let write = on_client(ctx, argv::unpack(&to));
        commands.push(Command::new(argv::pack(&from)).piped_to(write));
    }
    commands.push(Command::new(on_client(ctx, words(&["touch", &returned()]))));
    Script::new(commands)
}

/// NFS mounts, or the cache's.
pub(crate) const UNMOUNT_FILESYSTEMS: StepDef = StepDef {
    phase: Phase::Unmount,
    name: "unmount-filesystems",
    about: "unmount the copy on the master",
    host: HostRole::Master,
    timeout: minutes(30),
    applies: |spec| spec.task.changes_client(),
    looks: mount_looks,
    judge: judge_master_unmounted,
    run: Some(|ctx, answers| {
        // The cache's directories are needed until it is removed.
        if ctx.spec.caches() {
            return Script::new(unmount_all(ctx, answers));
        }
        unmount_and_remove(ctx, answers)
    }),
    ..STEP
};

/// Plain mode.
pub(crate) const UNEXPORT_FILESYSTEMS: StepDef = StepDef {
    phase: Phase::Unexport,
    name: "unexport-filesystems",
    about: "remove the exports of the copy",
    host: HostRole::Client,
    timeout: minutes(10),
    applies: |spec| !spec.caches(),
    looks: export_looks,
    judge: |ctx, answers| {
        judged(answers.client().exports().map(|exports| {
            let left = client_paths(ctx).iter().any(|path| exports.contains(path));
            Finding::of(if left { Presence::Absent } else { Presence::Present })
        }))
    },
    run: Some(unexport_all),
    ..STEP
};

/// With local disk caching.
pub(crate) const REMOVE_CACHE: StepDef = StepDef {
    phase: Phase::Unexport,
    name: "remove-cache",
    about: "remove the cache file systems",
    host: HostRole::Master,
    timeout: minutes(30),
    applies: |spec| spec.caches() && spec.task.changes_client(),
    looks: |_| vec![look(HostRole::Master, [argv::lsfs()])],
    judge: |ctx, answers| {
        judged(cache_rows(ctx, answers).map(|rows| {
            Finding::of(if rows.is_empty() { Presence::Present } else { Presence::Absent })
        }))
    },
    run: Some(|ctx, answers| {
        let rows = cache_rows(ctx, answers).ok();
        let is_there = |path: &String| {
            rows.as_ref().is_none_or(|rows| rows.iter().any(|row| row.mount_point == *path))
        };
        let paths: Vec<String> = master_paths(ctx).into_iter().rev().filter(is_there).collect();
        let remove = paths.iter().map(|path| Command::new(argv::remove_fs(path)).tolerated());
        Script::new(remove.chain(remove_top(ctx, None)))
    }),
    ..STEP
};
