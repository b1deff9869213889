//! Another program's write transaction is waited for.

use std::time::Duration;

use nimshift::journal::{Journal, JournalError};
use rusqlite::Connection;

use super::night::{Night, options};

/// A connection of another program, within a write transaction.
fn writing(dir: &std::path::Path) -> Connection {
    let other = Connection::open(dir.join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// Begins on a journal that asks again after `ms`.
fn begin(dir: &std::path::Path, ms: u64) -> Night {
    let mut impatient = options();
    impatient.busy = Duration::from_millis(ms);
    Night::begin(dir, &impatient, 2).unwrap()
}

#[test]
fn an_append_waits_for_another_programs_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut night = begin(dir.path(), 20);
    let other = writing(dir.path());
    assert!(night.step(0));
    let heard = night.hear_within(Duration::from_millis(200));
    assert!(heard.is_empty(), "it was not waited for: {heard:?}");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(night.hear(1)[0].result.is_ok());
    assert_eq!(night.round(), 2);
}

#[test]
fn one_that_never_ends_is_named_and_breaks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut night = begin(dir.path(), 1);
    let other = writing(dir.path());
    let mut append = night.migrations[0].next(&mut 4).unwrap();
    append.request = None;
    night.journal.append(append.clone()).unwrap();
    let refused = night.hear(1).remove(0).result.unwrap_err();
    assert!(matches!(refused, JournalError::Busy { .. }), "{refused}");
    assert!(refused.to_string().contains("another program keeps a write transaction"));
    other.execute_batch("ROLLBACK").unwrap();
    night.journal.append(append).unwrap();
    assert!(night.hear(1)[0].result.is_ok(), "what is not broken takes more");
}

#[test]
fn an_engine_that_starts_waits_as_well() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 20).journal.close().unwrap();
    let other = writing(dir.path());
    let path = dir.path();
    let (tell, hear) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut impatient = options();
            impatient.busy = Duration::from_millis(20);
            tell.send(Journal::open(path, &impatient).map(drop)).unwrap();
        });
        let early = hear.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "it was not waited for: {early:?}");
        other.execute_batch("ROLLBACK").unwrap();
        hear.recv().unwrap().unwrap();
    });
}
