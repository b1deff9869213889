//! A migration's story as nimadm writes its log: banner, phase lines, the
//! commands' own output, messages with their ids.
//!
//! Each entry of the journal gives its lines, by itself and those before it, so
//! that a log that was cut off is written again as it was. nimadm's own lines
//! are those of reference section 3 and [S1]; what nimadm has no line for begins
//! with `nimshift: `.

use crate::base::{Millis, time_text};
use crate::domain::{
    AttemptRecord, Cause, CommandRecord, Direction, HostRole, Phase, StepSpec, TaskKind, Ticket,
    Way,
};
use crate::journal::{Entry, RecordedAttempt};
use crate::machine::{EventKind, Place, State, Then};

use super::operation::operation_lines;
use super::remains::{next_step, remains};
use super::status::cause_text;
use super::time::clock_text;
use super::view::{MigrationView, Story};

/// How much the log tells of each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogDetail {
    /// What the commands of a step say.
    Output,
    /// `-V`: the steps, and their commands, too.
    Commands,
    /// `-D`: what the probes saw, too.
    Probes,
}

/// Writes the log of one migration.
pub struct AltMigLog {
    story: Story,
    detail: LogDetail,
    skipped: Vec<(Phase, String)>,
    banner: Option<(Phase, u32)>,
    cleaning: Option<HostRole>,
}

impl AltMigLog {
    /// The log of `view`. `skipped` are the phases that have nothing to do, each
    /// with the reason.
    pub fn new(view: MigrationView, skipped: Vec<(Phase, String)>, detail: LogDetail) -> AltMigLog {
        let story = Story { view, entries: Vec::new(), found: Vec::new(), before: None };
        AltMigLog { story, detail, skipped, banner: None, cleaning: None }
    }

    /// What stands before the first phase.
    pub fn head(&self, begun_ms: Millis, parameters: &str, file: &str) -> Vec<String> {
        let view = &self.story.view;
        let mut lines = vec![
            format!("MASTER DATE: {}", date_text(begun_ms)),
            format!("NIMADM PARAMETERS: {parameters}"),
            "Initializing the NIM master.".to_owned(),
        ];
        if view.spec.task.has_client() {
            lines.push(format!("Initializing NIM client {}.", view.client));
        }
        lines.push("Verifying alt_disk_migration eligibility.".to_owned());
        lines.push(format!("Initializing log: {file}"));
        lines
    }

    /// The lines of the next entry.
    pub fn entry(&mut self, entry: Entry) -> Vec<String> {
        let mut lines = Vec::new();
        let before = self.story.entries.last().map_or(State::Pending, |last| last.state.clone());
        if let Some(RecordedAttempt { ticket, record, .. }) = &entry.attempt {
            self.attempt(ticket, record, &entry, &mut lines);
        } else if let Some(by) = orderer(&entry.event.kind) {
            lines.push(format!("nimshift: ordered by {by}: {}", entry.event.kind.name()));
        }
        self.decision(&entry, &before, &mut lines);
        let state = entry.state.clone();
        self.story.view.state = state.clone();
        self.story.view.since_ms = entry.event.at_ms;
        self.story.entries.push(entry);
        match &state {
            State::Executing { at, stopping: None } if before.place() != Some(*at) => {
                self.forward(*at, &mut lines);
            }
            State::Migrated { .. } => {
                // What comes after the last step has nothing to do.
                if self.story.view.spec.task.is_migration() {
                    self.idle_before(None, &mut lines);
                }
                self.ending(&mut lines);
            }
            state if state.is_at_rest() => self.ending(&mut lines),
            _ => {}
        }
        lines
    }

    fn step(&self, at: Place) -> Option<StepSpec> {
        self.story.view.step_at(at).cloned()
    }

    fn is_chosen(&self, phase: Phase) -> bool {
        self.story.view.spec.options.phases.as_ref().is_none_or(|phases| phases.contains(&phase))
    }

    /// A step begins.
    fn forward(&mut self, at: Place, lines: &mut Vec<String>) {
        let Some(step) = self.step(at) else { return };
        if !self.story.view.spec.task.is_migration() {
            if self.detail >= LogDetail::Commands {
                lines.push(format!("nimshift: {} begins", step_text(&step, at)));
            }
            return;
        }
        if step.gate {
            return;
        }
        let chapter = (step.phase, at.round);
        if self.banner != Some(chapter) && self.is_chosen(step.phase) {
            if self.banner.is_none() {
                lines.push("Starting Alternate Disk Migration.".to_owned());
            }
            self.idle_before(Some(step.phase), lines);
            self.banner = Some(chapter);
            self.cleaning = None;
            banner(step.phase, lines);
        }
        match step.step.as_str() {
            "clone-rootvg" => lines.push("Cloning altinst_rootvg on client, Phase 1.".to_owned()),
            "finish-clone" => lines.push("Cloning altinst_rootvg on client, Phase 3.".to_owned()),
            "clean-client" => lines.push(self.cleaning_up(HostRole::Client)),
            "clean-master" | "release-master" => lines.push(self.cleaning_up(HostRole::Master)),
            _ => {}
        }
        if self.detail >= LogDetail::Commands {
            lines.push(format!("nimshift: {} begins", step_text(&step, at)));
        }
    }

