//! Files and directories.

use std::fmt::Write as _;

use crate::lab::call::{Call, Reply, Stream};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::place::PathError;
use crate::lab::tree::{Kind, Node, Tree};
use crate::lab::world::World;

/// Runs `each` for every operand; the last failure is the reply.
fn for_each(
    world: &mut World,
    call: &Call,
    paths: &[String],
    each: impl Fn(&mut World, &str) -> Result<(), Reply>,
) -> Result<Reply, Reply> {
    if paths.is_empty() {
        return Err(refuse(call, "Wrong number of arguments."));
    }
    let mut reply = Reply::default();
    for path in paths {
        if let Err(failed) = each(world, path) {
            reply.err += &failed.err;
            reply.status = failed.status;
        }
    }
    Ok(reply)
}

fn path_reply<'a>(call: &'a Call, path: &'a str) -> impl Fn(PathError) -> Reply + 'a {
    move |error| Reply::path(call, path, &error)
}

pub(crate) fn mkdir(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "pm:").and_then(|flags| {
        let parents = flags.has('p');
        for_each(world, call, &flags.rest, |world, path| {
            let whole = call.path(path);
            if world.look(&call.host, &whole, call.now).is_ok() {
                if parents && world.is_dir(&call.host, &whole, call.now) {
                    return Ok(());
                }
                return Err(Reply::fail(
                    1,
                    format!("mkdir: 0653-358 Cannot create {path}.\n{path}: File exists"),
                ));
            }
            let mut made = String::new();
            for part in whole.split('/').filter(|part| !part.is_empty()) {
                made = format!("{made}/{part}");
                let there = world.look(&call.host, &made, call.now).is_ok();
                if !there && (parents || made == whole) {
                    world
                        .put(&call.host, &made, Node::dir(), call.now)
                        .map_err(path_reply(call, path))?;
                }
            }
            if parents || world.is_dir(&call.host, &whole, call.now) {
                Ok(())
            } else {
                Err(Reply::path(call, path, &PathError::Absent))
            }
        })
    }))
}

pub(crate) fn rmdir(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "p").and_then(|flags| {
        for_each(world, call, &flags.rest, |world, path| {
            let whole = call.path(path);
            let fail = path_reply(call, path);
            if world.at(&call.host).mounted_at(&whole).is_some() {
                return Err(Reply::fail(
                    1,
                    format!("rmdir: 0653-611 Directory {path} is a mount point or busy."),
                ));
            }
            let node = world.look(&call.host, &whole, call.now).map_err(&fail)?;
            if node.kind != Kind::Dir {
                return Err(Reply::fail(1, format!("rmdir: 0653-610 {path} is not a directory.")));
            }
            let place = world.place(&call.host, &whole, call.now).map_err(&fail)?;
            if !world.tree(&place).map_err(&fail)?.names(&place.rel).is_empty() {
                return Err(Reply::fail(
                    1,
                    format!("rmdir: 0653-611 Directory {path} is not empty."),
                ));
            }
            world.remove(&call.host, &whole, call.now).map_err(&fail)
        })
    }))
}

pub(crate) fn rm(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "rfRe").and_then(|flags| {
        let recursive = flags.has('r') || flags.has('R');
        for_each(world, call, &flags.rest, |world, path| {
            let whole = call.path(path);
            let fail = path_reply(call, path);
            match world.look(&call.host, &whole, call.now) {
                Err(PathError::Absent) if flags.has('f') => Ok(()),
                Err(error) => Err(fail(error)),
                Ok(node) if node.kind == Kind::Dir && !recursive => {
                    Err(Reply::fail(2, format!("rm: 0653-603 {path} is a directory.")))
                }
                Ok(_) => {
                    let mounts = &world.at(&call.host).mounts;
                    if whole == "/"
                        || mounts.iter().any(|m| crate::lab::tree::is_within(&m.point, &whole))
                    {
                        return Err(Reply::fail(
                            2,
                            format!(
                                "rm: 0653-609 Cannot remove {path}. The requested resource is busy."
                            ),
                        ));
                    }
                    world.remove(&call.host, &whole, call.now).map_err(fail)
                }
            }
        })
    }))
}

