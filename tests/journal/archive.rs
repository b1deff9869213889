//! Ended batches in the archive: read as before, and neither lost nor twice
//! wherever moving them ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nimshift::journal::{
    self, Archived, BatchId, Journal, JournalDir, JournalError, OpenOptions, Reader, verify,
};

use super::night::{Night, image, new_batch, new_migrations, options};

/// No copy waits for its boot.
fn archive(dir: &Path, options: &OpenOptions, before_ms: u64) -> Result<Archived, JournalError> {
    journal::archive(dir, options, before_ms, &BTreeSet::new())
}

/// Three batches: two that have ended, and one in the middle of its night.
fn written(dir: &Path, count: u32) {
    let mut night = Night::begin(dir, &options(), count).unwrap();
    while night.round() > 0 {}
    for rounds in [usize::MAX, 3] {
        night.journal.create_batch(&new_batch(), new_migrations(count)).unwrap();
        night.journal.close().unwrap();
        let (journal, loaded) = Journal::open(dir, &options()).unwrap();
        night = Night::resume(journal, loaded);
        for _ in 0..rounds {
            if night.round() == 0 {
                break;
            }
        }
    }
    night.journal.close().unwrap();
}

/// All that a reader sees.
fn seen(dir: &Path) -> Vec<String> {
    let reader = Reader::open(dir).unwrap();
    let mut seen: Vec<String> =
        reader.batches().unwrap().iter().map(|batch| format!("{batch:?}")).collect();
    for row in reader.migrations(None).unwrap() {
        let history = serde_json::to_string(&reader.history(row.id).unwrap()).unwrap();
        let (spec, blueprint) = (reader.spec(row.id).unwrap(), reader.blueprint(row.id).unwrap());
        seen.push(format!("{row:?} {spec:?} {blueprint:?} {history}"));
    }
    seen
}

fn copied(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn assert_whole(dir: &Path, before: &[String], what: &str) {
    assert!(seen(dir) == before, "{what}: a reader sees something else");
    let verified = verify(dir).unwrap_or_else(|found| panic!("{what}: {found:?}"));
    assert_eq!(verified.batches, 3, "{what}");
}

#[test]
fn an_archive_of_version_2_is_read_and_added_to() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2);
    let before = seen(dir.path());
    archive(dir.path(), &options(), u64::MAX).unwrap();
    let older = "ALTER TABLE request DROP COLUMN work; PRAGMA user_version = 2;";
    let raw = rusqlite::Connection::open(dir.path().join("archive.db")).unwrap();
    raw.execute_batch(older).unwrap();
    drop(raw);
    assert_whole(dir.path(), &before, "beside an archive of version 2");
    let (journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
    let mut night = Night::resume(journal, loaded);
    while night.round() > 0 {}
    night.journal.close().unwrap();
    assert_eq!(archive(dir.path(), &options(), u64::MAX).unwrap().batches, 1);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.archived().unwrap().len(), 6);
}

#[test]
fn what_ended_is_moved_and_read_as_before() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 6);
    let (before, sound) = (seen(dir.path()), verify(dir.path()).unwrap());
    let moved = archive(dir.path(), &options(), u64::MAX).unwrap();
    assert_eq!((moved.batches, moved.migrations), (2, 12));
    assert_whole(dir.path(), &before, "archived");
    assert_eq!(verify(dir.path()).unwrap(), sound);
    // An engine replays what is left, and gives no number again.
    let (journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
    assert_eq!(loaded.len(), 6);
    assert!(loaded.iter().all(|one| one.batch == BatchId(3)));
    let (batch, ids) = journal.create_batch(&new_batch(), new_migrations(2)).unwrap();
    assert_eq!((batch, ids[0].0), (BatchId(4), 19));
    assert_eq!(Reader::open(dir.path()).unwrap().archived().unwrap().len(), 12);
    let mut night = Night::resume(journal, loaded);
    while night.round() > 0 {}
    night.journal.close().unwrap();
    // More of it later, and nothing where nothing has ended.
    let moved = archive(dir.path(), &options(), u64::MAX).unwrap();
    assert_eq!((moved.batches, moved.migrations), (1, 6));
    assert_eq!(archive(dir.path(), &options(), u64::MAX).unwrap(), Archived::default());
    assert_eq!(verify(dir.path()).unwrap().batches, 4);
}

