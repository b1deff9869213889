//! The lab as others hold it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::build;
use super::check::{Expectation, Violation, check};
use super::estate::{EstateError, EstateFile};
use super::fault::{Fault, FaultKind, FaultSpec};
use super::job;
use super::log::{LogEntry, Stage};
use super::show::{HostShow, show};
use super::store::{DirStore, StoreError};
use super::world::{Disk, Job, JobStage, Power, World};
use super::{image, power, run};
use crate::base::limits::JOBS_NAMED_MAX;
use crate::base::{ClockRef, Millis};
use crate::transport::{
    Bar, Command, CommandOutput, HostId, JobId, JobState, Output, OutputMark, OutputPiece, Script,
    Transport, TransportError, TransportFuture,
};

/// Why the lab could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The estate file does not do.
    #[error(transparent)]
    Estate(#[from] EstateError),
    /// The directory does not do.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such host.
    #[error("there is no host `{0}` in the lab")]
    UnknownHost(String),
    /// The host does not answer.
    #[error("`{host}` does not answer: {why}")]
    Unreachable {
        host: String,
        /// One line.
        why: String,
    },
}

/// How long a connection to a host that is not there is tried.
const CONNECT_MS: Millis = 5_000;

/// What a call over the network takes by itself.
const CALL_MS: Millis = 200;

/// An emulated estate. Clones are the same estate.
#[derive(Debug, Clone)]
pub struct Lab {
    shared: Arc<Mutex<Shared>>,
    clock: ClockRef,
}

#[derive(Debug)]
struct Shared {
    world: World,
    /// The log, when it is not on disk.
    log: Vec<LogEntry>,
    store: Option<DirStore>,
}

impl Lab {
    /// An estate in memory.
    pub fn in_memory(estate: &EstateFile, clock: ClockRef) -> Result<Lab, LabError> {
        let world = build::world(estate, clock.now_ms())?;
        let shared = Shared { world, log: Vec::new(), store: None };
        Ok(Lab { shared: Arc::new(Mutex::new(shared)), clock })
    }

    /// Makes an estate in a directory that does not hold one.
    pub fn create(
        dir: &Path,
        estate: &EstateFile,
        scale_override: Option<u32>,
    ) -> Result<Lab, LabError> {
        let scale = scale_override.unwrap_or(estate.time_scale).max(1);
        let clock = super::store::new_clock(scale);
        let world = build::world(estate, clock.origin_ms)?;
        let store = DirStore::create(dir, &world, clock)?;
        let shared = Shared { world, log: Vec::new(), store: Some(store) };
        Ok(Lab { shared: Arc::new(Mutex::new(shared)), clock: Arc::new(clock) })
    }

    /// Opens the estate in a directory.
    pub fn open(dir: &Path) -> Result<Lab, LabError> {
        let (store, world, clock) = DirStore::open(dir)?;
        let shared = Shared { world, log: Vec::new(), store: Some(store) };
        Ok(Lab { shared: Arc::new(Mutex::new(shared)), clock: Arc::new(clock) })
    }

    /// Whether there is an estate in the directory.
    pub fn exists(dir: &Path) -> bool {
        DirStore::exists(dir)
    }

    /// The estate's clock.
    pub fn clock(&self) -> ClockRef {
        self.clock.clone()
    }

    /// The name of the NIM master.
    pub fn master(&self) -> Result<String, LabError> {
        self.with(|world, _, _| world.master.clone())
    }

    /// Runs one command on a host, as an administrator would who is logged in.
    /// A long one takes effect at once.
    pub fn exec_words(&self, host: &str, argv: &[String]) -> Result<CommandOutput, LabError> {
        let script = Script::new([Command::new(argv.iter().cloned())]);
        self.with(|world, now, log| {
            let Some(known) = world.find(host) else {
                return Err(LabError::UnknownHost(host.to_owned()));
            };
            if known.power != Power::Up {
                return Err(LabError::Unreachable {
                    host: host.to_owned(),
                    why: down(world, host),
                });
            }
            let (output, _) = exec_script(world, host, &script, now, log);
            Ok(output.commands.into_iter().next().unwrap_or_default())
        })?
    }

    /// Names of all hosts, the master first.
    pub fn hosts(&self) -> Result<Vec<String>, LabError> {
        Ok(self.show()?.into_iter().map(|host| host.name).collect())
    }

    /// The estate for a table.
    pub fn show(&self) -> Result<Vec<HostShow>, LabError> {
        self.with(|world, _, _| show(world))
    }

    /// The log of every command that a host ran.
    pub fn log(&self) -> Result<Vec<LogEntry>, LabError> {
        // What is due is logged first.
        self.with(|_, _, _| ())?;
        let shared = self.lock();
        Ok(match &shared.store {
            Some(store) => store.read_log()?,
            None => shared.log.clone(),
        })
    }

