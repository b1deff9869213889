//! NIM's own record of the run: the lock on the client's object, its state,
//! and what came of it.

use super::args::Args;
use crate::lab::call::Call;
use crate::lab::fault::FaultKind;
use crate::lab::world::{NimObject, World};

const READY: &str = "ready for a NIM operation";
const WORKING: &str = "alt_disk_mig operation is being performed";

/// The client's object.
fn object<'a>(world: &'a mut World, args: &Args) -> Option<&'a mut NimObject> {
    let client = args.client.as_ref()?;
    let master = world.master.clone();
    world.at_mut(&master).nim.get_mut(client)
}

/// Takes the lock; false when somebody has it and no force is used.
pub(super) fn take(world: &mut World, call: &Call, args: &Args, pid: u32) -> bool {
    let Some(client) = args.client.clone() else { return true };
    let struck = world.strike(FaultKind::NimLocked, &client, &call.line()).is_some();
    let Some(object) = object(world, args) else { return true };
    if !args.force && (struck || object.get("locked").is_some()) {
        return false;
    }
    let before = object.get("Cstate").unwrap_or(READY).to_owned();
    object.set("prev_state", Some(&before));
    object.set("Cstate", Some(WORKING));
    object.set("info", None);
    object.set("locked", Some(&pid.to_string()));
    true
}

/// What is being done.
pub(super) fn info(world: &mut World, args: &Args, text: &str) {
    if let Some(object) = object(world, args).filter(|object| object.get("locked").is_some()) {
        object.set("info", Some(text));
    }
}

/// Drops the lock.
pub(super) fn drop(world: &mut World, args: &Args, ended_well: bool) {
    if let Some(object) = object(world, args) {
        object.set("prev_state", Some(WORKING));
        object.set("Cstate", Some(READY));
        object.set("Cstate_result", Some(if ended_well { "success" } else { "failure" }));
        object.set("info", None);
        object.set("locked", None);
    }
}
