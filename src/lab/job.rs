//! Durable jobs: a script, how far it is, and when it goes on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commands::processes::pid_of;
use super::log::{LogEntry, Stage};
use super::power;
use super::process::{Process, Step};
use super::run::{Begun, Effect, start_line};
use super::shell::{Call, Line, Stream};
use super::world::{Power, World};
use crate::base::Millis;
use crate::base::limits::OUTPUT_PIECE_BYTES_MAX;
use crate::transport::{CommandOutput, Output, OutputMark, OutputPiece, Script};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JobStage {
    /// The command at `index` runs.
    Running,
    /// All is done that was to be done.
    Done,
    /// The host was rebooted, or the job was ended.
    Lost,
    /// It was ended before it began, and never will.
    NotBegun,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Job {
    /// Its commands.
    pub script: Script,
    /// The command that runs.
    pub index: usize,
    /// How it stands.
    pub stage: JobStage,
    /// Output of the commands that ended.
    pub outputs: Vec<CommandOutput>,
    /// When the running command began.
    pub since_ms: Millis,
    /// When the running command ends; absent when it never does.
    pub due_ms: Option<Millis>,
    /// What faults make of the running command.
    pub effect: Effect,
    /// When the job began.
    pub started_ms: Millis,
    /// How far the running command is, where it runs others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Box<Process>>,
}

impl Job {
    /// A job that is about to begin.
    pub(crate) fn new(script: &Script, now: Millis) -> Job {
        Job {
            script: script.clone(),
            index: 0,
            stage: JobStage::Running,
            outputs: Vec::new(),
            since_ms: now,
            due_ms: Some(now),
            effect: Effect::default(),
            started_ms: now,
            process: None,
        }
    }

    /// Bytes of output so far.
    pub(crate) fn bytes(&self) -> u64 {
        let ended: u64 =
            self.outputs.iter().map(|o| (o.stdout.len() + o.stderr.len()) as u64).sum();
        ended + self.process.as_ref().map_or(0, |process| process.bytes())
    }

    /// A piece of its output behind `mark`.
    pub(crate) fn piece(&self, mark: OutputMark) -> OutputPiece {
        let ended = self.outputs.get(mark.command);
        let running = self.process.as_deref().filter(|_| mark.command == self.index);
        let [out, err] = match (ended, running) {
            (Some(output), _) => [output.stdout.as_str(), output.stderr.as_str()],
            (None, Some(process)) => process.said(),
            (None, None) => ["", ""],
        };
        let mut is_short = true;
        let mut part = |text: &str, from: u64| {
            let rest = usize::try_from(from).ok().and_then(|from| text.as_bytes().get(from..));
            let rest = rest.unwrap_or_default();
            is_short &= rest.len() < OUTPUT_PIECE_BYTES_MAX;
            rest[..rest.len().min(OUTPUT_PIECE_BYTES_MAX)].to_vec()
        };
        let streams = [part(out, mark.stdout), part(err, mark.stderr)];
        let is_over = self.stage != JobStage::Running;
        OutputPiece::read(mark, streams, is_short, ended.is_some(), is_over)
    }

    /// All outputs.
    pub(crate) fn output(&self) -> Output {
        Output { commands: self.outputs.clone() }
    }
}

/// A line of `script` as a call on `host`.
pub(crate) fn line(host: &str, script: &Script, index: usize, now: Millis) -> Option<Line> {
    let command = script.commands.get(index)?;
    Some(Line {
        call: Call {
            host: host.to_owned(),
            argv: command.argv.clone(),
            env: command.env.clone(),
            cwd: command.cwd.clone().unwrap_or_else(|| "/".to_owned()),
            root: "/".to_owned(),
            input: command.stdin.clone().map(Stream::Text),
            now,
            begun: false,
        },
        pipe_to: command.pipe_to.clone(),
    })
}

/// Starts a job.
pub(crate) fn start(
    world: &mut World,
    host: &str,
    id: &str,
    script: &Script,
    now: Millis,
    log: &mut Vec<LogEntry>,
) {
    world.at_mut(host).jobs.insert(id.to_owned(), Arc::new(Job::new(script, now)));
    begin_command(world, host, id, now, log);
}

/// Begins the job's command at its index, or ends the job.
fn begin_command(world: &mut World, host: &str, id: &str, now: Millis, log: &mut Vec<LogEntry>) {
    let Some(job) = world.at(host).jobs.get(id) else { return };
    let Some(line) = line(host, &job.script, job.index, now) else {
        with(world, host, id, |job| job.stage = JobStage::Done);
        return;
    };
    let text = job.script.commands[job.index].shell_text();
    log.push(LogEntry::new(now, host, Some(id), &text, Stage::Started, None));
    let Begun { due_ms, effect } = start_line(world, &line, &text);
    let process = match &effect {
        Effect::Stepwise { halved, status } => {
            Some(Box::new(Process::new(pid_of(id), *halved, *status)))
        }
        _ => None,
    };
    with(world, host, id, |job| {
        job.since_ms = now;
        job.due_ms = due_ms;
        job.effect = effect;
        job.process = process;
    });
}

fn with(world: &mut World, host: &str, id: &str, change: impl FnOnce(&mut Job)) {
    if let Some(job) = world.at_mut(host).jobs.get_mut(id) {
        change(Arc::make_mut(job));
    }
}

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Boot(String),
    Job(String, String),
}

