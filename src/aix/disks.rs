//! `lspv`, `lsvg VG` and `lsvg -l VG`.

use serde::Serialize;

use crate::domain::{DiskName, Pvid};

use super::unread::{Unread, lines};

/// A row of `lspv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalVolume {
    pub disk: DiskName,
    /// Its PVID; a new disk has none.
    pub pvid: Option<Pvid>,
    /// Its volume group, if any.
    pub vg: Option<String>,
    /// `active`, `concurrent`, `locked`, or nothing for varied off.
    pub state: Option<String>,
}

impl PhysicalVolume {
    /// Whether the disk belongs to the volume group `vg`.
    pub fn is_in(&self, vg: &str) -> bool {
        self.vg.as_deref() == Some(vg)
    }

    /// Whether its volume group is varied on.
    pub fn is_active(&self) -> bool {
        self.state.as_deref() == Some("active")
    }
}

/// Reads `lspv`.
pub fn lspv(text: &str) -> Result<Vec<PhysicalVolume>, Unread> {
    let mut disks: Vec<PhysicalVolume> = Vec::new();
    for line in lines(text) {
        match lspv_row(line) {
            Some(disk) => disks.push(disk),
            // A banner before the data, but never a broken row of it.
            None if disks.is_empty() && !line.trim_start().starts_with("hdisk") => {}
            None => return Err(Unread::line("lspv", line)),
        }
    }
    if disks.is_empty() {
        return Err(Unread::missing("lspv", "disk"));
    }
    Ok(disks)
}

fn lspv_row(line: &str) -> Option<PhysicalVolume> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (disk, pvid, vg, state) = match words.as_slice() {
        [disk, pvid, vg] => (disk, *pvid, *vg, None),
        [disk, pvid, vg, state] => (disk, *pvid, *vg, Some(*state)),
        _ => return None,
    };
    let disk: DiskName = disk.parse().ok()?;
    let pvid = match pvid {
        "none" => None,
        hex if hex.len() == 16 => Some(hex.parse().ok()?),
        _ => return None,
    };
    let known = |state: &str| matches!(state, "active" | "concurrent" | "locked");
    if state.is_some_and(|state| !known(state)) {
        return None;
    }
    Some(PhysicalVolume {
        disk,
        pvid,
        vg: (vg != "None").then(|| vg.to_owned()),
        state: state.map(str::to_owned),
    })
}

/// What `lsvg VG` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeGroup {
    pub name: String,
    pub id: String,
    /// Size of a physical partition in MiB.
    pub pp_size_mb: u64,
    /// All physical partitions.
    pub total_pps: u64,
    /// Those that are free.
    pub free_pps: u64,
    /// Those that are in use.
    pub used_pps: u64,
}

/// Reads `lsvg VG`.
pub fn volume_group(text: &str) -> Result<VolumeGroup, Unread> {
    let word = |key: &'static str| {
        labelled(text, key).ok_or_else(|| Unread::missing("lsvg", key)).map(str::to_owned)
    };
    let number = |key: &'static str| {
        let value = word(key)?;
        value.parse::<u64>().map_err(|_| Unread::line("lsvg", &format!("{key} {value}")))
    };
    let id = word("VG IDENTIFIER:")?;
    if id.len() < 16 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Unread::line("lsvg", &format!("VG IDENTIFIER: {id}")));
    }
    Ok(VolumeGroup {
        name: word("VOLUME GROUP:")?,
        id,
        pp_size_mb: number("PP SIZE:")?,
        total_pps: number("TOTAL PPs:")?,
        free_pps: number("FREE PPs:")?,
        used_pps: number("USED PPs:")?,
    })
}

/// The word after the label `key`, on the line that has it.
fn labelled<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.split_once(key)?.1.split_whitespace().next())
}

/// A row of `lsvg -l`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogicalVolume {
    /// Its group, where a line above the table names it.
    pub vg: Option<String>,
    /// Its name: `hd2`.
    #[serde(rename = "lv")]
    pub name: String,
    /// `jfs2`, `boot`, `jfs2log`, `paging`, `sysdump`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Logical partitions.
    pub lps: u64,
    /// Physical partitions.
    pub pps: u64,
    /// Disks that it lies on.
    pub pvs: u64,
    /// `open/syncd`.
    pub state: String,
    /// Where it is to be mounted, if anywhere.
    pub mount_point: Option<String>,
}

impl LogicalVolume {
    /// How many copies of each logical partition there are: 1 where it is not mirrored.
    pub fn copies(&self) -> u64 {
        if self.lps == 0 { 1 } else { self.pps.div_ceil(self.lps).max(1) }
    }

    /// Whether it holds a file system.
    pub fn is_file_system(&self) -> bool {
        matches!(self.kind.as_str(), "jfs2" | "jfs")
    }

