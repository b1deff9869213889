//! Replay: the same states from the events alone.
//!
//! One scan over the log, with all machines at once. What does not fit is
//! collected, one difference a migration: what follows a difference follows
//! from it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Row, RowIndex, Statement};

use crate::base::Millis;
use crate::domain::{Facts, MigrationId, MigrationSpec, Phase};
use crate::machine::{Blueprint, DECISIONS, Effect, Event, EventKind, Machine, State};

use super::archived;
use super::connect::uint;
use super::create::{MigrationSum, batch_sum};
use super::digest::{EntrySum, Sum, sha256};
use super::error::{Difference, JournalError};
use super::head::{Head, HeadSum};
use super::ids::BatchId;
use super::loaded::Loaded;
use super::older;
use super::schema::{self, RECORD_VERSION};

const CHANGED: &str = "the row is not what was written: another program or the disk changed it; \
 restore a backup";
const DECIDED: &str = "the rows are as written, but this nimshift decides differently from the \
 version that wrote them: finish with that version, and report it";

/// Everything that a journal holds, replayed.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) loaded: Vec<Loaded>,
    pub(super) heads: HashMap<u64, Head>,
    pub(super) last_entry: u64,
    pub(super) batches: u64,
    pub(super) entries: u64,
    pub(super) attempts: u64,
    pub(super) differences: Vec<Difference>,
}

/// A migration under replay.
struct Slot {
    loaded: Loaded,
    head: Head,
    /// What the last entry by older decisions wanted in flight.
    effects: String,
    broken: bool,
}

/// Replays all migrations.
pub(super) fn replay(connection: &Connection, path: &Path) -> Result<Replayed, JournalError> {
    let mut replay = Replay { path, slots: BTreeMap::new(), out: Replayed::default() };
    replay.batches(connection).and_then(|created| {
        replay.migrations(connection, &created)?;
        replay.events(connection)?;
        replay.heads(connection)
    })?;
    let (last_entry, differences) = archived::check(connection, path, false)?;
    replay.out.last_entry = replay.out.last_entry.max(last_entry);
    replay.out.differences.extend(differences);
    let Replay { slots, mut out, .. } = replay;
    out.heads.reserve(slots.len());
    out.loaded.reserve(slots.len());
    for (id, slot) in slots {
        out.heads.insert(id, slot.head);
        out.loaded.push(slot.loaded);
    }
    Ok(out)
}

/// Replays one migration's events over its machine, in order: for a history.
pub(super) fn machine(blueprint: Blueprint) -> Result<Machine, String> {
    blueprint.check().map_err(|error| error.to_string())?;
    Ok(Machine::new(Arc::new(blueprint)))
}

/// Where columns are that are read by name: looked up once a statement, because
/// a look-up for each row would be felt.
trait Columns: Sized {
    fn of(statement: &Statement<'_>) -> rusqlite::Result<Self>;
}

/// Of a statement that has few rows.
impl Columns for () {
    fn of(_: &Statement<'_>) -> rusqlite::Result<()> {
        Ok(())
    }
}

macro_rules! columns {
    ($name:ident { $($column:ident),+ }) => {
        struct $name { $($column: usize),+ }

        impl Columns for $name {
            fn of(statement: &Statement<'_>) -> rusqlite::Result<$name> {
                Ok($name { $($column: statement.column_index(stringify!($column))?),+ })
            }
        }
    };
}

columns!(MigrationColumns {
    id,
    batch,
    number,
    client,
    v,
    format,
    spec,
    blueprint,
    skipped,
    sum,
    decisions
});
columns!(EventColumns { entry, migration, seq, prev, v, epoch, event, effects, attempt, chain });
columns!(HeadColumns { migration, seq, entry, updated_ms, state, chain, sum });

struct Replay<'p> {
    path: &'p Path,
    slots: BTreeMap<u64, Slot>,
    out: Replayed,
}

/// A text column, without a copy. SQLite does not promise that it is UTF-8.
fn text<'r>(row: &'r Row<'_>, column: impl RowIndex) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn blob<'r>(row: &'r Row<'_>, column: impl RowIndex) -> rusqlite::Result<&'r [u8]> {
    Ok(row.get_ref(column)?.as_blob()?)
}

