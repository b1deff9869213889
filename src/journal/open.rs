//! An engine's claim on a state directory.

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::base::{Millis, limits};
use crate::domain::MigrationId;
use crate::machine::DECISIONS;

use super::adopt::adopt;
use super::answer::OrderAnswer;
use super::append::{Ack, Append};
use super::connect::{self, Durability, int};
use super::create::{NewBatch, NewMigration};
use super::digest::{Summer, hex, sha256};
use super::encoded::Entry;
use super::error::JournalError;
use super::ids::{BatchId, RequestId};
use super::loaded::Loaded;
use super::lock::{Holder, Lock};
use super::paths::JournalDir;
use super::replay::{Replayed, replay};
use super::schema;
use super::writer::{NewWork, Order, Writer};

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The host of the engine, for its holder text and epoch.
    pub host: String,
    pub pid: u32,
    pub now_ms: Millis,
    /// The SQLite VFS to use. For tests: one that can lose power.
    pub vfs: Option<String>,
    /// Whether the lock is taken. For tests of the fence that holds without it.
    pub lock: bool,
    /// When a commit counts as done.
    pub durability: Durability,
    /// Pages that the file may have. For tests of a full disk.
    pub max_pages: Option<u32>,
    /// How long another's write transaction is waited for at a time.
    pub busy: Duration,
}

impl OpenOptions {
    /// As an engine opens it.
    pub fn new(host: impl Into<String>, pid: u32, now_ms: Millis) -> OpenOptions {
        OpenOptions {
            host: host.into(),
            pid,
            now_ms,
            vfs: None,
            lock: true,
            durability: Durability::Full,
            max_pages: None,
            busy: limits::SQLITE_BUSY,
        }
    }
}

/// The journal of a state directory, held by this engine.
#[derive(Debug)]
pub struct Journal {
    orders: Option<SyncSender<Order>>,
    writer: Option<JoinHandle<()>>,
    acks: Mutex<Option<UnboundedReceiver<Vec<Ack>>>>,
    epoch: u64,
    scope: String,
    // Last: the lock outlives the writer.
    _lock: Option<Lock>,
}

