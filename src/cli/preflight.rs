//! `nimshift preflight PLAN`, and `run --preflight`: the checks that a migration
//! begins with, for the whole fleet at once, before anything is begun.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::base::{ClockRef, limits};
use crate::domain::{Control, EstateKind, FailureClass, MigrationSpec, Plan};
use crate::fleet::BatchSettings;
use crate::machine::State;
use crate::phases::{self, Objection};
use crate::report::cause_text;
use crate::transport::Transport;

use super::args::PreflightArgs;
use super::error::CliError;
use super::estate::{Estate, check_hosts, open_lab, runtime};
use super::exit::Exit;
use super::left;
use super::out::Out;
use super::place::Place;
use super::plan_file::{only, read_plan};

/// The version of the document. Introduced as 1 in 0.1.0.
const PREFLIGHT_VERSION: u32 = 1;

/// What a migration's checks come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outlook {
    /// It may begin.
    Fine,
    /// `run` does not begin it.
    LeftAlone,
    /// Nothing is to be done.
    Skipped,
    /// It cannot begin now; what stands against it may pass by itself.
    NotNow,
    /// It would be refused.
    Refused,
    /// A person has to see to something.
    NeedsOperator,
}

impl Outlook {
    fn of(objections: &[Objection]) -> Outlook {
        let of_one = |objection: &Objection| match objection.cause.class {
            FailureClass::AlreadyDone => Outlook::Skipped,
            FailureClass::Transient | FailureClass::Wrapper => Outlook::NotNow,
            FailureClass::Informative => Outlook::Fine,
            FailureClass::NeedsOperator if !objection.gate => Outlook::NeedsOperator,
            FailureClass::Permanent | FailureClass::NeedsOperator => Outlook::Refused,
        };
        objections.iter().map(of_one).max().unwrap_or(Outlook::Fine)
    }

    fn words(self) -> &'static str {
        match self {
            Outlook::Fine => "fine",
            Outlook::LeftAlone => "left alone",
            Outlook::Skipped => "skipped",
            Outlook::NotNow => "not now",
            Outlook::Refused => "refused",
            Outlook::NeedsOperator => "needs an operator",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Outlook::Fine | Outlook::LeftAlone | Outlook::Skipped => Exit::Ok,
            Outlook::NotNow | Outlook::Refused => Exit::SomeFailed,
            Outlook::NeedsOperator => Exit::NeedsOperator,
        }
    }
}

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

/// A client of the plan, and what stands against its migration.
struct Looked {
    client: String,
    outlook: Outlook,
    /// Why it is left alone.
    why: Option<String>,
    objections: Vec<Objection>,
}

