//! `lsnim -l`, `lsnim -t` and `lsnim -Z`.

use serde_json::{Map, Value, json};

use super::text::{Read, lines, rows, words};
use crate::aix::nim::is_text;
use crate::aix::unread::Unread;

/// `lsnim -l`, of one object or many.
pub(super) fn lsnim_l(text: &str) -> Read {
    const COMMAND: &str = "lsnim -l";
    let all: Vec<&str> = lines(text).filter(|line| !line.trim_start().starts_with('#')).collect();
    let mut objects: Vec<(&str, Vec<(String, String)>)> = Vec::new();
    for (at, line) in all.iter().enumerate() {
        let next = all.get(at + 1).copied().unwrap_or_default();
        if let Some(name) = stanza(line)
            && attribute(next).is_some()
        {
            objects.push((name, Vec::new()));
            continue;
        }
        let Some((_, attributes)) = objects.last_mut() else {
            if stanza(line).is_none() && attribute(line).is_none() {
                continue;
            }
            return Err(Unread::line(COMMAND, line));
        };
        match (attribute(line), attributes.last_mut()) {
            (Some((key, value)), _) => attributes.push((key.to_owned(), value.to_owned())),
            // The text of an error or a remark may have several lines. Those of an error
            // stand at the margin, too.
            (None, Some((key, value)))
                if is_text(key)
                    || line.starts_with([' ', '\t'])
                        && matches!(key.as_str(), "info" | "comments") =>
            {
                value.push(' ');
                value.push_str(line.trim());
            }
            (None, _) => return Err(Unread::line(COMMAND, line)),
        }
    }
    if objects.is_empty() {
        return Err(all.first().map_or_else(
            || Unread::missing(COMMAND, "object"),
            |line| Unread::line(COMMAND, line),
        ));
    }
    Ok(objects.into_iter().map(|(name, attributes)| object(name, attributes)).collect())
}

/// The name that begins a stanza: `lpar7:`.
fn stanza(line: &str) -> Option<&str> {
    line.strip_suffix(':').filter(|name| {
        !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '=' || c == ':')
    })
}

/// `   Cstate = ready for a NIM operation`. A value may be empty.
fn attribute(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let (bare, key) = (key.ends_with([' ', '\t']), key.trim());
    let fits = !key.is_empty() && !key.contains(char::is_whitespace);
    (fits && bare).then_some((key, value.trim()))
}

/// An object; an attribute that it has several times is a list.
fn object(name: &str, pairs: Vec<(String, String)>) -> Value {
    let mut attributes = Map::new();
    for (key, value) in pairs {
        match attributes.get_mut(&key) {
            None => {
                attributes.insert(key, value.into());
            }
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    json!({
        "name": name,
        "class": attributes.get("class").cloned(),
        "type": attributes.get("type").cloned(),
        "attributes": attributes,
    })
}

const CLASSES: [&str; 5] = ["machines", "networks", "resources", "groups", "management"];

/// `lsnim`, `lsnim -t TYPE` and `lsnim -c CLASS`.
pub(super) fn lsnim_t(text: &str) -> Read {
    let row = |line: &str| match words(line).as_slice() {
        [name, class, kind] if CLASSES.contains(class) => {
            Some(json!({ "name": name, "class": class, "type": kind }))
        }
        _ => None,
    };
    let broken = |line: &str| words(line).get(1).is_some_and(|class| CLASSES.contains(class));
    rows("lsnim -t", text, row, broken).map(Value::Array)
}

/// `lsnim -Z -a NAME …`.
pub(super) fn lsnim_z(text: &str) -> Read {
    const COMMAND: &str = "lsnim -Z";
    let mut columns: Vec<&str> = Vec::new();
    let (mut found, mut foreign) = (Vec::new(), None);
    for line in lines(text) {
        if let Some(heading) = line.strip_prefix("#name:") {
            columns = heading.trim_end_matches(':').split(':').collect();
        } else if columns.is_empty() {
            foreign = foreign.or(Some(line));
        } else {
            found.push(fields(&columns, line).ok_or_else(|| Unread::line(COMMAND, line))?);
        }
    }
    match foreign {
        _ if !columns.is_empty() => Ok(Value::Array(found)),
        Some(line) => Err(Unread::line(COMMAND, line)),
        None => Err(Unread::missing(COMMAND, "heading `#name`")),
    }
}

const RESULTS: [&str; 3] = ["success", "failure", "reset"];

/// A row. An attribute that is not set has no field at all, and `info` may have
/// colons within: the ends decide, and where they do not, it is an error.
fn fields(columns: &[&str], line: &str) -> Option<Value> {
    // Without its last colon the row is not whole.
    let mut values: Vec<&str> = line.strip_suffix(':')?.split(':').collect();
    let name = values.remove(0);
    if name.is_empty() || name.contains(char::is_whitespace) || values.is_empty() {
        return None;
    }
    let mut row = Map::new();
    let mut set = |column: &str, value: Option<String>| {
        row.insert(column.to_owned(), value.filter(|value| !value.trim().is_empty()).into());
    };
    set("name", Some(name.to_owned()));
    let result = columns.iter().position(|column| *column == "Cstate_result");
    let fits = |at: usize| matches!(values[at].trim(), "" | "success" | "failure" | "reset");
    if values.len() == columns.len() && result.is_none_or(fits) {
        for (column, value) in columns.iter().zip(&values) {
            set(column, Some((*value).trim().to_owned()));
        }
        return Some(Value::Object(row));
    }
    let info = columns.iter().position(|column| *column == "info")?;
    let (before, after) = (&columns[..info], &columns[info + 1..]);
    if values.len() < before.len() {
        return None;
    }
    let inner = values.split_off(before.len());
    for (column, value) in before.iter().zip(&values) {
        set(column, Some((*value).trim().to_owned()));
    }
    // What follows `info` is known by what it can be.
    let last_fits = match after {
        [] => Some(0),
        ["Cstate_result"] => {
            let has = inner.last().is_some_and(|value| RESULTS.contains(&value.trim()));
            Some(usize::from(has))
        }
        _ => (inner.len() >= after.len()).then_some(after.len()),
    }?;
    let (inner, ends) = inner.split_at(inner.len() - last_fits);
    set("info", Some(inner.join(":").trim().to_owned()));
    for (at, column) in after.iter().enumerate() {
        set(column, ends.get(at).map(|value| value.trim().to_owned()));
    }
    Some(Value::Object(row))
}
