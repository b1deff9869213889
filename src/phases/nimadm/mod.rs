//! The steps of the nimadm driver: each of nimadm's phases is one step,
//! `nimadm -P N` on the master (`docs/nimadm-driver.md`).
//!
//! What a phase leaves is looked for as the native driver looks for it. That
//! nimadm ended well is marked on the master beside it, under the owner of the
//! lease: most of what it does inside the copy shows nowhere else. Nothing is
//! assumed of its own clean-up after a failure: what is gone is seen, and a fresh
//! clone is made.

mod command;
mod sight;
mod undo;

use std::time::Duration;

use crate::aix::argv::words;
use crate::domain::{Driver, HostRole, MigrationSpec, Phase, Presence, Repeat, StepName, UndoKind};
use crate::transport::{Command, Script};

use super::read::{Said, judged, look};
use super::registry::chosen;
use super::step::{Context, StepDef};

pub(super) use command::{log, signs_of_life};

/// Where the phases of this migration are marked on the master.
pub(super) fn marks(ctx: &Context<'_>) -> String {
    format!("{}/nimadm.{}", ctx.spec.work_directory(), ctx.owner)
}

const HOUR: u64 = 3600;

/// A phase. From the second on a phase is repeated as it is as long as the copy
/// is whole (its probe tells then that nothing of it is there); otherwise only a
/// fresh clone helps.
const fn phase(phase: Phase, name: &'static str, about: &'static str, hours: u64) -> StepDef {
    StepDef {
        phase,
        name: StepName::new(name),
        about,
        host: HostRole::Master,
        repeat: Repeat::Never,
        undo: UndoKind::Nothing,
        gate: false,
        timeout: Duration::from_secs(hours * HOUR),
        stall: if hours > 2 { Some(Duration::from_secs(2 * HOUR)) } else { None },
        settle: Duration::ZERO,
        weight: 3,
        applies: |_| false,
        looks: sight::looks,
        judge: sight::judge,
        run: Some(command::run),
        undo_run: None,
        judge_undo: None,
    }
}

fn by_nimadm(spec: &MigrationSpec, phase: Phase) -> bool {
    spec.driver == Driver::Nimadm && chosen(spec, phase)
}

/// Its undo is the last of the driver's: nothing of nimadm is left in NIM.
pub(super) const MARK_PHASES: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("mark-phases"),
    about: "make the directory in which nimadm's phases are marked",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Reverse,
    gate: false,
    timeout: Duration::from_secs(600),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| spec.driver == Driver::Nimadm,
    looks: |ctx| {
        let mut looks = sight::base(ctx);
        let work = ctx.spec.work_directory();
        let directories = [marks(ctx), work.clone()].map(|path| words(&["ls", "-d", &path]));
        let list = words(&["ls", &work]);
        looks.push(look(HostRole::Master, directories.into_iter().chain([list])));
        looks
    },
    judge: |ctx, answers| {
        judged((|| {
            if let Some(bar) = sight::somebody_works(ctx, answers)? {
                return Ok(bar);
            }
            let there = Said::by(answers, sight::base_len(ctx)).is_there(0)?;
            Ok(super::step::Sight::of(if there { Presence::Present } else { Presence::Absent }))
        })())
    },
    run: Some(|ctx, _| Script::new([Command::new(["mkdir", "-p", &marks(ctx)])])),
    undo_run: Some(undo::unmark),
    judge_undo: Some(undo::judge_unmarked),
};

pub(super) const CLONE: StepDef = {
    let mut def = phase(Phase::Clone, "nimadm-clone", "clone rootvg by nimadm, phase 1", 6);
    def.repeat = Repeat::AfterUndo;
    def.undo = UndoKind::Reverse;
    def.weight = 10;
    def.applies = |spec| by_nimadm(spec, Phase::Clone);
    def.undo_run = Some(undo::remove_copy);
    def.judge_undo = Some(undo::judge_removed);
    def
};

