//! Which boot of a host runs, as its keeper tells others.

use serde::{Deserialize, Serialize};

use crate::base::{Millis, SystemClock};
use crate::lab::net::identity::Identity;
use crate::lab::net::layout::{Layout, read_json};
use crate::lab::net::process;

/// Which boot of a host its processes belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::lab::net) struct InitFile {
    /// Its process 1.
    pub(super) init: Identity,
    /// When the emulated host was booted, by the lab's clock.
    pub boot_ms: Millis,
}

impl InitFile {
    /// What the keeper wrote of the host, if it runs.
    pub(in crate::lab::net) fn read(layout: &Layout, host: &str) -> Option<InitFile> {
        read_json(&layout.home(host).join("init.json"))
    }
}

/// How long a keeper takes at most to see that a host went down, or what its link
/// is to do, and to do what follows.
pub(in crate::lab::net) const SEEN_MS: Millis = 2_000;

/// Waits until no other boot of the host runs than that one, for as long as a
/// keeper that is there takes.
pub(in crate::lab::net) fn wait_for_end(layout: &Layout, host: &str, booted: Option<Millis>) {
    let limit = SystemClock::read_ms() + SEEN_MS;
    let earlier = || InitFile::read(layout, host).is_some_and(|file| Some(file.boot_ms) != booted);
    while earlier() && SystemClock::read_ms() < limit {
        process::pause(10);
    }
}
