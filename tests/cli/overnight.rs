//! The sample night, by the real program; a stop in the middle; orders.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use super::world::{World, plan};
use serde_json::Value as Json;

pub(crate) fn states(world: &World) -> Vec<(String, String)> {
    let ran = world.run(&["status", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let status: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(status["version"], 2);
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    status["migrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["client"]), text(&one["state"])))
        .collect()
}

pub(crate) fn sound(world: &World) {
    for args in [&["lab", "check"][..], &["verify"]] {
        let ran = world.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn the_sample_night() {
    let world = World::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/overnight.toml");
    let plan = fixture.to_str().unwrap();
    let ran = world.run(&["run", plan]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let expected = [
        ("lpar01", "reboot_pending"),
        ("lpar02", "migrated"),
        ("lpar03", "reboot_pending"),
        ("lpar04", "migrated"),
        ("lpar05", "reboot_pending"),
        ("lpar06", "reboot_pending"),
        ("lpar07", "rolled_back"),
        ("lpar08", "rolled_back"),
        ("lpar09", "refused"),
        ("lpar10", "skipped"),
        ("lpar11", "reboot_pending"),
        ("lpar12", "copy_ready"),
    ];
    let expected: Vec<(String, String)> =
        expected.iter().map(|(client, state)| ((*client).into(), (*state).into())).collect();
    assert_eq!(states(&world), expected, "{}", ran.stdout);
    sound(&world);
    // Who failed stands last, and the lines that were said meanwhile tell the same times.
    let ends = |line: &str| {
        line.starts_with("lpar").then(|| line.split("  ").next()).flatten().map(str::to_owned)
    };
    let order: Vec<String> = ran.stdout.lines().filter_map(ends).collect();
    assert_eq!(order[9..], ["lpar07", "lpar08", "lpar09"], "{order:?}");
    for line in ran.stdout.lines().filter(|line| line.contains(" after ")) {
        let said = line.replacen("  ", " ", 1);
        assert!(ran.stderr.contains(&said), "`{said}` is not in\n{}", ran.stderr);
    }

    let story = world.run(&["history", "lpar07"]).stdout;
    for told in ["0505-218", "taking everything back", "evidence: ", "End: rolled back", "next: "] {
        assert!(story.contains(told), "`{told}` is not in\n{story}");
    }

    let story = world.run(&["history", "lpar10"]).stdout;
    assert!(story.contains("check-client: SKIPPED in "), "{story}");

    let digest = world.run(&["lab", "digest"]).stdout;
    let again = world.run(&["run", plan]);
    assert_eq!(again.code, 3, "{}", again.stderr);
    assert!(again.stderr.contains("lpar01: migrated already"), "{}", again.stderr);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    assert_eq!(world.run(&["lab", "digest"]).stdout, digest, "nothing was done again");
}

/// A run that goes on, once it has said `awaited` on stderr.
pub(crate) fn running(
    world: &World,
    args: &[&str],
    awaited: &str,
) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child =
        world.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(awaited) {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the run ended without saying `{awaited}`");
    }
    (child, said)
}

#[expect(clippy::disallowed_methods, reason = "nothing else sends a signal")]
pub(crate) fn signal(child: &Child, name: &str) {
    let status =
        std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

const RUN: [&str; 4] = ["run", "plan.toml", "--time-scale", "3000"];

#[test]
fn a_stopped_run_is_resumed() {
    for (name, code) in [("-TERM", Some(5)), ("-INT", Some(5)), ("-KILL", None)] {
        let world = World::new();
        world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
        let (mut child, said) = running(&world, &RUN, "phase 1 clone");
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), code, "{name}");
        drop(said);
        let found = states(&world);
        assert!(found.iter().any(|(_, state)| state != "reboot_pending"), "{name}: {found:?}");
        let status = world.run(&["status"]).stdout;
        assert!(status.contains("no engine runs: `nimshift resume` continues\n"), "{status}");
        let ran = world.run(&["resume"]);
        assert_eq!(ran.code, 0, "{name}: {}{}", ran.stdout, ran.stderr);
        let all: Vec<String> = states(&world).into_iter().map(|(_, state)| state).collect();
        assert_eq!(all, ["reboot_pending", "reboot_pending"]);
        sound(&world);
        let again = world.run(&["resume"]);
        assert_eq!(again.code, 0);
        let told = "nothing to resume: all have ended; `nimshift status` shows them\n";
        assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", told));
    }
}

#[test]
fn orders_reach_a_run_in_another_process() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let (mut child, mut said) = running(&world, &RUN, "phase 1 clone");
    world.write("other.toml", &plan(&["lpar02"]).replace("small", "other"));
    let second = world.run(&["run", "other.toml"]);
    assert_eq!(second.code, 6, "{}", second.stderr);
    assert!(second.stderr.contains(&format!("process {}", child.id())), "{}", second.stderr);
    let held = world.run(&["hold", "lpar01"]);
    assert_eq!((held.code, held.stdout.as_str()), (0, "lpar01: done: held\n"), "{}", held.stderr);
    let refused = world.run(&["abandon", "lpar02"]);
    assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("possible: "), "{}", refused.stderr);
    // The rest of the run is let to end, and its pipe not to fill.
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4), "{rest}");
    assert_eq!(states(&world)[0].1, "held");

    // No engine runs now: orders are applied at once.
    assert_eq!(world.run(&["release", "lpar01"]).code, 0);
    assert_eq!(world.run(&["resume"]).code, 0);
    sound(&world);
    let back = world.run(&["rollback", "lpar01"]);
    assert_eq!(back.code, 0, "{}{}", back.stdout, back.stderr);
    assert_eq!(states(&world)[0].1, "rolled_back");
    sound(&world);
    let again = world.run(&["retry", "lpar01"]);
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert_eq!(states(&world)[0].1, "reboot_pending");
    assert_eq!(world.run(&["run", "plan.toml"]).code, 0);
    sound(&world);
}

