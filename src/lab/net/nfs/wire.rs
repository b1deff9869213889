//! What goes between a mount and the host that it is a mount of.
//!
//! A message is two lengths (big-endian, four bytes each), so many bytes of JSON,
//! and so many bytes of a file's content. Each request names its mount and a
//! number of its own: one that is sent again, because its reply was lost, is
//! answered again and not carried out again.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::limits::NFS_MESSAGE_BYTES_MAX;

/// The port that is NFS's.
pub const PORT: u16 = 2049;

/// What a mount is a mount of, as it was when the mount was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Handle {
    /// The exported directory.
    pub path: String,
    /// The file system that it lay in.
    pub vg: String,
    /// See `vg`.
    pub lv: String,
    /// The directory within that file system.
    pub sub: String,
    /// What tells this volume from a later one of its name.
    pub serial: u64,
}

/// A question. Paths are relative to the mount's root, which is the empty one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The mount that asks: unlike that of any other of the same host.
    pub mount: u64,
    /// Its number: one higher than that of the mount's last.
    pub number: u64,
    /// The host that the mount is on.
    pub from: String,
    pub handle: Handle,
    /// What is asked for.
    pub op: Op,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Op {
    /// What stands there.
    Look { path: String },
    /// What is directly in a directory.
    List { path: String },
    /// A piece of a file.
    Read { path: String, offset: u64, size: u32 },
    /// The message's content is put there; at the file's end where there is no
    /// offset.
    Write { path: String, offset: Option<u64> },
    /// A new file, or the one that is there, unless it is to be new.
    Create { path: String, mode: u32, exclusive: bool },
    /// A new directory.
    MakeDir { path: String, mode: u32 },
    /// A new symbolic link.
    Symlink { path: String, target: String },
    /// Where a symbolic link leads.
    ReadLink { path: String },
    /// A file or link is removed.
    Remove { path: String },
    /// An empty directory is removed.
    RemoveDir { path: String },
    /// Another path; what is there is replaced, unless that is not wanted.
    Rename { path: String, to: String, replace: bool },
    /// Other attributes.
    Change { path: String, change: Change },
    /// The room in the file system.
    Space,
}

/// What is to be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Time>,
}

/// Seconds since 1970, and nanoseconds.
pub(super) type Time = (i64, u32);

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    Dir,
    File,
    Link,
}

/// Attributes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attributes {
    pub what: What,
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// When it was last changed.
    pub mtime: Time,
}

/// The room in a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Files there can be.
    pub files: u64,
    /// Files there can be beside those that are there.
    pub free_files: u64,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// What stands there now.
    Found(Attributes),
    /// What is in a directory.
    Names(Vec<(String, What)>),
    /// The message's content is what was read.
    Content,
    /// So many bytes were written.
    Written(u32),
    /// Where a link leads.
    Target(String),
    /// See [`Op::Space`].
    Space(Space),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Refusal {
    /// It is not exported any more, or no longer what was mounted.
    Stale,
    /// It is not exported to this host.
    Denied,
    /// It is exported for reading.
    ReadOnly,
    /// There is none.
    Absent,
    /// There is one.
    Exists,
    /// It is no directory.
    NotDirectory,
    /// It is a directory.
    IsDirectory,
    /// Something is in the directory.
    NotEmpty,
    /// A file system is mounted there, on the exporting host.
    Busy,
    /// No room in the file system.
    NoSpace,
    /// A file can't be that long.
    TooBig,
    /// A name can't be that long.
    NameTooLong,
    /// It cannot be.
    Invalid,
}

/// What comes back.
pub(super) type Reply = Result<Answer, Refusal>;

/// Writes a message.
pub(super) fn send<T: Serialize>(to: &mut impl Write, head: &T, content: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(head).expect("messages are plain data");
    let mut message = Vec::with_capacity(8 + head.len() + content.len());
    for length in [head.len(), content.len()] {
        let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        message.extend_from_slice(&length.to_be_bytes());
    }
    message.extend_from_slice(&head);
    message.extend_from_slice(content);
    to.write_all(&message)
}

/// Reads a message. One that is too long, or none, is an error: nothing that
/// follows it could be understood.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<(T, Vec<u8>)> {
    let mut lengths = [0; 8];
    from.read_exact(&mut lengths)?;
    let [head, content] = [0, 4].map(|at| {
        let four = [lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]];
        u64::from(u32::from_be_bytes(four))
    });
    if head + content > NFS_MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut piece = |length: u64| {
        // No more at once than what may be there: a length is easily said.
        let mut bytes = Vec::with_capacity(usize::try_from(length.min(1 << 16)).unwrap_or(0));
        let read = from.by_ref().take(length).read_to_end(&mut bytes)?;
        if read as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof) }
            .map_err(io::Error::from)
    };
    let (head, content) = (piece(head)?, piece(content)?);
    Ok((serde_json::from_slice(&head).map_err(io::Error::from)?, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_as_it_was_sent() {
        let op = Op::Write { path: "a\nb".to_owned(), offset: None };
        let mut wire = Vec::new();
        send(&mut wire, &op, b"\0\xff").unwrap();
        send(&mut wire, &Reply::Err(Refusal::Stale), b"").unwrap();
        let mut from = wire.as_slice();
        assert_eq!(receive::<Op>(&mut from).unwrap(), (op, b"\0\xff".to_vec()));
        assert_eq!(receive::<Reply>(&mut from).unwrap().0, Err(Refusal::Stale));
        assert!(receive::<Reply>(&mut from).is_err(), "there is no more");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let too_long = [0xff; 64];
        assert!(receive::<Op>(&mut too_long.as_slice()).is_err());
        let cut = [0, 0, 0, 9, 0, 0, 0, 0, b'{'];
        assert!(receive::<Op>(&mut cut.as_slice()).is_err());
    }
}
