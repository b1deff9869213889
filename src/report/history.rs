//! What happened to one migration, as a story that an administrator can follow.

use serde::Serialize;

use crate::base::{Millis, duration_text};
use crate::domain::{
    AttemptRecord, Cause, CommandRecord, Direction, FailureClass, Lease, Phase, Presence, Ticket,
    Way,
};
use crate::journal::{Entry, RecordedAttempt};
use crate::machine::{EventKind, State, Then};

use super::remains::{next_step, remains};
use super::standing::spoken;
use super::status::{MigrationStatus, cause_text, retry_at};
use super::time::{clock_text, day_text};
use super::view::{Story, unknown_messages};

/// The version of the document of `nimshift history --json`. Introduced as 1 in
/// 0.1.0; 2 with the one of status, in 0.1.0.
pub const HISTORY_VERSION: u32 = 2;

/// Lines of a command's output that the story shows: the last ones.
const OUTPUT_LINES: usize = 12;

/// Commands that took so many seconds have their time beside them.
const LONG_S: u64 = 30;

/// How much of a story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Output of commands only where they failed.
    Failures,
    /// Output of all commands, and of all looks.
    All,
}

/// The story, line by line.
pub fn history_lines(story: &Story, now_ms: Millis, detail: Detail) -> Vec<String> {
    let mut teller = Teller::begun(story, detail);
    teller.ending(now_ms);
    teller.lines
}

/// The story so far, without its end: more entries only add lines to it.
pub fn history_begun(story: &Story, detail: Detail) -> Vec<String> {
    Teller::begun(story, detail).lines
}

struct Teller<'a> {
    story: &'a Story,
    detail: Detail,
    lines: Vec<String>,
    day: String,
    chapter: Option<(Phase, Direction, u32)>,
}

