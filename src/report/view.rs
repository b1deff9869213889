//! What reports are made from: a migration, and its story.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::Millis;
use crate::domain::{
    CopyIs, CopySeen, Direction, Facts, Level, MigrationId, MigrationSpec, Phase, Presence,
    StepName, StepSpec,
};
use crate::journal::Entry;
use crate::machine::{Blueprint, EventKind, Place, State};
use crate::phases;

use super::standing::Standing;

/// A migration as it stands.
#[derive(Debug, Clone)]
pub struct MigrationView {
    /// Its row in the journal.
    pub id: MigrationId,
    /// The batch that it belongs to, by name.
    pub batch: String,
    pub client: String,
    /// How many migrations of this client there have been, this one included.
    pub number: u32,
    /// The state it is in.
    pub state: State,
    pub blueprint: Arc<Blueprint>,
    /// What it is asked to do.
    pub spec: Arc<MigrationSpec>,
    /// When it came into the state; when it was asked for, if nothing has
    /// happened yet.
    pub since_ms: Millis,
    /// When an operation has cleaned the client up since, if one has.
    pub cleaned_ms: Option<Millis>,
    /// How its copy was seen last: when the client was asked for this report, by an
    /// operation since, or by the migration itself. `None` where nobody has looked
    /// since it changed.
    pub seen: Option<CopySeen>,
    /// Whether it was asked for its copy for this report, and gave no answer.
    pub is_silent: bool,
    /// Whether it is in the archive, where no order reaches it.
    pub is_archived: bool,
    /// Whether its master was asked for the mksysb that it has made, and has it no more.
    pub is_gone: bool,
}

impl MigrationView {
    /// How it stands.
    pub fn standing(&self) -> Standing<'_> {
        let is_cleaned = self.cleaned_ms.is_some();
        Standing::new(&self.state, &self.spec).cleaned(is_cleaned).seen(self.seen.as_ref())
    }

    /// Whether its client was last seen to run from the copy, with no old system to go
    /// back to.
    pub fn has_no_way_back(&self) -> bool {
        let seen = self.seen.as_ref().filter(|seen| seen.is == CopyIs::Running);
        matches!(self.state, State::Migrated { .. }) && seen.is_some_and(|seen| seen.old.is_none())
    }

    /// Whether a `retry` throws the copy away: the step that it waits in cannot be
    /// repeated in it.
    pub fn retry_clones_anew(&self) -> bool {
        let State::AwaitingOperator { at, dirty, .. } = self.state else { return false };
        self.spec.task.is_migration() && self.blueprint.begins_in_fresh_copy(at, dirty)
    }

    /// The step it is at, if it has begun and not ended.
    pub fn step(&self) -> Option<&StepSpec> {
        self.state.place().and_then(|place| self.step_at(place))
    }

    /// The step at `place`; `None` for a place that the blueprint does not have.
    pub fn step_at(&self, place: Place) -> Option<&StepSpec> {
        self.blueprint.steps.get(usize::from(place.step))
    }

    /// Whether the step is made or taken back, if it has begun and not ended.
    pub fn direction(&self) -> Option<Direction> {
        self.state.place().map(|_| direction(&self.state))
    }
}

/// Whether a state is about making a step or about taking one back.
pub fn direction(state: &State) -> Direction {
    if state.is_compensating() { Direction::Undo } else { Direction::Forward }
}

/// What the attempt that `entry` answers was told, if it failed, that neither the
/// plan nor the catalogue knows.
pub(super) fn unknown_messages(entry: &Entry, spec: &MigrationSpec) -> Vec<String> {
    let failed =
        entry.attempt.as_ref().filter(|_| matches!(entry.event.kind, EventKind::Failed { .. }));
    let told = failed.and_then(|attempt| {
        let def = phases::find(attempt.ticket.phase, &attempt.ticket.step)?;
        Some(phases::unknown_messages(&spec.messages, def, &attempt.record))
    });
    told.unwrap_or_default()
}

