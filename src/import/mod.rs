//! Layer 6: the client part of a plan, from what a site has already: `lsnim -l`,
//! a CSV file, an Ansible inventory. Pure: bytes in, the text of a plan or all
//! errors out. Reaches no host and reads no file.
//!
//! A reader (`lsnim`, `sheet`, `ini` and `yaml` with `inventory` and `ansible`)
//! finds hosts with settings, and says what has no place in a plan. The settings
//! are written as TOML, and the text is held against the reader of plans itself
//! before it is given out: an error is told with the line that it comes from.

mod ansible;
mod draft;
mod error;
mod found;
mod ini;
mod inventory;
mod keys;
mod lsnim;
mod range;
mod sheet;
mod value;
mod ways;
mod yaml;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::base::limits;
use crate::domain::{NimName, parse_plan};

use draft::Client;
use error::{Errors, quoted};
use found::Found;
use keys::ADDRESS;

pub use draft::{FILL_IN, Head};
pub use error::{ImportError, ImportErrors};
pub use ways::Ways;

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The output of `lsnim -l`.
    Lsnim,
    /// CSV with a header.
    Csv,
    /// An Ansible inventory in INI.
    AnsibleIni,
    /// An Ansible inventory in YAML.
    AnsibleYaml,
}

impl Format {
    fn title(self) -> &'static str {
        match self {
            Format::Lsnim => "output of lsnim -l",
            Format::Csv => "CSV",
            Format::AnsibleIni => "Ansible inventory, INI",
            Format::AnsibleYaml => "Ansible inventory, YAML",
        }
    }
}

/// The text of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The text. `nimshift plan` accepts it once nothing is to be filled in.
    pub text: String,
    /// How many clients it has.
    pub clients: usize,
    /// How many lines are marked FILL IN.
    pub open: usize,
}

/// Makes a plan of `bytes`. `file` is for messages only.
pub fn import(
    file: &str,
    bytes: &[u8],
    format: Format,
    ways: &Ways,
    head: &Head,
) -> Result<Imported, ImportErrors> {
    let mut errors = Errors::default();
    let imported = read(bytes, format, ways, head, file, &mut errors);
    match imported {
        Some(imported) if errors.is_empty() => Ok(imported),
        _ => {
            assert!(!errors.is_empty(), "what cannot be imported has an error");
            Err(errors.finish(file))
        }
    }
}

fn read(
    bytes: &[u8],
    format: Format,
    ways: &Ways,
    head: &Head,
    file: &str,
    errors: &mut Errors,
) -> Option<Imported> {
    if bytes.len() > limits::IMPORT_BYTES_MAX {
        let what = format!("{} bytes, more than {}", bytes.len(), limits::IMPORT_BYTES_MAX);
        errors.push(0, what, "import a part of it");
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let feeds = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n');
            errors.push(feeds.count() + 1, "not UTF-8", "save it as UTF-8 text");
            return None;
        }
    };
    let found = match format {
        Format::Lsnim => lsnim::read(text, head.has_addresses(), errors),
        Format::Csv => sheet::read(text, errors),
        Format::AnsibleIni => {
            ansible::clients(&ini::read(text, errors), ways, head.has_addresses(), errors)
        }
        Format::AnsibleYaml => {
            ansible::clients(&yaml::read(text, errors), ways, head.has_addresses(), errors)
        }
    };
    if found.hosts.is_empty() && errors.is_empty() {
        let help = match format {
            Format::Lsnim => "give the output of `lsnim -l -t standalone`, or of `lsnim -l`",
            Format::Csv => "below the header, give a row for each client",
            _ => "name hosts in it, or other groups by `--groups`",
        };
        errors.push(0, "no client found", help);
    }
    if found.hosts.len() > limits::CLIENTS_MAX {
        let what = format!("{} clients, more than {}", found.hosts.len(), limits::CLIENTS_MAX);
        errors.push(0, what, "import a part of it");
        return None;
    }
    let mut clients = clients(&found, format, ways, head, errors);
    check(&clients, head, errors);
    let made_from = format!("{} ({})", quoted(file), format.title());
    let text = draft::text(&made_from, head, &found, &mut clients);
    if text.len() as u64 > limits::PLAN_BYTES_MAX {
        let what = format!("a plan of {} bytes, more than {}", text.len(), limits::PLAN_BYTES_MAX);
        errors.push(0, what, "import a part of it");
    }
    let open = text.lines().filter(|row| row.contains(&format!("# {FILL_IN}: "))).count();
    Some(Imported { text, clients: clients.len(), open })
}

