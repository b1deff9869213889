//! Volume groups, volumes and disks.

use std::fmt::Write as _;

use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, settle};
use crate::lab::world::{Host, Lv, LvKind, Source, Vg, World};

pub(super) const VARIED_OFF: &str =
    "0516-010 : Volume group must be varied on; use varyonvg command.";

pub(super) fn unknown(what: &str) -> Reply {
    Reply::fail(
        1,
        format!(
            "0516-306 : Unable to find volume group {what} in the Device\n\tConfiguration Database."
        ),
    )
}

pub(crate) fn lspv(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "").and_then(|flags| {
        let host = world.at(&call.host);
        match flags.rest.as_slice() {
            [] => Ok(Reply::ok(list_disks(host))),
            [disk] => one_disk(host, disk),
            _ => flags.none(call).map(|()| Reply::default()),
        }
    }))
}

fn list_disks(host: &Host) -> String {
    let mut out = String::new();
    for (name, disk) in &host.disks {
        let pvid = disk.pvid.as_deref().unwrap_or("none");
        let (vg, state) = match host.vg_of(name) {
            None => ("None", ""),
            Some((vg, Vg { on: true, .. })) => (vg.as_str(), "active"),
            Some((vg, _)) => (vg.as_str(), ""),
        };
        let _ = writeln!(out, "{name:<16}{pvid:<36}{vg:<16}{state:<12}");
    }
    out
}

fn one_disk(host: &Host, name: &str) -> Result<Reply, Reply> {
    let Some(disk) = host.disks.get(name) else {
        return Err(Reply::fail(
            1,
            format!(
                "0516-306 : Unable to find physical volume {name} in the Device\n\tConfiguration Database."
            ),
        ));
    };
    let pvid = disk.pvid.as_deref().unwrap_or("none");
    match host.vg_of(name) {
        None => Err(Reply::fail(
            1,
            format!("0516-320 : Physical volume {name} is not assigned to\n\ta volume group."),
        )),
        Some((_, vg)) if !vg.on => Ok(Reply {
            status: 1,
            err: format!("{VARIED_OFF}\n"),
            out: format!(
                "PHYSICAL VOLUME:    {name:<24} VOLUME GROUP:     ??????\nPV IDENTIFIER:      {pvid} VG IDENTIFIER     {}\n",
                vg.id
            ),
            ..Reply::default()
        }),
        Some((group, vg)) => {
            let (total, free) = (host.total_pps(vg, name), host.free_pps(vg, name));
            let mut out = format!("PHYSICAL VOLUME:    {name:<24} VOLUME GROUP:     {group}\n");
            let _ = writeln!(out, "PV IDENTIFIER:      {pvid} VG IDENTIFIER     {}", vg.id);
            let _ =
                writeln!(out, "PV STATE:           active                                     ");
            let _ = writeln!(
                out,
                "PP SIZE:            {:<24} LOGICAL VOLUMES:  {}",
                format!("{} megabyte(s)", vg.pp_mb),
                vg.lvs.values().filter(|lv| lv.pps.contains_key(name)).count()
            );
            let _ = writeln!(
                out,
                "TOTAL PPs:          {:<24} VG DESCRIPTORS:   2",
                format!("{total} ({} megabytes)", total * vg.pp_mb)
            );
            let _ = writeln!(
                out,
                "FREE PPs:           {:<24} HOT SPARE:        no",
                format!("{free} ({} megabytes)", free * vg.pp_mb)
            );
            let _ = writeln!(
                out,
                "USED PPs:           {:<24} MAX REQUEST:      256 kilobytes",
                format!("{} ({} megabytes)", total - free, (total - free) * vg.pp_mb)
            );
            Ok(Reply::ok(out))
        }
    }
}

pub(crate) fn lsvg(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "olpM").and_then(|flags| {
        let host = world.at(&call.host);
        if flags.rest.is_empty() {
            let lines = host.vgs.iter().filter(|(_, vg)| vg.on || !flags.has('o'));
            return Ok(Reply::ok(lines.fold(String::new(), |all, (name, _)| all + name + "\n")));
        }
        let mut out = String::new();
        for name in &flags.rest {
            let vg = host.vgs.get(name).ok_or_else(|| unknown(name))?;
            if !vg.on {
                return Err(Reply::fail(1, VARIED_OFF));
            }
            out += &match () {
                () if flags.has('l') => volumes(host, name, vg),
                () if flags.has('p') => members(host, name, vg),
                () if flags.has('M') => map(host, name, vg),
                () => summary(host, name, vg),
            };
        }
        Ok(Reply::ok(out))
    }))
}

