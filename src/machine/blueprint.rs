//! What a machine is built from: the steps of its migration, and the rules.

use serde::{Deserialize, Serialize};

use crate::base::limits;
use crate::domain::{
    BootFailure, Direction, FailurePolicy, MigrationSpec, Phase, Repeat, StepSpec, Ticket, UndoKind,
};

use super::state::Place;

/// The steps of one migration, in order, and what decides when one fails.
///
/// Journaled when the migration begins, so that a newer binary with other steps
/// finishes what was begun with these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blueprint {
    /// The steps, in order. Never empty.
    pub steps: Vec<StepSpec>,
    /// Attempts at one step before its failure counts as permanent.
    pub attempts_max: u32,
    /// What follows a permanent failure.
    pub on_failure: FailurePolicy,
    /// What follows one after the client was rebooted.
    pub on_boot_failure: BootFailure,
}

/// Why steps do not make a migration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlueprintError {
    /// There is nothing to do.
    #[error("the migration has no steps")]
    NoSteps,
    /// More steps than a place can name.
    #[error("the migration has {0} steps, more than {max}", max = u16::MAX)]
    TooManySteps(usize),
    /// The attempts are zero or beyond the bound.
    #[error("the number of attempts must be 1 to {max}, not {0}", max = limits::ATTEMPTS_MAX)]
    Attempts(u32),
}

impl Blueprint {
    /// The blueprint of a migration that is asked for by `spec` and has `steps`.
    pub fn new(spec: &MigrationSpec, steps: Vec<StepSpec>) -> Result<Blueprint, BlueprintError> {
        let blueprint = Blueprint {
            steps,
            attempts_max: spec.retry.attempts,
            on_failure: spec.on_failure,
            on_boot_failure: spec.on_boot_failure,
        };
        blueprint.check()?;
        Ok(blueprint)
    }

    /// Whether a machine can be built from it: asked again of a stored one.
    pub fn check(&self) -> Result<(), BlueprintError> {
        match self.steps.len() {
            0 => Err(BlueprintError::NoSteps),
            many if u16::try_from(many).is_err() => Err(BlueprintError::TooManySteps(many)),
            _ if !(1..=limits::ATTEMPTS_MAX).contains(&self.attempts_max) => {
                Err(BlueprintError::Attempts(self.attempts_max))
            }
            _ => Ok(()),
        }
    }

    /// The step at `place`.
    pub fn step(&self, place: Place) -> &StepSpec {
        &self.steps[usize::from(place.step)]
    }

    /// The name of the attempt at `place`.
    pub fn ticket(&self, place: Place, direction: Direction) -> Ticket {
        let step = self.step(place);
        Ticket {
            phase: step.phase,
            step: step.step.clone(),
            direction,
            round: place.round,
            attempt: place.attempt,
        }
    }

    /// The step after `step`.
    pub(super) fn next(&self, step: u16) -> Option<u16> {
        (usize::from(step) + 1 < self.steps.len()).then(|| step + 1)
    }

    /// The first step to undo, going back from `step` (included) to `until`.
    pub(super) fn undo_from(&self, step: u16, until: u16) -> Option<u16> {
        (until..=step).rev().find(|index| self.steps[usize::from(*index)].undo != UndoKind::Nothing)
    }

    /// The step that a migration goes back to when `step` cannot be repeated in
    /// the copy that it has: the last one before it that makes a fresh copy.
    pub(super) fn rewind_to(&self, step: u16) -> Option<u16> {
        (0..=step).rev().find(|index| self.steps[usize::from(*index)].repeat == Repeat::AfterUndo)
    }

    /// Whether another attempt at the step at `place`, which failed and may have left
    /// something (`dirty`), begins with a fresh copy.
    pub fn begins_in_fresh_copy(&self, place: Place, dirty: bool) -> bool {
        dirty && self.step(place).repeat == Repeat::Never && self.rewind_to(place.step).is_some()
    }

    /// The step that makes what `step` stands on in the copy that it has, its mounts
    /// or exports. Nothing between the two would have to be undone.
    pub(super) fn ground_of(&self, step: u16) -> Option<u16> {
        let has_undo = |index: &u16| self.steps[usize::from(*index)].undo != UndoKind::Nothing;
        let ground = (0..step).rev().find(has_undo)?;
        matches!(self.steps[usize::from(ground)].phase, Phase::Export | Phase::Mount)
            .then_some(ground)
    }

    /// Whether the client may have booted the copy when the migration is at
    /// `step`: from here on only an order or the plan's policy takes it back.
    pub(super) fn past_no_return(&self, step: u16) -> bool {
        self.steps[..=usize::from(step)].iter().any(|step| step.undo == UndoKind::Backout)
    }
}
