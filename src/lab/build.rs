//! Makes a world from an estate file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::estate::{ClientSpec, DiskSpec, EstateError, EstateFile, MasterSpec, MksysbSpec};
use super::fault::Fault;
use super::files;
use super::image_data;
use super::mksysb::Archive;
use super::power::mount_all;
use super::software;
use super::tree::{Node, Tree};
use super::world::{
    Disk, Export, Host, Initial, Lv, LvKind, NimObject, PP_MB, Power, Vg, World, made_up_id, vg_id,
};
use crate::base::Millis;

/// A logical volume of every rootvg: name, kind, mount point, size, and what of
/// it is neither software nor the site's (logs, spools).
const ROOTVG: [(&str, LvKind, Option<&str>, u64, u64); 10] = [
    ("hd5", LvKind::Boot, None, 128, 0),
    ("hd6", LvKind::Paging, None, 1024, 0),
    ("hd8", LvKind::Log, None, 128, 0),
    ("lg_dumplv", LvKind::Dump, None, 1024, 0),
    ("hd4", LvKind::Jfs2, Some("/"), 1024, 220),
    ("hd2", LvKind::Jfs2, Some("/usr"), 4096, 1400),
    ("hd9var", LvKind::Jfs2, Some("/var"), 2048, 500),
    ("hd3", LvKind::Jfs2, Some("/tmp"), 1024, 40),
    ("hd1", LvKind::Jfs2, Some("/home"), 512, 60),
    ("hd10opt", LvKind::Jfs2, Some("/opt"), 1024, 420),
];

/// The boot volume of a standby BOS.
const STANDBY_BOOT: &str = "bos_hd5";

/// Makes the world.
pub(crate) fn world(estate: &EstateFile, now: Millis) -> Result<World, EstateError> {
    let mut hosts = BTreeMap::new();
    for client in &estate.client {
        hosts.insert(client.name.clone(), Arc::new(make_client(client, &estate.master.name, now)?));
    }
    hosts.insert(estate.master.name.clone(), Arc::new(make_master(estate, now)?));
    let faults = estate.fault.iter().cloned().map(Fault::new).collect();
    Ok(World { master: estate.master.name.clone(), hosts, faults: Arc::new(faults) })
}

fn make_disk(host: &str, spec: &DiskSpec) -> Disk {
    let pvid = match spec.pvid.as_deref() {
        Some("none") => None,
        Some(pvid) => Some(pvid.to_owned()),
        None => Some(made_up_id(&format!("{host}/{}", spec.name))),
    };
    Disk { size_mb: spec.size_mb, pvid, dlpar: spec.dlpar }
}

fn blank_host(name: &str, disks: BTreeMap<String, Disk>, now: Millis) -> Host {
    Host {
        name: name.to_owned(),
        power: Power::Up,
        cut_until_ms: 0,
        // Up for three weeks.
        boot_ms: now.saturating_sub(21 * 24 * 3_600_000),
        boots: 0,
        boot_disk: String::new(),
        bootlist: Vec::new(),
        disks,
        vgs: BTreeMap::new(),
        mounts: Vec::new(),
        exports: BTreeMap::new(),
        nim: BTreeMap::new(),
        jobs: BTreeMap::new(),
        barred: std::collections::BTreeSet::new(),
        multibos_leftovers: false,
        nimadm_keeps: false,
        initial: Initial::default(),
    }
}

fn blank_vg(host: &Host, disks: Vec<String>) -> Vg {
    let pvid =
        disks.first().and_then(|disk| host.disks.get(disk)?.pvid.clone()).unwrap_or_default();
    Vg { id: vg_id(&pvid), pp_mb: PP_MB, disks, on: true, asleep: false, lvs: BTreeMap::new() }
}

fn blank_lv(kind: LvKind, mount_point: Option<&str>) -> Lv {
    Lv {
        kind,
        pps: BTreeMap::new(),
        copies: 1,
        mount_point: mount_point.map(str::to_owned),
        data_mb: 0,
        boot_image: None,
        serial: 0,
        archives: BTreeMap::new(),
        tree: (kind == LvKind::Jfs2).then(Arc::default),
    }
}

/// Adds a volume of at least `size_mb` to a group.
fn add_lv(host: &mut Host, vg: &str, name: &str, lv: Lv, size_mb: u64) -> Result<(), EstateError> {
    let group = host.vgs.get_mut(vg).ok_or_else(|| sense(&host.name, &format!("has no {vg}")))?;
    group.lvs.insert(name.to_owned(), lv);
    if host.extend(vg, name, size_mb.div_ceil(PP_MB)) {
        return Ok(());
    }
    Err(sense(&host.name, &format!("has no room for {name} in {vg}")))
}

