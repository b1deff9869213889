//! What a migration does just now, in a line.

use crate::machine::State;

use super::standing::spoken_as;
use super::status::cause_text;
use super::view::MigrationView;

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
            let back = if state.is_compensating() { "taking it back" } else { phase.title() };
            format!("phase {} {phase}: {back}{why}", phase.number())
        }
        _ => format!("{}{why}", spoken_as(state, &view.spec)),
    }
}
