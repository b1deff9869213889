//! Nobody else's `nimadm` works on the client: looked for before each phase.
//!
//! NIM has no word of its own for an operation of ours that lasts a night
//! (`docs/native-steps.md`), so a colleague's nimadm can begin at any time.
//!
//! Nor does a migration of another state directory: its lease, of the other kind, is
//! looked for right behind our own.

use crate::aix::{Process, argv};
use crate::base::sanitize_line;
use crate::domain::{Cause, Direction, FailureClass, HostRole, MigrationSpec, Presence, Repeat};
use crate::transport::Script;

use super::lease::wait_or_clean;
use super::read::{HostAnswers, judged, look};
use super::step::{Answers, Context, Finding, Is, Probe, StepDef};
use crate::phases::native::master;

/// What is asked beside the looks of a step itself. `is_first` is whether its phase
/// begins with it.
pub(super) fn looks(ctx: &Context<'_>, def: &StepDef, is_first: bool) -> Probe {
    watch(ctx, def, is_first).into_iter().chain(watch_lease(ctx, def)).collect()
}

/// The bar where [`looks`] have seen somebody else, or cannot tell.
pub(super) fn bar(
    ctx: &Context<'_>,
    def: &StepDef,
    is_first: bool,
    answers: &Answers,
) -> Option<Finding> {
    let watched = watch(ctx, def, is_first).and_then(|_| bar_nimadm(ctx, answers));
    watched.or_else(|| watch_lease(ctx, def).and_then(|_| bar_lease(ctx, answers)))
}

/// The look that goes with the first step of a phase, with what may not be done
/// twice in the same copy, with what says which copy is ours, and with all that is
/// taken back. The steps of the nimadm driver look by themselves.
fn watch(ctx: &Context<'_>, def: &StepDef, is_first: bool) -> Option<(HostRole, Script)> {
    let watched = match ctx.ticket.direction {
        Direction::Forward => def.repeat != Repeat::Safe || is_first || def.is(Is::RecordsCopy),
        Direction::Undo => true,
    };
    (ctx.spec.task.is_migration() && !def.is(Is::OfNimadm) && watched)
        .then(|| look(HostRole::Master, [argv::processes()]))
}

/// The bar where [`watch`] has seen one, or cannot tell.
fn bar_nimadm(ctx: &Context<'_>, answers: &Answers) -> Option<Finding> {
    match answers.master().processes() {
        Err(why) => Some(Finding::of(Presence::Unknown(why))),
        Ok(processes) => {
            foreign(ctx, &processes).map(|process| Finding::blocked(works(ctx.spec, process)))
        }
    }
}

/// A nimadm that works on the client, or writes the same mksysb, and is not this
/// program under that name.
pub(super) fn foreign<'a>(ctx: &Context<'_>, processes: &'a [Process]) -> Option<&'a Process> {
    let spec = ctx.spec;
    let output = spec.options.output.as_deref();
    processes.iter().find(|process| {
        let client = spec.task.has_client() && process.has("-c", spec.client.as_str());
        let is_own = ctx.control.on_master == Some(process.pid);
        !is_own
            && process.runs("nimadm")
            && (client || output.is_some_and(|path| process.has("-O", path)))
    })
}

/// That it works, and what to do about it.
pub(super) fn works(spec: &MigrationSpec, process: &Process) -> Cause {
    let text = format!(
        "a nimadm that nimshift did not start works on {}: {} on {}",
        spec.client,
        process.words(),
        spec.master
    );
    let hint = format!("wait until it has ended, or end it ({})", shown(process));
    Cause::new(FailureClass::NeedsOperator, text).with_hint(hint)
}

/// The look at the lease of the other kind. What changes the client has its lease there,
/// what makes a mksysb of it on the master, and both work in the same directories of the
/// master. Each takes its own first: so one of two sees the other, always. What goes on
/// already gives no way to who comes later.
fn watch_lease(ctx: &Context<'_>, def: &StepDef) -> Option<(HostRole, Script)> {
    let spec = ctx.spec;
    let looks = def.is(Is::SeesOtherLease) && ctx.ticket.direction == Direction::Forward;
    (looks && spec.task.is_migration() && spec.task.has_client()).then(|| {
        let (role, path) = other_lease(spec);
        look(role, [argv::ls_l(&path)])
    })
}

fn other_lease(spec: &MigrationSpec) -> (HostRole, String) {
    if spec.task.changes_client() {
        (HostRole::Master, master::lease(spec))
    } else {
        (HostRole::Client, argv::LEASE.to_owned())
    }
}

/// The bar where [`watch_lease`] has seen one, or cannot tell. It passes when that
/// migration has ended.
fn bar_lease(ctx: &Context<'_>, answers: &Answers) -> Option<Finding> {
    let (role, path) = other_lease(ctx.spec);
    let finding = HostAnswers::of(answers, role).lease_at(&path).map(|holder| {
        let holder = holder.filter(|holder| holder.owner != ctx.owner)?;
        let (client, words) = (&ctx.spec.client, holder.words());
        let (text, hint) = match role {
            HostRole::Master => (
                format!("{words} holds the lease of {client} on the master"),
                master::wait_or_remove(ctx.spec),
            ),
            HostRole::Client => (format!("{words} holds the client's lease"), wait_or_clean(ctx)),
        };
        Some(Finding::blocked(Cause::new(FailureClass::Transient, text).with_hint(hint)))
    });
    finding.unwrap_or_else(|why| Some(judged(Err(why))))
}

/// Its command line, for people.
pub(super) fn shown(process: &Process) -> String {
    sanitize_line(&process.args, 120)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aix;
    use crate::domain::{Control, Facts, Phase, StepName, Ticket};
    use crate::phases::sample;

    #[test]
    fn this_program_under_the_name_nimadm_is_nobody_else() {
        let (spec, facts) = (sample::spec(), Facts::default());
        let step = StepName::new("check-client");
        let direction = Direction::Forward;
        let ticket = Ticket { phase: Phase::Clone, step, direction, round: 0, attempt: 1 };
        let text = "PID USER ELAPSED COMMAND\n12 root 02:10 /usr/local/bin/nimadm -c lpar7 -Y\n";
        let processes = aix::processes(text).unwrap();
        for (on_master, is_foreign) in [(None, true), (Some(12), false), (Some(13), true)] {
            let control = Control { on_master, ..Control::default() };
            let ctx = Context {
                spec: &spec,
                facts: &facts,
                ticket: &ticket,
                owner: "s1.m7",
                control: &control,
                now_ms: 0,
            };
            assert_eq!(foreign(&ctx, &processes).is_some(), is_foreign, "{on_master:?}");
            let ends = crate::phases::operations::cleanup_check::is_for_client(&ctx, &processes[0]);
            assert_eq!(ends, is_foreign, "cleanup ends what is not itself: {on_master:?}");
        }
    }
}
