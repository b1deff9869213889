//! `bootlist -o`, `bootinfo`, `ipl_varyon -i`, `getconf BOOT_DEVICE` and `who -b`.

use crate::domain::DiskName;

use super::unread::{Unread, lines};

/// Whether firmware can boot from a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootable {
    /// `bootinfo -B` printed 1.
    Yes,
    /// It printed 0.
    No,
}

/// Reads `bootlist -m normal -o`: the distinct disks in order. Entries that
/// cannot be resolved (`-`) and network adapters are left out.
pub fn bootlist(text: &str) -> Result<Vec<DiskName>, Unread> {
    let mut devices: Vec<&str> = Vec::new();
    for line in lines(text) {
        let mut words = line.split_whitespace();
        let device = words.next().unwrap_or_default();
        let is_device = device == "-"
            || (device.starts_with(|c: char| c.is_ascii_lowercase())
                && device.ends_with(|c: char| c.is_ascii_digit()));
        if is_device && words.all(|word| word.contains('=')) {
            devices.push(device);
        } else if !devices.is_empty() || device.starts_with("hdisk") {
            return Err(Unread::line("bootlist", line));
        }
    }
    if devices.is_empty() {
        return Err(Unread::missing("bootlist", "device"));
    }
    let mut disks: Vec<DiskName> = Vec::new();
    for device in devices.into_iter().filter(|d| *d != "-" && !d.starts_with("ent")) {
        let disk = device.parse().map_err(|_| Unread::line("bootlist", device))?;
        if !disks.contains(&disk) {
            disks.push(disk);
        }
    }
    Ok(disks)
}

/// The one word that `command` prints and `fits` accepts; other lines are
/// banners. No such word, or two different ones, is an error.
pub fn one_word<'a>(
    command: &'static str,
    text: &'a str,
    fits: fn(&str) -> bool,
) -> Result<&'a str, Unread> {
    let mut found: Option<&str> = None;
    for line in lines(text).map(str::trim).filter(|line| fits(line)) {
        if found.is_some_and(|before| before != line) {
            return Err(Unread::line(command, line));
        }
        found = Some(line);
    }
    match (found, lines(text).last()) {
        (Some(word), _) => Ok(word),
        (None, Some(line)) => Err(Unread::line(command, line)),
        (None, None) => Err(Unread::missing(command, "word")),
    }
}

/// Reads `bootinfo -B DISK`.
pub fn is_bootable(text: &str) -> Result<Bootable, Unread> {
    match one_word("bootinfo -B", text, |word| matches!(word, "0" | "1"))? {
        "1" => Ok(Bootable::Yes),
        _ => Ok(Bootable::No),
    }
}

/// Reads `ipl_varyon -i`: each disk, and whether it has a boot record. That a boot image is
/// there and whole, and of which level, it does not tell.
///
/// Its columns are PVNAME, BOOT DEVICE, PVID and VOLUME GROUP ID: as people show them; no
/// capture with a known release is at hand.
pub fn boot_records(text: &str) -> Result<Vec<(DiskName, bool)>, Unread> {
    let mut records: Vec<(DiskName, bool)> = Vec::new();
    for line in lines(text) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(word)) = (words.next(), words.next()) else { continue };
        let is_boot = match word {
            "YES" => true,
            "NO" => false,
            _ => continue,
        };
        let disk = name.parse().map_err(|_| Unread::line("ipl_varyon", line))?;
        if !words.all(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(Unread::line("ipl_varyon", line));
        }
        if records.iter().any(|(known, _)| *known == disk) {
            return Err(Unread::line("ipl_varyon", line));
        }
        records.push((disk, is_boot));
    }
    if records.is_empty() {
        return Err(Unread::missing("ipl_varyon", "disk"));
    }
    Ok(records)
}

/// Reads `who -b`: the time of the last boot, as it is printed.
pub fn boot_time(text: &str) -> Result<String, Unread> {
    let time = lines(text)
        .find_map(|line| line.split_once("system boot"))
        .map(|(_, time)| time.split_whitespace().collect::<Vec<_>>().join(" "));
    match time {
        Some(time) if time.contains(':') => Ok(time),
        Some(time) => Err(Unread::line("who -b", &time)),
        None => Err(Unread::missing("who -b", "`system boot`")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_boot_record_is_told_for_each_disk() {
        let text = "[S 6553808 4784266 05/18/13-21:29:07:911 ipl_varyon.c 1270] ipl_varyon -i\n\n\
             PVNAME          BOOT DEVICE     PVID                            VOLUME GROUP ID\n\
             hdisk0          YES             00f60ad4e8f0f3fd0000000000000000        00f60ad400004c00\n\
             hdisk10         NO              00f60ad4e8f0f3fe0000000000000000        00f60ad400004c01\n";
        let records = boot_records(text).unwrap();
        let told: Vec<(&str, bool)> =
            records.iter().map(|(disk, is_boot)| (disk.as_str(), *is_boot)).collect();
        assert_eq!(told, [("hdisk0", true), ("hdisk10", false)]);
        assert!(boot_records("PVNAME BOOT DEVICE\n").is_err());
        assert!(boot_records("hdisk0 YES 00f6\nhdisk0 NO 00f6\n").is_err());
        assert!(boot_records("hdisk0 YES of course\n").is_err());
    }

    #[test]
    fn a_bootlist_is_its_distinct_disks() {
        let disks = bootlist(include_str!("../../fixtures/aix/bootlist/paths.txt")).unwrap();
        let names: Vec<&str> = disks.iter().map(DiskName::as_str).collect();
        assert_eq!(names, ["hdisk1", "hdisk0"]);
        assert_eq!(bootlist("-\nent0 bserver=1.2.3.4\n").unwrap(), []);
        assert!(bootlist("hdisk0 is what\n").is_err());
        assert!(bootlist("").is_err());
    }

    #[test]
    fn one_word_is_found_behind_a_banner_and_never_guessed() {
        let digits: fn(&str) -> bool = |w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_digit());
        assert_eq!(one_word("bootinfo -s", "Welcome to lpar7\n 51200 \n", digits), Ok("51200"));
        assert!(one_word("bootinfo -s", "51200\n40960\n", digits).is_err());
        assert!(one_word("bootinfo -s", "\n", digits).is_err());
        assert_eq!(is_bootable("1\n"), Ok(Bootable::Yes));
        assert_eq!(is_bootable("0\n"), Ok(Bootable::No));
        assert!(is_bootable("2\n").is_err());
    }

    #[test]
    fn the_time_of_the_boot_is_kept_as_printed() {
        let text = include_str!("../../fixtures/aix/who-b/plain.txt");
        assert_eq!(boot_time(text).unwrap(), "Mar 02 07:15");
        assert!(boot_time("nobody").is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>()) {
            for text in [text, String::from_utf8_lossy(&tail).into_owned()] {
                let _ = (bootlist(&text), is_bootable(&text), boot_time(&text));
                let _ = boot_time(&format!("system boot {text}"));
            }
        }
    }
}
