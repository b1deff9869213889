//! What an older program left unfinished goes on by today's decisions.

use std::path::Path;

use rusqlite::Connection;

use super::error::JournalError;
use super::replay::Replayed;
use super::writer::write_alone;

/// Appends to each unfinished migration that was left by older decisions an
/// entry that it goes on by those of today, within a transaction of the caller.
/// An ended one is left as it is, until an order makes it go on.
///
/// The journal does not know the clock of the hosts: the entry has the time of
/// the one before it, and the epoch of the engine that made it.
pub(super) fn adopt(
    connection: &Connection,
    path: &Path,
    replayed: &mut Replayed,
    epoch: u64,
) -> Result<(), JournalError> {
    let Replayed { loaded, heads, last_entry, .. } = replayed;
    for one in loaded.iter_mut().filter(|one| !one.machine.state().is_terminal()) {
        let Some(append) = one.adopt(one.updated_ms) else { continue };
        let (entry, before) = (*last_entry + 1, heads.get(&one.id.0).copied());
        let after = write_alone(connection, append, before, entry, epoch)?.map_err(|error| {
            JournalError::sqlite(path, "cannot take up what an older nimshift left", &error)
        })?;
        heads.insert(one.id.0, after);
        *last_entry = entry;
    }
    Ok(())
}
