//! Whether two images of the estate are the same.

/// Says where two images differ, and fails if they do.
pub(crate) fn assert_same(one: &serde_json::Value, other: &serde_json::Value, what: &str) {
    let mut differences = Vec::new();
    compare("", one, other, &mut differences);
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

fn compare(
    path: &str,
    one: &serde_json::Value,
    other: &serde_json::Value,
    differences: &mut Vec<String>,
) {
    use serde_json::Value::{Array, Object};
    match (one, other) {
        (Object(one), Object(other)) => {
            let keys: std::collections::BTreeSet<&String> =
                one.keys().chain(other.keys()).collect();
            for key in keys {
                let null = serde_json::Value::Null;
                let (one, other) = (one.get(key).unwrap_or(&null), other.get(key).unwrap_or(&null));
                compare(&format!("{path}/{key}"), one, other, differences);
            }
        }
        (Array(ones), Array(others)) if ones.len() == others.len() => {
            for (index, (one, other)) in ones.iter().zip(others).enumerate() {
                compare(&format!("{path}/{index}"), one, other, differences);
            }
        }
        _ if one == other => {}
        _ => differences.push(format!("{path}: {one} is now {other}")),
    }
}
