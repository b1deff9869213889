//! What a migration has left on its hosts, and what is safe to do next: told
//! from its state, its steps and its options, and from what the hosts say of it.

use crate::base::Millis;
use crate::domain::{
    AttemptRecord, Bootlist, Cause, CommandRecord, CopyIs, CopyPolicy, CopySeen, Direction,
    DiskName, FailureClass, Level, MigrationSpec, Presence, Repeat, StepName, StepSpec, TaskKind,
    UndoKind, phases_text,
};
use crate::machine::State;

use super::time::when_text;
use super::view::{MigrationView, Story, direction};

/// What is left on the hosts, one line each. Empty: nothing. What the hosts were
/// asked for and do not have is not told; where they were not asked, or did not
/// answer, it is said when it was last seen.
pub fn remains(story: &Story) -> Vec<String> {
    let mut left = by_state(story);
    // What nobody can reach, or tell whose it is.
    left.extend(story.facts().left);
    let mut told: Vec<String> = Vec::new();
    left.retain(|line| {
        !told.contains(line) && {
            told.push(line.clone());
            true
        }
    });
    left
}

fn by_state(story: &Story) -> Vec<String> {
    let (view, last) = (&story.view, story.last_place());
    let spec = &*view.spec;
    match &view.state {
        _ if view.standing().is_cleaned() => Vec::new(),
        // It has touched nothing: what came before it has.
        State::Refused { .. } | State::Skipped { .. } => {
            let before = story.before.as_deref().map(remains).unwrap_or_default();
            if !before.is_empty() || spec.task.is_migration() {
                return before;
            }
            vec![format!("not looked at by the {}, which was refused", spec.task.name())]
        }
        State::Pending => Vec::new(),
        _ if !spec.task.is_migration() && spec.task.kind() != TaskKind::Wake => {
            view.seen.iter().flat_map(|seen| standing(view, seen, None)).collect()
        }
        State::RolledBack { .. } if !spec.task.is_migration() => Vec::new(),
        State::RolledBack { .. } => last.map_or_else(Vec::new, |_| kept(view)),
        State::Migrated { .. }
            if !asked_after(story).is_empty() && made_so_far(story).is_empty() =>
        {
            made_mksysb(story)
        }
        State::Migrated { .. } if spec.task.is_migration() && spec.is_whole() => {
            let left = migrated(view, story.level_read());
            if !view.is_silent {
                return left;
            }
            let (seen, client) = (when_text(view.since_ms), &view.client);
            let left = left.join(", ");
            vec![format!("last seen at {seen}, {client} gave no answer since: {left}")]
        }
        _ => {
            let mut left = Vec::new();
            // What is kept on the old disk cannot be reached from the copy.
            let is_told =
                |seen: &&CopySeen| seen.is == CopyIs::Running || spec.task.kind() == TaskKind::Wake;
            if let Some(seen) = view.seen.as_ref().filter(is_told) {
                left.extend(standing(view, seen, story.level_read()));
            }
            left.extend(still_there(story));
            // Taking back has passed it, and leaves it.
            let has_passed = direction(&view.state) == Direction::Undo
                && !made_so_far(story).iter().any(|step| step.repeat == Repeat::AfterUndo);
            if has_passed {
                left.extend(kept(view));
            }
            left
        }
    }
}

/// A copy as it was seen: what the client runs, and what of it stands beside that.
fn standing(view: &MigrationView, seen: &CopySeen, level: Option<&Level>) -> Vec<String> {
    let (client, disks) = (&view.client, names(&seen.disks));
    let mut lines = match seen.is {
        CopyIs::Gone => Vec::new(),
        CopyIs::Running => vec![format!("{client} runs {}from {disks}", before(level))],
        CopyIs::Asleep => vec![format!("{} on {disks}{}, asleep", seen.vg, at(level))],
        CopyIs::Awake => vec![format!("{} on {disks}{}, awake at /alt_inst", seen.vg, at(level))],
        CopyIs::Part => vec![format!("{} on {disks}, in part", seen.vg)],
    };
    lines.extend(seen.old.iter().map(|old| {
        let (vg, disks) = (&old.vg, names(&old.disks));
        match (vg.as_str(), old.is_awake) {
            ("old_rootvg", false) => "old_rootvg on the old disk, asleep".to_owned(),
            (_, false) => format!("the old system on {disks}, asleep as {vg}"),
            (_, true) => format!("the old system on {disks}, awake at /alt_inst as {vg}"),
        }
    }));
    lines
}

