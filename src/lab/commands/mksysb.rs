//! Archives of whole systems: `find`, `backup`, `restore` of a mksysb, and the
//! rootvg that is made for one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::alt_disk::{COPY, alt_name, alt_point, check_disks, error, mount_clone};
use super::boot::vary;
use crate::base::Millis;
use crate::lab::call::{Call, Reply, Stream};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::image_data::{self, Volume, Wanted};
use crate::lab::mksysb::Archive;
use crate::lab::place::PathError;
use crate::lab::tree::{Kind, Node, is_within};
use crate::lab::world::{Lv, LvKind, PP_MB, Vg, World, made_up_id, new_vg_id};

/// Mount points at or below `top`, parents first.
fn points_below<'w>(world: &'w World, call: &Call, top: &str) -> Vec<&'w str> {
    let mut points = world.at(&call.host).mounted_below(top);
    points.dedup();
    points
}

/// Paths from `./` on of all that lies below `top`, over all mounts.
fn names_below(world: &World, call: &Call, top: &str) -> Result<Vec<String>, PathError> {
    let mut points = points_below(world, call, top);
    if !points.contains(&top) {
        points.insert(0, top);
    }
    let mut names = std::collections::BTreeSet::new();
    for &point in &points {
        let place = world.place(&call.host, point, call.now)?;
        let tree = super::files::below(world.tree(&place)?, &place.rel);
        let from = point.strip_prefix(top.trim_end_matches('/')).unwrap_or("");
        for rel in tree.nodes.keys() {
            let whole = format!("{}/{rel}", point.trim_end_matches('/'));
            // What lies under a mount is not seen.
            let hidden =
                |other: &str| other != point && is_within(other, point) && is_within(&whole, other);
            if points.iter().all(|other| !hidden(other) || whole == *other) {
                names.insert(format!(".{}/{rel}", from.trim_end_matches('/')));
            }
        }
    }
    Ok(names.into_iter().collect())
}

pub(crate) fn find(world: &mut World, call: &Call) -> Reply {
    let [top, rest @ ..] = call.args() else {
        return refuse(call, "Wrong number of arguments.");
    };
    if top.starts_with('-') || !(rest.is_empty() || rest == ["-print"]) || top != "." {
        return refuse(call, "Not a recognized expression.");
    }
    match names_below(world, call, &call.path(".")) {
        Ok(names) => {
            Reply::ok(names.iter().fold(".\n".to_owned(), |text, name| text + name + "\n"))
        }
        Err(error) => Reply::path(call, top, &error),
    }
}

pub(crate) fn backup_ms(_: &World, call: &Call) -> Millis {
    vary(&call.host, 300_000)
}

/// Writes the archive of the first half of the names.
pub(crate) fn begin_backup(world: &mut World, call: &Call) -> Result<(), Reply> {
    let reply = backup(world, call);
    if reply.status == 0 { Ok(()) } else { Err(reply) }
}

pub(crate) fn backup(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "iqvpf:").and_then(|flags| {
        flags.none(call)?;
        let (true, Some(device)) = (flags.has('i'), flags.get('f')) else {
            return Err(refuse(call, "An option is missing."));
        };
        let Some(Stream::Text(names)) = &call.input else {
            return Err(Reply::fail(1, "backup: 0511-433 The file system is still mounted; data may not be consistent.\nbackup: there are no names"));
        };
        let top = call.path(".");
        let mut archive = Archive::default();
        for point in points_below(world, call, &top) {
            let mb = world.place(&call.host, point, call.now).and_then(|p| Ok(world.volume(&p)?.data_mb));
            let from = point.strip_prefix(top.trim_end_matches('/')).unwrap_or("");
            archive.data_mb.push((format!(".{from}"), mb.unwrap_or(0)));
        }
        for name in names.lines().filter(|name| !matches!(*name, "." | "")) {
            match world.look(&call.host, &call.path(name), call.now) {
                Ok(node) => archive.nodes.push((name.to_owned(), node)),
                Err(PathError::Absent) => {}
                Err(error) => return Err(Reply::path(call, name, &error)),
            }
        }
        let node = Node::file(archive.to_text());
        world
            .put(&call.host, &call.path(device), node, call.now)
            .map_err(|_| Reply::fail(1, format!("backup: 0511-089 Cannot open {device}: A file or directory in the path name does not exist.")))?;
        Ok(Reply::default())
    }))
}

/// Restores a mksysb, or some files of it, or the first half of it.
pub(super) fn restore(
    world: &mut World,
    call: &Call,
    device: &str,
    only: &[String],
    half: bool,
) -> Result<Reply, Reply> {
    let text = world
        .text(&call.host, &call.path(device), call.now)
        .map_err(|error| Reply::path(call, device, &error))?;
    let Some(archive) = Archive::parse(&text) else {
        return Err(Reply::fail(
            1,
            format!("restore: 0511-160 Unexpected end of the archive on {device}."),
        ));
    };
    let count = if half { archive.nodes.len() / 2 } else { archive.nodes.len() };
    let mut found = 0;
    for (name, node) in archive.nodes.iter().take(count) {
        if !only.is_empty() && !only.contains(name) {
            continue;
        }
        found += 1;
        let path = call.path(name);
        if node.kind == Kind::Dir && world.is_dir(&call.host, &path, call.now) {
            continue;
        }
        world
            .put(&call.host, &path, node.clone(), call.now)
            .map_err(|error| Reply::path(call, name, &error))?;
    }
    if !half && found < only.len() {
        return Err(Reply::fail(
            1,
            format!("restore: 0511-130 {} is not on {device}.", only.join(" ")),
        ));
    }
    if only.is_empty() && !half {
        restore_data(world, call, &archive)?;
    }
    Ok(Reply::default())
}

