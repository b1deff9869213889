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

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;

use crate::domain::{Form, LineErrors, MigrationId, MigrationSpec, NimName, NimadmLine, Telling};
use crate::engine::EngineLimits;
use crate::fleet::{self, LineFinds, Operation, is_over, latest_of, rest_of, unhidden};
use crate::journal::Loaded;
use crate::report::{LogDetail, MigrationView, Verdict, spoken_as, ways_out};

use super::args::{EngineArgs, NimadmArgs, OperationArgs};
use super::engine_run::{EngineRun, OpenJournal};
use super::error::CliError;
use super::exit::Exit;
use super::interrupt;
use super::left;
use super::nimadm_hosts::Settled;
use super::nimadm_log::{LogDir, LogFollower, Subject};
use super::operation::{OperationRun, Prepared};
use super::operator::operator;
use super::out::Out;
use super::plan_file::licences_by_environment;
use super::state_dir::StateDir;

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
                .help("AIX and NIM names cannot have such characters")
        })
    };
    words.into_iter().map(text).collect()
}

/// `nimshift nimadm …`.
pub(super) fn nimadm(
    out: &Out,
    place: &StateDir,
    args: &NimadmArgs,
    words: &[String],
) -> Result<Exit, CliError> {
    let line =
        NimadmLine::parse(words, licences_by_environment()).map_err(|errors| refused(&errors))?;
    if line.unexplained {
        Out::note("nimadm: -A is ignored: its meaning is not documented");
    }
    let drop_in = DropIn { out, place, args, line: &line };
    let operation = match line.form {
        Form::Migrate(_) => return drop_in.migrate(),
        Form::Cleanup => Operation::Cleanup,
        Form::Wake => Operation::Wake {
            disks: line.options.disks.clone(),
            mount_options: line.options.mount_options.clone(),
            post_script: line.options.post_script.clone(),
        },
        Form::Sleep => Operation::Sleep,
        Form::Sync => Operation::Sync {
            lpp_source: line.lpp_source.clone(),
            device: line.device.clone(),
            preview: line.preview,
        },
    };
    drop_in.operate(operation)
}

/// All that is wrong, and the forms that it may have been meant to have.
fn refused(errors: &LineErrors) -> CliError {
    let told = CliError::usage(format!("nimadm: the command line has errors\n{errors}"));
    match errors.form {
        Some(form) => told.usage_line(form.synopsis()),
        None => Form::ALL.iter().fold(told, |told, form| told.usage_line(form.synopsis())),
    }
}

/// A line that migrates.
struct DropIn<'a> {
    out: &'a Out,
    place: &'a StateDir,
    args: &'a NimadmArgs,
    line: &'a NimadmLine,
}

