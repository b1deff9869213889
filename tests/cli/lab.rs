//! The lab's commands.

use super::world::{World, plan};

fn world() -> World {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01"]));
    let up = world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "100000"]);
    assert_eq!((up.code, up.stdout.as_str()), (0, "2 hosts in state/lab\n"), "{}", up.stderr);
    world
}

#[test]
fn a_host_answers_with_its_own_status() {
    let world = world();
    let level = world.run(&["lab", "exec", "lpar01", "--", "oslevel", "-s"]);
    assert_eq!((level.code, level.stdout.as_str()), (0, "7200-05-06-2320\n"), "{}", level.stderr);
    let missing = world.run(&["lab", "exec", "lpar01", "--", "lsvg", "nosuchvg"]);
    assert_eq!(missing.code, 1, "{}{}", missing.stdout, missing.stderr);
    assert!(missing.stderr.starts_with("0516-306"), "{}", missing.stderr);
    for line in [&["lspv; oslevel -s"][..], &["lspv", "|", "head"]] {
        let refused = world.run(&[&["lab", "exec", "lpar01", "--"], line].concat());
        assert_eq!(refused.code, 2, "{line:?}");
        assert!(refused.stderr.contains("one command, without a shell"), "{}", refused.stderr);
    }
    let unknown = world.run(&["lab", "exec", "lpar99", "--", "lspv"]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
}

#[test]
fn the_table_of_hosts() {
    insta::assert_snapshot!("lab_show", world().shown(&["lab", "show"]));
}

#[test]
fn faults_are_named_and_listed() {
    let world = world();
    let wrong = world.run(&["lab", "fault", "disk-ful"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("did you mean `disk-full`?"), "{}", wrong.stderr);
    let far = world.run(&["lab", "fault", "slow", "--host", "lpar99"]);
    assert_eq!(far.code, 2, "{}", far.stderr);
    assert_eq!(world.run(&["lab", "fault", "slow", "--host", "lpar01", "--times", "0"]).code, 0);
    let listed = world.run(&["lab", "fault"]).stdout;
    assert_eq!(
        listed,
        "KIND  HOST    COMMAND  TIMES   HAPPENED  TO COME\nslow  lpar01  any      always  0         always\n"
    );
    assert_eq!(world.run(&["lab", "fault", "--clear"]).code, 0);
    assert_eq!(world.run(&["lab", "fault"]).stdout, "no fault is set\n");
}

#[test]
#[cfg(not(feature = "lab-net"))]
fn a_lab_without_a_network_says_what_has_one() {
    let world = world();
    for args in [&["lab", "up", "--ssh"][..], &["lab", "serve", "state/lab", "lpar01"]] {
        let ran = world.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stdout);
        for said in ["built without", "`lab-net`", "`cargo install --path .`"] {
            assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
        }
    }
}

#[test]
fn troubles_of_a_host_come_at_once() {
    let world = world();
    let refused = |args: &[&str], said: &str| {
        let ran = world.run(&[&["lab", "fault"], args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
    };
    refused(&["link-cut"], "affects one host");
    refused(&["link-cut", "--host", "lpar99"], "there is no host `lpar99`");
    refused(&["link-cut", "--host", "lpar01", "--percent", "3"], "does not take `--percent`");
    refused(&["host-reboot", "--host", "lpar01", "--seconds", "3"], "does not take `--seconds`");
    refused(&["slow", "--ms", "3"], "takes neither");
    refused(&["link-cut", "--host", "lpar01", "--seconds", "99999999"], "too long");
    for name in ["sshd-kill", "link-delay", "link-loss", "disk-fill"] {
        let why = if cfg!(feature = "lab-net") { "is not reached by ssh" } else { "built without" };
        refused(&[name, "--host", "lpar01"], why);
    }
    let reach = || world.run(&["lab", "exec", "nim1", "--", "showmount", "-e", "lpar01"]);
    assert_eq!(reach().code, 0);
    let cut = world.run(&["lab", "fault", "link-cut", "--host", "lpar01", "--seconds", "600"]);
    assert_eq!(cut.code, 0, "{}", cut.stderr);
    assert!(reach().stderr.contains("1832-011 cannot reach lpar01"), "{}", reach().stderr);
    assert_eq!(world.run(&["lab", "fault", "--clear"]).code, 0);
    assert_eq!(reach().code, 0);
    // What the master's own link keeps from it.
    let cut = world.run(&["lab", "fault", "link-cut", "--host", "nim1", "--seconds", "600"]);
    assert_eq!(cut.code, 0, "{}", cut.stderr);
    assert_eq!(reach().code, 1);
    assert_eq!(world.run(&["lab", "fault", "--clear"]).code, 0);
    let booted = || world.run(&["lab", "exec", "lpar01", "--", "who", "-b"]);
    let before = booted();
    assert_eq!(before.code, 0, "{}", before.stderr);
    assert_eq!(world.run(&["lab", "fault", "host-reboot", "--host", "lpar01"]).code, 0);
    assert_ne!(booted().stdout, before.stdout, "it was booted, or is down");
}

#[test]
fn what_is_left_behind_is_found() {
    let world = world();
    assert_eq!(world.run(&["lab", "check"]).code, 0);
    let export = world.run(&["lab", "exec", "lpar01", "--", "exportfs", "-i", "/home"]);
    assert_eq!(export.code, 0, "{}", export.stderr);
    let found = world.run(&["lab", "check"]);
    assert_eq!(found.code, 1, "{}", found.stdout);
    assert_eq!(found.stdout, "lpar01: /home is exported\n");
}

#[test]
fn the_log_tells_jobs_and_looks_apart() {
    let world = world();
    assert_eq!(world.run(&["run", "plan.toml"]).code, 0);
    let log = world.run(&["lab", "log", "--json"]).stdout;
    let entries: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let clones = entries.iter().filter(|entry| {
        entry["line"].as_str().unwrap().contains("-P1") && entry["stage"] == "started"
    });
    let jobs: Vec<&str> = clones.map(|entry| entry["job"].as_str().unwrap()).collect();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert!(jobs[0].ends_with("01-clone-rootvg.f0.1"), "{jobs:?}");
    assert!(entries.iter().any(|entry| entry.get("job").is_none()));
}

#[test]
fn a_lab_is_removed_by_order_only() {
    let world = world();
    let kept = world.run(&["lab", "reset"]);
    assert_eq!(kept.code, 2, "{}", kept.stdout);
    assert!(world.state().join("lab").exists());
    let twice = world.run(&["lab", "up", "--plan", "plan.toml"]);
    assert_eq!(twice.code, 2, "{}", twice.stdout);
    assert_eq!(world.run(&["lab", "reset", "--yes"]).code, 0);
    assert!(!world.state().join("lab").exists());
}

#[test]
fn a_fault_that_is_used_up_is_not_told_as_one_to_come() {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar01"]));
    let does = |line: &str| {
        let ran = world.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    does("lab up --plan plan.toml --time-scale 1000000");
    does("lab fault unreachable --host lpar01 --times 2");
    does("lab fault slow --host nim1 --times 0");
    does("run plan.toml");
    let told = does("lab fault");
    let ends = |host: &str, end: &str| {
        let row = told.lines().find(|row| row.contains(host)).unwrap_or_default();
        assert!(row.ends_with(end), "{told}");
    };
    ends("lpar01", "used up");
    ends("nim1", "always");
}

/// Who has not ended is named.
#[test]
fn a_check_names_whom_it_does_not_hold() {
    let world = World::in_memory();
    let held = plan(&["lpar01", "lpar02"]).replacen(
        "[[client]]",
        "[failure]\npolicy = \"hold\"\n[[client]]",
        1,
    );
    world.write("plan.toml", &held);
    let does = |code: i32, line: &str| {
        let ran = world.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, code, "{line}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    does(0, "lab up --plan plan.toml --time-scale 1000000");
    does(0, "lab fault disk-full --host lpar01 --command alt_disk_copy");
    does(4, "run plan.toml");
    let said = does(0, "lab check");
    assert_eq!(
        said,
        "not checked: lpar01, which is unfinished; elsewhere nothing is left behind\n"
    );
}

#[test]
fn what_fails_in_the_sample_night_can_be_put_right_on_the_lab() {
    let world = World::new();
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/overnight.toml");
    let ok = |code: i32, args: &[&str]| {
        let ran = world.run(args);
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran
    };
    ok(0, &["lab", "up", "--plan", plan, "--time-scale", "100000"]);
    let ended = ok(3, &["run", plan, "--client", "lpar07", "--client", "lpar08"]).stdout;
    assert!(ended.contains("next: no free partitions: a larger hdisk1 on lpar08; then"), "{ended}");
    let told = ok(0, &["status"]).stdout;
    assert!(told.contains("2 rolled back"), "{told}");
    // What their hints say is to be done.
    ok(0, &["lab", "exec", "lpar07", "--", "multibos", "-RX"]);
    let smaller = ok(2, &["lab", "disk", "lpar08", "hdisk1", "--size-mb", "4096"]);
    assert!(smaller.stderr.contains("already has 4096 MB or more"), "{}", smaller.stderr);
    ok(2, &["lab", "disk", "lpar99", "hdisk1", "--size-mb", "32768"]);
    ok(2, &["lab", "disk", "lpar08", "../etc", "--size-mb", "32768"]);
    ok(0, &["lab", "disk", "lpar08", "hdisk1", "--size-mb", "32768"]);
    ok(0, &["retry", "lpar07", "lpar08"]);
    let told = ok(0, &["status"]).stdout;
    assert!(told.contains("2 reboot pending"), "{told}");
    ok(0, &["lab", "check"]);
    // A disk that was not there comes without an id, as a new one does.
    ok(0, &["lab", "disk", "lpar08", "hdisk2", "--size-mb", "20480"]);
    let disks = ok(0, &["lab", "exec", "lpar08", "--", "lspv"]).stdout;
    assert!(
        disks.lines().any(|line| line.starts_with("hdisk2 ") && line.contains("none")),
        "{disks}"
    );
}

#[test]
fn a_lab_of_a_plan_of_updates_is_one_that_can_be_updated() {
    let world = World::new();
    let text = plan(&["lpar01"]).replace("7300-02", "7300-03");
    let text = text.replace("accept_licenses = true", "accept_licenses = true\nupdate = true");
    world.write("plan.toml", &text);
    let up = world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "100000"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
    let ran = world.run(&["run", "plan.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let level = world.run(&["lab", "exec", "lpar01", "--", "oslevel", "-s"]).stdout;
    assert_eq!(level, "7300-02-01-2346\n");
}
