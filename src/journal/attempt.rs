//! Rows of attempts, and the outputs that are kept beside them.
//!
//! Short outputs stay in the record. When they are long, all outputs of one
//! attempt are taken out of it as one text, which is kept once under its
//! digest, in compressed chunks.

use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use crate::base::limits;
use crate::domain::{AttemptRecord, Direction, Phase, StepName, Ticket};

use super::connect::int;
use super::digest::{Sum, Summer, hex, sha256};
use super::error::JournalError;
use super::schema::RECORD_VERSION;

/// Bytes of the outputs of one attempt that stay in its record.
const INLINE_BYTES: usize = 1024;

/// Outputs that one attempt can have: bounds what a damaged row makes us read.
const OUTPUT_TOTAL_MAX: u64 = 1 << 30;

/// An attempt as the journal gives it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedAttempt {
    pub ticket: Ticket,
    /// What is kept of it, outputs included.
    pub record: AttemptRecord,
    /// Bytes of the outputs, where they are kept beside the record.
    pub output_size: u64,
    /// Their SHA-256, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_digest: Option<String>,
}

/// An attempt on its way into the journal.
pub(super) struct Prepared {
    ticket: Ticket,
    record: Vec<u8>,
    digest: Option<[u8; 32]>,
    outputs: Vec<u8>,
}

pub(super) const INSERT: &str = "INSERT INTO attempt
    (entry, v, phase, step, direction, round, attempt, record, output, size, sum)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

impl Prepared {
    /// The row of `record`.
    pub(super) fn new(ticket: Ticket, mut record: AttemptRecord) -> Result<Prepared, JournalError> {
        let outputs = detach(&mut record)?;
        let digest = outputs.as_ref().map(|outputs| sha256(outputs));
        let outputs = outputs.unwrap_or_default();
        let mut json = Vec::with_capacity(256);
        serde_json::to_writer(&mut json, &record).map_err(encode)?;
        Ok(Prepared { ticket, record: json, digest, outputs })
    }

    fn size(&self) -> u64 {
        self.outputs.len() as u64
    }

    /// Its checksum at `entry`.
    pub(super) fn sum(&self, entry: u64) -> Sum {
        let digest = self.digest.as_ref().map(|digest| &digest[..]);
        sum(entry, RECORD_VERSION, &self.ticket, &self.record, digest, self.size())
    }

    /// Inserts it by `statement`, which is [`INSERT`].
    pub(super) fn insert(
        &self,
        connection: &Connection,
        statement: &mut CachedStatement<'_>,
        entry: u64,
        sum: &Sum,
    ) -> rusqlite::Result<()> {
        let Ticket { phase, step, direction, round, attempt } = &self.ticket;
        statement.execute(params![
            int(entry),
            int(RECORD_VERSION),
            phase.number(),
            step.as_str(),
            direction_name(*direction),
            round,
            attempt,
            Text(&self.record),
            self.digest.as_ref().map(|digest| &digest[..]),
            int(self.size()),
            &sum[..],
        ])?;
        match &self.digest {
            Some(digest) => insert_output(connection, digest, &self.outputs),
            None => Ok(()),
        }
    }
}

/// Bytes that are known to be UTF-8, bound as text.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl rusqlite::ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(rusqlite::types::ValueRef::Text(self.0)))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn encode(error: serde_json::Error) -> JournalError {
    JournalError::Encode { what: "the record of an attempt", why: error.to_string() }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::Undo => "undo",
    }
}

fn sum(
    entry: u64,
    version: u64,
    ticket: &Ticket,
    record: &[u8],
    output: Option<&[u8]>,
    size: u64,
) -> Sum {
    let Ticket { phase, step, direction, round, attempt } = ticket;
    Summer::new("attempt")
        .int(entry)
        .int(version)
        .int(u64::from(phase.number()))
        .text(step.as_str().as_bytes())
        .text(direction_name(*direction).as_bytes())
        .int(u64::from(*round))
        .int(u64::from(*attempt))
        .text(record)
        .maybe(output)
        .int(size)
        .finish()
}

