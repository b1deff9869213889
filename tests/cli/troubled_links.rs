//! A night over a real ssh whose clients have trouble: links that are cut,
//! sshds that end, hosts that boot, each in a phase of its own. Every migration
//! ends as designed, and nobody waits for another's trouble.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;

use super::nights::{now, outcome};
use super::ssh_lab::SshLab;
use super::world::{World, plan};

/// Seconds of the lab in a real one: phases must last until they are seen.
const SCALE: &str = "600";

/// Phases in which links are cut.
const PHASES: [u64; 5] = [1, 3, 6, 9, 11];

/// For how many seconds: one that nobody notices, one beyond the patience of
/// ssh, and in a soak one beyond that of a connection's tries.
fn lengths() -> &'static [u64] {
    if std::env::var_os("NIMSHIFT_SOAK").is_some() { &[1, 30, 120] } else { &[1, 12] }
}

/// The whole night must end within.
fn patience() -> Duration {
    Duration::from_secs(if std::env::var_os("NIMSHIFT_SOAK").is_some() { 540 } else { 300 })
}

/// A trouble that comes when its client is in the phase.
#[derive(Debug, Clone)]
struct Trouble {
    phase: u64,
    name: &'static str,
    host: Option<&'static str>,
    seconds: Option<u64>,
}

/// Who has which trouble; those without any come last.
fn troubles() -> Vec<(String, Option<Trouble>)> {
    let mut all = Vec::new();
    for phase in PHASES {
        for seconds in lengths() {
            all.push(Trouble { phase, name: "link-cut", host: None, seconds: Some(*seconds) });
        }
    }
    all.push(Trouble { phase: 1, name: "sshd-kill", host: None, seconds: Some(8) });
    all.push(Trouble { phase: 5, name: "sshd-kill", host: Some("nim1"), seconds: Some(4) });
    for phase in [1, 11] {
        all.push(Trouble { phase, name: "host-reboot", host: None, seconds: None });
    }
    let troubled = all.into_iter().map(Some);
    let named = troubled.chain([None, None]).enumerate();
    named.map(|(at, trouble)| (format!("lpar{:02}", at + 1), trouble)).collect()
}

fn plan_of(clients: &[(String, Option<Trouble>)]) -> String {
    let names: Vec<&str> = clients.iter().map(|(name, _)| name.as_str()).collect();
    let count = names.len();
    let mut text = plan(&names);
    let limits = format!(
        "[limits]\nmigrations = {count}\nphases = {{ clone = {count}, migrate-base = {count} }}\n\
         [retry]\nattempts = 9\ndelay = \"1s\"\ndelay_max = \"20s\"\n[defaults]\n"
    );
    text = text.replace("[defaults]\n", &limits);
    writeln!(text, "# {count} clients").unwrap();
    text
}

/// When each migration was in which phase, by its journal.
fn stays(lab: &SshLab, client: &str) -> Vec<(u64, u64, u64)> {
    let history = lab.run(&["history", client, "--json"]);
    assert_eq!(history.code, 0, "{}", history.stderr);
    let history: Json = serde_json::from_str(&history.stdout).unwrap();
    let number = |name: &str| {
        nimshift::domain::Phase::ALL.iter().position(|phase| phase.name() == name).unwrap() as u64
            + 1
    };
    let attempts = history["entries"].as_array().unwrap().iter().filter_map(|entry| {
        let phase = entry["ticket"]["phase"].as_str()?;
        let began = entry["attempt"]["started_ms"].as_u64()?;
        Some((number(phase), began, entry["at_ms"].as_u64()?))
    });
    attempts.collect()
}

fn now_ms() -> u64 {
    use nimshift::base::Clock as _;
    nimshift::base::SystemClock.now_ms()
}

/// Lets the trouble come as its clients get there. When each came.
fn make_trouble(
    lab: &SshLab,
    clients: &[(String, Option<Trouble>)],
    night: &mut std::process::Child,
) -> BTreeMap<String, u64> {
    let mut came = BTreeMap::new();
    let began = now();
    while night.try_wait().unwrap().is_none() {
        if began.elapsed() > patience() {
            let status = lab.run(&["status"]);
            night.kill().unwrap();
            panic!("the night hangs: {}{}", status.stdout, status.stderr);
        }
        for migration in lab.status() {
            let client = migration["client"].as_str().unwrap();
            let trouble = clients.iter().find(|(name, _)| name == client).unwrap().1.as_ref();
            let Some(trouble) = trouble.filter(|_| !came.contains_key(client)) else { continue };
            let phase = migration["phase_number"].as_u64();
            if phase != Some(trouble.phase) || migration["state"] != "executing" {
                continue;
            }
            let seconds = trouble.seconds.map(|seconds| seconds.to_string());
            let more: Vec<&str> =
                seconds.iter().flat_map(|seconds| ["--seconds", seconds]).collect();
            let at = now_ms();
            lab.trouble(trouble.name, trouble.host.unwrap_or(client), &more);
            came.insert(client.to_owned(), at);
        }
    }
    came
}

#[test]
fn every_migration_ends_as_designed_and_waits_for_no_other() {
    let clients = troubles();
    let text = plan_of(&clients);
    let Some(lab) = SshLab::up(&text, SCALE) else { return };
    let mut night = lab.world.command(&["run", "ssh.toml"]);
    let mut night = night.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let came = make_trouble(&lab, &clients, &mut night);
    let code = night.wait().unwrap().code();
    let ended = outcome(&lab.world);
    for (client, trouble) in &clients {
        let Some(trouble) = trouble else { continue };
        let told = format!("{client}, {trouble:?}");
        let at = *came.get(client).unwrap_or_else(|| panic!("{told}: it never came"));
        let until = at + trouble.seconds.unwrap_or(0) * 1000;
        let stays = stays(&lab, client);
        let met = |(phase, from, to): &&(u64, u64, u64)| {
            *phase == trouble.phase && *from <= until && *to >= at
        };
        assert!(stays.iter().any(|stay| met(&stay)), "{told} at {at}: {stays:?}");
        eprintln!("{told}: {}", ended.clients[client]);
    }
    // All of it passes: every client gets there.
    assert_eq!(code, Some(0), "{:?}", ended.clients);
    let quiet = World::in_memory();
    quiet.write("plan.toml", &text);
    let ran = quiet.run(&["run", "plan.toml", "--time-scale", "4000"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ended.digest, outcome(&quiet).digest);
    // Those without trouble needed one attempt at each step, and ended before
    // those with the longest.
    let ends = |client: &str| stays(&lab, client).iter().map(|stay| stay.2).max().unwrap();
    let longest = lengths().iter().max().unwrap();
    let is_long = |trouble: &Trouble| trouble.seconds == Some(*longest) && trouble.phase > 1;
    let last = clients
        .iter()
        .filter(|(_, trouble)| trouble.as_ref().is_some_and(is_long))
        .map(|(client, _)| ends(client))
        .max()
        .unwrap();
    for (client, _) in clients.iter().filter(|(_, trouble)| trouble.is_none()) {
        assert!(ends(client) < last, "{client} waited for the others");
    }
}
