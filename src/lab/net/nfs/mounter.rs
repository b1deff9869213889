//! The mounter of a host's mounts: makes them be what the emulation's table says.
//!
//! It runs in the host's namespaces, hears of changes from the commands that make
//! them, and starts a process for each mount. It touches no path below a mount
//! but to mount and unmount there, and no longer than it must: the server of an
//! outer mount may be away.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::addresses::Addresses;
use super::control::{self, Order, Said};
use super::mount::{FS_TYPE, MOUNTED, Wanted, wanted};
use super::wire::{receive, send};
use crate::base::{Millis, SystemClock};
use crate::lab::handle::Lab;
use crate::lab::net::layout::{Layout, NetError, io, make_dir};
use crate::lab::net::{process, root};
use crate::lab::tree::is_within;

/// How long a mount may take to stand.
const STAND_MS: u16 = 20_000;

/// How long an unmount may take: one that takes longer waits for a server.
const UNMOUNT: Duration = Duration::from_secs(3);

/// How long a command may take to take from the table what was unmounted for it.
const RELEASED_MS: Millis = 30_000;

/// How often the processes of mounts are looked at.
const LOOK_MS: u16 = 1_000;

/// How long an order may take to be spoken.
const ORDER: Duration = Duration::from_secs(5);

/// A mount that stands.
struct Standing {
    wanted: Wanted,
    at: PathBuf,
    process: Child,
}

/// A mount that is not to be made again, for a while.
struct Released {
    wanted: Wanted,
    until_ms: Millis,
}

/// See the module.
pub struct Mounter {
    layout: Layout,
    host: String,
    lab: Lab,
    /// Where the host's mount points are.
    root: PathBuf,
    addresses: Addresses,
    /// Where the NFS servers of all hosts listen.
    port: u16,
    /// In the order they were made.
    standing: Vec<Standing>,
    /// Mounts that were ended for commands which are about to take them from the
    /// table.
    released: Vec<Released>,
    /// Processes of mounts that nobody can reach any more.
    ending: Vec<Child>,
    log: File,
    /// Whether the log says that there is no FUSE.
    without: bool,
}

impl Mounter {
    /// The mounter of a host of the lab in `dir`; `root` is where its mount points
    /// are. What an earlier one has left is unmounted.
    pub fn new(
        lab: &Lab,
        dir: &Path,
        host: &str,
        root: &Path,
        (addresses, port): (Addresses, u16),
    ) -> Result<Mounter, NetError> {
        let layout = Layout::new(dir);
        make_dir(&layout.home(host))?;
        let path = layout.home(host).join("nfs.log");
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(io(&path))?;
        for at in mounted_below(root) {
            let _ = unmount(&at, MntFlags::MNT_DETACH);
        }
        Ok(Mounter {
            lab: lab.clone(),
            layout,
            host: host.to_owned(),
            root: root.to_owned(),
            addresses,
            port,
            standing: Vec::new(),
            released: Vec::new(),
            ending: Vec::new(),
            log,
            without: false,
        })
    }

    /// Hears orders, one after the other, and does not end. To be called in the
    /// main thread: the processes of mounts end with the thread that made them.
    pub fn run(mut self) -> Result<(), NetError> {
        control::write_seen_to(&self.layout, &self.host, &Vec::new())?;
        let listener: UnixListener = control::listen(&self.layout, &self.host)?;
        self.follow()?;
        loop {
            let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            // A process of a mount that ends by itself is seen to without an order.
            let quiet = self.released.is_empty() && self.ending.is_empty();
            let patience = if self.standing.is_empty() && quiet {
                PollTimeout::NONE
            } else {
                PollTimeout::from(LOOK_MS)
            };
            match poll(&mut fds, patience) {
                Ok(0) if self.has_lost() => {
                    self.follow().unwrap_or_else(|error| self.say(&error.to_string()));
                }
                Ok(0) | Err(_) => {}
                Ok(_) => {
                    if let Ok((stream, _)) = listener.accept() {
                        self.hear(stream);
                    }
                }
            }
        }
    }

