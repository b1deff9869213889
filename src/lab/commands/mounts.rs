//! `mount` and `umount`.

use std::fmt::Write as _;

use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::place::PathError;
use crate::lab::tree::{Kind, is_within};
use crate::lab::world::{Export, Mount, Source, World};

pub(crate) fn mount(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "o:v:n:f").and_then(|flags| {
        let options = flags.get('o').unwrap_or("");
        match flags.rest.as_slice() {
            [] if flags.get('n').is_none() => Ok(Reply::ok(table(world, call))),
            [point] if flags.get('n').is_none() => mount_local(world, call, point, options),
            [what, point] => {
                let nfs = flags
                    .get('n')
                    .map(|node| (node, what.as_str()))
                    .or_else(|| what.split_once(':'));
                match nfs {
                    Some((node, path)) => mount_nfs(world, call, node, path, point, options),
                    None => mount_device(world, call, what, point, options),
                }
            }
            _ => Err(refuse(call, "Wrong number of arguments.")),
        }
    }))
}

fn table(world: &World, call: &Call) -> String {
    let mut out = String::from(
        "  node       mounted        mounted over    vfs       date        options      \n\
         -------- ---------------  ---------------  ------ ------------ --------------- \n",
    );
    for mount in &world.at(&call.host).mounts {
        let date = super::system::short_date(mount.at_ms);
        let (node, what, vfs) = match &mount.source {
            Source::Lv { lv, .. } => ("", format!("/dev/{lv}"), "jfs2"),
            Source::Nfs { host, path, .. } => (host.as_str(), path.clone(), "nfs3"),
        };
        let _ = writeln!(
            out,
            "{node:<8} {what:<16} {:<16} {vfs:<6} {date} {} ",
            mount.point, mount.options
        );
    }
    out
}

/// The directory that is to be mounted over, which must exist.
fn check_point(world: &World, call: &Call, point: &str) -> Result<(), Reply> {
    match world.look(&call.host, point, call.now) {
        Ok(node) if node.kind == Kind::Dir => Ok(()),
        Ok(_) | Err(PathError::WrongKind) => {
            Err(Reply::fail(1, format!("mount: 0506-322 {point} is not a directory.")))
        }
        Err(PathError::Absent) => Err(Reply::fail(
            1,
            format!(
                "mount: 0506-324 Cannot mount on {point}: A file or directory in the path name does not exist."
            ),
        )),
        Err(error) => Err(Reply::path(call, point, &error)),
    }
}

fn mount_local(world: &mut World, call: &Call, point: &str, options: &str) -> Result<Reply, Reply> {
    let path = call.path(point);
    let host = world.at(&call.host);
    let Some((vg, lv, _)) = host.file_system(&path) else {
        return Err(Reply::fail(1, format!("mount: 0506-334 {point} is not a known file system.")));
    };
    let (vg, lv) = (vg.clone(), lv.clone());
    mount_volume(world, call, &vg, &lv, &path, options)
}

fn mount_device(
    world: &mut World,
    call: &Call,
    device: &str,
    point: &str,
    options: &str,
) -> Result<Reply, Reply> {
    let Some((vg, lv, _)) = world.at(&call.host).device(device) else {
        return Err(Reply::fail(
            1,
            format!(
                "mount: 0506-324 Cannot mount {device} on {point}: A file or directory in the path name does not exist."
            ),
        ));
    };
    let (vg, lv) = (vg.clone(), lv.clone());
    mount_volume(world, call, &vg, &lv, &call.path(point), options)
}

fn mount_volume(
    world: &mut World,
    call: &Call,
    vg: &str,
    lv: &str,
    path: &str,
    options: &str,
) -> Result<Reply, Reply> {
    let host = world.at(&call.host);
    let same = |m: &Mount| matches!(&m.source, Source::Lv { vg: v, lv: l } if v == vg && l == lv);
    if host.mounts.iter().any(same) {
        return Err(Reply::fail(
            1,
            format!(
                "mount: 0506-324 Cannot mount /dev/{lv} on {path}: The requested resource is busy."
            ),
        ));
    }
    if !host.vgs[vg].on {
        return Err(Reply::fail(
            1,
            format!(
                "mount: 0506-324 Cannot mount /dev/{lv} on {path}: There is a request to a device or address that does not exist."
            ),
        ));
    }
    check_point(world, call, path)?;
    let options = if options.is_empty() { "rw,log=INLINE" } else { options };
    let host = world.at_mut(&call.host);
    host.mount_lv(vg, lv, path, options, call.now);
    Ok(Reply::default())
}

