//! Classes of failure, and what is said of one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a message or a failed step means for the migration (design section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// A bounded retry is worth it.
    Transient,
    /// Retrying cannot help: compensate, or hold, by policy.
    Permanent,
    /// The effect is there already: success of an idempotent step.
    AlreadyDone,
    /// No failure at all.
    Informative,
    /// The message that matters is inside or beside this one.
    Wrapper,
    /// A person has to look: everything is kept as it is.
    NeedsOperator,
}

/// What a failed step left behind, as its probe saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residue {
    /// The effect is not there: the step can run again as it is.
    Clean,
    /// Part of the effect is there, or nobody can tell. Stored as `dirty`.
    #[serde(rename = "dirty")]
    Left,
    /// It has not begun: the copy is not mounted, or not exported, any more. An
    /// earlier step makes that again. Introduced in 0.1.0.
    Unmounted,
    /// It has not begun: the copy itself is lost, and only a fresh one helps.
    /// Introduced in 0.1.0.
    CopyLost,
}

/// Why a step failed, or why a migration was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The class that decided what was done about it.
    pub class: FailureClass,
    /// AIX's message id where there is one: `0505-218`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// One line, sanitized.
    pub text: String,
    /// What to do about it, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What a plan says of a message, before the catalogue is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageRule {
    /// The message id that must be in the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Words that must be in the line, whatever their case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    pub class: FailureClass,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Cause {
    /// A cause without message id and hint.
    pub fn new(class: FailureClass, text: impl Into<String>) -> Cause {
        Cause { class, message: None, text: text.into(), hint: None }
    }

    /// The same cause with `hint`.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Cause {
        self.hint = Some(hint.into());
        self
    }
}
