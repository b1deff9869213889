//! What the journal takes, it gives back; what does not fit, it refuses.

use super::night::{Night, image, new_batch, new_migrations, options, record};
use nimshift::journal::{
    Append, Journal, JournalError, NewRequest, OrderAnswer, Reader, RequestKind, Requests,
    WhyRefused, verify,
};

fn said(why: &str) -> OrderAnswer {
    OrderAnswer::Refused(WhyRefused::Said(why.into()))
}

#[test]
fn what_was_acknowledged_is_loaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut night = Night::begin(dir.path(), &options(), 7).unwrap();
    let mut appended = 7;
    while appended > 6 && night.migrations[0].seq < 40 {
        appended = night.round();
    }
    let expected: Vec<(u64, String)> = night
        .migrations
        .iter()
        .map(|one| (one.seq, serde_json::to_string(one.machine.state()).unwrap()))
        .collect();
    night.journal.close().unwrap();
    let (_journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
    let found: Vec<(u64, String)> = loaded
        .iter()
        .map(|one| (one.seq, serde_json::to_string(one.machine.state()).unwrap()))
        .collect();
    assert_eq!(found, expected);
    assert!(found.iter().all(|(seq, _)| *seq > 5), "{found:?}");
    assert_eq!(loaded[6].client, "lpar7");
    assert_eq!(loaded[6].spec.client.as_str(), "lpar7");
}

#[test]
fn one_append_that_does_not_fit_does_not_sink_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut night = Night::begin(dir.path(), &options(), 3).unwrap();
    let mut appends: Vec<Append> = Vec::new();
    for one in &mut night.migrations {
        appends.push(one.next(&mut night.seed).unwrap());
    }
    appends[1].expected_seq = 5;
    let mut unknown = appends[0].clone();
    unknown.migration = nimshift::domain::MigrationId(99);
    appends.push(unknown);
    for append in appends {
        night.journal.append(append).unwrap();
    }
    let acks = night.hear(4);
    assert!(acks[0].result.is_ok() && acks[2].result.is_ok(), "{acks:?}");
    assert!(
        matches!(acks[1].result, Err(JournalError::Conflict { expected: 5, found: 0, .. })),
        "{acks:?}"
    );
    assert!(matches!(acks[3].result, Err(JournalError::NoMigration(_))), "{acks:?}");
    night.journal.close().unwrap();
    let (_journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
    assert_eq!(loaded.iter().map(|one| one.seq).collect::<Vec<_>>(), [1, 0, 1]);
}

#[test]
fn many_appends_of_one_migration_may_be_on_their_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut night = Night::begin(dir.path(), &options(), 1).unwrap();
    let sent = (0..20).take_while(|_| night.step(0)).count();
    let acks = night.hear(sent);
    let numbers: Vec<u64> = acks.iter().map(|ack| ack.seq).collect();
    assert_eq!(numbers, (1..=sent as u64).collect::<Vec<_>>());
    assert!(acks.iter().all(|ack| ack.result.is_ok()), "{acks:?}");
}

#[test]
fn a_second_engine_is_refused_and_told_who_holds_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), &options()).unwrap();
    let refused = Journal::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(&refused, JournalError::Held { pid: 4711, .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("process 4711 on master01"), "{text}");
    journal.close().unwrap();
    Journal::open(dir.path(), &options()).unwrap();
}

#[test]
fn an_engine_whose_lock_failed_is_fenced_off_by_the_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let mut unlocked = options();
    unlocked.lock = false;
    let mut first = Night::begin(dir.path(), &unlocked, 2).unwrap();
    first.round();
    let (second, loaded) = Journal::open(dir.path(), &unlocked).unwrap();
    assert!(second.epoch() > first.journal.epoch());
    assert!(first.step(0));
    let acks = first.hear(1);
    assert!(matches!(acks[0].result, Err(JournalError::Fenced { .. })), "{acks:?}");
    let refused = first.journal.create_batch(&new_batch(), vec![]).unwrap_err();
    assert!(matches!(refused, JournalError::Fenced { .. }), "{refused}");
    let mut night = Night::resume(second, loaded);
    assert_eq!(night.round(), 2);
    drop(night);
    assert_eq!(verify(dir.path()).unwrap().entries, 4);
}

