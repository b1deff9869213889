//! A night beside which other programs look at the journal.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::world::World;

const PATIENCE: Duration = Duration::from_secs(120);

fn plan() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/overnight.toml").display().to_string()
}

/// The files of the journal that the process `pid` has locks on.
fn locked(world: &World, pid: u32) -> Vec<&'static str> {
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let has_lock = |name: &&str| {
        let Ok(metadata) = fs::metadata(world.state().join(name)) else { return false };
        let inode = metadata.ino().to_string();
        locks.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let of_inode = words.iter().any(|word| word.rsplit(':').next() == Some(&*inode));
            words.contains(&&*pid.to_string()) && of_inode
        })
    };
    ["journal.db", "journal.db-shm"].into_iter().filter(has_lock).collect()
}

/// Begins an engine, and waits until it has journaled more than `entries`.
fn begin(world: &World, args: &[&str], entries: usize) -> Child {
    let mut child =
        world.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a bound of a test")]
    let begun = Instant::now();
    while world.entries().len() <= entries {
        assert!(begun.elapsed() < PATIENCE, "nothing is journaled");
        assert!(child.try_wait().unwrap().is_none(), "the engine has ended");
    }
    child
}

/// What a stranger does who looks at the journal with a tool of his own: a
/// connection that could write, and that carries over and removes the WAL when
/// it is closed as the last one.
#[expect(clippy::disallowed_methods, reason = "it is another program")]
fn look_from_outside(world: &World) {
    let file = world.state().join("journal.db");
    let looked = Command::new("sqlite3").arg(&file).arg("select count(*) from event").output();
    let Ok(looked) = looked else {
        eprintln!("no sqlite3 here: this process looks");
        let raw = rusqlite::Connection::open(&file).unwrap();
        let count = "SELECT count(*) FROM event";
        let count: i64 = raw.query_row(count, [], |row| row.get(0)).unwrap();
        assert!(count > 0);
        return;
    };
    assert!(looked.status.success(), "{looked:?}");
}

#[test]
fn an_engine_keeps_its_locks_and_its_entries_beside_all_who_look() {
    let world = World::in_memory();
    let plan = plan();
    let mut engine = begin(&world, &["run", &plan, "--time-scale", "600"], 0);
    assert_eq!(locked(&world, engine.id()), ["journal.db", "journal.db-shm"], "after `run`");
    engine.kill().unwrap();
    engine.wait().unwrap();
    let mut kept = world.entries().len();
    let mut engine = begin(&world, &["resume"], kept);
    let looks: [&[&str]; 6] = [
        &["status"],
        &["verify"],
        &["journal", "backup", "b.db"],
        &["history", "lpar01"],
        &["journal", "export", "lpar01"],
        &["hold", "lpar02"],
    ];
    for args in looks {
        world.run(args);
        look_from_outside(&world);
        let held = locked(&world, engine.id());
        assert_eq!(held, ["journal.db", "journal.db-shm"], "beside {args:?}");
        // What is there now was acknowledged.
        kept = world.entries().len().max(kept);
    }
    let before = kept;
    #[expect(clippy::disallowed_methods, reason = "a bound of a test")]
    let begun = Instant::now();
    while kept < before + 5 && begun.elapsed() < PATIENCE {
        look_from_outside(&world);
        kept = world.entries().len().max(kept);
    }
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert!(kept >= before + 5, "the engine stands still");
    assert!(world.entries().len() >= kept, "entries that were acknowledged are gone");
    let verified = world.run(&["verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
}