/// The site's data, into file systems that have room for it.
fn restore_data(world: &mut World, call: &Call, archive: &Archive) -> Result<(), Reply> {
    for (point, mb) in &archive.data_mb {
        let path = call.path(point);
        if world.at(&call.host).mounted_at(&path).is_none() {
            continue;
        }
        let place = world
            .place(&call.host, &path, call.now)
            .map_err(|error| Reply::path(call, &path, &error))?;
        let pp_mb = world.pp_mb(&place.host, &place.vg);
        let volume = world.volume_mut(&place).map_err(|e| Reply::path(call, &path, &e))?;
        volume.data_mb = *mb;
        if volume.used_mb() > volume.lps() * pp_mb {
            return Err(Reply::fail(
                1,
                format!(
                    "restore: 0511-188 Cannot write to {point}: There is not enough space in the file system."
                ),
            ));
        }
    }
    Ok(())
}

/// What an `alt_disk_mksysb` is asked for.
struct Make {
    disks: Vec<String>,
    wanted: Wanted,
}

fn read_make(world: &World, call: &Call) -> Result<Make, Reply> {
    let flags = Flags::read(call, "jM:P:i:d:Bm:")?;
    flags.none(call)?;
    let (Some("1"), Some(file), Some(disks)) = (flags.get('P'), flags.get('i'), flags.get('d'))
    else {
        return Err(refuse(call, "An option is missing."));
    };
    let text = world
        .text(&call.host, &call.path(file), call.now)
        .map_err(|_| error(&format!("0505-115 {file} does not exist.")))?;
    let wanted = image_data::read(&text)
        .ok_or_else(|| error(&format!("0505-116 {file} is not an image.data file.")))?;
    Ok(Make { disks: disks.split_whitespace().map(str::to_owned).collect(), wanted })
}

pub(crate) fn make_ms(_: &World, call: &Call) -> Millis {
    vary(&call.host, 180_000)
}

pub(crate) fn begin_make(world: &mut World, call: &Call) -> Result<(), Reply> {
    let make = read_make(world, call)?;
    check_disks(world, call, &make.disks)?;
    let host = world.at(&call.host);
    let room: u64 =
        make.disks.iter().map(|disk| (host.disks[disk].size_mb / PP_MB).saturating_sub(1)).sum();
    let needed: u64 = make.wanted.volumes.iter().map(|lv| make.wanted.lps(lv)).sum();
    if needed > room {
        return Err(error("0505-129 not enough disk space available."));
    }
    make_volumes(world, call, &make, make.wanted.volumes.len() / 2)
}

pub(crate) fn alt_disk_mksysb(world: &mut World, call: &Call) -> Reply {
    let made = read_make(world, call).and_then(|make| {
        if !call.begun {
            begin_make(world, call)?;
        }
        make_volumes(world, call, &make, make.wanted.volumes.len())?;
        let mut out =
            String::from("Creating altinst_rootvg volume group and associated logical volumes.\n");
        for lv in &make.wanted.volumes {
            let _ = writeln!(out, "Creating logical volume {}.", alt_name(&lv.name));
        }
        Ok(Reply::ok(out))
    });
    settle(made)
}

/// Makes the first `count` volumes, as far as they are missing.
fn make_volumes(world: &mut World, call: &Call, make: &Make, count: usize) -> Result<(), Reply> {
    let mut list: Vec<&Volume> = make.wanted.volumes.iter().collect();
    list.sort_by_key(|lv| (lv.mount_point.clone().unwrap_or_default(), lv.name.clone()));
    let host = world.at_mut(&call.host);
    if !host.vgs.contains_key(COPY) {
        for disk in &make.disks {
            let id = made_up_id(&format!("{}/{disk}", host.name));
            if let Some(disk) = host.disks.get_mut(disk) {
                disk.pvid.get_or_insert(id);
            }
        }
        let first = make.disks.first().and_then(|disk| host.disks.get(disk)?.pvid.clone());
        let vg = Vg {
            id: new_vg_id(&first.unwrap_or_default(), call.now),
            pp_mb: PP_MB,
            disks: make.disks.clone(),
            on: true,
            asleep: false,
            lvs: BTreeMap::new(),
        };
        host.vgs.insert(COPY.to_owned(), vg);
    }
    for lv in list.iter().take(count) {
        let (name, lps) = (alt_name(&lv.name), make.wanted.lps(lv));
        let Some(vg) = host.vgs.get_mut(COPY).filter(|vg| !vg.lvs.contains_key(&name)) else {
            continue;
        };
        let volume = Lv {
            kind: lv.kind,
            pps: BTreeMap::new(),
            copies: lv.copies,
            mount_point: lv.mount_point.as_deref().map(alt_point),
            data_mb: 0,
            boot_image: None,
            serial: call.now,
            archives: BTreeMap::new(),
            tree: (lv.kind == LvKind::Jfs2).then(std::sync::Arc::default),
        };
        vg.lvs.insert(name.clone(), volume);
        if !host.extend(COPY, &name, lps) {
            return Err(super::file_systems::no_partitions());
        }
    }
    for lv in list.iter().take(count) {
        if let Some(point) = &lv.mount_point {
            // The directory to be mounted over, in the file system above.
            let point = alt_point(point);
            let above = world.place(&call.host, &point, call.now);
            if point != "/alt_inst"
                && above.is_ok()
                && world.at(&call.host).mounted_at(&point).is_none()
            {
                let _ = world.put(&call.host, &point, Node::dir(), call.now);
            }
            mount_clone(world, call, &alt_name(&lv.name), &point);
        }
    }
    Ok(())
}
