//! Clients that only their NIM master reaches: `c_rsh` of the lab over ssh is a
//! real shell on the client.

use std::io::Write as _;
use std::process::Stdio;

use super::world::World;

const RSH: &str = "/usr/lpp/bos.sysmgt/nim/methods/c_rsh";

in_both_ways! {
    any_line_of_shell_is_run_on_the_client,
    doctor_finds_a_fresh_lab_well,
    a_night_through_the_master_ends_as_one_in_process,
}

/// Status, output and messages of `line` on a host, which is given `input`.
fn ssh(world: &World, host: &str, line: &str, input: &str) -> (i32, String, String) {
    let mut client = world.client(&[host, line]);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The same on lpar02, by the master.
fn relayed(world: &World, line: &str, input: &str) -> (i32, String, String) {
    ssh(world, "nim1", &format!("{RSH} lpar02 '{line}'"), input)
}

fn link(world: &World, host: &str, text: &str) {
    std::fs::write(world.lab().join(format!("ssh/hosts/{host}/link")), text).unwrap();
}

/// The plan, with its last client by the master.
fn through_the_master(world: &World) {
    let plan = std::fs::read_to_string(world.path("ssh.toml")).unwrap();
    let relay = format!("{plan}reach = {{ via = \"master\" }}\n");
    std::fs::write(world.path("relay.toml"), relay).unwrap();
}

fn any_line_of_shell_is_run_on_the_client(way: &str) {
    let Some(world) = World::up(way) else { return };
    let line = "cd /usr && hostname; for i in 1 2; do echo $i; done | tr 12 ab; cat; \
                echo \"to stderr\" >&2; exit 7";
    let (status, out, err) = relayed(&world, line, "first\nlast\n");
    assert_eq!((status, out.as_str()), (7, "lpar02\na\nb\nfirst\nlast\n"), "{err}");
    assert_eq!(err, "to stderr\n");
    // Its files are its own, and those of the emulation.
    let real = "mkdir -p /var/nimshift/a && echo x >/var/nimshift/a/f && ls -d /etc";
    assert_eq!(relayed(&world, real, "").1, "/etc\n");
    assert_eq!(ssh(&world, "lpar02", "cat /var/nimshift/a/f", "").1, "x\n");
    assert_ne!(ssh(&world, "lpar01", "cat /var/nimshift/a/f", "").0, 0);
    assert_eq!(relayed(&world, "kill -9 $$", "").0, 128 + 9);
    // An archive goes from a process of one host to one of the other.
    let copy = format!("tar -cf - -C /home . | {RSH} lpar02 'tar -xpf - -C /tmp'; echo $?");
    assert_eq!(ssh(&world, "nim1", &copy, "").1, "0\n");
}

#[test]
fn what_the_master_would_refuse_is_refused() {
    // What ends at an exact byte is the proxy's.
    let Some(world) = World::up("proxy") else { return };
    let (status, _, err) = ssh(&world, "nim1", &format!("{RSH} nosuch hostname"), "");
    assert_eq!(status, 53, "{err}");
    assert!(err.starts_with("0042-053"), "{err}");
    let (status, _, err) = ssh(&world, "lpar01", &format!("{RSH} lpar02 hostname"), "");
    assert_eq!(status, 1, "{err}");
    assert!(err.starts_with("0042-137"), "{err}");
    // A link that says nothing for as long as anybody would wait.
    link(&world, "lpar02", "{\"silent_until_ms\": 9999999999999}");
    let (status, out, err) = relayed(&world, "hostname", "");
    assert_eq!((status, out.as_str()), (6, ""));
    assert!(err.contains("timed out"), "{err}");
    // One that breaks in the middle: what was begun goes on.
    link(&world, "lpar02", "{\"cut_after\": 4}");
    let line = "echo one; sleep 1; echo on >/var/nimshift/after";
    let (status, out, err) = relayed(&world, line, "");
    assert_eq!((status, out.as_str()), (6, "one\n"));
    assert!(err.contains("reset by peer"), "{err}");
    link(&world, "lpar02", "{}");
    let seen = "n=0; while [ ! -s /var/nimshift/after ] && [ $n -lt 100 ]; do \
                sleep 0.1; n=$((n + 1)); done; cat /var/nimshift/after";
    assert_eq!(relayed(&world, seen, "").1, "on\n");
}

fn doctor_finds_a_fresh_lab_well(way: &str) {
    let Some(world) = World::up(way) else { return };
    through_the_master(&world);
    let asked = world.run(&["doctor", "relay.toml"]);
    let text = String::from_utf8_lossy(&[asked.stdout, asked.stderr].concat()).into_owned();
    assert!(asked.status.success() && text.contains("All checks passed."), "{text}");
    // The clock of the estate runs faster than this machine's: that may be told.
    let others = |line: &&str| line.starts_with("  warn") && !line.contains(" clock ");
    assert_eq!(text.lines().find(others), None, "{text}");
}

fn a_night_through_the_master_ends_as_one_in_process(way: &str) {
    let Some(world) = World::up(way) else { return };
    through_the_master(&world);
    let ran = world.run(&["run", "relay.toml"]);
    let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "{text}");
    // Its jobs were the client's own, found again by their names.
    let log = String::from_utf8(world.run(&["lab", "log"]).stdout).unwrap();
    let on_client = log.lines().filter(|line| line.contains(" lpar02# "));
    assert!(on_client.clone().any(|line| line.contains(".01-clone-rootvg.f0.1)")), "{log}");
    let other = World::new();
    assert!(other.run(&["run", "lab.toml"]).status.success());
    let digest = |world: &World| world.run(&["lab", "digest"]).stdout;
    assert_eq!(digest(&world), digest(&other), "{text}");
}
