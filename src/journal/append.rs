//! An event on its way into the journal, and what became of it.

use crate::domain::{AttemptRecord, MigrationId, Ticket};
use crate::machine::{Effect, Event, State};

use super::answer::OrderAnswer;
use super::error::JournalError;
use super::ids::RequestId;

/// An event on its way into the journal, with what followed from it.
#[derive(Debug, Clone)]
pub struct Append {
    /// Whose event it is.
    pub migration: MigrationId,
    /// How many entries the migration has: the new one gets the next number.
    pub expected_seq: u64,
    pub event: Event,
    /// The state that followed.
    pub to: State,
    /// What that state wants in flight.
    pub effects: Vec<Effect>,
    /// The attempt that the event answers, and what is kept of it.
    pub record: Option<(Ticket, AttemptRecord)>,
    /// The request that the event comes from, and what is answered to it.
    pub request: Option<(RequestId, OrderAnswer)>,
}

/// What became of an append.
#[derive(Debug, Clone)]
pub struct Ack {
    /// Whose event it was.
    pub migration: MigrationId,
    /// The number of the entry.
    pub seq: u64,
    /// Whether it is on the disk.
    pub result: Result<(), JournalError>,
}
