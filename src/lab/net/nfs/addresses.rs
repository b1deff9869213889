//! Where the hosts of a lab are.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// Addresses of hosts, as in `/etc/hosts`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses(BTreeMap<String, IpAddr>);

impl Addresses {
    /// Reads a file of lines `ADDRESS NAME…`; other lines are left out. Of a name
    /// that stands twice, the last counts.
    pub fn read(path: &Path) -> io::Result<Addresses> {
        Ok(Addresses::of(&std::fs::read_to_string(path)?))
    }

    fn of(text: &str) -> Addresses {
        let mut found = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            found.extend(words.map(|name| (name.to_owned(), address)));
        }
        Addresses(found)
    }

    /// The host's address.
    pub(super) fn get(&self, host: &str) -> Option<IpAddr> {
        self.0.get(host).copied()
    }

    /// Whether what comes from there comes from the host.
    pub(super) fn admit(&self, from: IpAddr, host: &str) -> bool {
        self.get(host) == Some(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_etc_hosts_has_them() {
        let read = Addresses::of("127.0.0.1 localhost\n10.83.0.10\tnim1 m # master\n\nx y\n");
        let nim1 = "10.83.0.10".parse().unwrap();
        assert_eq!(
            (read.get("nim1"), read.get("m"), read.get("y")),
            (Some(nim1), Some(nim1), None)
        );
        assert!(read.admit(nim1, "nim1"));
        assert!(!read.admit(nim1, "localhost") && !read.admit(nim1, "lpar01"));
    }
}
