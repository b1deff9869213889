//! A command of AIX as a process of its own: what stands behind the links at
//! AIX's paths when hosts are reached by a shell.
//!
//! A long command takes its time, with a part of its effect at the beginning
//! and the rest at the end: ended in between, it leaves the part.

use std::io::{BufRead as _, BufReader, Read, Write};

use serde::{Deserialize, Serialize};

use super::call::{Call, Line, Reply, Span, Stream};
use super::commands::{REGISTRY, remote};
use super::fault::FaultKind;
use super::handle::{Lab, LabError};
use super::log::{LogEntry, Stage};
use super::run::{Begun, end_line, run_one, start_line, start_within};
use super::shell::{innermost, with_usage};
use super::store::DirStore;
use super::tree::{Kind, Tree};
use super::world::{Effect, Power, World};
use crate::base::{Millis, sanitize};
use crate::transport::Command;

/// A command about to run.
#[derive(Debug, Clone)]
pub struct Program {
    pub host: String,
    /// Program, as it was called, and arguments.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// The directory that it runs in.
    pub cwd: String,
    /// The durable job that it belongs to.
    pub job: Option<String>,
    /// Why the machine does not let it do anything: exit status and message.
    pub refused: Option<(i32, String)>,
}

/// A file system that a command unmounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmounts {
    pub host: String,
    pub point: String,
    /// As the command line has it.
    pub what: String,
    /// Whether it is unmounted in any case.
    pub force: bool,
}

impl Unmounts {
    /// Exit status and message of `umount` where somebody uses it.
    pub fn busy(&self) -> (i32, String) {
        (1, format!("{}\n", super::commands::unmount_busy(&self.what)))
    }
}

/// What the process reads and writes.
pub struct Streams<'a> {
    pub input: &'a mut dyn Read,
    pub output: &'a mut dyn Write,
    pub messages: &'a mut dyn Write,
    /// Called when a fault cuts the network of the host, with the milliseconds
    /// of the machine's clock that it lasts.
    pub on_cut: &'a mut dyn FnMut(Millis),
    /// Runs a line of shell on another host, on the streams of this process, and
    /// tells how that ended.
    pub remote: &'a mut dyn FnMut(&str, &str) -> Session,
}

/// How a session of a remote shell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// With this exit status.
    Ended(i32),
    /// The host did not answer: nothing was begun.
    Unreached,
    /// The connection broke. What was begun goes on.
    Broken,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub status: i32,
    /// Hosts that it took down.
    pub went_down: Vec<String>,
    /// Whether its reply is to be lost, by a fault.
    pub lost: bool,
}

/// What a connection to another host takes.
const CONNECT_MS: Millis = 1000;

/// Status of a command whose host went down under it.
const GONE: i32 = 137;

/// First line of an archive in a pipe. The halves follow, one a line, so that a
/// reader whose writer is ended in between keeps the first.
const ARCHIVE: &str = "nimshift lab archive";

/// More is no list of files and no boot image.
const INPUT_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Packed {
    tree: Tree,
    data_mb: u64,
}

fn pack(stream: Stream) -> Option<String> {
    let Stream::Archive { tree, data_mb } = stream else { return None };
    Some(serde_json::to_string(&Packed { tree, data_mb }).expect("a tree is plain data"))
}

fn unpack(line: &str) -> Option<Stream> {
    let Packed { tree, data_mb } = serde_json::from_str(line).ok()?;
    Some(Stream::Archive { tree, data_mb })
}

/// Whether the command reads its input; most do not, and must leave it to
/// others.
fn reads_input(call: &Call) -> bool {
    let operand = |arg: &String| !arg.starts_with('-');
    match call.name() {
        "tar" => !makes_archive(call),
        "dd" => !call.args().iter().any(|arg| arg.starts_with("if=")),
        "cat" => !call.args().iter().any(operand),
        "backup" => call.args().iter().any(|arg| arg.starts_with("-i")),
        _ => false,
    }
}

