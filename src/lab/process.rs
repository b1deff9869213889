//! A command that runs other commands, one after the other, each in its time:
//! how far it is, what it has said, and how it goes on.
//!
//! It is part of the job that it belongs to, so that it is killed with it, and
//! goes on with it whoever started it.

use serde::{Deserialize, Serialize};

use super::commands::nimadm::{self, Next};
use super::log::{LogEntry, Stage};
use super::run::{self, Begun, Effect};
use super::shell::{Call, Line, Reply, Stream};
use super::world::{Power, World};
use crate::base::Millis;
use crate::transport::Command;

/// The id of a process that comes and goes within a call.
const PASSING_PID: u32 = 5_963_780;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    /// The status that it gives, whatever came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<i32>,
    /// What it is about.
    state: nimadm::Run,
    /// What runs for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    running: Option<Running>,
}

/// A command that runs for a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Running {
    command: Command,
    effect: Effect,
}

/// How a process goes on.
#[derive(Debug)]
pub(crate) enum Step {
    /// It waits until then; for ever, where there is no time.
    Waits(Option<Millis>),
    /// It has ended.
    Exits(Reply),
    /// Its host has gone down.
    Gone,
}

impl Process {
    /// A process with this id that is about to begin.
    pub(crate) fn new(pid: u32, halved: bool, status: Option<i32>) -> Process {
        Process { status, state: nimadm::Run::new(pid, halved), running: None }
    }

    /// What it has said so far, on both streams.
    pub(crate) fn said(&self) -> [&str; 2] {
        [&self.state.out, &self.state.err]
    }

    /// Bytes that it has said.
    pub(crate) fn bytes(&self) -> u64 {
        (self.state.out.len() + self.state.err.len()) as u64
    }

    /// Ends what runs for it, and begins what comes next.
    pub(crate) fn go_on(
        &mut self,
        world: &mut World,
        call: &Call,
        job: Option<&str>,
        log: &mut Vec<LogEntry>,
    ) -> Step {
        let (host, now) = (call.host.as_str(), call.now);
        let ended = self.running.take();
        let mut said = ended.map(|Running { command, effect }| {
            let reply = run::end_line(world, line(call, &command), &effect);
            let text = command.shell_text();
            log.push(LogEntry::new(now, host, job, &text, Stage::Ended, Some(reply.status)));
            reply
        });
        if world.at(host).power != Power::Up {
            return Step::Gone;
        }
        match nimadm::advance(world, call, &mut self.state, said.take()) {
            Next::Command(command) => {
                let text = command.shell_text();
                log.push(LogEntry::new(now, host, job, &text, Stage::Started, None));
                let Begun { due_ms, effect } = run::start_line(world, &line(call, &command), &text);
                self.running = Some(Running { command, effect });
                Step::Waits(due_ms)
            }
            Next::Exit(status) => Step::Exits(Reply {
                status: self.status.unwrap_or(status),
                out: std::mem::take(&mut self.state.out),
                err: std::mem::take(&mut self.state.err),
                archive: None,
            }),
        }
    }
}

/// `command` as the process runs it.
fn line(call: &Call, command: &Command) -> Line {
    let cwd = command.cwd.clone().unwrap_or_else(|| "/".to_owned());
    let call = Call {
        argv: command.argv.clone(),
        env: command.env.clone(),
        cwd,
        input: command.stdin.clone().map(Stream::Text),
        begun: false,
        ..call.clone()
    };
    Line { call, pipe_to: command.pipe_to.clone() }
}

/// Runs the whole process at once.
pub(crate) fn run_through(
    world: &mut World,
    call: &Call,
    halved: bool,
    status: Option<i32>,
) -> Reply {
    let mut process = Process::new(PASSING_PID, halved, status);
    loop {
        match process.go_on(world, call, None, &mut Vec::new()) {
            Step::Exits(reply) => return reply,
            Step::Gone => return Reply::fail(143, "Terminated"),
            // What never ends is ended by whoever waits for it.
            Step::Waits(None) => return Reply::fail(137, "Killed"),
            Step::Waits(Some(_)) => {}
        }
    }
}
