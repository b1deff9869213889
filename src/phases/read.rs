//! The answers of a probe, read. What cannot be read is `Err` with the reason,
//! and makes the finding `Unknown`: no step guesses.

use crate::aix::{self, FsRow, MountRow, NimObject, PhysicalVolume, Process, argv};
use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;
use crate::domain::{DiskName, HostRole, Lease, Level, NimName, Presence};
use crate::transport::{Command, CommandOutput, Script};

use super::step::{Answers, Finding};

/// What was read, or why it was not.
pub(super) type Read<T> = Result<T, String>;

/// A script of looks on one host: each command runs, whatever the others say.
pub(super) fn look(
    role: HostRole,
    commands: impl IntoIterator<Item = impl Into<Command>>,
) -> (HostRole, Script) {
    (role, Script::new(commands.into_iter().map(|command| command.into().tolerated())))
}

/// The finding, or `Unknown` with the reason.
pub(super) fn judged(read: Read<Finding>) -> Finding {
    read.unwrap_or_else(|why| Finding::of(Presence::Unknown(why)))
}

/// Ends a script where what `argv` says does not hold `text`: nothing fits between that
/// question and the command behind it.
pub(super) fn holds(argv: impl IntoIterator<Item = impl Into<String>>, text: &str) -> Command {
    Command::new(argv).piped_to(["grep", "-F", "-e", text])
}

/// There if `all` of it is there, else absent or partial by whether `any` is.
pub(super) fn all_or_any(all: bool, any: bool) -> Finding {
    Finding::of(match (all, any) {
        (true, _) => Presence::Present,
        (false, true) => Presence::Partial,
        (false, false) => Presence::Absent,
    })
}

/// What one host has said. Each reader asks for its answer by the question.
#[derive(Clone, Copy)]
pub(super) struct HostAnswers<'a> {
    answers: &'a Answers,
    role: HostRole,
}

impl Answers {
    /// What the master has said.
    pub(super) fn master(&self) -> HostAnswers<'_> {
        HostAnswers::of(self, HostRole::Master)
    }

    /// What the client has said.
    pub(super) fn client(&self) -> HostAnswers<'_> {
        HostAnswers::of(self, HostRole::Client)
    }
}

/// What NIM's programs say where a command's result is none that they know
/// (reference 4, 0042-175).
const UNEXPECTED: &str = "An unexpected result was returned by";

impl<'a> HostAnswers<'a> {
    /// What the host of `role` has said.
    pub(super) fn of(answers: &'a Answers, role: HostRole) -> HostAnswers<'a> {
        HostAnswers { answers, role }
    }

    /// The output of `question`. Nothing but NIM's word that the result was not what
    /// it had expected is no answer, whatever the exit code is.
    pub(super) fn output(self, question: impl Into<Command>) -> Read<&'a CommandOutput> {
        let output = self.answers.get(self.role, &question.into());
        let output = output.ok_or_else(|| "the host gave no answer".to_owned())?;
        if output.stdout.trim().is_empty() && output.stderr.contains(UNEXPECTED) {
            let words = last_words(output);
            return Err(words.unwrap_or_else(|| UNEXPECTED.to_owned()));
        }
        Ok(output)
    }

