//! Every command of ours that a message names is one that works where it is
//! printed: each is brought about, and each command that it names is run, as it
//! stands there, on a copy of the lab and the journal of that moment.

use std::collections::BTreeSet;

use nimshift::journal::{Journal, OpenOptions};
use nimshift::machine::EventKind;
use regex::Regex;

use super::named::{messages, quoted};
use super::overnight::{running, signal};
use super::world::{Ran, World, plan};

/// What was printed, and what was run of it.
#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    tried: usize,
    wrong: Vec<String>,
}

/// A state that hints are printed in.
struct Scene<'a> {
    world: World,
    name: &'a str,
    printed: &'a mut Printed,
    /// What a person does about the cause, before what is printed is done.
    mended: Vec<Vec<&'a str>>,
    /// For what a text leaves open.
    open: Vec<(&'a str, &'a str)>,
    /// How commands of this name end in this state, where that is not with 0.
    ends: Vec<(&'a str, i32)>,
    /// What was run in this state already.
    tried: BTreeSet<String>,
}

impl<'a> Scene<'a> {
    fn new(name: &'a str, printed: &'a mut Printed) -> Scene<'a> {
        let open = vec![
            ("PLAN", "plan.toml"),
            ("CLIENT", "lpar01"),
            ("FILE", "estate.toml"),
            ("…", "-c lpar01 -s spot -l lpp -d hdisk1 -Y"),
        ];
        let world = World::in_memory();
        world.write("estate.toml", ESTATE);
        let mended = vec![vec!["lab", "fault", "--clear"]];
        Scene { world, name, printed, mended, open, ends: Vec::new(), tried: BTreeSet::new() }
    }

    /// A lab for `plan`, with these of its commands failing.
    fn with(name: &'a str, printed: &'a mut Printed, plan: &str, faults: &[&[&str]]) -> Scene<'a> {
        let mut scene = Scene::new(name, printed);
        scene.world.write("plan.toml", plan);
        scene.does(0, &["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
        for fault in faults {
            scene.fault(fault);
        }
        scene
    }

    fn fault(&mut self, fault: &[&str]) {
        let args: Vec<&str> = ["lab", "fault"].into_iter().chain(fault.iter().copied()).collect();
        self.does(0, &args);
    }

    fn on(&mut self, host: &str, words: &[&str]) {
        let args = ["lab", "exec", host, "--"].into_iter().chain(words.iter().copied());
        self.does(0, &args.collect::<Vec<_>>());
    }

    /// Does what leads to the state.
    fn does(&mut self, code: i32, args: &[&str]) -> Ran {
        if !["history", "status"].contains(&args[0]) {
            self.tried.clear();
        }
        let ran = self.world.run(args);
        let Ran { stdout, stderr, .. } = &ran;
        if ran.code != code {
            let text = format!("{}: {args:?}: {}: {stdout}{stderr}", self.name, ran.code);
            self.printed.wrong.push(text);
        }
        ran
    }

    /// Does it, and then, in the state that it has led to, all that it has printed.
    fn says(&mut self, code: i32, args: &[&str]) {
        let ran = self.does(code, args);
        let lines: BTreeSet<String> =
            ran.stdout.lines().chain(ran.stderr.lines()).map(str::to_owned).collect();
        for line in lines.iter().filter(|line| line.contains("`nimshift ")) {
            self.tries(args, line);
        }
        self.printed.lines.extend(lines);
    }

    /// Runs each command of a line; what stands behind a `then` after what stands
    /// before it. What begins with an order is another way.
    fn tries(&mut self, args: &[&str], line: &str) {
        for way in line.replace("; `nimshift ", "\n`nimshift ").lines() {
            self.tries_way(args, way);
        }
    }

    fn tries_way(&mut self, args: &[&str], line: &str) {
        let parts: Vec<&str> = line.split("then ").collect();
        for (at, part) in parts.iter().enumerate() {
            for command in quoted(part).filter_map(|one| one.strip_prefix("nimshift ")) {
                if !self.tried.insert(format!("{at} {command}")) {
                    continue;
                }
                let world = self.world.copy();
                for mended in &self.mended {
                    world.run(mended);
                }
                for before in &parts[..at] {
                    for command in quoted(before) {
                        if let Some(command) = command.strip_prefix("nimshift ") {
                            self.run(&world, command);
                        } else if is_of_aix(command) {
                            for one in command.replace(" && ", "; ").split("; ") {
                                let words = ["lab", "exec", "lpar01", "--"].into_iter();
                                world.run(&words.chain(one.split(' ')).collect::<Vec<_>>());
                            }
                        }
                    }
                }
                let ran = self.run(&world, command);
                self.printed.tried += 1;
                let wanted = self.ends.iter().find(|(name, _)| command.starts_with(name));
                if ran.code != wanted.map_or(0, |(_, code)| *code) {
                    self.printed.wrong.push(format!(
                        "{}: after `{}`: {line}\n  `nimshift {command}`: {}: {}{}",
                        self.name,
                        args.join(" "),
                        ran.code,
                        ran.stdout,
                        ran.stderr
                    ));
                }
            }
        }
    }

    /// Runs what is printed; where it asks, it is told yes.
    fn run(&self, world: &World, command: &str) -> Ran {
        let value = |word: &str| {
            let open = self.open.iter().find(|(open, _)| *open == word);
            open.map_or(word.to_owned(), |(_, value)| (*value).to_owned())
        };
        let words: Vec<String> = command
            .split_whitespace()
            .map(value)
            .flat_map(|value| value.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = world.run(&args);
        if ran.code == 2 && ran.stderr.contains("`--yes`") {
            args.push("--yes");
            return world.run(&args);
        }
        ran
    }
}

/// Whether a person is told to run it on the client.
fn is_of_aix(command: &str) -> bool {
    let first = command.split(' ').next().unwrap_or_default();
    ["alt_rootvg_op", "bootlist", "shutdown", "mkdir", "umount"].contains(&first)
}

/// A lab that a plan has made by itself, as a file.
const ESTATE: &str = "[master]\nname = \"nim1\"\nlevel = \"7300-02-01-2346\"\n";

/// A plan for one client, with more in its defaults and below `[failure]`.
fn with(defaults: &str, failure: &str) -> String {
    plan(&["lpar01"]).replace("[[client]]", &format!("{defaults}[failure]\n{failure}[[client]]"))
}

/// The fault by which a command never succeeds.
fn failing(command: &str) -> [&str; 5] {
    ["disk-full", "--command", command, "--times", "0"]
}

const ANOTHER_PLAN: &str = "tests/cli/orders.rs: the plan has to be changed first";
const BESIDE: &str = "tests/cli/joining.rs: while an engine runs";

/// Messages whose command is for another place than the one that prints it, or
/// that this test does not bring about, with the reason.
const ELSEWHERE: [(&str, &str); 47] = [
    ("rollback {client}`, then {run}", ANOTHER_PLAN),
    ("if the plan stays as it is", ANOTHER_PLAN),
    ("(and {more} more;", "a journal with many differences: one names the same"),
    ("Made by `nimshift import`", "says what has made a file"),
    ("nimadm's forms:", "a page of help"),
    ("`nim -Fo check` it", "NIM of the lab tells the level of each SPOT"),
    ("abandon {client}` once it has ended", "tests/cli/orders.rs waits for that end"),
    ("{} {client}` once it has ended", "tests/cli/orders.rs waits for that end"),
    ("`nimshift lab down` ends that", "tests/cli/ssh_lab.rs, which needs root"),
    ("`nimshift lab up --ssh`", "tests/cli/ssh_lab.rs, which needs root"),
    ("no other may start before", "doctor asks real hosts"),
    ("--take-lease CLIENT` here", "doctor asks real hosts"),
    ("`nimshift sleep {client}`, then", "AIX cannot wake a copy that is newer"),
    ("`nimshift verify` lists everything that differs", "tests/cli/damage.rs"),
    ("put a backup made by `nimshift journal backup`", "says what has made a file"),
    ("a backup made by `nimshift journal backup`", "says what has made a file"),
    ("is that of an older nimshift", "tests/cli/older.rs"),
    ("end it there (`ps", "a job that no signal ends"),
    ("it is not told again", "tests/reliability: an engine that dies while the client reboots"),
    ("has started and ended nothing since", "tests/reliability/engine.rs"),
    ("everything acknowledged is kept", "tests/cli/locks.rs: a journal that cannot be written"),
    ("continues taking {client} back", "an engine that dies then: as where it goes on"),
    ("then run the plan again", BESIDE),
    ("shows it; then run this again", BESIDE),
    ("the engine ended with work left", BESIDE),
    ("continues, with the new work", BESIDE),
    ("wait until it ends, then", BESIDE),
    ("wait until it ends, or", BESIDE),
    ("once the running engine has ended", BESIDE),
    ("once that run has ended", BESIDE),
    ("the request is journaled", BESIDE),
    ("levels them, from an lpp_source", "tests/cli/operations.rs: a SPOT that is behind"),
    ("it is not rebooted again", "tests/reliability/reboots.rs: a boot by hand before ours"),
    (
        "wait for that boot, or set it back",
        "tests/reliability/foreign.rs: a bootlist at a third disk",
    ),
    ("write it without quotes:", "tests/cli/lab.rs: a line is no command"),
    ("`nimshift lab exec` runs one command", "tests/cli/lab.rs: a line is no command"),
    ("what was made is gone:", "tests/cli/operations.rs: a mksysb as its master has it"),
    ("there is no way back by nimshift", "tests/cli/copies.rs: a system of others on the old disk"),
    ("removes what is left, but not", "tests/cli/operations.rs: after a mksysb was cut off"),
    ("Complete the lines marked", "stands in a plan that is made"),
    ("shows why; its log:", "tests/cli/drop_in.rs"),
    ("`nimshift nimadm --help`", "prints a page, whatever the state"),
    ("leave -E out", "where a migration has run"),
    ("`nimshift lab show` lists the hosts of the lab", "prints a table, whatever the state"),
    ("should that be booted again", "where the old disk was booted again"),
    ("`nimshift preflight PLAN` shows the same", "tests/cli/preflight.rs"),
    ("nimshift: more: `nimshift explain", "in the log of nimadm: the summary names the same"),
];

#[test]
fn every_command_that_is_printed_works_in_the_state_that_prints_it() {
    let mut printed = Printed::default();
    ended_well(&mut printed);
    taken_back(&mut printed);
    waiting(&mut printed);
    without_an_engine(&mut printed);
    of_others(&mut printed);
    wrong_lines(&mut printed);
    let all = messages();
    let ours = all.iter().filter(|text| text.contains("`nimshift "));
    let unseen: BTreeSet<&String> = ours.filter(|text| !printed.has(text)).collect();
    let unseen: Vec<&&String> = unseen
        .iter()
        .filter(|text| !ELSEWHERE.iter().any(|(known, _)| text.contains(known)))
        .collect();
    assert!(
        printed.wrong.is_empty() && unseen.is_empty(),
        "{} tried, wrong:\n{}\n\nnever printed:\n{unseen:#?}",
        printed.tried,
        printed.wrong.join("\n")
    );
}

impl Printed {
    /// Whether a text was printed, with whatever stands in its open places.
    fn has(&self, text: &str) -> bool {
        let open = Regex::new(r"\{[^}]*\}").unwrap();
        let parts: Vec<String> = open.split(text.trim()).map(regex::escape).collect();
        let whole = Regex::new(&parts.join(".*")).unwrap();
        self.lines.iter().any(|line| whole.is_match(line))
    }
}

fn ended_well(printed: &mut Printed) {
    let mut scene = Scene::with("reboot pending", printed, &with("", ""), &[]);
    scene.says(0, &["run", "plan.toml"]);
    scene.says(0, &["history", "lpar01"]);
    scene.on("lpar01", &["shutdown", "-Fr"]);
    for args in [&["history", "lpar01"][..], &["status", "--ask"]] {
        let ran = scene.does(0, args);
        if ran.stdout.contains("reboot pending") {
            scene.printed.wrong.push(format!("{args:?}: {}", ran.stdout));
        }
    }
    scene.says(0, &["history", "lpar01"]);
    scene.says(4, &["rollback", "lpar01"]);
    let mut scene = Scene::with("copy ready", printed, &with("bootlist = \"keep\"\n", ""), &[]);
    scene.says(0, &["run", "plan.toml"]);
    let mut scene = Scene::with("migrated", printed, &with("reboot = true\n", ""), &[]);
    scene.says(0, &["run", "plan.toml"]);
    scene.on("lpar01", &["alt_rootvg_op", "-X", "old_rootvg"]);
    scene.says(4, &["rollback", "lpar01", "--yes"]);
    scene.says(0, &["abandon", "lpar01"]);
    let mut scene = Scene::with("known to be gone", printed, &with("reboot = true\n", ""), &[]);
    scene.does(0, &["run", "plan.toml"]);
    scene.on("lpar01", &["alt_rootvg_op", "-X", "old_rootvg"]);
    scene.does(0, &["cleanup", "lpar01"]);
    scene.says(2, &["rollback", "lpar01", "--yes"]);
    let mut scene = Scene::with("too early", printed, &with("", ""), &[]);
    scene.says(3, &["run", "plan.toml", "-P", "4-12"]);
    scene.says(3, &["run", "plan.toml", "-P", "1,2,5-12"]);
    let mut scene = Scene::with("a part", printed, &with("", ""), &[]);
    scene.open[3] = ("…", "4-12");
    scene.says(0, &["run", "plan.toml", "-P", "1-3"]);
    scene.says(3, &["run", "plan.toml", "-P", "11-12"]);
    scene.fault(&["nim-locked", "--host", "lpar01", "--times", "0"]);
    scene.says(3, &["run", "plan.toml", "-P", "4-12"]);
    scene.does(0, &["lab", "fault", "--clear"]);
    scene.fault(&failing("bosboot"));
    scene.says(3, &["run", "plan.toml", "-P", "4-12"]);
    let mut scene = Scene::with("a refused part", printed, &with("", ""), &[&failing("installp")]);
    scene.open[3] = ("…", "1-3");
    scene.says(3, &["run", "plan.toml", "-P", "1-3"]);
    let mut scene = Scene::with("cleaned", printed, &with("", ""), &[]);
    scene.does(0, &["run", "plan.toml"]);
    scene.says(0, &["cleanup", "lpar01", "--yes"]);
    scene.says(0, &["history", "lpar01", "--number", "1"]);
    scene.says(3, &["wake", "lpar01"]);
    let mut scene = Scene::with("removed by hand", printed, &with("", ""), &[]);
    scene.does(0, &["run", "plan.toml"]);
    scene.on("lpar01", &["alt_rootvg_op", "-X", "altinst_rootvg"]);
    scene.says(0, &["history", "lpar01"]);
    scene.does(0, &["run", "plan.toml", "--client", "lpar01"]);
    if !scene.does(0, &["lab", "show"]).stdout.contains("hdisk1:altinst_rootvg") {
        scene.printed.wrong.push("removed by hand: nothing is migrated anew".to_owned());
    }
    let text = with("", "copy = \"sleep\"\n");
    let mut scene = Scene::with("woken", printed, &text, &[&failing("mount lpar01:")]);
    scene.does(3, &["run", "plan.toml"]);
    scene.does(0, &["lab", "fault", "--clear"]);
    scene.says(0, &["wake", "lpar01"]);
}

fn taken_back(printed: &mut Printed) {
    for copy in ["remove", "sleep", "wake"] {
        let text = with("", &format!("copy = \"{copy}\"\n"));
        for command in COMMANDS {
            // What cannot be unmounted cannot be taken back either: see `waiting`.
            if command == "umount" {
                continue;
            }
            let mut scene = Scene::with(copy, printed, &text, &[&failing(command)]);
            // No copy was made: then there is none to put to sleep.
            scene.ends.extend(["mount", "bootlist"].contains(&command).then_some(("sleep", 3)));
            scene.says(3, &["run", "plan.toml"]);
            scene.says(0, &["history", "lpar01"]);
        }
        let mut scene = Scene::with(copy, printed, &text, &[]);
        scene.does(0, &["run", "plan.toml"]);
        scene.says(0, &["rollback", "lpar01"]);
    }
}

/// What fails, of each part of a night.
const COMMANDS: [&str; 6] = ["alt_disk_copy", "mount", "restore", "bosboot", "umount", "bootlist"];

fn waiting(printed: &mut Printed) {
    for command in COMMANDS {
        let text = with("", "policy = \"hold\"\n");
        let mut scene = Scene::with(command, printed, &text, &[&failing(command)]);
        scene.says(4, &["run", "plan.toml"]);
        scene.says(0, &["history", "lpar01"]);
        scene.says(4, &["resume"]);
        scene.world.write("other.toml", &text.replace("small", "other"));
        scene.says(2, &["run", "other.toml"]);
        scene.says(2, &["cleanup", "lpar01"]);
        scene.says(2, &["retry", "--take-lease", "lpar01"]);
        let line = ["nimadm", "-c", "lpar01", "-s", "spot", "-l", "lpp", "-d", "hdisk1", "-Y"];
        scene.says(2, &line);
        scene.says(0, &["hold", "lpar01"]);
        scene.says(0, &["history", "lpar01"]);
        scene.says(2, &["cleanup", "lpar01"]);
        scene.says(2, &["run", "other.toml"]);
        scene.says(0, &["release", "lpar01"]);
        let other = OpenOptions::new("control2", 4242, 1_795_415_808_000);
        let (journal, _) = Journal::open(&scene.world.state(), &other).unwrap();
        scene.says(6, &["resume"]);
        scene.says(6, &["lab", "reset", "--yes"]);
        journal.close().unwrap();
        scene.says(0, &["abandon", "lpar01"]);
        scene.says(0, &["history", "lpar01"]);
        if command == "umount" {
            scene.says(3, &["retry", "lpar01"]);
            scene.says(0, &["history", "lpar01"]);
            scene.says(3, &["cleanup", "lpar01"]);
        }
    }
    // A rollback that stands still, tried again, ends as one.
    let text = with("", "");
    let faults: [&[&str]; 2] = [&failing("bosboot"), &failing("umount")];
    let mut scene = Scene::with("undo stuck", printed, &text, &faults);
    scene.ends.push(("retry", 3));
    scene.says(4, &["run", "plan.toml"]);
    scene.world.write("other.toml", &text.replace("small", "other"));
    scene.says(2, &["run", "other.toml"]);
    scene.says(2, &["cleanup", "lpar01"]);
}

/// The engine is killed on its way.
fn without_an_engine(printed: &mut Printed) {
    let text = with("reboot = true\n", "");
    let mut scene = Scene::new("no engine", printed);
    scene.world.write("plan.toml", &text);
    scene.world.write("other.toml", &text.replace("small", "other"));
    let killed = |world: &World, args: &[&str], at: &str| {
        let (mut child, said) = running(world, args, at);
        signal(&child, "-KILL");
        child.wait().unwrap();
        drop(said);
    };
    killed(&scene.world, &["run", "plan.toml", "--time-scale", "20000"], "phase 2");
    scene.mended.clear();
    scene.says(0, &["history", "lpar01"]);
    scene.says(2, &["run", "other.toml"]);
    scene.says(2, &["wake", "lpar01"]);
    scene.does(0, &["hold", "lpar01"]);
    scene.says(0, &["release", "lpar01"]);
    let mut scene = Scene::new("not begun", scene.printed);
    let limits = "[limits]\nmigrations = 1\n[[client]]\nname = \"lpar01\"";
    let text = plan(&["lpar01", "lpar02"]).replace("[[client]]\nname = \"lpar01\"", limits);
    scene.world.write("plan.toml", &text);
    killed(&scene.world, &["run", "plan.toml", "--time-scale", "20000"], "phase 2");
    scene.says(2, &["hold", "lpar02"]);
}

fn of_others(printed: &mut Printed) {
    for policy in ["rollback", "hold"] {
        let text = with("", &format!("policy = \"{policy}\"\n"));
        let mut scene = Scene::with("another's lease", printed, &text, &[]);
        scene.on("lpar01", &["mkdir", "-p", "/var/adm/nimshift"]);
        let gone = "s1.m7@control1,batch=overnight,epoch=3,since=2026-11-25T19:00:00Z";
        scene.on("lpar01", &["ln", "-s", gone, "/var/adm/nimshift/lease"]);
        scene.says(3, &["preflight", "plan.toml"]);
        scene.says(3, &["run", "plan.toml"]);
        scene.open[3] = ("…", "1-3");
        scene.says(3, &["run", "plan.toml", "-P", "1-3"]);
        scene.ends.push(("cleanup", 3));
        scene.says(3, &["cleanup", "lpar01"]);
        // A lease that goes while a migration is under way.
        let mut scene = Scene::with("a lost lease", printed, &text, &[]);
        scene.does(0, &["run", "plan.toml", "-P", "1-3"]);
        scene.on("lpar01", &["rm", "-f", "/var/adm/nimshift/lease"]);
        scene.does(0, &["run", "plan.toml"]);
        // Another has it.
        let mut scene = Scene::with("taken", printed, &text, &[&failing("bosboot")]);
        if policy == "hold" {
            scene.does(4, &["run", "plan.toml"]);
            scene.on("lpar01", &["rm", "-f", "/var/adm/nimshift/lease"]);
            scene.says(4, &["retry", "lpar01"]);
            scene.on("lpar01", &["ln", "-s", gone, "/var/adm/nimshift/lease"]);
            scene.does(0, &["lab", "fault", "--clear"]);
            scene.ends.push(("retry", 4));
            scene.ends.push(("rollback", 4));
            scene.says(4, &["retry", "lpar01"]);
            scene.says(4, &["rollback", "lpar01"]);
        }
        let mut scene = Scene::with("copied by others", printed, &text, &[]);
        scene.on("lpar01", &["alt_disk_copy", "-d", "hdisk1"]);
        scene.says(3, &["run", "plan.toml"]);
        scene.says(0, &["cleanup", "lpar01"]);
        scene.on("lpar01", &["alt_rootvg_op", "-W", "-d", "hdisk1"]);
        scene.says(3, &["cleanup", "lpar01"]);
        let mut scene = Scene::with("being copied", printed, &text, &[]);
        scene.on("lpar01", &["mkdir", "-p", "/var/adm/nimshift"]);
        scene.on("lpar01", &["ln", "-s", gone, "/var/adm/nimshift/lease"]);
        scene.on("lpar01", &["alt_disk_copy", "-d", "hdisk1"]);
        scene.says(3, &["preflight", "plan.toml"]);
        scene.says(3, &["run", "plan.toml"]);
        for parts in ["1-3", "1-11"] {
            let mut scene = Scene::with("another's copy", printed, &text, &[]);
            scene.open[3] = ("…", "1-3");
            scene.does(0, &["run", "plan.toml", "-P", parts]);
            scene.on("lpar01", &["alt_rootvg_op", "-X", "altinst_rootvg"]);
            scene.mended.push(vec!["lab", "exec", "lpar01", "--", "alt_rootvg_op", "-X"]);
            scene.on("lpar01", &["alt_disk_copy", "-d", "hdisk1"]);
            let code = if parts == "1-3" { 3 } else { 4 };
            scene.says(code, &["run", "plan.toml"]);
            scene.on("lpar01", &["alt_rootvg_op", "-X", "altinst_rootvg"]);
            scene.mended.pop();
            scene.says(code, &["run", "plan.toml"]);
            if parts == "1-11" && policy == "hold" {
                scene.says(4, &["retry", "lpar01"]);
            }
        }
        let mut scene = Scene::with("booted by somebody", printed, &text, &[]);
        scene.does(0, &["run", "plan.toml", "-P", "1-11"]);
        scene.on("lpar01", &["shutdown", "-Fr"]);
        scene.says(0, &["run", "plan.toml"]);
    }
    after_the_end(printed);
    let text = with("reboot = true\n", "");
    let mut scene = Scene::with("two of the name", printed, &text, &[]);
    scene.does(0, &["run", "plan.toml"]);
    scene.does(0, &["lab", "disk", "lpar01", "hdisk2", "--size-mb", "40960"]);
    scene.on("lpar01", &["alt_disk_copy", "-B", "-d", "hdisk2"]);
    scene.says(4, &["rollback", "lpar01", "--yes"]);
    // Another nimshift, on the same hosts, has cleaned up by force.
    for policy in ["rollback", "hold"] {
        let text = with("", &format!("policy = \"{policy}\"\n"));
        let faults: [&[&str]; 2] = [&failing("bosboot"), &failing("umount")];
        let mut scene = Scene::with("cleaned by another", printed, &text, &faults);
        scene.does(4, &["run", "plan.toml"]);
        scene.does(0, &["lab", "fault", "--clear"]);
        std::fs::create_dir(scene.world.path().join("other")).unwrap();
        std::os::unix::fs::symlink("../state/lab", scene.world.path().join("other/lab")).unwrap();
        scene.does(0, &["--state-dir", "other", "cleanup", "--force", "lpar01"]);
        if policy == "rollback" {
            // Nothing is left to be taken back; what begins anew is not let.
            scene.does(3, &["retry", "lpar01"]);
            scene.says(4, &["retry", "lpar01"]);
            continue;
        }
        scene.says(4, &["retry", "lpar01"]);
        scene.says(0, &["history", "lpar01"]);
        // The lease made again helps nothing.
        let lease = scene.world.entries().into_iter().find_map(|entry| match entry.event.kind {
            EventKind::Succeeded { facts: Some(facts), .. } => facts.lease,
            _ => None,
        });
        scene.on("lpar01", &["mkdir", "-p", "/var/adm/nimshift"]);
        scene.on("lpar01", &["ln", "-s", &lease.unwrap(), "/var/adm/nimshift/lease"]);
        scene.says(4, &["retry", "lpar01"]);
        scene.world.write("other.toml", &text.replace("small", "other"));
        scene.says(2, &["run", "other.toml"]);
    }
    // Booted from the copy while it waits.
    let text = with("", "policy = \"hold\"\n");
    let fault = failing("umount /ALT_MIG_SPOT");
    let mut scene = Scene::with("booted while it waits", printed, &text, &[&fault]);
    scene.does(4, &["run", "plan.toml"]);
    scene.on("lpar01", &["shutdown", "-Fr"]);
    scene.says(4, &["rollback", "lpar01"]);
    let text = with("reboot = true\n", "");
    let mut scene = Scene::with("set back", printed, &text, &[]);
    scene.does(0, &["run", "plan.toml", "-P", "1-11"]);
    scene.on("lpar01", &["bootlist", "-m", "normal", "hdisk0"]);
    let boots = ["lab exec lpar01 -- bootlist -m normal hdisk1", "lab exec lpar01 -- shutdown -Fr"];
    scene.mended = boots.iter().map(|words| words.split(' ').collect()).collect();
    scene.says(4, &["run", "plan.toml"]);
}

/// Others come once a migration has ended, and it is taken back then.
fn after_the_end(printed: &mut Printed) {
    let gone = "s1.m7@control1,batch=overnight,epoch=3,since=2026-11-25T19:00:00Z";
    let lease = "/var/adm/nimshift/lease";
    let drops = ["lab", "exec", "lpar01", "--", "rm", "-f", lease];
    for reboot in ["", "reboot = true\n"] {
        let mut scene = Scene::with("taken after the end", printed, &with(reboot, ""), &[]);
        scene.does(0, &["run", "plan.toml"]);
        scene.on("lpar01", &["mkdir", "-p", "/var/adm/nimshift"]);
        scene.on("lpar01", &["ln", "-s", gone, lease]);
        scene.mended.push(drops.to_vec());
        scene.says(4, &["rollback", "lpar01", "--yes"]);
        scene.says(0, &["history", "lpar01"]);
    }
    let mut scene = Scene::with("replaced after the end", printed, &with("", ""), &[]);
    scene.does(0, &["run", "plan.toml"]);
    scene.on("lpar01", &["alt_rootvg_op", "-X", "altinst_rootvg"]);
    scene.on("lpar01", &["alt_disk_copy", "-d", "hdisk1"]);
    scene.says(4, &["rollback", "lpar01"]);
    scene.says(0, &["history", "lpar01"]);
    // What begins anew finds their copy.
    scene.ends.push(("retry", 3));
    scene.says(0, &["abandon", "lpar01"]);
    let told = scene.does(0, &["history", "lpar01"]).stdout;
    scene.says(0, &["cleanup", "lpar01"]);
    let left = scene.does(2, &["lab", "exec", "lpar01", "--", "ls", "-l", lease]).stdout;
    let stands = scene.does(0, &["lab", "show"]).stdout.contains("hdisk1:altinst_rootvg");
    if !told.contains("the lease on the client") || !left.is_empty() || !stands {
        let text = format!("replaced after the end: {told}{left}, their copy stands: {stands}");
        scene.printed.wrong.push(text);
    }
    // The bootlist is theirs.
    let theirs = |scene: &mut Scene<'_>, keep: &[&str]| {
        scene.does(0, &["lab", "disk", "lpar01", "hdisk2", "--size-mb", "65536"]);
        let copy = ["alt_disk_copy"].iter().chain(keep).chain(&["-d", "hdisk2"]);
        scene.on("lpar01", &copy.copied().collect::<Vec<_>>());
    };
    let mut scene = Scene::with("boots from elsewhere", printed, &with("", ""), &[]);
    theirs(&mut scene, &["-B"]);
    scene.on("lpar01", &["alt_rootvg_op", "-v", "theirs", "-d", "hdisk2"]);
    scene.does(0, &["run", "plan.toml", "-P", "1-10"]);
    scene.on("lpar01", &["bootlist", "-m", "normal", "hdisk2"]);
    scene.says(4, &["run", "plan.toml"]);
    scene.says(0, &["history", "lpar01"]);
    let text = with("reboot = true\n", "");
    let mut scene = Scene::with("is to boot from elsewhere", printed, &text, &[]);
    scene.does(0, &["run", "plan.toml"]);
    theirs(&mut scene, &[]);
    // The name of ours, once that is not booted any more.
    let renamed = "lab exec lpar01 -- alt_rootvg_op -v other_rootvg -d hdisk2";
    scene.mended.push(renamed.split(' ').collect());
    scene.says(4, &["rollback", "lpar01", "--yes"]);
}

