//! image.data: the stanzas that say which volumes and file systems a restored
//! rootvg has.

use std::fmt::Write as _;

use super::unread::{Unread, lines};

/// What an image.data says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageData {
    /// `SHRINK= yes`: file systems are made as small as their data allows.
    pub shrink: bool,
    /// Size of a physical partition in MiB.
    pub pp_size_mb: u64,
    pub volumes: Vec<ImageVolume>,
    pub file_systems: Vec<ImageFs>,
}

/// An `lv_data` stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageVolume {
    /// `LOGICAL_VOLUME`.
    pub name: String,
    /// `TYPE`.
    pub kind: String,
    /// `LPs`.
    pub lps: u64,
}

/// An `fs_data` stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFs {
    /// `FS_NAME`: the mount point.
    pub mount_point: String,
    /// `FS_LV`, without `/dev/`.
    pub lv: String,
    /// `FS_SIZE` in MiB.
    pub size_mb: u64,
    /// `FS_MIN_SIZE` in MiB.
    pub min_mb: u64,
}

impl ImageFs {
    /// The size that the file system is to be made with.
    pub fn wanted_mb(&self, shrink: bool) -> u64 {
        if shrink { self.min_mb.max(1) } else { self.size_mb }
    }
}

impl ImageData {
    /// Whether a rootvg that is made by it has the volumes and sizes of `other`. How
    /// much is in use, and so the least sizes, changes while it is written.
    pub fn has_sizes_of(&self, other: &ImageData) -> bool {
        let sizes = |image: &ImageData| {
            let of = |fs: &ImageFs| ImageFs { min_mb: 0, ..fs.clone() };
            let file_systems = image.file_systems.iter().map(of).collect();
            ImageData { file_systems, ..image.clone() }
        };
        sizes(self) == sizes(other)
    }
}

const FILE: &str = "image.data";

/// Blocks of 512 bytes in a MiB.
const BLOCKS: u64 = 2048;

/// The stanza that is being read.
#[derive(Default)]
struct Stanza<'a> {
    kind: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Stanza<'a> {
    fn get(&self, key: &'static str) -> Result<&'a str, Unread> {
        let found = self.pairs.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| *value).ok_or(Unread::missing(FILE, key))
    }

    fn number(&self, key: &'static str) -> Result<u64, Unread> {
        let text = self.get(key)?;
        text.parse().map_err(|_| Unread::line(FILE, &format!("{key}= {text}")))
    }
}

/// Reads an image.data.
pub fn image_data(text: &str) -> Result<ImageData, Unread> {
    let mut image =
        ImageData { shrink: false, pp_size_mb: 0, volumes: Vec::new(), file_systems: Vec::new() };
    let mut stanza = Stanza::default();
    for line in lines(text).filter(|line| !line.trim_start().starts_with('#')) {
        let inside = line.starts_with([' ', '\t']);
        match line.trim().split_once('=') {
            Some((key, value)) if inside => stanza.pairs.push((key.trim(), value.trim())),
            _ if line.ends_with(':') && !inside => {
                close(&stanza, &mut image)?;
                stanza = Stanza { kind: line.trim_end_matches(':'), pairs: Vec::new() };
            }
            _ => return Err(Unread::line(FILE, line)),
        }
    }
    close(&stanza, &mut image)?;
    if image.file_systems.iter().all(|fs| fs.mount_point != "/") {
        return Err(Unread::missing(FILE, "fs_data of the root file system"));
    }
    image.file_systems.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    Ok(image)
}

fn close(stanza: &Stanza<'_>, image: &mut ImageData) -> Result<(), Unread> {
    match stanza.kind {
        "logical_volume_policy" => image.shrink = stanza.get("SHRINK")? == "yes",
        "vg_data" if stanza.get("VGNAME")? == "rootvg" => {
            image.pp_size_mb = stanza.number("PPSIZE")?;
        }
        "lv_data" if stanza.get("VOLUME_GROUP")? == "rootvg" => image.volumes.push(ImageVolume {
            name: stanza.get("LOGICAL_VOLUME")?.to_owned(),
            kind: stanza.get("TYPE")?.to_owned(),
            lps: stanza.number("LPs")?,
        }),
        "fs_data" => {
            let mount_point = stanza.get("FS_NAME")?;
            if !is_path(mount_point) {
                return Err(Unread::line(FILE, &format!("FS_NAME= {mount_point}")));
            }
            image.file_systems.push(ImageFs {
                mount_point: mount_point.to_owned(),
                lv: stanza.get("FS_LV")?.trim_start_matches("/dev/").to_owned(),
                size_mb: stanza.number("FS_SIZE")?.div_ceil(BLOCKS),
                min_mb: stanza.number("FS_MIN_SIZE")?.div_ceil(BLOCKS),
            });
        }
        _ => {}
    }
    Ok(())
}