    /// Lets something go wrong.
    pub fn add_fault(&self, spec: FaultSpec) -> Result<(), LabError> {
        self.with(|world, _, _| Arc::make_mut(&mut world.faults).push(Fault::new(spec)))
    }

    /// What is to go wrong, and how often it has.
    pub fn faults(&self) -> Result<Vec<Fault>, LabError> {
        self.with(|world, _, _| world.faults.as_ref().clone())
    }

    /// Nothing goes wrong any more. Jobs that were stalled stay so.
    pub fn clear_faults(&self) -> Result<(), LabError> {
        self.with(|world, _, _| world.faults = Arc::default())
    }

    /// Boots a host: one that hangs, from `disk` where it is given, as an
    /// operator would from the console.
    pub fn boot_host(&self, host: &str, disk: Option<&str>) -> Result<(), LabError> {
        self.with(|world, now, _| {
            if world.find(host).is_none() {
                return Err(LabError::UnknownHost(host.to_owned()));
            }
            if let Some(disk) = disk {
                world.at_mut(host).bootlist = vec![disk.to_owned()];
            }
            power::reboot(world, host, now);
            Ok(())
        })?
    }

    /// Gives a host a disk, or makes one of its disks larger, as the storage's
    /// administrator would. False where the disk is as large as `size_mb` already.
    pub fn give_disk(&self, host: &str, disk: &str, size_mb: u64) -> Result<bool, LabError> {
        self.with(|world, _, _| {
            if world.find(host).is_none() {
                return Err(LabError::UnknownHost(host.to_owned()));
            }
            let disks = &mut world.at_mut(host).disks;
            let new = Disk { size_mb: 0, pvid: None, dlpar: false };
            let known = disks.entry(disk.to_owned()).or_insert(new);
            let grows = known.size_mb < size_mb;
            known.size_mb = known.size_mb.max(size_mb);
            Ok(grows)
        })?
    }

    /// Holds the estate against what is expected of it. A client that nothing
    /// is expected of must be as it was.
    pub fn check(&self, expectations: &[Expectation]) -> Result<Vec<Violation>, LabError> {
        self.with(|world, _, _| check(world, expectations))
    }

    /// The estate as one value: everything but times, process ids, log, jobs,
    /// faults and clock.
    pub fn image(&self) -> Result<serde_json::Value, LabError> {
        self.with(|world, _, _| image::image(world))
    }

    /// The digest of [`Lab::image`].
    pub fn digest(&self) -> Result<String, LabError> {
        self.with(|world, _, _| image::digest(world))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        // A panic in a command leaves the world of before it: it is put back
        // only when the command has ended.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the world as it is now, and stores what it changes.
    pub(super) fn with<R>(
        &self,
        act: impl FnOnce(&mut World, Millis, &mut Vec<LogEntry>) -> R,
    ) -> Result<R, LabError> {
        let mut shared = self.lock();
        let shared = &mut *shared;
        let held = match &mut shared.store {
            Some(store) => Some(store.begin(&mut shared.world)?),
            None => None,
        };
        let now = self.clock.now_ms();
        let mut world = shared.world.clone();
        let mut entries = Vec::new();
        job::advance(&mut world, now, &mut entries);
        let given = act(&mut world, now, &mut entries);
        match &mut shared.store {
            Some(store) => store.commit(&shared.world, &world, entries)?,
            None => {
                for mut entry in entries {
                    entry.seq = shared.log.len() as u64 + 1;
                    shared.log.push(entry);
                }
            }
        }
        shared.world = world;
        drop(held);
        Ok(given)
    }

    /// As [`Lab::with`], for calls over the network to `host`.
    fn call<R>(
        &self,
        host: &HostId,
        line: &str,
        act: impl FnOnce(&mut World, &str, Millis, &mut Vec<LogEntry>) -> R,
    ) -> Result<R, TransportError> {
        let name = host.as_str();
        let outcome = self.with(|world, now, log| {
            if world.find(name).is_none() {
                return Err(TransportError::UnknownHost(host.clone()));
            }
            let unreachable =
                |why: String| Err(TransportError::Unreachable { host: host.clone(), why });
            if world.strike(FaultKind::Unreachable, name, line).is_some() {
                return unreachable("connect: Connection timed out".to_owned());
            }
            if !world.reaches(name, now) {
                return unreachable(down(world, name));
            }
            Ok(act(world, name, now, log))
        });
        outcome.unwrap_or_else(|error| {
            Err(TransportError::Unreachable { host: host.clone(), why: error.to_string() })
        })
    }

    async fn pause(&self, ms: Millis) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }

    /// How long it is until the estate's clock shows `due_ms`.
    fn until(&self, due_ms: Millis) -> Duration {
        Duration::from_millis(due_ms.saturating_sub(self.clock.now_ms()))
    }

    /// A call's outcome, after the time that it takes.
    async fn answered<R>(&self, outcome: Result<R, TransportError>) -> Result<R, TransportError> {
        let ms = if matches!(outcome, Err(TransportError::Unreachable { .. })) {
            CONNECT_MS
        } else {
            CALL_MS
        };
        self.pause(ms).await;
        outcome
    }

    /// The job's state, and when it may be another.
    fn job_state(
        &self,
        host: &HostId,
        id: &JobId,
    ) -> Result<(JobState, Option<Millis>), TransportError> {
        self.call(host, id.as_str(), |world, name, now, _| state_of(world, name, id.as_str(), now))
    }
}

/// How long a start that was forestalled may be under way.
const DAY_MS: Millis = 24 * 3_600_000;

/// Why a host does not answer.
fn down(world: &World, host: &str) -> String {
    match world.find(host).map(|host| &host.power) {
        Some(Power::Booting { .. }) => "connect: Connection timed out (it is booting)".to_owned(),
        Some(Power::Dead { why }) => format!("connect: No route to host ({why})"),
        _ => "connect: No route to host".to_owned(),
    }
}

fn state_of(world: &World, host: &str, id: &str, now: Millis) -> (JobState, Option<Millis>) {
    let Some(job) = world.at(host).jobs.get(id) else { return (JobState::Absent, None) };
    match job.stage {
        JobStage::Running => {
            let ran = Some(Duration::from_millis(now.saturating_sub(job.started_ms)));
            (JobState::Running { output_bytes: job.bytes(), ran }, job.due_ms)
        }
        JobStage::Done => (JobState::Done(job.output()), None),
        JobStage::Lost => (JobState::Lost, None),
        JobStage::NotBegun => (JobState::NotBegun, None),
    }
}

/// Runs a script at once, and tells how long it took.
fn exec_script(
    world: &mut World,
    host: &str,
    script: &Script,
    now: Millis,
    log: &mut Vec<LogEntry>,
) -> (Output, Millis) {
    let mut output = Output::default();
    let mut took: Millis = 0;
    for (index, command) in script.commands.iter().enumerate() {
        let Some(line) = job::line(host, script, index, now) else { break };
        let text = command.shell_text();
        let begun = run::start_line(world, &line, &text);
        let reply = run::end_line(world, line, &begun.effect);
        // A command that never ends is as long as anybody waits.
        let own_ms = begun.due_ms.map_or(Millis::MAX / 4, |due| due - now);
        took = Millis::saturating_add(took, own_ms);
        log.push(LogEntry::new(now, host, None, &text, Stage::Ended, Some(reply.status)));
        let go_on = reply.status == 0 || command.tolerate;
        output.commands.push(run::bounded(reply, own_ms));
        if !go_on || world.find(host).is_none_or(|host| host.power != Power::Up) {
            break;
        }
    }
    (output, took)
}

/// All of a script's command lines, for faults.
fn lines(script: &Script) -> String {
    script.commands.iter().map(Command::shell_text).collect::<Vec<_>>().join("\n")
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 4)
}

