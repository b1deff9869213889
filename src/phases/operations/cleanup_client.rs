//! Cleanup of the client beside its disks: exports, mounts, the lease.

use crate::aix::MountRow;
use crate::aix::argv::{self, words};
use crate::domain::{HostRole, Phase, Presence, TaskKind};
use crate::transport::{Command, Script};

use super::cleanup_check::{gone, is_empty_tree, only, tree_looks};
use crate::phases::copy::{CLIENT_ROOT, is_below, master_top, mounts_below};
use crate::phases::lease::{guard_of, is_alive, is_of_takeover};
use crate::phases::read::{HostAnswers, Read, judged, look};
use crate::phases::step::{Answers, Context, Finding, Is, STEP, StepDef, minutes};

/// What mount points of a migration begin with, beside the copy's.
const MIG: &str = "ALT_MIG_";

/// Exports that are in force, and lines in /etc/exports.
pub(crate) const EXPORTS: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-exports",
    about: "remove exports of the copy",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    timeout: minutes(10),
    applies: |spec| spec.mode.has_client(),
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
pub(crate) const MOUNTS: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-mounts-client",
    about: "unmount copy and SPOT on the client",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    timeout: minutes(30),
    applies: |spec| spec.mode.has_client(),
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

/// Looks for what belongs to nobody known: it is told, and never removed.
pub(crate) const LEFT_ALONE: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-left-alone",
    about: "look for files of others where a copy is mounted",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    applies: |spec| spec.mode.has_client(),
    looks: |ctx| {
        let client = [CLIENT_ROOT, argv::SPOT_MOUNT].map(argv::files_below);
        let master = argv::files_below(&master_top(ctx));
        vec![look(HostRole::Client, client), look(HostRole::Master, [master])]
    },
    judge: |ctx, answers| {
        judged((|| {
            for top in [CLIENT_ROOT, argv::SPOT_MOUNT] {
                answers.client().output(argv::files_below(top))?;
            }
            answers.master().output(argv::files_below(&master_top(ctx)))?;
            Ok(Finding::of(Presence::Present))
        })())
    },
    ..STEP
};

/// What a migration keeps on the client, by name in its directory.
const OWN: [&str; 6] = [
    "lease",
    "clone.begun",
    "finish-clone.done",
    "exclude_files",
    "image.data",
    "clone-rootvg.done",
];

/// Whether a name in that directory is one that a migration gives.
pub(in crate::phases) fn is_own(name: &str) -> bool {
    OWN.contains(&name) || is_of_takeover(name)
}

/// The last step: the lease, whose holder is no more, and empty directories.
pub(crate) const WORK: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-work-client",
    about: "drop the dead lease, remove the migration's own files",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    is: &[Is::SeesToLease],
    applies: |spec| spec.mode.has_client(),
    looks: |_| {
        let lease = argv::ls_l(argv::LEASE);
        let directory = argv::ls(argv::LEASE_DIR);
        let looks = [lease, directory].into_iter().chain(tree_looks(CLIENT_ROOT));
        only(HostRole::Client, looks)
    },
    judge: |ctx, answers| judged(judge_work(ctx, answers)),
    run: Some(|ctx, answers| {
        let said = answers.client();
        let mut commands: Vec<Command> = guard_of(ctx, answers).into_iter().collect();
        if has_work(said).unwrap_or(true) {
            // And what a takeover of the lease has left.
            let names = said.names(argv::LEASE_DIR).unwrap_or_default();
            let claims = names.iter().map(String::as_str).filter(|name| is_of_takeover(name));
            let mut remove = words(&["rm", "-f"]);
            let paths = OWN.into_iter().chain(claims);
            remove.extend(paths.map(|name| format!("{}/{name}", argv::LEASE_DIR)));
            commands.push(Command::new(remove));
            commands.push(Command::new(["rmdir", argv::LEASE_DIR]).tolerated());
        }
        if is_empty_tree(said, CLIENT_ROOT).unwrap_or(true) {
            commands.push(Command::new(argv::remove_empty(CLIENT_ROOT)).tolerated());
        }
        Script::new(commands)
    }),
    ..STEP
};

/// Whether the migration's own files, or its empty directory, are there.
fn has_work(said: HostAnswers<'_>) -> Read<bool> {
    if !said.is_there(argv::ls(argv::LEASE_DIR))? {
        return Ok(false);
    }
    let names = said.names(argv::LEASE_DIR)?;
    Ok(names.is_empty() || names.iter().any(|name| is_own(name)))
}

fn judge_work(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    if let Some(holder) = said.lease()?.filter(|holder| is_alive(ctx, holder)) {
        return Err(format!("{} has taken the lease meanwhile", holder.words()));
    }
    Ok(gone(!has_work(said)? && !is_empty_tree(said, CLIENT_ROOT)?))
}