fn mount_nfs(
    world: &mut World,
    call: &Call,
    server: &str,
    path: &str,
    point: &str,
    options: &str,
) -> Result<Reply, Reply> {
    let point = call.path(point);
    let giving_up = |line: String| {
        Reply::fail(1, format!("{line}\nmount: 1831-008 giving up on:\n{server}:{path}"))
    };
    if world.find(server).is_none() {
        return Err(giving_up(format!(
            "mount: 1831-019 nfsmnthelp: {server}: Hostname and service name not provided or found"
        )));
    }
    if !world.joins(&call.host, server, call.now) {
        return Err(giving_up(format!(
            "mount: 1831-010 server {server} not responding: RPC: 1832-018 Port mapper failure - RPC: 1832-008 Timed out"
        )));
    }
    check_point(world, call, &point)?;
    let export = world.at(server).export_of(path);
    if !export.is_some_and(|export| export.admits(&call.host)) {
        return Err(giving_up(format!("mount: 1831-011 access denied for {server}:{path}")));
    }
    let read_only = export.is_some_and(Export::read_only);
    let handle = world.place(server, path, call.now).and_then(|place| {
        let tree = world.tree(&place)?;
        if tree.is_dir(&place.rel) {
            Ok((world.volume(&place)?.serial, place))
        } else {
            Err(PathError::Absent)
        }
    });
    let Ok((serial, place)) = handle else {
        return Err(giving_up(format!(
            "mount: access denied for {server}:{path}: A file or directory in the path name does not exist."
        )));
    };
    let options = match (options.is_empty(), read_only && !options.split(',').any(|o| o == "ro")) {
        (true, true) => "ro,bg,hard,intr,sec=sys".to_owned(),
        (true, false) => "bg,hard,intr,sec=sys".to_owned(),
        (false, true) => format!("ro,{options},sec=sys"),
        (false, false) => format!("{options},sec=sys"),
    };
    world.at_mut(&call.host).mounts.push(Mount {
        point,
        source: Source::Nfs {
            host: server.to_owned(),
            path: path.to_owned(),
            vg: place.vg,
            lv: place.lv,
            sub: place.rel,
            serial,
        },
        options,
        at_ms: call.now,
    });
    Ok(Reply::default())
}

/// What `umount` is to unmount, and whether in any case; nothing where the
/// command line is none.
pub(crate) fn unmounted(call: &Call) -> Option<(String, bool)> {
    let flags = Flags::read(call, "fv:").ok()?;
    Some((flags.one(call).ok()?.to_owned(), flags.has('f')))
}

/// What `umount` says of a file system that is in use.
pub(crate) fn unmount_busy(what: &str) -> String {
    format!("umount: 0506-349 Cannot unmount {what}: The requested resource is busy.")
}

pub(crate) fn umount(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "fv:").and_then(|flags| {
        let what = flags.one(call)?.to_owned();
        let path = call.path(&what);
        let host = world.at(&call.host);
        let by_device = host.mounts.iter().rposition(
            |m| matches!(&m.source, Source::Lv { lv, .. } if what == format!("/dev/{lv}")),
        );
        let found = host.mounts.iter().rposition(|mount| mount.point == path).or(by_device);
        let Some(index) = found else {
            return Err(Reply::fail(
                1,
                format!("umount: 0506-347 Cannot find anything to unmount for {what}."),
            ));
        };
        let point = host.mounts[index].point.clone();
        let nested =
            host.mounts.iter().any(|mount| mount.point != point && is_within(&mount.point, &point));
        let system = matches!(point.as_str(), "/" | "/usr" | "/var" | "/tmp");
        if nested || system {
            return Err(Reply::fail(1, unmount_busy(&what)));
        }
        world.at_mut(&call.host).mounts.remove(index);
        let out =
            if flags.has('f') { format!("forced unmount of {point}\n") } else { String::new() };
        Ok(Reply::ok(out))
    }))
}
