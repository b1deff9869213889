//! What command lines do: with what faults make of them, through pipes, as lines of
//! a script, and as processes that run others, each in its time.
//!
//! A process is part of the job that it belongs to, so that it is killed with it,
//! and goes on with it whoever started it.

use std::fmt::Write as _;

use super::call::{Call, Line, Reply, Span, Stream};
use super::commands::nimadm::{self, Next};
use super::commands::{Does, unmount_busy};
use super::fault::FaultKind;
use super::log::{LogEntry, Stage};
use super::power;
use super::quoting::{split, with_variables};
use super::shell::{Found, find, span};
use super::world::{Effect, Power, Process, Running, World};
use crate::base::Millis;
use crate::transport::{Command, CommandOutput};

/// The id of a process that comes and goes within a call.
const PASSING_PID: u32 = 5_963_780;

/// A command that has begun.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub due_ms: Option<Millis>,
    /// What becomes of it.
    pub effect: Effect,
}

/// Begins a line at its call's time.
pub(crate) fn start_line(world: &mut World, line: &Line, text: &str) -> Begun {
    let span = span(world, line);
    start_within(world, line, text, span)
}

/// As [`start_line`], of which `span` is known.
pub(crate) fn start_within(world: &mut World, line: &Line, text: &str, span: Span) -> Begun {
    let host = line.call.host.clone();
    let now = line.call.now;
    let hit = |world: &mut World, kind| world.strike(kind, &host, text).is_some();
    let Span { mut ms, staged, stepwise } = span;
    if hit(world, FaultKind::Slow) {
        ms *= 10;
    }
    if let Some(spec) = world.strike(FaultKind::NetworkCut, &host, text) {
        world.at_mut(&host).cut_until_ms = now + spec.seconds.unwrap_or(600) * 1000;
    }
    if let Some(reply) = refusal(world, line, text) {
        return failed(now + 1000, reply);
    }
    let quiet = hit(world, FaultKind::MessageWithSuccess);
    if quiet {
        let err = "0042-175 c_rsh: An unexpected result was returned by the \"cmd\" command:\n0042-001 processing error encountered\n";
        return failed(now + ms, Reply { err: err.to_owned(), ..Reply::default() });
    }
    if staged && let Err(reply) = begin(world, line) {
        return failed(now + 2000.min(ms), reply);
    }
    let halved = hit(world, FaultKind::Partial);
    if halved && !stepwise {
        return failed(now + ms / 2, Reply::fail(1, "ksh: killed"));
    }
    if hit(world, FaultKind::DiskFull) {
        return failed(now + ms / 2, no_room(text));
    }
    if hit(world, FaultKind::Stalled) {
        return Begun { due_ms: None, effect: Effect::Rest };
    }
    if hit(world, FaultKind::Reboot) {
        return Begun { due_ms: Some(now + ms / 2), effect: Effect::Reboot };
    }
    if stepwise {
        let status = hit(world, FaultKind::ExitStatus).then_some(1);
        return Begun { due_ms: Some(now + ms), effect: Effect::Stepwise { halved, status } };
    }
    let effect = if hit(world, FaultKind::ExitStatus) {
        Effect::Status { begun: staged, status: 1 }
    } else if staged {
        Effect::Rest
    } else {
        Effect::Whole
    };
    Begun { due_ms: Some(now + ms), effect }
}

fn failed(due_ms: Millis, reply: Reply) -> Begun {
    let Reply { status, out, err, .. } = reply;
    Begun { due_ms: Some(due_ms), effect: Effect::Failed { status, out, err } }
}

/// Faults that keep a command from beginning.
fn refusal(world: &mut World, line: &Line, text: &str) -> Option<Reply> {
    let host = line.call.host.as_str();
    let is_umount = text.contains("umount ") && !text.contains("umount -f");
    if is_umount && world.strike(FaultKind::BusyUnmount, host, text).is_some() {
        let what = line.call.argv.last().map_or("", String::as_str);
        return Some(Reply::fail(1, unmount_busy(what)));
    }
    if world.strike(FaultKind::StaleHandle, host, text).is_some() {
        return Some(Reply::fail(
            1,
            format!("{}: Missing file or filesystem (stale NFS file handle)", line.call.name()),
        ));
    }
    None
}

