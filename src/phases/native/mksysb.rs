//! The steps that a migration from a mksysb, or to one, has of its own.

use crate::aix::argv::{self, words};
use crate::aix::{self, VolumeLine};
use crate::domain::{
    Cause, Facts, FailureClass, HostRole, MadeMksysb, MigrationSpec, NimName, Phase, Presence,
    UndoKind,
};
use crate::transport::{Command, CommandOutput, Script};

use crate::phases::copy::{baseline, master_paths, master_top, mounted, mounts_below};
use crate::phases::marks;
use crate::phases::native::export::{cache_looks, cache_rows, undo_make_cache};
use crate::phases::native::master::image_data;
use crate::phases::native::mount::{if_filled, passwd};
use crate::phases::read::{Read, all_or_any, holds, judged, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, STEP, StepDef, hours, minutes};

pub(crate) const STEPS: &[StepDef] =
    &[RESTORE_MKSYSB, WRITE_IMAGE_DATA, ARCHIVE_MKSYSB, DEFINE_MKSYSB, DROP_CACHE];

/// From a mksysb: instead of copying a client's data into the cache.
const RESTORE_MKSYSB: StepDef = StepDef {
    phase: Phase::Mount,
    name: "restore-mksysb",
    about: "restore the mksysb into the cache",
    host: HostRole::Master,
    timeout: hours(6),
    stall: Some(hours(2)),
    applies: |spec| spec.task.reads_mksysb(),
    looks: |ctx| {
        marks::looks(ctx).into_iter().chain([look(HostRole::Master, [passwd(ctx)])]).collect()
    },
    judge: |ctx, answers| {
        let finding = marks::judge(ctx, answers, "restore-mksysb");
        judged(finding.and_then(|finding| if_filled(ctx, answers, finding)))
    },
    run: Some(|ctx, _| {
        let location = baseline(ctx).ok().and_then(|b| b.mksysb_location.as_deref());
        let Some(location) = location else { return Script::default() };
        let directory = marks::directory(ctx);
        Script::new([
            Command::new(["restore", "-xqf", location]).within(ctx.spec.master_root()),
            // Marks of whoever made the mksysb are not ours.
            Command::new(["rm", "-rf", &directory]),
            Command::new(["mkdir", "-p", &directory]),
            Command::new(["touch", &format!("{directory}/restore-mksysb.done")]),
        ])
    }),
    ..STEP
};

/// To a mksysb: how a rootvg is made of it.
const WRITE_IMAGE_DATA: StepDef = StepDef {
    phase: Phase::Finish,
    name: WRITE,
    about: "write image.data into the copy",
    host: HostRole::Master,
    timeout: minutes(10),
    applies: |spec| spec.task.writes_mksysb(),
    looks: |ctx| {
        let mut looks = marks::looks(ctx);
        let mut commands = vec![argv::df("-m", &master_paths(ctx))];
        let files = [written(ctx)].into_iter().chain(given(ctx));
        commands.extend(files.map(|path| argv::cat(&path)));
        looks.push(look(HostRole::Master, commands));
        looks
    },
    judge: |ctx, answers| judged(judge_image_data(ctx, answers)),
    run: Some(|ctx, answers| {
        let to = written(ctx);
        let command = match given(ctx) {
            Some(given) => Command::new(["cp", &given, &to]),
            None => Command::new(["dd", &format!("of={to}")]).reading(image_lines(ctx, answers)),
        };
        marks::between(ctx, WRITE, [command])
    }),
    ..STEP
};

const WRITE: &str = "write-image-data";

/// Where it is written to.
fn written(ctx: &Context<'_>) -> String {
    format!("{}/image.data", ctx.spec.master_root())
}

/// `-i`.
fn given(ctx: &Context<'_>) -> Option<String> {
    ctx.spec.options.image_data.is_some().then(|| image_data(ctx.spec))
}

