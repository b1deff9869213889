//! Restoring the base, merging configuration, installing filesets.

use std::fmt::Write as _;

use super::boot::vary;
use crate::base::Millis;
use crate::lab::call::{Call, Reply};
use crate::lab::files::{self, DEVICE_ODM, MERGED};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::mksysb::Archive;
use crate::lab::software::{self, BOS_IMAGE, Fileset, LIST, RPM_LIST};
use crate::lab::tree::Node;
use crate::lab::world::World;

/// The list of filesets of the system at `root`, a path as the host sees it.
fn list_at(world: &World, call: &Call, root: &str) -> Result<Vec<Fileset>, Reply> {
    let path = format!("{}/usr/{LIST}", root.trim_end_matches('/'));
    let text = world.text(&call.host, &path, call.now);
    text.map(|text| software::from_text(&text)).map_err(|error| Reply::path(call, &path, &error))
}

fn put(world: &mut World, call: &Call, path: &str, node: Node) -> Result<(), Reply> {
    let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent).to_owned();
    make_dirs(world, call, &parent)?;
    world.put(&call.host, path, node, call.now).map_err(|error| Reply::path(call, path, &error))
}

fn make_dirs(world: &mut World, call: &Call, path: &str) -> Result<(), Reply> {
    let mut made = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        made = format!("{made}/{part}");
        if !world.is_dir(&call.host, &made, call.now) {
            world
                .put(&call.host, &made, Node::dir(), call.now)
                .map_err(|error| Reply::path(call, path, &error))?;
        }
    }
    Ok(())
}

fn set_list(world: &mut World, call: &Call, root: &str, list: &[Fileset]) -> Result<(), Reply> {
    let path = format!("{}/usr/{LIST}", root.trim_end_matches('/'));
    put(world, call, &path, Node::file(software::to_text(list)))
}

/// The level of the bos image at `-f`, and what the call writes to.
fn read_restore(world: &World, call: &Call) -> Result<(String, String), Reply> {
    let flags = Flags::read(call, "xqvdTf:")?;
    let (true, Some(device)) = (flags.has('x'), flags.get('f')) else {
        return Err(refuse(call, "An option is missing."));
    };
    let text = world.text(&call.host, &call.path(device), call.now).map_err(|_| {
        Reply::fail(1, format!("restore: 0511-126 Cannot open {device}: A file or directory in the path name does not exist."))
    })?;
    let Some(level) = text.strip_prefix("bos ").map(|level| level.trim().to_owned()) else {
        return Err(Reply::fail(
            1,
            format!("restore: 0511-163 The volume on {device} is not in backup format."),
        ));
    };
    Ok((level, call.path(".").trim_end_matches('/').to_owned()))
}

/// All that the bos image holds, in its order.
fn bos_files(level: &str, root: &str) -> Vec<(String, Node)> {
    let root_files =
        files::base_root(level).into_iter().map(|(path, node)| (format!("{root}/{path}"), node));
    let usr_files =
        files::base_usr(level).into_iter().map(|(path, node)| (format!("{root}/usr/{path}"), node));
    root_files.chain(usr_files).collect()
}

/// The file and the names of a `restore` of a mksysb.
fn of_mksysb(world: &World, call: &Call) -> Option<(String, Vec<String>)> {
    let flags = Flags::read(call, "xqvdTf:").ok()?;
    let device = flags.get('f').filter(|_| flags.has('x'))?.to_owned();
    let text = world.text(&call.host, &call.path(&device), call.now).ok()?;
    Archive::is_one(&text).then_some((device, flags.rest))
}

pub(crate) fn begin_restore(world: &mut World, call: &Call) -> Result<(), Reply> {
    if let Some((device, only)) = of_mksysb(world, call) {
        return super::mksysb::restore(world, call, &device, &only, true).map(|_| ());
    }
    let (level, root) = read_restore(world, call)?;
    let all = bos_files(&level, &root);
    let half = all.len() / 2;
    for (path, node) in all.into_iter().take(half) {
        put(world, call, &path, node)?;
    }
    Ok(())
}

