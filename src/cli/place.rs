//! A state directory, and what its journal tells.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::{SystemClock, nearest};
use crate::domain::{EstateKind, Limits, NimName, Plan, RealHosts};
use crate::engine::EngineLimits;
use crate::journal::{BatchRow, Entry, JournalDir, JournalError, OpenOptions, Reader};
use crate::report::{BatchStatus, MigrationView, Story, StoryEntry};

use super::error::CliError;

/// A state directory.
#[derive(Debug, Clone)]
pub(super) struct Place {
    dir: PathBuf,
}

impl Place {
    pub(super) fn new(dir: &Path) -> Place {
        Place { dir: dir.to_owned() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The journal's file.
    pub(super) fn journal(&self) -> PathBuf {
        JournalDir::new(&self.dir).journal()
    }

    /// The lab's directory.
    pub(super) fn lab(&self) -> PathBuf {
        self.dir.join("lab")
    }

    /// Where evidence is put.
    pub(super) fn evidence(&self) -> PathBuf {
        self.dir.join("evidence")
    }

    pub(super) fn reader(&self) -> Result<Reader, CliError> {
        Ok(Reader::open(&self.dir)?)
    }

    /// How an engine of this process opens the journal.
    pub(super) fn open_options() -> OpenOptions {
        OpenOptions::new(host_name(), std::process::id(), SystemClock::read_ms())
    }
}

/// The name of this machine.
pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .ok()
        .map(|name| name.trim().to_owned())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// What is journaled with a batch beside its migrations, so that `resume` needs
/// no plan file. Unknown keys are refused; all keys introduced in 0.1.0.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchSettings {
    /// The hosts that the batch talks to.
    pub(super) kind: EstateKind,
    /// How much is done at once.
    pub(super) limits: Limits,
    /// How real hosts are reached. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) real: Option<RealHosts>,
}

impl BatchSettings {
    pub(super) fn of(plan: &Plan) -> BatchSettings {
        let estate = &plan.estate;
        BatchSettings { kind: estate.kind, limits: plan.limits.clone(), real: estate.real.clone() }
    }

    /// Those of the latest of `batches`, with the hosts of all of them.
    pub(super) fn of_all(batches: &[BatchRow]) -> Result<Option<BatchSettings>, CliError> {
        let Some((latest, earlier)) = batches.split_last() else { return Ok(None) };
        let mut settings = BatchSettings::read(latest)?;
        let Some(real) = &mut settings.real else { return Ok(Some(settings)) };
        for batch in earlier.iter().rev() {
            let hosts = BatchSettings::read(batch)?.real.map(|real| real.hosts);
            for (name, reach) in hosts.into_iter().flatten() {
                real.hosts.entry(name).or_insert(reach);
            }
        }
        Ok(Some(settings))
    }

    pub(super) fn read(batch: &BatchRow) -> Result<BatchSettings, CliError> {
        serde_json::from_value(batch.estate.clone()).map_err(|error| {
            CliError::internal(format!(
                "the settings of batch `{}` are those of another nimshift",
                batch.name
            ))
            .because(&error)
        })
    }

    pub(super) fn engine_limits(&self) -> EngineLimits {
        let limit = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let all = EngineLimits::of_migrations(limit(self.limits.migrations));
        self.limits
            .phases
            .iter()
            .fold(all, |limits, (phase, steps)| limits.with_phase(*phase, limit(*steps)))
    }
}

/// All migrations of a journal, the oldest first.
pub(super) fn views(reader: &Reader) -> Result<Vec<MigrationView>, JournalError> {
    reader.snapshot(|reader| {
        let batches = reader.batches()?;
        let archived = reader.archived()?;
        let name = |id| batches.iter().find(|batch| batch.id == id).map(|batch| &batch.name);
        let mut rows = reader.migrations(None)?;
        rows.sort_by_key(|row| row.id);
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let views: Result<Vec<MigrationView>, JournalError> = rows
            .into_iter()
            .map(|row| {
                let number = numbers.entry(row.client.clone()).or_default();
                *number += 1;
                Ok(MigrationView {
                    id: row.id,
                    batch: name(row.batch).cloned().unwrap_or_default(),
                    client: row.client,
                    number: *number,
                    state: row.state,
                    blueprint: Arc::new(reader.blueprint(row.id)?),
                    spec: Arc::new(reader.spec(row.id)?),
                    since_ms: row.updated_ms,
                    is_cleaned: false,
                    seen: None,
                    is_silent: false,
                    is_archived: archived.contains(&row.id),
                    is_gone: false,
                })
            })
            .collect();
        let mut views = views?;
        super::current::mark_since(&mut views, &reader.copies()?);
        Ok(views)
    })
}

/// What counts for each client, in the order in which clients were first asked
/// for.
pub(super) fn latest(views: Vec<MigrationView>) -> Vec<MigrationView> {
    super::current::current(views)
}

/// All that happened to a migration.
pub(super) fn story(reader: &Reader, view: MigrationView) -> Result<Story, JournalError> {
    let entries = reader.history(view.id)?.into_iter().map(told).collect();
    Ok(Story { view, entries, found: Vec::new(), before: None })
}

/// An entry, as reports tell it.
pub(super) fn told(entry: Entry) -> StoryEntry {
    StoryEntry {
        seq: entry.seq,
        at_ms: entry.event.at_ms,
        event: entry.event.kind,
        to: entry.state,
        record: entry.attempt.map(|attempt| (attempt.ticket, attempt.record)),
    }
}

/// The latest batch, as status tells it.
pub(super) fn batch_status(batch: &BatchRow) -> BatchStatus {
    BatchStatus {
        name: batch.name.clone(),
        plan_digest: batch.digest.clone(),
        created_ms: batch.created_ms,
    }
}

/// The one of `views` that is `client`'s, or an error that names the nearest.
pub(super) fn find<'a>(
    views: &'a [MigrationView],
    client: &NimName,
) -> Result<&'a MigrationView, CliError> {
    if let Some(view) = views.iter().find(|view| view.client == client.as_str()) {
        return Ok(view);
    }
    let error = CliError::usage(format!("the journal knows no client `{client}`"));
    Err(match nearest(client.as_str(), views.iter().map(|view| view.client.as_str())) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("`nimshift status` lists all clients"),
    })
}
