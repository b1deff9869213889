//! File systems: made, grown, removed, listed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::world::{Host, Lv, LvKind, Source, World};

pub(crate) fn lsfs(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "cqv:").map(|flags| {
        let host = world.at(&call.host);
        let mut found: BTreeMap<String, (String, &Lv, u64)> = BTreeMap::new();
        for vg in host.vgs.values().filter(|vg| vg.listed()) {
            for (name, lv) in vg.lvs.iter().filter(|(_, lv)| lv.is_file_system()) {
                let point = lv.mount_point.clone().unwrap_or_default();
                found.insert(point, (name.clone(), lv, lv.lps() * vg.pp_mb * 2048));
            }
        }
        let head = if flags.has('c') {
            "#MountPoint:Device:Vfs:Nodename:Type:Size:Options:AutoMount:Acct\n"
        } else {
            "Name            Nodename   Mount Pt               VFS   Size    Options    Auto Accounting\n"
        };
        let mut out = head.to_owned();
        let wanted: Vec<&String> = if flags.rest.is_empty() { found.keys().collect() } else { flags.rest.iter().collect() };
        let mut reply = Reply::default();
        for point in wanted {
            let Some((name, _, blocks)) = found.get(point) else {
                let _ = writeln!(reply.err, "lsfs: No record matching {point} was found in /etc/filesystems.");
                reply.status = 1;
                continue;
            };
            let auto = if point.contains("_alt/") || point.starts_with("/alt_inst") { "no" } else { "yes" };
            let _ = if flags.has('c') {
                writeln!(out, "{point}:/dev/{name}:jfs2:::{blocks}:rw:{auto}:no")
            } else {
                writeln!(out, "/dev/{name:<10} --         {point:<22} jfs2  {blocks:<7} rw         {auto:<4} no")
            };
        }
        if reply.status == 0 || !flags.rest.is_empty() && found.keys().any(|point| flags.rest.contains(point)) {
            reply.out = out;
        }
        reply
    }))
}

/// A row of df.
struct Space {
    device: String,
    total_mb: u64,
    used_mb: u64,
    files: u64,
    point: String,
}

pub(crate) fn df(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "kmgIPM").map(|flags| {
        let host = world.at(&call.host);
        let mut reply = Reply::default();
        let mut rows = Vec::new();
        for mount in &host.mounts {
            let wanted = flags.rest.is_empty()
                || flags
                    .rest
                    .iter()
                    .any(|path| host_mount(host, &call.path(path)) == Some(mount.point.as_str()));
            if !wanted {
                continue;
            }
            let place = world.place(&call.host, &mount.point, call.now);
            match place.and_then(|place| {
                Ok((world.volume(&place)?.clone(), world.pp_mb(&place.host, &place.vg)))
            }) {
                Ok((lv, pp_mb)) => rows.push(Space {
                    device: device(mount_source(&mount.source)),
                    total_mb: lv.lps() * pp_mb,
                    used_mb: lv.used_mb(),
                    files: lv.tree.as_ref().map_or(0, |tree| tree.nodes.len() as u64) * 400,
                    point: mount.point.clone(),
                }),
                Err(error) => {
                    let _ = writeln!(reply.err, "df: {}: {error}", mount.point);
                    reply.status = 1;
                }
            }
        }
        let (unit, heading) = if flags.has('g') {
            (1024 * 1024, "GB blocks")
        } else if flags.has('m') {
            (1024, "MB blocks")
        } else if flags.has('k') {
            (1, "1024-blocks")
        } else {
            (0, "512-blocks")
        };
        if flags.has('P') {
            // As POSIX has it: used and available, for a reader that is no person.
            reply.out =
                format!("Filesystem    {heading:>11}      Used Available Capacity Mounted on\n");
            let blocks = if unit == 1 { 1024 } else { 2048 };
            for row in rows {
                let free = row.total_mb.saturating_sub(row.used_mb);
                let percent = (row.used_mb * 100).div_ceil(row.total_mb.max(1));
                let _ = writeln!(
                    reply.out,
                    "{:<14} {:>10} {:>9} {:>9} {percent:>7}% {}",
                    row.device,
                    row.total_mb * blocks,
                    row.used_mb * blocks,
                    free * blocks,
                    row.point
                );
            }
            return reply;
        }
        reply.out =
            format!("Filesystem    {heading:>11}      Free %Used    Iused %Iused Mounted on\n");
        for row in rows {
            let kb = |mb: u64| mb * 1024;
            let show = |kb: u64| match unit {
                0 => (kb * 2).to_string(),
                1 => kb.to_string(),
                unit => format!("{}.{:02}", kb / unit, kb % unit * 100 / unit),
            };
            let free = row.total_mb.saturating_sub(row.used_mb);
            let percent = (row.used_mb * 100).div_ceil(row.total_mb.max(1));
            let _ = writeln!(
                reply.out,
                "{:<14} {:>10} {:>9} {percent:>4}% {:>8} {:>5}% {}",
                row.device,
                show(kb(row.total_mb)),
                show(kb(free)),
                row.files,
                7,
                row.point
            );
        }
        reply
    }))
}

