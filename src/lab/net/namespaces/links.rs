//! The network's cables, by the programs `ip`, `tc` and `nft`.

use std::fmt::Write as _;
use std::path::PathBuf;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::address::{Address, BRIDGE, BRIDGE_ADDRESS, BRIDGE_MAC};
use crate::base::Millis;
use crate::lab::net::layout::NetError;
use crate::lab::net::process;

/// What the kernel can do to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::lab::net) enum Shaping {
    /// Hold back and lose: `tc netem`.
    Netem,
    /// Lose: `nft`.
    Nft,
    /// Nothing.
    None,
}

/// What is done to a host's packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// What each is held back, in each direction.
    pub delay_ms: Millis,
    /// How many of a hundred are lost, in each direction.
    pub loss_percent: u8,
}

/// `ip`, which stands in the administrator's directories.
pub(super) fn ip() -> Result<PathBuf, NetError> {
    process::program("ip", "iproute2")
}

/// Runs lines of `ip`.
pub(super) fn batch(lines: &str) -> Result<(), NetError> {
    process::feed(&ip()?, &["-batch", "-"], lines).map(drop)
}

/// Makes this process's network the control network: a bridge. Neighbours are
/// known for good, so that a host that is not there is silent, as behind a
/// router, and none that nobody knows.
pub(super) fn make_control(hosts: &[Address]) -> Result<(), NetError> {
    // A network without it is as good.
    for name in ["all", "default"] {
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
    }
    let mut lines = format!(
        "link set lo up\n\
         link add {BRIDGE} address {BRIDGE_MAC} type bridge forward_delay 0 mcast_snooping 0\n\
         addr add {BRIDGE_ADDRESS} dev {BRIDGE}\n\
         link set {BRIDGE} up\n"
    );
    for host in hosts {
        let (ip, mac) = (host.ip(), host.mac());
        let _ = writeln!(lines, "neigh add {ip} lladdr {mac} dev {BRIDGE} nud permanent");
    }
    batch(&lines)
}

/// The lines that lay a cable between the bridge and the network of a process.
pub(super) fn cable(host: Address, init: Pid, up: bool) -> String {
    let (port, mac) = (host.port(), host.mac());
    let state = if up { "up" } else { "down" };
    format!(
        "link add {port} type veth peer name eth0 address {mac} netns {init}\n\
         link set {port} master {BRIDGE} {state}\n"
    )
}

/// The lines of the host's end.
pub(super) fn host_end(host: Address) -> String {
    format!("link set lo up\naddr add {host}/16 dev eth0\nlink set eth0 up\n")
}

/// Takes the cable away. One that is gone is what was wanted.
pub(super) fn uncable(host: Address, shaping: Shaping) {
    if shaping == Shaping::Nft {
        let _ = lose_by_nft(host, 0);
    }
    let _ = batch(&format!("link del {}\n", host.port()));
}

/// Lets pass, or lets nothing pass.
pub(super) fn set_up(host: Address, up: bool) -> Result<(), NetError> {
    batch(&format!("link set {} {}\n", host.port(), if up { "up" } else { "down" }))
}

/// What can be done to packets here: tried on an interface of this network.
pub(super) fn find_shaping() -> Shaping {
    let netem = process::program("tc", "iproute2").and_then(|tc| {
        let add = ["qdisc", "add", "dev", BRIDGE, "root", "netem", "delay", "1ms"];
        process::run(&tc, &add)?;
        process::run(&tc, &["qdisc", "del", "dev", BRIDGE, "root"])
    });
    if netem.is_ok() {
        return Shaping::Netem;
    }
    let nft = process::program("nft", "nftables").and_then(|nft| {
        process::feed(&nft, &["-f", "-"], &nft_lines("lab_try", BRIDGE, 1))?;
        process::run(&nft, &["delete", "table", "netdev", "lab_try"])
    });
    if nft.is_ok() { Shaping::Nft } else { Shaping::None }
}

/// Does something to the packets of a host. `init`: its process 1.
pub(super) fn shape(
    host: Address,
    init: Pid,
    shaping: Shaping,
    shape: Shape,
) -> Result<(), NetError> {
    match shaping {
        Shaping::Netem => {
            let tc = process::program("tc", "iproute2")?;
            let port = host.port();
            netem(&tc, &port, shape)?;
            super::join::in_network_of(init, move || netem(&tc, "eth0", shape))?
        }
        Shaping::Nft => lose_by_nft(host, shape.loss_percent),
        Shaping::None => Ok(()),
    }
}

fn netem(tc: &std::path::Path, device: &str, shape: Shape) -> Result<(), NetError> {
    if shape == Shape::default() {
        // Where there is none, there is nothing to be undone.
        let _ = process::run(tc, &["qdisc", "del", "dev", device, "root"]);
        return Ok(());
    }
    let (delay, loss) = (format!("{}ms", shape.delay_ms), format!("{}%", shape.loss_percent));
    let args = ["qdisc", "replace", "dev", device, "root", "netem", "delay", &delay, "loss", &loss];
    process::run(tc, &args).map(drop)
}

fn nft_lines(table: &str, device: &str, percent: u8) -> String {
    // All of them are not a share that `numgen` knows.
    let losing = match percent {
        100.. => String::new(),
        _ => format!("numgen random mod 100 < {percent}"),
    };
    let chain = |name: &str, hook: &str| {
        format!(
            "  chain {name} {{\n    type filter hook {hook} device \"{device}\" priority 0\n    \
             {losing} drop\n  }}\n"
        )
    };
    format!("table netdev {table} {{\n{}{}}}\n", chain("from", "ingress"), chain("to", "egress"))
}

fn lose_by_nft(host: Address, percent: u8) -> Result<(), NetError> {
    let nft = process::program("nft", "nftables")?;
    let table = format!("lab_{}", host.port());
    let _ = process::run(&nft, &["delete", "table", "netdev", &table]);
    if percent == 0 {
        return Ok(());
    }
    process::feed(&nft, &["-f", "-"], &nft_lines(&table, &host.port(), percent)).map(drop)
}
