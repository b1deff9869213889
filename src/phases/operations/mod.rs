//! nimadm's operations beside the migration: cleanup, wake, sleep, sync. Their
//! steps are rows of the registry as all others; a step belongs to the operation
//! whose name its own name begins with.

pub(super) mod cleanup_check;
pub(super) mod cleanup_copy;
pub(super) mod cleanup_end;
pub(super) mod cleanup_mounts;
mod cleanup_whose;
pub(super) mod sleep;
pub(super) mod sync;
pub(super) mod wake;

pub use sync::{SYNC_COMPARE, levels_seen};
