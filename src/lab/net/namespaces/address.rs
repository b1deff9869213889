//! Where a host is in the lab's network.

use std::fmt;
use std::net::Ipv4Addr;

/// The first host's number; those below are the keeper's.
const FIRST: u16 = 10;

/// More ports a bridge of Linux does not have (1,024), with some left over.
pub(in crate::lab::net) const HOSTS_MAX: usize = 1_000;

/// The bridge: where `wire` makes its connections.
pub(super) const BRIDGE: &str = "br0";

/// The bridge's own address, and the network's width.
pub(super) const BRIDGE_ADDRESS: &str = "10.83.0.1/16";

/// The bridge's own hardware address.
pub(super) const BRIDGE_MAC: &str = "02:4e:53:ff:ff:01";

/// A host's place in the network: the same whenever it boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lab::net) struct Address(u16);

impl Address {
    /// Of the host at that place among all hosts of the lab.
    pub(in crate::lab::net) fn of(index: usize) -> Option<Address> {
        let number = u16::try_from(index).ok()?;
        (index < HOSTS_MAX).then(|| Address(FIRST + number))
    }

    /// The host's number in the network.
    pub(in crate::lab::net) fn number(self) -> u16 {
        self.0
    }

    /// From its number.
    pub(in crate::lab::net) fn numbered(number: u16) -> Address {
        Address(number)
    }

    /// The address of its one interface.
    pub(in crate::lab::net) fn ip(self) -> Ipv4Addr {
        let [high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(10, 83, high, low)
    }

    /// The hardware address: fixed, or neighbours would look for a host that has
    /// booted where it is no longer.
    pub(in crate::lab::net) fn mac(self) -> String {
        let [high, low] = self.0.to_be_bytes();
        format!("02:4e:53:00:{high:02x}:{low:02x}")
    }

    /// The keeper's end of its cable.
    pub(in crate::lab::net) fn port(self) -> String {
        format!("h{}", self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_addresses_of_their_own() {
        let last = Address::of(HOSTS_MAX - 1).unwrap();
        assert_eq!(Address::of(0).unwrap().to_string(), "10.83.0.10");
        assert_eq!(Address::of(250).unwrap().to_string(), "10.83.1.4");
        assert_eq!((last.mac().as_str(), last.port().as_str()), ("02:4e:53:00:03:f1", "h1009"));
        assert_eq!(Address::of(HOSTS_MAX), None, "a bridge has no port for it");
    }
}
