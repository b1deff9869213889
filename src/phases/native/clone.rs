//! Phase 1: SPOT, and the clone of rootvg. Check, lease and baseline before it
//! have files of their own.

use crate::aix::argv::{self, CopyPhase};
use crate::aix::{self, MountRow};
use crate::domain::{
    Cause, CopyPolicy, FailureClass, HostRole, Mode, Phase, Presence, Repeat, UndoKind,
};
use crate::transport::{Command, Script};

use crate::phases::copy::{self, ALT_VG, CLIENT_ROOT, CopyState, is_below};
use crate::phases::marks;
use crate::phases::native::bring::excludes;
use crate::phases::read::{Read, all_or_any, judged, look};
use crate::phases::step::{Answers, Context, Finding, Is, Probe, STEP, StepDef, hours, minutes};

pub(crate) const STEPS: &[StepDef] = &[MOUNT_SPOT, CLONE_ROOTVG, MAKE_ROOTVG];

/// The client's programs for the copy come from the SPOT.
pub(crate) const MOUNT_SPOT: StepDef = StepDef {
    phase: Phase::Clone,
    name: "mount-spot",
    about: "mount the SPOT on the client",
    host: HostRole::Client,
    undo: UndoKind::Reverse,
    timeout: minutes(10),
    applies: |spec| spec.task.changes_client(),
    looks: |_| {
        let mount_point = argv::ls_d(argv::SPOT_MOUNT);
        vec![look(HostRole::Client, [argv::mounts(), mount_point])]
    },
    judge: |ctx, answers| judged(judge_spot(ctx, answers)),
    run: Some(|ctx, _| Script::new(mount_spot(ctx))),
    undo_run: Some(|ctx, answers| {
        let mounted = answers.client().mounts().map(|rows| spot_rows(&rows));
        Script::new(unmount_spot(mounted.unwrap_or(1), ctx.ticket.attempt > 1))
    }),
    judge_undo: Some(|_, answers| {
        let said = answers.client();
        judged((|| {
            let is_mounted = spot_rows(&said.mounts()?) > 0;
            Ok(all_or_any(is_mounted, said.is_there(argv::ls_d(argv::SPOT_MOUNT))?))
        })())
    }),
    ..STEP
};

fn judge_spot(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let baseline = copy::baseline(ctx)?;
    let mounts = answers.client().mounts()?;
    let at: Vec<&MountRow> = mounts.iter().filter(|row| row.over == argv::SPOT_MOUNT).collect();
    Ok(match at.last() {
        None => Finding::of(Presence::Absent),
        Some(row) if row.node.is_some() && row.device == baseline.spot_location => {
            Finding::of(Presence::Present)
        }
        Some(row) => Finding::blocked(
            Cause::new(
                FailureClass::Permanent,
                format!("{} is mounted on {}", row.device, argv::SPOT_MOUNT),
            )
            .with_hint(format!("unmount {} on the client", argv::SPOT_MOUNT)),
        ),
    })
}

/// Mounts the SPOT.
fn mount_spot(ctx: &Context<'_>) -> Vec<Command> {
    let Ok(baseline) = copy::baseline(ctx) else { return Vec::new() };
    let mount = argv::mount_nfs(
        Some("ro,soft,intr"),
        ctx.spec.master.as_str(),
        &baseline.spot_location,
        argv::SPOT_MOUNT,
    );
    vec![Command::new(["mkdir", "-p", argv::SPOT_MOUNT]), Command::new(mount)]
}

/// How often something is mounted on the SPOT's mount point.
pub(crate) fn spot_rows(mounts: &[MountRow]) -> usize {
    mounts.iter().filter(|row| row.over == argv::SPOT_MOUNT).count()
}

/// Unmounts the SPOT, `times` over, and removes its mount point.
pub(crate) fn unmount_spot(times: usize, by_force: bool) -> Vec<Command> {
    let unmount = || Command::new(argv::unmount(argv::SPOT_MOUNT, by_force)).tolerated();
    let mut commands: Vec<Command> = (0..times).map(|_| unmount()).collect();
    commands.push(Command::new(["rmdir", argv::SPOT_MOUNT]).tolerated());
    commands
}

