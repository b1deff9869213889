//! A plan that has passed every check.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::name::{BatchName, HostName};
use super::phase::Phase;
use super::reach::RealHosts;
use super::spec::{EstateKind, MigrationSpec};

/// What one plan file asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The name of the batch.
    pub name: BatchName,
    /// The hosts that the plan talks to.
    pub estate: Estate,
    pub master: HostName,
    /// How much is done at once.
    pub limits: Limits,
    /// The migrations in the order in which they are begun: by wave, and within
    /// a wave in the order of the file. Never empty; no two have the same client.
    pub migrations: Vec<MigrationSpec>,
}

/// The hosts that a plan talks to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estate {
    /// What kind of hosts they are.
    pub kind: EstateKind,
    /// The file that describes a lab, as the plan names it: relative to the
    /// plan file. Without it a plain estate is made from the plan.
    pub file: Option<String>,
    /// How real hosts are reached; none for a lab. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<RealHosts>,
}

/// How much is done at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Migrations at once.
    pub migrations: u32,
    /// Migrations at once in a phase, for phases that have a limit of their own.
    pub phases: BTreeMap<Phase, u32>,
}

impl Plan {
    /// The SHA-256 of what the plan asks for, in hexadecimal digits.
    ///
    /// Comments, blanks and the order of keys do not matter, nor whether an
    /// option stands with its client or in `[defaults]`: a second run of the
    /// same plan is recognised by it. Nor does it matter how hosts are reached: a
    /// night goes on by another way where one is closed.
    pub fn digest(&self) -> String {
        let mut asked = self.clone();
        asked.estate.real = None;
        // Structs in the order of their fields, maps in the order of their
        // keys: the same plan always gives the same text.
        let text = serde_json::to_vec(&asked).expect("a plan has no keys but names");
        Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a String takes all that is written to it");
            hex
        })
    }
}
