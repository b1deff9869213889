//! What must hold of an estate after a night.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tree::{Kind, Tree};
use super::world::{Host, JobStage, Power, Vg, World};

/// What is to be of a client's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyExpected {
    /// There is none.
    None,
    /// It sleeps as altinst_rootvg.
    Asleep,
    /// What a migration that was taken back has kept: a copy that sleeps, with
    /// all that had come into it, or none where none had been made.
    Kept,
    /// The client runs from it, with old_rootvg beside it.
    Running,
    /// The client may run from it, and a person has removed the system that it left.
    RunningAlone,
}

/// What the bootlist is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootsFrom {
    /// As in the beginning.
    Baseline,
    /// These disks.
    Disks(Vec<String>),
    /// As in the beginning, or these disks: a person sets it.
    Either(Vec<String>),
}

/// What is expected of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    pub client: String,
    /// Whether its migration has ended: then nothing of it may be left.
    pub settled: bool,
    pub copy: CopyExpected,
    pub boots_from: BootsFrom,
}

impl Expectation {
    /// A client that is as it was in the beginning.
    pub fn untouched(client: impl Into<String>) -> Expectation {
        Expectation {
            client: client.into(),
            settled: true,
            copy: CopyExpected::None,
            boots_from: BootsFrom::Baseline,
        }
    }
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Violation {
    /// The host that it is on.
    pub host: String,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.what)
    }
}

/// All that must not be.
pub(crate) fn check(world: &World, expectations: &[Expectation]) -> Vec<Violation> {
    let mut found = Vec::new();
    for host in world.hosts.values() {
        accounting(host, &mut found);
        let expected = expectations.iter().find(|e| e.client == host.name).cloned();
        let expected = expected.unwrap_or_else(|| Expectation::untouched(host.name.clone()));
        groups_stand(host, expected.copy == CopyExpected::RunningAlone, &mut found);
        if host.name == world.master {
            continue;
        }
        if expected.settled {
            client_rests(host, expected.copy, &mut found);
            master_rests(world, &host.name, &mut found);
            copy_is(host, expected.copy, &mut found);
            bootlist_is(host, &expected.boots_from, &mut found);
        }
    }
    // A migration from mksysb to mksysb has no client.
    for expected in expectations.iter().filter(|e| e.settled && world.find(&e.client).is_none()) {
        master_rests(world, &expected.client, &mut found);
    }
    found.sort();
    found
}

/// Adds violations of one host.
struct On<'a> {
    host: &'a str,
    found: &'a mut Vec<Violation>,
}

impl On<'_> {
    fn say(&mut self, what: impl Into<String>) {
        self.found.push(Violation { host: self.host.to_owned(), what: what.into() });
    }
}

/// Disks, groups and partitions add up.
fn accounting(host: &Host, found: &mut Vec<Violation>) {
    let mut on = On { host: &host.name, found };
    for (name, vg) in &host.vgs {
        for disk in &vg.disks {
            let Some(known) = host.disks.get(disk) else {
                on.say(format!("{name} is on {disk}, which is not there"));
                continue;
            };
            if known.pvid.is_none() {
                on.say(format!("{disk} is in {name} and has no PVID"));
            }
            if host.vgs.iter().any(|(other, vg)| other != name && vg.disks.contains(disk)) {
                on.say(format!("{disk} is in two volume groups"));
            }
            let used: u64 = vg.lvs.values().filter_map(|lv| lv.pps.get(disk)).sum();
            if used > host.total_pps(vg, disk) {
                on.say(format!("more PPs of {disk} are in use than it has"));
            }
        }
        for (lv, volume) in &vg.lvs {
            if volume.pps.keys().any(|disk| !vg.disks.contains(disk)) {
                on.say(format!("{lv} has PPs outside {name}"));
            }
            if volume.is_file_system() && volume.used_mb() > volume.lps() * vg.pp_mb {
                on.say(format!("{lv} of {name} holds more than it has room for"));
            }
        }
    }
}

