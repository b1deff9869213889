//! The floor: the rows that the engine wrote, written again by SQLite alone.

use std::path::Path;
use std::time::Instant;

use nimshift::base::limits::GROUP_COMMIT_MAX;
use nimshift::journal::schema_sql;
use rusqlite::{Connection, OpenFlags, params};

use super::Measured;

/// A row of `attempt`.
struct Attempt {
    v: i64,
    phase: i64,
    step: String,
    direction: String,
    round: i64,
    number: i64,
    record: String,
    size: i64,
    sum: Vec<u8>,
}

/// A row of `event`, the row of `head` after it, and the row of `attempt` with
/// it.
pub(crate) struct Row {
    migration: i64,
    seq: i64,
    prev: i64,
    v: i64,
    epoch: i64,
    event: String,
    effects: String,
    attempt: Option<Vec<u8>>,
    chain: Vec<u8>,
    state: String,
    kept: Option<Attempt>,
}

/// What the engine left in the journal at `path`.
pub(crate) fn rows(path: &Path) -> Vec<Row> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the journal");
    // Only the last state is kept: it stands for all, which are as long.
    let mut statement = connection
        .prepare(
            "SELECT e.migration, e.seq, e.prev, e.v, e.epoch, e.event, e.effects, e.attempt,
                    e.chain, h.state, a.v, a.phase, a.step, a.direction, a.round, a.attempt,
                    a.record, a.size, a.sum
             FROM event e JOIN head h ON h.migration = e.migration
             LEFT JOIN attempt a ON a.entry = e.entry ORDER BY e.entry",
        )
        .expect("a query");
    let rows = statement
        .query_map([], |row| {
            Ok(Row {
                migration: row.get(0)?,
                seq: row.get(1)?,
                prev: row.get(2)?,
                v: row.get(3)?,
                epoch: row.get(4)?,
                event: row.get(5)?,
                effects: row.get(6)?,
                attempt: row.get(7)?,
                chain: row.get(8)?,
                state: row.get(9)?,
                kept: row.get::<_, Option<i64>>(10)?.map(|v| kept(v, row)).transpose()?,
            })
        })
        .expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

fn kept(v: i64, row: &rusqlite::Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        v,
        phase: row.get(11)?,
        step: row.get(12)?,
        direction: row.get(13)?,
        round: row.get(14)?,
        number: row.get(15)?,
        record: row.get(16)?,
        size: row.get(17)?,
        sum: row.get(18)?,
    })
}

/// Writes `rows` of `clients` migrations into a new database in `dir`, as many
/// in one transaction as there are migrations at once.
pub(crate) fn run(dir: &Path, rows: &[Row], clients: usize) -> Measured {
    let connection = Connection::open(dir.join("floor.db")).expect("a database");
    for (pragma, value) in
        [("journal_mode", "wal"), ("synchronous", "full"), ("foreign_keys", "on")]
    {
        connection.pragma_update(None, pragma, value).expect("a pragma");
    }
    connection.execute_batch(&schema_sql()).expect("the tables");
    prepare(&connection, clients);
    let begun = Instant::now();
    let mut entry = 0;
    for group in rows.chunks(clients.min(GROUP_COMMIT_MAX)) {
        connection.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
        let mut event = connection
            .prepare_cached(
                "INSERT INTO event
                 (entry, migration, seq, prev, v, epoch, event, effects, attempt, chain)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )
            .expect("a statement");
        let mut head = connection
            .prepare_cached(
                "UPDATE head SET seq = ?3, entry = ?4, updated_ms = ?5, state = ?6, chain = ?7,
                 sum = ?8 WHERE migration = ?1 AND seq = ?2",
            )
            .expect("a statement");
        let mut attempt = connection
            .prepare_cached(
                "INSERT INTO attempt
                 (entry, v, phase, step, direction, round, attempt, record, output, size, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, ?9, ?10)",
            )
            .expect("a statement");
        for row in group {
            entry += 1;
            event
                .execute(params![
                    entry,
                    row.migration,
                    row.seq,
                    row.prev,
                    row.v,
                    row.epoch,
                    row.event,
                    row.effects,
                    row.attempt,
                    row.chain
                ])
                .expect("a row");
            let changed = head
                .execute(params![
                    row.migration,
                    row.seq - 1,
                    row.seq,
                    entry,
                    0,
                    row.state,
                    row.chain,
                    // No older sum of the row is kept; the chain is as long.
                    row.chain
                ])
                .expect("a row");
            assert_eq!(changed, 1);
            if let Some(kept) = &row.kept {
                attempt
                    .execute(params![
                        entry,
                        kept.v,
                        kept.phase,
                        kept.step,
                        kept.direction,
                        kept.round,
                        kept.number,
                        kept.record,
                        kept.size,
                        kept.sum
                    ])
                    .expect("a row");
            }
        }
        drop((event, head, attempt));
        connection.execute_batch("COMMIT").expect("a commit");
    }
    let time = begun.elapsed();
    Measured { steps: u64::try_from(rows.len() / 13 * 12).expect("few rows"), time }
}

fn prepare(connection: &Connection, clients: usize) {
    connection
        .execute_batch(
            "BEGIN;
             INSERT INTO batch VALUES (1, 1, '', '', '', '', '', 0, 0, x'');
             INSERT INTO blueprint VALUES (x'', 1, '');",
        )
        .expect("rows");
    for id in 1..=clients {
        let id = i64::try_from(id).expect("few clients");
        connection
            .execute(
                "INSERT INTO migration
                     (id, batch, number, client, v, format, spec, blueprint, skipped, sum)
                 VALUES (?1, 1, 0, '', 1, 1, '', x'', '', x'')",
                [id],
            )
            .expect("a row");
        connection
            .execute(
                "INSERT INTO head (migration, seq, entry, updated_ms, state, chain)
                 VALUES (?1, 0, 0, 0, '{\"state\":\"pending\"}', x'')",
                [id],
            )
            .expect("a row");
    }
    connection.execute_batch("COMMIT").expect("a commit");
}
