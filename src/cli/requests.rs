//! Operators' requests, from the journal to the engine that runs in this
//! process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::domain::MigrationId;
use crate::engine::{OperatorRequest, RequestSource};
use crate::journal::{JournalError, Loaded, Reader, Request, RequestId};
use crate::machine::Operator;

/// A migration that no journal has: orders that name none are answered with it.
const NO_MIGRATION: MigrationId = MigrationId(u64::MAX);

/// Requests that other processes have journaled.
pub(super) struct JournaledRequests {
    reader: Reader,
    seen_version: Option<i64>,
    given: BTreeSet<RequestId>,
    /// The migrations of the run, by client.
    migrations: BTreeMap<String, MigrationId>,
}

impl JournaledRequests {
    /// Requests for the migrations in `loaded`.
    pub(super) fn new(dir: &Path, loaded: &[Loaded]) -> Result<JournaledRequests, JournalError> {
        Ok(JournaledRequests {
            reader: Reader::open(dir)?,
            seen_version: None,
            given: BTreeSet::new(),
            migrations: loaded.iter().map(|one| (one.client.clone(), one.id)).collect(),
        })
    }

    fn order(&self, request: Request) -> OperatorRequest {
        let known = request.client.as_ref().and_then(|client| self.migrations.get(client));
        OperatorRequest {
            id: request.id,
            kind: request.kind,
            migration: known.copied().unwrap_or(NO_MIGRATION),
            by: Operator(request.operator),
        }
    }
}

impl RequestSource for JournaledRequests {
    fn take(&mut self) -> Result<Vec<OperatorRequest>, JournalError> {
        let version = self.reader.data_version()?;
        if self.seen_version == Some(version) {
            return Ok(Vec::new());
        }
        self.seen_version = Some(version);
        let mut fresh = self.reader.pending_requests()?;
        fresh.retain(|request| self.given.insert(request.id));
        Ok(fresh.into_iter().map(|request| self.order(request)).collect())
    }
}
