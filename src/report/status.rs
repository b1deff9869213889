//! How all migrations stand: as a table, and as the versioned document that
//! `docs/status-json.md` describes.

use serde::Serialize;

use crate::base::{Millis, duration_text, time_text};
use crate::domain::{Cause, Direction, FailureClass, MigrationId, Phase, phases_text};
use crate::machine::{Place, State};

use super::line::{places_in_line, wait_text};
use super::standing::{counts, counts_text};
use super::table::Table;
use super::time::{clock_text, day_text, when_text};
use super::view::{MigrationView, direction};

/// The version of [`Status`] as a document. Introduced as 1 in 0.1.0; 2, in
/// 0.1.0, tells apart what was `migrated` before ([`super::Standing`]).
pub const STATUS_VERSION: u32 = 2;

/// A batch as the document tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchStatus {
    pub name: String,
    /// The SHA-256 of what its plan asks for.
    pub plan_digest: String,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub created_ms: Millis,
}

/// How many migrations stand in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateCount {
    pub state: &'static str,
    pub count: usize,
}

/// Why a migration is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CauseStatus {
    /// What decided about it.
    pub class: FailureClass,
    /// AIX's message id.
    pub message: Option<String>,
    /// One line.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<&Cause> for CauseStatus {
    fn from(cause: &Cause) -> CauseStatus {
        let Cause { class, message, text, hint } = cause.clone();
        CauseStatus { class, message, text, hint }
    }
}

/// A migration as the document tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationStatus {
    /// Its row in the journal.
    pub id: MigrationId,
    /// Its batch, by name.
    pub batch: String,
    pub client: String,
    /// How many migrations of the client there have been, this one included.
    pub number: u32,
    /// For an operation: `cleanup`, `wake`, `sleep` or `sync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
    /// For a part of a migration: its phases, as `-P` takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phases: Option<String>,
    /// How it stands, by name.
    pub state: &'static str,
    /// For a held migration: the state that it goes on as.
    pub held_state: Option<&'static str>,
    /// The phase, by name.
    pub phase: Option<Phase>,
    /// The phase, 1 to 12.
    pub phase_number: Option<u8>,
    pub step: Option<String>,
    /// The attempt at the step, from 1.
    pub attempt: Option<u32>,
    /// How many attempts there may be.
    pub attempts_max: u32,
    /// How often the migration has gone back and forward again.
    pub round: Option<u32>,
    /// Whether the step is made or taken back.
    pub direction: Option<Direction>,
    /// Why it is where it is.
    pub cause: Option<CauseStatus>,
    /// Since when it is in the state.
    pub since_ms: Millis,
    /// When it is tried again.
    pub retry_at_ms: Option<Millis>,
    /// While it waits for a place in its phase: its place in the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place_in_line: Option<usize>,
    /// Where it was asked for this report and gave no answer: true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_answer: bool,
}

impl From<&MigrationView> for MigrationStatus {
    fn from(view: &MigrationView) -> MigrationStatus {
        let place = view.state.place();
        let step = view.step();
        MigrationStatus {
            id: view.id,
            batch: view.batch.clone(),
            client: view.client.clone(),
            number: view.number,
            operation: (!view.spec.task.is_migration()).then(|| view.spec.task.name()),
            phases: view.spec.options.phases.as_deref().map(phases_text),
            state: view.standing().name(),
            held_state: match &view.state {
                State::Held { resume } => Some(resume.name()),
                _ => None,
            },
            phase: step.map(|step| step.phase),
            phase_number: step.map(|step| step.phase.number()),
            step: step.map(|step| step.step.to_string()),
            attempt: place.map(|place| place.attempt),
            attempts_max: view.blueprint.attempts_max,
            round: place.map(|place| place.round),
            direction: view.direction(),
            cause: view.state.cause().map(CauseStatus::from),
            since_ms: view.since_ms,
            retry_at_ms: retry_at(&view.state),
            place_in_line: None,
            no_answer: view.is_silent,
        }
    }
}

/// When the state is left by itself, if it waits for a time.
pub fn retry_at(state: &State) -> Option<Millis> {
    match state {
        State::BackingOff { wake_at_ms, .. } | State::UndoBackingOff { wake_at_ms, .. } => {
            Some(*wake_at_ms)
        }
        _ => None,
    }
}

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// [`STATUS_VERSION`].
    pub version: u32,
    /// The time on the estate's clock.
    pub now_ms: Millis,
    /// The engine that holds the state directory, if one does.
    pub engine: Option<String>,
    /// The latest batch.
    pub batch: Option<BatchStatus>,
    /// How many migrations stand how.
    pub counts: Vec<StateCount>,
    /// The latest migration of each client, in the order in which they were
    /// asked for.
    pub migrations: Vec<MigrationStatus>,
}

