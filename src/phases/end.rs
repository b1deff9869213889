//! Phase 12: client and master are cleaned; the client is rebooted where that
//! is asked for.

use std::time::Duration;

use crate::aix;
use crate::aix::argv::{self, words};
use crate::domain::{
    Bootlist, Cause, Direction, Facts, FailureClass, HostRole, Phase, Presence, Repeat, StepName,
    UndoKind,
};
use crate::transport::{Command, Script};

use super::bring::{brings, remove_brought};
use super::clone::{spot_rows, unmount_spot};
use super::copy::{self, ALT_VG, CopyState, OLD_VG, boot_target, master_top, mounts_below};
use super::export::remove_top;
use super::lease::{drop_lease, left, list, takes_over};
use super::mount::{mount_looks, unmount_all};
use super::read::{Read, Said, judged, look};
use super::registry::{AS_LONG_AS_THE_PLAN_SAYS, chosen};
use super::step::{Answers, Context, Sight, StepDef};

/// Where `-P` leaves phase 12 out, lease and SPOT stay for the parts to come.
pub(super) const CLEAN_CLIENT: StepDef = StepDef {
    phase: Phase::End,
    name: StepName::new("clean-client"),
    about: "unmount the SPOT, drop the lease",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(600),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| chosen(spec, Phase::End) && spec.mode.changes_client(),
    looks: |ctx| {
        let spot = words(&["ls", "-d", argv::SPOT_MOUNT]);
        let lease = words(&["ls", "-l", argv::LEASE]);
        let directory = words(&["ls", argv::LEASE_DIR]);
        let looks = [words(&["mount"]), lease, spot, directory];
        let taken_over = takes_over(ctx.spec).then(list);
        vec![look(HostRole::Client, looks.into_iter().chain(taken_over))]
    },
    judge: |ctx, answers| {
        judged((|| {
            let said = Said::by(answers, 0);
            let mounted = spot_rows(&said.read(0, aix::mounts)?) > 0 || said.is_there(2)?;
            let leased = left(ctx, said, 1, 3, 4)?;
            let clean = !mounted && !leased;
            Ok(Sight::of(if clean { Presence::Present } else { Presence::Absent }))
        })())
    },
    run: Some(|ctx, answers| {
        let said = Said::by(answers, 0);
        let mounted = said.read(0, aix::mounts).map_or(1, |rows| spot_rows(&rows));
        let mut commands = unmount_spot(mounted, ctx.ticket.attempt > 1);
        let holder = said.lease(1).ok().flatten();
        let ours = holder.is_none_or(|holder| holder.owner == ctx.owner);
        if ours && brings(ctx.spec) {
            commands.push(Command::new(remove_brought()));
        }
        if ours {
            commands.push(Command::new(drop_lease(ctx, said, 1, 4)));
            commands.push(Command::new(["rmdir", argv::LEASE_DIR]).tolerated());
        }
        Script::new(commands)
    }),
    undo_run: None,
    judge_undo: None,
};

/// What phase 9 could not remove.
pub(super) const CLEAN_MASTER: StepDef = StepDef {
    phase: Phase::End,
    name: StepName::new("clean-master"),
    about: "remove the master's directories of the copy",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(600),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| chosen(spec, Phase::End),
    looks: mount_looks,
    judge: |ctx, answers| {
        judged((|| {
            let said = Said::by(answers, 0);
            let mounts = said.read(0, aix::mounts)?;
            let left = said.is_there(1)? || !mounts_below(&mounts, &master_top(ctx)).is_empty();
            Ok(Sight::of(if left { Presence::Absent } else { Presence::Present }))
        })())
    },
    run: Some(|ctx, answers| {
        let mut commands = Vec::new();
        if Said::by(answers, 0).read(0, aix::mounts).is_ok() {
            commands.extend(unmount_all(ctx, answers));
        }
        commands.extend(remove_top(ctx));
        Script::new(commands)
    }),
    undo_run: None,
    judge_undo: None,
};

