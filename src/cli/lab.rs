//! `nimshift lab …`: the emulated estate.

use std::io::Write as _;
use std::path::Path;

use crate::base::redact;
use crate::fleet::lab_expectations;
use crate::lab::{HostShow, LogEntry, Stage};
use crate::report::{Table, clock_text};

use super::args::LabCommand;
use super::confirm::confirmed;
use super::error::CliError;
use super::estate::{create_lab, estate_of, open_lab, read_estate};
use super::exit::{Ending, Exit};
use super::lab_fault;
use super::lab_ssh;
use super::out::Out;
use super::plan_file::read_plan;
use super::state_dir::StateDir;
use super::status::engine;

/// `nimshift lab …`.
pub(super) fn lab(out: &Out, place: &StateDir, command: &LabCommand) -> Result<Ending, CliError> {
    match command {
        LabCommand::Up { plan, estate, scale, ssh } => {
            let way = ssh.map(lab_ssh::way).transpose()?;
            if plan.is_some() || estate.is_some() {
                up(out, place, plan.as_deref(), estate.as_deref(), scale.time_scale)?;
            }
            if let Some(way) = way {
                let config = lab_ssh::up(&open_lab(place)?, &place.lab(), way)?;
                out.line(&format!("reached by `ssh -F {} HOST`", config.display()));
            }
            Ok(Exit::Ok.into())
        }
        LabCommand::Down => {
            drop(open_lab(place)?);
            not_under_an_engine(place)?;
            lab_ssh::down(&place.lab())?;
            Ok(Exit::Ok.into())
        }
        LabCommand::Net(command) => lab_ssh::run(out, command),
        LabCommand::Show => show(out, place).map(Ending::from),
        LabCommand::Exec { host, command } => exec(out, place, host, command),
        LabCommand::Disk { host, disk, size_mb } => {
            if !open_lab(place)?.give_disk(host, disk.as_str(), *size_mb)? {
                let text = format!("{disk} of {host} already has {size_mb} MB or more");
                return Err(CliError::usage(text).help("a disk cannot be made smaller"));
            }
            out.line(&format!("{host}: {disk} has {size_mb} MB"));
            Ok(Exit::Ok.into())
        }
        LabCommand::Fault(args) => lab_fault::fault(out, place, args).map(Ending::from),
        LabCommand::Log { json } => log(out, place, *json).map(Ending::from),
        LabCommand::Check => check(out, place).map(Ending::from),
        LabCommand::Digest => {
            out.line(&open_lab(place)?.digest()?);
            Ok(Exit::Ok.into())
        }
        LabCommand::Reset { yes } => reset(out, place, *yes).map(Ending::from),
    }
}

fn up(
    out: &Out,
    place: &StateDir,
    plan: Option<&Path>,
    estate: Option<&Path>,
    scale: Option<u32>,
) -> Result<Exit, CliError> {
    if crate::lab::Lab::exists(&place.lab()) {
        return Err(CliError::usage(format!("there is a lab in `{}`", place.lab().display()))
            .help("`nimshift lab reset --yes` removes it"));
    }
    let file = match (plan, estate) {
        (Some(plan), _) => estate_of(&read_plan(plan)?.plan, plan)?,
        (None, Some(estate)) => read_estate(estate)?,
        (None, None) => return Err(CliError::usage("name a plan or an estate file")),
    };
    let lab = create_lab(place, &file, scale)?;
    let hosts = lab.hosts()?;
    out.line(&format!("{} hosts in {}", hosts.len(), place.lab().display()));
    Ok(Exit::Ok)
}

fn show(out: &Out, place: &StateDir) -> Result<Exit, CliError> {
    let mut table = Table::new(["HOST", "POWER", "LEVEL", "BOOTED", "BOOTLIST", "DISKS", "MORE"]);
    for host in open_lab(place)?.show()? {
        table.push(host_row(&host));
    }
    out.lines(&table.lines(None));
    Ok(Exit::Ok)
}

fn host_row(host: &HostShow) -> Vec<String> {
    let disks: Vec<String> = host
        .disks
        .iter()
        .map(|(name, _, vg)| format!("{name}:{}", vg.as_deref().unwrap_or("-")))
        .collect();
    let mut more = Vec::new();
    for (count, what) in
        [(host.mounts.len(), "mounts"), (host.exports.len(), "exports"), (host.jobs.len(), "jobs")]
    {
        if count > 0 {
            more.push(format!("{count} {what}"));
        }
    }
    vec![
        host.name.clone(),
        host.power.clone(),
        host.level.clone(),
        host.boot_disk.clone(),
        host.bootlist.join(" "),
        disks.join(" "),
        more.join(", "),
    ]
}

