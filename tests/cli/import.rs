//! Import, by the program: where it reads from and where it writes to.

use std::io::Write as _;
use std::process::Stdio;

use super::world::{World, plan};

const INVENTORY: &str = "[first]\nlpar03\n[second]\nlpar01\nlpar02\n[second:vars]\nwave=7\n";

const HEAD: [&str; 13] = [
    "--name",
    "imported",
    "--master",
    "nim1",
    "--spot",
    "spot",
    "--lpp-source",
    "lpp",
    "--level",
    "7300-02",
    "--disks",
    "hdisk1",
    "--accept-licenses",
];

#[test]
fn an_inventory_becomes_a_plan_that_begins_by_wave() {
    let world = World::new();
    world.write("hosts", INVENTORY);
    let args = [&["import", "ansible", "hosts", "--output", "made.toml"], &HEAD[..]].concat();
    let ran = world.run(&args);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert_eq!(ran.stderr, "3 clients imported; the plan is complete\n");
    assert_eq!(world.run(&["plan", "made.toml"]).code, 0);

    let text = std::fs::read_to_string(world.path().join("made.toml")).unwrap();
    world.write("made.toml", &format!("{text}\n[limits]\nmigrations = 1\n"));
    let ran = world.run(&["run", "made.toml", "--time-scale", "100000", "--no-progress"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let log = world.run(&["lab", "log", "--json"]).stdout;
    let mut begun: Vec<String> = Vec::new();
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let host = entry["host"].as_str().unwrap().to_owned();
        if host != "nim1" && !begun.contains(&host) {
            begun.push(host);
        }
    }
    assert_eq!(begun, ["lpar03", "lpar01", "lpar02"]);
}

#[test]
fn the_master_of_the_lab_is_asked() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    assert_eq!(world.run(&["lab", "up", "--plan", "plan.toml"]).code, 0);
    let args = [&["import", "lsnim", "--from-master"], &HEAD[..]].concat();
    let ran = world.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    world.write("made.toml", &ran.stdout);
    let made = world.run(&["plan", "made.toml", "--json"]).stdout;
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let clients: Vec<&str> =
        made["clients"].as_array().unwrap().iter().map(|c| c["client"].as_str().unwrap()).collect();
    assert_eq!(clients, ["lpar01", "lpar02"]);

    let ran = world.run(&["import", "lsnim", "--from-master", "--master", "lpar01"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("lpar01 does not answer as a NIM master: 0042-001"),
        "{}",
        ran.stderr
    );
    let ran = world.run(&["import", "lsnim", "--from-master", "--master", "nobody"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn standard_input_is_read() {
    let world = World::new();
    let mut child = world
        .command(&["import", "csv", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"name,disks\nlpar01,hdisk1\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("[[client]]\nname = \"lpar01\"\ndisks = [\"hdisk1\"]\n"), "{text}");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "1 client imported; 6 lines are marked FILL IN: complete them\n"
    );
}

#[test]
fn what_is_wrong_is_refused_and_nothing_is_written() {
    let world = World::new();
    world.write("hosts.csv", "name,reboot\nlpar 1,true\nlpar02,maybe\n");
    let before = world.files();
    insta::assert_snapshot!(
        "import_refused",
        world.shown(&["import", "csv", "hosts.csv", "--output", "made.toml"])
    );
    for args in [
        &["import", "csv", "none.csv"][..],
        &["import", "csv", "hosts.csv", "--master", "a b"],
        &["import", "lsnim"],
        &["import", "lsnim", "--from-master"],
        &["import", "csv", "hosts.csv", "--force"],
    ] {
        let ran = world.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}: {}", ran.stderr);
    }
    assert_eq!(world.files(), before);
}

#[test]
fn a_file_that_is_there_is_kept() {
    let world = World::new();
    world.write("hosts", INVENTORY);
    world.write("made.toml", "mine\n");
    let args = ["import", "ansible", "hosts", "--output", "made.toml"];
    let ran = world.run(&args);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("`--force` overwrites it"), "{}", ran.stderr);
    let text = || std::fs::read_to_string(world.path().join("made.toml")).unwrap();
    assert_eq!(text(), "mine\n");
    assert_eq!(world.run(&[&args[..], &["--force"]].concat()).code, 0);
    assert!(text().starts_with("# Made by `nimshift import` from `hosts`"));
}