fn wrong_lines(printed: &mut Printed) {
    let mut scene = Scene::new("nothing yet", printed);
    scene.world.write("plan.toml", &with("", ""));
    scene.says(2, &["status"]);
    scene.says(2, &["lab", "show"]);
    scene.world.write("fleet.csv", "name\nlpar01\n");
    scene.does(0, &["import", "csv", "fleet.csv", "--output", "draft.toml"]);
    scene.open.retain(|(open, _)| *open != "PLAN");
    scene.open.push(("PLAN", "draft.toml"));
    scene.ends.push(("plan", 2));
    scene.says(0, &["import", "csv", "fleet.csv", "--output", "new.toml"]);
    scene.says(2, &["explain", "no such message"]);
    scene.says(2, &["explain", "0505-127"]);
    scene.says(2, &["parse", "nosuch", "/dev/null"]);
    scene.says(2, &["parse", "lspb", "/dev/null"]);
    scene.says(2, &["nimadm", "-c", "lpar01", "-s", "spot", "-l", "lpp", "-d", "hdisk1", "-Y"]);
    scene.says(2, &["nimadm", "-z"]);
    scene.says(2, &["lab", "up"]);
    let mut scene = Scene::with("a lab", printed, &with("", ""), &[]);
    scene.says(2, &["lab", "up", "--plan", "plan.toml"]);
    scene.says(2, &["run", "plan.toml", "--client", "lpar09"]);
    scene.says(2, &["doctor", "plan.toml"]);
    scene.says(2, &["cleanup", "lpar09"]);
    scene.world.write("more.toml", &plan(&["lpar01", "lpar02"]));
    scene.says(2, &["run", "more.toml"]);
    scene.open[3] = ("…", "lpar01 -s spot -l lpp -d hdisk1 -Y");
    scene.open.push(("DIR", "logs"));
    scene.says(2, &["nimadm", "-c", "lpar01", "--log-dir", "x"]);
    scene.does(0, &["run", "plan.toml"]);
    scene.says(2, &["history", "zz"]);
    scene.says(2, &["status", "--batch", "nosuch"]);
    let line = ["nimadm", "-c", "lpar01", "-s", "spot", "-l", "lpp", "-d", "hdisk1", "-Y"];
    scene.says(0, &line);
    scene.says(2, &["lab", "reset"]);
    // What waits for its boot stays.
    scene.on("lpar01", &["shutdown", "-Fr"]);
    scene.does(0, &["journal", "archive", "--keep-days", "0"]);
    scene.says(2, &["rollback", "lpar01"]);
}
