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
