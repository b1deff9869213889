//! Phase 3: the master mounts the copy; with local disk caching, it fills its
//! cache instead.

use crate::aix::argv::{self, Argv};
use crate::aix::{self, FsUsage, MountRow};
use crate::domain::{BaselineFs, Cause, FailureClass, HostRole, Mode, Phase, Presence, UndoKind};
use crate::transport::{Command, Script};

use crate::phases::copy::{
    client_paths, file_systems, is_below, lost_by_client, master_paths, master_top, mounted,
    mounts_below, on_client,
};
use crate::phases::marks;
use crate::phases::native::export::{export_looks, judge_exported, remove_top};
use crate::phases::read::{HostAnswers, Read, all_or_any, judged, look};
use crate::phases::step::{Answers, Context, Finding, Probe, STEP, StepDef, hours, minutes};

pub(crate) const STEPS: &[StepDef] = &[MOUNT_FILESYSTEMS, FILL_CACHE];

/// Plain mode.
const MOUNT_FILESYSTEMS: StepDef = StepDef {
    phase: Phase::Mount,
    name: "mount-filesystems",
    about: "mount the copy's file systems on the master",
    host: HostRole::Master,
    undo: UndoKind::Reverse,
    timeout: minutes(30),
    applies: |spec| !spec.caches(),
    looks: |ctx| mount_looks(ctx).into_iter().chain(export_looks(ctx)).collect(),
    judge: |ctx, answers| {
        judged((|| {
            let exported = judge_exported(ctx, answers)?;
            if exported.blocked_by.is_some() {
                return Ok(exported);
            }
            let finding = judge_mounts(ctx, answers)?;
            if finding.presence != Presence::Present && exported.presence != Presence::Present {
                let client = &ctx.spec.client;
                return Ok(Finding::unmounted(format!("{client} no longer exports the copy")));
            }
            Ok(finding)
        })())
    },
    run: Some(mount_missing),
    undo_run: Some(unmount_and_remove),
    judge_undo: Some(judge_unmounted),
    ..STEP
};

/// The same, as the nimadm driver sees it, which looks at the client by itself.
pub(crate) const ON_MASTER: StepDef = StepDef {
    looks: mount_looks,
    judge: |ctx, answers| judged(judge_mounts(ctx, answers)),
    ..MOUNT_FILESYSTEMS
};

/// Mounts what is not mounted, parents first.
pub(crate) fn mount_missing(ctx: &Context<'_>, answers: &Answers) -> Script {
    let mounts = answers.master().mounts().unwrap_or_default();
    let options = ctx.spec.options.mount_options.as_deref();
    let client = ctx.spec.client.as_str();
    let mut commands = Vec::new();
    for (from, over) in client_paths(ctx).iter().zip(master_paths(ctx)) {
        if mounts.iter().any(|row| row.over == over) {
            continue;
        }
        commands.push(Command::new(["mkdir", "-p", &over]));
        commands.push(Command::new(argv::mount_nfs(options, client, from, &over)));
    }
    Script::new(commands)
}

/// Unmounts everything, and removes the directories.
pub(crate) fn unmount_and_remove(ctx: &Context<'_>, answers: &Answers) -> Script {
    let mut commands = unmount_all(ctx, answers);
    let mounts = answers.master().mounts().ok();
    commands.extend(remove_top(ctx, mounts.as_deref()));
    Script::new(commands)
}

/// Absent when nothing is mounted any more, and the directories are gone.
pub(crate) fn judge_unmounted(ctx: &Context<'_>, answers: &Answers) -> Finding {
    let (said, top) = (answers.master(), master_top(ctx));
    judged(said.mounts().and_then(|mounts| {
        let mounted = !mounts_below(&mounts, &top).is_empty();
        Ok(all_or_any(mounted, said.is_there(argv::ls_d(&top))?))
    }))
}

/// The finding of a step that unmounts: present when the master has nothing of the
/// copy mounted.
pub(crate) fn judge_master_unmounted(ctx: &Context<'_>, answers: &Answers) -> Finding {
    judged(answers.master().mounts().map(|mounts| {
        let gone = mounts_below(&mounts, &master_top(ctx)).is_empty();
        Finding::of(if gone { Presence::Present } else { Presence::Absent })
    }))
}

