//! An append as it goes to the writer: its records as JSON already, so that
//! encoding and writing go on side by side.

use serde::Serialize;

use crate::base::Millis;
use crate::domain::MigrationId;

use super::append::Append;
use super::attempt::Prepared;
use super::error::JournalError;
use super::ids::RequestId;

/// What one append writes.
pub(super) struct Encoded {
    pub(super) migration: MigrationId,
    pub(super) expected_seq: u64,
    pub(super) at_ms: Millis,
    pub(super) event: Vec<u8>,
    pub(super) effects: Vec<u8>,
    pub(super) state: Vec<u8>,
    pub(super) attempt: Option<Prepared>,
    pub(super) request: Option<(RequestId, String)>,
}

/// What the writer is handed: whose it is, its place, and the records, or why
/// they could not be encoded. That one is refused; the others of its group are
/// not.
pub(super) struct Entry {
    pub(super) migration: MigrationId,
    pub(super) expected_seq: u64,
    pub(super) records: Result<Encoded, JournalError>,
}

impl Entry {
    pub(super) fn new(append: Append) -> Entry {
        let Append { migration, expected_seq, .. } = append;
        Entry { migration, expected_seq, records: encode(append) }
    }
}

fn encode(append: Append) -> Result<Encoded, JournalError> {
    let Append { migration, expected_seq, event, to, effects, record, request } = append;
    Ok(Encoded {
        migration,
        expected_seq,
        at_ms: event.at_ms,
        event: json("an event", &event)?,
        effects: json("the effects of an event", &effects)?,
        state: json("a state", &to)?,
        attempt: record.map(|(ticket, record)| Prepared::new(ticket, record)).transpose()?,
        request: request.map(|(id, answer)| (id, answer.text())),
    })
}

fn json<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<Vec<u8>, JournalError> {
    // Most records are of this size: one allocation each.
    let mut text = Vec::with_capacity(256);
    serde_json::to_writer(&mut text, value)
        .map_err(|error| JournalError::Encode { what, why: error.to_string() })?;
    Ok(text)
}
