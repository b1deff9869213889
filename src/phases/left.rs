//! What of a migration is on its hosts: asked again, before it is told.

use crate::base::Millis;
use crate::base::limits::PROBE_TIMEOUT;
use crate::domain::{
    Control, CopyPolicy, Direction, Facts, HostRole, MigrationSpec, Presence, StepName, StepSpec,
    Ticket, UndoKind,
};
use crate::transport::{Output, Script, Transport};

use super::order::hosts;
use super::registry::find;
use super::step::{Answers, Context, Looks, StepDef};

/// What is asked after.
#[derive(Debug, Clone, Copy)]
pub struct LeftBy<'a> {
    /// What the migration was asked to do.
    pub spec: &'a MigrationSpec,
    /// What its steps have found out.
    pub facts: &'a Facts,
    /// Who holds its lease.
    pub owner: &'a str,
    /// The engine that asks.
    pub control: &'a Control,
    /// The time now.
    pub now_ms: Millis,
}

/// Looks for what `steps` have made and would have to be undone, in one call a
/// host. Of a host that does not answer it is not known.
pub async fn left(
    transport: &dyn Transport,
    by: LeftBy<'_>,
    steps: &[StepSpec],
) -> Vec<(StepName, Presence)> {
    // A copy that is to stay is there all the same.
    let spec = MigrationSpec { failed_copy: CopyPolicy::Remove, ..by.spec.clone() };
    let by = LeftBy { spec: &spec, ..by };
    let undone = steps.iter().filter(|step| step.undo != UndoKind::Nothing);
    let asked: Vec<(Ticket, &StepDef, Looks)> = undone
        .filter_map(|step| {
            let def = find(step.phase, &step.step)?;
            let ticket = Ticket {
                phase: step.phase,
                step: step.step.clone(),
                direction: Direction::Undo,
                round: 0,
                attempt: 1,
            };
            let looks = (def.looks)(&context(by, &ticket));
            Some((ticket, def, looks))
        })
        .collect();
    let all = |role: HostRole| {
        let of_role = asked.iter().flat_map(|(.., looks)| looks).filter(|look| look.0 == role);
        Script::new(of_role.flat_map(|(_, script)| script.commands.iter().cloned()))
    };
    let hosts = hosts(by.spec);
    let mut said = Vec::new();
    for role in [HostRole::Client, HostRole::Master] {
        let script = all(role);
        let output = if script.is_empty() {
            Ok(Output::default())
        } else {
            transport.exec(hosts.of(role), &script, PROBE_TIMEOUT).await
        };
        said.push(output.map(|output| output.commands.into_iter()));
    }
    let mut found = Vec::new();
    for (ticket, def, looks) in &asked {
        let mut answers = Answers::default();
        let mut silent = None;
        for (role, script) in looks {
            match &mut said[usize::from(*role == HostRole::Master)] {
                Ok(said) => {
                    let commands = said.by_ref().take(script.commands.len()).collect();
                    answers.0.push(Output { commands });
                }
                Err(error) => silent = Some(Presence::Unknown(error.to_string())),
            }
        }
        let judge = def.judge_undo.unwrap_or(def.judge);
        let presence = silent.unwrap_or_else(|| judge(&context(by, ticket), &answers).presence);
        found.push((ticket.step.clone(), presence));
    }
    found
}

fn context<'a>(by: LeftBy<'a>, ticket: &'a Ticket) -> Context<'a> {
    let LeftBy { spec, facts, owner, control, now_ms } = by;
    Context { spec, facts, ticket, owner, control, now_ms }
}