/// What the master's mounts of the copy are looked for by, here and later.
pub(crate) fn mount_looks(ctx: &Context<'_>) -> Probe {
    let top = argv::ls_d(&master_top(ctx));
    vec![look(HostRole::Master, [argv::mounts(), top])]
}

pub(crate) fn judge_mounts(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let mounts = answers.master().mounts()?;
    let (mut there, mut wanted) = (0, 0);
    for (from, over) in client_paths(ctx).iter().zip(master_paths(ctx)) {
        wanted += 1;
        let Some(row) = mounts.iter().rfind(|row| row.over == over) else { continue };
        if row.node.is_none() || row.device != *from {
            return Ok(in_the_way(row));
        }
        there += 1;
    }
    Ok(all_or_any(wanted > 0 && there == wanted, there > 0))
}

fn in_the_way(row: &MountRow) -> Finding {
    let text = format!("{} is mounted on {} of the master", row.device, row.over);
    let cause = Cause::new(FailureClass::Permanent, text);
    Finding::blocked(cause.with_hint(format!("unmount {} on the master", row.over)))
}

/// Unmounts everything at or below the master's directory of the copy, children
/// first; by force where an attempt has failed.
pub(crate) fn unmount_all(ctx: &Context<'_>, answers: &Answers) -> Vec<Command> {
    let paths = match answers.master().mounts() {
        Ok(mounts) => mounts_below(&mounts, &master_top(ctx))
            .into_iter()
            .map(|row| row.over.clone())
            .collect(),
        Err(_) => master_paths(ctx).into_iter().rev().collect::<Vec<_>>(),
    };
    let by_force = ctx.ticket.attempt > 1;
    paths.iter().map(|path| Command::new(argv::unmount(path, by_force)).tolerated()).collect()
}

/// With local disk caching.
const FILL_CACHE: StepDef = StepDef {
    phase: Phase::Mount,
    name: "fill-cache",
    about: "copy the client's data into the cache",
    host: HostRole::Master,
    timeout: hours(6),
    stall: Some(hours(2)),
    applies: |spec| spec.caches() && !spec.task.reads_mksysb(),
    looks: |ctx| {
        let mut looks = marks::looks(ctx);
        looks.push(look(HostRole::Client, [argv::mounts()]));
        looks.push(look(HostRole::Master, [passwd(ctx)]));
        looks.extend(filled_looks(ctx));
        looks
    },
    judge: |ctx, answers| {
        judged((|| {
            if let Some(bar) = missing_source(ctx, &answers.client().mounts()?) {
                return Ok(bar);
            }
            if let Some(list) = exclude_list(ctx)
                && !answers.master().is_there(argv::cat(list))?
            {
                return Err("the exclude list is not on the master".to_owned());
            }
            if let Some(Err(line)) = list(ctx, answers).map(paths_of) {
                return Ok(not_a_path(&line));
            }
            let finding = marks::judge(ctx, answers, "fill-cache")?;
            let finding = if_filled(ctx, answers, finding)?;
            match finding.presence {
                Presence::Present if !is_filled(ctx, answers)? => Ok(Finding::of(Presence::Absent)),
                _ => Ok(finding),
            }
        })())
    },
    run: Some(|ctx, answers| {
        let mut commands = Vec::new();
        let left_out = list(ctx, answers).and_then(|text| paths_of(text).ok()).unwrap_or_default();
        for (from, fs) in sources(ctx).iter().zip(file_systems(ctx)) {
            if left_out.iter().any(|path| is_below(&fs.mount_point, path)) {
                continue;
            }
            let read = on_client(ctx, argv::pack(from));
            let to = fs.below(&ctx.spec.master_root());
            commands.push(Command::new(read).piped_to(argv::unpack(&to)));
        }
        for path in &left_out {
            let is_mount_point = |fs: &BaselineFs| is_below(&fs.mount_point, path);
            if !file_systems(ctx).iter().any(is_mount_point) {
                let copied = format!("{}{path}", ctx.spec.master_root());
                commands.push(Command::new(["rm", "-rf", &copied]));
            }
        }
        let directory = marks::directory(ctx);
        commands.push(Command::new(["mkdir", "-p", &directory]));
        commands.push(Command::new(["touch", &format!("{directory}/fill-cache.done")]));
        Script::new(commands)
    }),
    ..STEP
};

