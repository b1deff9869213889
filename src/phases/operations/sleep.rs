//! Sleep: a woken copy is unmounted, unexported and put to sleep, which it must
//! be before the client boots.

use crate::aix::argv;
use crate::domain::{HostRole, Phase, Presence, TaskKind};
use crate::transport::{Command, Script};

use super::cleanup_check::{gone, only};
use super::cleanup_mounts::exports;
use super::wake::{leased, no_copy, sight_of_copy};
use crate::phases::copy::{ALT_VG, CLIENT_ROOT, OLD_VG, master_top};
use crate::phases::marks;
use crate::phases::native::mount::{judge_unmounted, mount_looks, unmount_all};
use crate::phases::read::judged;
use crate::phases::step::{Finding, Is, STEP, StepDef, minutes};

pub(crate) const STEPS: &[StepDef] = &[CHECK, MOUNTS, EXPORTS, COPY];

/// The gate.
const CHECK: StepDef = StepDef {
    phase: Phase::Clone,
    name: "sleep-check",
    about: "check that there is a copy",
    host: HostRole::Client,
    task: TaskKind::Sleep,
    gate: true,
    applies: |spec| spec.task.has_client(),
    looks: |_| only(HostRole::Client, [argv::lspv(), argv::ls_l(argv::LEASE)]),
    judge: |ctx, answers| {
        judged((|| {
            if let Some(bar) = leased(ctx, answers)? {
                return Ok(bar);
            }
            let lspv = answers.client().lspv()?;
            let is_there = lspv.iter().any(|row| row.is_in(ALT_VG) || row.is_in(OLD_VG));
            Ok(if is_there { Finding::of(Presence::Present) } else { no_copy(ctx) })
        })())
    },
    ..STEP
};

/// The master lets go of it.
const MOUNTS: StepDef = StepDef {
    phase: Phase::Unmount,
    name: "sleep-mounts",
    about: "unmount the copy on the master",
    host: HostRole::Master,
    task: TaskKind::Sleep,
    timeout: minutes(30),
    applies: |spec| spec.task.has_client(),
    looks: mount_looks,
    judge: |ctx, answers| {
        let finding = judge_unmounted(ctx, answers);
        match finding.presence {
            Presence::Absent => gone(true),
            Presence::Present => gone(false),
            _ => finding,
        }
    },
    run: Some(|ctx, answers| {
        let mut commands = unmount_all(ctx, answers);
        commands.push(Command::new(argv::remove_empty(&master_top(ctx))).tolerated());
        Script::new(commands)
    }),
    ..STEP
};

/// The client takes its exports back.
const EXPORTS: StepDef = StepDef {
    phase: Phase::Unexport,
    name: "sleep-exports",
    about: "remove the exports of the copy",
    host: HostRole::Client,
    task: TaskKind::Sleep,
    timeout: minutes(10),
    applies: |spec| spec.task.has_client(),
    looks: |_| only(HostRole::Client, [argv::exports(), argv::cat("/etc/exports")]),
    judge: |_, answers| judged(exports(answers).map(|(live, _)| gone(live.is_empty()))),
    run: Some(|_, answers| {
        let live = exports(answers).map_or_else(|_| vec![CLIENT_ROOT.to_owned()], |both| both.0);
        Script::new(live.iter().map(|path| Command::new(argv::unexport(path)).tolerated()))
    }),
    ..STEP
};

/// `alt_rootvg_op -S`.
const COPY: StepDef = StepDef {
    phase: Phase::Finish,
    name: "sleep-copy",
    about: "put the copy to sleep",
    host: HostRole::Client,
    task: TaskKind::Sleep,
    is: &[Is::ByName],
    timeout: minutes(30),
    applies: |spec| spec.task.has_client(),
    looks: |_| only(HostRole::Client, [argv::lspv(), argv::mounts()]),
    judge: |_, answers| {
        judged(sight_of_copy(answers).map(|(awake, mounted, facts)| Finding {
            facts: Some(facts),
            ..gone(!awake && !mounted)
        }))
    },
    run: Some(|_, _| {
        Script::new([marks::remove_all(CLIENT_ROOT), Command::new(argv::sleep_copy())])
    }),
    ..STEP
};
