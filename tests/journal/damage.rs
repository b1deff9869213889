//! A journal that was changed after it was written is refused, by name, and
//! left as it is.

use std::fs;
use std::path::Path;

use nimshift::journal::{Journal, JournalError, verify};

use super::night::{Night, image, options};
use super::power_vfs::chance;

/// A journal with `count` migrations in the middle of their night, closed.
fn written(dir: &Path, count: u32) -> Vec<String> {
    let mut night = Night::begin(dir, &options(), count).unwrap();
    for _ in 0..6 {
        night.round();
    }
    night.journal.close().unwrap();
    let (journal, loaded) = Journal::open(dir, &options()).unwrap();
    journal.close().unwrap();
    image(&loaded)
}

/// What opening says after `sql` was run on a sound journal. The file must not
/// be changed by it.
fn after(sql: &str) -> (JournalError, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3);
    let path = dir.path().join("journal.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    assert!(raw.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, i64>(0)).is_ok());
    raw.close().unwrap();
    let before = fs::read(&path).unwrap();
    let refused = Journal::open(dir.path(), &options()).expect_err(sql);
    assert!(refused.is_damage(), "{sql}: {refused}");
    assert!(fs::read(&path).unwrap() == before, "{sql}: the file was changed");
    let found = verify(dir.path()).unwrap_err();
    (refused, found.iter().map(ToString::to_string).collect())
}

/// Each kind of change, and what the difference must say.
const CHANGES: [(&str, &[&str]); 16] = [
    (
        "UPDATE event SET event = '{\"at_ms\":1,\"kind\":{\"event\":\"release\",\"by\":\"eve\"}}' WHERE migration = 2 AND seq = 1",
        &["lpar2 (m2), entry 1: event", "does not apply to a migration that is pending"],
    ),
    (
        "UPDATE event SET event = replace(event, '17955', '17956') WHERE migration = 2 AND seq = 1",
        &["lpar2 (m2), entry 1: event", "another checksum", "not what was written"],
    ),
    (
        "UPDATE event SET effects = '[]' WHERE migration = 3 AND seq = 1",
        &["lpar3 (m3), entry 1: effects: recorded `[]`, replayed `[{\"effect\":\"run\""],
    ),
    (
        "DELETE FROM event WHERE migration = 1 AND seq = 3",
        &["lpar1 (m1), entry 4: number of the entry: recorded `4`, replayed `3`"],
    ),
    (
        "DELETE FROM event WHERE migration = 1 AND seq = (SELECT max(seq) FROM event WHERE migration = 1)",
        &["lpar1 (m1), entry 6: number of entries: recorded `6`, replayed `5`"],
    ),
    (
        "UPDATE head SET state = '{\"state\":\"pending\"}' WHERE migration = 2",
        &["lpar2 (m2), entry 6: state: recorded `{\"state\":\"pending\"}`, replayed `{\"state\":"],
    ),
    ("UPDATE head SET seq = 7 WHERE migration = 2", &["lpar2 (m2), entry 7: number of entries"]),
    (
        "UPDATE head SET updated_ms = updated_ms + 1 WHERE migration = 2",
        &["lpar2 (m2), entry 6: end of the entries"],
    ),
    (
        "DELETE FROM head WHERE migration = 2",
        &["the journal: state: recorded `2 states`, replayed `3 migrations`"],
    ),
    (
        "UPDATE blueprint SET body = replace(body, 'after-undo', 'safe')",
        &["the journal: blueprint", "another digest"],
    ),
    (
        "UPDATE migration SET spec = replace(spec, 'spot_73', 'spot_72') WHERE id = 3",
        &["lpar3 (m3): spec", "another checksum"],
    ),
    ("UPDATE migration SET client = 'lpar9' WHERE id = 3", &["lpar9 (m3): spec"]),
    (
        "DELETE FROM event WHERE migration = 3; DELETE FROM head WHERE migration = 3; DELETE FROM migration WHERE id = 3",
        &["the journal: batch: recorded `2 migrations`, replayed `3 of batch 1`"],
    ),
    ("UPDATE batch SET plan = plan || ' '", &["the journal: batch: recorded `batch 1`"]),
    (
        "UPDATE event SET epoch = epoch + 1 WHERE migration = 1 AND seq = 2",
        &["lpar1 (m1), entry 2: event"],
    ),
    ("UPDATE event SET prev = 1 WHERE migration = 2 AND seq = 3", &["lpar2 (m2), entry 3: event"]),
];

#[test]
fn every_kind_of_change_is_found_and_named() {
    for (sql, parts) in CHANGES {
        let (refused, found) = after(sql);
        let first = refused.to_string();
        for part in parts {
            assert!(first.contains(part), "{sql}\n{first}\nlacks {part}");
            assert!(found.iter().any(|one| one.contains(part)), "{sql}\n{found:?}\nlacks {part}");
        }
    }
}

