//! The copy: where its file systems lie, and what state its disks are in.

use crate::aix::{MountRow, PhysicalVolume, argv};
use crate::domain::{
    Baseline, BaselineDisk, BaselineFs, Cause, Direction, DiskName, Facts, FailureClass,
    MigrationSpec, Residue,
};
use crate::transport::Command;

use super::read::Read;
use super::step::{Context, Finding};

/// Where the copy's file systems are mounted on the client.
pub(super) const CLIENT_ROOT: &str = "/alt_inst";

/// The copy's volume group until it has been booted.
pub(super) const ALT_VG: &str = "altinst_rootvg";

/// The name of a rootvg that the client has left behind.
pub(super) const OLD_VG: &str = "old_rootvg";

/// The baseline, which every step after `record-baseline` needs.
pub(super) fn baseline<'a>(ctx: &Context<'a>) -> Read<&'a Baseline> {
    ctx.facts.baseline.as_ref().ok_or_else(|| "the client's baseline was not recorded".to_owned())
}

/// The file systems that are copied, parents first.
pub(super) fn file_systems<'a>(ctx: &Context<'a>) -> &'a [BaselineFs] {
    ctx.facts.baseline.as_ref().map_or(&[], |baseline| &baseline.file_systems)
}

/// Their copies' mount points on the client, parents first.
pub(super) fn client_paths(ctx: &Context<'_>) -> Vec<String> {
    file_systems(ctx).iter().map(|fs| fs.below(CLIENT_ROOT)).collect()
}

/// Their copies' mount points on the master, parents first.
pub(super) fn master_paths(ctx: &Context<'_>) -> Vec<String> {
    let root = ctx.spec.master_root();
    file_systems(ctx).iter().map(|fs| fs.below(&root)).collect()
}

/// The directory above the master's root of the copy: `/lpar7_alt`.
pub(super) fn master_top(ctx: &Context<'_>) -> String {
    ctx.spec.master_top()
}

/// The mounts at `top` or below it, children first.
pub(super) fn mounts_below<'a>(mounts: &'a [MountRow], top: &str) -> Vec<&'a MountRow> {
    let mut below: Vec<&MountRow> = mounts.iter().filter(|row| is_below(&row.over, top)).collect();
    below.sort_by(|a, b| b.over.cmp(&a.over));
    below
}

/// Whether `path` is `top`, or in it.
pub(super) fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How many of `paths` are mounted on, out of how many.
pub(super) fn mounted(mounts: &[MountRow], paths: &[String]) -> (usize, usize) {
    let is_mounted = |path: &&String| mounts.iter().any(|row| row.over == **path);
    (paths.iter().filter(is_mounted).count(), paths.len())
}

/// `c_rsh CLIENT '…'`: `command` is quoted in the one place that quotes.
pub(super) fn on_client(ctx: &Context<'_>, command: argv::Argv) -> argv::Argv {
    argv::c_rsh(&ctx.spec.client, &Command::new(command).shell_text())
}

/// The commands of a script on the client, from the master.
pub(super) fn from_master(
    ctx: &Context<'_>,
    commands: Vec<Command>,
) -> impl Iterator<Item = Command> {
    commands.into_iter().map(|command| Command { argv: on_client(ctx, command.argv), ..command })
}

/// What the target disks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CopyState {
    /// All of them are free.
    Free,
    /// They hold one alternate rootvg, varied on.
    Awake,
    /// They hold one alternate rootvg of this name, varied off.
    Asleep(String),
    /// Some of them belong to an alternate rootvg of this name.
    Part(String),
    /// The client runs from them.
    Running,
    /// A disk is not there, or is somebody else's. The text tells which.
    Foreign(String),
}

impl CopyState {
    /// The name of the copy's volume group, if there is one.
    pub(super) fn vg(&self) -> Option<&str> {
        match self {
            CopyState::Awake => Some(ALT_VG),
            CopyState::Asleep(vg) | CopyState::Part(vg) => Some(vg),
            CopyState::Free | CopyState::Running | CopyState::Foreign(_) => None,
        }
    }
}

