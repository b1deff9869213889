//! The lease of another nimshift, which may be no more: left to it, or taken over
//! by one taker, whole, and never while a job of its holder goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nimshift::domain::{Direction, MigrationId, MigrationSpec, Outcome};
use nimshift::engine::Performer as _;
use nimshift::journal::Reader;
use nimshift::phases::Order;
use nimshift::phases::registry;
use nimshift::transport::{
    Command, HostId, JobId, JobState, Script, Transport as _, TransportError,
};

use super::faulty::Dies;
use super::world::{
    CLIENT, DEAD_LEASE, Flavour, World, assert_same, by_hand, leased, virtual_time,
};

const HOUR: u64 = 3_600_000;
const CLAIM: &str = "s9.m1@control9,since=2026-03-02T19:30:00Z,over=s1.m7";

fn spec(after_ms: Option<u64>) -> MigrationSpec {
    MigrationSpec { dead_lease_after_ms: after_ms, ..Flavour::Plain.spec() }
}

/// A client whose lease says `text`.
fn held(text: &str, after_ms: Option<u64>) -> World {
    let world = World::of(&Flavour::Plain.estate(), spec(after_ms));
    by_hand(&world.lab, CLIENT, "mkdir -p /var/adm/nimshift");
    by_hand(&world.lab, CLIENT, &leased(text));
    world
}

fn lease(world: &World) -> String {
    let words = ["ls", "-l", "/var/adm/nimshift/lease"].map(str::to_owned);
    let said = world.lab.exec_words(CLIENT, &words).expect("a host").stdout;
    said.split(" -> ").nth(1).unwrap_or_default().trim().to_owned()
}

/// It is left to its holder, for this reason, and nothing was changed.
async fn refused(world: &World, why: &str) {
    let before = world.lab.image().expect("an image");
    world.live(Arc::new(world.plain_performer())).await;
    let reader = Reader::open(world.dir()).expect("a journal");
    let state = &reader.migrations(None).expect("migrations").last().expect("one").state.clone();
    let text = &state.cause().expect("a cause").text;
    assert!(text.contains(why), "{text}");
    assert_same(&before, &world.lab.image().expect("an image"), why);
    world.assert_replays(why);
}

/// The client is migrated, and the journal knows whose lease it was.
async fn taken(world: &World, from: &str) {
    world.live(Arc::new(world.plain_performer())).await;
    assert_eq!(world.state(), "migrated", "{}", world.story());
    let told = world.journal_text();
    assert!(told.contains(&format!("lease_over: Some(\"{from}")), "{told}");
    let violations = world.lab.check(&[Flavour::Plain.expected()]).expect("a check");
    assert!(violations.is_empty(), "{violations:#?}");
    world.assert_replays(from);
}

#[test]
fn a_lease_is_left_to_its_holder_before_its_time() {
    virtual_time(async || {
        let words = "s1.m7 on control1, batch overnight, epoch 3, since 2026-03-02T19:00:00Z \
                     holds the client's lease";
        refused(&held(DEAD_LEASE, None), words).await;
        // It is an hour old.
        let world = held(DEAD_LEASE, Some(12 * HOUR));
        refused(&world, "taken over when it is 12h00m old").await;
        refused(&held("s1.m7", Some(12 * HOUR)), "has no date").await;
        refused(&held("somebody", Some(0)), "it is not nimshift's").await;
        tokio::time::sleep(Duration::from_secs(11 * 3600)).await;
        world.again(spec(Some(12 * HOUR)));
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "migrated", "{}", world.story());
    });
}

#[test]
fn by_order_it_is_taken_at_once_also_where_it_says_nothing_of_its_age() {
    virtual_time(async || {
        taken(&held(DEAD_LEASE, Some(0)), DEAD_LEASE).await;
        taken(&held("s1.m7", Some(0)), "s1.m7").await;
    });
}

