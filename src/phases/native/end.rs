//! Phase 12: client and master are cleaned; the client is rebooted where that
//! is asked for.

use crate::aix::{self, argv};
use crate::domain::{
    Bootlist, Cause, Direction, DiskName, Facts, FailureClass, HostRole, Phase, Presence, UndoKind,
};
use crate::transport::{Command, Script};

use crate::phases::copy::{self, ALT_VG, CopyState, OLD_VG, boot_target, master_top, mounts_below};
use crate::phases::lease::{give_back, guard_of, judge_again, left, list, take_again, takes_over};
use crate::phases::native::bring::{brings, remove_brought};
use crate::phases::native::clone::{spot_rows, unmount_spot};
use crate::phases::native::export::remove_top;
use crate::phases::native::master::{has_directory, is_there};
use crate::phases::native::mount::{mount_looks, unmount_all};
use crate::phases::read::{Read, judged, look};
use crate::phases::seen::seen;
use crate::phases::step::{
    Answers, Context, Drivers, Finding, Is, Probe, STEP, Settle, StepDef, minutes,
};
use crate::phases::whose::{self, Whose};

pub(crate) const STEPS: &[StepDef] =
    &[CLEAN_MASTER, RELEASE_MASTER, CLEAN_CLIENT, REBOOT, VERIFY_BOOT];

/// Where `-P` leaves phase 12 out, lease and SPOT stay for the parts to come. The
/// lease is the last that goes: after the reboot, where there is one.
pub(crate) const CLEAN_CLIENT: StepDef = StepDef {
    phase: Phase::End,
    name: "clean-client",
    about: "unmount the SPOT, drop the lease",
    host: HostRole::Client,
    drivers: Drivers::Both,
    is: &[Is::SeesToLease],
    undo: UndoKind::Reverse,
    timeout: minutes(10),
    applies: |spec| spec.task.changes_client(),
    looks: clean_looks,
    judge: |ctx, answers| judged(judge_clean(ctx, answers)),
    run: Some(|ctx, answers| {
        let mounted = answers.client().mounts().map_or(1, |rows| spot_rows(&rows));
        let mut commands: Vec<Command> = guard_of(ctx, answers).into_iter().collect();
        // While the SPOT cannot be unmounted, the lease is held.
        let unmount = unmount_spot(mounted, ctx.ticket.attempt > 1).into_iter();
        let is_last = |at: usize| at == mounted;
        commands.extend(
            unmount.enumerate().map(|(at, command)| Command { tolerate: is_last(at), ..command }),
        );
        if brings(ctx.spec) {
            commands.push(Command::new(remove_brought()));
        }
        if keeps_lease(ctx) {
            commands.push(Command::new(["rm", "-f", argv::FINISHED, argv::BEGUN]));
        } else {
            commands.extend(give_back(ctx, answers));
        }
        Script::new(commands)
    }),
    undo_run: Some(|ctx, _| Script::new(take_again(ctx))),
    judge_undo: Some(|ctx, answers| {
        judged((|| {
            let lspv = answers.client().lspv()?;
            let state = copy::copy_state(copy::baseline(ctx)?, &lspv);
            let runs_from_copy = state == CopyState::Running && ctx.facts.lease.is_some();
            match copy::hands_off(ctx, &state, &lspv).filter(|_| runs_from_copy) {
                Some(bar) => Ok(bar),
                None => judge_again(ctx, answers),
            }
        })())
    }),
    ..STEP
};

fn clean_looks(ctx: &Context<'_>) -> Probe {
    let looks = [
        argv::mounts(),
        argv::ls_l(argv::LEASE),
        argv::ls_d(argv::SPOT_MOUNT),
        argv::ls(argv::LEASE_DIR),
        argv::lspv(),
        argv::boot_time(),
    ];
    let taken_over = takes_over(ctx.spec).then(list);
    let mut all = vec![look(HostRole::Client, looks.into_iter().chain(taken_over))];
    all.extend(whose::looks(ctx));
    all
}

/// Whether the lease stays until the reboot has been verified. What was begun
/// before leases were recorded drops it here.
fn keeps_lease(ctx: &Context<'_>) -> bool {
    ctx.spec.options.reboot && ctx.facts.lease.is_some()
}