pub(crate) fn ls(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "lda1ARi").map(|flags| {
        let here = vec![".".to_owned()];
        let paths = if flags.rest.is_empty() { &here } else { &flags.rest };
        let mut reply = Reply::default();
        for path in paths {
            let whole = call.path(path);
            let node = match world.look(&call.host, &whole, call.now) {
                Ok(node) => node,
                Err(PathError::Absent) => {
                    let _ = writeln!(reply.err, "ls: 0653-341 The file {path} does not exist.");
                    reply.status = 2;
                    continue;
                }
                Err(error) => {
                    let _ = writeln!(reply.err, "ls: {path}: {error}");
                    reply.status = 2;
                    continue;
                }
            };
            if node.kind != Kind::Dir || flags.has('d') {
                if flags.has('i') {
                    let _ = write!(reply.out, "{:>5} ", world.inode(&call.host, &whole, call.now));
                }
                reply.out += &entry(path, &node, flags.has('l'));
                continue;
            }
            let listed = world.place(&call.host, &whole, call.now).and_then(|place| {
                let tree = world.tree(&place)?;
                Ok(tree
                    .names(&place.rel)
                    .into_iter()
                    .map(|name| {
                        let inner = if place.rel.is_empty() {
                            name.clone()
                        } else {
                            format!("{}/{name}", place.rel)
                        };
                        (name, tree.nodes.get(&inner).cloned().unwrap_or_else(Node::dir))
                    })
                    .collect::<Vec<_>>())
            });
            if paths.len() > 1 {
                let _ = writeln!(reply.out, "{path}:");
            }
            if flags.has('l') {
                let _ = writeln!(reply.out, "total {}", listed.as_ref().map_or(0, Vec::len) * 8);
            }
            let all = flags.has('a') || flags.has('A');
            for (name, node) in listed.unwrap_or_default() {
                if all || !name.starts_with('.') {
                    reply.out += &entry(&name, &node, flags.has('l'));
                }
            }
        }
        reply
    }))
}

fn entry(name: &str, node: &Node, long: bool) -> String {
    if !long {
        return format!("{name}\n");
    }
    let (kind, size, target) = match &node.kind {
        Kind::Dir => ('d', 256, String::new()),
        Kind::File(text) => ('-', text.len(), String::new()),
        Kind::Link(target) => ('l', target.len(), format!(" -> {target}")),
    };
    let bits: String = (0..9)
        .map(|bit| if node.mode >> (8 - bit) & 1 == 1 { ['r', 'w', 'x'][bit % 3] } else { '-' })
        .collect();
    format!("{kind}{bits}    1 root     system       {size:>8} Nov 01 12:00 {name}{target}\n")
}

pub(crate) fn cat(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "q").map(|flags| {
        if flags.rest.is_empty() {
            return match &call.input {
                Some(Stream::Text(text)) => Reply::ok(text.clone()),
                Some(archive) => Reply { archive: Some(archive.clone()), ..Reply::default() },
                None => Reply::default(),
            };
        }
        let mut reply = Reply::default();
        for path in &flags.rest {
            match world.text(&call.host, &call.path(path), call.now) {
                Ok(text) => reply.out += &text,
                Err(error) => {
                    let _ = writeln!(reply.err, "cat: 0652-050 Cannot open {path}. {error}");
                    reply.status = 2;
                }
            }
        }
        reply
    }))
}

pub(crate) fn touch(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "c").and_then(|flags| {
        for_each(world, call, &flags.rest, |world, path| {
            let whole = call.path(path);
            match world.look(&call.host, &whole, call.now) {
                Ok(_) => Ok(()),
                Err(PathError::Absent) => world
                    .put(&call.host, &whole, Node::file(""), call.now)
                    .map_err(path_reply(call, path)),
                Err(error) => Err(Reply::path(call, path, &error)),
            }
        })
    }))
}

pub(crate) fn chmod(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "R").and_then(|flags| {
        let Some((mode, paths)) = flags.rest.split_first() else {
            return Err(refuse(call, "Wrong number of arguments."));
        };
        let Some(mode) = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o777) else {
            return Err(refuse(call, "The mode is not valid."));
        };
        for_each(world, call, paths, |world, path| {
            let whole = call.path(path);
            let fail = path_reply(call, path);
            let node = world.look(&call.host, &whole, call.now).map_err(&fail)?;
            let owner = if node.kind == Kind::Dir { 0o700 } else { 0o600 };
            world
                .put(&call.host, &whole, Node { mode: mode | owner, ..node }, call.now)
                .map_err(&fail)
        })
    }))
}

