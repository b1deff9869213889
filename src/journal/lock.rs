//! The lock of a state directory. fs2 is used here and nowhere else: it is
//! unmaintained, small, and asked for by the project.
//!
//! The lock file is never deleted: a deleted one could be locked twice. What it
//! says is for people, and may be stale; the lock decides. One word of it is
//! more than that: `journal` says that a journal was made beside it, so that an
//! emptied or vanished `journal.db` is not taken for a fresh directory.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::Millis;

use super::error::JournalError;
use super::paths::JournalDir;

const TEXT_BYTES_MAX: u64 = 4096;

/// Who holds, or last held, a state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub host: String,
    /// Since when.
    pub since_ms: Millis,
    /// The version of nimshift.
    pub version: String,
    /// Whether there is a journal beside the lock.
    #[serde(default)]
    pub journal: bool,
}

impl Holder {
    /// Who holds the state directory `dir` now. Looks, and leaves the lock as it
    /// is: for a moment it is held for reading.
    pub fn of(dir: &Path) -> Result<Option<Holder>, JournalError> {
        let path = JournalDir::new(dir).lock();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(JournalError::file(&path, "cannot open the engine's lock", &error));
            }
        };
        match fs2::FileExt::try_lock_shared(&file) {
            Ok(()) => {
                let _ = fs2::FileExt::unlock(&file);
                Ok(None)
            }
            Err(error) if error.kind() == fs2::lock_contended_error().kind() => Ok(read(&mut file)),
            Err(error) => {
                Err(JournalError::file(&path, "cannot look at the engine's lock", &error))
            }
        }
    }
}

/// Whether a journal was made beside the lock at `path`.
pub(super) fn tells_of_journal(path: &Path) -> bool {
    File::open(path).ok().and_then(|mut file| read(&mut file)).is_some_and(|text| text.journal)
}

/// How often a lock that is not free is tried again.
const LOOKS: u32 = 4;

/// As long as any look at the lock takes, and longer.
#[expect(clippy::disallowed_methods, reason = "a lock that is looked at is free in a moment")]
fn wait_for_a_look() {
    std::thread::sleep(std::time::Duration::from_millis(10));
}

/// The lock, held as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    holder: Holder,
}

impl Lock {
    /// Takes the lock at `path` for `holder`, or says who has it.
    pub(super) fn take(path: &Path, mut holder: Holder) -> Result<Lock, JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| JournalError::file(path, "cannot open the engine's lock", &error))?;
        let mut locked = fs2::FileExt::try_lock_exclusive(&file);
        for _ in 0..LOOKS {
            // It may be only looked at: see `Holder::of`.
            if locked.is_ok() {
                break;
            }
            wait_for_a_look();
            locked = fs2::FileExt::try_lock_exclusive(&file);
        }
        let before = read(&mut file);
        if let Err(error) = locked {
            if error.kind() != fs2::lock_contended_error().kind() {
                return Err(JournalError::file(path, "cannot lock the engine's lock", &error));
            }
            return Err(held(path, before));
        }
        holder.journal = before.is_some_and(|before| before.journal);
        let mut lock = Lock { file, path: path.to_owned(), holder };
        lock.write()?;
        Ok(lock)
    }

    /// Whether a journal was made beside this lock before.
    pub(super) fn knows_journal(&self) -> bool {
        self.holder.journal
    }

    /// Writes down that there is a journal now.
    pub(super) fn note_journal(&mut self) -> Result<(), JournalError> {
        if self.holder.journal {
            return Ok(());
        }
        self.holder.journal = true;
        self.write()
    }

    fn write(&mut self) -> Result<(), JournalError> {
        let mut text = serde_json::to_vec(&self.holder)
            .map_err(|error| JournalError::Encode { what: "the lock", why: error.to_string() })?;
        text.push(b'\n');
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&text))
            .and_then(|()| self.file.set_len(text.len() as u64))
            .and_then(|()| self.file.sync_all());
        written.map_err(|error| {
            JournalError::file(&self.path, "cannot write the engine's lock", &error)
        })
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(TEXT_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn held(path: &Path, holder: Option<Holder>) -> JournalError {
    let dir = path.parent().unwrap_or(path).to_owned();
    match holder {
        Some(Holder { pid, host, since_ms, .. }) => {
            JournalError::Held { dir, pid, host, since: since_ms }
        }
        None => {
            JournalError::Held { dir, pid: 0, host: "a host that is not said".to_owned(), since: 0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(pid: u32) -> Holder {
        Holder { pid, host: "h".into(), since_ms: 5, version: "0".into(), journal: false }
    }

    #[test]
    fn a_second_holder_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.lock");
        assert_eq!(Holder::of(dir.path()).unwrap(), None);
        let first = Lock::take(&path, holder(11)).unwrap();
        assert_eq!(Holder::of(dir.path()).unwrap().map(|holder| holder.pid), Some(11));
        let refused = Lock::take(&path, holder(12)).unwrap_err();
        assert!(matches!(refused, JournalError::Held { pid: 11, since: 5, .. }), "{refused}");
        drop(first);
        assert_eq!(Holder::of(dir.path()).unwrap(), None);
        Lock::take(&path, holder(12)).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn the_lock_remembers_that_there_was_a_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.lock");
        let mut lock = Lock::take(&path, holder(11)).unwrap();
        assert!(!lock.knows_journal());
        lock.note_journal().unwrap();
        drop(lock);
        assert!(Lock::take(&path, holder(12)).unwrap().knows_journal());
    }
}