fn sense(host: &str, why: &str) -> EstateError {
    EstateError::Sense(format!("`{host}` {why}"))
}

/// Makes rootvg with its file systems and files.
fn make_rootvg(
    host: &mut Host,
    level: &str,
    sizes: &BTreeMap<String, u64>,
    data: &BTreeMap<String, u64>,
) -> Result<(), EstateError> {
    for (name, kind, point, size_mb, base_mb) in ROOTVG {
        let mut lv = blank_lv(kind, point);
        let given =
            |table: &BTreeMap<String, u64>| point.and_then(|point| table.get(point).copied());
        lv.data_mb = base_mb + given(data).unwrap_or(0);
        if kind == LvKind::Boot {
            lv.boot_image = Some(software::version_release(level));
        }
        if let Some(point) = point {
            let mut tree = files::of_system(point, &host.name, level);
            // Where another file system is mounted, a directory stands.
            if point == "/" {
                for name in ["usr", "var", "tmp", "home", "opt"] {
                    tree.put(name, Node::dir());
                }
            }
            lv.tree = Some(Arc::new(tree));
        }
        add_lv(host, "rootvg", name, lv, given(sizes).unwrap_or(size_mb))?;
    }
    Ok(())
}

fn make_client(spec: &ClientSpec, master: &str, now: Millis) -> Result<Host, EstateError> {
    let disks = spec.disk.iter().map(|d| (d.name.clone(), make_disk(&spec.name, d))).collect();
    let mut host = blank_host(&spec.name, disks, now);
    for disk in &spec.disk {
        let Some(vg) = &disk.vg else { continue };
        if host.vgs.contains_key(vg) {
            continue;
        }
        let members = spec.disk.iter().filter(|d| d.vg.as_ref() == Some(vg));
        let group = blank_vg(&host, members.map(|d| d.name.clone()).collect());
        host.vgs.insert(vg.clone(), group);
    }
    make_rootvg(&mut host, &spec.level, &spec.size_mb, &spec.data_mb)?;
    for fs in &spec.filesystem {
        let mut lv = blank_lv(LvKind::Jfs2, Some(&fs.mount_point));
        lv.data_mb = fs.data_mb;
        lv.tree_mut().put("README", Node::file(format!("{} of {}\n", fs.mount_point, spec.name)));
        add_lv(&mut host, fs.vg.as_deref().unwrap_or("rootvg"), &fs.lv, lv, fs.size_mb)?;
        if let Some(root) = host.vgs.get_mut("rootvg").and_then(|vg| vg.lvs.get_mut("hd4")) {
            root.tree_mut().put(fs.mount_point.trim_start_matches('/'), Node::dir());
        }
    }
    if spec.mirrored {
        host.mirror_all("rootvg", None).map_err(|name| {
            let why = format!("cannot mirror {name}: rootvg needs a second disk with room for it");
            sense(&spec.name, &why)
        })?;
    }
    if let Some(root) = host.vgs.get_mut("rootvg").and_then(|vg| vg.lvs.get_mut("hd4")) {
        let info = format!("export NIM_NAME={}\nexport NIM_MASTER_HOSTNAME={master}\n", spec.name);
        root.tree_mut().put("etc/niminfo", Node::file(info));
    }
    host.multibos_leftovers = spec.multibos_leftovers || spec.multibos_hidden;
    if spec.multibos_leftovers {
        add_lv(&mut host, "rootvg", STANDBY_BOOT, blank_lv(LvKind::Boot, None), PP_MB)?;
    }
    finish(&mut host, &spec.level);
    Ok(host)
}

/// Boot disk, bootlist, mounts, and the record of how it was.
fn finish(host: &mut Host, level: &str) {
    let rootvg = &host.vgs["rootvg"];
    host.boot_disk = rootvg.disks.first().cloned().unwrap_or_default();
    host.bootlist = vec![host.boot_disk.clone()];
    mount_all(host, host.boot_ms);
    host.initial = Initial {
        bootlist: host.bootlist.clone(),
        vgs: host.vgs.values().map(|vg| (vg.id.clone(), vg.disks.clone())).collect(),
        pvids: host
            .disks
            .iter()
            .filter_map(|(name, disk)| Some((name.clone(), disk.pvid.clone()?)))
            .collect(),
        exports: host.exports.keys().cloned().collect(),
        mounts: host.mounts.iter().map(|mount| mount.point.clone()).collect(),
        level: level.to_owned(),
        locked: host
            .nim
            .iter()
            .filter(|(_, object)| object.get("locked").is_some())
            .map(|(name, _)| name.clone())
            .collect(),
    };
}

