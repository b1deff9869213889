//! Commands that say that they have done their work, and have not.

use std::collections::BTreeSet;
use std::sync::Arc;

use nimshift::lab::{FaultKind, FaultSpec};

use super::world::{CLIENT, Flavour, MASTER, World, virtual_time};

/// What nimadm runs by itself in phases 5 and 6.
const WITHIN_NIMADM: [&str; 6] =
    ["ODM_merge", "merge_config", "restore -xqf", "installp -R", "geninstall -R", "cp -hpR"];

/// Every command of phases 5 to 7, looks and all, each with its host.
fn commands(world: &World) -> BTreeSet<(String, String)> {
    let log = world.lab.log().expect("a log");
    let of_phases = log
        .iter()
        .skip_while(|entry| !entry.line.contains("odmget"))
        .take_while(|entry| !entry.line.contains("bosboot") && !entry.line.contains("-P 8 "));
    of_phases.map(|entry| (entry.host.clone(), entry.line.clone())).collect()
}

/// What the site has made its own in the system that the client runs.
fn own(world: &World) -> Vec<String> {
    let image = world.lab.image().expect("an image");
    let volumes = &image["hosts"][CLIENT]["vgs"]["rootvg"]["lvs"];
    let file = |volume: &str, path: &str| {
        let text = volumes[volume]["files"][path].as_str();
        text.unwrap_or_else(|| panic!("{path} in {volume}")).to_owned()
    };
    let root = [
        "etc/passwd",
        "etc/group",
        "etc/hosts",
        "etc/inittab",
        "etc/filesystems",
        "etc/rc.d/rc2.d/S90app",
        "etc/objrepos/CuAt",
    ];
    let crontab = file("hd9var", "spool/cron/crontabs/root");
    root.map(|path| file("hd4", path)).into_iter().chain([crontab]).collect()
}

/// A night in which `line` says on `host`, whenever it is run, that it has done its work.
async fn lived_with(flavour: Flavour, host: &str, line: &str) -> World {
    let mut estate = flavour.estate();
    let mut lies = FaultSpec::once(FaultKind::MessageWithSuccess, host).on(line);
    lies.times = None;
    estate.fault = vec![lies];
    let world = World::of(&estate, flavour.spec());
    world.live(Arc::new(world.plain_performer())).await;
    world
}

#[test]
fn no_command_that_lies_makes_a_night_end_well_without_what_is_the_sites() {
    for flavour in [Flavour::Plain, Flavour::Cached, Flavour::NimadmPlain, Flavour::NimadmCached] {
        virtual_time(async || {
            let world = World::new(flavour);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{flavour:?}: {}", world.story());
            let good = own(&world);
            let mut commands = commands(&world);
            let within = WITHIN_NIMADM.map(|line| ("nim1".to_owned(), line.to_owned()));
            commands.extend(within);
            assert!(commands.len() > 15, "{commands:?}");
            for (host, line) in commands {
                let world = lived_with(flavour, &host, &line).await;
                let what = format!("{flavour:?}: {line} lies");
                if world.state() == "migrated" {
                    assert_eq!(own(&world), good, "{what}");
                }
                if line.contains("ODM_merge") || line.contains("merge_config") {
                    let cause = world.last_cause();
                    assert_eq!(world.state(), "rolled_back", "{what}: {cause}");
                    assert!(cause.contains("the migrated copy lacks"), "{cause}");
                    world.assert_untouched(&what);
                }
            }
        });
    }
}

/// The mksysb that was made.
fn mksysb(world: &World) -> String {
    let image = world.lab.image().expect("an image");
    let made =
        image["hosts"][MASTER]["vgs"]["rootvg"]["lvs"]["nimlv"]["files"]["mksysb/new"].as_str();
    made.expect("a mksysb").to_owned()
}

#[test]
fn no_command_that_lies_makes_a_mksysb_without_the_clients_data() {
    for flavour in [Flavour::ClientToMksysb, Flavour::NimadmClientToMksysb] {
        virtual_time(async || {
            let world = World::new(flavour);
            world.live(Arc::new(world.plain_performer())).await;
            assert_eq!(world.state(), "migrated", "{flavour:?}: {}", world.story());
            let good = mksysb(&world);
            let log = world.lab.log().expect("a log");
            let calls = log.iter().filter(|entry| entry.line.contains("c_rsh"));
            let sent: BTreeSet<_> =
                calls.map(|entry| (entry.host.clone(), entry.line.clone())).collect();
            assert!(sent.len() > 5, "{sent:?}");
            for (host, line) in sent {
                let world = lived_with(flavour, &host, &line).await;
                if world.state() == "migrated" {
                    assert!(mksysb(&world) == good, "{flavour:?}: {line} lies");
                }
            }
        });
    }
}
