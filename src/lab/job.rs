//! Durable jobs: a script, how far it is, and when it goes on.

use std::sync::Arc;

use super::call::Line;
use super::commands::processes::pid_of;
use super::log::{LogEntry, Stage};
use super::power;
use super::run::{Begun, Step, bounded, end_line, go_on, start_line};
use super::world::{Effect, Job, JobStage, Power, Process, World};
use crate::base::Millis;
use crate::transport::Script;

/// A line of `script` as a call on `host`.
pub(crate) fn line(host: &str, script: &Script, index: usize, now: Millis) -> Option<Line> {
    script.commands.get(index).map(|command| Line::of(command, host, "/", now))
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
        None => end_line(world, line, &job.effect),
        Some(process) => {
            let mut process = process.clone();
            let step = go_on(&mut process, world, &line.call, Some(id), log);
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
    let goes_on = reply.status == 0 || command.tolerate;
    with(world, host, id, |job| {
        job.outputs.push(bounded(reply, now.saturating_sub(job.since_ms)));
        job.process = None;
        job.index += 1;
        if !goes_on {
            job.stage = JobStage::Done;
        }
    });
    if goes_on {
        begin_command(world, host, id, now, log);
    }
}
