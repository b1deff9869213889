//! The dry run changes nothing, and shows everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::overnight::{running, signal};
use super::world::{World, plan};
use nimshift::domain::parse_plan;

/// The files of `world`, without what SQLite makes beside a journal that it reads: an
/// index, and a log that is empty.
fn kept(world: &World) -> BTreeMap<String, String> {
    let mut files = world.files();
    let is_empty = |name: &str| fs::metadata(world.path().join(name)).is_ok_and(|of| of.len() == 0);
    files.retain(|name, _| {
        !(name.ends_with(".db-shm") || name.ends_with(".db-wal") && is_empty(name))
    });
    files
}

#[test]
fn a_dry_run_leaves_everything_byte_for_byte() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let before = world.files();
    assert_eq!(world.run(&["plan", "plan.toml"]).code, 0);
    assert_eq!(world.files(), before, "not even the state directory is made");

    let ran = world.run(&["run", "plan.toml", "--time-scale", "100000", "--no-progress"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let before = world.files();
    assert!(before.contains_key("state/journal.db"));
    for args in [&["plan", "plan.toml"][..], &["plan", "plan.toml", "--json"]] {
        assert_eq!(world.run(args).code, 0);
    }
    assert_eq!(kept(&world), before);
}

#[test]
fn every_bad_plan_is_refused_and_nothing_is_made() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bad-plans");
    let names: Vec<String> = fs::read_dir(folder.clone())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() >= 24, "{names:?}");
    let world = World::new();
    for name in &names {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let errors = parse_plan(name, &text, false).unwrap_err().to_string();
        world.write(name, &text);
        let lab_up = ["lab", "up", "--plan", name];
        for args in [&["run", name][..], &["plan", name], &["plan", name, "--json"], &lab_up] {
            let ran = world.run(args);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}: {}", ran.stderr);
            // The words are pinned where plans are read.
            for line in errors.lines() {
                assert!(ran.stderr.contains(line), "{args:?}: no `{line}` in {}", ran.stderr);
            }
        }
        fs::remove_file(world.path().join(name)).unwrap();
        assert!(world.files().is_empty(), "{name}: {:?}", world.files());
    }
    // And where there is a lab and a journal, they stay as they are.
    world.write("plan.toml", &plan(&["lpar01"]));
    let ran = world.run(&["run", "plan.toml", "--time-scale", "100000"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for name in &names {
        world.write(name, &fs::read_to_string(folder.join(name)).unwrap());
    }
    let before = world.files();
    for name in &names {
        assert_eq!(world.run(&["run", name]).code, 2, "{name}");
        assert_eq!(world.run(&["plan", name]).code, 2, "{name}");
    }
    assert_eq!(world.files(), before);
}

#[test]
fn a_dry_run_beside_an_unfinished_night_leaves_it_as_it_is() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let args = ["run", "plan.toml", "--time-scale", "3000"];
    let (mut child, said) = running(&world, &args, "phase 1 clone");
    signal(&child, "-KILL");
    child.wait().unwrap();
    drop(said);
    // Its WAL is still to be carried over, and a job still runs on the lab.
    let before = kept(&world);
    assert!(before.contains_key("state/journal.db-wal"));
    for args in [&["plan", "plan.toml"][..], &["plan", "plan.toml", "--json"]] {
        assert_eq!(world.run(args).code, 0);
    }
    assert_eq!(kept(&world), before);

    let lab_only = World::new();
    lab_only.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    assert_eq!(lab_only.run(&["lab", "up", "--plan", "plan.toml"]).code, 0);
    let before = lab_only.files();
    assert_eq!(lab_only.run(&["plan", "plan.toml"]).code, 0);
    assert_eq!(lab_only.files(), before);
}

#[test]
fn a_dry_run_shows_every_phase_of_a_client() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    insta::assert_snapshot!("plan", world.shown(&["plan", "plan.toml", "--client", "lpar02"]));
    let ran = world.run(&["plan", "plan.toml", "--client", "lpar03"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean `lpar0"), "{}", ran.stderr);
}

#[test]
fn the_document_of_a_dry_run_has_its_version() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let ran = world.run(&["plan", "plan.toml", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["clients"].as_array().unwrap().len(), 2);
    assert_eq!(document["clients"][1]["steps"][0]["step"], "check-client");
}
