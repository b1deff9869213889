//! What nimadm does before its first phase: resources, levels, lock.

use super::args::{Args, Form};
use super::at::{ALT_FILESET, At, alt_level, on_client, spot_list};
use super::op::{Op, Run, may, must};
use super::{cleanup, lock, log, update};
use crate::lab::call::Call;
use crate::lab::software;
use crate::lab::world::World;
use crate::transport::Command;

/// Checks, takes the lock, and gives what is to be done.
pub(super) fn start(
    world: &mut World,
    call: &Call,
    args: &Args,
    run: &mut Run,
) -> Result<Vec<Op>, String> {
    if call.host != world.master || call.root != "/" {
        return Err(
            "0042-001 nimadm: processing error encountered: this is not the NIM master".into()
        );
    }
    resources(world, args)?;
    if let Some(client) = &args.client {
        check_client(world, call, args, client)?;
    }
    if args.form.migrates() {
        check_levels(world, call, args)?;
    }
    if !lock::take(world, call, args, run.pid) {
        let client = args.name();
        return Err(format!("nimadm: the object is locked: {client}"));
    }
    log::begin(world, call, args);
    log::say(world, call, args, run, "Initializing the NIM master.");
    if let Some(client) = &args.client {
        log::say(world, call, args, run, &format!("Initializing NIM client {client}."));
    }
    let form = args.form;
    if form.migrates() {
        log::say(world, call, args, run, "Verifying alt_disk_migration eligibility.");
        let path = log::path(args);
        log::say(world, call, args, run, &format!("Initializing log: {path}"));
        log::say(world, call, args, run, "Starting Alternate Disk Migration.");
        return Ok(args.phases.iter().map(|phase| Op::Phase(*phase)).collect());
    }
    match form {
        Form::Cleanup => Ok(cleanup::ops(world, call, args, false)),
        Form::Wake => Ok(wake(args)),
        Form::Sleep => Ok(sleep(world, call, args)),
        _ => update::ops(world, call, args),
    }
}

/// Whether all NIM objects are there, and are what they are given as.
fn resources(world: &World, args: &Args) -> Result<(), String> {
    let all = [
        (args.client.as_ref(), "standalone"),
        (Some(&args.spot), "spot"),
        (args.lpp_source.as_ref(), "lpp_source"),
        (args.pre_script.as_ref(), "script"),
        (args.post_script.as_ref(), "script"),
        (args.bundle.as_ref(), "installp_bundle"),
        (args.exclude.as_ref(), "exclude_files"),
        (args.image.as_ref(), "image_data"),
        (args.bosinst.as_ref(), "bosinst_data"),
        (args.mksysb.as_ref(), "mksysb"),
    ];
    let nim = &world.at(&world.master).nim;
    for (name, kind) in all {
        let Some(name) = name else { continue };
        match nim.get(name) {
            None => {
                return Err(format!("0042-053 nimadm: there is no NIM object named \"{name}\""));
            }
            Some(object) if object.kind != kind => {
                return Err(format!(
                    "0042-061 nimadm: the \"{name}\" object is not of the type \"{kind}\""
                ));
            }
            Some(_) => {}
        }
    }
    if args.form.migrates()
        && args.lpp_source.as_ref().is_some_and(|lpp| nim[lpp].get("simages") != Some("yes"))
    {
        return Err("nimadm: the lpp_source lacks simages.".into());
    }
    if let Some(vg) = &args.cache
        && !world.at(&world.master).vgs.contains_key(vg)
    {
        return Err(format!("0516-306 nimadm: Unable to find volume group {vg}."));
    }
    Ok(())
}

fn check_client(world: &World, call: &Call, args: &Args, client: &str) -> Result<(), String> {
    let silent = !world.joins(&call.host, client, call.now);
    // A clean-up does what can be done.
    if silent && args.form != Form::Cleanup {
        return Err("0042-006 nimadm: (From_Master) connect Connection timed out".into());
    }
    let host = world.at(client);
    if let Some(disk) = args.disks.iter().find(|disk| !host.disks.contains_key(*disk)) {
        return Err(format!("nimadm: {disk} is not a disk of {client}."));
    }
    Ok(())
}

fn check_levels(world: &World, call: &Call, args: &Args) -> Result<(), String> {
    let own = alt_level(world, call, &format!("/usr/{}", software::LIST));
    let spot = alt_level(world, call, &spot_list(world, args));
    if own != spot {
        return Err(format!(
            "nimadm: the levels of {ALT_FILESET} differ: {} on the master, {} in the SPOT.",
            own.unwrap_or_default(),
            spot.unwrap_or_default()
        ));
    }
    let Some(client) = args.client.as_ref().filter(|_| args.mksysb.is_none()) else {
        return Ok(());
    };
    let at = At { world, call, args };
    let level = world
        .text(client, &format!("/usr/{}", software::LIST), call.now)
        .ok()
        .and_then(|text| software::level(&software::from_text(&text)))
        .map(|level| software::version_release(&level))
        .unwrap_or_default();
    let target = at.release();
    if level > target || level == target && !args.update {
        return Err(format!("nimadm: the client is at {level} already, the SPOT is at {target}."));
    }
    if args.update && level != target {
        return Err(format!("nimadm: -U stays within a release: {level} is not {target}."));
    }
    Ok(())
}

/// `-W`.
fn wake(args: &Args) -> Vec<Op> {
    let Some(client) = &args.client else { return Vec::new() };
    let wake = on_client(client, &["alt_rootvg_op", "-W", "-d", &args.disks.join(" ")]);
    vec![
        must(wake, "nimadm: Error waking altinst_rootvg on client."),
        Op::Part(2),
        Op::Part(3),
        Op::Part(7),
    ]
}

/// `-S`.
fn sleep(world: &World, call: &Call, args: &Args) -> Vec<Op> {
    let Some(client) = &args.client else { return Vec::new() };
    let mut ops = cleanup::on_master(world, call, args);
    let exports = world.at(client).exports.keys().filter(|path| path.starts_with("/alt_inst"));
    ops.extend(exports.rev().map(|path| may(on_client(client, &["exportfs", "-u", path]))));
    let sleep: Command = on_client(client, &["alt_rootvg_op", "-S"]);
    ops.push(must(sleep, "nimadm: Error putting altinst_rootvg to sleep on client."));
    ops
}