impl DropIn<'_> {
    fn migrate(&self) -> Result<Exit, CliError> {
        let settled = Settled::of(self.place, self.line)?;
        if self.args.show_plan {
            let plan = settled.checked_plan(self.place, self.line, self.args.level.as_ref())?;
            self.out.write(plan.text.as_bytes());
            return Ok(Exit::Ok);
        }
        let logs = LogDir::new(self.place, self.args.log_dir.as_deref())?;
        let mut open = self.wait(|| OpenJournal::new(self.place))?;
        let name = self.name()?.to_string();
        let loaded = std::mem::take(&mut open.loaded);
        let clients = [name];
        let view = left::as_they_stand(self.place, &clients)?.pop();
        match (latest_of(unhidden(loaded), &clients).pop(), view) {
            (Some(before), Some(view)) if !is_over(&view) => {
                self.go_on(&settled, &logs, open, (before, &view))
            }
            _ => self.begin(&settled, &logs, open, None),
        }
    }

    /// An operation beside the migration.
    fn operate(&self, operation: Operation) -> Result<Exit, CliError> {
        if self.args.show_plan {
            return Err(CliError::usage(format!("{} has no plan", self.line.form))
                .help("`--show-plan` works only with a migration"));
        }
        // There must be hosts, before anything is journaled.
        Settled::check(self.place)?;
        let logs = LogDir::new(self.place, self.args.log_dir.as_deref())?;
        let line = self.line;
        let args = OperationArgs {
            force: line.options.force,
            engine: EngineArgs { on_stop: self.args.on_stop, no_progress: true },
            ..OperationArgs::default()
        };
        let (out, place) = (self.out, self.place);
        let operation = OperationRun { out, place, operation, args: &args };
        // Where there is no client, an operation goes by the name of the SPOT.
        let name = line.client.clone().unwrap_or_else(|| line.spot.clone());
        let Prepared { open, estate, limits, ids } =
            self.wait(|| operation.prepare(std::slice::from_ref(&name)))?;
        let Some(one) = open.loaded.iter().find(|one| ids.contains(&one.id)) else {
            return Err(CliError::internal("an operation that is not there"));
        };
        let follower = self.follower(&logs, one, false)?;
        let night = EngineRun {
            out,
            place,
            estate: &estate,
            limits,
            args: &args.engine,
            takes_work: false,
        };
        self.run(&night, follower, open, &ids)
    }

    fn name(&self) -> Result<&NimName, CliError> {
        self.line.name().ok_or_else(|| CliError::internal("a migration without a name"))
    }

    /// What `open` gives, once no other engine holds the journal.
    fn wait<T>(&self, open: impl Fn() -> Result<T, CliError>) -> Result<T, CliError> {
        let mut is_told = false;
        loop {
            match open() {
                Err(error) if error.exit() == Exit::Held && !self.args.no_wait => {
                    if !is_told {
                        Out::note(&format!("nimadm: waiting: {}", error.message()));
                        is_told = true;
                    }
                    interrupt::pause();
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
        open: OpenJournal,
        (before, view): (Loaded, &MigrationView),
    ) -> Result<Exit, CliError> {
        let state = before.machine.state().clone();
        let (client, spoken) = (before.client.clone(), spoken_as(&state, &before.spec));
        // The level is what the SPOT had when it was begun. An operation is another line's.
        let begun = before.spec.task.migrates();
        let asked = begun.map(|aim| settled.plan(self.line, &aim.target.level)).transpose()?;
        let asked = asked.as_ref().and_then(|asked| asked.plan.migrations.first());
        let finds = LineFinds::of(asked, &before.spec, &state);
        match finds {
            LineFinds::Part => return self.begin(settled, logs, open, Some(&before)),
            LineFinds::Another => {
                open.journal.close()?;
                return Err(CliError::usage(format!(
                    "{client} is {spoken} in a migration that another command line or plan has begun"
                ))
                .help(format!("`nimshift history {client}` shows which"))
                .help(ways_out(&client, &state)));
            }
            LineFinds::Done | LineFinds::WaitsForOrder | LineFinds::Unfinished => {}
        }
        let follower = self.follower(logs, &before, true)?;
        let file = follower.path().display().to_string();
        if finds == LineFinds::Unfinished {
            self.out.line(&format!("nimshift: {client} continues ({spoken}); log so far: {file}"));
            let ids = [before.id];
            let open = OpenJournal { loaded: vec![before], ..open };
            return self.engine(settled, follower, open, &ids);
        }
        open.journal.close()?;
        if finds == LineFinds::Done {
            let already = view.standing().already();
            self.out.line(&format!("nimshift: {client}: {already}; its log: {file}"));
            self.out.line(&format!(
                "nimshift: nothing to do; to migrate it again, first `nimshift rollback {client}`"
            ));
            return Ok(Exit::Ok);
        }
        let exit = Exit::from(Verdict::of(&state));
        Err(CliError::new(exit, format!("{client} is {spoken} and needs your order"))
            .help(format!("`nimshift history {client}` shows why; its log: {file}"))
            .help(ways_out(&client, &state)))
    }

    /// Begins what the line asks for, or the rest of it after the part that
    /// `before` has done.
    fn begin(
        &self,
        settled: &Settled,
        logs: &LogDir,
        open: OpenJournal,
        before: Option<&Loaded>,
    ) -> Result<Exit, CliError> {
        let plan = settled.checked_plan(self.place, self.line, self.args.level.as_ref())?;
        let part = before.filter(|before| !before.spec.is_whole());
        let asked = (1..).zip(&plan.plan.migrations);
        let fresh: Vec<(u32, Cow<'_, MigrationSpec>)> = asked
            .map(|(number, spec)| match part {
                Some(part) => (number, Cow::Owned(rest_of(spec, part))),
                None => (number, Cow::Borrowed(spec)),
            })
            .collect();
        let now_ms = settled.estate.clock.now_ms();
        let begun = (now_ms, operator());
        let loaded = fleet::begin(&open.journal, &plan, &plan.plan.digest(), &fresh, begun)?;
        let Some(one) = loaded.first() else {
            return Err(CliError::internal("a migration that is not there"));
        };
        let follower = self.follower(logs, one, false)?;
        let ids = [one.id];
        self.engine(settled, follower, OpenJournal { loaded, ..open }, &ids)
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

    /// Runs a migration.
    fn engine(
        &self,
        settled: &Settled,
        follower: LogFollower<'_>,
        open: OpenJournal,
        ids: &[MigrationId],
    ) -> Result<Exit, CliError> {
        let engine = EngineArgs { on_stop: self.args.on_stop, no_progress: true };
        let night = EngineRun {
            out: self.out,
            place: self.place,
            estate: &settled.estate,
            limits: EngineLimits::of_migrations(1),
            args: &engine,
            takes_work: false,
        };
        self.run(&night, follower, open, ids)
    }

    /// Runs `night` to its end, and gives what `ids` have come to.
    fn run(
        &self,
        night: &EngineRun<'_>,
        mut follower: LogFollower<'_>,
        open: OpenJournal,
        ids: &[MigrationId],
    ) -> Result<Exit, CliError> {
        let ended = night.drive(open, &mut follower, |_, _| Ok(()))?;
        let rows = self.place.reader()?.migrations(None)?;
        let states = rows.iter().filter(|row| ids.contains(&row.id)).map(|row| &row.state);
        let exit = Exit::from(Verdict::of_all(states));
        if ended.is_none() || exit == Exit::WorkLeft {
            self.out.line("nimshift: stopped with work left; run the same line to continue");
            return Ok(Exit::WorkLeft);
        }
        Ok(exit)
    }
}
