//! What lies where in a state directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::JournalError;

/// A state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalDir {
    dir: PathBuf,
}

impl JournalDir {
    /// The state directory `dir`, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> JournalDir {
        JournalDir { dir: dir.into() }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// `journal.db`. SQLite keeps `journal.db-wal` and `journal.db-shm` beside it.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal.db")
    }

    /// `archive.db`: batches that have ended, and were moved.
    pub fn archive(&self) -> PathBuf {
        self.dir.join("archive.db")
    }

    /// `engine.lock`. Never deleted.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("engine.lock")
    }

    /// `evidence/`: files named by their digest.
    pub fn evidence(&self) -> PathBuf {
        self.dir.join("evidence")
    }

    /// Whether there is a journal. One that cannot be looked at counts: opening
    /// it says why.
    pub fn has_journal(&self) -> bool {
        let looked = std::fs::metadata(self.journal());
        !looked.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }

    /// Whether there is an archive. One that cannot be looked at counts.
    pub(super) fn has_archive(&self) -> bool {
        let looked = std::fs::metadata(self.archive());
        !looked.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }

    /// Makes the directory and its parents.
    pub(super) fn create(&self) -> Result<(), JournalError> {
        std::fs::create_dir_all(&self.dir).map_err(|error| {
            JournalError::file(&self.dir, "cannot make the state directory", &error)
        })
    }
}

/// The path that `path` has with `suffix` after it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes sure that the name of `path` is on the disk.
pub(super) fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