/// The level that was read, as it stands in a line; nothing where none was.
fn at(level: Option<&Level>) -> String {
    level.map_or_else(String::new, |level| format!(" at {level}"))
}

fn before(level: Option<&Level>) -> String {
    level.map_or_else(String::new, |level| format!("{level} "))
}

/// A copy that a rollback leaves, by the plan's policy.
fn kept(view: &MigrationView) -> Vec<String> {
    let spec = &*view.spec;
    match &view.seen {
        Some(seen) if spec.keeps_failed_copy() => standing(view, seen, None),
        _ => may_be_kept(spec).into_iter().collect(),
    }
}

fn may_be_kept(spec: &MigrationSpec) -> Option<String> {
    let how = match spec.failed_copy {
        CopyPolicy::Remove => return None,
        CopyPolicy::Sleep => "asleep",
        CopyPolicy::Wake => {
            "awake at /alt_inst (asleep where it was finished, or the client was booted since)"
        }
    };
    let disks = disks(spec);
    spec.keeps_failed_copy().then(|| format!("altinst_rootvg on {disks}, {how}, if it was made"))
}

/// What an administrator can safely do next, if anything is to be done.
pub fn next_step(view: &MigrationView) -> Option<String> {
    let next = by_what_stands(view)?;
    let is_order =
        |part: &&str| part.contains("`nimshift rollback ") || part.contains("`nimshift retry ");
    if !view.is_archived || !next.split("; ").any(|part| is_order(&part)) {
        return Some(next);
    }
    let others = next.split("; ").filter(|part| !is_order(part));
    let archived = "it is archived and takes no orders: a plan starts a new one";
    Some(others.chain([archived]).collect::<Vec<_>>().join("; "))
}