/// The hosts that have a name for a plan, with their settings in TOML.
fn clients(
    found: &Found,
    format: Format,
    ways: &Ways,
    head: &Head,
    errors: &mut Errors,
) -> Vec<Client> {
    let mut clients = Vec::with_capacity(found.hosts.len());
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    let master = head.master.as_ref().map(|master| master.as_str().to_ascii_lowercase());
    for host in &found.hosts {
        let mut remarks = host.remarks.clone();
        let mut name = host.name.as_str();
        if ways.short_names
            && let Some((short, _)) = name.split_once('.')
        {
            remarks.push(format!("its name without its domain; in whole: {name}"));
            name = short;
        }
        if let Err(error) = name.parse::<NimName>() {
            errors.push(host.line, error.to_string(), way_out_of_name(format));
            continue;
        }
        if master.as_deref() == Some(&name.to_ascii_lowercase()) {
            let help = "remove it, or name another `--master`";
            errors.push(host.line, format!("{} is the master", quoted(name)), help);
            continue;
        }
        if let Some(first) = lines.insert(name.to_ascii_lowercase(), host.line) {
            let help = if ways.short_names {
                "names are cut by `--short-names`: leave that out, or rename one of the two"
            } else {
                "remove or rename one of the two; upper and lower case do not matter"
            };
            let what = format!("{} is a client already, by line {first}", quoted(name));
            errors.push(host.line, what, help);
            continue;
        }
        let mut rows = Vec::new();
        for (key, setting) in &host.settings {
            let kind = keys::kind(key).expect("readers give keys of the plan");
            match keys::toml(kind, &setting.value) {
                Ok(Some(value)) => rows.push((key.clone(), value, setting.line)),
                Ok(None) => {}
                Err((what, help)) => {
                    let what = format!("{} {what}", quoted(&setting.called));
                    errors.push(setting.line, what, help);
                }
            }
        }
        // It is still reached by its whole name.
        let is_cut = name.len() < host.name.len();
        if is_cut && head.has_addresses() && !host.settings.contains_key(ADDRESS) {
            rows.push((ADDRESS.to_owned(), quoted_toml(&host.name), host.line));
        }
        let name = name.to_owned();
        clients.push(Client { name, line: host.line, remarks, rows });
    }
    clients
}

fn way_out_of_name(format: Format) -> &'static str {
    match format {
        Format::Lsnim | Format::Csv => {
            "a NIM name has 1 to 39 letters, digits, `_`, `.` and `-`; `--short-names` leaves out domains"
        }
        Format::AnsibleIni | Format::AnsibleYaml => {
            "set `nimshift_name` to the host's NIM name (1 to 39 letters, digits, `_`, `.`, `-`), \
             or leave out domains by `--short-names`"
        }
    }
}

/// A text as TOML writes it.
fn quoted_toml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Holds the clients against the reader of plans, below a head in which nothing
/// is missing.
fn check(clients: &[Client], head: &Head, errors: &mut Errors) {
    // What many hosts have from one group is said of the first of them.
    let mut first = BTreeMap::new();
    // In parts: the reader shows so many errors and no more.
    for clients in clients.chunks(limits::PLAN_ERRORS_MAX) {
        check_part(clients, head, &mut first, errors);
    }
}

fn check_part<'a>(
    clients: &'a [Client],
    head: &Head,
    first: &mut BTreeMap<(&'a str, usize), &'a str>,
    errors: &mut Errors,
) {
    let level = head.level.as_ref().map_or("7300-03", |level| level.as_str());
    let mut text = format!(
        "[batch]\nname = \"import\"\n[estate]\nkind = \"{}\"\n[master]\nname = \"0\"\n[target]\n\
         spot = \"spot\"\nlpp_source = \"lpp_source\"\nlevel = \"{level}\"\n",
        head.kind()
    );
    // Of each line the client, the key, and the line that it comes from.
    let mut rows: Vec<(&str, &str, usize)> = vec![("", "", 0); text.lines().count()];
    let disks: Vec<String> = head.disks.iter().map(|disk| format!("\"{disk}\"")).collect();
    for client in clients {
        let _ = writeln!(text, "[[client]]\nname = \"{}\"", client.name);
        rows.extend([(client.name.as_str(), "name", client.line); 2]);
        for (key, value, line) in &client.rows {
            let _ = writeln!(text, "{key} = {value}");
            rows.push((&client.name, key, *line));
        }
        if client.lacks_disks() {
            let disks = if disks.is_empty() { "\"hdisk1\"".to_owned() } else { disks.join(", ") };
            let _ = writeln!(text, "disks = [{disks}]");
            rows.push((&client.name, "disks", client.line));
        }
    }
    // Licences are a matter of the head, which a person completes.
    if let Err(wrong) = parse_plan("plan", &text, true) {
        for error in &wrong {
            let at = error.line.checked_sub(1).and_then(|at| rows.get(at)).copied();
            let (client, key, line) = at.unwrap_or_default();
            if *first.entry((key, line)).or_insert(client) == client {
                errors.push(line, &error.message, error.help.as_str());
            }
        }
    }
}
