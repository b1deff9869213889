//! `lslpp -Lqc` and `oslevel -s`.

use std::fmt;

use crate::domain::{BuildWeek, Level};

use super::boot::one_word;
use super::unread::{Unread, lines};

/// A fileset's level: `7.3.2.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilesetLevel(pub [u32; 4]);

impl FilesetLevel {
    /// Version and release: `7.3`.
    pub fn version_release(self) -> String {
        format!("{}.{}", self.0[0], self.0[1])
    }

    fn parse(text: &str) -> Option<FilesetLevel> {
        let mut level = [0; 4];
        let mut parts = text.split('.');
        for part in &mut level {
            *part = parts.next()?.parse().ok()?;
        }
        parts.next().is_none().then_some(FilesetLevel(level))
    }
}

impl fmt::Display for FilesetLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [version, release, modification, fix] = self.0;
        write!(f, "{version}.{release}.{modification}.{fix}")
    }
}

/// A row of `lslpp -Lqc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fileset {
    pub name: String,
    /// Its level; an RPM's is not of this kind.
    pub level: Option<FilesetLevel>,
    /// `C`, `A`, `B`.
    pub state: String,
    pub built: Option<BuildWeek>,
}

/// Reads `lslpp -Lqc`.
pub fn filesets(text: &str) -> Result<Vec<Fileset>, Unread> {
    let mut rows = Vec::new();
    for line in lines(text).filter(|line| !line.starts_with('#')) {
        // RPM rows end in a date with colons: only 18 fields are fields.
        let fields: Vec<&str> = line.splitn(18, ':').map(str::trim).collect();
        match fields.as_slice() {
            [_package, name, level, _state, _ptf, fix_state, kind, ..]
                if fields.len() >= 8 && !name.is_empty() && kind.len() <= 1 =>
            {
                rows.push(Fileset {
                    name: (*name).to_owned(),
                    level: FilesetLevel::parse(level),
                    state: (*fix_state).to_owned(),
                    built: fields.get(17).and_then(|week| BuildWeek::parse(week)),
                });
            }
            _ if rows.is_empty() && fields.len() < 8 => {}
            _ => return Err(Unread::line("lslpp -Lqc", line)),
        }
    }
    Ok(rows)
}

/// Reads `oslevel -s`.
pub fn level(text: &str) -> Result<Level, Unread> {
    let fits: fn(&str) -> bool = |word| word.len() == 15 && word.parse::<Level>().is_ok();
    let word = one_word("oslevel -s", text, fits)?;
    word.parse().map_err(|_| Unread::line("oslevel -s", word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filesets_and_rpms_are_read() {
        let rows = filesets(include_str!("../../fixtures/aix/lslpp-Lqc/two.txt")).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].level.unwrap().to_string(), "7.3.2.1");
        assert_eq!(rows[0].level.unwrap().version_release(), "7.3");
        assert_eq!(rows[0].built, BuildWeek::parse("2346"));
        assert_eq!((rows[1].name.as_str(), rows[1].level), ("wget-1.21-1", None));
    }

    #[test]
    fn a_missing_fileset_is_no_row_and_a_broken_row_an_error() {
        assert_eq!(filesets("lslpp: 0504-132  Fileset x not installed.\n").unwrap(), []);
        let row = include_str!("../../fixtures/aix/lslpp-Lqc/two.txt");
        assert!(filesets(&format!("{row}bos.rte:what\n")).is_err());
    }

    #[test]
    fn a_level_is_four_fields_wide() {
        let text = include_str!("../../fixtures/aix/oslevel-s/banner.txt");
        assert_eq!(level(text).unwrap().as_str(), "7200-05-03-2148");
        for text in ["", "7300-02", "timedout", "7300-02-01-2346\n7200-05-03-2148"] {
            assert!(level(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>()) {
            for text in [text, String::from_utf8_lossy(&tail).into_owned()] {
                let _ = (filesets(&text), level(&text));
            }
        }
    }
}
