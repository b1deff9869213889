//! Commands as argument vectors, and what came of them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::shell::readable;
use crate::base::limits::OUTPUT_BYTES_MAX;
use crate::base::{sanitize, sanitize_end};

/// One command: a program and its arguments, never shell text.
///
/// All commands run with `LC_ALL=C`. How long one may take is said with the call
/// that runs it; how much is kept of what it says is
/// [`OUTPUT_BYTES_MAX`](crate::base::limits::OUTPUT_BYTES_MAX) of each stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables added to the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// The directory to run in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// What it reads: whole lines, at most
    /// [`INPUT_BYTES_MAX`](crate::base::limits::INPUT_BYTES_MAX). Without it, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// A second program that reads the first one's output. The command's exit
    /// status is that of the first program that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipe_to: Option<Vec<String>>,
    /// Whether the script goes on when the command fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tolerate: bool,
}

impl Command {
    /// A command without environment, in whatever directory.
    pub fn new<I>(argv: I) -> Command
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: None,
            stdin: None,
            pipe_to: None,
            tolerate: false,
        }
    }

    /// The script goes on when this command fails.
    #[must_use]
    pub fn tolerated(mut self) -> Command {
        self.tolerate = true;
        self
    }

    /// Runs in `directory`.
    #[must_use]
    pub fn within(mut self, directory: impl Into<String>) -> Command {
        self.cwd = Some(directory.into());
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Command {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Reads `lines`.
    #[must_use]
    pub fn reading<S: AsRef<str>>(mut self, lines: impl IntoIterator<Item = S>) -> Command {
        let text = lines.into_iter().fold(String::new(), |text, line| text + line.as_ref() + "\n");
        self.stdin = Some(text);
        self
    }

    /// Sends the output to `argv`'s input.
    #[must_use]
    pub fn piped_to<I>(mut self, argv: I) -> Command
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.pipe_to = Some(argv.into_iter().map(Into::into).collect());
        self
    }

    /// Whether it says the same as `other`, tolerated or not.
    pub fn is_like(&self, other: &Command) -> bool {
        let Command { argv, env, cwd, stdin, pipe_to, tolerate: _ } = other;
        (&self.argv, &self.env, &self.cwd, &self.stdin, &self.pipe_to)
            == (argv, env, cwd, stdin, pipe_to)
    }

    /// The command as a POSIX shell could be given it: for people.
    pub fn shell_text(&self) -> String {
        let mut text = String::new();
        if let Some(directory) = &self.cwd {
            let _ = write!(text, "cd {} && ", readable(directory));
        }
        if let Some(input) = &self.stdin {
            text.push_str("printf '%s\\n'");
            for line in input.lines() {
                let _ = write!(text, " {}", readable(line));
            }
            text.push_str(" | ");
        }
        for (name, value) in &self.env {
            let _ = write!(text, "{name}={} ", readable(value));
        }
        text.push_str(&joined(&self.argv));
        if let Some(second) = &self.pipe_to {
            text.push_str(" | ");
            text.push_str(&joined(second));
        }
        text
    }
}

impl From<Vec<String>> for Command {
    fn from(argv: Vec<String>) -> Command {
        Command::new(argv)
    }
}

/// `argv` as one line for a POSIX shell.
fn joined(argv: &[String]) -> String {
    argv.iter().map(|word| readable(word)).collect::<Vec<_>>().join(" ")
}

/// Commands that travel to a host in one call and run one after the other,
/// until one fails that is not tolerated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Script {
    /// The commands, in order.
    pub commands: Vec<Command>,
}

impl Script {
    /// A script of `commands`.
    pub fn new(commands: impl IntoIterator<Item = Command>) -> Script {
        Script { commands: commands.into_iter().collect() }
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal; or with the status by which shells tell of one.
    Signal(i32),
}

/// What one command of a script gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandOutput {
    /// Exit status; 128 + n for one that signal n ended.
    pub status: i32,
    /// Standard output, bounded.
    pub stdout: String,
    /// Standard error, bounded.
    pub stderr: String,
    /// Whether one of the two was longer than is kept: the rest is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Whole seconds that it took by the host's clock; absent where the host's
    /// shell does not count them, as dash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_s: Option<u64>,
}

