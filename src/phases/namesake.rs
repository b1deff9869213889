//! The name altinst_rootvg is to be that of our copy alone. Commands that take the
//! name, or clean up by it when they fail, do it to whatever bears it; and a colleague
//! can have made a copy on another disk while ours was not there, or ran.

use crate::aix::{self, PhysicalVolume};
use crate::domain::{Cause, Direction, FailureClass, HostRole, Presence, Repeat};

use super::copy::{self, ALT_VG};
use super::read::Said;
use super::registry::repeat_of;
use super::step::{Answers, Context, Looks, Sight, StepDef};

/// What acts on the name and is not nimadm: that cleans up by it in any phase.
const BY_NAME: [&str; 5] =
    ["clone-rootvg", "make-rootvg", "finish-clone", "wake-copy", "sleep-copy"];

/// What removes the copy, or puts it to sleep, when it is taken back.
const BACK_BY_NAME: [&str; 4] = ["clone-rootvg", "make-rootvg", "nimadm-clone", "wake-copy"];

/// The bar where the step is about to act on the name, and a look at the disks shows it
/// on one that is not ours.
pub(super) fn bar(
    ctx: &Context<'_>,
    def: &StepDef,
    looks: &Looks,
    answers: &Answers,
    presence: &Presence,
) -> Option<Sight> {
    let name = def.name.as_str();
    let acts = ctx.spec.mode.changes_client()
        && match ctx.ticket.direction {
            Direction::Forward => {
                let repeats = repeat_of(def, ctx.spec) == Repeat::Safe;
                let starts =
                    *presence == Presence::Absent || *presence == Presence::Partial && repeats;
                starts && (BY_NAME.contains(&name) || name.starts_with("nimadm-"))
            }
            Direction::Undo => {
                let is_left = matches!(presence, Presence::Present | Presence::Partial);
                is_left && BACK_BY_NAME.contains(&name)
            }
        };
    let lspv = acts.then(|| disks(looks, answers)).flatten()?;
    let own: Vec<&PhysicalVolume> = ours(ctx, &lspv);
    let other = lspv.iter().find(|row| row.is_in(ALT_VG) && !own.contains(row))?;
    // An operation acts on what there is, and an undo on nothing by that name where ours
    // is gone: only one of two is another's then.
    let is_one_of_two = own.iter().any(|row| row.is_in(ALT_VG));
    let makes = ctx.spec.task.is_migration() && ctx.ticket.direction == Direction::Forward;
    (makes || is_one_of_two).then(|| Sight::barred(cause(ctx, other)))
}

/// What a look has told of the client's disks.
fn disks(looks: &Looks, answers: &Answers) -> Option<Vec<PhysicalVolume>> {
    let mut scripts = looks.iter().enumerate().filter(|(_, (role, _))| *role == HostRole::Client);
    scripts.find_map(|(script, (_, look))| {
        let command = look.commands.iter().position(|command| command.argv == ["lspv"])?;
        Said::by(answers, script).read(command, aix::lspv).ok()
    })
}

/// The disks that the copy is on, or is to be on.
fn ours<'a>(ctx: &Context<'_>, lspv: &'a [PhysicalVolume]) -> Vec<&'a PhysicalVolume> {
    match &ctx.facts.baseline {
        Some(baseline) => {
            baseline.targets.iter().filter_map(|disk| copy::row_of(disk, lspv)).collect()
        }
        None => lspv.iter().filter(|row| ctx.spec.options.disks.contains(&row.disk)).collect(),
    }
}

fn cause(ctx: &Context<'_>, other: &PhysicalVolume) -> Cause {
    let (client, disk) = (&ctx.spec.client, &other.disk);
    let text = format!(
        "{ALT_VG} is on {disk}, which is not of this migration: nothing is done by that name"
    );
    let hint = format!(
        "wait until it is gone, or give it another name (on {client}, `alt_rootvg_op -v other_rootvg -d \
         {disk}`), then `nimshift retry {client}`"
    );
    Cause::new(FailureClass::NeedsOperator, text).with_hint(hint)
}
