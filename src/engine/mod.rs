//! Layer 5: what runs migrations.
//!
//! [`Core`] decides, without I/O: inputs in, commands out. [`Engine::run`] is the one
//! loop around it: it hands appends to the journal, and starts work, timers and
//! answers only when the journal has said that the state which wants them is
//! stored.

mod core;
mod delay;
mod limits;
mod panics;
mod performer;
mod places;
mod run;
mod slot;
mod work;

pub use core::{Command, Core, Input, OperatorRequest, order};
pub use delay::Delays;
pub use limits::EngineLimits;
pub use performer::StepPerformer;
pub use run::{Ended, Engine, NewWork, Observer, OnStop, RequestSource, StopHandle, stop_handle};
pub use slot::SlotView;
pub use work::{ForgetFuture, Performer, PerformerFuture};
