//! Alternate disks: cloning, sleeping, waking, removing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::boot::vary;
use crate::base::Millis;
use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::image_data::{self, Wanted};
use crate::lab::software;
use crate::lab::tree::{Node, is_within};
use crate::lab::world::{Host, Lv, LvKind, Source, Vg, World, made_up_id, new_vg_id};

pub(super) const COPY: &str = "altinst_rootvg";

/// What an `alt_disk_copy` is asked for.
struct Copy {
    phases: String,
    disks: Vec<String>,
    keep_bootlist: bool,
    exclude: Option<String>,
    image_data: Option<String>,
}

fn read(call: &Call) -> Result<Copy, Reply> {
    let flags = Flags::read(call, "jM:P:Bd:e:i:DVrgncs:b:l:I:")?;
    flags.none(call)?;
    // Only the SPOT's own program knows these; the installed one does not.
    let of_spot = call.argv.first().is_some_and(|program| program.contains("ALT_MIG_SPOT"));
    if (flags.has('j') || flags.has('M')) && !of_spot {
        return Err(refuse(call, "Not a recognized flag: M"));
    }
    let disks: Vec<String> =
        flags.get('d').unwrap_or("").split_whitespace().map(str::to_owned).collect();
    if disks.is_empty() {
        return Err(refuse(call, "Target disks are missing."));
    }
    let phases = flags.get('P').unwrap_or("all").to_owned();
    if !matches!(phases.as_str(), "1" | "2" | "3" | "12" | "23" | "all") {
        return Err(refuse(call, "The phase is not valid."));
    }
    Ok(Copy {
        phases,
        disks,
        keep_bootlist: flags.has('B'),
        exclude: flags.get('e').map(|file| call.path(file)),
        image_data: flags.get('i').map(|file| call.path(file)),
    })
}

impl Copy {
    fn clones(&self) -> bool {
        matches!(self.phases.as_str(), "1" | "12" | "all")
    }

    fn finishes(&self) -> bool {
        matches!(self.phases.as_str(), "3" | "23" | "all")
    }
}

/// A clone takes as long as rootvg is large.
pub(crate) fn copy_ms(world: &World, call: &Call) -> Millis {
    let Ok(copy) = read(call) else { return 0 };
    let host = world.at(&call.host);
    let used: u64 = host.vgs.get("rootvg").map_or(0, |vg| vg.lvs.values().map(Lv::used_mb).sum());
    let clone = if copy.clones() { vary(&call.host, 720_000 + used * 60) } else { 0 };
    clone + if copy.finishes() { vary(&call.host, 60_000) } else { 0 }
}

/// Checks, and makes half of the clone; or unmounts half of it.
pub(crate) fn begin(world: &mut World, call: &Call) -> Result<(), Reply> {
    let copy = read(call)?;
    if copy.clones() {
        check_clone(world, call, &copy)?;
        return make_clone(world, call, &copy, true).map(|_| ());
    }
    if copy.finishes() {
        check_finish(world, call)?;
        let host = world.at_mut(&call.host);
        let points: Vec<String> = awake_points(host);
        for point in points.iter().take(points.len() / 2) {
            host.mounts.retain(|mount| mount.point != *point);
        }
    }
    Ok(())
}

pub(crate) fn alt_disk_copy(world: &mut World, call: &Call) -> Reply {
    settle(read(call).and_then(|copy| {
        let mut out = String::new();
        if copy.clones() {
            if !call.begun {
                check_clone(world, call, &copy)?;
            // One that sleeps was made by somebody else meanwhile.
            } else if world.at(&call.host).vgs.get(COPY).is_none_or(|vg| vg.asleep) {
                return Err(Reply::fail(
                    1,
                    format!("alt_disk_copy: 0516-306 : Unable to find volume group {COPY}."),
                ));
            }
            out += &make_clone(world, call, &copy, false)?;
        }
        if copy.finishes() {
            if !call.begun {
                check_finish(world, call)?;
            }
            out += &finish(world, call, &copy)?;
        }
        log_record(world, call);
        Ok(Reply::ok(out))
    }))
}

