//! Operators' requests, from the journal to the engine that runs in this
//! process.

use std::collections::BTreeSet;
use std::path::Path;

use crate::domain::MigrationId;
use crate::engine::{OperatorRequest, RequestSource};
use crate::journal::{JournalError, Loaded, Reader, Request, RequestId, RequestKind};
use crate::machine::Operator;
use crate::report::spoken;

/// A migration that no journal has: orders that are about none name it.
const NO_MIGRATION: MigrationId = MigrationId(u64::MAX);

/// Requests that other processes have journaled.
pub(super) struct JournaledRequests {
    reader: Reader,
    seen_version: Option<i64>,
    given: BTreeSet<RequestId>,
    refused: Vec<(RequestId, String)>,
    /// The migrations of the run.
    migrations: BTreeSet<MigrationId>,
}

impl JournaledRequests {
    /// Requests for the migrations in `loaded`.
    pub(super) fn new(dir: &Path, loaded: &[Loaded]) -> Result<JournaledRequests, JournalError> {
        Ok(JournaledRequests {
            reader: Reader::open(dir)?,
            seen_version: None,
            given: BTreeSet::new(),
            refused: Vec::new(),
            migrations: loaded.iter().map(|one| one.id).collect(),
        })
    }

    /// Which migration `request` is about, or why it is not followed.
    fn migration(&self, request: &Request) -> Result<Result<MigrationId, String>, JournalError> {
        let Some(id) = request.migration else {
            return Ok(match request.kind {
                RequestKind::Stop => Ok(NO_MIGRATION),
                _ => Err("outlived: an older nimshift posted it and did not say for which \
                          migration of the client; give the order again"
                    .to_owned()),
            });
        };
        if self.migrations.contains(&id) {
            return Ok(Ok(id));
        }
        let rows = self.reader.migrations(None)?;
        Ok(Err(match rows.into_iter().find(|row| row.id == id) {
            Some(row) if row.state.is_terminal() => {
                format!("outlived: {id} has ended, {}", spoken(&row.state))
            }
            _ => format!("{id} is not part of this run"),
        }))
    }
}

impl RequestSource for JournaledRequests {
    fn take(&mut self) -> Result<Vec<OperatorRequest>, JournalError> {
        let version = self.reader.data_version()?;
        if self.seen_version == Some(version) {
            return Ok(Vec::new());
        }
        self.seen_version = Some(version);
        for unreadable in self.reader.unreadable_requests()? {
            if self.given.insert(unreadable.id) {
                self.refused.push((unreadable.id, unreadable.why));
            }
        }
        let mut orders = Vec::new();
        for request in self.reader.pending_requests()? {
            if !self.given.insert(request.id) {
                continue;
            }
            let Request { id, kind, .. } = request;
            match self.migration(&request)? {
                Ok(migration) => {
                    let by = Operator(request.operator);
                    orders.push(OperatorRequest { id, kind, migration, by });
                }
                Err(why) => self.refused.push((id, why)),
            }
        }
        Ok(orders)
    }

    fn refused(&mut self) -> Vec<(RequestId, String)> {
        std::mem::take(&mut self.refused)
    }
}