/// The row of `lspv` that shows `disk`: by PVID where it had one, else by name.
pub(super) fn row_of<'a>(
    disk: &BaselineDisk,
    lspv: &'a [PhysicalVolume],
) -> Option<&'a PhysicalVolume> {
    match &disk.pvid {
        Some(pvid) => lspv.iter().find(|row| row.pvid.as_ref() == Some(pvid)),
        None => None,
    }
    .or_else(|| lspv.iter().find(|row| row.disk == disk.name))
}

/// The row of the disk that the client ran from when the baseline was recorded.
pub(super) fn old_row<'a>(
    baseline: &Baseline,
    lspv: &'a [PhysicalVolume],
) -> Option<&'a PhysicalVolume> {
    let pvid = baseline.boot_pvid.as_ref()?;
    lspv.iter().find(|row| row.pvid.as_ref() == Some(pvid))
}

/// Whether a disk is one of a system: what runs, a copy, or what was left for one.
pub(super) fn is_system(row: &PhysicalVolume) -> bool {
    ["rootvg", ALT_VG, OLD_VG].iter().any(|vg| row.is_in(vg))
}

/// The state of the target disks.
pub(super) fn copy_state(baseline: &Baseline, lspv: &[PhysicalVolume]) -> CopyState {
    state_of(&baseline.targets, lspv)
}

/// The state of `targets`.
pub(super) fn state_of(targets: &[BaselineDisk], lspv: &[PhysicalVolume]) -> CopyState {
    let mut vgs: Vec<(Option<&str>, bool)> = Vec::new();
    for target in targets {
        let Some(row) = row_of(target, lspv) else {
            return CopyState::Foreign(format!("{} is not there", target.name));
        };
        match row.vg.as_deref() {
            Some("rootvg") => return CopyState::Running,
            Some(vg) if vg != ALT_VG && vg != OLD_VG => return CopyState::Foreign(foreign(row)),
            vg => vgs.push((vg, row.is_active())),
        }
    }
    let Some(vg) = vgs.iter().find_map(|(vg, _)| *vg) else { return CopyState::Free };
    let whole = vgs.iter().all(|(other, _)| *other == Some(vg));
    match whole {
        true if vgs.iter().all(|(_, active)| *active) && vg == ALT_VG => CopyState::Awake,
        true if vgs.iter().all(|(_, active)| !*active) => CopyState::Asleep(vg.to_owned()),
        _ => CopyState::Part(vg.to_owned()),
    }
}

/// What a person does where a target disk cannot be used.
pub(super) fn other_disk(spec: &MigrationSpec) -> String {
    format!("name another disk for {} in the plan (`disks`)", spec.client)
}

/// What is said of a disk that somebody else uses.
pub(super) fn foreign(row: &PhysicalVolume) -> String {
    let vg = row.vg.as_deref().unwrap_or("nothing");
    format!("{} holds {vg}, which is not nimshift's: it is left alone", row.disk)
}

/// The bar where the target disks are not ours to change.
pub(super) fn hands_off(
    ctx: &Context<'_>,
    state: &CopyState,
    lspv: &[PhysicalVolume],
) -> Option<Finding> {
    match state {
        CopyState::Foreign(text) => Some(Finding::blocked(
            Cause::new(FailureClass::Permanent, text.clone()).with_hint(other_disk(ctx.spec)),
        )),
        CopyState::Running => {
            Some(Finding::blocked(booted(ctx, "the client runs from the target disk", lspv)))
        }
        _ => None,
    }
}

/// What a person does where the client runs from the copy, as `text` says: there is
/// no way back from within it, and none is needed to keep it.
pub(super) fn booted(ctx: &Context<'_>, text: &str, lspv: &[PhysicalVolume]) -> Cause {
    if let Some(gone) = old_gone(ctx, lspv) {
        return gone;
    }
    let client = &ctx.spec.client;
    let disks = ctx.facts.baseline.as_ref().map_or(&[][..], |baseline| &baseline.bootlist);
    let hint = format!(
        "boot the old disk (on {client}, `bootlist -m normal {} && shutdown -Fr`), then `nimshift \
         retry {client}`; `nimshift abandon {client}` keeps the migrated system",
        named(disks)
    );
    Cause::new(FailureClass::NeedsOperator, text).with_hint(hint)
}

