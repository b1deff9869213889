//! `run PLAN` beside an engine that runs: what is new joins the run.

use std::process::{Child, Stdio};

use serde_json::Value as Json;

use super::overnight::{running, signal, sound, states};
#[cfg(all(target_os = "linux", feature = "lab-net"))]
use super::ssh_lab::SshLab;
use super::world::{Ran, World, plan};
use nimshift::domain::MigrationId;
use nimshift::journal::{Reader, RequestKind};

/// Seconds of the lab in a real one: a night takes some seconds.
const UP: [&str; 6] = ["lab", "up", "--plan", "all.toml", "--time-scale", "1000"];

fn good(world: &World, code: i32, args: &[&str]) -> Ran {
    let ran = world.run(args);
    assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
    ran
}

/// A lab of four clients, and a plan for the first.
fn world() -> World {
    let world = World::in_memory();
    world.write("all.toml", &plan(&["lpar01", "lpar02", "lpar03", "lpar04"]));
    world.write("first.toml", &plan(&["lpar01"]));
    good(&world, 0, &UP);
    world
}

/// How often a copy of `client` was begun: the estate's own account.
fn clones(world: &World, client: &str) -> usize {
    let log = good(world, 0, &["lab", "log", "--json"]).stdout;
    let entries = log.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let begun = entries.filter(|entry| {
        let line = entry["line"].as_str().unwrap_or_default();
        entry["host"] == client && entry["stage"] == "started" && line.contains("alt_disk_copy")
    });
    begun.filter(|entry| entry["line"].as_str().unwrap().contains(" -P1 ")).count()
}

fn has_copy(world: &World, client: &str) -> bool {
    good(world, 0, &["lab", "exec", client, "--", "lspv"]).stdout.contains("altinst_rootvg")
}

fn state_of(world: &World, client: &str) -> Option<String> {
    states(world).into_iter().find(|(name, _)| name == client).map(|(_, state)| state)
}

fn end(mut child: Child, mut said: impl std::io::Read) -> (Option<i32>, String) {
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

/// Looks until `is_so`.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    assert!((0..20_000).any(|_| is_so()), "{what}: never");
}

#[test]
fn a_running_engine_takes_on_what_is_new_and_what_is_corrected() {
    let world = world();
    let alien = |verb: &[&str]| {
        let mut args = vec!["lab", "exec", "lpar02", "--"];
        args.extend(verb);
        good(&world, 0, &args);
    };
    alien(&["mkdir", "-p", "/var/adm/nimshift"]);
    alien(&["ln", "-s", "other.m1", "/var/adm/nimshift/lease"]);
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let (engine, said) = running(&world, &["run", "plan.toml"], "phase 1 clone");
    until("the refusal", || state_of(&world, "lpar02").as_deref() == Some("refused"));

    // As it was, it is left alone.
    let same = good(&world, 2, &["run", "plan.toml", "--client", "lpar02", "--client", "lpar09"]);
    assert!(same.stderr.contains("no client `lpar09`"), "{}", same.stderr);
    let same = good(&world, 3, &["run", "plan.toml", "--client", "lpar02"]);
    let told = same.stdout.lines().next().unwrap_or_default();
    assert!(
        told.starts_with("lpar02: was refused on 20") && told.contains("has not changed"),
        "{told}"
    );
    assert!(told.ends_with("`nimshift retry lpar02` starts it again"), "{told}");

    // One that goes on is not changed under way; the others join.
    alien(&["rm", "-f", "/var/adm/nimshift/lease"]);
    let grown = plan(&["lpar01", "lpar02", "lpar03"])
        .replace("name = \"lpar02\"", "name = \"lpar02\"\nwave = 2")
        .replace("name = \"lpar01\"", "name = \"lpar01\"\nwave = 3");
    world.write("plan.toml", &grown);
    let joined = good(&world, 2, &["run", "plan.toml"]);
    assert!(joined.stderr.contains("lpar01 is executing, and the plan has changed since"));
    assert!(
        joined.stderr.contains("take it back with `nimshift cancel lpar01`"),
        "{}",
        joined.stderr
    );
    for taken in ["lpar02: accepted as m", "lpar03: accepted as m"] {
        assert!(joined.stdout.contains(taken), "{}", joined.stdout);
    }
    let found = states(&world);
    assert_eq!(found[1].1, "reboot_pending", "it was followed to its end: {found:?}");
    assert_eq!(found[2].1, "reboot_pending", "{found:?}");
    let (code, rest) = end(engine, said);
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("lpar03 joins the run"), "{rest}");
    for client in ["lpar01", "lpar02", "lpar03"] {
        assert_eq!((clones(&world, client), has_copy(&world, client)), (1, true), "{client}");
    }
    sound(&world);
}

