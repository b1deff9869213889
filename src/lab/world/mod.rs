//! The estate as data: hosts, disks, volume groups, mounts, exports, NIM.
//!
//! One value, cheap to clone: hosts and file trees are shared until they are
//! changed, so that a store can see what a command changed.

mod host;
mod job;
mod mounts;
mod nim;
mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use host::{Host, Initial, Power};
pub(crate) use job::{Effect, Job, JobStage, Process, Running};
pub(crate) use mounts::{Export, Mount, Source};
pub(crate) use nim::NimObject;
pub(crate) use volumes::{Disk, Lv, LvKind, PP_MB, Vg, made_up_id, new_vg_id, vg_id};

use super::fault::{Fault, FaultKind, FaultSpec};
use crate::base::Millis;

/// The whole estate.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The NIM master's name.
    pub master: String,
    /// All hosts, the master included.
    pub hosts: BTreeMap<String, Arc<Host>>,
    /// What is to go wrong.
    pub faults: Arc<Vec<Fault>>,
}

impl World {
    /// The host of that name, which must exist.
    pub(crate) fn at(&self, host: &str) -> &Host {
        self.hosts.get(host).expect("a call names a host of the estate")
    }

    /// The host of that name, to be changed.
    pub(crate) fn at_mut(&mut self, host: &str) -> &mut Host {
        Arc::make_mut(self.hosts.get_mut(host).expect("a call names a host of the estate"))
    }

    /// The host of that name, if there is one.
    pub(crate) fn find(&self, host: &str) -> Option<&Host> {
        self.hosts.get(host).map(Arc::as_ref)
    }

    /// Whether the network reaches the host at `now`.
    pub(crate) fn reaches(&self, host: &str, now: Millis) -> bool {
        self.find(host).is_some_and(|host| host.power == Power::Up && host.cut_until_ms <= now)
    }

    /// Whether `from`, which runs, reaches `to` over the network.
    pub(crate) fn joins(&self, from: &str, to: &str, now: Millis) -> bool {
        from == to || (self.at(from).cut_until_ms <= now && self.reaches(to, now))
    }

    /// The size of the group's partitions.
    pub(crate) fn pp_mb(&self, host: &str, vg: &str) -> u64 {
        self.at(host).vgs.get(vg).map_or(PP_MB, |vg| vg.pp_mb)
    }

    /// Whether a fault of `kind` meets this command, which is counted.
    pub(crate) fn strike(&mut self, kind: FaultKind, host: &str, line: &str) -> Option<FaultSpec> {
        // Looked for before the list is copied to be changed: faults are rare.
        let found =
            self.faults.iter().position(|f| f.spec.kind == kind && f.matches(host, line))?;
        let fault = &mut Arc::make_mut(&mut self.faults)[found];
        fault.seen += 1;
        if fault.seen <= fault.spec.skip {
            return None;
        }
        fault.hits += 1;
        Some(fault.spec.clone())
    }
}