impl Journal {
    /// Takes the lock, makes or migrates the tables, checks the file, replays
    /// everything and begins a new epoch. A journal that is damaged or does not
    /// replay is left as it is.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<(Journal, Vec<Loaded>), JournalError> {
        let paths = JournalDir::new(dir);
        let path = paths.journal();
        if options.vfs.is_none() {
            paths.create()?;
        }
        let mut lock =
            options.lock.then(|| Lock::take(&paths.lock(), holder(options))).transpose()?;
        let known = lock.as_ref().is_some_and(Lock::knows_journal);
        if known && !path.exists() {
            return Err(JournalError::damaged(&path, "it is gone, and an engine has run here"));
        }
        let mut connection = connect::engine(
            &path,
            options.vfs.as_deref(),
            !known,
            options.durability,
            options.busy,
        )?;
        if options.vfs.is_none() {
            connect::header(&mut connection, &path)?;
        }
        let claimed = claim(&connection, &path, options, known)?;
        connect::settle(&connection, &path, options.durability)?;
        if let Some(pages) = options.max_pages {
            connection
                .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
                .map_err(|error| JournalError::sqlite(&path, "cannot limit the journal", &error))?;
        }
        if let Some(lock) = &mut lock {
            lock.note_journal()?;
        }
        let Claimed { epoch, scope, replayed } = claimed;
        let Replayed { loaded, heads, last_entry, .. } = replayed;
        let (acks, hear) = unbounded_channel();
        let writer = Writer { connection, path: path.clone(), epoch, heads, last_entry, acks };
        let (orders, take) = sync_channel(limits::WRITER_QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&take))
            .map_err(|error| JournalError::file(&path, "cannot start the writer", &error))?;
        let journal = Journal {
            orders: Some(orders),
            writer: Some(thread),
            acks: Mutex::new(Some(hear)),
            epoch,
            scope,
            _lock: lock,
        };
        Ok((journal, loaded))
    }

    /// This engine's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What makes ids unique among state directories: made with the journal,
    /// and never changed.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Journals a batch and its migrations, all pending, in one transaction,
    /// and waits for it. Ids are in the order of `migrations`.
    pub fn create_batch(
        &self,
        batch: &NewBatch,
        migrations: Vec<NewMigration>,
    ) -> Result<(BatchId, Vec<MigrationId>), JournalError> {
        self.create(NewWork { batch: batch.clone(), migrations, request: None })
    }

    /// As [`Journal::create_batch`], with the answer to the request that asked for
    /// it in the same transaction: it is never taken twice, nor answered in vain.
    pub fn create_batch_for(
        &self,
        (request, answer): (RequestId, OrderAnswer),
        batch: NewBatch,
        migrations: Vec<NewMigration>,
    ) -> Result<(BatchId, Vec<MigrationId>), JournalError> {
        self.create(NewWork { batch, migrations, request: Some((request, answer.text())) })
    }

    fn create(&self, new: NewWork) -> Result<(BatchId, Vec<MigrationId>), JournalError> {
        let (reply, answer) = sync_channel(1);
        self.send(Order::Create(Box::new(new), reply))?;
        answer.recv().map_err(|_| JournalError::Closed)?
    }

    /// Hands `append` to the writer. What became of it comes by [`Journal::acks`].
    /// Waits only where [`limits::WRITER_QUEUE_MAX`] others wait already.
    pub fn append(&self, append: Append) -> Result<(), JournalError> {
        self.append_all([append])
    }

    /// As [`Journal::append`], for appends of several migrations, which then
    /// share a transaction.
    pub fn append_all(
        &self,
        appends: impl IntoIterator<Item = Append>,
    ) -> Result<(), JournalError> {
        self.send(Order::Append(appends.into_iter().map(Entry::new).collect()))
    }

    /// Where acknowledgements come: one list for each transaction. `None` after
    /// the first call. The end of the stream means that the writer has ended.
    pub fn acks(&self) -> Option<UnboundedReceiver<Vec<Ack>>> {
        self.acks.lock().ok()?.take()
    }

    /// Answers a request without an event. Goes with the next transaction; a
    /// request whose answer was lost is still open, and comes again.
    pub fn answer_request(
        &self,
        request: RequestId,
        answer: &OrderAnswer,
    ) -> Result<(), JournalError> {
        self.send(Order::Answer(request, answer.text()))
    }

    /// Deletes batches that the archive has, and waits for it.
    pub(super) fn forget(&self, batches: Vec<BatchId>, at_ms: Millis) -> Result<(), JournalError> {
        let (reply, answer) = sync_channel(1);
        self.send(Order::Forget(batches, at_ms, reply))?;
        answer.recv().map_err(|_| JournalError::Closed)?
    }

    /// Waits until all that was handed over before is committed or refused.
    pub fn flush(&self) -> Result<(), JournalError> {
        let (reply, done) = sync_channel(1);
        self.send(Order::Flush(reply))?;
        done.recv().map_err(|_| JournalError::Closed)
    }

    /// Lets the writer finish what it was given, and gives the directory up.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.end().map_err(|()| JournalError::Closed)
    }

    fn end(&mut self) -> Result<(), ()> {
        drop(self.orders.take());
        self.writer.take().map_or(Ok(()), |writer| writer.join().map_err(drop))
    }

    fn send(&self, order: Order) -> Result<(), JournalError> {
        let orders = self.orders.as_ref().ok_or(JournalError::Closed)?;
        orders.send(order).map_err(|_| JournalError::Closed)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // A writer that panicked has said so on its own.
        let _ = self.end();
    }
}

