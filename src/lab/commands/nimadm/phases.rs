//! The twelve phases, each as the commands that it runs here and now.

use super::args::Form;
use super::at::{At, location, on_client};
use super::cleanup::{self, ON_CLIENT};
use super::mksysb;
use super::op::{Op, may, must};
use crate::lab::tree::is_within;
use crate::lab::world::PP_MB;
use crate::transport::Command;

/// Free room in MB that a migration wants.
const ROOM_MB: [(&str, u64); 4] = [("", 32), ("/usr", 320), ("/var", 64), ("/tmp", 64)];

const SPOT: &str = "/ALT_MIG_SPOT";
const CLONING: &str = "0505-187 nimadm: Error cloning altinst_rootvg on client.";

/// What a phase runs.
pub(super) fn ops(at: &At<'_>, phase: u8) -> Result<Vec<Op>, String> {
    match phase {
        1 => Ok(clone(at)),
        2 if at.args.cache.is_some() => make_cache(at),
        2 => export(at),
        3 if at.args.cache.is_some() => fill_cache(at),
        3 => mount(at),
        4 => script(at, at.args.pre_script.as_ref(), "pre"),
        5 => migrate_base(at),
        6 => migrate_filesets(at),
        7 => script(at, at.args.post_script.as_ref(), "post"),
        8 => boot_image(at),
        9 => unmount(at),
        10 => Ok(unexport(at)),
        11 => finish(at),
        _ => Ok(end(at)),
    }
}

fn say(text: impl Into<String>) -> Op {
    Op::Say(text.into())
}

/// Phase 1.
fn clone(at: &At<'_>) -> Vec<Op> {
    let (args, client) = (at.args, at.client());
    if args.form.writes_mksysb() {
        return vec![say("There is no volume group to be made on a client.")];
    }
    let mut ops = spot(at);
    let put =
        |path: &str, text: String| Op::Put { host: client.to_owned(), path: path.to_owned(), text };
    let mut files: Vec<&str> = Vec::new();
    if let Some(text) = at.text(args.exclude.as_ref()) {
        ops.push(put(ON_CLIENT[0], text));
        files.extend(["-e", ON_CLIENT[0]]);
    }
    if let Some(text) = mksysb::image_text(at) {
        ops.push(put(ON_CLIENT[1], text));
        files.extend(["-i", ON_CLIENT[1]]);
    }
    let from_mksysb = args.form == Form::MksysbToClient;
    let program = if from_mksysb { "alt_disk_mksysb" } else { "alt_disk_copy" };
    ops.push(say("Cloning altinst_rootvg on client, Phase 1."));
    ops.push(alt_disk(at, program, "-P1", &files));
    ops
}

/// The SPOT is mounted on the client, if it is not.
fn spot(at: &At<'_>) -> Vec<Op> {
    let client = at.client();
    if at.world.at(client).mounts.iter().any(|mount| mount.point == SPOT) {
        return Vec::new();
    }
    let spot = location(at.world, &at.args.spot).unwrap_or_default();
    let from = format!("{}:{spot}", at.world.master);
    let mount = on_client(client, &["mount", "-o", "ro,soft,intr", &from, SPOT]);
    vec![
        may(on_client(client, &["mkdir", "-p", SPOT])),
        must(mount, "nimadm: the SPOT cannot be mounted on the client."),
    ]
}

/// `alt_disk_copy`, or what stands in for it, of the SPOT.
fn alt_disk(at: &At<'_>, program: &str, phase: &str, more: &[&str]) -> Op {
    let (release, disks) = (at.release(), at.args.disks.join(" "));
    let program = format!("{SPOT}/sbin/{program}");
    let mut words = vec![program.as_str()];
    words.extend(at.args.cache.as_ref().map(|_| "-j"));
    words.extend(["-M", &release, phase]);
    words.extend(more);
    words.extend(["-d", &disks]);
    must(on_client(at.client(), &words), CLONING)
}

