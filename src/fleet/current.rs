//! Which of a client's migrations and operations counts: what is under way,
//! else its latest migration, else its latest operation. An operation that has
//! ended never stands for a migration, nor does a later part of one that was
//! refused: it has changed nothing.

use std::collections::BTreeMap;

use crate::domain::MigrationSpec;
use crate::journal::Loaded;
use crate::machine::State;
use crate::report::{MigrationView, has_begun};

/// What is told apart here.
pub trait Row {
    /// Whose it is.
    fn client(&self) -> &str;
    /// How it stands.
    fn state(&self) -> &State;
    /// What is asked for.
    fn spec(&self) -> &MigrationSpec;

    /// Whether it migrates, and is no operation.
    fn is_migration(&self) -> bool {
        self.spec().task.is_migration()
    }

    /// Whether it has ended and says nothing of the client's migration.
    fn is_aside(&self) -> bool {
        match self.state() {
            State::Refused { .. } if self.spec().part.is_some() => true,
            state => !self.is_migration() && state.is_terminal(),
        }
    }
}

impl Row for MigrationView {
    fn client(&self) -> &str {
        &self.client
    }
    fn state(&self) -> &State {
        &self.state
    }
    fn spec(&self) -> &MigrationSpec {
        &self.spec
    }
}

impl Row for Loaded {
    fn client(&self) -> &str {
        &self.client
    }
    fn state(&self) -> &State {
        self.machine.state()
    }
    fn spec(&self) -> &MigrationSpec {
        &self.spec
    }
}

impl<T: Row> Row for &T {
    fn client(&self) -> &str {
        (*self).client()
    }
    fn state(&self) -> &State {
        (*self).state()
    }
    fn spec(&self) -> &MigrationSpec {
        (*self).spec()
    }
}

/// The one of `rows` that counts for each client, in the order in which clients
/// were first asked for. `rows` are in the order of the journal.
pub fn current<T: Row>(rows: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        match at.get(row.client()) {
            None => {
                at.insert(row.client().to_owned(), kept.len());
                kept.push(row);
            }
            Some(index) if takes_over(&kept[*index], &row) => kept[*index] = row,
            Some(_) => {}
        }
    }
    kept
}

/// `rows`, in the order of the journal, without migrations that were refused after one
/// that stands: they have changed nothing, and it is that one which orders reach.
pub fn unhidden<T: Row>(rows: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut stands: BTreeMap<String, bool> = BTreeMap::new();
    let stays = |row: &T| {
        if !row.is_migration() {
            return true;
        }
        let stands = stands.entry(row.client().to_owned()).or_default();
        if has_begun(row.state()) {
            *stands = matches!(row.state(), State::Migrated { .. });
        }
        !*stands || !matches!(row.state(), State::Refused { .. })
    };
    rows.into_iter().filter(stays).collect()
}

fn takes_over<T: Row>(old: &T, new: &T) -> bool {
    !new.is_aside() || old.is_aside()
}

/// The operations that have ended since what counts for the client.
pub fn later<'a, T: Row>(rows: &'a [T], client: &str) -> Vec<&'a T> {
    let of_client: Vec<&T> = rows.iter().filter(|row| row.client() == client).collect();
    let is_migration = |row: &&T| row.is_migration() && !row.is_aside();
    let last = of_client.iter().rposition(is_migration);
    let since = last.map_or(0, |last| last + 1);
    of_client[since..].iter().copied().filter(|row| !row.is_migration()).collect()
}

/// What counts for each of `clients`.
pub fn latest_of(mut loaded: Vec<Loaded>, clients: &[String]) -> Vec<Loaded> {
    loaded.retain(|one| clients.contains(&one.client));
    loaded.sort_by_key(|one| one.id);
    let mut latest = current(loaded);
    latest.sort_by_key(|one| one.id);
    latest
}
