//! Layer 4: the steps of each phase, and what carries one out.
//!
//! A step is a row of [`registry`]: plain functions that turn what is known
//! into commands, and what hosts say into what is there (`docs/native-steps.md`).
//! [`perform`] carries one attempt at a step out, the same way for a first run
//! and for a recovery after a crash.

mod alone;
#[cfg(test)]
mod asked_tests;
mod copy;
mod describe;
mod lease;
mod left;
mod marks;
mod native;
mod nimadm;
mod operations;
mod order;
mod perform;
mod preflight;
mod read;
mod registry;
#[cfg(test)]
mod sample;
mod seen;
mod step;
mod unknown;
mod whose;
#[cfg(test)]
mod witness_tests;

pub use describe::{ASSUMPTION, StepText, describe};
pub use left::left;
pub use operations::{SYNC_COMPARE, levels_seen};
pub use order::{Carrier, EvidenceSink, Order, hosts};
pub use perform::perform;
pub use preflight::{Objection, preflight};
pub use registry::{MigrationPlan, find, plan_steps, registry};
pub use seen::{LeftBy, copy_seen, look_at_copy};
pub use step::{Answers, Context, Drivers, Finding, HostNames, Is, Probe, Settle, StepDef};
pub use unknown::unknown_messages;
