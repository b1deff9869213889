//! Status, history and summary of a journal that is made by hand, with steps
//! and times that do not change.

use std::sync::Arc;

use super::world::World;
use nimshift::domain::{
    AttemptRecord, Cause, CommandRecord, FailureClass, MigrationSpec, Phase, Presence, Repeat,
    Residue, StepName, StepSpec, Ticket, UndoKind, Way, parse_plan,
};
use nimshift::journal::{Append, Journal, NewBatch, NewMigration, OpenOptions};
use nimshift::machine::{Blueprint, Effect, Event, EventKind, Machine, Operator};

/// Far ahead, so that no time has passed since, whenever the test runs.
const EVENING: u64 = 4_102_524_000_000;

const CLIENTS: [&str; 8] =
    ["lpar01", "lpar02", "lpar03", "lpar04", "lpar05", "lpar06", "lpar71", "lpar72"];

fn specs() -> Vec<MigrationSpec> {
    let text = super::world::plan(&CLIENTS);
    parse_plan("plan.toml", &text, false).unwrap().migrations
}

fn blueprint(spec: &MigrationSpec) -> Arc<Blueprint> {
    let step = |phase, name, repeat, undo, gate| StepSpec {
        phase,
        step: StepName::new(name),
        repeat,
        undo,
        gate,
    };
    let steps = vec![
        step(Phase::Clone, "check-client", Repeat::Safe, UndoKind::Nothing, true),
        step(Phase::Clone, "take-lease", Repeat::Safe, UndoKind::Reverse, false),
        step(Phase::Clone, "clone-rootvg", Repeat::AfterUndo, UndoKind::Reverse, false),
        step(Phase::MigrateFilesets, "install-filesets", Repeat::Never, UndoKind::Nothing, false),
        step(Phase::Finish, "set-bootlist", Repeat::Safe, UndoKind::Reverse, false),
    ];
    Arc::new(Blueprint::new(spec, steps).unwrap())
}

/// One migration, told event by event, a minute apart.
struct Teller<'a> {
    journal: &'a Journal,
    id: nimshift::domain::MigrationId,
    machine: Machine,
    seq: u64,
    now: u64,
}

impl Teller<'_> {
    fn tell(&mut self, kind: EventKind, record: Option<(Ticket, AttemptRecord)>) {
        let event = Event { at_ms: self.now, kind };
        let transition = self.machine.apply(&event).unwrap();
        let append = Append {
            migration: self.id,
            expected_seq: self.seq,
            event,
            to: transition.to,
            effects: transition.effects,
            record,
            request: None,
        };
        self.journal.append(append).unwrap();
        self.seq += 1;
        self.now += 60_000;
    }

    fn wanted(&self) -> Ticket {
        match &self.machine.wanted()[0] {
            Effect::Run { ticket, .. } | Effect::Sleep { ticket, .. } => ticket.clone(),
            Effect::Interrupt { .. } => panic!("nothing is run"),
        }
    }

    fn record(&self, line: &str, status: i32, output: &str) -> AttemptRecord {
        AttemptRecord {
            host: "lpar".into(),
            started_ms: self.now - 55_000,
            ended_ms: self.now,
            way: if line.is_empty() { Way::Looked } else { Way::Ran },
            before: None,
            after: (status != 0).then_some(Presence::Partial),
            commands: [line]
                .iter()
                .filter(|line| !line.is_empty())
                .map(|line| (line, line.starts_with("alt_disk") || line.starts_with("installp")))
                .map(|(line, is_long)| CommandRecord {
                    line: (*line).to_owned(),
                    status: Some(status),
                    output: output.to_owned(),
                    took_s: Some(if is_long { 54 } else { 0 }),
                    host: None,
                })
                .collect(),
            looks: Vec::new(),
            evidence: if status == 0 { Vec::new() } else { vec!["00ff".into()] },
        }
    }

    fn done(&mut self, line: &str) {
        let ticket = self.wanted();
        let record = self.record(line, 0, "");
        let kind = EventKind::Succeeded { ticket: ticket.clone(), facts: None };
        self.tell(kind, Some((ticket, record)));
    }

    fn failed(&mut self, line: &str, output: &str, cause: Cause) {
        let ticket = self.wanted();
        let record = self.record(line, 1, output);
        let retry_at_ms = self.now + 30_000;
        let kind = EventKind::Failed {
            ticket: ticket.clone(),
            cause,
            trace: Residue::Left,
            retry_at_ms,
            facts: None,
        };
        self.tell(kind, Some((ticket, record)));
    }
}