#[test]
fn who_follows_is_told_why_a_client_is_taken_back() {
    let world = world();
    let fault = ["lab", "fault", "disk-full", "--host", "lpar02", "--command", "alt_disk_copy"];
    good(&world, 0, &[&fault[..], &["--times", "0"]].concat());
    world.write("plan.toml", &plan(&["lpar01"]));
    let (engine, said) = running(&world, &["run", "plan.toml"], "phase 1 clone");
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let joined = good(&world, 3, &["run", "plan.toml", "--client", "lpar02"]);
    let back = ["taking it back: ", "rolled back: "];
    let why = joined.stderr.lines().find(|line| back.iter().any(|back| line.contains(back)));
    assert!(why.is_some_and(|line| line.contains(" lpar02 ")), "{}", joined.stderr);
    let (code, rest) = end(engine, said);
    assert_eq!(code, Some(3), "{rest}");
    sound(&world);
}

#[test]
fn what_goes_on_as_it_is_is_followed() {
    let world = world();
    world.write("grown.toml", &plan(&["lpar01", "lpar03"]));
    let (engine, said) = running(&world, &["run", "first.toml"], "phase 1 clone");
    let followed = good(&world, 0, &["run", "grown.toml", "--client", "lpar01"]);
    assert!(followed.stdout.starts_with("lpar01: continues (executing)\n"), "{}", followed.stdout);
    assert!(followed.stderr.contains("already has everything in the plan"), "{}", followed.stderr);
    assert!(followed.stdout.contains("1 client"), "{}", followed.stdout);
    assert_eq!(end(engine, said).0, Some(0));
    assert_eq!(states(&world), [("lpar01".to_owned(), "reboot_pending".to_owned())]);
    assert_eq!(clones(&world, "lpar01"), 1);
    sound(&world);
}

#[test]
fn what_has_not_begun_is_begun_as_it_was_corrected_and_no_limit_is_passed() {
    let world = world();
    let limits = "[limits]\nmigrations = 1\n[estate]\n";
    let one_by_one = |clients: &[&str]| plan(clients).replace("[estate]\n", limits);
    world.write("plan.toml", &one_by_one(&["lpar01", "lpar02"]));
    let (engine, said) = running(&world, &["run", "plan.toml"], "phase 1 clone");
    // The engine keeps the limits that it was started with.
    let corrected = plan(&["lpar01", "lpar02", "lpar03"])
        .replace("name = \"lpar02\"", "name = \"lpar02\"\nreboot = true");
    world.write("plan.toml", &corrected);
    let joined = good(&world, 0, &["run", "plan.toml"]);
    assert!(joined.stdout.contains("lpar01: continues (executing)\n"), "{}", joined.stdout);
    let (code, rest) = end(engine, said);
    assert_eq!(code, Some(0), "{rest}");
    let rows = Reader::open(&world.state()).unwrap().migrations(None).unwrap();
    let found: Vec<_> =
        rows.iter().map(|row| (row.id.0, row.client.as_str(), row.state.name())).collect();
    let expected = [
        (1, "lpar01", "migrated"),
        (2, "lpar02", "rolled_back"),
        (3, "lpar02", "migrated"),
        (4, "lpar03", "migrated"),
    ];
    assert_eq!(found, expected);
    let told = good(&world, 0, &["history", "lpar02", "--number", "1"]).stdout;
    assert!(told.contains("whose plan asks for something else"), "{told}");
    assert_eq!(state_of(&world, "lpar02").as_deref(), Some("migrated"), "it was rebooted");
    for client in ["lpar01", "lpar02", "lpar03"] {
        assert_eq!(clones(&world, client), 1, "{client}");
    }
    // One after the other: each began when the one before had ended.
    let reader = Reader::open(&world.state()).unwrap();
    let spans: Vec<(u64, u64)> = [1, 3, 4]
        .into_iter()
        .map(|id| reader.history(MigrationId(id)).unwrap())
        .map(|told| (told[0].event.at_ms, told[told.len() - 1].event.at_ms))
        .collect();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
    sound(&world);
}

