//! Captured text made ready for the readers, and what they share.

use serde::Serialize;
use serde_json::Value;

use crate::base::limits::PARSE_BYTES_MAX;

pub(super) use crate::aix::unread::{after_heading, lines};

use crate::aix::unread::Unread;
use crate::aix::verdict::message_ids;

/// What a reader makes of a text.
pub(super) type Read<T = Value> = Result<T, Unread>;

/// What a typed reader has read, as JSON.
pub(super) fn value_of(read: impl Serialize) -> Value {
    serde_json::to_value(read).expect("rows are plain data")
}

/// A capture as text: without carriage returns, escape sequences and other
/// control characters, and no more than [`PARSE_BYTES_MAX`] of it.
pub(super) fn clean(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(PARSE_BYTES_MAX)];
    let text = String::from_utf8_lossy(bytes);
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                while chars.next_if_eq(&'\r').is_some() {}
                if chars.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            '\n' | '\t' => clean.push(c),
            '\u{1b}' => {
                // `ESC [ 1 m`: parameters, then a letter.
                if chars.next_if_eq(&'[').is_some() {
                    while chars.next_if(|c| matches!(c, '0'..='9' | ';' | '?')).is_some() {}
                    chars.next_if(char::is_ascii_alphabetic);
                }
            }
            // A blank that is no blank, as pages have it.
            '\u{a0}' => clean.push(' '),
            c if c.is_control() => clean.push('\u{fffd}'),
            c => clean.push(c),
        }
    }
    clean
}

/// Takes the messages of commands out of a text: lines such as
/// `0516-010 : Volume group must be varied on`, with the lines that belong to
/// them. Prompts without a command are dropped.
pub(super) fn without_messages(text: &str) -> (String, Vec<String>) {
    let (mut rest, mut said) = (String::with_capacity(text.len()), Vec::<String>::new());
    let (mut in_message, mut in_error) = (false, false);
    let text = text.trim_end();
    // The shell asks for more.
    let last = text.lines().next_back().filter(|line| is_prompt(line)).map_or(0, str::len);
    let text = &text[..text.len() - last];
    for line in text.lines() {
        // Messages of the LVM go on in lines that are moved in; none of its
        // tables has such lines.
        let goes_on = in_message && line.starts_with([' ', '\t']) && !line.trim().is_empty();
        if let Some(message) = said.last_mut().filter(|_| goes_on) {
            message.push(' ');
            message.push_str(line.trim());
        } else if is_message(line) && !in_error {
            in_message = message_ids(line).first().is_some_and(|id| id.starts_with("0516-"));
            said.push(line.trim().to_owned());
        } else {
            in_message = false;
            // What `lsnim -l` tells of an error is data: the messages of a command.
            in_error = match line.split_once('=') {
                Some((key, _)) if words(key).len() == 1 => key.trim() == "err_info",
                _ => in_error && !line.is_empty(),
            };
            if !matches!(line.trim(), "#" | "$") {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    (rest, said)
}

/// Whether a line is a prompt without a command: `root@lpar7:/ #`.
fn is_prompt(line: &str) -> bool {
    line.trim_end().ends_with(['#', '$']) && line.len() <= 60 && !line.trim_start().starts_with('#')
}

/// Whether a line is a message: its id stands first, or second after the name
/// of the tool.
fn is_message(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let Some(first) = words.next() else { return false };
    let is_id = |word: &str| message_ids(word).first() == Some(&word.trim_end_matches(':'));
    is_id(first) || (first.ends_with(':') && words.next().is_some_and(is_id))
}

/// The words of a line.
pub(super) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Reads a listing that has no heading. What stands before its first row is
/// foreign, unless it looks like a `broken` row.
pub(super) fn rows<T>(
    command: &'static str,
    text: &str,
    row: impl Fn(&str) -> Option<T>,
    broken: impl Fn(&str) -> bool,
) -> Read<Vec<T>> {
    let mut found = Vec::new();
    let mut foreign = None;
    for line in lines(text) {
        match row(line) {
            Some(row) => found.push(row),
            None if found.is_empty() && !broken(line) => foreign = foreign.or(Some(line)),
            None => return Err(Unread::line(command, line)),
        }
    }
    match foreign {
        Some(line) if found.is_empty() => Err(Unread::line(command, line)),
        None if found.is_empty() => Err(Unread::missing(command, "data")),
        _ => Ok(found),
    }
}

/// Each line as `row` reads it.
pub(super) fn each<'a>(
    command: &'static str,
    lines: impl Iterator<Item = &'a str>,
    row: impl Fn(&str) -> Option<Value>,
) -> Read {
    lines
        .map(|line| row(line).ok_or_else(|| Unread::line(command, line)))
        .collect::<Read<Vec<Value>>>()
        .map(Value::Array)
}

/// A number as it is printed: whole, or with hundredths.
pub(super) fn number(word: &str) -> Option<Value> {
    if let Ok(whole) = word.parse::<i64>() {
        return Some(whole.into());
    }
    let size = word.strip_prefix('-').unwrap_or(word);
    let plain = size.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    word.parse::<f64>().ok().filter(|_| plain).map(Value::from)
}

/// The text, or null where there is none.
pub(super) fn some(text: &str) -> Value {
    match text.trim() {
        "" => Value::Null,
        text => text.into(),
    }
}

/// Whether the text has digits only, and some.
pub(super) fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the text is digits with `separator` between, in this many parts.
pub(super) fn numbers(text: &str, separator: char, parts: usize) -> bool {
    text.split(separator).count() == parts && text.split(separator).all(digits)
}

/// Whether the text looks like the name of a device: letters, then a number.
pub(super) fn is_device(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.ends_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_cleaned() {
        let bytes = b"\xef\xbb\xbfa\r\nb\rc\x1b[1mbold\x1b[0m\x07\r\r\n";
        assert_eq!(clean(bytes), "a\nb\ncbold\u{fffd}\n");
    }

    #[test]
    fn messages_are_taken_out_with_what_belongs_to_them() {
        let text = "0516-1201 lsvg: Warning: Volume group rootvg is locked. This command\n\twill continue retries until lock is free.\nrootvg:\n#\n";
        let (rest, said) = without_messages(text);
        assert_eq!(rest, "rootvg:\n");
        assert_eq!(
            said,
            [
                "0516-1201 lsvg: Warning: Volume group rootvg is locked. This command will continue retries until lock is free."
            ]
        );
        let (rest, said) =
            without_messages("mount: 0506-324 busy\n  node mounted\n7300-02-01-2346\n");
        assert_eq!((rest.as_str(), said.len()), ("  node mounted\n7300-02-01-2346\n", 1));
    }
}
