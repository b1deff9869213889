//! How a command line finds its command, and how long that takes: in the registry,
//! as a file, on other hosts (`c_rsh`) and in other roots (`chroot`).

use super::call::{Call, Line, Reply, Span};
use super::commands::{Does, REGISTRY, Row};
use super::place::PathError;
use super::tree::Kind;
use super::world::World;

/// What the line takes.
pub(crate) fn span(world: &World, line: &Line) -> Span {
    let first = span_of(world, &line.call);
    match line.second(None) {
        None => first,
        Some(second) => {
            let second = span_of(world, &second);
            Span {
                ms: first.ms.max(second.ms),
                staged: first.staged || second.staged,
                stepwise: false,
            }
        }
    }
}

fn span_of(world: &World, call: &Call) -> Span {
    let mut extra = 0;
    let mut call = call.clone();
    let at_once = |ms| Span { ms, staged: false, stepwise: false };
    loop {
        let row = match find(world, &call) {
            Found::Row(row) => row,
            Found::Script(_) => return at_once(extra + 20_000),
            Found::Nothing(_) => return at_once(extra + 100),
        };
        if let Does::Cover(wrap) = row.does {
            match wrap(world, &call) {
                Ok(inner) => call = inner,
                Err(_) => return at_once(row.base_ms),
            }
            extra += row.base_ms;
            continue;
        }
        let more = row.more_ms.map_or(0, |more| more(world, &call));
        return Span {
            ms: extra + row.base_ms + more,
            staged: row.begin.is_some(),
            // Through a cover it runs at once.
            stepwise: matches!(row.does, Does::Steps) && extra == 0,
        };
    }
}

/// The command behind those that only run another one.
pub(crate) fn innermost(world: &World, call: &Call) -> Call {
    let mut call = call.clone();
    while let Found::Row(Row { does: Does::Cover(wrap), .. }) = find(world, &call) {
        match wrap(world, &call) {
            Ok(inner) => call = inner,
            Err(_) => break,
        }
    }
    call
}

/// What a command line calls.
pub(crate) enum Found {
    Row(&'static Row),
    Script(String),
    Nothing(Reply),
}

/// Directories in which every command of the registry is found.
const PATH: [&str; 13] = [
    "/usr/sbin",
    "/usr/bin",
    "/bin",
    "/sbin",
    "/etc",
    "/usr/lib",
    "/usr/lib/instl",
    "/usr/lpp/bosinst",
    "/usr/lpp/bos.sysmgt/nim/methods",
    "/usr/lib/lpd",
    "/usr/lib/ras",
    "/usr/local/bin",
    "/usr/es/sbin",
];

/// Finds what the call is of.
pub(crate) fn find(world: &World, call: &Call) -> Found {
    let program = call.argv.first().map_or("", String::as_str);
    let absent = || Found::Nothing(Reply::fail(127, format!("ksh: {program}:  not found")));
    let registered = || row(call).map_or_else(absent, Found::Row);
    if let Some((directory, name)) = program.rsplit_once('/') {
        if PATH.contains(&directory) {
            return registered();
        }
        return match world.look(&call.host, &call.path(program), call.now) {
            Ok(node) => match node.kind {
                Kind::File(_) if node.mode & 0o100 == 0 => Found::Nothing(Reply::fail(
                    126,
                    format!("ksh: {program}: 0403-006 Execute permission denied."),
                )),
                Kind::File(text) if text.starts_with("AIX ") && text.contains(name) => registered(),
                Kind::File(text) => Found::Script(text),
                _ => absent(),
            },
            Err(PathError::Absent) => absent(),
            Err(error) => Found::Nothing(Reply::path(call, program, &error)),
        };
    }
    registered()
}

/// The reply of `call`'s command, with its usage where that is to be told.
pub(crate) fn with_usage(call: &Call, reply: Reply) -> Reply {
    reply.with_usage(row(call).map_or("", |row| row.usage))
}

fn row(call: &Call) -> Option<&'static Row> {
    REGISTRY.iter().find(|row| row.name == call.name())
}