/// Phase 2, over NFS.
fn export(at: &At<'_>) -> Result<Vec<Op>, String> {
    let (client, master) = (at.client(), &at.world.master);
    let options = format!("rw={master},root={master},access={master}");
    let exported = &at.world.at(client).exports;
    let mut ops = vec![say("Exporting alternate filesystems from client.")];
    for (rest, _) in at.copy()? {
        let path = format!("/alt_inst{rest}");
        if !exported.contains_key(&path) {
            let export = on_client(client, &["exportfs", "-i", "-o", &options, &path]);
            ops.push(must(export, "nimadm: Error exporting filesystems on client."));
        }
    }
    Ok(ops)
}

/// Phase 2 with `-j`.
fn make_cache(at: &At<'_>) -> Result<Vec<Op>, String> {
    let vg = at.args.cache.as_deref().unwrap_or_default();
    let root = at.args.root();
    let host = at.world.at(&at.world.master);
    let mut ops = vec![say("Creating local cache file systems.")];
    let words = "nimadm: Error creating cache file systems.";
    for (rest, mb) in mksysb::cache_sizes(at)? {
        let path = format!("{root}{rest}");
        if host.file_system(&path).is_none() {
            let size = format!("size={mb}M");
            let make = ["crfs", "-v", "jfs2", "-g", vg, "-m", &path, "-a", &size, "-A", "no"];
            ops.push(must(Command::new(make), words));
        }
        if host.mounted_at(&path).is_none() {
            ops.push(must(Command::new(["mkdir", "-p", &path]), words));
            ops.push(must(Command::new(["mount", &path]), words));
        }
    }
    Ok(ops)
}

/// Phase 3, over NFS.
fn mount(at: &At<'_>) -> Result<Vec<Op>, String> {
    let root = at.args.root();
    let host = at.world.at(&at.world.master);
    let mut ops = vec![say("NFS mounting client's alternate filesystems.")];
    let words = "nimadm: Error mounting the client's filesystems.";
    for (rest, _) in at.copy()? {
        let over = format!("{root}{rest}");
        if host.mounted_at(&over).is_some() {
            continue;
        }
        ops.push(must(Command::new(["mkdir", "-p", &over]), words));
        let from = format!("{}:/alt_inst{rest}", at.client());
        let mut mount = vec!["mount"];
        if let Some(options) = &at.args.mount_options {
            mount.extend(["-o", options]);
        }
        mount.extend([from.as_str(), over.as_str()]);
        ops.push(must(Command::new(mount), words));
    }
    Ok(ops)
}

/// Phase 3 with `-j`.
fn fill_cache(at: &At<'_>) -> Result<Vec<Op>, String> {
    at.at_hand()?;
    let root = at.args.root();
    if at.args.mksysb.is_some() {
        return Ok(mksysb::restore(at));
    }
    let words = "nimadm: Error copying the client's data into the cache.";
    let (sources, top) = match at.args.form {
        Form::ClientToMksysb => (at.mounted("rootvg", ""), ""),
        _ => (at.copy()?, "/alt_inst"),
    };
    let left_out = mksysb::left_out(at);
    let mut ops = vec![say("Populating the cache file systems from the client.")];
    for (rest, _) in &sources {
        if left_out.iter().any(|path| is_within(rest, path)) {
            continue;
        }
        let from = format!("{top}{rest}");
        let from = if from.is_empty() { "/" } else { &from };
        let read = on_client(at.client(), &["tar", "-cUf", "-", "-C", from, "."]);
        let to = format!("{root}{rest}");
        ops.push(must(read.piped_to(["tar", "-xpUf", "-", "-C", &to]), words));
    }
    for path in &left_out {
        if !sources.iter().any(|(rest, _)| is_within(rest, path)) {
            ops.push(must(Command::new(["rm", "-rf", &format!("{root}{path}")]), words));
        }
    }
    Ok(ops)
}

/// Phases 4 and 7.
fn script(at: &At<'_>, name: Option<&String>, which: &str) -> Result<Vec<Op>, String> {
    let Some(path) = at.resource(name) else {
        return Ok(vec![say(format!(
            "nimadm: There is no user customization script specified for this phase ({which})."
        ))]);
    };
    at.at_hand()?;
    let there = format!("{}/tmp/nimadm_script", at.args.root());
    let words = format!("nimadm: the {which}-migration script has failed.");
    Ok(vec![
        must(Command::new(["cp", &path, &there]), &words),
        must(Command::new(["chmod", "700", &there]), &words),
        must(at.in_root(&["/tmp/nimadm_script"]), &words),
        must(Command::new(["rm", "-f", &there]), &words),
    ])
}

