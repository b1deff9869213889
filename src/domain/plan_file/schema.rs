//! The JSON Schema of the plan file.

use std::sync::LazyLock;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::file::PlanFile;

/// Made once: a plan is checked by it too.
static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// The JSON Schema (draft 2020-12) of the plan file.
pub fn plan_schema() -> Value {
    SCHEMA.clone()
}

/// The same, by reference.
pub(super) fn schema() -> &'static Value {
    &SCHEMA
}

fn generate() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    // Editors show a key's description where it stands, and the check of a plan
    // has no references to follow.
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<PlanFile>();
    RecursiveTransform(adapt_to_toml).transform(&mut schema);
    schema.to_value()
}

/// TOML has no null: an optional key is left out.
fn adapt_to_toml(schema: &mut Schema) {
    let Some(keys) = schema.as_object_mut() else { return };
    // A description is one paragraph; its line feeds are those of the source.
    if let Some(Value::String(text)) = keys.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    if keys.get("default").is_some_and(Value::is_null) {
        keys.remove("default");
    }
    if let Some(Value::Array(types)) = keys.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            keys.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(values)) = keys.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(choices)) = keys.get_mut("anyOf") else { return };
    choices.retain(|choice| choice["type"] != "null");
    if let [Value::Object(one)] = choices.as_slice() {
        let one = one.clone();
        keys.remove("anyOf");
        for (key, value) in one {
            // What is said of the key goes before what is said of its type.
            keys.entry(key).or_insert(value);
        }
    }
}
