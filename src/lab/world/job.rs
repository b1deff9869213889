//! Durable jobs as data: a script, how far it is, and what becomes of the command
//! that runs.

use serde::{Deserialize, Serialize};

use crate::base::Millis;
use crate::base::limits::OUTPUT_PIECE_BYTES_MAX;
use crate::lab::commands::nimadm;
use crate::transport::{Command, CommandOutput, Output, OutputMark, OutputPiece, Script};

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
    pub script: Script,
    /// The command that runs.
    pub index: usize,
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
    Failed { status: i32, out: String, err: String },
    /// It does its work and gives another exit status.
    Status {
        /// Whether the first part is done.
        begun: bool,
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

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    /// The status that it gives, whatever came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<i32>,
    /// What it is about.
    pub(crate) state: nimadm::Run,
    /// What runs for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) running: Option<Running>,
}

/// A command that runs for a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Running {
    pub(crate) command: Command,
    pub(crate) effect: Effect,
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
}
