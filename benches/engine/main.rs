//! How many durable steps a second the whole engine makes, against a floor
//! measured in the same run: raw SQLite with the same tables, the same rows,
//! the same durability and group commit, and no engine.
//!
//! `cargo bench --bench engine` prints a table. `-- --quick` does less of all.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nimshift::base::{Clock as _, ClockRef, SystemClock};
use nimshift::domain::{
    Aim, Answer, AttemptRecord, BootFailure, Driver, Facts, FailurePolicy, MigrationSpec, Mode,
    NimName, Options, Outcome, Phase, Presence, Repeat, RetryPolicy, StepName, StepSpec, Target,
    Task, UndoKind, Way,
};
use nimshift::engine::{
    Delays, Ended, Engine, EngineLimits, Observer, Performer, PerformerFuture, SlotView,
    stop_handle,
};
use nimshift::journal::{Journal, JournalDir, Loaded, NewBatch, NewMigration, OpenOptions};
use nimshift::machine::{Blueprint, DECISIONS, Machine, State};
use nimshift::phases::Order;

mod floor;
mod memory;

/// Answers at once.
struct Nothing;

impl Performer for Nothing {
    fn perform(&self, order: Order) -> PerformerFuture {
        Box::pin(async move { answer(&order) })
    }
}

fn answer(order: &Order) -> Answer {
    let now_ms = SystemClock::read_ms();
    let record = AttemptRecord {
        host: order.spec.client.as_str().to_owned(),
        started_ms: now_ms,
        ended_ms: now_ms,
        way: Way::Ran,
        before: Some(Presence::Absent),
        after: Some(Presence::Present),
        commands: Vec::new(),
        looks: Vec::new(),
        evidence: Vec::new(),
    };
    Answer { outcome: Outcome::Done, facts: None, record }
}

/// One step a phase, none of which does anything.
fn blueprint() -> Blueprint {
    let step = |phase: Phase| StepSpec {
        phase,
        step: StepName::new("no-op"),
        repeat: Repeat::Safe,
        undo: UndoKind::Nothing,
        gate: false,
    };
    Blueprint {
        steps: Phase::ALL.into_iter().map(step).collect(),
        attempts_max: 1,
        on_failure: FailurePolicy::Rollback,
        on_boot_failure: BootFailure::Hold,
    }
}

fn spec(client: &str) -> MigrationSpec {
    let target = Target {
        spot: name("spot_7300_02"),
        lpp_source: name("lpp_7300_02"),
        level: "7300-02".parse().expect("a level"),
    };
    let retry = RetryPolicy { attempts: 1, delay_ms: 1, delay_max_ms: 1, jitter_percent: 0 };
    let options = Options {
        disks: vec!["hdisk1".parse().expect("a disk name")],
        accept_licenses: true,
        ..Options::default()
    };
    let task = Task::Migrate(Aim { mode: Mode::Disk, driver: Driver::Native, target });
    let plain =
        MigrationSpec::plain(name(client), "nim1".parse().expect("a host name"), task, retry);
    MigrationSpec { options, reboot_timeout_ms: 1, ..plain }
}

fn name(text: &str) -> NimName {
    text.parse().expect("a NIM name")
}

/// A journal in `dir` with `clients` migrations that have not begun.
fn journal_of(dir: &Path, clients: usize) -> (Journal, Vec<Loaded>) {
    let now_ms = SystemClock::read_ms();
    let (journal, _) =
        Journal::open(dir, &OpenOptions::new("bench", 1, now_ms)).expect("a journal");
    let batch = NewBatch {
        name: "bench".to_owned(),
        digest: String::new(),
        plan_text: String::new(),
        created_ms: now_ms,
        operator: "bench".to_owned(),
        estate: serde_json::Value::Null,
    };
    let blueprint = Arc::new(blueprint());
    let new = (0..clients)
        .map(|index| {
            let client = format!("lpar{index:05}");
            NewMigration {
                client: name(&client),
                number: u32::try_from(index).expect("few clients"),
                spec: Arc::new(spec(&client)),
                blueprint: Arc::clone(&blueprint),
                skipped_phases: Vec::new(),
            }
        })
        .collect::<Vec<_>>();
    let specs: Vec<_> = new.iter().map(|new| Arc::clone(&new.spec)).collect();
    let (batch, ids) = journal.create_batch(&batch, new).expect("a batch");
    let loaded = ids
        .into_iter()
        .zip(specs)
        .enumerate()
        .map(|(index, (id, spec))| Loaded {
            id,
            batch,
            client: spec.client.as_str().to_owned(),
            number: u32::try_from(index).expect("few clients"),
            seq: 0,
            decisions: DECISIONS,
            machine: Machine::new(Arc::clone(&blueprint)),
            spec,
            facts: Facts::default(),
            skipped_phases: Vec::new(),
            created_ms: now_ms,
            updated_ms: now_ms,
            is_ordered: false,
        })
        .collect();
    (journal, loaded)
}

/// Counts what is stored, and stops the run after so many entries.
#[derive(Default)]
struct Count {
    moved: u64,
    first: Option<Instant>,
    stop_at: Option<(u64, Option<nimshift::engine::StopHandle>)>,
}

