//! The text of the plan: its head from what is given, its clients from what was
//! found, and what is still to be filled in.

use std::fmt::Write as _;

use super::found::{Found, Unmapped};
use crate::base::sanitize_line;
use crate::domain::{BatchName, DiskName, EstateKind, HostName, Level, NimName};

/// What marks a line that a person has to complete.
pub const FILL_IN: &str = "FILL IN";

/// What the person who imports has said already.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The name of the batch.
    pub name: Option<BatchName>,
    /// What kind of hosts they are; those of the lab where it is not said.
    pub kind: Option<EstateKind>,
    pub master: Option<HostName>,
    /// The SPOT of all clients.
    pub spot: Option<NimName>,
    /// The lpp_source of all clients.
    pub lpp_source: Option<NimName>,
    /// The level of all clients.
    pub level: Option<Level>,
    /// The target disks of clients that name none.
    pub disks: Vec<DiskName>,
    /// Whether the software licences are accepted.
    pub accept_licenses: bool,
}

impl Head {
    /// The kind of hosts, as a plan writes it.
    pub(super) fn kind(&self) -> &'static str {
        match self.kind {
            None | Some(EstateKind::Lab) => "lab",
            Some(EstateKind::Ssh) => "ssh",
            Some(EstateKind::Local) => "local",
        }
    }

    /// Whether a plan says how its hosts are reached.
    pub(super) fn has_addresses(&self) -> bool {
        self.kind() != "lab"
    }
}

/// A client as it is written.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) remarks: Vec<String>,
    /// Key, its value in TOML, and the line that it comes from.
    pub(super) rows: Vec<(String, String, usize)>,
}

impl Client {
    pub(super) fn sets(&self, key: &str) -> bool {
        self.rows.iter().any(|(own, _, _)| own == key)
    }

    /// Whether it needs target disks and names none.
    pub(super) fn lacks_disks(&self) -> bool {
        !self.sets("disks") && !self.sets("output")
    }
}

/// The whole text.
pub(super) fn text(made_from: &str, head: &Head, found: &Found, clients: &mut [Client]) -> String {
    let shared = ["spot", "lpp_source", "level"].map(|key| {
        let given = match key {
            "spot" => head.spot.as_ref().map(NimName::as_str),
            "lpp_source" => head.lpp_source.as_ref().map(NimName::as_str),
            _ => head.level.as_ref().map(Level::as_str),
        };
        (key, given.map(quoted).or_else(|| lift(clients, key)))
    });
    let mut text = String::new();
    let count = clients.len();
    let noun = if count == 1 { "client" } else { "clients" };
    comment(&mut text, &format!("Made by `nimshift import` from {made_from}: {count} {noun}."));
    let at = text.len();
    for note in &found.notes {
        comment(&mut text, note);
    }
    if !found.unmapped.is_empty() {
        comment(&mut text, "Not taken over:");
        for (name, Unmapped { hosts, line, why }) in &found.unmapped {
            let hosts = if *hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
            comment(&mut text, &format!("  {name} ({hosts}, first in line {line}): {why}"));
        }
    }
    let row = |key: &str, value: Option<String>, about: &str| match value {
        Some(value) => format!("{key} = {value}\n"),
        None => format!("{key} = \"\" # {FILL_IN}: {about}\n"),
    };
    text.push_str("\n[batch]\n");
    let name = head.name.as_ref().map(|name| quoted(name.as_str()));
    text.push_str(&row("name", name, "the name of the batch"));
    let _ = write!(text, "\n[estate]\nkind = \"{}\"\n\n[master]\n", head.kind());
    let master = head.master.as_ref().map(|name| quoted(name.as_str()));
    text.push_str(&row("name", master, "the host name of the NIM master"));
    text.push_str("\n[target]\n");
    for (key, value) in shared {
        let about = match key {
            "spot" => "the SPOT",
            "lpp_source" => "the lpp_source",
            _ => "the target level, such as 7300-02",
        };
        text.push_str(&row(key, value, about));
    }
    defaults(&mut text, head, clients);
    for client in clients.iter() {
        text.push('\n');
        for remark in &client.remarks {
            comment(&mut text, remark);
        }
        let _ = writeln!(text, "[[client]]\nname = {}", quoted(&client.name));
        for (key, value, _) in &client.rows {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    if text.contains(FILL_IN) {
        let mut line = String::new();
        let what =
            format!("Complete the lines marked {FILL_IN}; `nimshift plan PLAN` names those left.");
        comment(&mut line, &what);
        text.insert_str(at, &line);
    }
    text
}

fn defaults(text: &mut String, head: &Head, clients: &[Client]) {
    let disks: Vec<String> = head.disks.iter().map(|disk| quoted(disk.as_str())).collect();
    let mut rows = String::new();
    if !disks.is_empty() {
        let _ = writeln!(rows, "disks = [{}]", disks.join(", "));
    } else if clients.iter().any(Client::lacks_disks) {
        let about = "free disks of clients that name none, such as [\"hdisk1\"]";
        let _ = writeln!(rows, "disks = [] # {FILL_IN}: {about}");
    }
    if head.accept_licenses {
        rows.push_str("accept_licenses = true\n");
    } else if clients.iter().any(|client| !client.sets("accept_licenses")) {
        let about = "read the software licences; `true` accepts them";
        let _ = writeln!(rows, "accept_licenses = false # {FILL_IN}: {about}");
    }
    if !rows.is_empty() {
        let _ = write!(text, "\n[defaults]\n{rows}");
    }
}

/// A value that all clients have for `key`: it becomes that of `[target]`.
fn lift(clients: &mut [Client], key: &str) -> Option<String> {
    let of = |client: &Client| {
        client.rows.iter().find(|(own, _, _)| own == key).map(|(_, value, _)| value.clone())
    };
    let value = of(clients.first()?)?;
    if !clients.iter().all(|client| of(client).as_ref() == Some(&value)) {
        return None;
    }
    for client in clients {
        client.rows.retain(|(own, _, _)| own != key);
    }
    Some(value)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A comment: what comes from a source is made fit to be one.
fn comment(text: &mut String, what: &str) {
    let indent = what.len() - what.trim_start().len();
    let clean = sanitize_line(what, 4_000);
    let _ = writeln!(text, "# {}{clean}", &what[..indent]);
}