/// What shows that there is a system in the cache: a mark alone fills nothing.
pub(crate) fn passwd(ctx: &Context<'_>) -> Argv {
    argv::ls_d(&format!("{}/etc/passwd", ctx.spec.master_root()))
}

/// `finding`, unless it says that the cache is filled, and by [`passwd`] it is not.
pub(crate) fn if_filled(ctx: &Context<'_>, answers: &Answers, finding: Finding) -> Read<Finding> {
    let is_empty =
        finding.presence == Presence::Present && !answers.master().is_there(passwd(ctx))?;
    Ok(if is_empty { Finding::of(Presence::Absent) } else { finding })
}

/// What tells whether the cache holds what was copied: on the client and on the
/// master `df`, and, where the plan leaves files out, the list and the names at the
/// top of each file system.
pub(crate) fn filled_looks(ctx: &Context<'_>) -> Probe {
    let names = |tops: Vec<String>| {
        let tops = tops.into_iter().filter(|_| exclude_list(ctx).is_some());
        tops.map(|top| argv::ls(&top)).collect::<Vec<_>>()
    };
    let cat = exclude_list(ctx).map(argv::cat);
    let client = [argv::df("-k", &[])].into_iter().chain(names(sources(ctx)));
    let master = [argv::df("-k", &[])].into_iter().chain(cat).chain(names(master_paths(ctx)));
    vec![look(HostRole::Client, client), look(HostRole::Master, master)]
}

/// Whether the cache holds what was copied, as far as [`filled_looks`] tell: at least
/// half of each file system. Of one that the exclude list leaves something out of, at
/// least one name at its top.
pub(crate) fn is_filled(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    let (client, master) = (answers.client(), answers.master());
    let usage = argv::df("-k", &[]);
    let mut source = client.read(usage.clone(), aix::df)?;
    if exclude_list(ctx).is_some() {
        // What a list with patterns leaves out is not known.
        let Some(Ok(left_out)) = list(ctx, answers).map(paths_of) else { return Ok(true) };
        let ways = sources(ctx).into_iter().zip(master_paths(ctx)).zip(file_systems(ctx));
        for ((from, to), fs) in ways {
            if !left_out.iter().any(|path| is_touched(ctx, &fs.mount_point, path)) {
                continue;
            }
            let (sent, arrived) = (names(client, &from), names(master, &to));
            let is_sent = |name: &&str| {
                let path = format!("{}/{name}", fs.below(""));
                *name != "lost+found" && !left_out.iter().any(|out| is_below(&path, out))
            };
            let mut sent = sent.into_iter().filter(is_sent).peekable();
            if sent.peek().is_some() && !sent.any(|name| arrived.contains(&name)) {
                return Ok(false);
            }
            source.retain(|(over, _)| *over != from);
        }
    }
    let ways = sources(ctx).into_iter().zip(master_paths(ctx));
    Ok(!lacks(&source, &master.read(usage, aix::df)?, ways, 16 * 1024))
}

/// The names in `directory`, as `ls` has told them.
fn names<'a>(said: HostAnswers<'a>, directory: &str) -> Vec<&'a str> {
    let output = said.output(argv::ls(directory));
    output.map_or(Vec::new(), |output| output.stdout.lines().map(str::trim).collect())
}

/// Whether leaving out `path` leaves out anything of the file system at `mount_point`.
fn is_touched(ctx: &Context<'_>, mount_point: &str, path: &str) -> bool {
    let holders = file_systems(ctx).iter().map(|fs| fs.mount_point.as_str());
    let holder =
        holders.filter(|top| *top == "/" || is_below(path, top)).max_by_key(|top| top.len());
    is_below(mount_point, path) || holder == Some(mount_point)
}

