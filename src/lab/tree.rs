//! The files of one file system.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A directory.
    Dir,
    /// A regular file.
    File(String),
    /// A symbolic link; its target need not exist.
    Link(String),
}

/// A file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    /// Permission bits. The owner's own bits are always there: the files lie on
    /// a real disk too, and must be readable to whoever runs the lab.
    pub mode: u32,
    pub kind: Kind,
}

impl Node {
    /// A directory.
    pub(crate) fn dir() -> Node {
        Node { mode: 0o755, kind: Kind::Dir }
    }

    /// A file.
    pub(crate) fn file(text: impl Into<String>) -> Node {
        Node { mode: 0o644, kind: Kind::File(text.into()) }
    }
}

/// Files by path relative to the file system's root, without a leading slash.
/// The root itself is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tree {
    /// By path.
    pub nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Whether `path` is a directory.
    pub(crate) fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.nodes.get(path), Some(Node { kind: Kind::Dir, .. }))
    }

    /// The text of the file at `path`.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        match self.nodes.get(path) {
            Some(Node { kind: Kind::File(text), .. }) => Some(text),
            _ => None,
        }
    }

    /// Puts a node at `path`, with the directories above it.
    pub(crate) fn put(&mut self, path: &str, node: Node) {
        let mut end = 0;
        while let Some(slash) = path[end..].find('/') {
            end += slash;
            self.nodes.entry(path[..end].to_owned()).or_insert_with(Node::dir);
            end += 1;
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// Puts a file at `path`; an existing one keeps its mode.
    pub(crate) fn write(&mut self, path: &str, text: impl Into<String>) {
        let mode = self.nodes.get(path).map_or(0o644, |node| node.mode);
        self.put(path, Node { mode, kind: Kind::File(text.into()) });
    }

    /// Removes `path` and all below it.
    pub(crate) fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.nodes.retain(|name, _| name != path && !name.starts_with(&below));
    }

    /// Gives `path` and all below it another path. What stands there must be
    /// removed before.
    #[cfg(feature = "lab-net")]
    pub(crate) fn rename(&mut self, path: &str, to: &str) {
        let below = format!("{path}/");
        let inner = self.nodes.keys().filter(|name| name.starts_with(&below));
        let names: Vec<String> = inner.cloned().chain([path.to_owned()]).collect();
        for name in names {
            if let Some(node) = self.nodes.remove(&name) {
                self.nodes.insert(format!("{to}{}", &name[path.len()..]), node);
            }
        }
    }

    /// Names of what is directly in the directory `path`.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.nodes
            .keys()
            .filter_map(|name| name.strip_prefix(&below))
            .filter(|rest| !rest.is_empty() && !rest.contains('/'))
            .map(str::to_owned)
            .collect()
    }

    /// The first half of the tree, directories whole: what a copy that was cut
    /// off has made.
    pub(crate) fn first_half(&self) -> Tree {
        let keep = self.nodes.len().div_ceil(2);
        Tree { nodes: self.nodes.iter().take(keep).map(|(k, v)| (k.clone(), v.clone())).collect() }
    }
}

/// `path` without empty parts, `.` and `..`, as an absolute path. `base` is
/// where a relative one begins.
pub(crate) fn normal(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether `path` is `top` or lies below it.
pub(crate) fn is_within(path: &str, top: &str) -> bool {
    let top = top.trim_end_matches('/');
    path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_normal() {
        assert_eq!(normal("/a", "b//./c/../d"), "/a/b/d");
        assert_eq!(normal("/a", "/../x/"), "/x");
        assert_eq!(normal("/", ".."), "/");
    }

    #[test]
    fn putting_a_file_makes_its_directories() {
        let mut tree = Tree::default();
        tree.put("a/b/c", Node::file("x"));
        assert_eq!(tree.names("a"), ["b"]);
        tree.remove("a/b");
        assert_eq!(tree.nodes.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn within_means_itself_or_below() {
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a/") && is_within("/a", "/"));
        assert!(!is_within("/ab", "/a"));
    }
}
