//! `nimshift status`.

use std::collections::BTreeSet;

use crate::base::{Millis, SystemClock, limits, nearest};
use crate::domain::EstateKind;
use crate::fleet::{BatchSettings, latest_batch, stand};
use crate::journal::{Holder, Reader};
use crate::lab::Lab;
use crate::report::{self, BatchStatus, MigrationView, Status, status_lines};

use super::args::StatusArgs;
use super::error::CliError;
use super::exit::Exit;
use super::left;
use super::out::Out;
use super::state_dir::StateDir;

/// What status is made from.
struct Seen {
    /// All of the journal.
    all: Vec<MigrationView>,
    views: Vec<MigrationView>,
    batch: Option<BatchStatus>,
    engine: Option<String>,
    now_ms: Millis,
}

impl Seen {
    /// All of batch `of`, or how each client stands.
    fn look(place: &StateDir, reader: &Reader, of: Option<&str>) -> Result<Seen, CliError> {
        let all = report::views(reader)?;
        let batches = reader.batches()?;
        let named = of.map(|of| {
            batches.iter().rfind(|batch| batch.name == of).ok_or_else(|| {
                let error = CliError::usage(format!("the journal knows no batch `{of}`"));
                let names: BTreeSet<&str> = batches.iter().map(|one| one.name.as_str()).collect();
                match nearest(of, names.iter().copied()) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help(format!("it knows {}", listed(names))),
                }
            })
        });
        let (engine, now_ms) = (engine(place)?, now_ms(place, reader)?);
        if let Some(batch) = named.transpose()? {
            let views = all.iter().filter(|view| view.batch == batch.name).cloned().collect();
            let batch = Some(BatchStatus::from(batch));
            return Ok(Seen { all, views, batch, engine, now_ms });
        }
        let views = stand(&all);
        let batch = latest_batch(&batches, &all).map(BatchStatus::from);
        Ok(Seen { all, views, batch, engine, now_ms })
    }

    fn at_rest(&self) -> bool {
        self.engine.is_none() || self.views.iter().all(|view| view.state.is_at_rest())
    }

    fn tell(&self, out: &Out, json: bool) {
        if json {
            let Seen { views, batch, engine, now_ms, .. } = self;
            out.json(&Status::new(views, batch.clone(), engine.clone(), *now_ms));
            return;
        }
        let (batch, engine) = (self.batch.as_ref(), self.engine.as_deref());
        out.lines(&status_lines(&self.views, batch, engine, self.now_ms, Out::width()));
    }
}

/// `names`, as many as fit a line.
fn listed(names: BTreeSet<&str>) -> String {
    let (all, shown) = (names.len(), 10);
    let told: Vec<String> = names.into_iter().take(shown).map(|name| format!("`{name}`")).collect();
    let more = if all > shown { format!(" and {} more", all - shown) } else { String::new() };
    format!("{}{more}", told.join(", "))
}

/// The time on the clock of the estate that the latest batch talks to: a lab that
/// stands beside real hosts has another.
pub(super) fn now_ms(place: &StateDir, reader: &Reader) -> Result<Millis, CliError> {
    let settings = reader.batches()?.last().map(BatchSettings::read).transpose()?;
    let is_lab = settings.is_none_or(|settings| settings.kind == EstateKind::Lab);
    if is_lab && Lab::exists(&place.lab()) {
        Ok(Lab::open(&place.lab())?.clock().now_ms())
    } else {
        Ok(SystemClock::read_ms())
    }
}

/// The engine that holds the state directory, if one does.
pub(super) fn engine(place: &StateDir) -> Result<Option<String>, CliError> {
    let held = Holder::of(place.dir())?;
    Ok(held.map(|holder| format!("process {} on {}", holder.pid, holder.host)))
}

/// `nimshift status`.
pub(super) fn status(out: &Out, place: &StateDir, args: &StatusArgs) -> Result<Exit, CliError> {
    let reader = place.reader()?;
    let mut seen = Seen::look(place, &reader, args.batch.as_deref())?;
    if args.ask {
        seen.views = left::asked(place, &reader, &seen.all, seen.views)?;
    }
    if !args.watch {
        seen.tell(out, args.json);
        return Ok(Exit::Ok);
    }
    loop {
        // A version that was read before the look: what is written meanwhile is
        // seen by the next one.
        let version = reader.data_version()?;
        seen = Seen::look(place, &reader, args.batch.as_deref())?;
        if Out::is_terminal() && !args.json {
            out.write(b"\x1b[H\x1b[2J");
        }
        seen.tell(out, args.json);
        if seen.at_rest() || out.is_gone() {
            return Ok(Exit::Ok);
        }
        while reader.data_version()? == version && engine(place)?.is_some() {
            pause();
        }
    }
}

/// Between two looks for a change.
#[expect(clippy::disallowed_methods, reason = "a command that waits has nothing else to do")]
fn pause() {
    std::thread::sleep(limits::WATCH_POLL);
}
