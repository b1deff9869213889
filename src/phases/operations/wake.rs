//! Wake: the copy is woken, exported and mounted on the master. AIX refuses it
//! where the running system is older than the copy; it is never forced.

use crate::aix::argv;
use crate::aix::{self, PhysicalVolume};
use crate::domain::{
    Baseline, BaselineFs, Cause, Facts, FailureClass, HostRole, Phase, Presence, Repeat, TaskKind,
    UndoKind,
};
use crate::transport::{Command, Script};

use super::cleanup_check::only;
use crate::phases::copy::{ALT_VG, CLIENT_ROOT, OLD_VG, baseline};
use crate::phases::lease::is_alive;
use crate::phases::marks;
use crate::phases::native::export::{
    export_looks, export_missing, judge_exported, judge_unexported, unexport_all,
};
use crate::phases::native::mount::{
    judge_mounts, judge_unmounted, mount_looks, mount_missing, unmount_and_remove,
};
use crate::phases::native::record::{baseline_looks, read_baseline};
use crate::phases::native::scripts::run_script;
use crate::phases::read::{Read, all_or_any, judged, look};
use crate::phases::seen::seen;
use crate::phases::step::{Answers, Context, Finding, Is, STEP, StepDef, hours, minutes};

pub(crate) const STEPS: &[StepDef] = &[CHECK, COPY, RECORD, EXPORTS, MOUNTS, POST_SCRIPT];

/// The gate: there is a copy, and nobody is at work.
const CHECK: StepDef = StepDef {
    phase: Phase::Clone,
    name: "wake-check",
    about: "check that there is a copy to wake",
    host: HostRole::Client,
    task: TaskKind::Wake,
    gate: true,
    applies: |spec| spec.task.has_client(),
    looks: |ctx| {
        let client = [argv::lspv(), argv::ls_l(argv::LEASE)];
        let mut looks = only(HostRole::Client, client);
        let script = ctx.spec.options.post_script.as_ref().map(argv::lsnim);
        looks.extend(script.map(|script| look(HostRole::Master, [script])));
        looks
    },
    judge: |ctx, answers| {
        judged((|| {
            if let Some(bar) = leased(ctx, answers)? {
                return Ok(bar);
            }
            if let Some(bar) = no_script(ctx, answers)? {
                return Ok(bar);
            }
            let lspv = answers.client().lspv()?;
            let Some(row) = copy_row(ctx, &lspv) else { return Ok(no_copy(ctx)) };
            let asleep = (!row.is_active()).then(|| row.vg.clone()).flatten();
            Ok(Finding::found(Facts { asleep, ..Facts::default() }))
        })())
    },
    ..STEP
};

/// The bar where another nimshift holds the client's lease.
pub(crate) fn leased(ctx: &Context<'_>, answers: &Answers) -> Read<Option<Finding>> {
    let holder = answers.client().lease()?.filter(|holder| is_alive(ctx, holder));
    let Some(holder) = holder else { return Ok(None) };
    let text = format!("{} holds the client's lease: another nimshift", holder.words());
    let cause = Cause::new(FailureClass::Permanent, text);
    Ok(Some(Finding::blocked(cause.with_hint("wait for it, or take its migration back there"))))
}

/// The bar where NIM has no script of the name that is asked for (`-z`): it would be
/// missed in the woken copy.
fn no_script(ctx: &Context<'_>, answers: &Answers) -> Read<Option<Finding>> {
    let Some(name) = &ctx.spec.options.post_script else { return Ok(None) };
    let said = answers.master();
    let found = if said.is_defined(name)? { Some(said.nim_object(name)?) } else { None };
    let kind = found.as_ref().and_then(|found| found.get("type"));
    if kind == Some("script") {
        return Ok(None);
    }
    let text = match kind {
        Some(kind) => format!("{name} is no script in NIM, but of type {kind}"),
        None => format!("the script {name} is not defined in NIM"),
    };
    let cause = Cause::new(FailureClass::Permanent, text);
    let hint = "`lsnim -t script` on the master lists them: name one of these (-z)";
    Ok(Some(Finding::blocked(cause.with_hint(hint))))
}

