//! Exports.

use std::fmt::Write as _;

use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::tree::is_within;
use crate::lab::world::{Export, World};

pub(crate) fn exportfs(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "aio:uFv").and_then(|flags| {
        match (flags.has('u'), flags.rest.as_slice()) {
            (true, [directory]) => unexport(world, call, directory),
            (false, []) if flags.has('i') => Err(refuse(call, "A directory is missing.")),
            (false, []) => Ok(Reply::ok(list(world, call))),
            (false, [directory]) => {
                export(world, call, directory, flags.get('o').unwrap_or("rw"), !flags.has('i'))
            }
            _ => Err(refuse(call, "Wrong number of arguments.")),
        }
    }))
}

fn list(world: &World, call: &Call) -> String {
    let exports = &world.at(&call.host).exports;
    let width = exports.keys().map(String::len).max().unwrap_or(0);
    let mut out = String::new();
    for (directory, export) in exports {
        let _ = writeln!(out, "{directory:<width$} -{}", export.options);
    }
    out
}

pub(super) fn export(
    world: &mut World,
    call: &Call,
    directory: &str,
    options: &str,
    permanent: bool,
) -> Result<Reply, Reply> {
    let path = call.path(directory);
    if !world.is_dir(&call.host, &path, call.now) {
        return Err(Reply::fail(1, format!("exportfs: {directory}: No such file or directory")));
    }
    let hosts = options
        .split(',')
        .filter_map(|o| o.split_once('='))
        .filter(|(key, _)| matches!(*key, "rw" | "root" | "access"));
    for name in hosts.flat_map(|(_, hosts)| hosts.split(':')) {
        if world.find(name).is_none() {
            return Err(Reply::fail(1, format!("exportfs: {name}: unknown host")));
        }
    }
    // A parent or child in the same file system cannot be exported beside it.
    let fs = world.place(&call.host, &path, call.now).ok();
    let host = world.at(&call.host);
    for other in host.exports.keys().filter(|other| **other != path) {
        let same = fs
            .as_ref()
            .zip(world.place(&call.host, other, call.now).ok())
            .is_some_and(|(a, b)| a.same_fs(&b));
        if same && is_within(&path, other) {
            return Err(Reply::fail(
                1,
                format!("exportfs: 1831-185 parent-directory ({other}) already exported"),
            ));
        }
        if same && is_within(other, &path) {
            return Err(Reply::fail(
                1,
                format!("exportfs: 1831-186 sub-directory ({other}) already exported"),
            ));
        }
    }
    let export = Export { options: options.to_owned(), permanent };
    if host.exports.get(&path) == Some(&export) {
        return Ok(Reply {
            err: format!("exportfs: 1831-187 re-exported {path}\n"),
            ..Reply::default()
        });
    }
    world.at_mut(&call.host).exports.insert(path, export);
    Ok(Reply::default())
}

pub(super) fn unexport(world: &mut World, call: &Call, directory: &str) -> Result<Reply, Reply> {
    let path = call.path(directory);
    if !world.at(&call.host).exports.contains_key(&path) {
        return Err(Reply::fail(1, format!("exportfs: 1831-184 {directory} not exported")));
    }
    world.at_mut(&call.host).exports.remove(&path);
    Ok(Reply::default())
}

pub(crate) fn showmount(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "e").and_then(|flags| {
        if !flags.has('e') || flags.rest.len() > 1 {
            return Err(refuse(call, "An option is missing."));
        }
        let server = flags.rest.first().unwrap_or(&call.host);
        if !world.joins(&call.host, server, call.now) {
            return Err(Reply::fail(
                1,
                format!(
                    "showmount: 1832-011 cannot reach {server}: RPC: 1832-018 Port mapper failure"
                ),
            ));
        }
        let Some(host) = world.find(server) else {
            return Err(Reply::fail(1, format!("showmount: {server}: unknown host")));
        };
        let mut out = format!("export list for {server}:\n");
        let width = host.exports.keys().map(String::len).max().unwrap_or(0);
        for (directory, export) in &host.exports {
            let access = export
                .options
                .split(',')
                .filter_map(|o| o.split_once('='))
                .find(|(key, _)| matches!(*key, "access" | "rw"));
            let hosts =
                access.map_or("(everyone)".to_owned(), |(_, hosts)| hosts.replace(':', ","));
            let _ = writeln!(out, "{directory:<width$} {hosts}");
        }
        Ok(Reply::ok(out))
    }))
}