impl CommandOutput {
    /// What a command said, sanitized, and of what is too long the end.
    pub fn bounded(status: i32, stdout: &str, stderr: &str) -> CommandOutput {
        let [stdout, stderr] = [stdout, stderr].map(|said| sanitize(said, usize::MAX));
        let is_long = |said: &String| said.len() > OUTPUT_BYTES_MAX;
        let truncated = is_long(&stdout) || is_long(&stderr);
        let [stdout, stderr] = [stdout, stderr]
            .map(|said| if is_long(&said) { sanitize_end(&said, OUTPUT_BYTES_MAX) } else { said });
        CommandOutput { status, stdout, stderr, truncated, took_s: None }
    }

    /// Whether the command said that it succeeded, by its exit status alone.
    pub fn ok(&self) -> bool {
        self.status == 0
    }

    /// How it ended. Hosts tell of signals by the status 128 + n.
    pub fn end(&self) -> End {
        match self.status {
            status @ 129..=159 => End::Signal(status - 128),
            status => End::Exit(status),
        }
    }

    /// Standard error, then standard output: where messages are looked for.
    pub fn text(&self) -> String {
        match (self.stdout.is_empty(), self.stderr.is_empty()) {
            (_, true) => self.stdout.clone(),
            (true, _) => self.stderr.clone(),
            _ => format!("{}\n{}", self.stderr.trim_end(), self.stdout),
        }
    }
}

/// What a script gave: an output for each command that ran. Fewer outputs than
/// commands: the last one failed and was not tolerated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Output {
    /// By command, in order.
    pub commands: Vec<CommandOutput>,
}

impl Output {
    /// The output of the command at `index`, if it ran.
    pub fn get(&self, index: usize) -> Option<&CommandOutput> {
        self.commands.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_them() {
        let command = Command::new(["alt_disk_copy", "-d", "hdisk1 hdisk2", "it's", ""]);
        assert_eq!(command.shell_text(), r"alt_disk_copy -d 'hdisk1 hdisk2' 'it'\''s' ''");
    }

    #[test]
    fn what_a_command_reads_is_shown() {
        let command = Command::new(["dd", "of=/x"]).reading(["a", "", "it's b"]);
        assert_eq!(command.stdin.as_deref(), Some("a\n\nit's b\n"));
        assert_eq!(command.shell_text(), r"printf '%s\n' a '' 'it'\''s b' | dd of=/x");
    }

    #[test]
    fn what_grows_as_it_is_made_fit_to_be_shown_is_cut_and_told() {
        let noise = "\u{7}".repeat(OUTPUT_BYTES_MAX / 2);
        let output = CommandOutput::bounded(0, "all", &noise);
        assert!(output.truncated && output.stderr.len() <= OUTPUT_BYTES_MAX);
        assert_eq!(output.stdout, "all");
        assert!(!CommandOutput::bounded(0, "all", "of it").truncated);
    }

    #[test]
    fn signals_are_told_from_statuses() {
        let of = |status| CommandOutput { status, ..CommandOutput::default() }.end();
        assert_eq!([of(0), of(128), of(127)], [End::Exit(0), End::Exit(128), End::Exit(127)]);
        assert_eq!([of(129), of(137), of(255)], [End::Signal(1), End::Signal(9), End::Exit(255)]);
    }

    #[test]
    fn directory_environment_and_pipe_are_shown() {
        let command = Command::new(["tar", "-cf", "-", "."])
            .within("/alt inst")
            .with_env("A", "b c")
            .piped_to(["cat"]);
        assert_eq!(command.shell_text(), "cd '/alt inst' && A='b c' tar -cf - . | cat");
    }
}