pub(crate) fn no_copy(ctx: &Context<'_>) -> Finding {
    let text = format!("there is neither {ALT_VG} nor {OLD_VG} on {}", ctx.spec.client);
    Finding::blocked(Cause::new(FailureClass::Permanent, text).with_hint("`lspv` on the client"))
}

/// The disk of the copy: on a disk that is asked for, else the one there is.
fn copy_row<'a>(ctx: &Context<'_>, lspv: &'a [PhysicalVolume]) -> Option<&'a PhysicalVolume> {
    let find = |fits: &dyn Fn(&PhysicalVolume) -> bool| lspv.iter().find(|row| fits(row));
    let asked = |row: &PhysicalVolume| ctx.spec.options.disks.contains(&row.disk);
    find(&|row| row.is_in(ALT_VG))
        .or_else(|| find(&|row| row.is_in(OLD_VG) && asked(row)))
        .or_else(|| find(&|row| row.is_in(OLD_VG)))
}

/// `alt_rootvg_op -W`.
const COPY: StepDef = StepDef {
    phase: Phase::Clone,
    name: "wake-copy",
    about: "wake the copy",
    host: HostRole::Client,
    task: TaskKind::Wake,
    is: &[Is::ByName, Is::BackByName],
    repeat: Repeat::AfterUndo,
    undo: UndoKind::Reverse,
    timeout: minutes(30),
    applies: |spec| spec.task.has_client(),
    looks: |_| only(HostRole::Client, [argv::lspv(), argv::mounts()]),
    judge: |_, answers| {
        judged(sight_of_copy(answers).map(|(awake, mounted, facts)| Finding {
            facts: Some(facts),
            ..all_or_any(awake && mounted, awake)
        }))
    },
    run: Some(|ctx, answers| {
        let lspv = answers.client().lspv().unwrap_or_default();
        let row = copy_row(ctx, &lspv).map(|row| &row.disk);
        Script::new(
            row.or(ctx.spec.options.disks.first()).map(|disk| Command::new(argv::wake_copy(disk))),
        )
    }),
    undo_run: Some(|ctx, answers| {
        let lspv = answers.client().lspv().unwrap_or_default();
        let mut commands = Vec::new();
        let row = lspv.iter().find(|row| row.is_in(ALT_VG));
        if row.is_none_or(PhysicalVolume::is_active) {
            // A script that was cut off lies in the copy still.
            commands.push(marks::remove_all(CLIENT_ROOT));
            commands.push(Command::new(argv::sleep_copy()).tolerated());
        }
        if let (Some(name), Some(row)) = (&ctx.facts.asleep, row)
            && name != ALT_VG
        {
            commands.push(Command::new(argv::rename_copy(name, &row.disk)).tolerated());
        }
        Script::new(commands)
    }),
    judge_undo: Some(|ctx, answers| {
        judged((|| {
            let lspv = answers.client().lspv()?;
            // One that was awake before is left awake.
            let Some(name) = &ctx.facts.asleep else { return Ok(Finding::of(Presence::Absent)) };
            let row = lspv.iter().find(|row| row.is_in(ALT_VG));
            let left = row.is_some_and(|row| row.is_active() || name != ALT_VG);
            Ok(Finding::of(if left { Presence::Present } else { Presence::Absent }))
        })())
    }),
    ..STEP
};

/// Whether the copy is awake, whether its file systems are mounted, and what is kept
/// of the look.
pub(crate) fn sight_of_copy(answers: &Answers) -> Read<(bool, bool, Facts)> {
    let said = answers.client();
    let (lspv, mounts) = (said.lspv()?, said.mounts()?);
    let awake = lspv.iter().any(|row| row.is_in(ALT_VG) && row.is_active());
    let mounted = mounts.iter().any(|row| row.over == CLIENT_ROOT);
    Ok((awake, mounted, seen(&lspv, Vec::new())))
}

