//! What NIM tells of an lpp_source, and what it installs in a SPOT.

use std::fmt::Write as _;

use crate::lab::call::{Call, Reply};
use crate::lab::software::{self, Fileset};
use crate::lab::tree::Node;
use crate::lab::world::World;

/// The list of `installp -L`.
pub(super) fn installable(filesets: &[Fileset]) -> String {
    let mut out = String::new();
    for Fileset { name, vrmf, about, .. } in filesets {
        let package = name.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let _ = writeln!(out, "{package}:{name}:{vrmf}::I:T:::::N:{about}::::");
    }
    out
}

/// The filesets of a directory of images.
fn images(world: &World, call: &Call, directory: &str) -> Result<Vec<Fileset>, Reply> {
    let toc = world.text(&call.host, &format!("{directory}/.toc"), call.now);
    toc.map(|text| software::from_text(&text)).map_err(|_| {
        Reply::fail(1, format!("0042-001 nim: processing error encountered on \"master\":\n   0503-005 The format of .toc file is invalid, or {directory} cannot be read."))
    })
}

/// Where the images of a lpp_source, or of a directory, lie.
fn directory(world: &World, call: &Call, source: &str) -> Result<String, Reply> {
    if source.starts_with('/') {
        return Ok(source.to_owned());
    }
    let object = world.at(&call.host).nim.get(source).filter(|o| o.kind == "lpp_source");
    let location = object.and_then(|object| object.get("location"));
    location.map(|location| format!("{location}/installp/ppc")).ok_or_else(|| {
        Reply::fail(53, format!("0042-053 nim: there is no NIM object named \"{source}\""))
    })
}

pub(super) fn showres(world: &World, call: &Call, name: &str) -> Result<Reply, Reply> {
    let directory = directory(world, call, name)?;
    Ok(Reply::ok(installable(&images(world, call, &directory)?)))
}

/// Installs filesets of an lpp_source in a SPOT, or updates those that it has.
pub(super) fn cust<'a>(
    world: &mut World,
    call: &Call,
    name: &str,
    get: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<Reply, Reply> {
    let object = &world.at(&call.host).nim[name];
    let (Some(location), true) = (object.get("location"), object.kind == "spot") else {
        return Err(Reply::fail(
            1,
            "0042-001 nim: the lab customizes objects of type \"spot\" only",
        ));
    };
    let path = format!("{location}/{}", software::LIST);
    let (Some(source), Some(filesets)) = (get("lpp_source"), get("filesets")) else {
        return Err(Reply::fail(25, "0042-025 nim: lpp_source and filesets are needed"));
    };
    let available = images(world, call, &directory(world, call, source)?)?;
    let mut chosen = Vec::new();
    for wanted in filesets.split_whitespace() {
        let Some(found) = available.iter().find(|fileset| fileset.name == wanted) else {
            return Err(Reply::fail(
                1,
                format!(
                    "0042-175 c_installp: An unexpected result was returned by the \"installp\" command:\n    {wanted}  # not on the installation media"
                ),
            ));
        };
        chosen.push(found.clone());
    }
    let text = world.text(&call.host, &path, call.now).unwrap_or_default();
    let list = software::merged(software::from_text(&text), &chosen);
    let node = Node::file(software::to_text(&list));
    world.put(&call.host, &path, node, call.now).map_err(|e| Reply::path(call, &path, &e))?;
    let mut out = String::from(
        "\nInstallation Summary\n--------------------\nName                        Level           Part        Event       Result\n-------------------------------------------------------------------------------\n",
    );
    for fileset in &chosen {
        let _ = writeln!(
            out,
            "{:<27} {:<15} USR         APPLY       SUCCESS",
            fileset.name, fileset.vrmf
        );
    }
    Ok(Reply::ok(out))
}