/// The clone.
pub(crate) const CLONE_ROOTVG: StepDef = StepDef {
    phase: Phase::Clone,
    name: "clone-rootvg",
    about: "clone rootvg to the target disks",
    host: HostRole::Client,
    is: &[Is::MakesCopy, Is::ByName, Is::BackByName],
    repeat: Repeat::AfterUndo,
    undo: UndoKind::Reverse,
    timeout: hours(6),
    stall: Some(hours(2)),
    applies: |spec| spec.task.mode() == Some(Mode::Disk),
    looks: clone_looks,
    judge: |ctx, answers| judged(judge_clone(ctx, answers)),
    run: Some(|ctx, answers| {
        let mut commands = before_copy(ctx, answers);
        let release = ctx.spec.target().level.version_release();
        let disks = &ctx.spec.options.disks;
        let mut files = Vec::new();
        if excludes(ctx.spec) {
            files.push(("-e", argv::EXCLUDE));
        }
        if ctx.spec.has_image_data() {
            files.push(("-i", argv::IMAGE_DATA));
        }
        let cached = ctx.spec.caches();
        let make = argv::alt_disk_copy(cached, &release, CopyPhase::Make, &files, disks);
        commands.extend(mark_begun());
        commands.push(Command::new(make));
        if excludes(ctx.spec) {
            commands.push(Command::new(["touch", argv::CLONED]));
        }
        Script::new(commands)
    }),
    undo_run: Some(|ctx, answers| {
        Script::new(undo_clone(ctx, answers).into_iter().chain(drop_mark_undone(ctx)))
    }),
    judge_undo: Some(|ctx, answers| judged(judge_clone_undo(ctx, answers))),
    ..STEP
};

/// From a mksysb: the clone is made of nothing but image.data.
pub(crate) const MAKE_ROOTVG: StepDef = StepDef {
    name: "make-rootvg",
    about: "make a rootvg for the mksysb on the target disks",
    timeout: hours(3),
    applies: |spec| spec.task.mode() == Some(Mode::MksysbToClient),
    run: Some(|ctx, answers| {
        let mut commands = before_copy(ctx, answers);
        let release = ctx.spec.target().level.version_release();
        let make = argv::make_rootvg(&release, argv::IMAGE_DATA, &ctx.spec.options.disks);
        commands.extend(mark_begun());
        commands.push(Command::new(make));
        Script::new(commands)
    }),
    ..CLONE_ROOTVG
};

/// What has to be done before a copy can be made.
fn before_copy(ctx: &Context<'_>, answers: &Answers) -> Vec<Command> {
    let mut commands = match copy::baseline(ctx).and_then(|_| target_state(ctx, answers)) {
        // A copy that a rollback of this migration has put to sleep.
        Ok(state) if state.vg().is_some() => remove(ctx, answers),
        _ => Vec::new(),
    };
    commands.push(drop_mark(ctx));
    // A client that was rebooted has lost its mount.
    let mounts = answers.client().mounts();
    if mounts.is_ok_and(|mounts| spot_rows(&mounts) == 0) {
        commands.extend(mount_spot(ctx));
    }
    commands
}

/// Marks on the client that a copy is begun, and makes sure of it: without the
/// mark the copy would be taken for somebody else's.
fn mark_begun() -> [Command; 2] {
    [["touch", argv::BEGUN], ["ls", argv::BEGUN]].map(Command::new)
}

fn clone_looks(ctx: &Context<'_>) -> Probe {
    let mut commands = vec![
        argv::lspv(),
        argv::lsvg_l(ALT_VG),
        argv::mounts(),
        argv::df("-k", &[]),
        argv::show_bootlist(),
    ];
    if excludes(ctx.spec) {
        commands.push(argv::ls(argv::LEASE_DIR));
    }
    if ctx.spec.keeps_failed_copy() {
        commands.extend([argv::lsfs(), argv::ls(&marks::on_client())]);
    }
    vec![look(HostRole::Client, commands)]
}