fn by(name: &str) -> Operator {
    Operator(name.to_owned())
}

fn no_space() -> Cause {
    Cause {
        class: FailureClass::Permanent,
        message: Some("0503-008".into()),
        text: "installp: There is not enough free disk space".into(),
        hint: Some("enlarge /usr on the client by 500 MB".into()),
    }
}

/// A journal with a client in each of the ways that a night can take.
fn night(world: &World) {
    night_of(world, "lab");
}

/// The same on hosts of `kind`.
fn night_of(world: &World, kind: &str) {
    let (journal, _) = Journal::open(&world.state(), &OpenOptions::new("h", 1, EVENING)).unwrap();
    let specs = specs();
    let batch = NewBatch {
        name: "night".into(),
        digest: "d1".into(),
        plan_text: String::new(),
        created_ms: EVENING,
        operator: "op@h".into(),
        estate: serde_json::json!({"kind": kind, "limits": {"migrations": 4, "phases": {}}}),
    };
    let migrations = specs
        .into_iter()
        .zip(1..)
        .map(|(spec, number)| NewMigration {
            client: spec.client.clone(),
            number,
            blueprint: blueprint(&spec),
            spec: Arc::new(spec),
            skipped_phases: Vec::new(),
        })
        .collect::<Vec<_>>();
    let blueprints: Vec<_> = migrations.iter().map(|one| Arc::clone(&one.blueprint)).collect();
    let (_, ids) = journal.create_batch(&batch, migrations).unwrap();
    for (index, (id, blueprint)) in ids.into_iter().zip(blueprints).enumerate() {
        let machine = Machine::new(blueprint);
        let mut teller = Teller { journal: &journal, id, machine, seq: 0, now: EVENING };
        live(index, &mut teller);
    }
    journal.flush().unwrap();
    journal.close().unwrap();
}

fn live(index: usize, teller: &mut Teller<'_>) {
    if index == 5 {
        return;
    }
    teller.tell(EventKind::Begin, None);
    if index == 4 {
        let text = "hdisk1 holds datavg, which is not ours";
        let cause = Cause::new(FailureClass::Permanent, text).with_hint("name a free disk");
        return teller.failed("", "", cause);
    }
    teller.done("");
    teller.done("ln -s owner /var/adm/nimshift/lease");
    teller.done("alt_disk_copy -M 7.3 -P1 -d hdisk1");
    match index {
        0 => {
            teller.done("installp -acgNXY all");
            teller.done("bootlist -m normal hdisk1");
        }
        1 => {
            teller.failed("installp -acgNXY all", "0503-008 installp:\n  no space\n", no_space());
            // Its jobs are ended, and nothing is left of it by itself.
            teller.done("");
            teller.done("alt_rootvg_op -X altinst_rootvg");
            teller.done("rm -f /var/adm/nimshift/lease");
        }
        2 => {
            let cause = Cause::new(FailureClass::Transient, "the connection to nim1 was lost");
            let said = "0503-999 installp: a message of tomorrow\n";
            teller.failed("installp -acgNXY all", said, cause);
        }
        6 | 7 => {
            let ticket = teller.wanted();
            teller.tell(EventKind::NoPlace { ticket }, None);
        }
        _ => teller.tell(EventKind::Hold { by: by("op@h") }, None),
    }
}

