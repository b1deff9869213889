//! The keys that a client of a plan can have, and how a value is written for
//! each: taken from the schema of the plan, so that a new key is known here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value as Json;

use super::error::quoted;
use super::value::Value;
use crate::base::nearest;
use crate::domain::plan_schema;

/// The key of a plan that says how a host is reached.
pub(super) const ADDRESS: &str = "reach.address";

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Truth,
    List,
    /// A text, or a list of numbers.
    Phases,
}

/// The keys of `[[client]]` but for its name. Those of a table within it have a
/// point: `retry.attempts`.
static KEYS: LazyLock<BTreeMap<String, Kind>> = LazyLock::new(|| {
    let schema = plan_schema();
    let mut keys = BTreeMap::new();
    collect(&schema["properties"]["client"]["items"], "", &mut keys);
    keys.remove("name");
    keys
});

fn collect(schema: &Json, home: &str, keys: &mut BTreeMap<String, Kind>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let name = format!("{home}{name}");
        let kind = match schema["type"].as_str() {
            Some("object") => {
                collect(schema, &format!("{name}."), keys);
                continue;
            }
            Some("integer") => Kind::Number,
            Some("boolean") => Kind::Truth,
            Some("array") => Kind::List,
            _ if schema["anyOf"].is_array() => Kind::Phases,
            _ => Kind::Text,
        };
        keys.insert(name, kind);
    }
}

/// What `key` takes, if it is one.
pub(super) fn kind(key: &str) -> Option<Kind> {
    KEYS.get(key).copied()
}

/// Whether `name` is a table within a client.
pub(super) fn is_table(name: &str) -> bool {
    KEYS.keys().any(|key| key.split_once('.').is_some_and(|(table, _)| table == name))
}

/// The key that is written `name` where points cannot be: `retry_attempts`.
pub(super) fn of_flat(name: &str) -> Option<String> {
    let flat = |key: &&String| key.as_str() == name || key.replace('.', "_") == name;
    KEYS.keys().find(flat).cloned()
}

/// The key that was probably meant by `name`.
pub(super) fn near(name: &str) -> Option<&'static str> {
    nearest(name, KEYS.keys().map(String::as_str))
}

/// Why a value does not fit a key: what is wrong, and the way out.
pub(super) type Misfit = (String, &'static str);

/// `value` as TOML for a key of that kind; nothing if it is empty.
pub(super) fn toml(kind: Kind, value: &Value) -> Result<Option<String>, Misfit> {
    if *value == Value::Empty {
        return Ok(None);
    }
    if value.is_template() {
        let help = "write the value itself: only Ansible evaluates templates";
        return Err(("is a template".to_owned(), help));
    }
    let scalar = |what: &str, help| match value {
        Value::Text(text) => Ok(text.as_str()),
        _ => Err((format!("is not {what}"), help)),
    };
    match kind {
        Kind::Text => text(scalar("a text", "write one text")?).map(Some),
        Kind::Number => {
            let help = "write digits only";
            let text = scalar("a number", help)?;
            let number: i64 =
                text.parse().map_err(|_| (format!("is not a number: {}", quoted(text)), help))?;
            Ok(Some(number.to_string()))
        }
        Kind::Truth => {
            let help = "write `true` or `false`";
            let word = scalar("true or false", help)?;
            match word.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Ok(Some("true".to_owned())),
                "false" | "no" | "off" => Ok(Some("false".to_owned())),
                _ => Err((format!("is neither true nor false: {}", quoted(word)), help)),
            }
        }
        Kind::List => list(value).map(Some),
        Kind::Phases => match value {
            Value::List(items) => {
                let numbers: Result<Vec<String>, Misfit> = items
                    .iter()
                    .map(|item| Ok(toml(Kind::Number, item)?.unwrap_or_default()))
                    .collect();
                Ok(Some(format!("[{}]", numbers?.join(", "))))
            }
            _ => text(scalar("a text or a list", "write numbers and ranges")?).map(Some),
        },
    }
}

fn list(value: &Value) -> Result<String, Misfit> {
    let help = "separate its members by blanks, commas or semicolons";
    let words: Vec<&str> = match value {
        Value::Text(text) => text
            .split(|c: char| c.is_whitespace() || c == ',' || c == ';')
            .filter(|word| !word.is_empty())
            .collect(),
        Value::List(items) => items
            .iter()
            .map(|item| match item {
                Value::Text(text) => Ok(text.as_str()),
                _ => Err(("has a member that is not a text".to_owned(), help)),
            })
            .collect::<Result<_, Misfit>>()?,
        _ => return Err(("is not a list".to_owned(), help)),
    };
    let words: Vec<String> = words.into_iter().map(text).collect::<Result<_, Misfit>>()?;
    Ok(format!("[{}]", words.join(", ")))
}

fn text(text: &str) -> Result<String, Misfit> {
    if text.chars().any(char::is_control) {
        return Err(("has control characters".to_owned(), "write it on one line"));
    }
    // What JSON escapes, TOML reads in the same way.
    Ok(Json::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_plan() {
        assert_eq!(kind("disks"), Some(Kind::List));
        assert_eq!(kind("wave"), Some(Kind::Number));
        assert_eq!(kind("reboot"), Some(Kind::Truth));
        assert_eq!(kind("bootlist"), Some(Kind::Text));
        assert_eq!(kind("phases"), Some(Kind::Phases));
        assert_eq!(kind("failure.reboot_timeout"), Some(Kind::Text));
        assert_eq!(kind("name"), None);
        assert_eq!(of_flat("retry_delay_max").as_deref(), Some("retry.delay_max"));
        assert_eq!(of_flat("cache_vg").as_deref(), Some("cache_vg"));
        assert!(is_table("retry") && !is_table("disks"));
        assert_eq!(near("cache_vq"), Some("cache_vg"));
    }

    #[test]
    fn a_value_is_written_as_its_key_takes_it() {
        let write =
            |kind, text: &str| toml(kind, &Value::text(text)).map(Option::unwrap_or_default);
        assert_eq!(
            write(Kind::List, "hdisk1, hdisk2;hdisk3").unwrap(),
            "[\"hdisk1\", \"hdisk2\", \"hdisk3\"]"
        );
        assert_eq!(write(Kind::Truth, "Yes").unwrap(), "true");
        assert_eq!(write(Kind::Number, "02").unwrap(), "2");
        assert_eq!(write(Kind::Text, "a\"b").unwrap(), "\"a\\\"b\"");
        assert!(write(Kind::Truth, "1").is_err());
        assert!(write(Kind::Number, "x").is_err());
        assert!(write(Kind::Text, "{{ spot }}").is_err());
        assert!(write(Kind::Text, "a\u{7f}").is_err());
        assert_eq!(toml(Kind::Text, &Value::Empty), Ok(None));
    }
}