/// The command line in the client's own log.
fn log_record(world: &mut World, call: &Call) {
    let path = "/var/adm/ras/alt_disk_inst.log";
    let mut text = world.text(&call.host, path, call.now).unwrap_or_default();
    let _ = write!(text, "{}\n\ncmd: {}\n", crate::base::time_text(call.now), call.line());
    // The log is for people; that it cannot be written stops nobody.
    let _ = world.put(&call.host, path, Node::file(text), call.now);
}

pub(super) fn error(text: &str) -> Reply {
    Reply::fail(1, format!("alt_disk_copy: {text}"))
}

/// The disks must be free, and there must be no other copy.
pub(super) fn check_disks(world: &World, call: &Call, disks: &[String]) -> Result<(), Reply> {
    let host = world.at(&call.host);
    for disk in disks {
        if !host.disks.contains_key(disk) {
            return Err(error(&format!("0505-101 hdisk {disk} is not known to this system.")));
        }
        if host.disks[disk].dlpar {
            return Err(error(&format!("{disk} is not a bootable disk.")));
        }
        if host.vg_of(disk).is_some() {
            return Err(error(&format!(
                "0505-126 target disk {disk} has a volume group assigned to it."
            )));
        }
    }
    if host.vgs.contains_key(COPY) {
        return Err(error(&format!("0505-107 {COPY} exists on another disk. Remove it first.")));
    }
    if disks.is_empty() { Err(error("0505-100 there is no target disk.")) } else { Ok(()) }
}

fn check_clone(world: &World, call: &Call, copy: &Copy) -> Result<(), Reply> {
    check_disks(world, call, &copy.disks)?;
    let host = world.at(&call.host);
    for file in copy.exclude.iter().chain(&copy.image_data) {
        if world.text(&call.host, file, call.now).is_err() {
            return Err(error(&format!("0505-115 {file} does not exist.")));
        }
    }
    let source = host.vgs.get("rootvg").ok_or_else(|| error("there is no rootvg"))?;
    let wanted = wanted(world, call, copy)?;
    let needed: u64 = sources(host)
        .iter()
        .map(|(name, lv)| {
            lps(wanted.as_ref(), name, lv, source.pp_mb) * copies(wanted.as_ref(), name, lv)
        })
        .sum();
    let room: u64 = copy
        .disks
        .iter()
        .map(|disk| (host.disks[disk].size_mb / source.pp_mb).saturating_sub(1))
        .sum();
    if needed > room {
        return Err(error(&format!(
            "There is not enough disk space on the target disks for the clone: {} MB needed, {} MB available.",
            needed * source.pp_mb,
            room * source.pp_mb
        )));
    }
    Ok(())
}

/// What the image.data of `-i` asks for.
fn wanted(world: &World, call: &Call, copy: &Copy) -> Result<Option<Wanted>, Reply> {
    let Some(file) = &copy.image_data else { return Ok(None) };
    let text = world.text(&call.host, file, call.now).unwrap_or_default();
    match image_data::read(&text) {
        Some(wanted) => Ok(Some(wanted)),
        None => Err(error(&format!("0505-116 {file} is not an image.data file."))),
    }
}

/// The size of a volume's copy: the image.data's, but never less than it holds.
fn lps(wanted: Option<&Wanted>, name: &str, lv: &Lv, pp_mb: u64) -> u64 {
    let named = wanted.and_then(|wanted| {
        let volume = wanted.volumes.iter().find(|volume| volume.name == name)?;
        Some(wanted.lps(volume))
    });
    named.map_or(lv.lps(), |lps| lps.max(lv.used_mb().div_ceil(pp_mb)))
}

/// How many copies the clone of a volume has: the image.data's, or its own.
fn copies(wanted: Option<&Wanted>, name: &str, lv: &Lv) -> u64 {
    let named = wanted.and_then(|wanted| wanted.volumes.iter().find(|volume| volume.name == name));
    named.map_or(lv.copies, |volume| volume.copies)
}