fn judge_clean(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    let holder = said.lease()?;
    if ctx.facts.lease.is_some()
        && let Some(other) = holder.filter(|holder| holder.owner != ctx.owner)
    {
        return Ok(Finding::blocked(whose::lost(ctx, Some(&other))));
    }
    // What is called migrated must be the copy that was.
    let whose = match whose::identity(ctx) {
        Some(_) => whose::judge_copy(ctx, answers)?,
        None => Whose::Ours(true),
    };
    if let Some(cause) = whose::cause(ctx, &whose, "") {
        return Ok(Finding::blocked(cause));
    }
    let mounted = spot_rows(&said.mounts()?) > 0 || said.is_there(argv::ls_d(argv::SPOT_MOUNT))?;
    let left = if keeps_lease(ctx) {
        said.lists(argv::FINISHED)? || said.lists(argv::BEGUN)?
    } else {
        left(ctx, answers)?
    };
    if mounted || left {
        return Ok(Finding::of(Presence::Absent));
    }
    let booted = said.read(argv::boot_time(), aix::boot_time)?;
    let lspv = said.lspv()?;
    let early = copy::copy_state(copy::baseline(ctx)?, &lspv) == CopyState::Running;
    let left = if early { booted_early(ctx, &booted, &lspv) } else { Vec::new() };
    Ok(Finding::found(Facts { booted: Some(booted), left, ..seen(&lspv, Vec::new()) }))
}

/// Somebody has booted the copy before the old system was cleaned, and nothing of
/// that can be reached any more.
fn booted_early(ctx: &Context<'_>, booted: &str, lspv: &[aix::PhysicalVolume]) -> Vec<String> {
    let client = &ctx.spec.client;
    let old = lspv.iter().find(|row| row.is_in(OLD_VG));
    let place = match old {
        Some(row) => format!("in {OLD_VG} on {}", row.disk),
        None => "on the old disk".to_owned(),
    };
    vec![format!(
        "{client} was booted from the copy ({booted}) before its old system was cleaned; {place} \
         there may still be {}, {} and {}: `nimshift cleanup {client}` removes them, should that \
         be booted again",
        argv::LEASE,
        argv::FINISHED,
        argv::SPOT_MOUNT
    )]
}

/// What phase 9 could not remove.
const CLEAN_MASTER: StepDef = StepDef {
    phase: Phase::End,
    name: "clean-master",
    about: "remove the master's directories of the copy",
    host: HostRole::Master,
    drivers: Drivers::Both,
    timeout: minutes(10),
    looks: mount_looks,
    judge: |ctx, answers| {
        judged((|| {
            let said = answers.master();
            let (mounts, top) = (said.mounts()?, master_top(ctx));
            let left = said.is_there(argv::ls_d(&top))? || !mounts_below(&mounts, &top).is_empty();
            Ok(Finding::of(if left { Presence::Absent } else { Presence::Present }))
        })())
    },
    run: Some(|ctx, answers| {
        let mut commands = Vec::new();
        let mounts = answers.master().mounts().ok();
        if mounts.is_some() {
            commands.extend(unmount_all(ctx, answers));
        }
        commands.extend(remove_top(ctx, mounts.as_deref()));
        Script::new(commands)
    }),
    ..STEP
};

/// Where `-P` leaves phase 12 out, the lease stays for the parts to come.
const RELEASE_MASTER: StepDef = StepDef {
    phase: Phase::End,
    name: "release-master",
    about: "remove the migration's own directory on the master, with its lease",
    host: HostRole::Master,
    drivers: Drivers::Both,
    applies: has_directory,
    looks: |ctx| vec![look(HostRole::Master, [argv::ls_d(&ctx.spec.work_directory())])],
    judge: |ctx, answers| {
        judged(
            is_there(ctx, answers)
                .map(|there| Finding::of(if there { Presence::Absent } else { Presence::Present })),
        )
    },
    run: Some(|ctx, _| Script::new([Command::new(["rm", "-rf", &ctx.spec.work_directory()])])),
    ..STEP
};

