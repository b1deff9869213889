//! Which migrations are shown: by `status`, and at the end of a run.

use crate::domain::MigrationId;
use crate::journal::BatchRow;
use crate::machine::State;
use crate::report::MigrationView;

use super::current::{current, later};
use super::left::before;

/// How each client stands, of `all` in the order of the journal: what counts for it, with
/// what stands though it was refused since, and what was done to it last.
pub fn stand(all: &[MigrationView]) -> Vec<MigrationView> {
    let mut views = Vec::new();
    for view in current(all) {
        // What has been done to the client since.
        let since = later(all, &view.client).last().copied();
        // What was refused has changed nothing: what stands is told beside it.
        let stands = before(all, view).filter(|before| {
            view.spec.task.is_migration()
                && matches!(before.state, State::Migrated { .. })
                && !before.standing().is_cleaned()
        });
        let since = since.filter(|operation| operation.id != view.id);
        views.extend(stands.into_iter().chain([view]).chain(since).cloned());
    }
    views
}

/// The latest of `batches`: of migrations, where there is any, for an operation is a
/// batch, too.
pub fn latest_batch<'a>(batches: &'a [BatchRow], all: &[MigrationView]) -> Option<&'a BatchRow> {
    let is_plan = |batch: &&BatchRow| {
        all.iter().any(|view| view.spec.task.is_migration() && view.batch == batch.name)
    };
    batches.iter().rev().find(is_plan).or(batches.last())
}

/// What a run was about: for each of `clients` that one of `ids`, else what counts for
/// it, of `all` in the order of the journal.
pub fn run_for(
    all: &[MigrationView],
    clients: &[String],
    ids: &[MigrationId],
) -> Vec<MigrationView> {
    let mut views = current(all);
    views.retain(|view| clients.contains(&view.client));
    for view in &mut views {
        let of_run = all.iter().rfind(|one| one.client == view.client && ids.contains(&one.id));
        *view = of_run.unwrap_or(view);
    }
    // What was leveled or put to sleep some day is none of the night's clients.
    let is_aside = |view: &&MigrationView| {
        !view.spec.task.is_migration() && view.state.is_terminal() && !ids.contains(&view.id)
    };
    if !views.iter().all(is_aside) {
        views.retain(|view| !is_aside(view));
    }
    views.into_iter().cloned().collect()
}