#[test]
fn a_version_of_a_record_that_is_not_known_is_refused() {
    let (refused, _) = after("UPDATE event SET v = 3 WHERE migration = 1 AND seq = 2");
    assert!(refused.to_string().contains("lpar1 (m1), entry 2"), "{refused}");
}

/// Changes that only `verify` looks for: an engine does not need these rows.
#[test]
fn verify_reads_attempts_outputs_and_requests_too() {
    let changes = [
        (
            "UPDATE attempt SET record = replace(record, 'lpar1', 'lpar7') WHERE entry = (SELECT min(entry) FROM attempt)",
            "attempt",
        ),
        ("DELETE FROM attempt WHERE entry = (SELECT min(entry) FROM attempt)", "row is missing"),
        (
            "UPDATE attempt SET round = round + 1 WHERE entry = (SELECT min(entry) FROM attempt)",
            "checksum does not fit",
        ),
        ("UPDATE output SET bytes = x'00'", "output"),
        ("DELETE FROM output", "output"),
    ];
    for (sql, part) in changes {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 40);
        let raw = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
        raw.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        assert!(raw.execute(sql, []).unwrap() > 0, "{sql}");
        raw.close().unwrap();
        let found = verify(dir.path()).unwrap_err();
        assert!(found.iter().any(|one| one.to_string().contains(part)), "{sql}: {found:?}");
    }
}

/// Opens whatever is in `dir` and compares it with what was written. Any error
/// must be of damage; a load must be equal.
fn opens_as_written_or_not_at_all(dir: &Path, written: &[String], what: &str) -> bool {
    let path = dir.join("journal.db");
    let before = fs::read(&path).unwrap();
    match Journal::open(dir, &options()) {
        Ok((journal, loaded)) => {
            drop(journal);
            assert_eq!(image(&loaded), written, "{what}: a wrong load");
            false
        }
        Err(error) => {
            assert!(error.is_damage(), "{what}: {error:?}");
            assert!(fs::read(&path).unwrap() == before, "{what}: the file was changed");
            true
        }
    }
}

fn replace(dir: &Path, bytes: &[u8]) {
    for beside in ["journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(dir.join(beside));
    }
    fs::write(dir.join("journal.db"), bytes).unwrap();
}

#[test]
fn a_truncated_journal_is_damaged_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let written = written(dir.path(), 3);
    let whole = fs::read(dir.path().join("journal.db")).unwrap();
    let mut lengths: Vec<usize> = (0..whole.len()).step_by(997).collect();
    lengths.extend([1, 15, 16, 99, 100, 101, 511, 512, 4095, 4096, whole.len() - 1]);
    for length in lengths {
        replace(dir.path(), &whole[..length]);
        let what = format!("cut to {length} of {}", whole.len());
        assert!(opens_as_written_or_not_at_all(dir.path(), &written, &what), "{what}: it opened");
    }
    replace(dir.path(), &whole);
    assert!(!opens_as_written_or_not_at_all(dir.path(), &written, "whole"));
    fs::remove_file(dir.path().join("journal.db")).unwrap();
    let refused = Journal::open(dir.path(), &options()).unwrap_err();
    assert!(refused.is_damage() && refused.to_string().contains("it is gone"), "{refused}");
    assert!(!dir.path().join("journal.db").exists());
}

#[test]
fn a_flipped_bit_is_never_loaded_as_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let written = written(dir.path(), 3);
    let whole = fs::read(dir.path().join("journal.db")).unwrap();
    let mut seed = 7;
    let (mut refused, mut flips) = (0, 0);
    // All of the header, then anywhere.
    let mut offsets: Vec<usize> = (0..100).collect();
    offsets.extend((0..250).map(|_| usize::try_from(chance(&mut seed)).unwrap() % whole.len()));
    for offset in offsets {
        let bit = chance(&mut seed) % 8;
        let mut bytes = whole.clone();
        bytes[offset] ^= 1 << bit;
        replace(dir.path(), &bytes);
        let what = format!("bit {bit} of byte {offset}");
        refused += u32::from(opens_as_written_or_not_at_all(dir.path(), &written, &what));
        flips += 1;
    }
    assert!(refused * 5 > flips, "only {refused} of {flips} flips were noticed");
}

#[test]
fn a_database_of_something_else_and_a_newer_one_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE t (a)").unwrap();
    raw.close().unwrap();
    let refused = Journal::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(refused, JournalError::Foreign { .. }), "{refused}");
    fs::remove_file(&path).unwrap();
    written(dir.path(), 1);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA user_version = 4").unwrap();
    raw.close().unwrap();
    let refused = Journal::open(dir.path(), &options()).unwrap_err();
    assert!(refused.to_string().ends_with("use the newer nimshift that wrote it"), "{refused}");
    assert!(matches!(refused, JournalError::Newer { found: 4, known: 3, .. }), "{refused}");
}
