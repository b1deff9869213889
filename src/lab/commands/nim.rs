//! NIM on the master.

use std::fmt::Write as _;

use super::system::long_date;
use crate::lab::call::{Call, Reply};
use crate::lab::fault::FaultKind;
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::mksysb::Archive;
use crate::lab::software;
use crate::lab::tree::Kind;
use crate::lab::world::{NimObject, World};

fn unknown(call: &Call, name: &str) -> Reply {
    Reply::fail(53, format!("0042-053 {}: there is no NIM object named \"{name}\"", call.name()))
}

/// Only the master has NIM's database.
fn on_master(world: &World, call: &Call) -> Result<(), Reply> {
    if call.host == world.master {
        return Ok(());
    }
    Err(Reply::fail(
        1,
        format!(
            "0042-001 {}: processing error encountered: this is not the NIM master",
            call.name()
        ),
    ))
}

pub(crate) fn lsnim(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "lt:c:Za:").and_then(|flags| {
        on_master(world, call)?;
        if flags.rest.len() > 1 {
            return Err(refuse(call, "Wrong number of arguments."));
        }
        // One that is asked for by name: a lock of somebody else is seen there.
        let lock =
            flags.has('l') && flags.rest.first().is_some_and(|name| locked(world, name, call));
        let host = world.at(&call.host);
        let wanted = |name: &str, object: &NimObject| {
            flags.get('t').is_none_or(|kind| object.kind == kind)
                && flags.get('c').is_none_or(|class| object.class == class)
                && flags.rest.first().is_none_or(|only| only == name)
        };
        if let Some(name) = flags.rest.first().filter(|name| !host.nim.contains_key(*name)) {
            return Err(unknown(call, name));
        }
        let mut out = String::new();
        let objects: Vec<(&String, &NimObject)> =
            host.nim.iter().filter(|(name, object)| wanted(name, object)).collect();
        if flags.has('Z') {
            let names: Vec<&str> = flags.all('a').collect();
            let _ = writeln!(out, "#name:{}:", names.join(":"));
            for (name, object) in objects {
                let values: Vec<&str> =
                    names.iter().filter_map(|attribute| object.get(attribute)).collect();
                let _ = writeln!(out, "{name}:{}:", values.join(":"));
            }
        } else if flags.has('l') {
            for (name, object) in objects {
                out += &stanza(name, object, lock);
            }
        } else {
            let width = objects.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, object) in objects {
                let _ = writeln!(out, "{name:<width$}     {:<13} {}", object.class, object.kind);
            }
        }
        Ok(Reply::ok(out))
    }))
}

/// Whether the fault of a locked object meets this call.
fn locked(world: &mut World, name: &str, call: &Call) -> bool {
    world.strike(FaultKind::NimLocked, name, &call.line()).is_some()
}

fn stanza(name: &str, object: &NimObject, lock: bool) -> String {
    let mut rows = vec![("class", object.class.as_str()), ("type", object.kind.as_str())];
    rows.extend(object.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    if lock && object.get("locked").is_none() {
        rows.push(("locked", "6029662"));
    }
    let width = rows.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let mut out = format!("{name}:\n");
    for (key, value) in rows {
        let _ = writeln!(out, "   {key:<width$} = {value}");
    }
    out
}

pub(crate) fn nim(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "Fo:a:t:").and_then(|flags| {
        on_master(world, call)?;
        let name = flags.one(call)?.to_owned();
        let Some(operation) = flags.get('o') else {
            return Err(refuse(call, "An option is missing."));
        };
        if operation == "define" {
            return define(world, call, &flags, &name);
        }
        let changes = !flags.has('F') && !["lslpp", "showres"].contains(&operation);
        let struck = changes && locked(world, &name, call);
        let object = world.at(&call.host).nim.get(&name).ok_or_else(|| unknown(call, &name))?;
        if changes && (struck || object.get("locked").is_some()) {
            return Err(Reply::fail(1, format!("0042-001 nim: processing error encountered on \"master\":\n   the object \"{name}\" is locked by another operation")));
        }
        let pairs: Vec<(&str, &str)> = flags.all('a').filter_map(|pair| pair.split_once('=')).collect();
        let get = |key: &str| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        match operation {
            "lslpp" => lslpp(world, call, &name, get("lslpp_flags").unwrap_or("-L"), get("filesets")),
            "reset" => Ok(change(
                world,
                call,
                &name,
                &[("Cstate", "ready for a NIM operation"), ("locked", "")],
            )),
            "check" => Ok(Reply::default()),
            "deallocate" => Ok(deallocate(world, call, &name, &pairs)),
            "showres" => super::nim_software::showres(world, call, &name),
            "cust" => super::nim_software::cust(world, call, &name, &get),
            "allocate" | "change" => Ok(change(world, call, &name, &pairs)),
            "showlog" => Ok(Reply::ok(format!("BEGIN:{}\nEND\n", super::system::long_date(call.now)))),
            "remove" => remove(world, call, &name),
            other => Err(Reply::fail(15, format!("0042-015 nim: \"{other}\" is not a valid operation"))),
        }
    }))
}