/// The volumes that are cloned: all that are no file system, and the file
/// systems that are mounted. Boot image first, then parents first.
fn sources(host: &Host) -> Vec<(String, Lv)> {
    let Some(vg) = host.vgs.get("rootvg") else { return Vec::new() };
    let mounted = |lv: &str| {
        host.mounts
            .iter()
            .any(|m| matches!(&m.source, Source::Lv { vg, lv: l } if vg == "rootvg" && l == lv))
    };
    let mut list: Vec<(String, Lv)> = vg
        .lvs
        .iter()
        .filter(|(name, lv)| !lv.is_file_system() || mounted(name))
        .map(|(name, lv)| (name.clone(), lv.clone()))
        .collect();
    list.sort_by_key(|(name, lv)| (lv.mount_point.clone().unwrap_or_default(), name.clone()));
    list
}

/// The name of a volume's copy; names end at 15 characters.
pub(super) fn alt_name(name: &str) -> String {
    format!("alt_{name}").chars().take(15).collect()
}

pub(super) fn alt_point(point: &str) -> String {
    if point == "/" { "/alt_inst".to_owned() } else { format!("/alt_inst{point}") }
}

/// Makes the clone, or half of it, or what is missing of it.
fn make_clone(world: &mut World, call: &Call, copy: &Copy, half: bool) -> Result<String, Reply> {
    let excluded = exclusions(world, call, copy);
    let wanted = wanted(world, call, copy)?;
    let now = call.now;
    let mut out = String::from(
        "Calling mkszfile to create new /image.data file.\nChecking disk sizes.\nCreating cloned rootvg volume group and associated logical volumes.\n",
    );
    let host = world.at_mut(&call.host);
    let all = sources(host);
    let pp_mb = host.vgs["rootvg"].pp_mb;
    if !host.vgs.contains_key(COPY) {
        for disk in &copy.disks {
            let id = made_up_id(&format!("{}/{disk}", host.name));
            if let Some(disk) = host.disks.get_mut(disk) {
                disk.pvid.get_or_insert(id);
            }
        }
        let pvid = host.disks[&copy.disks[0]].pvid.clone().unwrap_or_default();
        let vg = Vg {
            id: new_vg_id(&pvid, now),
            pp_mb,
            disks: copy.disks.clone(),
            on: true,
            asleep: false,
            lvs: BTreeMap::new(),
        };
        host.vgs.insert(COPY.to_owned(), vg);
    }
    let count = if half { all.len() / 2 } else { all.len() };
    for (name, lv) in all.iter().take(count) {
        let alt = alt_name(name);
        let _ = writeln!(out, "Creating logical volume {alt}.");
        let lps = lps(wanted.as_ref(), name, lv, pp_mb);
        let lv = Lv { copies: copies(wanted.as_ref(), name, lv), ..lv.clone() };
        clone_volume(host, &alt, &lv, lps, &excluded, now)?;
    }
    for (name, lv) in all.iter().take(count) {
        let Some(point) = &lv.mount_point else { continue };
        let (alt, point) = (alt_name(name), alt_point(point));
        let slash = if point == "/alt_inst" { "/" } else { "" };
        let _ = writeln!(out, "Creating {point}{slash} file system.");
        mount_clone(world, call, &alt, &point);
    }
    if half {
        // The files of the last one are being written.
        if let Some((name, _)) = all.iter().take(count).next_back() {
            halve(world.at_mut(&call.host), &alt_name(name));
        }
        return Ok(out);
    }
    // Each file system's root holds the directories of those below it.
    out.push_str("Generating a list of files\nfor backup and restore into the alternate file system...\nBacking-up the rootvg files and restoring them to the\nalternate file system...\n");
    Ok(out)
}

