//! What is said of output that cannot be read.

use crate::base::sanitize_line;

/// Output that a reader does not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// A line is not of the expected layout.
    #[error("cannot read the output of `{command}`: `{line}`")]
    Line {
        command: &'static str,
        /// The line, made fit to be shown.
        line: String,
    },
    /// The data that must be there is not.
    #[error("the output of `{command}` has no {what}")]
    Missing {
        command: &'static str,
        /// What is missing.
        what: &'static str,
    },
}

impl Unread {
    /// `line` of the output of `command` is not of its layout.
    pub fn line(command: &'static str, line: &str) -> Unread {
        Unread::Line { command, line: sanitize_line(line, 120) }
    }

    /// The output of `command` has no `what`.
    pub fn missing(command: &'static str, what: &'static str) -> Unread {
        Unread::Missing { command, what }
    }
}

/// The lines of `text` that say something, without blanks at their ends.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty())
}
