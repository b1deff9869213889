//! Nobody else's `nimadm` works on the client: looked for before each phase.
//!
//! NIM has no word of its own for an operation of ours that lasts a night
//! (`docs/native-steps.md`), so a colleague's nimadm can begin at any time.
//!
//! Nor does a migration of another state directory: its lease, of the other kind, is
//! looked for right behind our own.

use crate::aix::argv::words;
use crate::aix::{self, Process, argv};
use crate::base::sanitize_line;
use crate::domain::{Cause, Direction, FailureClass, HostRole, MigrationSpec, Presence, Repeat};
use crate::transport::{Output, Script};

use super::lease::wait_or_clean;
use super::master;
use super::read::{Said, judged, look};
use super::registry::registry;
use super::step::{Answers, Context, Sight, StepDef};
use super::whose::RECORD_COPY;

/// The look that goes with the first step of a phase, with what may not be done
/// twice in the same copy, with what says which copy is ours, and with all that is
/// taken back. The steps of the nimadm driver look by themselves.
pub(super) fn watch(
    def: &StepDef,
    spec: &MigrationSpec,
    direction: Direction,
) -> Option<(HostRole, Script)> {
    let is_first = || {
        let mut of_phase = registry().iter().filter(|other| other.phase == def.phase);
        of_phase.find(|other| other.is_in(spec)).is_some_and(|first| first.name == def.name)
    };
    let watched = match direction {
        Direction::Forward => {
            def.repeat != Repeat::Safe || is_first() || def.name == RECORD_COPY.name
        }
        Direction::Undo => true,
    };
    let by_itself = def.name.as_str().starts_with("nimadm-");
    (spec.task.is_migration() && !by_itself && watched)
        .then(|| look(HostRole::Master, [argv::processes()]))
}

/// The bar where [`watch`] has seen one, or cannot tell.
pub(super) fn bar(ctx: &Context<'_>, output: Output) -> Option<Sight> {
    let answers = Answers(vec![output]);
    match Said::by(&answers, 0).read(0, aix::processes) {
        Err(why) => Some(Sight::of(Presence::Unknown(why))),
        Ok(processes) => {
            foreign(ctx, &processes).map(|process| Sight::barred(works(ctx.spec, process)))
        }
    }
}

/// A nimadm that works on the client, or writes the same mksysb, and is not this
/// program under that name.
pub(super) fn foreign<'a>(ctx: &Context<'_>, processes: &'a [Process]) -> Option<&'a Process> {
    let spec = ctx.spec;
    let output = spec.options.output.as_deref();
    processes.iter().find(|process| {
        let client = spec.mode.has_client() && process.has("-c", spec.client.as_str());
        let is_own = ctx.control.on_master == Some(process.pid);
        !is_own
            && process.runs("nimadm")
            && (client || output.is_some_and(|path| process.has("-O", path)))
    })
}

/// That it works, and what to do about it.
pub(super) fn works(spec: &MigrationSpec, process: &Process) -> Cause {
    let text = format!(
        "a nimadm that is no job of nimshift works on {}: {} on {}",
        spec.client,
        process.words(),
        spec.master
    );
    let hint = format!("wait until it has ended, or end it ({})", shown(process));
    Cause::new(FailureClass::NeedsOperator, text).with_hint(hint)
}

/// Where the lease of the other kind is looked for: before anything is begun, and right
/// behind our own.
const LOOKS_FOR_IT: [&str; 2] = ["check-client", "record-baseline"];

/// The look at the lease of the other kind. What changes the client has its lease there,
/// what makes a mksysb of it on the master, and both work in the same directories of the
/// master. Each takes its own first: so one of two sees the other, always. What goes on
/// already gives no way to who comes later.
pub(super) fn watch_lease(
    def: &StepDef,
    spec: &MigrationSpec,
    direction: Direction,
) -> Option<(HostRole, Script)> {
    let looks = LOOKS_FOR_IT.contains(&def.name.as_str()) && direction == Direction::Forward;
    (looks && spec.task.is_migration() && spec.mode.has_client()).then(|| {
        let (role, path) = other_lease(spec);
        look(role, [words(&["ls", "-l", &path])])
    })
}

fn other_lease(spec: &MigrationSpec) -> (HostRole, String) {
    if spec.mode.changes_client() {
        (HostRole::Master, master::lease(spec))
    } else {
        (HostRole::Client, argv::LEASE.to_owned())
    }
}

/// The bar where [`watch_lease`] has seen one, or cannot tell. It passes when that
/// migration has ended.
pub(super) fn bar_lease(ctx: &Context<'_>, output: Output) -> Option<Sight> {
    let (role, path) = other_lease(ctx.spec);
    let sight = Said::by(&Answers(vec![output]), 0).lease_at(0, &path).map(|holder| {
        let holder = holder.filter(|holder| holder.owner != ctx.owner)?;
        let (client, words) = (&ctx.spec.client, holder.words());
        let (text, hint) = match role {
            HostRole::Master => (
                format!("{words} holds the lease of {client} on the master"),
                master::wait_or_remove(ctx.spec),
            ),
            HostRole::Client => (format!("{words} holds the client's lease"), wait_or_clean(ctx)),
        };
        Some(Sight::barred(Cause::new(FailureClass::Transient, text).with_hint(hint)))
    });
    sight.unwrap_or_else(|why| Some(judged(Err(why))))
}

/// Its command line, for people.
pub(super) fn shown(process: &Process) -> String {
    sanitize_line(&process.args, 120)
}

#[cfg(test)]
mod tests {
    use super::*;
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
