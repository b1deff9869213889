//! Layer 4: the steps of each phase.

mod step;

pub use step::{Answers, Context, HostNames, Looks, Sight, StepDef};
