//! Rows of batches and migrations, as they are journaled before the first event.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::base::Millis;
use crate::domain::{MigrationSpec, NimName, Phase};
use crate::machine::{Blueprint, DECISIONS, State};

use super::attempt::Text;
use super::connect::int;
use super::digest::{Sum, Summer, sha256};
use super::error::JournalError;
use super::head::HeadSum;
use super::schema::RECORD_VERSION;

/// A batch to be journaled.
#[derive(Debug, Clone)]
pub struct NewBatch {
    pub name: String,
    /// The digest of its plan: by it a second run of the same plan is known.
    pub digest: String,
    /// The plan file, as it was read.
    pub plan_text: String,
    pub created_ms: Millis,
    pub operator: String,
    /// Which hosts it talks to, and how.
    pub estate: serde_json::Value,
}

/// A migration of a [`NewBatch`].
#[derive(Debug, Clone)]
pub struct NewMigration {
    /// The client, or whatever else names the migration in its batch.
    pub client: NimName,
    /// Its place in the plan.
    pub number: u32,
    /// What it is asked to do.
    pub spec: Arc<MigrationSpec>,
    pub blueprint: Arc<Blueprint>,
    /// Phases that are not run, each with its reason.
    pub skipped_phases: Vec<(Phase, String)>,
}

/// The sum of a batch's row.
#[expect(clippy::too_many_arguments, reason = "they are the columns of the row")]
pub(super) fn batch_sum(
    id: u64,
    version: u64,
    name: &str,
    digest: &str,
    plan: &str,
    estate: &str,
    operator: &str,
    created_ms: u64,
    migrations: u64,
) -> Sum {
    Summer::new("batch")
        .int(id)
        .int(version)
        .text(name.as_bytes())
        .text(digest.as_bytes())
        .text(plan.as_bytes())
        .text(estate.as_bytes())
        .text(operator.as_bytes())
        .int(created_ms)
        .int(migrations)
        .finish()
}

fn encode(what: &'static str, error: &serde_json::Error) -> JournalError {
    JournalError::Encode { what, why: error.to_string() }
}

/// Inserts a batch's row.
pub(super) fn insert_batch(
    connection: &Connection,
    id: u64,
    batch: &NewBatch,
    migrations: u64,
) -> Result<rusqlite::Result<()>, JournalError> {
    let NewBatch { name, digest, plan_text, created_ms, operator, estate } = batch;
    let estate = serde_json::to_string(estate).map_err(|error| encode("the estate", &error))?;
    let version = RECORD_VERSION;
    let sum =
        batch_sum(id, version, name, digest, plan_text, &estate, operator, *created_ms, migrations);
    let inserted = connection.execute(
        "INSERT INTO batch
         (id, v, name, digest, plan, estate, operator, created_ms, migrations, sum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            int(id),
            int(version),
            name,
            digest,
            plan_text,
            estate,
            operator,
            int(*created_ms),
            int(migrations),
            &sum[..]
        ],
    );
    Ok(inserted.map(drop))
}

/// What the sum of a migration's row is made of.
pub(super) struct MigrationSum<'a> {
    pub(super) id: u64,
    pub(super) batch: u64,
    pub(super) number: u64,
    pub(super) client: &'a [u8],
    pub(super) version: u64,
    pub(super) format: u64,
    pub(super) spec: &'a [u8],
    pub(super) blueprint: &'a [u8],
    pub(super) skipped: &'a [u8],
    /// Introduced in version 2.
    pub(super) decisions: u64,
}

impl MigrationSum<'_> {
    pub(super) fn sum(&self) -> Sum {
        let sum = Summer::new("migration")
            .int(self.id)
            .int(self.batch)
            .int(self.number)
            .text(self.client)
            .int(self.version)
            .int(self.format)
            .text(self.spec)
            .text(self.blueprint)
            .text(self.skipped);
        if self.version < 2 { sum } else { sum.int(self.decisions) }.finish()
    }
}

/// Inserts a migration with its head, and its blueprint unless that is `known`.
/// Gives the sum that its chain of entries begins with.
pub(super) fn insert_migration(
    connection: &Connection,
    batch: u64,
    id: u64,
    new: &NewMigration,
    created_ms: Millis,
    known: &mut HashSet<[u8; 32]>,
) -> Result<rusqlite::Result<Sum>, JournalError> {
    let NewMigration { client, number, spec, blueprint, skipped_phases } = new;
    let format = spec.format;
    let spec = serde_json::to_vec(&**spec).map_err(|error| encode("the spec", &error))?;
    let body = serde_json::to_vec(&**blueprint).map_err(|error| encode("the steps", &error))?;
    let skipped =
        serde_json::to_vec(skipped_phases).map_err(|error| encode("the phases", &error))?;
    let state = serde_json::to_vec(&State::Pending).map_err(|error| encode("a state", &error))?;
    let digest = sha256(&body);
    let sum = MigrationSum {
        id,
        batch,
        number: u64::from(*number),
        client: client.as_str().as_bytes(),
        version: RECORD_VERSION,
        format: u64::from(format),
        spec: &spec,
        blueprint: &digest,
        skipped: &skipped,
        decisions: u64::from(DECISIONS),
    }
    .sum();
    let head = HeadSum {
        migration: id,
        seq: 0,
        entry: 0,
        updated_ms: created_ms,
        state: &state,
        chain: &sum,
    }
    .sum();
    let mut insert = || {
        if known.insert(digest) {
            connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO blueprint (digest, v, body) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![&digest[..], int(RECORD_VERSION), Text(&body)])?;
        }
        connection
            .prepare_cached(
                "INSERT INTO migration
                 (id, batch, number, client, v, format, spec, blueprint, skipped, sum, decisions)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                int(id),
                int(batch),
                number,
                client.as_str(),
                int(RECORD_VERSION),
                format,
                Text(&spec),
                &digest[..],
                Text(&skipped),
                &sum[..],
                DECISIONS
            ])?;
        connection
            .prepare_cached(
                "INSERT INTO head (migration, seq, entry, updated_ms, state, chain, sum)
                 VALUES (?1, 0, 0, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![int(id), int(created_ms), Text(&state), &sum[..], &head[..]])?;
        Ok(sum)
    };
    Ok(insert())
}
