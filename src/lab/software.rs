//! Installed software: kept as a text in `/usr/lib/objrepos/lpp` of each system
//! (and of a SPOT), so that it goes wherever the files go.

use std::fmt::Write as _;

use super::tree::Tree;

/// Where the list lies within `/usr`.
pub(crate) const LIST: &str = "lib/objrepos/lpp";

/// Where the RPMs are listed within `/opt`.
pub(crate) const RPM_LIST: &str = "freeware/var/lib/rpm/Packages";

/// Names of the filesets of a system, with MB at release 7.2 and later 7.3.
const FILESETS: [(&str, u64, u64, &str); 20] = [
    ("bos.rte", 180, 230, "Base Operating System Runtime"),
    ("bos.mp64", 90, 130, "Base Operating System 64-bit Multiprocessor Runtime"),
    ("bos.rte.libc", 60, 80, "libc Library"),
    ("bos.rte.security", 20, 30, "Base Security Function"),
    ("bos.rte.install", 30, 45, "LPP Install Commands"),
    ("bos.rte.lvm", 25, 35, "Logical Volume Manager"),
    ("bos.alt_disk_install.rte", 10, 15, "Alternate Disk Installation Runtime"),
    ("bos.alt_disk_install.boot_images", 60, 90, "Alternate Disk Installation Disk Boot Images"),
    ("bos.net.tcp.client_core", 40, 60, "TCP/IP Client Core Support"),
    ("bos.net.tcp.server_core", 20, 30, "TCP/IP Server Core"),
    ("bos.net.nfs.client", 20, 30, "Network File System Client"),
    ("bos.sysmgt.nim.client", 20, 30, "Network Install Manager - Client Tools"),
    ("bos.sysmgt.serv_aid", 15, 20, "Software Error Logging and Dump Service Aids"),
    ("bos.sysmgt.sysbr", 15, 20, "System Backup and BOS Install Utilities"),
    ("bos.adt.include", 40, 60, "Base Application Development Include Files"),
    ("bos.perf.tools", 30, 45, "Base Performance Tools"),
    ("devices.common.IBM.mpio.rte", 20, 30, "MPIO Disk Path Control Module"),
    ("openssh.base.server", 40, 60, "Open Secure Shell Server"),
    ("openssl.base", 60, 90, "Open Secure Socket Layer"),
    ("Java8_64.jre", 400, 520, "Java SDK 64-bit Java Runtime Environment"),
];

/// The filesets that `restore` of the bos image brings.
pub(crate) const BOS_IMAGE: [&str; 3] = ["bos.rte", "bos.mp64", "bos.rte.libc"];

/// One fileset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fileset {
    pub name: String,
    /// Version, release, modification, fix: `7.3.2.1`.
    pub vrmf: String,
    /// The level of AIX that it belongs to: `7300-02-01-2346`.
    pub aix: String,
    /// `COMMITTED` or `BROKEN`.
    pub state: String,
    /// What it takes of `/usr`.
    pub size_mb: u64,
    pub about: String,
}

impl Fileset {
    /// Year and week of its build.
    pub(crate) fn build(&self) -> &str {
        self.aix.rsplit('-').next().unwrap_or("")
    }
}

/// The version and release of a level: `7.3` of `7300-02-01-2346`.
pub(crate) fn version_release(level: &str) -> String {
    let mut digits = level.chars();
    format!("{}.{}", digits.next().unwrap_or('0'), digits.next().unwrap_or('0'))
}

/// Version, release, modification, fix of a level: `7.3.2.1`.
pub(crate) fn vrmf(level: &str) -> String {
    let number = |index: usize| {
        level.split('-').nth(index).and_then(|part| part.parse::<u64>().ok()).unwrap_or(0)
    };
    format!("{}.{}.{}", version_release(level), number(1), number(2))
}

/// All filesets of a system at `level`.
pub(crate) fn filesets(level: &str) -> Vec<Fileset> {
    let old = version_release(level).as_str() < "7.3";
    FILESETS
        .iter()
        .map(|&(name, early, late, about)| Fileset {
            name: name.to_owned(),
            vrmf: vrmf(level),
            aix: level.to_owned(),
            state: "COMMITTED".to_owned(),
            size_mb: if old { early } else { late },
            about: about.to_owned(),
        })
        .collect()
}

/// A fileset that no system has by itself.
pub(crate) fn extra_fileset(name: &str, level: &str) -> Fileset {
    Fileset {
        name: name.to_owned(),
        vrmf: vrmf(level),
        aix: level.to_owned(),
        state: "COMMITTED".to_owned(),
        size_mb: 30,
        about: format!("{name} of the site's bundles"),
    }
}

/// The list as it is kept.
pub(crate) fn to_text(list: &[Fileset]) -> String {
    let mut text = String::new();
    for Fileset { name, vrmf, aix, state, size_mb, about } in list {
        let _ = writeln!(text, "{name}|{vrmf}|{aix}|{state}|{size_mb}|{about}");
    }
    text
}

/// The list as it was kept; lines that are none are left out.
pub(crate) fn from_text(text: &str) -> Vec<Fileset> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(6, '|').map(str::to_owned);
            Some(Fileset {
                name: fields.next()?,
                vrmf: fields.next()?,
                aix: fields.next()?,
                state: fields.next()?,
                size_mb: fields.next()?.parse().ok()?,
                about: fields.next()?,
            })
        })
        .collect()
}

/// The level of a system with these filesets: that of the fileset that is
/// furthest behind.
pub(crate) fn level(list: &[Fileset]) -> Option<String> {
    list.iter().filter(|fileset| fileset.state != "BROKEN").map(|f| f.aix.clone()).min()
}

/// What the software in this file system takes.
pub(crate) fn size_mb(tree: &Tree) -> u64 {
    // Only the fourth field is needed, and `df` is asked often.
    let sizes = tree.text(LIST).unwrap_or("").lines();
    sizes.filter_map(|line| line.split('|').nth(4)?.parse::<u64>().ok()).sum()
}

/// `list` with every fileset of `new` in it, in the order of names.
pub(crate) fn merged(list: Vec<Fileset>, new: &[Fileset]) -> Vec<Fileset> {
    let mut all: Vec<Fileset> =
        list.into_iter().filter(|old| new.iter().all(|fresh| fresh.name != old.name)).collect();
    all.extend(new.iter().cloned());
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_gives_the_level_of_filesets() {
        assert_eq!(vrmf("7300-02-01-2346"), "7.3.2.1");
        assert_eq!(version_release("7200-05-03-2148"), "7.2");
    }

    #[test]
    fn the_fileset_furthest_behind_decides_the_level() {
        let old = filesets("7200-05-03-2148");
        let mut bos = filesets("7300-02-01-2346");
        bos.truncate(3);
        let mixed = merged(old, &bos);
        assert_eq!(level(&mixed).as_deref(), Some("7200-05-03-2148"));
        assert_eq!(from_text(&to_text(&mixed)), mixed);
        assert_eq!(mixed.len(), FILESETS.len());
    }
}
