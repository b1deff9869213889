//! Connections: how a file is opened, by whom, with which settings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, Row, RowIndex};

use crate::base::limits;

use super::error::JournalError;

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Once it is on the disk. The only one for a journal that matters.
    #[default]
    Full,
    /// Once the system has it: loses what was acknowledged when the power
    /// fails. For tests that show that they would notice.
    Lax,
}

/// Pages in the WAL after which it is carried over into the file: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4096;

/// KiB of pages that the writer keeps: a full group's pages fit.
const CACHE_KIB: u32 = 16 * 1024;

/// Opens the file for the engine, and makes it if `create`. Leaves the file as
/// it is: [`settle`] follows once it was found sound.
pub(super) fn engine(
    path: &Path,
    vfs: Option<&str>,
    create: bool,
    durability: Durability,
    busy: Duration,
) -> Result<Connection, JournalError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Lax => "NORMAL",
    };
    let opened = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    };
    opened
        .and_then(|connection| {
            connection.busy_timeout(busy)?;
            // What is found damaged is not carried over from the WAL either.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.execute_batch(&format!(
                "PRAGMA foreign_keys = ON; PRAGMA synchronous = {synchronous};
                 PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
                 PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = MEMORY;"
            ))?;
            Ok(connection)
        })
        .map_err(|error| JournalError::sqlite(path, "cannot open the journal", &error))
}

/// Puts the file of an engine into WAL mode, and asserts by reading back what
/// durability rests on.
pub(super) fn settle(
    connection: &Connection,
    path: &Path,
    durability: Durability,
) -> Result<(), JournalError> {
    let failed = |error: rusqlite::Error| {
        JournalError::sqlite(path, "cannot set the journal to WAL", &error)
    };
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    expect("journal_mode", "wal", mode)?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let synchronous = number("PRAGMA synchronous").map_err(failed)?;
    let wanted = match durability {
        Durability::Full => "2",
        Durability::Lax => "1",
    };
    expect("synchronous", wanted, synchronous.to_string())?;
    expect("foreign_keys", "1", number("PRAGMA foreign_keys").map_err(failed)?.to_string())?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
    Ok(())
}

/// Looks at what SQLite does not say much of: a version in the header that would
/// make it say no more than that it may not write, and a last page that was cut,
/// which it reads as if it ended in zeros.
///
/// All of it through SQLite: a file that it has open is not opened beside it,
/// because closing any descriptor of a file drops all locks of the process on it.
pub(super) fn header(connection: &mut Connection, path: &Path) -> Result<(), JournalError> {
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(path, "cannot read the header", &error);
    let number = |connection: &Connection, sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed)
    };
    // The first page has to be read before SQLite knows what it says.
    number(connection, "SELECT count(*) FROM sqlite_schema")?;
    let page = number(connection, "PRAGMA page_size")?.cast_unsigned();
    // While there is a WAL, the file may be in the middle of being carried over.
    let len_of = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let len = len_of(path);
    if len_of(&wal(path)) == 0 && page > 0 && len % page != 0 {
        let what = format!("its last page is cut: it has {len} bytes");
        return Err(JournalError::damaged(path, what));
    }
    if len > 0 && connection.is_readonly(MAIN_DB).map_err(failed)? {
        let image = connection.serialize(MAIN_DB).map_err(failed)?;
        if image.get(18).is_some_and(|version| !matches!(version, 1 | 2)) {
            let what = "its header names no format of SQLite's";
            return Err(JournalError::damaged(path, what));
        }
    }
    Ok(())
}

/// Looks at the header as an engine would, and changes nothing.
pub(super) fn header_beside(path: &Path) -> Result<(), JournalError> {
    let looked = engine(path, None, false, Durability::Full, limits::SQLITE_BUSY)
        .and_then(|mut connection| header(&mut connection, path));
    match looked {
        Err(error @ JournalError::Damaged { .. }) => Err(error),
        // Where this user may not write, it says no more than a reader knows.
        _ => Ok(()),
    }
}

