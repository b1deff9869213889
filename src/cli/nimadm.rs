//! `nimshift nimadm …`, and the program under the name `nimadm`: a command line
//! of nimadm, through the journal, in the foreground.
//!
//! What is done is decided by the latest migration of the client:
//!
//! | its latest migration | what happens |
//! | --- | --- |
//! | none, or one that came to nothing | a new one is begun |
//! | what this line asks for, under way | it goes on |
//! | what this line asks for, migrated | it is said so, and nothing is done |
//! | anything else that is under way | the line is refused |

use std::ffi::OsString;
use std::path::Path;

use crate::aix::{argv, nim_object};
use crate::base::{limits, sanitize_line};
use crate::domain::{
    BatchName, Form, Level, LineErrors, MigrationSpec, NimName, NimadmLine, Telling, UPDATES_SINCE,
    parse_plan,
};
use crate::engine::EngineLimits;
use crate::journal::Loaded;
use crate::machine::State;
use crate::report::{LogDetail, Verdict, spoken};
use crate::transport::{Command, CommandOutput, HostId, Script};

use super::args::{EngineArgs, NimadmArgs};
use super::error::CliError;
use super::estate::{Estate, Settled, check_hosts, open_lab};
use super::exit::Exit;
use super::night::{Night, Open};
use super::nimadm_log::{LogDir, LogFollower, Subject};
use super::order::pause;
use super::out::Out;
use super::place::Place;
use super::run::{PlanFile, begin, latest_of, licences_by_environment};

/// Options that stand before a command, or before nimadm's flags, and have a
/// value.
const VALUED: [&str; 5] = ["--state-dir", "--color", "--log-dir", "--level", "--on-stop"];

/// Parts the arguments of this process: those for clap, and nimadm's own, which
/// clap would take for its own flags.
pub(super) fn split(args: Vec<OsString>) -> Result<(Vec<OsString>, Vec<String>), CliError> {
    let name = args.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == "nimadm") {
        let theirs = args.get(1..).unwrap_or_default().to_vec();
        let mut ours = vec![OsString::from("nimshift"), OsString::from("nimadm")];
        if theirs.first().is_some_and(|word| word == "--help") && theirs.len() == 1 {
            ours.extend(theirs);
            return Ok((ours, Vec::new()));
        }
        return Ok((ours, texts(theirs)?));
    }
    let options = |from: usize| {
        let mut at = from;
        while let Some(word) = args.get(at).and_then(|word| word.to_str()) {
            let is_long = word.starts_with("--") && word.len() > 2;
            // Before the command clap's short flags can stand too.
            let is_short = from == 1 && word.starts_with('-');
            if !(is_long || is_short) {
                break;
            }
            at += 1 + usize::from(VALUED.contains(&word));
        }
        at
    };
    let command = options(1);
    if args.get(command).is_none_or(|word| word != "nimadm") {
        return Ok((args, Vec::new()));
    }
    let theirs = options(command + 1).min(args.len());
    let mut ours = args;
    let theirs = ours.split_off(theirs);
    Ok((ours, texts(theirs)?))
}

fn texts(words: Vec<OsString>) -> Result<Vec<String>, CliError> {
    let text = |word: OsString| {
        word.into_string().map_err(|word| {
            CliError::usage(format!("`{}` is not UTF-8", word.display()))
                .help("no name of AIX or NIM has such characters")
        })
    };
    words.into_iter().map(text).collect()
}

/// All forms, for the help.
pub(super) fn forms_text() -> String {
    let forms: Vec<&str> = Form::ALL.iter().map(|form| form.synopsis()).collect();
    format!(
        "nimadm's forms:\n  {}\n\nExit code 0 when all is done, above 0 otherwise; see `nimshift --help`.",
        forms.join("\n  ")
    )
}

/// `nimshift nimadm …`.
pub(super) fn nimadm(
    out: &Out,
    place: &Place,
    args: &NimadmArgs,
    words: &[String],
) -> Result<Exit, CliError> {
    let line =
        NimadmLine::parse(words, licences_by_environment()).map_err(|errors| refused(&errors))?;
    if line.unexplained {
        Out::note("nimadm: -A has no effect: nothing public tells what it means");
    }
    match line.form {
        Form::Migrate(_) => DropIn { out, place, args, line: &line }.migrate(),
        form => Err(CliError::usage(format!("{form} is not part of this version"))),
    }
}

/// All that is wrong, and the forms that it may have been meant to have.
fn refused(errors: &LineErrors) -> CliError {
    let told = CliError::usage(format!("nimadm: the command line is not right\n{errors}"));
    match errors.form {
        Some(form) => told.usage_line(form.synopsis()),
        None => Form::ALL.iter().fold(told, |told, form| told.usage_line(form.synopsis())),
    }
}

/// A line that migrates.
struct DropIn<'a> {
    out: &'a Out,
    place: &'a Place,
    args: &'a NimadmArgs,
    line: &'a NimadmLine,
}

