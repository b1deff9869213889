//! The name altinst_rootvg is to be that of our copy alone. Commands that take the
//! name, or clean up by it when they fail, do it to whatever bears it; and a colleague
//! can have made a copy on another disk while ours was not there, or ran.

use crate::aix::{PhysicalVolume, argv};
use crate::domain::{Cause, Direction, FailureClass, HostRole, Presence, Repeat};

use crate::phases::copy::{self, ALT_VG};
use crate::phases::step::{Answers, Context, Finding, Is, StepDef};

/// The bar where the step is about to act on the name, and a look at the disks shows it
/// on one that is not ours.
pub(crate) fn bar(
    ctx: &Context<'_>,
    def: &StepDef,
    answers: &Answers,
    presence: &Presence,
) -> Option<Finding> {
    let acts = ctx.spec.task.changes_client()
        && match ctx.ticket.direction {
            Direction::Forward => {
                let repeats = def.repeat_in(ctx.spec) == Repeat::Safe;
                let starts =
                    *presence == Presence::Absent || *presence == Presence::Partial && repeats;
                // nimadm cleans up by the name in any phase.
                starts && (def.is(Is::ByName) || def.is(Is::OfNimadm))
            }
            Direction::Undo => {
                let is_left = matches!(presence, Presence::Present | Presence::Partial);
                is_left && def.is(Is::BackByName)
            }
        };
    let lspv = acts.then(|| disks(answers)).flatten()?;
    let own: Vec<&PhysicalVolume> = ours(ctx, &lspv);
    let other = lspv.iter().find(|row| row.is_in(ALT_VG) && !own.contains(row))?;
    // An operation acts on what there is, and an undo on nothing by that name where ours
    // is gone: only one of two is another's then.
    let is_one_of_two = own.iter().any(|row| row.is_in(ALT_VG));
    let makes = ctx.spec.task.is_migration() && ctx.ticket.direction == Direction::Forward;
    (makes || is_one_of_two).then(|| Finding::blocked(cause(ctx, other)))
}

/// What a look has told of the client's disks, if there was one.
fn disks(answers: &Answers) -> Option<Vec<PhysicalVolume>> {
    let is_told = answers.has_asked(HostRole::Client, &argv::lspv().into());
    is_told.then(|| answers.client().lspv().ok()).flatten()
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
        "{ALT_VG} is on {disk}, which is not this migration's: nothing is done under that name"
    );
    let hint = format!(
        "wait until it is gone, or give it another name (on {client}, `alt_rootvg_op -v other_rootvg -d \
         {disk}`), then `nimshift retry {client}`"
    );
    Cause::new(FailureClass::NeedsOperator, text).with_hint(hint)
}
