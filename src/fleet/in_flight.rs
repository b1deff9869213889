//! The job that a migration has in flight.

use crate::domain::Direction;
use crate::machine::State;
use crate::phases;
use crate::report::{MigrationView, direction};
use crate::transport::{HostId, JobId};

/// The job of the attempt that is in flight, and its host.
pub fn in_flight(view: &MigrationView, state: &State, scope: &str) -> Option<(HostId, JobId)> {
    if !matches!(state, State::Executing { .. } | State::Undoing { .. }) {
        return None;
    }
    let at = state.place()?;
    let direction: Direction = direction(state);
    let ticket = view.blueprint.ticket(at, direction);
    let def = phases::find(ticket.phase, &ticket.step)?;
    let host = phases::hosts(&view.spec).of(def.host).clone();
    Some((host, JobId::new(ticket.job_id(scope, view.id))))
}
