//! A run of nimadm: what is still to be done, and how it goes on from one
//! command to the next.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::args::Args;
use super::at::At;
use super::{cleanup, lock, log, phases, start};
use crate::lab::shell::{Call, Reply};
use crate::lab::tree::Node;
use crate::lab::world::World;
use crate::transport::Command;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// The process that it is.
    pub pid: u32,
    /// What it has said.
    pub out: String,
    /// Its errors.
    pub err: String,
    /// Whether it is killed in the midst of its next phase.
    halved: bool,
    /// How many commands it comes to before it is killed.
    left: Option<u32>,
    /// Whether it has begun.
    begun: bool,
    /// Whether something went wrong.
    failed: bool,
    /// The phase that it is in.
    phase: Option<u8>,
    /// What is to be done, in order.
    ops: VecDeque<Op>,
    /// What runs: what is said where it fails, and whether that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waits_for: Option<OnFailure>,
}

/// What follows when a command fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnFailure {
    /// Nothing.
    Ignore,
    /// The run fails, with this as its last word.
    Fail(String),
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Op {
    /// A phase, with its banner.
    Phase(u8),
    /// What a phase does, without being one.
    Part(u8),
    /// A text for people.
    Say(String),
    /// A command, on the master.
    Command {
        /// The command.
        command: Command,
        /// What follows when it fails.
        on_failure: OnFailure,
    },
    /// A file is made at once.
    Put {
        /// Where.
        host: String,
        /// Its path.
        path: String,
        /// Its text.
        text: String,
    },
}

/// How a run goes on.
pub(crate) enum Next {
    /// By this command.
    Command(Command),
    /// Not at all.
    Exit(i32),
}

impl Run {
    /// A run that has not begun.
    pub(crate) fn new(pid: u32, halved: bool) -> Run {
        Run {
            pid,
            out: String::new(),
            err: String::new(),
            halved,
            left: None,
            begun: false,
            failed: false,
            phase: None,
            ops: VecDeque::new(),
            waits_for: None,
        }
    }
}

/// Goes on, with what the last command has given.
pub(crate) fn advance(world: &mut World, call: &Call, run: &mut Run, said: Option<Reply>) -> Next {
    let args = match Args::read(call) {
        Ok(args) => args,
        Err(reply) => {
            run.err = reply.err;
            return Next::Exit(reply.status);
        }
    };
    if !run.begun {
        run.begun = true;
        match start::start(world, call, &args, run) {
            Ok(ops) => run.ops = ops.into(),
            Err(refused) => {
                run.err.push_str(&refused);
                run.err.push('\n');
                return Next::Exit(1);
            }
        }
    }
    if let Some(reply) = said {
        take_reply(world, call, &args, run, &reply);
    }
    while let Some(op) = run.ops.pop_front() {
        match op {
            Op::Phase(phase) => {
                log::say(world, call, &args, run, &log::banner(phase));
                run.phase = Some(phase);
                begin_phase(world, call, &args, run, phase);
            }
            Op::Part(phase) => begin_phase(world, call, &args, run, phase),
            Op::Say(text) => log::say(world, call, &args, run, &text),
            Op::Put { host, path, text } => {
                if let Err(error) = world.put(&host, &path, Node::file(text), call.now) {
                    fail(world, call, &args, run, &format!("nimadm: {path}: {error}"));
                }
            }
            Op::Command { command, on_failure } => {
                if run.left == Some(0) {
                    run.err.push_str("ksh: killed\n");
                    return Next::Exit(1);
                }
                run.left = run.left.map(|left| left - 1);
                run.waits_for = Some(on_failure);
                return Next::Command(command);
            }
        }
    }
    lock::drop(world, &args, !run.failed);
    Next::Exit(i32::from(run.failed))
}

fn take_reply(world: &mut World, call: &Call, args: &Args, run: &mut Run, reply: &Reply) {
    if !reply.out.trim().is_empty() {
        log::say(world, call, args, run, reply.out.trim_end());
    }
    let on_failure = run.waits_for.take();
    match on_failure {
        Some(OnFailure::Fail(words)) if reply.status != 0 => {
            if !reply.err.trim().is_empty() {
                log::complain(world, call, args, run, reply.err.trim_end());
            }
            fail(world, call, args, run, &words);
        }
        // What does not matter is in the log, and is not said as an error.
        Some(OnFailure::Ignore) if reply.status != 0 => {}
        _ if !reply.err.trim().is_empty() => {
            log::say(world, call, args, run, reply.err.trim_end());
        }
        _ => {}
    }
}

fn begin_phase(world: &mut World, call: &Call, args: &Args, run: &mut Run, phase: u8) {
    match phases::ops(&At { world, call, args }, phase) {
        Ok(ops) => {
            if std::mem::take(&mut run.halved) {
                let commands = ops.iter().filter(|op| matches!(op, Op::Command { .. })).count();
                run.left = Some(u32::try_from(commands / 2).unwrap_or(0));
            }
            for op in ops.into_iter().rev() {
                run.ops.push_front(op);
            }
        }
        Err(words) => fail(world, call, args, run, &words),
    }
}

/// The run has failed: what is left of it is the clean-up.
fn fail(world: &mut World, call: &Call, args: &Args, run: &mut Run, words: &str) {
    if !words.is_empty() {
        log::complain(world, call, args, run, words);
    }
    run.failed = true;
    run.ops.clear();
    let keeps = args.some_phases && world.at(&call.host).nimadm_keeps;
    if args.form.migrates() && !keeps {
        let wrote = run.phase == Some(11);
        run.ops = cleanup::ops(world, call, args, wrote).into();
    }
}

/// A command that must succeed.
pub(super) fn must(command: Command, words: &str) -> Op {
    Op::Command { command, on_failure: OnFailure::Fail(words.to_owned()) }
}

/// A command whose failure does not matter.
pub(super) fn may(command: Command) -> Op {
    Op::Command { command, on_failure: OnFailure::Ignore }
}
