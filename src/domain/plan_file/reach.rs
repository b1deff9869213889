//! How the hosts of a plan are reached.

use std::collections::BTreeMap;

use super::default;
use super::file::{EstateTable, PlanFile, ReachTable};
use super::reader::{At, Reader};
use super::words::{DurationText, HostPath, Raw};
use crate::domain::name::HostName;
use crate::domain::plan::Estate;
use crate::domain::reach::{Reach, RealHosts, Via};
use crate::domain::spec::EstateKind;

/// Keys of `[estate]` that only real hosts have.
const REAL: [&str; 12] = [
    "via",
    "user",
    "port",
    "jump",
    "sudo",
    "ssh_config",
    "connect_timeout",
    "sessions",
    "job_dir",
    "shell",
    "remote_shell",
    "native_unverified",
];

/// The word that stands for the NIM master as a host to go through.
const MASTER: &str = "master";

impl Reader<'_, '_> {
    /// `[estate]`, and what hosts say of how they are reached.
    pub(super) fn estate(&mut self, file: &PlanFile, master: Option<&HostName>) -> Option<Estate> {
        let table = file.estate.as_ref()?;
        let path = self.maybe(table.file.as_ref(), At::Key("estate", "file"));
        let kind = table.kind?;
        let real = match kind {
            EstateKind::Lab => {
                self.no_real_keys(file);
                None
            }
            EstateKind::Ssh | EstateKind::Local => {
                if table.file.is_some() {
                    let what = " describes a lab, and these hosts are real";
                    self.wrong(
                        At::Key("estate", "file"),
                        what,
                        "remove it, or set `kind = \"lab\"`",
                    );
                }
                Some(self.real(file, table, kind, master)?)
            }
        };
        Some(Estate { kind, file: path?.map(|path| path.0), real })
    }

    fn no_real_keys(&mut self, file: &PlanFile) {
        let help = "remove it, or set `kind = \"ssh\"` or `kind = \"local\"`";
        let what = " is for real hosts, and this is a lab";
        for key in REAL {
            if self.table_sets("estate", key) {
                self.wrong(At::Key("estate", key), what, help);
            }
        }
        if file.master.as_ref().is_some_and(|master| master.reach.is_some()) {
            self.wrong(At::Key("master", "reach"), what, help);
        }
        for (index, client) in file.client.iter().flatten().enumerate() {
            if client.reach.is_some() {
                self.wrong(At::Own(index, "reach"), what, help);
            }
        }
    }

    fn real(
        &mut self,
        file: &PlanFile,
        table: &EstateTable,
        kind: EstateKind,
        master: Option<&HostName>,
    ) -> Option<RealHosts> {
        let shared = ReachTable {
            via: table.via,
            port: table.port,
            sudo: table.sudo,
            ..ReachTable::default()
        };
        let user = self.maybe(table.user.as_ref(), At::Key("estate", "user"));
        let jump = self.maybe(table.jump.as_ref(), At::Key("estate", "jump"));
        let config = self.maybe(table.ssh_config.as_ref(), At::Key("estate", "ssh_config"));
        let timeout: Option<Option<DurationText>> =
            self.maybe(table.connect_timeout.as_ref(), At::Key("estate", "connect_timeout"));
        let job_dir = self.host_path(table.job_dir.as_ref(), "job_dir", default::JOB_DIR);
        let shell = self.host_path(table.shell.as_ref(), "shell", default::SHELL);
        let remote_shell =
            self.host_path(table.remote_shell.as_ref(), "remote_shell", default::REMOTE_SHELL);
        let connect_timeout_ms = match timeout? {
            Some(time) => time.ms,
            None => default::CONNECT_TIMEOUT.parse::<DurationText>().ok()?.ms,
        };
        let (user, jump) = (user?.map(|user| user.0), jump?.map(|jump| jump.0));
        let master_reach = self.master_reach(file, kind, user.clone(), &shared)?;
        let mut hosts = BTreeMap::new();
        for (index, client) in file.client.iter().flatten().enumerate() {
            let Some(name) = &client.name else { continue };
            let own = client.reach.as_ref();
            let via = own.and_then(|own| own.via).or(table.via).unwrap_or(match kind {
                EstateKind::Local => Via::Master,
                EstateKind::Lab | EstateKind::Ssh => Via::Ssh,
            });
            let mut reach = match own {
                Some(own) => self.own(own, |key| At::Setting(Some(index), "reach", key))?,
                None => Reach { via, ..nothing() },
            };
            reach.via = via;
            if via == Via::Master {
                self.no_ssh_keys(index, own);
                reach.master = Some(master?.to_string());
            } else {
                reach.user = reach.user.or_else(|| user.clone());
                reach.port = reach.port.or(shared.port);
                reach.jump = reach.jump.or_else(|| jump.clone());
                reach.sudo = own.and_then(|own| own.sudo).or(shared.sudo).unwrap_or(false);
                if reach.jump.as_deref() == Some(MASTER) {
                    reach.jump = self.through_master(index, kind, &master_reach, master?);
                }
            }
            hosts.insert(name.text.clone(), reach);
        }
        hosts.insert(master?.to_string(), master_reach);
        Some(RealHosts {
            ssh_config: config?.map(|path| path.0),
            connect_timeout_ms,
            sessions: table.sessions.unwrap_or(default::SESSIONS),
            job_dir: job_dir?,
            shell: shell?,
            remote_shell: remote_shell?,
            hosts,
        })
    }

