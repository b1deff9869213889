//! What is wrong with a plan file: where, what, and the way out.

use std::collections::BTreeSet;
use std::fmt;

use crate::base::{limits, sanitize_line};

/// One thing that is wrong with a plan file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanError {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// What is wrong, with the key that it is about.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// All that is wrong with a plan file, in the order of its lines.
///
/// Displayed as one block of two lines for each error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanErrors {
    file: String,
    errors: Vec<PlanError>,
    more: usize,
}

impl PlanErrors {
    /// The errors, in the order of their lines; not more than
    /// [`limits::PLAN_ERRORS_MAX`].
    pub fn iter(&self) -> std::slice::Iter<'_, PlanError> {
        self.errors.iter()
    }

    /// How many errors there are beyond those.
    pub fn more(&self) -> usize {
        self.more
    }
}

impl<'a> IntoIterator for &'a PlanErrors {
    type Item = &'a PlanError;
    type IntoIter = std::slice::Iter<'a, PlanError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let PlanError { line, column, message, help } = error;
            let feed = if index == 0 { "" } else { "\n" };
            write!(f, "{feed}{}:{line}:{column}: {message}\n  help: {help}", self.file)?;
        }
        if self.more > 0 {
            write!(f, "\n{}: {} more errors are not shown", self.file, self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanErrors {}

/// Takes errors by their place in the text.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// A set: a wrong default is wrong for every client, and said once.
    errors: BTreeSet<(usize, String, String)>,
    more: usize,
}

impl Collector {
    /// An error at byte `offset`.
    pub(super) fn push(&mut self, offset: usize, message: String, help: impl Into<String>) {
        // Kept beyond what is shown, because the first lines are to be shown
        // and not the first finds.
        const KEPT: usize = 20 * limits::PLAN_ERRORS_MAX;
        let error = (offset, message, help.into());
        if self.errors.len() < KEPT {
            self.errors.insert(error);
        } else if !self.errors.contains(&error) {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors with their lines and columns in `text`.
    pub(super) fn finish(self, file: &str, text: &str) -> PlanErrors {
        let lines = Lines::of(text);
        let mut errors: Vec<PlanError> = self
            .errors
            .into_iter()
            .map(|(offset, message, help)| {
                let (line, column) = lines.place(offset);
                PlanError { line, column, message, help }
            })
            .collect();
        let hidden = errors.len().saturating_sub(limits::PLAN_ERRORS_MAX);
        errors.truncate(limits::PLAN_ERRORS_MAX);
        PlanErrors { file: sanitize_line(file, 400), errors, more: self.more + hidden }
    }
}

/// Where the lines of a text begin.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Lines<'a> {
        let feeds = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(feeds.map(|(index, _)| index + 1)).collect();
        Lines { text, starts }
    }

    /// Line and column of a byte, both from 1.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        (line, String::from_utf8_lossy(before).chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let lines = Lines::of("ä = 1\n\nbc\n");
        assert_eq!(lines.place(0), (1, 1));
        assert_eq!(lines.place(3), (1, 3));
        assert_eq!(lines.place(7), (2, 1));
        assert_eq!(lines.place(9), (3, 2));
        assert_eq!(lines.place(11), (4, 1));
        assert_eq!(lines.place(99), (4, 1));
    }

    #[test]
    fn errors_come_by_line_once_and_bounded() {
        let text = "\n".repeat(5_000);
        let mut collector = Collector::default();
        for offset in (0..5_000).rev().chain(0..5_000) {
            collector.push(offset, format!("error {offset}"), "help");
        }
        let errors = collector.finish("p\u{1b}.toml", &text);
        let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
        assert_eq!(lines.len(), limits::PLAN_ERRORS_MAX);
        assert!(lines.is_sorted());
        assert!(errors.more() > 4_000);
        assert!(!errors.to_string().contains('\u{1b}'));
    }
}