fn makes_archive(call: &Call) -> bool {
    let flags = call.args().iter().find(|arg| *arg != "-C" && arg.starts_with('-'));
    call.name() == "tar" && flags.is_some_and(|flags| flags.contains('c'))
}

impl Lab {
    /// Names of all commands that hosts answer.
    pub fn command_names() -> Vec<&'static str> {
        REGISTRY.iter().map(|row| row.name).collect()
    }

    /// Directories of each host that is up, as they stand in its mounts.
    pub fn directories(&self) -> Result<Vec<(String, Vec<String>)>, LabError> {
        self.with(|world, now, _| {
            let up = world.hosts.values().filter(|host| host.power == Power::Up);
            up.map(|host| (host.name.clone(), directories(world, &host.name, now))).collect()
        })
    }

    /// Why a connection to the host is not made now, as the network says it.
    pub fn refuses_connection(&self, host: &str) -> Result<Option<String>, LabError> {
        self.with(|world, now, _| {
            if world.find(host).is_none() {
                return Err(LabError::UnknownHost(host.to_owned()));
            }
            let struck = world.strike(FaultKind::Unreachable, host, "").is_some();
            let timed_out = struck || !world.reaches(host, now);
            Ok(timed_out.then(|| "Connection timed out".to_owned()))
        })?
    }

    /// What `umount` unmounts, if the command is one, also through another
    /// command.
    pub fn unmounts(&self, program: &Program) -> Result<Option<Unmounts>, LabError> {
        let call = call_of(program, self.clock().now_ms());
        self.with(|world, _, _| {
            world.find(&program.host)?;
            let inner = innermost(world, &call);
            if inner.name() != "umount" || world.find(&inner.host).is_none() {
                return None;
            }
            let (what, force) = super::commands::unmounted(&inner)?;
            let point = inner.path(&what);
            world.at(&inner.host).mounted_at(&point)?;
            Some(Unmounts { host: inner.host.clone(), point, what, force })
        })
    }

    /// Whether a fault by name keeps a connection to the host from being made.
    /// The estate is opened only where there is one.
    pub fn strikes_connection(dir: &std::path::Path, host: &str) -> Result<bool, LabError> {
        let faults = DirStore::faults(dir)?;
        if !faults.iter().any(|fault| fault.spec.kind == FaultKind::Unreachable) {
            return Ok(false);
        }
        Lab::open(dir)?.with(|world, _, _| world.strike(FaultKind::Unreachable, host, "").is_some())
    }

    /// Runs a command as a process does: it takes its time, and what it reads
    /// and writes goes through pipes.
    pub fn run_program(
        &self,
        program: &Program,
        streams: &mut Streams<'_>,
    ) -> Result<Ended, LabError> {
        let mut call = call_of(program, self.clock().now_ms());
        let text = Command::new(program.argv.iter().cloned()).shell_text();
        let found = self.with(|world, _, _| {
            let host = world.find(&program.host).filter(|host| host.power == Power::Up)?;
            Some((host.boot_ms, innermost(world, &call)))
        })?;
        let Some((boot_ms, inner)) = found else {
            return Ok(Ended { status: GONE, went_down: Vec::new(), lost: false });
        };
        if call.name() == "c_rsh" {
            let begun = self.remote_shell(program, &mut call, &text, streams)?;
            return self.end_program(program, call, &text, &begun, boot_ms, streams);
        }
        let input =
            if reads_input(&inner) { self.read_input(&call, streams)? } else { Input::None };
        let cut = matches!(input, Input::Cut);
        if let Input::All(stream) = input {
            call.input = Some(stream);
        }
        // Pipes are written to without the lock: who reads may wait for it.
        let (begun, half, cut_ms) = self.with(|world, now, log| {
            let (host, job) = (program.host.as_str(), program.job.as_deref());
            log.push(LogEntry::new(now, host, job, &text, Stage::Started, None));
            call.now = now;
            let half = makes_archive(&inner).then(|| first_half(world, &call)).flatten();
            let before = world.at(host).cut_until_ms;
            let line = Line { call: call.clone(), pipe_to: None };
            let begun = match program.refused.clone() {
                Some((status, err)) => refused(now, status, err),
                None => start_line(world, &line, &text),
            };
            let cut_until = world.at(host).cut_until_ms;
            (begun, half, (cut_until != before).then(|| cut_until.saturating_sub(now)))
        })?;
        if let Some(ms) = cut_ms {
            let real = self.clock().real(ms).as_millis();
            (streams.on_cut)(Millis::try_from(real).unwrap_or(Millis::MAX));
        }
        if let Some(half) = half {
            let _ = writeln!(streams.output, "{ARCHIVE}\n{half}");
            let _ = streams.output.flush();
        }
        self.wait_until(begun.due_ms);
        let begun = if cut { cut_short(&begun) } else { begun };
        self.end_program(program, call, &text, &begun, boot_ms, streams)
    }

    /// Where shells are real, the line that another host is given is one of its
    /// shell's: what runs there are commands of their own.
    fn remote_shell(
        &self,
        program: &Program,
        call: &mut Call,
        text: &str,
        streams: &mut Streams<'_>,
    ) -> Result<Begun, LabError> {
        let (begun, target) = self.with(|world, now, log| {
            let (host, job) = (program.host.as_str(), program.job.as_deref());
            log.push(LogEntry::new(now, host, job, text, Stage::Started, None));
            call.now = now;
            let target = remote::reached(world, call).and_then(|(client, line)| {
                match world.strike(FaultKind::Unreachable, &client, text) {
                    Some(_) => Err(remote::timed_out()),
                    None => Ok((client, line)),
                }
            });
            let line = Line { call: call.clone(), pipe_to: None };
            let span = Span { ms: CONNECT_MS, staged: false, stepwise: false };
            (start_within(world, &line, text, span), target)
        })?;
        self.wait_until(begun.due_ms);
        let wanted = match begun.effect {
            Effect::Whole => None,
            Effect::Status { status, .. } => Some(status),
            _ => return Ok(begun),
        };
        let reply = match target {
            Err(refused) => with_usage(call, refused),
            Ok((client, line)) => match (streams.remote)(&client, &line) {
                Session::Ended(status) => {
                    Reply { status: wanted.unwrap_or(status), ..Reply::default() }
                }
                Session::Unreached => remote::timed_out(),
                Session::Broken => remote::broken(),
            },
        };
        let Reply { status, out, err, .. } = reply;
        Ok(Begun { effect: Effect::Failed { status, out, err }, ..begun })
    }

    fn end_program(
        &self,
        program: &Program,
        mut call: Call,
        text: &str,
        begun: &Begun,
        boot_ms: Millis,
        streams: &mut Streams<'_>,
    ) -> Result<Ended, LabError> {
        let host = program.host.as_str();
        let (reply, went_down, lost) = self.with(|world, now, log| {
            let same =
                |host: &super::world::Host| host.power == Power::Up && host.boot_ms == boot_ms;
            if !world.find(host).is_some_and(same) {
                return (Reply { status: GONE, ..Reply::default() }, Vec::new(), false);
            }
            call.now = now;
            let up = hosts_up(world);
            let reply = end_line(world, Line { call, pipe_to: None }, &begun.effect);
            let job = program.job.as_deref();
            log.push(LogEntry::new(now, host, job, text, Stage::Ended, Some(reply.status)));
            let down = up.into_iter().filter(|name| world.at(name).power != Power::Up).collect();
            let lost = world.strike(FaultKind::LostReply, host, text).is_some();
            (reply, down, lost)
        })?;
        // A reader that is gone is the reader's affair.
        let _ = match reply.archive.and_then(pack) {
            Some(whole) => writeln!(streams.output, "{whole}"),
            None => streams.output.write_all(sanitize(&reply.out, usize::MAX).as_bytes()),
        };
        let _ = streams.messages.write_all(sanitize(&reply.err, usize::MAX).as_bytes());
        let _ = streams.output.flush();
        Ok(Ended { status: reply.status, went_down, lost })
    }

    /// Reads all input. The first half of an archive takes effect at once.
    fn read_input(&self, call: &Call, streams: &mut Streams<'_>) -> Result<Input, LabError> {
        let mut bytes = BufReader::new(streams.input.take(INPUT_BYTES_MAX));
        let mut first = Vec::new();
        if bytes.read_until(b'\n', &mut first).is_err() {
            return Ok(Input::Cut);
        }
        if first.trim_ascii_end() != ARCHIVE.as_bytes() {
            return Ok(match bytes.read_to_end(&mut first) {
                Ok(_) => Input::All(Stream::Text(String::from_utf8_lossy(&first).into_owned())),
                Err(_) => Input::Cut,
            });
        }
        let mut line = String::new();
        let mut next = |line: &mut String| {
            line.clear();
            bytes.read_line(line).is_ok_and(|read| read > 0 && line.ends_with('\n'))
        };
        if !next(&mut line) {
            return Ok(Input::Cut);
        }
        if let Some(half) = unpack(&line) {
            self.with(|world, now, _| {
                run_one(world, &Call { input: Some(half), now, ..call.clone() })
            })?;
        }
        let whole = if next(&mut line) { unpack(&line) } else { None };
        Ok(whole.map_or(Input::Cut, Input::All))
    }

    /// Waits on the estate's clock; for ever where nothing is due.
    fn wait_until(&self, due_ms: Option<Millis>) {
        let clock = self.clock();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime without I/O needs nothing of the machine");
        runtime.block_on(async {
            match due_ms {
                Some(due) => {
                    // It may be set meanwhile.
                    let left = || due.saturating_sub(clock.now_ms());
                    while left() > 0 {
                        clock.sleep(std::time::Duration::from_millis(left())).await;
                    }
                }
                None => std::future::pending().await,
            }
        });
    }
}

