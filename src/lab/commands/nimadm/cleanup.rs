//! What nimadm removes after a failure, and by `-C` (reference 2.13).

use super::args::{Args, Form};
use super::at::on_client;
use super::op::{Op, may};
use crate::lab::call::Call;
use crate::lab::commands::alt_disk::COPY;
use crate::lab::tree::is_within;
use crate::lab::world::World;
use crate::transport::Command;

/// Files that it puts on the client.
pub(super) const ON_CLIENT: [&str; 2] = ["/ALT_MIG_EXCLUDE", "/ALT_MIG_IMAGE"];

/// Everything is taken back; what is gone already stops nothing. `wrote` says
/// that the mksysb of `-O` was begun by this run.
pub(super) fn ops(world: &World, call: &Call, args: &Args, wrote: bool) -> Vec<Op> {
    let mut ops = Vec::new();
    if args.form != Form::Cleanup && args.form.has_copy() {
        ops.push(Op::Say("Cleaning up after a failure.".to_owned()));
    }
    ops.extend(on_master(world, call, args));
    if let Some(output) = args.output.as_ref().filter(|_| wrote) {
        ops.push(may(Command::new(["rm", "-f", output])));
    }
    if let Some(client) = &args.client {
        ops.extend(of_client(world, args, client));
    }
    ops
}

/// Mounts and cache file systems, children first.
pub(super) fn on_master(world: &World, call: &Call, args: &Args) -> Vec<Op> {
    let (top, root) = (args.top(), args.root());
    let host = world.at(&world.master);
    let mut ops = vec![Op::Say("Cleaning up alt_disk_migration on the NIM master.".to_owned())];
    for point in host.mounted_below(&top).iter().rev() {
        ops.push(may(Command::new(["umount", "-f", point])));
    }
    let mut caches: Vec<&str> = host
        .vgs
        .values()
        .flat_map(|vg| vg.lvs.values())
        .filter_map(|lv| lv.mount_point.as_deref())
        .filter(|point| is_within(point, &top))
        .collect();
    caches.sort_unstable();
    for point in caches.iter().rev() {
        ops.push(may(Command::new(["rmfs", "-r", point])));
    }
    if world.is_dir(&host.name, &top, call.now) {
        ops.push(may(Command::new(["rmdir", &root])));
        ops.push(may(Command::new(["rmdir", &top])));
    }
    ops
}

/// Exports, the copy, the SPOT.
fn of_client(world: &World, args: &Args, client: &str) -> Vec<Op> {
    let mut ops = vec![Op::Say(format!("Cleaning up alt_disk_migration on client {client}."))];
    let Some(host) = world.find(client).filter(|_| args.form.has_copy()) else { return ops };
    let exported = host.exports.keys().filter(|path| is_within(path, "/alt_inst"));
    for path in exported.rev() {
        ops.push(may(on_client(client, &["exportfs", "-u", path])));
    }
    if host.vgs.contains_key(COPY) {
        ops.push(may(on_client(client, &["alt_rootvg_op", "-X", COPY])));
    }
    ops.extend(spot(world, client));
    ops.push(may(files(client)));
    ops
}

/// The files that it puts on the client.
pub(super) fn files(client: &str) -> Command {
    on_client(client, &["rm", "-f", ON_CLIENT[0], ON_CLIENT[1]])
}

/// The SPOT's mount on the client.
pub(super) fn spot(world: &World, client: &str) -> Vec<Op> {
    let mut ops = Vec::new();
    let Some(host) = world.find(client) else { return ops };
    for _ in host.mounts.iter().filter(|mount| mount.point == "/ALT_MIG_SPOT") {
        ops.push(may(on_client(client, &["umount", "-f", "/ALT_MIG_SPOT"])));
    }
    ops.push(may(on_client(client, &["rmdir", "/ALT_MIG_SPOT"])));
    ops
}