impl Replay<'_> {
    fn each<C: Columns>(
        &mut self,
        connection: &Connection,
        doing: &'static str,
        sql: &str,
        mut row: impl FnMut(&mut Self, &Row<'_>, &C) -> rusqlite::Result<()>,
    ) -> Result<(), JournalError> {
        let path = self.path;
        let failed = |error: rusqlite::Error| JournalError::sqlite(path, doing, &error);
        let mut statement = connection.prepare(sql).map_err(failed)?;
        let at = C::of(&statement).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(found) = rows.next().map_err(failed)? {
            row(self, found, &at).map_err(failed)?;
        }
        Ok(())
    }

    fn differs(
        &mut self,
        migration: Option<(u64, &str)>,
        seq: Option<u64>,
        what: &'static str,
        (recorded, replayed): (&str, &str),
        cause: &str,
    ) {
        self.out.differences.push(Difference {
            migration: migration.map(|(id, _)| MigrationId(id)),
            client: migration
                .map(|(_, client)| client.to_owned())
                .filter(|client| !client.is_empty()),
            seq,
            what,
            recorded: Difference::shown(recorded),
            replayed: Difference::shown(replayed),
            cause: cause.to_owned(),
        });
    }

    /// Gives for each batch its time, and how many migrations it has.
    fn batches(
        &mut self,
        connection: &Connection,
    ) -> Result<BTreeMap<u64, (Millis, u64)>, JournalError> {
        let mut created = BTreeMap::new();
        self.each(
            connection,
            "cannot read the batches",
            "SELECT id, v, name, digest, plan, estate, operator, created_ms, migrations, sum
             FROM batch ORDER BY id",
            |replay, row, (): &()| {
                let id = uint(row, "id")?;
                let (created_ms, migrations) = (uint(row, "created_ms")?, uint(row, "migrations")?);
                let sum = batch_sum(
                    id,
                    uint(row, "v")?,
                    text(row, "name")?,
                    text(row, "digest")?,
                    text(row, "plan")?,
                    text(row, "estate")?,
                    text(row, "operator")?,
                    created_ms,
                    migrations,
                );
                if blob(row, "sum")? != sum {
                    let shown = format!("batch {id}");
                    replay.differs(None, None, "batch", (&shown, "another checksum"), CHANGED);
                }
                created.insert(id, (created_ms, migrations));
                replay.out.batches += 1;
                Ok(())
            },
        )?;
        Ok(created)
    }

    fn blueprints(
        &mut self,
        connection: &Connection,
    ) -> Result<HashMap<Vec<u8>, Arc<Blueprint>>, JournalError> {
        let mut blueprints = HashMap::new();
        self.each(
            connection,
            "cannot read the blueprints",
            "SELECT digest, v, body FROM blueprint",
            |replay, row, (): &()| {
                let (digest, body) = (blob(row, "digest")?, text(row, "body")?);
                let known = uint(row, "v")? <= RECORD_VERSION;
                if !known || sha256(body.as_bytes())[..] != *digest {
                    replay.differs(None, None, "blueprint", (body, "another digest"), CHANGED);
                    return Ok(());
                }
                match serde_json::from_str::<Blueprint>(body) {
                    Ok(blueprint) if blueprint.check().is_ok() => {
                        blueprints.insert(digest.to_vec(), Arc::new(blueprint));
                    }
                    Ok(_) => {
                        let pair = (body, "steps that make a migration");
                        replay.differs(None, None, "blueprint", pair, DECIDED);
                    }
                    Err(error) => {
                        let pair = (body, &*error.to_string());
                        replay.differs(None, None, "blueprint", pair, DECIDED);
                    }
                }
                Ok(())
            },
        )?;
        Ok(blueprints)
    }

    fn migrations(
        &mut self,
        connection: &Connection,
        batches: &BTreeMap<u64, (Millis, u64)>,
    ) -> Result<(), JournalError> {
        let blueprints = self.blueprints(connection)?;
        let mut count: BTreeMap<u64, u64> = BTreeMap::new();
        self.each(
            connection,
            "cannot read the migrations",
            "SELECT id, batch, number, client, v, format, spec, blueprint, skipped, sum, decisions
             FROM migration ORDER BY id",
            |replay, row, at: &MigrationColumns| {
                *count.entry(uint(row, at.batch)?).or_default() += 1;
                replay.migration(row, at, batches, &blueprints)
            },
        )?;
        for (id, (_, wanted)) in batches {
            let found = count.remove(id).unwrap_or(0);
            if found != *wanted {
                let pair = (format!("{found} migrations"), format!("{wanted} of batch {id}"));
                self.differs(None, None, "batch", (&pair.0, &pair.1), CHANGED);
            }
        }
        for id in count.into_keys() {
            let shown = format!("migrations of batch {id}");
            self.differs(None, None, "batch", (&shown, "no such batch"), CHANGED);
        }
        Ok(())
    }

    fn migration(
        &mut self,
        row: &Row<'_>,
        at: &MigrationColumns,
        batches: &BTreeMap<u64, (Millis, u64)>,
        blueprints: &HashMap<Vec<u8>, Arc<Blueprint>>,
    ) -> rusqlite::Result<()> {
        let (id, batch, number) = (uint(row, at.id)?, uint(row, at.batch)?, uint(row, at.number)?);
        let client = text(row, at.client)?;
        let (spec, skipped) = (text(row, at.spec)?, text(row, at.skipped)?);
        let (version, format) = (uint(row, at.v)?, uint(row, at.format)?);
        let digest = blob(row, at.blueprint)?;
        let decisions = if version < 2 { 1 } else { uint(row, at.decisions)? };
        let sum = MigrationSum {
            id,
            batch,
            number,
            client: client.as_bytes(),
            version,
            format,
            spec: spec.as_bytes(),
            blueprint: digest,
            skipped: skipped.as_bytes(),
            decisions,
        }
        .sum();
        let name = Some((id, client));
        if blob(row, at.sum)? != sum {
            self.differs(name, None, "spec", (spec, "another checksum"), CHANGED);
            return Ok(());
        }
        if version > RECORD_VERSION {
            let pair = (&*format!("version {version}"), "a version that is known here");
            self.differs(name, None, "spec", pair, DECIDED);
            return Ok(());
        }
        let Some(decisions) = u32::try_from(decisions).ok().filter(|one| *one <= DECISIONS) else {
            let pair = (format!("decisions {decisions}"), format!("those up to {DECISIONS}"));
            self.differs(name, None, "decisions", (&pair.0, &pair.1), DECIDED);
            return Ok(());
        };
        let Some(blueprint) = blueprints.get(digest) else {
            self.differs(name, None, "blueprint", ("none, or a damaged one", "its own"), CHANGED);
            return Ok(());
        };
        let read = serde_json::from_str::<MigrationSpec>(spec).and_then(|parsed| {
            Ok((parsed, serde_json::from_str::<Vec<(Phase, String)>>(skipped)?))
        });
        let (spec, skipped_phases) = match read {
            Ok(read) => read,
            Err(error) => {
                self.differs(name, None, "spec", (spec, &error.to_string()), DECIDED);
                return Ok(());
            }
        };
        let created_ms = batches.get(&batch).map_or(0, |(created_ms, _)| *created_ms);
        let loaded = Loaded {
            id: MigrationId(id),
            batch: BatchId(batch),
            client: client.to_owned(),
            number: u32::try_from(number).unwrap_or(u32::MAX),
            seq: 0,
            decisions,
            machine: Machine::new(Arc::clone(blueprint)),
            spec: Arc::new(spec),
            facts: Facts::default(),
            skipped_phases,
            created_ms,
            updated_ms: created_ms,
            is_ordered: false,
        };
        let head = Head { seq: 0, entry: 0, chain: sum };
        self.slots.insert(id, Slot { loaded, head, effects: String::new(), broken: false });
        Ok(())
    }

    fn events(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let mut json = Vec::new();
        self.each(
            connection,
            "cannot read the events",
            "SELECT entry, migration, seq, prev, v, epoch, event, effects, attempt, chain
             FROM event ORDER BY entry",
            |replay, row, at| replay.event(row, at, &mut json),
        )
    }

    fn event(
        &mut self,
        row: &Row<'_>,
        at: &EventColumns,
        json: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        let found = Found::read(row, at)?;
        self.out.entries += 1;
        self.out.attempts += u64::from(found.attempt.is_some());
        self.out.last_entry = found.entry;
        let Some(slot) = self.slots.get_mut(&found.migration) else {
            // A migration whose row is damaged has had its say already.
            let id = found.migration;
            if !self.out.differences.iter().any(|known| known.migration == Some(MigrationId(id))) {
                let pair = (found.event, "no such migration");
                self.differs(Some((id, "")), Some(found.seq), "event", pair, CHANGED);
                // One is enough.
            }
            return Ok(());
        };
        if slot.broken {
            return Ok(());
        }
        let checked = slot.take(&found, json);
        if let Err(Mismatch { what, recorded, replayed, cause }) = checked {
            slot.broken = true;
            let client = slot.loaded.client.clone();
            let name = Some((found.migration, &*client));
            self.differs(name, Some(found.seq), what, (&recorded, &replayed), cause);
        }
        Ok(())
    }

    fn heads(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let mut seen = 0;
        let mut json = Vec::new();
        let is_sealed = schema::is_sealed(connection, self.path)?;
        self.each(
            connection,
            "cannot read the states",
            "SELECT migration, seq, entry, updated_ms, state, chain, sum FROM head
             ORDER BY migration",
            |replay, row, at: &HeadColumns| {
                seen += 1;
                let id = uint(row, at.migration)?;
                let Some(slot) = replay.slots.get_mut(&id) else { return Ok(()) };
                if slot.broken {
                    return Ok(());
                }
                let (seq, entry) = (uint(row, at.seq)?, uint(row, at.entry)?);
                let updated_ms = uint(row, at.updated_ms)?;
                let (state, chain) = (text(row, at.state)?, blob(row, at.chain)?);
                let bytes = state.as_bytes();
                let sum =
                    HeadSum { migration: id, seq, entry, updated_ms, state: bytes, chain }.sum();
                let is_sound = !is_sealed || *blob(row, at.sum)? == sum;
                let end = End { seq, entry, updated_ms, state, chain, is_sound };
                if let Err(Mismatch { what, recorded, replayed, cause }) = slot.end(&end, &mut json)
                {
                    let client = slot.loaded.client.clone();
                    let at = Some(end.seq);
                    replay.differs(Some((id, &client)), at, what, (&recorded, &replayed), cause);
                }
                Ok(())
            },
        )?;
        if self.out.differences.is_empty() && seen != self.slots.len() {
            let pair = (format!("{seen} states"), format!("{} migrations", self.slots.len()));
            self.differs(None, None, "state", (&pair.0, &pair.1), CHANGED);
        }
        Ok(())
    }
}

