//! The one error type at the edge: what went wrong, how the program ends, and
//! the way out.

use std::error::Error;
use std::path::Path;

use crate::domain::PlanErrors;
use crate::fleet::{BeginError, KnownError, UnreadSettings};
use crate::journal::JournalError;

use super::exit::Exit;
use super::out::{Out, Paint};

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) struct CliError {
    exit: Exit,
    message: String,
    causes: Vec<String>,
    help: Vec<String>,
    usage: Vec<String>,
}

impl CliError {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> CliError {
        CliError {
            exit,
            message: message.into(),
            causes: Vec::new(),
            help: Vec::new(),
            usage: Vec::new(),
        }
    }

    pub(super) fn usage(message: impl Into<String>) -> CliError {
        CliError::new(Exit::Usage, message)
    }

    pub(super) fn internal(message: impl Into<String>) -> CliError {
        CliError::new(Exit::Internal, message)
    }

    /// A file that could not be read or written.
    pub(super) fn file(exit: Exit, doing: &str, path: &Path, error: &std::io::Error) -> CliError {
        CliError::new(exit, format!("cannot {doing} `{}`", path.display())).because(error)
    }

    /// Adds `error` and its sources as causes.
    #[must_use]
    pub(super) fn because(mut self, error: &dyn Error) -> CliError {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> CliError {
        self.help.push(help.into());
        self
    }

    /// A line that shows how the command is used.
    #[must_use]
    pub(super) fn usage_line(mut self, line: impl Into<String>) -> CliError {
        self.usage.push(line.into());
        self
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Says it on stderr.
    pub(super) fn say(&self, out: &Out) {
        out.labelled("error", Paint::Red, &self.message);
        for cause in &self.causes {
            out.labelled("  caused by", Paint::Red, cause);
        }
        for help in &self.help {
            out.labelled("  help", Paint::Green, help);
        }
        for line in &self.usage {
            out.labelled("usage", Paint::Bold, line);
        }
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> CliError {
        let exit = match &error {
            JournalError::NotFound { .. } => Exit::Usage,
            JournalError::Held { .. } | JournalError::Fenced { .. } => Exit::Held,
            error if error.is_damage() => Exit::Damaged,
            _ => Exit::Internal,
        };
        let told = CliError::new(exit, error.to_string());
        match &error {
            JournalError::NotFound { .. } => told.help(
                "start with `nimshift run PLAN`, or name another directory by `--state-dir` or \
                 NIMSHIFT_STATE_DIR",
            ),
            JournalError::Held { .. } => told.help(
                "watch it with `nimshift status --watch`, give it orders such as `nimshift hold \
                 CLIENT`, or use another `--state-dir`",
            ),
            JournalError::Fenced { .. } => told.help(
                "this engine has started and ended nothing since; `nimshift status` shows what \
                 the other one is doing",
            ),
            JournalError::Damaged { .. } | JournalError::Differs { .. } => {
                told.help("`nimshift verify` lists everything that differs")
            }
            _ => told,
        }
    }
}

impl From<PlanErrors> for CliError {
    fn from(errors: PlanErrors) -> CliError {
        CliError::usage(format!("the plan has errors\n{errors}"))
    }
}

impl From<UnreadSettings> for CliError {
    fn from(error: UnreadSettings) -> CliError {
        let told = CliError::internal(error.to_string());
        match error.source() {
            Some(source) => told.because(source),
            None => told,
        }
    }
}

impl From<BeginError> for CliError {
    fn from(error: BeginError) -> CliError {
        match error {
            BeginError::Plan { .. } => CliError::usage(error.to_string()),
            BeginError::Journal(error) => error.into(),
        }
    }
}

impl From<KnownError> for CliError {
    fn from(error: KnownError) -> CliError {
        match error {
            KnownError::Unread { ref source, .. } => {
                CliError::new(Exit::Damaged, error.to_string()).because(source)
            }
            KnownError::Journal(error) => error.into(),
            KnownError::Settings(error) => error.into(),
        }
    }
}