/// The same, by what stands on the hosts.
fn by_what_stands(view: &MigrationView) -> Option<String> {
    let client = &view.client;
    let spec = &*view.spec;
    let copy = view.seen.as_ref().map(|seen| seen.is);
    let old = view.seen.as_ref().and_then(|seen| seen.old.as_ref());
    let old_vg = old.map_or("old_rootvg", |old| &old.vg);
    let hint = view.state.cause().and_then(|cause| cause.hint.as_deref());
    let hint = hint.map(|hint| with_room(hint, spec));
    let hint = hint.as_deref();
    let fix = || match hint {
        Some(hint) => format!("{}; then ", hint.trim_end_matches('.')),
        None => "fix the cause; then ".to_owned(),
    };
    // A hint that names the order that leads out is all of it.
    let orders = ["`nimshift retry ", "`nimshift run PLAN "];
    let whole =
        hint.filter(|hint| orders.iter().any(|order| hint.contains(order)) || leads_out(hint));
    let by_plan = hint.and_then(changes_plan);
    let run = format!("`nimshift run PLAN --client {client}`");
    let again = || match (whole, by_plan) {
        (Some(hint), _) => hint.to_owned(),
        (None, None) => format!("{}`nimshift retry {client}`", fix()),
        (None, Some(false)) => format!("{}{run}", fix()),
        (None, Some(true)) => {
            let same = format!("`nimshift retry {client}` if the plan stays as it is");
            format!("{}{run} ({same})", fix())
        }
    };
    match &view.state {
        State::Skipped { .. } => None,
        _ if view.standing().is_cleaned() => {
            Some(format!("`nimshift run PLAN --client {client}` migrates it again"))
        }
        _ if !spec.task.is_migration() => operation_next(view),
        State::Migrated { .. } if !spec.is_whole() => Some(format!(
            "`nimshift run PLAN -P {} --client {client}` continues; `nimshift rollback {client}` \
             takes everything back",
            phases_text(&spec.phases_left())
        )),
        // A kept copy is in the way of the next one.
        State::RolledBack { .. } if spec.keeps_failed_copy() && copy != Some(CopyIs::Gone) => {
            let is_awake = match copy {
                None => spec.failed_copy == CopyPolicy::Wake,
                Some(copy) => copy == CopyIs::Awake,
            };
            let boot = if is_awake {
                format!("`nimshift sleep {client}` before any boot, ")
            } else {
                String::new()
            };
            let made = if copy.is_none() { ", if it was made" } else { "" };
            Some(format!(
                "look at the copy{made}; {boot}`nimshift cleanup {client}` removes it; then {}",
                if is_ordered(&view.state) {
                    format!("`nimshift retry {client}`")
                } else {
                    again()
                }
            ))
        }
        State::Migrated { .. } if spec.task.writes_mksysb() && view.is_gone => Some(format!(
            "what was made is gone: `nimshift rollback {client}` takes back the rest, then `nimshift retry \
             {client}` makes it again"
        )),
        State::Migrated { .. } if !spec.task.changes_client() => {
            Some(format!("install from {}, or keep it as a backup", mksysb(spec)))
        }
        // There is nothing to go back to, and nothing to begin again.
        State::Abandoned { cause } if old.is_none() && keeps_what_runs(client, cause) => Some(
            format!("use {client} as it is; `nimshift cleanup {client}` removes what else is left"),
        ),
        State::Migrated { .. } | State::Abandoned { .. }
            if copy == Some(CopyIs::Running) && old.is_none_or(|old| old.is_awake) =>
        {
            Some(match old {
                Some(_) => format!("`nimshift sleep {client}` before {client} is rebooted"),
                None => format!("use {client} at its new level"),
            })
        }
        State::Migrated { .. } if spec.options.reboot && view.standing().name() == "migrated" => {
            Some(format!(
                "use {client} at its new level; when nothing is missing, remove {old_vg} \
                 (`alt_rootvg_op -X {old_vg}`); `nimshift rollback {client}` boots the old disk again"
            ))
        }
        State::Migrated { .. } | State::Abandoned { .. } if copy == Some(CopyIs::Running) => {
            Some(format!(
                "use {client} at its new level; when nothing is missing, remove {old_vg} \
                 (`alt_rootvg_op -X {old_vg}`); to go back, boot the old disk by hand"
            ))
        }
        State::Migrated { .. } if copy == Some(CopyIs::Awake) => {
            Some(format!("`nimshift sleep {client}` before {client} is rebooted"))
        }
        State::Migrated { .. } if view.standing().name() == "copy_ready" => Some(format!(
            "in {client}'s window: `bootlist -m normal {}`, then reboot it; `nimshift status \
             --ask` shows what it runs from",
            boot_disk(spec)
        )),
        State::Migrated { .. } => Some(format!(
            "reboot {client} in its window: the bootlist is set to {}; `nimshift status --ask` \
             shows what it runs from",
            boot_disk(spec)
        )),
        state @ State::RolledBack { .. } if is_ordered(state) => {
            Some(format!("`nimshift retry {client}` starts it again"))
        }
        // The part before it stands, and is what orders reach.
        State::Refused { .. } if spec.part.is_some() => {
            Some(whole.filter(|hint| leads_out(hint)).map_or_else(
                || {
                    let phases = spec.options.phases.as_deref().unwrap_or_default();
                    format!(
                        "{}`nimshift run PLAN -P {} --client {client}`; `nimshift rollback {client}` takes \
                         everything back",
                        if whole.is_some() { "fix the cause; then ".to_owned() } else { fix() },
                        phases_text(phases)
                    )
                },
                str::to_owned,
            ))
        }
        State::RolledBack { .. } | State::Refused { .. } => Some(again()),
        State::AwaitingOperator { .. } | State::UndoStuck { .. } if hint.is_some_and(leads_out) => {
            Some(again())
        }
        State::AwaitingOperator { .. } if whole.is_none() && by_plan == Some(false) => {
            Some(format!("{}`nimshift rollback {client}`, then {run}", fix()))
        }
        State::AwaitingOperator { .. } => {
            let again = match whole {
                Some(hint) => hint.to_owned(),
                None => format!("{}`nimshift retry {client}`", fix()),
            };
            let anew = if view.retry_clones_anew() {
                format!(", which {FRESH_CLONE}")
            } else {
                String::new()
            };
            let then = match by_plan {
                Some(_) => format!(", then {run} takes a changed plan"),
                None => String::new(),
            };
            Some(format!(
                "{again}{anew}; `nimshift rollback {client}` takes everything back{then}"
            ))
        }
        State::UndoStuck { .. } => {
            Some(format!("{}; `nimshift abandon {client}` leaves things as they are", again()))
        }
        State::Held { .. } => Some(format!(
            "`nimshift release {client}` continues; `nimshift rollback {client}` takes everything \
             back"
        )),
        // A whole one is no cleanup's to remove.
        State::Abandoned { .. } if spec.task.writes_mksysb() => Some(format!(
            "`nimshift cleanup {client}` removes what is left, but not {}: remove that by hand, where it \
             is there; then `nimshift retry {client}`",
            mksysb(spec)
        )),
        State::Abandoned { .. } => Some(format!(
            "`nimshift cleanup {client}` removes what is left; then `nimshift retry {client}`"
        )),
        State::Pending
        | State::Executing { .. }
        | State::WaitingForPlace { .. }
        | State::BackingOff { .. }
        | State::Undoing { .. }
        | State::UndoBackingOff { .. } => Some("`nimshift resume` continues".to_owned()),
    }
}

