//! `nimshift nimadm`: nimadm's command lines as they stand in scripts.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

use nimshift::journal::{Journal, OpenOptions};

use super::world::{Ran, World};

/// The estate of the sample plans with mksysbs.
fn estate() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/estates/mksysb.toml");
    path.to_str().unwrap().to_owned()
}

/// A world with a lab that is as fast as it can be.
fn lab() -> World {
    let world = World::in_memory();
    let ran = world.run(&["lab", "up", "--estate", &estate(), "--time-scale", "1000000"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    world
}

/// The words of a line: separated by blanks, held together by double quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split(' ').filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    words
}

fn run(world: &World, line: &str) -> Ran {
    let words = words(line);
    let mut args = vec!["nimadm"];
    args.extend(words.iter().map(String::as_str));
    world.run(&args)
}

/// Lines that are understood: shown by the plan that asks for the same.
const ACCEPTED: &[&str] = &[
    // Disk migration.
    "-l lpp_7300_02 -c lpar01 -s spot_7300_02 -d hdisk1 -Y",
    "-llpp_7300_02 -clpar01 -sspot_7300_02 -dhdisk1 -Y",
    "-Yl lpp_7300_02 -c lpar01 -s spot_7300_02 -dhdisk1",
    "-YFDVc lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1",
    "-j nimadmvg -c lpar01 -s spot_7300_02 -l lpp_7300_02 -d \"hdisk1 hdisk2\" -Y -r",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -B",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P1,2,3",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P \"1 2 3\"",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P 4-8",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -Y -c lpar01",
    "-a pre -z post_check -b bundle -e no_dumps -i small_image -o bosinst_7300 \
     -m rsize=65536,wsize=65536 -c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -A",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y --",
    // From a mksysb to a client.
    "-T lpar90_7200 -c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -j nimadmvg -Y",
    "-T lpar90_7200 -c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -j nimadmvg -Y -A -r -F",
    // From a mksysb to a mksysb.
    "-T lpar90_7200 -O /export/nim/mksysb/new -s spot_7300_02 -l lpp_7300_02 -j nimadmvg -Y",
    "-T lpar90_7200 -O /export/nim/mksysb/new -N new_7300 -s spot_7300_02 -l lpp_7300_02 \
     -j nimadmvg -Y -z post_check",
    // From a client to a mksysb.
    "-c lpar01 -O /export/nim/mksysb/new -s spot_7300_02 -l lpp_7300_02 -j nimadmvg -Y",
    "-c lpar01 -O /export/nim/mksysb/new -N new_7300 -e no_dumps -s spot_7300_02 \
     -l lpp_7300_02 -j nimadmvg -Y",
];

/// Lines that are refused before anything is asked of a host.
const REFUSED: &[&str] = &[
    "",
    "-c lpar01",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -Y",
    "-c lpar01 -s spot_7300_02 -d hdisk1 -Y",
    "-c lpar01 -l lpp_7300_02 -d hdisk1 -Y",
    "-s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -B -r",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -E",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -N new_7300",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -q",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y --debug",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 hdisk2 -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1,hdisk2 -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d \"hdisk1 hdisk1\" -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d \" \" -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -Y -d",
    "-c -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y",
    "-c lpar01 -c lpar02 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y",
    "-c lpar01;reboot -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P 13",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P 8-4",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P 1 2",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -m \"soft intr\"",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -- -r",
    "-T lpar90_7200 -c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1",
    "-T lpar90_7200 -c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -j nimadmvg -Y -e no_dumps",
    "-T lpar90_7200 -c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -j nimadmvg -Y -N new_7300",
    "-T lpar90_7200 -O /export/new -c lpar01 -s spot_7300_02 -l lpp_7300_02 -j nimadmvg -Y",
    "-T lpar90_7200 -O /export/new -s spot_7300_02 -l lpp_7300_02 -j nimadmvg -Y -r -A",
    "-T lpar90_7200 -O new -s spot_7300_02 -l lpp_7300_02 -j nimadmvg -Y",
    "-c lpar01 -O /export/new -s spot_7300_02 -l lpp_7300_02 -Y -U",
    "-c lpar01 -O /export/../etc/new -s spot_7300_02 -l lpp_7300_02 -j nimadmvg -Y -d hdisk1",
    "-C -W -c lpar01 -s spot_7300_02",
    "-C -c lpar01",
    "-C -s spot_7300_02",
    "-C -c lpar01 -s spot_7300_02 -Y",
    "-C -c lpar01 -s spot_7300_02 -E",
    "-W -c lpar01 -s spot_7300_02",
    "-W -c lpar01 -s spot_7300_02 -d hdisk1 -r",
    "-S -c lpar01 -s spot_7300_02 -d hdisk1",
    "-M -s spot_7300_02",
    "-M -P1 -s spot_7300_02 -l lpp_7300_02",
    "-M -s spot_7300_02 -l lpp_7300_02 -d \"cd0 cd1\"",
    "-M -s spot_7300_02 -l lpp_7300_02 -c lpar01",
    "-x -y -P 99 -d \"\" -s \"a b\" rest",
];

/// Lines that are understood and cannot be run on this estate.
const BARRED: &[&str] = &[
    "-c lpar01 -s no_such_spot -l lpp_7300_02 -d hdisk1 -Y",
    "-c lpar01 -s lpp_7300_02 -l lpp_7300_02 -d hdisk1 -Y",
    "-c nim1 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y",
    "-c lpar99 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -U",
    "-c lpar01 -s spot_7300_02 -l no_such_lpp -d hdisk1 -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk9 -Y",
    "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk0 -Y",
];

fn told(world: &World, line: &str, before: &[&str]) -> String {
    let words = words(line);
    let mut args = vec!["nimadm"];
    args.extend(before);
    args.extend(words.iter().map(String::as_str));
    world.shown(&args)
}

#[test]
fn lines_that_are_understood() {
    let world = lab();
    let mut shown = String::new();
    for line in ACCEPTED {
        writeln!(shown, "{}", told(&world, line, &["--show-plan"])).unwrap();
    }
    insta::assert_snapshot!("nimadm_accepted", shown);
    assert!(!world.state().join("journal.db").exists(), "nothing is begun");
}

#[test]
fn lines_that_are_refused() {
    let world = World::new();
    let mut shown = String::new();
    for line in REFUSED {
        writeln!(shown, "{}", told(&world, line, &[])).unwrap();
    }
    insta::assert_snapshot!("nimadm_refused", shown);
    assert!(world.files().is_empty(), "nothing is made");
}

#[test]
fn lines_that_cannot_be_run_here() {
    let world = lab();
    let digest = world.run(&["lab", "digest"]).stdout;
    let mut shown = String::new();
    for line in BARRED {
        let told = told(&world, line, &[]);
        writeln!(shown, "{}", without_times(&told)).unwrap();
    }
    insta::assert_snapshot!("nimadm_barred", shown);
    assert_eq!(world.run(&["lab", "digest"]).stdout, digest, "no host was changed");
    assert!(ACCEPTED.len() + REFUSED.len() + BARRED.len() >= 60);
}

/// Times of the estate differ from run to run, and with them what evidence
/// holds.
fn without_times(text: &str) -> String {
    let line = |line: &str| {
        if let Some(rest) = line.strip_prefix("MASTER DATE:") {
            let shape: String =
                rest.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert!(shape.ends_with("00:00:00 UTC 0000"), "{shape}");
            return "MASTER DATE: [DATE]".to_owned();
        }
        if line.starts_with("nimshift: evidence: ") {
            return "nimshift: evidence: [DIGEST]".to_owned();
        }
        match line.rsplit_once(" at ") {
            Some((before, time)) if time.len() == 8 && time.as_bytes()[2] == b':' => {
                format!("{before} at [TIME]")
            }
            _ => line.to_owned(),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn without_a_lab_it_is_said_how_to_make_one() {
    let world = World::new();
    let line = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y";
    insta::assert_snapshot!("nimadm_no_lab", told(&world, line, &[]));
    assert!(world.files().is_empty(), "nothing is made");
}

#[test]
fn a_log_is_laid_out_as_nimadms() {
    let world = lab();
    let line = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y";
    let ran = run(&world, line);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let log = fs::read_to_string(world.state().join("alt_mig/lpar01_alt_mig.log")).unwrap();
    assert_eq!(log, ran.stdout, "stdout and the log are the same");
    insta::assert_snapshot!("nimadm_log", without_times(&log));
}

/// A line for each form that migrates, on the sample estate.
const MIGRATIONS: [&str; 4] = [
    "-c lpar02 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -z post_check -Y -r",
    "-T lpar90_7200 -c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -j nimadmvg -Y -r",
    "-T lpar90_7200 -O /export/nim/mksysb/new -N new_7300 -s spot_7300_02 -l lpp_7300_02 \
     -j nimadmvg -Y",
    "-c lpar02 -O /export/nim/mksysb/lpar02_7300 -e no_dumps -s spot_7300_02 -l lpp_7300_02 \
     -j nimadmvg -Y",
];

/// The names of their migrations.
const NAMES: [&str; 4] = ["lpar02", "lpar01", "lpar90_7200", "lpar02"];

/// The phases that a log has gone through, as our own reader of nimadm's logs
/// finds them.
fn phases(world: &World, name: &str) -> Vec<u64> {
    let path = world.state().join(format!("alt_mig/{name}_alt_mig.log"));
    let read = world.run(&["parse", "alt_mig", path.to_str().unwrap()]);
    assert_eq!(read.code, 0, "{}", read.stderr);
    let log: serde_json::Value = serde_json::from_str(&read.stdout).unwrap();
    let phases = log["phases"].as_array().unwrap();
    phases.iter().map(|phase| phase["phase"].as_u64().unwrap()).collect()
}

#[test]
fn every_form_that_migrates_runs_to_the_end() {
    for (line, name) in MIGRATIONS.into_iter().zip(NAMES) {
        let world = lab();
        let ran = run(&world, line);
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(phases(&world, name), (1..=12).collect::<Vec<u64>>(), "{line}");
        let check = world.run(&["lab", "check"]);
        assert_eq!(check.code, 0, "{line}: {}", check.stdout);
        // Once more: it is said that it is done, and nothing is done.
        let digest = world.run(&["lab", "digest"]).stdout;
        let again = run(&world, line);
        assert_eq!(again.code, 0, "{}", again.stderr);
        let told =
            ["migrated already", "mksysb made already"].map(|told| format!("{name}: {told}"));
        assert!(told.iter().any(|told| again.stdout.contains(told)), "{}", again.stdout);
        assert_eq!(world.run(&["lab", "digest"]).stdout, digest, "{line}");
        assert_eq!(phases(&world, name).len(), 12, "the log is there as it was");
    }
}

#[test]
fn a_cleanup_by_nimadms_line_leaves_nothing_and_lets_the_line_begin_anew() {
    for cleanup in ["-C -c lpar01 -s spot_7300_02", "-C lpar01 -s spot_7300_02 -F"] {
        let world = lab();
        let digest = world.run(&["lab", "digest"]).stdout;
        let line = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P 1,2,3";
        assert_eq!(run(&world, line).code, 0);
        assert_eq!(phases(&world, "lpar01"), [1, 2, 3]);
        assert!(run(&world, line).stdout.contains("lpar01: phases 1-3 done already"));
        let ran = run(&world, cleanup);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        for told in [
            "Cleaning up alt_disk_migration on the NIM master.",
            "Cleaning up alt_disk_migration on client lpar01.",
            "nimshift: altinst_rootvg: lpar01# alt_rootvg_op -X altinst_rootvg",
        ] {
            assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
        }
        assert_eq!(world.run(&["lab", "digest"]).stdout, digest);
        let log = fs::read_to_string(world.state().join("alt_mig/lpar01_alt_mig.log")).unwrap();
        assert!(log.ends_with(&ran.stdout), "it is added to the log");
        let again = run(&world, cleanup);
        assert_eq!(again.code, 0, "{}", again.stderr);
        assert!(!again.stdout.contains("Cleaning up"), "{}", again.stdout);
        assert_eq!(run(&world, line).code, 0);
        assert_ne!(world.run(&["lab", "digest"]).stdout, digest, "the line has begun anew");
    }
}

#[test]
fn phases_one_by_one_come_to_the_whole() {
    let line = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y";
    let whole = lab();
    assert_eq!(run(&whole, line).code, 0);
    let world = lab();
    for chosen in ["-P1", "-P 2,3", "-P \"4 5\"", "-P 6-8"] {
        let ran = run(&world, &format!("{line} {chosen}"));
        assert_eq!(ran.code, 0, "{chosen}: {}{}", ran.stdout, ran.stderr);
    }
    // The line without -P does the rest.
    let ran = run(&world, line);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(phases(&world, "lpar01"), [9, 10, 11, 12]);
    assert!(run(&world, line).stdout.contains("lpar01: migrated already"));
    let digest = |world: &World| world.run(&["lab", "digest"]).stdout;
    assert_eq!(digest(&world), digest(&whole));
    // What cannot work is refused.
    let world = lab();
    let ran = run(&world, &format!("{line} -P 3"));
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_operations_beside_the_migration() {
    let world = lab();
    let line = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -r";
    assert_eq!(run(&world, line).code, 0);
    let migrated = world.run(&["lab", "digest"]).stdout;
    let wake = run(&world, "-W -c lpar01 -s spot_7300_02 -d hdisk0");
    assert_eq!(wake.code, 0, "{}{}", wake.stdout, wake.stderr);
    assert!(wake.stdout.contains("nimshift: lpar01  wake: done"), "{}", wake.stdout);
    assert_ne!(world.run(&["lab", "digest"]).stdout, migrated, "it is awake");
    let sleep = run(&world, "-S -c lpar01 -s spot_7300_02");
    assert_eq!(sleep.code, 0, "{}{}", sleep.stdout, sleep.stderr);
    assert!(sleep.stdout.contains("nimshift: lpar01  sleep: done"), "{}", sleep.stdout);
    assert_eq!(world.run(&["lab", "check"]).code, 0);
    for preview in ["-M -P -s spot_7300_02 -l lpp_7300_02", "-M -s spot_7300_02 -l lpp_7300_02"] {
        let sync = run(&world, preview);
        assert_eq!(sync.code, 0, "{}{}", sync.stdout, sync.stderr);
    }
    let logs = ["lpar01", "spot_7300_02"].map(|name| {
        fs::read_to_string(world.state().join(format!("alt_mig/{name}_alt_mig.log"))).unwrap()
    });
    assert!(logs[0].ends_with(&sleep.stdout) && logs[0].contains(&wake.stdout));
    assert!(logs[1].contains("NIMADM PARAMETERS: -M -P -s spot_7300_02"), "{}", logs[1]);
}

#[test]
fn what_is_the_same_for_all_lines_stands_in_the_state_directory() {
    let world = lab();
    let settings = |text: &str| fs::write(world.state().join("nimadm.toml"), text).unwrap();
    let line = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y";
    // Real hosts are not asked where the level is given and the plan is shown.
    settings("[estate]\nkind = \"ssh\"\nuser = \"root\"\n[master]\nname = \"nim9\"");
    let shown = told(&world, line, &["--show-plan", "--level", "7300-02"]);
    settings("[estate]\nkind = \"lab\"\n[master]\nnam = \"nim1\"\n");
    let wrong = told(&world, line, &[]);
    insta::assert_snapshot!("nimadm_settings", format!("{shown}\n{wrong}"));
    // A failure that keeps everything, for a person.
    let common = "[estate]\nkind = \"lab\"\n[master]\nname = \"nim1\"\n";
    settings(&format!("{common}[failure]\npolicy = \"hold\"\n"));
    let fault = ["lab", "fault", "message-with-success", "--command=-P3", "--times", "0"];
    assert_eq!(world.run(&fault).code, 0);
    assert_eq!(run(&world, line).code, 4);
    let again = run(&world, line);
    assert_eq!(again.code, 4);
    assert!(again.stderr.contains("needs your order"), "{}", again.stderr);
    assert_eq!(world.run(&["lab", "fault", "--clear"]).code, 0);
    assert_eq!(world.run(&["retry", "lpar01"]).code, 0);
    assert!(run(&world, line).stdout.contains("lpar01: migrated already"));
    assert_eq!(phases(&world, "lpar01").len(), 12, "the log is whole, whoever ran the rest");
}

/// Runs `line`, and kills the program as soon as it says `awaited`. Whether it
/// was killed, and did not end before.
fn killed_at(world: &World, line: &str, awaited: &str) -> bool {
    let words = words(line);
    let mut args = vec!["nimadm"];
    args.extend(words.iter().map(String::as_str));
    let mut command = world.command(&args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    if said.lines().map_while(Result::ok).any(|line| line == awaited) {
        child.kill().unwrap();
    }
    child.wait().unwrap().signal() == Some(9)
}

#[test]
fn a_killed_line_goes_on_when_it_is_run_again() {
    for (line, name) in MIGRATIONS.into_iter().zip(NAMES) {
        let estate = ["lab", "up", "--estate", &estate(), "--time-scale", "8000"];
        let quiet = World::in_memory();
        assert_eq!(quiet.run(&estate).code, 0);
        assert_eq!(run(&quiet, line).code, 0);
        let world = World::in_memory();
        assert_eq!(world.run(&estate).code, 0);
        let hit = [1, 2, 3, 6, 7, 9, 11, 12]
            .iter()
            .filter(|phase| killed_at(&world, line, &format!("Executing nimadm phase {phase}.")))
            .count();
        assert!(hit >= 2, "{line}: only {hit} kills");
        let last = run(&world, line);
        assert_eq!(last.code, 0, "{line}: {}{}", last.stdout, last.stderr);
        let told = ["continues (", ": migrated already", ": mksysb made already"];
        assert!(told.iter().any(|told| last.stdout.contains(told)), "{}", last.stdout);
        for args in [&["lab", "check"][..], &["verify"]] {
            let ran = world.run(args);
            assert_eq!(ran.code, 0, "{line}: {args:?}: {}{}", ran.stdout, ran.stderr);
        }
        let digest = |world: &World| world.run(&["lab", "digest"]).stdout;
        assert_eq!(digest(&world), digest(&quiet), "{line}: after {hit} kills");
        assert_eq!(
            phases(&world, name),
            (1..=12).collect::<Vec<u64>>(),
            "{line}: no gap, no repeat"
        );
    }
}

#[test]
fn a_failure_is_told_with_its_message_and_taken_back() {
    let world = lab();
    let digest = world.run(&["lab", "digest"]).stdout;
    let fault = ["lab", "fault", "message-with-success", "--command=-P3", "--times", "0"];
    assert_eq!(world.run(&fault).code, 0);
    let line = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y";
    let ran = run(&world, line);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!("nimadm_failure", without_times(tail(&ran.stdout, "phase 11.")));
    assert_eq!(world.run(&["lab", "check"]).code, 0);
    assert_eq!(world.run(&["lab", "fault", "--clear"]).code, 0);
    assert_eq!(world.run(&["lab", "digest"]).stdout, digest, "all is as it was");
    // What was taken back is begun anew by the same line.
    let again = run(&world, line);
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert!(!again.stdout.contains("continues ("), "{}", again.stdout);
}

#[test]
fn a_message_stands_in_the_log_once_with_the_wrapper_of_nimadm() {
    let world = World::in_memory();
    let estate = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/estates/overnight.toml");
    let estate = ["lab", "up", "--estate", estate.to_str().unwrap(), "--time-scale", "1000000"];
    assert_eq!(world.run(&estate).code, 0);
    // What multibos has left is seen by nothing but the end of the clone.
    let ran = run(&world, "-c lpar07 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -j nimadmvg -Y");
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!("nimadm_0505_218", without_times(tail(&ran.stdout, "phase 11.")));
    let log = world.state().join("alt_mig/lpar07_alt_mig.log");
    let read = world.run(&["parse", "alt_mig", log.to_str().unwrap()]);
    let log: serde_json::Value = serde_json::from_str(&read.stdout).unwrap();
    let ids: Vec<&str> = log["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["0505-218", "0505-187"]);
    assert_eq!(log["last_phase"], 11);
    assert_eq!(log["bootlist"], "hdisk0", "set back by the removal of the copy");
}

/// What comes after the line that ends so.
fn tail<'a>(text: &'a str, end: &str) -> &'a str {
    let at = text.find(&format!("{end}\n")).unwrap();
    &text[at + end.len() + 1..]
}

#[test]
fn what_another_line_has_begun_is_not_touched() {
    let world = lab();
    // A failure that keeps everything as it is.
    let held = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y";
    let plan = world.run(&[
        "nimadm",
        "--show-plan",
        "-c",
        "lpar01",
        "-sspot_7300_02",
        "-llpp_7300_02",
        "-dhdisk1",
        "-Y",
    ]);
    world.write("plan.toml", &format!("{}[failure]\npolicy = \"hold\"\n", plan.stdout));
    let fault = ["lab", "fault", "message-with-success", "--command=-P3", "--times", "0"];
    assert_eq!(world.run(&fault).code, 0);
    assert_eq!(world.run(&["run", "plan.toml"]).code, 4);
    let digest = world.run(&["lab", "digest"]).stdout;
    insta::assert_snapshot!("nimadm_other", told(&world, held, &[]));
    let other = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y -P 11,12";
    assert_eq!(run(&world, other).code, 2, "single phases of what is in flight");
    assert_eq!(world.run(&["lab", "digest"]).stdout, digest);
}

#[test]
fn a_line_waits_for_the_engine_before_it() {
    let world = lab();
    let options = OpenOptions::new("first-host", 4242, 1_795_415_808_000);
    let (journal, _) = Journal::open(&world.state(), &options).unwrap();
    let line = "-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -Y";
    let busy = told(&world, line, &["--no-wait"]);
    assert!(busy.contains("\nexit 6\n"), "{busy}");
    let words = words(line);
    let mut command = world.command(&["nimadm"]);
    let mut child =
        command.args(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    said.read_line(&mut first).unwrap();
    assert!(first.starts_with("nimadm: waiting: ") && first.contains("first-host"), "{first}");
    journal.close().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(phases(&world, "lpar01").len(), 12);
}

#[test]
fn a_link_named_nimadm_takes_nimadms_flags_alone() {
    let world = lab();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_nimshift"), world.path().join("nimadm"))
        .unwrap();
    let linked = |line: &str| {
        let mut command = world.command_of(&world.path().join("nimadm"), &[]);
        command.args(words(line)).env("NIMSHIFT_ALT_MIG_DIR", world.path().join("var/adm/ras"));
        command.env("ADM_ACCEPT_LICENSES", "yes").output().unwrap()
    };
    let ran = linked("-c lpar01 -s spot_7300_02 -l lpp_7300_02 -d hdisk1 -VD");
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let log = fs::read_to_string(world.path().join("var/adm/ras/lpar01_alt_mig.log")).unwrap();
    assert_eq!(log.as_bytes(), ran.stdout);
    for told in ["nimshift: clone-rootvg begins", "nimshift: lpar01# ", "seen after: Present"] {
        assert!(log.contains(told), "{told}: {log}");
    }
    let wrong = linked("run plan.toml");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("`run` belongs to no flag"));
    let help = linked("--help");
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("nimadm -C -c client -s spot"));
}

#[test]
fn a_level_that_the_spot_does_not_tell_is_given() {
    let world = lab();
    let args = [
        "nimadm",
        "--level",
        "7300-02-01",
        "--show-plan",
        "-clpar01",
        "-sspot_7300_02",
        "-llpp_7300_02",
        "-dhdisk1",
        "-Y",
    ];
    let ran = world.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("level = \"7300-02-01\""), "{}", ran.stdout);
}
