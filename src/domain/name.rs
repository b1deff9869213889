//! Names of things on AIX, checked where they enter the program.
//!
//! Every name ends up as an argument of a command on a host, so each type
//! admits its alphabet and nothing else.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not a name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}: {why}")]
pub struct NameError {
    /// What it was to be: `a NIM name`.
    pub kind: &'static str,
    /// What was given, cut to a readable length.
    pub text: String,
    /// Which rule it breaks.
    pub why: &'static str,
}

fn check(
    text: &str,
    kind: &'static str,
    max: usize,
    first: fn(char) -> bool,
    rest: fn(char) -> bool,
    alphabet: &'static str,
) -> Result<(), NameError> {
    let why = match text.chars().next() {
        None => "it is empty",
        Some(_) if text.len() > max => "it is too long",
        Some(c) if !first(c) => "it begins with a character that is not allowed there",
        Some(_) if !text.chars().all(rest) => alphabet,
        Some(_) => return Ok(()),
    };
    Err(NameError { kind, text: crate::base::sanitize_line(text, 60), why })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $first:expr, $rest:expr, $alphabet:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<$name, NameError> {
                check(text, $kind, $max, $first, $rest, $alphabet)?;
                Ok($name(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<$name, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name_type!(
    /// The name of a NIM object: 1 to 39 characters, letters, digits and `_.-`,
    /// not beginning with a point or a hyphen.
    NimName,
    "a NIM name",
    39,
    |c| c.is_ascii_alphanumeric() || c == '_',
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'),
    "allowed are letters, digits, `_`, `.` and `-`",
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,38}$"
);
name_type!(
    /// A host name: at most 253 characters.
    HostName,
    "a host name",
    253,
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'),
    "allowed are letters, digits, `.`, `-` and `_`",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,252}$"
);
name_type!(
    /// A disk by its logical name, such as `hdisk1`: at most 15 characters.
    DiskName,
    "a disk name",
    15,
    |c| c.is_ascii_alphabetic(),
    |c| c.is_ascii_alphanumeric() || c == '_',
    "allowed are letters, digits and `_`",
    r"^[A-Za-z][A-Za-z0-9_]{0,14}$"
);
name_type!(
    /// A volume group: at most 15 characters.
    VgName,
    "a volume group name",
    15,
    |c| c.is_ascii_alphabetic() || c == '_',
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'),
    "allowed are letters, digits, `_`, `.` and `-`",
    r"^[A-Za-z_][A-Za-z0-9_.-]{0,14}$"
);
name_type!(
    /// A physical volume id: 16 hexadecimal digits, as `lspv` shows it.
    Pvid,
    "a PVID",
    16,
    |c| c.is_ascii_hexdigit(),
    |c| c.is_ascii_hexdigit(),
    "allowed are hexadecimal digits",
    r"^[0-9a-f]{16}$"
);
name_type!(
    /// The name of a batch: 1 to 40 characters.
    BatchName,
    "a batch name",
    40,
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
    "allowed are letters, digits, `_` and `-`",
    r"^[A-Za-z0-9_-]{1,40}$"
);

/// Year and week in which software was built, as `YYWW`: an update whose build is older than
/// what is installed is refused by installp (0503-465).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildWeek(u16);

impl BuildWeek {
    /// Reads `2346`. `0000` stands where none is known.
    pub fn parse(text: &str) -> Option<BuildWeek> {
        let is_week = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        let week: u16 = text.parse().ok().filter(|_| is_week)?;
        (1..=53).contains(&(week % 100)).then_some(BuildWeek(week))
    }
}

impl fmt::Display for BuildWeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// An AIX level: `7300-02-01-2346`, or the beginning of one: `7300-02`.
///
/// Compared by release, technology level, service pack, in this order; what is
/// not given counts as met.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2}(-[0-9]{4})?)?)?$"))]
pub struct Level(String);

impl Level {
    /// The level as `oslevel -s` prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Version and release: `7.3` of `7300-02`.
    pub fn version_release(&self) -> String {
        format!("{}.{}", &self.0[0..1], &self.0[1..2])
    }

    /// When it was built: the last field of `7300-02-01-2346`.
    pub fn built(&self) -> Option<BuildWeek> {
        self.0.split('-').nth(3).and_then(BuildWeek::parse)
    }

    fn parts(&self) -> Vec<u32> {
        self.0.split('-').map(|part| part.parse().unwrap_or(0)).collect()
    }

    /// Whether a system at this level has what `wanted` names, or more.
    pub fn reaches(&self, wanted: &Level) -> bool {
        // The fourth field is the date of the pack: no order of levels.
        let own = self.parts();
        for (index, part) in wanted.parts().into_iter().take(3).enumerate() {
            match own.get(index) {
                Some(have) if *have > part => return true,
                Some(have) if *have == part => {}
                _ => return false,
            }
        }
        true
    }

    /// Whether both name the same version and release.
    pub fn same_release(&self, other: &Level) -> bool {
        self.0[0..4] == other.0[0..4]
    }
}

impl FromStr for Level {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Level, NameError> {
        const WIDTHS: [usize; 4] = [4, 2, 2, 4];
        let parts: Vec<&str> = text.split('-').collect();
        let fits = parts.len() <= WIDTHS.len()
            && parts.iter().zip(WIDTHS).all(|(part, width)| {
                part.len() == width && part.bytes().all(|b| b.is_ascii_digit())
            });
        if fits {
            return Ok(Level(text.to_owned()));
        }
        Err(NameError {
            kind: "an AIX level",
            text: crate::base::sanitize_line(text, 60),
            why: "it must look like `7300`, `7300-02`, `7300-02-01` or `7300-02-01-2346`",
        })
    }
}

impl TryFrom<String> for Level {
    type Error = NameError;

    fn try_from(text: String) -> Result<Level, NameError> {
        text.parse()
    }
}

impl From<Level> for String {
    fn from(level: Level) -> String {
        level.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nim_name_ends_at_39_characters() {
        assert!("a".repeat(39).parse::<NimName>().is_ok());
        assert!("a".repeat(40).parse::<NimName>().is_err());
        assert!("".parse::<NimName>().is_err());
    }

    #[test]
    fn a_name_is_no_way_into_a_shell() {
        for text in ["a;b", "a b", "$(x)", "-rf", "a/b", "a'b", "a\nb"] {
            assert!(text.parse::<NimName>().is_err(), "{text:?}");
            assert!(text.parse::<HostName>().is_err(), "{text:?}");
            assert!(text.parse::<DiskName>().is_err(), "{text:?}");
            assert!(text.parse::<VgName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn levels_are_compared_field_by_field() {
        let level = |text: &str| text.parse::<Level>().expect("a level");
        assert!(level("7300-02-01-2346").reaches(&level("7300-02")));
        assert!(level("7300-02-01-2346").reaches(&level("7200-05-09-2446")));
        assert!(!level("7300-01-04-2446").reaches(&level("7300-02")));
        assert!(!level("7200-05").reaches(&level("7300")));
        assert_eq!(level("7300-02").version_release(), "7.3");
    }

    #[test]
    fn levels_have_fixed_widths() {
        for text in
            ["", "730", "7300-2", "7300-02-1", "7300-02-01-46", "7300_02", "7300-02-01-2346-1"]
        {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }
}