/// The next thing that is due on any host.
fn next_due(world: &World) -> Option<(Millis, Due)> {
    let boots = world.hosts.values().filter_map(|host| match host.power {
        Power::Booting { up_at_ms } => Some((up_at_ms, Due::Boot(host.name.clone()))),
        _ => None,
    });
    let jobs = world.hosts.values().flat_map(|host| {
        host.jobs.iter().filter(|(_, job)| job.stage == JobStage::Running).filter_map(
            |(id, job)| job.due_ms.map(|due| (due, Due::Job(host.name.clone(), id.clone()))),
        )
    });
    boots.chain(jobs).min()
}

/// Lets everything happen that was to happen until `now`, in the order of time.
pub(crate) fn advance(world: &mut World, now: Millis, log: &mut Vec<LogEntry>) {
    while let Some((due, what)) = next_due(world).filter(|(due, _)| *due <= now) {
        match what {
            Due::Boot(host) => power::boot(world, &host, due),
            Due::Job(host, id) => end_command(world, &host, &id, due, log),
        }
    }
}

/// Ends the running command of a job, and begins the next one.
fn end_command(world: &mut World, host: &str, id: &str, now: Millis, log: &mut Vec<LogEntry>) {
    let Some(job) = world.at(host).jobs.get(id).cloned() else { return };
    let Some(line) = line(host, &job.script, job.index, now) else { return };
    let command = &job.script.commands[job.index];
    let reply = match &job.process {
        None => super::run::end_line(world, line, &job.effect),
        Some(process) => {
            let mut process = process.clone();
            let step = process.go_on(world, &line.call, Some(id), log);
            let due_ms = match &step {
                Step::Waits(due_ms) => *due_ms,
                Step::Gone | Step::Exits(_) => None,
            };
            with(world, host, id, |job| {
                job.process = Some(process);
                job.due_ms = due_ms;
            });
            match step {
                Step::Exits(reply) => reply,
                Step::Waits(_) | Step::Gone => return,
            }
        }
    };
    let text = command.shell_text();
    log.push(LogEntry::new(now, host, Some(id), &text, Stage::Ended, Some(reply.status)));
    // A reboot has made it lost, and there is nobody left to take the output.
    if world.at(host).jobs.get(id).is_none_or(|job| job.stage != JobStage::Running) {
        return;
    }
    let go_on = reply.status == 0 || command.tolerate;
    with(world, host, id, |job| {
        job.outputs.push(super::run::bounded(reply, now.saturating_sub(job.since_ms)));
        job.process = None;
        job.index += 1;
        if !go_on {
            job.stage = JobStage::Done;
        }
    });
    if go_on {
        begin_command(world, host, id, now, log);
    }
}