/// Only with `-r`. A client is rebooted once, and once back: what came of that is
/// a person's to judge. The lease goes right before, for the copy brings its own.
const REBOOT: StepDef = StepDef {
    phase: Phase::End,
    name: "reboot",
    about: "reboot the client from the copy",
    host: HostRole::Client,
    drivers: Drivers::Both,
    undo: UndoKind::Backout,
    timeout: minutes(30),
    settle: Settle::ByBoot,
    applies: |spec| spec.options.reboot,
    looks: |ctx| {
        let commands = [
            argv::boot_device(),
            argv::lspv(),
            argv::boot_time(),
            argv::show_bootlist(),
            argv::ls_l(argv::LEASE),
        ];
        let taken_over = takes_over(ctx.spec).then(list);
        vec![look(HostRole::Client, commands.into_iter().chain(taken_over))]
    },
    judge: |ctx, answers| {
        judged(runs_from_copy(ctx, answers).and_then(|copy| {
            let said = answers.client();
            // A copy must sleep before any boot: a boot leaves it half mounted.
            let boots = copy == (ctx.ticket.direction == Direction::Undo);
            let lspv = said.lspv()?;
            let is_back = boots && ctx.ticket.direction == Direction::Undo;
            if let Some(gone) = copy::old_gone(ctx, &lspv).filter(|_| is_back) {
                return Ok(Finding::blocked(gone));
            }
            if boots && let Some(bar) = copy::boots_from_others(ctx, &said.bootlist()?)? {
                return Ok(bar);
            }
            if boots && lspv.iter().any(|row| row.is_in(ALT_VG) && row.is_active()) {
                return Ok(awake(ctx));
            }
            if boots
                && ctx.ticket.direction == Direction::Forward
                && let Some(before) = &ctx.facts.booted
            {
                let booted = said.read(argv::boot_time(), aix::boot_time)?;
                if booted != *before {
                    return Ok(not_from_copy(ctx, &booted));
                }
            }
            let first = said.bootlist()?.into_iter().next();
            if boots
                && let Some(disk) = boots_next(ctx).filter(|disk| first.as_ref() != Some(*disk))
            {
                return Ok(set_back(ctx, disk, first.as_ref()));
            }
            Ok(Finding::of(if copy { Presence::Present } else { Presence::Absent }))
        }))
    },
    run: Some(|ctx, answers| {
        let boots_next = boots_next(ctx).map(copy::is_in_bootlist);
        Script::new(boots_next.into_iter().chain(shutdown(ctx, answers)))
    }),
    undo_run: Some(|ctx, answers| {
        let Ok(baseline) = copy::baseline(ctx) else { return Script::default() };
        let seen = answers.client().bootlist();
        // Always as many commands: by their number it is known whether the last was begun.
        let bootlist = copy::bootlist_to_leave(baseline, &seen);
        let set = Command::new(argv::set_bootlist(&bootlist));
        let is_set = bootlist.first().map(copy::is_in_bootlist);
        let script = [set].into_iter().chain(is_set);
        Script::new(script.chain(shutdown(ctx, answers)))
    }),
    ..STEP
};

/// The disk that a reboot forward is to boot the client from: by the bootlist, where the
/// plan lets that be set.
fn boots_next<'a>(ctx: &Context<'a>) -> Option<&'a DiskName> {
    let is_set =
        ctx.ticket.direction == Direction::Forward && ctx.spec.options.bootlist == Bootlist::Set;
    boot_target(ctx).ok().filter(|_| is_set)
}

/// Somebody does not want the reboot.
fn set_back(ctx: &Context<'_>, disk: &DiskName, first: Option<&DiskName>) -> Finding {
    let client = &ctx.spec.client;
    let first = first.map_or("nothing", DiskName::as_str);
    let text = format!(
        "the bootlist of {client} begins with {first}, and was set to {disk}: it is not rebooted"
    );
    let hint = format!(
        "set it to the copy (on {client}, `bootlist -m normal {disk}`), then `nimshift retry {client}` \
         reboots it; `nimshift rollback {client}` takes the copy back"
    );
    Finding::blocked(Cause::new(FailureClass::NeedsOperator, text).with_hint(hint))
}

/// The system that goes down keeps no lease for the day that it is booted again.
fn shutdown(ctx: &Context<'_>, answers: &Answers) -> Vec<Command> {
    let mut commands = Vec::new();
    if ctx.facts.lease.is_some() {
        // A `rm` that says that it failed may have removed it: nothing ends the script
        // between the two.
        commands.extend(give_back(ctx, answers).map(Command::tolerated));
    }
    commands.push(Command::new(["shutdown", "-Fr"]));
    commands
}

