//! Real hosts, as a plan names them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::SystemClock;
use crate::domain::{Reach, RealHosts, Via};
use crate::transport::{Bounds, HostId, Hosts, Route, RouteWay, SshSettings, SshTarget};

use super::error::CliError;
use super::out::Out;

/// The hosts of an engine, and how they are reached.
pub(super) struct Known {
    hosts: Arc<Hosts>,
    real: Mutex<RealHosts>,
}

impl Known {
    pub(super) fn new(hosts: Arc<Hosts>, real: RealHosts) -> Known {
        Known { hosts, real: Mutex::new(real) }
    }

    /// Whether the master is this machine: the only host that is reached so.
    pub(super) fn master_is_here(&self) -> bool {
        let real = self.real.lock().unwrap_or_else(PoisonError::into_inner);
        real.hosts.values().any(|host| host.via == Via::Here)
    }

    /// Learns how a plan that joins reaches the hosts that are new, and `clients`,
    /// for which nothing runs. Or why that does not fit what is known.
    pub(super) fn learn(&self, asked: &RealHosts, clients: &[&str]) -> Result<(), String> {
        let mut real = self.real.lock().unwrap_or_else(PoisonError::into_inner);
        let without_hosts = |real: &RealHosts| RealHosts { hosts: BTreeMap::new(), ..real.clone() };
        if without_hosts(asked) != without_hosts(&real) {
            return Err(
                "[estate] reaches hosts differently from the running engine: wait until it ends"
                    .to_owned(),
            );
        }
        let is_new = |name: &str, reach: &Reach| real.hosts.get(name) != Some(reach);
        let new = asked.hosts.iter().filter(|(name, reach)| is_new(name, reach));
        let mut routes = Vec::new();
        for (name, reach) in new {
            if clients.contains(&name.as_str()) || !real.hosts.contains_key(name) {
                let route =
                    route(asked, name, reach).map_err(|error| error.message().to_owned())?;
                routes.push((name.clone(), reach.clone(), route));
            } else if reach.via != Via::Master {
                return Err(format!(
                    "{name} is reached differently by the running engine: wait until it ends"
                ));
            }
        }
        for (name, reach, route) in routes {
            self.hosts.learn(&HostId::new(&name), route);
            real.hosts.insert(name, reach);
        }
        Ok(())
    }
}

fn route(real: &RealHosts, name: &str, reach: &Reach) -> Result<Route, CliError> {
    let way = way(real, name, reach)?;
    Ok(Route { way, shell: real.shell.clone(), job_dir: real.job_dir.clone() })
}

/// The hosts of a plan.
pub(super) fn hosts(real: Option<&RealHosts>) -> Result<Hosts, CliError> {
    let Some(real) = real else {
        return Err(CliError::internal("the journal does not say how these hosts are reached"));
    };
    let ssh = SshSettings {
        config: real.ssh_config.as_ref().map(PathBuf::from),
        control_dir: control_dir(),
        connect_timeout: Duration::from_millis(real.connect_timeout_ms),
        ..SshSettings::default()
    };
    if ssh.control_dir.is_none() && real.hosts.values().any(|host| host.via == Via::Ssh) {
        Out::note(
            "ssh connections are not shared, unless your ssh configuration does that: there is no \
             private directory for sockets (XDG_RUNTIME_DIR, HOME)",
        );
    }
    let mut routes = BTreeMap::new();
    for (name, reach) in &real.hosts {
        routes.insert(HostId::new(name), route(real, name, reach)?);
    }
    let sessions = usize::try_from(real.sessions).unwrap_or(1);
    let bounds = Bounds { per_host: sessions, ..Bounds::default() };
    Ok(Hosts::new(routes, ssh, bounds, Arc::new(SystemClock)))
}

fn way(real: &RealHosts, name: &str, reach: &Reach) -> Result<RouteWay, CliError> {
    let address = reach.address.clone().unwrap_or_else(|| name.to_owned());
    Ok(match reach.via {
        Via::Here => RouteWay::Local,
        Via::Ssh => RouteWay::Ssh(SshTarget {
            address,
            user: reach.user.clone(),
            port: reach.port,
            jump: reach.jump.clone(),
            sudo: reach.sudo,
        }),
        Via::Master => {
            let Some(master) = &reach.master else {
                return Err(CliError::internal(format!("{name} is reached by no master")));
            };
            RouteWay::Relay {
                through: HostId::new(master),
                program: vec![real.remote_shell.clone()],
                name: address,
            }
        }
    })
}

/// Where sockets of shared connections are put: short paths, this user's alone.
fn control_dir() -> Option<PathBuf> {
    let of = |name: &str, below: &str| {
        let dir = PathBuf::from(std::env::var_os(name)?);
        dir.is_absolute().then(|| dir.join(below)).and_then(|dir| SshSettings::control_dir(&dir))
    };
    of("XDG_RUNTIME_DIR", "nimshift-ssh").or_else(|| of("HOME", ".ssh/nimshift"))
}