/// A hint that asks for more disk, with the names of what may be full.
fn with_room(hint: &str, spec: &MigrationSpec) -> String {
    let target = || format!("a larger {} on {}", names(&spec.options.disks), spec.client);
    let cache = spec.options.cache_vg.as_ref();
    let cache = cache.map(|vg| format!("more room in {vg} on {}", spec.master));
    let rooms = Some(target()).filter(|_| spec.task.changes_client()).into_iter().chain(cache);
    hint.replace("more disk", &rooms.collect::<Vec<_>>().join(", or "))
}

/// What a retry does in a step that cannot be repeated in the copy that there is.
pub const FRESH_CLONE: &str = "starts again from a fresh clone: what was done in the copy is lost";

/// Whether a hint asks for another plan, and then whether it leaves another way open.
/// A retry takes the old plan.
fn changes_plan(hint: &str) -> Option<bool> {
    let is_open = [" or ", "; ", "otherwise"].iter().any(|word| hint.contains(word));
    hint.contains("in the plan").then_some(is_open)
}

/// Whether a hint names an order that leads out where trying again does not.
fn leads_out(hint: &str) -> bool {
    hint.contains("`nimshift abandon ") || hint.contains("`nimshift rollback ")
}

/// Whether it was given up to keep what the client runs from.
fn keeps_what_runs(client: &str, cause: &Cause) -> bool {
    let keeps = format!("`nimshift abandon {client}` keeps ");
    let is_gone = format!("the old system of {client} is gone");
    cause.hint.as_ref().is_some_and(|hint| hint.contains(&keeps)) || cause.text.contains(&is_gone)
}

/// Whether it was taken back by an order: only that has this class here, and no
/// cause is to be removed.
pub fn is_ordered(state: &State) -> bool {
    state.cause().is_some_and(|cause| cause.class == FailureClass::NeedsOperator)
}

/// The orders that lead out of an unfinished migration in this state, with no
/// engine running.
pub fn ways_out(client: &str, state: &State) -> String {
    let back = format!("`nimshift rollback {client}` takes it back");
    let hint = state.cause().and_then(|cause| cause.hint.as_deref());
    if matches!(state, State::AwaitingOperator { .. } | State::UndoStuck { .. })
        && let Some(hint) = hint.filter(|hint| leads_out(hint))
    {
        return hint.to_owned();
    }
    match state {
        State::AwaitingOperator { .. } => format!("`nimshift retry {client}` tries again, {back}"),
        State::UndoStuck { .. } => {
            format!("`nimshift retry {client}` tries again to take it back, once the cause is gone")
        }
        State::Held { .. } => format!("`nimshift release {client}` lets it continue, {back}"),
        state if state.is_compensating() => {
            format!("`nimshift resume` continues taking {client} back")
        }
        _ => format!("`nimshift resume` finishes {client}, {back}"),
    }
}