fn holder(options: &OpenOptions) -> Holder {
    Holder {
        pid: options.pid,
        host: options.host.clone(),
        since_ms: options.now_ms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        journal: false,
    }
}

struct Claimed {
    epoch: u64,
    scope: String,
    replayed: Replayed,
}

/// Checks and replays the file and begins an epoch, in one transaction that is
/// only committed if all of it was sound.
fn claim(
    connection: &Connection,
    path: &Path,
    options: &OpenOptions,
    known: bool,
) -> Result<Claimed, JournalError> {
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(path, "cannot claim the journal", &error);
    let version = schema::version(connection, path)?;
    if version == 0 && known {
        return Err(JournalError::damaged(path, "it is empty, and an engine has run here"));
    }
    // A second connection looks at the structure while this one replays.
    let check = (version > 0 && options.vfs.is_none()).then(|| {
        let path = path.to_owned();
        std::thread::spawn(move || {
            connect::reader(&path).and_then(|reader| connect::quick_check(&reader, &path))
        })
    });
    let claimed = (|| {
        if version > 0 && check.is_none() {
            connect::quick_check(connection, path)?;
        }
        connect::begin(connection, path, "cannot claim the journal")?;
        schema::migrate(connection, path, version)?;
        schema::check_decisions(connection, path)?;
        let replayed = replay(connection, path)?;
        let scope = scope(connection, path, options)?;
        let epoch = begin_epoch(connection, options).map_err(failed)?;
        Ok((replayed, scope, epoch))
    })();
    // SQLite's own finding says more than what followed from it.
    if let Some(check) = check {
        let sound = check.join().unwrap_or(Err(JournalError::Closed));
        if matches!(sound, Err(JournalError::Damaged { .. })) || claimed.is_ok() {
            sound?;
        }
    }
    let (mut replayed, scope, epoch) = claimed?;
    if !replayed.differences.is_empty() {
        return Err(JournalError::differs(replayed.differences));
    }
    adopt(connection, path, &mut replayed, epoch)?;
    connection.execute_batch("COMMIT").map_err(failed)?;
    Ok(Claimed { epoch, scope, replayed })
}

fn begin_epoch(connection: &Connection, options: &OpenOptions) -> rusqlite::Result<u64> {
    connection.execute(
        "INSERT INTO engine_epoch (pid, host, since_ms, version, decisions)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            options.pid,
            options.host,
            int(options.now_ms),
            env!("CARGO_PKG_VERSION"),
            DECISIONS
        ],
    )?;
    Ok(connection.last_insert_rowid().cast_unsigned())
}

fn scope(
    connection: &Connection,
    path: &Path,
    options: &OpenOptions,
) -> Result<String, JournalError> {
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(path, "cannot read the scope", &error);
    let sum = |scope: &str, created_ms: i64| {
        Summer::new("meta").text(scope.as_bytes()).int(created_ms.cast_unsigned()).finish()
    };
    let stored: Option<(String, i64, Vec<u8>)> = connection
        .query_row("SELECT scope, created_ms, sum FROM meta WHERE id = 1", [], |row| {
            Ok((row.get("scope")?, row.get("created_ms")?, row.get("sum")?))
        })
        .optional()
        .map_err(failed)?;
    if let Some((scope, created_ms, stored)) = stored {
        if stored != sum(&scope, created_ms) {
            return Err(JournalError::damaged(path, "the checksum of its scope does not fit"));
        }
        return Ok(scope);
    }
    let seed = format!("{} {} {} {}", options.host, options.pid, options.now_ms, path.display());
    let scope = hex(&sha256(seed.as_bytes())[..4]);
    let created_ms = int(options.now_ms);
    connection
        .execute(
            "INSERT INTO meta (id, scope, created_ms, sum) VALUES (1, ?1, ?2, ?3)",
            params![scope, created_ms, &sum(&scope, created_ms)[..]],
        )
        .map_err(failed)?;
    Ok(scope)
}
