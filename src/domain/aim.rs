//! What a migration is to come to: its mode, its driver and its target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::{Level, NimName};

/// What fills the phases with steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// nimshift's own commands.
    #[default]
    Native,
    /// `nimadm -P`, one step a phase.
    Nimadm,
}

impl Driver {
    /// Whether it is the one that is not stored. Introduced in 0.1.0.
    pub(super) fn is_native(&self) -> bool {
        *self == Driver::Native
    }
}

/// nimadm's modes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The client's rootvg is cloned to its own spare disks and migrated there.
    Disk,
    /// `-c -O`: the client's running rootvg is read into a cache, migrated there
    /// and written to a mksysb file. The client is not changed.
    ClientToMksysb,
    /// `-T -O`: a mksysb is restored into a cache, migrated there and written to
    /// another mksysb file. There is no client: its name is only the migration's.
    MksysbToMksysb,
    /// `-T -c -d`: a mksysb is restored into a cache, migrated there and copied
    /// to a rootvg that was made for it on spare disks of the client.
    MksysbToClient,
}

impl Mode {
    /// Whether there is a client at all.
    pub fn has_client(self) -> bool {
        self != Mode::MksysbToMksysb
    }

    /// Whether a copy is made on disks of the client.
    pub fn changes_client(self) -> bool {
        matches!(self, Mode::Disk | Mode::MksysbToClient)
    }

    /// `-T`: whether the system comes from a mksysb.
    pub fn reads_mksysb(self) -> bool {
        matches!(self, Mode::MksysbToMksysb | Mode::MksysbToClient)
    }

    /// `-O`: whether the system goes to a mksysb.
    pub fn writes_mksysb(self) -> bool {
        matches!(self, Mode::MksysbToMksysb | Mode::ClientToMksysb)
    }
}

/// Where a migration is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `-s`: the SPOT.
    pub spot: NimName,
    /// `-l`: the lpp_source.
    pub lpp_source: NimName,
    /// The level that the client must have in the end.
    pub level: Level,
}

/// How a system is migrated, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    /// nimadm's mode.
    pub mode: Mode,
    /// What fills the phases with steps.
    pub driver: Driver,
    /// Where it is to end.
    pub target: Target,
}
