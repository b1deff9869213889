//! A small night for the tests of the journal: migrations whose steps succeed,
//! fail, are retried, taken back and held, by a seeded choice.

use std::path::Path;
use std::sync::Arc;

use super::power_vfs::chance;
use nimshift::domain::{
    Aim, AttemptRecord, Cause, CommandRecord, Driver, Facts, FailureClass, MigrationId,
    MigrationSpec, Mode, Options, Phase, Presence, Repeat, Residue, RetryPolicy, StepName,
    StepSpec, Target, Task, Ticket, UndoKind, Way,
};
use nimshift::journal::{
    Ack, Append, BatchId, Journal, JournalError, Loaded, NewBatch, NewMigration, OpenOptions,
};
use nimshift::machine::{Blueprint, Effect, Event, EventKind, Machine, Operator, State};
use tokio::sync::mpsc::UnboundedReceiver;

/// Digests of fixture time: 2026-11-23.
pub(crate) const NOW_MS: u64 = 1_795_500_000_000;

pub(crate) fn options() -> OpenOptions {
    OpenOptions::new("master01", 4711, NOW_MS)
}

pub(crate) fn spec(client: &str) -> MigrationSpec {
    let target = Target {
        spot: "spot_73".parse().unwrap(),
        lpp_source: "lpp_73".parse().unwrap(),
        level: "7300-02".parse().unwrap(),
    };
    let retry = RetryPolicy { attempts: 3, delay_ms: 1000, delay_max_ms: 9000, jitter_percent: 0 };
    let options = Options {
        disks: vec!["hdisk1".parse().unwrap()],
        accept_licenses: true,
        ..Options::default()
    };
    let task = Task::Migrate(Aim { mode: Mode::Disk, driver: Driver::Native, target });
    let plain =
        MigrationSpec::plain(client.parse().unwrap(), "master01".parse().unwrap(), task, retry);
    MigrationSpec { options, reboot_timeout_ms: 600_000, ..plain }
}

pub(crate) fn blueprint(spec: &MigrationSpec) -> Arc<Blueprint> {
    let step = |phase, name, repeat, undo| StepSpec {
        phase,
        step: StepName::new(name),
        repeat,
        undo,
        gate: false,
    };
    let steps = vec![
        step(Phase::Clone, "take-lease", Repeat::Safe, UndoKind::Reverse),
        step(Phase::Clone, "clone-rootvg", Repeat::AfterUndo, UndoKind::Reverse),
        step(Phase::Export, "export-filesystems", Repeat::Safe, UndoKind::Reverse),
        step(Phase::MigrateBase, "restore-bos", Repeat::Never, UndoKind::Nothing),
        step(Phase::Finish, "set-bootlist", Repeat::Safe, UndoKind::Reverse),
    ];
    Arc::new(Blueprint::new(spec, steps).unwrap())
}

pub(crate) fn record(at_ms: u64, output: &str) -> AttemptRecord {
    AttemptRecord {
        host: "lpar1".into(),
        started_ms: at_ms - 7,
        ended_ms: at_ms,
        way: Way::Ran,
        before: Some(Presence::Absent),
        after: Some(Presence::Present),
        commands: vec![CommandRecord {
            line: "/usr/sbin/alt_disk_copy -d hdisk1 -O -B -P1".into(),
            status: Some(0),
            output: output.into(),
            took_s: Some(1090),
            host: None,
        }],
        looks: vec![],
        evidence: vec![],
    }
}

/// A migration as an engine would keep it.
#[derive(Debug)]
pub(crate) struct Sleeper {
    pub(crate) id: MigrationId,
    pub(crate) seq: u64,
    pub(crate) machine: Machine,
    pub(crate) at_ms: u64,
}

/// A journal with its migrations.
pub(crate) struct Night {
    pub(crate) journal: Journal,
    pub(crate) acks: UnboundedReceiver<Vec<Ack>>,
    pub(crate) batch: BatchId,
    pub(crate) migrations: Vec<Sleeper>,
    pub(crate) seed: u64,
}

impl Night {
    /// Opens a journal in `dir` and journals `count` migrations.
    pub(crate) fn begin(
        dir: &Path,
        options: &OpenOptions,
        count: u32,
    ) -> Result<Night, JournalError> {
        let (journal, loaded) = Journal::open(dir, options)?;
        assert!(loaded.is_empty());
        Night::with(journal, count)
    }

    pub(crate) fn with(journal: Journal, count: u32) -> Result<Night, JournalError> {
        let acks = journal.acks().unwrap();
        let new = new_migrations(count);
        let machines: Vec<Machine> =
            new.iter().map(|new| Machine::new(Arc::clone(&new.blueprint))).collect();
        let (batch, ids) = journal.create_batch(&new_batch(), new)?;
        let migrations = ids
            .into_iter()
            .zip(machines)
            .map(|(id, machine)| Sleeper { id, seq: 0, machine, at_ms: NOW_MS })
            .collect();
        Ok(Night { journal, acks, batch, migrations, seed: 1 })
    }

