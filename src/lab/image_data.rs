//! image.data as the lab writes and reads it: stanzas with `KEY= value` lines.

use std::fmt::Write as _;

use super::world::{LvKind, Vg};

/// A volume that a rootvg is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Its name in a running rootvg.
    pub name: String,
    /// What it is for.
    pub kind: LvKind,
    /// Its size.
    pub lps: u64,
    /// How many copies of each there are.
    pub copies: u64,
    /// How small it may become.
    pub min_lps: u64,
    /// Where it is mounted.
    pub mount_point: Option<String>,
}

/// What an image.data asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Whether volumes are made as small as they may be.
    pub shrink: bool,
    pub volumes: Vec<Volume>,
}

/// The image.data of a running rootvg.
pub(crate) fn of_rootvg(vg: &Vg) -> String {
    let mut text = format!(
        "image_data:\n\tIMAGE_TYPE= bff\n\nlogical_volume_policy:\n\tSHRINK= no\n\tEXACT_FIT= no\n\
         \nvg_data:\n\tVGNAME= rootvg\n\tPPSIZE= {}\n",
        vg.pp_mb
    );
    for (name, lv) in &vg.lvs {
        let _ = write!(
            text,
            "\nlv_data:\n\tVOLUME_GROUP= rootvg\n\tLOGICAL_VOLUME= {name}\n\tTYPE= {}\n\tCOPIES= {}\n\tLPs= {}\n\
             \tMOUNT_POINT= {}\n\tLV_MIN_LPS= {}\n",
            lv.kind.word(),
            lv.copies,
            lv.lps(),
            lv.mount_point.as_deref().unwrap_or(""),
            if lv.is_file_system() { lv.used_mb().div_ceil(vg.pp_mb).max(1) } else { lv.lps() }
        );
    }
    for (name, lv) in &vg.lvs {
        if let Some(point) = &lv.mount_point {
            let (size, least) = (lv.lps() * vg.pp_mb * 2048, lv.used_mb().max(1) * 2048);
            let _ = write!(
                text,
                "\nfs_data:\n\tFS_NAME= {point}\n\tFS_SIZE= {size}\n\tFS_MIN_SIZE= {least}\n\tFS_LV= /dev/{name}\n"
            );
        }
    }
    text
}

/// Reads an image.data; `None` when it names no root volume.
pub(crate) fn read(text: &str) -> Option<Wanted> {
    let mut wanted = Wanted::default();
    for stanza in stanzas(text) {
        let get =
            |key: &str| stanza.1.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        if get("SHRINK") == Some("yes") {
            wanted.shrink = true;
        }
        if stanza.0 != "lv_data" || get("VOLUME_GROUP") != Some("rootvg") {
            continue;
        }
        let lps: u64 = get("LPs")?.parse().ok()?;
        wanted.volumes.push(Volume {
            name: get("LOGICAL_VOLUME")?.to_owned(),
            kind: kind(get("TYPE")?)?,
            lps,
            copies: get("COPIES").and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, 3),
            min_lps: get("LV_MIN_LPS").and_then(|text| text.parse().ok()).unwrap_or(lps),
            mount_point: get("MOUNT_POINT").filter(|p| p.starts_with('/')).map(str::to_owned),
        });
    }
    let has_root = wanted.volumes.iter().any(|lv| lv.mount_point.as_deref() == Some("/"));
    has_root.then_some(wanted)
}

impl Wanted {
    /// The partitions that the volume is made with.
    pub(crate) fn lps(&self, lv: &Volume) -> u64 {
        if self.shrink { lv.min_lps.max(1) } else { lv.lps.max(1) }
    }
}

type Stanza<'a> = (&'a str, Vec<(&'a str, &'a str)>);

fn stanzas(text: &str) -> Vec<Stanza<'_>> {
    let mut found: Vec<Stanza<'_>> = Vec::new();
    for line in text.lines() {
        match (line.strip_suffix(':'), line.split_once('='), found.last_mut()) {
            (Some(name), _, _) if !name.starts_with([' ', '\t']) => found.push((name, Vec::new())),
            (_, Some((key, value)), Some((_, pairs))) => pairs.push((key.trim(), value.trim())),
            _ => {}
        }
    }
    found
}

fn kind(word: &str) -> Option<LvKind> {
    [LvKind::Boot, LvKind::Paging, LvKind::Log, LvKind::Dump, LvKind::Jfs2]
        .into_iter()
        .find(|kind| kind.word() == word)
}
