//! The hosts are asked what migrations have left on them, before it is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::domain::{Control, MigrationId, Presence, StepName, Task};
use crate::fleet::{BatchSettings, current, unhidden};
use crate::journal::Reader;
use crate::machine::State;
use crate::phases::{self, LeftBy};
use crate::report::{self, MigrationView, Story, asked_after, has_begun};

use super::error::CliError;
use super::estate::{Estate, runtime};
use super::place::Place;

/// The one of `all` whose copy may stand where `view` has touched nothing.
pub(super) fn before<'a>(
    all: &'a [MigrationView],
    view: &MigrationView,
) -> Option<&'a MigrationView> {
    let touched_nothing = matches!(view.state, State::Refused { .. } | State::Skipped { .. });
    let is_it = |one: &&MigrationView| {
        one.client == view.client
            && one.id < view.id
            && one.spec.task.is_migration()
            && has_begun(&one.state)
    };
    if touched_nothing { all.iter().rfind(is_it) } else { None }
}

/// How long hosts are waited for, in real time: the rest is told as last seen.
const WAIT: Duration = Duration::from_secs(30);

/// Asks the hosts of those of `stories` that may have left something and are not at
/// their end: all at once. Where there is no estate any more, nobody is asked. `all`
/// are all views of the journal.
pub(super) fn ask(
    place: &Place,
    reader: &Reader,
    all: &[MigrationView],
    stories: &mut [Story],
) -> Result<(), CliError> {
    let is_kept = |view: &MigrationView| matches!(view.state, State::RolledBack { .. });
    ask_those(place, reader, all, stories, is_kept)
}

/// The same, and what of its copy each client shows by now: people boot by hand.
pub(super) fn ask_all(
    place: &Place,
    reader: &Reader,
    all: &[MigrationView],
    stories: &mut [Story],
) -> Result<(), CliError> {
    ask_those(place, reader, all, stories, |_| true)
}

/// `views`, of `all`, as the clients themselves say where a copy may stand.
pub(super) fn asked(
    place: &Place,
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
    place: &Place,
    clients: &[String],
) -> Result<Vec<MigrationView>, CliError> {
    let reader = place.reader()?;
    let mut all = report::views(&reader)?;
    all.retain(|view| clients.contains(&view.client) && !view.is_archived);
    let views = current(unhidden(all.clone()));
    let (migrated, others): (Vec<_>, Vec<_>) =
        views.into_iter().partition(|view| matches!(view.state, State::Migrated { .. }));
    let mut views = asked(place, &reader, &all, migrated)?;
    views.extend(others);
    Ok(views)
}

/// Whether a copy may stand that is this one's, and is looked at.
fn has_copy(view: &MigrationView) -> bool {
    let spec = &*view.spec;
    match &view.state {
        _ if !spec.mode.changes_client() || !spec.mode.has_client() => false,
        State::Migrated { .. } => !matches!(spec.task, Task::Sync { .. }),
        State::RolledBack { .. } => spec.task.is_migration() && spec.keeps_failed_copy(),
        _ => false,
    }
}

fn ask_those(
    place: &Place,
    reader: &Reader,
    all: &[MigrationView],
    stories: &mut [Story],
    is_asked: impl Fn(&MigrationView) -> bool,
) -> Result<(), CliError> {
    for story in &mut *stories {
        let before = before(all, &story.view).cloned();
        story.before = before.map(|view| report::story(reader, view)).transpose()?.map(Box::new);
    }
    let mut stories: Vec<&mut Story> = stories
        .iter_mut()
        .map(|story| match story.before {
            Some(ref mut before) => &mut **before,
            None => story,
        })
        .collect();
    // Where a later migration has begun, what stands is that one's.
    let is_last = |view: &MigrationView| {
        let is_later = |one: &MigrationView| {
            one.client == view.client && one.id > view.id && one.spec.task.is_migration()
        };
        !all.iter().any(|one| is_later(one) && has_begun(&one.state))
    };
    let wants = |story: &Story| {
        let view = &story.view;
        let steps = !asked_after(story).is_empty();
        let changes = view.spec.mode.changes_client();
        let copy = steps && changes || has_copy(view) && is_asked(view);
        (steps, copy && is_last(view))
    };
    if !stories.iter().any(|story| wants(story) != (false, false)) {
        return Ok(());
    }
    let Some(settings) = BatchSettings::of_all(&reader.batches()?)? else { return Ok(()) };
    let Ok(estate) = Estate::open(place, &settings) else { return Ok(()) };
    for story in &mut stories {
        story.view.is_silent = wants(story).1 && has_copy(&story.view);
    }
    let scope = reader.scope()?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (index, story) in stories.iter().enumerate() {
            let (has_steps, looks_at_copy) = wants(story);
            if !has_steps && !looks_at_copy {
                continue;
            }
            let steps = asked_after(story);
            let (spec, facts) = (Arc::clone(&story.view.spec), story.facts());
            let first: MigrationId = spec.part.as_ref().map_or(story.view.id, |part| part.first);
            let owner = format!("{scope}.{first}");
            let control = Control {
                job_dir: estate.job_dir.clone(),
                on_master: estate.own_process(),
                ..Control::default()
            };
            let (transport, now_ms) = (Arc::clone(&estate.transport), estate.clock.now_ms());
            asked.spawn(async move {
                let by =
                    LeftBy { spec: &spec, facts: &facts, owner: &owner, control: &control, now_ms };
                let copy = async {
                    if looks_at_copy { phases::look_at_copy(&*transport, by).await } else { None }
                };
                let (found, copy) = tokio::join!(phases::left(&*transport, by, &steps), copy);
                (index, found, copy)
            });
        }
        let collect = async {
            while let Some(done) = asked.join_next().await {
                let Ok((index, found, copy)) = done else { continue };
                let is_file =
                    |name: &StepName| ["archive-mksysb", "nimadm-finish"].contains(&name.as_str());
                let mut files = found.iter().filter(|(name, _)| is_file(name));
                stories[index].view.is_gone =
                    files.any(|(_, is)| matches!(is, Presence::Absent | Presence::Partial));
                stories[index].found = found;
                if copy.is_some() {
                    stories[index].view.is_silent = false;
                    stories[index].view.seen = copy;
                }
            }
        };
        // Those that have not answered by then are told as they were seen last.
        let _ = tokio::time::timeout(WAIT, collect).await;
    });
    runtime.shutdown_background();
    Ok(())
}