/// The state of the target disks. A reboot varies off a copy that is awake: it is
/// asleep only where its file systems have no stanzas below /alt_inst any more.
/// The difference matters where it is to stay.
pub(crate) fn target_state(ctx: &Context<'_>, answers: &Answers) -> Read<CopyState> {
    let said = answers.client();
    let state = copy::copy_state(copy::baseline(ctx)?, &said.lspv()?);
    match state {
        CopyState::Asleep(vg) if ctx.spec.keeps_failed_copy() && vg == ALT_VG => {
            let rows = said.lsfs()?;
            let is_named = rows.iter().any(|row| is_below(&row.mount_point, CLIENT_ROOT));
            Ok(if is_named { CopyState::Part(vg) } else { CopyState::Asleep(vg) })
        }
        state => Ok(state),
    }
}

fn judge_clone(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let state = target_state(ctx, answers)?;
    let lspv = answers.client().lspv()?;
    if let Some(bar) = copy::hands_off(ctx, &state, &lspv) {
        return Ok(bar);
    }
    Ok(Finding::of(match state {
        CopyState::Free => Presence::Absent,
        CopyState::Asleep(_) if ctx.spec.keeps_failed_copy() => Presence::Absent,
        // One that a rollback has left awake is not taken for a fresh one.
        CopyState::Awake if is_given_up(ctx, answers)? => Presence::Absent,
        CopyState::Awake if is_whole(ctx, answers)? => Presence::Present,
        _ => Presence::Partial,
    }))
}

/// Whether all file systems of the baseline are mounted from the copy, and hold
/// at least nine tenths of what the sources hold. Where files are left out, a
/// mark tells it instead; from a mksysb there is nothing in them yet.
fn is_whole(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    let said = answers.client();
    let volumes = said.read(argv::lsvg_l(ALT_VG), aix::logical_volumes)?;
    let mounts = said.mounts()?;
    let usage = said.read(argv::df("-k", &[]), aix::df)?;
    let used = |path: &str| usage.iter().find(|(over, _)| over == path).map(|(_, u)| u.used());
    // By nimadm, the mark is on the master.
    if excludes(ctx.spec) && !ctx.spec.task.uses_nimadm() && !is_marked(ctx, answers)? {
        return Ok(false);
    }
    Ok(copy::file_systems(ctx).iter().all(|fs| {
        let path = fs.below(CLIENT_ROOT);
        let volume = volumes.iter().find(|lv| lv.mount_point.as_deref() == Some(path.as_str()));
        let mounted = volume.is_some_and(|lv| {
            let device = format!("/dev/{}", lv.name);
            mounts.iter().any(|row| row.over == path && row.device == device)
        });
        if excludes(ctx.spec) || ctx.spec.task.mode() != Some(Mode::Disk) {
            return mounted;
        }
        let filled = match (used(&path), used(&fs.mount_point)) {
            (Some(copied), Some(source)) => copied.saturating_mul(10) >= source.saturating_mul(9),
            _ => false,
        };
        mounted && filled
    }))
}

fn judge_clone_undo(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    if copy::baseline(ctx).is_err() {
        // Nothing was begun.
        return Ok(Finding::of(Presence::Absent));
    }
    let state = target_state(ctx, answers)?;
    if let CopyState::Running = state {
        let lspv = answers.client().lspv()?;
        return Ok(copy::hands_off(ctx, &state, &lspv).unwrap_or(Finding::of(Presence::Present)));
    }
    let bootlist = answers.client().bootlist()?;
    let quiet = match &state {
        // Another volume group on the disk is not ours, so ours is gone.
        CopyState::Free | CopyState::Foreign(_) => true,
        CopyState::Asleep(_) => ctx.spec.keeps_failed_copy(),
        CopyState::Awake => is_given_up(ctx, answers)?,
        _ => false,
    };
    let marked = is_marked(ctx, answers)?;
    let (is_left, facts) = copy::bootlist_left(ctx, bootlist)?;
    let gone = quiet && is_left && !marked;
    let presence = if gone { Presence::Absent } else { Presence::Present };
    Ok(Finding { facts: Some(facts), ..Finding::of(presence) })
}