/// The volume groups of the beginning are there, but for the first system where
/// `it_may_go`.
fn groups_stand(host: &Host, it_may_go: bool, found: &mut Vec<Violation>) {
    let mut on = On { host: &host.name, found };
    for (id, disks) in &host.initial.vgs {
        let is_there = host.vgs.values().any(|vg| vg.id == *id && vg.disks == *disks);
        let is_system = host.initial.bootlist.iter().any(|disk| disks.contains(disk));
        if !(is_there || it_may_go && is_system) {
            on.say(format!("the volume group that was on {} is gone", disks.join(" ")));
        }
    }
}

/// Nothing of a migration is left on the client.
fn client_rests(host: &Host, copy: CopyExpected, found: &mut Vec<Violation>) {
    let mut on = On { host: &host.name, found };
    if host.power != Power::Up {
        on.say("it is not up");
        return;
    }
    for mount in &host.mounts {
        if mount.point.starts_with("/alt_inst") || mount.point == "/ALT_MIG_SPOT" {
            on.say(format!("{} is mounted", mount.point));
        }
    }
    for line in etc_exports(host).lines().filter(|line| line.starts_with("/alt_inst")) {
        on.say(format!("/etc/exports names {}", line.split_whitespace().next().unwrap_or(line)));
    }
    for path in host.exports.keys().filter(|path| !host.initial.exports.contains(path)) {
        on.say(format!("{path} is exported"));
    }
    // A system that was made of a mksysb has not all that was mounted before.
    let past = ["old_rootvg", "altinst_rootvg"];
    let has = |point: &String| {
        let mut groups = host.vgs.iter().filter(|(name, _)| !past.contains(&name.as_str()));
        groups.any(|(_, vg)| vg.lvs.values().any(|lv| lv.mount_point.as_ref() == Some(point)))
    };
    for point in host.initial.mounts.iter().filter(|point| has(point)) {
        if host.mounted_at(point).is_none() {
            on.say(format!("{point} is not mounted"));
        }
    }
    let is_kept = |vg: &Vg| copy == CopyExpected::Kept && vg.asleep && !vg.on;
    let kept = |(name, vg): &(&String, &Vg)| *name == "altinst_rootvg" && is_kept(vg);
    for (group, vg) in &host.vgs {
        let is_kept = kept(&(group, vg));
        for (name, lv) in &vg.lvs {
            if name.starts_with("alt_") && !is_kept {
                on.say(format!("{name} still has the name of an awake copy"));
            }
            let point = lv.mount_point.as_deref().unwrap_or("");
            for path in lv.tree.iter().flat_map(|tree| tree.nodes.keys()) {
                let whole = format!("{}/{path}", point.trim_end_matches('/'));
                let left = [
                    "/var/adm/nimshift",
                    "/ALT_MIG_SPOT",
                    "/ALT_MIG_EXCLUDE",
                    "/ALT_MIG_IMAGE",
                    "/alt_inst",
                ];
                let temporary = whole.starts_with("/tmp/nimshift-");
                let tree = lv.tree.as_deref();
                let alien = whole != "/var/adm/nimshift"
                    && tree.is_some_and(|tree| holds_files(tree, path));
                // In what it does not run from, an empty directory harms nobody.
                let is_bare =
                    group != "rootvg" && tree.is_some_and(|tree| !holds_files(tree, path));
                let is_left = left.contains(&whole.as_str()) && !alien && !is_bare && !is_kept;
                if is_left || temporary {
                    on.say(format!("{whole} of {name} is left"));
                }
            }
        }
    }
    jobs_rest(host, None, &mut on);
}

fn etc_exports(host: &Host) -> &str {
    let root = host.vgs.get("rootvg").and_then(|vg| vg.lvs.get("hd4")?.tree.as_deref());
    root.and_then(|tree| tree.text("etc/exports")).unwrap_or_default()
}

/// Whether files lie below a directory: no migration puts any under its mount
/// points, so that they are somebody's.
fn holds_files(tree: &Tree, top: &str) -> bool {
    tree.nodes.iter().any(|(path, node)| {
        path != top && super::tree::is_within(path, top) && node.kind != Kind::Dir
    })
}

