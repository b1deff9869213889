//! What ends an engine, and what does not: another that takes the journal over,
//! and a fault of its own in one attempt.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nimshift::domain::{Answer, MigrationId, MigrationSpec, Outcome};
use nimshift::engine::{Ended, ForgetFuture, Performer, PerformerFuture};
use nimshift::journal::{Journal, JournalError, OpenOptions, Reader};
use nimshift::phases::Order;

use super::faulty::empty_record;
use super::world::{Flavour, World, virtual_time};

/// A world with two migrations, whose hosts are not spoken to.
fn two() -> World {
    let mut world = World::new(Flavour::Plain);
    world.again(MigrationSpec {
        client: "lpar02".parse().expect("a name"),
        ..Flavour::Plain.spec()
    });
    // Two engines at once are what is tested.
    world.options.lock = false;
    world
}

fn done() -> Answer {
    Answer { outcome: Outcome::Done, facts: None, record: empty_record() }
}

/// The state of each migration, and why.
fn ends(world: &World) -> Vec<(&'static str, String)> {
    let reader = Reader::open(world.dir()).expect("a journal");
    let views = reader.migrations(None).expect("migrations");
    let why = |state: &nimshift::machine::State| {
        state.cause().map(|cause| cause.text.clone()).unwrap_or_default()
    };
    views.iter().map(|view| (view.state.name(), why(&view.state))).collect()
}

/// What became of the attempts of a fenced engine.
#[derive(Default)]
struct Seen {
    begun: AtomicUsize,
    dropped: AtomicUsize,
    forgotten: AtomicUsize,
}

/// Tells when it is dropped.
struct Guard(Arc<Seen>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// The first migration's third attempt lets another engine take the journal over,
/// and answers; the second migration's goes on for ever.
struct TakenOver {
    dir: std::path::PathBuf,
    options: OpenOptions,
    other: Mutex<Option<Journal>>,
    seen: Arc<Seen>,
}

impl Performer for TakenOver {
    fn perform(&self, order: Order) -> PerformerFuture {
        let begun = self.seen.begun.fetch_add(1, Ordering::SeqCst) + 1;
        if order.migration != MigrationId(1) {
            let guard = Guard(Arc::clone(&self.seen));
            return Box::pin(async move {
                std::future::pending::<()>().await;
                drop(guard);
                done()
            });
        }
        if begun == 4 {
            let (other, _) = Journal::open(&self.dir, &self.options).expect("without a lock");
            *self.other.lock().expect("a lock") = Some(other);
        }
        Box::pin(std::future::ready(done()))
    }

    fn forget(&self, _: MigrationId, _: Arc<MigrationSpec>) -> ForgetFuture {
        self.seen.forgotten.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// By real time: the writer of the journal is a thread that a virtual clock does
/// not wait for.
#[test]
fn a_fenced_engine_starts_and_ends_nothing() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().expect("a runtime").block_on(async {
        let world = two();
        let seen = Arc::new(Seen::default());
        let performer = TakenOver {
            dir: world.dir().to_owned(),
            options: world.options.clone(),
            other: Mutex::default(),
            seen: Arc::clone(&seen),
        };
        let (journal, loaded) = Journal::open(world.dir(), &world.options).expect("the journal");
        let mut nobody = ();
        let life = world.live_on(&journal, loaded, Arc::new(performer), &mut nobody);
        let ended = tokio::time::timeout(Duration::from_secs(60), life).await;
        let ended = ended.expect("it waits for no attempt that the other engine has now");
        assert!(
            matches!(ended, Ended::JournalFailed(JournalError::Fenced { .. })),
            "it says why it ends: {ended:?}"
        );
        assert_eq!(seen.begun.load(Ordering::SeqCst), 4, "nothing began after that");
        assert_eq!(seen.dropped.load(Ordering::SeqCst), 1, "what was in flight is left alone");
        assert_eq!(seen.forgotten.load(Ordering::SeqCst), 0);
    });
}

/// Panics in one attempt of the first migration, at once or while it waits.
struct Panics {
    step: &'static str,
    at_once: bool,
}

impl Performer for Panics {
    fn perform(&self, order: Order) -> PerformerFuture {
        let panics = order.migration == MigrationId(1) && order.ticket.step.as_str() == self.step;
        assert!(!(panics && self.at_once), "no such \u{1b}[1mhost");
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(!panics, "no such \u{1b}[1mhost");
            done()
        })
    }
}

#[test]
fn a_panic_stops_one_migration_and_the_night_goes_on() {
    for at_once in [true, false] {
        virtual_time(async || {
            let world = two();
            let ended = world.live(Arc::new(Panics { step: "take-lease", at_once })).await;
            assert!(matches!(ended, Ended::AtRest), "{ended:?}");
            let ends = ends(&world);
            assert_eq!((ends[0].0, ends[1].0), ("awaiting_operator", "migrated"), "{ends:?}");
            let why = &ends[0].1;
            assert!(why.contains("a panic at tests/reliability/engine.rs:"), "{why}");
            assert!(why.contains("no such") && !why.contains('\u{1b}'), "{why}");
            world.assert_replays("a panic");
        });
    }
}
