//! What the network between a host and its callers does at present.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layout::{Layout, NetError, Way, read_json, write};
use super::namespaces::{Kept, SEEN_MS, Shaping};
use super::process;
use crate::base::{Millis, SystemClock};
use crate::lab::trouble::Trouble;

/// A link's state. Times are the machine's: a connection lives by real time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Nothing passes before this time.
    #[serde(default)]
    pub silent_until_ms: Millis,
    /// Connections that were made before this time are closed.
    #[serde(default)]
    pub closed_at_ms: Millis,
    /// Nobody listens before this time.
    #[serde(default)]
    pub refused_until_ms: Millis,
    /// What each piece of data is held back.
    #[serde(default)]
    pub delay_ms: Millis,
    /// The share of packets that is lost: hosts as namespaces only.
    #[serde(default)]
    pub loss_percent: u8,
    /// The real directories of the host are full before this time: hosts as
    /// namespaces only.
    #[serde(default)]
    pub full_until_ms: Millis,
    /// Every connection is closed after the host has sent so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_after: Option<u64>,
    /// Every connection goes silent after the host has sent so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_after: Option<u64>,
}

impl Link {
    pub(super) fn read(layout: &Layout, host: &str) -> Link {
        let path = layout.home(host).join("link");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Whether a link that does this can be had in that way, on this kernel.
    pub(super) fn can(layout: &Layout, way: Way, trouble: Trouble) -> Result<(), NetError> {
        let shaping = || Kept::read(layout).ok_or(NetError::KeeperGone).map(|kept| kept.shaping);
        match (way, trouble) {
            (Way::Proxy, Trouble::LinkLoss | Trouble::DiskFill) => Err(NetError::Beyond {
                what: trouble.name(),
                why: "the hosts of this lab have no network and no disk of their own \
                      (`lab up --ssh=namespaces` gives them one)",
            }),
            (Way::Namespaces, Trouble::LinkDelay) if shaping()? != Shaping::Netem => {
                Err(NetError::Beyond {
                    what: trouble.name(),
                    why: "this kernel cannot delay packets: no netem",
                })
            }
            (Way::Namespaces, Trouble::LinkLoss) if shaping()? == Shaping::None => {
                Err(NetError::Beyond {
                    what: trouble.name(),
                    why: "this kernel has no netem, and `nft` (Debian's package `nftables`) \
                          was missing when the hosts were begun",
                })
            }
            _ => Ok(()),
        }
    }

    /// Changes the link of a host.
    pub fn change(lab: &Path, host: &str, change: impl FnOnce(&mut Link)) -> Result<(), NetError> {
        let layout = Layout::new(lab);
        let mut link = Link::read(&layout, host);
        change(&mut link);
        let text = serde_json::to_string(&link).expect("a link is plain data");
        write(&layout.home(host).join("link"), &text)
    }

    /// The keeper tells that it has done what the file says.
    pub(super) fn write_seen(&self, layout: &Layout, host: &str) -> Result<(), NetError> {
        let text = serde_json::to_string(self).expect("a link is plain data");
        write(&layout.home(host).join("link.seen"), &text)
    }

    /// Waits until the keeper has done what the file says, for as long as one that
    /// is there takes.
    pub(super) fn wait_until_seen(layout: &Layout, host: &str) -> Result<(), NetError> {
        let limit = SystemClock::read_ms() + SEEN_MS;
        let seen = layout.home(host).join("link.seen");
        while read_json(&seen) != Some(Link::read(layout, host)) {
            if SystemClock::read_ms() > limit {
                let log = layout.file("keeper.log");
                return Err(NetError::Refused {
                    what: format!("change the link of `{host}`"),
                    why: format!("the keeper has not done it, see {}", log.display()),
                });
            }
            process::pause(10);
        }
        Ok(())
    }

    /// Whether nothing passes now.
    pub(super) fn silent(&self) -> bool {
        self.silent_until_ms > SystemClock::read_ms()
    }

    /// Whether the host's disk is full now.
    pub(super) fn full(&self) -> bool {
        self.full_until_ms > SystemClock::read_ms()
    }

    /// Whether nobody listens now.
    pub(super) fn refused(&self) -> bool {
        self.refused_until_ms > SystemClock::read_ms()
    }
}