#[test]
fn requests_come_from_other_connections_and_are_answered_once() {
    let dir = tempfile::tempdir().unwrap();
    let asked = NewRequest {
        kind: RequestKind::Hold,
        client: Some("lpar2".into()),
        migration: Some(nimshift::domain::MigrationId(2)),
        operator: "eve@console".into(),
        at_ms: 77,
    };
    let refused = Requests::post(dir.path(), &asked).unwrap_err();
    assert!(matches!(refused, JournalError::NotFound { .. }), "{refused}");
    assert!(refused.to_string().ends_with("nothing has run here"), "{refused}");
    let mut night = Night::begin(dir.path(), &options(), 2).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let before = reader.data_version().unwrap();
    let first = Requests::post(dir.path(), &asked).unwrap();
    let stop =
        NewRequest { kind: RequestKind::Release, client: None, migration: None, ..asked.clone() };
    let second = Requests::post(dir.path(), &stop).unwrap();
    assert_ne!(reader.data_version().unwrap(), before);
    let pending = reader.pending_requests().unwrap();
    assert_eq!(pending.iter().map(|one| one.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!((pending[0].kind, pending[1].kind), (RequestKind::Hold, RequestKind::Release));
    assert_eq!(pending[0].client.as_deref(), Some("lpar2"));
    assert_eq!(pending[0].migration, asked.migration);

    let mut append = night.migrations[0].next(&mut night.seed).unwrap();
    append.request = Some((first, said("held")));
    night.journal.append(append).unwrap();
    night.hear(1);
    night.journal.answer_request(second, &said("stopping")).unwrap();
    night.journal.answer_request(first, &said("too late")).unwrap();
    night.journal.flush().unwrap();
    assert_eq!(reader.pending_requests().unwrap(), []);
    assert_eq!(reader.request(first).unwrap().answer, Some(said("held")));
    assert_eq!(reader.request(second).unwrap().answer, Some(said("stopping")));
    assert_eq!(reader.requests().unwrap().len(), 2);
}

#[test]
fn work_comes_whole_and_is_answered_with_what_was_made_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let night = Night::begin(dir.path(), &options(), 2).unwrap();
    let asked = NewRequest {
        kind: RequestKind::Run,
        client: None,
        migration: None,
        operator: "eve@console".into(),
        at_ms: 77,
    };
    let too_much = "x".repeat(nimshift::base::limits::WORK_BYTES_MAX + 1);
    let refused = Requests::post_work(dir.path(), &asked, &too_much).unwrap_err();
    assert!(refused.to_string().contains("bytes, more than"), "{refused}");
    let first = Requests::post_work(dir.path(), &asked, "{}").unwrap();
    let changed = Requests::post_work(dir.path(), &asked, "{}").unwrap();
    let raw = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    raw.execute("UPDATE request SET work = '[]' WHERE id = ?1", [changed.0.cast_signed()]).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let pending = reader.pending_requests().unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].id, pending[0].work.as_deref()), (first, Some("{}")));
    assert!(reader.unreadable_requests().unwrap()[0].is_damage);

    let taken = OrderAnswer::Taken(Vec::new());
    let answer = (first, taken.clone());
    night.journal.create_batch_for(answer, new_batch(), new_migrations(1)).unwrap();
    assert_eq!(reader.request(first).unwrap().answer, Some(taken));
    assert_eq!(reader.batches().unwrap().len(), 2);
}