    /// The output of `question` as `reader` reads it. One that has failed, and says
    /// only why, has not said that there is nothing.
    pub(super) fn read<T>(
        self,
        question: impl Into<Command>,
        reader: impl FnOnce(&'a str) -> Result<T, aix::Unread>,
    ) -> Read<T> {
        let output = self.output(question)?;
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

    /// What is mounted.
    pub(super) fn mounts(self) -> Read<Vec<MountRow>> {
        self.read(argv::mounts(), aix::mounts)
    }

    /// The file systems that have stanzas.
    pub(super) fn lsfs(self) -> Read<Vec<FsRow>> {
        self.read(argv::lsfs(), aix::lsfs)
    }

    /// The disks, and what is on them.
    pub(super) fn lspv(self) -> Read<Vec<PhysicalVolume>> {
        self.read(argv::lspv(), aix::lspv)
    }

    /// The disks that are booted from next.
    pub(super) fn bootlist(self) -> Read<Vec<DiskName>> {
        self.read(argv::show_bootlist(), aix::bootlist)
    }

    /// The level of the system.
    pub(super) fn level(self) -> Read<Level> {
        self.read(argv::level(), aix::level)
    }

    /// What runs.
    pub(super) fn processes(self) -> Read<Vec<Process>> {
        self.read(argv::processes(), aix::processes)
    }

    /// The NIM object `name`.
    pub(super) fn nim_object(self, name: &NimName) -> Read<NimObject> {
        self.read(argv::lsnim(name), |text| aix::nim_object(text, name.as_str()))
    }

    /// Where the NIM object `name` lies on the master.
    pub(super) fn location(self, name: &NimName) -> Read<String> {
        match self.nim_object(name)?.get("location") {
            Some(path) if path.starts_with('/') => Ok(path.to_owned()),
            _ => Err(format!("the NIM object {name} has no location")),
        }
    }

    /// Whether NIM knows `name`.
    pub(super) fn is_defined(self, name: &NimName) -> Read<bool> {
        Ok(!self.output(argv::lsnim(name))?.text().contains("0042-053"))
    }

    /// The directories that are exported. That there are none `exportfs` may say as
    /// an error.
    pub(super) fn exports(self) -> Read<Vec<String>> {
        let words = last_words(self.output(argv::exports())?).unwrap_or_default();
        if words.ends_with("nothing exported") {
            return Ok(Vec::new());
        }
        self.read(argv::exports(), aix::exports)
    }

    /// Whether `question`, about one path, found it.
    pub(super) fn is_there(self, question: impl Into<Command>) -> Read<bool> {
        let output = self.output(question)?;
        match output.ok() {
            true => Ok(true),
            false if aix::is_missing(&output.text()) => Ok(false),
            false => Err(last_words(output).unwrap_or_else(|| "`ls` failed".to_owned())),
        }
    }

    /// The names in `directory`; none where there is no directory.
    pub(super) fn names(self, directory: &str) -> Read<Vec<String>> {
        if !self.is_there(argv::ls(directory))? {
            return Ok(Vec::new());
        }
        Ok(aix::names(&self.output(argv::ls(directory))?.stdout))
    }

    /// Whether `path` is among the names in its directory.
    pub(super) fn lists(self, path: &str) -> Read<bool> {
        let (directory, name) = path.rsplit_once('/').unwrap_or((".", path));
        Ok(self.names(directory)?.iter().any(|listed| listed == name))
    }

    /// Who holds the client's lease.
    pub(super) fn lease(self) -> Read<Option<Lease>> {
        self.lease_at(argv::LEASE)
    }

    /// Who holds the lease at `path`.
    pub(super) fn lease_at(self, path: &str) -> Read<Option<Lease>> {
        Ok(self.link(path)?.map(|text| Lease::read(&text)))
    }

    /// What the link `path` says.
    pub(super) fn link(self, path: &str) -> Read<Option<String>> {
        if !self.is_there(argv::ls_l(path))? {
            return Ok(None);
        }
        self.read(argv::ls_l(path), |text| aix::link_target(text, path)).map(Some)
    }

    /// Whether the lease of `owner`, or its directory with nothing of anybody else's
    /// in it, is there.
    pub(super) fn leased(self, owner: &str) -> Read<bool> {
        match self.lease()? {
            Some(holder) => Ok(holder.owner == owner),
            None if self.is_there(argv::ls(argv::LEASE_DIR))? => {
                let own = |name: &String| {
                    let marks = [argv::FINISHED, argv::BEGUN];
                    marks.iter().any(|mark| mark.rsplit('/').next() == Some(name))
                };
                Ok(self.names(argv::LEASE_DIR)?.iter().all(own))
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
