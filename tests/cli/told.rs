//! What the terminal says is true: hosts of commands, times.

use std::collections::BTreeSet;
use std::time::Duration;

use super::overnight::{running, signal};
use super::world::{World, plan};

/// `HOST# LINE` of what the lab's hosts have run.
fn run_on_hosts(world: &World) -> BTreeSet<String> {
    let log = world.run(&["lab", "log", "--json"]);
    let entries = log.stdout.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{}# {}", entry["host"].as_str().unwrap(), entry["line"].as_str().unwrap())
    });
    entries.collect()
}

#[test]
fn every_command_is_told_with_the_host_that_it_ran_on() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01"]));
    let ran = world.run(&["run", "plan.toml", "--time-scale", "1000000"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let truth = run_on_hosts(&world);
    let story = world.run(&["history", "lpar01", "--all"]).stdout;
    let told = story.lines().filter_map(|line| {
        let line = line.strip_prefix("            ")?;
        let (host, _) = line.split_once("# ")?;
        ["nim1", "lpar01"].contains(&host).then(|| line.split("   [").next().unwrap())
    });
    let told: Vec<&str> = told.collect();
    let of_master = told.iter().filter(|line| line.starts_with("nim1# lsnim "));
    assert!(of_master.count() > 2, "{story}");
    for line in told {
        assert!(truth.contains(line), "`{line}` is not in\n{truth:#?}");
    }
}

/// The time that stands behind `lpar01 … after `.
fn after(text: &str) -> Duration {
    let line = text.lines().rfind(|line| line.contains("lpar01") && line.contains(" after "));
    let line = line.unwrap_or_else(|| panic!("no time in\n{text}"));
    humantime::parse_duration(line.rsplit(" after ").next().unwrap()).unwrap()
}

#[test]
fn a_migration_has_taken_as_long_as_it_did_whoever_drove_it() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01"]));
    let args = ["run", "plan.toml", "--time-scale", "3000"];
    let (mut child, said) = running(&world, &args, "phase 6");
    signal(&child, "-KILL");
    child.wait().unwrap();
    drop(said);
    let ran = world.run(&["resume"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (said, summed) = (after(&ran.stderr), after(&ran.stdout));
    let apart = said.abs_diff(summed);
    assert!(apart < summed / 10, "{said:?} on the way, {summed:?} in the end");
}

#[test]
fn a_client_that_gives_no_answer_is_told_as_it_was_last_seen() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let good = |args: &[&str]| {
        let ran = world.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    good(&["run", "plan.toml", "--time-scale", "1000000"]);
    good(&["lab", "exec", "lpar01", "--", "shutdown", "-Fr"]);
    good(&["lab", "exec", "lpar02", "--", "shutdown", "-Fr"]);
    good(&["lab", "fault", "unreachable", "--host", "lpar02", "--times", "0"]);
    let silent = "lpar02 gave no answer: as last seen at ";
    assert!(!good(&["status"]).contains("gave no answer"), "nobody was asked");
    let asked = good(&["status", "--ask"]);
    let row = |client: &str| asked.lines().find(|line| line.starts_with(client)).unwrap();
    assert!(row("lpar01").contains("migrated") && !row("lpar01").contains("answer"), "{asked}");
    assert!(row("lpar02").contains("reboot_pending") && row("lpar02").contains(silent), "{asked}");
    let json: serde_json::Value =
        serde_json::from_str(&good(&["status", "--ask", "--json"])).unwrap();
    let told = |index: usize| json["migrations"][index].get("no_answer").cloned();
    assert_eq!((told(0), told(1)), (None, Some(true.into())));
    let history = good(&["history", "lpar02"]);
    assert!(history.contains("lpar02 gave no answer since: altinst_rootvg"), "{history}");
}

#[test]
fn what_cannot_be_asked_was_seen_when_its_host_answered_last() {
    let world = World::in_memory();
    let policy = "[failure]\npolicy = \"hold\"\n[[client]]";
    world.write("plan.toml", &plan(&["lpar01"]).replace("[[client]]", policy));
    world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
    world.run(&["lab", "fault", "disk-full", "--command", "alt_disk_copy", "--times", "0"]);
    let ran = world.run(&["run", "plan.toml"]);
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    let json = || {
        let text = world.run(&["history", "lpar01", "--json"]).stdout;
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let held = json();
    let answered_ms = held["entries"].as_array().unwrap().last().unwrap()["at_ms"].as_u64();
    world.run(&["lab", "fault", "unreachable", "--host", "lpar01", "--times", "0"]);
    let ran = world.run(&["rollback", "lpar01", "--yes"]);
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    let told = json();
    let lines: Vec<&str> =
        told["left"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let of_client = lines.iter().find(|line| line.contains("the lease on the client")).unwrap();
    let seen = of_client.strip_prefix("last seen at ").unwrap().get(..19).unwrap();
    let asked = nimshift::base::time_text(answered_ms.unwrap()).replace('T', " ");
    assert!(seen <= asked.trim_end_matches('Z'), "{lines:?}: held at {asked}");
}
