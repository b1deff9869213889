//! The hosts are asked what migrations have left on them, before it is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::domain::{Control, MigrationId};
use crate::journal::Reader;
use crate::phases::{self, LeftBy};
use crate::report::{Story, made_so_far};

use super::error::CliError;
use super::estate::Estate;
use super::place::{BatchSettings, Place};

/// How long hosts are waited for, in real time: the rest is told as last seen.
const WAIT: Duration = Duration::from_secs(30);

/// Asks the hosts of those of `stories` that may have left something: one call a
/// host, all at once. Where there is no estate any more, nobody is asked.
pub(super) fn ask(place: &Place, reader: &Reader, stories: &mut [Story]) -> Result<(), CliError> {
    ask_those(place, reader, stories, |story| !made_so_far(story).is_empty())
}

/// The same, and of those whose copy waits for somebody to boot it, whether that
/// has been done.
pub(super) fn ask_all(
    place: &Place,
    reader: &Reader,
    stories: &mut [Story],
) -> Result<(), CliError> {
    let is_asked =
        |story: &Story| !made_so_far(story).is_empty() || story.view.standing().waits_for_boot();
    ask_those(place, reader, stories, is_asked)
}

fn ask_those(
    place: &Place,
    reader: &Reader,
    stories: &mut [Story],
    is_asked: impl Fn(&Story) -> bool,
) -> Result<(), CliError> {
    if !stories.iter().any(&is_asked) {
        return Ok(());
    }
    let Some(settings) = BatchSettings::of_all(&reader.batches()?)? else { return Ok(()) };
    let Ok(estate) = Estate::open(place, &settings) else { return Ok(()) };
    let scope = reader.scope()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal("cannot start the runtime").because(&error))?;
    runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (index, story) in stories.iter().enumerate() {
            if !is_asked(story) {
                continue;
            }
            let steps = made_so_far(story).to_vec();
            let waits_for_boot = story.view.standing().waits_for_boot();
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
                if waits_for_boot {
                    let booted = phases::runs_copy(&*transport, by).await;
                    return (index, Vec::new(), booted == Some(true));
                }
                (index, phases::left(&*transport, by, &steps).await, false)
            });
        }
        let collect = async {
            while let Some(done) = asked.join_next().await {
                if let Ok((index, found, is_booted)) = done {
                    stories[index].found = found;
                    stories[index].view.is_booted = is_booted;
                }
            }
        };
        // Those that have not answered by then are told as they were seen last.
        let _ = tokio::time::timeout(WAIT, collect).await;
    });
    runtime.shutdown_background();
    Ok(())
}
