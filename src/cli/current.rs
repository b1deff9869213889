//! Which of a client's migrations and operations counts: what is under way,
//! else its latest migration, else its latest operation. An operation that has
//! ended never stands for a migration, nor does a later part of one that was
//! refused: it has changed nothing.

use crate::domain::{MigrationSpec, Task};
use crate::journal::Loaded;
use crate::machine::State;
use crate::report::MigrationView;

/// What is told apart here.
pub(super) trait Row {
    fn client(&self) -> &str;
    fn state(&self) -> &State;
    fn spec(&self) -> &MigrationSpec;

    fn task(&self) -> &Task {
        &self.spec().task
    }

    /// Whether it has ended and says nothing of the client's migration.
    fn is_aside(&self) -> bool {
        match self.state() {
            State::Refused { .. } if self.spec().part.is_some() => true,
            state => !self.task().is_migration() && state.is_terminal(),
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
pub(super) fn current<T: Row>(rows: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    let mut at: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
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

fn takes_over<T: Row>(old: &T, new: &T) -> bool {
    !new.is_aside() || old.is_aside()
}

/// The operations that have ended since what counts for the client.
pub(super) fn later<'a, T: Row>(rows: &'a [T], client: &str) -> Vec<&'a T> {
    let of_client: Vec<&T> = rows.iter().filter(|row| row.client() == client).collect();
    let is_migration = |row: &&T| row.task().is_migration() && !row.is_aside();
    let last = of_client.iter().rposition(is_migration);
    let since = last.map_or(0, |last| last + 1);
    of_client[since..].iter().copied().filter(|row| !row.task().is_migration()).collect()
}

/// Marks what a cleanup has taken away since: `views` are all, in the order of the
/// journal.
pub(super) fn mark_cleaned(views: &mut [MigrationView]) {
    let mut cleaned = std::collections::BTreeSet::new();
    for view in views.iter_mut().rev() {
        if view.task().is_migration() {
            view.is_cleaned = cleaned.contains(&view.client);
        } else if *view.task() == Task::Cleanup && matches!(view.state, State::Migrated { .. }) {
            cleaned.insert(view.client.clone());
        }
    }
}

/// Whether a cleanup has ended well since the client's latest migration.
pub(super) fn is_cleaned<T: Row>(rows: &[T], client: &str) -> bool {
    later(rows, client)
        .iter()
        .any(|row| *row.task() == Task::Cleanup && matches!(row.state(), State::Migrated { .. }))
}
