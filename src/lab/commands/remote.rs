//! Commands that run another command elsewhere.

use crate::lab::call::{Call, Reply};
use crate::lab::flags::refuse;
use crate::lab::quoting::split;
use crate::lab::software;
use crate::lab::world::World;

/// The client that `c_rsh` reaches, and the line of shell for it.
pub(crate) fn reached(world: &World, call: &Call) -> Result<(String, String), Reply> {
    let [client, line] = call.args() else {
        return Err(refuse(call, "Wrong number of arguments."));
    };
    let here = world.at(&call.host);
    if call.host != world.master || call.root != "/" {
        return Err(Reply::fail(1, "0042-137 c_rsh: /etc/niminfo lacks variables"));
    }
    if here.nim.get(client).is_none_or(|object| object.class != "machines")
        || world.find(client).is_none()
    {
        return Err(Reply::fail(
            53,
            format!("0042-053 c_rsh: there is no NIM object named \"{client}\""),
        ));
    }
    if !world.joins(&call.host, client, call.now) {
        return Err(timed_out());
    }
    if line.trim().is_empty() {
        return Err(refuse(call, "A command is missing."));
    }
    Ok((client.clone(), line.clone()))
}

/// Nobody answers.
pub(crate) fn timed_out() -> Reply {
    Reply::fail(6, "0042-006 c_rsh: (exec_nimsh_cmd) connect Connection timed out")
}

/// The connection is gone.
pub(crate) fn broken() -> Reply {
    Reply::fail(6, "0042-006 c_rsh: (exec_nimsh_cmd) recv Connection reset by peer")
}

/// The command line on the client, where no shell reads it.
pub(crate) fn c_rsh(world: &World, call: &Call) -> Result<Call, Reply> {
    let (client, line) = reached(world, call)?;
    let argv = split(&line)
        .ok_or_else(|| Reply::fail(2, "ksh: 0403-057 Syntax error: a quote is not closed."))?;
    Ok(Call {
        host: client,
        argv,
        cwd: "/".to_owned(),
        root: "/".to_owned(),
        env: Vec::new(),
        ..call.clone()
    })
}

/// The command within another root.
pub(crate) fn chroot(world: &World, call: &Call) -> Result<Call, Reply> {
    let [directory, argv @ ..] = call.args() else {
        return Err(refuse(call, "Wrong number of arguments."));
    };
    if argv.is_empty() {
        return Err(refuse(call, "A command is missing."));
    }
    let root = call.path(directory);
    match world.look(&call.host, &root, call.now) {
        Ok(node) if node.kind == crate::lab::tree::Kind::Dir => {}
        Ok(_) => return Err(Reply::fail(1, format!("chroot: {directory}: Not a directory"))),
        Err(error) => return Err(Reply::path(call, directory, &error)),
    }
    // Without a system in it, nothing can be run in it.
    let list = format!("{root}/usr/{}", software::LIST);
    if let Err(error) = world.look(&call.host, &list, call.now) {
        return Err(Reply::fail(127, format!("chroot: cannot run {}: {error}", argv[0])));
    }
    Ok(Call { argv: argv.to_vec(), root, cwd: "/".to_owned(), ..call.clone() })
}
