//! nimadm's log, `/var/adm/ras/alt_mig/CLIENT_alt_mig.log`.

use serde_json::{Value, json};

use crate::domain::Phase;

use super::text::{Read, lines};
use crate::aix::unread::Unread;
use crate::aix::verdict::{matching, message_ids};

const COMMAND: &str = "nimadm log";

/// The log of nimadm: what it says before the first phase, the phases with
/// their lines, and every message with what it means.
pub(super) fn alt_mig(text: &str) -> Read {
    let mut log = Log::default();
    for line in lines(text) {
        log.line(line)?;
    }
    let begun = log.begun || !log.phases.is_empty();
    if !begun {
        return Err(lines(text).next().map_or_else(
            || Unread::missing(COMMAND, "phase"),
            |line| Unread::line(COMMAND, line),
        ));
    }
    let last = log.phases.last().map(|phase| phase.number);
    let phases: Vec<Value> = log
        .phases
        .into_iter()
        .map(|phase| {
            let name = Phase::from_number(phase.number).map(Phase::name);
            json!({ "phase": phase.number, "name": name, "lines": phase.lines })
        })
        .collect();
    Ok(json!({
        "master_date": log.master_date,
        "client_date": log.client_date,
        "parameters": log.parameters,
        "client": log.client,
        "before": log.before,
        "phases": phases,
        "last_phase": last,
        "bootlist": log.bootlist,
        "messages": log.messages,
    }))
}

#[derive(Default)]
struct Log {
    begun: bool,
    master_date: Option<String>,
    client_date: Option<String>,
    parameters: Option<String>,
    client: Option<String>,
    before: Vec<String>,
    phases: Vec<PhaseLines>,
    bootlist: Option<String>,
    messages: Vec<Value>,
}

struct PhaseLines {
    number: u8,
    lines: Vec<String>,
}

impl Log {
    fn line(&mut self, line: &str) -> Result<(), Unread> {
        let trimmed = line.trim();
        if is_rule(trimmed) {
            return Ok(());
        }
        if let Some(rest) = trimmed.strip_prefix("Executing nimadm phase ") {
            let number = rest.trim_end_matches('.').parse::<u8>().ok();
            let known = number.filter(|number| Phase::from_number(*number).is_some());
            let number = known.ok_or_else(|| Unread::line(COMMAND, line))?;
            self.phases.push(PhaseLines { number, lines: Vec::new() });
            return Ok(());
        }
        self.begun |= trimmed.contains(" nimadm: ");
        self.head(trimmed);
        self.message(line);
        match self.phases.last_mut() {
            Some(phase) => phase.lines.push(trimmed.to_owned()),
            None => self.before.push(trimmed.to_owned()),
        }
        Ok(())
    }

    /// What the log says of the whole run.
    fn head(&mut self, line: &str) {
        let value = |key: &str| Some(line.strip_prefix(key)?.trim().to_owned());
        let word = |text: String| text.split_whitespace().next().map(str::to_owned);
        if let Some(date) = value("MASTER DATE:") {
            (self.begun, self.master_date) = (true, Some(date));
        } else if let Some(date) = value("CLIENT DATE:") {
            self.client_date = Some(date);
        } else if let Some(parameters) = value("NIMADM PARAMETERS:") {
            (self.begun, self.parameters) = (true, Some(parameters));
        } else if let Some(client) = value("Initializing NIM client ") {
            (self.begun, self.client) = (true, Some(client.trim_end_matches('.').to_owned()));
        } else if let Some(disk) = value("Bootlist is set to the boot disk:") {
            self.bootlist = word(disk);
        } else if line.starts_with("Initializing the NIM master")
            || line.starts_with("Starting Alternate Disk Migration")
        {
            self.begun = true;
        }
    }

    fn message(&mut self, line: &str) {
        // Where nimshift writes the log, it tells of messages in lines of its own.
        if line.starts_with("nimshift: ") {
            return;
        }
        let Some(id) = message_ids(line).first().copied() else { return };
        let trimmed = line.trim();
        let (before, after) = trimmed.split_once(id).unwrap_or(("", trimmed));
        // The tool's name stands on either side of the id, or nowhere.
        let side = |text: &str| {
            let name = text.trim().trim_end_matches([':', '-']).trim_end();
            let fits = !name.is_empty() && !name.contains(char::is_whitespace);
            fits.then(|| name.to_owned())
        };
        let first = after.trim_start().split([':', '-', ' ']).next().unwrap_or_default();
        let named = after.trim_start().strip_prefix(first).is_some_and(|rest| {
            rest.starts_with(':') || rest.starts_with("- ") || rest.starts_with(" :")
        });
        let tool = side(before).or_else(|| named.then(|| side(first)).flatten());
        let entry = matching(line);
        self.messages.push(json!({
            "phase": self.phases.last().map(|phase| phase.number),
            "id": id,
            "tool": tool,
            "text": trimmed,
            "class": entry.map(|entry| entry.class),
        }));
    }
}

/// The frame of a banner.
fn is_rule(line: &str) -> bool {
    line.len() >= 10 && line.bytes().all(|b| matches!(b, b'+' | b'-' | b'=' | b'*'))
}
