//! Texts of a plan file that have a form of their own.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::base::{limits, sanitize_line};
use crate::domain::name::{BatchName, DiskName, HostName, Level, NimName, VgName};
use crate::domain::phase::Phase;

/// A text that is yet to be parsed as a `T`, and has its schema.
#[derive(Debug)]
pub(super) struct Raw<T> {
    pub(super) text: String,
    becomes: PhantomData<T>,
}

impl<'de, T> Deserialize<'de> for Raw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw<T>, D::Error> {
        String::deserialize(deserializer).map(|text| Raw { text, becomes: PhantomData })
    }
}

impl<T: JsonSchema> JsonSchema for Raw<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A text with a form, and the form in words: the way out of an error.
pub(in crate::domain) trait Word: FromStr {
    const FORM: &'static str;
}

impl Word for NimName {
    const FORM: &'static str = "a NIM name has 1 to 39 letters, digits, `_`, `.` and `-`";
}
impl Word for HostName {
    const FORM: &'static str = "a host name has letters, digits, `.`, `-` and `_`";
}
impl Word for DiskName {
    const FORM: &'static str = "name the disk as `lspv` on the client shows it, such as `hdisk1`";
}
impl Word for VgName {
    const FORM: &'static str = "name the volume group as `lsvg` shows it: at most 15 characters";
}
impl Word for Level {
    const FORM: &'static str =
        "write it as `oslevel -s` prints it, such as `7300-02-01-2346`, or the beginning of that";
}
impl Word for BatchName {
    const FORM: &'static str = "a batch name has 1 to 40 letters, digits, `_` and `-`";
}
impl Word for MountOptions {
    const FORM: &'static str =
        "separate options by commas, without blanks, such as `rsize=65536,wsize=65536`";
}
impl Word for OutputPath {
    const FORM: &'static str = "name a file from `/` on, of letters, digits, `_`, `.` and `-`, such as `/export/new.mksysb`";
}
impl Word for Address {
    const FORM: &'static str = "name a host, an address, or an alias of the ssh configuration";
}
impl Word for UserName {
    const FORM: &'static str = "name a user of the host, such as `root`";
}
impl Word for Jump {
    const FORM: &'static str = "write `master`, or a host to go through as `[USER@]HOST[:PORT]`";
}
impl Word for HostPath {
    const FORM: &'static str =
        "name a path from `/` on, of letters, digits, `_`, `.` and `-`, at most 200 characters";
}
impl Word for EstatePath {
    const FORM: &'static str = "name a file, relative to the plan file";
}
impl Word for DurationText {
    const FORM: &'static str =
        "write a number with its unit, `ms`, `s`, `m`, `h` or `d`, such as `30s` or `1h30m`";
}

/// Why a text does not have its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}: {why}")]
pub(in crate::domain) struct WordError {
    kind: &'static str,
    text: String,
    why: &'static str,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, JsonSchema)]
        #[schemars(extend("pattern" = $pattern))]
        pub(in crate::domain) struct $name(pub(in crate::domain) String);

        impl FromStr for $name {
            type Err = WordError;

            fn from_str(text: &str) -> Result<$name, WordError> {
                let check: fn(&str) -> Option<&'static str> = $check;
                match check(text) {
                    None => Ok($name(text.to_owned())),
                    Some(why) => {
                        Err(WordError { kind: $kind, text: sanitize_line(text, 60), why })
                    }
                }
            }
        }
    };
}

text_type!(
    /// NFS options: at most 200 characters.
    MountOptions,
    "a list of mount options",
    "^[A-Za-z0-9_=,.:-]{1,200}$",
    |text| match text {
        "" => Some("it is empty"),
        _ if text.len() > 200 => Some("it is too long"),
        _ if text.chars().all(|c| c.is_ascii_alphanumeric() || "_=,.:-".contains(c)) => None,
        _ => Some("allowed are letters, digits and `_=,.:-`"),
    }
);
text_type!(
    /// An absolute path on the master.
    OutputPath,
    "an absolute path",
    "^/[A-Za-z0-9_./-]{1,1022}$",
    |text| match text {
        _ if !text.starts_with('/') => Some("it does not begin with `/`"),
        _ if text.len() > 1023 => Some("it is too long"),
        _ if text.split('/').any(|part| part == "..") => Some("it goes through `..`"),
        _ if text.ends_with('/') => Some("it names a directory"),
        _ if text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c)) => None,
        _ => Some("allowed are letters, digits, `_`, `.`, `-` and `/`"),
    }
);
text_type!(
    /// A file of this machine.
    EstatePath,
    "a file name",
    "^[^\\x00-\\x1f\\x7f]{1,1023}$",
    |text| match text {
        "" => Some("it is empty"),
        _ if text.len() > 1023 => Some("it is too long"),
        _ if text.chars().any(char::is_control) => Some("it has control characters"),
        _ => None,
    }
);

text_type!(
    /// A host as `ssh` is told of it.
    Address,
    "a host or an address",
    "^[A-Za-z0-9_][A-Za-z0-9_.:%-]{0,252}$",
    |text| plain(text, 253, "_.:%-")
);
text_type!(
    /// A user of a host.
    UserName,
    "a user name",
    "^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$",
    |text| plain(text, 64, "_.@-")
);
text_type!(
    /// A host to go through.
    Jump,
    "a host to go through",
    "^[A-Za-z0-9_\\[][A-Za-z0-9_.:%@\\[\\]-]{0,299}$",
    |text| plain(text, 300, "_.:%@[]-").or_else(|| way(text))
);
text_type!(
    /// A path on a host.
    HostPath,
    "an absolute path",
    "^/[A-Za-z0-9_./-]{1,199}$",
    |text| match text {
        _ if text.len() > 200 => Some("it is too long"),
        _ => OutputPath::from_str(text).err().map(|error| error.why),
    }
);

