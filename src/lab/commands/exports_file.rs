//! `/etc/exports`, by the commands that edit it.

use std::fmt::Write as _;

use super::nfs;
use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::tree::Node;
use crate::lab::world::World;

const FILE: &str = "/etc/exports";

fn text(world: &World, call: &Call) -> String {
    world.text(&call.host, FILE, call.now).unwrap_or_default()
}

fn write(world: &mut World, call: &Call, text: String) -> Result<(), Reply> {
    let node = Node::file(text);
    world.put(&call.host, FILE, node, call.now).map_err(|e| Reply::path(call, FILE, &e))
}

fn is_of(line: &str, directory: &str) -> bool {
    line.split_whitespace().next() == Some(directory)
}

pub(crate) fn mknfsexp(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "d:t:r:c:h:BIN").and_then(|flags| {
        flags.none(call)?;
        let Some(directory) = flags.get('d') else {
            return Err(refuse(call, "A directory is missing."));
        };
        let mut options = flags.get('t').unwrap_or("rw").to_owned();
        for (flag, key) in [('r', "root"), ('c', "access")] {
            if let Some(hosts) = flags.get(flag) {
                let _ = write!(options, ",{key}={hosts}");
            }
        }
        if !flags.has('N') {
            let mut all = text(world, call);
            if all.lines().any(|line| is_of(line, directory)) {
                return Err(Reply::fail(
                    1,
                    format!("mknfsexp: 1831-181 {directory} is in {FILE} already"),
                ));
            }
            let _ = writeln!(all, "{directory} -{options}");
            write(world, call, all)?;
        }
        if flags.has('I') {
            return Ok(Reply::default());
        }
        nfs::export(world, call, directory, &options, !flags.has('N'))
    }))
}

pub(crate) fn rmnfsexp(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "d:BIN").and_then(|flags| {
        flags.none(call)?;
        let Some(directory) = flags.get('d') else {
            return Err(refuse(call, "A directory is missing."));
        };
        if !flags.has('N') {
            let all = text(world, call);
            if !all.lines().any(|line| is_of(line, directory)) {
                return Err(Reply::fail(
                    1,
                    format!("rmnfsexp: 1831-180 {directory} is not in {FILE}"),
                ));
            }
            let kept = all.lines().filter(|line| !is_of(line, directory));
            let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
            if kept.is_empty() {
                // An estate is born without the file.
                let removed = world.remove(&call.host, FILE, call.now);
                removed.map_err(|e| Reply::path(call, FILE, &e))?;
            } else {
                write(world, call, kept)?;
            }
        }
        if !flags.has('I') && world.at(&call.host).exports.contains_key(directory) {
            nfs::unexport(world, call, directory)?;
        }
        Ok(Reply::default())
    }))
}
