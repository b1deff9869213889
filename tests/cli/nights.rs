//! Nights whose engine is killed again and again end as one that nobody killed.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::world::World;
use nimshift::domain::Repeat;
use nimshift::phases::registry;

/// Seconds of the lab in a real one: a night of hours takes seconds.
const SCALE: &str = "4000";
/// At least.
const NIGHTS: usize = 10;
/// At least, of engines that ran.
const KILLS: usize = 50;
/// At least, for each further sample plan.
const KILLS_OF_A_MODE: usize = 10;
/// One more comes in each night, right after a start.
const KILLS_OF_A_NIGHT: usize = 4;
const AT_ONCE: usize = 2;
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// How a night ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) clients: BTreeMap<String, Json>,
    pub(super) digest: String,
}

/// Chance, from a seed that is printed: `NIMSHIFT_TEST_SEED` gives it back.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A sample plan, and the exit code of its night.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) plan: String,
    pub(super) code: i32,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

pub(super) fn overnight() -> Sample {
    Sample { plan: fixtures().join("overnight.toml").to_str().unwrap().to_owned(), code: 3 }
}

/// All sample plans beside the sample night: one for each mode and driver.
fn modes() -> Vec<Sample> {
    let files = std::fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut plans: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| path.to_str().unwrap().to_owned())
        .filter(|path| *path != overnight().plan)
        .collect();
    plans.sort();
    plans.into_iter().map(|plan| Sample { plan, code: 0 }).collect()
}

