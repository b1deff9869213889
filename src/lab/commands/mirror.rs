//! Mirrors: `mklvcopy`, `rmlvcopy`, `mirrorvg`, `unmirrorvg`.

use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::world::{Host, Vg, World};

/// More copies than three there are not.
const COPIES_MAX: u64 = 3;

pub(crate) fn mklvcopy(world: &mut World, call: &Call) -> Reply {
    settle(change(world, call, true))
}

pub(crate) fn rmlvcopy(world: &mut World, call: &Call) -> Reply {
    settle(change(world, call, false))
}

/// `mklvcopy LV COPIES [DISK]` and `rmlvcopy LV COPIES [DISK]`.
fn change(world: &mut World, call: &Call, more: bool) -> Result<Reply, Reply> {
    let flags = Flags::read(call, "k")?;
    let [lv, copies, disks @ ..] = flags.rest.as_slice() else {
        return Err(refuse(call, "A parameter is missing."));
    };
    let wanted = copies.parse::<u64>().ok().filter(|n| (1..=COPIES_MAX).contains(n));
    let wanted = wanted.ok_or_else(|| refuse(call, "The number of copies is 1, 2 or 3."))?;
    let host = world.at_mut(&call.host);
    let found = host.vgs.iter().find(|(_, vg)| vg.on && vg.lvs.contains_key(lv));
    let Some(group) = found.map(|(name, _)| name.clone()) else {
        let text = format!(
            "0516-306 {}: Unable to find logical volume {lv} in the Device\n\tConfiguration Database.",
            call.name()
        );
        return Err(Reply::fail(1, text));
    };
    let is_enough = |host: &Host| {
        let copies = host.vgs[&group].lvs[lv].copies;
        if more { copies >= wanted } else { copies <= wanted }
    };
    while !is_enough(host) {
        let disk = disks.first().map(String::as_str);
        let is_done = if more {
            host.mirror(&group, lv, disk)
        } else {
            let vg = host.vgs.get_mut(&group).and_then(|vg| vg.lvs.get_mut(lv));
            vg.is_some_and(|lv| lv.unmirror(disk))
        };
        if !is_done {
            return Err(Reply::fail(
                1,
                format!(
                    "0516-404 allocp: This system cannot fulfill the allocation request.\n\tThere are not enough free partitions or not enough physical volumes\n\tto keep strictness and satisfy allocation requests.\n0516-822 {}: Unable to change the copies of {lv}.",
                    call.name()
                ),
            ));
        }
    }
    Ok(Reply::default())
}

/// The group, which must be varied on.
fn group_on<'a>(host: &'a mut Host, group: &str) -> Result<&'a mut Vg, Reply> {
    host.vgs.get_mut(group).filter(|vg| vg.on).ok_or_else(|| super::lvm::unknown(group))
}

pub(crate) fn mirrorvg(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "Smc:").and_then(|flags| {
        let [group, disks @ ..] = flags.rest.as_slice() else {
            return Err(refuse(call, "A parameter is missing."));
        };
        let host = world.at_mut(&call.host);
        group_on(host, group)?;
        if let Err(name) = host.mirror_all(group, disks.first().map(String::as_str)) {
            return Err(Reply::fail(1, format!("0516-404 allocp: This system cannot fulfill the allocation request.\n0516-1517 mirrorvg: Mirrorvg failed at {name}.\n0516-1199 mirrorvg: Failed to create logical partition copies\n\tfor logical volume {name}.\n0516-1200 mirrorvg: Failed to mirror the volume group.")));
        }
        let disks = host.vgs[group].disks.join(" ");
        Ok(Reply::ok(format!("0516-1804 chvg: The quorum change takes effect immediately.\n0516-1126 mirrorvg: {group} successfully mirrored, user should perform\n\tbosboot of system to initialize boot records.  Then, user must modify\n\tbootlist to include:  {disks}.\n")))
    }))
}

pub(crate) fn unmirrorvg(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "c:").and_then(|flags| {
        let [group, disks @ ..] = flags.rest.as_slice() else {
            return Err(refuse(call, "A parameter is missing."));
        };
        let host = world.at_mut(&call.host);
        let vg = group_on(host, group)?;
        let disk = disks.first().map(String::as_str);
        for lv in vg.lvs.values_mut().filter(|lv| lv.goes_with_mirror()) {
            while lv.unmirror(disk) {}
        }
        let left = vg.disks.iter().filter(|disk| vg.boot_lv(disk).is_some());
        let left = left.cloned().collect::<Vec<_>>().join(" ");
        Ok(Reply::ok(format!("0516-1804 chvg: The quorum change takes effect immediately.\n0516-1144 unmirrorvg: {group} successfully unmirrored, user should perform\n\tbosboot of system to reinitialize boot records.  Then, user must modify\n\tbootlist to just include:  {left}.\n")))
    }))
}
