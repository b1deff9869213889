//! What takes the phases back: nimadm's own clean-up first, and by hand what it
//! leaves; the bootlist always by hand, for nimadm sets it as it likes.

use crate::aix;
use crate::aix::argv::{self, NIMADM};
use crate::domain::{MadeMksysb, Mode, Phase, Presence};
use crate::transport::{Command, Script};

use super::super::copy::{self, CopyState, on_client};
use super::super::mksysb::Whole;
use super::super::read::{Read, Said, all_or_any, judged};
use super::super::step::{Answers, Context, Sight, StepDef};
use super::super::{clone, export, finish, mksysb, mount};
use super::command::reset;
use super::{marks, sight};

fn left(is: bool) -> Sight {
    Sight::of(if is { Presence::Present } else { Presence::Absent })
}

/// What `judge` says, unless somebody works on the client.
fn alone(ctx: &Context<'_>, answers: &Answers, judge: impl FnOnce() -> Read<Sight>) -> Sight {
    judged((|| match sight::somebody_works(ctx, answers)? {
        Some(bar) => Ok(bar),
        None => judge(),
    })())
}

/// What the native step at `index` of the views sees of what is left.
fn seen(ctx: &Context<'_>, answers: &Answers, index: usize) -> Sight {
    let judge = sight::views(ctx).get(index).and_then(|view| view.judge_undo);
    match judge {
        Some(judge) => judge(ctx, &sight::part(ctx, answers, index)),
        None => left(false),
    }
}

/// The commands of a native step's undo.
fn native(def: &StepDef, ctx: &Context<'_>, answers: &Answers, index: usize) -> Vec<Command> {
    let part = sight::part(ctx, answers, index);
    def.undo_run.map(|undo| undo(ctx, &part).commands).unwrap_or_default()
}

/// The same, from the master.
pub(super) fn from_master(
    ctx: &Context<'_>,
    commands: Vec<Command>,
) -> impl Iterator<Item = Command> {
    commands.into_iter().map(|command| Command { argv: on_client(ctx, command.argv), ..command })
}

/// The marks, and what nimadm has left in NIM.
pub(super) fn unmark(ctx: &Context<'_>, answers: &Answers) -> Script {
    let mut commands: Vec<Command> = reset(ctx, answers).into_iter().collect();
    commands.push(Command::new(["rm", "-rf", &marks(ctx)]));
    commands.push(Command::new(["rmdir", &ctx.spec.work_directory()]).tolerated());
    Script::new(commands)
}

pub(super) fn judge_unmarked(ctx: &Context<'_>, answers: &Answers) -> Sight {
    alone(ctx, answers, || {
        let said = Said::by(answers, sight::base_len(ctx));
        // An empty directory is left by the undo of phase 1.
        let there = said.is_there(0)? || said.is_there(1)? && said.names(2)?.is_empty();
        Ok(left(there || sight::is_left_in_nim(ctx, answers)?))
    })
}

/// Phase 1: `nimadm -C`, and from the second attempt on by hand.
pub(super) fn remove_copy(ctx: &Context<'_>, answers: &Answers) -> Script {
    let mut commands = Vec::new();
    let baseline = copy::baseline(ctx).ok().filter(|_| ctx.spec.mode.changes_client());
    // Without a baseline, nothing of the migration can be on the client yet.
    if let Some(baseline) = baseline {
        let clone = sight::part(ctx, answers, 0);
        let seen = Said::by(&clone, 0).read(clone::BOOTLIST, aix::bootlist);
        let state = clone::target_state(ctx, &clone);
        // Another's volume group, or the running one, is nothing to clean up, and nimadm
        // would remove another's copy on other disks: it knows one by its name alone.
        let ours = !matches!(state, Ok(CopyState::Foreign(_) | CopyState::Running));
        if ours && ctx.ticket.attempt == 1 && !sight::has_copy_elsewhere(ctx, answers) {
            commands.extend(from_master(ctx, copy::restore_bootlist(baseline, &seen)));
            commands.push(clean_up(ctx, answers));
            let wanted = copy::bootlist_to_leave(baseline, &seen);
            commands.extend(from_master(ctx, vec![Command::new(argv::set_bootlist(&wanted))]));
        } else {
            let views = sight::views(ctx);
            for (index, view) in views.iter().enumerate() {
                commands.extend(from_master(ctx, native(view, ctx, answers, index)));
            }
        }
    }
    commands.push(Command::new(["rm", "-rf", &marks(ctx)]));
    Script::new(commands)
}

