//! What a reader has found: hosts with settings, and what it could not take over.

use std::collections::BTreeMap;

use super::value::Value;

/// A key of the plan and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) line: usize,
    /// How the source calls it.
    pub(super) called: String,
}

/// A host that is to become a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) line: usize,
    /// By key of the plan.
    pub(super) settings: BTreeMap<String, Setting>,
    /// What is to be said of it.
    pub(super) remarks: Vec<String>,
}

/// Something that has no place in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unmapped {
    pub(super) hosts: usize,
    pub(super) line: usize,
    pub(super) why: String,
}

/// All that a reader has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// In the order of the source.
    pub(super) hosts: Vec<Host>,
    /// What is to be said of the whole.
    pub(super) notes: Vec<String>,
    /// What has no place in a plan, by the name that the source has for it.
    pub(super) unmapped: BTreeMap<String, Unmapped>,
}

impl Found {
    /// A host has `name`, which has no place in a plan. Its value is not kept:
    /// it may be a secret.
    pub(super) fn unmapped(&mut self, name: &str, line: usize, why: impl Into<String>) {
        let unmapped = self.unmapped.entry(name.to_owned()).or_insert_with(|| Unmapped {
            hosts: 0,
            line,
            why: why.into(),
        });
        unmapped.hosts += 1;
        unmapped.line = unmapped.line.min(line);
    }
}
