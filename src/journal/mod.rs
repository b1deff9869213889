//! Layer 3: what was decided, kept. SQLite by rusqlite, and the lock of a state
//! directory by fs2; neither is used anywhere else.
//!
//! The contract (design, section 4): an event, its effects and the state that
//! follows are one transaction, and nothing is acted on before that transaction
//! is committed and synced. One writer thread owns the connection and commits
//! the appends that wait in one transaction. Whoever opens a journal as an
//! engine replays all of it first, so that a damaged or edited journal is found
//! before anything is done on its word.
//!
//! The journal knows no clock: times come in. It starts no effect, and it knows
//! nothing of hosts.
//!
//! # Tables
//!
//! `event` is an append-only log in the order of commits; the entries of one
//! migration are linked backwards (`prev`) from `head`, which holds the state
//! that the last one led to. Appending therefore touches the end of two trees
//! and one narrow row, however many migrations there are. Each entry carries a
//! checksum over itself and the checksum of the entry before it, back to the
//! row of the migration: what was changed afterwards, or came back from the
//! disk as something else, shows.
//!
//! Batches that have ended can be moved to an archive, a file of the same tables
//! beside the journal: readers see both as one, engines the journal alone.
//!
//! # What it cannot tell
//!
//! A `-wal` file that was cut, deleted or damaged while no engine ran reads, to
//! SQLite, as one that ends earlier: the journal is then a sound one of an
//! earlier moment. After a clean stop there is no `-wal`. An engine that was
//! killed and goes on asks the hosts before it believes the journal about them.

mod adopt;
mod answer;
mod append;
mod archive;
mod archived;
mod attempt;
mod backup;
mod connect;
mod create;
mod digest;
mod encoded;
mod error;
mod export;
mod head;
mod ids;
mod loaded;
mod lock;
mod older;
mod open;
mod paths;
mod reader;
mod replay;
mod request;
mod schema;
mod verify;
mod writer;

pub use answer::{OrderAnswer, WhyRefused};
pub use append::{Ack, Append};
pub use archive::{Archived, archive};
pub use attempt::RecordedAttempt;
pub use backup::backup;
pub use connect::Durability;
pub use create::{NewBatch, NewMigration};
pub use error::{Difference, JournalError};
pub use export::export;
pub use ids::{BatchId, RequestId};
pub use loaded::Loaded;
pub use lock::Holder;
pub use open::{Journal, OpenOptions};
pub use paths::JournalDir;
pub use reader::{BatchRow, Entry, MigrationRow, Reader};
pub use request::{NewRequest, Request, RequestKind, Requests, UnreadableRequest};
pub use schema::schema_sql;
pub use verify::{Verified, verify};
