//! The estate as one canonical value: everything but times, process ids, log,
//! jobs, faults and clock.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::tree::{Kind, Node};
use super::world::{Host, Lv, Power, Source, Vg, World};

/// What differs from night to night and means nothing: logs of programs.
const LOGS: &str = "adm/ras/";

/// The image of the whole estate.
pub(crate) fn image(world: &World) -> Value {
    let hosts: Map<String, Value> =
        world.hosts.iter().map(|(name, host)| (name.clone(), host_image(host))).collect();
    json!({ "master": world.master, "hosts": hosts })
}

/// Its digest, in hexadecimal.
pub(crate) fn digest(world: &World) -> String {
    let text = image(world).to_string();
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn host_image(host: &Host) -> Value {
    let mut mounts: Vec<String> = host.mounts.iter().map(mount_text).collect();
    mounts.sort();
    let disks: Map<String, Value> = host
        .disks
        .iter()
        .map(|(name, disk)| {
            // A free disk may have been given an id by a copy that is gone.
            let pvid = match host.vg_of(name) {
                Some(_) => disk.pvid.as_ref(),
                None => host.initial.pvids.get(name),
            };
            (name.clone(), json!({ "size_mb": disk.size_mb, "pvid": pvid }))
        })
        .collect();
    let vgs: Map<String, Value> =
        host.vgs.iter().map(|(name, vg)| (name.clone(), vg_image(host, vg))).collect();
    let nim: Map<String, Value> = host
        .nim
        .iter()
        .map(|(name, object)| {
            let settled = |key: &str| {
                !matches!(
                    key,
                    "Cstate"
                        | "prev_state"
                        | "Cstate_result"
                        | "info"
                        | "err_info"
                        | "alloc_count"
                        // What is made later has another.
                        | "creation_date"
                )
            };
            let attributes: Map<String, Value> = object
                .attributes
                .iter()
                .filter(|(key, _)| settled(key))
                .map(|(key, value)| (key.clone(), json!(value)))
                .collect();
            (
                name.clone(),
                json!({ "class": object.class, "type": object.kind, "attributes": attributes }),
            )
        })
        .collect();
    let power = match &host.power {
        Power::Up => "up",
        Power::Booting { .. } => "booting",
        Power::Dead { why } => why,
    };
    let exports: Map<String, Value> =
        host.exports.iter().map(|(path, export)| (path.clone(), json!(export.options))).collect();
    json!({
        "power": power,
        "boot_disk": host.boot_disk,
        "bootlist": host.bootlist,
        "disks": disks,
        "vgs": vgs,
        "mounts": mounts,
        "exports": exports,
        "nim": nim,
    })
}

fn mount_text(mount: &super::world::Mount) -> String {
    match &mount.source {
        Source::Lv { vg, lv } => format!("{} = {vg}/{lv}", mount.point),
        Source::Nfs { host, path, .. } => format!("{} = {host}:{path}", mount.point),
    }
}

fn vg_image(host: &Host, vg: &Vg) -> Value {
    // One that was made later has its id from the time.
    let id = host.initial.vgs.contains_key(&vg.id).then_some(&vg.id);
    let lvs: Map<String, Value> =
        vg.lvs.iter().map(|(name, lv)| (name.clone(), lv_image(lv))).collect();
    json!({ "id": id, "disks": vg.disks, "on": vg.on, "asleep": vg.asleep, "lvs": lvs })
}

fn lv_image(lv: &Lv) -> Value {
    let files: Map<String, Value> = lv
        .tree
        .iter()
        .flat_map(|tree| tree.nodes.iter())
        .filter(|(path, _)| !path.starts_with(LOGS))
        .map(|(path, node)| (path.clone(), json!(node_text(node))))
        .collect();
    json!({
        "type": lv.kind.word(),
        "pps": lv.pps,
        "mount_point": lv.mount_point,
        "data_mb": lv.data_mb,
        "boot_image": lv.boot_image,
        "files": files,
    })
}

fn node_text(node: &Node) -> String {
    match &node.kind {
        Kind::Dir => format!("{:o} dir", node.mode),
        Kind::File(text) => format!("{:o} file {text}", node.mode),
        Kind::Link(target) => format!("link {target}"),
    }
}
