//! The summaries that installp and geninstall print in the end.

use serde_json::{Value, json};

use super::text::{Read, words};
use crate::aix::unread::Unread;

const COMMAND: &str = "installp";

/// installp shows this much of a name: one as long may go on.
const CUT_AT: usize = 27;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    /// `Name Level Part Event Result`.
    Results,
    /// `Name Level Pre-installation Failure/Warning`.
    Refused,
}

/// `installp`: what it summarizes, at the end of whatever it has printed.
pub(super) fn installp(text: &str) -> Read {
    let (mut results, mut refused) = (Vec::new(), Vec::new());
    let (mut table, mut seen, mut rows) = (None, false, 0);
    let (mut name, mut after_blank): (Option<&str>, bool) = (None, false);
    for line in text.lines().map(str::trim_end) {
        let words = words(line);
        if let Some(next) = heading(&words) {
            (table, seen, rows, after_blank) = (Some(next), true, 0, false);
            continue;
        }
        let Some(current) = table else { continue };
        if matches!(words.as_slice(), [.., "#" | "$"]) {
            (table, name) = (None, None);
            continue;
        }
        if words.is_empty() {
            after_blank |= rows > 0;
            continue;
        }
        if line.bytes().all(|b| matches!(b, b'-' | b'=' | b'+' | b' ')) {
            continue;
        }
        // The name of a fileset that is too long stands on a line of its own.
        if let ([one], None) = (words.as_slice(), name) {
            name = Some(one);
            continue;
        }
        let words = match name.take() {
            Some(name) => [vec![name], words].concat(),
            None => words,
        };
        let row = match current {
            Table::Results => result(&words).map(|row| results.push(row)),
            Table::Refused => warning(&words).map(|row| refused.push(row)),
        };
        // A table ends with a blank line, unless more of its rows come after it.
        if row.is_none() && after_blank {
            table = None;
            continue;
        }
        row.ok_or_else(|| Unread::line(COMMAND, line))?;
        (rows, after_blank) = (rows + 1, false);
    }
    match (name.filter(|_| !after_blank), text.lines().find(|line| !line.trim().is_empty())) {
        (Some(name), _) => Err(Unread::line(COMMAND, name)),
        (None, _) if seen => Ok(document(&results, &refused)),
        (None, Some(line)) => Err(Unread::line(COMMAND, line)),
        (None, None) => Err(Unread::missing(COMMAND, "summary")),
    }
}

fn heading(words: &[&str]) -> Option<Table> {
    match words {
        ["Name", "Level", "Part", "Event", "Result"] => Some(Table::Results),
        ["Name", "Level", pre, rest @ ..]
            if pre.starts_with("Pre-")
                && rest.last().is_some_and(|word| word.ends_with("Warning")) =>
        {
            Some(Table::Refused)
        }
        _ => None,
    }
}

/// `7.3.2.1`, or an RPM's `1.21-1`.
fn is_level(word: &str) -> bool {
    word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit())
}

fn result(words: &[&str]) -> Option<Value> {
    let [name, level, part, event, result] = words else { return None };
    let upper = |word: &str| word.bytes().all(|b| b.is_ascii_uppercase());
    let known = matches!(*part, "USR" | "ROOT" | "SHARE") && upper(event) && upper(result);
    (known && is_level(level)).then(|| {
        json!({
            "name": name, "name_may_be_cut": name.len() == CUT_AT, "level": level, "part": part,
            "event": event, "result": result,
        })
    })
}

fn warning(words: &[&str]) -> Option<Value> {
    let [name, level, reason @ ..] = words else { return None };
    (is_level(level) && !reason.is_empty())
        .then(|| json!({ "name": name, "level": level, "reason": reason.join(" ") }))
}

fn document(results: &[Value], refused: &[Value]) -> Value {
    let failed = |may_be_cut: bool| {
        let rows = results
            .iter()
            .filter(|row| row["result"] != "SUCCESS" && row["name_may_be_cut"] == may_be_cut);
        let mut names: Vec<&Value> = Vec::new();
        for name in rows.map(|row| &row["name"]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        json!(names)
    };
    json!({
        "results": results, "failed": failed(false), "failed_beginning_with": failed(true),
        "not_installed": refused,
    })
}
