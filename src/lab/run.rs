//! A command with what faults make of it.

use serde::{Deserialize, Serialize};

use super::commands::unmount_busy;
use super::fault::{FaultKind, strike};
use super::power;
use super::process;
use super::shell::{Line, Reply, Span, begin, run, span};
use super::world::World;
use crate::base::Millis;
use crate::transport::CommandOutput;

/// What becomes of a command that has begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Effect {
    /// It does its work.
    #[default]
    Whole,
    /// It does the rest of its work.
    Rest,
    /// It has failed when it began.
    Failed {
        /// Exit status.
        status: i32,
        /// Standard output.
        out: String,
        /// Standard error.
        err: String,
    },
    /// It does its work and gives another exit status.
    Status {
        /// Whether the first part is done.
        begun: bool,
        /// The status.
        status: i32,
    },
    /// The host is rebooted instead.
    Reboot,
    /// It runs other commands, one after the other.
    Stepwise {
        /// Whether it is killed in the midst of them.
        halved: bool,
        /// The status that it gives, whatever they gave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<i32>,
    },
}

/// A command that has begun.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    /// When it ends.
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
    let hit = |world: &mut World, kind| strike(world, kind, &host, text).is_some();
    let Span { mut ms, staged, stepwise } = span;
    if hit(world, FaultKind::Slow) {
        ms *= 10;
    }
    if let Some(spec) = strike(world, FaultKind::NetworkCut, &host, text) {
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
    if is_umount && strike(world, FaultKind::BusyUnmount, host, text).is_some() {
        let what = line.call.argv.last().map_or("", String::as_str);
        return Some(Reply::fail(1, unmount_busy(what)));
    }
    if strike(world, FaultKind::StaleHandle, host, text).is_some() {
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
        Effect::Whole => run(world, &line),
        Effect::Rest => {
            line.call.begun = true;
            run(world, &line)
        }
        Effect::Status { begun, status } => {
            line.call.begun = *begun;
            let reply = run(world, &line);
            Reply { status: *status, ..reply }
        }
        Effect::Failed { status, out, err } => {
            Reply { status: *status, out: out.clone(), err: err.clone(), archive: None }
        }
        Effect::Stepwise { halved, status } => {
            process::run_through(world, &line.call, *halved, *status)
        }
        Effect::Reboot => {
            power::reboot(world, &line.call.host, line.call.now);
            Reply::fail(143, "Terminated")
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
