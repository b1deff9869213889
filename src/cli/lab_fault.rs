//! `nimshift lab fault`: something goes wrong on the lab.

use crate::base::nearest;
use crate::lab::{Extent, FaultKind, FaultSpec, Lab, Trouble};

use super::args::FaultArgs;
use super::error::CliError;
use super::estate::open_lab;
use super::exit::Exit;
use super::lab_ssh;
use super::out::Out;
use super::state_dir::StateDir;
use crate::report::Table;

/// How long a trouble lasts when it is not said.
const TROUBLE_SECONDS: u64 = 30;

/// More is no trouble but another estate.
const TROUBLE_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// What each piece of data is held back when it is not said.
const DELAY_MS: u64 = 100;

/// More than a connection bears.
const DELAY_MS_MAX: u64 = 60_000;

/// The share of packets that is lost when it is not said.
const LOSS_PERCENT: u8 = 10;

pub(super) fn fault(out: &Out, place: &StateDir, args: &FaultArgs) -> Result<Exit, CliError> {
    let lab = open_lab(place)?;
    if args.clear {
        lab.clear_faults()?;
        lab_ssh::end_trouble(&lab, &place.lab())?;
        return Ok(Exit::Ok);
    }
    let Some(name) = &args.kind else {
        list(out, &lab)?;
        return Ok(Exit::Ok);
    };
    if let Some(host) = &args.host {
        let hosts = lab.hosts()?;
        if !hosts.contains(host) {
            return Err(CliError::usage(format!("there is no host `{host}` in the lab")));
        }
    }
    if let Some(trouble) = Trouble::ALL.into_iter().find(|trouble| trouble.name() == name) {
        return trouble_of(&lab, place, trouble, args);
    }
    let Some(kind) = FaultKind::ALL.into_iter().find(|kind| kind.name() == name) else {
        return Err(unknown(name));
    };
    if args.ms.is_some() || args.percent.is_some() {
        return Err(CliError::usage(format!("`{name}` takes neither `--ms` nor `--percent`")));
    }
    lab.add_fault(FaultSpec {
        kind,
        host: args.host.clone(),
        command: args.command.clone(),
        times: (args.times > 0).then_some(args.times),
        skip: args.skip,
        seconds: args.seconds,
    })?;
    Ok(Exit::Ok)
}

fn unknown(name: &str) -> CliError {
    let kinds: Vec<&str> = FaultKind::ALL
        .map(FaultKind::name)
        .into_iter()
        .chain(Trouble::ALL.map(Trouble::name))
        .collect();
    let error = CliError::usage(format!("there is no fault `{name}`"));
    match nearest(name, kinds.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("possible: {}", kinds.join(", "))),
    }
}

fn list(out: &Out, lab: &Lab) -> Result<(), CliError> {
    let faults = lab.faults()?;
    if faults.is_empty() {
        out.line("no fault is set");
        return Ok(());
    }
    let mut table = Table::new(["KIND", "HOST", "COMMAND", "TIMES", "HAPPENED", "TO COME"]);
    for fault in faults {
        let spec = &fault.spec;
        table.push(vec![
            spec.kind.name().to_owned(),
            spec.host.clone().unwrap_or_else(|| "any".to_owned()),
            spec.command.clone().unwrap_or_else(|| "any".to_owned()),
            spec.times.map_or_else(|| "always".to_owned(), |times| times.to_string()),
            fault.hits.to_string(),
            match spec.times.map(|times| times.saturating_sub(fault.hits)) {
                None => "always".to_owned(),
                Some(0) => "used up".to_owned(),
                Some(left) => left.to_string(),
            },
        ]);
    }
    out.lines(&table.lines(None));
    Ok(())
}

/// What goes wrong at once.
fn trouble_of(
    lab: &Lab,
    place: &StateDir,
    trouble: Trouble,
    args: &FaultArgs,
) -> Result<Exit, CliError> {
    let name = trouble.name();
    let Some(host) = &args.host else {
        return Err(
            CliError::usage(format!("`{name}` affects one host")).help("`--host HOST` names it")
        );
    };
    let foreign = [
        ("--command", args.command.is_some()),
        ("--times", args.times != 1),
        ("--skip", args.skip != 0),
        ("--seconds", args.seconds.is_some() && !lasts(trouble)),
        ("--ms", args.ms.is_some() && trouble != Trouble::LinkDelay),
        ("--percent", args.percent.is_some() && trouble != Trouble::LinkLoss),
    ];
    if let Some((flag, _)) = foreign.iter().find(|(_, given)| *given) {
        return Err(CliError::usage(format!("`{name}` does not take `{flag}`")));
    }
    let seconds = args.seconds.unwrap_or(TROUBLE_SECONDS);
    let delay_ms = args.ms.unwrap_or(DELAY_MS);
    if seconds > TROUBLE_SECONDS_MAX || delay_ms > DELAY_MS_MAX {
        return Err(CliError::usage(format!(
            "that is too long: at most {TROUBLE_SECONDS_MAX} seconds, {DELAY_MS_MAX} ms"
        )));
    }
    let extent = Extent {
        for_ms: seconds * 1000,
        delay_ms,
        loss_percent: args.percent.unwrap_or(LOSS_PERCENT),
    };
    lab_ssh::make_trouble(lab, &place.lab(), trouble, host, &extent)?;
    Ok(Exit::Ok)
}

fn lasts(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::LinkCut | Trouble::SshdKill | Trouble::DiskFill)
}
