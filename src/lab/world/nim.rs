//! NIM objects.

use serde::{Deserialize, Serialize};

/// A NIM object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NimObject {
    /// `machines` or `resources`.
    pub class: String,
    /// `standalone`, `spot` ….
    pub kind: String,
    /// Attributes in the order of `lsnim -l`.
    pub attributes: Vec<(String, String)>,
}

impl NimObject {
    /// The attribute's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sets the attribute, or removes it.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        match (self.attributes.iter_mut().find(|(key, _)| key == name), value) {
            (Some(entry), Some(value)) => value.clone_into(&mut entry.1),
            (None, Some(value)) => self.attributes.push((name.to_owned(), value.to_owned())),
            (_, None) => self.attributes.retain(|(key, _)| key != name),
        }
    }
}