    /// Banners of the phases between the last one and `next` that have nothing
    /// to do: nimadm goes through them too.
    fn idle_before(&mut self, next: Option<Phase>, lines: &mut Vec<String>) {
        let last = self.banner.map(|(phase, _)| phase);
        for (phase, why) in &self.skipped {
            let comes = last.is_none_or(|last| *phase > last);
            if !comes || next.is_some_and(|next| *phase > next) || !self.is_chosen(*phase) {
                continue;
            }
            banner(*phase, lines);
            lines.push(match phase {
                Phase::PreScript | Phase::PostScript => {
                    "nimadm: There is no user customization script specified for this phase."
                        .to_owned()
                }
                _ => format!("nimshift: {why}"),
            });
        }
    }

    fn cleaning_up(&self, role: HostRole) -> String {
        match role {
            HostRole::Master => "Cleaning up alt_disk_migration on the NIM master.".to_owned(),
            HostRole::Client => {
                format!("Cleaning up alt_disk_migration on client {}.", self.story.view.client)
            }
        }
    }

    fn attempt(
        &mut self,
        ticket: &Ticket,
        record: &AttemptRecord,
        entry: &Entry,
        lines: &mut Vec<String>,
    ) {
        // That it takes the lease meanwhile, and drops it, cleans nothing up.
        let own = ["cleanup-lease", "cleanup-work-client"].contains(&ticket.step.as_str());
        let cleans = self.story.view.spec.task.kind() == TaskKind::Cleanup && !own;
        if ticket.direction == Direction::Undo || (cleans && record.way == Way::Ran) {
            let at_master = record.host == self.story.view.spec.master.as_str();
            let role = if at_master { HostRole::Master } else { HostRole::Client };
            if self.cleaning != Some(role) {
                self.cleaning = Some(role);
                lines.push(self.cleaning_up(role));
            }
            if self.detail >= LogDetail::Commands && ticket.direction == Direction::Undo {
                lines.push(format!("nimshift: {} is taken back", ticket.step));
            }
        }
        for command in &record.commands {
            self.command(record.host_of(command), command, lines);
        }
        if self.detail >= LogDetail::Probes {
            for look in &record.looks {
                self.command(record.host_of(look), look, lines);
            }
            for (when, seen) in [("before", &record.before), ("after", &record.after)] {
                if let Some(seen) = seen {
                    lines.push(format!("nimshift: {}: seen {when}: {seen:?}", ticket.step));
                }
            }
        }
        let EventKind::Failed { cause, .. } = &entry.event.kind else {
            if ticket.step.as_str() == "set-bootlist" && ticket.direction == Direction::Forward {
                let disk = self.story.view.spec.options.disks.first();
                let disk = disk.map_or("", crate::domain::DiskName::as_str);
                lines.push(format!("Bootlist is set to the boot disk: {disk} blv=hd5"));
            }
            return;
        };
        failure(ticket, cause, lines);
        for digest in &record.evidence {
            lines.push(format!("nimshift: evidence: {digest}"));
        }
    }

    fn command(&self, host: &str, command: &CommandRecord, lines: &mut Vec<String>) {
        if self.detail >= LogDetail::Commands {
            let status = match command.status {
                Some(0) => String::new(),
                Some(status) => format!("   [exit {status}]"),
                None => "   [not run, or cut off]".to_owned(),
            };
            lines.push(format!("nimshift: {host}# {}{status}", command.line));
        }
        if let Some(rest) = command.line.strip_prefix("/ALT_MIG_SPOT/sbin/") {
            lines.push(format!("Client alt_disk_install command: {}", with_quoted_disks(rest)));
        }
        if !command.only_asks() {
            lines.extend(command.output.lines().map(harmless));
        }
    }

    /// What was decided, where that is not plain from what follows.
    fn decision(&self, entry: &Entry, before: &State, lines: &mut Vec<String>) {
        let attempts = self.story.view.blueprint.attempts_max;
        match &entry.state {
            State::BackingOff { at, wake_at_ms, .. }
            | State::UndoBackingOff { at, wake_at_ms, .. } => {
                let (next, at) = (at.attempt + 1, clock_text(*wake_at_ms));
                lines.push(format!("nimshift: attempt {next} of {attempts} at {at}"));
            }
            State::Undoing { course, .. } if !before.is_compensating() => {
                lines.push(match course.then {
                    Then::Stop => "nimshift: taking everything back".to_owned(),
                    Then::Forward => "nimshift: going back, to try again".to_owned(),
                });
            }
            _ => {}
        }
    }

