//! Steps as the machine and the journal know them: names and rules, no commands.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::phase::Phase;

/// The stable name of a step: `clone-rootvg`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepName(Cow<'static, str>);

impl StepName {
    /// The name of a step that this program has.
    pub const fn new(name: &'static str) -> StepName {
        StepName(Cow::Borrowed(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which host a step's effect is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostRole {
    /// The NIM master.
    Master,
    /// The NIM client.
    Client,
}

/// What it takes to run a step again after it may have run in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// Run what is missing.
    Safe,
    /// Undo the step, then run it.
    AfterUndo,
    /// Only a rewind to a fresh clone makes it clean.
    Never,
}

/// What undoing a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoKind {
    /// There is nothing to undo: the step only looks, or its effect goes with
    /// another step's undo.
    Nothing,
    /// The step's undo makes sure that its effect is gone.
    Reverse,
    /// The client has booted the copy: only an operator's order, or the plan's
    /// policy, takes it back.
    Backout,
}

/// A step of one migration's plan, as it is journaled when the migration begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// The phase it belongs to.
    pub phase: Phase,
    pub step: StepName,
    /// How it is repeated.
    pub repeat: Repeat,
    /// How it is undone.
    pub undo: UndoKind,
    /// Whether it decides if the migration may begin: its permanent failure
    /// refuses the migration, with nothing to undo.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gate: bool,
}
