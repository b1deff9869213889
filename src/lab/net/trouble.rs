//! Trouble of hosts that are reached by ssh.

use std::fs;
use std::path::Path;

use super::layout::{Layout, NetError, Way};
use super::link::Link;
use super::up::stop_host;
use crate::base::SystemClock;
use crate::lab::handle::Lab;
use crate::lab::trouble::{Extent, Trouble};

/// How the lab in `dir` is reached by ssh, if it is.
pub fn way(dir: &Path) -> Result<Option<Way>, NetError> {
    match Layout::new(dir).record() {
        Ok(record) => Ok(Some(record.way)),
        Err(NetError::NotUp(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes trouble for a host of the lab in `dir`, in its world and, where it is
/// reached by ssh, in its network.
pub fn make_trouble(
    lab: &Lab,
    dir: &Path,
    trouble: Trouble,
    host: &str,
    extent: &Extent,
) -> Result<(), NetError> {
    let way = way(dir)?;
    match way {
        Some(way) => Link::can(&Layout::new(dir), way, trouble)?,
        None if trouble.is_of_the_world() => {}
        None => return Err(NetError::NotUp(dir.to_owned())),
    }
    let until = SystemClock::read_ms().saturating_add(extent.for_ms);
    let change = |change: &dyn Fn(&mut Link)| match way {
        Some(way) => {
            Link::change(dir, host, change)?;
            if way == Way::Namespaces {
                Link::wait_until_seen(&Layout::new(dir), host)?;
            }
            Ok(())
        }
        None => Ok(()),
    };
    match trouble {
        Trouble::LinkCut => {
            lab.cut(host, extent.for_ms)?;
            change(&|link| link.silent_until_ms = until)
        }
        Trouble::LinkDelay => change(&|link| link.delay_ms = extent.delay_ms),
        Trouble::LinkLoss => change(&|link| link.loss_percent = extent.loss_percent),
        Trouble::SshdKill => change(&|link| {
            link.refused_until_ms = until;
            link.closed_at_ms = SystemClock::read_ms() + 1;
        }),
        Trouble::HostReboot => {
            lab.reboot(host)?;
            way.map_or(Ok(()), |_| stop_host(lab, dir, host))
        }
        Trouble::DiskFill => change(&|link| link.full_until_ms = until),
    }
}

/// Ends all trouble that lasts.
pub fn end_trouble(lab: &Lab, dir: &Path) -> Result<(), NetError> {
    let is_up = way(dir)?.is_some();
    for host in lab.hosts()? {
        lab.cut(&host, 0)?;
        let file = Layout::new(dir).home(&host).join("link");
        if is_up && fs::exists(&file).unwrap_or(false) {
            Link::change(dir, &host, |link| *link = Link::default())?;
        }
    }
    Ok(())
}
