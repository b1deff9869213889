//! Attempts that may start, in the order in which they should.

use std::collections::VecDeque;

use crate::domain::{Direction, Phase, Ticket};

use super::limits::EngineLimits;

/// A started attempt's place among the limits: given back when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Taking back is never held up by limits.
    Undo,
    /// Counted in its phase.
    Phase(Phase),
}

impl Lane {
    pub(super) fn of(ticket: &Ticket) -> Lane {
        match ticket.direction {
            Direction::Undo => Lane::Undo,
            Direction::Forward => Lane::Phase(ticket.phase),
        }
    }
}

/// An attempt that waits for its turn.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) slot: usize,
    pub(super) ticket: Ticket,
    pub(super) undo_of: Option<Ticket>,
}

/// Waiting attempts: undos first, then later phases before earlier ones, so
/// that what is nearly done is done first; in one phase, first come first
/// served.
#[derive(Debug)]
pub(super) struct ReadyQueue {
    undo: VecDeque<Ready>,
    phases: [VecDeque<Ready>; Phase::ALL.len()],
    running: [usize; Phase::ALL.len()],
    limits: [usize; Phase::ALL.len()],
}

impl ReadyQueue {
    pub(super) fn new(limits: &EngineLimits) -> ReadyQueue {
        ReadyQueue {
            undo: VecDeque::new(),
            phases: Default::default(),
            running: [0; Phase::ALL.len()],
            limits: limits.phases,
        }
    }

    pub(super) fn push(&mut self, ready: Ready) {
        match Lane::of(&ready.ticket) {
            Lane::Undo => self.undo.push_back(ready),
            Lane::Phase(phase) => self.phases[phase as usize].push_back(ready),
        }
    }

    /// The next attempt that the limits let start; its lane is taken.
    pub(super) fn pop(&mut self) -> Option<Ready> {
        if let Some(ready) = self.undo.pop_front() {
            return Some(ready);
        }
        for index in (0..self.phases.len()).rev() {
            if self.running[index] < self.limits[index]
                && let Some(ready) = self.phases[index].pop_front()
            {
                self.running[index] += 1;
                return Some(ready);
            }
        }
        None
    }

    /// Gives back the lane of an attempt that ended, or was not started.
    pub(super) fn give_back(&mut self, ticket: &Ticket) {
        if let Lane::Phase(phase) = Lane::of(ticket) {
            let running = &mut self.running[phase as usize];
            *running = running.checked_sub(1).expect("a lane is given back once for each pop");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::StepName;

    fn ready(slot: usize, phase: Phase, direction: Direction) -> Ready {
        let step = StepName::new("step");
        let ticket = Ticket { phase, step, direction, round: 0, attempt: 1 };
        Ready { slot, ticket, undo_of: None }
    }

    fn pop_all(queue: &mut ReadyQueue) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop().map(|ready| ready.slot)).collect()
    }

    #[test]
    fn what_is_nearly_done_comes_first_and_limits_hold() {
        let limits = EngineLimits::of_migrations(10).with_phase(Phase::Clone, 1);
        let mut queue = ReadyQueue::new(&limits);
        queue.push(ready(0, Phase::Clone, Direction::Forward));
        queue.push(ready(1, Phase::Clone, Direction::Forward));
        queue.push(ready(2, Phase::Finish, Direction::Forward));
        queue.push(ready(3, Phase::Clone, Direction::Undo));
        assert_eq!(pop_all(&mut queue), [3, 2, 0]);
        queue.give_back(&ready(0, Phase::Clone, Direction::Forward).ticket);
        assert_eq!(pop_all(&mut queue), [1]);
    }
}