/// Begins a transaction that writes. A program that keeps one of its own is
/// waited for, and said to be: the journal is not broken by it.
pub(super) fn begin(
    connection: &Connection,
    path: &Path,
    doing: &'static str,
) -> Result<(), JournalError> {
    let mut waited = 0;
    loop {
        let begun = connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut statement| statement.execute([]));
        match begun {
            Ok(_) => return Ok(()),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && waited < limits::SQLITE_BUSY_WAITS =>
            {
                waited += 1;
                if waited.is_power_of_two() {
                    // Of the level that is shown without `-v`.
                    tracing::error!(
                        journal = %path.display(),
                        "another program keeps a write transaction on the journal; it is waited for"
                    );
                }
            }
            Err(error) => return Err(JournalError::sqlite(path, doing, &error)),
        }
    }
}

fn expect(setting: &'static str, wanted: &str, found: String) -> Result<(), JournalError> {
    if found == wanted {
        return Ok(());
    }
    Err(JournalError::Setting { setting, wanted: wanted.to_owned(), found })
}

/// Opens the file for one who only inserts a request.
pub(super) fn poster(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .and_then(|connection| {
            connection.busy_timeout(limits::SQLITE_BUSY)?;
            connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;")?;
            Ok(connection)
        })
        .map_err(|error| JournalError::sqlite(path, "cannot open the journal", &error))
}

/// Opens the file for one who only reads, and never holds up the writer.
///
/// A reader of a file in WAL mode needs `-shm` and `-wal` beside it, and makes
/// them if it may. In a directory where it may not, and where there is no WAL,
/// nobody is writing: the file is then read as one that does not change.
pub(super) fn reader(path: &Path) -> Result<Connection, JournalError> {
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(path, "cannot read the journal", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let first = Connection::open_with_flags(path, flags).and_then(try_read);
    match first {
        Ok(connection) => Ok(connection),
        Err(error) if is_denied(&error) && !wal(path).exists() => {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable(path), flags).and_then(try_read).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn try_read(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(limits::SQLITE_BUSY)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

fn is_denied(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

/// The WAL beside the file at `path`.
pub(super) fn wal(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-wal");
    PathBuf::from(name)
}

fn immutable(path: &Path) -> String {
    let escaped =
        path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}?immutable=1")
}

/// Lets SQLite look over the structure of the whole file.
pub(super) fn quick_check(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let found: Vec<String> = connection
        .prepare("PRAGMA quick_check(5)")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(|error| JournalError::sqlite(path, "cannot check the journal", &error))?;
    match found.first().map(String::as_str) {
        Some("ok") => Ok(()),
        Some(_) => Err(JournalError::damaged(path, found.join("; "))),
        None => Err(JournalError::damaged(path, "SQLite's check said nothing")),
    }
}

/// A number of ours as SQLite has it.
///
/// # Panics
/// On numbers of 2^63 and above, which no count or time reaches.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).expect("counts and times are far below 2^63")
}

/// A column that holds a count, a time or an id.
pub(super) fn uint(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<u64> {
    let column = column.idx(row.as_ref())?;
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_change_is_read_whatever_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("50% of a?name#.db");
        let made = engine(&path, None, true, Durability::Full, limits::SQLITE_BUSY).unwrap();
        made.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (7)").unwrap();
        settle(&made, &path, Durability::Full).unwrap();
        made.close().unwrap();
        assert!(!wal(&path).exists());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let read = Connection::open_with_flags(immutable(&path), flags).unwrap();
        let found: i64 = read.query_row("SELECT a FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(found, 7);
        assert!(!wal(&path).exists(), "reading made a file");
    }

    #[test]
    fn a_setting_that_does_not_take_is_an_error() {
        let memory = Connection::open_in_memory().unwrap();
        let refused = settle(&memory, Path::new("x"), Durability::Full).unwrap_err();
        assert!(matches!(refused, JournalError::Setting { setting: "journal_mode", .. }));
    }
}
