//! Layer 6: read models, made from a journal, and how they are shown. Knows no
//! terminal and no clock: views in, lines and documents out.

mod alt_mig;
mod doing;
mod history;
mod line;
mod operation;
mod read;
mod remains;
mod since;
mod standing;
mod status;
mod summary;
mod table;
mod time;
mod verdict;
mod view;

pub use alt_mig::{AltMigLog, LogDetail};
pub use doing::{doing, phase_doing};
pub use history::{
    Detail, EntryDocument, HISTORY_VERSION, HistoryDocument, history_begun, history_lines,
};
pub use operation::operation_lines;
pub use read::{stories, story, views};
pub use remains::{
    FRESH_CLONE, asked_after, is_ordered, next_step, remains, ways_out, writes_file,
};
pub use since::has_begun;
pub use standing::{Standing, counts, counts_text, spoken, spoken_as};
pub use status::{
    BatchStatus, CauseStatus, MigrationStatus, STATUS_VERSION, StateCount, Status, cause_text,
    retry_at, status_lines,
};
pub use summary::summary_lines;
pub use table::{Table, fit};
pub use time::{clock_text, day_text, when_text};
pub use verdict::Verdict;
pub use view::{MigrationView, Story, Times, direction, facts_of};