#[test]
#[cfg(all(target_os = "linux", feature = "lab-net"))]
fn a_client_that_an_engine_does_not_know_yet_is_reached_by_ssh() {
    let clients = ["lpar01", "lpar02", "lpar03"];
    let Some(lab) = SshLab::up(&plan(&clients), "1500") else { return };
    let world = &lab.world;
    let all = std::fs::read_to_string(world.path().join("ssh.toml")).unwrap();
    let first: Vec<&str> = all.split_inclusive("[[client]]\n").collect();
    let first = format!("{}{}", first[0], first[1].replace("[[client]]\n", ""));
    world.write("first.toml", &first);
    let (engine, said) = running(world, &["run", "first.toml"], "phase 1 clone");
    let joined = good(world, 0, &["run", "ssh.toml"]);
    assert!(joined.stdout.contains("lpar03: accepted as m"), "{}", joined.stdout);
    let (code, rest) = end(engine, said);
    assert_eq!(code, Some(0), "{rest}");
    for client in clients {
        assert_eq!((clones(world, client), has_copy(world, client)), (1, true), "{client}");
    }
    sound(world);
}

#[test]
fn a_plan_of_another_batch_waits() {
    let world = world();
    world.write("other.toml", &plan(&["lpar03"]).replace("small", "other"));
    let (engine, said) = running(&world, &["run", "first.toml"], "phase 1 clone");
    let refused = good(&world, 6, &["run", "other.toml"]);
    for told in [
        &format!("process {}", engine.id()),
        "batch `small` is under way, and the plan is batch `other`",
        "wait until it ends, then run the plan",
    ] {
        assert!(refused.stderr.contains(told), "`{told}`: {}", refused.stderr);
    }
    assert_eq!(end(engine, said).0, Some(0));
    assert_eq!(states(&world).len(), 1, "nothing of it was begun");
}

/// What is printed for a client that the engine does not work on is what can be done.
#[test]
fn a_client_that_is_unfinished_in_a_dead_batch_is_told_what_leads_out() {
    let world = world();
    world.write("dead.toml", &plan(&["lpar02"]).replace("small", "dead"));
    let (mut dead, said) = running(&world, &["run", "dead.toml"], "phase 1 clone");
    signal(&dead, "-KILL");
    dead.wait().unwrap();
    drop(said);
    world.write("grown.toml", &plan(&["lpar01", "lpar02"]));
    let (engine, said) = running(&world, &["run", "first.toml"], "phase 1 clone");
    let refused = good(&world, 2, &["run", "grown.toml", "--client", "lpar02"]);
    assert_eq!(refused.stdout, "", "nothing is told of nobody");
    let ordered = good(&world, 2, &["cancel", "lpar02"]);
    for (told, text) in [
        ("once the running engine has ended, ", &refused.stderr),
        ("once that run has ended, ", &ordered.stderr),
    ] {
        let ways = text.split(told).nth(1).unwrap_or_else(|| panic!("`{told}`: {text}"));
        assert!(!text.contains("`nimshift cancel"), "{text}");
        assert!(ways.starts_with("`nimshift resume` finishes lpar02"), "{text}");
        assert!(ways.contains("`nimshift rollback lpar02` takes it back"), "{text}");
    }
    assert_eq!(end(engine, said).0, Some(0));
    let again = world.copy();
    good(&world, 0, &["resume"]);
    assert_eq!(state_of(&world, "lpar02").as_deref(), Some("reboot_pending"));
    good(&again, 0, &["rollback", "lpar02"]);
    good(&again, 0, &["run", "grown.toml", "--client", "lpar02"]);
    assert_eq!(state_of(&again, "lpar02").as_deref(), Some("reboot_pending"));
}

#[test]
fn a_client_whose_checks_fail_does_not_join_with_preflight() {
    let world = world();
    world.write("grown.toml", &plan(&["lpar01", "lpar03"]));
    let missing =
        plan(&["lpar01", "lpar04"]).replace("\"lpar04\"", "\"lpar04\"\ndisks = [\"hdisk9\"]");
    world.write("missing.toml", &missing);
    let (engine, said) = running(&world, &["run", "first.toml"], "phase 1 clone");
    let refused = good(&world, 3, &["run", "--preflight", "missing.toml"]);
    assert!(refused.stdout.contains("1 client: 1 refused"), "{}", refused.stdout);
    good(&world, 0, &["run", "--preflight", "grown.toml"]);
    assert_eq!(end(engine, said).0, Some(0));
    assert_eq!(state_of(&world, "lpar04"), None);
    assert_eq!(clones(&world, "lpar03"), 1);
    sound(&world);
}