/// Its marks, and what is written: the mksysb may have brought one of its own, with
/// the sizes that file systems had before the migration.
fn judge_image_data(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let finding = marks::judge(ctx, answers, WRITE)?;
    let (said, paths) = (answers.master(), master_paths(ctx));
    if given(ctx).is_none() && !matches!(finding.presence, Presence::Unknown(_)) {
        // What is written goes by it.
        let usages = said.read(argv::df("-m", &paths), aix::df)?;
        let is_told = |path: &String| usages.iter().any(|(over, _)| over == path);
        if let Some(path) = paths.iter().find(|path| !is_told(path)) {
            return Err(format!("`df` does not show {path}"));
        }
    }
    if finding.presence != Presence::Present {
        return Ok(finding);
    }
    let wanted = if let Some(given) = given(ctx) {
        said.read(argv::cat(&given), aix::image_data)?
    } else {
        let text = image_lines(ctx, answers).join("\n");
        aix::image_data(&text).map_err(|unread| unread.to_string())?
    };
    let written = argv::cat(&written(ctx));
    let is_written = said.is_there(written.clone())?
        && said.read(written, aix::image_data).is_ok_and(|image| image.has_sizes_of(&wanted));
    Ok(if is_written { finding } else { Finding::of(Presence::Partial) })
}

/// The volumes of the baseline, with the sizes that the file systems have grown
/// to in the cache.
fn image_lines(ctx: &Context<'_>, answers: &Answers) -> Vec<String> {
    let Ok(baseline) = baseline(ctx) else { return Vec::new() };
    let usages = argv::df("-m", &master_paths(ctx));
    let usages = answers.master().read(usages, aix::df).unwrap_or_default();
    let root = ctx.spec.master_root();
    let volumes: Vec<VolumeLine<'_>> = baseline
        .volumes
        .iter()
        .map(|volume| {
            let fs = baseline.file_systems.iter().find(|fs| fs.lv == volume.lv);
            let usage = fs.and_then(|fs| {
                let path = fs.below(&root);
                usages.iter().find(|(over, _)| *over == path).map(|(_, usage)| *usage)
            });
            let size_mb = usage.map_or(volume.size_mb, |usage| usage.total);
            let used = usage.map_or(size_mb, aix::FsUsage::used);
            let mounted = volume.mount_point.as_deref().map(|point| (point, used));
            VolumeLine { name: &volume.lv, kind: &volume.kind, size_mb, mounted }
        })
        .collect();
    aix::image_data_lines(baseline.pp_size_mb, &volumes)
}

const BEGUN: &str = "archive-mksysb.begun";

/// The output of the plan, or nothing.
fn output<'a>(ctx: &Context<'a>) -> &'a str {
    ctx.spec.options.output.as_deref().unwrap_or_default()
}

/// The archive while it is being written.
pub(crate) fn part(ctx: &Context<'_>) -> String {
    format!("{}.nimshift", output(ctx))
}

fn begun(ctx: &Context<'_>) -> String {
    format!("{}/{BEGUN}", ctx.spec.work_directory())
}

/// `-O`. It gets its name when it is whole.
const ARCHIVE_MKSYSB: StepDef = StepDef {
    phase: Phase::Finish,
    name: "archive-mksysb",
    about: "write the copy to a mksysb file",
    host: HostRole::Master,
    undo: UndoKind::Reverse,
    timeout: hours(6),
    stall: Some(hours(2)),
    applies: |spec| spec.task.writes_mksysb(),
    looks: |ctx| {
        let files = [argv::ls_lid(output(ctx)), argv::ls_lid(&part(ctx))];
        let further = [argv::ls(&ctx.spec.work_directory()), argv::mounts()];
        let commands = files.into_iter().chain(further);
        vec![look(HostRole::Master, commands)]
    },
    judge: |ctx, answers| judged(judge_archive(ctx, answers)),
    run: Some(|ctx, answers| {
        let (root, part) = (ctx.spec.master_root(), part(ctx));
        let mut commands = mount_cache(ctx, answers);
        commands.push(Command::new(["touch", &begun(ctx)]));
        commands.extend(marks::remove(&marks::directory(ctx)));
        commands.extend([
            Command::new(["rm", "-f", &part]),
            Command::new(["find", ".", "-print"]).piped_to(["backup", "-iqf", &part]).within(root),
            // Who has finished a file there meanwhile keeps it.
            Command::new(["test", "!", "-e", output(ctx)]),
            Command::new(["mv", &part, output(ctx)]),
        ]);
        Script::new(commands)
    }),
    undo_run: Some(|ctx, answers| {
        let said = answers.master();
        let marked = ours(ctx, answers).unwrap_or(true);
        let half = match said.output(argv::ls_lid(&part(ctx))) {
            Ok(seen) if marked && seen.ok() => while_seen(&part(ctx), seen),
            Ok(_) => Vec::new(),
            Err(_) => vec![Command::new(["rm", "-f", &part(ctx)])],
        };
        let is_whole = marked && !is_half_there(ctx, answers).unwrap_or(true);
        let whole = remove_seen(ctx, answers, is_whole);
        let begun = Command::new(["rm", "-f", &begun(ctx)]);
        Script::new(half.into_iter().chain(whole).chain([begun]))
    }),
    judge_undo: Some(|ctx, answers| {
        judged((|| {
            let marked = ours(ctx, answers)?;
            let half = is_half_there(ctx, answers)?;
            let whole = whole(ctx, answers, marked && !half)?;
            let mut left = left_alone(ctx, whole);
            if half && !marked && left.is_none() {
                left = Some(cannot_be_told(&part(ctx)));
            }
            let finding =
                all_or_any(whole == Whole::Ours, marked && (half || is_begun(ctx, answers)?));
            Ok(taken_back(finding.presence, MadeMksysb::default(), left))
        })())
    }),
    ..STEP
};

