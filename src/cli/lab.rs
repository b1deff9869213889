//! `nimshift lab …`: the emulated estate.

use std::io::Write as _;
use std::path::Path;

use crate::base::redact;
use crate::domain::{Bootlist, CopyIs, CopyPolicy, Task};
use crate::fleet::{before, current};
use crate::journal::{JournalError, Reader};
use crate::lab::net;
use crate::lab::{BootsFrom, CopyExpected, Expectation, HostShow, LogEntry, Stage};
use crate::machine::State;
use crate::report::{self, MigrationView, Table, clock_text};

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
                let config = net::up(&open_lab(place)?, &place.lab(), way)?;
                out.line(&format!("reached by `ssh -F {} HOST`", config.display()));
            }
            Ok(Exit::Ok.into())
        }
        LabCommand::Down => {
            drop(open_lab(place)?);
            not_under_an_engine(place)?;
            net::down(&place.lab())?;
            Ok(Exit::Ok.into())
        }
        LabCommand::Serve { lab, host } => lab_ssh::serve(lab, host),
        LabCommand::Wire { lab, host } => Ok(lab_ssh::wire(lab, host)),
        LabCommand::Keep { lab } => lab_ssh::keep(lab),
        LabCommand::Host { lab, host, number } => lab_ssh::host(lab, host, *number),
        LabCommand::Enter { lab, host, command } => lab_ssh::enter(lab, host, command),
        LabCommand::Nfs { lab, host, point, at, server, with_parent } => {
            lab_ssh::nfs(out, lab, host, (point, at.as_deref()), *server, *with_parent)
        }
        LabCommand::Nfsd { lab, host, listen, mounts, hosts } => {
            lab_ssh::nfsd(lab, host, *listen, mounts.as_deref(), hosts)
        }
        LabCommand::Show => show(out, place).map(Ending::from),
        LabCommand::Exec { host, command } => exec(out, place, host, command),
        LabCommand::Disk { host, disk, size_mb } => {
            if !open_lab(place)?.give_disk(host, disk.as_str(), *size_mb)? {
                let text = format!("{disk} of {host} is as large as {size_mb} MB, or larger");
                return Err(CliError::usage(text).help("a disk is never made smaller"));
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
        (None, None) => return Err(CliError::usage("neither a plan nor an estate file is named")),
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
        return Err(CliError::usage(
            "the lab's hosts run one command at a time here, without a shell",
        )
        .help(format!(
            "give its words without quotes: `nimshift lab exec {host} -- lsvg -l rootvg`"
        )));
    }
    let unmounts = lab_ssh::unmounts(&lab, host, command)?;
    if let Some(unmounts) = &unmounts
        && !net::nfs::unmount(&place.lab(), unmounts)
    {
        let (status, message) = unmounts.busy();
        let _ = std::io::stderr().lock().write_all(message.as_bytes());
        return Ok(Ending::Status(status));
    }
    let output = lab.exec_words(host, command)?;
    if let Some(unmounts) = &unmounts {
        net::nfs::settle(&place.lab(), unmounts);
    }
    net::follow(&lab, &place.lab())?;
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
        Ok(reader) => expectations(&reader, &lab.show()?, &lab.log()?)?,
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
        let but = match unsettled.as_slice() {
            [] => String::new(),
            [one] => format!("; {one} is unfinished and was not checked"),
            many => format!("; {} are unfinished and were not checked", many.join(", ")),
        };
        out.line(&format!("{hosts} hosts: nothing is left behind{but}"));
        return Ok(Exit::Ok);
    }
    Ok(Exit::Internal)
}

/// What must hold of the clients, by their latest migrations that have touched them.
fn expectations(
    reader: &Reader,
    hosts: &[HostShow],
    log: &[LogEntry],
) -> Result<Vec<Expectation>, JournalError> {
    let mut expected = Vec::new();
    let views = report::views(reader)?;
    for latest in current(&views) {
        let view = before(&views, latest).unwrap_or(latest);
        let host = hosts.iter().find(|host| host.name == view.client);
        let one = expectation(view);
        let one = host.map(|host| as_booted(one.clone(), view, host)).unwrap_or(one);
        // What ended before the migration did was followed by that end.
        let since = views.iter().filter(|one| {
            let is_later = one.id > view.id && one.since_ms >= view.since_ms;
            one.client == view.client && is_later && !one.spec.task.is_migration()
        });
        let one = since.fold(one, |one, operation| after(one, view, operation));
        expected.push(host.map(|host| as_removed(one.clone(), view, host, log)).unwrap_or(one));
    }
    Ok(expected)
}

/// The same, where a person has booted the copy that waited for it, or the old disk
/// after it.
fn as_booted(expected: Expectation, of: &MigrationView, host: &HostShow) -> Expectation {
    let disks = &of.spec.options.disks;
    let runs_copy = host.disks.iter().any(|(name, _, vg)| {
        vg.as_deref() == Some("rootvg") && disks.iter().any(|disk| disk.as_str() == name)
    });
    let target = || disks.iter().take(1).map(ToString::to_string).collect();
    match expected.copy {
        CopyExpected::Asleep if runs_copy => Expectation {
            copy: CopyExpected::Running,
            boots_from: BootsFrom::Either(target()),
            ..expected
        },
        CopyExpected::Asleep if host.boots > 0 => {
            Expectation { boots_from: BootsFrom::Either(target()), ..expected }
        }
        // Once it was booted by the migration.
        CopyExpected::Running if !runs_copy && host.boots > 1 => Expectation {
            copy: CopyExpected::Asleep,
            boots_from: BootsFrom::Either(target()),
            ..expected
        },
        _ => expected,
    }
}

