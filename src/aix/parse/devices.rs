//! `bootlist -o`, `lsdev` and `lsattr -El`.

use serde_json::{Map, Value, json};

use super::text::{Read, is_device, lines, rows, some, words};
use crate::aix::unread::Unread;

/// `bootlist -m normal -o`.
pub(super) fn bootlist(text: &str) -> Read {
    const COMMAND: &str = "bootlist -o";
    // What `-v` adds.
    const VERBOSE: [&str; 4] = ["NVRAM variable", "Path name", "match_specific_info", "'ibm,"];
    let text = lines(text)
        .filter(|line| !VERBOSE.iter().any(|word| line.trim_start().starts_with(word)))
        .fold(String::new(), |all, line| all + line + "\n");
    let broken = |line: &str| words(line).first().is_some_and(|word| is_device(word));
    let entries = rows(COMMAND, &text, boot_entry, broken)?;
    let mut devices: Vec<&Value> = Vec::new();
    for entry in &entries {
        let device = &entry["device"];
        if !device.is_null() && !devices.contains(&device) {
            devices.push(device);
        }
    }
    Ok(json!({ "devices": devices, "entries": entries }))
}

/// `hdisk1 blv=hd5 pathid=0`; `-` is an entry that cannot be resolved.
fn boot_entry(line: &str) -> Option<Value> {
    let words = words(line);
    let (device, rest) = words.split_first()?;
    if *device != "-" && !is_device(device) {
        return None;
    }
    let mut options = Map::new();
    for word in rest {
        let (key, value) = word.split_once('=').filter(|(key, _)| !key.is_empty())?;
        options.insert(key.to_owned(), value.into());
    }
    Some(json!({
        "device": (*device != "-").then_some(*device),
        "blv": options.get("blv"),
        "pathid": options.get("pathid"),
        "options": options,
    }))
}

const STATUSES: [&str; 5] = ["Available", "Defined", "Stopped", "Diagnose", "Unknown"];

/// `lsdev`, in columns or as `-F "name:status:location:description"`.
pub(super) fn lsdev(text: &str) -> Read {
    rows("lsdev", text, device, |line| words(line).first().is_some_and(|word| is_device(word)))
        .map(Value::Array)
}

fn device(line: &str) -> Option<Value> {
    let fields: Vec<&str> = line.splitn(4, ':').map(str::trim).collect();
    if let [name, status, location, description] = fields.as_slice()
        && STATUSES.contains(status)
    {
        return device_row(name, status, location, description);
    }
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let (status, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (first, others) =
        rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    let (location, description) = if is_location(first) { (first, others) } else { ("", rest) };
    STATUSES.contains(&status).then_some(())?;
    device_row(name, status, location, description)
}

fn device_row(name: &str, status: &str, location: &str, description: &str) -> Option<Value> {
    let fits = !name.is_empty() && !name.contains(char::is_whitespace);
    fits.then(|| {
        json!({
            "name": name, "status": status, "location": some(location), "description": some(description),
        })
    })
}

/// An AIX location, `30-T1-01`, `3p-06-00-6,0` or `00-08-00-4,0`: letters and digits,
/// with a digit in its second part, so that `2-Port` and `PCI-X` are descriptions. Small
/// letters stand behind a digit in the first part only.
fn is_location(word: &str) -> bool {
    let mut parts = word.split('-');
    let first = parts.next().unwrap_or_default();
    let begins = (1..=3).contains(&first.len())
        && (first.starts_with(|c: char| c.is_ascii_digit())
            || !first.bytes().any(|b| b.is_ascii_lowercase()));
    let all = word[first.len()..]
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b',' | b'.'))
        && first.bytes().all(|b| b.is_ascii_alphanumeric());
    begins && all && parts.next().is_some_and(|part| part.bytes().any(|b| b.is_ascii_digit()))
}

/// `lsattr -El DEVICE`, and its form `-O`.
pub(super) fn lsattr(text: &str) -> Read {
    const COMMAND: &str = "lsattr -El";
    let mut all = lines(text).peekable();
    let mut table: Vec<Row<'_>> = Vec::new();
    let mut found: Vec<Value> = Vec::new();
    let mut foreign = None;
    while let Some(line) = all.next() {
        if let Some(names) = line.trim_start().strip_prefix('#')
            && is_names(names)
        {
            let values = all.next().ok_or_else(|| Unread::line(COMMAND, line))?;
            let values = if line.starts_with('#') { values } else { values.trim_start() };
            found.extend(pairs(names, values).ok_or_else(|| Unread::line(COMMAND, values))?);
        } else if let Some(row) = Row::of(line) {
            // A list that was shown twice says nothing more of its columns.
            if table.iter().all(|known| known.line != row.line) {
                table.push(row);
            }
        } else if table.is_empty() && found.is_empty() {
            foreign = foreign.or(Some(line));
        } else {
            return Err(Unread::line(COMMAND, line));
        }
    }
    found.extend(
        columns(&table)
            .ok_or_else(|| Unread::line(COMMAND, table.first().map_or("", |row| row.line)))?,
    );
    match foreign {
        _ if !found.is_empty() => Ok(Value::Array(found)),
        Some(line) => Err(Unread::line(COMMAND, line)),
        None => Err(Unread::missing(COMMAND, "attribute")),
    }
}

/// The heading of `-O`: names between colons.
fn is_names(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:".contains(&b))
}

