//! What an operation has come to: per client, item by item.

use crate::base::{Millis, duration_text};
use crate::domain::{AttemptRecord, Direction, Way};
use crate::journal::RecordedAttempt;
use crate::phases::{SYNC_COMPARE, levels_seen};

use super::remains::next_step;
use super::status::cause_text;
use super::view::Story;

/// The report of operations, line by line.
pub fn operation_lines(stories: &[Story], now_ms: Millis) -> Vec<String> {
    let mut lines = Vec::new();
    for story in stories {
        let view = &story.view;
        let state = view.standing().spoken();
        let took = match story.begun_ms() {
            Some(_) => format!(" after {}", duration_text(story.duration_ms(now_ms))),
            None => String::new(),
        };
        lines.push(format!("{}  {}: {state}{took}", view.client, view.spec.task.name()));
        let is_over = story.facts().lease_over.is_some();
        for (step, record) in last_records(story) {
            // A lease that it has taken for itself is nothing that was left.
            if step != "cleanup-lease" || is_over {
                lines.extend(item(step, record));
            }
        }
        lines.extend(story.facts().left.iter().map(|line| format!("  left alone: {line}")));
        if let Some(cause) = view.state.cause() {
            lines.push(format!("  why: {}", cause_text(cause)));
        }
        lines.extend(next_step(view).map(|next| format!("  next: {next}")));
    }
    lines
}

/// Each step with the record of its last attempt.
fn last_records(story: &Story) -> impl Iterator<Item = (&str, &AttemptRecord)> {
    story.view.blueprint.steps.iter().filter_map(|step| {
        let mut records = story.entries.iter().rev().filter_map(|entry| entry.attempt.as_ref());
        let name = step.step.as_str();
        records
            .find(|RecordedAttempt { ticket, .. }| {
                ticket.step.as_str() == name && ticket.direction == Direction::Forward
            })
            .map(|attempt| (name, &attempt.record))
    })
}

/// The lines of one item.
fn item(step: &str, record: &AttemptRecord) -> Vec<String> {
    let what = subject(step);
    match record.way {
        Way::Looked if step == SYNC_COMPARE => {
            levels_seen(record).map(|levels| format!("  {levels}")).into_iter().collect()
        }
        Way::Looked => record
            .looks
            .iter()
            .filter(|look| look.line.starts_with("find ") && look.status == Some(0))
            .flat_map(|look| look.output.lines().map(|line| (record.host_of(look), line)))
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(host, line)| format!("  left alone: {line} on {host}"))
            .collect(),
        Way::Found => vec![format!("  {what}: clean")],
        _ if drops_own_lease(step, record) => vec![format!("  {what}: clean")],
        _ => {
            // What asks whose the client is first is in the history.
            let changing = record.commands.iter().filter(|command| !command.only_asks());
            let ran = changing.map(|command| command.line.as_str());
            vec![format!("  {what}: {}# {}", record.host, ran.collect::<Vec<_>>().join("; "))]
        }
    }
}

/// Whether all that it had to remove was the lease that the cleanup itself has taken.
fn drops_own_lease(step: &str, record: &AttemptRecord) -> bool {
    let mut removes = record.commands.iter().filter(|command| command.line.starts_with("rm -f "));
    let is_lease = |line: &str| line.split_whitespace().count() == 3 && line.ends_with("/lease");
    step == "cleanup-work-client"
        && removes.next().is_some_and(|command| is_lease(&command.line))
        && removes.next().is_none()
}

/// What a step is about.
fn subject(step: &str) -> &str {
    match step {
        "cleanup-jobs-master" => "jobs on the master",
        "cleanup-jobs-client" => "jobs on the client",
        "cleanup-mounts-master" => "mounts on the master",
        "cleanup-caches" => "cache file systems",
        "cleanup-exports" => "exports",
        "cleanup-mounts-client" => "mounts on the client",
        "cleanup-bootlist" => "bootlist",
        "cleanup-copy" => "altinst_rootvg",
        "cleanup-nim" => "the client in NIM",
        "cleanup-lease" => "lease on the client",
        "cleanup-work-client" => "lease and work files on the client",
        "cleanup-work-master" => "work directory on the master",
        other => other.split_once('-').map_or(other, |(_, rest)| rest),
    }
}
