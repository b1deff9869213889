//! `nimshift history CLIENT`.

use std::cmp::Reverse;

use crate::machine::State;
use crate::report::{self, Detail, HistoryDocument, MigrationView, history_begun, history_lines};

use super::args::HistoryArgs;
use super::error::CliError;
use super::exit::Exit;
use super::follow::follow;
use super::left;
use super::out::Out;
use super::state_dir::{self, StateDir};
use super::status::now_ms;

/// `nimshift history CLIENT`.
pub(super) fn history(out: &Out, place: &StateDir, args: &HistoryArgs) -> Result<Exit, CliError> {
    let reader = place.reader()?;
    let views = report::views(&reader)?;
    // What something has happened to last, an operation too: an order may be about a
    // migration after a later part of it was refused.
    let mut newest: Vec<_> = views.iter().rev().cloned().collect();
    newest.sort_by_key(|one| Reverse(one.since_ms));
    let mut view = state_dir::find(&newest, &args.client)?;
    let mut before: Vec<&MigrationView> = views
        .iter()
        .filter(|one| one.client == view.client && one.number > view.number)
        .filter(|one| matches!(one.state, State::Refused { .. }))
        .collect();
    if let Some(number) = args.number {
        let of_number = views.iter().find(|one| one.client == view.client && one.number == number);
        view = of_number.ok_or_else(|| {
            let latest = views.iter().rfind(|one| one.client == view.client);
            CliError::usage(format!("{} has no migration {number}", args.client))
                .help(format!("its latest is {}", latest.map_or(view.number, |one| one.number)))
        })?;
        before.clear();
    }
    let detail = if args.all { Detail::All } else { Detail::Failures };
    if args.follow {
        return follow(out, place, &reader, view, detail);
    }
    let mut story = report::story(&reader, view.clone())?;
    left::ask_all(place, &reader, &views, std::slice::from_mut(&mut story))?;
    if args.json {
        out.json(&HistoryDocument::new(&story));
        return Ok(Exit::Ok);
    }
    for refused in before {
        out.lines(&history_begun(&report::story(&reader, refused.clone())?, detail));
        out.lines(&[String::new()]);
    }
    out.lines(&history_lines(&story, now_ms(place, &reader)?, detail));
    Ok(Exit::Ok)
}
