//! The estate for a table.

use serde::Serialize;

use super::software;
use super::world::{Host, JobStage, Power, Source, World};

/// A host for a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostShow {
    pub name: String,
    /// Whether it is the master.
    pub is_master: bool,
    /// `up`, `booting`, or why it does not come up.
    pub power: String,
    /// The level it runs.
    pub level: String,
    /// How often it has booted since the estate was made.
    pub boots: u32,
    /// The disk it booted from.
    pub boot_disk: String,
    pub bootlist: Vec<String>,
    /// Disks: name, size in MB, and the group on it.
    pub disks: Vec<(String, u64, Option<String>)>,
    pub vgs: Vec<VgShow>,
    /// Mounts that every rootvg does not have: what is mounted where.
    pub mounts: Vec<String>,
    pub exports: Vec<String>,
    /// Jobs that run.
    pub jobs: Vec<String>,
}

/// A volume group for a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VgShow {
    pub name: String,
    /// Whether it is varied on.
    pub on: bool,
    /// Its size in MB.
    pub total_mb: u64,
    /// What of it is free.
    pub free_mb: u64,
}

/// All hosts, the master first.
pub(crate) fn show(world: &World) -> Vec<HostShow> {
    let mut all: Vec<HostShow> =
        world.hosts.values().map(|host| show_host(host, host.name == world.master)).collect();
    all.sort_by_key(|host| (!host.is_master, host.name.clone()));
    all
}

fn show_host(host: &Host, is_master: bool) -> HostShow {
    let list =
        host.vgs.get("rootvg").and_then(|vg| vg.usr()).and_then(|usr| usr.text(software::LIST));
    HostShow {
        name: host.name.clone(),
        is_master,
        power: match &host.power {
            Power::Up => "up".to_owned(),
            Power::Booting { .. } => "booting".to_owned(),
            Power::Dead { why } => why.clone(),
        },
        level: software::level(&software::from_text(list.unwrap_or(""))).unwrap_or_default(),
        boots: host.boots,
        boot_disk: host.boot_disk.clone(),
        bootlist: host.bootlist.clone(),
        disks: host
            .disks
            .iter()
            .map(|(name, disk)| {
                (name.clone(), disk.size_mb, host.vg_of(name).map(|(vg, _)| vg.clone()))
            })
            .collect(),
        vgs: host
            .vgs
            .iter()
            .map(|(name, vg)| VgShow {
                name: name.clone(),
                on: vg.on,
                total_mb: vg.disks.iter().map(|disk| host.total_pps(vg, disk)).sum::<u64>()
                    * vg.pp_mb,
                free_mb: host.free_pps_of(vg) * vg.pp_mb,
            })
            .collect(),
        mounts: host
            .mounts
            .iter()
            .filter(|mount| !host.initial.mounts.contains(&mount.point))
            .map(|mount| match &mount.source {
                Source::Lv { lv, .. } => format!("/dev/{lv} on {}", mount.point),
                Source::Nfs { host, path, .. } => format!("{host}:{path} on {}", mount.point),
            })
            .collect(),
        exports: host.exports.keys().cloned().collect(),
        jobs: host
            .jobs
            .iter()
            .filter(|(_, job)| job.stage == JobStage::Running)
            .map(|(id, _)| id.clone())
            .collect(),
    }
}