/// Takes the outputs out of `record`, as a JSON list, if they are long.
fn detach(record: &mut AttemptRecord) -> Result<Option<Vec<u8>>, JournalError> {
    let commands = || record.commands.iter().chain(&record.looks);
    let total: usize = commands().map(|command| command.output.len()).sum();
    if total <= INLINE_BYTES {
        return Ok(None);
    }
    let outputs: Vec<&str> = commands().map(|command| command.output.as_str()).collect();
    let text = serde_json::to_vec(&outputs).map_err(encode)?;
    for command in record.commands.iter_mut().chain(&mut record.looks) {
        command.output = String::new();
    }
    Ok(Some(text))
}

fn attach(record: &mut AttemptRecord, text: &[u8]) -> Result<(), String> {
    let outputs: Vec<String> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let commands: Vec<_> = record.commands.iter_mut().chain(&mut record.looks).collect();
    if commands.len() != outputs.len() {
        return Err(format!("{} outputs for {} commands", outputs.len(), commands.len()));
    }
    for (command, output) in commands.into_iter().zip(outputs) {
        command.output = output;
    }
    Ok(())
}

fn insert_output(
    connection: &Connection,
    digest: &[u8; 32],
    outputs: &[u8],
) -> rusqlite::Result<()> {
    let known = connection
        .prepare_cached("SELECT 1 FROM output WHERE digest = ?1 AND chunk = 0")?
        .exists([&digest[..]])?;
    if known {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO output (digest, chunk, size, bytes) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (chunk, bytes) in outputs.chunks(limits::OUTPUT_CHUNK_BYTES).enumerate() {
        statement.execute(params![
            &digest[..],
            int(chunk as u64),
            int(bytes.len() as u64),
            deflate(bytes)
        ])?;
    }
    Ok(())
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// The text that was kept under `digest`; an error says what is wrong with it.
pub(super) fn read_output(
    connection: &Connection,
    path: &Path,
    digest: &[u8],
    size: u64,
) -> Result<Vec<u8>, JournalError> {
    let failed =
        |error: rusqlite::Error| JournalError::sqlite(path, "cannot read an output", &error);
    let wrong = |what: &str| JournalError::damaged(path, format!("output {}: {what}", hex(digest)));
    if size > OUTPUT_TOTAL_MAX {
        return Err(wrong("its size is impossible"));
    }
    let mut statement = connection
        .prepare_cached("SELECT size, bytes FROM output WHERE digest = ?1 ORDER BY chunk")
        .map_err(failed)?;
    let mut rows = statement.query([digest]).map_err(failed)?;
    let mut whole = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let chunk: i64 = row.get(0).map_err(failed)?;
        let bytes = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(failed)?;
        let chunk = u64::try_from(chunk).unwrap_or(0);
        let bound = (limits::OUTPUT_CHUNK_BYTES as u64).max(chunk) + 1;
        let before = whole.len() as u64;
        DeflateDecoder::new(bytes)
            .take(bound)
            .read_to_end(&mut whole)
            .map_err(|_| wrong("a chunk cannot be unpacked"))?;
        if whole.len() as u64 - before != chunk || whole.len() as u64 > size {
            return Err(wrong("a chunk has another size"));
        }
    }
    if sha256(&whole)[..] != *digest {
        return Err(wrong("it is not what its digest says"));
    }
    Ok(whole)
}

const SELECT: &str = "SELECT v, phase, step, direction, round, attempt, record, output, size, sum
    FROM attempt WHERE entry = ?1";

/// The attempt of `entry`, whose sum the entry holds. Checks it against both.
pub(super) fn read_attempt(
    connection: &Connection,
    path: &Path,
    entry: u64,
    noted: &[u8],
) -> Result<RecordedAttempt, JournalError> {
    let wrong =
        |what: &str| JournalError::damaged(path, format!("the attempt of entry {entry}: {what}"));
    let row = connection
        .prepare_cached(SELECT)
        .and_then(|mut statement| statement.query_row([int(entry)], |row| Ok(raw(row))).optional())
        .map_err(|error| JournalError::sqlite(path, "cannot read an attempt", &error))?
        .ok_or_else(|| wrong("its row is missing"))?
        .map_err(|error| wrong(&error))?;
    let RawAttempt { version, ticket, record, output, size, sum: stored } = row;
    let expected = sum(entry, version, &ticket, record.as_bytes(), output.as_deref(), size);
    if stored != expected || noted != expected {
        return Err(wrong("its checksum does not fit"));
    }
    if version > RECORD_VERSION {
        return Err(wrong(&format!("its version {version} is newer than this nimshift")));
    }
    let mut record: AttemptRecord =
        serde_json::from_str(&record).map_err(|error| wrong(&error.to_string()))?;
    if let Some(digest) = &output {
        let text = read_output(connection, path, digest, size)?;
        attach(&mut record, &text).map_err(|what| wrong(&what))?;
    }
    let output_digest = output.as_deref().map(hex);
    Ok(RecordedAttempt { ticket, record, output_size: size, output_digest })
}

struct RawAttempt {
    version: u64,
    ticket: Ticket,
    record: String,
    output: Option<Vec<u8>>,
    size: u64,
    sum: Vec<u8>,
}

fn raw(row: &Row<'_>) -> Result<RawAttempt, String> {
    fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, column: &str) -> Result<T, String> {
        row.get(column).map_err(|error| error.to_string())
    }
    let number = |column| {
        get::<i64>(row, column).and_then(|n| u64::try_from(n).map_err(|error| error.to_string()))
    };
    let phase = Phase::from_number(get::<u8>(row, "phase")?).ok_or("it has no such phase")?;
    let step: StepName = serde_json::from_value(serde_json::Value::String(get(row, "step")?))
        .map_err(|error| error.to_string())?;
    let direction = match get::<String>(row, "direction")?.as_str() {
        "forward" => Direction::Forward,
        "undo" => Direction::Undo,
        other => return Err(format!("it has no direction `{other}`")),
    };
    let ticket =
        Ticket { phase, step, direction, round: get(row, "round")?, attempt: get(row, "attempt")? };
    Ok(RawAttempt {
        version: number("v")?,
        ticket,
        record: get(row, "record")?,
        output: get(row, "output")?,
        size: number("size")?,
        sum: get(row, "sum")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CommandRecord, Way};

    fn record(outputs: &[&str]) -> AttemptRecord {
        let command = |output: &&str| CommandRecord {
            line: "c".into(),
            status: Some(0),
            output: (*output).into(),
            took_s: Some(1),
            host: None,
        };
        AttemptRecord {
            host: "h".into(),
            started_ms: 1,
            ended_ms: 2,
            way: Way::Ran,
            before: None,
            after: None,
            commands: outputs.iter().map(command).collect(),
            looks: vec![],
            evidence: vec![],
        }
    }

    #[test]
    fn short_outputs_stay_where_they_are() {
        let mut short = record(&["a", "b"]);
        assert_eq!(detach(&mut short).unwrap(), None);
        assert_eq!(short, record(&["a", "b"]));
    }

    #[test]
    fn long_outputs_come_back_as_they_were() {
        let long = "x".repeat(INLINE_BYTES);
        let mut kept = record(&[&long, "é\n"]);
        let text = detach(&mut kept).unwrap().unwrap();
        assert_eq!(kept, record(&["", ""]));
        attach(&mut kept, &text).unwrap();
        assert_eq!(kept, record(&[&long, "é\n"]));
    }

    #[test]
    fn outputs_of_another_attempt_are_not_taken() {
        assert!(attach(&mut record(&["", ""]), b"[\"a\"]").is_err());
    }
}