fn mount_source(source: &Source) -> (Option<&str>, &str) {
    match source {
        Source::Lv { lv, .. } => (None, lv),
        Source::Nfs { host, path, .. } => (Some(host), path),
    }
}

fn device((node, what): (Option<&str>, &str)) -> String {
    match node {
        None => format!("/dev/{what}"),
        Some(node) => format!("{node}:{what}"),
    }
}

/// The mount point that a path lies below.
fn host_mount<'a>(host: &'a Host, path: &str) -> Option<&'a str> {
    let below = host.mounts.iter().filter(|mount| crate::lab::tree::is_within(path, &mount.point));
    below.max_by_key(|mount| mount.point.len()).map(|mount| mount.point.as_str())
}

/// A size in MB: `4096M`, `4G`, or 512-byte blocks. A leading `+` is left to
/// the caller.
fn size_mb(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix(['M', 'm']) {
        Some(digits) => (digits, 1),
        None => match text.strip_suffix(['G', 'g']) {
            Some(digits) => (digits, 1024),
            None => return Some(text.parse::<u64>().ok()?.div_ceil(2048)),
        },
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn size_attribute(flags: &Flags) -> Option<&str> {
    flags.all('a').find_map(|pair| pair.strip_prefix("size="))
}

pub(crate) fn crfs(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "v:g:m:a:A:p:d:").and_then(|flags| {
        flags.none(call)?;
        let (Some(group), Some(point), Some(size)) =
            (flags.get('g'), flags.get('m'), size_attribute(&flags).and_then(size_mb))
        else {
            return Err(refuse(call, "An option is missing."));
        };
        let host = world.at(&call.host);
        if host.file_system(point).is_some() {
            return Err(Reply::fail(1, format!("crfs: 0506-909 {point} file system already exists.")));
        }
        let Some(vg) = host.vgs.get(group) else {
            return Err(Reply::fail(1, format!("0516-306 crfs: Unable to find volume group {group} in the Device\n\tConfiguration Database.")));
        };
        let pps = size.max(1).div_ceil(vg.pp_mb);
        let taken = |name: &String| host.vgs.values().any(|vg| vg.lvs.contains_key(name));
        let name = (0..10_000).map(|number| format!("fslv{number:02}")).find(|name| !taken(name)).unwrap_or_default();
        let lv = Lv {
            kind: LvKind::Jfs2,
            pps: BTreeMap::new(),
            copies: 1,
            mount_point: Some(point.to_owned()),
            data_mb: 0,
            boot_image: None,
            serial: call.now,
            archives: std::collections::BTreeMap::new(),
            tree: Some(Arc::default()),
        };
        let group = group.to_owned();
        let host = world.at_mut(&call.host);
        if let Some(vg) = host.vgs.get_mut(&group) {
            vg.lvs.insert(name.clone(), lv);
        }
        if !host.extend(&group, &name, pps) {
            if let Some(vg) = host.vgs.get_mut(&group) {
                vg.lvs.remove(&name);
            }
            return Err(Reply::fail(1, "0516-404 allocp: This system cannot fulfill the allocation request.\n\tThere are not enough free partitions or not enough physical volumes\n\tto keep strictness and satisfy allocation requests.  The command\n\tshould be retried with different allocation characteristics.\n0516-822 mklv: Unable to create logical volume.\ncrfs: 0506-972 Cannot create logical volume for log device."));
        }
        Ok(Reply::ok(format!("File system created successfully.\n{} kilobytes total disk space.\nNew File System size is {}\n", size * 1024, size * 2048)))
    }))
}