fn make_master(estate: &EstateFile, now: Millis) -> Result<Host, EstateError> {
    let spec = &estate.master;
    let mut host = blank_host(&spec.name, master_disks(spec), now);
    host.nimadm_keeps = spec.nimadm_keeps;
    host.vgs.insert("rootvg".to_owned(), blank_vg(&host, vec!["hdisk0".to_owned()]));
    for (index, vg) in spec.cache_vg.iter().enumerate() {
        let group = blank_vg(&host, vec![format!("hdisk{}", index + 1)]);
        host.vgs.insert(vg.name.clone(), group);
    }
    make_rootvg(&mut host, &spec.level, &BTreeMap::new(), &BTreeMap::new())?;
    let mut lv = blank_lv(LvKind::Jfs2, Some("/export/nim"));
    lv.data_mb = 20_000;
    add_resources(&mut host, estate, lv.tree_mut());
    lv.tree_mut().put("mksysb", Node::dir());
    for spec in &estate.mksysb {
        add_mksysb(&mut host, spec, lv.tree_mut(), now)?;
    }
    add_lv(&mut host, "rootvg", "nimlv", lv, 40_960)?;
    if let Some(root) = host.vgs.get_mut("rootvg").and_then(|vg| vg.lvs.get_mut("hd4")) {
        root.tree_mut().put("export/nim", Node::dir());
    }
    finish(&mut host, &spec.level);
    Ok(host)
}

fn master_disks(spec: &MasterSpec) -> BTreeMap<String, Disk> {
    let sizes = std::iter::once(102_400).chain(spec.cache_vg.iter().map(|vg| vg.size_mb + PP_MB));
    let disk = |(index, size_mb): (usize, u64)| {
        let name = format!("hdisk{index}");
        let pvid = Some(made_up_id(&format!("{}/{name}", spec.name)));
        (name, Disk { size_mb, pvid, dlpar: false })
    };
    sizes.enumerate().map(disk).collect()
}

/// NIM's objects, and the files of its resources below /export/nim.
fn add_resources(host: &mut Host, estate: &EstateFile, tree: &mut Tree) {
    let open = |options: &str| Export { options: options.to_owned(), permanent: true };
    let within = |location: &str| location.trim_start_matches("/export/nim/").to_owned();
    let object = |class: &str, kind: &str, attributes: Vec<(&str, String)>| NimObject {
        class: class.to_owned(),
        kind: kind.to_owned(),
        attributes: attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    };
    for spec in &estate.spot {
        let location =
            spec.location.clone().unwrap_or_else(|| format!("/export/nim/{}/usr", spec.name));
        files::put_spot(tree, &within(&location), &spec.level, spec.alt_disk_level.as_deref());
        host.exports.insert(location.clone(), open("ro"));
        host.nim.insert(
            spec.name.clone(),
            object("resources", "spot", spot_attributes(&spec.level, location)),
        );
    }
    for spec in &estate.lpp_source {
        let location =
            spec.location.clone().unwrap_or_else(|| format!("/export/nim/{}", spec.name));
        files::put_lpp_source(tree, &within(&location), spec);
        host.exports.insert(location.clone(), open("ro"));
        let mut attributes = vec![
            ("arch", "power".to_owned()),
            ("Rstate", "ready for use".to_owned()),
            ("prev_state", "unavailable for use".to_owned()),
            ("location", location),
        ];
        if spec.simages {
            attributes.push(("simages", "yes".to_owned()));
        }
        attributes.extend([("alloc_count", "0".to_owned()), ("server", "master".to_owned())]);
        host.nim.insert(spec.name.clone(), object("resources", "lpp_source", attributes));
    }
    let plain = (estate.script.iter().map(|r| (r, "script")))
        .chain(estate.bundle.iter().map(|r| (r, "installp_bundle")))
        .map(|(r, kind)| (r.name.clone(), kind.to_owned(), r.location.clone(), r.content.clone()))
        .chain(
            estate
                .file_resource
                .iter()
                .map(|r| (r.name.clone(), r.kind.clone(), r.location.clone(), r.content.clone())),
        );
    for (name, kind, location, content) in plain {
        let location = location.unwrap_or_else(|| format!("/export/nim/scripts/{name}"));
        tree.put(&within(&location), Node { mode: 0o755, ..Node::file(content) });
        let attributes = vec![
            ("Rstate", "ready for use".to_owned()),
            ("prev_state", "unavailable for use".to_owned()),
            ("location", location),
            ("alloc_count", "0".to_owned()),
            ("server", "master".to_owned()),
        ];
        host.nim.insert(name, object("resources", &kind, attributes));
    }
    for client in &estate.client {
        let mut attributes = vec![
            ("connect", client.connect.clone().unwrap_or_else(|| "nimsh".to_owned())),
            ("platform", "chrp".to_owned()),
            ("netboot_kernel", "64".to_owned()),
            ("if1", format!("net_10_1 {} 0", client.name)),
            ("cable_type1", "N/A".to_owned()),
            ("Cstate", "ready for a NIM operation".to_owned()),
            ("prev_state", "ready for a NIM operation".to_owned()),
            ("Mstate", "currently running".to_owned()),
            ("cpuid", made_up_id(&client.name)[..12].to_uppercase()),
            ("Cstate_result", "success".to_owned()),
        ];
        if client.locked {
            attributes.push(("locked", "9371914".to_owned()));
        }
        host.nim.insert(client.name.clone(), object("machines", "standalone", attributes));
    }
    let attributes = vec![
        ("max_nimesis_threads", "20".to_owned()),
        ("platform", "chrp".to_owned()),
        ("netboot_kernel", "64".to_owned()),
        ("if1", format!("net_10_1 {} 0", estate.master.name)),
        ("Cstate", "ready for a NIM operation".to_owned()),
        ("prev_state", "ready for a NIM operation".to_owned()),
        ("Mstate", "currently running".to_owned()),
    ];
    host.nim.insert("master".to_owned(), object("machines", "master", attributes));
}