pub(super) const EXPORT: StepDef = {
    let mut def = phase(
        Phase::Export,
        "nimadm-export",
        "export the copy, or make the cache, by nimadm, phase 2",
        2,
    );
    def.undo = UndoKind::Reverse;
    def.applies = |spec| by_nimadm(spec, Phase::Export);
    def.undo_run = Some(undo::unexport);
    def.judge_undo = Some(undo::judge_unexported);
    def
};

pub(super) const MOUNT: StepDef = {
    let mut def = phase(
        Phase::Mount,
        "nimadm-mount",
        "mount the copy, or fill the cache, by nimadm, phase 3",
        6,
    );
    def.undo = UndoKind::Reverse;
    def.weight = 10;
    def.applies = |spec| by_nimadm(spec, Phase::Mount);
    def.undo_run = Some(undo::unmount);
    def.judge_undo = Some(undo::judge_unmounted);
    def
};

pub(super) const PRE_SCRIPT: StepDef = {
    let mut def = phase(
        Phase::PreScript,
        "nimadm-pre-script",
        "run the pre-migration script by nimadm, phase 4",
        2,
    );
    def.applies = |spec| by_nimadm(spec, Phase::PreScript) && spec.options.pre_script.is_some();
    def
};

pub(super) const MIGRATE_BASE: StepDef = {
    let mut def =
        phase(Phase::MigrateBase, "nimadm-migrate-base", "migrate the base by nimadm, phase 5", 6);
    def.weight = 8;
    def.applies = |spec| by_nimadm(spec, Phase::MigrateBase);
    def
};

pub(super) const MIGRATE_FILESETS: StepDef = {
    let mut def = phase(
        Phase::MigrateFilesets,
        "nimadm-migrate-filesets",
        "migrate the filesets by nimadm, phase 6",
        8,
    );
    def.weight = 8;
    def.applies = |spec| by_nimadm(spec, Phase::MigrateFilesets);
    def
};

pub(super) const POST_SCRIPT: StepDef = {
    let mut def = phase(
        Phase::PostScript,
        "nimadm-post-script",
        "run the post-migration script by nimadm, phase 7",
        2,
    );
    def.applies = |spec| by_nimadm(spec, Phase::PostScript) && spec.options.post_script.is_some();
    def
};

pub(super) const BOOT_IMAGE: StepDef = {
    let mut def =
        phase(Phase::BootImage, "nimadm-boot-image", "make the boot image by nimadm, phase 8", 2);
    def.applies = |spec| by_nimadm(spec, Phase::BootImage);
    def
};

pub(super) const UNMOUNT: StepDef = {
    let mut def = phase(
        Phase::Unmount,
        "nimadm-unmount",
        "return the cache and unmount the copy by nimadm, phase 9",
        6,
    );
    def.weight = 10;
    def.applies = |spec| by_nimadm(spec, Phase::Unmount);
    def
};

pub(super) const UNEXPORT: StepDef = {
    let mut def = phase(
        Phase::Unexport,
        "nimadm-unexport",
        "remove exports, or the cache, by nimadm, phase 10",
        2,
    );
    def.applies = |spec| by_nimadm(spec, Phase::Unexport);
    def
};

pub(super) const FINISH: StepDef = {
    let mut def = phase(Phase::Finish, "nimadm-finish", "finish the copy by nimadm, phase 11", 6);
    def.undo = UndoKind::Reverse;
    def.weight = 10;
    def.applies = |spec| by_nimadm(spec, Phase::Finish);
    def.undo_run = Some(undo::unfinish);
    def.judge_undo = Some(undo::judge_unfinished);
    def
};

pub(super) const END: StepDef = {
    let mut def =
        phase(Phase::End, "nimadm-end", "let nimadm clean client and master, phase 12", 2);
    def.applies = |spec| by_nimadm(spec, Phase::End);
    def
};
