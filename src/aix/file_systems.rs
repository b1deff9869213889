//! `mount`, `exportfs`, `df` and `lsfs -c`.

use serde::Serialize;

use super::unread::{Unread, after_heading, lines};

/// A row of `mount`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountRow {
    /// The host that serves it; none for a local file system.
    pub node: Option<String>,
    /// The device or directory that is mounted.
    pub device: String,
    #[serde(rename = "mount_point")]
    pub over: String,
    /// `jfs2`, `nfs3`.
    pub vfs: String,
    /// Since when, as it is printed.
    pub date: String,
    pub options: Vec<String>,
}

/// Months as dates have them.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads `mount`.
pub fn mounts(text: &str) -> Result<Vec<MountRow>, Unread> {
    let is_heading = |line: &str| {
        let mut words = line.split_whitespace();
        ["node", "mounted", "mounted", "over"].iter().all(|word| words.next() == Some(word))
            || is_rule(line)
    };
    after_heading("mount", "heading", text, is_heading)?
        .filter(|line| !is_rule(line))
        .map(|line| mount_row(line).ok_or_else(|| Unread::line("mount", line)))
        .collect()
}

/// The row of hyphens below the heading, and not the frame of a banner: it has
/// several columns.
fn is_rule(line: &str) -> bool {
    let mut columns = line.split_whitespace();
    columns.clone().count() >= 5 && columns.all(|column| column.bytes().all(|b| b == b'-'))
}

/// Columns shift; the date is where the row is known by.
fn mount_row(line: &str) -> Option<MountRow> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let digits =
        |text: &str| matches!(text.len(), 1..=2) && text.bytes().all(|b| b.is_ascii_digit());
    let is_date = |at: &usize| {
        let clock = words[at + 2].split_once(':');
        MONTHS.contains(&words[*at])
            && digits(words[at + 1])
            && clock.is_some_and(|(hour, minute)| digits(hour) && digits(minute))
    };
    let at = (3..words.len().saturating_sub(2)).find(is_date)?;
    let local = line.starts_with([' ', '\t']);
    let (node, device, over, vfs) = match words[..at] {
        [device, over, vfs] if local || device.starts_with('/') => (None, device, over, vfs),
        [node, device, over, vfs] if !local => (Some(node.to_owned()), device, over, vfs),
        _ => return None,
    };
    let options = words[at + 3..].iter().flat_map(|word| word.split(','));
    over.starts_with('/').then(|| MountRow {
        node,
        device: device.to_owned(),
        over: over.to_owned(),
        vfs: vfs.to_owned(),
        date: words[at..at + 3].join(" "),
        options: options.filter(|option| !option.is_empty()).map(str::to_owned).collect(),
    })
}

/// Reads `exportfs`: the directories.
pub fn exports(text: &str) -> Result<Vec<String>, Unread> {
    let mut directories = Vec::new();
    for line in lines(text) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some(path) if path.starts_with('/') && words.count() <= 1 => {
                directories.push(path.to_owned());
            }
            _ if directories.is_empty() && !line.starts_with('/') => {}
            _ => return Err(Unread::line("exportfs", line)),
        }
    }
    Ok(directories)
}

/// A row of `df -k` or `df -m`, in the unit that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsUsage {
    /// All of it.
    pub total: u64,
    /// What is free.
    pub free: u64,
}

impl FsUsage {
    /// What is in use.
    pub fn used(self) -> u64 {
        self.total.saturating_sub(self.free)
    }
}

/// Reads `df -k` or `df -m`: mount points with their usage. Pseudo file systems
/// are left out.
pub fn df(text: &str) -> Result<Vec<(String, FsUsage)>, Unread> {
    let mut rows = lines(text).skip_while(|line| !line.trim_start().starts_with("Filesystem"));
    if rows.next().is_none() {
        return Err(Unread::missing("df", "heading `Filesystem`"));
    }
    let mut usages = Vec::new();
    for line in rows {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_device, total, free, _used, _iused, _iused_percent, over] = words.as_slice() else {
            return Err(Unread::line("df", line));
        };
        if *total == "-" {
            continue;
        }
        // `df -m` prints hundredths.
        let number = |word: &str| word.split('.').next().and_then(|whole| whole.parse().ok());
        match (number(total), number(free)) {
            (Some(total), Some(free)) if over.starts_with('/') => {
                usages.push(((*over).to_owned(), FsUsage { total, free }));
            }
            _ => return Err(Unread::line("df", line)),
        }
    }
    Ok(usages)
}

