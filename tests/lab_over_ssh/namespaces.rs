//! What hosts as namespaces have of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::world::{World, ended, until};

const WAY: &str = "namespaces";

#[test]
fn a_host_has_a_name_an_address_and_processes_of_its_own() {
    let Some(world) = World::up(WAY) else { return };
    let (_, text) = world.ssh("lpar01", "/lab/base/bin/uname -n; echo /proc/[0-9]*");
    assert!(text.starts_with("lpar01\n/proc/1 "), "{text}");
    assert!(text.split_whitespace().count() < 10, "only its own: {text}");
    let addresses = "/lab/base/bin/cat /proc/net/fib_trie";
    assert!(world.ssh("lpar01", addresses).1.contains("10.83.0.11"));
    assert!(world.ssh("lpar02", addresses).1.contains("10.83.0.12"));
    // The machine's own network has none of it.
    let own = fs::read_to_string("/proc/net/dev").unwrap();
    assert!(!own.contains("h10:") && !own.contains("h11:"), "{own}");
}

#[test]
fn hosts_reach_each_other_by_name() {
    let Some(world) = World::up(WAY) else { return };
    // ksh93 looks it up in the host's /etc/hosts, and connects.
    let hello = "exec 3<>/dev/tcp/lpar02/22 && read -r line <&3 && echo \"$line\"";
    let (code, text) = world.ssh("lpar01", hello);
    if text.contains("/dev/tcp") {
        crate::skipped::skipped(&format!("the login shell is no ksh93, install it: {text}"));
        return;
    }
    assert!(code == 0 && text.starts_with("SSH-2.0-"), "{text}");
}

#[test]
fn who_enters_is_on_the_host() {
    let Some(world) = World::up(WAY) else { return };
    assert_eq!(world.ssh("lpar01", "sleep 600 >/dev/null 2>&1 & echo on").1, "on\n");
    let (code, text) = ended(world.run(&[
        "lab", "enter", "state/lab", "lpar01", "--", "/lab/base/bin/sh", "-c",
        "for one in net mnt uts ipc pid; do /lab/base/bin/readlink /proc/self/ns/$one; done\n             ps -A -o args=; exit 7",
    ]));
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("sleep 600"), "{text}");
    let init = world.init("lpar01").unwrap();
    for kind in ["net", "mnt", "uts", "ipc", "pid"] {
        let theirs = fs::read_link(format!("/proc/{init}/ns/{kind}")).unwrap();
        assert!(text.contains(&*theirs.to_string_lossy()), "{kind}: {text}");
    }
}

#[test]
fn two_labs_do_not_meet() {
    let (Some(one), Some(other)) = (World::up(WAY), World::up(WAY)) else { return };
    for (world, word) in [(&one, "one"), (&other, "other")] {
        let write = format!("echo {word} >/var/nimshift/which");
        assert_eq!(world.ssh("lpar01", &write), (0, String::new()));
    }
    assert_eq!(one.ssh("lpar01", "cat /var/nimshift/which").1, "one\n");
    assert_eq!(other.ssh("lpar01", "cat /var/nimshift/which").1, "other\n");
    one.done(&["lab", "down"]);
    assert_eq!(other.ssh("lpar01", "cat /var/nimshift/which").1, "other\n");
    assert_eq!(one.left(), Vec::<String>::new());
}

#[test]
fn a_lab_is_up_once() {
    let Some(world) = World::up(WAY) else { return };
    let (code, text) = ended(world.run(&["lab", "up", "--ssh"]));
    assert!(code == 2 && text.contains("is reached by ssh already"), "{code} {text}");
    assert_eq!(world.ssh("lpar01", "echo on").1, "on\n");
}

/// What root has is not taken for granted: another user is told what is missing,
/// and gets the other way where that does.
#[test]
#[expect(clippy::disallowed_methods, reason = "the program is what is tested")]
fn without_root_there_is_the_other_way() {
    const NOBODY: u32 = 65534;
    if !nix::unistd::geteuid().is_root() {
        crate::skipped::skipped("only root can be somebody else: run the tests as root");
        return;
    }
    let world = World::new();
    let program = world.path("nimshift");
    fs::copy(env!("CARGO_BIN_EXE_nimshift"), &program).unwrap();
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).current_dir(world.path("")).uid(NOBODY).gid(NOBODY);
        ended(command.stdin(Stdio::null()).output().unwrap())
    };
    let (code, text) = run(&["lab", "up", "--plan", "lab.toml", "--ssh=namespaces"]);
    assert!(code == 2 && text.contains("root is missing"), "{code} {text}");
    assert!(!world.lab().exists(), "nothing was made");
    let (code, text) = run(&["lab", "up", "--plan", "lab.toml", "--ssh"]);
    assert!(
        text.contains("using proxy connections instead of namespaces: root is missing"),
        "{code} {text}"
    );
    if code == 0 {
        assert_eq!(run(&["lab", "down"]).0, 0);
    }
}

#[test]
fn a_host_that_boots_loses_its_processes_and_keeps_its_jobs() {
    let Some(world) = World::up(WAY) else { return };
    let begin = "sleep 600 >/dev/null 2>&1 & echo kept >/var/adm/nimshift-jobs/kept; echo on";
    assert_eq!(world.ssh("lpar01", begin).1, "on\n");
    let (init, known) = (world.init("lpar01").unwrap(), world.lab().join("ssh/known_hosts"));
    let keys = fs::read_to_string(&known).unwrap();
    world.done(&["lab", "fault", "host-reboot", "--host", "lpar01"]);
    assert_ne!(world.init("lpar01"), Some(init), "that is waited for");
    until("the host is back", || world.ssh("lpar01", "true").0 == 0);
    // The same key, or ssh would not have gone there; the same address as well.
    assert_eq!(fs::read_to_string(&known).unwrap(), keys);
    assert!(world.ssh("lpar01", "/lab/base/bin/cat /proc/net/fib_trie").1.contains("10.83.0.11"));
    assert_eq!(world.ssh("lpar01", "cat /var/adm/nimshift-jobs/kept").1, "kept\n");
    let (_, text) = world.ssh("lpar01", "ps -A -o args=");
    assert!(text.contains("sshd") && !text.contains("sleep 600"), "{text}");
}

#[test]
fn a_host_whose_first_process_dies_has_crashed_and_boots() {
    let Some(world) = World::up(WAY) else { return };
    let init = world.init("lpar02").unwrap();
    super::world::kill(init);
    until("another one runs", || world.init("lpar02").is_some_and(|now| now != init));
    until("the host is back", || world.ssh("lpar02", "true").0 == 0);
    assert_eq!(world.ssh("lpar01", "echo on").1, "on\n", "others are not concerned");
}