impl Looked {
    fn lines(&self, width: usize, out: &Out) {
        let (client, outlook) = (&self.client, self.outlook.words());
        let mut before = format!("{client:width$}  {outlook}");
        if let Some(why) = &self.why {
            out.line(&format!("{before}: {why}"));
            return;
        }
        if self.objections.is_empty() {
            out.line(&before);
        }
        for Objection { cause, .. } in &self.objections {
            out.line(&format!("{before}: {}", cause_text(cause)));
            if let Some(hint) = &cause.hint {
                out.line(&format!("{:width$}  => do: {hint}", ""));
            }
            before = format!("{:width$}  {outlook}", "");
        }
    }
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
pub(super) fn preflight(out: &Out, place: &Place, args: &PreflightArgs) -> Result<Exit, CliError> {
    let mut plan = read_plan(&args.plan)?.plan;
    only(&mut plan, &args.client)?;
    let left_alone = left_alone(place, &plan)?;
    let is_left = |spec: &MigrationSpec| left_alone.contains_key(spec.client.as_str());
    let specs = plan.migrations.iter().filter(|spec| !is_left(spec)).cloned().collect();
    let mut looked = look(place, &plan, specs)?;
    looked.extend(left_alone.into_iter().map(|(client, why)| Looked {
        client,
        outlook: Outlook::LeftAlone,
        why: Some(why),
        objections: Vec::new(),
    }));
    let order =
        |client: &str| plan.migrations.iter().position(|spec| spec.client.as_str() == client);
    looked.sort_by_key(|one| order(&one.client));
    let exit = worst(&looked);
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
    out.line("Nothing was begun or changed.");
    if exit != Exit::Ok {
        Out::note(&format!("exit code {}: {}", exit.code(), exit.meaning()));
    }
    Ok(exit)
}

/// `run --preflight`: an error, and nothing begun, unless all of `specs` may begin.
pub(super) fn all_may_begin(
    out: &Out,
    place: &Place,
    plan: &Plan,
    specs: Vec<MigrationSpec>,
) -> Result<(), CliError> {
    let looked = look(place, plan, specs)?;
    let exit = worst(&looked);
    if exit == Exit::Ok {
        return Ok(());
    }
    tell(out, &looked);
    let text = "the plan is not run: its checks fail, and nothing was begun or changed";
    Err(CliError::new(exit, text)
        .help("`nimshift preflight PLAN` tells the same; without `--preflight` the others are run"))
}

fn worst(looked: &[Looked]) -> Exit {
    looked.iter().map(|one| one.outlook.exit()).max().unwrap_or(Exit::Ok)
}

fn tell(out: &Out, looked: &[Looked]) {
    let width = looked.iter().map(|one| one.client.len()).max().unwrap_or(0);
    let mut counts: BTreeMap<Outlook, usize> = BTreeMap::new();
    for one in looked {
        one.lines(width, out);
        *counts.entry(one.outlook).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.iter().map(|(outlook, count)| format!("{count} {}", outlook.words())).collect();
    let noun = if looked.len() == 1 { "client" } else { "clients" };
    out.line("");
    out.line(&format!("{} {noun}: {}", looked.len(), counts.join(", ")));
}

/// The clients that `run` would not begin, each with the reason, by the journal
/// where there is one.
fn left_alone(place: &Place, plan: &Plan) -> Result<BTreeMap<String, String>, CliError> {
    if !place.journal().exists() {
        return Ok(BTreeMap::new());
    }
    let clients: Vec<String> = plan.migrations.iter().map(|spec| spec.client.to_string()).collect();
    let views = left::as_they_stand(place, &clients)?;
    let wanted = |client: &str| plan.migrations.iter().find(|spec| spec.client.as_str() == client);
    let why = |view: &crate::report::MigrationView| {
        let spec = wanted(&view.client)?;
        let (state, standing) = (&view.state, view.standing());
        let is_reached = matches!(state, State::Migrated { .. } | State::Skipped { .. })
            && view.spec.task.is_migration()
            && view.spec.target == spec.target
            && standing.name() != "cleaned";
        if !state.is_terminal() {
            Some(format!("it is under way here ({})", standing.spoken()))
        } else if is_reached {
            Some(standing.already())
        } else {
            None
        }
    };
    Ok(views.iter().filter_map(|view| Some((view.client.clone(), why(view)?))).collect())
}

/// Looks at what stands against `specs`, many at once.
fn look(place: &Place, plan: &Plan, specs: Vec<MigrationSpec>) -> Result<Vec<Looked>, CliError> {
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
    let found = runtime.block_on(ask(&transport, &clock, &scope, &control, specs));
    let looked = found.into_iter().map(|(client, objections)| Looked {
        client,
        outlook: Outlook::of(&objections),
        why: None,
        objections,
    });
    Ok(looked.collect())
}

/// What stands against each of `specs`, in their order.
pub(super) async fn ask(
    transport: &Arc<dyn Transport>,
    clock: &ClockRef,
    scope: &str,
    control: &Control,
    specs: Vec<MigrationSpec>,
) -> Vec<(String, Vec<Objection>)> {
    let places = Arc::new(Semaphore::new(limits::PREFLIGHT_AT_ONCE));
    let mut asked = JoinSet::new();
    for (index, spec) in specs.into_iter().enumerate() {
        let (transport, clock) = (Arc::clone(transport), Arc::clone(clock));
        let (scope, control, places) = (scope.to_owned(), control.clone(), Arc::clone(&places));
        asked.spawn(async move {
            let _place = places.acquire().await.expect("nobody closes it");
            let found = phases::preflight(&*transport, &clock, &scope, &control, &spec).await;
            (index, spec.client.to_string(), found)
        });
    }
    let mut found = asked.join_all().await;
    found.sort_by_key(|(index, ..)| *index);
    found.into_iter().map(|(_, client, objections)| (client, objections)).collect()
}