fn pairs(names: &str, values: &str) -> Option<Vec<Value>> {
    let names: Vec<&str> = names.split(':').collect();
    let values: Vec<&str> = values.splitn(names.len(), ':').collect();
    let row = |(name, value): (&&str, &&str)| attribute(name, value, "", None);
    (names.len() == values.len()).then(|| names.iter().zip(&values).map(row).collect())
}

fn attribute(name: &str, value: &str, description: &str, settable: Option<&str>) -> Value {
    json!({
        "attribute": name, "value": some(value), "description": some(description),
        "user_settable": settable,
    })
}

/// A row without its last word.
struct Row<'a> {
    line: &'a str,
    name: &'a str,
    settable: &'a str,
    /// Where its words begin and end, after the name.
    words: Vec<(usize, usize)>,
}

impl<'a> Row<'a> {
    fn of(line: &'a str) -> Option<Row<'a>> {
        let line = line.trim();
        let (body, settable) = line.rsplit_once([' ', '\t'])?;
        if !matches!(settable, "True" | "False" | "True+" | "False+") {
            return None;
        }
        let body = body.trim_end();
        let start = |word: &str| word.as_ptr() as usize - body.as_ptr() as usize;
        let mut words = body.split_whitespace().map(|word| (start(word), start(word) + word.len()));
        let name = words.next().map(|(from, to)| &body[from..to])?;
        Some(Row { line: body, name, settable, words: words.collect() })
    }

    /// The row with its value up to `end`.
    fn cut(&self, value: usize, description: usize) -> Option<Value> {
        let value = if self.words.is_empty() { "" } else { self.line.get(value..description)? };
        let description = self.line.get(description..).unwrap_or_default();
        Some(attribute(self.name, value, description, Some(self.settable)))
    }

    fn begins_with_a_number(&self) -> bool {
        let word = self.words.first().and_then(|(from, to)| self.line.get(*from..*to));
        word.is_some_and(|word| {
            let hex =
                word.strip_prefix("0x").is_some_and(|hex| u128::from_str_radix(hex, 16).is_ok());
            hex || word.parse::<u128>().is_ok()
        })
    }

    /// By its words alone: the second is the value, unless the gap before it
    /// says that there is none.
    fn alone(&self) -> Value {
        let clear: Vec<&str> =
            self.line.split("  ").filter(|part| !part.trim().is_empty()).collect();
        let gap = self.words.first().map_or(0, |(from, _)| from - self.name.len());
        let empty = gap >= 2 && clear.len() <= 2 || self.name == "unique_id";
        let from = self.words.first().map_or(self.line.len(), |(from, _)| *from);
        let to = if empty { from } else { self.words.first().map_or(from, |(_, to)| *to) };
        attribute(self.name, &self.line[from..to], &self.line[to..], Some(self.settable))
    }
}

/// Whether `value` and `description` are columns of all rows: what a row begins with stands in
/// one of them, and where blanks before the first say that there may be no values, those
/// between the two say that there are.
fn is_plain(table: &[Row<'_>], value: usize, description: usize) -> bool {
    let begins = |row: &Row<'_>| row.words.first().map(|(from, _)| *from);
    let fits = |row: &Row<'_>| begins(row).is_none_or(|at| at == value || at == description);
    let longest = table.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let is_padded =
        |row: &Row<'_>| row.line.get(..description).is_some_and(|line| line.ends_with("  "));
    table.iter().all(fits) && (value <= longest + 1 || table.iter().any(is_padded))
}

/// Values and descriptions by their columns: both begin at the same place in
/// every row. Where they do not, rows are read by their words. Where blanks were
/// squeezed nothing tells a value from the description after it.
fn columns(table: &[Row<'_>]) -> Option<Vec<Value>> {
    let is_wide = |row: &Row<'_>| row.line.contains("  ") || row.line.contains('\t');
    if table.iter().any(|row| row.words.len() > 1) && !table.iter().any(is_wide) {
        // The columns of a single row are as wide as it: a number is no description.
        return match table {
            [row] if row.begins_with_a_number() => Some(vec![row.alone()]),
            _ => None,
        };
    }
    if table.len() > 1 && table.iter().any(|row| !row.line.is_ascii()) {
        return None;
    }
    let starts_at = |row: &Row<'_>, at: usize| row.words.iter().any(|(from, _)| *from == at);
    let within =
        |row: &Row<'_>, at: usize| row.words.iter().any(|(from, to)| *from < at && at < *to);
    let value = table.iter().filter_map(|row| row.words.first()).map(|(from, _)| *from).min();
    let Some(value) = value.filter(|_| table.len() > 1) else {
        return Some(table.iter().map(Row::alone).collect());
    };
    let longest = table.iter().map(|row| row.line.len()).max().unwrap_or(0);
    // A row without a value and without a description ends before both.
    let description = (value + 1..longest).find(|at| {
        table.iter().all(|row| starts_at(row, *at) || row.line.len() <= *at && !within(row, *at))
            && table.iter().any(|row| starts_at(row, *at))
    });
    match description {
        // Rows of two tables, or values that are all empty: nothing tells which.
        Some(at) if !is_plain(table, value, at) => None,
        Some(at) => {
            table.iter().map(|row| row.cut(value, at.min(row.line.len().max(value)))).collect()
        }
        None => Some(table.iter().map(Row::alone).collect()),
    }
}
