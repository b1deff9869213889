//! The row that says where a migration stands, and its checksum.

use rusqlite::{Connection, params};

use super::connect::{int, uint};
use super::digest::{Sum, Summer};

/// Where a migration's chain of entries ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) seq: u64,
    /// 0 where there is none.
    pub(super) entry: u64,
    pub(super) chain: Sum,
}

/// What the sum of a head is made of.
pub(super) struct HeadSum<'a> {
    pub(super) migration: u64,
    pub(super) seq: u64,
    pub(super) entry: u64,
    pub(super) updated_ms: u64,
    pub(super) state: &'a [u8],
    pub(super) chain: &'a [u8],
}

impl HeadSum<'_> {
    pub(super) fn sum(&self) -> Sum {
        Summer::new("head")
            .int(self.migration)
            .int(self.seq)
            .int(self.entry)
            .int(self.updated_ms)
            .text(self.state)
            .text(self.chain)
            .finish()
    }
}

/// Gives every head that has none its checksum: those of a journal that was
/// written before there were any.
pub(super) fn seal(connection: &Connection) -> rusqlite::Result<()> {
    let mut heads = connection.prepare(
        "SELECT migration, seq, entry, updated_ms, state, chain FROM head WHERE sum = x''",
    )?;
    let sums = heads
        .query_map([], |row| {
            let migration = uint(row, "migration")?;
            let head = HeadSum {
                migration,
                seq: uint(row, "seq")?,
                entry: uint(row, "entry")?,
                updated_ms: uint(row, "updated_ms")?,
                state: row.get_ref("state")?.as_bytes()?,
                chain: row.get_ref("chain")?.as_blob()?,
            };
            Ok((migration, head.sum()))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut update = connection.prepare("UPDATE head SET sum = ?2 WHERE migration = ?1")?;
    for (migration, sum) in sums {
        update.execute(params![int(migration), &sum[..]])?;
    }
    Ok(())
}
