//! What does the work of a ticket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::domain::{Answer, MigrationId, MigrationSpec};
use crate::phases::Order;

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