/// What follows an operation.
fn operation_next(view: &MigrationView) -> Option<String> {
    let (client, task) = (&view.client, &view.spec.task);
    match &view.state {
        State::Migrated { .. } if task.kind() == TaskKind::Wake => {
            Some(format!("work on the copy; `nimshift sleep {client}` before {client} is rebooted"))
        }
        State::Migrated { .. } | State::Pending => None,
        state if state.is_terminal() => {
            let hint = state.cause().and_then(|cause| cause.hint.clone());
            let is_refused = |cause: &Cause| cause.text.starts_with("alt_rootvg_op");
            let newer = task.kind() == TaskKind::Wake
                && matches!(state, State::RolledBack { .. })
                && state.cause().is_some_and(is_refused);
            let again = match task.kind() {
                TaskKind::Sync => "run it again".to_owned(),
                _ => format!("`nimshift {} {client}` again", task.name()),
            };
            // Who refuses says what leads out.
            let is_whole =
                |hint: &str| matches!(state, State::Refused { .. }) || hint.contains("nimshift ");
            Some(match hint {
                Some(hint) if is_whole(&hint) => hint,
                Some(hint) => format!("{}; then {again}", hint.trim_end_matches('.')),
                None if newer => "AIX cannot wake a copy that is newer than the running system: \
                                  boot the new system first"
                    .to_owned(),
                None => format!("fix the cause; then {again}"),
            })
        }
        _ => Some("`nimshift resume` continues".to_owned()),
    }
}

/// The mksysb that is made, by file and NIM name.
fn mksysb(spec: &MigrationSpec) -> String {
    let file = spec.options.output.as_deref().unwrap_or_default();
    match &spec.options.new_mksysb {
        Some(name) => format!("the mksysb {name} ({file})"),
        None => format!("the mksysb {file}"),
    }
}

fn disks(spec: &MigrationSpec) -> String {
    names(&spec.options.disks)
}

fn names(disks: &[DiskName]) -> String {
    let names: Vec<&str> = disks.iter().map(DiskName::as_str).collect();
    names.join(" ")
}

/// The disk that the copy is booted from: the first target.
fn boot_disk(spec: &MigrationSpec) -> &str {
    spec.options.disks.first().map_or("", DiskName::as_str)
}

fn migrated(view: &MigrationView, level: Option<&Level>) -> Vec<String> {
    let spec = &*view.spec;
    let disks = disks(spec);
    let mut lines = match &view.seen {
        Some(seen) => standing(view, seen, level),
        None if spec.options.reboot => {
            return vec![
                format!("{} runs {}from {disks}", spec.client, before(level)),
                "old_rootvg on the old disk, asleep".to_owned(),
            ];
        }
        None => vec![format!("altinst_rootvg on {disks}{}, asleep", at(level))],
    };
    if view.standing().waits_for_boot() {
        let first = view.seen.iter().find_map(|seen| seen.bootlist.first());
        let has_set = spec.options.bootlist == Bootlist::Set && !spec.options.reboot;
        lines.push(match first {
            Some(first) if has_set || view.standing().name() == "reboot_pending" => {
                format!("the bootlist, set to {first}")
            }
            None if has_set => format!("the bootlist, set to {}", boot_disk(spec)),
            _ => "the bootlist, as it was".to_owned(),
        });
    }
    lines
}

/// The steps whose effects may be on the hosts and would have to be taken back;
/// none where the state tells what is there.
fn made_so_far(story: &Story) -> &[StepSpec] {
    let view = &story.view;
    let is_told = match &view.state {
        State::Pending
        | State::Refused { .. }
        | State::Skipped { .. }
        | State::RolledBack { .. } => true,
        State::Migrated { .. } => view.spec.is_whole() && view.spec.task.is_migration(),
        _ => false,
    };
    let leaves = view.spec.task.is_migration() || view.spec.task.kind() == TaskKind::Wake;
    match story.last_place() {
        Some(last) if !is_told && leaves => {
            let upto = usize::from(last.step).min(view.blueprint.steps.len().saturating_sub(1));
            &view.blueprint.steps[..=upto]
        }
        _ => &[],
    }
}

/// The steps whose effects are asked after: those that a migration made so far, and what has made a mksysb,
/// which is a file that anybody may remove.
pub fn asked_after(story: &Story) -> Vec<StepSpec> {
    let view = &story.view;
    let is_made = matches!(view.state, State::Migrated { .. })
        && view.spec.task.is_migration()
        && view.spec.is_whole()
        && view.spec.task.writes_mksysb();
    let steps = if is_made { &view.blueprint.steps } else { made_so_far(story) };
    let makes = |step: &&StepSpec| !is_made || MAKES_MKSYSB.contains(&step.step.as_str());
    steps.iter().filter(makes).cloned().collect()
}