/// Without the time now.
fn timeless(text: &str) -> String {
    let text = regex::Regex::new(r"now 2\S+Z").unwrap().replace_all(text, "now [NOW]");
    let text = regex::Regex::new(r#""now_ms": \d+"#).unwrap().replace_all(&text, "\"now_ms\": 0");
    text.into_owned()
}

#[test]
fn the_table_of_a_night() {
    let world = World::new();
    night(&world);
    insta::assert_snapshot!("status", timeless(&world.shown(&["status"])));
}

#[test]
fn a_watch_without_an_engine_looks_once() {
    let world = World::new();
    night(&world);
    let watched = world.run(&["status", "--watch"]);
    assert_eq!(watched.code, 0, "{}", watched.stderr);
    assert_eq!(timeless(&watched.stdout), timeless(&world.run(&["status"]).stdout));
}

#[test]
fn the_document_of_a_night() {
    let world = World::new();
    night(&world);
    insta::assert_snapshot!("status_json", timeless(&world.shown(&["status", "--json"])));
}

/// A lab that stands beside real hosts has another clock.
#[test]
fn real_hosts_are_told_by_the_real_clock() {
    let world = World::new();
    world.write("plan.toml", &super::world::plan(&["lpar01"]));
    let up = world.run(&["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
    night_of(&world, "ssh");
    let ran = world.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let now = nimshift::base::SystemClock::read_ms();
    assert!(status["now_ms"].as_u64().unwrap().abs_diff(now) < 3_600_000, "{}", ran.stdout);
}

#[test]
fn stories_of_a_night() {
    let world = World::new();
    night(&world);
    let stories: Vec<String> =
        CLIENTS.iter().map(|client| timeless(&world.shown(&["history", client]))).collect();
    insta::assert_snapshot!("history", stories.join("\n"));
}

#[test]
fn the_document_of_a_story_has_every_entry() {
    let world = World::new();
    night(&world);
    let ran = world.run(&["history", "lpar02", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["version"], 2);
    let events: Vec<&str> = document["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["event"]["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "begin",
            "succeeded",
            "succeeded",
            "succeeded",
            "failed",
            "succeeded",
            "succeeded",
            "succeeded"
        ]
    );
    assert_eq!(document["migration"]["cause"]["message"], "0503-008");
    let exported = world.run(&["journal", "export", "lpar02"]).stdout;
    assert_eq!(exported.lines().count(), 9, "{exported}");
}

#[test]
fn what_cannot_be_found_is_said_with_the_nearest() {
    let world = World::new();
    night(&world);
    insta::assert_snapshot!(
        "not_found",
        [
            world.shown(&["history", "lpar07"]),
            world.shown(&["history", "lpar01", "--number", "2"]),
            world.shown(&["resume"]),
            world.shown(&["status", "--batch", "other"]),
        ]
        .join("\n")
    );
}

#[test]
fn the_summary_of_a_night() {
    use nimshift::journal::Reader;
    use nimshift::report::{MigrationView, Story, summary_lines};
    let world = World::new();
    night(&world);
    let reader = Reader::open(&world.state()).unwrap();
    let stories: Vec<Story> = reader
        .migrations(None)
        .unwrap()
        .into_iter()
        .map(|row| Story {
            found: Vec::new(),
            before: None,
            entries: reader.history(row.id).unwrap(),
            view: MigrationView {
                id: row.id,
                batch: "night".into(),
                blueprint: Arc::new(reader.blueprint(row.id).unwrap()),
                spec: Arc::new(reader.spec(row.id).unwrap()),
                client: row.client,
                number: 1,
                state: row.state,
                since_ms: row.updated_ms,
                cleaned_ms: None,
                seen: None,
                is_silent: false,
                is_archived: false,
                is_gone: false,
            },
        })
        .collect();
    let lines = summary_lines(&stories, EVENING + 600_000);
    insta::assert_snapshot!("summary", lines.join("\n"));
}
