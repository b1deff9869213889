//! Wake: the copy is woken, exported and mounted on the master. AIX refuses it
//! where the running system is older than the copy; it is never forced.

use std::time::Duration;

use crate::aix::argv::{self, words};
use crate::aix::{self, PhysicalVolume};
use crate::domain::{
    Baseline, BaselineFs, Cause, Facts, FailureClass, HostRole, Phase, Presence, Repeat, StepName,
    UndoKind,
};
use crate::transport::{Command, Script};

use super::super::copy::{ALT_VG, CLIENT_ROOT, OLD_VG, baseline};
use super::super::export::{
    export_looks, export_missing, judge_exported, judge_unexported, unexport_all,
};
use super::super::marks;
use super::super::mount::{
    judge_mounts, judge_unmounted, mount_looks, mount_missing, unmount_and_remove,
};
use super::super::read::{Read, Said, all_or_any, judged, look};
use super::super::record::{baseline_looks, read_baseline};
use super::super::scripts::run_script;
use super::super::seen::seen;
use super::super::step::{Answers, Context, Sight, StepDef};
use super::cleanup_check::{is_alive, only};

/// The gate: there is a copy, and nobody is at work.
pub(crate) const CHECK: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("wake-check"),
    about: "check that there is a copy to wake",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: true,
    timeout: Duration::from_secs(300),
    stall: None,
    settle: Duration::ZERO,
    weight: 0,
    applies: |spec| spec.mode.has_client(),
    looks: |ctx| {
        let client = [words(&["lspv"]), words(&["ls", "-l", argv::LEASE])];
        let mut looks = only(HostRole::Client, client);
        let script = ctx.spec.options.post_script.as_ref().map(argv::lsnim);
        looks.extend(script.map(|script| look(HostRole::Master, [script])));
        looks
    },
    judge: |ctx, answers| {
        judged((|| {
            let said = Said::by(answers, 0);
            if let Some(bar) = leased(ctx, said, 1)? {
                return Ok(bar);
            }
            if let Some(bar) = no_script(ctx, answers)? {
                return Ok(bar);
            }
            let lspv = said.read(0, aix::lspv)?;
            let Some(row) = copy_row(ctx, &lspv) else { return Ok(no_copy(ctx)) };
            let asleep = (!row.is_active()).then(|| row.vg.clone()).flatten();
            Ok(Sight::found(Facts { asleep, ..Facts::default() }))
        })())
    },
    run: None,
    undo_run: None,
    judge_undo: None,
};

/// The bar where another nimshift holds the client's lease.
pub(crate) fn leased(ctx: &Context<'_>, said: Said<'_>, command: usize) -> Read<Option<Sight>> {
    let Some(holder) = said.lease(command)?.filter(|holder| is_alive(ctx, holder)) else {
        return Ok(None);
    };
    let text = format!("{} holds the client's lease: another nimshift", holder.words());
    let cause = Cause::new(FailureClass::Permanent, text);
    Ok(Some(Sight::barred(cause.with_hint("wait for it, or take its migration back there"))))
}

/// The bar where NIM has no script of the name that is asked for (`-z`): it would be
/// missed in the woken copy.
fn no_script(ctx: &Context<'_>, answers: &Answers) -> Read<Option<Sight>> {
    let Some(name) = &ctx.spec.options.post_script else { return Ok(None) };
    let said = Said::by(answers, 1);
    let found = if said.output(0)?.text().contains("0042-053") {
        None
    } else {
        Some(said.read(0, |text| aix::nim_object(text, name.as_str()))?)
    };
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
    Ok(Some(Sight::barred(cause.with_hint(hint))))
}

pub(crate) fn no_copy(ctx: &Context<'_>) -> Sight {
    let text = format!("there is neither {ALT_VG} nor {OLD_VG} on {}", ctx.spec.client);
    Sight::barred(Cause::new(FailureClass::Permanent, text).with_hint("`lspv` on the client"))
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
pub(crate) const COPY: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("wake-copy"),
    about: "wake the copy",
    host: HostRole::Client,
    repeat: Repeat::AfterUndo,
    undo: UndoKind::Reverse,
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
            ..all_or_any(awake && mounted, awake)
        }))
    },
    run: Some(|ctx, answers| {
        let lspv = Said::by(answers, 0).read(0, aix::lspv).unwrap_or_default();
        let row = copy_row(ctx, &lspv).map(|row| &row.disk);
        Script::new(
            row.or(ctx.spec.options.disks.first()).map(|disk| Command::new(argv::wake_copy(disk))),
        )
    }),
    undo_run: Some(|ctx, answers| {
        let lspv = Said::by(answers, 0).read(0, aix::lspv).unwrap_or_default();
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
            let lspv = Said::by(answers, 0).read(0, aix::lspv)?;
            // One that was awake before is left awake.
            let Some(name) = &ctx.facts.asleep else { return Ok(Sight::of(Presence::Absent)) };
            let row = lspv.iter().find(|row| row.is_in(ALT_VG));
            let left = row.is_some_and(|row| row.is_active() || name != ALT_VG);
            Ok(Sight::of(if left { Presence::Present } else { Presence::Absent }))
        })())
    }),
};

