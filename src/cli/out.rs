//! The one place that writes to the terminal: data to stdout, the rest to
//! stderr. A reader that has gone away is no error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::sanitize;

use super::args::ColorChoice;

/// Bytes of one line; longer ones are cut.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// A colour, as a terminal is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Bold,
    Red,
    Green,
    Yellow,
    Dim,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Bold => "1",
            Paint::Red => "31",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Dim => "2",
        }
    }
}

/// Where a command writes.
#[derive(Debug)]
pub(super) struct Out {
    color_data: bool,
    color_notes: bool,
    gone: AtomicBool,
}

impl Out {
    pub(super) fn new(choice: ColorChoice) -> Out {
        let wanted = |terminal: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Out {
            color_data: wanted(io::stdout().is_terminal()),
            color_notes: wanted(io::stderr().is_terminal()),
            gone: AtomicBool::new(false),
        }
    }

    /// A line of data on stdout.
    pub(super) fn line(&self, text: &str) {
        let clean = sanitize(text, LINE_BYTES_MAX);
        let painted = if self.color_data { painted_line(&clean) } else { clean };
        self.write(format!("{painted}\n").as_bytes());
    }

    pub(super) fn lines(&self, lines: &[String]) {
        for line in lines {
            self.line(line);
        }
    }

    /// Bytes of data on stdout, as they are: documents that we made ourselves.
    pub(super) fn write(&self, bytes: &[u8]) {
        if self.is_gone() {
            return;
        }
        let mut stdout = io::stdout().lock();
        if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    /// A document on stdout.
    pub(super) fn json(&self, value: &impl serde::Serialize) {
        let mut text = serde_json::to_vec_pretty(value).expect("documents have text for keys");
        text.push(b'\n');
        self.write(&text);
    }

    /// A line for people on stderr.
    pub(super) fn note(text: &str) {
        let clean = sanitize(text, LINE_BYTES_MAX);
        // Where nobody listens there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{clean}");
    }

    /// `error: ` and the like, on stderr.
    pub(super) fn labelled(&self, label: &str, paint: Paint, text: &str) {
        let label = if self.color_notes { wrap(label, paint) } else { label.to_owned() };
        let clean = sanitize(text, LINE_BYTES_MAX);
        let _ = writeln!(io::stderr().lock(), "{label}: {clean}");
    }

    /// Whether whoever read stdout has gone away.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Whether stdout is a terminal that takes cursor movements.
    pub(super) fn is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// Columns of the terminal that stdout is, if it is one.
    pub(super) fn width() -> Option<usize> {
        let (terminal_size::Width(width), _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(usize::from(width).max(40))
    }
}

fn wrap(text: &str, paint: Paint) -> String {
    format!("\u{1b}[{}m{text}\u{1b}[0m", paint.code())
}

/// Words that carry the meaning of a line. Colour only repeats it.
const WORDS: [(&str, Paint); 13] = [
    ("FAILED", Paint::Red),
    ("rolled back", Paint::Red),
    ("rolled_back", Paint::Red),
    ("refused", Paint::Red),
    ("abandoned", Paint::Red),
    ("undo_stuck", Paint::Red),
    ("undo stuck", Paint::Red),
    ("awaiting_operator", Paint::Yellow),
    ("awaiting operator", Paint::Yellow),
    ("backing_off", Paint::Yellow),
    ("migrated", Paint::Green),
    ("mksysb made", Paint::Green),
    ("skipped", Paint::Green),
];

/// The line with its first telling word in colour; headings stand out, and
/// output of commands stands back.
fn painted_line(line: &str) -> String {
    if line.trim_start().starts_with("| ") {
        return wrap(line, Paint::Dim);
    }
    if line.starts_with("Phase ") || line.starts_with("CLIENT ") || line.starts_with("Taking back")
    {
        return wrap(line, Paint::Bold);
    }
    let found = WORDS.iter().filter_map(|(word, paint)| Some((line.find(word)?, word, *paint)));
    match found.min_by_key(|(at, _, _)| *at) {
        Some((at, word, paint)) => {
            format!("{}{}{}", &line[..at], wrap(word, paint), &line[at + word.len()..])
        }
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_changes_no_text() {
        let plain = "lpar01  migrated after 3s";
        let painted = painted_line(plain);
        assert_eq!(painted, "lpar01  \u{1b}[32mmigrated\u{1b}[0m after 3s");
        assert_eq!(painted_line("nothing to say"), "nothing to say");
    }
}