fn clone_volume(
    host: &mut Host,
    alt: &str,
    source: &Lv,
    lps: u64,
    excluded: &[String],
    now: Millis,
) -> Result<(), Reply> {
    let is_new = !host.vgs[COPY].lvs.contains_key(alt);
    if is_new {
        let lv = Lv { pps: BTreeMap::new(), boot_image: None, serial: now, ..source.clone() };
        if let Some(vg) = host.vgs.get_mut(COPY) {
            vg.lvs.insert(alt.to_owned(), lv);
        }
        if !host.extend(COPY, alt, lps) {
            return Err(super::file_systems::no_partitions());
        }
    }
    let Some(lv) = host.vgs.get_mut(COPY).and_then(|vg| vg.lvs.get_mut(alt)) else { return Ok(()) };
    lv.mount_point = source.mount_point.as_deref().map(alt_point);
    lv.data_mb = source.data_mb;
    if source.kind == LvKind::Boot {
        lv.boot_image.clone_from(&source.boot_image);
    }
    lv.tree.clone_from(&source.tree);
    if let Some(point) = &source.mount_point {
        let out_of_bounds = |rel: &String| {
            let path = format!("{}/{rel}", point.trim_end_matches('/'));
            // Mount points of the migration are not in the clone: an assumption.
            let own = ["/ALT_MIG_SPOT", "/ALT_MIG_EXCLUDE", "/ALT_MIG_IMAGE", "/alt_inst"];
            own.iter().any(|top| is_within(&path, top))
                || excluded.iter().any(|top| is_within(&path, top))
        };
        if lv.tree.as_ref().is_some_and(|tree| tree.nodes.keys().any(out_of_bounds)) {
            lv.tree_mut().nodes.retain(|rel, _| !out_of_bounds(rel));
        }
    }
    Ok(())
}

/// Mounts a cloned file system, if it is not mounted.
pub(super) fn mount_clone(world: &mut World, call: &Call, alt: &str, point: &str) {
    let host = world.at_mut(&call.host);
    if host.mounted_at(point).is_some() {
        return;
    }
    if let Some(lv) = host
        .vgs
        .get_mut("rootvg")
        .and_then(|vg| vg.lvs.get_mut("hd4"))
        .filter(|_| point == "/alt_inst")
    {
        lv.tree_mut().put("alt_inst", Node::dir());
    }
    host.mount_lv(COPY, alt, point, "rw,log=/dev/alt_hd8", call.now);
}

/// Takes half of its files and data from a volume of the copy.
fn halve(host: &mut Host, alt: &str) {
    if let Some(lv) = host.vgs.get_mut(COPY).and_then(|vg| vg.lvs.get_mut(alt)) {
        lv.data_mb /= 2;
        if let Some(tree) = &lv.tree {
            lv.tree = Some(std::sync::Arc::new(tree.first_half()));
        }
    }
}

/// Directories that an exclude list names: lines such as `^./home/app/`.
fn exclusions(world: &World, call: &Call, copy: &Copy) -> Vec<String> {
    let text = copy.exclude.as_ref().and_then(|file| world.text(&call.host, file, call.now).ok());
    let clean = |line: &str| {
        format!(
            "/{}",
            line.trim().trim_start_matches('^').trim_start_matches("./").trim_matches('/')
        )
    };
    let text = text.unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(clean)
        .filter(|path| path != "/")
        .collect()
}

/// Mount points of the awake copy, children first.
fn awake_points(host: &Host) -> Vec<String> {
    let own = |mount: &&crate::lab::world::Mount| matches!(&mount.source, Source::Lv { vg, .. } if vg == COPY);
    let mut points: Vec<String> =
        host.mounts.iter().filter(own).map(|mount| mount.point.clone()).collect();
    points.sort();
    points.reverse();
    points
}

fn check_finish(world: &World, call: &Call) -> Result<(), Reply> {
    let host = world.at(&call.host);
    let awake = host.vgs.get(COPY).is_some_and(|vg| vg.on && !vg.asleep);
    if !awake || awake_points(host).is_empty() {
        return Err(error(&format!(
            "0505-121 {COPY} is not active, or its file systems are not mounted."
        )));
    }
    Ok(())
}

