//! Operators' requests, from the journal to the running engine in this
//! process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::MigrationId;
use crate::engine::{NewWork, OperatorRequest, RequestSource};
use crate::journal::{
    BatchId, JournalError, Loaded, Reader, Request, RequestId, RequestKind, WhyRefused,
};
use crate::machine::Operator;
use crate::report::spoken;

use super::settings::BatchSettings;
use super::work::Work;

/// The names of the batches of migrations, as leases tell them.
pub type BatchNames = Arc<Mutex<BTreeMap<MigrationId, String>>>;

/// Learns how a plan that joins reaches its hosts, these clients of it new; or says why
/// it does not fit.
pub type Learn<'a> = &'a dyn Fn(&BatchSettings, &[&str]) -> Result<(), String>;

/// Requests that other processes have journaled.
pub struct JournaledRequests<'a> {
    reader: Reader,
    learn: Learn<'a>,
    seen_version: Option<i64>,
    given: BTreeSet<RequestId>,
    refused: Vec<(RequestId, WhyRefused)>,
    work: Vec<NewWork>,
    /// The migrations of the run.
    migrations: BTreeSet<MigrationId>,
    /// The batches that it works on.
    batches: BTreeSet<BatchId>,
    takes_work: bool,
    names: BatchNames,
    /// What joined the run, and of which client.
    pub joined: Vec<(MigrationId, String)>,
}

impl<'a> JournaledRequests<'a> {
    /// Requests for the migrations in `loaded`; hosts of new ones are told to `learn`.
    pub fn new(
        dir: &Path,
        learn: Learn<'a>,
        loaded: &[Loaded],
    ) -> Result<JournaledRequests<'a>, JournalError> {
        let reader = Reader::open(dir)?;
        let names: BTreeMap<BatchId, String> =
            reader.batches()?.into_iter().map(|row| (row.id, row.name)).collect();
        let name_of = |one: &Loaded| Some((one.id, names.get(&one.batch)?.clone()));
        let is_live = |one: &&Loaded| !one.machine.state().is_terminal();
        Ok(JournaledRequests {
            reader,
            learn,
            work: Vec::new(),
            takes_work: false,
            batches: loaded.iter().filter(is_live).map(|one| one.batch).collect(),
            names: Arc::new(Mutex::new(loaded.iter().filter_map(name_of).collect())),
            joined: Vec::new(),
            seen_version: None,
            given: BTreeSet::new(),
            refused: Vec::new(),
            migrations: loaded.iter().map(|one| one.id).collect(),
        })
    }

    /// Which migration `request` is about, or why it is not followed.
    fn migration(
        &self,
        request: &Request,
    ) -> Result<Result<MigrationId, WhyRefused>, JournalError> {
        let Some(id) = request.migration else {
            let why = "outdated: an older nimshift posted it without naming a migration; give the \
             order again";
            return Ok(Err(WhyRefused::Said(why.to_owned())));
        };
        if self.migrations.contains(&id) {
            return Ok(Ok(id));
        }
        let rows = self.reader.migrations(None)?;
        Ok(Err(match rows.into_iter().find(|row| row.id == id) {
            Some(row) if row.state.is_terminal() => {
                WhyRefused::Said(format!("outdated: {id} has ended, {}", spoken(&row.state)))
            }
            _ => WhyRefused::NotPartOfRun(id),
        }))
    }

    /// The same, for an engine that takes on work.
    #[must_use]
    pub fn with_work(self) -> JournaledRequests<'a> {
        JournaledRequests { takes_work: true, ..self }
    }

    /// The work that came with `request`, or why it is not taken.
    fn new_work(&self, request: &Request) -> Result<Result<NewWork, String>, JournalError> {
        if !self.takes_work {
            return Ok(Err("it carries out an order and accepts no other work".to_owned()));
        }
        let work = match Work::read(request) {
            Ok(work) if work.is_for(&self.batches) => work,
            Ok(work) => {
                let (batch, why) = (&work.name, "is at work in this run: run the plan again");
                return Ok(Err(format!("outdated: nothing of batch `{batch}` as it was {why}")));
            }
            Err(why) => return Ok(Err(why)),
        };
        let clients: Vec<&str> = work.clients.iter().map(|one| one.spec.client.as_str()).collect();
        if let Err(why) = (self.learn)(&work.settings, &clients) {
            return Ok(Err(why));
        }
        let rows = self.reader.migrations(None)?;
        Ok(Ok(work.settle(request, &rows)))
    }

    /// The names of the batches of the migrations, as they grow.
    pub fn names(&self) -> BatchNames {
        Arc::clone(&self.names)
    }
}

impl RequestSource for JournaledRequests<'_> {
    fn take(&mut self) -> Result<Vec<OperatorRequest>, JournalError> {
        let version = self.reader.data_version()?;
        if self.seen_version == Some(version) {
            return Ok(Vec::new());
        }
        self.seen_version = Some(version);
        for unreadable in self.reader.unreadable_requests()? {
            if self.given.insert(unreadable.id) {
                self.refused.push((unreadable.id, WhyRefused::Said(unreadable.why)));
            }
        }
        let mut orders = Vec::new();
        for request in self.reader.pending_requests()? {
            if request.kind == RequestKind::Run && !self.work.is_empty() {
                // What is asked for next is judged by what comes of this one.
                self.seen_version = None;
                continue;
            }
            if !self.given.insert(request.id) {
                continue;
            }
            let Request { id, kind, .. } = request;
            if kind == RequestKind::Run {
                match self.new_work(&request)? {
                    Ok(new) => self.work.push(new),
                    Err(why) => self.refused.push((id, WhyRefused::Said(why))),
                }
                continue;
            }
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

    fn refused(&mut self) -> Vec<(RequestId, WhyRefused)> {
        std::mem::take(&mut self.refused)
    }

    fn work(&mut self) -> Vec<NewWork> {
        std::mem::take(&mut self.work)
    }

    fn joined(&mut self, taken: &[Loaded]) {
        let Some(batch) = taken.first().map(|one| one.batch) else { return };
        let rows = self.reader.batches().unwrap_or_default().into_iter();
        let name = rows.filter(|row| row.id == batch).map(|row| row.name).next();
        let name = name.unwrap_or_default();
        self.batches.insert(batch);
        self.migrations.extend(taken.iter().map(|one| one.id));
        self.joined.extend(taken.iter().map(|one| (one.id, one.client.clone())));
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.extend(taken.iter().map(|one| (one.id, name.clone())));
    }
}
