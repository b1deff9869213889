//! Trouble of hosts that are namespaces.

use std::time::Instant;

use super::world::{World, ended, until};

const WAY: &str = "namespaces";

fn trouble(world: &World, name: &str, more: &[&str]) {
    world.done(&[&["lab", "fault", name, "--host", "lpar01"], more].concat());
}

#[test]
fn a_short_cut_is_not_noticed() {
    let Some(world) = World::up(WAY) else { return };
    let line = "echo begun >/var/nimshift/f; sleep 3; echo through";
    let begun = world.ssh_begin("lpar01", line);
    until("it has begun", || world.ssh("lpar01", "cat /var/nimshift/f").1 == "begun\n");
    trouble(&world, "link-cut", &["--seconds", "1"]);
    assert_eq!(ended(begun.wait_with_output().unwrap()), (0, "through\n".to_owned()));
}

#[test]
fn a_long_cut_ends_the_client_and_not_the_command() {
    let Some(world) = World::up(WAY) else { return };
    let line = "echo begun >/var/nimshift/f; sleep 4; echo ended >/var/nimshift/f";
    let begun = world.ssh_begin("lpar01", line);
    until("it has begun", || world.ssh("lpar01", "cat /var/nimshift/f").1 == "begun\n");
    trouble(&world, "link-cut", &["--seconds", "600"]);
    let (code, text) = ended(begun.wait_with_output().unwrap());
    assert!(code == 255 && text.contains("not responding"), "{code} {text}");
    // On the host, it goes on.
    let look =
        ["lab", "enter", "state/lab", "lpar01", "--", "/lab/base/bin/cat", "/var/nimshift/f"];
    until("it has ended", || world.done(&look) == "ended\n");
    world.done(&["lab", "fault", "--clear"]);
    until("the link is back", || world.ssh("lpar01", "echo on").1 == "on\n");
}

#[test]
fn sshd_is_killed_and_comes_back() {
    let Some(world) = World::up(WAY) else { return };
    let begun = world.ssh_begin("lpar01", "echo begun >/var/nimshift/f; sleep 600");
    until("it has begun", || world.ssh("lpar01", "cat /var/nimshift/f").1 == "begun\n");
    trouble(&world, "sshd-kill", &["--seconds", "600"]);
    assert_eq!(ended(begun.wait_with_output().unwrap()).0, 255, "its session is ended");
    let refused = || world.ssh("lpar01", "true");
    until("nobody listens", || refused().1.contains("port 22: Connection refused"));
    // The host is there.
    let host = ["lab", "enter", "state/lab", "lpar01", "--", "/lab/base/bin/uname", "-n"];
    assert_eq!(world.done(&host), "lpar01\n");
    world.done(&["lab", "fault", "--clear"]);
    until("sshd is back", || world.ssh("lpar01", "echo on").1 == "on\n");
}

#[test]
fn packets_are_lost_and_sent_again() {
    let Some(world) = World::up(WAY) else { return };
    let lost = world.run(&["lab", "fault", "link-loss", "--host", "lpar01", "--percent", "100"]);
    let (code, text) = ended(lost);
    if text.contains("cannot be had") {
        crate::skipped::skipped(&text);
        return;
    }
    assert_eq!(code, 0, "{text}");
    let quick = ["ConnectTimeout=1"];
    until("all are lost", || world.ssh_alone(&quick, "lpar01", "true").0 == 255);
    trouble(&world, "link-loss", &["--percent", "5"]);
    until("some pass", || world.ssh_alone(&[], "lpar01", "echo on").1 == "on\n");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a login takes is what is tested")]
fn what_the_kernel_cannot_do_is_refused() {
    let Some(world) = World::up(WAY) else { return };
    let asked = world.run(&["lab", "fault", "link-delay", "--host", "lpar01", "--ms", "300"]);
    let (code, text) = ended(asked);
    if world.json("keeper.json").unwrap()["shaping"] != "netem" {
        assert!(code == 2 && text.contains("no netem"), "{code} {text}");
        return;
    }
    assert_eq!(code, 0, "{text}");
    let begun = Instant::now();
    assert_eq!(world.ssh_alone(&[], "lpar01", "true").0, 0);
    assert!(begun.elapsed().as_millis() > 1_500, "several journeys of 600 ms");
}

#[test]
fn a_full_disk_is_full_for_jobs() {
    let Some(world) = World::up(WAY) else { return };
    trouble(&world, "disk-fill", &["--seconds", "600"]);
    let write = "echo x >/var/adm/nimshift-jobs/f";
    until("there is no room", || world.ssh("lpar01", write).0 != 0);
    assert!(
        world
            .ssh("lpar01", "/lab/base/bin/cp /etc/passwd /var/adm/nimshift-jobs/p")
            .1
            .contains("No space left on device")
    );
    world.done(&["lab", "fault", "--clear"]);
    until("there is room", || world.ssh("lpar01", write) == (0, String::new()));
}
