//! What goes wrong at once, whatever command runs: trouble of a host's network
//! and of the host itself. [`super::FaultKind`] is what goes wrong with commands.

use super::handle::{Lab, LabError};
use super::power;
use super::world::Power;
use crate::base::Millis;

/// A trouble of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// Nothing passes between the host and all others.
    LinkCut,
    /// What passes is held back.
    LinkDelay,
    /// A share of the packets is lost.
    LinkLoss,
    /// `sshd` and its sessions end; nobody listens.
    SshdKill,
    /// The host loses its power and boots.
    HostReboot,
    /// The real directories of the host are full.
    DiskFill,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Trouble; 6] = [
        Trouble::LinkCut,
        Trouble::LinkDelay,
        Trouble::LinkLoss,
        Trouble::SshdKill,
        Trouble::HostReboot,
        Trouble::DiskFill,
    ];

    /// The trouble's name.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::LinkCut => "link-cut",
            Trouble::LinkDelay => "link-delay",
            Trouble::LinkLoss => "link-loss",
            Trouble::SshdKill => "sshd-kill",
            Trouble::HostReboot => "host-reboot",
            Trouble::DiskFill => "disk-fill",
        }
    }

    /// Whether a lab that is not reached by ssh knows it.
    pub fn is_of_the_world(self) -> bool {
        matches!(self, Trouble::LinkCut | Trouble::HostReboot)
    }
}

/// A trouble, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How long it lasts, by the machine's clock.
    pub for_ms: Millis,
    /// What each piece of data is held back, for `link-delay`.
    pub delay_ms: Millis,
    /// The share of packets that is lost, for `link-loss`.
    pub loss_percent: u8,
}

impl Lab {
    /// The network does not reach the host for so many milliseconds of the
    /// machine's clock, by which connections live; 0 ends what there is.
    pub fn cut(&self, host: &str, real_ms: Millis) -> Result<(), LabError> {
        let ms = self.clock().spans(std::time::Duration::from_millis(real_ms));
        self.with(|world, now, _| {
            if world.find(host).is_none() {
                return Err(LabError::UnknownHost(host.to_owned()));
            }
            world.at_mut(host).cut_until_ms = now.saturating_add(ms);
            Ok(())
        })?
    }

    /// All hosts; for each that is up, when it was booted, by the lab's clock.
    pub fn powered(&self) -> Result<Vec<(String, Option<Millis>)>, LabError> {
        self.with(|world, _, _| {
            let booted =
                |host: &super::world::Host| (host.power == Power::Up).then_some(host.boot_ms);
            world.hosts.values().map(|host| (host.name.clone(), booted(host))).collect()
        })
    }

    /// Takes the host down; it boots by itself. One that is down stays so.
    pub fn reboot(&self, host: &str) -> Result<(), LabError> {
        self.with(|world, now, _| match world.find(host).map(|host| &host.power) {
            None => Err(LabError::UnknownHost(host.to_owned())),
            Some(Power::Up) => {
                power::reboot(world, host, now);
                Ok(())
            }
            Some(_) => Ok(()),
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let faults = crate::lab::FaultKind::ALL.map(crate::lab::FaultKind::name);
        for trouble in Trouble::ALL {
            assert!(!faults.contains(&trouble.name()), "{}", trouble.name());
        }
    }
}
