//! What the kernel asks of a mount, put to the exporting host.
//!
//! Nothing is kept: every question goes to the host, and no answer of it is
//! valid for longer than it takes to use it. So a program sees at once what a
//! command of the emulation has changed, and waits while the host is away.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use nix::libc;

use super::ask::{Asker, NoAnswer};
use super::bytes;
use super::inodes::{Inodes, ROOT};
use super::wire::{Answer, Attributes, Change, Op, Refusal, Space, Time, What};
use crate::base::SystemClock;
use crate::base::limits::NFS_PIECE_BYTES_MAX;

/// How long the kernel may believe an answer: not at all.
const TTL: Duration = Duration::ZERO;

/// What `st_blksize` and `statfs` count in.
const BLOCK: u32 = 4096;

/// A mounted directory of another host.
pub(super) struct Mounted {
    asker: Asker,
    /// Whose the files are: of whoever runs the mount, for the emulation knows
    /// no owners.
    owner: (u32, u32),
    inodes: Mutex<Inodes>,
    /// Directories that are being read.
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    next: u64,
    open: HashMap<u64, Vec<(String, What)>>,
}

impl From<Refusal> for Errno {
    fn from(refusal: Refusal) -> Errno {
        match refusal {
            Refusal::Stale => Errno::ESTALE,
            Refusal::Denied => Errno::EACCES,
            Refusal::ReadOnly => Errno::EROFS,
            Refusal::Absent => Errno::ENOENT,
            Refusal::Exists => Errno::EEXIST,
            Refusal::NotDirectory => Errno::ENOTDIR,
            Refusal::IsDirectory => Errno::EISDIR,
            Refusal::NotEmpty => Errno::ENOTEMPTY,
            Refusal::Busy => Errno::EBUSY,
            Refusal::NoSpace => Errno::ENOSPC,
            Refusal::TooBig => Errno::EFBIG,
            Refusal::NameTooLong => Errno::ENAMETOOLONG,
            Refusal::Invalid => Errno::EINVAL,
        }
    }
}

