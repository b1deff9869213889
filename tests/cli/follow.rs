//! `history --follow`: the story as it is written, and what a job says on its
//! host meanwhile.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value as Json;

use super::nights::now;
use super::world::{World, plan};

/// Seconds of the lab in a real one: a phase is to last until it is looked at.
const SCALE: &str = "300";

/// Between a host's words and what else is told.
const WORDS: &str = "            | ";

/// The lines of a follower as they come.
struct Follower {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
}

impl Follower {
    fn of(world: &World, client: &str) -> Follower {
        let mut command = world.command(&["history", client, "--follow"]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Follower { process, lines, seen: Vec::new() }
    }

    /// Reads until there is a line with `wanted`.
    fn until(&mut self, wanted: &str) {
        for line in self.lines.by_ref() {
            self.seen.push(line.unwrap());
            if self.seen.last().unwrap().contains(wanted) {
                return;
            }
        }
        panic!("it ended without `{wanted}`: {:#?}", self.seen);
    }

    /// Reads to the end. All lines, and the exit code.
    fn end(mut self) -> (Vec<String>, Option<i32>) {
        self.seen.extend(self.lines.map(Result::unwrap));
        (self.seen, self.process.wait().unwrap().code())
    }
}

fn begin(world: &World, text: &str) -> Child {
    world.write("plan.toml", text);
    let mut night = world.command(&["run", "plan.toml", "--time-scale", SCALE]);
    let night = night.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = now();
    while world.run(&["history", "lpar01"]).code != 0 {
        assert!(began.elapsed().as_secs() < 60, "the night does not begin");
    }
    night
}

/// Where the only migration is.
fn state(world: &World) -> (String, u64) {
    let ran = world.run(&["status", "--json"]);
    let status: Json = serde_json::from_str(&ran.stdout).unwrap();
    let migration = &status["migrations"][0];
    let name = migration["state"].as_str().unwrap().to_owned();
    (name, migration["phase_number"].as_u64().unwrap_or(0))
}

/// A plan whose phases are each one long job that speaks as it goes.
fn talkative() -> String {
    let estate = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/estates/nimadm-driver.toml");
    assert!(fs::exists(estate).unwrap());
    plan(&["lpar01"])
        .replace("kind = \"lab\"\n", &format!("kind = \"lab\"\nfile = \"{estate}\"\n"))
        .replace("\"spot\"", "\"spot_7300_02\"")
        .replace("\"lpp\"", "\"lpp_7300_02\"")
        .replace("[defaults]\n", "[defaults]\ndriver = \"nimadm\"\n")
}

#[test]
fn a_job_is_heard_while_it_runs_and_the_story_is_whole() {
    let world = World::in_memory();
    let mut night = begin(&world, &talkative());
    let mut follower = Follower::of(&world, "lpar01");
    for phase in [1, 6] {
        follower.until(&format!("{WORDS}Executing nimadm phase {phase}."));
        assert_eq!(state(&world), ("executing".to_owned(), phase), "{:#?}", follower.seen);
    }
    let (lines, code) = follower.end();
    assert_eq!(code, Some(0));
    assert_eq!(night.wait().unwrap().code(), Some(0));
    assert_eq!(state(&world).0, "reboot_pending", "it ends with the migration");

    // Nothing is missing of the story, and nothing is told twice.
    let whole = world.run(&["history", "lpar01"]).stdout;
    let is_words = |line: &&str| line.starts_with(WORDS);
    let told: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !is_words(line)).collect();
    let story: Vec<&str> = whole.lines().filter(|line| !is_words(line)).collect();
    assert_eq!(told, story);
    for phase in [1, 5, 6] {
        let banner = format!("Executing nimadm phase {phase}.");
        let of_phase = lines.iter().filter(|line| line.ends_with(&banner));
        assert_eq!(of_phase.count(), 1, "phase {phase}: {lines:#?}");
    }
    // Its words come before what came of it.
    let place = |wanted: &str| lines.iter().position(|line| line.contains(wanted)).unwrap();
    assert!(place("Executing nimadm phase 6.") < place("nimadm-migrate-filesets: done"));
    assert!(place("Phase 6, migrate-filesets") < place("nimadm-migrate-filesets: done"));
}

#[test]
fn who_follows_is_let_go_when_nobody_works_any_more() {
    let world = World::in_memory();
    let mut night = begin(&world, &plan(&["lpar01"]));
    let mut follower = Follower::of(&world, "lpar01");
    follower.until("mount-spot: done");
    night.kill().unwrap();
    night.wait().unwrap();
    let (lines, code) = follower.end();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains("clone-rootvg: done")), "{lines:#?}");
    let resumed = world.run(&["resume"]);
    assert_eq!(resumed.code, 0, "{}{}", resumed.stdout, resumed.stderr);

    // One that is at rest is told, and no more.
    let [at_rest, again] = [&["history", "lpar01"][..], &["history", "lpar01", "--follow"]]
        .map(|args| world.run(args));
    assert_eq!((again.code, again.stdout), (0, at_rest.stdout));
    let both = world.run(&["history", "lpar01", "--follow", "--json"]);
    assert_eq!(both.code, 2, "{}", both.stdout);
}