fn exec(out: &Out, place: &StateDir, host: &str, command: &[String]) -> Result<Ending, CliError> {
    let lab = open_lab(place)?;
    let is_line = command.len() == 1 && command[0].contains(char::is_whitespace);
    if is_line || command.iter().any(|word| [";", "|", "&&", "||", ">"].contains(&word.as_str())) {
        return Err(CliError::usage("`nimshift lab exec` runs one command, without a shell").help(
            format!("write it without quotes: `nimshift lab exec {host} -- lsvg -l rootvg`"),
        ));
    }
    let output = lab_ssh::exec(&lab, &place.lab(), host, command)?;
    // The command's own output, as its host gave it.
    out.write(output.stdout.as_bytes());
    let _ = std::io::stderr().lock().write_all(output.stderr.as_bytes());
    Ok(Ending::Status(output.status))
}

fn log(out: &Out, place: &StateDir, json: bool) -> Result<Exit, CliError> {
    for entry in open_lab(place)?.log()? {
        if out.is_gone() {
            break;
        }
        if json {
            let mut line = serde_json::to_vec(&entry).expect("entries have text for keys");
            line.push(b'\n');
            out.write(&line);
        } else {
            out.line(&log_line(&entry));
        }
    }
    Ok(Exit::Ok)
}

fn log_line(entry: &LogEntry) -> String {
    let what = match (entry.stage, entry.status) {
        (Stage::Started, _) => "begins".to_owned(),
        (Stage::Ended, Some(status)) => format!("exit {status}"),
        (Stage::Ended, None) => "ended".to_owned(),
    };
    let job = entry.job.as_ref().map_or(String::new(), |job| format!("   ({job})"));
    format!("{} {}# {}   [{what}]{job}", clock_text(entry.at_ms), entry.host, redact(&entry.line))
}

fn check(out: &Out, place: &StateDir) -> Result<Exit, CliError> {
    let lab = open_lab(place)?;
    let expected = match place.reader() {
        Ok(reader) => lab_expectations(&reader, &lab.show()?, &lab.log()?)?,
        // Nothing has run: all must be as it was made.
        Err(error) if error.exit() == Exit::Usage => Vec::new(),
        Err(error) => return Err(error),
    };
    let unsettled: Vec<&str> =
        expected.iter().filter(|one| !one.settled).map(|one| one.client.as_str()).collect();
    let violations = lab.check(&expected)?;
    for violation in &violations {
        out.line(&violation.to_string());
    }
    if violations.is_empty() {
        let hosts = lab.hosts()?.len();
        out.line(&match unsettled.as_slice() {
            [] => format!("{hosts} hosts: nothing is left behind"),
            [one] => {
                format!("not checked: {one}, which is unfinished; elsewhere nothing is left behind")
            }
            many => format!(
                "not checked: {} unfinished clients ({}); elsewhere nothing is left behind",
                many.len(),
                many.join(", ")
            ),
        });
        return Ok(Exit::Ok);
    }
    Ok(Exit::Internal)
}

fn reset(out: &Out, place: &StateDir, yes: bool) -> Result<Exit, CliError> {
    drop(open_lab(place)?);
    not_under_an_engine(place)?;
    if !yes && !confirmed(&format!("Remove {}?", place.lab().display())) {
        return Err(CliError::usage("the lab is kept").help("`--yes` removes it without asking"));
    }
    let dir = place.lab();
    lab_ssh::down(&dir)?;
    std::fs::remove_dir_all(&dir)
        .map_err(|error| CliError::file(Exit::Internal, "remove the lab", &dir, &error))?;
    out.line(&format!("{} is removed; the journal is kept", dir.display()));
    Ok(Exit::Ok)
}

/// The hosts that an engine works on are not taken away from it.
fn not_under_an_engine(place: &StateDir) -> Result<(), CliError> {
    let Some(holder) = engine(place)? else { return Ok(()) };
    let dir = place.dir().display();
    Err(CliError::new(Exit::Held, format!("an engine runs on `{dir}` ({holder}): the lab is kept"))
        .help("wait until it ends (`nimshift status --watch`), or stop it with SIGTERM"))
}
