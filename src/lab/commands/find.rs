//! `find`: what lies below a directory, in its own file system.

use crate::lab::call::{Call, Reply};
use crate::lab::flags::refuse;
use crate::lab::tree::{Kind, is_within};
use crate::lab::world::World;

/// What is asked for.
struct Wanted {
    directories: bool,
    remove: bool,
}

fn read(call: &Call) -> Option<Wanted> {
    let words: Vec<&str> = call.args().iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["-xdev", "!", "-type", "d"] => Some(Wanted { directories: false, remove: false }),
        ["-xdev", "-type", "d"] => Some(Wanted { directories: true, remove: false }),
        ["-xdev", "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"] => {
            Some(Wanted { directories: true, remove: true })
        }
        _ => None,
    }
}

pub(crate) fn find(world: &mut World, call: &Call) -> Reply {
    if call.args().first().is_some_and(|top| top == ".") {
        return super::mksysb::find(world, call);
    }
    let (Some(top), Some(wanted)) = (call.args().first(), read(call)) else {
        return refuse(call, "Not a recognized expression.");
    };
    let top = call.path(top);
    let found = match below(world, call, &top, wanted.directories) {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    if !wanted.remove {
        return Reply::ok(found.iter().fold(String::new(), |text, path| text + path + "\n"));
    }
    let mut reply = Reply::default();
    for path in found.iter().rev() {
        let rmdir = Call { argv: vec!["rmdir".to_owned(), path.clone()], ..call.clone() };
        reply.err += &super::files::rmdir(world, &rmdir).err;
    }
    reply
}

/// Parents first.
fn below(world: &World, call: &Call, top: &str, directories: bool) -> Result<Vec<String>, Reply> {
    let place = world.place(&call.host, top, call.now);
    let tree = place.and_then(|place| Ok((world.tree(&place)?, place.rel)));
    let missing = || {
        Reply::fail(
            1,
            format!(
                "find: 0652-081 cannot change directory to <{top}>:\n: A file or directory in the path name does not exist."
            ),
        )
    };
    let (tree, rel) = tree.map_err(|_| missing())?;
    if !rel.is_empty() && !tree.nodes.contains_key(&rel) {
        return Err(missing());
    }
    let base = top.trim_end_matches('/');
    let mut found: Vec<String> = Vec::new();
    if directories == tree.is_dir(&rel) {
        found.push(top.to_owned());
    }
    let is_below = |path: &String| rel.is_empty() || (is_within(path, &rel) && *path != rel);
    for (path, node) in tree.nodes.iter().filter(|(path, _)| is_below(path)) {
        if directories == (node.kind == Kind::Dir) {
            let inner = path.strip_prefix(rel.as_str()).unwrap_or(path).trim_start_matches('/');
            found.push(format!("{base}/{inner}"));
        }
    }
    found.sort();
    Ok(found)
}