    fn host_path(
        &mut self,
        raw: Option<&Raw<HostPath>>,
        key: &'static str,
        default: &str,
    ) -> Option<String> {
        let path = self.maybe(raw, At::Key("estate", key))?;
        Some(path.map_or_else(|| default.to_owned(), |path| path.0))
    }

    fn master_reach(
        &mut self,
        file: &PlanFile,
        kind: EstateKind,
        user: Option<String>,
        shared: &ReachTable,
    ) -> Option<Reach> {
        let at = At::Key("master", "reach");
        let own = file.master.as_ref().and_then(|master| master.reach.as_ref());
        if kind == EstateKind::Local {
            if own.is_some() {
                let help = "remove it, or set `kind = \"ssh\"`";
                self.wrong(at, " has no effect: the master is this machine", help);
            }
            return Some(Reach { via: Via::Here, ..nothing() });
        }
        let Some(own) = own else {
            let sudo = shared.sudo.unwrap_or(false);
            return Some(Reach { user, port: shared.port, sudo, ..nothing() });
        };
        if own.via == Some(Via::Master) || own.jump.as_ref().is_some_and(|jump| jump.text == MASTER)
        {
            self.wrong(at, " goes through the master itself", "reach it by ssh, from this machine");
        }
        let reach = self.own(own, |_| at)?;
        Some(Reach {
            via: Via::Ssh,
            user: reach.user.or(user),
            port: reach.port.or(shared.port),
            sudo: own.sudo.or(shared.sudo).unwrap_or(false),
            ..reach
        })
    }

    /// What a host says of itself.
    fn own(&mut self, table: &ReachTable, at: impl Fn(&'static str) -> At) -> Option<Reach> {
        let address = self.maybe(table.address.as_ref(), at("address"));
        let user = self.maybe(table.user.as_ref(), at("user"));
        let jump = self.maybe(table.jump.as_ref(), at("jump"));
        Some(Reach {
            address: address?.map(|address| address.0),
            user: user?.map(|user| user.0),
            port: table.port,
            jump: jump?.map(|jump| jump.0),
            ..nothing()
        })
    }

    /// The master's remote shell is told a name and nothing else.
    fn no_ssh_keys(&mut self, index: usize, own: Option<&ReachTable>) {
        let Some(own) = own else { return };
        let set = [
            ("user", own.user.is_some()),
            ("port", own.port.is_some()),
            ("jump", own.jump.is_some()),
            ("sudo", own.sudo.is_some()),
        ];
        for (key, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
            let what = " is for ssh, and the client is reached by the master's remote shell";
            let help = "remove it, or set `via = \"ssh\"`";
            self.wrong(At::Setting(Some(index), "reach", key), what, help);
        }
    }

    fn through_master(
        &mut self,
        index: usize,
        kind: EstateKind,
        reach: &Reach,
        name: &HostName,
    ) -> Option<String> {
        if kind == EstateKind::Local {
            let what = ": the master is this machine";
            let at = if self.table_sets("estate", "jump") {
                At::Key("estate", "jump")
            } else {
                At::Setting(Some(index), "reach", "jump")
            };
            self.wrong(at, what, "remove it: this machine is there already");
            return None;
        }
        let address = reach.address.clone().unwrap_or_else(|| name.to_string());
        let address = if address.contains(':') { format!("[{address}]") } else { address };
        let user = reach.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = reach.port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{user}{address}{port}"))
    }
}

fn nothing() -> Reach {
    Reach {
        via: Via::Ssh,
        address: None,
        user: None,
        port: None,
        master: None,
        jump: None,
        sudo: false,
    }
}
