//! `odmget`: objects of the device database.

use std::fmt::Write as _;

use crate::lab::call::{Call, Reply};
use crate::lab::files::DEVICE_ODM;
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::world::World;

/// Objects of `CuAt` that meet a criterion: `name=sys0`, or `name LIKE en*`.
pub(crate) fn odmget(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "q:").and_then(|flags| {
        let class = flags.one(call)?;
        if class != "CuAt" || !DEVICE_ODM.contains(&class) {
            return Err(Reply::fail(
                1,
                format!("odmget: 0514-516 Cannot open the {class} object class."),
            ));
        }
        let fits = |name: &str| match flags.get('q') {
            None => Some(true),
            Some(criterion) => match criterion.split_once(" LIKE ") {
                Some(("name", pattern)) => Some(name.starts_with(pattern.strip_suffix('*')?)),
                Some(_) => None,
                None => Some(criterion.strip_prefix("name=")? == name),
            },
        };
        if fits("").is_none() {
            return Err(refuse(call, "Only criteria by name are known."));
        }
        let directory = call.env.iter().rev().find(|(name, _)| name == "ODMDIR");
        let directory = directory.map_or("/etc/objrepos", |(_, directory)| directory.as_str());
        let path = call.path(&format!("{directory}/{class}"));
        let text = world.text(&call.host, &path, call.now).map_err(|error| {
            Reply::fail(1, format!("odmget: 0514-516 Cannot open the {class} object class: {error}"))
        })?;
        let mut out = String::new();
        for line in text.lines() {
            let Some((name, (attribute, value))) = line
                .split_once(':')
                .and_then(|(name, rest)| Some((name, rest.split_once('=')?)))
            else {
                continue;
            };
            if fits(name) == Some(true) {
                let _ = writeln!(
                    out,
                    "\n{class}:\n\tname = \"{name}\"\n\tattribute = \"{attribute}\"\n\tvalue = \"{value}\"\n\ttype = \"R\"\n\tgeneric = \"DU\"\n\trep = \"s\"\n\tnls_index = 0"
                );
            }
        }
        Ok(Reply::ok(out))
    }))
}
