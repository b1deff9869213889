//! What a run shows while it goes on: bars on a terminal, lines elsewhere, all
//! on stderr.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::{Millis, duration_text, sanitize_line};
use crate::domain::{Direction, MigrationId, MigrationSpec, Phase, TaskKind, Ticket};
use crate::engine::{Observer, SlotView};
use crate::journal::{JournalError, Loaded};
use crate::machine::{State, Then};
use crate::report::{
    Standing, cause_text, clock_text, counts_text, phase_doing, spoken, spoken_as,
};

/// Bars that are drawn at once; more migrations than that are only counted.
const BARS_MAX: usize = 24;

/// Shows a run.
pub(super) struct Progress {
    screen: Screen,
    /// What each migration was last said to be doing.
    doing: BTreeMap<MigrationId, (Phase, Direction, u32)>,
    begun: BTreeMap<MigrationId, Millis>,
    states: BTreeMap<MigrationId, (State, Arc<MigrationSpec>)>,
}

enum Screen {
    Quiet,
    Lines,
    Bars { all: MultiProgress, header: ProgressBar, bars: BTreeMap<MigrationId, ProgressBar> },
}

impl Progress {
    /// Progress on stderr, as it is; none where `quiet`. `loaded` are all
    /// migrations of the run.
    pub(super) fn new(quiet: bool, loaded: &[Loaded]) -> Progress {
        let stands = |one: &Loaded| (one.machine.state().clone(), Arc::clone(&one.spec));
        let states = loaded.iter().map(|one| (one.id, stands(one))).collect();
        let screen = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Screen::Quiet,
            (false, false) => Screen::Lines,
            (false, true) => {
                let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
                let header = all.add(ProgressBar::new(0).with_style(style("{msg}")));
                Screen::Bars { all, header, bars: BTreeMap::new() }
            }
        };
        Progress { screen, doing: BTreeMap::new(), begun: BTreeMap::new(), states }
    }

    /// `migration` has been under way since `begun_ms`, by an engine before this one.
    pub(super) fn under_way(&mut self, migration: MigrationId, begun_ms: Millis) {
        self.begun.insert(migration, begun_ms);
    }

    /// Takes the bars away: what follows is the summary.
    pub(super) fn finish(&mut self) {
        if let Screen::Bars { all, .. } = &self.screen {
            let _ = all.clear();
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, text: &str) {
        let text = sanitize_line(text, 400);
        match &self.screen {
            Screen::Quiet => {}
            Screen::Lines => {
                let _ = writeln!(std::io::stderr().lock(), "{text}");
            }
            Screen::Bars { all, .. } => {
                let _ = all.println(text);
            }
        }
    }

    fn header(&self, now_ms: Millis) {
        if let Screen::Bars { header, .. } = &self.screen {
            let standings = self.states.values().map(|(state, spec)| Standing::new(state, spec));
            let text = counts_text(standings);
            header.set_message(format!("{}  {text}", clock_text(now_ms)));
        }
    }

    /// Brings the bar of a migration up to date.
    fn bar(&mut self, view: SlotView<'_>, text: &str) {
        let Screen::Bars { all, bars, .. } = &mut self.screen else {
            return;
        };
        if view.state().is_at_rest() {
            if let Some(bar) = bars.remove(&view.id) {
                bar.finish_and_clear();
                all.remove(&bar);
            }
            return;
        }
        if !bars.contains_key(&view.id) && bars.len() >= BARS_MAX {
            return;
        }
        let (done, steps) = view.progress();
        let bar = bars.entry(view.id).or_insert_with(|| {
            let bar = ProgressBar::new(steps as u64);
            let bar = all.add(bar.with_style(style("{prefix:<12} [{bar:20}] {wide_msg}")));
            bar.set_prefix(sanitize_line(view.client, 40));
            bar
        });
        bar.set_position(done as u64);
        bar.set_message(sanitize_line(text, 200));
    }

    fn spoken_of(&mut self, now_ms: Millis, view: SlotView<'_>, from: &State) -> Option<String> {
        let state = view.state();
        let at = |what: String| Some(format!("{} {} {what}", clock_text(now_ms), view.client));
        let why = || state.cause().map(cause_text).unwrap_or_default();
        // Where it was, not the first step that is taken back.
        let step = match state {
            State::Undoing { course, .. } => view.step_at(course.from),
            _ => view.step(),
        };
        let step = step.map_or_else(String::new, |step| match view.spec.task.kind() {
            TaskKind::Migrate => {
                format!("phase {} {}: {}", step.phase.number(), step.phase, step.step)
            }
            _ => step.step.to_string(),
        });
        match state {
            State::BackingOff { at: place, wake_at_ms, .. }
            | State::UndoBackingOff { at: place, wake_at_ms, .. } => at(format!(
                "{step}: attempt {} failed: {}; again at {}",
                place.attempt,
                why(),
                clock_text(*wake_at_ms)
            )),
            State::Undoing { course, .. } if !from.is_compensating() => {
                let what = match course.then {
                    Then::Stop => "taking everything back",
                    Then::Forward => "going back, to try again",
                };
                at(format!("{step}: {what}: {}", why()))
            }
            State::AwaitingOperator { .. } | State::UndoStuck { .. } => {
                at(format!("{step}: {}: {}", spoken(state), why()))
            }
            State::Held { .. } if !matches!(from, State::Held { .. }) => at("held".to_owned()),
            state if state.is_terminal() => {
                let took = self.begun.get(&view.id).map(|begun| now_ms.saturating_sub(*begun));
                let took = took.map_or(String::new(), |ms| format!(" after {}", duration_text(ms)));
                let why = why();
                let why = if why.is_empty() { why } else { format!(": {why}") };
                at(format!("{}{}{took}{why}", of_task(view.spec), spoken_as(state, view.spec)))
            }
            _ => None,
        }
    }
}

