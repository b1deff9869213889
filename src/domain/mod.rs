//! Layer 1: what a migration is. Pure: no I/O, no clock, no AIX command.

mod attempt;
mod facts;
mod failure;
mod name;
mod phase;
mod plan;
mod plan_file;
mod reach;
mod spec;
mod step;
mod synopsis;
mod ticket;

pub use attempt::{Answer, AttemptRecord, CommandRecord, Outcome, Presence, Way};
pub use facts::{Baseline, BaselineDisk, BaselineFs, BaselineVolume, Facts};
pub use failure::{Cause, FailureClass, MessageRule, Trace};
pub use name::{BatchName, DiskName, HostName, Level, NameError, NimName, Pvid, VgName};
pub use phase::{Phase, PhaseError, parse_phases};
pub use plan::{Estate, Limits, Plan};
pub use plan_file::{PlanError, PlanErrors, parse_plan, parse_plan_bytes, plan_schema};
pub use reach::{Reach, RealHosts, Via};
pub use spec::{
    BootFailure, Bootlist, CopyPolicy, EstateKind, FailurePolicy, MigrationSpec, Mode, Options,
    RetryPolicy, SPEC_FORMAT, Target,
};
pub use step::{HostRole, Repeat, StepName, StepSpec, UndoKind};
pub use synopsis::{Breach, Flag, Synopsis};
pub use ticket::{Direction, MigrationId, Ticket};
