//! The sample night over a real ssh: it ends as the one in process, also when
//! its engine is killed again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value as Json;

use super::nights::{
    Chance, End, Outcome, PATIENCE, commands, differences, outcome, overnight, seed, start,
};
use super::ssh_lab::SshLab;
use super::world::World;

/// Seconds of the lab in a real one.
const SCALE: &str = "1500";

/// Kills of engines that ran: in a soak. `nights.rs` kills them in every run, on
/// hosts that cost less.
fn kills() -> usize {
    if std::env::var_os("NIMSHIFT_SOAK").is_some() { 30 } else { 0 }
}

fn plan() -> String {
    let sample = overnight().plan;
    let folder = std::path::Path::new(&sample).parent().unwrap();
    let text = std::fs::read_to_string(&sample).unwrap();
    text.replace("estates/", &format!("{}/estates/", folder.display()))
}

/// How the night in process ends.
fn in_process() -> Outcome {
    let world = World::in_memory();
    let ran = world.run(&["run", &overnight().plan, "--time-scale", "4000"]);
    assert_eq!(ran.code, overnight().code, "{}{}", ran.stdout, ran.stderr);
    outcome(&world)
}

/// What a runner of jobs asks of its host for itself, before it knows whether
/// the job is its own.
fn is_a_look(line: &str) -> bool {
    line == "who -b" || line == "getconf BOOT_DEVICE"
}

/// What must not be started twice, and how often it was started.
fn once(world: &World) -> BTreeMap<(String, String), usize> {
    let all = commands(world).into_iter();
    all.filter(|((_, line), _)| !is_a_look(line)).collect()
}

/// How often the first command of each job was started.
fn starts(world: &World) -> BTreeMap<String, usize> {
    let log = world.run(&["lab", "log", "--json"]).stdout;
    let mut firsts: BTreeMap<String, String> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let entry: Json = serde_json::from_str(line).unwrap();
        let Some(job) = entry["job"].as_str() else { continue };
        if entry["stage"] != "started" {
            continue;
        }
        let line = entry["line"].as_str().unwrap();
        if is_a_look(line) {
            continue;
        }
        let first = firsts.entry(job.to_owned()).or_insert_with(|| line.to_owned());
        if first == line {
            *counts.entry(job.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// The scope of a state directory is its own.
fn without_scope(jobs: &BTreeMap<String, usize>) -> BTreeMap<&str, usize> {
    jobs.iter().map(|(job, count)| (job.split_once('.').unwrap().1, *count)).collect()
}

/// What was started otherwise, and the histories of those whom it concerns.
fn stories(lab: &SshLab, differ: &[String]) -> String {
    let mut text = differ.join("\n");
    for migration in lab.status() {
        let mark = format!("(\"m{}.", migration["id"]);
        if differ.iter().any(|line| line.starts_with(&mark)) {
            text += &lab.run(&["history", migration["client"].as_str().unwrap(), "--all"]).stdout;
        }
    }
    text
}

#[test]
fn the_sample_night_ends_as_in_process_whoever_kills_its_engine() {
    let expected = in_process();
    let Some(quiet) = SshLab::up(&plan(), SCALE) else { return };
    let began = super::nights::now();
    let ran = quiet.run(&["run", "ssh.toml"]);
    assert_eq!(ran.code, overnight().code, "{}{}", ran.stdout, ran.stderr);
    let whole_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    assert_eq!(outcome(&quiet.world), expected);
    let quiet_once = once(&quiet.world);
    let quiet_starts = starts(&quiet.world);
    assert!(quiet_starts.len() > 100, "{quiet_starts:?}");

    let seed = seed();
    let mut chance = Chance(seed);
    let wanted = kills();
    let mut hit = 0;
    while hit < wanted {
        let Some(lab) = SshLab::up(&plan(), SCALE) else { return };
        let mut args = vec!["run".to_owned(), "ssh.toml".to_owned()];
        // So that all of them fall into the night, at whatever moment.
        let each = 2 * whole_ms / u64::try_from(wanted.clamp(1, 16)).unwrap();
        let ended = loop {
            let moment = Duration::from_millis(chance.below(each.max(2)));
            let patience = if hit < wanted { moment } else { PATIENCE };
            match start(&lab.world, &args, "", patience) {
                End::Killed => hit += 1,
                End::Ended(code, text) => break (code, text),
            }
            assert!(hit <= wanted, "seed {seed}: the night does not end");
            // A kill before the batch was stored leaves nothing to resume.
            if !lab.status().is_empty() {
                args = vec!["resume".to_owned()];
            }
        };
        let told = format!("seed {seed}: {hit} kills");
        eprintln!("{told}");
        assert_eq!(ended.0, overnight().code, "{told}: {}", ended.1);
        assert_eq!(outcome(&lab.world), expected, "{told}");
        let differ = differences(&once(&lab.world), &quiet_once);
        assert!(differ.is_empty(), "{told}: {}", stories(&lab, &differ));
        // Jobs are attached to, not started again.
        let killed_starts = starts(&lab.world);
        let (quiet, killed) = (without_scope(&quiet_starts), without_scope(&killed_starts));
        let jobs: BTreeSet<&str> = killed.keys().copied().collect();
        for job in jobs {
            let usual = quiet.get(job).copied().unwrap_or(1);
            assert!(killed[job] <= usual, "{told}: {job} was begun {} times", killed[job]);
        }
    }
}
