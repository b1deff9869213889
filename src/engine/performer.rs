//! Attempts made by the steps of the phases, over a transport.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::ClockRef;
use crate::domain::{Control, MigrationId, MigrationSpec};
use crate::phases::{self, Carrier, EvidenceSink, Order};
use crate::transport::Transport;

use super::work::{ForgetFuture, Performer, PerformerFuture};

/// Carries orders out as [`phases::perform`] does.
#[derive(Clone)]
pub struct StepPerformer {
    /// What reaches the hosts.
    pub transport: Arc<dyn Transport>,
    /// The estate's clock.
    pub clock: ClockRef,
    /// Where evidence is put.
    pub evidence: Arc<dyn EvidenceSink>,
    /// What makes ids of jobs unique among state directories.
    pub scope: String,
    /// This engine, as leases tell of it. The batch is told by `batches`.
    pub control: Control,
    /// Names of batches, by their migrations.
    pub batches: Arc<Mutex<BTreeMap<MigrationId, String>>>,
}

impl Performer for StepPerformer {
    fn perform(&self, order: Order) -> PerformerFuture {
        let StepPerformer { transport, clock, evidence, scope, mut control, batches } =
            self.clone();
        let names = batches.lock().unwrap_or_else(PoisonError::into_inner);
        control.batch = names.get(&order.migration).cloned().unwrap_or_default();
        drop(names);
        let by = Carrier { scope, control };
        Box::pin(async move { phases::perform(&*transport, &clock, &*evidence, &by, &order).await })
    }

    fn forget(&self, migration: MigrationId, spec: Arc<MigrationSpec>) -> ForgetFuture {
        let transport = Arc::clone(&self.transport);
        let prefix = format!("{}.{migration}.", self.scope);
        Box::pin(async move {
            let hosts = phases::hosts(&spec);
            for host in [&hosts.client, &hosts.master] {
                if let Err(error) = transport.forget(host, &prefix).await {
                    tracing::debug!(%host, %error, "jobs that have ended were not forgotten");
                }
            }
        })
    }
}
