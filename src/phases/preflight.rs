//! What stands against a migration, told before it begins: the looks and the
//! judges of the steps that come before any change, asked once. Changes nothing.

use crate::base::ClockRef;
use crate::base::limits::{OUTPUT_BYTES_MAX, PROBE_TIMEOUT};
use crate::domain::{
    Cause, Control, Direction, Facts, FailureClass, MigrationSpec, Presence, StepName,
};
use crate::transport::Transport;

use super::lease::NOBODY;
use super::order::hosts;
use super::perform::of_transport;
use super::registry::registry;
use super::step::{Answers, Context, Is, StepDef};
use crate::phases::native::parts::is_assumed;
use crate::phases::perform::outcome;

/// One thing that stands against a migration. Class `AlreadyDone`: nothing is to
/// be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The step that would say so.
    pub step: StepName,
    /// Whether that decides if the migration may begin: whatever it says, nothing
    /// is begun then.
    pub gate: bool,
    /// Why.
    pub cause: Cause,
}

/// What would be said against `spec` if it began now: all that its checks can
/// tell. `scope` is that of the journal, where there is one.
pub async fn preflight(
    transport: &dyn Transport,
    clock: &ClockRef,
    scope: &str,
    control: &Control,
    spec: &MigrationSpec,
) -> Vec<Objection> {
    let part = spec.part.as_ref();
    // Where it is no later part, nobody's.
    let owner =
        part.map_or_else(|| format!("{scope}{NOBODY}"), |part| format!("{scope}.{}", part.first));
    let facts = part.map_or_else(Facts::default, |part| part.facts.clone());
    let hosts = hosts(spec);
    let mut found = Vec::new();
    for def in registry().iter().filter(|def| def.is_in(spec) && comes_first(def)) {
        let ticket = def.first(Direction::Forward);
        if is_assumed(def, spec, &ticket) {
            continue;
        }
        let (owner, facts, now_ms) = (owner.as_str(), &facts, clock.now_ms());
        let ctx = Context { spec, facts, ticket: &ticket, owner, control, now_ms };
        let (mut answers, mut silent) = (Answers::default(), Vec::new());
        for (role, script) in def.probe(&ctx) {
            match transport.exec(hosts.of(role), &script, PROBE_TIMEOUT).await {
                Ok(output) => answers.add(role, &script, output),
                Err(error) => silent.push(of_transport(&error)),
            }
        }
        let is_silent = !silent.is_empty();
        let causes = if is_silent { silent } else { against(def, &ctx, &answers) };
        let is_over = causes.iter().any(|cause| cause.class == FailureClass::AlreadyDone);
        for cause in causes {
            // The gate looks at the lease as well, and may tell more of it.
            let is_told = |known: &Objection| known.cause.text.starts_with(&cause.text);
            if !found.iter().any(is_told) {
                found.push(Objection { step: def.step(), gate: def.gate, cause });
            }
        }
        if is_silent || is_over {
            break;
        }
    }
    found
}

/// Whether a step comes before anything is changed, and may stand against that.
fn comes_first(def: &StepDef) -> bool {
    def.gate || def.is(Is::TakesLease)
}

fn against(def: &StepDef, ctx: &Context<'_>, answers: &Answers) -> Vec<Cause> {
    let cause = |class, text: String| vec![Cause::new(class, text)];
    if answers.all().any(|command| command.truncated) {
        let text = format!("a host says more than {OUTPUT_BYTES_MAX} bytes");
        return cause(FailureClass::Permanent, text);
    }
    let finding = (def.judge)(ctx, answers);
    match (finding.blocked_by, finding.presence) {
        (Some(_), _) if !finding.objections.is_empty() => finding.objections,
        (Some(barred), _) => vec![barred],
        (None, Presence::Unknown(why)) if outcome::is_passing(&ctx.spec.messages, answers) => {
            cause(FailureClass::Transient, why)
        }
        (None, Presence::Unknown(why)) => cause(FailureClass::Permanent, why),
        (None, Presence::Absent | Presence::Partial) if def.run.is_none() => {
            cause(FailureClass::Permanent, format!("cannot {}", def.about))
        }
        _ => Vec::new(),
    }
}
