//! What holds however the hosts are reached.

use super::world::{World, exists};

in_both_ways! {
    a_shell_finds_aix_and_its_own_files,
    a_night_over_ssh_ends_as_one_in_process,
    down_leaves_nothing,
    no_connection_is_told_in_the_words_of_ssh,
}

fn digest(world: &World) -> String {
    String::from_utf8(world.run(&["lab", "digest"]).stdout).unwrap()
}

fn a_shell_finds_aix_and_its_own_files(way: &str) {
    let Some(world) = World::up(way) else { return };
    assert_eq!(world.ssh("lpar01", "/usr/sbin/lsvg nosuch >/dev/null 2>&1; echo $?").1, "1\n");
    assert_eq!(world.ssh("lpar01", "oslevel -s | awk '{print NF}'").1, "1\n");
    let real = "mkdir -p /var/adm/nimshift-jobs/a && echo x >/var/adm/nimshift-jobs/a/f && \
                cat /var/adm/nimshift-jobs/a/f; ls /var/adm";
    let (_, text) = world.ssh("lpar01", real);
    assert!(text.starts_with("x\n") && !text.contains("nimshift-jobs"), "{text}");
    let rsh = "/usr/lpp/bos.sysmgt/nim/methods/c_rsh lpar02 'ls -d /etc'";
    assert_eq!(world.ssh("nim1", rsh), (0, "/etc\n".to_owned()));
    // An archive goes through a pipe between two processes.
    let copy = "mkdir /tmp/c && tar -cf - -C /home . | tar -xpf - -C /tmp; echo $?";
    assert_eq!(world.ssh("lpar01", copy).1, "0\n");
    assert_eq!(world.ssh("lpar01", "nosuchcommand 2>/dev/null").0, 127);
}

fn a_night_over_ssh_ends_as_one_in_process(way: &str) {
    let Some(world) = World::up(way) else { return };
    let ran = world.run(&["run", "ssh.toml"]);
    let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "{text}");
    let other = World::new();
    assert!(other.run(&["run", "lab.toml"]).status.success());
    assert_eq!(digest(&world), digest(&other), "{text}");
}

fn down_leaves_nothing(way: &str) {
    let Some(world) = World::up(way) else { return };
    assert_eq!(world.ssh("lpar01", "sleep 600 >/dev/null 2>&1 & echo on").1, "on\n");
    world.done(&["lab", "down"]);
    assert!(!exists(world.config()));
    assert_eq!(world.left(), Vec::<String>::new());
    // What is not there is down already.
    world.done(&["lab", "down"]);
}

fn no_connection_is_told_in_the_words_of_ssh(way: &str) {
    let Some(world) = World::up(way) else { return };
    world.done(&["lab", "fault", "sshd-kill", "--host", "lpar01", "--seconds", "600"]);
    super::world::until("nobody listens", || {
        world.ssh("lpar01", "true").1.contains("port 22: Connection refused")
    });
    assert_eq!(world.ssh("lpar01", "true").0, 255);
    world.done(&["lab", "fault", "link-cut", "--host", "lpar02", "--seconds", "600"]);
    super::world::until("nothing passes", || {
        world.ssh("lpar02", "true").1.contains("port 22: Connection timed out")
    });
    assert_eq!(world.ssh("lpar02", "true").0, 255);
}