pub(crate) fn restore(world: &mut World, call: &Call) -> Reply {
    if let Some((device, only)) = of_mksysb(world, call) {
        return settle(super::mksysb::restore(world, call, &device, &only, false));
    }
    settle(read_restore(world, call).and_then(|(level, root)| {
        for (path, node) in bos_files(&level, &root) {
            put(world, call, &path, node)?;
        }
        // Where there is no system yet the list begins here.
        let list = list_at(world, call, &root).unwrap_or_default();
        let new: Vec<Fileset> = software::filesets(&level)
            .into_iter()
            .filter(|f| BOS_IMAGE.contains(&f.name.as_str()))
            .collect();
        set_list(world, call, &root, &software::merged(list, &new))?;
        Ok(Reply::default())
    }))
}

/// Where the saved configuration lies.
const SAVED: &str = "/lpp/save.config";

pub(crate) fn odm_merge(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "").and_then(|flags| {
        if flags.rest.is_empty() {
            return Err(refuse(call, "Wrong number of arguments."));
        }
        let mut out = String::new();
        for class in &flags.rest {
            if !DEVICE_ODM.contains(&class.as_str()) {
                return Err(Reply::fail(
                    1,
                    format!("ODM_merge: 0514-053 {class} is not a known object class."),
                ));
            }
            merge(world, call, SAVED, &format!("objrepos/{class}"))?;
            let _ = writeln!(out, "Running migration merge method: ODM_merge {class}.");
        }
        Ok(Reply::ok(out))
    }))
}

pub(crate) fn merge_config(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "").and_then(|flags| {
        let saved = flags.one(call)?;
        let mut out = String::new();
        for file in MERGED {
            merge(world, call, saved, file)?;
            let name = file.rsplit('/').next().unwrap_or(file);
            let _ = writeln!(out, "Running migration merge method: {name}_mig.");
        }
        Ok(Reply::ok(out))
    }))
}

/// Adds to `/etc/FILE` the lines of the saved one whose first field it lacks; of
/// the device database the objects, each by device and attribute.
fn merge(world: &mut World, call: &Call, saved: &str, file: &str) -> Result<(), Reply> {
    let old_path = call.path(&format!("{saved}/etc/{file}"));
    let new_path = call.path(&format!("/etc/{file}"));
    let old = world
        .text(&call.host, &old_path, call.now)
        .map_err(|error| Reply::path(call, &old_path, &error))?;
    let mut new = world.text(&call.host, &new_path, call.now).unwrap_or_default();
    let ends: &[char] = if file.starts_with("objrepos/") { &['='] } else { &[':', ' '] };
    let key = |line: &str| line.split(ends).next().unwrap_or("").to_owned();
    let known: std::collections::BTreeSet<String> = new.lines().map(key).collect();
    for line in old.lines().filter(|line| !known.contains(&key(line))) {
        new.push_str(line);
        new.push('\n');
    }
    put(world, call, &new_path, Node::file(new))
}

/// What an `installp` is asked for.
#[expect(clippy::struct_excessive_bools, reason = "they are its flags")]
struct Install {
    root: String,
    cleanup: bool,
    list: bool,
    accept: bool,
    extend: bool,
    device: Option<String>,
    bundle: Option<String>,
    names: Vec<String>,
}

fn read_installp(call: &Call) -> Result<Install, Reply> {
    let flags = Flags::read(call, "CLacgNXYqwvFR:d:f:V:")?;
    let install = Install {
        root: flags.get('R').map_or_else(|| call.root.clone(), |root| call.path(root)),
        cleanup: flags.has('C'),
        list: flags.has('L'),
        accept: flags.has('Y'),
        extend: flags.has('X'),
        device: flags.get('d').map(|device| call.path(device)),
        bundle: flags.get('f').map(|file| call.path(file)),
        names: flags.rest,
    };
    let nothing = install.names.is_empty() && install.bundle.is_none();
    if !install.cleanup && (install.device.is_none() || (nothing && !install.list)) {
        return Err(refuse(call, "An option is missing."));
    }
    Ok(install)
}