pub(crate) fn ln(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "sf").and_then(|flags| {
        let ([target, path], true) = (flags.rest.as_slice(), flags.has('s')) else {
            return Err(refuse(call, "Wrong number of arguments."));
        };
        if target.is_empty() || target.contains('\0') || target.len() > 1023 {
            return Err(Reply::fail(1, "ln: 0653-421 The target is not valid."));
        }
        let whole = call.path(path);
        if !flags.has('f') && world.look(&call.host, &whole, call.now).is_ok() {
            return Err(Reply::fail(
                1,
                format!("ln: 0653-421 {path} exists.\n\tSpecify -f to remove."),
            ));
        }
        let node = Node { mode: 0o777, kind: Kind::Link(target.clone()) };
        world.put(&call.host, &whole, node, call.now).map_err(path_reply(call, path))?;
        Ok(Reply::default())
    }))
}

pub(crate) fn readlink(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "").and_then(|flags| {
        let path = flags.one(call)?;
        match world.look(&call.host, &call.path(path), call.now).map(|node| node.kind) {
            Ok(Kind::Link(target)) => Ok(Reply::ok(format!("{target}\n"))),
            _ => Err(Reply { status: 1, ..Reply::default() }),
        }
    }))
}

pub(crate) fn mv(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "f").and_then(|flags| {
        let [source, target] = flags.rest.as_slice() else {
            return Err(refuse(call, "Wrong number of arguments."));
        };
        let (from, to) = (call.path(source), call.path(target));
        let node = world.look(&call.host, &from, call.now).map_err(path_reply(call, source))?;
        if node.kind == Kind::Dir {
            return Err(Reply::fail(
                1,
                format!("mv: 0653-401 Cannot rename {source} to {target}."),
            ));
        }
        world.put(&call.host, &to, node, call.now).map_err(path_reply(call, target))?;
        if from != to {
            world.remove(&call.host, &from, call.now).map_err(path_reply(call, source))?;
        }
        Ok(Reply::default())
    }))
}

pub(crate) fn cp(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "hpRrf").and_then(|flags| {
        let [sources @ .., target] = flags.rest.as_slice() else {
            return Err(refuse(call, "Wrong number of arguments."));
        };
        if sources.is_empty() {
            return Err(refuse(call, "Wrong number of arguments."));
        }
        let recursive = flags.has('R') || flags.has('r');
        let to = call.path(target);
        let into = world.is_dir(&call.host, &to, call.now);
        for source in sources {
            let from = call.path(source);
            let fail = path_reply(call, source);
            let node = world.look(&call.host, &from, call.now).map_err(&fail)?;
            let name = from.rsplit('/').next().unwrap_or("");
            let to = if into { format!("{}/{name}", to.trim_end_matches('/')) } else { to.clone() };
            if node.kind != Kind::Dir {
                world.put(&call.host, &to, node, call.now).map_err(&fail)?;
            } else if recursive {
                copy_tree(world, call, &from, &to).map_err(&fail)?;
            } else {
                return Err(Reply::fail(
                    1,
                    format!("cp: 0653-436 {source} is a directory. Specify -r or -R to copy."),
                ));
            }
        }
        Ok(Reply::default())
    }))
}

/// Copies a directory within its own file system's bounds.
fn copy_tree(world: &mut World, call: &Call, from: &str, to: &str) -> Result<(), PathError> {
    if crate::lab::tree::is_within(to, from) {
        return Err(PathError::WrongKind);
    }
    let place = world.place(&call.host, from, call.now)?;
    let nodes = below(world.tree(&place)?, &place.rel);
    if world.look(&call.host, to, call.now).is_err() {
        world.put(&call.host, to, Node::dir(), call.now)?;
    }
    for (rel, node) in nodes.nodes {
        let path = format!("{to}/{rel}");
        if node.kind != Kind::Dir || !world.is_dir(&call.host, &path, call.now) {
            world.put(&call.host, &path, node, call.now)?;
        }
    }
    Ok(())
}

/// What lies below `rel`, by paths from there.
pub(super) fn below(tree: &Tree, rel: &str) -> Tree {
    if rel.is_empty() {
        return tree.clone();
    }
    let top = format!("{rel}/");
    let nodes = tree
        .nodes
        .iter()
        .filter_map(|(path, node)| Some((path.strip_prefix(&top)?.to_owned(), node.clone())));
    Tree { nodes: nodes.collect() }
}
