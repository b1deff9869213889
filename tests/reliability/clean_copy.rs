//! The copy has nothing of what nimshift keeps on the running system, and all
//! else.

use std::sync::Arc;

use super::world::{CLIENT, Flavour, World, by_hand, virtual_time};

fn names(world: &World, directory: &str) -> Vec<String> {
    let words = ["ls".to_owned(), directory.to_owned()];
    let said = world.lab.exec_words(CLIENT, &words).expect("a host");
    said.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_copy_carries_no_jobs_and_no_lease() {
    for flavour in [Flavour::Plain, Flavour::Cached, Flavour::NimadmPlain, Flavour::Shaped] {
        virtual_time(async || {
            let world = World::of(&flavour.estate(), flavour.spec());
            let jobs = "/var/adm/nimshift-jobs";
            for line in [
                "mkdir -p /var/adm/nimshift-jobs/s1.m1.01-clone-rootvg.f0.1",
                "touch /var/adm/nimshift-jobs/s1.m1.01-clone-rootvg.f0.1/claim",
                "touch /var/adm/nimshift-jobs/boot",
                "ln -s s9.m1 /var/adm/nimshift-jobs/bar.s1.@s9.m1",
                // Not ours, wherever it lies.
                "touch /var/adm/nimshift-jobs/notes",
                "mkdir -p /var/adm/nimshift-jobs-old",
                "mkdir -p /var/adm/nimshift",
                "touch /var/adm/nimshift/notes",
            ] {
                by_hand(&world.lab, CLIENT, line);
            }
            let before = names(&world, "/var/adm");
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{flavour:?}: {}", world.story());
            // The client runs from the copy now.
            assert_eq!(names(&world, jobs), ["notes"], "{flavour:?}");
            let after = names(&world, "/var/adm");
            let copied = before.iter().filter(|name| *name != "nimshift");
            assert!(copied.clone().all(|name| after.contains(name)), "{before:?} {after:?}");
            // Where marks lie in it, all goes with them.
            let lease = names(&world, "/var/adm/nimshift");
            assert!(lease.iter().all(|name| name == "notes"), "{flavour:?}: {lease:?}");
            // What it was made from is as it was.
            by_hand(&world.lab, CLIENT, "alt_rootvg_op -W -d hdisk0");
            assert_eq!(names(&world, "/alt_inst/var/adm/nimshift"), ["notes"], "{flavour:?}");
            let there = names(&world, &format!("/alt_inst{jobs}"));
            assert_eq!(there.len(), 4, "{there:?}");
        });
    }
}
