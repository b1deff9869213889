//! What a step is: plain functions that turn what is known into commands, and
//! what hosts say into what is there. No step does I/O.

use std::time::Duration;

use crate::base::Millis;
use crate::domain::{
    Aim, Cause, Control, Direction, Driver, Facts, HostRole, Lease, MigrationSpec, Phase, Presence,
    Repeat, Residue, StepName, StepSpec, TaskKind, Ticket, UndoKind,
};
use crate::transport::{Command, CommandOutput, HostId, Output, Script};

/// What a step is given.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the migration is asked to do.
    pub spec: &'a MigrationSpec,
    /// What earlier steps found out.
    pub facts: &'a Facts,
    /// The attempt.
    pub ticket: &'a Ticket,
    /// Who holds the lease: the same text for all attempts of one migration,
    /// different for all others. Letters, digits and `_.-` only.
    pub owner: &'a str,
    /// The engine that has the step carried out.
    pub control: &'a Control,
    /// The time now.
    pub now_ms: Millis,
}

impl Context<'_> {
    /// The lease that is taken now.
    pub fn lease(&self) -> Lease {
        Lease::new(self.owner, self.control, self.now_ms)
    }
}

/// The scripts of a probe, each with the host that it runs on. They change
/// nothing.
pub type Probe = Vec<(HostRole, Script)>;

/// What a probe has asked, and what was said to it. An answer is found by its
/// question, wherever in the [`Probe`] that stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(Vec<Asked>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    role: HostRole,
    question: Command,
    said: Option<CommandOutput>,
}

impl Answers {
    /// Adds what the host of `role` has said to `script`.
    pub fn add(&mut self, role: HostRole, script: &Script, output: Output) {
        let mut said = output.commands.into_iter();
        let asked = script.commands.iter().cloned();
        self.0.extend(asked.map(|question| Asked { role, question, said: said.next() }));
    }

    /// All that was said.
    pub fn all(&self) -> impl Iterator<Item = &CommandOutput> {
        self.0.iter().filter_map(|asked| asked.said.as_ref())
    }

    /// Whether the host of `role` was asked `question`.
    pub fn has_asked(&self, role: HostRole, question: &Command) -> bool {
        self.asked(role, question).next().is_some()
    }

    /// What the host of `role` has said to `question`, if it has.
    ///
    /// # Panics
    ///
    /// With debug assertions, where a probe did not ask what its step reads. A script
    /// that nobody has looked before has asked nothing: that is no mistake.
    pub fn get(&self, role: HostRole, question: &Command) -> Option<&CommandOutput> {
        debug_assert!(
            self.0.is_empty() || self.has_asked(role, question),
            "`{}` is read of the {role:?}, and the probe does not ask it",
            question.shell_text()
        );
        self.asked(role, question).find_map(|asked| asked.said.as_ref())
    }

    fn asked(&self, role: HostRole, question: &Command) -> impl Iterator<Item = &Asked> {
        self.0.iter().filter(move |asked| asked.role == role && asked.question.is_like(question))
    }
}

/// The same questions, each to a host once: one answer serves whoever asks.
pub(super) fn asked_once(mut probe: Probe) -> Probe {
    let mut asked: Vec<(HostRole, Command)> = Vec::new();
    for (role, script) in &mut probe {
        script.commands.retain(|command| {
            let is_new = !asked.iter().any(|(of, one)| of == role && one.is_like(command));
            if is_new {
                asked.push((*role, command.clone()));
            }
            is_new
        });
    }
    probe.retain(|(_, script)| !script.commands.is_empty());
    probe
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the step's effect is there.
    pub presence: Presence,
    /// What a step that only looks found out.
    pub facts: Option<Facts>,
    /// Why the step must not run, or a step that only looks has failed. At the
    /// gate, class `AlreadyDone` skips the migration.
    pub blocked_by: Option<Cause>,
    /// The lease of another. Before the step runs, its holder's jobs must have
    /// ended and are barred; when it has been undone, they are barred no more.
    pub takes_over_from: Option<Lease>,
    /// Of a check: all that stands against the migration, each by itself.
    pub objections: Vec<Cause>,
    /// What the step stands on and is gone, as the trace that it leaves.
    pub gone: Option<Residue>,
}

