//! `mount`, `df` and `lsfs -c`.

use serde_json::{Map, Value, json};

use super::text::{Read, after_heading, each, lines, number, some, value_of, words};
use crate::aix::file_systems::mounts;
use crate::aix::unread::Unread;

/// `mount`.
pub(super) fn mount(text: &str) -> Read {
    mounts(text).map(value_of)
}

/// `df -k`, `df -m` and the like: the heading says what is printed.
pub(super) fn df(text: &str) -> Read {
    const COMMAND: &str = "df";
    let mut all = lines(text).skip_while(|line| !line.trim_start().starts_with("Filesystem"));
    let Some(heading) = all.next() else {
        return Err(lines(text).next().map_or_else(
            || Unread::missing(COMMAND, "heading"),
            |line| Unread::line(COMMAND, line),
        ));
    };
    let (unit, columns) = columns(heading).ok_or_else(|| Unread::line(COMMAND, heading))?;
    each(COMMAND, all.filter(|line| *line != heading), |line| usage(&unit, &columns, line))
}

/// The unit, and the columns between the device and the mount point.
fn columns(heading: &str) -> Option<(String, Vec<&'static str>)> {
    let words = words(heading);
    let ["Filesystem", middle @ .., "Mounted", "on"] = words.as_slice() else { return None };
    // `MB blocks` are two words for one column.
    let (unit, rest) = match middle {
        [size @ ("MB" | "GB" | "KB"), "blocks", rest @ ..] => (format!("{size} blocks"), rest),
        [unit, rest @ ..] if unit.ends_with("-blocks") => ((*unit).to_owned(), rest),
        _ => return None,
    };
    let name = |word: &&str| match *word {
        "Used" => Some("used"),
        "Free" | "Available" => Some("free"),
        "%Used" | "Capacity" => Some("used_percent"),
        "Iused" => Some("inodes_used"),
        "Ifree" => Some("inodes_free"),
        "%Iused" => Some("inodes_used_percent"),
        _ => None,
    };
    let rest = rest.iter().map(name).collect::<Option<Vec<_>>>()?;
    rest.contains(&"free").then(|| (unit, [vec!["total"], rest].concat()))
}

fn usage(unit: &str, columns: &[&str], line: &str) -> Option<Value> {
    let words = words(line);
    let (device, rest) = words.split_first()?;
    let (numbers, over) = rest.split_at_checked(columns.len())?;
    let over = over.join(" ");
    if !over.starts_with('/') {
        return None;
    }
    let mut row = Map::new();
    row.insert("filesystem".to_owned(), (*device).into());
    row.insert("mount_point".to_owned(), over.into());
    row.insert("unit".to_owned(), unit.into());
    for (column, word) in columns.iter().zip(numbers) {
        // A percentage has its sign, and a pseudo file system has nothing.
        let percent = column.ends_with("percent");
        let value = match *word {
            "-" => Value::Null,
            word if percent => number(word.strip_suffix('%')?)?,
            word => number(word)?,
        };
        row.insert((*column).to_owned(), value);
    }
    Some(Value::Object(row))
}

/// `lsfs -c`, with or without `-q`.
pub(super) fn lsfs(text: &str) -> Read {
    const COMMAND: &str = "lsfs -c";
    let is_heading = |line: &str| line.trim_start().starts_with("#MountPoint:");
    let rows = after_heading(COMMAND, "heading `#MountPoint`", text, is_heading)?;
    let mut found: Vec<Value> = Vec::new();
    for line in rows.filter(|line| !is_heading(line)) {
        let inner = line.trim().strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
        match (inner, found.last_mut()) {
            (Some(inner), Some(row)) if row["details"].is_null() => {
                row["details"] = details(inner);
            }
            (None, _) => found.push(file_system(line).ok_or_else(|| Unread::line(COMMAND, line))?),
            (Some(_), _) => return Err(Unread::line(COMMAND, line)),
        }
    }
    Ok(Value::Array(found))
}

fn file_system(line: &str) -> Option<Value> {
    let mut fields: Vec<String> = line.trim().split(':').map(str::to_owned).collect();
    // Options may have colons, `sec=sys:krb5`; they are the seventh of nine.
    while fields.len() > 9 {
        let more = fields.remove(7);
        fields[6] = format!("{}:{more}", fields[6]);
    }
    let [mount_point, device, vfs, node, kind, size, options, auto, rest @ ..] = fields.as_slice()
    else {
        return None;
    };
    let blank = |text: &str| if text.trim() == "--" { Value::Null } else { some(text) };
    let size = match size.trim() {
        "" | "-" | "--" => Value::Null,
        size => size.parse::<u64>().ok()?.into(),
    };
    if !mount_point.starts_with('/') || !matches!(auto.trim(), "yes" | "no" | "" | "--") {
        return None;
    }
    Some(json!({
        "mount_point": mount_point,
        "device": blank(device),
        "vfs": blank(vfs),
        "node": blank(node),
        "type": blank(kind),
        "blocks_512": size,
        "options": blank(options),
        "automount": blank(auto),
        "accounting": rest.first().map_or(Value::Null, |field| blank(field)),
        "details": null,
    }))
}

/// `(lv size 524288:fs size 524288:EFS no)`: the last word is the value.
fn details(inner: &str) -> Value {
    let pair = |part: &str| match part.trim().rsplit_once(' ') {
        Some((key, value)) => (key.trim().to_owned(), value.into()),
        None => (part.trim().to_owned(), Value::Null),
    };
    let parts = inner.split([':', ',']).filter(|part| !part.trim().is_empty());
    Value::Object(parts.map(pair).collect())
}
