//! Layer 7: what is to be done with a fleet, decided before anybody is told: which
//! migrations of a plan are begun, what counts for a client, what hosts must show
//! before a night. Prints nothing, and knows no command line.

mod begin;
mod current;
mod examine;
mod settings;
mod sort;
mod work;

pub use begin::{BeginError, PlanFile, batch_of, begin, create};
pub use current::{Row, current, later, latest_of, unhidden};
pub use examine::{Finding, Gravity, Questions, peer_findings, self_findings};
pub use settings::{BatchSettings, UnreadSettings};
pub use sort::{Known, Refusal, Sorted, rest_of};
pub use work::{ClientWork, Work, last_of_each, new_migration, of_name};
