//! What the exporting host says to a question, and does with its file system.

use super::bytes;
use super::wire::{Answer, Attributes, Change, Op, Refusal, Reply, Request, Space, Time, What};
use crate::base::Millis;
use crate::base::limits::{NFS_BYTES_MAX, NFS_FILE_BYTES_MAX, NFS_FILES_MAX, NFS_PIECE_BYTES_MAX};
use crate::lab::fault::FaultKind;
use crate::lab::place::Place;
use crate::lab::tree::{Kind, Node, Tree, is_within};
use crate::lab::world::World;

const MB: u64 = 1024 * 1024;

/// Bytes of a path within a file system, as the emulation bounds them.
const PATH_BYTES_MAX: usize = 1023;

/// What comes back, with a file's content where that was asked for.
pub(super) type Full = (Reply, Vec<u8>);

/// When the file at a path within a volume was last changed, where that is known.
pub(super) type Stamps<'a> = &'a dyn Fn(&Place) -> Option<Time>;

impl Op {
    /// Whether it leaves something changed.
    pub(super) fn changes(&self) -> bool {
        match self {
            Op::Look { .. }
            | Op::List { .. }
            | Op::Read { .. }
            | Op::ReadLink { .. }
            | Op::Space => false,
            Op::Write { .. }
            | Op::Create { .. }
            | Op::MakeDir { .. }
            | Op::Symlink { .. }
            | Op::Remove { .. }
            | Op::RemoveDir { .. }
            | Op::Rename { .. }
            | Op::Change { .. } => true,
        }
    }

    /// The path that it is about.
    pub(super) fn path(&self) -> &str {
        match self {
            Op::Look { path }
            | Op::List { path }
            | Op::Read { path, .. }
            | Op::Write { path, .. }
            | Op::Create { path, .. }
            | Op::MakeDir { path, .. }
            | Op::Symlink { path, .. }
            | Op::ReadLink { path }
            | Op::Remove { path }
            | Op::RemoveDir { path }
            | Op::Rename { path, .. }
            | Op::Change { path, .. } => path,
            Op::Space => "",
        }
    }
}

/// Answers for `server`; nothing where the network does not let the answer
/// through. `now_time` is the machine's time: files live by it.
pub(super) fn answer(
    world: &mut World,
    now: Millis,
    server: &str,
    (request, content): (&Request, &[u8]),
    stamps: Stamps<'_>,
    now_time: Time,
) -> Option<Full> {
    if world.find(&request.from).is_none() {
        return Some((Err(Refusal::Denied), Vec::new()));
    }
    if !world.reaches(server, now) || !world.joins(&request.from, server, now) {
        return None;
    }
    let place = match gate(world, server, request) {
        Ok(place) => place,
        Err(refusal) => return Some((Err(refusal), Vec::new())),
    };
    let mut read = Vec::new();
    let mut volume = Served { world, place, stamps, now_time };
    let reply = volume.carry_out(request, content, &mut read);
    Some((reply, read))
}

/// The place of the mount's root, if its handle still leads there.
fn gate(world: &mut World, server: &str, request: &Request) -> Result<Place, Refusal> {
    let (handle, op) = (&request.handle, &request.op);
    let line = format!("nfs {server}:{}/{}", handle.path, op.path());
    if world.strike(FaultKind::StaleHandle, &request.from, &line).is_some() {
        return Err(Refusal::Stale);
    }
    let export = world.at(server).export_of(&handle.path).ok_or(Refusal::Stale)?;
    if !export.admits(&request.from) {
        return Err(Refusal::Denied);
    }
    let read_only = export.read_only();
    world
        .check_handle(server, &handle.vg, &handle.lv, handle.serial)
        .map_err(|_| Refusal::Stale)?;
    if op.changes() && read_only {
        return Err(Refusal::ReadOnly);
    }
    Ok(Place {
        host: server.to_owned(),
        vg: handle.vg.clone(),
        lv: handle.lv.clone(),
        rel: handle.sub.clone(),
        read_only,
    })
}

struct Served<'a> {
    world: &'a mut World,
    place: Place,
    stamps: Stamps<'a>,
    now_time: Time,
}

