//! What a client runs from, and whether its copy stands: what is kept of a look,
//! and what it tells of a migration's copy.

use crate::aix::argv::{self, Argv};
use crate::aix::{self, PhysicalVolume};
use crate::base::Millis;
use crate::base::limits::PROBE_TIMEOUT;
use crate::domain::{
    BaselineDisk, Control, CopyIs, CopySeen, DiskName, Facts, HostRole, MigrationSpec, OldSeen,
    SystemDisk, Systems,
};
use crate::transport::{Command, Script, Transport};

use super::copy::{ALT_VG, CopyState, OLD_VG, is_system, state_of};
use super::order::hosts;
use super::step::Answers;
use super::whose::vg_id;

/// What is kept of a look at a client's disks.
pub(super) fn seen(lspv: &[PhysicalVolume], bootlist: Vec<DiskName>) -> Facts {
    let disk = |row: &PhysicalVolume| SystemDisk {
        name: row.disk.clone(),
        pvid: row.pvid.clone(),
        vg: row.vg.clone().unwrap_or_default(),
        is_active: row.is_active(),
    };
    let disks = lspv.iter().filter(|row| is_system(row)).map(disk).collect();
    Facts { systems: Some(Systems { disks, bootlist }), ..Facts::default() }
}

/// What `systems` tell of the copy of what was asked for by `spec`, of which its
/// steps have found out `facts`. An operation knows no baseline: it is about the
/// copy that there is.
pub fn copy_seen(spec: &MigrationSpec, facts: &Facts, systems: &Systems) -> CopySeen {
    let rows: Vec<PhysicalVolume> = systems.disks.iter().map(row).collect();
    let disks_of = |vg: &str| -> Vec<DiskName> {
        rows.iter().filter(|row| row.is_in(vg)).map(|row| row.disk.clone()).collect()
    };
    let targets = targets(spec, facts, disks_of(ALT_VG));
    let state = state_of(&targets, &rows);
    let is = match &state {
        CopyState::Free | CopyState::Foreign(_) => CopyIs::Gone,
        CopyState::Awake => CopyIs::Awake,
        CopyState::Asleep(_) => CopyIs::Asleep,
        CopyState::Part(_) => CopyIs::Part,
        CopyState::Running => CopyIs::Running,
    };
    let old = [OLD_VG, ALT_VG].into_iter().find_map(|vg| {
        let first = rows.iter().find(|row| row.is_in(vg))?;
        Some(OldSeen { vg: vg.to_owned(), disks: disks_of(vg), is_awake: first.is_active() })
    });
    let vg = if is == CopyIs::Running { "rootvg" } else { state.vg().unwrap_or_default() };
    CopySeen {
        is,
        vg: vg.to_owned(),
        disks: disks_of(vg),
        old: (is == CopyIs::Running).then_some(old).flatten(),
        bootlist: systems.bootlist.clone(),
    }
}

/// The disks that the copy is looked for on. A disk that was new when the baseline
/// was recorded is known by the id that it got with the copy.
fn targets(spec: &MigrationSpec, facts: &Facts, standing: Vec<DiskName>) -> Vec<BaselineDisk> {
    let baseline = facts.baseline.as_ref().filter(|_| spec.task.is_migration());
    let Some(baseline) = baseline else {
        let names = if standing.is_empty() { spec.options.disks.clone() } else { standing };
        let disk = |name| BaselineDisk { name, pvid: None, size_mb: 0 };
        return names.into_iter().map(disk).collect();
    };
    let with_id = |disk: &BaselineDisk| {
        let of_copy = facts.copy.iter().flat_map(|copy| &copy.disks);
        let mut id =
            of_copy.filter(|known| known.name == disk.name).map(|known| known.pvid.clone());
        BaselineDisk { pvid: disk.pvid.clone().or(id.next_back()), ..disk.clone() }
    };
    baseline.targets.iter().map(with_id).collect()
}

fn row(disk: &SystemDisk) -> PhysicalVolume {
    PhysicalVolume {
        disk: disk.name.clone(),
        pvid: disk.pvid.clone(),
        vg: Some(disk.vg.clone()),
        state: disk.is_active.then(|| "active".to_owned()),
    }
}

/// What is asked after.
#[derive(Debug, Clone, Copy)]
pub struct LeftBy<'a> {
    /// What the migration was asked to do.
    pub spec: &'a MigrationSpec,
    /// What its steps have found out.
    pub facts: &'a Facts,
    /// Who holds its lease.
    pub owner: &'a str,
    /// The engine that asks.
    pub control: &'a Control,
    /// The time now.
    pub now_ms: Millis,
}

/// What the client says of the copy now; `None` where it does not answer.
pub async fn look_at_copy(transport: &dyn Transport, by: LeftBy<'_>) -> Option<CopySeen> {
    let known = by.facts.copy.as_ref().filter(|copy| !copy.disks.is_empty());
    let disks = known.iter().flat_map(|copy| &copy.disks);
    let groups: Vec<_> = disks.clone().map(|disk| argv::vg_of_disk(&disk.name)).collect();
    let looks = [argv::lspv(), argv::show_bootlist()].into_iter().chain(groups);
    let script = Script::new(looks.map(Command::new));
    let host = hosts(by.spec).of(HostRole::Client).clone();
    let output = transport.exec(&host, &script, PROBE_TIMEOUT).await.ok()?;
    let mut answers = Answers::default();
    answers.add(HostRole::Client, &script, output);
    let text = |question: Argv| {
        let said = answers.get(HostRole::Client, &question.into());
        said.filter(|said| said.ok()).map(|said| said.stdout.as_str())
    };
    let lspv = aix::lspv(text(argv::lspv())?).ok()?;
    let bootlist = text(argv::show_bootlist()).and_then(|text| aix::bootlist(text).ok());
    let mut systems = seen(&lspv, bootlist.unwrap_or_default()).systems?;
    // What others have made on its disk is no copy of ours.
    for disk in disks {
        let id = text(argv::vg_of_disk(&disk.name)).and_then(|text| vg_id(text).ok());
        if id.is_some_and(|id| known.is_some_and(|copy| copy.vg_id != id)) {
            systems.disks.retain(|seen| seen.name != disk.name);
        }
    }
    Some(copy_seen(by.spec, by.facts, &systems))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phases::sample;

    #[test]
    fn a_copy_is_known_by_its_disks_whoever_has_booted_or_removed_it() {
        let ours = "hdisk1 00f7a1b2c3d4e5f7 ";
        let table = [
            ("altinst_rootvg", CopyIs::Asleep, "altinst_rootvg"),
            ("altinst_rootvg active", CopyIs::Awake, "altinst_rootvg"),
            ("rootvg active", CopyIs::Running, "rootvg"),
            ("old_rootvg", CopyIs::Asleep, "old_rootvg"),
            ("datavg active", CopyIs::Gone, ""),
            ("None", CopyIs::Gone, ""),
        ];
        for (row, is, vg) in table {
            let lspv = aix::lspv(&format!("{ours}{row}\n")).unwrap();
            let systems = seen(&lspv, Vec::new()).systems.unwrap();
            for facts in [sample::facts(), Facts::default()] {
                let copy = copy_seen(&sample::spec(), &facts, &systems);
                assert_eq!((copy.is, copy.vg.as_str()), (is, vg), "{row}");
            }
        }
    }
}