/// Why there is no way back, where the old disk holds no system any more: it was
/// removed, as is done when nothing is missing. A bootlist of that disk fails, and
/// a boot would be one of the copy.
pub(super) fn old_gone(ctx: &Context<'_>, lspv: &[PhysicalVolume]) -> Option<Cause> {
    let baseline = ctx.facts.baseline.as_ref().filter(|baseline| baseline.boot_pvid.is_some())?;
    if old_row(baseline, lspv).is_some_and(is_system) {
        return None;
    }
    let client = &ctx.spec.client;
    let text = format!("the old system of {client} is gone: there is no way back");
    let hint = format!("`nimshift abandon {client}` keeps the migrated system");
    Some(Cause::new(FailureClass::NeedsOperator, text).with_hint(hint))
}

/// The bar where the client has lost the copy's mounts, which a reboot does.
/// Below `/alt_inst` lie then empty directories of the running system.
pub(super) fn lost_by_client(ctx: &Context<'_>, mounts: &[MountRow]) -> Option<Finding> {
    let (there, wanted) = mounted(mounts, &client_paths(ctx));
    if wanted > 0 && there == wanted {
        return None;
    }
    let text =
        format!("{there} of {wanted} file systems of the copy are mounted on {}", ctx.spec.client);
    let cause = Cause::new(FailureClass::Permanent, text);
    let bar =
        Finding::blocked(cause.with_hint("only a fresh clone helps: a retry starts with one"));
    Some(Finding { gone: Some(Residue::CopyLost), ..bar })
}

/// The disk that the copy boots from: the first target.
pub(super) fn boot_target<'a>(ctx: &Context<'a>) -> Read<&'a DiskName> {
    ctx.spec.options.disks.first().ok_or_else(|| "the plan names no target disk".to_owned())
}

/// The bootlist that an undo leaves where `seen` stands: the baseline's where it is
/// what this migration, or the removal of its copy, has set; else what others have set.
pub(super) fn bootlist_to_leave(baseline: &Baseline, seen: &Read<Vec<DiskName>>) -> Vec<DiskName> {
    let is_ours = |seen: &&Vec<DiskName>| {
        let is_target = |first: &DiskName| baseline.targets.iter().any(|disk| disk.name == *first);
        // `alt_rootvg_op -X` sets it to the disk that the client runs from, and to no other.
        seen.first().is_none_or(is_target) || seen.iter().eq(baseline.bootlist.iter().take(1))
    };
    seen.as_ref().ok().filter(|seen| !is_ours(seen)).unwrap_or(&baseline.bootlist).clone()
}

/// Puts the bootlist back where `seen` is not what is to be left, and is what stands.
pub(super) fn restore_bootlist(baseline: &Baseline, seen: &Read<Vec<DiskName>>) -> Vec<Command> {
    let wanted = bootlist_to_leave(baseline, seen);
    if seen.as_ref() == Ok(&wanted) {
        return Vec::new();
    }
    set_bootlist(seen, &wanted).collect()
}

/// Ends a script where the client would not boot from `disk`. Whether that stands first
/// is seen before.
pub(super) fn is_in_bootlist(disk: &DiskName) -> Command {
    let is_it = ["grep", "-F", "-w", "-e", disk.as_str()];
    Command::new(argv::show_bootlist()).piped_to(is_it)
}

/// Sets the bootlist, where `seen` is what stands.
pub(super) fn set_bootlist<'a>(
    seen: &Read<Vec<DiskName>>,
    wanted: impl IntoIterator<Item = &'a DiskName>,
) -> impl Iterator<Item = Command> {
    let stands = seen.iter().flatten().next().map(is_in_bootlist);
    stands.into_iter().chain([Command::new(argv::set_bootlist(wanted))])
}

