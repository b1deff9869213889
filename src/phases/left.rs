//! What of a migration is on its hosts: asked again, before it is told.

use crate::base::limits::PROBE_TIMEOUT;
use crate::domain::{
    CopyPolicy, Direction, HostRole, MigrationSpec, Presence, StepName, StepSpec, Ticket, UndoKind,
};
use crate::transport::{Script, Transport};

use super::order::hosts;
use super::registry::find;
use super::seen::LeftBy;
use super::step::{Answers, Context, Probe, StepDef, asked_once};

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
    let asked: Vec<(Ticket, &StepDef, Probe)> = undone
        .filter_map(|step| {
            let def = find(step.phase, &step.step)?;
            let ticket = def.first(Direction::Undo);
            let looks = def.probe(&context(by, &ticket));
            Some((ticket, def, looks))
        })
        .collect();
    let questions =
        asked_once(asked.iter().flat_map(|(.., looks)| looks.iter().cloned()).collect());
    let all = |role: HostRole| {
        let of_role = questions.iter().filter(|look| look.0 == role);
        Script::new(of_role.flat_map(|(_, script)| script.commands.iter().cloned()))
    };
    let hosts = hosts(by.spec);
    let (mut answers, mut silent) = (Answers::default(), Vec::new());
    for role in [HostRole::Client, HostRole::Master] {
        let script = all(role);
        if script.is_empty() {
            continue;
        }
        match transport.exec(hosts.of(role), &script, PROBE_TIMEOUT).await {
            Ok(output) => answers.add(role, &script, output),
            Err(error) => silent.push((role, error.to_string())),
        }
    }
    let mut found = Vec::new();
    for (ticket, def, looks) in &asked {
        let why =
            |role: HostRole| silent.iter().find(|(silent, _)| *silent == role).map(|(_, why)| why);
        let judge = def.judge_undo.unwrap_or(def.judge);
        let presence = match looks.iter().rev().find_map(|(role, _)| why(*role)) {
            Some(why) => Presence::Unknown(why.clone()),
            None => judge(&context(by, ticket), &answers).presence,
        };
        found.push((ticket.step.clone(), presence));
    }
    found
}

fn context<'a>(by: LeftBy<'a>, ticket: &'a Ticket) -> Context<'a> {
    let LeftBy { spec, facts, owner, control, now_ms } = by;
    Context { spec, facts, ticket, owner, control, now_ms }
}
