//! Layer 2: what an event means in a state of one migration.
//!
//! ```text
//! pending
//! live ── forward ────── executing, waiting_for_place, backing_off, awaiting_operator
//!      ├─ compensating ─ undoing, undo_backing_off, undo_stuck
//!      └─ held
//! terminal ───────────── migrated, rolled_back, abandoned, refused, skipped
//! ```
//!
//! Modes are states; phase, step, round and attempt are data within a state.
//! The machine knows no clock, no chance and no I/O: times come in with events,
//! and work to be done leaves as [`Effect`]s. statig is used here and nowhere
//! else.

/// Which rules the machine decides by. Raised with every change after which the
/// same events lead to other states or effects: entries that were made by other
/// rules are then not decided anew, see [`EventKind::Adopted`]. Raised with a
/// journal of the rules before, half done, in `fixtures/journals`.
///
/// 1: introduced in 0.1.0.
pub const DECISIONS: u32 = 2;

mod blueprint;
mod event;
mod migration;
mod state;

pub use blueprint::{Blueprint, BlueprintError};
pub use event::{Effect, Event, EventKind, Operator};
pub use migration::{Machine, Rejected, Transition};
pub use state::{Course, Place, State, Then};