/// A migration and all that happened to it.
#[derive(Debug, Clone)]
pub struct Story {
    pub view: MigrationView,
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// What was found on the hosts when they were asked for this report; nothing
    /// where they were not.
    pub found: Vec<(StepName, Presence)>,
    /// Of a migration that was refused or skipped, and has touched nothing: the one
    /// before it, which may have left something.
    pub before: Option<Box<Story>>,
}

impl Story {
    /// What its steps have found out, and those of the parts before it.
    pub fn facts(&self) -> Facts {
        let part = self.view.spec.part.as_ref();
        let mut all = part.map_or_else(Facts::default, |part| part.facts.clone());
        all.absorb(facts_of(self.entries.iter().map(|entry| &entry.event.kind)));
        all
    }

    /// The messages of its failed attempts that neither its plan nor the catalogue
    /// knows, each once.
    pub fn unknown_messages(&self) -> BTreeSet<String> {
        self.entries.iter().flat_map(|entry| unknown_messages(entry, &self.view.spec)).collect()
    }

    /// When the migration began, if it has.
    pub fn begun_ms(&self) -> Option<Millis> {
        self.entries.first().map(|entry| entry.event.at_ms)
    }

    /// How long it was under way: while it was at its end, before it was taken
    /// back, does not count.
    pub fn duration_ms(&self, now_ms: Millis) -> Millis {
        let times = self.times(now_ms);
        times.phase_ms.iter().sum::<Millis>() + times.undo_ms + times.waited_ms
    }

    /// The last place that the migration was at.
    pub fn last_place(&self) -> Option<Place> {
        self.entries.iter().rev().find_map(|entry| entry.state.place())
    }

    /// The level that the migrated system was found at: after its boot, or in the
    /// copy. None where no step of this part has read it.
    pub fn level_read(&self) -> Option<&Level> {
        self.entries.iter().rev().find_map(|entry| match &entry.event.kind {
            EventKind::Succeeded { ticket, facts: Some(facts) }
                if ["verify-level", "verify-boot"].contains(&ticket.step.as_str()) =>
            {
                facts.level.as_ref()
            }
            _ => None,
        })
    }

    /// How long each phase took, in nimadm's order, and how long taking back
    /// took. Waits for a retry or a person count where they were spent; waits for a
    /// place in a phase count apart.
    pub fn times(&self, now_ms: Millis) -> Times {
        let mut times = Times::default();
        let ends = self.entries.iter().skip(1).map(|entry| entry.event.at_ms);
        for (entry, end) in self.entries.iter().zip(ends.chain([now_ms])) {
            let Some(step) = entry.state.place().and_then(|place| self.view.step_at(place)) else {
                continue;
            };
            let spent = end.saturating_sub(entry.event.at_ms);
            match direction(&entry.state) {
                _ if matches!(entry.state, State::WaitingForPlace { .. }) => {
                    times.waited_ms += spent;
                }
                Direction::Undo => times.undo_ms += spent,
                Direction::Forward => times.phase_ms[step.phase as usize] += spent,
            }
        }
        times
    }
}

/// What steps have found out, by what happened.
pub fn facts_of<'a>(events: impl Iterator<Item = &'a EventKind>) -> Facts {
    let mut all = Facts::default();
    for event in events {
        if let Some(facts) = event.facts() {
            all.absorb(facts.clone());
        }
    }
    all
}

/// How long the parts of a migration took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// By phase, in nimadm's order.
    pub phase_ms: [Millis; Phase::ALL.len()],
    /// Taking back.
    pub undo_ms: Millis,
    /// Waiting for places in phases that were full.
    pub waited_ms: Millis,
}

impl Times {
    /// The phases that took any time, with it.
    pub fn phases(&self) -> impl Iterator<Item = (Phase, Millis)> + '_ {
        Phase::ALL
            .into_iter()
            .map(|phase| (phase, self.phase_ms[phase as usize]))
            .filter(|p| p.1 > 0)
    }
}