/// Jobs whose id is of this client's migration, or all.
fn jobs_rest(host: &Host, line_holds: Option<&str>, on: &mut On<'_>) {
    for (id, job) in host.jobs.iter().filter(|(_, job)| job.stage == JobStage::Running) {
        let ours = line_holds.is_none_or(|text| {
            job.script.commands.iter().any(|command| command.shell_text().contains(text))
        });
        if ours {
            on.say(format!("the job {id} is still running"));
        }
    }
}

/// Nothing of the client's migration is left on the master.
fn master_rests(world: &World, client: &str, found: &mut Vec<Violation>) {
    let master = world.at(&world.master);
    let mut on = On { host: &master.name, found };
    let root = format!("/{client}_alt");
    let work = format!("/var/adm/nimshift-{client}");
    for mount in master.mounts.iter().filter(|mount| super::tree::is_within(&mount.point, &root)) {
        on.say(format!("{} is mounted", mount.point));
    }
    for (group, vg) in &master.vgs {
        for (name, lv) in &vg.lvs {
            if lv.mount_point.as_deref().is_some_and(|point| super::tree::is_within(point, &root)) {
                on.say(format!("the cache file system {name} of {group} is left"));
            }
            let of_var = lv.mount_point.as_deref() == Some("/var");
            let directory = work.trim_start_matches("/var/");
            if of_var && lv.tree.as_ref().is_some_and(|tree| tree.nodes.contains_key(directory)) {
                on.say(format!("the directory {work} is left"));
            }
            let of_root = lv.mount_point.as_deref() == Some("/");
            let is_left =
                |tree: &Tree| tree.nodes.contains_key(&root[1..]) && !holds_files(tree, &root[1..]);
            if of_root && lv.tree.as_deref().is_some_and(is_left) {
                on.say(format!("the directory {root} is left"));
            }
        }
    }
    if let Some(object) = master.nim.get(client)
        && object.get("locked").is_some()
        && !master.initial.locked.contains(&client.to_owned())
    {
        on.say(format!("the NIM object {client} is locked"));
    }
    jobs_rest(master, Some(&format!("{root}/")), &mut on);
}

/// The copy is where it is wanted, and only there.
fn copy_is(host: &Host, expected: CopyExpected, found: &mut Vec<Violation>) {
    let mut on = On { host: &host.name, found };
    let asleep = |vg: &Vg| vg.asleep && !vg.on;
    let known = |vg: &Vg| host.initial.vgs.contains_key(&vg.id);
    let copy = host.vgs.get("altinst_rootvg");
    let old = host.vgs.get("old_rootvg");
    let runs_first = host.vgs.get("rootvg").is_some_and(known);
    match expected {
        CopyExpected::None => {
            if copy.is_some() || old.is_some() {
                on.say("there is a copy where none should be");
            }
            if !runs_first {
                on.say("it does not run from its first rootvg");
            }
        }
        CopyExpected::Asleep | CopyExpected::Kept => {
            let may_be_none = expected == CopyExpected::Kept && old.is_none();
            if !copy.map_or(may_be_none, asleep) {
                on.say("there is no sleeping altinst_rootvg");
            }
            if !runs_first {
                on.say("it does not run from its first rootvg");
            }
        }
        CopyExpected::Running | CopyExpected::RunningAlone => {
            if runs_first {
                on.say("it does not run from the copy");
            }
            let may_be_none = expected == CopyExpected::RunningAlone;
            if !old.map_or(may_be_none, |vg| known(vg) && asleep(vg)) {
                on.say("there is no old_rootvg beside the copy");
            }
            if copy.is_some() {
                on.say("there is an altinst_rootvg beside the running copy");
            }
        }
    }
}

fn bootlist_is(host: &Host, expected: &BootsFrom, found: &mut Vec<Violation>) {
    let mut on = On { host: &host.name, found };
    let wanted = match expected {
        BootsFrom::Either(disks) if host.bootlist == *disks => disks,
        BootsFrom::Baseline | BootsFrom::Either(_) => &host.initial.bootlist,
        BootsFrom::Disks(disks) => disks,
    };
    if host.bootlist != *wanted {
        on.say(format!(
            "the bootlist is `{}`, not `{}`",
            host.bootlist.join(" "),
            wanted.join(" ")
        ));
    }
}