/// A row of the log.
struct Found<'r> {
    entry: u64,
    migration: u64,
    seq: u64,
    prev: u64,
    version: u64,
    epoch: u64,
    event: &'r str,
    effects: &'r str,
    attempt: Option<&'r [u8]>,
    chain: &'r [u8],
}

impl<'r> Found<'r> {
    fn read(row: &'r Row<'_>, at: &EventColumns) -> rusqlite::Result<Found<'r>> {
        Ok(Found {
            entry: uint(row, at.entry)?,
            migration: uint(row, at.migration)?,
            seq: uint(row, at.seq)?,
            prev: uint(row, at.prev)?,
            version: uint(row, at.v)?,
            epoch: uint(row, at.epoch)?,
            event: text(row, at.event)?,
            effects: text(row, at.effects)?,
            attempt: row.get_ref(at.attempt)?.as_blob_or_null()?,
            chain: blob(row, at.chain)?,
        })
    }

    fn sum(&self, before: &Sum) -> Sum {
        EntrySum {
            before,
            migration: self.migration,
            seq: self.seq,
            entry: self.entry,
            version: self.version,
            epoch: self.epoch,
            event: self.event.as_bytes(),
            effects: self.effects.as_bytes(),
            attempt: self.attempt,
        }
        .sum()
    }
}

