//! What the archive has: its rows beside those of the journal, what is deleted
//! from the journal once they are there, and what is noted of them.

use std::path::Path;

use rusqlite::{Connection, Row, params};

use crate::base::Millis;

use super::connect::{self, int, uint};
use super::digest::{Sum, Summer};
use super::error::{Difference, JournalError};
use super::ids::BatchId;
use super::schema;

/// Tables of an archive, each with its key, and with the rows of it that belong
/// to the batches in `moved`.
pub(super) const TABLES: [(&str, &str, &str); 7] = [
    ("batch", "id", "id IN (SELECT batch FROM moved)"),
    ("migration", "id", "batch IN (SELECT batch FROM moved)"),
    (
        "blueprint",
        "digest",
        "digest IN (SELECT blueprint FROM journal.migration
                    WHERE batch IN (SELECT batch FROM moved))",
    ),
    (
        "head",
        "migration",
        "migration IN (SELECT id FROM journal.migration WHERE batch IN (SELECT batch FROM moved))",
    ),
    (
        "event",
        "entry",
        "migration IN (SELECT id FROM journal.migration WHERE batch IN (SELECT batch FROM moved))",
    ),
    (
        "attempt",
        "entry",
        "entry IN (SELECT entry FROM journal.event WHERE migration IN
                   (SELECT id FROM journal.migration WHERE batch IN (SELECT batch FROM moved)))",
    ),
    (
        "output",
        "digest, chunk",
        "digest IN (SELECT output FROM journal.attempt WHERE entry IN
                    (SELECT entry FROM journal.event WHERE migration IN
                     (SELECT id FROM journal.migration WHERE batch IN (SELECT batch FROM moved))))",
    ),
];

/// Deletes from the journal what is in its archive, and notes it, within a
/// transaction of the caller and without foreign keys, for which each deleted
/// row would be a scan.
pub(super) fn forget(
    connection: &Connection,
    batches: &[BatchId],
    at_ms: Millis,
) -> rusqlite::Result<()> {
    for batch in batches {
        let mut found = connection.prepare_cached(
            "SELECT b.name, b.digest, b.migrations, max(m.id) AS last_migration,
             max(h.entry) AS last_entry FROM batch b JOIN migration m ON m.batch = b.id
             JOIN head h ON h.migration = m.id WHERE b.id = ?1",
        )?;
        let note = found.query_row([int(batch.0)], |row| {
            Ok(Note {
                batch: batch.0,
                name: row.get("name")?,
                digest: row.get("digest")?,
                migrations: uint(row, "migrations")?,
                last_migration: uint(row, "last_migration")?,
                last_entry: uint(row, "last_entry")?,
                at_ms,
            })
        })?;
        note.insert(connection)?;
    }
    connection.execute_batch(
        "DELETE FROM attempt WHERE entry IN (SELECT e.entry FROM event e
             JOIN migration m ON m.id = e.migration JOIN archived a ON a.batch = m.batch);
         DELETE FROM event WHERE migration IN
             (SELECT m.id FROM migration m JOIN archived a ON a.batch = m.batch);
         DELETE FROM head WHERE migration IN
             (SELECT m.id FROM migration m JOIN archived a ON a.batch = m.batch);
         DELETE FROM migration WHERE batch IN (SELECT batch FROM archived);
         DELETE FROM batch WHERE id IN (SELECT batch FROM archived);
         DELETE FROM blueprint WHERE digest NOT IN (SELECT blueprint FROM migration);
         DELETE FROM output WHERE digest NOT IN
             (SELECT output FROM attempt WHERE output IS NOT NULL);",
    )
}

/// A row of `archived`.
struct Note {
    batch: u64,
    name: String,
    digest: String,
    migrations: u64,
    last_migration: u64,
    last_entry: u64,
    at_ms: u64,
}

const NOTES: &str = "SELECT batch, name, digest, migrations, last_migration, last_entry, at_ms, sum
                     FROM archived ORDER BY batch";