fn summary(host: &Host, name: &str, vg: &Vg) -> String {
    let total: u64 = vg.disks.iter().map(|disk| host.total_pps(vg, disk)).sum();
    let free = host.free_pps_of(vg);
    let mb = |pps: u64| format!("{pps} ({} megabytes)", pps * vg.pp_mb);
    let open = vg.lvs.iter().filter(|(lv, _)| is_open(host, name, lv)).count();
    let mut out = String::new();
    let mut line = |a: &str, b: &str, c: &str, d: &str| {
        let _ = writeln!(out, "{a:<19} {b:<24} {c:<15} {d}");
    };
    line("VOLUME GROUP:", name, "VG IDENTIFIER: ", &vg.id);
    line("VG STATE:", "active", "PP SIZE:", &format!("{} megabyte(s)", vg.pp_mb));
    line("VG PERMISSION:", "read/write", "TOTAL PPs:", &mb(total));
    line("MAX LVs:", "256", "FREE PPs:", &mb(free));
    line("LVs:", &vg.lvs.len().to_string(), "USED PPs:", &mb(total - free));
    line("OPEN LVs:", &open.to_string(), "QUORUM:", "2 (Enabled)");
    line("TOTAL PVs:", &vg.disks.len().to_string(), "VG DESCRIPTORS:", "2");
    line("STALE PVs:", "0", "STALE PPs:", "0");
    line(
        "ACTIVE PVs:",
        &vg.disks.len().to_string(),
        "AUTO ON:",
        if name == "altinst_rootvg" { "no" } else { "yes" },
    );
    out.push_str("MAX PPs per VG:     32512                                     \n");
    out.push_str("MAX PPs per PV:     1016                     MAX PVs:        32\n");
    out
}

fn is_open(host: &Host, group: &str, name: &str) -> bool {
    let mounted = host
        .mounts
        .iter()
        .any(|mount| matches!(&mount.source, Source::Lv { vg, lv } if vg == group && lv == name));
    let running = group == "rootvg"
        && matches!(host.vgs[group].lvs[name].kind, LvKind::Paging | LvKind::Log | LvKind::Dump);
    mounted || running
}

fn volumes(host: &Host, group: &str, vg: &Vg) -> String {
    let mut out = format!(
        "{group}:\nLV NAME             TYPE       LPs     PPs     PVs  LV STATE      MOUNT POINT\n"
    );
    for (name, lv) in &vg.lvs {
        let state = if is_open(host, group, name) { "open/syncd" } else { "closed/syncd" };
        let point = lv.mount_point.as_deref().unwrap_or("N/A");
        let (lps, pps, pvs) = (lv.lps(), lv.all_pps(), lv.pps.len());
        let _ = writeln!(
            out,
            "{name:<19} {:<10} {lps:<7} {pps:<7} {pvs:<4} {state:<13} {point}",
            lv.kind.word()
        );
    }
    out
}

/// The disks of a group, as `lsvg -p` and `prtconf` list them.
pub(crate) fn members(host: &Host, name: &str, vg: &Vg) -> String {
    let mut out = format!(
        "{name}:\nPV_NAME           PV STATE          TOTAL PPs   FREE PPs    FREE DISTRIBUTION\n"
    );
    for disk in &vg.disks {
        let (total, free) = (host.total_pps(vg, disk), host.free_pps(vg, disk));
        let _ = writeln!(
            out,
            "{disk:<17} {:<17} {total:<11} {free:<11} 00..00..00..00..{free:02}",
            "active"
        );
    }
    out
}

fn map(host: &Host, name: &str, vg: &Vg) -> String {
    let mut out = format!("{name}:\n");
    for disk in &vg.disks {
        let mut pp = 1;
        for (lv_name, lv) in &vg.lvs {
            let copy = lv.pps.keys().position(|name| name == disk).unwrap_or(0) + 1;
            let copy = if lv.copies > 1 { format!(":{copy}") } else { String::new() };
            for lp in 1..=lv.pps.get(disk).copied().unwrap_or(0) {
                let _ = writeln!(out, "{disk}:{pp}\t{lv_name}:{lp}{copy}");
                pp += 1;
            }
        }
        let total = host.total_pps(vg, disk);
        if pp <= total {
            let _ = writeln!(out, "{disk}:{pp}-{total}");
        }
    }
    out
}