/// The steps that make the mksysb, and its NIM object.
const MAKES_MKSYSB: [&str; 3] = ["archive-mksysb", "define-mksysb", "nimadm-finish"];

/// Whether the step writes the file of a mksysb.
pub fn writes_file(step: &StepName) -> bool {
    ["archive-mksysb", "nimadm-finish"].contains(&step.as_str())
}

/// The mksysb of a migration that has ended well, as its master tells of it.
fn made_mksysb(story: &Story) -> Vec<String> {
    let spec = &*story.view.spec;
    let level = at(story.level_read());
    let presence = |step: &str| {
        story.found.iter().find(|(name, _)| name.as_str() == step).map(|(_, presence)| presence)
    };
    let by_nimadm = presence("nimadm-finish");
    let is_defined = presence("define-mksysb") == Some(&Presence::Present)
        || by_nimadm == Some(&Presence::Partial);
    match presence("archive-mksysb").or(by_nimadm) {
        Some(Presence::Present) => vec![format!("{}{level}", mksysb(spec))],
        Some(Presence::Absent | Presence::Partial) => {
            let object = spec.options.new_mksysb.as_ref().filter(|_| is_defined);
            let line = |name| format!("the NIM object {name}, whose file is gone");
            object.map(line).into_iter().collect()
        }
        Some(Presence::Unknown(_)) | None => {
            let mut steps = story.view.blueprint.steps.iter().map(|step| step.step.as_str());
            let step = steps.find(|step| MAKES_MKSYSB.contains(step)).unwrap_or_default();
            let seen = last_answer(story, step);
            not_asked(vec![(seen, format!("{}{level}", mksysb(spec)))])
        }
    }
}

/// Steps about the copy: where the client runs from it, that was told.
const OF_COPY: [&str; 6] =
    ["clone-rootvg", "make-rootvg", "finish-clone", "nimadm-finish", "set-bootlist", "reboot"];

/// What nimadm's phase 1 leaves beside the copy.
const NIMADM_MARKS: &str = "marks of nimadm's phase 1 on the master";

fn still_there(story: &Story) -> Vec<String> {
    let (mut lines, mut unasked) = (Vec::new(), Vec::new());
    let runs_copy = story.view.seen.as_ref().is_some_and(|seen| seen.is == CopyIs::Running);
    let is_told = |step: &StepSpec| match step.step.as_str() {
        "wake-copy" => story.view.seen.is_some(),
        name => runs_copy && OF_COPY.contains(&name),
    };
    let steps = made_so_far(story).iter().filter(|step| leaves(step));
    for step in steps.filter(|step| !is_told(step)) {
        let found = story.found.iter().find(|(name, _)| *name == step.step);
        let text = match step.step.as_str() {
            "nimadm-clone" if runs_copy => NIMADM_MARKS.to_owned(),
            step => effect_text(step, &story.view.spec),
        };
        match found.map(|(_, presence)| presence) {
            Some(Presence::Absent) => {}
            Some(Presence::Present) => lines.push(text),
            Some(Presence::Partial) if step.step.as_str() == "archive-mksysb" => {
                let output = story.view.spec.options.output.as_deref().unwrap_or_default();
                lines.push(format!("{output}.nimshift, the mksysb, in part"));
            }
            // Its undo has seen that there is no copy.
            Some(Presence::Partial) if step.step.as_str() == "nimadm-clone" => {
                let has_spot = story.view.spec.task.changes_client() && !runs_copy;
                let spot = if has_spot { ", perhaps the SPOT's mount" } else { "" };
                lines.push(format!("{NIMADM_MARKS}{spot}"));
            }
            Some(Presence::Partial) => lines.push(format!("{text}, in part")),
            Some(Presence::Unknown(_)) | None => {
                unasked.push((last_answer(story, step.step.as_str()), text));
            }
        }
    }
    lines.extend(not_asked(unasked));
    lines
}