#[test]
fn a_history_has_every_attempt_with_its_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let mut night = Night::begin(dir.path(), &options(), 2).unwrap();
    night.round();
    let long = "0505-218 a line\n".repeat(20_000);
    for index in [0, 1] {
        let sleeper = &mut night.migrations[index];
        let mut append = sleeper.next(&mut 4).unwrap();
        let (ticket, _) = append.record.take().unwrap();
        append.record = Some((ticket, record(append.event.at_ms, &long)));
        night.journal.append(append).unwrap();
        night.hear(1);
    }
    let reader = Reader::open(dir.path()).unwrap();
    let history = reader.history(night.migrations[1].id).unwrap();
    assert_eq!(history.iter().map(|one| one.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(history[0].event.kind.name(), "begin");
    assert_eq!(history[0].state.name(), "executing");
    let attempt = history[1].attempt.as_ref().unwrap();
    assert_eq!(attempt.record.commands[0].output, long);
    assert_eq!(attempt.ticket.step.as_str(), "take-lease");
    assert!(attempt.output_size > 300_000);
    assert_eq!(history[1].state, *night.migrations[1].machine.state());
    let rows = reader.migrations(Some(night.batch)).unwrap();
    assert_eq!(rows[1].state, history[1].state);
    assert_eq!((rows[1].seq, rows[1].updated_ms), (2, history[1].event.at_ms));
    assert_eq!(reader.batches().unwrap()[0].migrations, 2);
    // The same output is kept once.
    night.journal.close().unwrap();
    let raw = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let kept: i64 =
        raw.query_row("SELECT count(DISTINCT digest) FROM output", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 1);
    let size: i64 =
        raw.query_row("SELECT sum(length(bytes)) FROM output", [], |row| row.get(0)).unwrap();
    assert!(size < 10_000, "{size} bytes of a text that says one thing");
}

#[test]
fn replay_rejects_no_event_that_was_accepted_and_keeps_facts() {
    let dir = tempfile::tempdir().unwrap();
    let mut night = Night::begin(dir.path(), &options(), 30).unwrap();
    while night.round() > 0 {}
    night.journal.close().unwrap();
    let verified = verify(dir.path()).unwrap();
    assert_eq!((verified.batches, verified.migrations), (1, 30));
    assert!(verified.attempts > 100 && verified.entries > verified.attempts, "{verified:?}");
    let (_journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
    assert!(loaded.iter().any(|one| one.facts.level.is_some()));
    let names: std::collections::BTreeSet<&str> =
        loaded.iter().map(|one| one.machine.state().name()).collect();
    assert!(names.contains("migrated") && names.contains("rolled_back"), "{names:?}");
    assert_eq!(image(&loaded).len(), 30);
}

#[test]
fn the_scope_of_a_directory_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), &options()).unwrap();
    let scope = journal.scope().to_owned();
    journal.close().unwrap();
    let mut later = options();
    later.now_ms += 1;
    let (journal, _) = Journal::open(dir.path(), &later).unwrap();
    assert_eq!(journal.scope(), scope);
    let other = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(other.path(), &options()).unwrap();
    assert_ne!(journal.scope(), scope);
}

#[test]
#[ignore = "a measurement: prints figures, asserts no times; run in release"]
fn figures() {
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let now = std::time::Instant::now;
    let dir = tempfile::tempdir_in("target").unwrap();
    let mut night = Night::begin(dir.path(), &options(), 10_000).unwrap();
    for one in 0..5 {
        // Short outputs, as most are.
        let next = |one: &mut super::night::Sleeper| one.next(&mut 4);
        let appends: Vec<Append> = night.migrations.iter_mut().filter_map(next).collect();
        let appended = appends.len();
        let start = now();
        for append in appends {
            night.journal.append(append).unwrap();
        }
        night.hear(appended);
        let ms = start.elapsed().as_millis();
        eprintln!("round {one}: {appended} appends in {ms} ms");
    }
    let (start, mut lone) = (now(), 0);
    for index in 0..300 {
        if night.step(index) {
            lone += 1;
            night.hear(1);
        }
    }
    eprintln!("{lone} lone appends: {} us each", start.elapsed().as_micros() / lone);
    night.journal.close().unwrap();
    for _ in 0..5 {
        let start = now();
        let (journal, loaded) = Journal::open(dir.path(), &options()).unwrap();
        eprintln!("load of {}: {} ms", loaded.len(), start.elapsed().as_millis());
        journal.close().unwrap();
    }
    let size = std::fs::metadata(dir.path().join("journal.db")).unwrap().len();
    eprintln!("{} MiB", size >> 20);
}