    fn hear(&mut self, mut stream: UnixStream) {
        let heard = stream
            .set_read_timeout(Some(ORDER))
            .and_then(|()| stream.set_write_timeout(Some(ORDER)))
            .and_then(|()| receive::<Order>(&mut stream));
        let Ok((order, _)) = heard else { return };
        let said = match order {
            Order::Follow => self.follow().map(|()| Said::Done),
            Order::Unmount { point, force } => Ok(self.unmount(&point, force)),
            Order::Settle { point } => {
                self.released.retain(|released| released.wanted.point != point);
                self.follow().map(|()| Said::Done)
            }
        };
        match said {
            // Who asked may be gone.
            Ok(said) => drop(send(&mut stream, &said, &[])),
            Err(error) => self.say(&error.to_string()),
        }
    }

    /// Whether a mount's process has ended by itself, or a command that was to
    /// unmount.
    fn has_lost(&mut self) -> bool {
        self.ending.retain_mut(is_alive);
        let now = SystemClock::read_ms();
        self.released.iter().any(|released| released.until_ms <= now)
            || !self.standing.iter_mut().all(|standing| is_alive(&mut standing.process))
    }

    fn say(&mut self, text: &str) {
        // A log that cannot be written is not worth a mount.
        let _ = writeln!(self.log, "{text}");
    }

    /// Makes the mounts be what the emulation's table says.
    fn follow(&mut self) -> Result<(), NetError> {
        self.ending.retain_mut(is_alive);
        let table = wanted(&self.lab, &self.host)?;
        let now = SystemClock::read_ms();
        self.released.retain(|one| one.until_ms > now && table.contains(&one.wanted));
        while let Some(index) = self.standing.iter_mut().rposition(|standing| {
            !is_alive(&mut standing.process) || !table.contains(&standing.wanted)
        }) {
            let point = self.standing[index].wanted.point.clone();
            // What is mounted below goes first, and comes back if it is wanted.
            let index = self
                .standing
                .iter()
                .rposition(|other| is_within(&other.wanted.point, &point))
                .unwrap_or(index);
            let standing = self.standing.remove(index);
            self.take_away(standing);
        }
        for mount in &table {
            let stands = self.standing.iter().any(|standing| standing.wanted == *mount)
                || self.released.iter().any(|released| released.wanted == *mount);
            if !stands && !root::holds_commands(&mount.point) && self.has_fuse() {
                self.put_up(mount);
            }
        }
        let seen = table.into_iter().map(|mount| (mount.point, mount.at_ms)).collect();
        control::write_seen_to(&self.layout, &self.host, &seen)
    }

