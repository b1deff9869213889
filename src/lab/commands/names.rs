//! Names and addresses of the estate's hosts.

use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, settle};
use crate::lab::world::World;

/// The address that every host knows another by: by its place among all.
fn address(world: &World, name: &str) -> Option<String> {
    let place = world.hosts.keys().position(|host| host == name)?;
    Some(format!("10.1.{}.{}", 1 + place / 250, 1 + place % 250))
}

/// `NAME is ADDRESS`, by name or address.
pub(crate) fn host(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "n").and_then(|flags| {
        let asked = flags.one(call)?;
        let known = world
            .hosts
            .keys()
            .find(|name| name.as_str() == asked || address(world, name).as_deref() == Some(asked));
        match known.and_then(|name| Some((name, address(world, name)?))) {
            Some((name, address)) => Ok(Reply::ok(format!("{name} is {address}\n"))),
            None => {
                Err(Reply::fail(1, format!("host: 0827-801 Host name {asked} does not exist.")))
            }
        }
    }))
}
