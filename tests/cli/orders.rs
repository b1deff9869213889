//! Orders that ask, orders for many, and what is not taken away from an engine.

use super::overnight::{running, signal, sound, states};
use super::world::{Ran, World, plan};

fn ran(world: &World, code: i32, args: &[&str]) -> Ran {
    let ran = world.run(args);
    assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
    ran
}

/// What an order would change.
fn digest(world: &World) -> (String, usize) {
    (ran(world, 0, &["lab", "digest"]).stdout, world.entries().len())
}

/// The step that the first client is at.
fn step(world: &World) -> Option<String> {
    let ran = world.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    status["migrations"][0]["step"].as_str().map(str::to_owned)
}

/// Looks until `is_so`.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    assert!((0..5_000).any(|_| is_so()), "{what}: never");
}

#[test]
fn the_lab_is_not_taken_away_from_an_engine() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01"]));
    let args = ["run", "plan.toml", "--time-scale", "3000"];
    let (mut child, mut said) = running(&world, &args, "phase 1 clone");
    for args in [&["lab", "reset", "--yes"][..], &["lab", "down"]] {
        let refused = ran(&world, 6, args);
        let holder = format!("process {}", child.id());
        assert!(refused.stderr.contains(&holder), "{}", refused.stderr);
    }
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    sound(&world);
    ran(&world, 0, &["lab", "reset", "--yes"]);
}

#[test]
fn what_is_held_is_abandoned_once_its_step_has_ended() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01"]));
    let args = ["run", "plan.toml", "--time-scale", "300"];
    let (mut child, said) = running(&world, &args, "phase 1 clone");
    until("the clone", || step(&world).as_deref() == Some("clone-rootvg"));
    until("its job", || world.run(&["lab", "log"]).stdout.contains("alt_disk_copy"));
    ran(&world, 0, &["hold", "lpar01"]);
    let refused = ran(&world, 2, &["abandon", "lpar01"]);
    assert!(refused.stderr.contains("has not ended"), "{}", refused.stderr);
    signal(&child, "-KILL");
    child.wait().unwrap();
    drop(said);
    // The job goes on where it runs.
    let refused = ran(&world, 2, &["abandon", "lpar01"]);
    assert!(refused.stderr.contains("still runs on lpar01"), "{}", refused.stderr);
    assert_eq!(states(&world)[0].1, "held");
    until("its end", || world.run(&["abandon", "lpar01"]).code == 0);
    assert_eq!(states(&world)[0].1, "abandoned");
    ran(&world, 0, &["verify"]);
}

#[test]
fn an_engine_lets_go_of_what_is_held_between_steps() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let args = ["run", "plan.toml", "--time-scale", "3000"];
    let (mut child, mut said) = running(&world, &args, "phase 1 clone");
    ran(&world, 0, &["hold", "lpar01"]);
    // Its step in flight ends, and then it is let go of: at once, or by the last.
    while child.try_wait().unwrap().is_none() && world.run(&["abandon", "lpar01"]).code != 0 {}
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{rest}");
    assert_eq!(states(&world)[0].1, "abandoned");
    ran(&world, 0, &["verify"]);
}

/// A lab, and the run of a plan for one client.
fn night(plan: &str, code: i32, faults: &[&[&str]]) -> (World, String) {
    let world = World::in_memory();
    world.write("plan.toml", plan);
    ran(&world, 0, &["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
    for fault in faults {
        ran(&world, 0, &[&["lab", "fault"], *fault].concat());
    }
    let said = ran(&world, code, &["run", "plan.toml"]).stdout;
    (world, said)
}

#[test]
fn a_retry_that_throws_the_copy_away_says_so() {
    let text = plan(&["lpar01"]).replace("[[client]]", "[failure]\npolicy = \"hold\"\n[[client]]");
    let lost = "starts again from a fresh clone: what was done in the copy is lost";
    let clones = |world: &World| ran(world, 0, &["lab", "log"]).stdout.matches("-P1 -d").count();
    for (command, is_lost) in [("installp -R", true), ("mount lpar01:", false)] {
        let fault = ["disk-full", "--times", "0", "--command", command];
        let (world, said) = night(&text, 4, &[&fault]);
        let before = clones(&world);
        assert_eq!(said.contains(lost), is_lost, "{command}: {said}");
        ran(&world, 0, &["lab", "fault", "--clear"]);
        let said = ran(&world, 0, &["retry", "lpar01"]).stdout;
        assert_eq!(said.contains(lost), is_lost, "{command}: {said}");
        assert_eq!(clones(&world) > before, is_lost, "{command}");
    }
}

#[test]
fn what_a_changed_plan_mends_is_run_and_not_retried() {
    let world = World::in_memory();
    let good = plan(&["lpar01"]);
    world.write("plan.toml", &good);
    ran(&world, 0, &["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
    for disk in ["hdisk0", "hdisk7"] {
        world.write("plan.toml", &good.replace("hdisk1", disk));
        let said = ran(&world, 3, &["run", "plan.toml"]).stdout;
        let next = "name another disk for lpar01 in the plan (`disks`); then `nimshift run PLAN --client lpar01`";
        assert!(said.contains(next), "{said}");
    }
    world.write("plan.toml", &good);
    ran(&world, 0, &["run", "plan.toml", "--client", "lpar01"]);
    assert_eq!(states(&world)[0].1, "reboot_pending");
}

#[test]
fn who_orders_a_reboot_is_asked() {
    let world = World::in_memory();
    let plan = plan(&["lpar01", "lpar02"]).replace("[defaults]\n", "[defaults]\nreboot = true\n");
    world.write("plan.toml", &plan);
    ran(&world, 0, &["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
    let alien = |verb: &[&str]| {
        let mut args = vec!["lab", "exec", "lpar02", "--"];
        args.extend(verb);
        ran(&world, 0, &args)
    };
    alien(&["mkdir", "-p", "/var/adm/nimshift"]);
    alien(&["ln", "-s", "other.m1", "/var/adm/nimshift/lease"]);
    ran(&world, 3, &["run", "plan.toml"]);
    let found = states(&world);
    assert_eq!((found[0].1.as_str(), found[1].1.as_str()), ("migrated", "refused"));
    let before = digest(&world);

    let refused = ran(&world, 2, &["rollback", "lpar01", "lpar02"]);
    assert!(refused.stderr.contains("reboots 1 client: lpar01\n"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`--yes`"), "{}", refused.stderr);
    let refused = ran(&world, 2, &["retry", "--all"]);
    assert!(refused.stderr.contains("reboots 1 client: lpar02\n"), "{}", refused.stderr);
    assert_eq!(digest(&world), before, "nothing was ordered");

    ran(&world, 0, &["rollback", "--yes", "lpar01"]);
    alien(&["rm", "-f", "/var/adm/nimshift/lease"]);
    alien(&["rmdir", "/var/adm/nimshift"]);
    // What an order has taken back is no failure: it is not begun anew with them.
    ran(&world, 0, &["retry", "--all", "--yes"]);
    let found = states(&world);
    assert_eq!((found[0].1.as_str(), found[1].1.as_str()), ("rolled_back", "migrated"));
    let before = digest(&world);
    let none = ran(&world, 0, &["retry", "--all", "--yes"]);
    assert!(none.stderr.contains("applies to no client"), "{}", none.stderr);
    assert_eq!(digest(&world), before);
    sound(&world);
    // By name it is.
    ran(&world, 0, &["retry", "lpar01"]);
    assert_eq!(states(&world)[0].1, "migrated");
}
