//! What a run has come to: per client what happened, why, how long it took,
//! what is left, and what is safe to do next.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Millis, duration_text};

use super::remains::{next_step, remains};
use super::standing::counts_text;
use super::status::cause_text;
use super::verdict::Verdict;
use super::view::Story;

/// The summary, line by line. Clients that ended well take two lines, others
/// as many as it needs.
pub fn summary_lines(stories: &[Story], now_ms: Millis) -> Vec<String> {
    let width = stories.iter().map(|story| story.view.client.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    // What a person has to see to is read first, just above the totals.
    let is_well = |story: &&Story| Verdict::of(&story.view.state) == Verdict::AllMigrated;
    let (well, others): (Vec<&Story>, Vec<&Story>) = stories.iter().partition(is_well);
    for story in well.into_iter().chain(others) {
        client(story, now_ms, width, &mut lines);
    }
    lines.push(String::new());
    lines.push(totals(stories, now_ms));
    lines.extend(unknown(stories));
    lines
}

fn client(story: &Story, now_ms: Millis, width: usize, lines: &mut Vec<String>) {
    let view = &story.view;
    let state = if view.spec.task.is_migration() {
        view.standing().spoken()
    } else {
        format!("{}: {}", view.spec.task.name(), view.standing().spoken())
    };
    let indent = " ".repeat(width + 2);
    let took = match story.begun_ms() {
        Some(_) => format!(" after {}", duration_text(story.duration_ms(now_ms))),
        None => String::new(),
    };
    let at = match (view.step(), view.state.place()) {
        (Some(step), Some(_)) => format!(", phase {} {}", step.phase.number(), step.step),
        _ => String::new(),
    };
    lines.push(format!("{:width$}  {state}{at}{took}", view.client));
    if let Some(cause) = view.state.cause() {
        lines.push(format!("{indent}why: {}", cause_text(cause)));
        // What to do about it stands in `next`.
        if let Some(id) = &cause.message {
            lines.push(format!("{indent}more: `nimshift explain {id}`"));
        }
    }
    if let Some(times) = times_text(story, now_ms) {
        lines.push(format!("{indent}time by phase: {times}"));
    }
    let left = remains(story);
    if !left.is_empty() {
        lines.push(format!("{indent}left: {}", left.join("; ")));
    }
    if let Some(next) = next_step(view) {
        lines.push(format!("{indent}next: {next}"));
    }
}

/// How long each phase took, by its number.
fn times_text(story: &Story, now_ms: Millis) -> Option<String> {
    let times = story.times(now_ms);
    let mut parts: Vec<String> = times
        .phases()
        .map(|(phase, ms)| format!("{}: {}", phase.number(), duration_text(ms)))
        .collect();
    if times.undo_ms > 0 {
        parts.push(format!("taking back: {}", duration_text(times.undo_ms)));
    }
    if times.waited_ms > 0 {
        parts.push(format!("waiting in line: {}", duration_text(times.waited_ms)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What was said that neither a plan nor the catalogue knows, and to whom.
fn unknown(stories: &[Story]) -> Option<String> {
    let mut clients: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for story in stories {
        for message in story.unknown_messages() {
            clients.entry(message).or_default().insert(&story.view.client);
        }
    }
    let noun = if clients.len() == 1 { "message" } else { "messages" };
    let told: Vec<String> = clients
        .iter()
        .map(|(message, of)| {
            format!("`{message}` ({})", of.iter().copied().collect::<Vec<_>>().join(", "))
        })
        .collect();
    let text =
        format!("{} {noun} that the catalogue does not know: {}", told.len(), told.join(", "));
    (!told.is_empty()).then_some(text)
}

fn totals(stories: &[Story], now_ms: Millis) -> String {
    let begun = stories.iter().filter_map(Story::begun_ms).min();
    let ended = stories.iter().filter_map(|story| {
        let last = story.entries.last()?;
        Some(if story.view.state.is_terminal() { last.event.at_ms } else { now_ms })
    });
    let span = match (begun, ended.max()) {
        (Some(begun), Some(ended)) => {
            format!(" in {}", duration_text(ended.saturating_sub(begun)))
        }
        _ => String::new(),
    };
    let count = stories.len();
    let noun = if count == 1 { "client" } else { "clients" };
    let standings = stories.iter().map(|story| story.view.standing());
    format!("{count} {noun}{span}: {}", counts_text(standings))
}