/// Begins the night, or goes on with it.
fn args(world: &World, sample: &Sample) -> Vec<String> {
    let begun = world.run(&["status", "--json"]);
    let has_batch = begun.code == 0
        && serde_json::from_str::<Json>(&begun.stdout).unwrap()["migrations"]
            .as_array()
            .is_some_and(|migrations| !migrations.is_empty());
    let words: &[&str] =
        if has_batch { &["resume"] } else { &["run", &sample.plan, "--time-scale", SCALE] };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// How a start of the engine ended.
pub(super) enum End {
    Killed,
    Ended(i32, String),
}

/// Starts the engine, and kills it at `moment` after it has said `awaited`,
/// unless it has ended before.
pub(super) fn start(world: &World, args: &[String], awaited: &str, moment: Duration) -> End {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut child =
        world.command(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    let (tell, hear) = channel();
    let reader = std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    let mut text = String::new();
    let mut is_due = awaited.is_empty();
    let mut due = now() + moment;
    loop {
        let left = if is_due { due.saturating_duration_since(now()) } else { PATIENCE };
        match hear.recv_timeout(left) {
            Ok(line) => {
                if !is_due && line.contains(awaited) {
                    (is_due, due) = (true, now() + moment);
                }
                text += &line;
                text.push('\n');
            }
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                assert!(is_due, "nothing was said for long: {text}");
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    match (status.signal(), status.code()) {
        (Some(9), _) => End::Killed,
        (_, Some(code)) => End::Ended(code, text),
        other => panic!("{other:?}: {text}"),
    }
}

pub(super) fn outcome(world: &World) -> Outcome {
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
pub(super) fn commands(world: &World) -> BTreeMap<(String, String), usize> {
    let log = world.run(&["lab", "log", "--json"]).stdout;
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let entry: Json = serde_json::from_str(line).unwrap();
        let Some((scope, ticket)) = entry["job"].as_str().and_then(|job| job.split_once('.'))
        else {
            continue;
        };
        let once = registry().iter().any(|def| {
            let step = format!(".{:02}-{}.", def.phase.number(), def.name);
            def.repeat != Repeat::Safe && ticket.contains(&step)
        });
        let line = entry["line"].as_str().unwrap_or_default();
        // What asks whose the client is changes nothing.
        let asks = line.contains("grep -F -e ");
        if once && !asks && entry["stage"] == "started" {
            let line = without_engine(&line.replace(scope, "SCOPE"));
            *counts.entry((ticket.to_owned(), line)).or_default() += 1;
        }
    }
    counts
}

/// `line` without what a lease tells of the engine that took it, and when.
fn without_engine(line: &str) -> String {
    let told = Regex::new(r"epoch=\d+,since=[0-9TZ:-]+").expect("a pattern");
    told.replace_all(line, "epoch=N,since=TIME").into_owned()
}

/// Commands of such steps that were not started as often, and under the same
/// tickets, as by a night without kills. (There are scripts that hold a command
/// twice.) A kill costs no attempt: another process takes up the same ticket.
fn unequal(world: &World, quiet: &BTreeMap<(String, String), usize>) -> Vec<String> {
    differences(&commands(world), quiet)
}

/// What was not started as often as in a quiet night.
pub(super) fn differences(
    found: &BTreeMap<(String, String), usize>,
    quiet: &BTreeMap<(String, String), usize>,
) -> Vec<String> {
    let all: BTreeSet<_> = found.keys().chain(quiet.keys()).collect();
    let count = |of: &BTreeMap<(String, String), usize>, key| of.get(key).copied().unwrap_or(0);
    all.into_iter()
        .filter(|key| count(found, key) != count(quiet, key))
        .map(|key| format!("{key:?}: {} for {}", count(found, key), count(quiet, key)))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "how long a night takes here is measured")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A night that nobody kills: how it ends, what it starts once, and how long it
/// takes here.
fn quiet_night(sample: &Sample) -> (Outcome, BTreeMap<(String, String), usize>, u64) {
    let world = World::in_memory();
    let began = now();
    let ran = world.run(&["run", &sample.plan, "--time-scale", SCALE]);
    assert_eq!(ran.code, sample.code, "{}{}", ran.stdout, ran.stderr);
    let whole_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    let once = commands(&world);
    assert!(once.len() > 4, "{once:?}");
    (outcome(&world), once, whole_ms)
}

/// A night with a kill for each of `kills`: what the engine must have said, and
/// how long after that. How many hit a running engine.
fn killed_night(world: &World, sample: &Sample, kills: &[(&str, u64)]) -> usize {
    let mut hit = 0;
    for (awaited, moment) in kills {
        match start(world, &args(world, sample), awaited, Duration::from_millis(*moment)) {
            End::Killed => hit += 1,
            // All is done, or the rest of it was done in another order.
            End::Ended(code, _) if code == sample.code => break,
            End::Ended(code, text) => panic!("exit {code} after {hit} kills: {text}"),
        }
    }
    match start(world, &args(world, sample), "", PATIENCE) {
        End::Ended(code, _) if code == sample.code => hit,
        End::Ended(code, text) => panic!("exit {code} after {hit} kills: {text}"),
        End::Killed => panic!("the night does not end after {hit} kills"),
    }
}

pub(super) fn seed() -> u64 {
    let given = std::env::var("NIMSHIFT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("NIMSHIFT_TEST_SEED={seed}");
    seed
}

/// Nights of `sample`, killed `kills` times at least in `nights` nights at
/// least: each ends as one that nobody killed.
fn killed_like_quiet(sample: &Sample, kills: usize, nights: usize, seed: u64) {
    let (expected, once, whole_ms) = quiet_night(sample);
    let mut chance = Chance(seed);
    let (mut lived, mut hit) = (0, 0);
    while hit < kills || lived < nights {
        // Several at a time: a night mostly waits for the lab's hosts.
        let several: Vec<Vec<(&str, u64)>> =
            (0..AT_ONCE).map(|_| moments(&mut chance, whole_ms)).collect();
        hit += std::thread::scope(|scope| {
            let running: Vec<_> = several
                .iter()
                .map(|kills| {
                    let (expected, once) = (&expected, &once);
                    scope.spawn(move || {
                        let world = World::in_memory();
                        let hit = killed_night(&world, sample, kills);
                        let told = format!("{sample:?}, seed {seed}: {hit} kills of {kills:?}");
                        eprintln!("{told}");
                        assert_eq!(outcome(&world), *expected, "{told}");
                        assert_eq!(unequal(&world, once), Vec::<String>::new(), "{told}");
                        hit
                    })
                })
                .collect();
            running.into_iter().map(|night| night.join().unwrap()).sum::<usize>()
        });
        lived += AT_ONCE;
        assert!(lived <= 3 * NIGHTS, "only {hit} kills hit a running engine");
    }
    eprintln!("{sample:?}: {hit} kills in {lived} nights");
}

#[test]
fn killed_nights_end_like_a_quiet_one() {
    killed_like_quiet(&overnight(), KILLS, NIGHTS, seed());
}

#[test]
fn killed_nights_of_every_mode_end_like_quiet_ones() {
    let (modes, seed) = (modes(), seed());
    assert!(modes.len() >= 4, "{modes:?}");
    for sample in modes {
        killed_like_quiet(&sample, KILLS_OF_A_MODE, 1, seed);
    }
}

/// When an engine is killed: moments after each of its starts.
fn moments(chance: &mut Chance, whole_ms: u64) -> Vec<(&'static str, u64)> {
    let mut at: Vec<u64> = (0..KILLS_OF_A_NIGHT).map(|_| chance.below(whole_ms * 8 / 10)).collect();
    at.sort_unstable();
    let mut before = 0;
    let mut moments: Vec<(&str, u64)> = Vec::new();
    for at in at {
        moments.push(("", at - before));
        before = at;
    }
    // And one while the engine takes up what the one before has left.
    moments.insert(1, ("", chance.below(150)));
    moments
}

#[test]
fn kills_while_things_are_taken_back() {
    let (sample, seed) = (overnight(), seed());
    let (expected, once, _) = quiet_night(&sample);
    let mut chance = Chance(seed);
    for _ in 0..2 {
        let world = World::in_memory();
        let mut kills = vec![("taking everything back", chance.below(40))];
        // Both clients that are rolled back come by here.
        kills.extend((0..4).map(|_| ("taking it back", chance.below(150))));
        let hit = killed_night(&world, &sample, &kills);
        let told = format!("seed {seed}: {hit} kills of {kills:?}");
        eprintln!("{told}");
        assert!(hit >= 2, "{told}");
        assert_eq!(outcome(&world), expected, "{told}");
        assert_eq!(unequal(&world, &once), Vec::<String>::new(), "{told}");
    }
}
