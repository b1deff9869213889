//! One night: an estate, a journal, and lives of an engine over it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use nimshift::base::{Clock as _, ClockRef, Millis};
use nimshift::domain::{Control, CopySeen, MigrationSpec, Presence, StepName};
use nimshift::engine::{
    Delays, Ended, Engine, EngineLimits, Observer, SlotView, StepPerformer, stop_handle,
};
use nimshift::journal::{
    Append, Durability, Journal, Loaded, NewBatch, NewMigration, OpenOptions, Reader,
};
use nimshift::lab::{EstateFile, Fault, Lab};
use nimshift::machine::{Blueprint, Event, EventKind, State};
use nimshift::phases::{EvidenceSink, LeftBy, left, look_at_copy, plan_steps};
use nimshift::report::{Detail, MigrationView, Story, asked_after, history_lines};
use nimshift::transport::{HostId, Transport as _};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::clock::NightClock;
use super::sample::Sample;

/// 2026-03-02T20:00:00Z
const EVENING_MS: u64 = 1_772_481_600_000;

/// After it, whatever booted is up, and every network is whole again.
const REST_MS: Millis = 6 * 3_600_000;

/// How one life of an engine ended.
#[derive(Debug)]
pub(crate) enum LifeEnd {
    /// By itself.
    Ended(Ended),
    /// It was killed.
    Killed,
    /// It could not go on.
    Stuck(&'static str),
}

impl std::fmt::Display for LifeEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LifeEnd::Ended(ended) => write!(f, "{ended:?}"),
            LifeEnd::Killed => f.write_str("killed"),
            LifeEnd::Stuck(why) => f.write_str(why),
        }
    }
}

impl LifeEnd {
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self, LifeEnd::Ended(Ended::AtRest))
    }
}

pub(crate) struct Night {
    pub(crate) lab: Lab,
    clock: Arc<NightClock>,
    options: OpenOptions,
    limits: EngineLimits,
    dir: tempfile::TempDir,
    /// The faults, as often as they have happened, once they are gone.
    met: RefCell<Vec<Fault>>,
    /// Whom a person has booted, each time.
    by_hand: RefCell<Vec<String>>,
    runtime: tokio::runtime::Runtime,
}

/// Evidence is not looked at.
struct Forgotten;

impl EvidenceSink for Forgotten {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<String, String> {
        Ok(format!("{name}-{}", bytes.len()))
    }
}

impl Night {
    /// An estate, and a journal with the migrations that `specs` ask for.
    pub(crate) fn new(sample: &Sample, estate: &EstateFile, specs: Vec<MigrationSpec>) -> Night {
        let clock = NightClock::starting_at(EVENING_MS);
        let shared: ClockRef = clock.clone();
        let lab = Lab::in_memory(estate, shared).expect("an estate");
        let mut options = OpenOptions::new("soak", 1, EVENING_MS);
        // The power does not fail here.
        options.durability = Durability::Lax;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let dir = tempfile::tempdir().expect("a folder");
        let limits = limits_of(sample);
        let night = Night {
            lab,
            clock,
            options,
            limits,
            dir,
            met: RefCell::default(),
            by_hand: RefCell::default(),
            runtime,
        };
        let (journal, _) = night.open();
        night.begin(&journal, specs.into_iter().map(|spec| (1, Arc::new(spec))).collect());
        journal.close().expect("a clean end");
        night
    }

    fn open(&self) -> (Journal, Vec<Loaded>) {
        let (journal, loaded) = Journal::open(self.dir.path(), &self.options).expect("the journal");
        (journal, latest(loaded))
    }

    fn begin(&self, journal: &Journal, specs: Vec<(u32, Arc<MigrationSpec>)>) {
        let batch = NewBatch {
            name: "soak".to_owned(),
            digest: "0".to_owned(),
            plan_text: String::new(),
            created_ms: self.clock.now_ms(),
            operator: "soak".to_owned(),
            estate: Value::Null,
        };
        let migrations = specs.into_iter().map(|(number, spec)| {
            let plan = plan_steps(&spec);
            NewMigration {
                client: spec.client.clone(),
                number,
                blueprint: Arc::new(Blueprint::new(&spec, plan.steps).expect("a blueprint")),
                spec,
                skipped_phases: plan.skipped,
            }
        });
        journal.create_batch(&batch, migrations.collect()).expect("a batch");
    }

