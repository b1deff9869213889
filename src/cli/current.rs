//! Which of a client's migrations and operations counts: what is under way,
//! else its latest migration, else its latest operation. An operation that has
//! ended never stands for a migration.

use crate::domain::Task;
use crate::journal::Loaded;
use crate::machine::State;
use crate::report::MigrationView;

/// What is told apart here.
pub(super) trait Row {
    fn client(&self) -> &str;
    fn state(&self) -> &State;
    fn task(&self) -> &Task;
}

impl Row for MigrationView {
    fn client(&self) -> &str {
        &self.client
    }
    fn state(&self) -> &State {
        &self.state
    }
    fn task(&self) -> &Task {
        &self.spec.task
    }
}

impl Row for Loaded {
    fn client(&self) -> &str {
        &self.client
    }
    fn state(&self) -> &State {
        self.machine.state()
    }
    fn task(&self) -> &Task {
        &self.spec.task
    }
}

impl<T: Row> Row for &T {
    fn client(&self) -> &str {
        (*self).client()
    }
    fn state(&self) -> &State {
        (*self).state()
    }
    fn task(&self) -> &Task {
        (*self).task()
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
    let ended_operation = !old.task().is_migration() && old.state().is_terminal();
    new.task().is_migration() || !new.state().is_terminal() || ended_operation
}

/// The operations that have ended since what counts for the client.
pub(super) fn later<'a, T: Row>(rows: &'a [T], client: &str) -> Vec<&'a T> {
    let of_client: Vec<&T> = rows.iter().filter(|row| row.client() == client).collect();
    let last = of_client.iter().rposition(|row| row.task().is_migration());
    let since = last.map_or(0, |last| last + 1);
    of_client[since..].iter().copied().filter(|row| !row.task().is_migration()).collect()
}

/// Whether a cleanup has ended well since the client's latest migration.
pub(super) fn is_cleaned<T: Row>(rows: &[T], client: &str) -> bool {
    later(rows, client)
        .iter()
        .any(|row| *row.task() == Task::Cleanup && matches!(row.state(), State::Migrated { .. }))
}
