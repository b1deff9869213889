//! File systems of hosts as files on the disk of whoever runs the lab.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::tree::{Kind, Node, Tree};
use super::world::Host;

/// What is to be of one path, relative to the estate's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileOp {
    path: String,
    /// Nothing, when it is to be gone.
    node: Option<Node>,
}

impl FileOp {
    /// Makes it so.
    pub(crate) fn apply(&self, dir: &Path) -> io::Result<()> {
        let path = dir.join(&self.path);
        let Some(node) = &self.node else { return clear(&path, |_| false) };
        match &node.kind {
            Kind::Dir => {
                clear(&path, fs::Metadata::is_dir)?;
                fs::create_dir_all(&path)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(node.mode))
            }
            Kind::File(text) => {
                clear(&path, fs::Metadata::is_file)?;
                fs::write(&path, text)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(node.mode))
            }
            Kind::Link(target) => {
                clear(&path, |_| false)?;
                symlink(target, &path)
            }
        }
    }
}

/// Removes what stands at `path`, unless it may stay.
fn clear(path: &Path, stays: fn(&fs::Metadata) -> bool) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if stays(&found) => Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

type Trees<'a> = BTreeMap<(&'a str, &'a str), &'a Arc<Tree>>;

fn trees(host: &Host) -> Trees<'_> {
    let all = host.vgs.iter().flat_map(|(vg, group)| {
        group.lvs.iter().filter_map(move |(lv, volume)| {
            Some(((vg.as_str(), lv.as_str()), volume.tree.as_ref()?))
        })
    });
    all.collect()
}

/// What changes on disk when `old` becomes `new`.
pub(crate) fn difference(old: Option<&Host>, new: &Host) -> Vec<FileOp> {
    let before = old.map(trees).unwrap_or_default();
    let after = trees(new);
    let home = format!("hosts/{}/fs", new.name);
    let mut ops = Vec::new();
    for (vg, lv) in before.keys().filter(|key| !after.contains_key(*key)) {
        ops.push(FileOp { path: format!("{home}/{vg}/{lv}"), node: None });
    }
    for ((vg, lv), tree) in &after {
        let top = format!("{home}/{vg}/{lv}");
        match before.get(&(*vg, *lv)) {
            Some(same) if Arc::ptr_eq(same, tree) => {}
            Some(other) => changes(&top, &other.nodes, &tree.nodes, &mut ops),
            None => {
                ops.push(FileOp { path: top.clone(), node: None });
                ops.push(FileOp { path: top.clone(), node: Some(Node::dir()) });
                changes(&top, &BTreeMap::new(), &tree.nodes, &mut ops);
            }
        }
    }
    ops
}

fn changes(
    top: &str,
    old: &BTreeMap<String, Node>,
    new: &BTreeMap<String, Node>,
    ops: &mut Vec<FileOp>,
) {
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        ops.push(FileOp { path: format!("{top}/{path}"), node: None });
    }
    for (path, node) in new.iter().filter(|(path, node)| old.get(*path) != Some(*node)) {
        ops.push(FileOp { path: format!("{top}/{path}"), node: Some(node.clone()) });
    }
}

/// Reads the files of all file systems of the host.
pub(crate) fn load(home: &Path, host: &mut Host) -> io::Result<()> {
    for (vg, group) in &mut host.vgs {
        for (lv, volume) in group.lvs.iter_mut().filter(|(_, lv)| lv.is_file_system()) {
            let mut tree = Tree::default();
            load_dir(&home.join(vg).join(lv), "", &mut tree)?;
            volume.tree = Some(Arc::new(tree));
        }
    }
    Ok(())
}

fn load_dir(dir: &PathBuf, prefix: &str, tree: &mut Tree) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let rel = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let found = entry.metadata()?;
        let mode = found.permissions().mode() & 0o777;
        if found.is_dir() {
            tree.nodes.insert(rel.clone(), Node { mode, kind: Kind::Dir });
            load_dir(&entry.path(), &rel, tree)?;
        } else if found.is_symlink() {
            let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
            tree.nodes.insert(rel, Node { mode: 0o777, kind: Kind::Link(target) });
        } else {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).into_owned();
            tree.nodes.insert(rel, Node { mode, kind: Kind::File(text) });
        }
    }
    Ok(())
}
