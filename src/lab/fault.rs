//! What goes wrong on purpose, by name.

use serde::{Deserialize, Serialize};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// No connection is made.
    Unreachable,
    /// The request is carried out, and its reply is lost.
    LostReply,
    /// The command takes ten times as long.
    Slow,
    /// The command never ends.
    Stalled,
    /// The command makes the first part of its effect and fails.
    Partial,
    /// The host reboots while the command runs.
    Reboot,
    /// From the command on, the network does not reach the host for a while.
    NetworkCut,
    /// The command finds no room.
    DiskFull,
    /// The command does its work and says that it failed.
    ExitStatus,
    /// The command fails and says that it succeeded.
    MessageWithSuccess,
    /// `umount` finds the file system busy.
    BusyUnmount,
    /// The NIM object of the host is locked by somebody else, as `lsnim -l` and
    /// `nim` on the master find.
    NimLocked,
    /// The NFS file handle is stale.
    StaleHandle,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [FaultKind; 13] = [
        FaultKind::Unreachable,
        FaultKind::LostReply,
        FaultKind::Slow,
        FaultKind::Stalled,
        FaultKind::Partial,
        FaultKind::Reboot,
        FaultKind::NetworkCut,
        FaultKind::DiskFull,
        FaultKind::ExitStatus,
        FaultKind::MessageWithSuccess,
        FaultKind::BusyUnmount,
        FaultKind::NimLocked,
        FaultKind::StaleHandle,
    ];

    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Unreachable => "unreachable",
            FaultKind::LostReply => "lost-reply",
            FaultKind::Slow => "slow",
            FaultKind::Stalled => "stalled",
            FaultKind::Partial => "partial",
            FaultKind::Reboot => "reboot",
            FaultKind::NetworkCut => "network-cut",
            FaultKind::DiskFull => "disk-full",
            FaultKind::ExitStatus => "exit-status",
            FaultKind::MessageWithSuccess => "message-with-success",
            FaultKind::BusyUnmount => "busy-unmount",
            FaultKind::NimLocked => "nim-locked",
            FaultKind::StaleHandle => "stale-handle",
        }
    }
}

/// A fault to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    pub kind: FaultKind,
    /// On which host; on all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// For commands whose line holds this text; for all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// How often; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How many matches go well before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skip: u32,
    /// How long a network cut lasts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl FaultSpec {
    /// A fault on `host` that happens once, with any command.
    pub fn once(kind: FaultKind, host: &str) -> FaultSpec {
        FaultSpec {
            kind,
            host: Some(host.to_owned()),
            command: None,
            times: Some(1),
            skip: 0,
            seconds: None,
        }
    }

    /// The same, for commands whose line holds `text`.
    #[must_use]
    pub fn on(mut self, text: &str) -> FaultSpec {
        self.command = Some(text.to_owned());
        self
    }
}

/// A fault, and how often it has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What was asked for.
    pub spec: FaultSpec,
    /// How many matches there have been.
    pub seen: u32,
    /// How often it has happened.
    pub hits: u32,
}

impl Fault {
    /// A fault that has not happened yet.
    pub fn new(spec: FaultSpec) -> Fault {
        Fault { spec, seen: 0, hits: 0 }
    }

    /// Whether it meets this command, and has not met as many as it should.
    pub(crate) fn matches(&self, host: &str, line: &str) -> bool {
        let spec = &self.spec;
        spec.host.as_deref().is_none_or(|name| name == host)
            && spec.command.as_deref().is_none_or(|text| line.contains(text))
            && spec.times.is_none_or(|times| self.hits < times)
    }
}
