//! A host that does as it is told, and fails as it is told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::base::ClockRef;
use crate::transport::{
    Bar, Command, CommandOutput, HostId, JobId, JobState, Output, OutputMark, OutputPiece, Script,
    Transport, TransportError, TransportFuture,
};

/// A job of the host.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) ends_ms: u64,
    pub(crate) output: Output,
    pub(crate) lost: bool,
    /// It was ended before it began.
    pub(crate) unbegun: bool,
}

/// The host: its lease, its disks, its jobs, and its faults.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct World {
    pub(crate) lease: Option<String>,
    pub(crate) lspv: String,
    pub(crate) level: String,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) started: Vec<String>,
    pub(crate) killed: Vec<String>,
    /// How long a job takes.
    pub(crate) job_ms: u64,
    /// What `ln` and `rm` say, and whether they do anything.
    pub(crate) status: i32,
    pub(crate) words: String,
    pub(crate) idle: bool,
    /// Calls that fail: `(kind, how many, whether the request arrives)`.
    pub(crate) polls_fail: u32,
    pub(crate) execs_fail: u32,
    /// How long a call that fails takes.
    pub(crate) fail_ms: u64,
    /// No call is answered before.
    pub(crate) silent_until_ms: u64,
    /// How long this machine stands still in the midst of a look at a job, once.
    pub(crate) stands_still_ms: u64,
    pub(crate) starts_lose_reply: u32,
    pub(crate) talks: bool,
    /// How large nimadm's log is, and by how much it grows with each look.
    pub(crate) log_bytes: u64,
    pub(crate) log_grows: u64,
    pub(crate) stubborn: bool,
    pub(crate) stale: bool,
    /// It was booted since it last began a job, and knows of none.
    pub(crate) rebooted: bool,
    /// It is to be booted when a start loses its reply, with all traces of jobs.
    pub(crate) loses_traces: bool,
    pub(crate) barred: bool,
    /// It says more than is kept.
    pub(crate) talks_on: bool,
    /// A start that is under way from an engine that died: it arrives after the
    /// first look.
    pub(crate) under_way: Option<(String, Job)>,
}

pub(crate) struct Host {
    pub(crate) clock: ClockRef,
    pub(crate) world: Mutex<World>,
}

pub(crate) fn said(status: i32, stdout: &str, stderr: &str) -> CommandOutput {
    let (stdout, stderr) = (stdout.into(), stderr.into());
    CommandOutput { status, stdout, stderr, ..CommandOutput::default() }
}

impl World {
    fn answer(&mut self, command: &Command) -> CommandOutput {
        let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        match argv.as_slice() {
            ["chroot", ..] if self.stale => said(1, "", "chroot: Stale NFS file handle\n"),
            ["ls", "-l", path] if path.ends_with("_alt_mig.log") => {
                self.log_bytes += self.log_grows;
                said(0, &format!("-rw-r--r-- 1 root system {} {path}\n", self.log_bytes), "")
            }
            ["ls", "-l", path] => match &self.lease {
                Some(owner) => said(
                    0,
                    &format!("lrwxrwxrwx 1 root system 5 Mar 02 07:15 {path} -> {owner}\n"),
                    "",
                ),
                None => said(2, "", "ls: 0653-341 The file does not exist.\n"),
            },
            ["ls", _] => match &self.lease {
                Some(_) => said(0, "lease\n", ""),
                None => said(2, "", "ls: 0653-341 The file does not exist.\n"),
            },
            ["ln", "-s", owner, _] => {
                if !self.idle {
                    self.lease = Some((*owner).to_owned());
                }
                said(self.status, "", &self.words)
            }
            ["rm", "-f", ..] => {
                if !self.idle {
                    self.lease = None;
                }
                said(self.status, "", &self.words)
            }
            ["lspv"] => said(0, &self.lspv, ""),
            ["ps", ..] => said(0, "PID USER ELAPSED COMMAND\n", ""),
            ["chroot", _, "/usr/bin/oslevel", "-s"] => said(0, &self.level, ""),
            ["bootlist", ..] => said(0, "hdisk0 blv=hd5\n", ""),
            _ => said(0, "", ""),
        }
    }

    fn script(&mut self, script: &Script) -> Output {
        let mut output = Output::default();
        for command in &script.commands {
            let answer = CommandOutput { truncated: self.talks_on, ..self.answer(command) };
            let ok = answer.ok();
            output.commands.push(answer);
            if !ok && !command.tolerate {
                break;
            }
        }
        output
    }
}

impl Host {
    fn unreachable(host: &HostId) -> TransportError {
        TransportError::Unreachable { host: host.clone(), why: "no route".into() }
    }

    fn answers(&self, host: &HostId) -> Result<(), TransportError> {
        if self.clock.now_ms() < self.world.lock().unwrap().silent_until_ms {
            return Err(Host::unreachable(host));
        }
        Ok(())
    }

