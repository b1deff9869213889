//! Orders that nobody answered when they were given.

use super::world::{World, plan};
use nimshift::domain::MigrationId;
use nimshift::journal::{NewRequest, Reader, RequestId, RequestKind, Requests};
use rusqlite::Connection;

/// An order as a process posts it beside an engine.
fn post(world: &World, kind: RequestKind, client: &str, migration: Option<u64>) -> RequestId {
    let request = NewRequest {
        kind,
        client: Some(client.to_owned()),
        migration: migration.map(MigrationId),
        operator: "eve@console".to_owned(),
        at_ms: 1,
    };
    Requests::post(&world.state(), &request).unwrap()
}

/// One of a program that this one does not know.
fn post_row(world: &World, v: i64, kind: &str) -> i64 {
    let raw = Connection::open(world.state().join("journal.db")).unwrap();
    let insert = "INSERT INTO request (v, kind, client, operator, at_ms, sum, migration)
                  VALUES (?1, ?2, 'lpar01', 'eve', 1, x'00', 2)";
    raw.execute(insert, rusqlite::params![v, kind]).unwrap();
    raw.last_insert_rowid()
}

fn answer(world: &World, id: i64) -> String {
    let raw = Connection::open(world.state().join("journal.db")).unwrap();
    let answer: Option<String> =
        raw.query_row("SELECT answer FROM request WHERE id = ?1", [id], |row| row.get(0)).unwrap();
    answer.unwrap_or_else(|| panic!("request {id} was not answered"))
}

#[test]
fn an_order_is_about_the_migration_that_it_was_given_for_and_is_refused_alone() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let ran = world.run(&["run", "plan.toml", "--no-progress"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for client in ["lpar01", "lpar02"] {
        let ran = world.run(&["rollback", client, "--yes", "--no-progress"]);
        assert!([0, 3].contains(&ran.code), "{}{}", ran.stdout, ran.stderr);
    }
    // These came when the engine was about to end, and it did not see them.
    let outlived = post(&world, RequestKind::Cancel, "lpar01", Some(1));
    let nameless = post(&world, RequestKind::Cancel, "lpar01", None);
    let newer = post_row(&world, 99, "cancel");
    let changed = post_row(&world, 2, "cancel");
    // This one is for what the next plan begins.
    let meant = post(&world, RequestKind::Hold, "lpar02", Some(4));

    world.write("plan.toml", &plan(&["lpar01", "lpar02"]).replace("small", "second"));
    let ran = world.run(&["run", "plan.toml", "--no-progress"]);
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    let rows = Reader::open(&world.state()).unwrap().migrations(None).unwrap();
    let states: Vec<(u64, &str)> = rows.iter().map(|row| (row.id.0, row.state.name())).collect();
    let expected = [(1, "rolled_back"), (2, "rolled_back"), (3, "migrated"), (4, "held")];
    assert_eq!(states, expected);
    let reader = Reader::open(&world.state()).unwrap();
    let answer_of = |id: RequestId| reader.request(id).unwrap().answer.unwrap().to_string();
    assert_eq!(answer_of(outlived), "refused: outdated: m1 has ended, rolled back");
    assert!(answer_of(nameless).starts_with("refused: outdated: "), "{}", answer_of(nameless));
    assert!(answer_of(meant).starts_with("done: held"), "{}", answer_of(meant));
    assert!(answer(&world, newer).contains("does not know orders of version 99"));
    assert!(answer(&world, changed).contains("give the order again"));
    drop(reader);
    // A row that was changed is told by `verify`, and keeps nobody from work.
    let verified = world.run(&["verify"]);
    assert_eq!(verified.code, 7, "{}", verified.stdout);
    assert!(verified.stdout.contains(&format!("request r{changed}")), "{}", verified.stdout);
    let released = world.run(&["release", "lpar02"]);
    assert_eq!(released.code, 0, "{}{}", released.stdout, released.stderr);
}
