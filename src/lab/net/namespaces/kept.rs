//! What the keeper of a lab tells of itself.

use serde::{Deserialize, Serialize};

use super::links::Shaping;
use crate::lab::net::identity::Identity;
use crate::lab::net::layout::{Layout, read_json};

/// The keeper, as others find it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::lab::net) struct Kept {
    pub(super) keeper: Identity,
    /// What this kernel can do to packets.
    pub(in crate::lab::net) shaping: Shaping,
}

impl Kept {
    /// What the keeper of that lab has written; it may be gone.
    pub(in crate::lab::net) fn read(layout: &Layout) -> Option<Kept> {
        read_json(&layout.file("keeper.json"))
    }
}
