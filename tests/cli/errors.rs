//! What is said when something is wrong, and with which exit code.

use std::fmt::Write as _;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use super::world::{World, plan};
use nimshift::cli::Exit;
use nimshift::journal::{Journal, OpenOptions};

#[test]
fn exit_codes_are_a_contract() {
    let codes: Vec<(u8, &str)> =
        Exit::ALL.into_iter().map(|exit| (exit.code(), exit.meaning())).collect();
    assert_eq!(
        codes,
        [
            (0, "all migrated, or nothing to do"),
            (1, "internal error; the journal cannot be written"),
            (2, "wrong command line, plan or order"),
            (3, "some failed and were rolled back, or were refused"),
            (4, "some need an operator"),
            (5, "stopped with work left"),
            (6, "another engine holds the state directory"),
            (7, "the journal is damaged"),
        ]
    );
}

#[test]
fn where_nothing_has_run_nothing_is_made() {
    let world = World::new();
    world.write("broken.toml", "[batch]\nnam = \"x\"\n");
    let mut shown = String::new();
    for args in [
        &["status"][..],
        &["history", "lpar01"],
        &["resume"],
        &["verify"],
        &["hold", "lpar01"],
        &["rollback", "--failed"],
        &["journal", "export", "lpar01"],
        &["journal", "backup", "copy.db"],
        &["lab", "show"],
        &["run", "missing.toml"],
        &["run", "broken.toml"],
        &["plan", "broken.toml"],
        &["hold"],
        &["hold", "lpar 01"],
        &["staus"],
    ] {
        writeln!(shown, "{}", world.shown(args)).unwrap();
    }
    insta::assert_snapshot!("nothing_has_run", shown);
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["broken.toml"]);
}

#[test]
fn a_backup_replaces_no_file() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01"]));
    assert_eq!(world.run(&["run", "plan.toml", "--time-scale", "100000"]).code, 0);
    world.write("kept.db", "kept");
    let ran = world.run(&["journal", "backup", "kept.db"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("name a new file"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(world.path().join("kept.db")).unwrap(), "kept");
}

#[test]
fn a_few_clients_of_a_plan_that_is_under_way_are_of_the_same_plan() {
    let world = World::new();
    let text = format!("{}[failure]\npolicy = \"hold\"\n", plan(&["lpar01", "lpar02"]));
    world.write("plan.toml", &text);
    assert_eq!(world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "100000"]).code, 0);
    let fault = ["lab", "fault", "disk-full", "--command", "alt_disk_copy", "--times", "0"];
    assert_eq!(world.run(&fault).code, 0);
    let first = world.run(&["run", "plan.toml", "--no-progress"]);
    assert_eq!(first.code, 4, "{}{}", first.stdout, first.stderr);
    let one = world.run(&["run", "plan.toml", "--client", "lpar01", "--no-progress"]);
    assert_eq!(one.code, 4, "{}{}", one.stdout, one.stderr);
    assert!(one.stderr.contains("lpar01: continues") && !one.stdout.contains("lpar02"));
}

#[test]
fn an_ssh_configuration_that_is_not_there_is_found_by_plan() {
    let world = World::new();
    let text =
        plan(&["lpar01"]).replace("kind = \"lab\"", "kind = \"ssh\"\nssh_config = \"conf/none\"");
    world.write("plan.toml", &text);
    let before = world.files();
    for command in ["plan", "run"] {
        let ran = world.run(&[command, "plan.toml"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{command}: {}", ran.stderr);
        assert!(ran.stderr.contains("conf/none`") && ran.stderr.contains("relative to the plan"));
    }
    assert_eq!(world.files(), before);
}

#[test]
fn a_second_engine_is_told_who_is_first() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01"]));
    let options = OpenOptions::new("first-host", 4242, 1_795_415_808_000);
    let (journal, _) = Journal::open(&world.state(), &options).unwrap();
    let before = fs::read_dir(world.state()).unwrap().count();
    insta::assert_snapshot!("held", world.shown(&["run", "plan.toml"]));
    assert_eq!(fs::read_dir(world.state()).unwrap().count(), before, "no lab is made");
    journal.close().unwrap();
}

#[test]
fn a_damaged_journal_stops_everything() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01"]));
    assert_eq!(world.run(&["lab", "up", "--plan", "plan.toml"]).code, 0);
    let (journal, _) = Journal::open(&world.state(), &OpenOptions::new("h", 1, 1)).unwrap();
    journal.close().unwrap();
    let digest = world.run(&["lab", "digest"]).stdout;
    let mut file = fs::File::options().write(true).open(world.state().join("journal.db")).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[0xff; 4096]).unwrap();
    drop(file);
    for args in [&["run", "plan.toml"][..], &["resume"], &["verify"]] {
        let ran = world.run(args);
        assert_eq!(ran.code, 7, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    }
    assert_eq!(world.run(&["lab", "digest"]).stdout, digest, "no host was touched");
}

#[test]
fn a_plan_for_hosts_that_are_not_there_is_refused() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01"]));
    world.write("more.toml", &plan(&["lpar01", "lpar02"]));
    assert_eq!(world.run(&["lab", "up", "--plan", "plan.toml"]).code, 0);
    insta::assert_snapshot!("no_such_host", world.shown(&["run", "more.toml"]));
    assert!(!world.state().join("journal.db").exists(), "nothing is begun");
}

#[test]
fn a_state_directory_that_cannot_be_made_is_an_internal_error() {
    let world = World::new();
    world.write("plan.toml", &plan(&["lpar01"]));
    world.write("file", "");
    let ran = world.run(&["run", "plan.toml", "--state-dir", "file/state"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("file/state"), "{}", ran.stderr);
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let world = World::new();
    for args in [&["schema"][..], &["completions", "bash"], &["man"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = world.command(args).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn colour_is_for_terminals_or_by_order() {
    let world = World::new();
    assert!(!world.run(&["status"]).stderr.contains('\u{1b}'));
    assert!(world.run(&["status", "--color", "always"]).stderr.contains('\u{1b}'));
}