impl DropIn<'_> {
    fn migrate(&self) -> Result<Exit, CliError> {
        let settled = Estate::settled(self.place)?;
        if self.args.show_plan {
            let plan = self.plan(&settled, &self.level(&settled)?)?;
            self.out.write(plan.text.as_bytes());
            return Ok(Exit::Ok);
        }
        let logs = LogDir::new(self.place, self.args.log_dir.as_deref())?;
        let mut open = self.open()?;
        let name = self.name()?.to_string();
        let before = latest_of(std::mem::take(&mut open.loaded), &[name]).pop();
        match before {
            Some(before) if !came_to_nothing(before.machine.state()) => {
                self.go_on(&settled, &logs, open, before)
            }
            _ => self.begin(&settled, &logs, open),
        }
    }

    fn name(&self) -> Result<&NimName, CliError> {
        self.line.name().ok_or_else(|| CliError::internal("a migration without a name"))
    }

    /// The journal, once no other engine holds it.
    fn open(&self) -> Result<Open, CliError> {
        let mut is_told = false;
        loop {
            match Open::new(self.place) {
                Err(error) if error.exit() == Exit::Held && !self.args.no_wait => {
                    if !is_told {
                        Out::note(&format!("nimadm: waiting: {}", error.message()));
                        is_told = true;
                    }
                    pause();
                }
                opened => return opened,
            }
        }
    }

    /// Takes up a migration that is there already, if it is the one that the
    /// line asks for.
    fn go_on(
        &self,
        settled: &Settled,
        logs: &LogDir,
        open: Open,
        before: Loaded,
    ) -> Result<Exit, CliError> {
        let state = before.machine.state().clone();
        let (client, spoken) = (before.client.clone(), spoken(&state));
        // The level is what the SPOT had when it was begun.
        let asked = self.plan(settled, &before.spec.target.level)?;
        let asked = asked.plan.migrations.into_iter().next();
        if !asked.is_some_and(|asked| is_same(&asked, &before.spec)) {
            if state.is_terminal() {
                return self.begin(settled, logs, open);
            }
            open.journal.close()?;
            return Err(CliError::usage(format!(
                "{client} is {spoken} in a migration that another command line or plan has begun"
            ))
            .help(format!(
                "`nimshift history {client}` tells which; `nimshift resume` finishes it, \
                 `nimshift cancel {client}` takes it back"
            )));
        }
        let follower = self.follower(logs, &before, true)?;
        let file = follower.path().display().to_string();
        if state.is_terminal() {
            open.journal.close()?;
            self.out.line(&format!("nimshift: {client} is {spoken} already; its log: {file}"));
            self.out.line(&format!(
                "nimshift: nothing is done; after `nimshift rollback {client}` this line begins anew"
            ));
            return Ok(Exit::Ok);
        }
        if state.waits_for_operator() {
            open.journal.close()?;
            let exit = Exit::from(Verdict::of(&state));
            return Err(CliError::new(
                exit,
                format!("{client} is {spoken}: a person has to decide"),
            )
            .help(format!("`nimshift history {client}` tells why; its log: {file}"))
            .help(format!(
                "`nimshift retry {client}`, `nimshift rollback {client}`, or \
                     `nimshift release {client}` if it is held"
            )));
        }
        self.out.line(&format!("nimshift: {client} goes on ({spoken}); the log so far: {file}"));
        self.run(settled, follower, Open { loaded: vec![before], ..open })
    }

    fn begin(&self, settled: &Settled, logs: &LogDir, open: Open) -> Result<Exit, CliError> {
        let plan = self.plan(settled, &self.level(settled)?)?;
        check_hosts(&plan.plan, &open_lab(self.place)?.hosts()?)?;
        let fresh: Vec<(u32, &MigrationSpec)> = (1..).zip(&plan.plan.migrations).collect();
        let now_ms = settled.estate.clock.now_ms();
        let loaded = begin(&open.journal, &plan, &plan.plan.digest(), &fresh, now_ms)?;
        let Some(one) = loaded.first() else {
            return Err(CliError::internal("a migration that is not there"));
        };
        let follower = self.follower(logs, one, false)?;
        self.run(settled, follower, Open { loaded, ..open })
    }

    fn follower(
        &self,
        logs: &LogDir,
        one: &Loaded,
        quiet: bool,
    ) -> Result<LogFollower<'_>, CliError> {
        let detail = match self.line.telling {
            Telling::Debug => LogDetail::Probes,
            Telling::Verbose => LogDetail::Commands,
            Telling::Plain => LogDetail::Output,
        };
        let subject = Subject {
            id: one.id,
            skipped: one.skipped_phases.clone(),
            created_ms: one.created_ms,
            parameters: self.line.text(),
            detail,
        };
        LogFollower::new(self.out, self.place, logs, subject, quiet)
    }

    fn run(
        &self,
        settled: &Settled,
        mut follower: LogFollower<'_>,
        open: Open,
    ) -> Result<Exit, CliError> {
        let engine = EngineArgs { on_stop: self.args.on_stop, no_progress: true };
        let night = Night {
            out: self.out,
            place: self.place,
            estate: &settled.estate,
            limits: EngineLimits::of_migrations(1),
            args: &engine,
        };
        let ids: Vec<_> = open.loaded.iter().map(|one| one.id).collect();
        let ended = night.drive(open, &mut follower, |_| Ok(()))?;
        let rows = self.place.reader()?.migrations(None)?;
        let states = rows.iter().filter(|row| ids.contains(&row.id)).map(|row| &row.state);
        let exit = Exit::from(Verdict::of_all(states));
        if ended.is_none() || exit == Exit::WorkLeft {
            self.out.line("nimshift: stopped with work left; the same line goes on");
            return Ok(Exit::WorkLeft);
        }
        Ok(exit)
    }

    /// The plan that the line stands for.
    fn plan(&self, settled: &Settled, level: &Level) -> Result<PlanFile, CliError> {
        let name = self.name()?;
        if name.as_str().eq_ignore_ascii_case(settled.master.as_str()) {
            return Err(CliError::usage(format!("{name} is the NIM master itself"))
                .help("a master cannot migrate itself: name another client with -c"));
        }
        let updates = UPDATES_SINCE.parse().is_ok_and(|since| level.reaches(&since));
        if self.line.options.update && !updates {
            return Err(CliError::usage(format!(
                "-U updates within a release from {UPDATES_SINCE} on, and {} is at {level}",
                self.line.spot
            ))
            .help("leave -U out, or name a later SPOT and lpp_source"));
        }
        let batch: BatchName = "nimadm".parse().expect("a name of a batch");
        let text = self.line.plan_text(&batch, settled.kind, &settled.master, level);
        let plan = parse_plan("nimadm", &text, licences_by_environment()).map_err(|errors| {
            CliError::usage(format!("nimadm: the line cannot lead to {level}\n{errors}"))
        })?;
        Ok(PlanFile { plan, text })
    }

    /// The level that the line leads to: the SPOT's.
    fn level(&self, settled: &Settled) -> Result<Level, CliError> {
        if let Some(level) = &self.args.level {
            return Ok(level.clone());
        }
        let (spot, master) = (&self.line.spot, &settled.master);
        let output = ask(settled, &argv::lsnim(spot))?;
        let text = output.text();
        if text.contains("0042-053") {
            return Err(CliError::usage(format!("{spot} is not defined in NIM on {master}"))
                .help("`lsnim -t spot` on the master lists the SPOTs"));
        }
        let object = nim_object(&output.stdout, spot.as_str()).map_err(|error| {
            let said = sanitize_line(&text, limits::CAUSE_BYTES_MAX);
            CliError::usage(format!("{master} does not tell of {spot}: {said}")).because(&error)
        })?;
        if object.get("type") != Some("spot") {
            let kind = object.get("type").unwrap_or("of no type");
            return Err(CliError::usage(format!("{spot} is no SPOT in NIM but {kind}"))
                .help("-s names the SPOT of the target level, -l its lpp_source"));
        }
        let part = |key| object.get(key).and_then(|value| value.parse::<u32>().ok());
        let parts = || {
            let (version, release, modification) =
                (part("version")?, part("release")?, part("mod")?);
            format!("{version}{release}00-{modification:02}").parse().ok()
        };
        let told = object.get("oslevel_r").and_then(|level| level.parse().ok());
        told.or_else(parts).ok_or_else(|| {
            CliError::usage(format!("NIM does not tell the level of the SPOT {spot}")).help(
                "`nim -Fo check` it, or give the level: `nimshift nimadm --level 7300-02 …`, or \
                 NIMSHIFT_NIMADM_LEVEL in the environment",
            )
        })
    }
}

/// What one command says on the master.
fn ask(settled: &Settled, argv: &[String]) -> Result<CommandOutput, CliError> {
    let script = Script::new([Command::new(argv.iter().cloned())]);
    let host = HostId::new(settled.master.as_str());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal("cannot start the runtime").because(&error))?;
    let asked = settled.estate.transport.exec(&host, &script, limits::PROBE_TIMEOUT);
    let output = runtime.block_on(asked).map_err(|error| {
        CliError::internal(format!("cannot ask the master {host}"))
            .because(&error)
            .help("nothing was begun: run the line again when it answers")
    })?;
    output.get(0).cloned().ok_or_else(|| CliError::internal(format!("{host} gave no answer")))
}

/// Whether a migration has ended with nothing done.
fn came_to_nothing(state: &State) -> bool {
    state.is_terminal() && !matches!(state, State::Migrated { .. })
}

/// Whether a line asks for what a migration was asked for. A lock that a failed
/// run has left may have to be forced in the meantime.
fn is_same(asked: &MigrationSpec, begun: &MigrationSpec) -> bool {
    let mut asked = asked.clone();
    asked.options.force = begun.options.force;
    asked == *begun
}