/// What an operation is called before its state.
fn of_task(spec: &MigrationSpec) -> String {
    if spec.task.is_migration() { String::new() } else { format!("{}: ", spec.task.name()) }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("our templates are sound").progress_chars("=> ")
}

impl Observer for Progress {
    fn moved(&mut self, now_ms: Millis, view: SlotView<'_>, from: &State) {
        if matches!(from, State::Pending) {
            self.begun.insert(view.id, now_ms);
        }
        self.states.insert(view.id, (view.state().clone(), Arc::clone(view.spec)));
        if let Some(line) = self.spoken_of(now_ms, view, from) {
            self.say(&line);
        }
        let text = match view.step() {
            Some(step) => format!(
                "phase {}/{} {}: {}, {}",
                step.phase.number(),
                Phase::ALL.len(),
                step.phase,
                step.step,
                spoken(view.state())
            ),
            None => spoken(view.state()),
        };
        self.bar(view, &text);
        self.header(now_ms);
    }

    fn joined(&mut self, now_ms: Millis, view: SlotView<'_>) {
        self.states.insert(view.id, (view.state().clone(), Arc::clone(view.spec)));
        self.say(&format!("{} {} joins the run", clock_text(now_ms), view.client));
        self.header(now_ms);
    }

    fn started(&mut self, now_ms: Millis, view: SlotView<'_>, ticket: &Ticket) {
        self.begun.entry(view.id).or_insert(now_ms);
        let undo = match ticket.direction {
            Direction::Forward => "",
            Direction::Undo => "undo ",
        };
        let attempt = match ticket.attempt {
            1 => String::new(),
            attempt => format!(", attempt {attempt}"),
        };
        let (number, phases) = (ticket.phase.number(), Phase::ALL.len());
        let text = format!(
            "phase {number}/{phases} {}: {undo}{}{attempt}, since {}",
            ticket.phase,
            ticket.step,
            clock_text(now_ms)
        );
        self.bar(view, &text);
        self.header(now_ms);
        // An operation is one thing, whatever phases its steps are of.
        let is_migration = view.spec.task.is_migration();
        let phase = if is_migration { ticket.phase } else { Phase::Clone };
        let doing = (phase, ticket.direction, ticket.round);
        if self.doing.insert(view.id, doing) == Some(doing) {
            return;
        }
        if matches!(self.screen, Screen::Lines) {
            let said = match (view.spec.task.kind(), ticket.direction) {
                (TaskKind::Migrate, _) => phase_doing(view.spec, ticket.phase, ticket.direction),
                (operation, Direction::Forward) => operation.name().to_owned(),
                (operation, Direction::Undo) => format!("{}: taking it back", operation.name()),
            };
            self.say(&format!("{} {} {said}", clock_text(now_ms), view.client));
        }
    }

    fn broken(&mut self, view: SlotView<'_>, error: &JournalError) {
        self.say(&format!("{}: the journal refused an entry: {error}", view.client));
    }
}
