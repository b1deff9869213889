//! What takes the phases back: nimadm's own clean-up first, and by hand what it
//! leaves; the bootlist always by hand, for nimadm sets it as it likes.

use crate::aix::argv::{self, NIMADM};
use crate::domain::{MadeMksysb, Presence};
use crate::transport::{Command, Script};

use super::command::reset;
use super::probe::{self, marks};
use crate::phases::copy::{self, CopyState, from_master};
use crate::phases::native::mksysb::Whole;
use crate::phases::native::{clone, export, finish, mksysb, mount};
use crate::phases::read::{Read, all_or_any, judged};
use crate::phases::step::{Answers, Context, Finding, StepDef};

fn left(is: bool) -> Finding {
    Finding::of(if is { Presence::Present } else { Presence::Absent })
}

/// What `judge` says, unless somebody works on the client.
fn alone(ctx: &Context<'_>, answers: &Answers, judge: impl FnOnce() -> Read<Finding>) -> Finding {
    judged((|| match probe::somebody_works(ctx, answers)? {
        Some(bar) => Ok(bar),
        None => judge(),
    })())
}

/// What a native step sees of what is left.
fn seen(view: &StepDef, ctx: &Context<'_>, answers: &Answers) -> Finding {
    view.judge_undo.map_or_else(|| left(false), |judge| judge(ctx, answers))
}

/// What the first of the views sees.
fn first_seen(ctx: &Context<'_>, answers: &Answers) -> Finding {
    probe::views(ctx).first().map_or_else(|| left(false), |view| seen(view, ctx, answers))
}

/// The commands of a native step's undo.
fn native(def: &StepDef, ctx: &Context<'_>, answers: &Answers) -> Vec<Command> {
    def.undo_run.map(|undo| undo(ctx, answers).commands).unwrap_or_default()
}

/// The marks, and what nimadm has left in NIM.
pub(super) fn unmark(ctx: &Context<'_>, answers: &Answers) -> Script {
    let mut commands: Vec<Command> = reset(ctx, answers).into_iter().collect();
    commands.push(Command::new(["rm", "-rf", &marks(ctx)]));
    commands.push(Command::new(["rmdir", &ctx.spec.work_directory()]).tolerated());
    Script::new(commands)
}

pub(super) fn judge_unmarked(ctx: &Context<'_>, answers: &Answers) -> Finding {
    alone(ctx, answers, || {
        let (said, work) = (answers.master(), ctx.spec.work_directory());
        // An empty directory is left by the undo of phase 1.
        let there = said.is_there(argv::ls_d(&marks(ctx)))?
            || said.is_there(argv::ls_d(&work))? && said.names(&work)?.is_empty();
        Ok(left(there || probe::is_left_in_nim(ctx, answers)?))
    })
}

/// Phase 1: `nimadm -C`, and from the second attempt on by hand.
pub(super) fn remove_copy(ctx: &Context<'_>, answers: &Answers) -> Script {
    let mut commands = Vec::new();
    let baseline = copy::baseline(ctx).ok().filter(|_| ctx.spec.task.changes_client());
    // Without a baseline, nothing of the migration can be on the client yet.
    if let Some(baseline) = baseline {
        let seen = answers.client().bootlist();
        let state = clone::target_state(ctx, answers);
        // Another's volume group, or the running one, is nothing to clean up, and nimadm
        // would remove another's copy on other disks: it knows one by its name alone.
        let ours = !matches!(state, Ok(CopyState::Foreign(_) | CopyState::Running));
        if ours && ctx.ticket.attempt == 1 && !probe::has_copy_elsewhere(ctx, answers) {
            commands.extend(from_master(ctx, copy::restore_bootlist(baseline, &seen)));
            commands.push(clean_up(ctx, answers));
            let wanted = copy::bootlist_to_leave(baseline, &seen);
            commands.extend(from_master(ctx, vec![Command::new(argv::set_bootlist(&wanted))]));
        } else {
            for view in &probe::views(ctx) {
                commands.extend(from_master(ctx, native(view, ctx, answers)));
            }
        }
    }
    commands.push(Command::new(["rm", "-rf", &marks(ctx)]));
    Script::new(commands)
}

/// `nimadm -C`; with `-F` where a process that is gone holds the lock.
fn clean_up(ctx: &Context<'_>, answers: &Answers) -> Command {
    let (client, spot) = (ctx.spec.client.as_str(), ctx.spec.target().spot.as_str());
    let mut argv = vec![NIMADM, "-C", "-c", client, "-s", spot];
    if probe::is_locked(ctx, answers) {
        argv.push("-F");
    }
    Command::new(argv).tolerated()
}

