//! Batches that have ended, in the archive.

use super::world::{Ran, World, plan};

fn good(ran: Ran) -> String {
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    ran.stdout
}

#[test]
fn an_archived_batch_is_told_and_no_order_reaches_it() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    good(world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]));
    good(world.run(&["run", "plan.toml", "--no-progress"]));
    for client in ["lpar01", "lpar02"] {
        good(world.run(&["lab", "exec", client, "--", "shutdown", "-Fr"]));
    }
    let history = good(world.run(&["history", "lpar01"]));
    let verified = good(world.run(&["verify"]));
    // What happened lately stays.
    let kept = world.run(&["journal", "archive"]);
    assert!((kept.code, kept.stdout.as_str()) == (0, ""), "{}", kept.stdout);
    let moved = good(world.run(&["journal", "archive", "--keep-days", "0"]));
    assert!(moved.contains("archive.db: batches 1, migrations 2"), "{moved}");

    assert_eq!(good(world.run(&["history", "lpar01"])), history);
    assert_eq!(good(world.run(&["verify"])), verified);
    let status = good(world.run(&["status", "--batch", "small"]));
    assert!(status.contains("lpar01") && status.contains("lpar02"), "{status}");
    let unknown = world.run(&["status", "--batch", "smal"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean `small`?"), "{}", unknown.stderr);
    let refused = world.run(&["rollback", "lpar01", "--yes"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("and archived: it takes no orders"), "{}", refused.stderr);
    let nothing = world.run(&["journal", "archive", "--keep-days", "0"]);
    assert!(nothing.stderr.contains("nothing to archive"), "{}", nothing.stderr);
    // A lost archive is damage, by name.
    std::fs::remove_file(world.state().join("archive.db")).unwrap();
    let lost = world.run(&["verify"]);
    assert_eq!(lost.code, 7);
    assert!(lost.stdout.contains("put `archive.db` back"), "{}", lost.stdout);
}

#[test]
fn no_order_is_named_for_what_is_in_the_archive() {
    let world = World::in_memory();
    let reboots = plan(&["lpar01"]).replace("[defaults]\n", "[defaults]\nreboot = true\n");
    world.write("plan.toml", &reboots);
    good(world.run(&["run", "plan.toml", "--no-progress"]));
    let next = || {
        let told = good(world.run(&["history", "lpar01"]));
        told.lines().rfind(|line| line.contains("next: ")).unwrap().to_owned()
    };
    assert!(next().contains("`nimshift rollback lpar01`"), "{}", next());
    good(world.run(&["journal", "archive", "--keep-days", "0"]));
    assert!(next().contains("use lpar01 at its new level; when nothing"), "{}", next());
    assert!(next().contains("it is archived and takes no orders"), "{}", next());
    assert!(!next().contains("rollback"), "{}", next());
}

/// Orders reach a client whose copy waits for its boot; and what is looked up of a client
/// is its latest.
#[test]
fn a_batch_stays_in_which_a_copy_waits_for_its_boot_and_so_do_later_ones_of_its_clients() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    world.write("other.toml", &plan(&["lpar02"]).replace("small", "other"));
    good(world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]));
    good(world.run(&["run", "plan.toml", "--no-progress"]));
    good(world.run(&["cleanup", "lpar02", "--yes"]));
    good(world.run(&["run", "other.toml", "--no-progress"]));
    good(world.run(&["lab", "exec", "lpar02", "--", "shutdown", "-Fr"]));
    let kept = world.run(&["journal", "archive", "--keep-days", "0"]);
    assert!((kept.code, kept.stdout.as_str()) == (0, ""), "{}", kept.stdout);
    assert!(
        kept.stderr.contains("batch `small` is kept: lpar01 is reboot pending"),
        "{}",
        kept.stderr
    );
    assert!(!kept.stderr.contains("lpar02"), "{}", kept.stderr);
    let digest = good(world.run(&["lab", "digest"]));
    for args in [
        &["preflight", "plan.toml"][..],
        &["run", "plan.toml", "--preflight", "--no-progress"],
        &["run", "plan.toml", "--no-progress"],
    ] {
        let ran = world.run(args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, 0, "{args:?}: {said}");
        assert!(said.contains("migrated already, reboot pending"), "{args:?}: {said}");
        assert!(said.contains("migrated already, runs the migrated system"), "{args:?}: {said}");
    }
    assert_eq!(good(world.run(&["lab", "digest"])), digest, "nothing was begun");
    good(world.run(&["lab", "exec", "lpar01", "--", "shutdown", "-Fr"]));
    let moved = good(world.run(&["journal", "archive", "--keep-days", "0"]));
    assert!(moved.contains("archive.db: batches 3, migrations 4"), "{moved}");
}
