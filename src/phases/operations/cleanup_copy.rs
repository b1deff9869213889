//! Cleanup of the client's disks: the bootlist first, then the copy. No volume
//! group but an altinst_rootvg that was made here is touched, unless by force.

use crate::aix::{PhysicalVolume, argv};
use crate::domain::{DiskName, Facts, HostRole, Phase, TaskKind};
use crate::transport::{Command, Script};

use super::cleanup_check::{gone, only};
use super::cleanup_whose::{VgIs, standing, standing_looks};
use crate::phases::copy::ALT_VG;
use crate::phases::native::record::boot_disk;
use crate::phases::read::{HostAnswers, Read, judged};
use crate::phases::seen::seen;
use crate::phases::step::{Answers, Context, Finding, Probe, STEP, StepDef, minutes};

pub(crate) const STEPS: &[StepDef] = &[BOOTLIST, COPY];

/// The client must not boot from a copy that is going.
const BOOTLIST: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-bootlist",
    about: "set the bootlist back to the running system",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    applies: |spec| spec.task.has_client(),
    looks: disk_looks,
    judge: |ctx, answers| {
        judged((|| {
            let said = answers.client();
            let is_theirs = others(ctx, answers)?.is_some();
            Ok(gone(is_theirs || said.bootlist()? == wanted_bootlist(said)?))
        })())
    },
    run: Some(|_, answers| Script::new([restore(answers)])),
    ..STEP
};

fn disk_looks(_: &Context<'_>) -> Probe {
    let boot = argv::boot_device();
    let disks = [boot, argv::show_bootlist()];
    only(HostRole::Client, disks.into_iter().chain(standing_looks()))
}

/// What is told of an altinst_rootvg that stays, for it is none that was made here.
fn others(ctx: &Context<'_>, answers: &Answers) -> Read<Option<String>> {
    let standing = standing(ctx, answers.client())?;
    let theirs = standing.filter(|one| one.whose != VgIs::Ours && !ctx.spec.options.force);
    Ok(theirs.map(|one| {
        format!(
            "{ALT_VG} on {}, which no migration here has made (volume group {}; `nimshift cleanup {} \
             --force` removes it)",
            one.disk, one.id, ctx.spec.client
        )
    }))
}

/// The bootlist without disks of altinst_rootvg, or of nothing. Where there were any,
/// it must begin with a disk of the running system; else it is as somebody wants it.
fn wanted_bootlist(said: HostAnswers<'_>) -> Read<Vec<DiskName>> {
    let lspv = said.lspv()?;
    let running = boot_disk(said, &lspv)?;
    let stays = |disk: &&DiskName| {
        lspv.iter().any(|row| row.disk == **disk && row.vg.is_some() && !row.is_in(ALT_VG))
    };
    let bootlist = said.bootlist()?;
    let mut wanted: Vec<DiskName> = bootlist.iter().filter(stays).cloned().collect();
    if wanted == bootlist {
        return Ok(wanted);
    }
    let begins_well = wanted
        .first()
        .is_some_and(|first| lspv.iter().any(|r| r.disk == *first && r.is_in("rootvg")));
    if !begins_well {
        wanted.retain(|disk| *disk != running);
        wanted.insert(0, running);
    }
    Ok(wanted)
}

fn restore(answers: &Answers) -> Command {
    match wanted_bootlist(answers.client()) {
        Ok(disks) => Command::new(argv::set_bootlist(&disks)),
        Err(_) => Command::new(["bootlist", "-m", "normal", "<boot disk>"]),
    }
}

/// Whether it sleeps, is awake, or is half made.
const COPY: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-copy",
    about: "remove altinst_rootvg",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    timeout: minutes(30),
    applies: |spec| spec.task.has_client(),
    looks: disk_looks,
    judge: |ctx, answers| {
        judged((|| {
            let said = answers.client();
            let theirs = others(ctx, answers)?;
            let is_gone = theirs.is_some() || copy_disks(answers)?.is_empty();
            let mut lspv = said.lspv()?;
            lspv.retain(|row| theirs.is_none() || !row.is_in(ALT_VG));
            let facts = seen(&lspv, said.bootlist()?);
            let facts = Facts { left: theirs.into_iter().collect(), ..facts };
            Ok(Finding { facts: Some(facts), ..gone(is_gone) })
        })())
    },
    run: Some(|ctx, answers| {
        let mut commands = vec![Command::new(argv::remove_copy(ALT_VG)).tolerated()];
        // It has outlived one removal.
        if ctx.ticket.attempt > 1 {
            commands.push(Command::new(["varyoffvg", ALT_VG]).tolerated());
            commands.push(Command::new(["exportvg", ALT_VG]).tolerated());
            for row in copy_disks(answers).unwrap_or_default() {
                commands.push(Command::new(argv::clear_disk(&row.disk)).tolerated());
            }
        }
        // `-X` has set it by itself.
        commands.push(restore(answers));
        Script::new(commands)
    }),
    ..STEP
};

fn copy_disks(answers: &Answers) -> Read<Vec<PhysicalVolume>> {
    let mut rows = answers.client().lspv()?;
    rows.retain(|row| row.is_in(ALT_VG));
    Ok(rows)
}
