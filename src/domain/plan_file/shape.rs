//! Holds a TOML document against the JSON Schema of the plan file: unknown keys,
//! missing keys, types, choices, ranges. Knows nothing of what the keys mean.
//!
//! What is right is handed on as JSON, without what is wrong, so that further
//! checks can look at the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};
use toml_span::value::{Key, Table, ValueInner};
use toml_span::{Span, Value};

use super::error::Collector;
use super::source::{Path, Seg, place};
use super::words::DURATION;
use crate::base::{nearest, sanitize_line};

/// What of `document` fits `schema`.
pub(super) fn check(schema: &Json, document: &Value<'_>, errors: &mut Collector) -> Json {
    let mut homes = BTreeMap::new();
    find_homes(schema, &mut Vec::new(), &mut homes);
    let mut shape = Shape { root: document, homes, errors };
    shape.value(schema, document, &mut Vec::new()).unwrap_or_default()
}

struct Shape<'a, 'de> {
    root: &'a Value<'de>,
    /// The tables that have a key, by key.
    homes: BTreeMap<String, BTreeSet<String>>,
    errors: &'a mut Collector,
}

impl<'a, 'de> Shape<'a, 'de> {
    /// The value as JSON, if it is of the right type at all.
    fn value(&mut self, schema: &Json, value: &'a Value<'de>, path: &mut Path) -> Option<Json> {
        let schema = variant(schema, value);
        let wanted = schema["type"].as_str().unwrap_or("string");
        match (wanted, value.as_ref()) {
            ("object", ValueInner::Table(table)) => {
                Some(self.table(schema, table, value.span, path))
            }
            ("array", ValueInner::Array(items)) => self.array(schema, items, value.span, path),
            ("string", ValueInner::String(text)) => self.text(schema, text, value.span, path),
            ("integer", ValueInner::Integer(number)) => {
                self.integer(schema, *number, value.span, path)
            }
            ("boolean", ValueInner::Boolean(is)) => Some(Json::Bool(*is)),
            (_, found) => {
                self.wrong_type(schema, found.type_str(), value.span, path);
                None
            }
        }
    }

    fn table(&mut self, schema: &Json, table: &'a Table<'de>, span: Span, path: &mut Path) -> Json {
        let known = &schema["properties"];
        let mut fitting = Map::new();
        let mut meant = BTreeSet::new();
        for (key, value) in table {
            let Some(schema) = known.get(&*key.name) else {
                meant.extend(self.unknown_key(known, key, path));
                continue;
            };
            path.push(Seg::Key(key.name.to_string()));
            if let Some(value) = self.value(schema, value, path) {
                fitting.insert(key.name.to_string(), value);
            }
            path.pop();
        }
        for key in strings(&schema["required"]) {
            // What is there under a misspelt name is not missing.
            if !table.contains_key(key) && !meant.contains(key) {
                self.missing(key, &known[key], span, path);
            }
        }
        Json::Object(fitting)
    }