impl Finding {
    /// A finding without facts or bars.
    pub fn of(presence: Presence) -> Finding {
        let objections = Vec::new();
        Finding {
            presence,
            facts: None,
            blocked_by: None,
            takes_over_from: None,
            objections,
            gone: None,
        }
    }

    /// Mounts or exports that the step needs are gone: an earlier step makes them.
    pub fn unmounted(why: String) -> Finding {
        Finding { gone: Some(Residue::Unmounted), ..Finding::of(Presence::Unknown(why)) }
    }

    /// The effect is there, and has told `facts`.
    pub fn found(facts: Facts) -> Finding {
        Finding { facts: Some(facts), ..Finding::of(Presence::Present) }
    }

    /// The step must not run.
    pub fn blocked(cause: Cause) -> Finding {
        let presence = Presence::Unknown(cause.text.clone());
        Finding { blocked_by: Some(cause), ..Finding::of(presence) }
    }
}

/// A step: a row of the registry. It says what is special; the rest is `STEP`'s.
///
/// A step whose `run` is `None` only looks. A run or undo whose script is empty
/// has nothing to do.
#[derive(Clone, Copy)]
pub struct StepDef {
    /// The phase it belongs to.
    pub phase: Phase,
    /// Its stable name.
    pub name: &'static str,
    /// What it does, for people.
    pub about: &'static str,
    /// The host of its effect.
    pub host: HostRole,
    /// The task that it is part of.
    pub task: TaskKind,
    /// The drivers that have it, where that is a migration.
    pub drivers: Drivers,
    /// What else is to be known of it.
    pub is: &'static [Is],
    /// How it is repeated.
    pub repeat: Repeat,
    /// What undoing it takes.
    pub undo: UndoKind,
    /// Whether it decides if the migration may begin.
    pub gate: bool,
    /// How long its job may take.
    pub timeout: Duration,
    /// How long its job may say nothing; `None` for jobs that are silent.
    pub stall: Option<Duration>,
    /// How long its effect may take to show after the job has ended, the host
    /// being unreachable meanwhile or not.
    pub settle: Settle,
    /// Whether it is part of what is asked for, where its phase is.
    pub applies: fn(&MigrationSpec) -> bool,
    /// The commands that tell whether the effect is there.
    pub looks: fn(&Context<'_>) -> Probe,
    /// What they say.
    pub judge: fn(&Context<'_>, &Answers) -> Finding,
    /// Makes what is missing.
    pub run: Option<fn(&Context<'_>, &Answers) -> Script>,
    /// Makes sure it is gone.
    pub undo_run: Option<fn(&Context<'_>, &Answers) -> Script>,
    /// Tells whether anything is left to undo, where that is not what `judge`
    /// tells.
    pub judge_undo: Option<fn(&Context<'_>, &Answers) -> Finding>,
}

/// What most steps are: of a migration by the native driver, short, and repeated as
/// they are. It does nothing.
pub(super) const STEP: StepDef = StepDef {
    phase: Phase::Clone,
    name: "",
    about: "",
    host: HostRole::Client,
    task: TaskKind::Migrate,
    drivers: Drivers::Native,
    is: &[],
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: minutes(5),
    stall: None,
    settle: Settle::AtOnce,
    applies: |_| true,
    looks: |_| Vec::new(),
    judge: |_, _| Finding::of(Presence::Unknown("nothing is looked for".to_owned())),
    run: None,
    undo_run: None,
    judge_undo: None,
};

/// So many minutes.
pub(super) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// So many hours.
pub(super) const fn hours(count: u64) -> Duration {
    minutes(count * 60)
}

/// The drivers that have a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drivers {
    /// The native one.
    Native,
    /// That of nimadm.
    Nimadm,
    /// Both.
    Both,
}

/// How long the effect of a step may take to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// It is there when the job has ended.
    AtOnce,
    /// So long.
    Within(Duration),
    /// It is a boot of the client: as long as the plan gives that.
    ByBoot,
}

/// What is to be known of a few steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// Runs a phase of nimadm, which looks by itself whether anybody works.
    OfNimadm,
    /// Makes the copy on the client's disks.
    MakesCopy,
    /// Records which copy is ours.
    RecordsCopy,
    /// Makes the cache, which in a migration to a mksysb is made anew with the copy.
    MakesCache,
    /// Acts on whatever volume group is named altinst_rootvg.
    ByName,
    /// Does so when it is taken back.
    BackByName,
    /// Works on the master, and changes the client by NIM's remote shell.
    ByRemoteShell,
    /// Takes the lease of a migration.
    TakesLease,
    /// Takes the lease, drops it or takes it again: by what it has seen of it, it asks
    /// for it itself.
    SeesToLease,
    /// Looks for the lease of the other kind: before anything is begun, or right behind
    /// our own.
    SeesOtherLease,
    /// Runs a script of the site, which may say anything.
    SiteScript,
}

impl StepDef {
    /// Whether it is a step of what `spec` asks for.
    pub fn is_in(&self, spec: &MigrationSpec) -> bool {
        // An operation beside a migration is nimshift's own, whatever the driver.
        let is_part = |aim: &Aim| self.is_of(aim.driver) && spec.reaches(self.phase);
        self.task == spec.task.kind()
            && spec.task.migrates().is_none_or(is_part)
            && (self.applies)(spec)
    }

    /// Its probe, in which a host is asked each question once: of two answers to one
    /// question only the first would be read.
    pub fn probe(&self, ctx: &Context<'_>) -> Probe {
        asked_once((self.looks)(ctx))
    }

    /// Whether `driver` has it.
    pub(super) fn is_of(&self, driver: Driver) -> bool {
        match self.drivers {
            Drivers::Native => driver == Driver::Native,
            Drivers::Nimadm => driver == Driver::Nimadm,
            Drivers::Both => true,
        }
    }

    /// Whether that is to be known of it.
    pub fn is(&self, what: Is) -> bool {
        self.is.contains(&what)
    }

    /// How it is repeated in what `spec` asks for: the plan may say that its scripts can
    /// be, and to a mksysb a fresh copy begins with a fresh cache.
    pub(super) fn repeat_in(&self, spec: &MigrationSpec) -> Repeat {
        if self.is(Is::MakesCache) && spec.task.writes_mksysb() {
            return Repeat::AfterUndo;
        }
        if self.is(Is::SiteScript) && spec.options.scripts_repeatable {
            return Repeat::Safe;
        }
        self.repeat
    }

    /// How long its effect may take to show after its job has ended.
    pub(super) fn settles_in(&self, spec: &MigrationSpec) -> Duration {
        match self.settle {
            Settle::AtOnce => Duration::ZERO,
            Settle::Within(time) => time,
            Settle::ByBoot => Duration::from_millis(spec.reboot_timeout_ms),
        }
    }

    /// The name, as journal and hosts have it.
    pub fn step(&self) -> StepName {
        StepName::new(self.name)
    }

    /// Its first attempt.
    pub fn first(&self, direction: Direction) -> Ticket {
        Ticket { phase: self.phase, step: self.step(), direction, round: 0, attempt: 1 }
    }

    /// The step as the machine and the journal know it.
    pub fn spec(&self) -> StepSpec {
        StepSpec {
            phase: self.phase,
            step: self.step(),
            repeat: self.repeat,
            undo: self.undo,
            gate: self.gate,
        }
    }
}

/// The hosts of one migration, as the transport knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNames {
    /// The NIM master.
    pub master: HostId,
    /// The NIM client.
    pub client: HostId,
}

impl HostNames {
    /// The host that plays `role`.
    pub fn of(&self, role: HostRole) -> &HostId {
        match role {
            HostRole::Master => &self.master,
            HostRole::Client => &self.client,
        }
    }
}
