//! `lslpp`, `oslevel`, `instfix` and `emgr`.

use serde_json::{Value, json};

use super::text::{Read, digits, lines, numbers, rows, some, words};
use crate::aix::unread::Unread;

/// `lslpp -Lc`.
pub(super) fn lslpp_big(text: &str) -> Read {
    const COMMAND: &str = "lslpp -Lc";
    let columns = heading(text).map_or(18, |names| names.len());
    let row = |line: &str| package(line, columns);
    let broken = |line: &str| line.matches(':').count() >= 5;
    let text: String = lines(text)
        .filter(|line| !line.starts_with('#'))
        .fold(String::new(), |all, line| all + line + "\n");
    rows(COMMAND, &text, row, broken).map(Value::Array)
}

/// The names in the heading, where there is one.
fn heading(text: &str) -> Option<Vec<&str>> {
    let line = lines(text).find(|line| line.starts_with('#') && line.contains(':'))?;
    Some(line.trim_start_matches('#').split(':').collect())
}

fn package(line: &str, columns: usize) -> Option<Value> {
    let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
    // The build date of an RPM has colons.
    if let [.., hours, minutes, seconds] = fields.as_slice()
        && is_time_end(hours, minutes, seconds)
    {
        let date = format!("{hours}:{minutes}:{seconds}");
        fields.truncate(fields.len() - 3);
        fields.push(date);
    }
    // So may a description, which is the eighth.
    while fields.len() > columns.max(9) {
        let more = fields.remove(8);
        fields[7] = format!("{}:{more}", fields[7]);
    }
    // Older releases have fewer fields, and say so in their heading; the eight
    // up to the description are in all of them.
    if fields.len() < columns.clamp(8, 15) {
        return None;
    }
    let text = |at: usize| fields.get(at).map_or(Value::Null, |field| some(field));
    let (package, fileset, level) = (text(0), text(1), text(2));
    let kind = fields[6].trim();
    let level_fits = kind != "F" || is_level(level.as_str()?);
    if package.is_null() || fileset.is_null() || !level_fits || kind.len() > 1 {
        return None;
    }
    let flag = |at: usize| match fields.get(at).map(|field| field.trim()) {
        None | Some("") => Some(Value::Null),
        Some("0") => Some(false.into()),
        Some("1") => Some(true.into()),
        Some(_) => None,
    };
    Some(json!({
        "package": package,
        "fileset": fileset,
        "level": level,
        "state": text(3),
        "ptf": text(4),
        "fix_state": text(5),
        "type": text(6),
        "description": text(7),
        "uninstaller": text(9),
        "parent": text(13),
        "automatic": flag(14)?,
        "efix_locked": flag(15)?,
        "install_path": text(16),
        "build_date": fields.get(17).map_or(Value::Null, |date| some(&words(date).join(" "))),
    }))
}

/// `Tue Mar  5 10`, `11`, `12 2024`.
fn is_time_end(hours: &str, minutes: &str, seconds: &str) -> bool {
    let hour = hours.rsplit(' ').next().unwrap_or_default();
    let (first, last) = (seconds.split(' ').next(), seconds.rsplit(' ').next());
    let two = |word: &str| word.len() == 2 && digits(word);
    let year = |word: &str| word.len() == 4 && digits(word);
    hours.contains(' ')
        && two(hour)
        && two(minutes)
        && first.is_some_and(two)
        && last.is_some_and(year)
}

/// `7.3.2.1`.
fn is_level(text: &str) -> bool {
    numbers(text, '.', 4)
}

/// `lslpp -lc`.
pub(super) fn lslpp_small(text: &str) -> Read {
    const COMMAND: &str = "lslpp -lc";
    // The heading does not name the path. Old releases lack the last field.
    let with_efix = heading(text).map(|names| names.len() >= 7);
    let text: String = lines(text)
        .filter(|line| !line.starts_with('#'))
        .fold(String::new(), |all, line| all + line + "\n");
    let broken = |line: &str| line.matches(':').count() >= 4;
    rows(COMMAND, &text, |line| fileset(line, with_efix), broken).map(Value::Array)
}

fn fileset(line: &str, with_efix: Option<bool>) -> Option<Value> {
    let fields: Vec<&str> = line.splitn(7, ':').collect();
    let [path, fileset, level, ptf, state, kind, rest] = fields.as_slice() else { return None };
    let is_mark = |text: &str| matches!(text.trim(), "" | "EFIXLOCKED");
    // A description may have colons: what follows the last is the mark.
    let (description, mark) = match (with_efix, rest.rsplit_once(':')) {
        (Some(false), _) => (*rest, ""),
        (_, Some((description, mark))) if is_mark(mark) => (description, mark),
        (Some(true), _) => return None,
        (None, _) => (*rest, ""),
    };
    let known = path.trim().starts_with('/') && is_level(level.trim()) && kind.trim().len() <= 1;
    if !known || fileset.trim().is_empty() || state.trim().is_empty() {
        return None;
    }
    Some(json!({
        "path": path.trim(),
        "fileset": fileset.trim(),
        "level": level.trim(),
        "ptf": some(ptf),
        "state": state.trim(),
        "type": some(kind),
        "description": some(description),
        "efix_locked": mark.trim() == "EFIXLOCKED",
    }))
}