/// A whole path without `.` and `..`: commands are made with it.
fn is_path(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    text == "/" || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain))
}

/// A volume for [`image_data_lines`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeLine<'a> {
    pub name: &'a str,
    /// What it is for.
    pub kind: &'a str,
    /// Its size in MiB.
    pub size_mb: u64,
    /// For a file system: its mount point, and what is in use of it in MiB.
    pub mounted: Option<(&'a str, u64)>,
}

/// The lines of an image.data for a rootvg with these volumes.
pub fn image_data_lines(pp_size_mb: u64, volumes: &[VolumeLine<'_>]) -> Vec<String> {
    let mut text = String::from(
        "image_data:\n\tIMAGE_TYPE= bff\n\nlogical_volume_policy:\n\tSHRINK= no\n\tEXACT_FIT= no\n",
    );
    let _ = writeln!(text, "\nvg_data:\n\tVGNAME= rootvg\n\tPPSIZE= {pp_size_mb}\n\tVARYON= yes");
    let pp = pp_size_mb.max(1);
    for lv in volumes {
        let (point, used) = lv.mounted.unwrap_or(("", lv.size_mb));
        let _ = write!(
            text,
            "\nlv_data:\n\tVOLUME_GROUP= rootvg\n\tLOGICAL_VOLUME= {}\n\tTYPE= {}\n\tLPs= {}\n\
             \tPP_SIZE= {pp_size_mb}\n\tMOUNT_POINT= {point}\n\tLV_MIN_LPS= {}\n",
            lv.name,
            lv.kind,
            lv.size_mb.div_ceil(pp),
            used.max(1).div_ceil(pp)
        );
    }
    for lv in volumes {
        let Some((point, used)) = lv.mounted else { continue };
        let _ = write!(
            text,
            "\nfs_data:\n\tFS_NAME= {point}\n\tFS_SIZE= {}\n\tFS_MIN_SIZE= {}\n\tFS_LV= /dev/{}\n",
            lv.size_mb * BLOCKS,
            used.max(1) * BLOCKS,
            lv.name
        );
    }
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let volumes = [
            VolumeLine { name: "hd5", kind: "boot", size_mb: 128, mounted: None },
            VolumeLine { name: "hd4", kind: "jfs2", size_mb: 1024, mounted: Some(("/", 250)) },
        ];
        let text = image_data_lines(128, &volumes).join("\n");
        let image = image_data(&text).unwrap();
        assert_eq!((image.pp_size_mb, image.shrink), (128, false));
        assert_eq!(image.volumes[1].lps, 8);
        let root = &image.file_systems[0];
        assert_eq!((root.lv.as_str(), root.size_mb, root.min_mb), ("hd4", 1024, 250));
        assert_eq!((root.wanted_mb(false), root.wanted_mb(true)), (1024, 250));
        let fuller =
            [volumes[0].clone(), VolumeLine { mounted: Some(("/", 300)), ..volumes[1].clone() }];
        let grown = [volumes[0].clone(), VolumeLine { size_mb: 2048, ..volumes[1].clone() }];
        let [fuller, grown] =
            [fuller, grown].map(|lv| image_data(&image_data_lines(128, &lv).join("\n")).unwrap());
        assert!(image.has_sizes_of(&fuller) && !image.has_sizes_of(&grown));
        let shrunk = image_data(&text.replace("SHRINK= no", "SHRINK= yes")).unwrap();
        assert!(shrunk.shrink);
    }

    #[test]
    fn what_is_none_is_not_guessed() {
        assert!(image_data("").is_err());
        assert!(image_data("fs_data:\n\tFS_NAME= /\n").is_err());
        let text =
            "fs_data:\n\tFS_NAME= /../x\n\tFS_LV= /dev/hd4\n\tFS_SIZE= 1\n\tFS_MIN_SIZE= 1\n";
        assert!(image_data(text).is_err());
        assert!(image_data("garbage\n").is_err());
    }
}