    /// Whether it has partitions that are not in step.
    pub fn is_stale(&self) -> bool {
        self.state.ends_with("/stale")
    }
}

/// Reads `lsvg -l VG`, of one group or several.
pub fn logical_volumes(text: &str) -> Result<Vec<LogicalVolume>, Unread> {
    tables("lsvg -l", text, ["LV", "NAME"], lv_row)
}

/// A table below a line with the group's name, for one group or several.
pub(super) fn tables<T>(
    command: &'static str,
    text: &str,
    heading: [&str; 2],
    row: impl Fn(Option<&str>, &[&str]) -> Option<T>,
) -> Result<Vec<T>, Unread> {
    let (mut vg, mut begun) = (None, false);
    let (mut found, mut foreign) = (Vec::new(), None);
    for line in lines(text) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.starts_with(&heading) {
            begun = true;
        } else if let [one] = words.as_slice()
            && let Some(name) = one.strip_suffix(':')
            && !name.is_empty()
        {
            vg = Some(name);
        } else if begun {
            found.push(row(vg, &words).ok_or_else(|| Unread::line(command, line))?);
        } else {
            foreign = foreign.or(Some(line));
        }
    }
    match foreign {
        _ if begun => Ok(found),
        Some(line) => Err(Unread::line(command, line)),
        None => Err(Unread::missing(command, "heading")),
    }
}

fn lv_row(vg: Option<&str>, words: &[&str]) -> Option<LogicalVolume> {
    let [name, kind, lps, pps, pvs, state, mount_point] = words else { return None };
    let (open, sync) = state.split_once('/')?;
    (!open.is_empty() && !sync.is_empty()).then_some(())?;
    Some(LogicalVolume {
        vg: vg.map(str::to_owned),
        name: (*name).to_owned(),
        kind: (*kind).to_owned(),
        lps: lps.parse().ok()?,
        pps: pps.parse().ok()?,
        pvs: pvs.parse().ok()?,
        state: (*state).to_owned(),
        mount_point: (*mount_point != "N/A").then(|| (*mount_point).to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lspv_is_read_with_trailing_blanks_and_a_banner() {
        let disks = lspv(include_str!("../../fixtures/aix/lspv/three_disks.txt")).unwrap();
        let shown: Vec<_> = disks
            .iter()
            .map(|d| (d.disk.as_str(), d.pvid.is_some(), d.vg.as_deref(), d.is_active()))
            .collect();
        assert_eq!(
            shown,
            [
                ("hdisk0", true, Some("rootvg"), true),
                ("hdisk1", true, Some("altinst_rootvg"), false),
                ("hdisk2", false, None, false),
            ]
        );
        let banner = lspv(include_str!("../../fixtures/aix/lspv/banner_crlf.txt")).unwrap();
        assert_eq!(banner.len(), 2);
        assert!(banner[0].is_in("rootvg"));
    }

    #[test]
    fn a_broken_row_of_lspv_is_quoted() {
        let error = lspv("hdisk0 00f7a1b2c3d4e5 rootvg active\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the output of `lspv`: `hdisk0 00f7a1b2c3d4e5 rootvg active`"
        );
        assert!(lspv("").is_err());
        assert!(lspv("hdisk0 none None\nwhat is this\n").is_err());
    }

    #[test]
    fn lsvg_is_read_by_its_labels() {
        let vg = volume_group(include_str!("../../fixtures/aix/lsvg/nimadmvg.txt")).unwrap();
        assert_eq!(
            vg,
            VolumeGroup {
                name: "nimadmvg".into(),
                id: "00f7a1b200004c0000000190aabbccdd".into(),
                pp_size_mb: 128,
                total_pps: 1599,
                free_pps: 1500,
                used_pps: 99,
            }
        );
        let error = volume_group("0516-306 : Unable to find volume group x.").unwrap_err();
        assert_eq!(error.to_string(), "the output of `lsvg` has no VG IDENTIFIER:");
    }

    #[test]
    fn lsvg_l_is_read_by_words() {
        let lvs = logical_volumes(include_str!("../../fixtures/aix/lsvg-l/rootvg.txt")).unwrap();
        assert_eq!(lvs.len(), 4);
        assert_eq!(lvs[1].mount_point.as_deref(), Some("/"));
        assert_eq!((lvs[1].lps, lvs[1].pps), (8, 16));
        assert!(lvs[3].is_stale() && !lvs[2].is_stale());
        assert!(!lvs[0].is_file_system() && lvs[1].is_file_system());
        let asleep = "0516-010 : Volume group must be varied on; use varyonvg command.\n";
        assert!(logical_volumes(asleep).is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>()) {
            for text in [text, String::from_utf8_lossy(&tail).into_owned()] {
                let _ = (lspv(&text), volume_group(&text), logical_volumes(&text));
                let _ = logical_volumes(&format!("LV NAME\n{text}"));
            }
        }
    }
}
