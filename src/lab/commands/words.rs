//! Small commands that only speak.

use crate::lab::call::{Call, Reply, Stream};
use crate::lab::flags::refuse;
use crate::lab::tree::Kind;
use crate::lab::world::World;

pub(crate) fn echo(_: &mut World, call: &Call) -> Reply {
    Reply::ok(format!("{}\n", call.args().join(" ")))
}

/// Only `%s`, once for each text, and `\\n`.
pub(crate) fn printf(_: &mut World, call: &Call) -> Reply {
    let Some((format, texts)) =
        call.args().split_first().filter(|(format, _)| !format.starts_with('-'))
    else {
        return refuse(call, "Wrong arguments.");
    };
    let format = format.replace("\\n", "\n");
    if !format.contains("%s") {
        return Reply::ok(format);
    }
    Reply::ok(texts.iter().map(|text| format.replace("%s", text)).collect::<String>())
}

/// Lines of its input that hold a text.
pub(crate) fn grep(_: &mut World, call: &Call) -> Reply {
    let args: Vec<&str> = call.args().iter().map(String::as_str).collect();
    let (["-F", word @ .., "-e", text], Some(Stream::Text(input))) = (args.as_slice(), &call.input)
    else {
        return refuse(call, "Wrong arguments.");
    };
    let fits = |line: &&str| match word {
        ["-w"] => line.split_whitespace().any(|word| word == *text),
        _ => line.contains(text),
    };
    let found: String = input.lines().filter(fits).flat_map(|line| [line, "\n"]).collect();
    Reply { status: i32::from(found.is_empty()), out: found, ..Reply::default() }
}

/// The first field of each line of its input.
pub(crate) fn cut(_: &mut World, call: &Call) -> Reply {
    let args: Vec<&str> = call.args().iter().map(String::as_str).collect();
    let (["-d:", "-f1"], Some(Stream::Text(input))) = (args.as_slice(), &call.input) else {
        return refuse(call, "Wrong arguments.");
    };
    Reply::ok(
        input
            .lines()
            .flat_map(|line| [line.split(':').next().unwrap_or(""), "\n"])
            .collect::<String>(),
    )
}

/// The first lines of its input.
pub(crate) fn head(_: &mut World, call: &Call) -> Reply {
    let args: Vec<&str> = call.args().iter().map(String::as_str).collect();
    let (["-n", count], Some(Stream::Text(input))) = (args.as_slice(), &call.input) else {
        return refuse(call, "Wrong arguments.");
    };
    match count.parse() {
        Ok(count) => Reply::ok(input.split_inclusive('\n').take(count).collect::<String>()),
        Err(_) => refuse(call, "The number of lines is not a number."),
    }
}

pub(crate) fn yes(_: &mut World, _: &Call) -> Reply {
    Reply::default()
}

pub(crate) fn no(_: &mut World, _: &Call) -> Reply {
    Reply { status: 1, ..Reply::default() }
}

pub(crate) fn test(world: &mut World, call: &Call) -> Reply {
    let args: Vec<&str> = call.args().iter().map(String::as_str).collect();
    let kind =
        |path: &str| world.look(&call.host, &call.path(path), call.now).map(|node| node.kind);
    let holds = match args.as_slice() {
        ["!", "-e", path] => kind(path).is_err(),
        ["-d", path] => matches!(kind(path), Ok(Kind::Dir)),
        ["-f", path] => matches!(kind(path), Ok(Kind::File(_))),
        ["-h" | "-L", path] => matches!(kind(path), Ok(Kind::Link(_))),
        ["-e", path] => kind(path).is_ok(),
        ["-n", text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        [a, "=", b] => a == b,
        [a, "!=", b] => a != b,
        _ => return Reply::fail(2, "test: 0403-021 A ] character is missing."),
    };
    Reply { status: i32::from(!holds), ..Reply::default() }
}
