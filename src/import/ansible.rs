//! From an Ansible inventory to clients: which variables are keys of the plan,
//! and which wave a host is in.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Errors, quoted};
use super::found::{Found, Host, Setting};
use super::inventory::{ALL, Inventory, InventoryHost, UNGROUPED};
use super::keys::{self, ADDRESS};
use super::value::Value;
use super::ways::Ways;
use crate::base::{limits, nearest};

/// What variables of IBM's role nim_alt_disk_migration (collection
/// ibm.power_aix, its argument_specs.yml) are here. Only those that mean the
/// same: `target_disk.force` cleans up an older copy, and is none of them.
const ROLE: [(&str, &str); 11] = [
    ("nim_client", "name"),
    ("target_disk", "disks"),
    ("target_disk.disk_name", "disks"),
    ("lpp_source", "lpp_source"),
    ("spot", "spot"),
    ("nimadm_cache_vg", "cache_vg"),
    ("nimadm_bundle", "bundle"),
    ("nimadm_premig_script", "pre_script"),
    ("nimadm_postmig_script", "post_script"),
    ("nimadm_phases_to_run", "phases"),
    ("reboot_client", "reboot"),
];

const OURS: &str = "nimshift_";
const ROLES: &str = "nim_alt_disk_migration_";

/// What a variable is to a plan.
enum Meaning {
    /// A key, and how near the variable is to it: of two, the lower counts.
    Key(String, u8),
    /// None, and why.
    None(String),
    /// One of ours that does not exist.
    Unknown,
}

fn meaning(variable: &str, has_addresses: bool) -> Meaning {
    let of_plan = |name: &str| keys::of_flat(name).or((name == "name").then(|| name.to_owned()));
    let of_role = |name: &str| {
        ROLE.iter().find(|(theirs, _)| *theirs == name).map(|(_, key)| (*key).to_owned())
    };
    if let Some(name) = variable.strip_prefix(OURS) {
        return of_plan(name).map_or(Meaning::Unknown, |key| Meaning::Key(key, 0));
    }
    if let Some(name) = variable.strip_prefix(ROLES) {
        return match (of_role(name), name) {
            (Some(key), _) => Meaning::Key(key, 2),
            (None, "target_disk.disk_size_policy") => {
                Meaning::None("a plan names its disks: set `nimshift_disks`".to_owned())
            }
            (None, "target_disk.force") => {
                Meaning::None("removes an older copy; no key of a plan does that".to_owned())
            }
            _ => Meaning::None("of IBM's role; no key of a plan means the same".to_owned()),
        };
    }
    // The names that the role had before it had prefixes.
    if ["nim_client", "target_disk", "target_disk.disk_name"].contains(&variable) {
        let key = of_role(variable).expect("they are in the table");
        return Meaning::Key(key, 2);
    }
    // A host has a name already: a `name` beside it is somebody else's.
    match keys::of_flat(variable) {
        Some(key) => Meaning::Key(key, 1),
        None if variable == "ansible_host" && has_addresses => Meaning::Key(ADDRESS.to_owned(), 3),
        None if variable == "ansible_host" => {
            let why = "a host of the lab has one name; `--kind ssh` or `local` imports it";
            Meaning::None(why.to_owned())
        }
        None if variable.starts_with("ansible_") => {
            Meaning::None("a setting of Ansible itself".to_owned())
        }
        None => Meaning::None("no key of a plan".to_owned()),
    }
}

/// The clients of an inventory. With groups chosen: the hosts of these, each in
/// the wave of the first that it is in. With `has_addresses`, what Ansible reaches
/// a host by is taken over.
pub(super) fn clients(
    inventory: &Inventory,
    ways: &Ways,
    has_addresses: bool,
    errors: &mut Errors,
) -> Found {
    let chosen = ways.groups.as_slice();
    let mut found = Found::default();
    let waves = waves(inventory, chosen, errors);
    let mut left_out = Vec::new();
    for host in &inventory.hosts {
        let groups =
            if chosen.is_empty() { host.groups.clone() } else { inventory.groups_of(host) };
        let wave = waves.iter().filter(|(group, _)| groups.contains(group)).map(|(_, w)| *w).min();
        if wave.is_none() && !chosen.is_empty() {
            left_out.push(host.name.as_str());
            continue;
        }
        let mut told = client(inventory, host, wave, has_addresses, &mut found, errors);
        if has_addresses && told.name != host.name {
            let (line, called) = (host.line, host.name.clone());
            let setting = Setting { value: Value::Text(host.name.clone()), line, called };
            told.settings.entry(ADDRESS.to_owned()).or_insert(setting);
        }
        found.hosts.push(told);
    }
    let told: Vec<String> = waves
        .iter()
        .map(|(group, wave)| format!("{wave} = {}", inventory.groups[*group].name))
        .collect();
    if !told.is_empty() {
        found.notes.push(format!("Waves, by group: {}.", told.join(", ")));
    }
    if !left_out.is_empty() {
        let names = left_out.join(", ");
        found.notes.push(format!("Left out, since they are in none of these groups: {names}."));
    }
    found
}

