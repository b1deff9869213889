//! `tar` and `dd`: what goes through pipes between hosts.

use super::boot::vary;
use crate::base::Millis;
use crate::lab::call::{Call, Reply, Stream};
use crate::lab::flags::{refuse, settle};
use crate::lab::place::PathError;
use crate::lab::tree::{Kind, Node};
use crate::lab::world::{LvKind, World};

/// What a `tar` is asked for.
struct Tar {
    create: bool,
    directory: String,
}

/// Reads tar's arguments: `-cUf - -C DIR .` and `-xpUf - -C DIR`.
fn read_tar(call: &Call) -> Result<Tar, Reply> {
    let mut create = None;
    let mut directory = None;
    let mut file = None;
    let mut rest = Vec::new();
    let mut args = call.args().iter();
    while let Some(arg) = args.next() {
        match arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            Some("C") => directory = args.next().cloned(),
            Some(letters) => {
                for letter in letters.chars() {
                    match letter {
                        'c' => create = Some(true),
                        'x' => create = Some(false),
                        'f' => file = args.next().cloned(),
                        'U' | 'p' | 'v' | 'd' => {}
                        other => {
                            return Err(refuse(call, &format!("Not a recognized flag: {other}")));
                        }
                    }
                }
            }
            None => rest.push(arg),
        }
    }
    match (create, file.as_deref(), directory) {
        (Some(create), Some("-"), directory) if rest.iter().all(|operand| *operand == ".") => {
            Ok(Tar { create, directory: directory.unwrap_or_else(|| ".".to_owned()) })
        }
        _ => Err(refuse(call, "Wrong arguments.")),
    }
}

/// A copy takes as long as what is copied is large.
pub(crate) fn tar_ms(world: &World, call: &Call) -> Millis {
    let Ok(tar) = read_tar(call) else { return 0 };
    let place = world.place(&call.host, &call.path(&tar.directory), call.now);
    let used = place.and_then(|place| Ok(world.volume(&place)?.used_mb())).unwrap_or(0);
    if tar.create { vary(&call.host, used * 75) } else { 0 }
}

pub(crate) fn tar(world: &mut World, call: &Call) -> Reply {
    settle(read_tar(call).and_then(|tar| {
        let path = call.path(&tar.directory);
        let place = world
            .place(&call.host, &path, call.now)
            .map_err(|e| Reply::path(call, &tar.directory, &e))?;
        if !world.is_dir(&call.host, &path, call.now) {
            return Err(Reply::fail(
                1,
                format!(
                    "tar: chdir to {}: A file or directory in the path name does not exist.",
                    tar.directory
                ),
            ));
        }
        if tar.create {
            let volume = world.volume(&place).map_err(|e| Reply::path(call, &tar.directory, &e))?;
            let all = volume.tree.as_deref().cloned().unwrap_or_default();
            let data_mb = if place.rel.is_empty() { volume.data_mb } else { 0 };
            let tree = super::files::below(&all, &place.rel);
            return Ok(Reply {
                archive: Some(Stream::Archive { tree, data_mb }),
                ..Reply::default()
            });
        }
        let Some(Stream::Archive { tree, data_mb }) = &call.input else {
            return Err(Reply::fail(
                1,
                "tar: 0511-169 A directory checksum error on media; 0 not equal to 5000.",
            ));
        };
        if place.read_only {
            return Err(Reply::path(call, &tar.directory, &PathError::ReadOnly));
        }
        let pp_mb = world.pp_mb(&place.host, &place.vg);
        let volume = world.volume_mut(&place).map_err(|e| Reply::path(call, &tar.directory, &e))?;
        if data_mb + crate::lab::software::size_mb(tree) > volume.lps() * pp_mb {
            return Err(Reply::fail(
                1,
                "tar: 0511-188 Cannot write to file: There is not enough space in the file system.",
            ));
        }
        let prefix = if place.rel.is_empty() { String::new() } else { format!("{}/", place.rel) };
        let target = volume.tree_mut();
        for (rel, node) in &tree.nodes {
            target.put(&format!("{prefix}{rel}"), node.clone());
        }
        if place.rel.is_empty() {
            volume.data_mb = *data_mb;
        }
        Ok(Reply::default())
    }))
}

/// `if=`, `of=` of a `dd`.
fn read_dd(call: &Call) -> Result<(Option<&str>, Option<&str>), Reply> {
    let (mut input, mut output) = (None, None);
    for arg in call.args() {
        match arg.split_once('=') {
            Some(("if", file)) => input = Some(file),
            Some(("of", file)) => output = Some(file),
            Some(("bs" | "count" | "conv" | "skip" | "seek", _)) => {}
            _ => {
                return Err(refuse(call, &format!("0511-096 An unsupported operand: {arg}")));
            }
        }
    }
    Ok((input, output))
}

pub(crate) fn dd_ms(_: &World, call: &Call) -> Millis {
    if read_dd(call).is_ok_and(|(_, output)| output.is_some_and(|to| to.starts_with("/dev/"))) {
        4000
    } else {
        0
    }
}

/// A device is spoilt as soon as something is written to it.
pub(crate) fn begin_dd(world: &mut World, call: &Call) -> Result<(), Reply> {
    let (_, output) = read_dd(call)?;
    match output {
        Some(to) if to.starts_with("/dev/") => write_device(world, call, to, None).map(|_| ()),
        _ => Ok(()),
    }
}

pub(crate) fn dd(world: &mut World, call: &Call) -> Reply {
    settle(read_dd(call).and_then(|(input, output)| {
        let text = match (input, &call.input) {
            (Some(from), _) => world
                .text(&call.host, &call.path(from), call.now)
                .map_err(|_| Reply::fail(2, format!("dd: 0511-051 The open failed.\n{from}: A file or directory in the path name does not exist.")))?,
            (None, Some(Stream::Text(text))) => text.clone(),
            (None, _) => String::new(),
        };
        let records = format!("{}+0 records in.\n{}+0 records out.\n", 6000, 6000);
        match output {
            None => Ok(Reply { out: text, err: records, ..Reply::default() }),
            Some(to) if to.starts_with("/dev/") => {
                write_device(world, call, to, Some(&text))?;
                Ok(Reply { err: records, ..Reply::default() })
            }
            Some(to) => {
                let node = Node { mode: 0o644, kind: Kind::File(text) };
                world.put(&call.host, &call.path(to), node, call.now).map_err(|e| Reply::path(call, to, &e))?;
                Ok(Reply { err: records, ..Reply::default() })
            }
        }
    }))
}

/// Writes a boot image to a boot volume; none, or a broken one, spoils it.
fn write_device(
    world: &mut World,
    call: &Call,
    device: &str,
    text: Option<&str>,
) -> Result<Reply, Reply> {
    let found = world
        .at(&call.host)
        .device(device)
        .map(|(vg, lv, volume)| (vg.clone(), lv.clone(), volume.kind));
    let Some((vg, lv, kind)) = found else {
        return Err(Reply::fail(
            2,
            format!(
                "dd: 0511-053 The write failed.\n{device}: There is a request to a device or address that does not exist."
            ),
        ));
    };
    if kind != LvKind::Boot {
        return Err(Reply::fail(
            2,
            format!("dd: 0511-053 The write failed.\n{device}: The device is busy."),
        ));
    }
    let image = text.and_then(super::boot::image_level);
    let host = world.at_mut(&call.host);
    if let Some(volume) = host.vgs.get_mut(&vg).and_then(|vg| vg.lvs.get_mut(&lv)) {
        volume.boot_image = image;
    }
    Ok(Reply::default())
}