impl Teller<'_> {
    fn begun(story: &Story, detail: Detail) -> Teller<'_> {
        let (lines, day) = (Vec::new(), String::new());
        let mut teller = Teller { story, detail, lines, day, chapter: None };
        teller.heading();
        for (index, entry) in story.entries.iter().enumerate() {
            teller.entry(entry, index.checked_sub(1).map(|before| &story.entries[before].state));
        }
        teller
    }

    fn say(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn heading(&mut self) {
        let view = &self.story.view;
        let spec = &*view.spec;
        let (client, number, batch, id) = (&view.client, view.number, &view.batch, view.id);
        if !spec.task.is_migration() {
            let task = spec.task.name();
            return self.say(format!("{client}: {task}, number {number} of this client ({id})"));
        }
        self.say(format!("{client}: migration {number} of this client, batch {batch} ({id})"));
        self.say(spec.aim());
    }

    /// Says the day whenever it changes.
    fn day(&mut self, at_ms: Millis) {
        let day = day_text(at_ms);
        if self.day != day {
            self.say(String::new());
            self.say(format!("{day} (UTC, the estate's clock)"));
            self.day = day;
        }
    }

    fn entry(&mut self, entry: &Entry, before: Option<&State>) {
        if let EventKind::Adopted { decisions, state } = &entry.event.kind {
            self.day(entry.event.at_ms);
            self.adopted(entry.event.at_ms, *decisions, state);
        } else if let Some(RecordedAttempt { ticket, record, .. }) = &entry.attempt {
            self.day(record.started_ms);
            self.chapter(ticket);
            self.attempt(ticket, record, entry);
        } else if !matches!(entry.event.kind, EventKind::TimerFired { .. } | EventKind::Begin) {
            self.day(entry.event.at_ms);
            self.order(entry, before);
        }
        if let Some(decision) = decision(entry, before, self.story.view.blueprint.attempts_max) {
            self.say(format!("            => {decision}"));
        }
    }

    /// Its time is that of the entry before: an engine takes up what is unfinished
    /// before it asks for the estate's.
    fn adopted(&mut self, at_ms: Millis, decisions: u32, state: &State) {
        self.chapter = None;
        self.say(String::new());
        self.say(format!(
            "  {}  taken up by a newer nimshift, while {}: decisions {decisions}",
            clock_text(at_ms),
            spoken(state)
        ));
    }

    fn chapter(&mut self, ticket: &Ticket) {
        let chapter = (ticket.phase, ticket.direction, ticket.round);
        if self.chapter == Some(chapter) {
            return;
        }
        self.chapter = Some(chapter);
        let (number, name) = (ticket.phase.number(), ticket.phase.name());
        let round = match ticket.round {
            0 => String::new(),
            round => format!(" (round {})", round + 1),
        };
        self.say(String::new());
        let spec = &self.story.view.spec;
        self.say(match ticket.direction {
            Direction::Forward if !spec.task.is_migration() => {
                format!("{}{round}", spec.task.name())
            }
            Direction::Forward => {
                format!("Phase {number}, {name}: {}{round}", spec.title(ticket.phase))
            }
            Direction::Undo => format!("Taking back phase {number}, {name}{round}"),
        });
    }

    fn attempt(&mut self, ticket: &Ticket, record: &AttemptRecord, entry: &Entry) {
        let took = duration_text(record.ended_ms.saturating_sub(record.started_ms));
        let failed = match &entry.event.kind {
            EventKind::Failed { cause, .. } => Some(cause),
            _ => None,
        };
        let attempt = match ticket.attempt {
            1 => String::new(),
            attempt => format!(", attempt {attempt}"),
        };
        let undo = match ticket.direction {
            Direction::Forward => "",
            Direction::Undo => "undo ",
        };
        let result = match failed.map(|cause| cause.class) {
            None => "done",
            // It has found that the client is where it is to be.
            Some(FailureClass::AlreadyDone) => "SKIPPED",
            Some(_) => "FAILED",
        };
        self.say(format!(
            "  {}  {undo}{}{attempt}: {result} in {took}{}",
            clock_text(record.started_ms),
            ticket.step,
            way_text(record, ticket.direction),
        ));
        for command in &record.commands {
            self.command(record.host_of(command), command, self.detail == Detail::All);
        }
        if self.detail == Detail::All {
            for look in &record.looks {
                self.command(record.host_of(look), look, true);
            }
        }
        if let Some(cause) = failed {
            self.cause(cause);
            for message in unknown_messages(entry, &self.story.view.spec) {
                self.say(format!("            the catalogue does not know `{message}`"));
            }
        }
        if let EventKind::Succeeded { facts: Some(facts), .. } = &entry.event.kind
            && let Some(over) = &facts.lease_over
        {
            self.say(format!(
                "            the lease was taken over: {}",
                Lease::read(over).words()
            ));
        }
        if let Some(text) = sight_text(record, failed.is_some()) {
            self.say(format!("            {text}"));
        }
        for digest in &record.evidence {
            self.say(format!("            evidence: evidence/{digest} in the state directory"));
        }
    }

    fn command(&mut self, host: &str, command: &CommandRecord, output: bool) {
        let status = match command.status {
            Some(0) => None,
            Some(status) => Some(format!("exit {status}")),
            None => Some("not run, or cut off".to_owned()),
        };
        let took = command.took_s.filter(|took| *took >= LONG_S);
        let came = [status, took.map(|took| duration_text(took * 1000))];
        let came: Vec<String> = came.into_iter().flatten().collect();
        let came =
            if came.is_empty() { String::new() } else { format!("   [{}]", came.join(", ")) };
        self.say(format!("            {host}# {}{came}", command.line));
        if !output && command.status == Some(0) {
            return;
        }
        let lines: Vec<&str> = command.output.lines().collect();
        if lines.len() > OUTPUT_LINES && self.detail != Detail::All {
            self.say(format!("            | ({} lines before)", lines.len() - OUTPUT_LINES));
        }
        let shown = if self.detail == Detail::All { lines.len() } else { OUTPUT_LINES };
        for line in &lines[lines.len().saturating_sub(shown)..] {
            self.say(format!("            | {line}"));
        }
    }

    fn cause(&mut self, cause: &Cause) {
        self.say(format!("            {}: {}", class_text(cause), cause_text(cause)));
        if let Some(hint) = &cause.hint {
            self.say(format!("            hint: {hint}"));
        }
        if let Some(id) = &cause.message {
            self.say(format!("            more: `nimshift explain {id}`"));
        }
    }

    fn order(&mut self, entry: &Entry, before: Option<&State>) {
        let by = match &entry.event.kind {
            EventKind::Cancel { by }
            | EventKind::Rollback { by }
            | EventKind::Hold { by }
            | EventKind::Release { by }
            | EventKind::Retry { by }
            | EventKind::Abandon { by } => by.0.as_str(),
            _ => "",
        };
        let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
        let was = before.map_or(String::new(), |state| format!(", while {}", spoken(state)));
        self.chapter = None;
        self.say(String::new());
        let told = match &entry.event.kind {
            EventKind::NoPlace { ticket } => {
                format!("phase {} is full: it waits for a place", ticket.phase.number())
            }
            EventKind::Admitted => "it has a place and continues".to_owned(),
            event => format!("ordered{by}: {}{was}", event.name()),
        };
        self.say(format!("  {}  {told}", clock_text(entry.event.at_ms)));
    }

    fn ending(&mut self, now_ms: Millis) {
        let story = self.story;
        let view = &story.view;
        self.say(String::new());
        let took = duration_text(story.duration_ms(now_ms));
        let now = if view.state.is_terminal() { "End" } else { "Now" };
        let at = match (view.step(), view.state.place()) {
            (Some(step), Some(place)) => {
                format!(
                    " at phase {}, {}, attempt {}",
                    step.phase.number(),
                    step.step,
                    place.attempt
                )
            }
            _ => String::new(),
        };
        let state = view.standing().spoken();
        self.say(format!("{now}: {state}{at}, after {took}"));
        if let Some(at) = retry_at(&view.state) {
            self.say(format!("  will be tried again at {}", clock_text(at)));
        }
        if let Some(cause) = view.state.cause() {
            self.say(format!("  why: {}", cause_text(cause)));
        }
        let left = remains(story);
        let left = if left.is_empty() { "nothing".to_owned() } else { left.join("; ") };
        self.say(format!("  left on the hosts: {left}"));
        if let Some(next) = next_step(view) {
            self.say(format!("  next: {next}"));
        }
    }
}