/// When `host` has answered in an attempt, if it has.
fn answered(record: &AttemptRecord, host: &str) -> Option<Millis> {
    let is_of_host = record.host == host;
    let is_known = |seen: &Presence| !matches!(seen, Presence::Unknown(_));
    let is_seen = is_of_host && record.after.as_ref().is_some_and(is_known);
    let has_said = |command: &CommandRecord| {
        command.status.is_some() && command.host.as_ref().map_or(is_of_host, |on| on == host)
    };
    if is_seen || record.commands.iter().chain(&record.looks).any(has_said) {
        return Some(record.ended_ms);
    }
    // What it said before a job is all that it said.
    (is_of_host && record.before.is_some()).then_some(record.started_ms)
}

/// What was not asked after, with the times when it was last seen.
fn not_asked(mut unasked: Vec<(String, String)>) -> Vec<String> {
    unasked.dedup();
    let mut by_time: Vec<(String, Vec<String>)> = Vec::new();
    for (seen, text) in unasked {
        match by_time.iter_mut().find(|(time, _)| *time == seen) {
            Some((_, texts)) => texts.push(text),
            None => by_time.push((seen, vec![text])),
        }
    }
    let line = |(seen, texts): (String, Vec<String>)| {
        format!("last seen at {seen}, not asked since: {}", texts.join(", "))
    };
    by_time.into_iter().map(line).collect()
}

/// When the host of `step` has last answered: a client that is down is tried again and
/// again. Where nothing tells, when the migration came to where it is.
fn last_answer(story: &Story, step: &str) -> String {
    let records = || story.entries.iter().rev().filter_map(|entry| entry.attempt.as_ref());
    let host = records().find(|of| of.ticket.step.as_str() == step).map(|of| &of.record.host);
    let seen = host.and_then(|host| records().find_map(|of| answered(&of.record, host)));
    when_text(seen.unwrap_or(story.view.since_ms))
}

/// Whether a step leaves something. Those that give back the lease have an undo too,
/// which takes it again; what there is of it is told of the step that takes it.
fn leaves(step: &StepSpec) -> bool {
    step.undo != UndoKind::Nothing && !["clean-client", "verify-boot"].contains(&step.step.as_str())
}

/// The effect of a step, by its name; steps of other versions are named.
fn effect_text(step: &str, spec: &MigrationSpec) -> String {
    match step {
        "take-lease" => "the lease on the client".to_owned(),
        "mount-spot" => "the SPOT's mount at /ALT_MIG_SPOT".to_owned(),
        "take-master-lease" => "the lease on the master".to_owned(),
        "fetch-image-data" => format!("image.data in {} on the master", spec.work_directory()),
        "bring-files" => "files in /var/adm/nimshift on the client".to_owned(),
        "archive-mksysb" => mksysb(spec),
        "define-mksysb" => "the NIM resource of the mksysb".to_owned(),
        "clone-rootvg" | "make-rootvg" => format!("altinst_rootvg on {}", disks(spec)),
        "nimadm-export" if spec.caches() => "cache file systems on the master, if made".to_owned(),
        "export-filesystems" | "nimadm-export" | "wake-exports" => {
            "exports below /alt_inst".to_owned()
        }
        "make-cache" => "cache file systems on the master".to_owned(),
        "mount-filesystems" | "nimadm-mount" | "wake-mounts" => {
            format!("mounts below {} on the master", spec.master_root())
        }
        "mark-phases" => format!("marks of phases in {} on the master", spec.work_directory()),
        "nimadm-clone" if spec.task.changes_client() => {
            let disks = disks(spec);
            format!(
                "what nimadm's phase 1 makes: altinst_rootvg on {disks}, the SPOT's mount there, \
                 marks on the master"
            )
        }
        "nimadm-clone" => "what nimadm keeps in NIM".to_owned(),
        "nimadm-finish" if spec.task.writes_mksysb() => mksysb(spec),
        "finish-clone" | "nimadm-finish" | "set-bootlist" => {
            format!("perhaps the bootlist at {}", boot_disk(spec))
        }
        "wake-copy" => "a woken copy, awake at /alt_inst".to_owned(),
        "reboot" => "perhaps the client booted from the copy".to_owned(),
        other => format!("what the step {other} made"),
    }
}
