//! One run of the engine in this process, from the opened journal to the
//! summary.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::base::SystemClock;
use crate::domain::{Control, MigrationId};
use crate::engine::{
    Delays, Ended, Engine, EngineLimits, Observer, OnStop, StepPerformer, StopHandle, stop_handle,
};
use crate::fleet::{BatchSettings, EvidenceFiles, JournaledRequests, run_for};
use crate::journal::{Ack, Journal, Loaded, Reader};
use crate::machine::State;
use crate::report::{self, MigrationView, Story, Verdict, summary_lines};

use super::args::{EngineArgs, OnStopChoice};
use super::error::CliError;
use super::estate::{Estate, runtime};
use super::exit::Exit;
use super::left;
use super::out::Out;
use super::progress::Progress;
use super::state_dir::{self, StateDir};

/// An opened journal, and where it says what is stored.
pub(super) struct OpenJournal {
    pub(super) journal: Journal,
    pub(super) acks: UnboundedReceiver<Vec<Ack>>,
    pub(super) loaded: Vec<Loaded>,
}

impl OpenJournal {
    /// Opens the journal as an engine.
    pub(super) fn new(place: &StateDir) -> Result<OpenJournal, CliError> {
        let opened = Journal::open(place.dir(), &StateDir::open_options());
        let (journal, loaded) = opened.map_err(|error| {
            let is_damage = error.is_damage();
            let told = CliError::from(error);
            if is_damage {
                let file = place.journal();
                told.help(format!("`{}` was not written, and no host was touched", file.display()))
            } else {
                told
            }
        })?;
        let acks = journal.acks().expect("nobody else has asked for them");
        Ok(OpenJournal { journal, acks, loaded })
    }
}

/// A run to be made.
pub(super) struct EngineRun<'a> {
    pub(super) out: &'a Out,
    pub(super) place: &'a StateDir,
    pub(super) estate: &'a Estate,
    pub(super) limits: EngineLimits,
    pub(super) args: &'a EngineArgs,
    /// Whether it takes on work that is handed over: it runs plans, not an order.
    pub(super) takes_work: bool,
}