/// The mark in a copy that a rollback has left awake.
const GIVEN_UP: &str = "given-up";

fn is_given_up(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    if ctx.spec.failed_copy != CopyPolicy::Wake {
        return Ok(false);
    }
    answers.client().lists(&format!("{}/{GIVEN_UP}", marks::on_client()))
}

/// Removes the marks that a clone was begun and, where there may be one, that it is
/// whole.
fn drop_mark(ctx: &Context<'_>) -> Command {
    let whole = excludes(ctx.spec).then_some(argv::CLONED);
    Command::new(["rm", "-f", argv::BEGUN].into_iter().chain(whole))
}

/// A copy that stays is known as ours by its mark, until the lease goes.
fn drop_mark_undone(ctx: &Context<'_>) -> Option<Command> {
    match ctx.spec.failed_copy {
        CopyPolicy::Remove => Some(drop_mark(ctx)),
        _ => excludes(ctx.spec).then(|| Command::new(["rm", "-f", argv::CLONED])),
    }
}

fn is_marked(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    if !excludes(ctx.spec) {
        return Ok(false);
    }
    answers.client().lists(argv::CLONED)
}

fn undo_clone(ctx: &Context<'_>, answers: &Answers) -> Vec<Command> {
    let Ok(baseline) = copy::baseline(ctx) else { return Vec::new() };
    let seen = answers.client().bootlist();
    let mut commands = copy::restore_bootlist(baseline, &seen);
    let state = target_state(ctx, answers);
    match (ctx.spec.failed_copy, &state) {
        (_, Ok(CopyState::Free | CopyState::Foreign(_) | CopyState::Running))
        | (CopyPolicy::Sleep | CopyPolicy::Wake, Ok(CopyState::Asleep(_))) => {}
        (CopyPolicy::Wake, Ok(CopyState::Awake) | Err(_)) => {
            let directory = marks::on_client();
            commands.extend([
                marks::remove_all(CLIENT_ROOT),
                Command::new(["mkdir", "-p", &directory]),
                Command::new(["touch", &format!("{directory}/{GIVEN_UP}")]),
            ]);
        }
        (CopyPolicy::Sleep, Ok(CopyState::Awake) | Err(_)) => commands.extend([
            marks::remove_all(CLIENT_ROOT),
            Command::new(argv::sleep_copy()).tolerated(),
            Command::new(argv::set_bootlist(&copy::bootlist_to_leave(baseline, &seen))),
        ]),
        // Half a copy, or one that a reboot has varied off, cannot be put to sleep.
        (CopyPolicy::Remove, _)
        | (CopyPolicy::Sleep | CopyPolicy::Wake, Ok(CopyState::Part(_))) => {
            return remove(ctx, answers);
        }
    }
    commands
}

/// Removes the copy. The bootlist comes first, and again after `-X`, which sets
/// it by itself.
fn remove(ctx: &Context<'_>, answers: &Answers) -> Vec<Command> {
    let Ok(baseline) = copy::baseline(ctx) else { return Vec::new() };
    let state = target_state(ctx, answers);
    let vg = state.as_ref().ok().and_then(CopyState::vg).unwrap_or(ALT_VG);
    let seen = answers.client().bootlist();
    let mut commands = copy::restore_bootlist(baseline, &seen);
    commands.push(Command::new(argv::remove_copy(vg)).tolerated());
    // The copy has outlived one removal: clear what it left, but only on disks
    // that still show it.
    if ctx.ticket.attempt > 1 {
        let lspv = answers.client().lspv().unwrap_or_default();
        let ours = baseline.targets.iter().filter_map(|disk| copy::row_of(disk, &lspv));
        for row in ours.filter(|row| row.is_in(vg)) {
            commands.push(Command::new(argv::clear_disk(&row.disk)).tolerated());
        }
    }
    commands.push(Command::new(argv::set_bootlist(&copy::bootlist_to_leave(baseline, &seen))));
    commands
}