#[test]
fn not_while_a_job_of_its_holder_goes_on() {
    virtual_time(async || {
        for (host, id) in [(CLIENT, "s1.m7.01-x.f0.1"), ("nim1", "s1.m9.05-restore-bos.f0.1")] {
            let world = held(DEAD_LEASE, Some(0));
            let (host, id) = (HostId::new(host), JobId::new(id));
            // It takes five minutes of the lab.
            let script = Script::new((0..100).map(|_| Command::new(["prtconf"])));
            world.lab.start(&host, &id, &script).await.expect("a job");
            refused(&world, &format!("its job {id} on {host} has not ended")).await;
            // Nobody was barred for nothing.
            let other = JobId::new("s1.m7.01-y.f0.1");
            let quick = Script::new([Command::new(["true"])]);
            world.lab.start(&host, &other, &quick).await.expect("a job");
            tokio::time::sleep(Duration::from_secs(3600)).await;
            world.again(spec(Some(0)));
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{}", world.story());
        }
    });
}

#[test]
fn whose_lease_was_taken_begins_nothing_any_more() {
    virtual_time(async || {
        let world = held(DEAD_LEASE, Some(0));
        taken(&world, DEAD_LEASE).await;
        let note = format!("s1.m7 is barred: its journal begins nothing more on {CLIENT}");
        assert!(world.journal_text().contains(&note), "{}", world.journal_text());
        let quick = Script::new([Command::new(["true"])]);
        for (host, id, is_barred) in [
            (CLIENT, "s1.m7.02-x.f0.1", true),
            (CLIENT, "s1.m9.02-x.f0.1", true),
            ("nim1", "s1.m7.02-x.f0.1", true),
            // The master works for other clients of that night.
            ("nim1", "s1.m8.02-x.f0.1", false),
            (CLIENT, "s11.m7.02-x.f0.1", false),
        ] {
            let started = world.lab.start(&HostId::new(host), &JobId::new(id), &quick).await;
            match started {
                Err(TransportError::Barred { by, .. }) if is_barred => assert_eq!(by, "test.m1"),
                Ok(JobState::Running { .. } | JobState::Done(_)) if !is_barred => {}
                other => panic!("{id} on {host}: {other:?}"),
            }
        }
        // The one that comes back is held, for a person to see.
        let late = world.performer_of("s1", Arc::new(world.lab.clone()));
        let answer = late.perform(order("take-lease", 7)).await;
        let Outcome::Failed { cause, .. } = answer.outcome else { panic!("it was let") };
        assert!(cause.text.contains("test.m1 has taken over its client"), "{cause:?}");
    });
}

fn order(step: &str, migration: u64) -> Order {
    let def = registry().iter().find(|def| def.name == step).expect("a step");
    let ticket = def.first(Direction::Forward);
    Order {
        migration: MigrationId(migration),
        ticket,
        undo_of: None,
        spec: Arc::new(spec(Some(0))),
        facts: Arc::default(),
        issued: false,
        since_ms: 0,
        interrupt: None,
    }
}

#[test]
fn of_two_takers_one_takes_it() {
    // The second comes later by so much: each moment of the first is met.
    for after_ms in (0..4_000).step_by(50) {
        virtual_time(async || {
            let world = held(DEAD_LEASE, Some(0));
            let take = async |scope: &str, wait_ms: u64| {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                let performer = world.performer_of(scope, Arc::new(world.lab.clone()));
                performer.perform(order("take-lease", 1)).await.outcome
            };
            let (one, two) = tokio::join!(take("s8", 0), take("s9", after_ms));
            let done = |outcome: &Outcome| *outcome == Outcome::Done;
            // The second may take over the first's, whose job has ended by then.
            let holder = lease(&world);
            match (done(&one), done(&two)) {
                (true, false) => assert!(holder.starts_with("s8.m1@"), "{after_ms}: {holder}"),
                (_, true) => assert!(holder.starts_with("s9.m1@"), "{after_ms}: {holder}"),
                (false, false) => panic!("{after_ms}: nobody took it: {one:?} {two:?}"),
            }
            assert!(after_ms != 0 || done(&one) != done(&two), "both took it at once");
        });
    }
}