/// A row of `lsfs -c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsRow {
    /// Where it is mounted.
    pub mount_point: String,
    /// The device: `/dev/fslv03`.
    pub device: String,
    /// Its size in blocks of 512 bytes, where the table has it.
    pub blocks: Option<u64>,
}

/// Reads `lsfs -c`.
pub fn lsfs(text: &str) -> Result<Vec<FsRow>, Unread> {
    let mut rows = lines(text).skip_while(|line| !line.starts_with("#MountPoint:"));
    if rows.next().is_none() {
        return Err(Unread::missing("lsfs -c", "heading `#MountPoint`"));
    }
    rows.map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [mount_point, device, _vfs, _node, _type, size, _options, _auto, ..]
                if mount_point.starts_with('/') =>
            {
                Ok(FsRow {
                    mount_point: (*mount_point).to_owned(),
                    device: (*device).to_owned(),
                    blocks: size.trim().parse().ok(),
                })
            }
            _ => Err(Unread::line("lsfs -c", line)),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mount_is_read_with_shifted_columns_and_without_options() {
        let rows = mounts(include_str!("../../fixtures/aix/mount/master.txt")).unwrap();
        let shown: Vec<_> =
            rows.iter().map(|r| (r.node.as_deref(), r.device.as_str(), r.over.as_str())).collect();
        assert_eq!(
            shown,
            [
                (None, "/dev/hd4", "/"),
                (None, "/dev/livedump", "/var/adm/ras/livedump"),
                (None, "/proc", "/proc"),
                (Some("lpar7"), "/alt_inst/usr", "/lpar7_alt/alt_inst/usr"),
            ]
        );
        assert_eq!(rows[3].vfs, "nfs3");
    }

    #[test]
    fn a_broken_row_of_mount_is_an_error() {
        let text = include_str!("../../fixtures/aix/mount/master.txt");
        assert!(mounts(&format!("{text}lpar7    /alt_inst/opt\n")).is_err());
        assert!(mounts("mount: 0506-324\n").is_err());
    }

    #[test]
    fn exports_are_the_directories() {
        let text = include_str!("../../fixtures/aix/exportfs/two.txt");
        assert_eq!(exports(text).unwrap(), ["/alt_inst", "/alt_inst/usr"]);
        assert_eq!(exports("").unwrap(), Vec::<String>::new());
        assert!(exports("/a -ro\nwhat\n").is_err());
    }

    #[test]
    fn df_skips_pseudo_file_systems() {
        let rows = df(include_str!("../../fixtures/aix/df/k.txt")).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].0, "/lpar7_alt/alt_inst/usr");
        assert_eq!(rows[0].1.used(), 223_168);
        let rows = df(include_str!("../../fixtures/aix/df/m.txt")).unwrap();
        assert_eq!(rows[0].1, FsUsage { total: 2560, free: 512 });
        assert!(df("Filesystem\n/dev/hd4 x y 1% 1 1% /\n").is_err());
    }

    #[test]
    fn lsfs_has_sizes_in_blocks() {
        let rows = lsfs(include_str!("../../fixtures/aix/lsfs-c/two.txt")).unwrap();
        assert_eq!(rows[0].mount_point, "/alt_inst/usr");
        assert_eq!(rows[0].blocks, Some(6_291_456));
        assert_eq!(rows[1].blocks, None);
        assert!(lsfs("#MountPoint:\nx:y\n").is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>()) {
            for text in [text, String::from_utf8_lossy(&tail).into_owned()] {
                let _ = (mounts(&text), exports(&text), df(&text), lsfs(&text));
                let _ = mounts(&format!("-- -- -- -- --\n{text}"));
                let _ = df(&format!("Filesystem\n{text}"));
                let _ = lsfs(&format!("#MountPoint:\n{text}"));
            }
        }
    }
}
