//! A command line about to run, and what it gave.

use std::fmt::Write as _;

use super::place::PathError;
use super::tree::{Tree, normal};
use crate::base::Millis;
use crate::transport::Command;

/// A command about to run.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub host: String,
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Directory to run in, as the program sees it.
    pub cwd: String,
    /// Directory that the program sees as `/`.
    pub root: String,
    pub input: Option<Stream>,
    pub now: Millis,
    /// Whether the first part of its effect was made before.
    pub begun: bool,
}

/// What goes through a pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Text.
    Text(String),
    /// A `tar` archive of one file system.
    Archive {
        tree: Tree,
        /// What the site's data takes.
        data_mb: u64,
    },
}

impl Stream {
    /// The first half, of what was cut off.
    pub(crate) fn first_half(self) -> Stream {
        match self {
            Stream::Text(text) => {
                let end = (0..=text.len() / 2).rev().find(|end| text.is_char_boundary(*end));
                Stream::Text(text[..end.unwrap_or(0)].to_owned())
            }
            Stream::Archive { tree, data_mb } => {
                Stream::Archive { tree: tree.first_half(), data_mb: data_mb / 2 }
            }
        }
    }
}

/// What a command gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub status: i32,
    pub out: String,
    pub err: String,
    /// Output that is not text.
    pub archive: Option<Stream>,
    /// Whether it was called wrongly, and its usage is still to be told.
    pub misused: bool,
}

impl Reply {
    /// Success with output.
    pub(crate) fn ok(out: impl Into<String>) -> Reply {
        Reply { out: out.into(), ..Reply::default() }
    }

    /// Failure with a message, a line feed added.
    pub(crate) fn fail(status: i32, err: impl Into<String>) -> Reply {
        let mut err = err.into();
        err.push('\n');
        Reply { status, err, ..Reply::default() }
    }

    /// Tells the usage, where it is to be told.
    pub(crate) fn with_usage(mut self, usage: &str) -> Reply {
        if std::mem::take(&mut self.misused) {
            let _ = writeln!(self.err, "Usage: {usage}");
        }
        self
    }

    /// Failure to use a path.
    pub(crate) fn path(call: &Call, path: &str, error: &PathError) -> Reply {
        Reply::fail(
            if matches!(error, PathError::Absent) { 2 } else { 1 },
            format!("{}: {path}: {error}", call.name()),
        )
    }
}

impl Call {
    /// The command's own name.
    pub(crate) fn name(&self) -> &str {
        self.argv.first().map_or("", |program| program.rsplit('/').next().unwrap_or(""))
    }

    /// The arguments.
    pub(crate) fn args(&self) -> &[String] {
        self.argv.get(1..).unwrap_or(&[])
    }

    /// `path` as the host sees it.
    pub(crate) fn path(&self, path: &str) -> String {
        let inner = normal(&self.cwd, path);
        if self.root == "/" { inner } else { normal("/", &format!("{}{inner}", self.root)) }
    }

    /// The command line, for faults and people.
    pub(crate) fn line(&self) -> String {
        self.argv.join(" ")
    }
}

/// How long a command takes, and whether its effect comes in two stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub ms: Millis,
    /// Whether its first part is made when it begins.
    pub staged: bool,
    /// Whether it runs other commands, one after the other.
    pub stepwise: bool,
}

/// A command line of a script: a call, perhaps with a second one that reads its
/// output.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The first.
    pub call: Call,
    /// The second's argv.
    pub pipe_to: Option<Vec<String>>,
}

impl Line {
    /// `command` on that host, in that root.
    pub(crate) fn of(command: &Command, host: &str, root: &str, now: Millis) -> Line {
        let call = Call {
            host: host.to_owned(),
            argv: command.argv.clone(),
            env: command.env.clone(),
            cwd: command.cwd.clone().unwrap_or_else(|| "/".to_owned()),
            root: root.to_owned(),
            input: command.stdin.clone().map(Stream::Text),
            now,
            begun: false,
        };
        Line { call, pipe_to: command.pipe_to.clone() }
    }

    /// The second, with what the first gave.
    pub(crate) fn second(&self, input: Option<Stream>) -> Option<Call> {
        let argv = self.pipe_to.clone()?;
        Some(Call { argv, input, ..self.call.clone() })
    }
}