impl Observer for Count {
    fn moved(&mut self, _now_ms: u64, _view: SlotView<'_>, _from: &State) {
        self.moved += 1;
        self.first.get_or_insert_with(Instant::now);
        if let Some((at, handle)) = &mut self.stop_at
            && self.moved >= *at
            && let Some(handle) = handle.take()
        {
            handle.stop(nimshift::engine::OnStop::Leave);
        }
    }
}

fn run(journal: &Journal, loaded: Vec<Loaded>, count: &mut Count, stop_at: Option<u64>) -> Ended {
    let clients = loaded.len();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let (handle, stop) = stop_handle();
    count.stop_at = stop_at.map(|at| (at, Some(handle)));
    let clock: ClockRef = Arc::new(SystemClock);
    let engine = Engine {
        journal,
        acks: journal.acks().expect("taken once"),
        performer: Arc::new(Nothing),
        clock,
        observer: count,
        requests: None,
        stop,
    };
    runtime.block_on(engine.run(
        loaded,
        &EngineLimits::of_migrations(clients.max(1)),
        Delays::seeded(1),
    ))
}

struct Measured {
    steps: u64,
    time: Duration,
}

impl Measured {
    fn rate(&self) -> f64 {
        count(self.steps) / self.time.as_secs_f64()
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn count(number: u64) -> f64 {
    number as f64
}

/// The whole engine: `clients` migrations of twelve steps, to their end.
fn engine(dir: &Path, clients: usize) -> Measured {
    let (journal, loaded) = journal_of(dir, clients);
    let mut counted = Count::default();
    let begun = Instant::now();
    let ended = run(&journal, loaded, &mut counted, None);
    let time = begun.elapsed();
    assert!(matches!(ended, Ended::AtRest), "{ended:?}");
    // A migration has an entry for its begin and one for each step.
    let migrations = u64::try_from(clients).expect("few clients");
    assert_eq!(counted.moved, migrations * 13);
    journal.close().expect("a clean end");
    Measured { steps: migrations * 12, time }
}

/// Leaves a journal of half-done migrations in `dir`. Returns its entries.
fn half_done(dir: &Path, clients: usize) -> u64 {
    let (journal, loaded) = journal_of(dir, clients);
    let mut counted = Count::default();
    let half = u64::try_from(clients).expect("few clients") * 7;
    run(&journal, loaded, &mut counted, Some(half));
    journal.close().expect("a clean end");
    counted.moved
}

/// Time from the start over the journal in `dir` to the first stored step.
fn first_step(dir: &Path) -> Duration {
    let begun = Instant::now();
    let options = OpenOptions::new("bench", 2, SystemClock.now_ms());
    let (journal, loaded) = Journal::open(dir, &options).expect("the journal again");
    let loaded: Vec<Loaded> =
        loaded.into_iter().filter(|loaded| !loaded.machine.state().is_terminal()).collect();
    let mut counted = Count::default();
    run(&journal, loaded, &mut counted, Some(1));
    let first = counted.first.expect("a step was made") - begun;
    journal.close().expect("a clean end");
    first
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--memory") {
        println!("{}", memory::child(Path::new(&arguments[place + 1])));
        return;
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let sizes: &[usize] = if quick { &[1, 100, 1_000] } else { &[1, 100, 1_000, 10_000] };
    // Durable writes want a disk: the folder of the build, not a tmpfs.
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(base).expect("a folder for journals");
    let folder = || tempfile::tempdir_in(base).expect("a folder for a journal");

    if let Some(place) = arguments.iter().position(|argument| argument == "--alone") {
        // For a profiler: the engine, and nothing beside it.
        let clients = arguments[place + 1].parse().expect("how many at once");
        for _ in 0..10 {
            println!("{:.0}", engine(folder().path(), clients).rate());
        }
        return;
    }
    println!("durable steps per second, 12 steps a migration; median of the rounds");
    println!("{:>10} {:>14} {:>14} {:>8}", "at once", "floor", "engine", "ratio");
    for clients in sizes {
        let rounds = if *clients == 1 { 21 } else { 5 };
        let (mut floors, mut engines) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let ran = folder();
            engines.push(engine(ran.path(), *clients).rate());
            let rows = floor::rows(&JournalDir::new(ran.path()).journal());
            floors.push(floor::run(folder().path(), &rows, *clients).rate());
        }
        let (floor, engine) = (median(floors), median(engines));
        println!("{clients:>10} {floor:>14.0} {engine:>14.0} {:>7.0}%", 100.0 * engine / floor);
        if *clients == 1 {
            println!(
                "a lone migration of 12 phases: {:.2} ms; a step costs {:.2} of the floor's commits",
                12_000.0 / engine,
                floor / engine
            );
        }
    }

    let largest = *sizes.last().expect("sizes");
    let half = folder();
    let entries = half_done(half.path(), largest);
    let bytes = memory::per_migration(half.path(), largest);
    println!(
        "memory: {:.1} KiB resident for each of {largest} waiting migrations",
        count(bytes) / 1024.0
    );
    println!(
        "first resumed step: {:.0} ms after the start, {largest} migrations half done, {entries} entries",
        first_step(half.path()).as_secs_f64() * 1000.0
    );
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