#[test]
fn numbers_are_not_given_again_where_all_is_archived() {
    let dir = tempfile::tempdir().unwrap();
    let mut night = Night::begin(dir.path(), &options(), 2).unwrap();
    while night.round() > 0 {}
    night.journal.close().unwrap();
    let entries = verify(dir.path()).unwrap().entries;
    archive(dir.path(), &options(), u64::MAX).unwrap();
    let mut night = Night::begin(dir.path(), &options(), 1).unwrap();
    assert_eq!((night.batch, night.migrations[0].id.0), (BatchId(2), 3));
    night.round();
    night.journal.close().unwrap();
    assert_eq!(verify(dir.path()).unwrap().entries, entries + 1);
}

#[test]
fn what_ended_lately_stays_and_an_engine_is_not_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2);
    let moved = archive(dir.path(), &options(), super::night::NOW_MS).unwrap();
    assert_eq!(moved, Archived::default());
    let (journal, _) = Journal::open(dir.path(), &options()).unwrap();
    let refused = archive(dir.path(), &options(), u64::MAX).unwrap_err();
    assert!(matches!(refused, JournalError::Held { .. }), "{refused}");
    journal.close().unwrap();
    let nowhere = tempfile::tempdir().unwrap();
    let refused = archive(nowhere.path(), &options(), u64::MAX).unwrap_err();
    assert!(matches!(refused, JournalError::NotFound { .. }), "{refused}");
}

/// It ended after the archive had its name, and before the journal had lost what
/// is in it; or in the middle of writing the archive.
#[test]
fn an_archive_that_was_not_finished_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 4);
    let before = seen(dir.path());
    let done = copied(dir.path());
    archive(done.path(), &options(), u64::MAX).unwrap();
    fs::copy(done.path().join("archive.db"), dir.path().join("archive.db")).unwrap();
    fs::write(dir.path().join("archive.db.partial"), b"half of it").unwrap();
    fs::write(dir.path().join("archive.db.partial-journal"), b"and more").unwrap();
    assert_whole(dir.path(), &before, "in place, and not deleted");
    // What has gone on since is of the journal, whatever the archive has.
    let moved = archive(dir.path(), &options(), u64::MAX).unwrap();
    assert_eq!((moved.batches, moved.migrations), (2, 8));
    assert_whole(dir.path(), &before, "made again");
    assert!(!dir.path().join("archive.db.partial").exists());
}

#[test]
fn an_archive_that_is_gone_or_changed_is_found() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    archive(dir.path(), &options(), u64::MAX).unwrap();
    let file = JournalDir::new(dir.path()).archive();
    let raw = rusqlite::Connection::open(&file).unwrap();
    raw.execute("UPDATE event SET effects = '[]' WHERE migration = 2 AND seq = 1", []).unwrap();
    raw.close().unwrap();
    let found = verify(dir.path()).unwrap_err();
    assert!(found.iter().any(|one| one.to_string().contains("lpar2 (m2), entry 1")), "{found:?}");
    fs::remove_file(&file).unwrap();
    let found = verify(dir.path()).unwrap_err();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].to_string().contains("put `archive.db` back"), "{found:?}");
    // The night goes on without it.
    Journal::open(dir.path(), &options()).unwrap();
}

/// The real program, killed at any moment: each try gets further than the last.
#[test]
#[expect(clippy::disallowed_methods, reason = "the program is what is killed")]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_twice() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 25);
    let before = seen(dir.path());
    let (journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
    let open = image(&loaded).len();
    journal.close().unwrap();
    let mut kills = 0;
    for looks in (0..).map(|round| round * round) {
        let mut moving = Command::new(env!("CARGO_BIN_EXE_nimshift"))
            .arg("--state-dir")
            .arg(dir.path())
            .args(["journal", "archive", "--keep-days", "0"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Each look at the world takes a while.
        let ended = (0..looks).find_map(|_| {
            let _ = fs::read_dir(dir.path()).unwrap().count();
            std::thread::yield_now();
            let reader = Reader::open(dir.path());
            drop(reader);
            moving.try_wait().unwrap()
        });
        let killed = ended.is_none() && moving.kill().is_ok();
        moving.wait().unwrap();
        assert_whole(dir.path(), &before, &format!("killed after {looks} looks"));
        if !killed {
            break;
        }
        kills += 1;
    }
    assert!(kills > 3, "it was killed {kills} times");
    let (_journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
    assert!(loaded.len() < open, "nothing was moved in the end");
}
