//! How real hosts are reached.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// By what a host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// From this machine, by `ssh`.
    Ssh,
    /// By the remote shell of the NIM master (`c_rsh`).
    Master,
    /// It is this machine.
    #[schemars(skip)]
    Here,
}

/// How one host is reached. What is not set is the ssh configuration's. Journaled
/// with a batch; introduced in 0.1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// By what.
    pub via: Via,
    /// Name, address or alias of the ssh configuration; the host's own name
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// With [`Via::Master`], the master's name in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// The host that ssh goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
    /// Whether the user becomes root by `sudo -n`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sudo: bool,
}

/// The real hosts of a plan. Journaled with a batch; introduced in 0.1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealHosts {
    /// The ssh configuration to use instead of the user's own: an absolute path,
    /// or one relative to the plan file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_config: Option<String>,
    /// How long a connection may take, where the ssh configuration says nothing.
    pub connect_timeout_ms: u64,
    /// Calls at once to one host.
    pub sessions: u32,
    /// The directory of the jobs on each host.
    pub job_dir: String,
    /// The POSIX shell of each host.
    pub shell: String,
    /// The master's program that reaches clients.
    pub remote_shell: String,
    /// How each host is reached, by its name in the plan.
    pub hosts: BTreeMap<String, Reach>,
}