impl Note {
    fn read(row: &Row<'_>) -> rusqlite::Result<(Note, bool)> {
        let note = Note {
            batch: uint(row, "batch")?,
            name: row.get("name")?,
            digest: row.get("digest")?,
            migrations: uint(row, "migrations")?,
            last_migration: uint(row, "last_migration")?,
            last_entry: uint(row, "last_entry")?,
            at_ms: uint(row, "at_ms")?,
        };
        let is_sound = *row.get_ref("sum")?.as_blob()? == note.sum();
        Ok((note, is_sound))
    }

    fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        let insert = "INSERT INTO archived
            (batch, name, digest, migrations, last_migration, last_entry, at_ms, sum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let row = params![
            int(self.batch),
            self.name,
            self.digest,
            int(self.migrations),
            int(self.last_migration),
            int(self.last_entry),
            int(self.at_ms),
            &self.sum()[..]
        ];
        connection.prepare_cached(insert)?.execute(row).map(drop)
    }

    fn sum(&self) -> Sum {
        Summer::new("archived")
            .int(self.batch)
            .text(self.name.as_bytes())
            .text(self.digest.as_bytes())
            .int(self.migrations)
            .int(self.last_migration)
            .int(self.last_entry)
            .int(self.at_ms)
            .finish()
    }
}

/// Checks what is noted of the archive: the last entry that was given to what is
/// in it, and what does not fit. Whether the archive has what is noted is
/// looked at where it `is_beside`.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    is_beside: bool,
) -> Result<(u64, Vec<Difference>), JournalError> {
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(path, "cannot read what is archived", &error);
    let notes: Vec<(Note, bool)> = connection
        .prepare(NOTES)
        .and_then(|mut statement| statement.query_map([], Note::read)?.collect())
        .map_err(failed)?;
    let mut differences = Vec::new();
    let mut last_entry = 0;
    for (note, is_sound) in notes {
        last_entry = note.last_entry.max(last_entry);
        let batch = format!("batch {} `{}`", note.batch, note.name);
        if !is_sound {
            differences.push(differs(&batch, "another checksum"));
        } else if is_beside {
            let sql = "SELECT count(*) FROM migration WHERE batch = ?1";
            let found =
                connection.query_row(sql, [int(note.batch)], |row| uint(row, 0)).map_err(failed)?;
            if found != note.migrations {
                let wanted = format!("{found} of its {} migrations", note.migrations);
                differences.push(differs(&batch, &wanted));
            }
        }
    }
    Ok((last_entry, differences))
}

fn differs(recorded: &str, replayed: &str) -> Difference {
    Difference {
        migration: None,
        client: None,
        seq: None,
        what: "archive",
        recorded: Difference::shown(recorded),
        replayed: replayed.to_owned(),
        cause: "put `archive.db` back beside the journal, or restore a backup of it".to_owned(),
    }
}

/// Lets a reader see the journal and its archive as one.
pub(super) fn attach(connection: &Connection, archive: &Path) -> Result<(), JournalError> {
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(archive, "cannot read the archive", &error);
    let version = {
        let alone = connect::reader(archive)?;
        schema::version(&alone, archive)?
    };
    if version < schema::ARCHIVED_SINCE {
        return Err(JournalError::Older { path: archive.to_owned() });
    }
    let path = archive.display().to_string();
    connection.execute("ATTACH ?1 AS archive", [&path]).map_err(failed)?;
    let view = |(table, key, _): &(&str, &str, &str)| {
        let same: Vec<String> =
            key.split(", ").map(|column| format!("m.{column} = a.{column}")).collect();
        format!(
            "CREATE TEMP VIEW {table} AS SELECT * FROM main.{table}
             UNION ALL SELECT * FROM archive.{table} AS a
             WHERE NOT EXISTS (SELECT 1 FROM main.{table} AS m WHERE {});",
            same.join(" AND ")
        )
    };
    let views: Vec<String> = TABLES.iter().map(view).collect();
    connection.execute_batch(&views.concat()).map_err(failed)
}
