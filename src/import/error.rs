//! What is wrong with what was to be imported: where, what, and the way out.

use std::collections::BTreeSet;
use std::fmt;

use crate::base::{limits, sanitize_line};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportError {
    /// The line, from 1; 0 where it is about the whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// All that is wrong, in the order of the lines.
///
/// Displayed as one block of two lines for each error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportErrors {
    file: String,
    errors: Vec<ImportError>,
    more: usize,
}

impl ImportErrors {
    /// The errors, in the order of their lines; not more than
    /// [`limits::PLAN_ERRORS_MAX`].
    pub fn iter(&self) -> std::slice::Iter<'_, ImportError> {
        self.errors.iter()
    }
}

impl<'a> IntoIterator for &'a ImportErrors {
    type Item = &'a ImportError;
    type IntoIter = std::slice::Iter<'a, ImportError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ImportErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ImportError { line, message, help }) in self.errors.iter().enumerate() {
            let feed = if index == 0 { "" } else { "\n" };
            match line {
                0 => write!(f, "{feed}{}: {message}\n  help: {help}", self.file)?,
                _ => write!(f, "{feed}{}:{line}: {message}\n  help: {help}", self.file)?,
            }
        }
        if self.more > 0 {
            write!(f, "\n{}: {} more errors are not shown", self.file, self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ImportErrors {}

/// Takes errors by their line.
#[derive(Debug, Default)]
pub(super) struct Errors {
    /// A set: what is wrong with a variable of a group is said once.
    found: BTreeSet<ImportError>,
    more: usize,
}

impl Errors {
    /// An error in `line`. The message is made fit to be shown.
    pub(super) fn push(&mut self, line: usize, message: impl AsRef<str>, help: impl Into<String>) {
        const KEPT: usize = 20 * limits::PLAN_ERRORS_MAX;
        let message = sanitize_line(message.as_ref(), limits::CAUSE_BYTES_MAX);
        let error = ImportError { line, message, help: sanitize_line(&help.into(), 400) };
        if self.found.len() < KEPT {
            self.found.insert(error);
        } else if !self.found.contains(&error) {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn finish(self, file: &str) -> ImportErrors {
        let mut errors: Vec<ImportError> = self.found.into_iter().collect();
        let hidden = errors.len().saturating_sub(limits::PLAN_ERRORS_MAX);
        errors.truncate(limits::PLAN_ERRORS_MAX);
        ImportErrors { file: sanitize_line(file, 400), errors, more: self.more + hidden }
    }
}

/// `text` between backticks, cut to a readable length.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", sanitize_line(text, 60))
}