fn no_room(text: &str) -> Reply {
    if text.contains("installp") || text.contains("geninstall") {
        return Reply::fail(
            1,
            "installp: 0503-008 installp: There is not enough free space in file system /usr (812344 more 512-byte blocks are required). An attempt to extend this file system was unsuccessful.",
        );
    }
    if text.contains("chfs") || text.contains("crfs") || text.contains("alt_disk_copy") {
        return Reply::fail(
            1,
            "0516-404 allocp: This system cannot fulfill the allocation request.\n\tThere are not enough free partitions or not enough physical volumes\n\tto keep strictness and satisfy allocation requests.\n0516-788 extendlv: Unable to extend logical volume.",
        );
    }
    Reply::fail(1, "There is not enough space in the file system.")
}

/// Ends a line that has begun: the rest of its effect, and its output. The
/// line's call has the time of the end.
pub(crate) fn end_line(world: &mut World, mut line: Line, effect: &Effect) -> Reply {
    match effect {
        Effect::Whole => whole(world, &line),
        Effect::Rest => {
            line.call.begun = true;
            whole(world, &line)
        }
        Effect::Status { begun, status } => {
            line.call.begun = *begun;
            let reply = whole(world, &line);
            Reply { status: *status, ..reply }
        }
        Effect::Failed { status, out, err } => {
            Reply { status: *status, out: out.clone(), err: err.clone(), ..Reply::default() }
        }
        Effect::Stepwise { halved, status } => run_through(world, &line.call, *halved, *status),
        Effect::Reboot => {
            power::reboot(world, &line.call.host, line.call.now);
            Reply::fail(143, "Terminated")
        }
    }
}

/// Makes the first part of the line's effect; an error ends it at once.
fn begin(world: &mut World, line: &Line) -> Result<(), Reply> {
    if line.pipe_to.is_none() {
        return begin_one(world, &line.call);
    }
    let given = run_one(world, &line.call);
    if given.status != 0 {
        return Err(given);
    }
    let Some(second) = line.second(Some(stream_of(&given).first_half())) else { return Ok(()) };
    let reply = run_one(world, &second);
    if reply.status == 0 { Ok(()) } else { Err(reply) }
}

fn begin_one(world: &mut World, call: &Call) -> Result<(), Reply> {
    let Found::Row(row) = find(world, call) else { return Ok(()) };
    let begun = match (row.does, row.begin) {
        (Does::Cover(wrap), _) => match wrap(world, call) {
            Ok(inner) => return begin_one(world, &inner),
            Err(refused) => Err(refused),
        },
        (_, Some(begin)) => begin(world, call),
        (_, None) => Ok(()),
    };
    begun.map_err(|refused| refused.with_usage(row.usage))
}

/// Runs the line: all of its effect, or the rest of it.
fn whole(world: &mut World, line: &Line) -> Reply {
    if line.call.cwd != "/" && !world.is_dir(&line.call.host, &line.call.path("."), line.call.now) {
        return Reply::fail(
            2,
            format!("cd: 0403-036 The specified directory {} is not valid.", line.call.cwd),
        );
    }
    let first = run_one(world, &line.call);
    match line.second(Some(stream_of(&first))) {
        None => first,
        Some(second) => {
            let mut reply = run_one(world, &second);
            reply.err.insert_str(0, &first.err);
            if first.status != 0 {
                reply.status = first.status;
            }
            reply
        }
    }
}

fn stream_of(reply: &Reply) -> Stream {
    reply.archive.clone().unwrap_or_else(|| Stream::Text(reply.out.clone()))
}