    /// Goes on with what a journal had.
    pub(crate) fn resume(journal: Journal, loaded: Vec<Loaded>) -> Night {
        let acks = journal.acks().unwrap();
        let batch = loaded[0].batch;
        let migrations = loaded
            .into_iter()
            .map(|loaded| Sleeper {
                id: loaded.id,
                seq: loaded.seq,
                machine: loaded.machine,
                at_ms: loaded.updated_ms,
            })
            .collect();
        Night { journal, acks, batch, migrations, seed: 2 }
    }

    /// Hands over the next append of migration `index`; false where it has ended.
    pub(crate) fn step(&mut self, index: usize) -> bool {
        let Some(append) = self.migrations[index].next(&mut self.seed) else { return false };
        self.journal.append(append).unwrap();
        true
    }

    /// Waits for the acknowledgements of `count` appends, and returns them.
    pub(crate) fn hear(&mut self, count: usize) -> Vec<Ack> {
        let mut heard = Vec::new();
        while heard.len() < count {
            heard.extend(self.acks.blocking_recv().expect("the writer lives"));
        }
        heard
    }

    /// What is acknowledged within `patience`.
    pub(crate) fn hear_within(&mut self, patience: std::time::Duration) -> Vec<Ack> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let heard =
            runtime.block_on(async { tokio::time::timeout(patience, self.acks.recv()).await });
        heard.ok().flatten().unwrap_or_default()
    }

    /// One step of each migration, acknowledged; how many there were.
    pub(crate) fn round(&mut self) -> usize {
        let begun = (0..self.migrations.len()).filter(|index| self.step(*index)).count();
        for ack in self.hear(begun) {
            ack.result.unwrap();
        }
        begun
    }
}

pub(crate) fn new_batch() -> NewBatch {
    NewBatch {
        name: "overnight".into(),
        digest: "d1".into(),
        plan_text: "[batch]\nname = \"overnight\"\n".into(),
        created_ms: NOW_MS,
        operator: "root@master01".into(),
        estate: serde_json::json!({"kind": "lab"}),
    }
}

pub(crate) fn new_migrations(count: u32) -> Vec<NewMigration> {
    let new = |number| {
        let spec = spec(&format!("lpar{number}"));
        NewMigration {
            client: spec.client.clone(),
            number,
            blueprint: blueprint(&spec),
            spec: Arc::new(spec),
            skipped_phases: vec![(Phase::PreScript, "no script".into())],
        }
    };
    (1..=count).map(new).collect()
}

impl Sleeper {
    /// The next event by what the machine wants, applied.
    pub(crate) fn next(&mut self, seed: &mut u64) -> Option<Append> {
        self.at_ms += 1000;
        let dice = chance(seed) % 10;
        let (kind, record) = self.choose(dice)?;
        let event = Event { at_ms: self.at_ms, kind };
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
        self.seq += 1;
        Some(append)
    }

    fn choose(&mut self, dice: u64) -> Option<(EventKind, Option<(Ticket, AttemptRecord)>)> {
        let by = Operator("root@master01".into());
        if matches!(self.machine.state(), State::Pending) {
            return Some((EventKind::Begin, None));
        }
        if matches!(self.machine.state(), State::Held { .. }) {
            return Some((EventKind::Release { by }, None));
        }
        if self.machine.state().waits_for_operator() {
            return Some((EventKind::Retry { by }, None));
        }
        match self.machine.wanted().into_iter().next()? {
            Effect::Sleep { ticket, until_ms } => {
                self.at_ms = self.at_ms.max(until_ms);
                Some((EventKind::TimerFired { ticket }, None))
            }
            Effect::Run { .. } if dice == 0 => Some((EventKind::Hold { by }, None)),
            Effect::Run { ticket, .. } => Some(self.answer(ticket, dice)),
            Effect::Interrupt { ticket } => Some(self.answer(ticket, 9)),
        }
    }

    fn answer(&self, ticket: Ticket, dice: u64) -> (EventKind, Option<(Ticket, AttemptRecord)>) {
        let at_ms = self.at_ms;
        let output = if dice == 2 { "line of a log\n".repeat(9000) } else { "ok\n".into() };
        let kept = Some((ticket.clone(), record(at_ms, &output)));
        let kind = match dice {
            1 | 2 => EventKind::Failed {
                ticket,
                cause: Cause {
                    class: FailureClass::Transient,
                    message: Some("0042-006".into()),
                    text: "m_alt: no answer from the client".into(),
                    hint: None,
                },
                trace: Residue::Left,
                retry_at_ms: at_ms + 5000,
                facts: None,
            },
            dice => EventKind::Succeeded {
                ticket,
                facts: (dice == 3).then(|| {
                    Box::new(Facts { level: Some("7200-05".parse().unwrap()), ..Facts::default() })
                }),
            },
        };
        (kind, kept)
    }
}

/// What of a load must be equal.
pub(crate) fn image(loaded: &[Loaded]) -> Vec<String> {
    loaded
        .iter()
        .map(|one| {
            let Loaded { id, batch, client, number, seq, machine, spec, facts, .. } = one;
            let state = serde_json::to_string(machine.state()).unwrap();
            let facts = serde_json::to_string(facts).unwrap();
            let spec = serde_json::to_string(&**spec).unwrap();
            let skipped = &one.skipped_phases;
            format!(
                "{id} {batch} {client} {number} {seq} {state} {facts} {spec} {skipped:?} {}",
                one.updated_ms
            )
        })
        .collect()
}