impl Status {
    /// The document for `views`.
    pub fn new(
        views: &[MigrationView],
        batch: Option<BatchStatus>,
        engine: Option<String>,
        now_ms: Millis,
    ) -> Status {
        let migrations = views.iter().filter(|view| view.spec.task.is_migration());
        let counts = counts(migrations.map(MigrationView::standing));
        let lines = places_in_line(views);
        Status {
            version: STATUS_VERSION,
            now_ms,
            engine,
            batch,
            counts: counts.into_iter().map(|(state, count)| StateCount { state, count }).collect(),
            migrations: views
                .iter()
                .map(|view| MigrationStatus {
                    place_in_line: lines.get(&view.id).copied(),
                    ..MigrationStatus::from(view)
                })
                .collect(),
        }
    }
}

/// The table of all migrations, for people.
pub fn status_lines(
    views: &[MigrationView],
    batch: Option<&BatchStatus>,
    engine: Option<&str>,
    now_ms: Millis,
    width: Option<usize>,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(batch) = batch {
        let is_left = views.iter().any(|view| !view.state.is_at_rest() && !view.is_archived);
        let engine = match engine {
            Some(holder) => format!("an engine runs ({holder})"),
            None if is_left => "no engine runs: `nimshift resume` continues".to_owned(),
            None => "no engine runs".to_owned(),
        };
        lines.push(format!("batch {}, now {}; {engine}", batch.name, time_text(now_ms)));
    }
    let mut table = Table::new(["CLIENT", "STATE", "PHASE", "STEP", "TRY", "FOR", "WHY"]);
    let places = places_in_line(views);
    for view in views {
        table.push(row(view, places.get(&view.id).copied(), now_ms));
    }
    lines.extend(table.lines(width));
    let migrations = views.iter().filter(|view| view.spec.task.is_migration());
    lines.push(counts_text(migrations.map(MigrationView::standing)));
    lines
}

fn row(view: &MigrationView, place_in_line: Option<usize>, now_ms: Millis) -> Vec<String> {
    let (phase, step, attempt) = match (view.step(), view.state.place()) {
        (Some(step), Some(place)) => (
            format!("{}/{} {}", step.phase.number(), Phase::ALL.len(), step.phase),
            step_text(step.step.as_str(), &view.state),
            attempt_text(view, place),
        ),
        _ => Default::default(),
    };
    let waits = view.step().zip(place_in_line).map(|(step, place)| wait_text(step.phase, place));
    let why = match (waits, retry_at(&view.state)) {
        _ if view.is_silent => {
            let is_today = day_text(view.since_ms) == day_text(now_ms);
            let seen = if is_today { clock_text } else { when_text }(view.since_ms);
            let why = Some(why(&view.state)).filter(|why| !why.is_empty());
            let why = why.map_or_else(String::new, |why| format!("; {why}"));
            format!("{} gave no answer: as last seen at {seen}{why}", view.client)
        }
        (Some(waits), _) => waits,
        (None, Some(at)) => format!("again at {}: {}", clock_text(at), why(&view.state)),
        (None, None) => why(&view.state),
    };
    let state = match &view.state {
        State::Held { resume } => format!("held ({})", resume.name()),
        _ if !view.spec.task.is_migration() => {
            let standing = view.standing();
            format!("{}: {}", view.spec.task.name(), standing.spoken())
        }
        _ if view.standing().name() == "part_done" => view.standing().spoken(),
        _ => view.standing().name().to_owned(),
    };
    // What was removed by hand has no known time.
    let since_ms = if view.standing().is_cleaned() { view.cleaned_ms } else { Some(view.since_ms) };
    let since =
        since_ms.map(|since_ms| duration_text(now_ms.saturating_sub(since_ms) / 1000 * 1000));
    vec![view.client.clone(), state, phase, step, attempt, since.unwrap_or_default(), why]
}

fn step_text(step: &str, state: &State) -> String {
    match direction(state) {
        Direction::Forward => step.to_owned(),
        Direction::Undo => format!("undo {step}"),
    }
}

fn attempt_text(view: &MigrationView, place: Place) -> String {
    format!("{}/{}", place.attempt, view.blueprint.attempts_max)
}

fn why(state: &State) -> String {
    state.cause().map(cause_text).unwrap_or_default()
}

/// A cause in one line: AIX's message id, and the text.
pub fn cause_text(cause: &Cause) -> String {
    match &cause.message {
        Some(id) if !cause.text.contains(id.as_str()) => format!("{id} {}", cause.text),
        _ => cause.text.clone(),
    }
}