/// A row of `head`.
struct End<'r> {
    seq: u64,
    entry: u64,
    updated_ms: u64,
    state: &'r str,
    chain: &'r [u8],
    /// Whether its checksum fits, where it has one.
    is_sound: bool,
}

struct Mismatch {
    what: &'static str,
    recorded: String,
    replayed: String,
    cause: &'static str,
}

fn mismatch(
    what: &'static str,
    recorded: &impl ToString,
    replayed: &impl ToString,
    cause: &'static str,
) -> Result<(), Mismatch> {
    Err(Mismatch { what, recorded: recorded.to_string(), replayed: replayed.to_string(), cause })
}

impl Slot {
    /// Goes on by one entry, or says what does not fit.
    fn take(&mut self, found: &Found<'_>, json: &mut Vec<u8>) -> Result<(), Mismatch> {
        let Slot { loaded, head, effects, .. } = self;
        if found.seq != head.seq + 1 {
            return mismatch("number of the entry", &found.seq, &(head.seq + 1), CHANGED);
        }
        let chain = found.sum(&head.chain);
        let sound = *found.chain == chain && found.prev == head.entry;
        if found.version > RECORD_VERSION && sound {
            let newest = format!("versions up to {RECORD_VERSION}");
            return mismatch("version", &found.version, &newest, DECIDED);
        }
        let cause = if sound { DECIDED } else { CHANGED };
        let event: Event = match serde_json::from_str(found.event) {
            Ok(event) => event,
            Err(error) => return mismatch("event", &found.event, &error, cause),
        };
        if let EventKind::Adopted { decisions, .. } = event.kind {
            if decisions <= loaded.decisions || decisions > DECISIONS {
                return mismatch("decisions", &decisions, &loaded.decisions, cause);
            }
            loaded.decisions = decisions;
        }
        if loaded.decisions == DECISIONS {
            let transition = match loaded.machine.apply(&event) {
                Ok(transition) => transition,
                Err(rejected) => return mismatch("event", &found.event, &rejected, cause),
            };
            if !same(&transition.effects, found.effects, json) {
                let replayed = String::from_utf8_lossy(json).into_owned();
                return mismatch("effects", &found.effects, &replayed, cause);
            }
        } else {
            // Other rules led on from here: the chain alone vouches for it.
            found.effects.clone_into(effects);
        }
        if !sound {
            return mismatch("event", &found.event, &"another checksum", CHANGED);
        }
        loaded.updated_ms = event.at_ms;
        if let Some(facts) = event.kind.facts() {
            loaded.facts.absorb(facts.clone());
        }
        loaded.seq = found.seq;
        *head = Head { seq: found.seq, entry: found.entry, chain };
        Ok(())
    }

