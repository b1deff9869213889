//! What a migration does just now, in a line.

use crate::domain::{Direction, MigrationSpec, Phase};
use crate::machine::State;

use super::standing::spoken_as;
use super::status::cause_text;
use super::view::{MigrationView, direction};

/// What is done in a phase, which is made or taken back.
pub fn phase_doing(spec: &MigrationSpec, phase: Phase, direction: Direction) -> String {
    let what = match direction {
        Direction::Forward => spec.title(phase),
        Direction::Undo => "taking it back",
    };
    format!("phase {} {phase}: {what}", phase.number())
}

/// The phase that `view` is at in `state`, or how it stands, and why.
pub fn doing(view: &MigrationView, state: &State) -> String {
    let why = match state.cause() {
        Some(cause) if !matches!(state, State::Executing { .. }) => {
            format!(": {}", cause_text(cause))
        }
        _ => String::new(),
    };
    match state.place() {
        Some(at) if !state.is_at_rest() && usize::from(at.step) < view.blueprint.steps.len() => {
            let phase = view.blueprint.step(at).phase;
            format!("{}{why}", phase_doing(&view.spec, phase, direction(state)))
        }
        _ => format!("{}{why}", spoken_as(state, &view.spec)),
    }
}
