//! `KEY: value   KEY: value`, two to a line or not: `lsvg VG`, `lspv DISK`.

use serde_json::{Map, Value};

use super::text::{Read, lines};
use crate::aix::unread::Unread;

/// The keys that are known, the longer before those that end them. Others are
/// found by their colon.
const KNOWN: [&str; 46] = [
    "FREE DISTRIBUTION",
    "USED DISTRIBUTION",
    "MIRROR POOL STRICT",
    "PHYSICAL VOLUME",
    "STALE PARTITIONS",
    "LOGICAL VOLUMES",
    "DISK BLOCK SIZE",
    "Auto-Concurrent",
    "INFINITE RETRY",
    "MAX PPs per VG",
    "MAX PPs per PV",
    "FS SYNC OPTION",
    "PV RESTRICTION",
    "VG DESCRIPTORS",
    "PV IDENTIFIER",
    "VG IDENTIFIER",
    "VG PERMISSION",
    "VOLUME GROUP",
    "CRITICAL PVs",
    "CRITICAL VG",
    "MAX REQUEST",
    "ALLOCATABLE",
    "MIRROR POOL",
    "SNAPSHOT VG",
    "ACTIVE PVs",
    "ENCRYPTION",
    "Concurrent",
    "PRIMARY VG",
    "STALE PVs",
    "STALE PPs",
    "TOTAL PPs",
    "TOTAL PVs",
    "AUTO SYNC",
    "BB POLICY",
    "HOT SPARE",
    "FREE PPs",
    "USED PPs",
    "OPEN LVs",
    "PV STATE",
    "VG STATE",
    "MAX LVs",
    "MAX PVs",
    "PP SIZE",
    "AUTO ON",
    "QUORUM",
    "LVs",
];

/// Keys that a capture may have without a colon.
const BARE: [&str; 2] = ["VG IDENTIFIER", "PV IDENTIFIER"];

/// One object: its keys with their values, as printed.
#[derive(Debug, Default)]
pub(super) struct Labelled(pub(super) Vec<(String, String)>);

impl Labelled {
    /// The value of `key`; none where it is absent, empty or question marks.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        Some(value.as_str()).filter(|value| !value.trim_matches(['?', ' ']).is_empty())
    }

    /// The first word of the value, as a text.
    pub(super) fn word(&self, key: &str) -> Value {
        self.get(key).and_then(|value| value.split_whitespace().next()).into()
    }

    /// The whole value.
    pub(super) fn text(&self, key: &str) -> Value {
        self.get(key).into()
    }

    /// The number that begins the value; null where there is no value.
    pub(super) fn number(&self, command: &'static str, key: &str) -> Read {
        let Some(word) = self.get(key).and_then(|value| value.split_whitespace().next()) else {
            return Ok(Value::Null);
        };
        if word.starts_with('?') {
            return Ok(Value::Null);
        }
        let wrong = |_| Unread::line(command, &format!("{key}: {word}"));
        word.parse::<u64>().map(Value::from).map_err(wrong)
    }

    /// As [`Labelled::number`], which must be there.
    pub(super) fn count(&self, command: &'static str, key: &'static str) -> Read {
        match self.number(command, key)? {
            Value::Null => Err(Unread::missing(command, key)),
            number => Ok(number),
        }
    }

    /// All keys and values.
    pub(super) fn all(&self) -> Value {
        let entries = self.0.iter().map(|(key, value)| (key.clone(), value.clone().into()));
        Value::Object(entries.collect::<Map<_, _>>())
    }
}

/// The objects of a text; each begins with the key `first`.
pub(super) fn objects(
    command: &'static str,
    first: &'static str,
    text: &str,
) -> Read<Vec<Labelled>> {
    let mut objects: Vec<Labelled> = Vec::new();
    let mut foreign = None;
    for line in lines(text) {
        let pairs = pairs(line);
        let begins = pairs.first().is_some_and(|(key, _)| key == first);
        match objects.last_mut() {
            _ if begins => objects.push(Labelled(pairs)),
            Some(object) if !pairs.is_empty() => object.0.extend(pairs),
            Some(_) => return Err(Unread::line(command, line)),
            None if pairs.iter().any(|(key, _)| KNOWN.contains(&key.as_str())) => {
                return Err(Unread::line(command, line));
            }
            None => foreign = foreign.or(Some(line)),
        }
    }
    match foreign {
        _ if !objects.is_empty() => Ok(objects),
        Some(line) => Err(Unread::line(command, line)),
        None => Err(Unread::missing(command, first)),
    }
}

/// The keys and values of a line; none where it does not begin with a key.
fn pairs(line: &str) -> Vec<(String, String)> {
    let starts = starts(line);
    if starts.first().is_none_or(|(at, ..)| !line[..*at].trim().is_empty()) {
        return Vec::new();
    }
    let ends = starts.iter().skip(1).map(|(at, ..)| *at).chain([line.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((_, key, value), end)| (key.clone(), line[*value..end].trim().to_owned()))
        .collect()
}

/// Where keys begin, the keys, and where their values begin.
fn starts(line: &str) -> Vec<(usize, String, usize)> {
    let mut starts = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let before = &line[..at];
        let free = before.is_empty() || before.ends_with([' ', '\t']);
        let found =
            if free { known(&line[at..]).or_else(|| other(before, &line[at..])) } else { None };
        if let Some((key, length)) = found {
            starts.push((at, key, at + length));
            at += length;
        } else {
            at += line[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    starts
}

/// A known key at the beginning of `rest`, and its length with the colon.
fn known(rest: &str) -> Option<(String, usize)> {
    KNOWN.iter().find_map(|key| {
        let after = rest.strip_prefix(key)?;
        let blanks = after.len() - after.trim_start_matches(' ').len();
        if after[blanks..].starts_with(':') {
            return Some(((*key).to_owned(), key.len() + blanks + 1));
        }
        (BARE.contains(key) && blanks > 0).then(|| ((*key).to_owned(), key.len()))
    })
}

/// Another key: it begins the line, or stands clear of the value before it.
fn other(before: &str, rest: &str) -> Option<(String, usize)> {
    let clear = before.trim().is_empty() || before.ends_with("  ") || before.ends_with('\t');
    let (key, _) = rest.split_once(':')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '(' | ')' | '-' | '/');
    let is_key = key.starts_with(|c: char| c.is_ascii_uppercase())
        && key.len() <= 40
        && !key.contains("  ")
        && key.chars().all(fits);
    (clear && is_key).then(|| (key.trim_end().to_owned(), key.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whatever_stands_between() {
        let shown = |line: &str| {
            let pairs = pairs(line);
            pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            shown("PV IDENTIFIER:      00f7a1b2c3d4e5f6 VG IDENTIFIER     00f7a1b2"),
            ["PV IDENTIFIER=00f7a1b2c3d4e5f6", "VG IDENTIFIER=00f7a1b2"]
        );
        assert_eq!(
            shown("LTG size (Dynamic): 256 kilobyte(s)          AUTO SYNC:      no"),
            ["LTG size (Dynamic)=256 kilobyte(s)", "AUTO SYNC=no"]
        );
        assert_eq!(
            shown("MAX LVs: 256 FREE PPs: 3 (12 megabytes)"),
            ["MAX LVs=256", "FREE PPs=3 (12 megabytes)"]
        );
        assert_eq!(shown("LVs:   0     NEW KEY:  x"), ["LVs=0", "NEW KEY=x"]);
        assert_eq!(shown("no key at all"), Vec::<String>::new());
    }
}
