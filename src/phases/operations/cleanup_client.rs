//! Cleanup of the client beside its disks: exports, mounts, the lease.

use std::time::Duration;

use crate::aix::argv::{self, words};
use crate::aix::{self, MountRow};
use crate::domain::{HostRole, Phase, Presence, Repeat, StepName, UndoKind};
use crate::transport::{Command, Script};

use super::super::copy::{CLIENT_ROOT, is_below, master_top, mounts_below};
use super::super::lease::{guard_of, is_of_takeover};
use super::super::read::{Read, Said, judged, look};
use super::super::step::{Answers, Context, Sight, StepDef};
use super::cleanup_check::{gone, is_alive, is_empty_tree, only, tree_looks};

/// What mount points of a migration begin with, beside the copy's.
const MIG: &str = "ALT_MIG_";

/// Exports that are in force, and lines in /etc/exports.
pub(crate) const EXPORTS: StepDef = StepDef {
    phase: Phase::End,
    name: StepName::new("cleanup-exports"),
    about: "remove exports of the copy",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(600),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| spec.mode.has_client(),
    looks: |_| only(HostRole::Client, [words(&["exportfs"]), words(&["cat", "/etc/exports"])]),
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
    undo_run: None,
    judge_undo: None,
};

fn is_of_copy(path: &str) -> bool {
    is_below(path, CLIENT_ROOT) || path.strip_prefix('/').is_some_and(|path| path.starts_with(MIG))
}

