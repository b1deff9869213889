//! Which of a client's migrations and operations counts: what is under way,
//! else its latest migration, else its latest operation. An operation that has
//! ended never stands for a migration, nor does a later part of one that was
//! refused: it has changed nothing.

use std::collections::BTreeMap;

use crate::domain::{Facts, MigrationId, MigrationSpec, Pvid, Systems, Task};
use crate::journal::Loaded;
use crate::machine::State;
use crate::phases::copy_seen;
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
pub(super) fn unhidden<T: Row>(rows: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut stands: BTreeMap<String, bool> = BTreeMap::new();
    let stays = |row: &T| {
        if !row.task().is_migration() {
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

/// Whether a migration has begun: none does where the copy of another stands.
pub(super) fn has_begun(state: &State) -> bool {
    !matches!(state, State::Pending | State::Refused { .. } | State::Skipped { .. })
}

/// The operations that have ended since what counts for the client.
pub(super) fn later<'a, T: Row>(rows: &'a [T], client: &str) -> Vec<&'a T> {
    let of_client: Vec<&T> = rows.iter().filter(|row| row.client() == client).collect();
    let is_migration = |row: &&T| row.task().is_migration() && !row.is_aside();
    let last = of_client.iter().rposition(is_migration);
    let since = last.map_or(0, |last| last + 1);
    of_client[since..].iter().copied().filter(|row| !row.task().is_migration()).collect()
}

/// Marks what has become of each copy since: by what operations saw last, else by
/// what the migration itself did. `views` are all, in the order of the journal;
/// `facts` are what is known of copies.
pub(super) fn mark_since(views: &mut [MigrationView], facts: &BTreeMap<MigrationId, Facts>) {
    let mut since: BTreeMap<String, Since> = BTreeMap::new();
    for view in views.iter_mut().rev() {
        let own = facts.get(&view.id);
        let since = since.entry(view.client.clone()).or_default();
        let has_ended = matches!(view.state, State::Migrated { .. });
        if !view.task().is_migration() {
            // One that was refused has changed nothing.
            if view.state.is_terminal() && !matches!(view.state, State::Refused { .. }) {
                since.is_cleaned |= has_ended && *view.task() == Task::Cleanup;
                if !since.has_operation {
                    since.seen = own.filter(|_| has_ended).and_then(|own| own.systems.clone());
                }
                since.has_operation = true;
            }
            if let Some(systems) = since.seen.as_ref().filter(|_| !since.is_superseded) {
                view.seen = Some(copy_seen(&view.spec, &Facts::default(), systems));
            }
            continue;
        }
        view.is_cleaned = since.is_cleaned;
        let own = known(&view.spec, own.cloned().unwrap_or_default());
        if since.is_superseded {
            // No copy is made where another stands, unless the client runs from that.
            let is_gone = match (&view.state, &own.copy, &since.boot) {
                (State::RolledBack { .. }, ..) => true,
                (State::Migrated { .. }, Some(copy), Some(boot)) => {
                    copy.disks.iter().all(|disk| disk.pvid != *boot)
                }
                _ => false,
            };
            view.seen =
                is_gone.then(|| copy_seen(&view.spec, &Facts::default(), &Systems::default()));
            continue;
        }
        since.boot = own.baseline.as_ref().and_then(|baseline| baseline.boot_pvid.clone());
        let ended = own.systems.clone().filter(|_| has_ended);
        let systems = if since.has_operation { since.seen.clone() } else { ended };
        view.seen = systems.map(|systems| copy_seen(&view.spec, &own, &systems));
        since.is_superseded = has_begun(&view.state);
    }
}

/// What has happened to a client since.
#[derive(Default)]
struct Since {
    is_cleaned: bool,
    has_operation: bool,
    /// What the latest operation saw; nothing where it did not end well.
    seen: Option<Systems>,
    /// Whether a later migration has begun.
    is_superseded: bool,
    /// What the client ran from when the last one that has begun did so.
    boot: Option<Pvid>,
}

/// What a migration knows, with what the parts before it have found out.
fn known(spec: &MigrationSpec, own: Facts) -> Facts {
    let mut all = spec.part.as_ref().map_or_else(Facts::default, |part| part.facts.clone());
    all.absorb(own);
    all
}
