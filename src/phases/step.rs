//! What a step is: plain functions that turn what is known into commands, and
//! what hosts say into what is there. No step does I/O.

use std::time::Duration;

use crate::base::Millis;
use crate::domain::{
    Cause, Control, Facts, HostRole, Lease, MigrationSpec, Phase, Presence, Repeat, StepName,
    StepSpec, Ticket, Trace, UndoKind,
};
use crate::transport::{CommandOutput, HostId, Output, Script};

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
pub type Looks = Vec<(HostRole, Script)>;

/// What the scripts of a probe gave, in the order of [`Looks`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(pub Vec<Output>);

impl Answers {
    /// The output of command `command` of script `script`, if it ran.
    pub fn get(&self, script: usize, command: usize) -> Option<&CommandOutput> {
        self.0.get(script)?.get(command)
    }
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Whether the step's effect is there.
    pub presence: Presence,
    /// What a step that only looks found out.
    pub facts: Option<Facts>,
    /// Why the step must not run, or a step that only looks has failed. At the
    /// gate, class `AlreadyDone` skips the migration.
    pub barred: Option<Cause>,
    /// The lease of another. Before the step runs, its holder's jobs must have
    /// ended and are barred; when it has been undone, they are barred no more.
    pub over: Option<Lease>,
    /// Of a check: all that stands against the migration, each by itself.
    pub findings: Vec<Cause>,
    /// What the step stands on and is gone, as the trace that it leaves.
    pub gone: Option<Trace>,
}

impl Sight {
    /// A sight without facts or bars.
    pub fn of(presence: Presence) -> Sight {
        let findings = Vec::new();
        Sight { presence, facts: None, barred: None, over: None, findings, gone: None }
    }

    /// Mounts or exports that the step needs are gone: an earlier step makes them.
    pub fn unmounted(why: String) -> Sight {
        Sight { gone: Some(Trace::Unmounted), ..Sight::of(Presence::Unknown(why)) }
    }

    /// The effect is there, and has told `facts`.
    pub fn found(facts: Facts) -> Sight {
        Sight { facts: Some(facts), ..Sight::of(Presence::Present) }
    }

    /// The step must not run.
    pub fn barred(cause: Cause) -> Sight {
        let presence = Presence::Unknown(cause.text.clone());
        Sight { barred: Some(cause), ..Sight::of(presence) }
    }
}

/// A step: a row of the registry.
///
/// A step whose `run` is `None` only looks. A run or undo whose script is empty
/// has nothing to do.
pub struct StepDef {
    /// The phase it belongs to.
    pub phase: Phase,
    /// Its stable name.
    pub name: StepName,
    /// What it does, for people.
    pub about: &'static str,
    /// The host of its effect.
    pub host: HostRole,
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
    /// being unreachable meanwhile or not: a reboot.
    pub settle: Duration,
    /// Its share of a busy host: 0 for a look, 1 for a command, 10 for a copy
    /// of rootvg.
    pub weight: u8,
    /// Whether it is part of a migration of this kind.
    pub applies: fn(&MigrationSpec) -> bool,
    /// The commands that tell whether the effect is there.
    pub looks: fn(&Context<'_>) -> Looks,
    /// What they say.
    pub judge: fn(&Context<'_>, &Answers) -> Sight,
    /// Makes what is missing.
    pub run: Option<fn(&Context<'_>, &Answers) -> Script>,
    /// Makes sure it is gone.
    pub undo_run: Option<fn(&Context<'_>, &Answers) -> Script>,
    /// Tells whether anything is left to undo, where that is not what `judge`
    /// tells.
    pub judge_undo: Option<fn(&Context<'_>, &Answers) -> Sight>,
}

impl StepDef {
    /// Whether it is a step of what `spec` asks for.
    pub fn is_in(&self, spec: &MigrationSpec) -> bool {
        // An operation beside a migration is nimshift's own, whatever the driver.
        let by_driver = !spec.task.is_migration() || self.is_of(spec.driver);
        spec.has_step(self.name.as_str()) && by_driver && (self.applies)(spec)
    }

    /// The step as the machine and the journal know it.
    pub fn spec(&self) -> StepSpec {
        StepSpec {
            phase: self.phase,
            step: self.name.clone(),
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
