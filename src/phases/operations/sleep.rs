//! Sleep: a woken copy is unmounted, unexported and put to sleep, which it must
//! be before the client boots.

use std::time::Duration;

use crate::aix;
use crate::aix::argv::{self, words};
use crate::domain::{HostRole, Phase, Presence, Repeat, StepName, UndoKind};
use crate::transport::{Command, Script};

use super::super::copy::{ALT_VG, CLIENT_ROOT, OLD_VG, master_top};
use super::super::marks;
use super::super::mount::{judge_unmounted, mount_looks, unmount_all};
use super::super::read::{Said, judged};
use super::super::step::{Sight, StepDef};
use super::cleanup_check::{gone, only};
use super::cleanup_client::exports;
use super::wake::{leased, no_copy, sight_of_copy};

/// The gate.
pub(crate) const CHECK: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("sleep-check"),
    about: "check that there is a copy",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: true,
    timeout: Duration::from_secs(300),
    stall: None,
    settle: Duration::ZERO,
    weight: 0,
    applies: |spec| spec.mode.has_client(),
    looks: |_| only(HostRole::Client, [words(&["lspv"]), words(&["ls", "-l", argv::LEASE])]),
    judge: |ctx, answers| {
        judged((|| {
            let said = Said::by(answers, 0);
            if let Some(bar) = leased(ctx, said, 1)? {
                return Ok(bar);
            }
            let lspv = said.read(0, aix::lspv)?;
            let is_there = lspv.iter().any(|row| row.is_in(ALT_VG) || row.is_in(OLD_VG));
            Ok(if is_there { Sight::of(Presence::Present) } else { no_copy(ctx) })
        })())
    },
    run: None,
    undo_run: None,
    judge_undo: None,
};

/// The master lets go of it.
pub(crate) const MOUNTS: StepDef = StepDef {
    phase: Phase::Unmount,
    name: StepName::new("sleep-mounts"),
    about: "unmount the copy on the master",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(1800),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| spec.mode.has_client(),
    looks: mount_looks,
    judge: |ctx, answers| {
        let sight = judge_unmounted(ctx, answers);
        match sight.presence {
            Presence::Absent => gone(true),
            Presence::Present => gone(false),
            _ => sight,
        }
    },
    run: Some(|ctx, answers| {
        let mut commands = unmount_all(ctx, answers);
        commands.push(Command::new(argv::remove_empty(&master_top(ctx))).tolerated());
        Script::new(commands)
    }),
    undo_run: None,
    judge_undo: None,
};

/// The client takes its exports back.
pub(crate) const EXPORTS: StepDef = StepDef {
    phase: Phase::Unexport,
    name: StepName::new("sleep-exports"),
    about: "remove the exports of the copy",
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
    judge: |_, answers| judged(exports(answers).map(|(live, _)| gone(live.is_empty()))),
    run: Some(|_, answers| {
        let live = exports(answers).map_or_else(|_| vec![CLIENT_ROOT.to_owned()], |both| both.0);
        Script::new(live.iter().map(|path| Command::new(argv::unexport(path)).tolerated()))
    }),
    undo_run: None,
    judge_undo: None,
};

/// `alt_rootvg_op -S`.
pub(crate) const COPY: StepDef = StepDef {
    phase: Phase::Finish,
    name: StepName::new("sleep-copy"),
    about: "put the copy to sleep",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(1800),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| spec.mode.has_client(),
    looks: |_| only(HostRole::Client, [words(&["lspv"]), words(&["mount"])]),
    judge: |_, answers| {
        judged(sight_of_copy(answers).map(|(awake, mounted, facts)| Sight {
            facts: Some(facts),
            ..gone(!awake && !mounted)
        }))
    },
    run: Some(|_, _| {
        Script::new([marks::remove_all(CLIENT_ROOT), Command::new(argv::sleep_copy())])
    }),
    undo_run: None,
    judge_undo: None,
};