/// Phase 5.
fn migrate_base(at: &At<'_>) -> Result<Vec<Op>, String> {
    let root = at.args.root();
    let at_hand = at.at_hand()?;
    let words = "nimadm: Error migrating the base operating system.";
    let mut ops = Vec::new();
    if !at.args.update {
        let saved = format!("{root}/lpp/save.config");
        let etc = format!("{root}/etc");
        ops.push(say("Saving system configuration files."));
        ops.push(must(Command::new(["mkdir", "-p", &saved]), words));
        ops.push(must(Command::new(["cp", "-hpR", &etc, &format!("{saved}/")]), words));
    }
    ops.push(say("Checking for initial required migration space."));
    for (rest, total, used) in &at_hand {
        let free = ROOM_MB.iter().find(|(point, _)| point == rest).map_or(0, |(_, mb)| *mb);
        let short = (used + free).saturating_sub(*total);
        if short == 0 {
            continue;
        }
        let (path, size) = (format!("{root}{rest}"), format!("size=+{short}M"));
        ops.push(say(format!("Expanding {path} local filesystem.")));
        let grow = if at.args.cache.is_some() {
            Command::new(["chfs", "-a", &size, &path])
        } else {
            on_client(at.client(), &["chfs", "-a", &size, &format!("/alt_inst{rest}")])
        };
        ops.push(must(grow, words));
    }
    if !at.args.update {
        let image = format!(
            "{}/installp/ppc/bos",
            at.resource(at.args.lpp_source.as_ref()).unwrap_or_default()
        );
        ops.push(say(
            "Setting up for base operating system restore.\nRestoring base operating system.",
        ));
        ops.push(must(Command::new(["restore", "-xqf", &image]).within(&root), words));
        ops.push(say("Merging system configuration files."));
        let merge = ["/usr/lpp/bosinst/ODM_merge", "CuDv", "CuAt", "CuDep"];
        ops.push(must(at.in_root(&merge), words));
        let merge = ["/usr/lpp/bosinst/merge_config", "/lpp/save.config"];
        ops.push(must(at.in_root(&merge), words));
    }
    if let Some(path) = at.resource(at.args.bosinst.as_ref()) {
        ops.push(must(Command::new(["cp", &path, &format!("{root}/bosinst.data")]), words));
    }
    Ok(ops)
}

/// Phase 6.
fn migrate_filesets(at: &At<'_>) -> Result<Vec<Op>, String> {
    at.at_hand()?;
    let root = at.args.root();
    let lpp = at.resource(at.args.lpp_source.as_ref()).unwrap_or_default();
    let images = format!("{lpp}/installp/ppc");
    let words = "nimadm: Error migrating filesets.";
    let mut ops = vec![
        say("Installing and migrating software."),
        may(Command::new(["installp", "-C", "-R", &root])),
    ];
    let install = ["installp", "-R", &root, "-acgNXY", "-d", &images];
    let with = |more: &[&str]| Command::new(install.iter().chain(more).copied());
    if at.args.update {
        let update = ["geninstall", "-R", &root, "-I", "acgNXY", "-d", &images, "update_all"];
        ops.push(must(Command::new(update), words));
    } else {
        ops.push(must(with(&["all"]), words));
    }
    if let Some(path) = at.resource(at.args.bundle.as_ref()) {
        ops.push(must(with(&["-f", &path]), words));
    }
    ops.push(say("Installing software with the rpm installer."));
    let rpms = ["geninstall", "-R", &root, "-I", "acgXY", "-d", &lpp, "R:all"];
    ops.push(must(Command::new(rpms), words));
    Ok(ops)
}