pub(crate) fn lslv(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "m").and_then(|flags| {
        let name = flags.one(call)?;
        let host = world.at(&call.host);
        let found = host.vgs.iter().filter(|(_, vg)| vg.on).find_map(|(group, vg)| Some((group, vg, vg.lvs.get(name)?)));
        let (group, vg, lv) = found.ok_or_else(|| Reply::fail(1, format!("0516-306 lslv: Unable to find logical volume {name} in the Device\n\tConfiguration Database.")))?;
        let point = lv.mount_point.as_deref().unwrap_or("N/A");
        if flags.has('m') {
            return Ok(Reply::ok(partitions(name, point, lv)));
        }
        let state = if is_open(host, group, name) { "opened/syncd" } else { "closed/syncd" };
        let mut out = format!("LOGICAL VOLUME:     {name:<22} VOLUME GROUP:   {group}\n");
        let _ = writeln!(out, "LV IDENTIFIER:      {}.{} PERMISSION:     read/write", vg.id, vg.lvs.keys().position(|lv| lv == name).unwrap_or(0) + 1);
        let _ = writeln!(out, "VG STATE:           active/complete        LV STATE:       {state}");
        let _ = writeln!(out, "TYPE:               {:<22} WRITE VERIFY:   off", lv.kind.word());
        let _ = writeln!(out, "MAX LPs:            {:<22} PP SIZE:        {} megabyte(s)", 512, vg.pp_mb);
        let _ = writeln!(out, "COPIES:             {:<22} SCHED POLICY:   parallel", lv.copies);
        let _ = writeln!(out, "LPs:                {:<22} PPs:            {}", lv.lps(), lv.all_pps());
        let _ = writeln!(out, "MOUNT POINT:        {point:<22} LABEL:          {point}");
        Ok(Reply::ok(out))
    }))
}

fn partitions(name: &str, point: &str, lv: &Lv) -> String {
    let mut out =
        format!("{name}:{point}\nLP    PP1  PV1               PP2  PV2               PP3  PV3\n");
    if lv.copies > 1 {
        for lp in 1..=lv.lps() {
            let pvs = lv.pps.keys().map(|disk| format!("{lp:04} {disk:<17}"));
            let _ = writeln!(out, "{lp:04}  {}", pvs.collect::<Vec<_>>().join(" ").trim_end());
        }
        return out;
    }
    let mut lp = 1;
    for (disk, count) in &lv.pps {
        for pp in 1..=*count {
            let _ = writeln!(out, "{lp:04}  {pp:04} {disk}");
            lp += 1;
        }
    }
    out
}

pub(crate) fn varyonvg(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "fn").and_then(|flags| {
        let name = flags.one(call)?;
        let vg = world.at_mut(&call.host).vgs.get_mut(name).ok_or_else(|| unknown(name))?;
        vg.on = true;
        Ok(Reply::default())
    }))
}

pub(crate) fn varyoffvg(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "s").and_then(|flags| {
        let name = flags.one(call)?;
        let host = world.at(&call.host);
        let vg = host.vgs.get(name).ok_or_else(|| unknown(name))?;
        if !vg.on {
            return Err(Reply::fail(1, VARIED_OFF));
        }
        if vg.lvs.keys().any(|lv| is_open(host, name, lv)) {
            return Err(Reply::fail(1, format!("0516-012 lvaryoffvg: Unable to varyoff volume group with open logical volumes; close the logical volumes.\n0516-942 varyoffvg: Unable to vary off volume group {name}.")));
        }
        if let Some(vg) = world.at_mut(&call.host).vgs.get_mut(name) {
            vg.on = false;
        }
        Ok(Reply::default())
    }))
}

pub(crate) fn exportvg(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "").and_then(|flags| {
        let name = flags.one(call)?;
        let vg = world.at(&call.host).vgs.get(name).ok_or_else(|| unknown(name))?;
        if vg.on {
            return Err(Reply::fail(
                1,
                "0516-764 exportvg: The volume group must be varied off\n\tbefore exporting.",
            ));
        }
        world.at_mut(&call.host).vgs.remove(name);
        Ok(Reply::default())
    }))
}

