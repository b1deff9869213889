//! `ls` of a directory, and `ls -l` of a symbolic link.

use super::unread::{Unread, lines};

/// Whether the words of a failed command say that a file is not there.
pub fn is_missing(text: &str) -> bool {
    text.contains("0653-341") || text.contains("does not exist") || text.contains("No such file")
}

/// Reads `ls DIRECTORY`: one name a line.
pub fn names(text: &str) -> Vec<String> {
    lines(text).map(|line| line.trim().to_owned()).collect()
}

/// Reads `ls -l PATH`: what the symbolic link `path` points to.
pub fn link_target(text: &str, path: &str) -> Result<String, Unread> {
    let Some(line) = lines(text).find(|line| line.contains(path)) else {
        return Err(Unread::missing("ls -l", "line of that path"));
    };
    match line.split_once(&format!("{path} -> ")) {
        Some((mode, target)) if mode.starts_with('l') && !target.trim().is_empty() => {
            Ok(target.trim().to_owned())
        }
        _ => Err(Unread::line("ls -l", line)),
    }
}

/// Reads `ls -lid PATH`: the i-node, size and time of the file at `path`.
pub fn file_identity(text: &str, path: &str) -> Result<String, Unread> {
    let Some((line, head)) =
        lines(text).find_map(|line| Some((line, line.trim_end().strip_suffix(path)?)))
    else {
        return Err(Unread::missing("ls -lid", "line of that path"));
    };
    match head.split_whitespace().collect::<Vec<_>>().as_slice() {
        [inode, mode, _, _, _, size, time @ ..]
            if mode.starts_with('-')
                && inode.parse::<u64>().is_ok()
                && size.parse::<u64>().is_ok()
                && !time.is_empty() =>
        {
            Ok(format!("{inode} {size} {}", time.join(" ")))
        }
        _ => Err(Unread::line("ls -lid", line)),
    }
}

/// Whether both are of one file. `ls` tells the year in the place of the time of day
/// once a file is half a year old.
pub fn is_same_file(one: &str, other: &str) -> bool {
    let split = |text: &str| {
        text.rsplit_once(' ').map(|(head, last)| (head.to_owned(), last.contains(':')))
    };
    one == other
        || match (split(one), split(other)) {
            (Some((head, has_clock)), Some((other, other_has))) => {
                head == other && has_clock != other_has
            }
            _ => false,
        }
}

/// Reads `ls -l DIRECTORY`: the symbolic links in it, and what they point to.
pub fn links(text: &str) -> Vec<(String, String)> {
    let link = |line: &str| {
        let (line, target) = line.strip_prefix('l')?.split_once(" -> ")?;
        let name = line.split_whitespace().next_back()?;
        Some((name.to_owned(), target.trim().to_owned()))
    };
    lines(text).filter_map(link).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_of_a_directory_are_read() {
        let text = "total 16\n\
            -rw-r--r--    1 root     system            0 Mar 02 07:15 clone-rootvg.done\n\
            lrwxrwxrwx    1 root     system            5 Mar 02 07:15 lease -> s1.m7\n\
            lrwxrwxrwx    1 root     system           20 Mar 02 07:15 lease.over.s1.m7 -> s9.m1,over=s1.m7\n";
        let pair = |name: &str, target: &str| (name.to_owned(), target.to_owned());
        let wanted = [pair("lease", "s1.m7"), pair("lease.over.s1.m7", "s9.m1,over=s1.m7")];
        assert_eq!(links(text), wanted);
    }

    #[test]
    fn the_target_of_a_link_is_read() {
        let text = include_str!("../../fixtures/aix/ls-l/lease.txt");
        assert_eq!(link_target(text, "/var/adm/nimshift/lease").unwrap(), "s1.m7");
        let file = "-rw-r--r--    1 root     system            0 Mar 02 07:15 /a\n";
        assert!(link_target(file, "/a").is_err());
    }

    #[test]
    fn a_file_is_told_from_one_made_anew() {
        let line = |inode, time| {
            format!("{inode:>5} -rw-r--r--    1 root     system       123456 {time} /export/a b\n")
        };
        let read = |text: String| file_identity(&text, "/export/a b").unwrap();
        let made = read(line(131, "Mar 02 07:15"));
        assert_eq!(made, "131 123456 Mar 02 07:15");
        assert!(is_same_file(&made, &read(line(131, "Mar 02 2026"))), "half a year later");
        for other in
            [line(132, "Mar 02 07:15"), line(131, "Mar 02 07:16"), line(131, "Mar 03 2026")]
        {
            assert!(!is_same_file(&made, &read(other)));
        }
        assert!(file_identity(" 7 drwxr-xr-x 2 root system 256 Mar 02 07:15 /a\n", "/a").is_err());
    }

    #[test]
    fn a_missing_file_is_told_by_its_message() {
        assert!(is_missing("ls: 0653-341 The file /x does not exist.\n"));
        assert!(!is_missing("ls: 0653-345 /x: Permission denied.\n"));
        assert_eq!(names("a.begun\r\n a.done \n\n"), ["a.begun", "a.done"]);
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>()) {
            for text in [text, String::from_utf8_lossy(&tail).into_owned()] {
                let _ = (names(&text), link_target(&text, "/"), is_missing(&text));
                let _ = (file_identity(&text, "/"), is_same_file(&text, "/ /"));
            }
        }
    }
}