fn finish(world: &mut World, call: &Call, copy: &Copy) -> Result<String, Reply> {
    let host = world.at(&call.host);
    if host.multibos_leftovers {
        return Err(Reply::fail(
            1,
            "## Phase 3 ###################\nVerifying altinst_rootvg...\nalt_disk_copy: 0505-218 ATTENTION: init_multibos() returned an unexpected result.",
        ));
    }
    let mut out = String::from("## Phase 3 ###################\nVerifying altinst_rootvg...\n");
    out += &put_to_sleep(world.at_mut(&call.host));
    if !copy.keep_bootlist {
        let disk = copy.disks[0].clone();
        let host = world.at_mut(&call.host);
        let _ = writeln!(out, "Bootlist is set to the boot disk: {disk} blv=hd5");
        host.bootlist = vec![disk];
    }
    Ok(out)
}

/// Names volumes and mount points as in a running system, unmounts, varies off.
fn put_to_sleep(host: &mut Host) -> String {
    let mut out = String::from(
        "Changing logical volume names in volume group descriptor area.\nFixing LV control blocks...\n",
    );
    let mut points = awake_points(host);
    for point in &points {
        let _ = writeln!(out, "forced unmount of {point}\nforced unmount of {point}");
    }
    points.push("/alt_inst".to_owned());
    host.mounts.retain(|mount| !points.contains(&mount.point));
    out.push_str("Fixing file system superblocks...\n");
    rename_volumes(
        host,
        |name| name.strip_prefix("alt_").unwrap_or(name).to_owned(),
        |point| match point.strip_prefix("/alt_inst") {
            Some("") => "/".to_owned(),
            Some(rest) => rest.to_owned(),
            None => point.to_owned(),
        },
    );
    if let Some(vg) = host.vgs.get_mut(COPY) {
        vg.on = false;
        vg.asleep = true;
    }
    remove_mount_point(host);
    out
}

fn rename_volumes(host: &mut Host, name: impl Fn(&str) -> String, point: impl Fn(&str) -> String) {
    let Some(vg) = host.vgs.get_mut(COPY) else { return };
    vg.lvs = std::mem::take(&mut vg.lvs)
        .into_iter()
        .map(|(old, mut lv)| {
            lv.mount_point = lv.mount_point.as_deref().map(&point);
            (name(&old), lv)
        })
        .collect();
}

/// Removes `/alt_inst` when nothing is mounted there.
fn remove_mount_point(host: &mut Host) {
    if let Some(root) = host.vgs.get_mut("rootvg").and_then(|vg| vg.lvs.get_mut("hd4")) {
        root.tree_mut().remove("alt_inst");
    }
}

pub(crate) fn alt_rootvg_op(world: &mut World, call: &Call) -> Reply {
    settle(read_op(call).and_then(|(flags, name)| match () {
        () if flags.has('X') => remove(world, call, name.as_deref().unwrap_or(COPY)),
        () if flags.has('S') => sleep(world, call),
        () => {
            let disk =
                flags.get('d').unwrap_or("").split_whitespace().next().unwrap_or("").to_owned();
            let host = world.at(&call.host);
            let Some((group, vg)) =
                host.vg_of(&disk).map(|(group, vg)| (group.clone(), vg.clone()))
            else {
                return Err(op_error(&format!("0505-141 {disk} has no volume group.")));
            };
            if flags.has('q') {
                let boot = vg.disks.iter().find(|disk| vg.boot_lv(disk).is_some());
                return boot
                    .map(|disk| Reply::ok(format!("{disk}\n")))
                    .ok_or_else(|| op_error("there is no boot disk"));
            }
            if !vg.asleep {
                return Err(op_error(&format!("{group} does not sleep.")));
            }
            match flags.get('v') {
                Some(new) => rename(world, call, &group, new),
                None => wake(world, call, &group),
            }
        }
    }))
}

/// `-X` may stand without a name.
fn read_op(call: &Call) -> Result<(Flags, Option<String>), Reply> {
    let flags = Flags::read(call, "qv:d:WStXDCcp:")?;
    let actions = "qvWSXC".chars().filter(|letter| flags.has(*letter)).count();
    let needs_disk = flags.has('q') || flags.has('v') || flags.has('W');
    if actions != 1
        || flags.has('C')
        || needs_disk && flags.get('d').is_none()
        || flags.rest.len() > 1
    {
        return Err(refuse(call, "Wrong arguments."));
    }
    let name = flags.rest.first().cloned();
    Ok((flags, name))
}

