//! nimadm's log of a migration, followed from the journal: to stdout as it
//! grows, and to `CLIENT_alt_mig.log`, which is written anew from the journal's
//! first entry, so that a crash leaves no gap in it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::base::{Millis, sanitize};
use crate::domain::{MigrationId, Phase};
use crate::engine::{Observer, SlotView};
use crate::journal::{JournalError, Reader};
use crate::machine::State;
use crate::report::{self, AltMigLog, LogDetail};

use super::error::CliError;
use super::exit::Exit;
use super::out::{Out, Paint};
use super::state_dir::StateDir;

/// Bytes of one line of the log; longer ones are cut.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Where the logs lie.
pub(super) struct LogDir(PathBuf);

impl LogDir {
    /// Makes the directory. Before anything is begun: a script that waits for
    /// the log would wait in vain.
    pub(super) fn new(place: &StateDir, given: Option<&Path>) -> Result<LogDir, CliError> {
        let dir = given.map_or_else(|| place.dir().join("alt_mig"), Path::to_owned);
        std::fs::create_dir_all(&dir).map_err(|error| {
            CliError::file(Exit::Usage, "make the log directory", &dir, &error)
                .help("`--log-dir DIR` or NIMSHIFT_ALT_MIG_DIR names another")
        })?;
        Ok(LogDir(dir))
    }

    /// The log of a client: nimadm's name for it.
    pub(super) fn file(&self, client: &str) -> PathBuf {
        self.0.join(format!("{client}_alt_mig.log"))
    }
}

/// What a log is about.
pub(super) struct Subject {
    pub(super) id: MigrationId,
    pub(super) skipped: Vec<(Phase, String)>,
    /// When it was asked for.
    pub(super) created_ms: Millis,
    /// nimadm's flags, for the head of the log.
    pub(super) parameters: String,
    pub(super) detail: LogDetail,
}

/// Follows one migration.
pub(super) struct LogFollower<'a> {
    out: &'a Out,
    reader: Reader,
    id: MigrationId,
    log: AltMigLog,
    /// The last entry that was written.
    seen: u64,
    path: PathBuf,
    file: Option<File>,
}

impl<'a> LogFollower<'a> {
    /// Writes what the journal has already, to the file only where `quiet`.
    pub(super) fn new(
        out: &'a Out,
        place: &StateDir,
        dir: &LogDir,
        subject: Subject,
        quiet: bool,
    ) -> Result<LogFollower<'a>, CliError> {
        let Subject { id, skipped, created_ms, parameters, detail } = subject;
        let reader = place.reader()?;
        let views = report::views(&reader)?;
        let Some(view) = views.into_iter().find(|view| view.id == id) else {
            return Err(CliError::internal(format!("the journal has no migration {id}")));
        };
        let path = dir.file(&view.client);
        // A migration has a log of its own; what is done beside it is added.
        let adds = !view.spec.task.is_migration();
        let mut options = File::options();
        options.create(true).write(true).append(adds).truncate(!adds);
        let file = options.open(&path).map_err(|error| {
            CliError::file(Exit::Usage, "write the log", &path, &error)
                .help("`--log-dir DIR` or NIMSHIFT_ALT_MIG_DIR names another directory")
        })?;
        let log = AltMigLog::new(view, skipped, detail);
        let head = log.head(created_ms, &parameters, &path.display().to_string());
        let mut follower = LogFollower { out, reader, id, log, seen: 0, path, file: Some(file) };
        follower.write(&head, quiet);
        follower.follow(quiet)?;
        Ok(follower)
    }

    /// Where the log is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is new in the journal.
    pub(super) fn follow(&mut self, quiet: bool) -> Result<(), JournalError> {
        for entry in self.reader.history(self.id)? {
            if entry.seq <= self.seen {
                continue;
            }
            self.seen = entry.seq;
            let lines = self.log.entry(entry);
            self.write(&lines, quiet);
        }
        Ok(())
    }

    fn write(&mut self, lines: &[String], quiet: bool) {
        let mut text = String::new();
        for line in lines {
            text += &sanitize(line, LINE_BYTES_MAX);
            text.push('\n');
        }
        if !quiet {
            self.out.write(text.as_bytes());
        }
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(text.as_bytes()) {
            // The migration goes on: the journal has it all.
            self.file = None;
            let text = format!(
                "`{}` cannot be written any more: {error}; run the same line again for a complete \
                 log",
                self.path.display()
            );
            self.out.labelled("warning", Paint::Yellow, &text);
        }
    }
}

impl Observer for LogFollower<'_> {
    fn moved(&mut self, _: u64, _: SlotView<'_>, _: &State) {
        if let Err(error) = self.follow(false) {
            tracing::warn!(%error, "cannot read the journal for the log");
        }
    }

    fn broken(&mut self, view: SlotView<'_>, error: &JournalError) {
        let text = format!("{}: the journal refused an entry: {error}", view.client);
        self.out.labelled("error", Paint::Red, &text);
    }
}