/// Whether anything that was sent on its `ways` has arrived by less than half, by
/// `df` of both ends: `c_rsh` can say that all went well when nothing was sent. What
/// is not larger than `small`, in the unit of `df`, tells nothing.
pub(crate) fn lacks(
    source: &[(String, FsUsage)],
    copy: &[(String, FsUsage)],
    mut ways: impl Iterator<Item = (String, String)>,
    small: u64,
) -> bool {
    let used = |rows: &[(String, FsUsage)], path: &str| {
        rows.iter().find(|(over, _)| over == path).map(|(_, usage)| usage.used())
    };
    ways.any(|(from, to)| match (used(source, &from), used(copy, &to)) {
        (Some(sent), Some(arrived)) => sent > small && arrived < sent / 2,
        _ => false,
    })
}

/// What is copied: the clone, or the running system itself.
fn sources(ctx: &Context<'_>) -> Vec<String> {
    if ctx.spec.task.mode() == Some(Mode::ClientToMksysb) {
        return file_systems(ctx).iter().map(|fs| fs.mount_point.clone()).collect();
    }
    client_paths(ctx)
}

/// The bar where what is to be copied is not mounted on the client.
fn missing_source(ctx: &Context<'_>, mounts: &[MountRow]) -> Option<Finding> {
    if ctx.spec.task.mode() != Some(Mode::ClientToMksysb) {
        return lost_by_client(ctx, mounts);
    }
    let (there, wanted) = mounted(mounts, &sources(ctx));
    if there == wanted {
        return None;
    }
    let text =
        format!("{there} of {wanted} file systems of rootvg are mounted on {}", ctx.spec.client);
    let cause = Cause::new(FailureClass::Permanent, text);
    Some(Finding::blocked(cause.with_hint("mount them on the client")))
}

/// The exclude list, where this step is what leaves files out. A clone has none
/// of them.
pub(crate) fn exclude_list<'a>(ctx: &Context<'a>) -> Option<&'a str> {
    if ctx.spec.task.mode() != Some(Mode::ClientToMksysb) {
        return None;
    }
    ctx.facts.baseline.as_ref()?.exclude_location.as_deref()
}

/// The exclude list's text.
fn list<'a>(ctx: &Context<'_>, answers: &'a Answers) -> Option<&'a str> {
    let output = answers.master().output(argv::cat(exclude_list(ctx)?));
    Some(&output.ok().filter(|output| output.ok())?.stdout)
}

/// The paths that an exclude list names, or its first line that is none.
fn paths_of(list: &str) -> Result<Vec<String>, String> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| plain_path(line).ok_or_else(|| line.to_owned())).collect()
}

/// The path of a line such as `^./home/app/`. Other patterns are not for us.
fn plain_path(line: &str) -> Option<String> {
    let path = line.trim_start_matches('^');
    let path = path.strip_prefix("./").or_else(|| path.strip_prefix('/'))?.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+,@:".contains(c);
    // A dot stands for any character in a pattern; within a name it is itself.
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.chars().all(|c| plain(c) || c == '.')
    };
    path.split('/').all(part).then(|| format!("/{path}"))
}

fn not_a_path(line: &str) -> Finding {
    let line = crate::base::sanitize_line(line, 80);
    let text = format!("the exclude list has `{line}`, which is not a path such as ^./home/app/");
    let cause = Cause::new(FailureClass::Permanent, text);
    Finding::blocked(cause.with_hint("from a client to a mksysb, patterns cannot be used"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_are_taken_from_an_exclude_list() {
        assert_eq!(plain_path("^./home/app/").as_deref(), Some("/home/app"));
        assert_eq!(plain_path("/var/core.1").as_deref(), Some("/var/core.1"));
        for line in ["core$", "^./", "/", "^./a/../b", "^./tmp/.*", "home", "^./a b"] {
            assert_eq!(plain_path(line), None, "{line}");
        }
    }
}
