//! The checks of a night, before it begins.

use super::overnight::{sound, states};
use super::world::{Ran, World, plan};

const CLIENTS: [&str; 5] = ["lpar1", "lpar2", "lpar3", "lpar4", "lpar5"];

fn ran(world: &World, code: i32, args: &[&str]) -> Ran {
    let ran = world.run(args);
    assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
    ran
}

fn by_hand(world: &World, host: &str, line: &str) {
    let mut args = vec!["lab", "exec", host, "--"];
    args.extend(line.split_whitespace());
    ran(world, 0, &args);
}

/// The estate, and all files of the state directory beside it.
fn picture(world: &World) -> (String, Vec<(String, String)>) {
    let digest = ran(world, 0, &["lab", "digest"]).stdout;
    let files = world.files().into_iter().filter(|(name, _)| !name.starts_with("state/lab"));
    (digest, files.collect())
}

/// A lab that is well, and a plan that is wrong for three of its clients.
fn world() -> World {
    let world = World::in_memory();
    world.write("good.toml", &plan(&CLIENTS));
    let wrong = "name = \"lpar2\"\ndisks = [\"hdisk9\"]\npre_script = \"nosuch\"\n";
    let cached = "name = \"lpar4\"\ncache_vg = \"novg\"\n";
    let text =
        plan(&CLIENTS).replace("name = \"lpar2\"\n", wrong).replace("name = \"lpar4\"\n", cached);
    world.write("bad.toml", &text);
    ran(&world, 0, &["lab", "up", "--plan", "good.toml", "--time-scale", "1000000"]);
    by_hand(&world, "lpar3", "mkdir -p /var/adm/nimshift");
    by_hand(&world, "lpar3", "ln -s other.m1 /var/adm/nimshift/lease");
    world
}

/// What stands against each client that is not fine.
const WRONG: [(&str, &str); 4] = [
    ("lpar2", "hdisk9 is not on the client"),
    ("lpar2", "nosuch is not defined in NIM"),
    ("lpar3", "other.m1 holds the client's lease"),
    ("lpar4", "the cache volume group novg"),
];