    fn has_fuse(&mut self) -> bool {
        let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/fuse") else {
            return true;
        };
        if !self.without {
            self.without = true;
            self.say(&format!(
                "NFS mounts are seen by commands of the emulation alone: /dev/fuse: {error}"
            ));
        }
        false
    }

    fn put_up(&mut self, wanted: &Wanted) {
        let at = self.root.join(wanted.point.trim_start_matches('/'));
        match self.start(wanted, &at) {
            Ok(process) => {
                let wanted = wanted.clone();
                self.standing.push(Standing { wanted, at, process });
            }
            Err(why) => self.say(&format!("{} on {}: {why}", wanted.source(), wanted.point)),
        }
    }

    /// Starts the process of a mount, and waits until the mount stands.
    fn start(&self, wanted: &Wanted, at: &Path) -> Result<Child, String> {
        let text = |error: std::io::Error| error.to_string();
        let address = self
            .addresses
            .get(&wanted.server)
            .map(|address| SocketAddr::new(address, self.port))
            .ok_or_else(|| format!("the address of {} is not known", wanted.server))?;
        // By its own name: by another, it would be a command of AIX.
        let program = root::own_program().map_err(|error| error.to_string())?;
        let mut process = process::command(program)
            .args(["lab", "nfs", "--with-parent"])
            .arg(format!("--server={address}"))
            .arg("--at")
            .arg(at)
            .arg(self.layout.lab())
            .args([&self.host, &wanted.point])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(self.log.try_clone().map_err(text)?)
            .spawn()
            .map_err(text)?;
        let stands = process.stdout.take().is_some_and(|output| {
            let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
            let spoke = poll(&mut fds, PollTimeout::from(STAND_MS)).is_ok_and(|count| count > 0);
            let mut line = String::new();
            spoke && BufReader::new(output).read_line(&mut line).is_ok() && line.trim() == MOUNTED
        });
        if stands {
            return Ok(process);
        }
        // It says why itself, in the log.
        let _ = process.kill();
        let _ = process.wait();
        let _ = unmount(at, MntFlags::MNT_DETACH);
        Err("not mounted".to_owned())
    }

    /// Ends a mount that the table does not have: whoever uses it keeps what it
    /// has open.
    fn take_away(&mut self, standing: Standing) {
        let Standing { mut process, at, .. } = standing;
        if unmount(&at, MntFlags::empty()) == Unmounted::Done {
            return end(&mut process);
        }
        let _ = unmount(&at, MntFlags::MNT_DETACH);
        if is_alive(&mut process) {
            self.ending.push(process);
        }
    }

    /// Ends a mount by order.
    fn unmount(&mut self, point: &str, force: bool) -> Said {
        let found = self.standing.iter().rposition(|standing| standing.wanted.point == point);
        let Some(index) = found else { return Said::Done };
        if !force && unmount(&self.standing[index].at, MntFlags::empty()) == Unmounted::Busy {
            return Said::Busy;
        }
        let Standing { wanted, at, mut process } = self.standing.remove(index);
        if force {
            // Its end lets those go that wait for the server.
            let _ = process.kill();
            let _ = process.wait();
            let _ = unmount(&at, MntFlags::MNT_DETACH);
        } else {
            end(&mut process);
        }
        let until_ms = SystemClock::read_ms() + RELEASED_MS;
        self.released.push(Released { wanted, until_ms });
        Said::Done
    }
}

fn is_alive(process: &mut Child) -> bool {
    matches!(process.try_wait(), Ok(None))
}

/// A mount's process ends by itself when it is unmounted; helped, if it does not.
fn end(process: &mut Child) {
    let (sender, ended) = mpsc::channel::<()>();
    let id = i32::try_from(process.id()).unwrap_or(0);
    let helper = std::thread::spawn(move || {
        if ended.recv_timeout(UNMOUNT).is_err() && id > 0 {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::SIGKILL);
        }
    });
    let _ = process.wait();
    // The helper is gone when it has helped.
    let _ = sender.send(());
    let _ = helper.join();
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unmounted {
    Done,
    /// Somebody uses it, or it takes too long: an outer mount waits.
    Busy,
    /// Nothing is mounted there.
    Absent,
}

fn unmount(at: &Path, flags: MntFlags) -> Unmounted {
    let (sender, done) = mpsc::channel();
    let path = at.to_owned();
    std::thread::spawn(move || {
        // Who asked may have given up.
        let _ = sender.send(umount2(&path, flags | MntFlags::UMOUNT_NOFOLLOW));
    });
    match done.recv_timeout(UNMOUNT) {
        Ok(Ok(())) => Unmounted::Done,
        Ok(Err(Errno::EINVAL | Errno::ENOENT)) => Unmounted::Absent,
        Ok(Err(_)) | Err(_) => Unmounted::Busy,
    }
}

/// Mounts of ours below `root`, the last first.
fn mounted_below(root: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<PathBuf> = table.lines().filter_map(mount_point).collect();
    found.retain(|point| point.starts_with(root));
    found.reverse();
    found
}

/// The mount point of a line of `mountinfo` that is about one of ours.
fn mount_point(line: &str) -> Option<PathBuf> {
    let (before, after) = line.split_once(" - ")?;
    if after.split(' ').next() != Some(FS_TYPE) {
        return None;
    }
    let mut path = before.split(' ').nth(4)?.to_owned();
    for (code, c) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        path = path.replace(code, c);
    }
    Some(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_mounts_are_found_in_the_kernels_table() {
        let ours = "91 27 0:52 / /mnt/a\\040b rw,nosuid - fuse.aixnfs lpar01:/home rw,user_id=0";
        assert_eq!(mount_point(ours), Some(PathBuf::from("/mnt/a b")));
        assert_eq!(mount_point("27 1 8:1 / / rw - ext4 /dev/vda rw"), None);
    }
}
