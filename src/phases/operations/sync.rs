//! Sync: `bos.alt_disk_install` at one level on the master and in the SPOT, the
//! highest that lpp_source or device have.

use std::fmt::Write as _;
use std::time::Duration;

use crate::aix::argv;
use crate::aix::{self, Fileset, FilesetLevel, NimObject};
use crate::domain::{
    Cause, FailureClass, HostRole, MigrationSpec, NimName, Phase, Presence, Repeat, StepName, Task,
    UndoKind,
};
use crate::transport::{Command, Script};

use super::super::read::{Read, Said, judged, look};
use super::super::step::{Answers, Context, Looks, Sight, StepDef};

/// Where the images of an lpp_source lie below its location.
const IMAGES: &str = "installp/ppc";

/// The gate: SPOT and lpp_source are what their names say.
pub(crate) const CHECK: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("sync-check"),
    about: "check SPOT and lpp_source",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: true,
    timeout: Duration::from_secs(300),
    stall: None,
    settle: Duration::ZERO,
    weight: 0,
    applies: |_| true,
    looks: |ctx| {
        let target = &ctx.spec.target;
        vec![look(HostRole::Master, [&target.spot, &target.lpp_source].map(argv::lsnim))]
    },
    judge: |ctx, answers| {
        judged((|| {
            let said = Said::by(answers, 0);
            let target = &ctx.spec.target;
            let wanted = [(&target.spot, "spot"), (&target.lpp_source, "lpp_source")];
            for (command, (name, kind)) in wanted.into_iter().enumerate() {
                let found: NimObject =
                    match said.read(command, |text| aix::nim_object(text, name.as_str())) {
                        Ok(object) => object,
                        Err(_) if said.output(command)?.text().contains("0042-053") => {
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
            Ok(Sight::of(Presence::Present))
        })())
    },
    run: None,
    undo_run: None,
    judge_undo: None,
};

fn refused(text: String, hint: &str) -> Sight {
    Sight::barred(Cause::new(FailureClass::Permanent, text).with_hint(hint))
}

fn levels(spec: &MigrationSpec) -> bool {
    matches!(spec.task, Task::Sync { preview: false, .. })
}

fn device(spec: &MigrationSpec) -> Option<&str> {
    match &spec.task {
        Task::Sync { device, .. } => device.as_deref(),
        _ => None,
    }
}

/// Sources and what is installed: 0 the lpp_source's location, 1 the master, 2
/// the SPOT, 3 what the device has.
fn level_looks(ctx: &Context<'_>) -> Looks {
    let target = &ctx.spec.target;
    let mut commands = vec![
        argv::lsnim(&target.lpp_source),
        argv::lslpp(&[argv::ALT_PATTERN]),
        argv::spot_lslpp(&target.spot, &[argv::ALT_PATTERN]),
        argv::showres(&target.lpp_source),
    ];
    commands.extend(device(ctx.spec).map(argv::installable));
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
        let said = Said::by(answers, 0);
        let of = |command| Ok::<_, String>(level_of(&said.read(command, aix::filesets)?));
        let installed =
            |command| Ok::<_, String>(level_installed(&said.read(command, aix::filesets)?));
        Ok(Levels {
            master: installed(1)?,
            spot: installed(2)?,
            lpp_source: of(3)?,
            device: if device(ctx.spec).is_some() { of(4)? } else { None },
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
) -> Sight {
    judged(Levels::read(ctx, answers).map(|levels| {
        let highest = levels.highest();
        if own(&levels) == highest {
            return Sight::of(Presence::Present);
        }
        if levels.can_be_had() {
            return Sight::of(Presence::Absent);
        }
        let cause = Cause::new(FailureClass::Permanent, levels.text());
        Sight::barred(cause.with_hint(NO_SOURCE))
    }))
}

/// The directory to install from, and its name for NIM.
fn source(ctx: &Context<'_>, answers: &Answers) -> (String, String) {
    let name: &NimName = &ctx.spec.target.lpp_source;
    let located = Said::by(answers, 0)
        .read(0, |text| aix::nim_object(text, name.as_str()))
        .ok()
        .and_then(|object| object.get("location").map(str::to_owned))
        .unwrap_or_else(|| format!("<location of {name}>"));
    if let (Ok(levels), Some(device)) = (Levels::read(ctx, answers), device(ctx.spec))
        && levels.device > levels.lpp_source
    {
        return (device.to_owned(), device.to_owned());
    }
    (format!("{located}/{IMAGES}"), name.to_string())
}

/// The master's own.
pub(crate) const MASTER: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("sync-master"),
    about: "level bos.alt_disk_install on the master",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(3600),
    stall: None,
    settle: Duration::ZERO,
    weight: 3,
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
    undo_run: None,
    judge_undo: None,
};

/// That of the SPOT.
pub(crate) const SPOT: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("sync-spot"),
    about: "level bos.alt_disk_install in the SPOT",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(3600),
    stall: None,
    settle: Duration::ZERO,
    weight: 3,
    applies: levels,
    looks: level_looks,
    judge: |ctx, answers| judge_level(ctx, answers, |levels| levels.spot),
    run: Some(|ctx, answers| {
        let source = source(ctx, answers).1;
        Script::new([Command::new(argv::customize_spot(&ctx.spec.target.spot, &source))])
    }),
    undo_run: None,
    judge_undo: None,
};

/// Last, and all of a preview.
pub(crate) const COMPARE: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("sync-compare"),
    about: "compare the levels of bos.alt_disk_install",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(300),
    stall: None,
    settle: Duration::ZERO,
    weight: 0,
    applies: |_| true,
    looks: level_looks,
    judge: |ctx, answers| {
        judged(Levels::read(ctx, answers).map(|levels| {
            if levels.master.is_some() && levels.master == levels.spot {
                return Sight::of(Presence::Present);
            }
            let cause = Cause::new(FailureClass::Permanent, levels.text());
            let levels_them = "the same without `--preview` levels them";
            Sight::barred(cause.with_hint(if levels.can_be_had() {
                levels_them
            } else {
                NO_SOURCE
            }))
        }))
    },
    run: None,
    undo_run: None,
    judge_undo: None,
};