fn not_from_copy(ctx: &Context<'_>, booted: &str) -> Finding {
    let client = &ctx.spec.client;
    let text =
        format!("{client} was booted ({booted}), and not from the copy: it runs from the old disk");
    let disk = boot_target(ctx).map(ToString::to_string).unwrap_or_default();
    let hint = format!(
        "it is not rebooted again: check its console and bootlist; if it is booted from {disk}, \
         `nimshift retry {client}` verifies it"
    );
    Finding::blocked(Cause::new(FailureClass::NeedsOperator, text).with_hint(hint))
}

/// A client that was told to reboot is not told again.
pub(crate) fn was_rebooted(ctx: &Context<'_>) -> Cause {
    let client = &ctx.spec.client;
    let (to, then) = match ctx.ticket.direction {
        Direction::Forward => ("the copy", "verifies it"),
        Direction::Undo => ("its old disk", "goes on"),
    };
    let text = format!("{client} was told to reboot, and does not run from {to}");
    let hint = format!(
        "it is not told again: check its console and bootlist, and boot it from {to} by hand; then \
         `nimshift retry {client}` {then}"
    );
    Cause::new(FailureClass::NeedsOperator, text).with_hint(hint)
}

fn awake(ctx: &Context<'_>) -> Finding {
    let client = &ctx.spec.client;
    let text = format!("{ALT_VG} is awake on {client}: it is not rebooted until that copy sleeps");
    let hint = format!("`nimshift sleep {client}`, then `nimshift retry {client}`");
    Finding::blocked(Cause::new(FailureClass::NeedsOperator, text).with_hint(hint))
}

/// Whether rootvg is on the target disks.
fn runs_from_copy(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    let baseline = copy::baseline(ctx)?;
    let lspv = answers.client().lspv()?;
    if copy::copy_state(baseline, &lspv) == CopyState::Running {
        return Ok(true);
    }
    match copy::old_row(baseline, &lspv) {
        Some(row) if row.is_in("rootvg") => Ok(false),
        _ => Err("rootvg is on neither the old nor the target disks".to_owned()),
    }
}

/// The client must run the new level from the copy, with its old system kept. Then
/// nothing is left to keep others from it for.
const VERIFY_BOOT: StepDef = StepDef {
    phase: Phase::End,
    name: "verify-boot",
    about: "verify the client after the reboot, drop the lease",
    host: HostRole::Client,
    drivers: Drivers::Both,
    is: &[Is::SeesToLease],
    undo: UndoKind::Reverse,
    timeout: minutes(10),
    applies: |spec| spec.options.reboot,
    looks: |ctx| {
        let commands = [
            argv::level(),
            argv::lspv(),
            argv::show_bootlist(),
            argv::ls_l(argv::LEASE),
            argv::ls(argv::LEASE_DIR),
        ];
        let taken_over = takes_over(ctx.spec).then(list);
        vec![look(HostRole::Client, commands.into_iter().chain(taken_over))]
    },
    judge: |ctx, answers| judged(judge_boot(ctx, answers)),
    run: Some(|ctx, answers| {
        Script::new(guard_of(ctx, answers).into_iter().chain(give_back(ctx, answers)))
    }),
    undo_run: Some(|ctx, _| Script::new(take_again(ctx))),
    judge_undo: Some(|ctx, answers| {
        judged((|| {
            let lspv = answers.client().lspv()?;
            if copy::copy_state(copy::baseline(ctx)?, &lspv) != CopyState::Running {
                return Ok(Finding::of(Presence::Absent));
            }
            // Nothing is taken back that ends before the reboot.
            match copy::old_gone(ctx, &lspv) {
                Some(gone) => Ok(Finding::blocked(gone)),
                None => judge_again(ctx, answers),
            }
        })())
    }),
    ..STEP
};

fn judge_boot(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    let baseline = copy::baseline(ctx)?;
    let (level, lspv, bootlist) = (said.level()?, said.lspv()?, said.bootlist()?);
    let wanted = &ctx.spec.target().level;
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
        let found = Finding::found(Facts { level: Some(level), ..seen(&lspv, bootlist) });
        let leased = ctx.facts.lease.is_some() && left(ctx, answers)?;
        return Ok(if leased { Finding::of(Presence::Absent) } else { found });
    };
    let hint = "look at the client before anything else is done";
    Ok(Finding::blocked(Cause::new(FailureClass::Permanent, text).with_hint(hint)))
}
