//! Processes: the commands that jobs run. What else runs on a host is not
//! emulated.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::base::Millis;
use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::world::{Host, JobStage, World};

/// The process of the job `id`: the same as long as it runs.
pub(in crate::lab) fn pid_of(id: &str) -> u32 {
    let hash = id
        .bytes()
        .fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    1_000_000 + hash % 9_000_000
}

/// Ids, beginnings and command lines of all that runs. Who held a NIM object in
/// the beginning runs as well.
fn running(host: &Host) -> Vec<(u32, Millis, String)> {
    let mut rows = vec![(1, 0, "/etc/init".to_owned())];
    for (id, job) in host.jobs.iter().filter(|(_, job)| job.stage == JobStage::Running) {
        let line = job.script.commands.get(job.index).map(crate::transport::Command::shell_text);
        rows.push((pid_of(id), job.since_ms, line.unwrap_or_default()));
    }
    for name in &host.initial.locked {
        let holder = host.nim.get(name).and_then(|object| object.get("locked")?.parse().ok());
        rows.extend(holder.map(|pid| (pid, 0, format!("nim -o lppchk {name}"))));
    }
    rows
}

/// A time as `ps` shows it.
fn elapsed(ms: Millis) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let clock = format!("{:02}:{:02}", minutes % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => clock,
        (0, hours) => format!("{hours:02}:{clock}"),
        (days, hours) => format!("{days}-{:02}:{clock}", hours % 24),
    }
}

pub(crate) fn ps(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "eo:p:").and_then(|flags| {
        flags.none(call)?;
        let only: Option<u32> = match flags.get('p').map(str::parse) {
            None => None,
            Some(Ok(pid)) => Some(pid),
            Some(Err(_)) => {
                return Err(refuse(call, "The process id is not a number."));
            }
        };
        let is_long = match flags.get('o') {
            None | Some("pid,args") => false,
            Some("pid,user,etime,args") => true,
            Some(_) => {
                let known = "Only -o pid,args and -o pid,user,etime,args are known.";
                return Err(refuse(call, known));
            }
        };
        let heading =
            if is_long { "    PID     USER     ELAPSED COMMAND\n" } else { "    PID COMMAND\n" };
        let mut out = String::from(heading);
        let host = world.at(&call.host);
        let mut rows = running(host);
        rows.retain(|(pid, _, _)| only.is_none_or(|only| only == *pid));
        for (pid, since, line) in &rows {
            if is_long {
                let time = elapsed(call.now.saturating_sub((*since).max(host.boot_ms)));
                let _ = writeln!(out, "{pid:>7}     root {time:>11} {line}");
            } else {
                let _ = writeln!(out, "{pid:>7} {line}");
            }
        }
        Ok(Reply { status: i32::from(rows.is_empty()), out, ..Reply::default() })
    }))
}

pub(crate) fn kill(world: &mut World, call: &Call) -> Reply {
    let (pids, signals): (Vec<&String>, Vec<&String>) =
        call.args().iter().partition(|word| !word.starts_with('-'));
    let known = |signal: &&String| matches!(signal.as_str(), "-9" | "-15" | "-KILL" | "-TERM");
    if pids.is_empty() || !signals.iter().all(known) {
        return refuse(call, "Wrong arguments.");
    }
    let host = world.at_mut(&call.host);
    let mut reply = Reply::default();
    for pid in pids {
        let of_pid = |id: &str| pid.parse() == Ok(pid_of(id));
        let job = host
            .jobs
            .iter_mut()
            .find(|(id, job)| job.stage == JobStage::Running && of_pid(id))
            .map(|(_, job)| Arc::make_mut(job));
        if let Some(job) = job {
            job.stage = JobStage::Lost;
            job.due_ms = None;
        } else {
            let _ =
                writeln!(reply.err, "kill: {pid}: 0403-003 The specified process does not exist.");
            reply.status = 1;
        }
    }
    reply
}