/// What an undo sees of the bootlist: whether it is as it is to be left, and what is
/// told where others have set it.
pub(super) fn bootlist_left(ctx: &Context<'_>, seen: Vec<DiskName>) -> Read<(bool, Facts)> {
    let baseline = baseline(ctx)?;
    let seen = Ok(seen);
    let wanted = bootlist_to_leave(baseline, &seen);
    let is_others = wanted != baseline.bootlist;
    let left = is_others.then(|| format!("{}: left alone", set_by_others(ctx, &wanted)));
    let facts = Facts { left: left.into_iter().collect(), ..Facts::default() };
    Ok((seen.as_ref() == Ok(&wanted), facts))
}

fn set_by_others(ctx: &Context<'_>, bootlist: &[DiskName]) -> String {
    format!("the bootlist of {} is {}, set by somebody else", ctx.spec.client, named(bootlist))
}

fn named(disks: &[DiskName]) -> String {
    let names: Vec<&str> = disks.iter().map(DiskName::as_str).collect();
    names.join(" ")
}

/// The bar where others have set the client to boot from something that is neither the
/// copy nor what it booted from before.
pub(super) fn boots_from_others(ctx: &Context<'_>, seen: &[DiskName]) -> Read<Option<Finding>> {
    let baseline = baseline(ctx)?;
    let Some(first) = seen.first().filter(|first| Some(*first) != baseline.bootlist.first()) else {
        return Ok(None);
    };
    if baseline.targets.iter().any(|disk| disk.name == *first) {
        return Ok(None);
    }
    let client = &ctx.spec.client;
    let otherwise = match ctx.ticket.direction {
        Direction::Forward => format!("`nimshift rollback {client}` takes the copy back"),
        Direction::Undo => format!("`nimshift abandon {client}` keeps the migrated system"),
    };
    let text = format!("{}: it is left alone", set_by_others(ctx, seen));
    let hint = format!(
        "if that is not needed, set it back (on {client}, `bootlist -m normal {}`), then `nimshift \
         retry {client}`; {otherwise}",
        named(&baseline.bootlist)
    );
    let cause = Cause::new(FailureClass::NeedsOperator, text);
    Ok(Some(Finding::blocked(cause.with_hint(hint))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phases::sample;

    fn state(rows: &str) -> CopyState {
        let facts = sample::facts();
        let lspv = crate::aix::lspv(rows).unwrap();
        copy_state(facts.baseline.as_ref().unwrap(), &lspv)
    }

    #[test]
    fn the_target_disks_tell_the_state_of_the_copy() {
        let table = [
            ("hdisk1 none None", CopyState::Free),
            ("hdisk1 00f7a1b2c3d4e5f7 altinst_rootvg active", CopyState::Awake),
            ("hdisk1 00f7a1b2c3d4e5f7 altinst_rootvg", CopyState::Asleep("altinst_rootvg".into())),
            ("hdisk1 00f7a1b2c3d4e5f7 old_rootvg", CopyState::Asleep("old_rootvg".into())),
            ("hdisk1 00f7a1b2c3d4e5f7 rootvg active", CopyState::Running),
            (
                "hdisk1 00f7a1b2c3d4e5f7 datavg active",
                CopyState::Foreign(
                    "hdisk1 holds datavg, which is not nimshift's: it is left alone".into(),
                ),
            ),
            ("hdisk5 none None", CopyState::Foreign("hdisk1 is not there".into())),
        ];
        for (rows, wanted) in table {
            assert_eq!(state(rows), wanted, "{rows}");
        }
    }

    #[test]
    fn only_mounts_below_the_top_are_ours() {
        let row = |over: &str| MountRow {
            node: None,
            device: "/dev/x".into(),
            over: over.into(),
            vfs: "jfs2".into(),
            date: "Mar 02 07:15".into(),
            options: Vec::new(),
        };
        let mounts = [row("/a_alt"), row("/a_alt/b"), row("/a_alternative")];
        let below: Vec<&str> =
            mounts_below(&mounts, "/a_alt").iter().map(|row| row.over.as_str()).collect();
        assert_eq!(below, ["/a_alt/b", "/a_alt"]);
    }
}
