//! What a migration from a mksysb, or to one, does beside the rest: image.data,
//! sizes of the cache, restore and archive.

use std::collections::BTreeMap;

use super::args::Form;
use super::at::At;
use super::op::{Op, must};
use crate::lab::commands::alt_disk::COPY;
use crate::lab::image_data::{self, Volume, Wanted};
use crate::lab::mksysb::Archive;
use crate::lab::tree::Kind;
use crate::lab::world::{Lv, PP_MB, Vg};
use crate::transport::Command;

/// The image.data of `-i`, or the mksysb's own.
pub(super) fn image_text(at: &At<'_>) -> Option<String> {
    if at.args.image.is_some() {
        return at.text(at.args.image.as_ref());
    }
    let archive = Archive::parse(&at.text(at.args.mksysb.as_ref())?)?;
    archive.nodes.into_iter().find_map(|(path, node)| match node.kind {
        Kind::File(text) if path == "./image.data" => Some(text),
        _ => None,
    })
}

fn wanted(at: &At<'_>) -> Option<Wanted> {
    image_data::read(&image_text(at)?)
}

/// The file systems of the cache, parents first: what stands after its root,
/// and the size in MB.
pub(super) fn cache_sizes(at: &At<'_>) -> Result<Vec<(String, u64)>, String> {
    let wanted = wanted(at);
    let rest = |point: &str| point.trim_end_matches('/').to_owned();
    let mut sizes: Vec<(String, u64)> = match (at.args.form, &wanted) {
        (Form::MksysbToMksysb, None) => {
            return Err("nimadm: the mksysb has no image.data.".to_owned());
        }
        (Form::MksysbToMksysb, Some(wanted)) => {
            let mounted =
                wanted.volumes.iter().filter_map(|lv| Some((lv, lv.mount_point.as_ref()?)));
            mounted.map(|(lv, point)| (rest(point), wanted.lps(lv) * PP_MB)).collect()
        }
        (form, wanted) => {
            let (group, top) =
                if form == Form::ClientToMksysb { ("rootvg", "") } else { (COPY, "/alt_inst") };
            let size = |(rest, lv): (String, &Lv)| {
                let named = wanted.as_ref().and_then(|wanted| {
                    let point = if rest.is_empty() { "/" } else { &rest };
                    let found =
                        wanted.volumes.iter().find(|v| v.mount_point.as_deref() == Some(point))?;
                    Some(wanted.lps(found))
                });
                let least = lv.used_mb().div_ceil(PP_MB);
                (rest, named.map_or(lv.lps(), |lps| lps.max(least)) * PP_MB)
            };
            at.mounted(group, top).into_iter().map(size).collect()
        }
    };
    sizes.sort();
    if sizes.first().is_none_or(|(rest, _)| !rest.is_empty()) {
        return Err(format!("nimadm: there is no system to be migrated on {}.", at.args.name()));
    }
    Ok(sizes)
}

/// Directories that the exclude list of a running system names: lines such as
/// `^./home/app/`. A clone is made without them already.
pub(super) fn left_out(at: &At<'_>) -> Vec<String> {
    if at.args.form != Form::ClientToMksysb {
        return Vec::new();
    }
    let text = at.text(at.args.exclude.as_ref()).unwrap_or_default();
    text.lines()
        .map(|line| line.trim().trim_start_matches('^').trim_start_matches("./").trim_matches('/'))
        .filter(|path| !path.is_empty())
        .map(|path| format!("/{path}"))
        .collect()
}

/// Phase 3 of a mksysb.
pub(super) fn restore(at: &At<'_>) -> Vec<Op> {
    let mksysb = at.resource(at.args.mksysb.as_ref()).unwrap_or_default();
    let restore = Command::new(["restore", "-xqf", &mksysb]).within(at.args.root());
    vec![
        Op::Say("Restoring the mksysb into the cache file systems.".to_owned()),
        must(restore, "nimadm: Error restoring the mksysb."),
    ]
}

/// Phase 11 to a mksysb.
pub(super) fn archive(at: &At<'_>) -> Result<Vec<Op>, String> {
    let output = at.args.output.clone().unwrap_or_default();
    let words = "nimadm: Error creating the mksysb.";
    if at.world.look(&at.call.host, &output, at.call.now).is_ok() {
        return Err(format!("nimadm: {output} already exists."));
    }
    let root = at.args.root();
    let text = match at.text(at.args.image.as_ref()) {
        Some(text) => text,
        None => image(at)?,
    };
    let mut ops = vec![
        Op::Say(format!("Creating mksysb {output}.")),
        Op::Put { host: at.call.host.clone(), path: format!("{root}/image.data"), text },
        must(
            Command::new(["find", ".", "-print"])
                .piped_to(["backup", "-iqf", &output])
                .within(&root),
            words,
        ),
    ];
    if let Some(new) = &at.args.new {
        let location = format!("location={output}");
        let define =
            ["nim", "-o", "define", "-t", "mksysb", "-a", "server=master", "-a", &location, new];
        ops.push(must(Command::new(define), "nimadm: Error defining the mksysb resource."));
    }
    Ok(ops)
}

/// The image.data of the migrated system: its volumes, as large as the cache is.
fn image(at: &At<'_>) -> Result<String, String> {
    let cache = at.at_hand()?;
    let volumes: Vec<Volume> = match wanted(at) {
        Some(wanted) => wanted.volumes,
        None => of_client(at),
    };
    let mut lvs = BTreeMap::new();
    for volume in volumes {
        let point = volume.mount_point.as_deref().map(|point| point.trim_end_matches('/'));
        let cached = point.and_then(|point| cache.iter().find(|(rest, ..)| rest == point));
        let (lps, used) = cached.map_or((volume.lps, 0), |(_, total, used)| (total / PP_MB, *used));
        let lv = Lv {
            kind: volume.kind,
            pps: BTreeMap::from([("hdisk0".to_owned(), lps * volume.copies)]),
            copies: volume.copies,
            mount_point: volume.mount_point,
            data_mb: used,
            boot_image: None,
            serial: 0,
            archives: BTreeMap::new(),
            tree: None,
        };
        lvs.insert(volume.name, lv);
    }
    let vg = Vg {
        id: String::new(),
        pp_mb: PP_MB,
        disks: vec!["hdisk0".to_owned()],
        on: true,
        asleep: false,
        lvs,
    };
    Ok(image_data::of_rootvg(&vg))
}

/// The volumes of the client's rootvg that are copied.
fn of_client(at: &At<'_>) -> Vec<Volume> {
    let mounted = at.mounted("rootvg", "");
    let host = at.world.find(at.client());
    let all = host.and_then(|host| host.vgs.get("rootvg")).into_iter().flat_map(|vg| &vg.lvs);
    let copied = |(_, lv): &(&String, &Lv)| {
        let point = lv.mount_point.as_deref().map(|point| point.trim_end_matches('/'));
        !lv.is_file_system() || mounted.iter().any(|(rest, _)| Some(rest.as_str()) == point)
    };
    all.filter(copied)
        .map(|(name, lv)| Volume {
            name: name.clone(),
            kind: lv.kind,
            lps: lv.lps(),
            copies: lv.copies,
            min_lps: lv.lps(),
            mount_point: lv.mount_point.clone(),
        })
        .collect()
}