    fn state(&self, id: &JobId) -> JobState {
        let world = self.world.lock().unwrap();
        let now = self.clock.now_ms();
        match world.jobs.get(id.as_str()) {
            None if world.rebooted => JobState::Rebooted,
            None => JobState::Absent,
            Some(job) if job.lost => JobState::Lost,
            Some(job) if job.unbegun => JobState::NotBegun,
            Some(job) if now >= job.ends_ms => JobState::Done(job.output.clone()),
            Some(_) => {
                JobState::Running { output_bytes: if world.talks { now } else { 0 }, ran: None }
            }
        }
    }
}

impl Transport for Host {
    fn exec<'a>(
        &'a self,
        host: &'a HostId,
        script: &'a Script,
        _: Duration,
    ) -> TransportFuture<'a, Output> {
        Box::pin(async move {
            self.answers(host)?;
            let fail_ms = {
                let mut world = self.world.lock().unwrap();
                if world.execs_fail == 0 {
                    let given = world.script(script);
                    if let Some((id, job)) = world.under_way.take() {
                        world.jobs.entry(id).or_insert(job);
                    }
                    return Ok(given);
                }
                world.execs_fail -= 1;
                world.fail_ms
            };
            self.clock.sleep(Duration::from_millis(fail_ms)).await;
            Err(Host::unreachable(host))
        })
    }

    fn start<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        script: &'a Script,
    ) -> TransportFuture<'a, JobState> {
        Box::pin(async move {
            self.answers(host)?;
            let mut world = self.world.lock().unwrap();
            if !world.jobs.contains_key(id.as_str()) {
                world.started.push(id.to_string());
                let output = world.script(script);
                let ends_ms = self.clock.now_ms() + world.job_ms;
                world
                    .jobs
                    .insert(id.to_string(), Job { ends_ms, output, lost: false, unbegun: false });
            }
            if world.starts_lose_reply > 0 {
                world.starts_lose_reply -= 1;
                if world.loses_traces {
                    world.rebooted = true;
                    world.jobs.clear();
                }
                return Err(TransportError::Lost { host: host.clone(), why: "reset".into() });
            }
            drop(world);
            Ok(self.state(id))
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
            {
                let mut world = self.world.lock().unwrap();
                if world.barred {
                    let (host, why) = (HostId::new("lpar01"), "Permission denied".into());
                    return Err(TransportError::Login { host, why });
                }
                if world.polls_fail > 0 {
                    world.polls_fail -= 1;
                    return Err(Host::unreachable(host));
                }
            }
            self.answers(host)?;
            let stands_still_ms = std::mem::take(&mut self.world.lock().unwrap().stands_still_ms);
            if stands_still_ms > 0 {
                let given = self.state(id);
                self.clock.sleep(Duration::from_millis(stands_still_ms)).await;
                return Ok(given);
            }
            let due = self.clock.steady() + wait;
            while self.clock.steady() < due
                && self.state(id) == (JobState::Running { output_bytes: seen_bytes, ran: None })
            {
                self.clock
                    .sleep(Duration::from_millis(100).min(due.saturating_sub(self.clock.steady())))
                    .await;
            }
            Ok(self.state(id))
        })
    }

    fn kill<'a>(&'a self, host: &'a HostId, id: &'a JobId) -> TransportFuture<'a, JobState> {
        Box::pin(async move {
            self.answers(host)?;
            {
                let mut world = self.world.lock().unwrap();
                world.killed.push(id.to_string());
                let now = self.clock.now_ms();
                let stubborn = world.stubborn;
                let (lost, output) = (world.rebooted, Output::default());
                let none = Job { ends_ms: now, output, lost, unbegun: !lost };
                world.jobs.entry(id.to_string()).or_insert(none);
                if let Some(job) = world.jobs.get_mut(id.as_str())
                    && now < job.ends_ms
                    && !job.lost
                    && !stubborn
                {
                    job.ends_ms = now;
                    job.output.commands.truncate(1);
                    job.output.commands[0].status = 143;
                }
            }
            Ok(self.state(id))
        })
    }

    fn forget<'a>(&'a self, _: &'a HostId, _: &'a str) -> TransportFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn output<'a>(
        &'a self,
        _: &'a HostId,
        _: &'a JobId,
        mark: OutputMark,
    ) -> TransportFuture<'a, OutputPiece> {
        Box::pin(async move { Ok(OutputPiece { next: mark, is_last: true, ..Default::default() }) })
    }

    fn bars<'a>(&'a self, _: &'a HostId) -> TransportFuture<'a, Vec<Bar>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The jobs are the client's.
    fn unfinished<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
    ) -> TransportFuture<'a, Vec<JobId>> {
        Box::pin(async move {
            let world = self.world.lock().unwrap();
            let ids =
                world.jobs.keys().filter(|id| host.as_str() == "lpar7" && id.starts_with(prefix));
            let ids: Vec<JobId> = ids.map(JobId::new).collect();
            drop(world);
            let runs = |id: &JobId| matches!(self.state(id), JobState::Running { .. });
            Ok(ids.into_iter().filter(runs).collect())
        })
    }

    fn bar<'a>(
        &'a self,
        _: &'a HostId,
        _: &'a str,
        _: &'a str,
        _: bool,
    ) -> TransportFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