fn class_text(cause: &Cause) -> &'static str {
    use FailureClass as Class;
    match cause.class {
        Class::Transient => "transient",
        Class::Permanent => "permanent",
        Class::AlreadyDone => "already done",
        Class::Informative => "for information",
        Class::Wrapper => "unclear",
        Class::NeedsOperator => "needs an operator",
    }
}

fn way_text(record: &AttemptRecord, direction: Direction) -> &'static str {
    match (record.way, direction) {
        (Way::Ran, _) => "",
        (Way::Looked, _) => " (only a check)",
        (Way::Assumed, _) => " (was done before)",
        (Way::Found, Direction::Forward) => " (it was there already)",
        (Way::Found, Direction::Undo) => " (nothing was there)",
        (Way::Attached, _) => " (its job was running already, and was waited for)",
        (Way::Taken, _) => " (its job had ended already, and its result was taken)",
    }
}

fn sight_text(record: &AttemptRecord, failed: bool) -> Option<String> {
    let after = record.after.as_ref()?;
    match after {
        Presence::Unknown(why) => Some(format!("the probe could not tell what is there: {why}")),
        _ if !failed => None,
        Presence::Absent => Some("the probe saw that nothing of it is there".to_owned()),
        Presence::Partial => Some("the probe saw that part of it is there".to_owned()),
        Presence::Present => Some("the probe saw that all of it is there".to_owned()),
    }
}