/// What is at the path of the mksysb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    /// Nothing.
    Gone,
    /// What this migration has written.
    Ours,
    /// It was not there before, and nothing says whose it is.
    Untold,
    /// Another file than the one that this migration has written.
    Anothers,
}

/// Whether what is being written is there.
fn is_half_there(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    answers.master().is_there(argv::ls_lid(&part(ctx)))
}

/// Whose the file at the path of the mksysb is: what was recorded when it was written
/// tells it, and its mark.
pub(crate) fn whole(ctx: &Context<'_>, answers: &Answers, marked: bool) -> Read<Whole> {
    let (said, file) = (answers.master(), argv::ls_lid(output(ctx)));
    if !said.is_there(file.clone())? {
        return Ok(Whole::Gone);
    }
    let by_mark = if marked { Whole::Ours } else { Whole::Untold };
    let Some(recorded) = made(ctx).file else { return Ok(by_mark) };
    // What is no file cannot be the one that was written.
    let seen = said.output(file.clone())?;
    if seen.stdout.split_whitespace().nth(1).is_some_and(|mode| !mode.starts_with('-')) {
        return Ok(Whole::Anothers);
    }
    let seen = said.read(file, |text| aix::file_identity(text, output(ctx)))?;
    Ok(if aix::is_same_file(&recorded, &seen) { by_mark } else { Whole::Anothers })
}

/// Removes the file at the path of the mksysb where it is ours, and still the one that
/// was seen: nothing fits between that question and its end.
pub(crate) fn remove_seen(ctx: &Context<'_>, answers: &Answers, marked: bool) -> Vec<Command> {
    let seen = answers.master().output(argv::ls_lid(output(ctx)));
    match (whole(ctx, answers, marked), seen) {
        (Ok(Whole::Ours), Ok(seen)) => while_seen(output(ctx), seen),
        _ => Vec::new(),
    }
}

/// Removes the file where it is the one that an `ls -lid` has `seen`.
fn while_seen(path: &str, seen: &CommandOutput) -> Vec<Command> {
    let guard = holds(["ls", "-lid", path], seen.stdout.trim());
    vec![guard, Command::new(["rm", "-f", path])]
}

/// What the file at the path of the mksysb is told by, as [`whole`] asks. One that
/// cannot be read is known by its name and mark only.
pub(crate) fn identity(ctx: &Context<'_>, answers: &Answers) -> Option<String> {
    let (said, path) = (answers.master(), output(ctx));
    said.read(argv::ls_lid(path), |text| aix::file_identity(text, path)).ok()
}

/// What was recorded of the mksysb: by a part before this one, too.
fn made(ctx: &Context<'_>) -> MadeMksysb {
    let before = ctx.spec.part.as_ref().and_then(|part| part.facts.mksysb.as_ref());
    ctx.facts.mksysb.as_ref().or(before).cloned().unwrap_or_default()
}