    fn ending(&self, lines: &mut Vec<String>) {
        let view = &self.story.view;
        if !view.spec.task.is_migration() {
            let told = operation_lines(std::slice::from_ref(&self.story), view.since_ms);
            lines.extend(told.into_iter().map(|line| format!("nimshift: {}", line.trim_start())));
            return;
        }
        let client = &view.client;
        lines.push(format!(
            "nimshift: {client} {} at {}",
            view.standing().spoken(),
            clock_text(view.since_ms)
        ));
        if let Some(cause) = view.state.cause() {
            lines.push(format!("nimshift: why: {}", cause_text(cause)));
        }
        let left = remains(&self.story);
        if !left.is_empty() {
            lines.push(format!("nimshift: left: {}", left.join("; ")));
        }
        if let Some(next) = next_step(view) {
            lines.push(format!("nimshift: next: {}", of_line(&next)));
        }
    }
}

/// What is said of a plan, for who has written a command line.
fn of_line(text: &str) -> String {
    let text = text.replace("in the plan (`disks`)", "on the line (-d)");
    let text = text.replace("in the plan", "on the line").replace("if the plan", "if the line");
    let Some((before, rest)) = text.split_once("`nimshift run PLAN ") else { return text };
    let (order, after) = rest.split_once('`').unwrap_or((rest, ""));
    match order.split_once(" --client ") {
        Some((phases, _)) => format!("{before}the line again with `{phases}`{after}"),
        None => format!("{before}the line again{after}"),
    }
}

/// A step failed: what it said, and what that means.
fn failure(ticket: &Ticket, cause: &Cause, lines: &mut Vec<String>) {
    let undo = match ticket.direction {
        Direction::Forward => "",
        Direction::Undo => "taking back ",
    };
    // What the step said itself stands there already, line by line.
    let mut told = lines.iter().any(|line| line.trim() == cause.text.trim());
    if !told && cause.message.is_some() {
        lines.push(cause.text.clone());
        told = true;
    }
    if matches!(ticket.step.as_str(), "clone-rootvg" | "finish-clone")
        && ticket.direction == Direction::Forward
    {
        lines.push("0505-187 nimadm: Error cloning altinst_rootvg on client.".to_owned());
    }
    let why = if told { String::new() } else { format!(": {}", cause_text(cause)) };
    lines.push(format!("nimshift: {undo}{} failed{why}", ticket.step));
    if let Some(hint) = &cause.hint {
        lines.push(format!("nimshift: hint: {}", of_line(hint)));
    }
    if let Some(id) = &cause.message {
        lines.push(format!("nimshift: more: `nimshift explain {id}`"));
    }
}

fn banner(phase: Phase, lines: &mut Vec<String>) {
    let rule = format!("+{}+", "-".repeat(77));
    let line = format!("Executing nimadm phase {}.", phase.number());
    lines.extend([rule.clone(), line, rule]);
}

/// A command's line that would be taken for a banner is set in.
fn harmless(line: &str) -> String {
    let line = line.trim_end();
    if line.starts_with("Executing nimadm phase ") { format!("| {line}") } else { line.to_owned() }
}

/// A command line as nimadm writes it: the disks, which come last, always
/// stand in double quotes.
fn with_quoted_disks(line: &str) -> String {
    match line.rsplit_once(" -d ") {
        Some((first, disks)) => format!("{first} -d \"{}\"", disks.trim_matches('\'')),
        None => line.to_owned(),
    }
}

fn step_text(step: &StepSpec, at: Place) -> String {
    match at.attempt {
        1 => step.step.to_string(),
        attempt => format!("{}, attempt {attempt},", step.step),
    }
}

fn orderer(event: &EventKind) -> Option<&str> {
    match event {
        EventKind::Cancel { by }
        | EventKind::Rollback { by }
        | EventKind::Hold { by }
        | EventKind::Release { by }
        | EventKind::Retry { by }
        | EventKind::Abandon { by } => Some(&by.0),
        _ => None,
    }
}

/// A time as `date` prints it: `Mon Mar  2 09:12:44 UTC 2026`.
fn date_text(ms: Millis) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // 1970-01-01 was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let text = time_text(ms);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month =
        part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    let day = DAYS[usize::try_from(ms / 86_400_000 % 7).unwrap_or_default()];
    let date = part(8, 10).trim_start_matches('0');
    format!("{day} {} {date:>2} {} UTC {}", month.unwrap_or(&"Jan"), part(11, 19), part(0, 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_date_writes_it() {
        assert_eq!(date_text(1_795_415_808_000), "Mon Nov 23 06:36:48 UTC 2026");
        assert_eq!(date_text(1_772_443_964_000), "Mon Mar  2 09:32:44 UTC 2026");
    }

    #[test]
    fn a_banner_is_as_wide_as_nimadms() {
        let mut lines = Vec::new();
        banner(Phase::Finish, &mut lines);
        assert_eq!(lines[1], "Executing nimadm phase 11.");
        assert_eq!((lines[0].len(), lines[2].len()), (79, 79));
        assert_eq!(
            with_quoted_disks("alt_disk_copy -P1 -d hdisk1"),
            "alt_disk_copy -P1 -d \"hdisk1\""
        );
        assert_eq!(with_quoted_disks("x -d 'hdisk1 hdisk2'"), "x -d \"hdisk1 hdisk2\"");
        assert_eq!(harmless("Executing nimadm phase 99."), "| Executing nimadm phase 99.");
    }
}
