//! The hosts are asked what migrations have left on them, before it is told.

use crate::domain::Control;
use crate::fleet::{BatchSettings, HostsNow, LeftToAsk, current, has_copy, unhidden};
use crate::journal::Reader;
use crate::machine::State;
use crate::report::{self, MigrationView, Story};

use super::error::CliError;
use super::estate::{Estate, runtime};
use super::state_dir::StateDir;

/// Asks the hosts of those of `stories` that may have left something and are not at
/// their end: all at once. Where there is no estate any more, nobody is asked. `all`
/// are all views of the journal.
pub(super) fn ask(
    place: &StateDir,
    reader: &Reader,
    all: &[MigrationView],
    stories: &mut [Story],
) -> Result<(), CliError> {
    let is_kept = |view: &MigrationView| matches!(view.state, State::RolledBack { .. });
    ask_those(place, reader, all, stories, is_kept)
}

/// The same, and what of its copy each client shows by now: people boot by hand.
pub(super) fn ask_all(
    place: &StateDir,
    reader: &Reader,
    all: &[MigrationView],
    stories: &mut [Story],
) -> Result<(), CliError> {
    ask_those(place, reader, all, stories, |_| true)
}

/// `views`, of `all`, as the clients themselves say where a copy may stand.
pub(super) fn asked(
    place: &StateDir,
    reader: &Reader,
    all: &[MigrationView],
    views: Vec<MigrationView>,
) -> Result<Vec<MigrationView>, CliError> {
    let stories = views.into_iter().map(|view| {
        if has_copy(&view) {
            report::story(reader, view)
        } else {
            Ok(Story { view, entries: Vec::new(), found: Vec::new(), before: None })
        }
    });
    let mut stories = stories.collect::<Result<Vec<_>, _>>()?;
    ask_all(place, reader, all, &mut stories)?;
    Ok(stories.into_iter().map(|story| story.view).collect())
}

/// What counts for each of `clients`, as it says itself where it has migrated: what
/// was seen last may have been removed, or booted, since. What is archived counts for
/// nothing that is to be begun.
pub(super) fn as_they_stand(
    place: &StateDir,
    clients: &[String],
) -> Result<Vec<MigrationView>, CliError> {
    let reader = place.reader()?;
    let (all, views) = as_last_seen(&reader, clients)?;
    let (migrated, others): (Vec<_>, Vec<_>) =
        views.into_iter().partition(|view| matches!(view.state, State::Migrated { .. }));
    let mut views = asked(place, &reader, &all, migrated)?;
    views.extend(others);
    Ok(views)
}

/// The same as they were seen last, behind all of theirs.
pub(super) fn as_last_seen(
    reader: &Reader,
    clients: &[String],
) -> Result<(Vec<MigrationView>, Vec<MigrationView>), CliError> {
    let mut all = report::views(reader)?;
    all.retain(|view| clients.contains(&view.client) && !view.is_archived);
    let views = current(unhidden(all.clone()));
    Ok((all, views))
}

fn ask_those(
    place: &StateDir,
    reader: &Reader,
    all: &[MigrationView],
    stories: &mut [Story],
    is_asked: impl Fn(&MigrationView) -> bool,
) -> Result<(), CliError> {
    let Some(asking) = LeftToAsk::of(reader, all, stories, is_asked)? else { return Ok(()) };
    let Some(hosts) = hosts_now(place, reader)? else { return Ok(()) };
    let scope = reader.scope()?;
    let runtime = runtime()?;
    runtime.block_on(asking.ask(&scope, &hosts));
    runtime.shutdown_background();
    Ok(())
}

/// The hosts that earlier runs have talked to, where they are still there.
fn hosts_now(place: &StateDir, reader: &Reader) -> Result<Option<HostsNow>, CliError> {
    let Some(settings) = BatchSettings::of_all(&reader.batches()?)? else { return Ok(None) };
    let Ok(estate) = Estate::open(place, &settings) else { return Ok(None) };
    let control = Control {
        job_dir: estate.job_dir.clone(),
        on_master: estate.own_process(),
        ..Control::default()
    };
    let now_ms = estate.clock.now_ms();
    Ok(Some(HostsNow { transport: estate.transport, control, now_ms }))
}
