//! Sync: `bos.alt_disk_install` at one level on the master and in the SPOT, the
//! highest that lpp_source or device have.

use crate::aix::argv::{self, Argv};
use crate::aix::{self, Fileset, FilesetLevel};
use crate::domain::{
    AttemptRecord, Cause, FailureClass, HostRole, MigrationSpec, Phase, Presence, SoftwareSync,
    Task, TaskKind,
};
use crate::transport::{Command, Script};
use std::fmt::Write as _;

use crate::phases::read::{Read, judged, look};
use crate::phases::step::{Answers, Context, Finding, Probe, STEP, StepDef, hours};

pub(crate) const STEPS: &[StepDef] = &[CHECK, MASTER, SPOT, COMPARE];

/// Where the images of an lpp_source lie below its location.
const IMAGES: &str = "installp/ppc";

/// The gate: SPOT and lpp_source are what their names say.
const CHECK: StepDef = StepDef {
    phase: Phase::Clone,
    name: "sync-check",
    about: "check SPOT and lpp_source",
    host: HostRole::Master,
    task: TaskKind::Sync,
    gate: true,
    looks: |ctx| {
        let sync = of(ctx.spec);
        vec![look(HostRole::Master, [&sync.spot, &sync.lpp_source].map(argv::lsnim))]
    },
    judge: |ctx, answers| {
        judged((|| {
            let (said, sync) = (answers.master(), of(ctx.spec));
            let wanted = [(&sync.spot, "spot"), (&sync.lpp_source, "lpp_source")];
            for (name, kind) in wanted {
                let found = match said.nim_object(name) {
                    Ok(object) => object,
                    Err(_) if !said.is_defined(name)? => {
                        let text = format!("{name} is not defined in NIM");
                        return Ok(refused(text, &format!("`lsnim -t {kind}` lists what is")));
                    }
                    Err(why) => {
                        return Ok(refused(format!("{name}: {why}"), "`lsnim -l` it"));
                    }
                };
                if found.get("type") != Some(kind) || found.get("location").is_none() {
                    let text = format!("{name} is not of type {kind}");
                    return Ok(refused(text, &format!("`lsnim -t {kind}` lists those")));
                }
            }
            Ok(Finding::of(Presence::Present))
        })())
    },
    ..STEP
};

fn refused(text: String, hint: &str) -> Finding {
    Finding::blocked(Cause::new(FailureClass::Permanent, text).with_hint(hint))
}

/// What is brought to one level: the steps here are of nothing else.
fn of(spec: &MigrationSpec) -> &SoftwareSync {
    let Task::Sync(sync) = &spec.task else { panic!("{} is no sync", spec.client) };
    sync
}

fn levels(spec: &MigrationSpec) -> bool {
    !of(spec).preview
}

/// What the SPOT has of the filesets.
fn of_spot(ctx: &Context<'_>) -> Argv {
    argv::spot_lslpp(&of(ctx.spec).spot, &[argv::ALT_PATTERN])
}

/// Sources and what is installed.
fn level_looks(ctx: &Context<'_>) -> Probe {
    let lpp_source = &of(ctx.spec).lpp_source;
    let installed = [argv::lslpp(&[argv::ALT_PATTERN]), of_spot(ctx)];
    let mut commands = vec![argv::lsnim(lpp_source)];
    commands.extend(installed);
    commands.push(argv::showres(lpp_source));
    commands.extend(of(ctx.spec).device.as_deref().map(argv::installable));
    vec![look(HostRole::Master, commands)]
}

/// The level that a source has.
fn level_of(rows: &[Fileset]) -> Option<FilesetLevel> {
    rows.iter().filter(|row| row.name == argv::ALT_FILESET).filter_map(|row| row.level).max()
}

/// The level that is installed: the lowest of the filesets, and none where one of
/// them is broken, as an installation that was cut off leaves it.
fn level_installed(rows: &[Fileset]) -> Option<FilesetLevel> {
    let ours = || rows.iter().filter(|row| argv::ALT_FILESETS.contains(&row.name.as_str()));
    let is_whole = ours().any(|row| row.name == argv::ALT_FILESET)
        && ours().all(|row| row.level.is_some() && row.state != "B");
    ours().filter_map(|row| row.level).min().filter(|_| is_whole)
}

/// Where nothing that is named has the level that both are to have.
const NO_SOURCE: &str = "an lpp_source or `--device` must have the highest level";

struct Levels {
    master: Option<FilesetLevel>,
    spot: Option<FilesetLevel>,
    lpp_source: Option<FilesetLevel>,
    device: Option<FilesetLevel>,
}

impl Levels {
    fn read(ctx: &Context<'_>, answers: &Answers) -> Read<Levels> {
        let filesets = |of: Argv| answers.master().read(of, aix::filesets);
        let device = of(ctx.spec).device.as_deref();
        let device = device.map(|device| filesets(argv::installable(device)));
        Ok(Levels {
            master: level_installed(&filesets(argv::lslpp(&[argv::ALT_PATTERN]))?),
            spot: level_installed(&filesets(of_spot(ctx))?),
            lpp_source: level_of(&filesets(argv::showres(&of(ctx.spec).lpp_source))?),
            device: level_of(&device.transpose()?.unwrap_or_default()),
        })
    }

