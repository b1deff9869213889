//! What does the work of a ticket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use crate::base::Millis;
use crate::domain::{Answer, Facts, MigrationId, MigrationSpec, Ticket};

/// One attempt to be made.
#[derive(Debug, Clone)]
pub struct Order {
    pub migration: MigrationId,
    pub ticket: Ticket,
    /// For the first undo of a compensation: the forward attempt that it turned
    /// back from.
    pub undo_of: Option<Ticket>,
    /// What the migration is asked to do.
    pub spec: Arc<MigrationSpec>,
    /// What its steps have found out so far.
    pub facts: Arc<Facts>,
    /// Whether the attempt was taken up before, by this engine or by an earlier
    /// one: its job may have been begun.
    pub issued: bool,
    /// When the attempt was journaled, as the estate's clock showed it.
    pub since_ms: Millis,
    /// Turns true when the attempt is to end soon, and start nothing.
    pub interrupt: watch::Receiver<bool>,
}

/// The future of an attempt. Dropped, it leaves what it started on its host.
pub type PerformerFuture = Pin<Box<dyn Future<Output = Answer> + Send + 'static>>;

/// The future of [`Performer::forget`].
pub type ForgetFuture = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Makes attempts: the steps of the phases over a transport, or a stand-in.
pub trait Performer: Send + Sync {
    /// Makes the attempt of `order`, or finds out what became of it.
    fn perform(&self, order: Order) -> PerformerFuture;

    /// Lets the hosts forget the jobs of a migration that has ended. What cannot
    /// be forgotten now is left: it harms nobody.
    fn forget(&self, migration: MigrationId, spec: Arc<MigrationSpec>) -> ForgetFuture {
        let _ = (migration, spec);
        Box::pin(std::future::ready(()))
    }
}
