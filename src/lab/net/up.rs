//! Hosts are made reachable, and are no longer.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};

use super::layout::{Layout, NetError, Record, Way, io, make_dir};
use super::link::Link;
use super::{enter, here, keys, nfs, process, root};
use crate::base::SystemClock;
use crate::lab::handle::Lab;

/// Makes the hosts of the lab in `dir` reachable by ssh. Gives the configuration
/// for `ssh -F`.
pub fn up(lab: &Lab, dir: &Path, way: Way) -> Result<PathBuf, NetError> {
    let dir = fs::canonicalize(dir).map_err(io(dir))?;
    let layout = Layout::new(&dir);
    if layout.file("estate.json").is_file() {
        return Err(NetError::IsUp(dir));
    }
    process::program("ssh", "openssh-client")?;
    root::sshd()?;
    let shell = root::shell()?;
    enter::check_namespaces()?;
    // What an earlier attempt has left half made.
    let top = layout.top();
    if top.exists() {
        fs::remove_dir_all(&top).map_err(io(&top))?;
    }
    make_dir(&top)?;
    let program = root::own_program()?;
    root::make_farm(&layout, &program, &Lab::command_names(), &shell)?;
    let record = Record { format: 1, way, hosts: lab.hosts()? };
    for host in &record.hosts {
        root::make(&layout, host, (geteuid().as_raw(), getegid().as_raw()))?;
    }
    for (host, dirs) in lab.directories()? {
        root::follow(&layout, &host, dirs);
    }
    keys::make(&layout, &record)?;
    keys::write_config(&layout, &record, &program)?;
    layout.write_record(&record)?;
    Ok(layout.file("config"))
}

/// Ends all that belongs to hosts of the lab, and removes what was made for
/// them, also where making it was cut short. The estate stays.
pub fn down(dir: &Path) -> Result<(), NetError> {
    let dir = fs::canonicalize(dir).map_err(io(dir))?;
    let layout = Layout::new(&dir);
    close_masters(&layout);
    for host in fs::read_dir(layout.file("hosts")).into_iter().flatten().flatten() {
        kill_host(&dir, &host.file_name().to_string_lossy());
    }
    let top = layout.top();
    if top.exists() {
        fs::remove_dir_all(&top).map_err(io(&top))?;
    }
    Ok(())
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

/// Ends a host whose emulation went down: its connections and processes.
pub fn stop_host(dir: &Path, host: &str) -> Result<(), NetError> {
    // Connections are ended by those who serve them.
    let now = SystemClock::read_ms() + 1;
    Link::change(dir, host, |link| link.closed_at_ms = now)?;
    kill_host(dir, host);
    Ok(())
}

fn kill_host(dir: &Path, host: &str) {
    // As sshd puts it into the environment of each session. Within a host, the
    // machine's files have a prefix.
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let dir = dir.strip_prefix(here::BASE).map_or(dir.clone(), |rest| Path::new("/").join(rest));
    process::kill_all("NIMSHIFT_LAB_MARK", &format!("{}:{host}", dir.display()));
}