    /// Compares where replay has led with where the journal says it did.
    fn end(&mut self, end: &End<'_>, json: &mut Vec<u8>) -> Result<(), Mismatch> {
        let Slot { loaded, head, effects, .. } = self;
        if end.seq != head.seq {
            return mismatch("number of entries", &end.seq, &head.seq, CHANGED);
        }
        if loaded.decisions != DECISIONS {
            let blueprint = Arc::clone(loaded.machine.blueprint());
            match older::seated(blueprint, end.state, effects) {
                Ok(machine) => loaded.machine = machine,
                Err(why) => return mismatch("state", &end.state, &why, CHANGED),
            }
        }
        let state = loaded.machine.state();
        let sound = *end.chain == head.chain && end.entry == head.entry && end.is_sound;
        if !same_state(state, end.state, json) {
            let replayed = String::from_utf8_lossy(json).into_owned();
            return mismatch("state", &end.state, &replayed, CHANGED);
        }
        if !sound || end.updated_ms != loaded.updated_ms {
            return mismatch("end of the entries", &"another checksum", state, CHANGED);
        }
        Ok(())
    }
}

/// Whether `stored` says `effects`. Texts are compared first: an older program
/// may have written the same otherwise.
fn same(effects: &[Effect], stored: &str, json: &mut Vec<u8>) -> bool {
    write(json, effects);
    stored.as_bytes() == &json[..]
        || serde_json::from_str::<Vec<Effect>>(stored).is_ok_and(|stored| stored == effects)
}

fn same_state(state: &State, stored: &str, json: &mut Vec<u8>) -> bool {
    write(json, state);
    stored.as_bytes() == &json[..]
        || serde_json::from_str::<State>(stored).is_ok_and(|stored| stored == *state)
}

fn write<T: serde::Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) {
    json.clear();
    serde_json::to_writer(json, value).expect("effects and states are plain data");
}