/// What was read.
enum Input {
    /// Nothing was asked for.
    None,
    /// All.
    All(Stream),
    /// The writer was ended in between.
    Cut,
}

fn call_of(program: &Program, now: Millis) -> Call {
    Call {
        host: program.host.clone(),
        argv: program.argv.clone(),
        env: program.env.clone(),
        cwd: program.cwd.clone(),
        root: "/".to_owned(),
        input: None,
        now,
        begun: false,
    }
}

/// The first half of what the call will give, if it gives anything.
fn first_half(world: &World, call: &Call) -> Option<String> {
    run_one(&mut world.clone(), call).archive.map(Stream::first_half).and_then(pack)
}

fn refused(now: Millis, status: i32, err: String) -> Begun {
    let effect = Effect::Failed { status, out: String::new(), err };
    Begun { effect, due_ms: Some(now) }
}

fn cut_short(begun: &Begun) -> Begun {
    let err = "tar: 0511-195 An unexpected end of file was found in the archive.\n".to_owned();
    Begun { effect: Effect::Failed { status: 1, out: String::new(), err }, due_ms: begun.due_ms }
}

/// Mount points, and directories of local file systems.
fn directories(world: &World, host: &str, now: Millis) -> Vec<String> {
    let mut found = Vec::new();
    for mount in &world.at(host).mounts {
        found.push(mount.point.clone());
        let Ok(place) = world.place(host, &mount.point, now) else { continue };
        let tree = world.volume(&place).ok().and_then(|volume| volume.tree.clone());
        for (path, node) in tree.iter().flat_map(|tree| &tree.nodes) {
            if node.kind == Kind::Dir && place.rel.is_empty() {
                found.push(format!("{}/{path}", mount.point.trim_end_matches('/')));
            }
        }
    }
    found
}

fn hosts_up(world: &World) -> Vec<String> {
    let up = world.hosts.values().filter(|host| host.power == Power::Up);
    up.map(|host| host.name.clone()).collect()
}
