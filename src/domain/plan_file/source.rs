//! The parsed document, and where things stand in it.

use toml_span::value::ValueInner;
use toml_span::{Error, ErrorKind, Value};

use super::error::{Collector, Lines};
use crate::base::sanitize_line;

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seg {
    /// Into a table.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// The way to a value.
pub(super) type Path = Vec<Seg>;

/// The document, or its syntax error among `errors`: after that nothing more can
/// be known.
pub(super) fn parse<'a>(text: &'a str, errors: &mut Collector) -> Option<Value<'a>> {
    match toml_span::parse(text) {
        Ok(document) => Some(document),
        Err(error) => {
            let (message, help) = explain(&error, text);
            errors.push(error.span.start, message, help);
            None
        }
    }
}

/// The value at a way of keys and indices, if it is there.
pub(super) fn find<'a, 'de>(root: &'a Value<'de>, path: &[Seg]) -> Option<&'a Value<'de>> {
    path.iter().try_fold(root, |value, seg| match (seg, value.as_ref()) {
        (Seg::Key(key), ValueInner::Table(table)) => table.get(key.as_str()),
        (Seg::Index(index), ValueInner::Array(items)) => items.get(*index),
        _ => None,
    })
}

/// The table at `path` as messages call it: [target], [[client]] `lpar01`.
pub(super) fn place(root: &Value<'_>, path: &[Seg]) -> String {
    let client = match path {
        [Seg::Key(key), Seg::Index(index), ..] => {
            let name = find(root, &path[..2]).and_then(|client| client.as_table());
            let name = name.and_then(|table| table.get("name")).and_then(Value::as_str);
            let name = name.filter(|name| !name.is_empty());
            Some((
                key,
                match name {
                    Some(name) => format!("`{}`", sanitize_line(name, 60)),
                    None => format!("number {}", index + 1),
                },
            ))
        }
        _ => None,
    };
    let keys: Vec<&str> = path
        .iter()
        .filter_map(|seg| match seg {
            Seg::Key(key) => Some(key.as_str()),
            Seg::Index(_) => None,
        })
        .collect();
    match (keys.as_slice(), client) {
        ([], _) => "the plan".to_owned(),
        ([_], Some((key, name))) => format!("[[{key}]] {name}"),
        (keys, Some((_, name))) => format!("[{}] of {name}", keys.join(".")),
        (keys, None) => format!("[{}]", keys.join(".")),
    }
}

fn explain(error: &Error, text: &str) -> (String, String) {
    let line = |offset| Lines::of(text).place(offset).0;
    match &error.kind {
        ErrorKind::DuplicateKey { key, first } => (
            format!("`{}` is set twice", sanitize_line(key, 60)),
            format!("it is set in line {} already: remove one of the two", line(first.start)),
        ),
        ErrorKind::DuplicateTable { name, first } => (
            format!("[{}] stands twice", sanitize_line(name, 60)),
            format!("it is in line {} already: put the keys of both in one", line(first.start)),
        ),
        ErrorKind::UnquotedString => (
            "a string without quotes".to_owned(),
            "put strings in double quotes: `name = \"nim1\"`".to_owned(),
        ),
        ErrorKind::UnterminatedString | ErrorKind::InvalidCharInString('\n') => (
            "a string without its closing quote".to_owned(),
            "close it with a double quote in the same line".to_owned(),
        ),
        _ => (
            format!("not TOML: {}", sanitize_line(&error.to_string(), 200)),
            "write `key = value`, one in a line, below a [table]; texts in double quotes"
                .to_owned(),
        ),
    }
}