impl From<NoAnswer> for Errno {
    fn from(why: NoAnswer) -> Errno {
        match why {
            NoAnswer::Refused(refusal) => refusal.into(),
            NoAnswer::TimedOut => Errno::ETIMEDOUT,
        }
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kind(what: What) -> FileType {
    match what {
        What::Dir => FileType::Directory,
        What::File => FileType::RegularFile,
        What::Link => FileType::Symlink,
    }
}

fn time((seconds, nanos): Time) -> SystemTime {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, nanos.min(999_999_999))
}

fn stored(time: TimeOrNow) -> Time {
    let since = match time {
        TimeOrNow::SpecificTime(time) => time.duration_since(UNIX_EPOCH).unwrap_or_default(),
        TimeOrNow::Now => Duration::from_millis(SystemClock::read_ms()),
    };
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

/// The attributes of `number` as the kernel has them.
fn attributes(number: u64, found: &Attributes, (uid, gid): (u32, u32)) -> FileAttr {
    let time = time(found.mtime);
    FileAttr {
        ino: INodeNo(number),
        size: found.size,
        blocks: found.size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: kind(found.what),
        perm: u16::try_from(found.mode & 0o777).unwrap_or(0o777),
        nlink: if found.what == What::Dir { 2 } else { 1 },
        uid,
        gid,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

impl Mounted {
    pub(super) fn new(asker: Asker, owner: (u32, u32)) -> Mounted {
        Mounted { asker, owner, inodes: Mutex::new(Inodes::new()), lists: Mutex::default() }
    }

    fn ask(&self, op: Op) -> Result<Answer, Errno> {
        Ok(self.asker.ask(op, &[])?.0)
    }

    fn path(&self, number: INodeNo) -> Result<String, Errno> {
        held(&self.inodes).path(number.0).map(str::to_owned).ok_or(Errno::ESTALE)
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> Result<String, Errno> {
        let parent = self.path(parent)?;
        let name = bytes::to_text(name.as_bytes());
        Ok(if parent.is_empty() { name } else { format!("{parent}/{name}") })
    }

    /// Asks something that says what stands at `path` then, and tells the kernel.
    fn entry(&self, path: &str, op: Op) -> Result<FileAttr, Errno> {
        match self.ask(op) {
            Ok(Answer::Found(found)) => {
                let number = held(&self.inodes).tell(path, found.what);
                Ok(attributes(number, &found, self.owner))
            }
            Ok(_) => Err(Errno::EIO),
            Err(errno) => {
                if errno == Errno::ENOENT {
                    held(&self.inodes).gone(path);
                }
                Err(errno)
            }
        }
    }

    fn look(&self, number: INodeNo, op: impl FnOnce(String) -> Op) -> Result<FileAttr, Errno> {
        let path = self.path(number)?;
        match self.ask(op(path.clone())) {
            // Another thing stands there now.
            Ok(Answer::Found(found)) if held(&self.inodes).found(&path, found.what) != number.0 => {
                Err(Errno::ESTALE)
            }
            Ok(Answer::Found(found)) => Ok(attributes(number.0, &found, self.owner)),
            Ok(_) => Err(Errno::EIO),
            // What the kernel knows by its number and is gone is stale.
            Err(errno) if errno == Errno::ENOENT => {
                held(&self.inodes).gone(&path);
                Err(Errno::ESTALE)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Gives a file that somebody has open another name, as NFS does: it must be
    /// there until it is closed. False where nobody has.
    fn hide(&self, path: &str) -> Result<bool, Errno> {
        let number = held(&self.inodes).at(path);
        let Some(number) = number.filter(|number| held(&self.inodes).is_open(*number)) else {
            return Ok(false);
        };
        let folder =
            path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let to = format!("{folder}.nfs{:08x}{number:08x}", self.asker.mount & 0xffff_ffff);
        if path == to {
            return Ok(true);
        }
        self.ask(Op::Rename { path: path.to_owned(), to: to.clone(), replace: true })?;
        held(&self.inodes).moved(path, &to);
        Ok(true)
    }

    fn is_hidden(&self, path: &str) -> bool {
        let mark = format!(".nfs{:08x}", self.asker.mount & 0xffff_ffff);
        path.rsplit('/').next().is_some_and(|name| name.starts_with(&mark))
    }

    fn remove(&self, path: &str, directory: bool) -> Result<(), Errno> {
        if !directory && self.hide(path)? {
            return Ok(());
        }
        let whole = path.to_owned();
        let op = if directory { Op::RemoveDir { path: whole } } else { Op::Remove { path: whole } };
        self.ask(op)?;
        held(&self.inodes).gone(path);
        Ok(())
    }

    fn move_to(&self, path: &str, to: &str, flags: RenameFlags) -> Result<(), Errno> {
        if !(flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            return Err(Errno::EINVAL);
        }
        let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        if replace && path != to {
            self.hide(to)?;
        }
        self.ask(Op::Rename { path: path.to_owned(), to: to.to_owned(), replace })?;
        held(&self.inodes).moved(path, to);
        Ok(())
    }

    fn close(&self, number: INodeNo) {
        if held(&self.inodes).closed(number.0)
            && let Ok(path) = self.path(number)
            && self.is_hidden(&path)
            // Nobody is told: the file is closed.
            && self.ask(Op::Remove { path: path.clone() }).is_ok()
        {
            held(&self.inodes).gone(&path);
        }
    }

    fn list(&self, number: INodeNo) -> Result<Vec<(String, What)>, Errno> {
        match self.ask(Op::List { path: self.path(number)? })? {
            Answer::Names(names) => Ok(names),
            _ => Err(Errno::EIO),
        }
    }

    fn fill(&self, number: INodeNo, list: u64, offset: u64, reply: ReplyDirectory) {
        // From the beginning, the directory is read as it is now.
        if offset == 0 {
            match self.list(number) {
                Ok(names) => drop(held(&self.lists).open.insert(list, names)),
                Err(errno) => return reply.error(errno),
            }
        }
        let Ok(path) = self.path(number) else { return reply.error(Errno::ESTALE) };
        let mut reply = reply;
        let lists = held(&self.lists);
        let mut inodes = held(&self.inodes);
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let above = inodes.at(parent).unwrap_or(ROOT);
        let dots = [(number.0, What::Dir, b".".to_vec()), (above, What::Dir, b"..".to_vec())];
        let names =
            lists.open.get(&list).map_or(&[][..], Vec::as_slice).iter().map(|(name, what)| {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                (inodes.found(&inner, *what), *what, bytes::to_bytes(name).into_owned())
            });
        for (index, (number, what, name)) in (1..).zip(dots.into_iter().chain(names)) {
            if index > offset
                && reply.add(INodeNo(number), index, kind(what), OsStr::from_bytes(&name))
            {
                break;
            }
        }
        reply.ok();
    }

    fn space(&self) -> Result<Space, Errno> {
        match self.ask(Op::Space)? {
            Answer::Space(space) => Ok(space),
            _ => Err(Errno::EIO),
        }
    }
}

macro_rules! answer {
    ($reply:ident, $asked:expr, $given:pat => $told:expr) => {
        match $asked {
            Ok($given) => $told,
            Err(errno) => $reply.error(errno),
        }
    };
}

impl Filesystem for Mounted {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What the kernel gives in one piece, the server takes in one.
        config.set_max_write(NFS_PIECE_BYTES_MAX).map(drop).map_err(|_| io::ErrorKind::Other.into())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self
            .child(parent, name)
            .and_then(|path| self.entry(&path, Op::Look { path: path.clone() }));
        answer!(reply, found, found => reply.entry(&TTL, &found, Generation(0)));
    }

    fn forget(&self, _: &Request, number: INodeNo, count: u64) {
        held(&self.inodes).forget(number.0, count);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = self.look(number, |path| Op::Look { path });
        answer!(reply, found, found => reply.attr(&TTL, &found));
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        // There are no other owners.
        if uid.is_some_and(|uid| uid != self.owner.0) || gid.is_some_and(|gid| gid != self.owner.1)
        {
            return reply.error(Errno::EPERM);
        }
        let change = Change { mode, size, mtime: mtime.map(stored) };
        let found = self.look(number, |path| {
            if change == Change::default() {
                Op::Look { path }
            } else {
                Op::Change { path, change }
            }
        });
        answer!(reply, found, found => reply.attr(&TTL, &found));
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        let target = self.path(number).and_then(|path| self.ask(Op::ReadLink { path }));
        match target {
            Ok(Answer::Target(target)) => reply.data(&bytes::to_bytes(&target)),
            Ok(_) => reply.error(Errno::EIO),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        // The emulation has no devices, pipes and sockets.
        if mode & libc::S_IFMT != libc::S_IFREG && mode & libc::S_IFMT != 0 {
            return reply.error(Errno::EPERM);
        }
        let found = self.child(parent, name).and_then(|path| {
            let mode = mode & !umask;
            self.entry(&path, Op::Create { path: path.clone(), mode, exclusive: true })
        });
        answer!(reply, found, found => reply.entry(&TTL, &found, Generation(0)));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let found = self.child(parent, name).and_then(|path| {
            self.entry(&path, Op::MakeDir { path: path.clone(), mode: mode & !umask })
        });
        answer!(reply, found, found => reply.entry(&TTL, &found, Generation(0)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.child(parent, name).and_then(|path| self.remove(&path, false));
        answer!(reply, done, () => reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.child(parent, name).and_then(|path| self.remove(&path, true));
        answer!(reply, done, () => reply.ok());
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let target = bytes::to_text(target.as_os_str().as_bytes());
        let found = self
            .child(parent, name)
            .and_then(|path| self.entry(&path, Op::Symlink { path: path.clone(), target }));
        answer!(reply, found, found => reply.entry(&TTL, &found, Generation(0)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let done = self.child(parent, name).and_then(|path| {
            let to = self.child(new_parent, new_name)?;
            self.move_to(&path, &to, flags)
        });
        answer!(reply, done, () => reply.ok());
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let found = self.look(number, |path| Op::Look { path });
        answer!(reply, found, _ => {
            held(&self.inodes).opened(number.0);
            reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
        });
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let exclusive = flags & libc::O_EXCL != 0;
        let found = self.child(parent, name).and_then(|path| {
            let mode = mode & !umask;
            self.entry(&path, Op::Create { path: path.clone(), mode, exclusive })
        });
        answer!(reply, found, found => {
            held(&self.inodes).opened(found.ino.0);
            let direct = FopenFlags::FOPEN_DIRECT_IO;
            reply.created(&TTL, &found, Generation(0), FileHandle(0), direct);
        });
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut whole = Vec::new();
        let read = self.path(number).and_then(|path| {
            while whole.len() < size as usize {
                let size = size - u32::try_from(whole.len()).unwrap_or(size);
                let offset = offset + whole.len() as u64;
                let (_, read) =
                    self.asker.ask(Op::Read { path: path.clone(), offset, size }, &[])?;
                if read.is_empty() {
                    break;
                }
                whole.extend_from_slice(&read);
            }
            Ok(())
        });
        answer!(reply, read.map_err(gone), () => reply.data(&whole));
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        // The kernel's idea of where a file ends may be an old one.
        let offset = (flags.0 & libc::O_APPEND == 0).then_some(offset);
        let written = self
            .path(number)
            .and_then(|path| Ok(self.asker.ask(Op::Write { path, offset }, data)?.0));
        match written.map_err(gone) {
            Ok(Answer::Written(count)) => reply.written(count),
            Ok(_) => reply.error(Errno::EIO),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Nothing was kept back.
        reply.ok();
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let found = self.look(number, |path| Op::Look { path });
        answer!(reply, found, _ => reply.ok());
    }

    fn release(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.close(number);
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let mut lists = held(&self.lists);
        lists.next += 1;
        let list = lists.next;
        lists.open.insert(list, Vec::new());
        reply.opened(FileHandle(list), FopenFlags::empty());
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        list: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.fill(number, list.0, offset, reply);
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        list: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        held(&self.lists).open.remove(&list.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let found = self.look(number, |path| Op::Look { path });
        answer!(reply, found, _ => reply.ok());
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        answer!(reply, self.space(), space => {
            let block = u64::from(BLOCK);
            let (total, free) = (space.total / block, space.free / block);
            reply.statfs(total, free, free, space.files, space.free_files, BLOCK, 255, BLOCK);
        });
    }
}

/// An open file that is gone is stale.
fn gone(errno: Errno) -> Errno {
    if errno == Errno::ENOENT { Errno::ESTALE } else { errno }
}
