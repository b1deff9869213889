//! Layer 1: what a migration is. Pure: no I/O, no clock, no AIX command.

mod aim;
mod attempt;
mod facts;
mod failure;
mod lease;
mod name;
mod nimadm_line;
mod phase;
mod plan;
mod plan_file;
mod reach;
mod seen;
mod site;
mod spec;
mod step;
mod synopsis;
mod task;
mod ticket;
mod title;

pub use aim::{Aim, Driver, Mode, Target};
pub use attempt::{Answer, AttemptRecord, CommandRecord, Outcome, Presence, Way};
pub use facts::{
    Baseline, BaselineDisk, BaselineFs, BaselineVolume, CopyDisk, CopyIdentity, Facts, MadeMksysb,
};
pub use failure::{Cause, FailureClass, MessageRule, Residue};
pub use lease::{Control, Lease};
pub use name::{BatchName, BuildWeek, DiskName, HostName, Level, NameError, NimName, Pvid, VgName};
pub use nimadm_line::{Form, LineError, LineErrors, NimadmLine, Telling};
pub use phase::{Phase, PhaseError, parse_phases, phases_text};
pub use plan::{Estate, Limits, Plan};
pub use plan_file::{PlanError, PlanErrors, parse_plan, parse_plan_bytes, plan_schema};
pub use reach::{Reach, RealHosts, Via};
pub use seen::{CopyIs, CopySeen, OldSeen, SystemDisk, Systems};
pub use site::{SiteOwn, SiteRows};
pub use spec::{
    BootFailure, Bootlist, CopyPolicy, DeadLease, EstateKind, FailurePolicy, MigrationSpec,
    Options, RetryPolicy, SPEC_FORMAT,
};
pub use step::{HostRole, Repeat, StepName, StepSpec, UndoKind};
pub use synopsis::{Breach, Flag, UPDATES_SINCE};
pub use task::{Part, SoftwareSync, Task, TaskKind};
pub use ticket::{Direction, MigrationId, Ticket};
