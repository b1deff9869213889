//! The answers of a probe, read. What cannot be read is `Err` with the reason,
//! and makes the sight `Unknown`: no step guesses.

use crate::aix::{self, argv, argv::Argv};
use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;
use crate::domain::{HostRole, Lease, Presence};
use crate::transport::{Command, CommandOutput, Script};

use super::step::{Answers, Sight};

/// What was read, or why it was not.
pub(super) type Read<T> = Result<T, String>;

/// A script of looks on one host: each command runs, whatever the others say.
pub(super) fn look(role: HostRole, commands: impl IntoIterator<Item = Argv>) -> (HostRole, Script) {
    (role, Script::new(commands.into_iter().map(|argv| Command::new(argv).tolerated())))
}

/// The sight, or `Unknown` with the reason.
pub(super) fn judged(read: Read<Sight>) -> Sight {
    read.unwrap_or_else(|why| Sight::of(Presence::Unknown(why)))
}

/// Ends a script where what `argv` says does not hold `text`: nothing fits between that
/// question and the command behind it.
pub(super) fn holds(argv: impl IntoIterator<Item = impl Into<String>>, text: &str) -> Command {
    Command::new(argv).piped_to(["grep", "-F", "-e", text])
}

/// There if `all` of it is there, else absent or partial by whether `any` is.
pub(super) fn all_or_any(all: bool, any: bool) -> Sight {
    Sight::of(match (all, any) {
        (true, _) => Presence::Present,
        (false, true) => Presence::Partial,
        (false, false) => Presence::Absent,
    })
}

/// The answers of the script at an index of a probe.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    answers: &'a Answers,
    script: usize,
}

/// Whether `path` is that of the entry `name` of its directory.
pub(super) fn is_named(path: &str, name: &str) -> bool {
    path.rsplit('/').next() == Some(name)
}

/// What NIM's programs say where a command's result is none that they know
/// (reference 4, 0042-175).
const UNEXPECTED: &str = "An unexpected result was returned by";

impl<'a> Said<'a> {
    /// The answers of `script`.
    pub(super) fn by(answers: &'a Answers, script: usize) -> Said<'a> {
        Said { answers, script }
    }

    /// The output of `command`. Nothing but NIM's word that the result was not what
    /// it had expected is no answer, whatever the exit code is.
    pub(super) fn output(self, command: usize) -> Read<&'a CommandOutput> {
        let output = self.answers.get(self.script, command);
        let output = output.ok_or_else(|| "the host gave no answer".to_owned())?;
        if output.stdout.trim().is_empty() && output.stderr.contains(UNEXPECTED) {
            let words = last_words(output);
            return Err(words.unwrap_or_else(|| UNEXPECTED.to_owned()));
        }
        Ok(output)
    }

    /// The output of `command` as `reader` reads it. One that has failed, and says
    /// only why, has not said that there is nothing.
    pub(super) fn read<T>(
        self,
        command: usize,
        reader: impl FnOnce(&'a str) -> Result<T, aix::Unread>,
    ) -> Read<T> {
        let output = self.output(command)?;
        if output.status != 0
            && output.stdout.trim().is_empty()
            && let Some(words) = last_words(output)
        {
            return Err(words);
        }
        reader(&output.stdout).map_err(|unread| match last_words(output) {
            Some(words) if output.status != 0 => format!("{unread}: {words}"),
            _ => unread.to_string(),
        })
    }

    /// The directories that `command`, `exportfs`, names. That there are none it may
    /// say as an error.
    pub(super) fn exports(self, command: usize) -> Read<Vec<String>> {
        let words = last_words(self.output(command)?).unwrap_or_default();
        if words.ends_with("nothing exported") {
            return Ok(Vec::new());
        }
        self.read(command, aix::exports)
    }

    /// Whether `command`, an `ls` of one path, found it.
    pub(super) fn is_there(self, command: usize) -> Read<bool> {
        let output = self.output(command)?;
        match output.ok() {
            true => Ok(true),
            false if aix::is_missing(&output.text()) => Ok(false),
            false => Err(last_words(output).unwrap_or_else(|| "`ls` failed".to_owned())),
        }
    }

    /// The names that `command`, an `ls` of a directory, found; none where
    /// there is no directory.
    pub(super) fn names(self, command: usize) -> Read<Vec<String>> {
        if !self.is_there(command)? {
            return Ok(Vec::new());
        }
        Ok(aix::names(&self.output(command)?.stdout))
    }

    /// Who holds the client's lease, by `command`, an `ls -l` of it.
    pub(super) fn lease(self, command: usize) -> Read<Option<Lease>> {
        self.lease_at(command, argv::LEASE)
    }

    /// As [`Said::lease`], of the lease at `path`.
    pub(super) fn lease_at(self, command: usize, path: &str) -> Read<Option<Lease>> {
        Ok(self.link(command, path)?.map(|text| Lease::read(&text)))
    }

    /// What the link `path` says, by `command`, an `ls -l` of it.
    pub(super) fn link(self, command: usize, path: &str) -> Read<Option<String>> {
        if !self.is_there(command)? {
            return Ok(None);
        }
        self.read(command, |text| aix::link_target(text, path)).map(Some)
    }
}

impl Said<'_> {
    /// Whether the lease of `owner`, or its directory with nothing of anybody
    /// else's in it, is there: by `lease`, an `ls -l` of the lease, and
    /// `directory`, an `ls` of its directory.
    pub(super) fn leased(self, lease: usize, directory: usize, owner: &str) -> Read<bool> {
        match self.lease(lease)? {
            Some(holder) => Ok(holder.owner == owner),
            None if self.is_there(directory)? => {
                let own = |name: &String| {
                    let marks = [argv::FINISHED, argv::BEGUN];
                    marks.iter().any(|mark| is_named(mark, name))
                };
                Ok(self.names(directory)?.iter().all(own))
            }
            None => Ok(false),
        }
    }
}

/// The last line that a command said, its errors first.
pub(super) fn last_words(output: &CommandOutput) -> Option<String> {
    [&output.stderr, &output.stdout]
        .into_iter()
        .find_map(|text| text.lines().rfind(|line| !line.trim().is_empty()))
        .map(|line| sanitize_line(line, CAUSE_BYTES_MAX / 2))
}