#[test]
fn a_plan_that_grew_begins_what_is_new() {
    let world = World::new();
    world.write("all.toml", &plan(&["lpar01", "lpar02"]));
    world.write("one.toml", &plan(&["lpar01"]));
    assert_eq!(world.run(&["lab", "up", "--plan", "all.toml", "--time-scale", "100000"]).code, 0);
    assert_eq!(world.run(&["run", "one.toml"]).code, 0);
    let grown = world.run(&["run", "all.toml"]);
    assert_eq!(grown.code, 0, "{}{}", grown.stdout, grown.stderr);
    assert!(
        grown.stderr.starts_with("lpar01: migrated already, reboot pending, by batch `small`\n"),
        "{}",
        grown.stderr
    );
    let migrated = |client: &str| (client.to_owned(), "reboot_pending".to_owned());
    assert_eq!(states(&world), [migrated("lpar01"), migrated("lpar02")]);
    sound(&world);
}

#[test]
fn a_client_that_is_live_in_another_plan_is_refused() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    world.write("other.toml", &plan(&["lpar02"]).replace("small", "other"));
    let (mut child, said) = running(&world, &RUN, "phase 1 clone");
    signal(&child, "-KILL");
    child.wait().unwrap();
    drop(said);
    let ran = world.run(&["run", "other.toml"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("in batch `small`, which is another plan"), "{}", ran.stderr);
    let taken_back = world.run(&["cancel", "--all"]);
    assert_eq!(taken_back.code, 0, "{}{}", taken_back.stdout, taken_back.stderr);
    sound(&world);
    assert_eq!(world.run(&["run", "other.toml"]).code, 0);
    sound(&world);
}

#[test]
fn a_failure_that_is_held_waits_for_an_operator() {
    let world = World::new();
    let held = format!("[failure]\npolicy = \"hold\"\n{}", plan(&["lpar01", "lpar02"]));
    world.write("plan.toml", &held);
    assert_eq!(world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "20000"]).code, 0);
    // Commands for the copy of lpar01 run on the master.
    let full = ["lab", "fault", "disk-full", "--command", "installp -R /lpar01_alt"];
    assert_eq!(world.run(&full).code, 0);
    let ran = world.run(&["run", "plan.toml"]);
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("`nimshift rollback lpar01` takes everything back"),
        "{}",
        ran.stdout
    );
    assert_eq!(states(&world)[0].1, "awaiting_operator");
    let again = world.run(&["run", "plan.toml"]);
    assert_eq!(again.code, 4, "{}{}", again.stdout, again.stderr);

    let refused = world.run(&["release", "lpar01"]);
    assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
    let back = world.run(&["rollback", "--failed"]);
    assert_eq!(back.code, 0, "{}{}", back.stdout, back.stderr);
    assert_eq!(states(&world)[0].1, "rolled_back");
    sound(&world);
    let none = world.run(&["rollback", "--failed"]);
    assert_eq!(none.code, 0);
    assert!(none.stderr.contains("applies to no client now"), "{}", none.stderr);
    assert_eq!(world.run(&["run", "plan.toml"]).code, 3);
}