/// Phase 8.
fn boot_image(at: &At<'_>) -> Result<Vec<Op>, String> {
    if at.args.form.writes_mksysb() {
        return Ok(vec![say("There is no boot logical volume to be written.")]);
    }
    at.copy()?;
    at.at_hand()?;
    let disk = at.args.disks.first().map(String::as_str).unwrap_or_default();
    let file = format!("{}/tmp/nimadm_boot", at.args.root());
    let words = "nimadm: Error creating the client's boot image.";
    let make = ["/usr/sbin/bosboot", "-a", "-d", disk, "-b", "/tmp/nimadm_boot"];
    let write = on_client(at.client(), &["dd", "of=/dev/alt_hd5", "bs=4k"]);
    Ok(vec![
        say("Creating client boot image."),
        must(at.in_root(&make), words),
        say("Writing boot image to client's alternate boot disk."),
        must(Command::new(["dd", &format!("if={file}"), "bs=4k"]).piped_to(write.argv), words),
        must(Command::new(["rm", "-f", &file]), words),
    ])
}

/// Phase 9.
fn unmount(at: &At<'_>) -> Result<Vec<Op>, String> {
    if at.args.form.writes_mksysb() {
        return Ok(vec![say("The cache is kept until it has been archived.")]);
    }
    let root = at.args.root();
    let words = "nimadm: Error unmounting the client's filesystems.";
    let mut ops = Vec::new();
    let at_hand =
        if at.args.cache.is_some() { at.at_hand()? } else { at.at_hand().unwrap_or_default() };
    if at.args.cache.is_some() {
        let copy = at.copy()?;
        ops.push(say("Writing cache data to client."));
        for (rest, total, _) in &at_hand {
            let to = format!("/alt_inst{rest}");
            let own =
                copy.iter().find(|(other, _)| other == rest).map_or(0, |(_, lv)| lv.lps() * PP_MB);
            if *total > own {
                let size = format!("size={total}M");
                ops.push(must(on_client(at.client(), &["chfs", "-a", &size, &to]), words));
            }
            let write = on_client(at.client(), &["tar", "-xpUf", "-", "-C", &to]);
            let read = ["tar", "-cUf", "-", "-C", &format!("{root}{rest}"), "."];
            ops.push(must(Command::new(read).piped_to(write.argv), words));
        }
    }
    ops.push(say("Unmounting client mounts on the NIM master."));
    for (rest, ..) in at_hand.iter().rev() {
        ops.push(must(Command::new(["umount", &format!("{root}{rest}")]), words));
    }
    if at.args.cache.is_none() {
        ops.push(may(Command::new(["rmdir", &root])));
        ops.push(may(Command::new(["rmdir", &at.args.top()])));
    }
    Ok(ops)
}

/// Phase 10.
fn unexport(at: &At<'_>) -> Vec<Op> {
    if at.args.form.writes_mksysb() {
        return vec![say("The cache is kept until it has been archived.")];
    }
    if at.args.cache.is_some() {
        return cleanup::on_master(at.world, at.call, at.args);
    }
    let mut ops = vec![say("Unexporting alternate filesystems on client.")];
    let exports = at.world.at(at.client()).exports.keys();
    for path in exports.filter(|path| is_within(path, "/alt_inst")).rev() {
        let remove = on_client(at.client(), &["exportfs", "-u", path]);
        ops.push(must(remove, "nimadm: Error unexporting filesystems on client."));
    }
    ops
}

/// Phase 11.
fn finish(at: &At<'_>) -> Result<Vec<Op>, String> {
    if at.args.form.writes_mksysb() {
        return mksysb::archive(at);
    }
    at.copy()?;
    let keep: &[&str] = if at.args.keep_bootlist { &["-B"] } else { &[] };
    let mut ops = spot(at);
    ops.push(say("Cloning altinst_rootvg on client, Phase 3."));
    ops.push(alt_disk(at, "alt_disk_copy", "-P3", keep));
    Ok(ops)
}

/// Phase 12.
fn end(at: &At<'_>) -> Vec<Op> {
    let mut ops = cleanup::on_master(at.world, at.call, at.args);
    if let Some(client) = at.args.client.as_ref().filter(|_| at.args.form.has_copy()) {
        ops.push(say(format!("Cleaning up alt_disk_migration on client {client}.")));
        ops.extend(cleanup::spot(at.world, client));
        ops.push(must(cleanup::files(client), "nimadm: the client could not be cleaned."));
        if at.args.reboot {
            ops.push(say(format!("Rebooting client {client}.")));
            ops.push(must(
                on_client(client, &["shutdown", "-Fr"]),
                "nimadm: the client was not rebooted.",
            ));
        }
    }
    ops
}