/// Only with `-r`.
pub(super) const REBOOT: StepDef = StepDef {
    phase: Phase::End,
    name: StepName::new("reboot"),
    about: "reboot the client from the copy",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Backout,
    gate: false,
    timeout: Duration::from_secs(1800),
    stall: None,
    settle: AS_LONG_AS_THE_PLAN_SAYS,
    weight: 1,
    applies: |spec| chosen(spec, Phase::End) && spec.options.reboot,
    looks: |_| {
        let commands = [
            words(&["getconf", "BOOT_DEVICE"]),
            words(&["lspv"]),
            words(&["who", "-b"]),
            argv::show_bootlist(),
        ];
        vec![look(HostRole::Client, commands)]
    },
    judge: |ctx, answers| {
        judged(runs_from_copy(ctx, answers).and_then(|copy| {
            // A copy must sleep before any boot: a boot leaves it half mounted.
            let boots = copy == (ctx.ticket.direction == Direction::Undo);
            let lspv = Said::by(answers, 0).read(1, aix::lspv)?;
            if boots && lspv.iter().any(|row| row.is_in(ALT_VG) && row.is_active()) {
                return Ok(awake(ctx));
            }
            Ok(Sight::of(if copy { Presence::Present } else { Presence::Absent }))
        }))
    },
    run: Some(|_, _| Script::new([Command::new(["shutdown", "-Fr"])])),
    undo_run: Some(|ctx, _| {
        let Ok(baseline) = copy::baseline(ctx) else { return Script::default() };
        Script::new([copy::restore_bootlist(baseline), Command::new(["shutdown", "-Fr"])])
    }),
    judge_undo: None,
};

fn awake(ctx: &Context<'_>) -> Sight {
    let client = &ctx.spec.client;
    let text = format!("{ALT_VG} is awake on {client}: it is not rebooted before that sleeps");
    let hint = format!("`nimshift sleep {client}`, then `nimshift retry {client}`");
    Sight::barred(Cause::new(FailureClass::NeedsOperator, text).with_hint(hint))
}

/// Whether rootvg is on the target disks.
fn runs_from_copy(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    let baseline = copy::baseline(ctx)?;
    let lspv = Said::by(answers, 0).read(1, aix::lspv)?;
    if copy::copy_state(baseline, &lspv) == CopyState::Running {
        return Ok(true);
    }
    let old = lspv.iter().find(|row| row.pvid == baseline.boot_pvid && row.pvid.is_some());
    match old {
        Some(row) if row.is_in("rootvg") => Ok(false),
        _ => Err("rootvg is on neither the old nor the target disks".to_owned()),
    }
}

/// The client must run the new level from the copy, with its old system kept.
pub(super) const VERIFY_BOOT: StepDef = StepDef {
    phase: Phase::End,
    name: StepName::new("verify-boot"),
    about: "verify the client after the reboot",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(600),
    stall: None,
    settle: Duration::ZERO,
    weight: 0,
    applies: |spec| chosen(spec, Phase::End) && spec.options.reboot,
    looks: |_| {
        let commands = [words(&["oslevel", "-s"]), words(&["lspv"]), argv::show_bootlist()];
        vec![look(HostRole::Client, commands)]
    },
    judge: |ctx, answers| judged(judge_boot(ctx, answers)),
    run: None,
    undo_run: None,
    judge_undo: None,
};

fn judge_boot(ctx: &Context<'_>, answers: &Answers) -> Read<Sight> {
    let said = Said::by(answers, 0);
    let baseline = copy::baseline(ctx)?;
    let level = said.read(0, aix::level)?;
    let lspv = said.read(1, aix::lspv)?;
    let bootlist = said.read(2, aix::bootlist)?;
    let wanted = &ctx.spec.target.level;
    let text = if !level.reaches(wanted) {
        format!("the client is at {level} after the reboot, not at {wanted}")
    } else if copy::copy_state(baseline, &lspv) != CopyState::Running {
        "the client does not run from the copy".to_owned()
    } else if !lspv.iter().any(|row| row.is_in(OLD_VG)) {
        format!("{OLD_VG} is not on the client")
    } else if ctx.spec.options.bootlist == Bootlist::Set
        && bootlist.first() != Some(boot_target(ctx)?)
    {
        "the bootlist does not begin with the copy's disk".to_owned()
    } else {
        return Ok(Sight::found(Facts { level: Some(level), ..Facts::default() }));
    };
    let hint = "look at the client before anything else is done";
    Ok(Sight::barred(Cause::new(FailureClass::Permanent, text).with_hint(hint)))
}
