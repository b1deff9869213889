//! What is journaled with a batch beside its migrations.

use serde::{Deserialize, Serialize};

use crate::domain::{EstateKind, Limits, Plan, RealHosts};
use crate::engine::EngineLimits;
use crate::journal::BatchRow;

/// The settings of a batch cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the settings of batch `{batch}` are those of another nimshift")]
pub struct UnreadSettings {
    batch: String,
    source: serde_json::Error,
}

/// What is journaled with a batch beside its migrations, so that `resume` needs
/// no plan file. Unknown keys are refused; all keys introduced in 0.1.0.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSettings {
    /// The hosts that the batch talks to.
    pub kind: EstateKind,
    /// How much is done at once.
    pub limits: Limits,
    /// How real hosts are reached. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<RealHosts>,
}

impl BatchSettings {
    /// Those of a plan.
    pub fn of(plan: &Plan) -> BatchSettings {
        let estate = &plan.estate;
        BatchSettings { kind: estate.kind, limits: plan.limits.clone(), real: estate.real.clone() }
    }

    /// Those of the latest of `batches`, with the hosts of all of them.
    pub fn of_all(batches: &[BatchRow]) -> Result<Option<BatchSettings>, UnreadSettings> {
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

    /// Those of a batch.
    pub fn read(batch: &BatchRow) -> Result<BatchSettings, UnreadSettings> {
        serde_json::from_value(batch.estate.clone())
            .map_err(|source| UnreadSettings { batch: batch.name.clone(), source })
    }

    /// As they are journaled.
    pub fn value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings have text for keys")
    }

    /// What an engine may do at once by them.
    pub fn engine_limits(&self) -> EngineLimits {
        let limit = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let all = EngineLimits::of_migrations(limit(self.limits.migrations));
        self.limits
            .phases
            .iter()
            .fold(all, |limits, (phase, steps)| limits.with_phase(*phase, limit(*steps)))
    }
}