impl Transport for Lab {
    fn exec<'a>(
        &'a self,
        host: &'a HostId,
        script: &'a Script,
        timeout: Duration,
    ) -> TransportFuture<'a, Output> {
        Box::pin(async move {
            let text = lines(script);
            let outcome = self.call(host, &text, |world, name, now, log| {
                let (output, took) = exec_script(world, name, script, now, log);
                let lost = world.strike(FaultKind::LostReply, name, &text).is_some()
                    || !world.reaches(name, now);
                (output, took, lost)
            });
            let (output, took, lost) = match outcome {
                Ok(given) => given,
                Err(error) => return self.answered(Err(error)).await,
            };
            let limit = millis(timeout);
            self.pause(took.saturating_add(CALL_MS).min(limit)).await;
            if lost {
                return Err(TransportError::Lost {
                    host: host.clone(),
                    why: "Connection reset by peer".to_owned(),
                });
            }
            if took > limit {
                return Err(TransportError::TimedOut { host: host.clone(), limit: timeout });
            }
            Ok(output)
        })
    }

    fn start<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        script: &'a Script,
    ) -> TransportFuture<'a, JobState> {
        Box::pin(async move {
            let text = lines(script);
            let outcome = self.call(host, &text, |world, name, now, log| {
                if !world.at(name).jobs.contains_key(id.as_str()) {
                    let mut bars = world.at(name).barred.iter();
                    if let Some((_, by)) = bars.find(|(prefix, _)| id.as_str().starts_with(prefix))
                    {
                        return Err(TransportError::Barred { host: host.clone(), by: by.clone() });
                    }
                    job::start(world, name, id.as_str(), script, now, log);
                }
                let lost = world.strike(FaultKind::LostReply, name, &text).is_some();
                Ok((state_of(world, name, id.as_str(), now).0, lost))
            });
            let (state, lost) = self.answered(outcome).await??;
            if lost {
                return Err(TransportError::Lost {
                    host: host.clone(),
                    why: "Connection reset by peer".to_owned(),
                });
            }
            Ok(state)
        })
    }

    fn poll<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        seen_bytes: u64,
        wait: Duration,
    ) -> TransportFuture<'a, JobState> {
        Box::pin(async move {
            let deadline = self.clock.steady().saturating_add(wait);
            loop {
                let (state, due) = match self.job_state(host, id) {
                    Ok(given) => given,
                    Err(error) => return self.answered(Err(error)).await,
                };
                let JobState::Running { output_bytes, .. } = state else { return Ok(state) };
                let left = deadline.saturating_sub(self.clock.steady());
                if output_bytes != seen_bytes || left.is_zero() {
                    return Ok(state);
                }
                let next = due.map_or(left, |due| self.until(due)).min(left);
                self.clock.sleep(next.max(Duration::from_millis(1))).await;
            }
        })
    }

    fn kill<'a>(&'a self, host: &'a HostId, id: &'a JobId) -> TransportFuture<'a, JobState> {
        Box::pin(async move {
            let outcome = self.call(host, id.as_str(), |world, name, now, _| {
                let jobs = &mut world.at_mut(name).jobs;
                let stage = match jobs.get(id.as_str()).map(|job| job.stage) {
                    None => JobStage::NotBegun,
                    Some(JobStage::Running) => JobStage::Lost,
                    Some(stage) => stage,
                };
                let none = || Arc::new(Job::new(&Script::default(), now));
                let job = jobs.entry(id.as_str().to_owned()).or_insert_with(none);
                if job.stage != stage {
                    let job = Arc::make_mut(job);
                    job.stage = stage;
                    job.due_ms = None;
                }
                state_of(world, name, id.as_str(), now).0
            });
            self.answered(outcome).await
        })
    }

    fn forget<'a>(&'a self, host: &'a HostId, prefix: &'a str) -> TransportFuture<'a, ()> {
        Box::pin(async move {
            let outcome = self.call(host, prefix, |world, name, now, _| {
                world.at_mut(name).jobs.retain(|id, job| match job.stage {
                    JobStage::Running => true,
                    // Its start may still be under way.
                    JobStage::NotBegun => now.saturating_sub(job.started_ms) < DAY_MS,
                    JobStage::Done | JobStage::Lost => !id.starts_with(prefix),
                });
            });
            self.answered(outcome).await
        })
    }

    fn output<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        mark: OutputMark,
    ) -> TransportFuture<'a, OutputPiece> {
        Box::pin(async move {
            let outcome = self.call(host, id.as_str(), |world, name, _, _| {
                let job = world.at(name).jobs.get(id.as_str());
                job.map_or_else(
                    || OutputPiece { next: mark, is_last: true, ..OutputPiece::default() },
                    |job| job.piece(mark),
                )
            });
            self.answered(outcome).await
        })
    }

    fn bars<'a>(&'a self, host: &'a HostId) -> TransportFuture<'a, Vec<Bar>> {
        Box::pin(async move {
            let outcome = self.call(host, "", |world, name, _, _| {
                let bars = world.at(name).barred.iter().take(JOBS_NAMED_MAX);
                bars.map(|(prefix, by)| Bar { prefix: prefix.clone(), by: by.clone() }).collect()
            });
            self.answered(outcome).await
        })
    }

    fn unfinished<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
    ) -> TransportFuture<'a, Vec<JobId>> {
        Box::pin(async move {
            let outcome = self.call(host, prefix, |world, name, _, _| {
                let jobs = world.at(name).jobs.iter();
                let running = jobs
                    .filter(|(id, job)| job.stage == JobStage::Running && id.starts_with(prefix));
                running.take(JOBS_NAMED_MAX).map(|(id, _)| JobId::new(id.as_str())).collect()
            });
            self.answered(outcome).await
        })
    }

    fn bar<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
        by: &'a str,
        bars: bool,
    ) -> TransportFuture<'a, ()> {
        Box::pin(async move {
            let outcome = self.call(host, prefix, |world, name, _, _| {
                let bar = (prefix.to_owned(), by.to_owned());
                let barred = &mut world.at_mut(name).barred;
                if bars {
                    barred.insert(bar)
                } else {
                    barred.remove(&bar)
                };
            });
            self.answered(outcome).await
        })
    }
}
