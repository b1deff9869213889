//! Phase 3: the master mounts the copy; with local disk caching, it fills its
//! cache instead.

use std::time::Duration;

use crate::aix::argv::{self, words};
use crate::aix::{self, MountRow};
use crate::domain::{Cause, FailureClass, HostRole, Phase, Presence, Repeat, StepName, UndoKind};
use crate::transport::{Command, Script};

use super::copy::{
    client_paths, lost_by_client, master_paths, master_top, mounts_below, on_client,
};
use super::export::remove_top;
use super::marks;
use super::read::{Read, Said, all_or_any, judged, look};
use super::registry::chosen;
use super::step::{Answers, Context, Looks, Sight, StepDef};

/// Plain mode.
pub(super) const MOUNT_FILESYSTEMS: StepDef = StepDef {
    phase: Phase::Mount,
    name: StepName::new("mount-filesystems"),
    about: "mount the copy's file systems on the master",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Reverse,
    gate: false,
    timeout: Duration::from_secs(1800),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| chosen(spec, Phase::Mount) && !spec.caches(),
    looks: mount_looks,
    judge: |ctx, answers| judged(judge_mounts(ctx, answers)),
    run: Some(|ctx, answers| {
        let mounts = Said::by(answers, 0).read(0, aix::mounts).unwrap_or_default();
        let options = ctx.spec.options.mount_options.as_deref();
        let client = ctx.spec.client.as_str();
        let mut commands = Vec::new();
        for (from, over) in client_paths(ctx).iter().zip(master_paths(ctx)) {
            if mounts.iter().any(|row| row.over == over) {
                continue;
            }
            commands.push(Command::new(["mkdir", "-p", &over]));
            commands.push(Command::new(argv::mount_nfs(options, client, from, &over)));
        }
        Script::new(commands)
    }),
    undo_run: Some(|ctx, answers| {
        let mut commands = unmount_all(ctx, answers);
        commands.extend(remove_top(ctx));
        Script::new(commands)
    }),
    judge_undo: Some(|ctx, answers| {
        let said = Said::by(answers, 0);
        judged(said.read(0, aix::mounts).and_then(|mounts| {
            let mounted = !mounts_below(&mounts, &master_top(ctx)).is_empty();
            let left = mounted || said.is_there(1)?;
            Ok(Sight::of(if left { Presence::Present } else { Presence::Absent }))
        }))
    }),
};

/// What the master's mounts of the copy are looked for by, here and later.
pub(super) fn mount_looks(ctx: &Context<'_>) -> Looks {
    let top = words(&["ls", "-d", &master_top(ctx)]);
    vec![look(HostRole::Master, [words(&["mount"]), top])]
}

fn judge_mounts(ctx: &Context<'_>, answers: &Answers) -> Read<Sight> {
    let mounts = Said::by(answers, 0).read(0, aix::mounts)?;
    let (mut there, mut wanted) = (0, 0);
    for (from, over) in client_paths(ctx).iter().zip(master_paths(ctx)) {
        wanted += 1;
        let Some(row) = mounts.iter().rfind(|row| row.over == over) else { continue };
        if row.node.is_none() || row.device != *from {
            return Ok(in_the_way(row));
        }
        there += 1;
    }
    Ok(all_or_any(wanted > 0 && there == wanted, there > 0))
}

fn in_the_way(row: &MountRow) -> Sight {
    let text = format!("{} is mounted on {} of the master", row.device, row.over);
    let cause = Cause::new(FailureClass::Permanent, text);
    Sight::barred(cause.with_hint(format!("unmount {} on the master", row.over)))
}

/// Unmounts everything at or below the master's directory of the copy, children
/// first; by force where an attempt has failed.
pub(super) fn unmount_all(ctx: &Context<'_>, answers: &Answers) -> Vec<Command> {
    let paths = match Said::by(answers, 0).read(0, aix::mounts) {
        Ok(mounts) => mounts_below(&mounts, &master_top(ctx))
            .into_iter()
            .map(|row| row.over.clone())
            .collect(),
        Err(_) => master_paths(ctx).into_iter().rev().collect::<Vec<_>>(),
    };
    let by_force = ctx.ticket.attempt > 1;
    paths.iter().map(|path| Command::new(argv::unmount(path, by_force)).tolerated()).collect()
}

/// With local disk caching.
pub(super) const FILL_CACHE: StepDef = StepDef {
    phase: Phase::Mount,
    name: StepName::new("fill-cache"),
    about: "copy the client's data into the cache",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(6 * 3600),
    stall: Some(Duration::from_secs(2 * 3600)),
    settle: Duration::ZERO,
    weight: 10,
    applies: |spec| chosen(spec, Phase::Mount) && spec.caches(),
    looks: |ctx| {
        let mut looks = marks::looks(ctx);
        looks.push(look(HostRole::Client, [words(&["mount"])]));
        looks
    },
    judge: |ctx, answers| {
        judged((|| {
            let mounts = Said::by(answers, 1).read(0, aix::mounts)?;
            if let Some(bar) = lost_by_client(ctx, &mounts) {
                return Ok(bar);
            }
            marks::judge(ctx, Said::by(answers, 0), "fill-cache")
        })())
    },
    run: Some(|ctx, _| {
        let mut commands = Vec::new();
        for (from, to) in client_paths(ctx).iter().zip(master_paths(ctx)) {
            let read = on_client(ctx, argv::pack(from));
            commands.push(Command::new(read).piped_to(argv::unpack(&to)));
        }
        let directory = marks::directory(ctx);
        commands.push(Command::new(["mkdir", "-p", &directory]));
        commands.push(Command::new(["touch", &format!("{directory}/fill-cache.done")]));
        Script::new(commands)
    }),
    undo_run: None,
    judge_undo: None,
};