/// Runs one command with all that it calls.
pub(crate) fn run_one(world: &mut World, call: &Call) -> Reply {
    match find(world, call) {
        Found::Row(row) => {
            let reply = match row.does {
                Does::Run(run) => run(world, call),
                Does::Cover(wrap) => match wrap(world, call) {
                    Ok(inner) => return run_one(world, &inner),
                    Err(refused) => refused,
                },
                Does::Steps => return run_through(world, call, false, None),
            };
            reply.with_usage(row.usage)
        }
        Found::Script(text) => script(world, call, &text),
        Found::Nothing(reply) => reply,
    }
}

/// The lines of shell that a NIM script may hold: `echo`, `touch`, `exit`.
fn script(world: &mut World, call: &Call, text: &str) -> Reply {
    let mut reply = Reply::default();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(words) = split(line) else {
            reply.err.push_str("ksh: syntax error\n");
            reply.status = 2;
            return reply;
        };
        let words: Vec<String> = words.iter().map(|word| with_variables(word, &call.env)).collect();
        match words.first().map_or("", String::as_str) {
            "echo" => {
                reply.out.push_str(&words[1..].join(" "));
                reply.out.push('\n');
            }
            "exit" => {
                reply.status = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
                return reply;
            }
            "touch" => {
                let inner = run_one(world, &Call { argv: words, ..call.clone() });
                reply.err.push_str(&inner.err);
                reply.status = inner.status;
            }
            other => {
                let _ = writeln!(reply.err, "ksh: {other}:  not found");
                reply.status = 127;
            }
        }
    }
    reply
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

/// Ends what runs for it, and begins what comes next.
pub(crate) fn go_on(
    process: &mut Process,
    world: &mut World,
    call: &Call,
    job: Option<&str>,
    log: &mut Vec<LogEntry>,
) -> Step {
    let (host, now) = (call.host.as_str(), call.now);
    let ended = process.running.take();
    let said = ended.map(|Running { command, effect }| {
        let reply = end_line(world, line_of(call, &command), &effect);
        let text = command.shell_text();
        log.push(LogEntry::new(now, host, job, &text, Stage::Ended, Some(reply.status)));
        reply
    });
    if world.at(host).power != Power::Up {
        return Step::Gone;
    }
    match nimadm::advance(world, call, &mut process.state, said) {
        Next::Command(command) => {
            let text = command.shell_text();
            log.push(LogEntry::new(now, host, job, &text, Stage::Started, None));
            let Begun { due_ms, effect } = start_line(world, &line_of(call, &command), &text);
            process.running = Some(Running { command, effect });
            Step::Waits(due_ms)
        }
        Next::Exit(status) => Step::Exits(Reply {
            status: process.status.unwrap_or(status),
            out: std::mem::take(&mut process.state.out),
            err: std::mem::take(&mut process.state.err),
            ..Reply::default()
        }),
    }
}

/// `command` as the process of `call` runs it.
fn line_of(call: &Call, command: &Command) -> Line {
    Line::of(command, &call.host, &call.root, call.now)
}

/// Runs the whole process at once.
fn run_through(world: &mut World, call: &Call, halved: bool, status: Option<i32>) -> Reply {
    let mut process = Process::new(PASSING_PID, halved, status);
    loop {
        match go_on(&mut process, world, call, None, &mut Vec::new()) {
            Step::Exits(reply) => return reply,
            Step::Gone => return Reply::fail(143, "Terminated"),
            // What never ends is ended by whoever waits for it.
            Step::Waits(None) => return Reply::fail(137, "Killed"),
            Step::Waits(Some(_)) => {}
        }
    }
}

/// A reply as transports hand it on.
pub(crate) fn bounded(reply: Reply, took_ms: Millis) -> CommandOutput {
    let out = match &reply.archive {
        // An archive on a terminal is noise; its size is all that is told.
        Some(_) => String::new(),
        None => reply.out,
    };
    CommandOutput {
        took_s: Some(took_ms / 1000),
        ..CommandOutput::bounded(reply.status, &out, &reply.err)
    }
}
