//! `nimshift preflight PLAN`, and `run --preflight`: the checks that a migration
//! begins with, for the whole fleet at once, before anything is begun.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Control, EstateKind, FailureClass, MigrationSpec, Plan};
use crate::fleet::{BatchSettings, Looked, Outlook, Refusal, Sorted, objections, worst};
use crate::phases::Objection;
use crate::report::cause_text;

use super::args::PreflightArgs;
use super::error::CliError;
use super::estate::{Estate, check_hosts, open_lab, runtime};
use super::exit::Exit;
use super::out::Out;
use super::plan_file::{only, read_plan};
use super::sorted::{By, sorted};
use super::state_dir::StateDir;

/// The version of the document. Introduced as 1 in 0.1.0.
const PREFLIGHT_VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct PreflightDocument {
    version: u32,
    batch: String,
    well: bool,
    clients: Vec<ClientDocument>,
}

/// What was found of a client.
#[derive(Debug, Serialize)]
struct ClientDocument {
    client: String,
    outlook: Outlook,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    findings: Vec<FindingDocument>,
}

#[derive(Debug, Serialize)]
struct FindingDocument {
    check: String,
    class: FailureClass,
    message: Option<String>,
    text: String,
    help: Option<String>,
}

impl From<Looked> for ClientDocument {
    fn from(looked: Looked) -> ClientDocument {
        let finding = |Objection { step, cause, .. }: Objection| FindingDocument {
            check: step.to_string(),
            class: cause.class,
            message: cause.message,
            text: cause.text,
            help: cause.hint,
        };
        let Looked { client, outlook, why, objections } = looked;
        let findings = objections.into_iter().map(finding).collect();
        ClientDocument { client, outlook, why, findings }
    }
}

/// `nimshift preflight PLAN`.
pub(super) fn preflight(
    out: &Out,
    place: &StateDir,
    args: &PreflightArgs,
) -> Result<Exit, CliError> {
    let mut plan = read_plan(&args.plan)?.plan;
    let digest = plan.digest();
    only(&mut plan, &args.client)?;
    let Sorted { fresh, said, refused } = sorted(place, &plan, &digest, By::Hosts)?;
    let specs = fresh.into_iter().map(|(_, spec)| spec.into_owned()).collect();
    let mut looked = look(place, &plan, specs)?;
    for (client, what) in said {
        match looked.iter_mut().find(|one| one.client == client) {
            Some(one) => one.why = Some(what),
            None => looked.push(Looked::known(client, Outlook::LeftAlone, what)),
        }
    }
    looked.extend(refused.into_iter().map(|Refusal { client, why, way, .. }| {
        Looked::known(client, Outlook::Refused, format!("it {why}; {way}"))
    }));
    let order =
        |client: &str| plan.migrations.iter().position(|spec| spec.client.as_str() == client);
    looked.sort_by_key(|one| order(&one.client));
    let exit = Exit::from(worst(&looked));
    if args.json {
        out.json(&PreflightDocument {
            version: PREFLIGHT_VERSION,
            batch: plan.name.to_string(),
            well: exit == Exit::Ok,
            clients: looked.into_iter().map(ClientDocument::from).collect(),
        });
        return Ok(exit);
    }
    tell(out, &looked);
    out.line("Nothing was started or changed.");
    if exit != Exit::Ok {
        Out::note(&format!("exit code {}: {}", exit.code(), meaning(exit)));
    }
    Ok(exit)
}

/// What an exit code means where nothing was started.
fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::SomeFailed => "some would be refused, or cannot start now",
        Exit::NeedsOperator => "some need an operator before they can start",
        exit => exit.meaning(),
    }
}

/// `run --preflight`: an error, and nothing begun, unless all of `specs` may begin.
pub(super) fn all_may_begin(
    out: &Out,
    place: &StateDir,
    plan: &Plan,
    specs: Vec<MigrationSpec>,
) -> Result<(), CliError> {
    let looked = look(place, plan, specs)?;
    let exit = Exit::from(worst(&looked));
    if exit == Exit::Ok {
        return Ok(());
    }
    tell(out, &looked);
    let text = "the plan was not run: its checks failed; nothing was changed";
    Err(CliError::new(exit, text).help(
        "`nimshift preflight PLAN` shows the same; without `--preflight`, clients that pass \
         are run",
    ))
}

fn lines(looked: &Looked, width: usize, out: &Out) {
    let (client, outlook) = (&looked.client, looked.outlook.words());
    let mut before = format!("{client:width$}  {outlook}");
    match &looked.why {
        Some(why) if looked.objections.is_empty() => out.line(&format!("{before}: {why}")),
        Some(why) => {
            out.line(&format!("{client:width$}  {why}"));
            before = format!("{:width$}  {outlook}", "");
        }
        None if looked.objections.is_empty() => out.line(&before),
        None => {}
    }
    for Objection { cause, .. } in &looked.objections {
        out.line(&format!("{before}: {}", cause_text(cause)));
        if let Some(hint) = &cause.hint {
            out.line(&format!("{:width$}  => do: {hint}", ""));
        }
        before = format!("{:width$}  {outlook}", "");
    }
}

fn tell(out: &Out, looked: &[Looked]) {
    let width = looked.iter().map(|one| one.client.len()).max().unwrap_or(0);
    let mut counts: BTreeMap<Outlook, usize> = BTreeMap::new();
    for one in looked {
        lines(one, width, out);
        *counts.entry(one.outlook).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.iter().map(|(outlook, count)| format!("{count} {}", outlook.words())).collect();
    let noun = if looked.len() == 1 { "client" } else { "clients" };
    out.line("");
    out.line(&format!("{} {noun}: {}", looked.len(), counts.join(", ")));
}

/// Looks at what stands against `specs`, many at once.
fn look(place: &StateDir, plan: &Plan, specs: Vec<MigrationSpec>) -> Result<Vec<Looked>, CliError> {
    if plan.estate.kind == EstateKind::Lab {
        check_hosts(plan, &open_lab(place)?.hosts()?)?;
    }
    let estate = Estate::open(place, &BatchSettings::of(plan))?;
    let scope = if place.journal().exists() { place.reader()?.scope()? } else { "none".to_owned() };
    let control = Control {
        job_dir: estate.job_dir.clone(),
        on_master: estate.own_process(),
        ..Control::default()
    };
    let runtime = runtime()?;
    let Estate { transport, clock, .. } = estate;
    let found = runtime.block_on(objections(&transport, &clock, &scope, &control, specs));
    Ok(found.into_iter().map(|(client, objections)| Looked::checked(client, objections)).collect())
}
