//! However hosts that are namespaces end, nothing of them is left.

use std::fs;
use std::process::{Command, Stdio};

use super::world::{World, ended, exists, kill, namespaces_of, processes_in, until};

const WAY: &str = "namespaces";

#[test]
fn down_leaves_no_namespace() {
    let Some(world) = World::up(WAY) else { return };
    let hosts = ["nim1", "lpar01", "lpar02"].map(|host| world.init(host).unwrap());
    let held: Vec<_> = hosts.into_iter().chain(world.keeper()).flat_map(namespaces_of).collect();
    assert_eq!(held.len(), 4 * 2 + 3, "networks and mounts of all, process ids of hosts");
    assert!(!processes_in(&held).is_empty());
    world.done(&["lab", "down"]);
    assert_eq!(processes_in(&held), Vec::<i64>::new());
    assert_eq!(world.left(), Vec::<String>::new());
}

#[test]
fn reset_leaves_nothing() {
    let Some(world) = World::up(WAY) else { return };
    world.done(&["lab", "reset", "--yes"]);
    assert!(!exists(world.lab()));
    assert_eq!(world.left(), Vec::<String>::new());
}

/// `lab up` dies at one of several moments, each told by what is there then.
#[test]
fn a_lab_up_that_is_killed_leaves_nothing_that_runs() {
    let Some(world) = World::up(WAY) else { return };
    world.done(&["lab", "down"]);
    let moments = [
        "farm",
        "hosts/lpar02/root",
        "known_hosts",
        "keeper.log",
        "keeper.json",
        "hosts/nim1/init.json",
        "hosts/lpar02/init.json",
    ];
    for moment in moments {
        let file = world.lab().join("ssh").join(moment);
        let mut up = world.begin(&["lab", "up", "--ssh=namespaces"]);
        until(moment, || exists(&file));
        up.kill().unwrap();
        up.wait().unwrap();
        let is_up = exists(world.lab().join("ssh/estate.json"));
        if !is_up {
            // Or it was done by then, and is a lab that is up.
            until("the hosts have ended by themselves", || {
                world.processes().is_empty() || exists(world.lab().join("ssh/estate.json"))
            });
        }
        world.done(&["lab", "down"]);
        assert_eq!(world.left(), Vec::<String>::new(), "{moment}");
    }
    world.done(&["lab", "up", "--ssh=namespaces"]);
    assert_eq!(world.ssh("lpar01", "echo on").1, "on\n");
}

#[test]
fn what_a_killed_lab_up_left_is_no_trouble_for_the_next() {
    let Some(world) = World::up(WAY) else { return };
    world.done(&["lab", "down"]);
    let mut up = world.begin(&["lab", "up", "--ssh=namespaces"]);
    until("the keeper runs", || world.keeper().is_some());
    up.kill().unwrap();
    up.wait().unwrap();
    let (code, text) = ended(world.run(&["lab", "up", "--ssh=namespaces"]));
    assert!(code == 0 || text.contains("reached by ssh already"), "{text}");
    assert_eq!(world.ssh("lpar01", "echo on").1, "on\n");
}

#[test]
fn hosts_end_with_their_keeper_and_that_is_told() {
    let Some(world) = World::up(WAY) else { return };
    assert_eq!(world.ssh("lpar01", "sleep 600 >/dev/null 2>&1 & echo on").1, "on\n");
    let keeper = world.keeper().unwrap();
    kill(keeper);
    until("all have ended", || world.processes().is_empty());
    let (code, text) = world.ssh("lpar02", "true");
    assert!(code == 255 && text.contains("keeper is gone: `nimshift lab down`"), "{text}");
    let entered = ended(world.run(&["lab", "enter", "state/lab", "lpar01", "--", "/bin/true"]));
    assert!(entered.0 != 0 && entered.1.contains("does not run"), "{entered:?}");
    world.done(&["lab", "down"]);
    assert_eq!(world.left(), Vec::<String>::new());
    world.done(&["lab", "up", "--ssh=namespaces"]);
    assert_eq!(world.ssh("lpar01", "echo on").1, "on\n");
}

#[test]
fn down_after_a_host_was_killed_leaves_nothing() {
    let Some(world) = World::up(WAY) else { return };
    kill(world.init("lpar01").unwrap());
    world.done(&["lab", "down"]);
    assert_eq!(world.left(), Vec::<String>::new());
}

/// Files of a keeper that was, with numbers that others have now: as after a
/// boot of the machine.
#[test]
#[expect(clippy::disallowed_methods, reason = "a process that is not the lab's")]
fn a_stale_number_is_nobodys() {
    let Some(world) = World::up(WAY) else { return };
    kill(world.keeper().unwrap());
    until("all have ended", || world.processes().is_empty());
    let mut other = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    for name in ["keeper.json", "hosts/lpar01/init.json"] {
        let path = world.lab().join("ssh").join(name);
        let mut text: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let part = if name == "keeper.json" { "keeper" } else { "init" };
        text[part]["pid"] = other.id().into();
        fs::write(&path, text.to_string()).unwrap();
    }
    let (code, text) = world.ssh("lpar01", "true");
    assert!(code == 255 && text.contains("keeper is gone"), "{text}");
    let entered = ended(world.run(&["lab", "enter", "state/lab", "lpar01", "--", "/bin/true"]));
    assert!(entered.1.contains("does not run"), "{entered:?}");
    world.done(&["lab", "down"]);
    assert_eq!(world.left(), Vec::<String>::new());
    assert_eq!(other.try_wait().unwrap(), None, "it goes on");
    other.kill().unwrap();
    other.wait().unwrap();
}