/// The same, where a person has removed the copy since, or the old system.
fn as_removed(
    expected: Expectation,
    of: &MigrationView,
    host: &HostShow,
    log: &[LogEntry],
) -> Expectation {
    let is_removal = |entry: &LogEntry| {
        let by_hand = entry.job.is_none() && entry.line.contains("alt_rootvg_op -X");
        // What a person has given up since has not ended by itself.
        let is_since = !expected.settled || entry.at_ms >= of.since_ms;
        by_hand && entry.host == of.client && is_since
    };
    let has = |vg: &str| host.disks.iter().any(|(.., of)| of.as_deref() == Some(vg));
    if !log.iter().any(is_removal) {
        return expected;
    }
    match expected.copy {
        CopyExpected::Asleep | CopyExpected::Kept if !has("altinst_rootvg") => {
            let target = of.spec.options.disks.iter().take(1).map(ToString::to_string).collect();
            let boots_from = BootsFrom::Either(target);
            Expectation { copy: CopyExpected::None, boots_from, ..expected }
        }
        copy if !has("old_rootvg") && (copy == CopyExpected::Running || !expected.settled) => {
            Expectation { copy: CopyExpected::RunningAlone, ..expected }
        }
        _ => expected,
    }
}

/// What is expected when `operation` has followed.
fn after(expected: Expectation, of: &MigrationView, operation: &MigrationView) -> Expectation {
    let ran_copy = of.seen.as_ref().is_some_and(|seen| seen.is == CopyIs::Running);
    let runs_copy = expected.copy == CopyExpected::Running || ran_copy;
    if !matches!(operation.state, State::Migrated { .. }) {
        return expected;
    }
    match operation.spec.task {
        Task::Cleanup if runs_copy || !of.spec.mode.changes_client() => expected,
        Task::Cleanup => Expectation::untouched(expected.client),
        // A woken old_rootvg goes to sleep under the name of a copy.
        Task::Wake => Expectation { settled: false, ..expected },
        Task::Sleep if runs_copy => Expectation { settled: false, ..expected },
        Task::Sleep => Expectation { settled: true, copy: CopyExpected::Asleep, ..expected },
        Task::Migrate | Task::Sync { .. } => expected,
    }
}

fn expectation(view: &MigrationView) -> Expectation {
    if !view.spec.task.is_migration() {
        // One that is under way, or the client's only ones.
        let ended = view.state.is_terminal();
        let cleaned = ended && view.spec.task == Task::Cleanup;
        return Expectation { settled: cleaned, ..Expectation::untouched(view.client.clone()) };
    }
    let options = &view.spec.options;
    let target =
        || BootsFrom::Disks(options.disks.iter().take(1).map(ToString::to_string).collect());
    let whole = view.spec.is_whole();
    let (settled, copy, boots_from) = match &view.state {
        State::Migrated { .. } if !whole => (false, CopyExpected::None, BootsFrom::Baseline),
        State::Migrated { .. } if !view.spec.mode.changes_client() => {
            (true, CopyExpected::None, BootsFrom::Baseline)
        }
        State::Migrated { .. } if options.reboot => (true, CopyExpected::Running, target()),
        State::Migrated { .. } if options.bootlist == Bootlist::Keep => {
            let target = options.disks.iter().take(1).map(ToString::to_string).collect();
            (true, CopyExpected::Asleep, BootsFrom::Either(target))
        }
        State::Migrated { .. } => (true, CopyExpected::Asleep, target()),
        State::RolledBack { .. }
            if view.spec.mode.changes_client() && view.spec.failed_copy == CopyPolicy::Sleep =>
        {
            (true, CopyExpected::Kept, BootsFrom::Baseline)
        }
        State::RolledBack { .. } if view.spec.failed_copy == CopyPolicy::Wake => {
            (false, CopyExpected::None, BootsFrom::Baseline)
        }
        // A part that was refused leaves what parts before it have made.
        State::Refused { .. } if view.spec.options.phases.is_some() => {
            (false, CopyExpected::None, BootsFrom::Baseline)
        }
        State::RolledBack { .. } | State::Refused { .. } | State::Skipped { .. } => {
            (true, CopyExpected::None, BootsFrom::Baseline)
        }
        _ => (false, CopyExpected::None, BootsFrom::Baseline),
    };
    Expectation { client: view.client.clone(), settled, copy, boots_from }
}

fn reset(out: &Out, place: &StateDir, yes: bool) -> Result<Exit, CliError> {
    drop(open_lab(place)?);
    not_under_an_engine(place)?;
    if !yes && !confirmed(&format!("Remove {}?", place.lab().display())) {
        return Err(CliError::usage("the lab is kept").help("`--yes` removes it without asking"));
    }
    let dir = place.lab();
    net::down(&dir)?;
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
        .help("wait for its end (`nimshift status --watch`), or stop it by SIGTERM"))
}