#[test]
fn a_preflight_tells_all_that_stands_against_a_night_and_changes_nothing() {
    let world = world();
    let before = picture(&world);
    let said = ran(&world, 3, &["preflight", "bad.toml"]);
    for (_, what) in WRONG {
        assert!(said.stdout.contains(what), "`{what}` is not in\n{}", said.stdout);
    }
    assert!(said.stdout.contains("lpar1  fine\n"), "{}", said.stdout);
    assert!(said.stdout.contains("5 clients: 2 fine, 3 refused"), "{}", said.stdout);
    assert_eq!(said.stderr, "exit code 3: some would be refused, or cannot start now\n");
    let told = ran(&world, 3, &["preflight", "bad.toml", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&told).unwrap();
    let clients = document["clients"].as_array().unwrap();
    let found: Vec<(&str, &str)> = clients
        .iter()
        .flat_map(|client| {
            let findings = client["findings"].as_array().unwrap();
            let name = client["client"].as_str().unwrap();
            findings.iter().map(move |finding| (name, finding["text"].as_str().unwrap()))
        })
        .collect();
    assert_eq!(found.len(), WRONG.len(), "{found:?}");
    for (client, what) in WRONG {
        assert!(found.iter().any(|(name, text)| *name == client && text.contains(what)));
    }
    let refused = ran(&world, 3, &["run", "--preflight", "bad.toml"]);
    assert!(refused.stderr.contains("nothing was changed"), "{}", refused.stderr);
    assert_eq!(picture(&world), before, "neither hosts nor the state directory were touched");

    // The checks of a run say the same.
    ran(&world, 3, &["run", "bad.toml", "--no-progress"]);
    for (client, what) in WRONG {
        let story = world.run(&["history", client]).stdout;
        assert!(story.contains(what), "`{what}` is not in\n{story}");
    }
}

#[test]
fn a_run_begins_after_a_preflight_that_finds_nothing() {
    let world = world();
    ran(&world, 3, &["run", "--preflight", "good.toml"]);
    assert_eq!(ran(&world, 0, &["preflight", "good.toml", "--client", "lpar1"]).stderr, "");
    by_hand(&world, "lpar3", "rm -f /var/adm/nimshift/lease");
    by_hand(&world, "lpar3", "rmdir /var/adm/nimshift");
    ran(&world, 0, &["preflight", "good.toml"]);
    ran(&world, 0, &["run", "--preflight", "good.toml"]);
    assert!(states(&world).iter().all(|(_, state)| state == "reboot_pending"));
    sound(&world);
    let again = ran(&world, 0, &["preflight", "good.toml"]);
    assert!(again.stdout.contains("5 clients: 5 left alone"), "{}", again.stdout);
    // Beside a journal, too, nothing is begun where a check fails.
    let before = picture(&world);
    ran(&world, 0, &["run", "--preflight", "good.toml"]);
    let other = plan(&CLIENTS).replace("7300-02", "7300-09");
    world.write("other.toml", &other);
    let entries = world.entries().len();
    ran(&world, 3, &["run", "--preflight", "other.toml"]);
    assert_eq!(world.entries().len(), entries);
    assert_eq!(picture(&world).0, before.0);
}

#[test]
fn a_preflight_needs_hosts_and_a_sound_plan() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar1"]));
    world.write("broken.toml", "[batch]\nnam = \"x\"\n");
    let before = world.files();
    for args in [
        &["preflight", "plan.toml"][..],
        &["run", "--preflight", "plan.toml"],
        &["preflight", "broken.toml"],
        &["preflight", "missing.toml"],
        &["preflight", "plan.toml", "--client", "lpar9"],
    ] {
        let refused = ran(&world, 2, args);
        assert!(refused.stdout.is_empty() && refused.stderr.starts_with("error: "));
    }
    assert_eq!(world.files(), before, "nothing is made");
}

/// What was taken back on purpose begins again once the plan is edited: it is said by
/// whom it was, and when, before it does.
#[test]
fn who_has_taken_a_client_back_is_named_before_it_starts_again() {
    let world = world();
    world.write("plan.toml", &plan(&["lpar1", "lpar5"]));
    ran(&world, 0, &["run", "plan.toml", "--no-progress"]);
    ran(&world, 0, &["rollback", "lpar1", "--no-progress"]);
    let by = "lpar1  left alone: was rolled back by op@";
    let said = ran(&world, 0, &["preflight", "plan.toml"]).stdout;
    assert!(said.contains(by) && said.contains("`nimshift retry lpar1`"), "{said}");
    world.write("plan.toml", &plan(&["lpar1", "lpar5", "lpar2"]));
    let reader = nimshift::journal::Reader::open(&world.state()).unwrap();
    let views = nimshift::report::views(&reader).unwrap();
    drop(reader);
    let ended = views.iter().find(|view| view.client == "lpar1").unwrap().since_ms;
    let day = nimshift::report::day_text(ended);
    for args in [&["preflight", "plan.toml"][..], &["plan", "plan.toml"], &["run", "plan.toml"]] {
        let said = ran(&world, 0, args);
        let said = said.stdout + &said.stderr;
        let told = said.lines().find(|line| line.contains("was rolled back by op@"));
        let told = told.unwrap_or_else(|| panic!("{args:?}: {said}"));
        assert!(told.contains(&day) && told.contains("a new migration starts"), "{told}");
    }
    let said = ran(&world, 0, &["plan", "plan.toml", "--client", "lpar5"]).stdout;
    let alone = "\n  by the journal: left alone: migrated already, reboot pending";
    assert!(said.contains(alone), "{said}");
    // No part of the plan is another plan.
    let said = ran(&world, 0, &["preflight", "plan.toml", "--client", "lpar2"]).stdout;
    assert!(said.contains("lpar2  left alone: migrated already, reboot pending"), "{said}");
}
