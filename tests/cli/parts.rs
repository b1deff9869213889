//! A migration in parts: each goes on with the copy that the one before it has made,
//! and with no other.

use super::world::{World, plan};

fn lab(world: &World, policy: &str) {
    let failure = format!("[failure]\npolicy = \"{policy}\"\n[[client]]");
    world.write("plan.toml", &plan(&["lpar01"]).replace("[[client]]", &failure));
    let up = world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
}

fn exec(world: &World, words: &str) -> String {
    let args = ["lab", "exec", "lpar01", "--"].into_iter().chain(words.split(' '));
    let ran = world.run(&args.collect::<Vec<_>>());
    assert_eq!(ran.code, 0, "{words}: {}", ran.stderr);
    ran.stdout
}

#[test]
fn a_second_part_goes_on_wherever_the_first_has_ended() {
    for last in 1..=11 {
        let world = World::in_memory();
        lab(&world, "hold");
        let first = world.run(&["run", "plan.toml", "-P", &format!("1-{last}")]);
        assert_eq!(first.code, 0, "1-{last}: {}{}", first.stdout, first.stderr);
        let second = world.run(&["run", "plan.toml"]);
        assert_eq!(second.code, 0, "1-{last}: {}{}", second.stdout, second.stderr);
        assert!(second.stdout.contains("1 reboot pending"), "{}", second.stdout);
    }
}

/// What `next:` says of the client.
fn next_of(said: &str) -> &str {
    said.lines().rfind(|line| line.contains("next: ")).expect("what is next")
}

#[test]
fn a_part_that_comes_too_early_names_the_phases_that_go_on() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let run = |code: i32, args: &str| {
        let ran = world.run(&args.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, code, "{args}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    // The first part, too: what is printed begins with what is missing.
    let said = run(3, "run plan.toml -P 2-3 --client lpar01 --time-scale 1000000");
    assert!(
        next_of(&said).ends_with(
            "next: `nimshift run PLAN -P 1-3 --client lpar01` continues from what stands"
        ),
        "{said}"
    );
    let said = run(3, "run plan.toml -P 1,3 --client lpar01");
    assert!(next_of(&said).contains("next: `nimshift run PLAN -P 1-3 --client lpar01`"), "{said}");
    let said = run(0, "run plan.toml -P 1-3 --client lpar01");
    // As it is printed, it reaches this client alone.
    assert!(
        next_of(&said).contains("`nimshift run PLAN -P 4-12 --client lpar01` continues"),
        "{said}"
    );
    let said = run(3, "run plan.toml -P 11-12 --client lpar01");
    assert!(next_of(&said).contains("next: `nimshift run PLAN -P 4-12 --client lpar01`"), "{said}");
    let said = run(0, "run plan.toml -P 4-8 --client lpar01");
    assert!(next_of(&said).contains("-P 9-12 --client lpar01"), "{said}");
    let said = run(3, "run plan.toml -P 12 --client lpar01");
    assert!(next_of(&said).contains("next: `nimshift run PLAN -P 9-12 --client lpar01`"), "{said}");
    run(0, "run plan.toml -P 9-12 --client lpar01");
    // The lab was made for all of the plan.
    let said = run(0, "run plan.toml");
    assert!(said.contains("2 reboot pending"), "{said}");
}

#[test]
fn a_part_takes_no_copy_back_that_others_have_made_in_the_place_of_its_own() {
    for policy in ["hold", "rollback"] {
        let world = World::in_memory();
        lab(&world, policy);
        assert_eq!(world.run(&["run", "plan.toml", "-P", "1-11"]).code, 0);
        exec(&world, "alt_rootvg_op -X altinst_rootvg");
        exec(&world, "alt_disk_copy -d hdisk1");
        let look = || exec(&world, "lspv") + &exec(&world, "getlvodm -j hdisk1");
        let theirs = look();
        for (code, order) in [(4, "run plan.toml"), (4, "retry lpar01"), (4, "rollback lpar01")] {
            let ran = world.run(&order.split(' ').collect::<Vec<_>>());
            assert_eq!(ran.code, code, "{policy}: {order}: {}{}", ran.stdout, ran.stderr);
            assert_eq!(look(), theirs, "{policy}: {order}");
        }
        // Where it is not needed, the way that is printed leads out.
        exec(&world, "alt_rootvg_op -X altinst_rootvg");
        let back = world.run(&["retry", "lpar01"]);
        assert!(back.stdout.contains("1 rolled back"), "{}{}", back.stdout, back.stderr);
        assert_eq!(world.run(&["retry", "lpar01"]).code, 0);
    }
}

#[test]
fn history_tells_what_an_order_was_about_after_a_part_was_refused() {
    let world = World::in_memory();
    lab(&world, "hold");
    assert_eq!(world.run(&["run", "plan.toml", "-P", "1-3"]).code, 0);
    let refused = world.run(&["run", "plan.toml", "-P", "12"]);
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    let history = || world.run(&["history", "lpar01"]).stdout;
    let ends = |text: &str| text.rfind("End: ").map(|at| text[at..].to_owned());
    let told = history();
    assert!(ends(&told).is_some_and(|end| end.contains("refused")), "{told}");
    let back = world.run(&["rollback", "lpar01", "--yes"]);
    assert!(back.stdout.contains("1 rolled back"), "{}{}", back.stdout, back.stderr);
    let told = history();
    let end = ends(&told).unwrap_or_else(|| panic!("{told}"));
    assert!(end.contains("rolled back") && end.contains("`nimshift retry lpar01`"), "{told}");
    assert!(told.starts_with("lpar01: migration 2 of this client"), "{told}");
    assert!(told.contains("\nlpar01: migration 1 of this client"), "{told}");
}
