//! Places in the phases, and the lines before them.

use std::collections::BTreeSet;

use crate::base::Millis;
use crate::domain::Phase;

use super::limits::EngineLimits;

const PHASES: usize = Phase::ALL.len();

/// A migration takes a place in a phase with its first step there, and gives it
/// back after the last: not between two steps, nor while a retry waits.
#[derive(Debug)]
pub(super) struct Places {
    taken: [usize; PHASES],
    limits: [usize; PHASES],
    /// Who waits, by since when: slots.
    lines: [BTreeSet<(Millis, usize)>; PHASES],
}

impl Places {
    pub(super) fn new(limits: &EngineLimits) -> Places {
        Places { taken: [0; PHASES], limits: limits.phases, lines: Default::default() }
    }

    /// Takes a place that is free, and that nobody waits for.
    pub(super) fn take(&mut self, phase: Phase) -> bool {
        let free = self.is_free(phase) && self.lines[phase as usize].is_empty();
        self.taken[phase as usize] += usize::from(free);
        free
    }

    /// Takes a place that was had before a restart, whatever the limit is now.
    pub(super) fn keep(&mut self, phase: Phase) {
        self.taken[phase as usize] += 1;
    }

    pub(super) fn give_back(&mut self, phase: Phase) {
        let taken = &mut self.taken[phase as usize];
        *taken = taken.checked_sub(1).expect("a place is given back once");
    }

    /// Stands in line for a place.
    pub(super) fn line_up(&mut self, phase: Phase, since_ms: Millis, slot: usize) {
        self.lines[phase as usize].insert((since_ms, slot));
    }

    pub(super) fn leave_line(&mut self, phase: Phase, since_ms: Millis, slot: usize) {
        self.lines[phase as usize].remove(&(since_ms, slot));
    }

    /// Gives a free place to the first in line that `may_enter`.
    pub(super) fn let_in(
        &mut self,
        phase: Phase,
        may_enter: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if !self.is_free(phase) {
            return None;
        }
        let line = &mut self.lines[phase as usize];
        let first = line.iter().copied().find(|(_, slot)| may_enter(*slot))?;
        line.remove(&first);
        self.taken[phase as usize] += 1;
        Some(first.1)
    }

    fn is_free(&self, phase: Phase) -> bool {
        self.taken[phase as usize] < self.limits[phase as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_line_comes_first_and_nobody_passes_it() {
        let limits = EngineLimits::of_migrations(10).with_phase(Phase::Clone, 1);
        let mut places = Places::new(&limits);
        assert!(places.take(Phase::Clone));
        assert!(!places.take(Phase::Clone));
        places.line_up(Phase::Clone, 7, 1);
        places.line_up(Phase::Clone, 5, 2);
        assert_eq!(places.let_in(Phase::Clone, |_| true), None);
        places.give_back(Phase::Clone);
        assert!(!places.take(Phase::Clone), "two are in line");
        assert_eq!(places.let_in(Phase::Clone, |_| true), Some(2));
        places.give_back(Phase::Clone);
        assert_eq!(places.let_in(Phase::Clone, |slot| slot != 1), None);
        places.leave_line(Phase::Clone, 7, 1);
        assert!(places.take(Phase::Clone));
        assert!(places.take(Phase::Finish), "other phases have places of their own");
    }
}