    /// The level that both are to have.
    fn highest(&self) -> Option<FilesetLevel> {
        [self.master, self.spot, self.lpp_source, self.device].into_iter().flatten().max()
    }

    /// Whether it can be installed from what is named.
    fn can_be_had(&self) -> bool {
        [self.lpp_source, self.device].contains(&self.highest())
    }

    fn text(&self) -> String {
        let text = |level: Option<FilesetLevel>| {
            level.map_or("not there, or broken,".to_owned(), |level| level.to_string())
        };
        let mut text = format!(
            "{} is {} on the master, {} in the SPOT, {} in the lpp_source",
            argv::ALT_FILESET,
            text(self.master),
            text(self.spot),
            text(self.lpp_source)
        );
        if let Some(level) = self.device {
            let _ = write!(text, ", {level} in the device");
        }
        text
    }
}

/// The level of `own` against that of the best source.
fn judge_level(
    ctx: &Context<'_>,
    answers: &Answers,
    own: fn(&Levels) -> Option<FilesetLevel>,
) -> Finding {
    judged(Levels::read(ctx, answers).map(|levels| {
        let highest = levels.highest();
        if own(&levels) == highest {
            return Finding::of(Presence::Present);
        }
        if levels.can_be_had() {
            return Finding::of(Presence::Absent);
        }
        let cause = Cause::new(FailureClass::Permanent, levels.text());
        Finding::blocked(cause.with_hint(NO_SOURCE))
    }))
}

/// The directory to install from, and its name for NIM.
fn source(ctx: &Context<'_>, answers: &Answers) -> (String, String) {
    let SoftwareSync { lpp_source: name, device, .. } = of(ctx.spec);
    let located = answers
        .master()
        .nim_object(name)
        .ok()
        .and_then(|object| object.get("location").map(str::to_owned))
        .unwrap_or_else(|| format!("<location of {name}>"));
    if let (Ok(levels), Some(device)) = (Levels::read(ctx, answers), device)
        && levels.device > levels.lpp_source
    {
        return (device.clone(), device.clone());
    }
    (format!("{located}/{IMAGES}"), name.to_string())
}

/// The master's own.
const MASTER: StepDef = StepDef {
    phase: Phase::Clone,
    name: "sync-master",
    about: "level bos.alt_disk_install on the master",
    host: HostRole::Master,
    task: TaskKind::Sync,
    timeout: hours(1),
    applies: levels,
    looks: level_looks,
    judge: |ctx, answers| judge_level(ctx, answers, |levels| levels.master),
    run: Some(|ctx, answers| {
        // What an installation that was cut off has left is in the way of the next.
        Script::new([
            Command::new(["installp", "-C"]).tolerated(),
            Command::new(argv::install_alt(&source(ctx, answers).0)),
        ])
    }),
    ..STEP
};

/// That of the SPOT.
const SPOT: StepDef = StepDef {
    phase: Phase::Clone,
    name: "sync-spot",
    about: "level bos.alt_disk_install in the SPOT",
    host: HostRole::Master,
    task: TaskKind::Sync,
    timeout: hours(1),
    applies: levels,
    looks: level_looks,
    judge: |ctx, answers| judge_level(ctx, answers, |levels| levels.spot),
    run: Some(|ctx, answers| {
        let source = source(ctx, answers).1;
        Script::new([Command::new(argv::customize_spot(&of(ctx.spec).spot, &source))])
    }),
    ..STEP
};

/// The step that tells what the levels are.
pub const SYNC_COMPARE: &str = "sync-compare";

/// What it has seen, by its record: the level on the master and in the SPOT.
pub fn levels_seen(record: &AttemptRecord) -> Option<String> {
    let level = |command: &str| {
        let look = record.looks.iter().find(|look| look.line.starts_with(command))?;
        let rows = aix::filesets(&look.output).ok()?;
        level_installed(&rows).map(|level| level.to_string())
    };
    let (master, spot) = (level("lslpp ")?, level("nim -o lslpp ")?);
    Some(format!("{} is {master} on the master, {spot} in the SPOT", argv::ALT_FILESET))
}

/// Last, and all of a preview.
const COMPARE: StepDef = StepDef {
    phase: Phase::Clone,
    name: SYNC_COMPARE,
    about: "compare the levels of bos.alt_disk_install",
    host: HostRole::Master,
    task: TaskKind::Sync,
    looks: level_looks,
    judge: |ctx, answers| {
        judged(Levels::read(ctx, answers).map(|levels| {
            if levels.master.is_some() && levels.master == levels.spot {
                return Finding::of(Presence::Present);
            }
            let cause = Cause::new(FailureClass::Permanent, levels.text());
            let levels_them = "the same without `--preview` levels them";
            Finding::blocked(cause.with_hint(if levels.can_be_had() {
                levels_them
            } else {
                NO_SOURCE
            }))
        }))
    },
    ..STEP
};