/// Hands `grown.toml` over, and gives the process that waits for the answer.
fn handing_over(world: &World) -> Child {
    let mut command = world.command(&["run", "grown.toml"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Stops an engine where it holds neither the lab nor the journal, so that others go on.
fn stop(world: &World, engine: &Child) {
    let is_free = || {
        let raw = rusqlite::Connection::open(world.state().join("journal.db")).unwrap();
        raw.busy_timeout(std::time::Duration::ZERO).unwrap();
        if raw.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err() {
            return false;
        }
        let mut look = world.command(&["lab", "digest"]);
        let mut look = look.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_free = (0..2_000).any(|_| !is_posted(world) && look.try_wait().unwrap().is_some());
        if !is_free {
            look.kill().unwrap();
            look.wait().unwrap();
        }
        is_free
    };
    until("an engine that holds nothing", || {
        signal(engine, "-STOP");
        let is_free = is_free();
        if !is_free {
            signal(engine, "-CONT");
        }
        is_free
    });
}

/// Whether work waits for an engine.
fn is_posted(world: &World) -> bool {
    let reader = Reader::open(&world.state()).unwrap();
    let pending = reader.pending_requests().unwrap();
    pending.iter().any(|request| request.kind == RequestKind::Run)
}

#[test]
fn who_is_interrupted_before_the_answer_is_told_that_what_was_asked_for_stands() {
    let world = world();
    world.write("grown.toml", &plan(&["lpar01", "lpar03"]));
    let (engine, said) = running(&world, &["run", "first.toml"], "phase 1 clone");
    stop(&world, &engine);
    let asks = |args: &[&str], name: &str, stands: &str| {
        let posted = || {
            let reader = Reader::open(&world.state()).unwrap();
            reader.pending_requests().unwrap().len()
        };
        let before = posted();
        let mut command = world.command(args);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        until("the request", || posted() > before);
        signal(&child, name);
        let (code, text) = told(child);
        assert_eq!(code, Some(5), "{args:?}: {text}");
        assert!(text.contains(stands), "{args:?}: {text}");
    };
    let stands = "lpar01: the engine has not answered yet; the order is journaled and will be";
    asks(&["hold", "lpar01"], "-INT", stands);
    asks(&["run", "grown.toml"], "-TERM", "the request is journaled and will be");
    signal(&engine, "-CONT");
    let (code, rest) = end(engine, said);
    assert_eq!(code, Some(4), "{rest}");
    assert_eq!(state_of(&world, "lpar01").as_deref(), Some("held"));
    assert_eq!(state_of(&world, "lpar03").as_deref(), Some("reboot_pending"));
}

#[test]
fn the_same_work_twice_is_begun_once() {
    let world = world();
    world.write("grown.toml", &plan(&["lpar01", "lpar03"]));
    let (engine, said) = running(&world, &["run", "first.toml"], "phase 1 clone");
    stop(&world, &engine);
    let asking = [handing_over(&world), handing_over(&world)];
    until("both requests", || {
        let reader = Reader::open(&world.state()).unwrap();
        reader.pending_requests().unwrap().len() == 2
    });
    signal(&engine, "-CONT");
    for asking in asking {
        let (code, rest) = told(asking);
        assert_eq!(code, Some(0), "{rest}");
    }
    let (code, rest) = end(engine, said);
    assert_eq!(code, Some(0), "{rest}");
    let rows = Reader::open(&world.state()).unwrap().migrations(None).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(clones(&world, "lpar03"), 1);
    sound(&world);
}

fn told(mut child: Child) -> (Option<i32>, String) {
    let said = child.stderr.take().unwrap();
    end(child, said)
}

#[test]
fn what_a_killed_engine_was_handed_is_neither_lost_nor_begun_twice() {
    // Before it took it, with and without the one who asked; and after.
    for (taken, waits) in [(false, false), (false, true), (true, true)] {
        let world = world();
        world.write("grown.toml", &plan(&["lpar01", "lpar03"]));
        let (mut engine, said) = running(&world, &["run", "first.toml"], "phase 1 clone");
        if !taken {
            stop(&world, &engine);
        }
        let mut asking = handing_over(&world);
        if taken {
            until("its begin", || state_of(&world, "lpar03").is_some());
        } else {
            until("the request", || is_posted(&world));
        }
        if !waits {
            asking.kill().unwrap();
        }
        signal(&engine, "-KILL");
        engine.wait().unwrap();
        drop(said);
        let (code, rest) = told(asking);
        if waits {
            assert_eq!(code, Some(5), "{rest}");
            assert!(rest.contains("the engine ended "), "{rest}");
            assert!(rest.contains("`nimshift resume`"), "{rest}");
        }
        assert_eq!(state_of(&world, "lpar03").is_some(), taken);

        for goes_on in ["resume", "run"] {
            let args = if goes_on == "run" { vec!["run", "grown.toml"] } else { vec!["resume"] };
            good(&world, 0, &args);
            let rows = Reader::open(&world.state()).unwrap().migrations(None).unwrap();
            assert_eq!(rows.len(), 2, "{goes_on}: nothing is lost or begun twice");
            for client in ["lpar01", "lpar03"] {
                assert_eq!(state_of(&world, client).as_deref(), Some("reboot_pending"));
                let copies = (clones(&world, client), has_copy(&world, client));
                assert_eq!(copies, (1, true), "{goes_on}: {client}");
            }
        }
        assert!(!is_posted(&world));
        sound(&world);
    }
}

#[test]
fn work_that_was_handed_to_a_dead_engine_hits_no_order_and_no_later_batch() {
    let world = world();
    world.write("grown.toml", &plan(&["lpar01", "lpar03"]));
    world.write("later.toml", &plan(&["lpar04"]));
    let (mut engine, said) = running(&world, &["run", "first.toml"], "phase 1 clone");
    for later in ["order", "batch"] {
        if later == "order" {
            stop(&world, &engine);
            let mut asking = handing_over(&world);
            until("the request", || is_posted(&world));
            asking.kill().unwrap();
            asking.wait().unwrap();
            signal(&engine, "-KILL");
            engine.wait().unwrap();
            good(&world, 0, &["cancel", "--all"]);
        } else {
            // A plan of the same name, and nothing of the batch that was meant.
            let raw = rusqlite::Connection::open(world.state().join("journal.db")).unwrap();
            raw.execute("UPDATE request SET answer = NULL WHERE kind = 'run'", []).unwrap();
            drop(raw);
            assert!(is_posted(&world));
            good(&world, 0, &["run", "later.toml"]);
        }
        assert!(!is_posted(&world), "{later}: it was answered");
        assert_eq!(state_of(&world, "lpar03"), None, "{later}");
        assert_eq!(clones(&world, "lpar03"), 0, "{later}");
    }
    drop(said);
    sound(&world);
}

#[test]
fn a_retry_that_begins_anew_joins_the_run_and_one_that_cannot_hinders_no_other() {
    let world = world();
    let alien = |client: &str, verb: &[&str]| {
        let mut args = vec!["lab", "exec", client, "--"];
        args.extend(verb);
        good(&world, 0, &args);
    };
    for client in ["lpar02", "lpar03"] {
        alien(client, &["mkdir", "-p", "/var/adm/nimshift"]);
        alien(client, &["ln", "-s", "other.m1", "/var/adm/nimshift/lease"]);
    }
    // One that was refused in a batch that is over.
    world.write("over.toml", &plan(&["lpar03"]).replace("small", "over"));
    good(&world, 3, &["run", "over.toml"]);
    world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
    let (engine, said) = running(&world, &["run", "plan.toml"], "phase 1 clone");
    until("the refusal", || state_of(&world, "lpar02").as_deref() == Some("refused"));
    for client in ["lpar02", "lpar03"] {
        alien(client, &["rm", "-f", "/var/adm/nimshift/lease"]);
    }
    let retried = good(&world, 2, &["retry", "--all", "--yes"]);
    assert_eq!(retried.stdout, "lpar02: was refused; a new migration joins the run\n");
    for told in [
        "lpar03 is refused; the running engine did not start it again",
        "then `nimshift retry lpar03`",
    ] {
        assert!(retried.stderr.contains(told), "`{told}`: {}", retried.stderr);
    }
    let (code, rest) = end(engine, said);
    assert_eq!(code, Some(0), "{rest}");
    assert_eq!(state_of(&world, "lpar02").as_deref(), Some("reboot_pending"));
    assert_eq!((clones(&world, "lpar02"), clones(&world, "lpar03")), (1, 0));
    good(&world, 0, &["retry", "lpar03"]);
    assert_eq!(clones(&world, "lpar03"), 1);
    sound(&world);
}