pub(crate) fn chfs(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "a:A:m:p:").and_then(|flags| {
        let point = flags.one(call)?.trim_end_matches('/');
        let point = if point.is_empty() { "/" } else { point };
        let Some(size) = size_attribute(&flags) else {
            return Err(refuse(call, "An option is missing."));
        };
        let host = world.at(&call.host);
        let Some((group, name, lv)) = host.file_system(point) else {
            return Err(Reply::fail(1, format!("chfs: 0506-915 No record matching {point} was found in /etc/filesystems.")));
        };
        let vg = &host.vgs[group];
        let now_mb = lv.lps() * vg.pp_mb;
        let wanted = match size.strip_prefix('+') {
            Some(more) => size_mb(more).and_then(|more| now_mb.checked_add(more)),
            None => size_mb(size),
        };
        let Some(wanted) = wanted else { return Err(refuse(call, "The size is not valid.")) };
        if wanted < lv.used_mb() {
            return Err(Reply::fail(1, "chfs: 0506-981 The request to shrink the file system failed: not enough free space."));
        }
        let more = wanted.div_ceil(vg.pp_mb).saturating_sub(lv.lps());
        let (group, name, total) = (group.clone(), name.clone(), (lv.lps() + more) * vg.pp_mb * 2048);
        if more == 0 {
            return Ok(Reply::ok(format!("Filesystem size changed to {total}\n")));
        }
        if !world.at_mut(&call.host).extend(&group, &name, more) {
            return Err(no_partitions());
        }
        Ok(Reply::ok(format!("Filesystem size changed to {total}\n")))
    }))
}

/// What extending a volume says when partitions run out.
pub(super) fn no_partitions() -> Reply {
    Reply::fail(
        1,
        "0516-404 allocp: This system cannot fulfill the allocation request.\n\tThere are not enough free partitions or not enough physical volumes\n\tto keep strictness and satisfy allocation requests.  The command\n\tshould be retried with different allocation characteristics.\n0516-788 extendlv: Unable to extend logical volume.",
    )
}

pub(crate) fn rmfs(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "r").and_then(|flags| {
        let point = flags.one(call)?;
        let host = world.at(&call.host);
        let Some((group, name, _)) = host.file_system(point) else {
            return Err(Reply::fail(1, format!("rmfs: 0506-921 {point} is not a known file system.")));
        };
        let mounted = |m: &crate::lab::world::Mount| matches!(&m.source, Source::Lv { vg, lv } if vg == group && lv == name);
        if host.mounts.iter().any(mounted) {
            return Err(Reply::fail(1, format!("rmfs: 0506-936 Cannot remove {point}: it is currently mounted.")));
        }
        let (group, name) = (group.clone(), name.clone());
        if let Some(vg) = world.at_mut(&call.host).vgs.get_mut(&group) {
            vg.lvs.remove(&name);
        }
        if flags.has('r') {
            // The directory, if nothing is in it.
            let path = call.path(point);
            let empty = world.place(&call.host, &path, call.now).is_ok_and(|place| {
                !place.rel.is_empty() && world.tree(&place).is_ok_and(|tree| tree.names(&place.rel).is_empty())
            });
            if empty {
                let _ = world.remove(&call.host, &path, call.now);
            }
        }
        Ok(Reply::ok(format!("rmlv: Logical volume {name} is removed.\n")))
    }))
}