/// The filesets that are to be installed, of those in the device's table of
/// contents.
fn chosen(world: &World, call: &Call, install: &Install) -> Result<Vec<Fileset>, Reply> {
    let device = install.device.as_deref().unwrap_or("");
    let toc = world.text(&call.host, &format!("{device}/.toc"), call.now).map_err(|_| {
        Reply::fail(1, format!("0503-005 installp: The format of the .toc file is invalid, or {device} cannot be read."))
    })?;
    let mut names = install.names.clone();
    if let Some(bundle) = &install.bundle {
        let text = world
            .text(&call.host, bundle, call.now)
            .map_err(|error| Reply::path(call, bundle, &error))?;
        names.extend(
            text.lines()
                .map(|line| line.trim().trim_start_matches("I:").to_owned())
                .filter(|line| !line.is_empty() && !line.starts_with('#')),
        );
    }
    let all = software::from_text(&toc);
    if names.iter().any(|name| name == UPDATE_ALL) {
        names.retain(|name| name != UPDATE_ALL);
        let installed = list_at(world, call, &install.root)?;
        let known = |new: &&Fileset| installed.iter().any(|old| old.name == new.name);
        names.extend(all.iter().filter(known).map(|fileset| fileset.name.clone()));
    }
    if let Some(lost) =
        names.iter().find(|name| *name != "all" && all.iter().all(|f| f.name != **name))
    {
        return Err(Reply::fail(
            1,
            format!(
                "installp: MISSING REQUISITES or missing filesets:\n    {lost}  # not on the installation media"
            ),
        ));
    }
    Ok(all
        .into_iter()
        .filter(|f| names.iter().any(|name| name == "all" || *name == f.name))
        .collect())
}

/// Those of `chosen` that are not there yet. What another release has in its bos
/// image comes by `restore` alone: as filesets there are only its updates.
fn missing(list: &[Fileset], chosen: Vec<Fileset>) -> Vec<Fileset> {
    let release = |fileset: &Fileset| software::version_release(&fileset.aix);
    let stays = |new: &Fileset| {
        list.iter().any(|old| {
            let is_there = old.aix >= new.aix && old.state != "BROKEN";
            let is_restored =
                BOS_IMAGE.contains(&new.name.as_str()) && release(old) != release(new);
            old.name == new.name && (is_there || is_restored)
        })
    };
    chosen.into_iter().filter(|fileset| !stays(fileset)).collect()
}

pub(crate) fn installp_ms(world: &World, call: &Call) -> Millis {
    let Ok(install) = read_installp(call) else { return 0 };
    if install.cleanup || install.list {
        return 0;
    }
    let todo = chosen(world, call, &install)
        .and_then(|chosen| Ok(missing(&list_at(world, call, &install.root)?, chosen)));
    vary(&call.host, todo.map_or(0, |todo| todo.len() as u64) * 95_000)
}

/// Checks licences and room, and grows `/usr` where it must.
fn prepare(world: &mut World, call: &Call, install: &Install) -> Result<Vec<Fileset>, Reply> {
    let list = list_at(world, call, &install.root)?;
    if list.iter().any(|fileset| fileset.state == "BROKEN") && !call.begun {
        return Err(Reply::fail(
            1,
            "0503-434 installp: There are incomplete installation operations on the\n\tfollowing filesets.  Run installp -C to clean up the previous failures before continuing.",
        ));
    }
    let todo = missing(&list, chosen(world, call, install)?);
    if !todo.is_empty() && !install.accept {
        return Err(Reply::fail(
            1,
            "installp: The software license agreements of the selected filesets have not been accepted.\n\tUse the -Y flag to accept them.",
        ));
    }
    let old =
        |new: &Fileset| list.iter().find(|old| old.name == new.name).map_or(0, |old| old.size_mb);
    let more: u64 = todo.iter().map(|new| new.size_mb.saturating_sub(old(new))).sum();
    // Old and new files are there side by side while the new ones are committed.
    let need_mb = more + todo.iter().map(|new| new.size_mb).sum::<u64>() / 3;
    let usr = format!("{}/usr", install.root.trim_end_matches('/'));
    let place =
        world.place(&call.host, &usr, call.now).map_err(|error| Reply::path(call, &usr, &error))?;
    let volume = world.volume(&place).map_err(|error| Reply::path(call, &usr, &error))?;
    let pp_mb = world.at(&place.host).vgs[&place.vg].pp_mb;
    let short_mb = (volume.used_mb() + need_mb).saturating_sub(volume.lps() * pp_mb);
    let pps = short_mb.div_ceil(pp_mb);
    if pps > 0 && !(install.extend && world.at_mut(&place.host).extend(&place.vg, &place.lv, pps)) {
        return Err(Reply::fail(
            1,
            format!(
                "0516-404 allocp: This system cannot fulfill the allocation request.\n\
             installp: 0503-008 installp: There is not enough free space in file system /usr ({} more 512-byte blocks are required).\n\t\
             An attempt to extend this file system was unsuccessful.\n\tMake more space available then retry this operation.",
                short_mb * 2048
            ),
        ));
    }
    Ok(todo)
}

