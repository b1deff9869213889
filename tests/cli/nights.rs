//! Nights whose engine is killed again and again end as one that nobody killed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::world::World;
use nimshift::domain::Repeat;
use nimshift::phases::registry;

/// Seconds of the lab in a real one: a night of hours takes seconds.
const SCALE: &str = "4000";
const NIGHTS: usize = 10;
const KILLS_OF_A_NIGHT: usize = 5;
/// A night has more of these than it needs: where the engine ends before its
/// kill, the kill is not counted.
const STARTS_MAX: usize = 200;

/// How a night ended.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    clients: BTreeMap<String, Json>,
    digest: String,
}

/// Chance, from a seed that is printed: `NIMSHIFT_TEST_SEED` gives it back.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/overnight.toml");
    path.to_str().unwrap().to_owned()
}

/// Begins the night, or goes on with it.
fn args(world: &World, plan: &str) -> Vec<String> {
    let begun = world.run(&["status", "--json"]);
    let has_batch = begun.code == 0
        && serde_json::from_str::<Json>(&begun.stdout).unwrap()["migrations"]
            .as_array()
            .is_some_and(|migrations| !migrations.is_empty());
    let words: &[&str] =
        if has_batch { &["resume"] } else { &["run", plan, "--time-scale", SCALE] };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// How a start of the engine ended.
enum End {
    Killed,
    Ended(i32, String),
}

/// Starts the engine and kills it after `moment`, unless it has ended before.
fn start(world: &World, args: &[String], moment: Duration) -> End {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut child =
        world.command(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = child.stderr.take().unwrap();
    let (tell, ended) = channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = said.read_to_string(&mut text);
        // Nobody waits for it where the engine was killed.
        let _ = tell.send(());
        text
    });
    if ended.recv_timeout(moment) == Err(RecvTimeoutError::Timeout) {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let text = reader.join().unwrap();
    match (status.signal(), status.code()) {
        (Some(9), _) => End::Killed,
        (_, Some(code)) => End::Ended(code, text),
        other => panic!("{other:?}: {text}"),
    }
}

fn outcome(world: &World) -> Outcome {
    for args in [&["lab", "check"][..], &["verify"]] {
        let ran = world.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
    let status = world.run(&["status", "--json"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    let status: Json = serde_json::from_str(&status.stdout).unwrap();
    let clients = status["migrations"].as_array().unwrap().iter().map(|one| {
        let told = ["state", "number", "phase", "step", "cause"].map(|key| one[key].clone());
        (one["client"].as_str().unwrap().to_owned(), Json::from(told.to_vec()))
    });
    Outcome { clients: clients.collect(), digest: world.run(&["lab", "digest"]).stdout }
}

/// How often each command of a step that is not to be repeated was started, by
/// ticket. The scope of the state directory is left out.
fn commands(world: &World) -> BTreeMap<(String, String), usize> {
    let log = world.run(&["lab", "log", "--json"]).stdout;
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let entry: Json = serde_json::from_str(line).unwrap();
        let Some((_, ticket)) = entry["job"].as_str().and_then(|job| job.split_once('.')) else {
            continue;
        };
        let once = registry().iter().any(|def| {
            let step = format!(".{:02}-{}.", def.phase.number(), def.name);
            def.repeat != Repeat::Safe && ticket.contains(&step)
        });
        if once && entry["stage"] == "started" {
            let line = entry["line"].as_str().unwrap().to_owned();
            *counts.entry((ticket.to_owned(), line)).or_default() += 1;
        }
    }
    counts
}

/// Commands that were started more often than by a night without kills. There
/// are scripts that hold a command twice.
fn repeated(world: &World, quiet: &BTreeMap<(String, String), usize>) -> Vec<String> {
    commands(world)
        .into_iter()
        .filter(|(command, count)| *count > quiet.get(command).copied().unwrap_or(1))
        .map(|((ticket, line), count)| format!("{ticket}: {count} times {line}"))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "how long a night takes here is measured")]
fn now() -> Instant {
    Instant::now()
}

/// A night with its kills. How many hit, and where.
fn killed_night(world: &World, chance: &mut Chance, whole_ms: u64) -> Vec<u64> {
    let plan = sample();
    let mut moments: Vec<u64> =
        (0..KILLS_OF_A_NIGHT).map(|_| chance.below(whole_ms)).collect();
    // One that comes while the engine takes up what the last one left.
    moments[0] = moments[1] + chance.below(120);
    moments.sort_unstable();
    let mut at = 0;
    let mut hit = Vec::new();
    for _ in 0..STARTS_MAX {
        let next = moments.get(hit.len()).copied();
        let wait = next.map_or(Duration::from_secs(120), |moment| {
            Duration::from_millis(moment.saturating_sub(at).max(1))
        });
        match start(world, &args(world, &plan), wait) {
            End::Killed => {
                assert!(next.is_some(), "the night does not end");
                at = next.unwrap_or(at);
                hit.push(at);
            }
            End::Ended(code, text) => {
                assert_eq!(code, 3, "after kills at {hit:?} ms: {text}");
                return hit;
            }
        }
    }
    panic!("the night does not end")
}

#[test]
fn killed_nights_end_like_a_quiet_one() {
    let given = std::env::var("NIMSHIFT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("NIMSHIFT_TEST_SEED={seed}");
    let quiet = World::new();
    let began = now();
    let ran = quiet.run(&["run", &sample(), "--time-scale", SCALE]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let whole_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    let expected = outcome(&quiet);
    let once = commands(&quiet);
    assert!(once.len() > 40, "{once:?}");

    let mut chance = Chance(seed);
    let mut kills = 0;
    for night in 1.. {
        let world = World::new();
        let hit = killed_night(&world, &mut chance, whole_ms * 9 / 10);
        let told = format!("night {night} of seed {seed}, killed at {hit:?} of {whole_ms} ms");
        eprintln!("{told}");
        assert_eq!(outcome(&world), expected, "{told}");
        assert_eq!(repeated(&world, &once), Vec::<String>::new(), "{told}");
        kills += hit.len();
        if night >= NIGHTS && kills >= NIGHTS * KILLS_OF_A_NIGHT {
            return;
        }
        assert!(night < 2 * NIGHTS, "only {kills} kills hit a running engine");
    }
}