impl Served<'_> {
    fn carry_out(&mut self, request: &Request, content: &[u8], read: &mut Vec<u8>) -> Reply {
        match &request.op {
            Op::Look { path } => {
                let rel = self.rel(path)?;
                let node = self.node(&rel)?;
                Ok(Answer::Found(self.attributes(&rel, &node, true)))
            }
            Op::List { path } => self.list(path),
            Op::Read { path, offset, size } => self.read(path, *offset, *size, read),
            Op::Write { path, offset } => self.write(path, *offset, content),
            Op::Create { path, mode, exclusive } => {
                let node = Node { mode: mode & 0o777 | 0o600, kind: Kind::File(String::new()) };
                self.create(path, node, *exclusive)
            }
            Op::MakeDir { path, mode } => {
                let node = Node { mode: mode & 0o777 | 0o700, kind: Kind::Dir };
                self.create(path, node, true)
            }
            Op::Symlink { path, target } => {
                if target.is_empty() || target.contains('\0') || target.len() > PATH_BYTES_MAX {
                    return Err(Refusal::Invalid);
                }
                let node = Node { mode: 0o777, kind: Kind::Link(target.clone()) };
                self.create(path, node, true)
            }
            Op::ReadLink { path } => match self.node(&self.rel(path)?)?.kind {
                Kind::Link(target) => Ok(Answer::Target(target)),
                _ => Err(Refusal::Invalid),
            },
            Op::Remove { path } => self.remove(path, false),
            Op::RemoveDir { path } => self.remove(path, true),
            Op::Rename { path, to, replace } => self.rename(path, to, *replace),
            Op::Change { path, change } => self.change(path, change),
            Op::Space => self.space().map(Answer::Space),
        }
    }

    /// The path within the volume of a path of the mount.
    fn rel(&self, path: &str) -> Result<String, Refusal> {
        let rel = match (self.place.rel.as_str(), path) {
            (top, "") => top.to_owned(),
            ("", path) => path.to_owned(),
            (top, path) => format!("{top}/{path}"),
        };
        let dots = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
        if !path.is_empty() && path.split('/').any(dots) {
            return Err(Refusal::Invalid);
        }
        if rel.len() > PATH_BYTES_MAX || path.split('/').any(|part| part.len() > 255) {
            return Err(Refusal::NameTooLong);
        }
        Ok(rel)
    }

    fn tree(&self) -> Result<&Tree, Refusal> {
        self.world.tree(&self.place).map_err(|_| Refusal::Stale)
    }

    fn tree_mut(&mut self) -> Result<&mut Tree, Refusal> {
        Ok(self.world.volume_mut(&self.place).map_err(|_| Refusal::Stale)?.tree_mut())
    }

    fn node(&self, rel: &str) -> Result<Node, Refusal> {
        if rel.is_empty() {
            return Ok(Node::dir());
        }
        match self.tree()?.nodes.get(rel) {
            Some(node) => Ok(node.clone()),
            // The directory that was mounted is no more.
            None if rel == self.place.rel => Err(Refusal::Stale),
            None => Err(Refusal::Absent),
        }
    }

    fn attributes(&self, rel: &str, node: &Node, stored: bool) -> Attributes {
        let (what, size) = match &node.kind {
            Kind::Dir => (What::Dir, 4096),
            Kind::File(text) => (What::File, bytes::len(text)),
            Kind::Link(target) => (What::Link, bytes::len(target)),
        };
        let place = Place { rel: rel.to_owned(), ..self.place.clone() };
        let stamp = if stored { (self.stamps)(&place) } else { None };
        Attributes { what, mode: node.mode, size, mtime: stamp.unwrap_or(self.now_time) }
    }

    fn list(&self, path: &str) -> Reply {
        let rel = self.rel(path)?;
        if self.node(&rel)?.kind != Kind::Dir {
            return Err(Refusal::NotDirectory);
        }
        let tree = self.tree()?;
        let names = tree.names(&rel).into_iter().map(|name| {
            let inner = if rel.is_empty() { name.clone() } else { format!("{rel}/{name}") };
            let what = match tree.nodes.get(&inner).map(|node| &node.kind) {
                Some(Kind::File(_)) => What::File,
                Some(Kind::Link(_)) => What::Link,
                _ => What::Dir,
            };
            (name, what)
        });
        Ok(Answer::Names(names.collect()))
    }

    fn text(&self, rel: &str) -> Result<(u32, String), Refusal> {
        match self.node(rel)? {
            Node { mode, kind: Kind::File(text) } => Ok((mode, text)),
            Node { kind: Kind::Dir, .. } => Err(Refusal::IsDirectory),
            Node { kind: Kind::Link(_), .. } => Err(Refusal::Invalid),
        }
    }

    fn read(&self, path: &str, offset: u64, size: u32, read: &mut Vec<u8>) -> Reply {
        let (_, text) = self.text(&self.rel(path)?)?;
        let whole = bytes::to_bytes(&text);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
        let size = size.min(NFS_PIECE_BYTES_MAX) as usize;
        read.extend_from_slice(&whole[from..whole.len().min(from.saturating_add(size))]);
        Ok(Answer::Content)
    }

    fn write(&mut self, path: &str, offset: Option<u64>, content: &[u8]) -> Reply {
        let rel = self.rel(path)?;
        let (mode, text) = self.text(&rel)?;
        let mut whole = bytes::to_bytes(&text).into_owned();
        let offset = offset.unwrap_or(whole.len() as u64);
        let end = offset.checked_add(content.len() as u64).ok_or(Refusal::TooBig)?;
        if end > NFS_FILE_BYTES_MAX {
            return Err(Refusal::TooBig);
        }
        let [from, to] = [offset, end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        if to > whole.len() {
            whole.resize(to, 0);
        }
        whole[from..to].copy_from_slice(content);
        self.store(&rel, mode, &text, &whole)?;
        Ok(Answer::Written(u32::try_from(content.len()).unwrap_or(u32::MAX)))
    }

    /// Puts a file's new content in place of `old`.
    fn store(&mut self, rel: &str, mode: u32, old: &str, whole: &[u8]) -> Result<(), Refusal> {
        let text = bytes::to_text(whole);
        if text == old {
            return Ok(());
        }
        if text.len() > old.len() {
            self.make_room((text.len() - old.len()) as u64, rel)?;
        }
        self.tree_mut()?.put(rel, Node { mode, kind: Kind::File(text) });
        Ok(())
    }

    fn space(&self) -> Result<Space, Refusal> {
        let volume = self.world.volume(&self.place).map_err(|_| Refusal::Stale)?;
        let pp_mb =
            self.world.at(&self.place.host).vgs.get(&self.place.vg).map_or(0, |vg| vg.pp_mb);
        let tree = self.tree()?;
        let texts = tree.nodes.values().map(|node| match &node.kind {
            Kind::File(text) => text.len() as u64,
            _ => 0,
        });
        let texts: u64 = texts.sum();
        let total = volume.lps() * pp_mb * MB;
        let free = total.saturating_sub(volume.used_mb() * MB + texts);
        let free = free.min(NFS_BYTES_MAX.saturating_sub(texts));
        let free_files = NFS_FILES_MAX.saturating_sub(tree.nodes.len()) as u64;
        Ok(Space { total, free, files: NFS_FILES_MAX as u64, free_files })
    }

    /// Whether there is room for so many bytes more.
    fn make_room(&mut self, more: u64, rel: &str) -> Result<(), Refusal> {
        let host = self.place.host.clone();
        let line = format!("nfs write {host}:{}/{rel}", self.place.lv);
        let full = self.world.strike(FaultKind::DiskFull, &host, &line).is_some();
        if full || self.space()?.free < more { Err(Refusal::NoSpace) } else { Ok(()) }
    }

    fn check_parent(&self, rel: &str) -> Result<(), Refusal> {
        let parent = rel.rsplit_once('/').map_or("", |(parent, _)| parent);
        match self.node(parent)?.kind {
            Kind::Dir => Ok(()),
            _ => Err(Refusal::NotDirectory),
        }
    }

    fn create(&mut self, path: &str, node: Node, exclusive: bool) -> Reply {
        let rel = self.rel(path)?;
        match self.node(&rel) {
            Ok(_) if exclusive => return Err(Refusal::Exists),
            Ok(Node { kind: Kind::Dir, .. }) => return Err(Refusal::IsDirectory),
            Ok(Node { kind: Kind::Link(_), .. }) => return Err(Refusal::Exists),
            Ok(node) => return Ok(Answer::Found(self.attributes(&rel, &node, true))),
            Err(Refusal::Absent) => {}
            Err(refusal) => return Err(refusal),
        }
        self.check_parent(&rel)?;
        if self.space()?.free_files == 0 {
            return Err(Refusal::NoSpace);
        }
        self.make_room(rel.len() as u64, &rel)?;
        let found = self.attributes(&rel, &node, false);
        self.tree_mut()?.put(&rel, node);
        Ok(Answer::Found(found))
    }

    /// Whether a file system of the exporting host is mounted at or below `rel`.
    fn is_mount_point(&self, rel: &str) -> bool {
        let host = self.world.at(&self.place.host);
        let here = host.mounts.iter().find(|mount| {
            matches!(&mount.source, crate::lab::world::Source::Lv { vg, lv }
                if *vg == self.place.vg && *lv == self.place.lv)
        });
        let Some(here) = here else { return false };
        let path = format!("{}/{rel}", here.point.trim_end_matches('/'));
        host.mounts.iter().any(|mount| is_within(&mount.point, &path))
    }

    fn remove(&mut self, path: &str, directory: bool) -> Reply {
        let rel = self.rel(path)?;
        if path.is_empty() {
            return Err(Refusal::Busy);
        }
        let is_dir = self.node(&rel)?.kind == Kind::Dir;
        match (directory, is_dir) {
            (false, true) => return Err(Refusal::IsDirectory),
            (true, false) => return Err(Refusal::NotDirectory),
            _ => {}
        }
        if is_dir && !self.tree()?.names(&rel).is_empty() {
            return Err(Refusal::NotEmpty);
        }
        if is_dir && self.is_mount_point(&rel) {
            return Err(Refusal::Busy);
        }
        self.tree_mut()?.remove(&rel);
        Ok(Answer::Done)
    }

    fn rename(&mut self, path: &str, to: &str, replace: bool) -> Reply {
        let (from, to_rel) = (self.rel(path)?, self.rel(to)?);
        if path.is_empty() || to.is_empty() {
            return Err(Refusal::Busy);
        }
        let is_dir = self.node(&from)?.kind == Kind::Dir;
        self.check_parent(&to_rel)?;
        if from == to_rel {
            return Ok(Answer::Done);
        }
        if is_within(&to_rel, &from) {
            return Err(Refusal::Invalid);
        }
        match self.node(&to_rel).map(|node| node.kind == Kind::Dir) {
            Err(Refusal::Absent) => {}
            Err(refusal) => return Err(refusal),
            Ok(_) if !replace => return Err(Refusal::Exists),
            Ok(true) if !is_dir => return Err(Refusal::IsDirectory),
            Ok(false) if is_dir => return Err(Refusal::NotDirectory),
            Ok(true) if !self.tree()?.names(&to_rel).is_empty() => return Err(Refusal::NotEmpty),
            Ok(_) => {}
        }
        if is_dir && (self.is_mount_point(&from) || self.is_mount_point(&to_rel)) {
            return Err(Refusal::Busy);
        }
        let below = format!("{from}/");
        let longest = self.tree()?.nodes.keys().filter(|name| name.starts_with(&below));
        let longest = longest.map(|name| name.len() - from.len()).max().unwrap_or(0);
        if to_rel.len() + longest > PATH_BYTES_MAX {
            return Err(Refusal::NameTooLong);
        }
        let tree = self.tree_mut()?;
        tree.remove(&to_rel);
        tree.rename(&from, &to_rel);
        Ok(Answer::Done)
    }

    /// Times are not the emulation's: whoever keeps the files sees to them.
    fn change(&mut self, path: &str, change: &Change) -> Reply {
        let rel = self.rel(path)?;
        if let Some(size) = change.size {
            let (mode, text) = self.text(&rel)?;
            if size > NFS_FILE_BYTES_MAX {
                return Err(Refusal::TooBig);
            }
            let mut whole = bytes::to_bytes(&text).into_owned();
            whole.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
            self.store(&rel, mode, &text, &whole)?;
        }
        let mut node = self.node(&rel)?;
        if let Some(mode) = change.mode {
            let mode = match node.kind {
                Kind::Dir => mode & 0o777 | 0o700,
                Kind::File(_) => mode & 0o777 | 0o600,
                Kind::Link(_) => node.mode,
            };
            // The root of a file system has no mode of its own.
            if mode != node.mode && !rel.is_empty() {
                node.mode = mode;
                self.tree_mut()?.put(&rel, node.clone());
            }
        }
        let mut found = self.attributes(&rel, &node, change.size.is_none());
        found.mtime = change.mtime.unwrap_or(found.mtime);
        Ok(Answer::Found(found))
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