/// `nimadm -C`; with `-F` where a process that is gone holds the lock.
fn clean_up(ctx: &Context<'_>, answers: &Answers) -> Command {
    let (client, spot) = (ctx.spec.client.as_str(), ctx.spec.target.spot.as_str());
    let mut argv = vec![NIMADM, "-C", "-c", client, "-s", spot];
    if sight::is_locked(ctx, answers) {
        argv.push("-F");
    }
    Command::new(argv).tolerated()
}

pub(super) fn judge_removed(ctx: &Context<'_>, answers: &Answers) -> Sight {
    alone(ctx, answers, || {
        let (mut has_rest, mut facts) = (sight::has_marks(answers)?, None);
        for index in 0..sight::views(ctx).len() {
            let sight = seen(ctx, answers, index);
            match sight.presence {
                Presence::Absent => facts = facts.or(sight.facts),
                // What comes after the copy is the rest of it.
                Presence::Present | Presence::Partial if index > 0 => has_rest = true,
                _ => return Ok(sight),
            }
        }
        Ok(Sight { facts, ..all_or_any(false, has_rest) })
    })
}

/// Phase 2.
pub(super) fn unexport(ctx: &Context<'_>, answers: &Answers) -> Script {
    if ctx.spec.caches() {
        return Script::new(native(&export::MAKE_CACHE, ctx, answers, 0));
    }
    let commands = native(&export::EXPORT_FILESYSTEMS, ctx, answers, 0);
    Script::new(from_master(ctx, commands))
}

pub(super) fn judge_unexported(ctx: &Context<'_>, answers: &Answers) -> Sight {
    alone(ctx, answers, || Ok(seen(ctx, answers, 0)))
}

/// Phase 3. A cache goes with phase 2.
pub(super) fn unmount(ctx: &Context<'_>, answers: &Answers) -> Script {
    Script::new(native(&mount::ON_MASTER, ctx, answers, 0))
}

pub(super) fn judge_unmounted(ctx: &Context<'_>, answers: &Answers) -> Sight {
    alone(ctx, answers, || Ok(if ctx.spec.caches() { left(false) } else { seen(ctx, answers, 0) }))
}

/// Phase 11: the bootlist, or the mksysb. The copy goes with phase 1.
pub(super) fn unfinish(ctx: &Context<'_>, answers: &Answers) -> Script {
    if ctx.spec.mode.changes_client() {
        let commands = native(&finish::SET_BOOTLIST, ctx, answers, 0);
        return Script::new(from_master(ctx, commands));
    }
    let mut commands = Vec::new();
    if seen_definition(ctx, answers).is_some_and(|sight| sight.presence == Presence::Present) {
        commands.extend(native(&mksysb::DEFINE_MKSYSB, ctx, answers, 1));
    }
    let marked = seen_file(ctx, answers).is_ok_and(|(_, marked)| marked);
    commands.extend(mksysb::remove_seen(ctx, Said::by(answers, 0), sight::OUTPUT, marked));
    Script::new(commands)
}

fn seen_definition(ctx: &Context<'_>, answers: &Answers) -> Option<Sight> {
    ctx.spec.options.new_mksysb.as_ref().map(|_| seen(ctx, answers, 1))
}

/// The file, and whether the marks say that what is there is ours: past the end they
/// are gone.
fn seen_file(ctx: &Context<'_>, answers: &Answers) -> Read<(Whole, bool)> {
    let marked = sight::is_marked(answers, Phase::Finish, "begun")? || !sight::has_marks(answers)?;
    let said = Said::by(answers, 0);
    Ok((mksysb::whole(ctx, said, sight::OUTPUT, marked)?, marked))
}

pub(super) fn judge_unfinished(ctx: &Context<'_>, answers: &Answers) -> Sight {
    alone(ctx, answers, || {
        if matches!(ctx.spec.mode, Mode::Disk | Mode::MksysbToClient) {
            return Ok(seen(ctx, answers, 0));
        }
        let (whole, marked) = seen_file(ctx, answers)?;
        let is_ours = whole == Whole::Ours;
        let definition = seen_definition(ctx, answers).filter(|_| marked);
        let (mut is_defined, mut left) = (false, mksysb::left_alone(ctx, whole));
        if let Some(sight) = definition {
            match sight.presence {
                Presence::Absent => {}
                Presence::Present => is_defined = true,
                Presence::Partial | Presence::Unknown(_) => return Ok(sight),
            }
            let of_object = sight.facts.into_iter().flat_map(|facts| facts.left);
            left = left.into_iter().chain(of_object).reduce(|all, one| format!("{all}; {one}"));
        }
        let presence = all_or_any(is_ours, is_defined).presence;
        Ok(mksysb::taken_back(presence, MadeMksysb::default(), left))
    })
}
