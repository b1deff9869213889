//! What an attempt at a step is to do, and where its evidence goes.

use std::sync::Arc;

use tokio::sync::watch;

use crate::base::Millis;
use crate::domain::{Control, Facts, MigrationId, MigrationSpec, Ticket};
use crate::transport::HostId;

use super::step::HostNames;

/// What is to be carried out.
#[derive(Debug, Clone)]
pub struct Order {
    /// The migration.
    pub migration: MigrationId,
    /// The attempt.
    pub ticket: Ticket,
    /// What the migration is asked to do.
    pub spec: Arc<MigrationSpec>,
    /// What earlier steps found out.
    pub facts: Arc<Facts>,
    /// For the first undo of a compensation: the forward ticket that it turned
    /// back from. Nothing of the migration may run any more, or begin.
    pub undo_of: Option<Ticket>,
    /// Whether this attempt was taken up before, by this process or by one that
    /// is gone: its job may have been begun.
    pub issued: bool,
    /// When the attempt was journaled, as the estate's clock showed it.
    pub since_ms: Millis,
    /// Turns true when the attempt is to be given up.
    pub interrupt: Option<watch::Receiver<bool>>,
}

/// Who has orders carried out.
#[derive(Debug, Clone)]
pub struct Carrier {
    /// Makes job ids unique among state directories.
    pub scope: String,
    /// The engine, as leases tell of it.
    pub control: Control,
}

impl Carrier {
    /// The holder of the lease: the same for all attempts of the migration, and
    /// for all its parts.
    pub fn owner(&self, order: &Order) -> String {
        let first = order.spec.earlier().map_or(order.migration, |part| part.first);
        format!("{}.{first}", self.scope)
    }

    /// What the names of the migration's jobs begin with: of this part, and of the
    /// first.
    pub fn job_prefixes(&self, order: &Order) -> Vec<String> {
        let mut prefixes = vec![format!("{}.{}.", self.scope, order.migration)];
        if order.spec.earlier().is_some() {
            prefixes.push(format!("{}.", self.owner(order)));
        }
        prefixes
    }
}

/// The hosts of a migration.
pub fn hosts(spec: &MigrationSpec) -> HostNames {
    HostNames {
        master: HostId::new(spec.master.as_str()),
        client: HostId::new(spec.client.as_str()),
    }
}

/// Where evidence is put: beside the journal.
pub trait EvidenceSink: Send + Sync {
    /// Keeps `bytes`, and returns their digest.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<String, String>;
}
