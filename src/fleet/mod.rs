//! Layer 7: what is to be done with a fleet, decided before anybody is told: which
//! migrations of a plan are begun, what counts for a client, what an order may do,
//! what hosts must show before a night. Prints nothing, and knows no command line.

mod anew;
mod begin;
mod current;
mod doctor;
mod evidence;
mod examine;
mod expected;
mod in_flight;
mod known;
mod left;
mod line;
mod operation;
mod order;
mod outlook;
mod requests;
mod settings;
mod shown;
mod sort;
mod spot;
mod work;

pub use anew::anew;
pub use begin::{BeginError, PlanFile, batch_again, batch_of, begin, create};
pub use current::{Row, current, later, latest_of, unhidden};
pub use doctor::examine;
pub use evidence::EvidenceFiles;
pub use examine::{Finding, Gravity};
pub use expected::lab_expectations;
pub use in_flight::{in_flight, still_runs};
pub use known::{KnownError, loaded};
pub use left::{HostsNow, LeftToAsk, before, has_copy};
pub use line::{LineFinds, asks_for_same, is_over};
pub use operation::{
    Operation, OperationAsked, OperationOn, adapt_cleanup, disks_of_copies, known_spots,
    settings_for,
};
pub use order::{CannotOrder, Costs, LeadsTo, OperatorOrder, possible};
pub use outlook::{Looked, Outlook, objections, worst};
pub use requests::{BatchNames, JournaledRequests, Learn};
pub use settings::{BatchSettings, UnreadSettings};
pub use shown::{latest_batch, run_for, stand};
pub use sort::{Known, Refusal, Sorted, rest_of};
pub use spot::{SpotError, level_of_spot};
pub use work::{ClientWork, Work, last_of_each, new_migration, of_name};
