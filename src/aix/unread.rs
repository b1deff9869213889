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

/// The lines after the heading, which is the first line that `is_heading`.
pub(super) fn after_heading<'a>(
    command: &'static str,
    what: &'static str,
    text: &'a str,
    is_heading: impl Fn(&str) -> bool,
) -> Result<impl Iterator<Item = &'a str>, Unread> {
    let mut all = lines(text).skip_while(move |line| !is_heading(line));
    match all.next() {
        Some(_) => Ok(all),
        None => Err(match lines(text).next() {
            Some(line) => Unread::line(command, line),
            None => Unread::missing(command, what),
        }),
    }
}
