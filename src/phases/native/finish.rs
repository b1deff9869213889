//! Phase 11: the copy is put to sleep, and becomes the boot disk.

use crate::aix;
use crate::aix::argv::{self, CopyPhase};
use crate::domain::{Bootlist, DiskName, HostRole, Phase, Presence, Repeat, UndoKind};
use crate::transport::{Command, Script};

use crate::phases::copy::{self, ALT_VG, CLIENT_ROOT, CopyState, boot_target};
use crate::phases::marks;
use crate::phases::native::boot_image;
use crate::phases::read::{HostAnswers, Read, judged, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, Is, Probe, STEP, StepDef, hours};

pub(crate) const STEPS: &[StepDef] = &[FINISH_CLONE, SET_BOOTLIST];

/// Only while the copy is awake. The bootlist is left to the next step.
const FINISH_CLONE: StepDef = StepDef {
    phase: Phase::Finish,
    name: "finish-clone",
    about: "put the copy to sleep",
    host: HostRole::Client,
    is: &[Is::ByName],
    repeat: Repeat::Never,
    undo: UndoKind::Reverse,
    timeout: hours(1),
    applies: |spec| spec.task.changes_client(),
    looks: finish_looks,
    judge: |ctx, answers| judged(judge_finish(ctx, answers)),
    run: Some(|ctx, _| {
        let release = ctx.spec.target().level.version_release();
        let disks = &ctx.spec.options.disks;
        let cached = ctx.spec.caches();
        let finish = argv::alt_disk_copy(cached, &release, CopyPhase::Finish, &[], disks);
        let mut commands = marks::remove(&marks::on_client()).to_vec();
        commands.extend(bring_lease(ctx));
        commands.extend([Command::new(finish), Command::new(["touch", argv::FINISHED])]);
        Script::new(commands)
    }),
    undo_run: Some(|ctx, answers| {
        let mut script = restore_bootlist(ctx, answers);
        script.commands.push(Command::new(["rm", "-f", argv::FINISHED]));
        script
    }),
    judge_undo: Some(|ctx, answers| {
        let finding = judge_bootlist_undo(ctx, answers);
        match is_marked(answers) {
            Ok(true) if finding.presence == Presence::Absent => {
                Finding { presence: Presence::Present, ..finding }
            }
            Ok(_) => finding,
            Err(why) => Finding::of(Presence::Unknown(why)),
        }
    }),
    ..STEP
};

/// Puts the lease into the copy that is going to be booted, where it then keeps
/// others away until that was verified.
pub(crate) fn bring_lease(ctx: &Context<'_>) -> Vec<Command> {
    let Some(text) = ctx.facts.lease.as_ref().filter(|_| ctx.spec.options.reboot) else {
        return Vec::new();
    };
    let lease = format!("{CLIENT_ROOT}{}", argv::LEASE);
    vec![
        Command::new(["mkdir", "-p", &format!("{CLIENT_ROOT}{}", argv::LEASE_DIR)]),
        Command::new(["rm", "-f", &lease]),
        Command::new(["ln", "-s", text, &lease]),
    ]
}

fn finish_looks(_: &Context<'_>) -> Probe {
    let commands = [
        argv::lspv(),
        argv::mounts(),
        argv::boot_image_level(),
        argv::show_bootlist(),
        argv::ls(argv::LEASE_DIR),
    ];
    vec![look(HostRole::Client, commands)]
}

fn judge_finish(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    let lspv = said.lspv()?;
    let state = copy::copy_state(copy::baseline(ctx)?, &lspv);
    if let Some(bar) = copy::hands_off(ctx, &state, &lspv) {
        return Ok(bar);
    }
    if state == CopyState::Asleep(ALT_VG.to_owned()) && is_marked(answers)? {
        return Ok(Finding::of(Presence::Present));
    }
    // Only while it is awake can it be put to sleep: there is no other way to know
    // that it sleeps whole.
    if let Some(bar) = copy::lost_by_client(ctx, &said.mounts()?) {
        return Ok(bar);
    }
    if state != CopyState::Awake {
        return Ok(Finding::of(Presence::Partial));
    }
    if !boot_image::has_image(ctx, said)? {
        return Ok(boot_image::no_image(ctx));
    }
    Ok(Finding::of(Presence::Absent))
}

/// Whether the mark of this step is on the running system.
fn is_marked(answers: &Answers) -> Read<bool> {
    answers.client().lists(argv::FINISHED)
}

/// Whether the disk has a boot record. More of its boot image cannot be told once the copy
/// is asleep; it was looked at before that.
fn has_boot_record(disk: &DiskName, said: HostAnswers<'_>) -> Read<bool> {
    let records = said.read(argv::boot_records(), aix::boot_records)?;
    match records.iter().find(|(name, _)| name == disk) {
        Some((_, is_boot)) => Ok(*is_boot),
        None => Err(format!("`ipl_varyon -i` does not name {disk}")),
    }
}

/// Puts the bootlist back.
fn restore_bootlist(ctx: &Context<'_>, answers: &Answers) -> Script {
    let seen = answers.client().bootlist();
    let baseline = copy::baseline(ctx).ok().into_iter();
    Script::new(baseline.flat_map(|baseline| copy::restore_bootlist(baseline, &seen)))
}

/// Absent when the bootlist is the baseline's, or what others have set.
fn judge_bootlist_undo(ctx: &Context<'_>, answers: &Answers) -> Finding {
    judged((|| {
        if copy::baseline(ctx).is_err() {
            return Ok(Finding::of(Presence::Absent));
        }
        let (is_left, facts) = copy::bootlist_left(ctx, answers.client().bootlist()?)?;
        let presence = if is_left { Presence::Absent } else { Presence::Present };
        Ok(Finding { facts: Some(facts), ..Finding::of(presence) })
    })())
}

/// Not with `-B`.
pub(crate) const SET_BOOTLIST: StepDef = StepDef {
    phase: Phase::Finish,
    name: "set-bootlist",
    about: "make the copy the boot disk",
    host: HostRole::Client,
    drivers: Drivers::Both,
    undo: UndoKind::Reverse,
    applies: |spec| spec.task.changes_client() && spec.options.bootlist == Bootlist::Set,
    looks: |_| vec![look(HostRole::Client, [argv::show_bootlist(), argv::boot_records()])],
    judge: |ctx, answers| {
        judged((|| {
            let said = answers.client();
            let wanted = boot_target(ctx)?;
            if !has_boot_record(wanted, said)? {
                return Ok(boot_image::no_image(ctx));
            }
            let bootlist = said.bootlist()?;
            if let Some(bar) = copy::boots_from_others(ctx, &bootlist)? {
                return Ok(bar);
            }
            let set = bootlist.first() == Some(wanted);
            Ok(Finding::of(if set { Presence::Present } else { Presence::Absent }))
        })())
    },
    run: Some(|ctx, answers| {
        let seen = answers.client().bootlist();
        let wanted = boot_target(ctx).ok().into_iter();
        Script::new(wanted.flat_map(|disk| copy::set_bootlist(&seen, [disk])))
    }),
    undo_run: Some(restore_bootlist),
    judge_undo: Some(judge_bootlist_undo),
    ..STEP
};