/// Letters, digits and `more`, and no option.
fn plain(text: &str, max: usize, more: &str) -> Option<&'static str> {
    match text {
        "" => Some("it is empty"),
        _ if text.len() > max => Some("it is too long"),
        _ if text.starts_with(['-', '.', '@', ':', '%']) => {
            Some("it begins with a punctuation mark")
        }
        _ if text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c)) => None,
        _ => Some("it has characters that are not allowed"),
    }
}

/// Why `[USER@]HOST[:PORT]` names no way, as `ssh -J` reads it.
fn way(text: &str) -> Option<&'static str> {
    let (user, rest) = text.split_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None => return Some("a port must follow `:`"),
            },
            None => return Some("its `[` is not closed"),
        },
        // More than one colon: an address of IPv6, without a port.
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        },
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match () {
        () if user == Some("") => Some("it has no user before `@`"),
        () if host.is_empty() || host.starts_with(['-', '.', '%']) => Some("it has no host"),
        () if host.contains(['@', '[', ']']) => Some("it has a mark too many"),
        () if !port.is_none_or(is_port) => Some("its port is not a number from 1 to 65535"),
        () => None,
    }
}

/// The form of a length of time, as the schema has it.
pub(super) const DURATION: &str = "^[0-9]+(ms|s|m|h|d)( ?[0-9]+(ms|s|m|h|d))*$";

/// A length of time: `30s`, `5m`, `1h30m`.
#[derive(Debug, JsonSchema)]
#[schemars(with = "String", extend("pattern" = DURATION))]
pub(super) struct DurationText {
    pub(super) ms: u64,
}

impl FromStr for DurationText {
    type Err = WordError;

    fn from_str(text: &str) -> Result<DurationText, WordError> {
        let wrong =
            |why| WordError { kind: "a length of time", text: sanitize_line(text, 60), why };
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong("it has no unit"));
        }
        // humantime knows more: months, years, and units written out. A plan
        // that says `5M` means minutes.
        let units = text.split(|c: char| c.is_ascii_digit() || c == ' ');
        if units.filter(|unit| !unit.is_empty()).any(|u| !["ms", "s", "m", "h", "d"].contains(&u)) {
            return Err(wrong("it has a unit that is not known"));
        }
        let time = humantime::parse_duration(text)
            .map_err(|_| wrong("it is not made of numbers with units"))?;
        match u64::try_from(time.as_millis()) {
            Ok(ms) if ms <= limits::PLAN_DURATION_MAX_MS => Ok(DurationText { ms }),
            _ => Err(wrong("it is longer than 7 days")),
        }
    }
}

/// A phase by name or number: a key of `[limits.phases]`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PhaseKey;

impl PhaseKey {
    /// The phase that a key names.
    pub(super) fn phase(key: &str) -> Option<Phase> {
        Phase::ALL
            .into_iter()
            .find(|phase| phase.name() == key || phase.number().to_string() == key)
    }
}

impl JsonSchema for PhaseKey {
    fn schema_name() -> Cow<'static, str> {
        "PhaseKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = Phase::ALL.iter().map(|phase| phase.name().to_owned());
        let numbers = Phase::ALL.iter().map(|phase| phase.number().to_string());
        let keys: Vec<String> = names.chain(numbers).collect();
        json_schema!({ "type": "string", "enum": keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_bounded() {
        let ms = |text: &str| text.parse::<DurationText>().map(|time| time.ms);
        assert_eq!(ms("30s"), Ok(30_000));
        assert_eq!(ms("1h30m"), Ok(5_400_000));
        assert_eq!(ms("250ms"), Ok(250));
        assert_eq!(ms("7d"), Ok(604_800_000));
        for text in
            ["", "30", "8d", "5M", "1 month", "1y", "s", "-3s", "1.5h", "99999999999999999999s"]
        {
            assert!(ms(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_way_has_a_host_and_perhaps_a_user_and_a_port() {
        for text in [
            "gate",
            "op@gate",
            "gate:2222",
            "op@gate.example.com:22",
            "fe80::1",
            "[::1]:22",
            "master",
        ] {
            assert!(text.parse::<Jump>().is_ok(), "{text:?}");
        }
        let bad = [
            "op@",
            "@gate",
            "gate:",
            "gate:ssh",
            "gate:99999",
            "gate:0",
            "a@b@c",
            "[::1",
            "[::1]22",
            "op@:22",
            "op@-oX",
        ];
        for text in bad {
            assert!(text.parse::<Jump>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn paths_and_options_are_no_way_into_a_shell() {
        for text in ["/a;b", "/a b", "a", "/a/../b", "/$(x)", "/a/", "/a\n", ""] {
            assert!(text.parse::<OutputPath>().is_err(), "{text:?}");
        }
        assert!("/export/mksysb/new_7300.mksysb".parse::<OutputPath>().is_ok());
        for text in ["soft intr", "a;b", "`x`", "", "a\n"] {
            assert!(text.parse::<MountOptions>().is_err(), "{text:?}");
        }
        assert!("vers=4,sec=krb5:sys".parse::<MountOptions>().is_ok());
    }
}
