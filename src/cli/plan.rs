//! `nimshift plan PLAN`: a dry run. Reads the plan, and the journal where there is one;
//! asks no host and writes nothing anywhere.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::nearest;
use crate::domain::{MigrationSpec, Phase, Plan};
use crate::phases::{ASSUMPTION, StepText, describe, plan_steps};

use super::args::PlanArgs;
use super::error::CliError;
use super::exit::Exit;
use super::out::Out;
use super::plan_file::read_plan;
use super::sorted::{By, sorted};
use super::state_dir::StateDir;

/// The version of the document. Introduced as 1 in 0.1.0.
const PLAN_VERSION: u32 = 1;

#[derive(Serialize)]
struct PlanDocument<'a> {
    version: u32,
    batch: String,
    digest: String,
    assumption: &'static str,
    clients: Vec<ClientDocument<'a>>,
}

#[derive(Serialize)]
struct ClientDocument<'a> {
    client: String,
    /// What the journal knows of it, and what `run` does therefore.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<&'a str>,
    spec: &'a MigrationSpec,
    steps: Vec<StepDocument>,
    skipped: Vec<SkippedDocument>,
}

#[derive(Serialize)]
struct StepDocument {
    phase: Phase,
    phase_number: u8,
    step: String,
    about: &'static str,
    host: String,
    run: Vec<String>,
    probe: Vec<String>,
    undo: Vec<String>,
}

#[derive(Serialize)]
struct SkippedDocument {
    phase: Phase,
    phase_number: u8,
    why: String,
}

impl From<StepText> for StepDocument {
    fn from(text: StepText) -> StepDocument {
        let StepText { phase, step, about, host, run, probe, undo } = text;
        let (phase_number, step) = (phase.number(), step.to_string());
        StepDocument { phase, phase_number, step, about, host, run, probe, undo }
    }
}

/// `nimshift plan PLAN`.
pub(super) fn plan(out: &Out, place: &StateDir, args: &PlanArgs) -> Result<Exit, CliError> {
    let plan = read_plan(&args.plan)?.plan;
    let specs = chosen(&plan, args)?;
    let known = known(place, &plan)?;
    let known = |spec: &MigrationSpec| known.get(spec.client.as_str()).map(String::as_str);
    if args.json {
        out.json(&PlanDocument {
            version: PLAN_VERSION,
            batch: plan.name.to_string(),
            digest: plan.digest(),
            assumption: ASSUMPTION,
            clients: specs.into_iter().map(|spec| document(spec, known(spec))).collect(),
        });
        return Ok(Exit::Ok);
    }
    let count = specs.len();
    let noun = if count == 1 { "client" } else { "clients" };
    out.line(&format!("Batch {}: {count} {noun}. This command changes nothing.", plan.name));
    out.line(ASSUMPTION);
    for spec in specs {
        out.line("");
        client(out, spec, known(spec));
    }
    Ok(Exit::Ok)
}

/// What `run` says of the clients that the journal knows.
fn known(place: &StateDir, plan: &Plan) -> Result<BTreeMap<String, String>, CliError> {
    let sorted = sorted(place, plan, &plan.digest(), By::Journal)?;
    let said = sorted.said.iter().map(|(client, what)| {
        let label = if sorted.is_fresh(client) { "" } else { "left alone: " };
        (client.clone(), format!("{label}{what}"))
    });
    let refused = sorted
        .refused
        .iter()
        .map(|one| (one.client.clone(), format!("refused: it {}; {}", one.why, one.way)));
    Ok(said.chain(refused).collect())
}

fn chosen<'a>(plan: &'a Plan, args: &PlanArgs) -> Result<Vec<&'a MigrationSpec>, CliError> {
    if args.client.is_empty() {
        return Ok(plan.migrations.iter().collect());
    }
    let mut chosen = Vec::new();
    for client in &args.client {
        let found = plan.migrations.iter().find(|spec| spec.client == *client);
        chosen.push(found.ok_or_else(|| {
            let names = plan.migrations.iter().map(|spec| spec.client.as_str());
            let error = CliError::usage(format!("the plan has no client `{client}`"));
            match nearest(client.as_str(), names) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error,
            }
        })?);
    }
    Ok(chosen)
}

fn document<'a>(spec: &'a MigrationSpec, known: Option<&'a str>) -> ClientDocument<'a> {
    let skipped = plan_steps(spec).skipped.into_iter().map(|(phase, why)| SkippedDocument {
        phase,
        phase_number: phase.number(),
        why,
    });
    ClientDocument {
        client: spec.client.to_string(),
        known,
        spec,
        steps: describe(spec).into_iter().map(StepDocument::from).collect(),
        skipped: skipped.collect(),
    }
}

fn client(out: &Out, spec: &MigrationSpec, known: Option<&str>) {
    out.line(&format!("{}: {}", spec.client, spec.aim()));
    if let Some(known) = known {
        out.line(&format!("  by the journal: {known}"));
    }
    let steps = describe(spec);
    let skipped = plan_steps(spec).skipped;
    for phase in Phase::ALL {
        let (number, name) = (phase.number(), phase.name());
        if let Some((_, why)) = skipped.iter().find(|(skipped, _)| *skipped == phase) {
            out.line(&format!("Phase {number}, {name}: left out, {why}"));
            continue;
        }
        out.line(&format!("Phase {number}, {name}: {}", spec.title(phase)));
        for text in steps.iter().filter(|text| text.phase == phase) {
            step(out, text);
        }
    }
}

fn step(out: &Out, text: &StepText) {
    out.line(&format!("  {} on {}: {}", text.step, text.host, text.about));
    let part = |label: &str, lines: &[String]| {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            out.line(&format!("    {label:<6} {line}"));
        }
    };
    part("probe", &text.probe);
    part("run", &text.run);
    part("undo", &text.undo);
}
