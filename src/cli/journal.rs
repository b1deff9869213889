//! `nimshift verify`, and `nimshift journal` with `backup`, `archive` and `export`.

use std::path::Path;

use crate::base::Millis;
use crate::domain::NimName;
use crate::fleet::{current, unhidden};
use crate::journal::{self, JournalDir, JournalError};
use crate::report::{self, MigrationView};

use super::error::CliError;
use super::exit::Exit;
use super::left;
use super::out::Out;
use super::state_dir::{self, StateDir};
use super::status::now_ms;

/// `nimshift verify`.
pub(super) fn verify(out: &Out, place: &StateDir) -> Result<Exit, CliError> {
    // Whether there is a journal at all is another question.
    if let Err(error @ JournalError::NotFound { .. }) = journal::Reader::open(place.dir()) {
        return Err(error.into());
    }
    match journal::verify(place.dir()) {
        Ok(sound) => {
            out.line(&format!(
                "{} migrations, {} entries, {} attempts: all replay exactly",
                sound.migrations, sound.entries, sound.attempts
            ));
            Ok(Exit::Ok)
        }
        Err(differences) => {
            for difference in &differences {
                out.line(&difference.to_string());
            }
            let count = differences.len();
            let noun = if count == 1 { "difference" } else { "differences" };
            Err(CliError::new(
                Exit::Damaged,
                format!(
                    "the journal `{}` does not replay: {count} {noun}",
                    place.journal().display()
                ),
            )
            .help("keep these files; you can restore a backup made by `nimshift journal backup`"))
        }
    }
}

/// `nimshift journal backup FILE`.
pub(super) fn backup(out: &Out, place: &StateDir, file: &Path) -> Result<Exit, CliError> {
    if file.exists() {
        let text = format!("`{}` exists: a backup never overwrites a file", file.display());
        return Err(CliError::usage(text).help("name a new file, or remove this one"));
    }
    let sound = journal::backup(place.dir(), file)?;
    out.line(&format!(
        "{}: {} migrations, {} entries, verified",
        file.display(),
        sound.migrations,
        sound.entries
    ));
    Ok(Exit::Ok)
}

/// `nimshift journal archive`.
pub(super) fn archive(out: &Out, place: &StateDir, keep_days: u32) -> Result<Exit, CliError> {
    let kept_ms = u64::from(keep_days) * 24 * 3600 * 1000;
    let before_ms = match keep_days {
        0 => Millis::MAX,
        _ => now_ms(place, &place.reader()?)?.saturating_sub(kept_ms),
    };
    let waiting = waiting(place, before_ms)?;
    for view in &waiting {
        let (batch, client, is) = (&view.batch, &view.client, view.standing().spoken());
        Out::note(&format!("batch `{batch}` is kept: {client} is {is}"));
    }
    let waiting = waiting.into_iter().map(|view| view.id).collect();
    let moved = journal::archive(place.dir(), &StateDir::open_options(), before_ms, &waiting)?;
    if moved.batches == 0 {
        Out::note(&format!("nothing to archive: no finished batch is older than {keep_days} days"));
        return Ok(Exit::Ok);
    }
    out.line(&format!(
        "{}: batches {}, migrations {}, entries {}, verified; they are no longer in the journal",
        JournalDir::new(place.dir()).archive().display(),
        moved.batches,
        moved.migrations,
        moved.entries
    ));
    Ok(Exit::Ok)
}

/// What ended before `before_ms` with a copy that still waits for its boot, as its
/// client says itself: orders must reach it.
fn waiting(place: &StateDir, before_ms: Millis) -> Result<Vec<MigrationView>, CliError> {
    let reader = place.reader()?;
    let all = report::views(&reader)?;
    let waits = |view: &MigrationView| {
        !view.is_archived && view.since_ms < before_ms && view.standing().waits_for_boot()
    };
    let mut views = current(unhidden(all.clone()));
    views.retain(waits);
    let mut views = left::asked(place, &reader, &all, views)?;
    views.retain(waits);
    Ok(views)
}

/// `nimshift journal export CLIENT`.
pub(super) fn export(out: &Out, place: &StateDir, client: &NimName) -> Result<Exit, CliError> {
    let views = current(report::views(&place.reader()?)?);
    let view = state_dir::find(&views, client)?;
    let mut lines = Vec::new();
    journal::export(place.dir(), view.id, &mut lines)?;
    out.write(&lines);
    Ok(Exit::Ok)
}