pub(crate) fn begin_installp(world: &mut World, call: &Call) -> Result<(), Reply> {
    let install = read_installp(call)?;
    if install.cleanup || install.list {
        return Ok(());
    }
    let mut todo = prepare(world, call, &install)?;
    let half = todo.len() / 2;
    todo.truncate(half + 1);
    // The one that is being worked on is neither old nor new.
    if let Some(last) = todo.last_mut() {
        "BROKEN".clone_into(&mut last.state);
    }
    let list = list_at(world, call, &install.root)?;
    set_list(world, call, &install.root, &software::merged(list, &todo))
}

pub(crate) fn installp(world: &mut World, call: &Call) -> Reply {
    settle(read_installp(call).and_then(|install| {
        if install.cleanup {
            return clean_up(world, call, &install);
        }
        if install.list {
            let names = vec!["all".to_owned()];
            let found = chosen(world, call, &Install { names, ..install })?;
            return Ok(Reply::ok(super::nim_software::installable(&found)));
        }
        let todo = prepare(world, call, &install)?;
        let list = list_at(world, call, &install.root)?;
        set_list(world, call, &install.root, &software::merged(list, &todo))?;
        let mut out = String::from("\nInstallation Summary\n--------------------\nName                        Level           Part        Event       Result\n-------------------------------------------------------------------------------\n");
        for fileset in &todo {
            let _ = writeln!(out, "{:<27} {:<15} USR         APPLY       SUCCESS", fileset.name, fileset.vrmf);
        }
        if todo.is_empty() {
            return Ok(Reply::ok("installp: No filesets on the media could be used to update the currently\n\tinstalled software: all are already installed.\n"));
        }
        Ok(Reply::ok(out))
    }))
}

fn clean_up(world: &mut World, call: &Call, install: &Install) -> Result<Reply, Reply> {
    let list = list_at(world, call, &install.root)?;
    let (broken, whole): (Vec<Fileset>, Vec<Fileset>) =
        list.into_iter().partition(|f| f.state == "BROKEN");
    if broken.is_empty() {
        return Ok(Reply::ok(
            "installp: No filesets were found in the Software Vital Product\n\tDatabase that could be cleaned up.\n",
        ));
    }
    set_list(world, call, &install.root, &whole)?;
    let names: Vec<String> = broken.into_iter().map(|fileset| fileset.name).collect();
    Ok(Reply::ok(format!("Cleaning up software for:\n\t{}\n", names.join("\n\t"))))
}

/// How `installp` is used.
pub(super) const INSTALLP: &str = "installp {-C | -L -d Device | [-a] [-c] [-g] [-N] [-X] [-Y] -d Device {all | -f File | Fileset ...}} [-R Root]";

/// Every fileset that is installed, as far as the source has it.
const UPDATE_ALL: &str = "update_all";

