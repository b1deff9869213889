//! The hosts are asked what migrations have left on them, before it is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::domain::{Control, MigrationId, Presence, StepName, Task};
use crate::journal::Reader;
use crate::machine::State;
use crate::phases::{self, LeftBy};
use crate::report::{MigrationView, Story, asked_after};

use super::error::CliError;
use super::estate::Estate;
use super::place::{self, BatchSettings, Place};

/// The one of `all` whose copy may stand where `view` has touched nothing.
pub(super) fn before<'a>(
    all: &'a [MigrationView],
    view: &MigrationView,
) -> Option<&'a MigrationView> {
    let touched_nothing = view.spec.task.is_migration()
        && matches!(view.state, State::Refused { .. } | State::Skipped { .. });
    let is_it =
        |one: &&MigrationView| one.client == view.client && one.id < view.id && has_begun(one);
    if touched_nothing { all.iter().rfind(is_it) } else { None }
}

/// Whether it is a migration that has begun: none does where the copy of another stands.
fn has_begun(view: &MigrationView) -> bool {
    let is_touched =
        !matches!(view.state, State::Pending | State::Refused { .. } | State::Skipped { .. });
    view.spec.task.is_migration() && is_touched
}

/// How long hosts are waited for, in real time: the rest is told as last seen.
const WAIT: Duration = Duration::from_secs(30);

/// Asks the hosts of those of `stories` that may have left something and are not at
/// their end: all at once. Where there is no estate any more, nobody is asked.
pub(super) fn ask(place: &Place, reader: &Reader, stories: &mut [Story]) -> Result<(), CliError> {
    let is_kept = |view: &MigrationView| matches!(view.state, State::RolledBack { .. });
    ask_those(place, reader, stories, is_kept)
}

/// The same, and what of its copy each client shows by now: people boot by hand.
pub(super) fn ask_all(
    place: &Place,
    reader: &Reader,
    stories: &mut [Story],
) -> Result<(), CliError> {
    ask_those(place, reader, stories, |_| true)
}

/// Whether a copy may stand that is this one's, and is looked at.
pub(super) fn has_copy(view: &MigrationView) -> bool {
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
    stories: &mut [Story],
    is_asked: impl Fn(&MigrationView) -> bool,
) -> Result<(), CliError> {
    let all = place::views(reader)?;
    for story in &mut *stories {
        let before = before(&all, &story.view).cloned();
        story.before = before.map(|view| place::story(reader, view)).transpose()?.map(Box::new);
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
        !all.iter().any(|one| one.client == view.client && one.id > view.id && has_begun(one))
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal("cannot start the runtime").because(&error))?;
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
