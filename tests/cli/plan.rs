//! The dry run changes nothing, and shows everything.

use super::world::{World, plan};

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
    assert_eq!(world.files(), before);
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
