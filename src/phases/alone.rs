//! Nobody else's `nimadm` works on the client: looked for before each phase.
//!
//! NIM has no word of its own for an operation of ours that lasts a night
//! (`docs/native-steps.md`), so a colleague's nimadm can begin at any time.

use crate::aix::{self, Process, argv};
use crate::base::sanitize_line;
use crate::domain::{Cause, Direction, FailureClass, HostRole, MigrationSpec, Presence, Repeat};
use crate::transport::{Output, Script};

use super::read::{Said, look};
use super::registry::registry;
use super::step::{Answers, Sight, StepDef};

/// The look that goes with the first step of a phase, with what may not be done
/// twice in the same copy, and with all that is taken back. The steps of the nimadm
/// driver look by themselves.
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
        Direction::Forward => def.repeat != Repeat::Safe || is_first(),
        Direction::Undo => true,
    };
    let by_itself = def.name.as_str().starts_with("nimadm-");
    (spec.task.is_migration() && !by_itself && watched)
        .then(|| look(HostRole::Master, [argv::processes()]))
}

/// The bar where [`watch`] has seen one, or cannot tell.
pub(super) fn bar(spec: &MigrationSpec, output: Output) -> Option<Sight> {
    let answers = Answers(vec![output]);
    match Said::by(&answers, 0).read(0, aix::processes) {
        Err(why) => Some(Sight::of(Presence::Unknown(why))),
        Ok(processes) => {
            foreign(spec, &processes).map(|process| Sight::barred(works(spec, process)))
        }
    }
}

/// A nimadm that works on the client, or writes the same mksysb.
pub(super) fn foreign<'a>(spec: &MigrationSpec, processes: &'a [Process]) -> Option<&'a Process> {
    let output = spec.options.output.as_deref();
    processes.iter().find(|process| {
        let client = spec.mode.has_client() && process.has("-c", spec.client.as_str());
        process.runs("nimadm") && (client || output.is_some_and(|path| process.has("-O", path)))
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

/// Its command line, for people.
pub(super) fn shown(process: &Process) -> String {
    sanitize_line(&process.args, 120)
}