    /// One life of an engine, which may end with its entry `killed_at`.
    pub(crate) fn live(&self, killed_at: Option<u64>) -> LifeEnd {
        let (journal, loaded) = self.open();
        let said = journal.acks().expect("taken once");
        let (told, acks) = mpsc::unbounded_channel();
        let dead = Arc::new(Notify::new());
        let mut counts = Counts { left: killed_at, dead: Arc::clone(&dead) };
        let performer = StepPerformer {
            transport: Arc::new(self.lab.clone()),
            clock: self.clock.clone(),
            evidence: Arc::new(Forgotten),
            scope: journal.scope().to_owned(),
            control: Control {
                host: "soak".to_owned(),
                batch: String::new(),
                epoch: journal.epoch(),
                ..Control::default()
            },
            batches: Arc::default(),
        };
        let (_stop, stopped) = stop_handle();
        let engine = Engine {
            journal: &journal,
            acks,
            performer: Arc::new(performer),
            clock: self.clock.clone(),
            observer: &mut counts,
            requests: None,
            stop: stopped,
        };
        let ended = self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = dead.notified() => LifeEnd::Killed,
                ended = engine.run(loaded, &self.limits, Delays::seeded(1)) => LifeEnd::Ended(ended),
                why = self.clock.drive(&journal, said, told) => LifeEnd::Stuck(why),
            }
        });
        // What was on its way to the disk arrives.
        journal.flush().expect("a journal that writes");
        if matches!(ended, LifeEnd::Killed) {
            drop(journal);
        } else {
            journal.close().expect("a clean end");
        }
        ended
    }

    /// Time passes with no engine.
    pub(crate) fn pass(&self, ms: Millis) {
        self.clock.pass(ms);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn clear_faults(&self) {
        *self.met.borrow_mut() = self.lab.faults().expect("the faults");
        self.lab.clear_faults().expect("a lab");
    }

    /// What went wrong, and how often.
    pub(crate) fn faults_met(&self) -> Vec<Fault> {
        self.met.borrow().clone()
    }

    /// How often a person has booted a client.
    pub(crate) fn boots_told(&self, client: &str) -> u32 {
        let booted = self.by_hand.borrow().iter().filter(|one| *one == client).count();
        u32::try_from(booted).expect("a number")
    }

    /// Time passes until all hosts are at rest.
    pub(crate) fn rests(&self) {
        self.pass(REST_MS);
    }

    /// Gives an order with no engine running, as the program does. False: it is
    /// refused.
    pub(crate) fn order(&self, client: &str, event: EventKind) -> bool {
        let (journal, loaded) = self.open();
        let mut one = loaded.into_iter().find(|one| one.client == client).expect("a client");
        let event = Event { at_ms: self.clock.now_ms(), kind: event };
        let Ok(transition) = one.machine.apply(&event) else { return false };
        let mut acks = journal.acks().expect("taken once");
        journal
            .append(Append {
                migration: one.id,
                expected_seq: one.seq,
                event,
                to: transition.to,
                effects: transition.effects,
                record: None,
                request: None,
            })
            .expect("a journal that writes");
        journal.flush().expect("a journal that writes");
        for ack in acks.try_recv().expect("an answer") {
            ack.result.expect("an entry that is stored");
        }
        journal.close().expect("a clean end");
        true
    }

    /// A person sets the bootlist to `disks`, and boots the client.
    pub(crate) fn boots_by_hand(&self, client: &str, disks: &[String]) {
        let words = ["bootlist", "-m", "normal"].map(str::to_owned);
        let words: Vec<String> = words.into_iter().chain(disks.iter().cloned()).collect();
        self.lab.exec_words(client, &words).expect("an answer");
        self.lab.boot_host(client, None).expect("a host");
        self.by_hand.borrow_mut().push(client.to_owned());
        self.rests();
    }

    /// A new migration of a client whose last one has changed nothing.
    pub(crate) fn begin_anew(&self, client: &str) {
        let (journal, loaded) = self.open();
        let one = loaded.into_iter().find(|one| one.client == client).expect("a client");
        self.begin(&journal, vec![(one.number, Arc::new(one.spec.from_the_start()))]);
        journal.close().expect("a clean end");
    }

    pub(crate) fn image(&self) -> Value {
        self.lab.image().expect("an image")
    }

    fn reader(&self) -> Reader {
        Reader::open(self.dir.path()).expect("a journal")
    }

    /// The estate's digest, and a line for each entry of the journal, without its texts.
    pub(crate) fn record(&self) -> String {
        let reader = self.reader();
        let mut lines = vec![self.lab.digest().expect("a digest")];
        for row in reader.migrations(None).expect("migrations") {
            lines.extend(reader.history(row.id).expect("a history").iter().map(|entry| {
                let (ms, event, state) = (entry.event.at_ms, entry.event.kind.name(), &entry.state);
                format!("{} {ms} {event} {}", row.client, state.name())
            }));
        }
        lines.join("\n")
    }

    /// The latest migration of each client.
    pub(crate) fn views(&self) -> Vec<MigrationView> {
        let mut latest = BTreeMap::new();
        for view in self.all_views() {
            latest.insert(view.client.clone(), view);
        }
        latest.into_values().collect()
    }

    /// All migrations.
    pub(crate) fn all_views(&self) -> Vec<MigrationView> {
        let reader = self.reader();
        let mut rows = reader.migrations(None).expect("migrations");
        rows.sort_by_key(|row| row.id);
        let view = |row: nimshift::journal::MigrationRow| MigrationView {
            id: row.id,
            batch: "soak".to_owned(),
            client: row.client,
            number: row.number,
            state: row.state,
            blueprint: Arc::new(reader.blueprint(row.id).expect("a blueprint")),
            spec: Arc::new(reader.spec(row.id).expect("a spec")),
            since_ms: row.updated_ms,
            cleaned_ms: None,
            seen: None,
            is_silent: false,
            is_archived: false,
            is_gone: false,
        };
        rows.into_iter().map(view).collect()
    }

    /// All that happened to a migration.
    pub(crate) fn story(&self, view: MigrationView) -> Story {
        let entries = self.reader().history(view.id).expect("a history");
        let mut story = Story { view, entries, found: Vec::new(), before: None };
        let (found, seen) = self.asked(&story);
        story.found = found;
        story.view.seen = seen;
        story
    }

    /// What the hosts say that is left on them, and of the copy, as the program asks
    /// them before it tells.
    fn asked(&self, story: &Story) -> (Vec<(StepName, Presence)>, Option<CopySeen>) {
        let steps = asked_after(story);
        let changes_client = story.view.spec.task.changes_client();
        let has_ended =
            matches!(story.view.state, State::Migrated { .. } | State::RolledBack { .. });
        if steps.is_empty() && !(changes_client && has_ended) {
            return (Vec::new(), None);
        }
        let spec = &story.view.spec;
        let first = spec.part.as_ref().map_or(story.view.id, |part| part.first);
        let by = LeftBy {
            spec,
            facts: &story.facts(),
            owner: &format!("{}.{first}", self.reader().scope().expect("a scope")),
            control: &Control::default(),
            now_ms: self.clock.now_ms(),
        };
        let clock = Arc::clone(&self.clock);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                said = async {
                    let found = left(&self.lab, by, &steps).await;
                    (found, if changes_client { look_at_copy(&self.lab, by).await } else { None })
                } => said,
                () = clock.alone() => (Vec::new(), None),
            }
        })
    }

    /// Every attempt of a migration, in lines.
    pub(crate) fn told(&self, view: &MigrationView) -> String {
        history_lines(&self.story(view.clone()), self.clock.now_ms(), Detail::All).join("\n")
    }

    /// How many entries the journal has.
    pub(crate) fn entries(&self) -> u64 {
        let rows = self.reader().migrations(None).expect("migrations");
        rows.iter().map(|row| row.seq).sum()
    }

    /// What a replay of the journal finds wrong.
    pub(crate) fn replay(&self) -> Vec<String> {
        match nimshift::journal::verify(self.dir.path()) {
            Ok(_) => Vec::new(),
            Err(differences) => differences.iter().map(|one| format!("journal: {one}")).collect(),
        }
    }

    /// Jobs of a migration that have not ended on `host`.
    pub(crate) fn unfinished(&self, view: &MigrationView, host: &HostId) -> Vec<String> {
        let scope = self.reader().scope().expect("a scope");
        let prefix = format!("{scope}.{}.", view.id);
        let clock = Arc::clone(&self.clock);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                jobs = self.lab.unfinished(host, &prefix) => match jobs {
                    Ok(jobs) => jobs.iter().map(ToString::to_string).collect(),
                    // A host that is down is found by others.
                    Err(_) => Vec::new(),
                },
                () = clock.alone() => Vec::new(),
            }
        })
    }
}

/// As a run of the program holds them.
fn limits_of(sample: &Sample) -> EngineLimits {
    let number = |number: u32| usize::try_from(number).expect("a number");
    let limits = &sample.plan.limits;
    let all = EngineLimits::of_migrations(number(limits.migrations));
    limits.phases.iter().fold(all, |all, (phase, count)| all.with_phase(*phase, number(*count)))
}

/// The latest migration of each client.
fn latest(loaded: Vec<Loaded>) -> Vec<Loaded> {
    let mut latest = BTreeMap::new();
    for one in loaded {
        match latest.get(&one.client) {
            Some(Loaded { id, .. }) if *id > one.id => {}
            _ => {
                latest.insert(one.client.clone(), one);
            }
        }
    }
    let mut latest: Vec<Loaded> = latest.into_values().collect();
    latest.sort_by_key(|one| one.id);
    latest
}

/// Kills when so many entries are stored.
struct Counts {
    left: Option<u64>,
    dead: Arc<Notify>,
}

impl Observer for Counts {
    fn moved(&mut self, _now_ms: u64, _view: SlotView<'_>, _from: &State) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.dead.notify_one();
            }
        }
    }
}
