//! `nimshift history CLIENT --follow`: the story as it is journaled, and between
//! its entries what the job in flight says on its host.

use std::time::Duration;

use crate::base::{limits, sanitize_line};
use crate::fleet::{BatchSettings, in_flight};
use crate::journal::Reader;
use crate::report::{self, Detail, MigrationView, history_begun, history_lines};
use crate::transport::{HostId, JobId, OutputMark, Transport};

use super::error::CliError;
use super::estate::{Estate, runtime};
use super::exit::Exit;
use super::left;
use super::out::Out;
use super::state_dir::StateDir;
use super::status::{engine, now_ms};

/// How often a host is asked for more, and how long it is waited for.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_LIMIT: Duration = Duration::from_secs(30);

/// Pieces of output that are read in one go, so that the journal is looked at.
const PIECES: usize = 16;

/// Bytes of a line that are shown.
const LINE_BYTES_MAX: usize = 1_000;

/// Before each line of output, as the story has it.
const INDENT: &str = "            | ";

/// Follows the migration `view` until it is at rest, or nobody works on it.
pub(super) fn follow(
    out: &Out,
    place: &StateDir,
    reader: &Reader,
    view: &MigrationView,
    detail: Detail,
) -> Result<Exit, CliError> {
    let Some(settings) = BatchSettings::of_all(&reader.batches()?)? else {
        return Err(CliError::usage("no plan has run here"));
    };
    let estate = Estate::open(place, &settings)?;
    let runtime = runtime()?;
    let scope = reader.scope()?;
    let mut told = 0;
    let mut job: Option<Running> = None;
    loop {
        // Asked first: what an engine writes last is read after that.
        let is_worked_on = engine(place)?.is_some();
        let version = reader.data_version()?;
        let all = report::views(reader)?;
        let Some(view) = all.iter().find(|one| one.id == view.id).cloned() else {
            return Err(CliError::internal(format!("the journal has no migration {}", view.id)));
        };
        let state = view.state.clone();
        let mut story = report::story(reader, view)?;
        let lines = history_begun(&story, detail);
        if lines.len() > told
            && let Some(ended) = &mut job
        {
            // Its last words come before what came of it.
            runtime.block_on(ended.read_all(out, &*estate.transport));
            ended.end(out);
        }
        out.lines(lines.get(told..).unwrap_or_default());
        told = lines.len();
        if state.is_at_rest() || !is_worked_on || out.is_gone() {
            left::ask_all(place, reader, &all, std::slice::from_mut(&mut story))?;
            let whole = history_lines(&story, now_ms(place, reader)?, detail);
            out.lines(whole.get(told..).unwrap_or_default());
            return Ok(Exit::Ok);
        }
        let wanted = in_flight(&story.view, &state, &scope);
        if job.as_ref().map(|job| &job.id) != wanted.as_ref().map(|(_, id)| id) {
            job = wanted.map(|(host, id)| Running::new(host, id));
        }
        let mut since_asked = ASK_EVERY;
        while reader.data_version()? == version && engine(place)?.is_some() {
            runtime.block_on(async {
                if let Some(job) = &mut job
                    && since_asked >= ASK_EVERY
                {
                    job.read(out, &*estate.transport).await;
                    since_asked = Duration::ZERO;
                }
                tokio::time::sleep(limits::WATCH_POLL).await;
                since_asked += limits::WATCH_POLL;
            });
        }
    }
}

/// A job whose output is shown.
struct Running {
    host: HostId,
    id: JobId,
    mark: OutputMark,
    is_over: bool,
    /// A line of each stream that has not ended yet.
    rest: [Vec<u8>; 2],
}

impl Running {
    fn new(host: HostId, id: JobId) -> Running {
        Running { host, id, mark: OutputMark::default(), is_over: false, rest: Default::default() }
    }

    /// Shows what the job has said since. A host that is not reached now is asked
    /// again.
    async fn read(&mut self, out: &Out, transport: &dyn Transport) {
        for _ in 0..PIECES {
            if self.is_over {
                return;
            }
            let asked = transport.output(&self.host, &self.id, self.mark);
            let Ok(Ok(piece)) = tokio::time::timeout(ASK_LIMIT, asked).await else { return };
            let is_new = piece.next != self.mark;
            if piece.next.command != self.mark.command && self.mark != OutputMark::default() {
                self.end(out);
            }
            self.show(out, 0, &piece.stdout);
            self.show(out, 1, &piece.stderr);
            // A job that its host does not know yet has none, for now.
            self.is_over = piece.is_last && self.mark != OutputMark::default();
            self.mark = piece.next;
            if !is_new {
                return;
            }
        }
    }

    /// Shows all that it has said until now.
    async fn read_all(&mut self, out: &Out, transport: &dyn Transport) {
        loop {
            let before = self.mark;
            self.read(out, transport).await;
            if self.mark == before {
                return;
            }
        }
    }

    fn show(&mut self, out: &Out, stream: usize, bytes: &[u8]) {
        let rest = &mut self.rest[stream];
        rest.extend_from_slice(bytes);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            out.line(&shown(&line));
        }
        if rest.len() > LINE_BYTES_MAX {
            out.line(&shown(rest));
            rest.clear();
        }
    }

    /// Shows what is left of the last lines.
    fn end(&mut self, out: &Out) {
        for rest in &mut self.rest {
            if !rest.is_empty() {
                out.line(&shown(rest));
                rest.clear();
            }
        }
    }
}

/// A line as a terminal may have it.
fn shown(line: &[u8]) -> String {
    format!("{INDENT}{}", sanitize_line(&String::from_utf8_lossy(line), LINE_BYTES_MAX))
}