pub(super) fn judge_removed(ctx: &Context<'_>, answers: &Answers) -> Finding {
    alone(ctx, answers, || {
        let (mut has_rest, mut facts) = (probe::has_marks(ctx, answers)?, None);
        for (index, view) in probe::views(ctx).iter().enumerate() {
            let finding = seen(view, ctx, answers);
            match finding.presence {
                Presence::Absent => facts = facts.or(finding.facts),
                // What comes after the copy is the rest of it.
                Presence::Present | Presence::Partial if index > 0 => has_rest = true,
                _ => return Ok(finding),
            }
        }
        Ok(Finding { facts, ..all_or_any(false, has_rest) })
    })
}

/// Phase 2.
pub(super) fn unexport(ctx: &Context<'_>, answers: &Answers) -> Script {
    if ctx.spec.caches() {
        return Script::new(native(&export::MAKE_CACHE, ctx, answers));
    }
    let commands = native(&export::EXPORT_FILESYSTEMS, ctx, answers);
    Script::new(from_master(ctx, commands))
}

pub(super) fn judge_unexported(ctx: &Context<'_>, answers: &Answers) -> Finding {
    alone(ctx, answers, || Ok(first_seen(ctx, answers)))
}

/// Phase 3. A cache goes with phase 2.
pub(super) fn unmount(ctx: &Context<'_>, answers: &Answers) -> Script {
    Script::new(native(&mount::ON_MASTER, ctx, answers))
}

pub(super) fn judge_unmounted(ctx: &Context<'_>, answers: &Answers) -> Finding {
    alone(ctx, answers, || {
        Ok(if ctx.spec.caches() { left(false) } else { first_seen(ctx, answers) })
    })
}

/// Phase 11: the bootlist, or the mksysb. The copy goes with phase 1.
pub(super) fn unfinish(ctx: &Context<'_>, answers: &Answers) -> Script {
    if ctx.spec.task.changes_client() {
        let commands = native(&finish::SET_BOOTLIST, ctx, answers);
        return Script::new(from_master(ctx, commands));
    }
    let mut commands = Vec::new();
    if seen_definition(ctx, answers).is_some_and(|finding| finding.presence == Presence::Present) {
        commands.extend(native(&mksysb::DEFINE_MKSYSB, ctx, answers));
    }
    let marked = seen_file(ctx, answers).is_ok_and(|(_, marked)| marked);
    commands.extend(mksysb::remove_seen(ctx, answers, marked));
    Script::new(commands)
}

fn seen_definition(ctx: &Context<'_>, answers: &Answers) -> Option<Finding> {
    let name = ctx.spec.options.new_mksysb.as_ref();
    name.map(|_| seen(&mksysb::DEFINE_MKSYSB, ctx, answers))
}

/// The file, and whether the marks say that what is there is ours: past the end they
/// are gone.
fn seen_file(ctx: &Context<'_>, answers: &Answers) -> Read<(Whole, bool)> {
    let marked = probe::is_marked(ctx, answers, "begun")? || !probe::has_marks(ctx, answers)?;
    Ok((mksysb::whole(ctx, answers, marked)?, marked))
}

pub(super) fn judge_unfinished(ctx: &Context<'_>, answers: &Answers) -> Finding {
    alone(ctx, answers, || {
        if ctx.spec.task.changes_client() {
            return Ok(first_seen(ctx, answers));
        }
        let (whole, marked) = seen_file(ctx, answers)?;
        let is_ours = whole == Whole::Ours;
        let definition = seen_definition(ctx, answers).filter(|_| marked);
        let (mut is_defined, mut left) = (false, mksysb::left_alone(ctx, whole));
        if let Some(finding) = definition {
            match finding.presence {
                Presence::Absent => {}
                Presence::Present => is_defined = true,
                Presence::Partial | Presence::Unknown(_) => return Ok(finding),
            }
            let of_object = finding.facts.into_iter().flat_map(|facts| facts.left);
            left = left.into_iter().chain(of_object).reduce(|all, one| format!("{all}; {one}"));
        }
        let presence = all_or_any(is_ours, is_defined).presence;
        Ok(mksysb::taken_back(presence, MadeMksysb::default(), left))
    })
}