    fn array(
        &mut self,
        schema: &Json,
        items: &'a [Value<'de>],
        span: Span,
        path: &mut Path,
    ) -> Option<Json> {
        let min = schema["minItems"].as_u64().unwrap_or(0);
        let max = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
        let count = items.len() as u64;
        if count < min && is_client_list(path) {
            self.no_clients(span.start);
            return None;
        }
        if count < min || count > max {
            let name = self.name(path);
            let (what, help) = if count < min {
                ("is empty".to_owned(), "name at least one, or leave the key out".to_owned())
            } else {
                (format!("has {count} entries"), format!("at most {max} are possible"))
            };
            self.errors.push(span.start, format!("{name} {what}"), help);
            return None;
        }
        let mut fitting = Vec::with_capacity(items.len());
        let mut fits = true;
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            path.push(Seg::Index(index));
            let value = self.value(&schema["items"], item, path);
            path.pop();
            let Some(value) = value else {
                // A table keeps its place, so that those after it are found by
                // their index; a list of anything else does not fit as a whole.
                fits &= schema["items"]["type"] == "object";
                fitting.push(Json::Object(Map::new()));
                continue;
            };
            if schema["uniqueItems"] == true && !seen.insert(value.to_string()) {
                let name = self.name(path);
                let shown = shown(&value);
                self.errors.push(
                    item.span.start,
                    format!("{name} has {shown} twice"),
                    "remove one of the two",
                );
            }
            fitting.push(value);
        }
        fits.then_some(Json::Array(fitting))
    }

    fn text(&mut self, schema: &Json, text: &str, span: Span, path: &[Seg]) -> Option<Json> {
        let choices = choices(schema);
        if choices.is_empty() || choices.contains(&text) {
            return Some(Json::String(text.to_owned()));
        }
        let message = format!("{} cannot be `{}`", self.name(path), sanitize_line(text, 60));
        let help = match nearest(text, choices.iter().copied()) {
            Some(choice) => format!("did you mean `{choice}`?"),
            None => format!("possible: {}", list(&choices, "or")),
        };
        self.errors.push(span.start, message, help);
        None
    }

    fn integer(&mut self, schema: &Json, number: i64, span: Span, path: &[Seg]) -> Option<Json> {
        let min = schema["minimum"].as_i64().unwrap_or(i64::MIN);
        let max = schema["maximum"].as_i64().unwrap_or(i64::MAX);
        if (min..=max).contains(&number) {
            return Some(Json::from(number));
        }
        let message = format!("{} cannot be {number}", self.name(path));
        self.errors.push(span.start, message, format!("possible: {min} to {max}"));
        None
    }

    fn wrong_type(&mut self, schema: &Json, found: &str, span: Span, path: &[Seg]) {
        let is_duration = schema["pattern"] == DURATION;
        let (wanted, help) = match schema["type"].as_str().unwrap_or("string") {
            "string" if is_duration => ("a length of time", "write \"5s\", \"5m\" or \"1h30m\""),
            "string" => ("a string", "put it in double quotes"),
            "integer" => ("a whole number", "write digits, without quotes"),
            "boolean" => ("true or false", "write `true` or `false`, without quotes"),
            "array" => ("a list", "put it in brackets, separated by commas"),
            _ => ("a table", "give it a heading in brackets and its keys below"),
        };
        let found = match found {
            "string" => "a string",
            "integer" => "a whole number",
            "float" => "a number with a fraction",
            "boolean" => "true or false",
            "array" => "a list",
            _ => "a table",
        };
        let message = format!("{} must be {wanted}, not {found}", self.name(path));
        let help = if is_client_list(path) { "write one [[client]] for each" } else { help };
        self.errors.push(span.start, message, help);
    }

    /// The known key that was probably meant.
    fn unknown_key<'s>(&mut self, known: &'s Json, key: &Key<'_>, path: &[Seg]) -> Option<&'s str> {
        let known: Vec<&str> = known.as_object()?.keys().map(String::as_str).collect();
        let near = nearest(&key.name, known.iter().copied());
        // One number is as near to another as the next.
        let near = near.filter(|near| !near.bytes().all(|b| b.is_ascii_digit()));
        let kind = if path.is_empty() { "table or key" } else { "key" };
        let home = place(self.root, path);
        let message = format!("unknown {kind} `{}` in {home}", sanitize_line(&key.name, 60));
        let help = match (self.homes.get(&*key.name), near) {
            (Some(homes), _) => {
                let homes: Vec<String> = homes.iter().map(|home| format!("[{home}]")).collect();
                format!("it belongs in {}", join(&homes, "or"))
            }
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) if matches!(path, [.., Seg::Key(table)] if table == "phases") => {
                "write a phase's name, such as `clone`, or its number, from 1 to 12".to_owned()
            }
            (None, None) => format!("known here: {}", list(&known, "and")),
        };
        self.errors.push(key.span.start, message, help);
        near.filter(|_| !self.homes.contains_key(&*key.name))
    }

    fn missing(&mut self, key: &str, schema: &Json, span: Span, path: &[Seg]) {
        // The document begins at its first byte, whatever stands there.
        let offset = if path.is_empty() { 0 } else { span.start };
        let home = place(self.root, path);
        let (message, help) = match schema["type"].as_str() {
            Some("array") => return self.no_clients(offset),
            Some("object") => {
                let needed: Vec<&str> = strings(&schema["required"]).collect();
                let help = format!("add [{key}] with {}", list(&needed, "and"));
                (format!("{home} has no [{key}]"), help)
            }
            _ => {
                let first = choices(schema).first().map(|choice| Json::from(*choice));
                let example = schema["examples"].get(0).cloned().or(first).unwrap_or_default();
                let help = format!("add `{key} = {example}` or the like: {}", about(schema));
                (format!("{home} has no `{key}`"), help)
            }
        };
        self.errors.push(offset, message, help);
    }

    fn no_clients(&mut self, offset: usize) {
        let help = "add a [[client]] with `name` for each";
        self.errors.push(offset, "the plan has no clients".to_owned(), help);
    }

    /// The value at `path` as it is called in messages.
    fn name(&self, path: &[Seg]) -> String {
        let keys = path.iter().rposition(|seg| matches!(seg, Seg::Key(_)));
        match keys.map(|at| (&path[at], &path[..at])) {
            Some((Seg::Key(key), home)) if !home.is_empty() => {
                format!("`{key}` in {}", place(self.root, home))
            }
            _ => place(self.root, path),
        }
    }
}

fn is_client_list(path: &[Seg]) -> bool {
    matches!(path, [Seg::Key(key)] if key == "client")
}

/// The beginning of a key's description, as the end of a sentence.
fn about(schema: &Json) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let text = text.split(['.', ':']).next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Of a schema with variants, the one for values of this type, or the first.
fn variant<'s>(schema: &'s Json, value: &Value<'_>) -> &'s Json {
    let Some(variants) = schema["anyOf"].as_array() else { return schema };
    let found = match value.as_ref().type_str() {
        "table" => "object",
        other => other,
    };
    variants.iter().find(|variant| variant["type"] == found).unwrap_or(&variants[0])
}

/// The texts that a schema with choices admits.
fn choices(schema: &Json) -> Vec<&str> {
    let constants = schema["oneOf"].as_array().into_iter().flatten();
    let constants = constants.chain([schema]).filter_map(|choice| choice["const"].as_str());
    constants.chain(strings(&schema["enum"])).collect()
}

fn strings(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// Which tables have which keys.
fn find_homes(
    schema: &Json,
    path: &mut Vec<String>,
    homes: &mut BTreeMap<String, BTreeSet<String>>,
) {
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        // Keys of the document itself are tables; phases are keys of one table.
        if !path.is_empty() {
            homes.entry(key.clone()).or_default().insert(path.join("."));
        }
        path.push(key.clone());
        find_homes(schema, path, homes);
        if schema["items"]["type"] == "object" {
            path.pop();
            path.push(format!("[{key}]"));
            find_homes(&schema["items"], path, homes);
        }
        path.pop();
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => format!("`{}`", sanitize_line(text, 60)),
        other => other.to_string(),
    }
}

/// `a`, `b` and `c`, each between backticks.
fn list(words: &[&str], last: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    join(&words, last)
}

fn join(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}