/// Takes disks out of a group; with `-d` their volumes are removed with them, and
/// the group goes with its last disk. What is open stays, and stops it there.
pub(crate) fn reducevg(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "df").and_then(|flags| {
        let [name, disks @ ..] = flags.rest.as_slice() else {
            return Err(crate::lab::flags::refuse(call, "A parameter is missing."));
        };
        if disks.is_empty() {
            return Err(crate::lab::flags::refuse(call, "A parameter is missing."));
        }
        let mut out = String::new();
        for disk in disks {
            let failed = |why: &str| {
                let text =
                    format!("{why}\n0516-884 reducevg: Unable to remove physical volume {disk}.");
                Reply { out: out.clone(), ..Reply::fail(1, text) }
            };
            let removed = reduce(world.at_mut(&call.host), name, disk, &flags);
            out += &removed.map_err(|why| failed(&why))?;
        }
        Ok(Reply::ok(out))
    }))
}

fn reduce(host: &mut Host, name: &str, disk: &str, flags: &Flags) -> Result<String, String> {
    let vg = host.vgs.get(name).ok_or_else(|| unknown(name).err.trim_end().to_owned())?;
    if !vg.on {
        return Err(VARIED_OFF.to_owned());
    }
    if !vg.disks.iter().any(|member| member == disk) {
        return Err("0516-066 ldeletepv: Physical volume is not a volume group member.".to_owned());
    }
    let on_disk = |(_, lv): &(&String, &Lv)| lv.pps.contains_key(disk);
    let held: Vec<String> = vg.lvs.iter().filter(on_disk).map(|(lv, _)| lv.clone()).collect();
    // Nobody is there who would confirm it.
    let is_told = flags.has('d') && flags.has('f');
    if !is_told && !held.is_empty() {
        return Err("0516-016 ldeletepv: Cannot delete physical volume with allocated\n\tpartitions. Use either migratepv to move the partitions or\n\treducevg with the -d option to delete the partitions.".to_owned());
    }
    let mut out = String::new();
    for lv in &held {
        if is_open(host, name, lv) {
            return Err(format!(
                "0516-1008 rmlv: Logical volume {lv} must be closed. If the logical\n\tvolume contains a filesystem, the umount command will close\n\tthe LV device."
            ));
        }
        let Some(vg) = host.vgs.get_mut(name) else { continue };
        if let Some(volume) = vg.lvs.get_mut(lv) {
            volume.pps.remove(disk);
            volume.copies = volume.copies.saturating_sub(1).max(1);
        }
        if vg.lvs.get(lv).is_some_and(|volume| volume.pps.is_empty()) {
            vg.lvs.remove(lv);
            let _ = writeln!(out, "rmlv: Logical volume {lv} is removed.");
        }
    }
    if let Some(vg) = host.vgs.get_mut(name) {
        vg.disks.retain(|member| member != disk);
        if vg.disks.is_empty() {
            host.vgs.remove(name);
            out += "ldeletepv: Volume Group deleted since it contains no physical volumes.\n";
        }
    }
    Ok(out)
}

pub(crate) fn chpv(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "C").and_then(|flags| {
        let disk = flags.one(call)?;
        let host = world.at(&call.host);
        if !host.disks.contains_key(disk) {
            return Err(Reply::fail(1, format!("0516-306 chpv: Unable to find physical volume {disk} in the Device\n\tConfiguration Database.")));
        }
        match host.vg_of(disk) {
            Some((vg, _)) => Err(Reply::fail(1, format!("0516-1339 chpv: Physical volume {disk} contains a varied on or known volume group {vg}."))),
            None => Ok(Reply::default()),
        }
    }))
}

pub(crate) fn getlvodm(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "j:v:").and_then(|flags| {
        if let Some(vg) = flags.get('v') {
            return match world.at(&call.host).vgs.get(vg) {
                Some(vg) => Ok(Reply::ok(format!("{}\n", vg.id))),
                None => Err(Reply::fail(1, format!("0516-306 getlvodm: Unable to find volume group {vg} in the Device\n\tConfiguration Database."))),
            };
        }
        let Some(disk) = flags.get('j') else {
            return Err(crate::lab::flags::refuse(call, "An option is missing."));
        };
        let host = world.at(&call.host);
        if !host.disks.contains_key(disk) {
            return Err(Reply::fail(1, "0516-304 getlvodm: Unable to find device id in the Device\n\tConfiguration Database."));
        }
        match host.vg_of(disk) {
            Some((_, vg)) => Ok(Reply::ok(format!("{}\n", vg.id))),
            None => Err(Reply::fail(3, format!("0516-320 getlvodm: Physical volume {disk} is not assigned to\n\ta volume group."))),
        }
    }))
}