/// What was decided about an entry, where that is not plain from what follows.
fn decision(entry: &Entry, before: Option<&State>, attempts_max: u32) -> Option<String> {
    let turned = !matches!(before, Some(state) if state.is_compensating());
    match (&entry.event.kind, &entry.state) {
        (
            _,
            State::BackingOff { at, wake_at_ms, .. } | State::UndoBackingOff { at, wake_at_ms, .. },
        ) if matches!(entry.event.kind, EventKind::Failed { .. }) => {
            let (next, at) = (at.attempt + 1, clock_text(*wake_at_ms));
            Some(format!("transient: attempt {next} of {attempts_max} at {at}"))
        }
        (
            EventKind::Begin
            | EventKind::Hold { .. }
            | EventKind::Release { .. }
            | EventKind::Adopted { .. },
            _,
        ) => None,
        (_, State::Undoing { course, .. }) if turned => Some(match course.then {
            Then::Stop => format!("{}: taking everything back", class_text(&course.cause)),
            Then::Forward if course.from.step == course.until => {
                "the step is undone and then tried again".to_owned()
            }
            Then::Forward => "going back to a fresh clone".to_owned(),
        }),
        (EventKind::Failed { .. }, State::AwaitingOperator { .. }) => {
            Some("everything is kept as it is, for an operator".to_owned())
        }
        (EventKind::Failed { .. }, State::UndoStuck { .. }) => {
            Some("taking back is stuck until an operator retries it".to_owned())
        }
        (EventKind::Failed { .. }, State::Refused { .. }) => {
            Some("refused: nothing was touched".to_owned())
        }
        (EventKind::Failed { .. }, State::Skipped { .. }) => {
            Some("skipped: nothing is to be done".to_owned())
        }
        (EventKind::Cancel { .. } | EventKind::Rollback { .. }, State::Executing { .. }) => {
            Some("the step in flight is ended first".to_owned())
        }
        _ => None,
    }
}

/// A story as a document.
#[derive(Debug, Serialize)]
pub struct HistoryDocument<'a> {
    /// [`HISTORY_VERSION`].
    pub version: u32,
    /// The migration as it stands.
    pub migration: MigrationStatus,
    /// What it is asked to do.
    pub spec: &'a crate::domain::MigrationSpec,
    /// What is left on the hosts.
    pub left: Vec<String>,
    /// What is safe to do next.
    pub next: Option<String>,
    /// All entries, in order.
    pub entries: Vec<EntryDocument<'a>>,
}

/// An entry as a document.
#[derive(Debug, Serialize)]
pub struct EntryDocument<'a> {
    pub seq: u64,
    pub at_ms: Millis,
    pub event: &'a EventKind,
    /// The state after it.
    pub to: &'a State,
    /// The attempt that it answers.
    pub ticket: Option<&'a Ticket>,
    /// What is kept of the attempt.
    pub attempt: Option<&'a AttemptRecord>,
}

impl<'a> HistoryDocument<'a> {
    /// The document of `story`.
    pub fn new(story: &'a Story) -> HistoryDocument<'a> {
        let entry = |entry: &'a Entry| EntryDocument {
            seq: entry.seq,
            at_ms: entry.event.at_ms,
            event: &entry.event.kind,
            to: &entry.state,
            ticket: entry.attempt.as_ref().map(|attempt| &attempt.ticket),
            attempt: entry.attempt.as_ref().map(|attempt| &attempt.record),
        };
        HistoryDocument {
            version: HISTORY_VERSION,
            migration: MigrationStatus::from(&story.view),
            spec: &story.view.spec,
            left: remains(story),
            next: next_step(&story.view),
            entries: story.entries.iter().map(entry).collect(),
        }
    }
}
