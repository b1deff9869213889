//! The tables, by version.
//!
//! `user_version` is the number of steps below that a file has been through. A
//! step is never edited once it was released; a new one is added, and the
//! fixture of the version before must still load.

use std::path::Path;

use rusqlite::Connection;

use crate::machine::DECISIONS;

use super::error::JournalError;
use super::head;

/// "NIMS": says in the file's header whose it is.
pub(super) const APPLICATION_ID: i64 = 0x4e49_4d53;

/// Version of the events, attempts and migrations that are written now.
pub(super) const RECORD_VERSION: u64 = 2;

/// The steps from each version to the next. Version 1: introduced in 0.1.0.
const STEPS: [&str; 3] = [V1, V2, V3];

/// `entry` counts the entries of the whole journal, `seq` those of a migration.
/// No index on (migration, seq): a history follows `prev` from `head`, and an
/// index would cost a page for each migration in each commit.
const V1: &str = "
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    scope TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    sum BLOB NOT NULL
) STRICT;
CREATE TABLE engine_epoch (
    epoch INTEGER PRIMARY KEY AUTOINCREMENT,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    version TEXT NOT NULL
) STRICT;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    v INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    plan TEXT NOT NULL,
    estate TEXT NOT NULL,
    operator TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    migrations INTEGER NOT NULL,
    sum BLOB NOT NULL
) STRICT;
CREATE TABLE blueprint (
    digest BLOB PRIMARY KEY,
    v INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE migration (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batch (id),
    number INTEGER NOT NULL,
    client TEXT NOT NULL,
    v INTEGER NOT NULL,
    format INTEGER NOT NULL,
    spec TEXT NOT NULL,
    blueprint BLOB NOT NULL REFERENCES blueprint (digest),
    skipped TEXT NOT NULL,
    sum BLOB NOT NULL
) STRICT;
CREATE TABLE head (
    migration INTEGER PRIMARY KEY REFERENCES migration (id),
    seq INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    chain BLOB NOT NULL
) STRICT;
CREATE TABLE event (
    entry INTEGER PRIMARY KEY,
    migration INTEGER NOT NULL REFERENCES migration (id),
    seq INTEGER NOT NULL,
    prev INTEGER NOT NULL,
    v INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    event TEXT NOT NULL,
    effects TEXT NOT NULL,
    attempt BLOB,
    chain BLOB NOT NULL
) STRICT;
CREATE TABLE attempt (
    entry INTEGER PRIMARY KEY REFERENCES event (entry),
    v INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    step TEXT NOT NULL,
    direction TEXT NOT NULL,
    round INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    record TEXT NOT NULL,
    output BLOB,
    size INTEGER NOT NULL,
    sum BLOB NOT NULL
) STRICT;
CREATE TABLE output (
    digest BLOB NOT NULL,
    chunk INTEGER NOT NULL,
    size INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (digest, chunk)
) STRICT;
CREATE TABLE request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    v INTEGER NOT NULL,
    kind TEXT NOT NULL,
    client TEXT,
    operator TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    sum BLOB NOT NULL,
    answer TEXT
) STRICT;
CREATE INDEX request_open ON request (id) WHERE answer IS NULL;
";

/// The number of the machine's decisions, with each migration when it is
/// journaled and with each engine; a checksum of each state, which replay alone
/// no longer vouches for; which migration an order is about; which batches were
/// moved to the archive, and the numbers that are not given again.
const V2: &str = "
ALTER TABLE engine_epoch ADD COLUMN decisions INTEGER NOT NULL DEFAULT 1;
ALTER TABLE migration ADD COLUMN decisions INTEGER NOT NULL DEFAULT 1;
ALTER TABLE head ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
ALTER TABLE request ADD COLUMN migration INTEGER;
CREATE TABLE archived (
    batch INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    migrations INTEGER NOT NULL,
    last_migration INTEGER NOT NULL,
    last_entry INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    sum BLOB NOT NULL
) STRICT;
";

/// The work that a request hands to the running engine.
const V3: &str = "
ALTER TABLE request ADD COLUMN work TEXT;
";

/// How one who only reads sees version 1 as the newest.
const V1_AS_NEWEST: &str = "
CREATE TEMP VIEW migration AS SELECT *, 1 AS decisions FROM main.migration;
CREATE TEMP VIEW head AS SELECT *, x'' AS sum FROM main.head;
CREATE TEMP VIEW request AS SELECT *, NULL AS migration, NULL AS work FROM main.request;
CREATE TEMP VIEW archived AS SELECT 0 AS batch, '' AS name, '' AS digest, 0 AS migrations,
    0 AS last_migration, 0 AS last_entry, 0 AS at_ms, x'' AS sum WHERE 0;
";

/// How one who only reads sees version 2 as the newest.
const V2_AS_NEWEST: &str = "
CREATE TEMP VIEW request AS SELECT *, NULL AS work FROM main.request;
";

/// The newest version.
pub(super) const VERSION: i64 = 3;
const _: () = assert!(STEPS.len() == 3, "a new step is a new version");

/// The first version with an archive, whose tables have not changed since.
pub(super) const ARCHIVED_SINCE: i64 = 2;

/// The first version whose states have checksums.
const SEALED_SINCE: i64 = 2;

