//! Where a path leads: through the mount table, and over NFS to another host.

use std::fmt;

use super::mksysb::Archive;
use super::tree::{Kind, Node, Tree, is_within, normal};
use super::world::{Host, Lv, Source, World};
use crate::base::Millis;

/// A path's place in a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The host that the file system is on.
    pub host: String,
    pub vg: String,
    pub lv: String,
    /// The path within it, without a leading slash.
    pub rel: String,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

impl Place {
    /// Whether both are in one file system.
    pub(crate) fn same_fs(&self, other: &Place) -> bool {
        (&self.host, &self.vg, &self.lv) == (&other.host, &other.vg, &other.lv)
    }
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathError {
    /// There is no such file.
    Absent,
    /// It is not a directory, or is one.
    WrongKind,
    /// The server does not answer.
    ServerDown(String),
    /// The server no longer has that file system.
    Stale,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The name cannot be one.
    BadName,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::Absent => write!(f, "A file or directory in the path name does not exist."),
            PathError::WrongKind => write!(f, "A parameter must be a directory."),
            PathError::ServerDown(host) => {
                write!(f, "NFS server {host} not responding still trying")
            }
            PathError::Stale => write!(f, "Missing file or filesystem (stale NFS file handle)"),
            PathError::ReadOnly => write!(f, "Read-only file system"),
            PathError::BadName => write!(f, "A file or path name is too long or not allowed."),
        }
    }
}

impl World {
    /// The place of `path`, which need not exist there.
    pub(crate) fn place(&self, host: &str, path: &str, now: Millis) -> Result<Place, PathError> {
        let path = normal("/", path);
        let bad = |part: &str| part.len() > 255 || part.contains('\0');
        if path.len() > 1023 || path.split('/').any(bad) {
            return Err(PathError::BadName);
        }
        let here = self.at(host);
        let Some(mount) = here
            .mounts
            .iter()
            .rev()
            .filter(|mount| is_within(&path, &mount.point))
            .max_by_key(|mount| mount.point.trim_end_matches('/').len())
        else {
            return Err(PathError::Absent);
        };
        let rest = path[mount.point.trim_end_matches('/').len()..].trim_start_matches('/');
        let read_only = mount.options.split(',').any(|option| option == "ro");
        match &mount.source {
            Source::Lv { vg, lv } => Ok(Place {
                host: host.to_owned(),
                vg: vg.clone(),
                lv: lv.clone(),
                rel: rest.to_owned(),
                read_only,
            }),
            Source::Nfs { host: server, vg, lv, sub, serial, .. } => {
                if !self.reaches(server, now) {
                    return Err(PathError::ServerDown(server.clone()));
                }
                let rel = normal("/", &format!("{sub}/{rest}")).trim_start_matches('/').to_owned();
                self.check_handle(server, vg, lv, *serial)?;
                Ok(Place { host: server.clone(), vg: vg.clone(), lv: lv.clone(), rel, read_only })
            }
        }
    }

    /// Whether the server still has mounted what the handle stands for.
    pub(crate) fn check_handle(
        &self,
        server: &str,
        vg: &str,
        lv: &str,
        serial: u64,
    ) -> Result<(), PathError> {
        let server = self.at(server);
        let same =
            server.vgs.get(vg).and_then(|vg| vg.lvs.get(lv)).is_some_and(|lv| lv.serial == serial);
        let mounted = server.mounts.iter().any(
            |mount| matches!(&mount.source, Source::Lv { vg: v, lv: l } if v == vg && l == lv),
        );
        if same && mounted { Ok(()) } else { Err(PathError::Stale) }
    }

    /// The volume of a place.
    pub(crate) fn volume(&self, place: &Place) -> Result<&Lv, PathError> {
        let vg = self.at(&place.host).vgs.get(&place.vg).ok_or(PathError::Stale)?;
        vg.lvs.get(&place.lv).ok_or(PathError::Stale)
    }

    /// The volume of a place, to be changed.
    pub(crate) fn volume_mut(&mut self, place: &Place) -> Result<&mut Lv, PathError> {
        let host: &mut Host = self.at_mut(&place.host);
        let vg = host.vgs.get_mut(&place.vg).ok_or(PathError::Stale)?;
        vg.lvs.get_mut(&place.lv).ok_or(PathError::Stale)
    }

    /// The files of a place's file system.
    pub(crate) fn tree(&self, place: &Place) -> Result<&Tree, PathError> {
        self.volume(place)?.tree.as_deref().ok_or(PathError::Stale)
    }

    /// What stands at `path`; a file system's root is a directory.
    pub(crate) fn look(&self, host: &str, path: &str, now: Millis) -> Result<Node, PathError> {
        let place = self.place(host, path, now)?;
        let tree = self.tree(&place)?;
        if place.rel.is_empty() {
            return Ok(Node::dir());
        }
        tree.nodes.get(&place.rel).cloned().ok_or(PathError::Absent)
    }

    /// The text of the file at `path`.
    pub(crate) fn text(&self, host: &str, path: &str, now: Millis) -> Result<String, PathError> {
        match self.look(host, path, now)?.kind {
            Kind::File(text) => Ok(text),
            _ => Err(PathError::WrongKind),
        }
    }

    /// Whether there is a directory at `path`.
    pub(crate) fn is_dir(&self, host: &str, path: &str, now: Millis) -> bool {
        self.look(host, path, now).is_ok_and(|node| node.kind == Kind::Dir)
    }

    /// Puts `node` at `path`, whose directory must exist.
    pub(crate) fn put(
        &mut self,
        host: &str,
        path: &str,
        node: Node,
        now: Millis,
    ) -> Result<(), PathError> {
        let place = self.place(host, path, now)?;
        if place.read_only {
            return Err(PathError::ReadOnly);
        }
        let tree = self.tree(&place)?;
        let parent = place.rel.rsplit_once('/').map_or("", |(parent, _)| parent);
        if place.rel.is_empty() {
            return Err(PathError::WrongKind);
        }
        if !tree.is_dir(parent) {
            return Err(PathError::Absent);
        }
        if tree.is_dir(&place.rel) && node.kind != Kind::Dir {
            return Err(PathError::WrongKind);
        }
        if tree.nodes.get(&place.rel) == Some(&node) {
            return Ok(());
        }
        let is_archive = matches!(&node.kind, Kind::File(text) if Archive::is_one(text));
        let volume = self.volume_mut(&place)?;
        if is_archive {
            volume.archives.insert(place.rel.clone(), now);
        } else {
            volume.archives.remove(&place.rel);
        }
        volume.tree_mut().put(&place.rel, node);
        Ok(())
    }

    /// Removes `path` and all below it in its file system.
    pub(crate) fn remove(&mut self, host: &str, path: &str, now: Millis) -> Result<(), PathError> {
        let place = self.place(host, path, now)?;
        if place.read_only {
            return Err(PathError::ReadOnly);
        }
        let volume = self.volume_mut(&place)?;
        volume.archives.retain(|path, _| !is_within(path, &place.rel));
        volume.tree_mut().remove(&place.rel);
        Ok(())
    }

    /// The i-node of what stands at `path`: a mksysb that is made anew has another.
    pub(crate) fn inode(&self, host: &str, path: &str, now: Millis) -> u64 {
        let place = self.place(host, path, now).ok();
        let made =
            place.and_then(|place| self.volume(&place).ok()?.archives.get(&place.rel).copied());
        made.unwrap_or_else(|| path.bytes().map(u64::from).sum())
    }
}
