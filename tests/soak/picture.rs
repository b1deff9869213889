//! Two images of an estate side by side.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where something is: the keys that lead to it.
pub(crate) type Path = Vec<String>;

/// What differs, by where: what was there, and what is. Lists are told apart by
/// what they hold, not by its order.
pub(crate) fn differences(one: &Value, other: &Value) -> BTreeMap<Path, (Value, Value)> {
    let mut found = BTreeMap::new();
    compare(&mut Vec::new(), one, other, &mut found);
    found
}

fn compare(at: &mut Path, one: &Value, other: &Value, found: &mut BTreeMap<Path, (Value, Value)>) {
    if one == other {
        return;
    }
    let (Some(ones), Some(others)) = (parts(one), parts(other)) else {
        found.insert(at.clone(), (one.clone(), other.clone()));
        return;
    };
    let keys: std::collections::BTreeSet<&String> = ones.keys().chain(others.keys()).collect();
    for key in keys {
        at.push(key.clone());
        let (one, other) = (ones.get(key), others.get(key));
        compare(at, one.unwrap_or(&Value::Null), other.unwrap_or(&Value::Null), found);
        at.pop();
    }
}

fn parts(value: &Value) -> Option<BTreeMap<String, Value>> {
    match value {
        Value::Object(all) => Some(all.clone().into_iter().collect()),
        Value::Array(all) => {
            let text = |one: &Value| one.as_str().map(str::to_owned);
            all.iter().map(|one| Some((text(one)?, Value::Bool(true)))).collect()
        }
        // A whole that is there on one side only is told by its parts.
        Value::Null => Some(BTreeMap::new()),
        _ => None,
    }
}

/// A difference in one line.
pub(crate) fn told(at: &Path, was: &Value, is: &Value) -> String {
    const CHARS: usize = 120;
    let short = |value: &Value| value.to_string().chars().take(CHARS).collect::<String>();
    format!("{}: was {}, is {}", at.join(" > "), short(was), short(is))
}

/// The host's part of an image.
pub(crate) fn host<'a>(image: &'a Value, name: &str) -> Option<&'a Value> {
    image.get("hosts")?.get(name)
}

/// Whether a file system of the system that a host runs has this path below its
/// root, or anything in it.
pub(crate) fn has_file(host: &Value, volume: &str, path: &str) -> bool {
    groups(host).filter(|(name, _)| *name == "rootvg").any(|(_, group)| {
        let files = group.get("lvs").and_then(|lvs| lvs.get(volume)?.get("files"));
        let is_in = |key: &String| {
            key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        files.and_then(Value::as_object).is_some_and(|files| files.keys().any(is_in))
    })
}

/// A host's volume groups.
pub(crate) fn groups(host: &Value) -> impl Iterator<Item = (&String, &Value)> {
    host.get("vgs").and_then(Value::as_object).into_iter().flatten()
}
