//! A run of nimadm as data: what is still to be done, in order.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::transport::Command;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// The process that it is.
    pub pid: u32,
    /// What it has said.
    pub out: String,
    pub err: String,
    /// Whether it is killed in the midst of its next phase.
    pub(super) halved: bool,
    /// How many commands it comes to before it is killed.
    pub(super) left: Option<u32>,
    /// Whether it has begun.
    pub(super) begun: bool,
    /// Whether something went wrong.
    pub(super) failed: bool,
    /// The phase that it is in.
    pub(super) phase: Option<u8>,
    /// What is to be done, in order.
    pub(super) ops: VecDeque<Op>,
    /// What runs: what is said where it fails, and whether that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waits_for: Option<OnFailure>,
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
        command: Command,
        /// What follows when it fails.
        on_failure: OnFailure,
    },
    /// A file is made at once.
    Put { host: String, path: String, text: String },
}

/// A command that must succeed.
pub(super) fn must(command: Command, words: &str) -> Op {
    Op::Command { command, on_failure: OnFailure::Fail(words.to_owned()) }
}

/// A command whose failure does not matter.
pub(super) fn may(command: Command) -> Op {
    Op::Command { command, on_failure: OnFailure::Ignore }
}
