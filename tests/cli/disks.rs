//! Disks that are full or cannot be written. Each test makes a small file
//! system of its own in a mount namespace of its own, by running itself again
//! within it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::overnight::{running, signal, states};
use super::world::{World, plan};
use nimshift::journal::Entry;

const INSIDE: &str = "TEST_INSIDE_A_NAMESPACE";
const CLIENTS: [&str; 4] = ["lpar01", "lpar02", "lpar03", "lpar04"];

#[expect(clippy::disallowed_methods, reason = "mounts are made by programs")]
fn program(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// Whether this process is in a mount namespace of its own. If not, runs the
/// test `name` in one; where the machine does not allow that, says so.
fn is_inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let allowed = program(&["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    match allowed {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            crate::skipped::skipped(&format!("no mount namespace, so no full disk: {why}"));
            return false;
        }
        Err(error) => {
            crate::skipped::skipped(&format!("`unshare` of util-linux: {error}"));
            return false;
        }
    }
    let me = std::env::current_exe().unwrap();
    let ran = program(&["unshare", "-Urm", me.to_str().unwrap(), "--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told =
        format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    eprintln!("{told}");
    assert!(ran.status.success() && told.contains("1 passed"), "it failed within the namespace");
    false
}

fn mount(words: &[&str]) {
    let output = program(&["mount"]).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A folder whose state directory is a file system of its own, made with
/// `options`. The lab lies beside it.
fn world(options: &str) -> World {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&CLIENTS));
    let state = world.state();
    fs::create_dir(&state).unwrap();
    fs::create_dir(world.path().join("lab")).unwrap();
    mount(&["-t", "tmpfs", "-o", options, "none", state.to_str().unwrap()]);
    symlink("../lab", state.join("lab")).unwrap();
    let up = world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "20000"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
    world
}

fn remount(world: &World, options: &str) {
    mount(&["-o", &format!("remount,{options}"), world.state().to_str().unwrap()]);
}

fn digest(world: &World) -> String {
    let ran = world.run(&["lab", "digest"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout
}

/// The estate and all files. The estate first: who looks at hosts that were
/// changed since writes down what it read, for the next to read in one go.
fn looked_at(world: &World) -> (String, BTreeMap<String, String>) {
    let digest = digest(world);
    (digest, world.files())
}

/// The digest of an estate after an undisturbed night.
fn quiet() -> String {
    let world = world("size=64m");
    let ran = world.run(&["run", "plan.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    digest(&world)
}

/// The night goes on, and ends as if nothing had been.
fn ends_well(world: &World, quiet: &str, kept: &[Entry]) {
    let ran = world.run(&["run", "plan.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(states(world).iter().all(|(_, state)| state == "reboot_pending"));
    let all = world.entries();
    assert!(kept.iter().all(|entry| all.contains(entry)), "an entry is lost");
    for args in [&["lab", "check"][..], &["verify"]] {
        let ran = world.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(digest(world), quiet);
}

#[test]
fn a_full_disk() {
    if !is_inside("disks::a_full_disk") {
        return;
    }
    let quiet = quiet();
    let mut in_the_night = 0;
    // From a disk that takes no journal to one that takes half of it.
    for kib in [8, 40, 96, 128, 192, 256, 320, 384, 448] {
        let world = world(&format!("size={kib}k"));
        let ran = world.run(&["run", "plan.toml"]);
        eprintln!("{kib} KiB: exit {}: {}", ran.code, ran.stderr);
        assert_eq!(ran.code, 1, "{kib} KiB: {}{}", ran.stdout, ran.stderr);
        for told in ["no space left for the journal", "state/", "free some"] {
            assert!(ran.stderr.contains(told), "{kib} KiB: no `{told}` in {}", ran.stderr);
        }
        let again = world.run(&["run", "plan.toml"]);
        eprintln!("again: exit {}: {}", again.code, again.stderr);
        assert_eq!(again.code, 1, "{kib} KiB: {}{}", again.stdout, again.stderr);
        assert!(again.stderr.contains("no space left"), "{kib} KiB: {}", again.stderr);
        remount(&world, "size=64m");
        let kept = world.entries();
        // What was shown was stored: progress is shown of stored states only.
        assert!(kept.is_empty() || ran.stderr.contains("fix the cause, then `nimshift resume`"));
        in_the_night += usize::from(kept.len() > 10);
        ends_well(&world, &quiet, &kept);
    }
    assert!(in_the_night >= 2, "the disk was full before anything began");
}

#[test]
fn a_state_directory_that_becomes_read_only() {
    if !is_inside("disks::a_state_directory_that_becomes_read_only") {
        return;
    }
    let quiet = quiet();
    for name in ["-KILL", "-TERM"] {
        let world = world("size=64m");
        let args = ["run", "plan.toml", "--on-stop", "wait"];
        let (mut child, said) = running(&world, &args, "phase 1 clone");
        signal(&child, name);
        child.wait().unwrap();
        drop(said);
        let kept = world.entries();
        assert!(!kept.is_empty());
        remount(&world, "ro");
        let before = looked_at(&world);
        for args in [&["run", "plan.toml"][..], &["resume"], &["hold", "lpar01"]] {
            let ran = world.run(args);
            eprintln!("{args:?}: exit {}: {}", ran.code, ran.stderr);
            assert_eq!(ran.code, 1, "{args:?}: {}{}", ran.stdout, ran.stderr);
            for told in ["state/", "give this user write permission"] {
                assert!(ran.stderr.contains(told), "{args:?}: no `{told}` in {}", ran.stderr);
            }
        }
        let status = world.run(&["status"]);
        assert_eq!(status.code, 0, "{name}: looking is possible: {}", status.stderr);
        assert_eq!(world.run(&["verify"]).code, 0);
        assert_eq!(world.entries(), kept);
        if name == "-TERM" {
            assert_eq!(looked_at(&world), before, "something was touched");
        }
        remount(&world, "rw");
        ends_well(&world, &quiet, &kept);
    }
}

#[test]
fn a_state_directory_that_cannot_be_written() {
    if !is_inside("disks::a_state_directory_that_cannot_be_written") {
        return;
    }
    let world = world("size=64m");
    remount(&world, "ro");
    let before = world.files();
    let ran = world.run(&["run", "plan.toml"]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("state/"), "{}", ran.stderr);
    assert!(ran.stderr.contains("give this user write permission"), "{}", ran.stderr);
    assert_eq!(world.files(), before);
}
