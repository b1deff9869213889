//! Journals that an older program left, with their estates: read as they are,
//! and gone on with by the rules of the newest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use super::world::{Ran, World};
use nimshift::domain::MigrationId;
use nimshift::journal::{Entry, Reader};
use nimshift::machine::{DECISIONS, EventKind, State};

/// Seconds of the lab in a real one.
const SCALE: u64 = 4000;

/// State directories of killed nights, by the decisions that they were started
/// under: `v1-` and what is special in it. `v1-half` is the sample night, killed in
/// its middle and written whole by an older program (commit 0bee027).
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals");
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// The state directory in `fixture`, as if its engine had been killed now.
#[expect(clippy::disallowed_methods, reason = "the lab's clock is a multiple of the real one")]
fn left(fixture: &Path) -> World {
    let world = World::new();
    fs::create_dir(world.state()).unwrap();
    let unpacked = Command::new("tar")
        .arg("-xJf")
        .arg(fixture)
        .args(["--strip-components=1", "-C"])
        .arg(world.state())
        .status()
        .unwrap();
    assert!(unpacked.success(), "{}", fixture.display());
    let clock = world.state().join("lab/clock.json");
    let mut set: Json = serde_json::from_slice(&fs::read(&clock).unwrap()).unwrap();
    let rows = Reader::open(&world.state()).unwrap().migrations(None).unwrap();
    let last = rows.iter().map(|row| row.updated_ms).max().unwrap();
    let passed = (last - set["origin_ms"].as_u64().unwrap()) / SCALE;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    set["scale"] = json!(SCALE);
    set["real_origin_ms"] = json!(u64::try_from(now).unwrap() - passed);
    fs::write(&clock, set.to_string()).unwrap();
    world
}

fn good(ran: Ran) -> String {
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    ran.stdout
}

fn entries(world: &World, id: MigrationId) -> Vec<Entry> {
    Reader::open(&world.state()).unwrap().history(id).unwrap()
}

fn is_adopted(entry: &Entry) -> bool {
    matches!(&entry.event.kind, EventKind::Adopted { decisions: DECISIONS, .. })
}

/// Where the entries of `before` go on in those of `after`, and by what.
fn first_after(before: &[Entry], after: &[Entry]) -> Option<Entry> {
    assert_eq!(after[..before.len()], *before, "what was journaled was changed");
    after.get(before.len()).cloned()
}

#[test]
fn a_night_that_an_older_program_left_half_done_is_ended_by_this_one() {
    for fixture in fixtures() {
        let world = left(&fixture);
        // Nobody has brought it up to date yet, and reading does not.
        let file = world.state().join("journal.db");
        let bytes = fs::read(&file).unwrap();
        good(world.run(&["status"]));
        good(world.run(&["verify"]));
        good(world.run(&["journal", "backup", "before.db"]));
        let rows = Reader::open(&world.state()).unwrap().migrations(None).unwrap();
        let before: Vec<Vec<Entry>> = rows.iter().map(|row| entries(&world, row.id)).collect();
        for (row, entries) in rows.iter().zip(&before) {
            assert_eq!(entries.last().map_or(&State::Pending, |last| &last.state), &row.state);
            good(world.run(&["history", &row.client]));
        }
        assert!(fs::read(&file).unwrap() == bytes, "a reader wrote");
        let unfinished = rows.iter().filter(|row| !row.state.is_terminal()).count();
        assert!(unfinished > 1, "{} is not half done", fixture.display());

        if rows.iter().any(|row| matches!(row.state, State::Held { .. })) {
            good(world.run(&["release", "--all"]));
        }
        let ran = world.run(&["resume", "--no-progress"]);
        assert!([0, 3].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);

        let ended = Reader::open(&world.state()).unwrap().migrations(None).unwrap();
        for ((was, is), before) in rows.iter().zip(&ended).zip(&before) {
            assert!(is.state.is_terminal(), "{}: {}", is.client, is.state);
            let next = first_after(before, &entries(&world, is.id));
            if was.state.is_terminal() {
                assert_eq!(next, None, "{} had ended", was.client);
                continue;
            }
            let next = next.unwrap();
            assert!(is_adopted(&next), "{}: {:?}", was.client, next.event);
            assert_eq!(next.state, was.state, "{}", was.client);
            let told = good(world.run(&["history", &is.client]));
            assert!(told.contains("taken up by a newer nimshift"), "{told}");
        }
        good(world.run(&["verify"]));
        good(world.run(&["lab", "check"]));
    }
}

#[test]
fn what_ended_under_older_rules_is_taken_back_by_those_of_the_newest() {
    let mut tried = 0;
    for fixture in fixtures() {
        let world = left(&fixture);
        let rows = Reader::open(&world.state()).unwrap().migrations(None).unwrap();
        let Some(was) = rows.iter().find(|row| matches!(row.state, State::Migrated { .. })) else {
            continue;
        };
        let before = entries(&world, was.id);
        world.run(&["rollback", &was.client, "--yes", "--no-progress"]);
        let after = entries(&world, was.id);
        assert!(is_adopted(&first_after(&before, &after).unwrap()));
        assert_eq!(after[before.len() + 1].event.kind.name(), "rollback");
        assert_eq!(after.last().unwrap().state.name(), "rolled_back");
        good(world.run(&["verify"]));
        tried += 1;
    }
    assert!(tried > 0, "no fixture has an ended migration");
}
