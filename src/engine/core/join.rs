//! Migrations that join a run: in its beginning, and while it goes on.

use std::collections::BTreeSet;

use crate::base::Moment;
use crate::journal::Loaded;
use crate::machine::{EventKind, Operator, State};

use super::{Command, Core};
use crate::engine::slot::Slot;

impl Core {
    /// Makes room for new migrations of `clients`: what has not begun of them is
    /// called off. Gives those for which there is none, each with the reason.
    pub fn make_room(
        &mut self,
        now: Moment,
        clients: &BTreeSet<String>,
        by: &Operator,
        out: &mut Vec<Command>,
    ) -> Vec<(String, String)> {
        self.now = now;
        let mut none = Vec::new();
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let state = slot.machine.state();
            let is_settled = slot.committing.is_none() && slot.waiting.is_empty() && !slot.broken;
            if !clients.contains(&slot.client) || (state.is_terminal() && is_settled) {
                continue;
            }
            if matches!(state, State::Pending) && is_settled {
                let by = Operator(format!("{}, whose plan asks for something else", by.0));
                let cancel = EventKind::Cancel { by };
                self.submit(now.shown_ms, index, cancel, None, None, out);
            } else {
                let why = format!("{} is under way: {}", slot.id, state.told());
                none.push((slot.client.clone(), why));
            }
        }
        none
    }

    /// Takes in migrations that are journaled, under the limits of the run. Gives
    /// their slots.
    pub fn join(
        &mut self,
        now: Moment,
        loaded: Vec<Loaded>,
        out: &mut Vec<Command>,
    ) -> std::ops::Range<usize> {
        self.now = now;
        let first = self.slots.len();
        self.slots.extend(loaded.into_iter().map(Slot::new));
        let joined = first..self.slots.len();
        for index in joined.clone() {
            let slot = &self.slots[index];
            self.by_id.insert(slot.id, index);
            self.going += usize::from(slot.goes());
        }
        self.seat_all(joined.clone());
        for index in joined.clone() {
            self.take_up(index, out);
        }
        self.go_on(now.shown_ms, out);
        joined
    }

    /// Gives seats to those that were under way before a restart, whatever the limit is
    /// now; of those that wait for a place, the first to come have one. What an order
    /// has let go on since waits as it does in a run.
    fn seat_all(&mut self, joined: std::ops::Range<usize>) {
        let mut waiting = Vec::new();
        for index in joined {
            let slot = &self.slots[index];
            match slot.machine.state() {
                State::WaitingForPlace { since_ms, .. } => waiting.push((*since_ms, index)),
                _ if slot.keeps_seat() && !slot.is_ordered => self.seat(index),
                _ => {}
            }
        }
        waiting.sort_unstable();
        for (_, index) in waiting {
            if self.has_seat() {
                self.seat(index);
            }
        }
    }
}