/// `oslevel`, `oslevel -r` and `oslevel -s`.
pub(super) fn oslevel(text: &str) -> Read {
    const COMMAND: &str = "oslevel";
    let mut found: Option<(&str, Value)> = None;
    for word in lines(text).map(str::trim) {
        match (level(word), &found) {
            (Some(value), None) => found = Some((word, value)),
            // The same line twice is no doubt; another level is.
            (Some(_), Some((before, _))) if *before != word => {
                return Err(Unread::line(COMMAND, word));
            }
            _ => {}
        }
    }
    match (found, lines(text).next()) {
        (Some((_, value)), _) => Ok(value),
        (None, Some(line)) => Err(Unread::line(COMMAND, line)),
        (None, None) => Err(Unread::missing(COMMAND, "level")),
    }
}

fn level(word: &str) -> Option<Value> {
    let number = |text: &str| text.parse::<u64>().ok();
    let parts: Vec<&str> = word.split(['-', '.']).collect();
    if !parts.iter().all(|part| digits(part)) {
        return None;
    }
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let (version, release, tl, sp, build) = match (lengths.as_slice(), parts.as_slice()) {
        ([4, 2, 2, 4], [base, tl, sp, build]) if word.contains('-') => {
            (&base[..1], &base[1..2], Some(*tl), Some(*sp), Some(*build))
        }
        ([4, 2], [base, tl]) if word.contains('-') => {
            (&base[..1], &base[1..2], Some(*tl), None, None)
        }
        ([1, 1, ..], [version, release, _, _]) if is_level(word) => {
            (*version, *release, None, None, None)
        }
        _ => return None,
    };
    Some(json!({
        "level": word,
        "version": number(version)?,
        "release": number(release)?,
        "technology_level": tl.and_then(number),
        "service_pack": sp.and_then(number),
        "build": build,
    }))
}

/// `instfix -i`, `instfix -ik`.
pub(super) fn instfix(text: &str) -> Read {
    const FORMS: [(&str, &str, &str); 4] = [
        ("All filesets for ", " were found.", "all"),
        ("Not all filesets for ", " were found.", "some"),
        ("No filesets which have the fix for ", " are currently installed.", "none"),
        ("There was no data for ", " in the fix database.", "no-data"),
    ];
    let row = |line: &str| {
        FORMS.iter().find_map(|(before, after, found)| {
            let keyword = line.trim().strip_prefix(before)?.strip_suffix(after)?.trim();
            let one = !keyword.is_empty() && !keyword.contains(char::is_whitespace);
            let row = json!({ "keyword": keyword, "found": found, "complete": *found == "all" });
            one.then_some(row)
        })
    };
    rows("instfix -i", text, row, |line| line.contains("filesets for")).map(Value::Array)
}

/// `emgr -l`.
pub(super) fn emgr(text: &str) -> Read {
    const COMMAND: &str = "emgr -l";
    let mut all =
        lines(text).skip_while(|line| !words(line).starts_with(&["ID", "STATE", "LABEL"]));
    let Some(heading) = all.next() else {
        // Where there is none, that is said on stderr.
        if text.contains("There is no efix data on this system") || lines(text).next().is_none() {
            return Ok(Value::Array(Vec::new()));
        }
        return Err(lines(text).next().map_or_else(
            || Unread::missing(COMMAND, "heading"),
            |line| Unread::line(COMMAND, line),
        ));
    };
    if !heading.contains("  ") {
        // Blanks were squeezed: nothing tells who updated it from the abstract.
        return Err(Unread::line(COMMAND, heading));
    }
    let mut column = heading.find("UPDATED BY").map(|at| at..at + "UPDATED BY".len());
    let mut found = Vec::new();
    for line in all.take_while(|line| !line.trim_start().starts_with("STATE codes")) {
        if line.bytes().all(|b| b == b'=' || b == b' ') {
            column = column.map(|range| wide(line, range.start));
            continue;
        }
        let row = efix(line, column.as_ref()).ok_or_else(|| Unread::line(COMMAND, line))?;
        found.push(row);
    }
    Ok(Value::Array(found))
}

/// The run of `=` that begins at `start`.
fn wide(rule: &str, start: usize) -> std::ops::Range<usize> {
    let rest = rule.get(start..).unwrap_or_default();
    start..start + rest.len() - rest.trim_start_matches('=').len()
}

fn efix(line: &str, updated: Option<&std::ops::Range<usize>>) -> Option<Value> {
    let words = words(line);
    let [id, state, label, date, time, rest @ ..] = words.as_slice() else { return None };
    let state_fits = state.bytes().all(|b| b.is_ascii_uppercase() || b == b'*');
    if !digits(id) || !state_fits || !numbers(date, '/', 3) || !numbers(time, ':', 3) {
        return None;
    }
    // Where the rule says that another fix is named, and one is.
    let by = updated.and_then(|range| {
        let clear = line.get(..range.start)?.ends_with(' ');
        let from = line.get(range.start..)?;
        let word = from.split_whitespace().next()?;
        let is_there = clear && from.starts_with(word) && rest.first() == Some(&word);
        is_there.then_some((word, range.len()))
    });
    // A rule that was cut does not tell how wide the column is.
    if by.is_some_and(|(word, width)| word.len() > width) {
        return None;
    }
    let by = by.map(|(word, _)| word);
    let rest = if by.is_some() { &rest[1..] } else { rest };
    Some(json!({
        "id": id.parse::<u64>().ok()?,
        "state": state,
        "label": label,
        "installed": format!("{date} {time}"),
        "updated_by": by,
        "abstract": some(&rest.join(" ")),
    }))
}