fn op_error(text: &str) -> Reply {
    Reply::fail(1, format!("alt_rootvg_op: {text}"))
}

fn remove(world: &mut World, call: &Call, name: &str) -> Result<Reply, Reply> {
    let host = world.at_mut(&call.host);
    match host.vgs.get(name) {
        None => return Err(op_error(&format!("0505-143 volume group {name} does not exist."))),
        Some(_) if name == "rootvg" => return Err(op_error("0505-144 rootvg cannot be removed.")),
        Some(vg) if !vg.is_system() && name != COPY => {
            return Err(op_error(&format!("0505-145 {name} is not an alternate rootvg.")));
        }
        Some(_) => {}
    }
    let mut out = String::new();
    for point in awake_points(host).into_iter().filter(|_| name == COPY) {
        host.mounts.retain(|mount| mount.point != point);
        let _ = writeln!(out, "forced unmount of {point}\nforced unmount of {point}");
    }
    // Whatever bears the name.
    host.vgs.retain(|group, _| group.trim_end() != name);
    if name == COPY {
        remove_mount_point(host);
    }
    let disk = host.boot_disk.clone();
    let _ = writeln!(out, "Bootlist is set to the boot disk: {disk} blv=hd5");
    host.bootlist = vec![disk];
    Ok(Reply::ok(out))
}

fn sleep(world: &mut World, call: &Call) -> Result<Reply, Reply> {
    let host = world.at_mut(&call.host);
    if !host.vgs.get(COPY).is_some_and(|vg| vg.on && !vg.asleep) {
        return Err(op_error(&format!("0505-146 {COPY} is not awake.")));
    }
    Ok(Reply::ok(format!("Putting volume group {COPY} to sleep ...\n{}", put_to_sleep(host))))
}

fn rename(world: &mut World, call: &Call, group: &str, new: &str) -> Result<Reply, Reply> {
    let host = world.at_mut(&call.host);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if host.vgs.contains_key(new)
        || new.is_empty()
        || new.len() > 15
        || new.starts_with('.')
        || !new.chars().all(plain)
    {
        return Err(op_error(&format!("0505-147 {new} cannot be the new name.")));
    }
    if let Some(vg) = host.vgs.remove(group) {
        host.vgs.insert(new.to_owned(), vg);
    }
    Ok(Reply::default())
}

fn wake(world: &mut World, call: &Call, group: &str) -> Result<Reply, Reply> {
    let host = world.at(&call.host);
    let level = |vg: &Vg| {
        let text = vg.usr().and_then(|usr| usr.text(software::LIST)).unwrap_or("");
        software::level(&software::from_text(text)).unwrap_or_default()
    };
    let forced =
        call.env.iter().any(|(name, value)| name == "FORCE" && value.eq_ignore_ascii_case("yes"));
    let running = software::version_release(&level(&host.vgs["rootvg"]));
    if software::version_release(&level(&host.vgs[group])) > running && !forced {
        return Err(op_error(
            "0505-148 the running system is older than the group that is to be woken.",
        ));
    }
    if group != COPY && host.vgs.contains_key(COPY) {
        return Err(op_error(&format!("0505-149 {COPY} exists already.")));
    }
    let host = world.at_mut(&call.host);
    if let Some(mut vg) = host.vgs.remove(group) {
        vg.on = true;
        vg.asleep = false;
        host.vgs.insert(COPY.to_owned(), vg);
    }
    rename_volumes(host, alt_name, alt_point);
    let mut points: Vec<(String, String)> = host.vgs[COPY]
        .lvs
        .iter()
        .filter_map(|(name, lv)| Some((lv.mount_point.clone()?, name.clone())))
        .collect();
    points.sort();
    for (point, alt) in points {
        mount_clone(world, call, &alt, &point);
    }
    Ok(Reply::ok(format!("Waking up {COPY} volume group ...\n")))
}
