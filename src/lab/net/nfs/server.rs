//! The NFS server of a host: answers in its network namespace, from the world.

use std::collections::HashMap;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::addresses::Addresses;
use super::answer::{Full, answer};
use super::wire::{Op, Reply, Request, Time, receive, send};
use crate::base::SystemClock;
use crate::base::limits::NFS_CONNECTIONS_MAX;
use crate::lab::handle::{Lab, LabError};
use crate::lab::place::Place;

/// How long a connection may be silent; its mount makes another one.
const IDLE: Duration = Duration::from_secs(120);

/// Mounts whose last reply is remembered.
const MOUNTS_MAX: usize = 4096;

/// The last reply to what a mount wanted changed.
#[derive(Debug, Default)]
struct Last {
    number: u64,
    reply: Option<Reply>,
}

type Replies = HashMap<(String, u64), Arc<Mutex<Last>>>;

/// The server of one host.
pub struct Server {
    lab: Lab,
    dir: PathBuf,
    host: String,
    addresses: Addresses,
    /// By the mount's host and number.
    last: Mutex<Replies>,
    connections: AtomicUsize,
}

impl Server {
    /// The server of `host`, whose lab is in `dir`.
    pub fn new(
        lab: &Lab,
        dir: &Path,
        host: &str,
        addresses: Addresses,
    ) -> Result<Server, LabError> {
        if !lab.hosts()?.iter().any(|name| name == host) {
            return Err(LabError::UnknownHost(host.to_owned()));
        }
        Ok(Server {
            lab: lab.clone(),
            dir: dir.to_owned(),
            host: host.to_owned(),
            addresses,
            last: Mutex::default(),
            connections: AtomicUsize::new(0),
        })
    }

    /// Answers whoever connects, and does not end.
    pub fn serve(self: &Arc<Server>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            if self.connections.fetch_add(1, Ordering::Relaxed) >= NFS_CONNECTIONS_MAX {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let server = self.clone();
            let answered = std::thread::Builder::new().spawn(move || {
                // A connection that is lost is made again by the mount.
                let _ = server.connection(stream);
                server.connections.fetch_sub(1, Ordering::Relaxed);
            });
            if answered.is_err() {
                self.connections.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        let peer = stream.peer_addr()?.ip();
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        loop {
            let (request, content): (Request, Vec<u8>) = receive(&mut stream)?;
            if !self.addresses.admit(peer, &request.from) {
                return Ok(());
            }
            // Silence, where the network lets nothing through.
            let Some((reply, read)) = self.once(&request, &content) else { return Ok(()) };
            send(&mut stream, &reply, &read)?;
        }
    }

    /// Carries a request out unless that was done before.
    fn once(&self, request: &Request, content: &[u8]) -> Option<Full> {
        if !request.op.changes() {
            return self.carry_out(request, content);
        }
        let last = {
            let mut all = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOUNTS_MAX {
                // Those that are in use come back with their next request.
                all.retain(|_, last| Arc::strong_count(last) > 1);
            }
            all.entry((request.from.clone(), request.mount)).or_default().clone()
        };
        // Held meanwhile: the same request may come by another connection.
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if request.number == last.number
            && let Some(reply) = &last.reply
        {
            return Some((reply.clone(), Vec::new()));
        }
        if request.number < last.number {
            return None;
        }
        let (reply, read) = self.carry_out(request, content)?;
        *last = Last { number: request.number, reply: Some(reply.clone()) };
        Some((reply, read))
    }

    fn carry_out(&self, request: &Request, content: &[u8]) -> Option<Full> {
        let stamps = |place: &Place| stamp(&self.file(place));
        let now_time = now();
        let full = self.lab.with(|world, now, _| {
            let asked = (request, content);
            answer(world, now, &self.host, asked, &stamps, now_time)
        });
        // An estate that cannot be read is a server that does not answer.
        let full = full.ok()??;
        if let (Ok(_), Op::Change { path, change }) = (&full.0, &request.op)
            && let Some(mtime) = change.mtime
        {
            let handle = &request.handle;
            let rel = format!("{}/{path}", handle.sub).trim_matches('/').to_owned();
            let (vg, lv) = (handle.vg.clone(), handle.lv.clone());
            let place = Place { host: self.host.clone(), vg, lv, rel, read_only: false };
            set_stamp(&self.file(&place), mtime);
        }
        Some(full)
    }

    /// Where the files of the lab keep a file.
    fn file(&self, place: &Place) -> PathBuf {
        let Place { host, vg, lv, rel, .. } = place;
        self.dir.join("hosts").join(host).join("fs").join(vg).join(lv).join(rel)
    }
}

/// The machine's time.
fn now() -> Time {
    let ms = SystemClock::read_ms();
    let nanos = u32::try_from(ms % 1000 * 1_000_000).unwrap_or(0);
    (i64::try_from(ms / 1000).unwrap_or(i64::MAX), nanos)
}

fn stamp(file: &Path) -> Option<Time> {
    let found = std::fs::symlink_metadata(file).ok()?;
    Some((found.mtime(), u32::try_from(found.mtime_nsec()).unwrap_or(0)))
}

/// The emulation has no times of files; those of the files that it is kept in
/// are as good, until one is written again.
fn set_stamp(file: &Path, (seconds, nanos): Time) {
    let time = TimeSpec::new(seconds, i64::from(nanos));
    let flags = UtimensatFlags::NoFollowSymlink;
    // A file that is gone meanwhile has no time.
    let _ = utimensat(AT_FDCWD, file, &TimeSpec::UTIME_OMIT, &time, flags);
}