/// What an undo sees: `known` is what is known of the mksysb when it is done.
pub(crate) fn taken_back(presence: Presence, known: MadeMksysb, left: Option<String>) -> Finding {
    let left = left.into_iter().collect();
    let facts = Facts { mksysb: Some(known), left, ..Facts::default() };
    Finding { facts: Some(facts), ..Finding::of(presence) }
}

/// A file that an undo leaves, for people.
pub(crate) fn left_alone(ctx: &Context<'_>, whole: Whole) -> Option<String> {
    match whole {
        Whole::Gone | Whole::Ours => None,
        Whole::Untold => Some(cannot_be_told(output(ctx))),
        Whole::Anothers => Some(format!(
            "{} on the master: by its i-node, size or time it is not the file that this migration wrote",
            output(ctx)
        )),
    }
}

/// A file that was not there before, and that nothing says to be ours: the mark is
/// gone that would. It stays, and is named.
fn cannot_be_told(path: &str) -> String {
    format!("{path} on the master: its mark is gone: this migration may or may not have written it")
}

fn is_begun(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    answers.master().lists(&begun(ctx))
}

/// Whether a file of that name is this migration's: it has begun the archive, or
/// is past the end, where its directory is removed.
fn ours(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    let work = argv::ls(&ctx.spec.work_directory());
    Ok(is_begun(ctx, answers)? || !answers.master().is_there(work)?)
}

/// Mounts what a reboot of the master has unmounted of the cache, parents first.
fn mount_cache(ctx: &Context<'_>, answers: &Answers) -> Vec<Command> {
    let Ok(mounts) = answers.master().mounts() else { return Vec::new() };
    let paths = master_paths(ctx).into_iter();
    let gone = paths.filter(|path| !mounts.iter().any(|row| row.over == *path));
    gone.map(|path| Command::new(["mount", &path])).collect()
}

fn judge_archive(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.master();
    let mounts = said.mounts()?;
    match (said.is_there(argv::ls_lid(output(ctx)))?, is_begun(ctx, answers)?) {
        // What was written has no other name any more.
        (true, true) if is_half_there(ctx, answers)? => {
            return Ok(Finding::blocked(in_the_way(output(ctx))));
        }
        (true, true) => {
            let made = MadeMksysb { file: identity(ctx, answers), object: None };
            return Ok(Finding::found(Facts { mksysb: Some(made), ..Facts::default() }));
        }
        (true, false) => return Ok(Finding::blocked(in_the_way(output(ctx)))),
        (false, _) => {}
    }
    let (there, wanted) = mounted(&mounts, &master_paths(ctx));
    // What an attempt that was cut off has written is this step's own to undo: it
    // mounts the cache by itself, where else that is made again before it.
    if (there < wanted || wanted == 0) && !is_begun(ctx, answers)? {
        let why = format!("{there} of {wanted} file systems of the cache are mounted");
        return Ok(Finding::unmounted(why));
    }
    Ok(Finding::of(Presence::Absent))
}

/// A file that was there before.
pub(crate) fn in_the_way(path: &str) -> Cause {
    let cause = Cause::new(FailureClass::Permanent, format!("{path} is on the master already"));
    cause.with_hint("remove the file, or change `output` (-O) in the plan")
}