/// What the copy's file systems are, and where scripts lie.
const RECORD: StepDef =
    StepDef {
        phase: Phase::Clone,
        name: "wake-record",
        about: "record the client and the woken copy",
        host: HostRole::Client,
        task: TaskKind::Wake,
        applies: |spec| spec.task.has_client(),
        looks: |ctx| {
            let mut looks = baseline_looks(ctx);
            looks.push(look(HostRole::Client, [argv::lsvg_l(ALT_VG)]));
            looks
        },
        judge: |ctx, answers| {
            judged(record(ctx, answers).map(|baseline| {
                Finding::found(Facts { baseline: Some(baseline), ..Facts::default() })
            }))
        },
        ..STEP
    };

fn record(ctx: &Context<'_>, answers: &Answers) -> Read<Baseline> {
    let mut baseline = read_baseline(ctx, answers)?;
    let volumes = answers.client().read(argv::lsvg_l(ALT_VG), aix::logical_volumes)?;
    let mut file_systems: Vec<BaselineFs> = volumes
        .iter()
        .filter(|lv| lv.is_file_system())
        .filter_map(|lv| {
            let inner = lv.mount_point.as_deref()?.strip_prefix(CLIENT_ROOT)?;
            let mount_point = if inner.is_empty() { "/" } else { inner };
            let size_mb = lv.lps.saturating_mul(baseline.pp_size_mb);
            Some(BaselineFs { lv: lv.name.clone(), mount_point: mount_point.to_owned(), size_mb })
        })
        .collect();
    file_systems.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    if file_systems.is_empty() {
        return Err("the woken copy has no file systems".to_owned());
    }
    baseline.file_systems = file_systems;
    Ok(baseline)
}

/// As in phase 2.
const EXPORTS: StepDef = StepDef {
    phase: Phase::Export,
    name: "wake-exports",
    about: "export the copy's file systems to the master",
    host: HostRole::Client,
    task: TaskKind::Wake,
    undo: UndoKind::Reverse,
    timeout: minutes(10),
    applies: |spec| spec.task.has_client(),
    looks: export_looks,
    judge: |ctx, answers| judged(judge_exported(ctx, answers)),
    run: Some(export_missing),
    undo_run: Some(unexport_all),
    judge_undo: Some(judge_unexported),
    ..STEP
};

/// As in phase 3.
const MOUNTS: StepDef = StepDef {
    phase: Phase::Mount,
    name: "wake-mounts",
    about: "mount the copy's file systems on the master",
    host: HostRole::Master,
    task: TaskKind::Wake,
    undo: UndoKind::Reverse,
    timeout: minutes(30),
    applies: |spec| spec.task.has_client(),
    looks: mount_looks,
    judge: |ctx, answers| judged(judge_mounts(ctx, answers)),
    run: Some(mount_missing),
    undo_run: Some(unmount_and_remove),
    judge_undo: Some(judge_unmounted),
    ..STEP
};

const SCRIPT: &str = "wake-post-script";

/// `-z`. Its mark is in the copy until that sleeps.
const POST_SCRIPT: StepDef = StepDef {
    phase: Phase::PostScript,
    name: SCRIPT,
    about: "run the script in the woken copy",
    host: HostRole::Master,
    task: TaskKind::Wake,
    repeat: Repeat::Never,
    timeout: hours(2),
    applies: |spec| spec.task.has_client() && spec.options.post_script.is_some(),
    looks: marks::looks,
    judge: |ctx, answers| judged(marks::judge(ctx, answers, SCRIPT)),
    run: Some(|ctx, _| {
        let location = baseline(ctx).ok().and_then(|b| b.post_script_location.as_deref());
        run_script(ctx, SCRIPT, location)
    }),
    ..STEP
};