/// Whether the copy is awake, whether its file systems are mounted, and what is kept
/// of the look.
pub(crate) fn sight_of_copy(answers: &Answers) -> Read<(bool, bool, Facts)> {
    let said = Said::by(answers, 0);
    let lspv = said.read(0, aix::lspv)?;
    let mounts = said.read(1, aix::mounts)?;
    let awake = lspv.iter().any(|row| row.is_in(ALT_VG) && row.is_active());
    let mounted = mounts.iter().any(|row| row.over == CLIENT_ROOT);
    Ok((awake, mounted, seen(&lspv, Vec::new())))
}

/// What the copy's file systems are, and where scripts lie.
pub(crate) const RECORD: StepDef =
    StepDef {
        phase: Phase::Clone,
        name: StepName::new("wake-record"),
        about: "record the client and the woken copy",
        host: HostRole::Client,
        repeat: Repeat::Safe,
        undo: UndoKind::Nothing,
        gate: false,
        timeout: Duration::from_secs(300),
        stall: None,
        settle: Duration::ZERO,
        weight: 0,
        applies: |spec| spec.mode.has_client(),
        looks: |ctx| {
            let mut looks = baseline_looks(ctx);
            looks.push(look(HostRole::Client, [argv::lsvg_l(ALT_VG)]));
            looks
        },
        judge: |ctx, answers| {
            judged(record(ctx, answers).map(|baseline| {
                Sight::found(Facts { baseline: Some(baseline), ..Facts::default() })
            }))
        },
        run: None,
        undo_run: None,
        judge_undo: None,
    };

fn record(ctx: &Context<'_>, answers: &Answers) -> Read<Baseline> {
    let mut baseline = read_baseline(ctx, answers)?;
    let volumes = Said::by(answers, 2).read(0, aix::logical_volumes)?;
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
pub(crate) const EXPORTS: StepDef = StepDef {
    phase: Phase::Export,
    name: StepName::new("wake-exports"),
    about: "export the copy's file systems to the master",
    host: HostRole::Client,
    repeat: Repeat::Safe,
    undo: UndoKind::Reverse,
    gate: false,
    timeout: Duration::from_secs(600),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| spec.mode.has_client(),
    looks: export_looks,
    judge: |ctx, answers| judged(judge_exported(ctx, answers)),
    run: Some(export_missing),
    undo_run: Some(unexport_all),
    judge_undo: Some(judge_unexported),
};

/// As in phase 3.
pub(crate) const MOUNTS: StepDef = StepDef {
    phase: Phase::Mount,
    name: StepName::new("wake-mounts"),
    about: "mount the copy's file systems on the master",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Reverse,
    gate: false,
    timeout: Duration::from_secs(1800),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| spec.mode.has_client(),
    looks: mount_looks,
    judge: |ctx, answers| judged(judge_mounts(ctx, answers)),
    run: Some(mount_missing),
    undo_run: Some(unmount_and_remove),
    judge_undo: Some(judge_unmounted),
};

const SCRIPT: &str = "wake-post-script";

/// `-z`. Its mark is in the copy until that sleeps.
pub(crate) const POST_SCRIPT: StepDef = StepDef {
    phase: Phase::PostScript,
    name: StepName::new(SCRIPT),
    about: "run the script in the woken copy",
    host: HostRole::Master,
    repeat: Repeat::Never,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(2 * 3600),
    stall: None,
    settle: Duration::ZERO,
    weight: 3,
    applies: |spec| spec.mode.has_client() && spec.options.post_script.is_some(),
    looks: marks::looks,
    judge: |ctx, answers| judged(marks::judge(ctx, Said::by(answers, 0), SCRIPT)),
    run: Some(|ctx, _| {
        let location = baseline(ctx).ok().and_then(|b| b.post_script_location.as_deref());
        run_script(ctx, SCRIPT, location)
    }),
    undo_run: None,
    judge_undo: None,
};