/// Groups that are waves, with their numbers.
fn waves(inventory: &Inventory, chosen: &[String], errors: &mut Errors) -> Vec<(usize, usize)> {
    let groups: Vec<usize> = if chosen.is_empty() {
        // Those that name hosts themselves: a group of groups is no wave.
        let naming: BTreeSet<usize> =
            inventory.hosts.iter().flat_map(|host| host.groups.iter().copied()).collect();
        naming.into_iter().filter(|group| ![ALL, UNGROUPED].contains(group)).collect()
    } else {
        let known = |name: &String| {
            let group = inventory.find(name);
            if group.is_none() {
                let names = inventory.groups.iter().map(|group| group.name.as_str());
                let help = match nearest(name, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "name groups of the inventory".to_owned(),
                };
                errors.push(0, format!("there is no group {}", quoted(name)), help);
            }
            group
        };
        chosen.iter().filter_map(known).collect()
    };
    if groups.len() > usize::from(limits::WAVE_MAX) {
        let what = format!("{} groups, and no more than {} waves", groups.len(), limits::WAVE_MAX);
        errors.push(0, what, "choose the groups for waves with `--groups`");
    }
    groups.into_iter().zip(1..).collect()
}

fn client(
    inventory: &Inventory,
    host: &InventoryHost,
    wave: Option<usize>,
    has_addresses: bool,
    found: &mut Found,
    errors: &mut Errors,
) -> Host {
    let mut settings: BTreeMap<String, Vec<(u8, Setting)>> = BTreeMap::new();
    for (called, variable) in inventory.variables_of(host) {
        for (called, value) in flat(&called, variable.value) {
            let line = variable.line;
            match meaning(&called, has_addresses) {
                _ if value == Value::Empty => {}
                Meaning::Key(key, rank) => {
                    settings.entry(key).or_default().push((rank, Setting { value, line, called }));
                }
                Meaning::None(why) => found.unmapped(&called, line, why),
                Meaning::Unknown => {
                    let name = called.trim_start_matches(OURS);
                    let help = match keys::near(name) {
                        Some(near) => format!("did you mean `{OURS}{}`?", near.replace('.', "_")),
                        None => format!("after `{OURS}` comes a key of [[client]]"),
                    };
                    let what = format!("unknown variable {}", quoted(&called));
                    errors.push(line, what, help);
                }
            }
        }
    }
    let mut settings: BTreeMap<String, Setting> = settings
        .into_iter()
        .map(|(key, values)| {
            let setting = nearest_of(&key, values, found, errors);
            (key, setting)
        })
        .collect();
    if let Some(wave) = wave {
        let value = Value::Text(wave.to_string());
        let setting = Setting { value, line: host.line, called: "wave".to_owned() };
        settings.entry("wave".to_owned()).or_insert(setting);
    }
    let mut remarks = Vec::new();
    let name = match settings.remove("name") {
        Some(Setting { value: Value::Text(name), .. }) => {
            if name != host.name {
                remarks.push(format!("in the inventory: {}", host.name));
            }
            name
        }
        Some(setting) => {
            let what = format!("{} is not a name", quoted(&setting.called));
            errors.push(setting.line, what, "write the NIM name of the client");
            host.name.clone()
        }
        None => host.name.clone(),
    };
    Host { name, line: host.line, settings, remarks }
}

/// Of several variables for one key the nearest. One of `nimshift_…` is meant for
/// us, whatever others say; others that differ are not chosen among: a disk would
/// be overwritten on a guess.
fn nearest_of(
    key: &str,
    mut values: Vec<(u8, Setting)>,
    found: &mut Found,
    errors: &mut Errors,
) -> Setting {
    values.sort_by_key(|(rank, _)| *rank);
    let mut values = values.into_iter();
    let (rank, chosen) = values.next().expect("a key is there for its value");
    for (_, other) in values {
        if rank == 0 || is_same(key, &chosen.value, &other.value) {
            let why = format!("is overridden by {}", quoted(&chosen.called));
            found.unmapped(&other.called, other.line, why);
            continue;
        }
        let what = format!(
            "{} and {} differ, in line {}",
            quoted(&other.called),
            quoted(&chosen.called),
            chosen.line
        );
        let help = format!("set `{OURS}{}`, which overrides both", key.replace('.', "_"));
        errors.push(other.line, what, help);
    }
    chosen
}

fn is_same(key: &str, one: &Value, other: &Value) -> bool {
    match keys::kind(key) {
        Some(kind) => keys::toml(kind, one) == keys::toml(kind, other),
        None => one == other,
    }
}

/// A variable that is a table of the plan, or of IBM's role, by its members.
fn flat(called: &str, value: Value) -> Vec<(String, Value)> {
    let bare = called.strip_prefix(OURS).unwrap_or(called);
    let separator = match called {
        _ if keys::is_table(bare) => '_',
        "target_disk" | "nim_alt_disk_migration_target_disk" => '.',
        _ => return vec![(called.to_owned(), value)],
    };
    match value {
        Value::Map(pairs) => pairs
            .into_iter()
            .map(|(name, value)| (format!("{called}{separator}{name}"), value))
            .collect(),
        value => vec![(called.to_owned(), value)],
    }
}