/// Exports of the copy that are in force, and those that /etc/exports names.
/// Children first.
pub(crate) fn exports(answers: &Answers) -> Read<(Vec<String>, Vec<String>)> {
    let said = Said::by(answers, 0);
    let mut live = said.exports(0)?;
    let mut lines = Vec::new();
    if said.is_there(1)? {
        let named =
            said.output(1)?.stdout.lines().filter_map(|line| line.split_whitespace().next());
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
    name: StepName::new("cleanup-mounts-client"),
    about: "unmount copy and SPOT on the client",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(1800),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| spec.mode.has_client(),
    looks: |_| {
        let spot = argv::files_below(argv::SPOT_MOUNT);
        only(HostRole::Client, [words(&["mount"]), words(&["ls", "/"]), spot])
    },
    judge: |_, answers| {
        judged((|| {
            let said = Said::by(answers, 0);
            let mounted = !mounts(&said.read(0, aix::mounts)?).is_empty();
            Ok(gone(!mounted && mount_points(said)?.is_empty()))
        })())
    },
    run: Some(|ctx, answers| {
        let said = Said::by(answers, 0);
        let rows = said.read(0, aix::mounts).unwrap_or_default();
        let by_force = ctx.ticket.attempt > 1;
        let mut commands: Vec<Command> = mounts(&rows)
            .iter()
            .map(|row| Command::new(argv::unmount(&row.over, by_force)).tolerated())
            .collect();
        let points = mount_points(said).unwrap_or_else(|_| vec![argv::SPOT_MOUNT.to_owned()]);
        commands.extend(points.iter().map(|path| Command::new(["rmdir", path]).tolerated()));
        Script::new(commands)
    }),
    undo_run: None,
    judge_undo: None,
};

fn mounts(rows: &[MountRow]) -> Vec<&MountRow> {
    let mut below: Vec<&MountRow> = rows.iter().filter(|row| is_of_copy(&row.over)).collect();
    below.sort_by(|a, b| b.over.cmp(&a.over));
    below
}

/// `/ALT_MIG_SPOT` and its like. One that files of somebody lie in is left.
fn mount_points(said: Said<'_>) -> Read<Vec<String>> {
    let mounts = said.read(0, aix::mounts)?;
    let files = said.output(2)?;
    // What lies in the SPOT itself is no file of somebody.
    let is_mounted = !mounts_below(&mounts, argv::SPOT_MOUNT).is_empty();
    let kept = files.ok() && !is_mounted && !files.stdout.trim().is_empty();
    let names = said.names(1)?.into_iter().filter(|name| name.starts_with(MIG));
    let paths = names.map(|name| format!("/{name}"));
    Ok(paths.filter(|path| !kept || path != argv::SPOT_MOUNT).collect())
}

/// Looks for what belongs to nobody known: it is told, and never removed.
pub(crate) const LEFT_ALONE: StepDef = StepDef {
    phase: Phase::End,
    name: StepName::new("cleanup-left-alone"),
    about: "look for files of others where a copy is mounted",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(300),
    stall: None,
    settle: Duration::ZERO,
    weight: 0,
    applies: |spec| spec.mode.has_client(),
    looks: |ctx| {
        let client = [CLIENT_ROOT, argv::SPOT_MOUNT].map(argv::files_below);
        let master = argv::files_below(&master_top(ctx));
        vec![look(HostRole::Client, client), look(HostRole::Master, [master])]
    },
    judge: |_, answers| {
        let asked = [(0, 0), (0, 1), (1, 0)];
        judged(
            asked
                .iter()
                .try_for_each(|(script, command)| {
                    Said::by(answers, *script).output(*command).map(|_| ())
                })
                .map(|()| Sight::of(Presence::Present)),
        )
    },
    run: None,
    undo_run: None,
    judge_undo: None,
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
pub(in super::super) fn is_own(name: &str) -> bool {
    OWN.contains(&name) || is_of_takeover(name)
}

/// The last step: the lease, whose holder is no more, and empty directories.
pub(crate) const WORK: StepDef = StepDef {
    phase: Phase::End,
    name: StepName::new("cleanup-work-client"),
    about: "drop the dead lease, remove the migration's own files",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(300),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| spec.mode.has_client(),
    looks: |_| {
        let lease = words(&["ls", "-l", argv::LEASE]);
        let directory = words(&["ls", argv::LEASE_DIR]);
        let looks = [lease, directory].into_iter().chain(tree_looks(CLIENT_ROOT));
        only(HostRole::Client, looks)
    },
    judge: |ctx, answers| judged(judge_work(ctx, answers)),
    run: Some(|ctx, answers| {
        let said = Said::by(answers, 0);
        let mut commands: Vec<Command> = guard_of(ctx, said, 0).into_iter().collect();
        if has_work(said).unwrap_or(true) {
            // And what a takeover of the lease has left.
            let names = said.names(1).unwrap_or_default();
            let claims = names.iter().map(String::as_str).filter(|name| is_of_takeover(name));
            let mut remove = words(&["rm", "-f"]);
            let paths = OWN.into_iter().chain(claims);
            remove.extend(paths.map(|name| format!("{}/{name}", argv::LEASE_DIR)));
            commands.push(Command::new(remove));
            commands.push(Command::new(["rmdir", argv::LEASE_DIR]).tolerated());
        }
        if is_empty_tree(said, 2).unwrap_or(true) {
            commands.push(Command::new(argv::remove_empty(CLIENT_ROOT)).tolerated());
        }
        Script::new(commands)
    }),
    undo_run: None,
    judge_undo: None,
};

/// Whether the migration's own files, or its empty directory, are there.
fn has_work(said: Said<'_>) -> Read<bool> {
    if !said.is_there(1)? {
        return Ok(false);
    }
    let names = said.names(1)?;
    Ok(names.is_empty() || names.iter().any(|name| is_own(name)))
}

fn judge_work(ctx: &Context<'_>, answers: &Answers) -> Read<Sight> {
    let said = Said::by(answers, 0);
    if let Some(holder) = said.lease(0)?.filter(|holder| is_alive(ctx, holder)) {
        return Err(format!("{} has taken the lease meanwhile", holder.words()));
    }
    Ok(gone(!has_work(said)? && !is_empty_tree(said, 2)?))
}