#[test]
fn a_taker_that_died_in_between_is_followed_by_another() {
    virtual_time(async || {
        let claimed = || {
            let world = held(DEAD_LEASE, Some(0));
            let claim = format!("ln -s {CLAIM} /var/adm/nimshift/lease.over.s1.m7");
            by_hand(&world.lab, CLIENT, &claim);
            world
        };
        taken(&claimed(), "s9.m1@control9").await;
        // Without leave, the lease is still the first's, by its own words.
        let world = claimed();
        world.again(spec(None));
        // The claim of a taker whose job goes on is as good as a lease.
        let host = HostId::new(CLIENT);
        let long = Script::new([Command::new(["prtconf"])]);
        world.lab.start(&host, &JobId::new("s9.m1.01-take-lease.f0.1"), &long).await.expect("one");
        let world_of_s9 = &world;
        let performer = world_of_s9.plain_performer();
        let answer = performer.perform(order("take-lease", 1)).await;
        let Outcome::Failed { cause, .. } = answer.outcome else { panic!("it was taken") };
        assert!(cause.text.contains("s9.m1.01-take-lease.f0.1"), "{cause:?}");
        assert_eq!(lease(&world), DEAD_LEASE);
    });
}

#[test]
fn death_at_every_call_of_a_takeover() {
    let good = virtual_time(async || {
        let world = held(DEAD_LEASE, Some(0));
        world.live(Arc::new(world.plain_performer())).await;
        world.lab.image().expect("an image")
    });
    // All calls up to the step behind it.
    let calls = virtual_time(async || {
        let world = held(DEAD_LEASE, Some(0));
        let counts = Dies::at(world.lab.clone(), u64::MAX);
        let performer = world.performer(counts.clone());
        let outcome = performer.perform(order("take-lease", 1)).await.outcome;
        assert_eq!(outcome, Outcome::Done);
        counts.around.count.load(Ordering::SeqCst)
    });
    assert!(calls > 15, "it asks, bars, asks again and acts: {calls}");
    for dies_at in 1..=calls + 12 {
        virtual_time(async || {
            let what = format!("dead at call {dies_at} of {calls} and more");
            let world = held(DEAD_LEASE, Some(0));
            let dies = Dies::at(world.lab.clone(), dies_at);
            world.live_until_dead(&dies).await;
            taken(&world, DEAD_LEASE).await;
            assert_same(&good, &world.lab.image().expect("an image"), &what);
        });
    }
}

#[test]
fn what_cleans_up_lifts_the_bars_on_its_own_journal_and_tells_of_the_others() {
    virtual_time(async || {
        let world = World::new(Flavour::Cleanup);
        let [client, master] = [CLIENT, "nim1"].map(HostId::new);
        let bars = [
            (&client, "test.", "s9.m1", true),
            (&client, "test.", "s8.m4", true),
            (&client, "s5.", "s9.m1", false),
            (&master, "test.m1.", "s9.m1", true),
            (&master, "s5.m3.", "s9.m1", false),
            // Of another client.
            (&master, "test.m2.", "s9.m2", false),
        ];
        for (host, prefix, by, _) in bars {
            world.lab.bar(host, prefix, by, true).await.expect("a bar");
        }
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "migrated", "{}", world.story());
        let told = world.journal_text();
        for (host, prefix, by, is_lifted) in bars {
            let stand = world.lab.bars(host).await.expect("bars");
            let stands = stand.iter().any(|bar| bar.prefix == prefix && bar.by == by);
            assert_eq!(stands, !is_lifted, "{host}: {prefix} by {by}");
            let jobs = format!("jobs of {} on {host}", prefix.trim_end_matches('.'));
            let text = if is_lifted {
                format!("the bar of {by} on {jobs} is lifted")
            } else {
                format!("{by} bars {jobs}: left as it is")
            };
            assert!(told.contains(&text), "{text}: {told}");
        }
    });
}
