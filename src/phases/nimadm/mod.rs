//! The steps of the nimadm driver: each of nimadm's phases is one step,
//! `nimadm -P N` on the master (`docs/nimadm-driver.md`).
//!
//! What a phase leaves is looked for as the native driver looks for it. That
//! nimadm ended well is marked on the master beside it, under the owner of the
//! lease: most of what it does inside the copy shows nowhere else. Nothing is
//! assumed of its own clean-up after a failure: what is gone is seen, and a fresh
//! clone is made.

mod command;
mod probe;
mod undo;

use std::time::Duration;

use crate::aix::argv;
use crate::domain::{HostRole, Phase, Presence, Repeat, UndoKind};
use crate::transport::{Command, Script};

use crate::phases::read::{judged, look};
use crate::phases::step::{Drivers, Is, STEP, StepDef, hours, minutes};

pub(super) use command::{log, signs_of_life};
pub(super) use probe::marks;

pub(super) const STEPS: &[StepDef] = &[
    MARK_PHASES,
    CLONE,
    EXPORT,
    MOUNT,
    PRE_SCRIPT,
    MIGRATE_BASE,
    MIGRATE_FILESETS,
    POST_SCRIPT,
    BOOT_IMAGE,
    UNMOUNT,
    UNEXPORT,
    FINISH,
    END,
];

/// A phase. From the second on a phase is repeated as it is as long as the copy
/// is whole (its probe tells then that nothing of it is there); otherwise only a
/// fresh clone helps.
const fn phase(phase: Phase, name: &'static str, about: &'static str, most: Duration) -> StepDef {
    StepDef {
        phase,
        name,
        about,
        host: HostRole::Master,
        drivers: Drivers::Nimadm,
        is: &[Is::OfNimadm],
        repeat: Repeat::Never,
        timeout: most,
        stall: if most.as_secs() > hours(2).as_secs() { Some(hours(2)) } else { None },
        looks: probe::looks,
        judge: probe::judge,
        run: Some(command::run),
        ..STEP
    }
}

/// Its undo is the last of the driver's: nothing of nimadm is left in NIM.
const MARK_PHASES: StepDef = StepDef {
    phase: Phase::Clone,
    name: "mark-phases",
    about: "make the directory for the marks of nimadm's phases",
    host: HostRole::Master,
    drivers: Drivers::Nimadm,
    undo: UndoKind::Reverse,
    timeout: minutes(10),
    looks: |ctx| {
        let mut looks = probe::base(ctx);
        let work = ctx.spec.work_directory();
        let directories = [marks(ctx), work.clone()].map(|path| argv::ls_d(&path));
        let list = argv::ls(&work);
        looks.push(look(HostRole::Master, directories.into_iter().chain([list])));
        looks
    },
    judge: |ctx, answers| {
        judged((|| {
            if let Some(bar) = probe::somebody_works(ctx, answers)? {
                return Ok(bar);
            }
            let there = answers.master().is_there(argv::ls_d(&marks(ctx)))?;
            Ok(super::step::Finding::of(if there { Presence::Present } else { Presence::Absent }))
        })())
    },
    run: Some(|ctx, _| Script::new([Command::new(["mkdir", "-p", &marks(ctx)])])),
    undo_run: Some(undo::unmark),
    judge_undo: Some(undo::judge_unmarked),
    ..STEP
};

const CLONE: StepDef = StepDef {
    is: &[Is::OfNimadm, Is::MakesCopy, Is::BackByName],
    repeat: Repeat::AfterUndo,
    undo: UndoKind::Reverse,
    undo_run: Some(undo::remove_copy),
    judge_undo: Some(undo::judge_removed),
    ..phase(Phase::Clone, "nimadm-clone", "clone rootvg by nimadm, phase 1", hours(6))
};

const EXPORT: StepDef = StepDef {
    undo: UndoKind::Reverse,
    undo_run: Some(undo::unexport),
    judge_undo: Some(undo::judge_unexported),
    ..phase(
        Phase::Export,
        "nimadm-export",
        "export the copy, or make the cache, by nimadm, phase 2",
        hours(2),
    )
};

const MOUNT: StepDef = StepDef {
    undo: UndoKind::Reverse,
    undo_run: Some(undo::unmount),
    judge_undo: Some(undo::judge_unmounted),
    ..phase(
        Phase::Mount,
        "nimadm-mount",
        "mount the copy, or fill the cache, by nimadm, phase 3",
        hours(6),
    )
};

const PRE_SCRIPT: StepDef = StepDef {
    applies: |spec| spec.options.pre_script.is_some(),
    ..phase(
        Phase::PreScript,
        "nimadm-pre-script",
        "run the pre-migration script by nimadm, phase 4",
        hours(2),
    )
};

const MIGRATE_BASE: StepDef = phase(
    Phase::MigrateBase,
    "nimadm-migrate-base",
    "migrate the base by nimadm, phase 5",
    hours(6),
);

const MIGRATE_FILESETS: StepDef = phase(
    Phase::MigrateFilesets,
    "nimadm-migrate-filesets",
    "migrate the filesets by nimadm, phase 6",
    hours(8),
);

const POST_SCRIPT: StepDef = StepDef {
    applies: |spec| spec.options.post_script.is_some(),
    ..phase(
        Phase::PostScript,
        "nimadm-post-script",
        "run the post-migration script by nimadm, phase 7",
        hours(2),
    )
};

const BOOT_IMAGE: StepDef = phase(
    Phase::BootImage,
    "nimadm-boot-image",
    "make the boot image by nimadm, phase 8",
    hours(2),
);

const UNMOUNT: StepDef = phase(
    Phase::Unmount,
    "nimadm-unmount",
    "return the cache and unmount the copy by nimadm, phase 9",
    hours(6),
);

const UNEXPORT: StepDef = phase(
    Phase::Unexport,
    "nimadm-unexport",
    "remove exports, or the cache, by nimadm, phase 10",
    hours(2),
);

const FINISH: StepDef = StepDef {
    undo: UndoKind::Reverse,
    undo_run: Some(undo::unfinish),
    judge_undo: Some(undo::judge_unfinished),
    ..phase(Phase::Finish, "nimadm-finish", "finish the copy by nimadm, phase 11", hours(6))
};

const END: StepDef =
    phase(Phase::End, "nimadm-end", "let nimadm clean client and master, phase 12", hours(2));