impl EngineRun<'_> {
    /// Runs `open.loaded` until they are at rest or a signal stops the run, and
    /// tells what became of `clients`, and what that comes to by `judge`.
    pub(super) fn run(
        &self,
        open: OpenJournal,
        clients: &[String],
        judge: fn(&State) -> Verdict,
    ) -> Result<Exit, CliError> {
        let mut ids: Vec<MigrationId> = open.loaded.iter().map(|one| one.id).collect();
        self.run_and_tell(open, |joined| {
            let now_ms = self.estate.clock.now_ms();
            // They were begun, whatever this run was about.
            let mut clients = clients.to_vec();
            for (id, client) in joined {
                ids.push(*id);
                if !clients.contains(client) {
                    clients.push(client.clone());
                }
            }
            tell(self.out, self.place, (&clients, &ids), judge, now_ms)
        })
    }

    /// Runs `open.loaded` until they are at rest or a signal stops the run, and
    /// lets `tell` say what became of them.
    pub(super) fn run_and_tell(
        &self,
        open: OpenJournal,
        tell: impl FnOnce(&[(MigrationId, String)]) -> Result<Exit, CliError>,
    ) -> Result<Exit, CliError> {
        let mut progress = Progress::new(self.args.no_progress, &open.loaded);
        self.recall(&mut progress, &open.loaded)?;
        let mut finished = None;
        let driven = self.drive(open, &mut progress, |progress, joined| {
            progress.finish();
            finished = Some(tell(joined)?);
            Ok(())
        });
        progress.finish();
        let ended = driven?;
        Ok(if ended.is_none() { Exit::WorkLeft } else { finished.unwrap_or(Exit::Internal) })
    }

    /// Tells how long those have been under way that another engine has begun.
    fn recall(&self, progress: &mut Progress, loaded: &[Loaded]) -> Result<(), CliError> {
        let is_begun = |one: &&Loaded| one.seq > 0 && !one.machine.state().is_terminal();
        let begun: Vec<MigrationId> = loaded.iter().filter(is_begun).map(|one| one.id).collect();
        if begun.is_empty() {
            return Ok(());
        }
        let (reader, now_ms) = (self.place.reader()?, self.estate.clock.now_ms());
        for view in report::views(&reader)?.into_iter().filter(|view| begun.contains(&view.id)) {
            let story = report::story(&reader, view)?;
            progress.under_way(story.view.id, now_ms.saturating_sub(story.duration_ms(now_ms)));
        }
        Ok(())
    }

    /// Runs `open.loaded`, and `then`, with the journal still open, what is to be
    /// done in the end. `None`: a second signal ended the run at once.
    pub(super) fn drive<O: Observer>(
        &self,
        open: OpenJournal,
        observer: &mut O,
        then: impl FnOnce(&mut O, &[(MigrationId, String)]) -> Result<(), CliError>,
    ) -> Result<Option<Ended>, CliError> {
        let OpenJournal { journal, acks, loaded } = open;
        let learn =
            |settings: &BatchSettings, clients: &[&str]| self.estate.learn(settings, clients);
        let requests = JournaledRequests::new(self.place.dir(), &learn, &loaded)?;
        let mut requests = if self.takes_work { requests.with_work() } else { requests };
        let evidence = EvidenceFiles::new(self.place.evidence());
        let performer = StepPerformer {
            transport: Arc::clone(&self.estate.transport),
            clock: Arc::clone(&self.estate.clock),
            evidence: Arc::new(evidence),
            scope: journal.scope().to_owned(),
            control: Control {
                host: state_dir::host_name(),
                batch: String::new(),
                epoch: journal.epoch(),
                job_dir: self.estate.job_dir.clone(),
                on_master: self.estate.own_process(),
            },
            batches: requests.names(),
        };
        let (stop, stopped) = stop_handle();
        let engine = Engine {
            journal: &journal,
            acks,
            performer: Arc::new(performer),
            clock: Arc::clone(&self.estate.clock),
            observer,
            requests: Some(&mut requests),
            stop: stopped,
        };
        let seed = SystemClock::read_ms() ^ u64::from(std::process::id());
        let runtime = runtime()?;
        let ended = runtime.block_on(async {
            tokio::select! {
                ended = engine.run(loaded, &self.limits, Delays::seeded(seed)) => Some(ended),
                () = self.signals(&stop) => None,
            }
        });
        // Attempts that are still in flight are left to their hosts.
        runtime.shutdown_background();
        if let Some(Ended::JournalFailed(error)) = ended {
            // Who was fenced off has nothing to go on with.
            let is_fenced = matches!(error, crate::journal::JournalError::Fenced { .. });
            let told = CliError::from(error);
            return Err(if is_fenced {
                told
            } else {
                told.help("everything acknowledged is kept; fix the cause, then `nimshift resume`")
            });
        }
        journal.flush()?;
        then(observer, &requests.joined)?;
        // The journal that is closed last is left as one file.
        drop(requests);
        journal.close()?;
        Ok(ended)
    }

    /// Asks for a stop at the first signal; returns at the second.
    async fn signals(&self, stop: &StopHandle) {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            Out::note("cannot catch signals here: a signal ends this process at once");
            return std::future::pending().await;
        };
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first {
                let (how, text) = match self.args.on_stop {
                    OnStopChoice::Wait => (OnStop::Wait, "waiting for running steps"),
                    OnStopChoice::Leave => (OnStop::Leave, "running steps continue on their hosts"),
                };
                Out::note(&format!(
                    "stopping: no new steps; {text}; a second signal exits at once"
                ));
                stop.stop(how);
            }
        }
    }
}

/// The summary of `clients`, and the exit that it comes to by `judge`: of those of
/// `ids`, which this run was about, and else of what counts for the client.
pub(super) fn tell(
    out: &Out,
    place: &StateDir,
    (clients, ids): (&[String], &[MigrationId]),
    judge: fn(&State) -> Verdict,
    now_ms: u64,
) -> Result<Exit, CliError> {
    tell_by(out, place, (clients, ids), judge, now_ms, left::ask)
}

/// The same of what nothing was done about: each client is asked what stands.
pub(super) fn tell_at_rest(
    out: &Out,
    place: &StateDir,
    of: (&[String], &[MigrationId]),
    now_ms: u64,
) -> Result<Exit, CliError> {
    tell_by(out, place, of, Verdict::of, now_ms, left::ask_all)
}

/// How the hosts are asked before it is told.
type Ask = fn(&StateDir, &Reader, &[MigrationView], &mut [Story]) -> Result<(), CliError>;

fn tell_by(
    out: &Out,
    place: &StateDir,
    (clients, ids): (&[String], &[MigrationId]),
    judge: fn(&State) -> Verdict,
    now_ms: u64,
    ask: Ask,
) -> Result<Exit, CliError> {
    let reader = place.reader()?;
    let all = report::views(&reader)?;
    let views = run_for(&all, clients, ids);
    let verdicts = views.iter().map(|view| judge(&view.state));
    let verdict = verdicts.max().unwrap_or(Verdict::AllMigrated);
    let mut stories = report::stories(&reader, views)?;
    ask(place, &reader, &all, &mut stories)?;
    out.lines(&summary_lines(&stories, now_ms));
    let exit = Exit::from(verdict);
    if exit != Exit::Ok {
        Out::note(&format!("exit code {}: {}", exit.code(), exit.meaning()));
    }
    Ok(exit)
}