/// `-N`.
pub(crate) const DEFINE_MKSYSB: StepDef = StepDef {
    phase: Phase::Finish,
    name: "define-mksysb",
    about: "define the mksysb in NIM",
    host: HostRole::Master,
    undo: UndoKind::Reverse,
    timeout: minutes(30),
    applies: |spec| new_name(spec).is_some(),
    looks: |ctx| vec![look(HostRole::Master, new_name(ctx.spec).map(argv::lsnim))],
    judge: |ctx, answers| {
        judged(defined(ctx, answers).map(|found| match found {
            Defined::Nowhere => Finding::of(Presence::Absent),
            Defined::Here(object) => {
                let made = MadeMksysb { object, ..made(ctx) };
                Finding::found(Facts { mksysb: Some(made), ..Facts::default() })
            }
            Defined::Elsewhere | Defined::Anew => {
                let text = "the name of the new mksysb is another NIM object's";
                let cause = Cause::new(FailureClass::Permanent, text);
                Finding::blocked(cause.with_hint("change `new_mksysb` (-N) in the plan"))
            }
        }))
    },
    run: Some(|ctx, _| {
        let define = |name: &NimName| {
            let location = format!("location={}", output(ctx));
            let base = ["nim", "-o", "define", "-t", "mksysb", "-a", "server=master", "-a"];
            let mut argv = words(&base);
            argv.extend([location, name.to_string()]);
            Command::new(argv)
        };
        Script::new(new_name(ctx.spec).map(define))
    }),
    undo_run: Some(|ctx, answers| {
        let remove = |name: &NimName| Command::new(["nim", "-o", "remove", name.as_str()]);
        // Still the one that was seen.
        let guard = |date: String| Some(holds(argv::lsnim(new_name(ctx.spec)?), &date));
        let seen = match defined(ctx, answers) {
            Ok(Defined::Here(date)) => date.and_then(guard),
            _ => None,
        };
        Script::new(seen.into_iter().chain(new_name(ctx.spec).map(remove)))
    }),
    judge_undo: Some(|ctx, answers| {
        judged(defined(ctx, answers).map(|found| {
            let anew = || {
                let name = new_name(ctx.spec).map_or("", NimName::as_str);
                format!("the NIM object {name}: by its creation_date it is not the one that this migration defined")
            };
            let (presence, left) = match found {
                Defined::Here(_) => (Presence::Present, None),
                Defined::Nowhere | Defined::Elsewhere => (Presence::Absent, None),
                Defined::Anew => (Presence::Absent, Some(anew())),
            };
            taken_back(presence, MadeMksysb { object: None, ..made(ctx) }, left)
        }))
    }),
    ..STEP
};

fn new_name(spec: &MigrationSpec) -> Option<&NimName> {
    spec.options.new_mksysb.as_ref().filter(|_| spec.task.writes_mksysb())
}

enum Defined {
    Nowhere,
    /// With its `creation_date`.
    Here(Option<String>),
    Elsewhere,
    /// At the same place, by another.
    Anew,
}

fn defined(ctx: &Context<'_>, answers: &Answers) -> Read<Defined> {
    let said = answers.master();
    let name = new_name(ctx.spec).ok_or_else(|| "no name is asked for".to_owned())?;
    if !said.is_defined(name)? {
        return Ok(Defined::Nowhere);
    }
    let object = said.nim_object(name)?;
    let ours = object.get("type") == Some("mksysb") && object.get("location") == Some(output(ctx));
    let date = object.get("creation_date").map(str::to_owned);
    Ok(match made(ctx).object {
        _ if !ours => Defined::Elsewhere,
        Some(recorded) if date.as_ref() != Some(&recorded) => Defined::Anew,
        _ => Defined::Here(date),
    })
}

/// To a mksysb: the cache lives until the archive is made.
const DROP_CACHE: StepDef = StepDef {
    phase: Phase::End,
    name: "drop-cache",
    about: "unmount and remove the cache file systems",
    host: HostRole::Master,
    drivers: Drivers::Both,
    timeout: hours(1),
    applies: |spec| spec.task.writes_mksysb(),
    looks: cache_looks,
    judge: |ctx, answers| {
        judged((|| {
            let (said, top) = (answers.master(), master_top(ctx));
            let mounted = !mounts_below(&said.mounts()?, &top).is_empty();
            let left = mounted
                || !cache_rows(ctx, answers)?.is_empty()
                || said.is_there(argv::ls_d(&top))?;
            Ok(Finding::of(if left { Presence::Absent } else { Presence::Present }))
        })())
    },
    run: Some(undo_make_cache),
    ..STEP
};

/// Why a phase of such a migration has nothing to do.
pub(crate) fn idle(spec: &MigrationSpec, phase: Phase) -> Option<&'static str> {
    let reason = match phase {
        Phase::BootImage => "a mksysb has no boot volume: the SPOT boots what it is restored to",
        Phase::Unmount | Phase::Unexport => "the cache is kept until phase 11 has archived it",
        _ => return None,
    };
    spec.task.writes_mksysb().then_some(reason)
}
