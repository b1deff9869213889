//! The job that a migration has in flight.

use std::time::Duration;

use crate::domain::Direction;
use crate::machine::State;
use crate::phases;
use crate::report::{MigrationView, direction};
use crate::transport::{HostId, JobId, JobState, Transport, TransportError};

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

/// The job of the attempt that is in flight, and its host, if it still runs there.
pub async fn still_runs(
    transport: &dyn Transport,
    view: &MigrationView,
    state: &State,
    scope: &str,
) -> Result<Option<(HostId, JobId)>, TransportError> {
    let Some((host, job)) = in_flight(view, state, scope) else { return Ok(None) };
    let is = transport.poll(&host, &job, 0, Duration::ZERO).await?;
    Ok(matches!(is, JobState::Running { .. }).then_some((host, job)))
}
