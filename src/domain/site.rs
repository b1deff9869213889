//! What a site has made its own in a system: bounded, so that it can be journaled.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// So many rows of a kind are kept in words; of the others a digest tells whether
/// they are there.
const NAMES_MAX: usize = 100;

/// Rows by kind: `users`, `lines of /etc/hosts`. Introduced in 0.1.0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteOwn {
    /// The rows of each kind.
    pub kinds: BTreeMap<String, SiteRows>,
}

/// The rows of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteRows {
    /// The first of them, in words.
    pub names: Vec<String>,
    /// Digests of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<u32>,
}

impl SiteRows {
    /// `rows`, without regard to their order.
    pub fn of(rows: impl IntoIterator<Item = String>) -> SiteRows {
        let rows: BTreeSet<String> = rows.into_iter().collect();
        let others = rows.iter().skip(NAMES_MAX).map(|row| digest(row)).collect();
        SiteRows { names: rows.into_iter().take(NAMES_MAX).collect(), others }
    }

    /// What is not in `now`: those that are known by name, and how many others.
    pub fn missing_in(&self, now: &[String]) -> (Vec<&str>, usize) {
        let there: BTreeSet<&str> = now.iter().map(String::as_str).collect();
        let digests: BTreeSet<u32> = now.iter().map(|row| digest(row)).collect();
        let named = self.names.iter().map(String::as_str).filter(|name| !there.contains(name));
        let others = self.others.iter().filter(|other| !digests.contains(other)).count();
        (named.collect(), others)
    }
}

/// FNV-1a: rows are compared with rows of the same system, not with an enemy's.
fn digest(row: &str) -> u32 {
    row.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_or_counted_and_what_came_besides_does_not_matter() {
        let row = |number: usize| format!("user{number:04}");
        let before = SiteRows::of((0..1_000).map(row));
        assert_eq!((before.names.len(), before.others.len()), (NAMES_MAX, 900));
        let all: Vec<String> = (0..1_200).rev().map(row).collect();
        assert_eq!(before.missing_in(&all), (Vec::new(), 0));
        let some: Vec<String> = (1..990).map(row).collect();
        assert_eq!(before.missing_in(&some), (vec!["user0000"], 10));
    }
}
