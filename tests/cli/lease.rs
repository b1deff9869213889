//! Two state directories, and one client in both of their plans.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::world::{World, plan};

/// The jobs that the client ran, by the journal that they belong to.
fn scopes(world: &World, client: &str) -> BTreeSet<String> {
    let log = world.run(&["lab", "log", "--json"]);
    assert_eq!(log.code, 0, "{}", log.stderr);
    let entries = log.stdout.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let jobs = entries.filter(|entry| entry["host"] == client).filter_map(|entry| {
        let job = entry["job"].as_str()?;
        Some(job.split('.').next().unwrap().to_owned())
    });
    jobs.collect()
}

#[test]
fn a_client_in_two_plans_is_migrated_by_one_and_the_other_says_so() {
    let world = World::new();
    world.write("all.toml", &plan(&["lpar01", "lpar02"]));
    let hold = "[failure]\npolicy = \"hold\"\n[[client]]\n";
    world.write("first.toml", &plan(&["lpar01"]).replace("[[client]]\n", hold));
    world.write("second.toml", &plan(&["lpar01", "lpar02"]).replace("\"small\"", "\"other\""));
    let up = world.run(&["lab", "up", "--plan", "all.toml", "--time-scale", "1000000"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
    // The first stands in the middle of its migration, with the lease.
    let fault = ["lab", "fault", "message-with-success", "--command=-P1", "--host", "lpar01"];
    assert_eq!(world.run(&fault).code, 0);
    let first = world.run(&["run", "--no-progress", "first.toml"]);
    assert_eq!(first.code, 4, "{}{}", first.stdout, first.stderr);
    let lease = ["lab", "exec", "lpar01", "--", "ls", "-l", "/var/adm/nimshift/lease"];
    let before = world.run(&lease);
    assert_eq!(before.code, 0, "{}", before.stderr);

    // Another control host, on the same estate.
    std::fs::create_dir(world.path().join("other")).unwrap();
    std::os::unix::fs::symlink(world.state().join("lab"), world.path().join("other/lab")).unwrap();
    let second = world.run(&["--state-dir", "other", "run", "--no-progress", "second.toml"]);
    assert_eq!(second.code, 3, "{}{}", second.stdout, second.stderr);
    assert!(second.stdout.contains("holds the client's lease"), "{}", second.stdout);
    assert_eq!(world.run(&lease).stdout, before.stdout, "the lease is the first's, as it was");
    assert_eq!(scopes(&world, "lpar01").len(), 1, "the second has changed nothing there");
    assert_eq!(scopes(&world, "lpar02").len(), 1);

    assert!(second.stdout.contains("batch small, epoch 1, since "), "{}", second.stdout);

    let retried = world.run(&["retry", "--no-progress", "lpar01"]);
    assert_eq!(retried.code, 0, "{}{}", retried.stdout, retried.stderr);
    assert_eq!(scopes(&world, "lpar01").len(), 1);
    assert_ne!(world.run(&lease).code, 0, "the lease is given back");
}

#[test]
fn by_order_the_lease_of_one_that_is_gone_is_taken_over() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01"]));
    let up = world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
    let exec = |words: &[&str]| {
        let words: Vec<&str> =
            ["lab", "exec", "lpar01", "--"].into_iter().chain(words.iter().copied()).collect();
        world.run(&words)
    };
    assert_eq!(exec(&["mkdir", "-p", "/var/adm/nimshift"]).code, 0);
    let gone = "s1.m7@control1,batch=overnight,epoch=3,since=2026-11-25T19:00:00Z";
    assert_eq!(exec(&["ln", "-s", gone, "/var/adm/nimshift/lease"]).code, 0);

    let refused = world.run(&["run", "--no-progress", "plan.toml"]);
    assert_eq!(refused.code, 3, "{}{}", refused.stdout, refused.stderr);
    let words = "s1.m7 on control1, batch overnight, epoch 3, since 2026-11-25T19:00:00Z holds";
    assert!(refused.stdout.contains(words), "{}", refused.stdout);

    let taken = world.run(&["retry", "--take-lease", "--no-progress", "lpar01"]);
    assert_eq!(taken.code, 0, "{}{}", taken.stdout, taken.stderr);
    let told = world.run(&["history", "lpar01"]).stdout;
    assert!(told.contains("the lease was taken over: s1.m7 on control1"), "{told}");
    assert_ne!(exec(&["ls", "-d", "/var/adm/nimshift"]).code, 0, "nothing of it is left");

    let senseless = world.run(&["retry", "--take-lease", "--no-progress", "lpar01"]);
    assert_eq!(senseless.code, 2, "{}", senseless.stderr);
    assert!(senseless.stderr.contains("starts again"), "{}", senseless.stderr);
}