/// The `installp` that a `geninstall … update_all` comes to.
fn as_installp(call: &Call) -> Option<Call> {
    let flags = Flags::read(call, "R:I:d:pEf:").ok()?;
    if flags.rest != [UPDATE_ALL] {
        return None;
    }
    let mut argv = vec!["installp".to_owned()];
    let own = flags.get('I').unwrap_or("").trim_start_matches('-');
    argv.push(format!("-{own}"));
    for letter in ['R', 'd'] {
        if let Some(value) = flags.get(letter) {
            argv.extend([format!("-{letter}"), value.to_owned()]);
        }
    }
    argv.push(UPDATE_ALL.to_owned());
    Some(Call { argv, ..call.clone() })
}

/// What a `geninstall` is asked for: root, and where the RPMs are.
fn read_geninstall(call: &Call) -> Result<(String, String, Vec<String>), Reply> {
    let flags = Flags::read(call, "R:I:d:pEf:")?;
    let Some(device) = flags.get('d') else {
        return Err(refuse(call, "An option is missing."));
    };
    let root = flags.get('R').map_or_else(|| call.root.clone(), |root| call.path(root));
    Ok((root, call.path(device), flags.rest))
}

/// The RPMs of the source, by name and version.
fn rpms(world: &World, call: &Call, device: &str) -> Result<Vec<String>, Reply> {
    let directory = format!("{device}/RPMS/ppc");
    let gone = |_| {
        Reply::fail(
            1,
            format!("0503-105 geninstall: The device or directory {device} could not be accessed."),
        )
    };
    let place = world.place(&call.host, &directory, call.now).map_err(gone)?;
    if !world.is_dir(&call.host, device, call.now) {
        return Err(gone(crate::lab::place::PathError::Absent));
    }
    let tree = world.tree(&place).map_err(gone)?;
    Ok(tree
        .names(&place.rel)
        .iter()
        .filter_map(|name| Some(name.split_once(".aix")?.0.to_owned()))
        .collect())
}

/// A package's name, without its version and release.
fn package(rpm: &str) -> &str {
    rpm.rsplitn(3, '-').nth(2).unwrap_or(rpm)
}

/// Puts the first `count` of the source's RPMs into the system.
fn install_rpms(world: &mut World, call: &Call, count: usize) -> Result<Vec<String>, Reply> {
    let (root, device, _) = read_geninstall(call)?;
    list_at(world, call, &root)?;
    let new: Vec<String> = rpms(world, call, &device)?.into_iter().take(count).collect();
    let path = format!("{}/opt/{RPM_LIST}", root.trim_end_matches('/'));
    let old = world.text(&call.host, &path, call.now).unwrap_or_default();
    let mut all: Vec<String> = old
        .lines()
        .filter(|line| new.iter().all(|rpm| package(rpm) != package(line)))
        .map(str::to_owned)
        .chain(new.iter().cloned())
        .collect();
    all.sort();
    put(world, call, &path, Node::file(all.join("\n") + "\n"))?;
    Ok(new)
}

pub(crate) fn geninstall_ms(world: &World, call: &Call) -> Millis {
    if let Some(inner) = as_installp(call) {
        return installp_ms(world, &inner);
    }
    let count = read_geninstall(call)
        .and_then(|(_, device, _)| rpms(world, call, &device))
        .map_or(0, |rpms| rpms.len());
    count as u64 * 60_000
}

pub(crate) fn begin_geninstall(world: &mut World, call: &Call) -> Result<(), Reply> {
    if let Some(inner) = as_installp(call) {
        return begin_installp(world, &inner).map_err(|refused| refused.with_usage(INSTALLP));
    }
    install_rpms(world, call, 1).map(|_| ())
}

pub(crate) fn geninstall(world: &mut World, call: &Call) -> Reply {
    if let Some(inner) = as_installp(call) {
        return installp(world, &inner).with_usage(INSTALLP);
    }
    settle(install_rpms(world, call, usize::MAX).map(|new| {
        let mut out = String::from("Validating RPM package selections ...\n");
        for rpm in new {
            let _ = writeln!(out, "{rpm} ##################################################");
        }
        Reply::ok(out)
    }))
}
