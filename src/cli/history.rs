//! `nimshift history CLIENT`.

use crate::report::{Detail, HistoryDocument, history_lines};

use super::args::HistoryArgs;
use super::error::CliError;
use super::exit::Exit;
use super::follow::follow;
use super::left;
use super::out::Out;
use super::place::{self, Place};
use super::status::now_ms;

/// `nimshift history CLIENT`.
pub(super) fn history(out: &Out, place: &Place, args: &HistoryArgs) -> Result<Exit, CliError> {
    let reader = place.reader()?;
    let views = place::views(&reader)?;
    // The latest of all, an operation too.
    let newest: Vec<_> = views.iter().rev().cloned().collect();
    let mut view = place::find(&newest, &args.client)?;
    if let Some(number) = args.number {
        let of_number = views.iter().find(|one| one.client == view.client && one.number == number);
        view = of_number.ok_or_else(|| {
            CliError::usage(format!("{} has no migration {number}", args.client))
                .help(format!("its latest is {}", view.number))
        })?;
    }
    let detail = if args.all { Detail::All } else { Detail::Failures };
    if args.follow {
        return follow(out, place, &reader, view, detail);
    }
    let mut story = place::story(&reader, view.clone())?;
    left::ask_all(place, &reader, std::slice::from_mut(&mut story))?;
    if args.json {
        out.json(&HistoryDocument::new(&story));
        return Ok(Exit::Ok);
    }
    out.lines(&history_lines(&story, now_ms(place, &reader)?, detail));
    Ok(Exit::Ok)
}