/// A mksysb is made of a machine that is made for it.
fn add_mksysb(
    master: &mut Host,
    spec: &MksysbSpec,
    tree: &mut Tree,
    now: Millis,
) -> Result<(), EstateError> {
    let size: u64 = 32_768 + spec.data_mb.values().sum::<u64>();
    let pvid = Some(made_up_id(&spec.name));
    let disks = BTreeMap::from([("hdisk0".to_owned(), Disk { size_mb: size, pvid, dlpar: false })]);
    let mut host = blank_host(&spec.host, disks, now);
    host.vgs.insert("rootvg".to_owned(), blank_vg(&host, vec!["hdisk0".to_owned()]));
    make_rootvg(&mut host, &spec.level, &BTreeMap::new(), &spec.data_mb)?;
    let rootvg = &host.vgs["rootvg"];
    let mut archive = Archive::default();
    let image = Node::file(image_data::of_rootvg(rootvg));
    archive.nodes.push(("./image.data".to_owned(), image));
    let mut systems: Vec<(&str, &Lv)> = rootvg
        .lvs
        .values()
        .filter_map(|lv| Some((lv.mount_point.as_deref()?.trim_end_matches('/'), lv)))
        .collect();
    systems.sort_by_key(|(point, _)| *point);
    for (point, lv) in systems {
        archive.data_mb.push((format!(".{point}"), lv.data_mb));
        for (path, node) in lv.tree.iter().flat_map(|tree| &tree.nodes) {
            archive.nodes.push((format!(".{point}/{path}"), node.clone()));
        }
    }
    let location =
        spec.location.clone().unwrap_or_else(|| format!("/export/nim/mksysb/{}", spec.name));
    tree.put(location.trim_start_matches("/export/nim/"), Node::file(archive.to_text()));
    master.nim.insert(spec.name.clone(), mksysb_object(&spec.level, &location));
    Ok(())
}

/// A mksysb resource.
pub(crate) fn mksysb_object(level: &str, location: &str) -> NimObject {
    let mut attributes = vec![("arch", "power".to_owned()), ("Rstate", "ready for use".to_owned())];
    attributes.push(("prev_state", "unavailable for use".to_owned()));
    attributes.push(("location", location.to_owned()));
    let wanted = ["version", "release", "mod", "oslevel_r"];
    let of_level = spot_attributes(level, String::new());
    attributes.extend(of_level.into_iter().filter(|(key, _)| wanted.contains(key)));
    attributes.push(("alloc_count", "0".to_owned()));
    attributes.push(("server", "master".to_owned()));
    NimObject {
        class: "resources".to_owned(),
        kind: "mksysb".to_owned(),
        attributes: attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

fn spot_attributes(level: &str, location: String) -> Vec<(&'static str, String)> {
    let part = |index: usize| level.split('-').nth(index).unwrap_or("0").to_owned();
    let (version, release) = (level.get(..1).unwrap_or("0"), level.get(1..2).unwrap_or("0"));
    vec![
        ("plat_defined", "chrp".to_owned()),
        ("arch", "power".to_owned()),
        ("bos_license", "yes".to_owned()),
        ("Rstate", "ready for use".to_owned()),
        ("prev_state", "verification is being performed".to_owned()),
        ("location", location),
        ("version", version.to_owned()),
        ("release", release.to_owned()),
        ("mod", part(1).trim_start_matches('0').to_owned()),
        ("oslevel_r", format!("{}-{}", part(0), part(1))),
        ("alloc_count", "0".to_owned()),
        ("server", "master".to_owned()),
        ("Rstate_result", "success".to_owned()),
    ]
}