/// Only mksysb resources are defined and removed in the lab.
fn define(world: &mut World, call: &Call, flags: &Flags, name: &str) -> Result<Reply, Reply> {
    let find = |key: &str| {
        flags.all('a').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key)
    };
    if flags.get('t') != Some("mksysb") {
        return Err(Reply::fail(
            1,
            "0042-001 nim: the lab defines resources of type \"mksysb\" only",
        ));
    }
    let (Some(("server", "master")), Some((_, location))) = (find("server"), find("location"))
    else {
        return Err(Reply::fail(25, "0042-025 nim: server and location are needed"));
    };
    if world.at(&call.host).nim.contains_key(name) {
        return Err(Reply::fail(
            81,
            format!("0042-081 nim: a NIM object named \"{name}\" already exists"),
        ));
    }
    let text = world.text(&call.host, location, call.now).ok();
    let Some(archive) = text.and_then(|text| Archive::parse(&text)) else {
        return Err(Reply::fail(
            1,
            format!("0042-001 nim: processing error: {location} is not a mksysb image"),
        ));
    };
    let list = archive.nodes.iter().find_map(|(path, node)| match &node.kind {
        Kind::File(text) if *path == format!("./usr/{}", software::LIST) => Some(text),
        _ => None,
    });
    let level = list.and_then(|text| software::level(&software::from_text(text)));
    let mut object = crate::lab::build::mksysb_object(&level.unwrap_or_default(), location);
    object.set("creation_date", Some(&long_date(call.now)));
    world.at_mut(&call.host).nim.insert(name.to_owned(), object);
    Ok(Reply::default())
}

fn remove(world: &mut World, call: &Call, name: &str) -> Result<Reply, Reply> {
    let host = world.at_mut(&call.host);
    if host.nim.get(name).is_none_or(|object| object.kind != "mksysb") {
        return Err(Reply::fail(
            1,
            "0042-001 nim: the lab removes resources of type \"mksysb\" only",
        ));
    }
    host.nim.remove(name);
    Ok(Reply::default())
}

/// Sets attributes; an empty value removes one.
fn change(world: &mut World, call: &Call, name: &str, pairs: &[(&str, &str)]) -> Reply {
    if let Some(object) = world.at_mut(&call.host).nim.get_mut(name) {
        for (key, value) in pairs {
            object.set(key, Some(*value).filter(|value| !value.is_empty()));
        }
    }
    Reply::default()
}

/// Resources that a machine can be given.
const RESOURCES: [&str; 7] =
    ["spot", "lpp_source", "mksysb", "bosinst_data", "image_data", "exclude_files", "script"];

/// Takes resources from a machine: those that are named, or all.
fn deallocate(world: &mut World, call: &Call, name: &str, pairs: &[(&str, &str)]) -> Reply {
    let all = pairs.contains(&("subclass", "all"));
    let is_meant = |resource: &&&str| all || pairs.iter().any(|(key, _)| key == *resource);
    let meant: Vec<(&str, &str)> =
        RESOURCES.iter().filter(is_meant).map(|resource| (*resource, "")).collect();
    change(world, call, name, &meant)
}

/// `lslpp` within a SPOT, or on a client.
fn lslpp(
    world: &World,
    call: &Call,
    name: &str,
    letters: &str,
    filesets: Option<&str>,
) -> Result<Reply, Reply> {
    let object = &world.at(&call.host).nim[name];
    let (host, path) = match (object.kind.as_str(), object.get("location")) {
        ("spot", Some(location)) => (call.host.clone(), format!("{location}/{}", software::LIST)),
        ("standalone", _) if world.joins(&call.host, name, call.now) => {
            (name.to_owned(), format!("/usr/{}", software::LIST))
        }
        ("standalone", _) => {
            return Err(Reply::fail(
                6,
                "0042-006 m_lslpp: (From_Master) connect Connection timed out",
            ));
        }
        _ => return Err(Reply::fail(15, "0042-015 nim: \"lslpp\" is not valid for this object")),
    };
    let text =
        world.text(&host, &path, call.now).map_err(|error| Reply::path(call, &path, &error))?;
    let list = software::from_text(&text);
    let argv = vec!["lslpp".to_owned(), letters.to_owned()];
    let inner = Call { argv, ..call.clone() };
    let flags = Flags::read(&inner, "Llcqwha").map_err(|refused| refused.with_usage("lslpp"))?;
    let patterns: Vec<String> = filesets
        .unwrap_or("")
        .split([' ', ','])
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect();
    if let Some(lost) =
        patterns.iter().find(|p| !p.contains('*') && list.iter().all(|f| f.name != **p))
    {
        return Err(Reply::fail(
            1,
            format!(
                "0042-175 c_lslpp: An unexpected result was returned by the \"lslpp\" command:\nlslpp: 0504-132  Fileset {lost} not installed."
            ),
        ));
    }
    Ok(Reply::ok(super::show::of_list(&list, &[], &flags, &patterns)))
}

pub(crate) fn alog(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "ot:f:q").and_then(|flags| {
        on_master(world, call)?;
        match (flags.has('o'), flags.get('t')) {
            (true, Some("nim" | "boot")) => Ok(Reply::ok("")),
            _ => Err(refuse(call, "An option is missing.")),
        }
    }))
}
