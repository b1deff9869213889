//! How a run of nimadm goes on from one command to the next.

use super::args::Args;
use super::at::At;
use super::op::{OnFailure, Op, Run};
use super::{cleanup, lock, log, phases, start};
use crate::lab::call::{Call, Reply};
use crate::lab::tree::Node;
use crate::lab::world::World;
use crate::transport::Command;

/// How a run goes on.
pub(crate) enum Next {
    /// By this command.
    Command(Command),
    /// Not at all.
    Exit(i32),
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
