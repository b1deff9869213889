//! Layer 4: the steps of each phase, and what carries one out.
//!
//! A step is a row of [`registry`]: plain functions that turn what is known
//! into commands, and what hosts say into what is there (`docs/native-steps.md`).
//! [`perform`] carries one attempt at a step out, the same way for a first run
//! and for a recovery after a crash.

mod alone;
#[cfg(test)]
mod asked_tests;
mod boot_image;
mod bring;
mod check;
#[cfg(test)]
mod check_tests;
mod clean_copy;
mod clone;
mod copy;
mod describe;
mod end;
mod evidence;
mod export;
mod filesets;
mod finish;
mod job;
mod lease;
mod ledger;
mod left;
mod marks;
mod master;
mod migrate;
mod mksysb;
mod mount;
mod namesake;
mod nimadm;
mod operations;
mod order;
mod outcome;
mod parts;
mod perform;
#[cfg(test)]
mod perform_host;
#[cfg(test)]
mod perform_patience_tests;
#[cfg(test)]
mod perform_tests;
mod preflight;
mod read;
mod record;
mod registry;
#[cfg(test)]
mod sample;
mod scripts;
mod seen;
mod site;
mod step;
mod takeover;
mod unmount;
mod whose;
#[cfg(test)]
mod witness_tests;

pub use describe::{ASSUMPTION, StepText, describe};
pub use left::left;
pub use order::{EvidenceSink, Order, hosts};
pub use perform::perform;
pub use preflight::{Objection, preflight};
pub use registry::{MigrationPlan, find, plan_steps, registry};
pub use seen::{LeftBy, copy_seen, look_at_copy};
pub use step::{Answers, Context, Drivers, HostNames, Is, Looks, Settle, Sight, StepDef};