/// The tables of the newest version, as SQL: for a benchmark that writes the
/// same rows without an engine.
pub fn schema_sql() -> String {
    STEPS.concat()
}

/// The version of the file, 0 for one that has nothing in it yet.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, JournalError> {
    let read = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| JournalError::sqlite(path, "cannot read the header", &error))
    };
    let version = read("PRAGMA user_version")?;
    let application = read("PRAGMA application_id")?;
    let tables = read("SELECT count(*) FROM sqlite_schema")?;
    if (version, application, tables) == (0, 0, 0) {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(JournalError::Foreign { path: path.to_owned() });
    }
    if version > VERSION {
        return Err(JournalError::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    if version < 1 {
        return Err(JournalError::damaged(path, format!("its version is {version}")));
    }
    let (found, wanted) = (listing(connection, path)?, reference(version, path)?);
    if found != wanted {
        return Err(JournalError::damaged(path, "its tables are not those of its version"));
    }
    Ok(version)
}

/// Lets a reader's connection show a file of an older version as one of the
/// newest. The file stays as it is.
pub(super) fn show_as_newest(
    connection: &Connection,
    path: &Path,
    version: i64,
) -> Result<(), JournalError> {
    let sql = match version {
        1 => V1_AS_NEWEST,
        2 => V2_AS_NEWEST,
        _ => "",
    };
    connection
        .execute_batch(&format!("PRAGMA temp_store = MEMORY; {sql}"))
        .map_err(|error| JournalError::sqlite(path, "cannot read an older journal", &error))
}

/// Refuses a journal that an engine with newer decisions has written to.
pub(super) fn check_decisions(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let newest = connection
        .query_row("SELECT max(decisions) FROM engine_epoch", [], |row| row.get(0))
        .map_err(|error| JournalError::sqlite(path, "cannot read the engines", &error))?;
    let found: u32 = Option::unwrap_or(newest, 0);
    if found > DECISIONS {
        return Err(JournalError::NewerDecisions {
            path: path.to_owned(),
            found,
            known: DECISIONS,
        });
    }
    Ok(())
}

/// Whether the states of the file have checksums.
pub(super) fn is_sealed(connection: &Connection, path: &Path) -> Result<bool, JournalError> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
        .map(|version| version >= SEALED_SINCE)
        .map_err(|error| JournalError::sqlite(path, "cannot read the header", &error))
}

/// Brings the file from `version` to the newest. Runs within a transaction of
/// the caller.
pub(super) fn migrate(
    connection: &Connection,
    path: &Path,
    version: i64,
) -> Result<(), JournalError> {
    let done = usize::try_from(version).unwrap_or(0);
    if done == STEPS.len() {
        return Ok(());
    }
    let sql = format!(
        "{}\nPRAGMA user_version = {VERSION}; PRAGMA application_id = {APPLICATION_ID};",
        STEPS[done..].concat()
    );
    connection
        .execute_batch(&sql)
        .and_then(|()| head::seal(connection))
        .map_err(|error| JournalError::sqlite(path, "cannot make the tables", &error))
}

fn listing(
    connection: &Connection,
    path: &Path,
) -> Result<Vec<(String, Option<String>)>, JournalError> {
    // Statistics are no part of the format: somebody may have run ANALYZE.
    let sql = "SELECT type || ' ' || name || ' ' || tbl_name, sql FROM sqlite_schema
               WHERE name NOT LIKE 'sqlite_stat%' ORDER BY 1";
    let rows = connection.prepare(sql).and_then(|mut statement| {
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    });
    rows.map_err(|error| JournalError::sqlite(path, "cannot read the tables", &error))
}

/// What the tables of `version` look like, from a database that was just made.
fn reference(version: i64, path: &Path) -> Result<Vec<(String, Option<String>)>, JournalError> {
    let steps = STEPS[..usize::try_from(version).unwrap_or(0)].concat();
    let memory = Connection::open_in_memory()
        .and_then(|memory| memory.execute_batch(&steps).map(|()| memory))
        .map_err(|error| JournalError::sqlite(path, "cannot make the tables in memory", &error))?;
    listing(&memory, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, Path::new("x"), 0).unwrap();
        connection
    }

    #[test]
    fn an_empty_file_has_version_0_and_a_made_one_the_newest() {
        let empty = Connection::open_in_memory().unwrap();
        assert_eq!(version(&empty, Path::new("x")).unwrap(), 0);
        assert_eq!(version(&fresh(), Path::new("x")).unwrap(), VERSION);
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let connection = fresh();
        connection.execute_batch("PRAGMA user_version = 99").unwrap();
        let refused = version(&connection, Path::new("x")).unwrap_err();
        assert!(matches!(refused, JournalError::Newer { found: 99, .. }));
        assert!(refused.to_string().contains("use the newer nimshift"), "{refused}");
    }

    #[test]
    fn a_database_of_something_else_is_refused() {
        let other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(matches!(version(&other, Path::new("x")), Err(JournalError::Foreign { .. })));
    }

    #[test]
    fn a_table_that_was_changed_is_damage() {
        let connection = fresh();
        connection.execute_batch("ALTER TABLE head ADD COLUMN more TEXT").unwrap();
        assert!(matches!(version(&connection, Path::new("x")), Err(JournalError::Damaged { .. })));
    }
}
