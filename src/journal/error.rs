//! What can go wrong with a journal, and what replay found to differ.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::base::{Millis, sanitize_line, time_text};
use crate::domain::MigrationId;

const RESTORE: &str = "keep the files as they are, and put a backup made by `nimshift journal backup` in the place of `journal.db` (without `-wal` and `-shm`)";

/// Why a journal cannot be used, or did not take what it was given.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// There is none.
    #[error("no journal in `{}`: nothing has run here", dir.display())]
    NotFound { dir: PathBuf },
    /// Another engine has the state directory.
    #[error("another engine holds `{}`: process {pid} on {host}, since {}", dir.display(), time_text(*since))]
    Held {
        dir: PathBuf,
        /// The holder's process id; 0 where it has not said.
        pid: u32,
        host: String,
        /// Since when.
        since: Millis,
    },
    /// Another engine has taken over: this one must stop.
    #[error("engine epoch {newest} has taken over from {epoch}: this engine must stop")]
    Fenced {
        /// The epoch of the engine that was refused.
        epoch: u64,
        /// The newest epoch.
        newest: u64,
    },
    /// The migration is not where the append expects it to be.
    #[error("{migration} is at entry {found}, not at {expected}: the append was refused")]
    Conflict {
        migration: MigrationId,
        /// What the append expected.
        expected: u64,
        /// Where the journal is.
        found: u64,
    },
    /// There is no such migration.
    #[error("the journal has no migration {0}")]
    NoMigration(MigrationId),
    /// There is no such request.
    #[error("the journal has no request r{0}")]
    NoRequest(u64),
    /// Replay does not give what is recorded.
    #[error("{first}{}", and_more(*more))]
    Differs {
        /// The first difference.
        first: Box<Difference>,
        /// How many more there are.
        more: usize,
    },
    /// The file is not what was written.
    #[error("the journal `{}` is damaged: {what}; {hint}", place.display())]
    Damaged {
        /// What was found.
        what: String,
        place: PathBuf,
        hint: &'static str,
    },
    /// It was written by a newer program.
    #[error(
        "the journal `{}` has version {found}, and this nimshift knows versions up to {known}: use the newer nimshift that wrote it",
        path.display()
    )]
    Newer {
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// An engine has written to it that decides by newer rules.
    #[error(
        "the journal `{}` was written to by decisions {found}, and this nimshift knows decisions up to {known}: use the newer nimshift that wrote it",
        path.display()
    )]
    NewerDecisions {
        path: PathBuf,
        /// The newest decisions in it.
        found: u32,
        /// The newest that are known here.
        known: u32,
    },
    /// An older program has it, and cannot read what this one would write.
    #[error(
        "the journal `{}` is that of an older nimshift: give the order with that version, or stop \
         its engine and `nimshift resume` with this one first",
        path.display()
    )]
    Older { path: PathBuf },
    /// It is an SQLite database of something else.
    #[error("`{}` is a database, but not a journal of nimshift: use another state directory", path.display())]
    Foreign { path: PathBuf },
    /// The disk is full.
    #[error("no space left for the journal `{}`: free some on its file system, then resume", path.display())]
    Full { path: PathBuf },
    /// The file system does not let it be written or read.
    #[error(
        "{what}: `{}`: {why}; give this user write permission there, or choose another state directory",
        path.display()
    )]
    Denied {
        /// What was tried.
        what: &'static str,
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file operation failed.
    #[error("{what}: `{}`: {why}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// SQLite failed.
    #[error("{doing} in `{}`: {why}", path.display())]
    Sqlite {
        /// What was tried.
        doing: &'static str,
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// A record cannot be written as JSON.
    #[error("{what} cannot be written as JSON: {why}")]
    Encode {
        /// Which record.
        what: &'static str,
        why: String,
    },
    /// Another program does not let it be written.
    #[error(
        "{doing}: another program keeps a write transaction on `{path}`; end that program (`fuser {path}` names it) and try again",
        path = path.display()
    )]
    Busy {
        /// What was tried.
        doing: &'static str,
        path: PathBuf,
    },
    /// A setting that durability rests on did not take.
    #[error(
        "SQLite does not keep `{setting}` at `{wanted}` but at `{found}`: use a local file system"
    )]
    Setting {
        /// Which pragma.
        setting: &'static str,
        /// What it must be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The journal's writer has ended.
    #[error("the journal is closed")]
    Closed,
}

fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" (and {more} more; `nimshift verify` lists all)"),
    }
}

impl JournalError {
    /// Whether the journal is damaged, edited, or cannot be replayed.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            JournalError::Damaged { .. }
                | JournalError::Differs { .. }
                | JournalError::Foreign { .. }
                | JournalError::Newer { .. }
                | JournalError::NewerDecisions { .. }
        )
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> JournalError {
        JournalError::Damaged {
            what: sanitize_line(&what.into(), 300),
            place: path.to_owned(),
            hint: RESTORE,
        }
    }

    pub(super) fn differs(mut found: Vec<Difference>) -> JournalError {
        let first = Box::new(found.swap_remove(0));
        JournalError::Differs { first, more: found.len() }
    }

    pub(super) fn file(path: &Path, what: &'static str, error: &std::io::Error) -> JournalError {
        use std::io::ErrorKind;
        let (path, why) = (path.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                JournalError::Denied { what, path, why }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => JournalError::Full { path },
            _ => JournalError::File { what, path, why },
        }
    }

    /// The meaning of an error of rusqlite. One that is not SQLite's own is a
    /// value that no version of this program wrote.
    pub(super) fn sqlite(
        path: &Path,
        doing: &'static str,
        error: &rusqlite::Error,
    ) -> JournalError {
        let why = error.to_string();
        let Some(code) = error.sqlite_error_code() else {
            return JournalError::damaged(path, format!("{doing}: {why}"));
        };
        let path = path.to_owned();
        match code {
            ErrorCode::NotADatabase => {
                JournalError::damaged(&path, format!("it is not an SQLite database ({why})"))
            }
            // A plain "error": our statements are fixed and known to be right,
            // so that the tables are not what they were.
            ErrorCode::DatabaseCorrupt | ErrorCode::TypeMismatch | ErrorCode::Unknown => {
                JournalError::damaged(&path, format!("{doing}: {why}"))
            }
            ErrorCode::DiskFull => JournalError::Full { path },
            ErrorCode::DatabaseBusy => JournalError::Busy { doing, path },
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
                JournalError::Denied { what: doing, path, why }
            }
            _ => JournalError::Sqlite { doing, path, why },
        }
    }
}

/// One place where replay and record do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which migration, if it is one's.
    pub migration: Option<MigrationId>,
    pub client: Option<String>,
    /// Which entry of it.
    pub seq: Option<u64>,
    /// What differs: `event`, `effects`, `state`, …
    pub what: &'static str,
    /// What the journal holds.
    pub recorded: String,
    /// What replay gives, or the check expects.
    pub replayed: String,
    /// How that probably came about, and what to do.
    pub cause: String,
}

impl Difference {
    /// Shown texts are cut: a whole event would hide what matters.
    pub(super) fn shown(text: &str) -> String {
        sanitize_line(text, 300)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.migration, &self.client) {
            (Some(id), Some(client)) => write!(f, "{client} ({id})")?,
            (Some(id), None) => write!(f, "{id}")?,
            _ => f.write_str("the journal")?,
        }
        if let Some(seq) = self.seq {
            write!(f, ", entry {seq}")?;
        }
        let Difference { what, recorded, replayed, cause, .. } = self;
        write!(f, ": {what}: recorded `{recorded}`, replayed `{replayed}`; {cause}")
    }
}
