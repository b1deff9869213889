//! `nimshift doctor PLAN`: asks the real hosts of a plan whether a night could
//! begin, and says what to do where it could not.

use std::sync::Arc;

use serde::Serialize;

use crate::base::{ClockRef, SystemClock};
use crate::domain::{Control, MigrationSpec, Reach, Via};
use crate::fleet::{Finding, Gravity, examine, objections};
use crate::transport::Transport;

use super::args::DoctorArgs;
use super::error::CliError;
use super::estate::runtime;
use super::exit::Exit;
use super::out::Out;
use super::plan_file::read_plan;
use super::real;

/// The version of the document. Introduced as 1 in 0.1.0.
const DOCTOR_VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct DoctorDocument {
    version: u32,
    batch: String,
    well: bool,
    hosts: Vec<HostDocument>,
}

/// What was found of a host.
#[derive(Debug, Serialize)]
struct HostDocument {
    host: String,
    role: &'static str,
    reached_by: String,
    findings: Vec<Finding>,
}

/// `nimshift doctor PLAN`.
pub(super) fn doctor(out: &Out, args: &DoctorArgs) -> Result<Exit, CliError> {
    let plan = read_plan(&args.plan)?.plan;
    let Some(real) = &plan.estate.real else {
        return Err(CliError::usage("the hosts of this plan are a lab: there is nothing to check")
            .help("doctor checks real hosts: those of `kind = \"ssh\"` or `kind = \"local\"`")
            .help("`nimshift preflight PLAN` checks whether its migrations may start"));
    };
    let hosts = Arc::new(real::hosts(Some(real))?);
    let master = plan.master.to_string();
    let clients: Vec<String> = plan
        .migrations
        .iter()
        .filter(|spec| spec.task.has_client())
        .map(|spec| spec.client.to_string())
        .filter(|name| {
            args.client.is_empty() || args.client.iter().any(|chosen| chosen.as_str() == name)
        })
        .collect();
    let runtime = runtime()?;
    let mut found = runtime.block_on(examine(&hosts, real, &master, &clients));
    let chosen = |spec: &&MigrationSpec| {
        !spec.task.has_client() || clients.iter().any(|client| *client == spec.client.as_str())
    };
    let specs: Vec<MigrationSpec> = plan.migrations.iter().filter(chosen).cloned().collect();
    let transport: Arc<dyn Transport> = hosts;
    let clock: ClockRef = Arc::new(SystemClock);
    let control = Control { job_dir: real.job_dir.clone(), ..Control::default() };
    let checked = runtime.block_on(objections(&transport, &clock, "none", &control, specs));
    for (client, objections) in checked {
        let host = if clients.contains(&client) { &client } else { &master };
        found.entry(host.clone()).or_default().extend(Finding::of_checks(&client, &objections));
    }
    let documents: Vec<HostDocument> = std::iter::once(&master)
        .chain(&clients)
        .map(|host| HostDocument {
            host: host.clone(),
            role: if *host == master { "master" } else { "client" },
            reached_by: real.hosts.get(host).map_or_else(String::new, |reach| said(host, reach)),
            findings: found.get(host).cloned().unwrap_or_default(),
        })
        .collect();
    let is_bad = |finding: &Finding| finding.verdict == Gravity::Bad;
    let well = !documents.iter().flat_map(|host| &host.findings).any(is_bad);
    if args.json {
        let batch = plan.name.to_string();
        out.json(&DoctorDocument { version: DOCTOR_VERSION, batch, well, hosts: documents });
    } else {
        for host in &documents {
            show(out, host);
        }
        let end = if well { "All checks passed." } else { "Some checks failed: see above." };
        out.line(end);
    }
    Ok(if well { Exit::Ok } else { Exit::NeedsOperator })
}

fn said(host: &str, reach: &Reach) -> String {
    let address = reach.address.as_deref().unwrap_or(host);
    match reach.via {
        Via::Here => "this machine".to_owned(),
        Via::Master => {
            format!("the remote shell of {}", reach.master.as_deref().unwrap_or("the master"))
        }
        Via::Ssh => {
            let user = reach.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            let jump = reach.jump.as_ref().map(|jump| format!(" through {jump}"));
            format!("ssh {user}{address}{}", jump.unwrap_or_default())
        }
    }
}

fn show(out: &Out, host: &HostDocument) {
    out.line(&format!("{} ({}, by {})", host.host, host.role, host.reached_by));
    for Finding { check, verdict, text, help } in &host.findings {
        out.line(&format!("  {:<5} {check:<12} {text}", verdict.word()));
        if let Some(help) = help {
            out.line(&format!("  {:<5} {:<12} {help}", "", "=> do:"));
        }
    }
}
