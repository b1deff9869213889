//! Hosts are made reachable, and are no longer.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};

use super::layout::{Layout, NetError, Record, Way, io, make_dir};
use super::link::Link;
use super::{enter, here, keys, namespaces, nfs, process, root};
use crate::base::SystemClock;
use crate::lab::handle::Lab;

/// The way that this machine allows: hosts as namespaces, or else the other one
/// and why.
pub fn choose() -> (Way, Option<NetError>) {
    match namespaces::check() {
        Ok(()) => (Way::Namespaces, None),
        Err(why) => (Way::Proxy, Some(why)),
    }
}

/// Whether this machine has what is needed for hosts in that way.
pub fn check(way: Way) -> Result<(), NetError> {
    process::program("ssh", "openssh-client")?;
    root::sshd()?;
    root::shell()?;
    match way {
        Way::Proxy => enter::check_namespaces(),
        Way::Namespaces => namespaces::check(),
    }
}

/// Makes the hosts of the lab in `dir` reachable by ssh. Gives the configuration
/// for `ssh -F`.
pub fn up(lab: &Lab, dir: &Path, way: Way) -> Result<PathBuf, NetError> {
    let dir = fs::canonicalize(dir).map_err(io(dir))?;
    let layout = Layout::new(&dir);
    let _turn = take_turn(&dir)?;
    if layout.file("estate.json").is_file() {
        return Err(NetError::IsUp(dir));
    }
    check(way)?;
    // What an earlier attempt has left half made.
    remove(&layout)?;
    make_dir(&layout.top())?;
    let made = make(lab, &layout, way);
    if made.is_err() && way == Way::Namespaces {
        remove(&layout)?;
    }
    made.map(|()| layout.file("config"))
}

fn make(lab: &Lab, layout: &Layout, way: Way) -> Result<(), NetError> {
    let program = root::own_program()?;
    root::make_farm(layout, &program, &Lab::command_names(), &root::shell()?)?;
    let record = Record { format: 1, way, hosts: lab.hosts()? };
    for host in &record.hosts {
        root::make(layout, &record, host, (geteuid().as_raw(), getegid().as_raw()))?;
    }
    for (host, dirs) in lab.directories()? {
        root::follow(layout, &host, dirs);
    }
    keys::make(layout, &record)?;
    keys::write_config(layout, &record, &program)?;
    match way {
        Way::Proxy => layout.write_record(&record),
        // The keeper writes the record: what it writes is true.
        Way::Namespaces => namespaces::bring_up(layout, record.hosts.len()),
    }
}

/// One after the other makes and ends the hosts of a lab. Held until dropped.
fn take_turn(dir: &Path) -> Result<File, NetError> {
    let path = dir.join("ssh.lock");
    let file = File::create(&path).map_err(io(&path))?;
    file.lock().map_err(io(&path))?;
    Ok(file)
}

/// Ends all that belongs to hosts of the lab, and removes what was made for
/// them, also where making it was cut short. The estate stays.
pub fn down(dir: &Path) -> Result<(), NetError> {
    let dir = fs::canonicalize(dir).map_err(io(dir))?;
    let _turn = take_turn(&dir)?;
    remove(&Layout::new(&dir))
}

fn remove(layout: &Layout) -> Result<(), NetError> {
    let top = layout.top();
    if !top.exists() {
        return Ok(());
    }
    close_masters(layout);
    process::end_lab(layout.lab())?;
    fs::remove_dir_all(&top).map_err(io(&top))
}

/// Asks shared connections to end.
fn close_masters(layout: &Layout) {
    let Ok(ssh) = process::program("ssh", "openssh-client") else { return };
    for socket in fs::read_dir(layout.file("cm")).into_iter().flatten().flatten() {
        let path = socket.path().display().to_string();
        // One that is gone has left its socket behind.
        let _ = process::run(&ssh, &["-O", "exit", "-o", &format!("ControlPath={path}"), "host"]);
    }
}

/// Makes empty directories where the emulation has made some since, and lets the
/// kernel's NFS mounts be as the emulation's.
pub fn follow(lab: &Lab, dir: &Path) -> Result<(), NetError> {
    let layout = Layout::new(dir);
    if layout.file("estate.json").is_file() {
        for (host, dirs) in lab.directories()? {
            root::follow(&layout, &host, dirs);
        }
    }
    nfs::follow(lab, &layout)?;
    Ok(())
}

/// Ends a host whose emulation went down: its connections and processes. As a
/// namespace it is the keeper's to end, which is waited for.
pub fn stop_host(lab: &Lab, dir: &Path, host: &str) -> Result<(), NetError> {
    let layout = Layout::new(dir);
    if layout.record()?.way == Way::Namespaces {
        let booted = lab.powered()?.into_iter().find(|(name, _)| name == host);
        let booted = booted.and_then(|(_, boot_ms)| boot_ms);
        namespaces::wait_for_end(&layout, host, booted);
        return Ok(());
    }
    // Connections are ended by those who serve them.
    let now = SystemClock::read_ms() + 1;
    Link::change(dir, host, |link| link.closed_at_ms = now)?;
    // As sshd puts it into the environment of each session. Within a host, the
    // machine's files have a prefix.
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let dir = dir.strip_prefix(here::BASE).map_or(dir.clone(), |rest| Path::new("/").join(rest));
    process::end_part(&dir, host)
}
