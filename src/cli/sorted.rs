//! What `run` would do with the clients of a plan, for those who only look.

use std::collections::BTreeMap;

use crate::domain::Plan;
use crate::fleet::{Known, Sorted, loaded};

use super::error::CliError;
use super::left;
use super::state_dir::StateDir;
use super::status::engine;

/// Whether the hosts are asked what stands, or only the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Hosts,
    Journal,
}

/// The clients of `plan`, whose whole text has `digest`, as `run` would sort them.
/// Where there is no journal, all of them begin.
pub(super) fn sorted<'a>(
    place: &StateDir,
    plan: &'a Plan,
    digest: &str,
    by: By,
) -> Result<Sorted<'a>, CliError> {
    if !place.journal().exists() {
        let (loaded, batches, views) = (&[], &BTreeMap::new(), &[]);
        return Ok(Sorted::new(plan, digest, &Known { loaded, batches, views, beside: false }));
    }
    let reader = place.reader()?;
    let clients: Vec<String> = plan.migrations.iter().map(|spec| spec.client.to_string()).collect();
    let views = match by {
        By::Hosts => left::as_they_stand(place, &clients)?,
        By::Journal => left::as_last_seen(&reader, &clients)?.1,
    };
    let loaded = loaded(&reader, &reader.migrations(None)?, plan)?;
    let batches = reader.batches()?.into_iter().map(|batch| (batch.id, batch)).collect();
    let beside = engine(place)?.is_some();
    let known = Known { loaded: &loaded, batches: &batches, views: &views, beside };
    Ok(Sorted::new(plan, digest, &known))
}
