//! Layer 1: what a migration is. Pure: no I/O, no clock, no AIX command.

mod attempt;
mod facts;
mod failure;
mod name;
mod phase;
mod spec;
mod step;
mod ticket;

pub use attempt::{Answer, AttemptRecord, CommandRecord, Outcome, Presence, Way};
pub use facts::{Baseline, BaselineDisk, BaselineFs, Facts};
pub use failure::{Cause, FailureClass, Trace};
pub use name::{DiskName, HostName, Level, NameError, NimName, Pvid, VgName};
pub use phase::{Phase, PhaseError, parse_phases};
pub use spec::{
    BootFailure, Bootlist, CopyPolicy, EstateKind, FailurePolicy, MigrationSpec, Mode, Options,
    RetryPolicy, SPEC_FORMAT, Target,
};
pub use step::{HostRole, Repeat, StepName, StepSpec, UndoKind};
pub use ticket::{Direction, MigrationId, Ticket};
