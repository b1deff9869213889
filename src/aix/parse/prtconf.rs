//! `prtconf`.

use serde_json::{Map, Value, json};

use super::groups::member;
use super::text::{Read, lines, some, words};
use crate::aix::unread::Unread;

const COMMAND: &str = "prtconf";

/// Keys of the first section: one of them begins the data.
const FIRST: [&str; 10] = [
    "System Model",
    "Machine Serial Number",
    "Processor Type",
    "Processor Implementation Mode",
    "Processor Version",
    "Number Of Processors",
    "Processor Clock Speed",
    "CPU Type",
    "Kernel Type",
    "LPAR Info",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    System,
    Network,
    Paging,
    Groups,
    Devices,
}

#[derive(Default)]
struct Configuration {
    system: Map<String, Value>,
    network: Map<String, Value>,
    paging: Map<String, Value>,
    disks: Vec<Value>,
    inactive: Vec<Value>,
    devices: Vec<Value>,
    architecture: Map<String, Value>,
}

/// `prtconf`: sections; those after the first may be missing.
pub(super) fn prtconf(text: &str) -> Read {
    let begins = |line: &str| key_value(line).is_some_and(|(key, _)| FIRST.contains(&key));
    let mut all = lines(text).skip_while(|line| !begins(line)).peekable();
    if all.peek().is_none() {
        return Err(lines(text).next().map_or_else(
            || Unread::missing(COMMAND, "System Model"),
            |line| Unread::line(COMMAND, line),
        ));
    }
    let (mut config, mut section, mut vg) = (Configuration::default(), Section::System, None);
    let mut active = true;
    for line in all {
        let trimmed = line.trim();
        if let Some(next) = heading(trimmed) {
            section = next;
        } else if section == Section::Groups {
            match trimmed {
                "Active VGs" => active = true,
                "Inactive VGs" => active = false,
                _ => config.group(trimmed, active, &mut vg)?,
            }
        } else if section == Section::Devices {
            config.device(trimmed)?;
        } else {
            let (key, value) = key_value(line).ok_or_else(|| Unread::line(COMMAND, line))?;
            add(config.section(section), key, value);
        }
    }
    let Configuration { system, network, paging, disks, inactive, devices, architecture } = config;
    Ok(json!({
        "system": system,
        "network": network,
        "paging": paging,
        "volume_groups": disks,
        "inactive_volume_groups": inactive,
        "architecture": architecture,
        "devices": devices,
    }))
}

fn heading(line: &str) -> Option<Section> {
    match line.trim_end_matches(':') {
        "Network Information" => Some(Section::Network),
        "Paging Space Information" => Some(Section::Paging),
        "Volume Groups Information" => Some(Section::Groups),
        "INSTALLED RESOURCE LIST" | "INSTALLED RESOURCE LIST WITH VPD" => Some(Section::Devices),
        _ => None,
    }
}

fn key_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim().split_once(':')?;
    let fits = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.len() <= 60;
    fits.then_some((key.trim(), value.trim()))
}

/// A key that comes again, such as a second name server, makes a list.
fn add(map: &mut Map<String, Value>, key: &str, value: &str) {
    let value = some(value);
    match map.get_mut(key) {
        None => {
            map.insert(key.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = json!([first.take(), value]),
    }
}

impl Configuration {
    fn section(&mut self, section: Section) -> &mut Map<String, Value> {
        match section {
            Section::Network => &mut self.network,
            Section::Paging => &mut self.paging,
            Section::System | Section::Groups | Section::Devices => &mut self.system,
        }
    }

    /// A line of the volume groups: rules, names, `lsvg -p`.
    fn group(&mut self, line: &str, active: bool, vg: &mut Option<String>) -> Result<(), Unread> {
        if line.bytes().all(|b| b == b'=') || line.starts_with("PV_NAME") {
            return Ok(());
        }
        let words = words(line);
        if let [name] = words.as_slice() {
            let name = name.trim_end_matches(':').to_owned();
            if active {
                *vg = Some(name);
            } else {
                self.inactive.push(name.into());
            }
            return Ok(());
        }
        let row = member(vg.as_deref(), &words);
        self.disks.push(row.ok_or_else(|| Unread::line(COMMAND, line))?);
        Ok(())
    }

    /// A line of the resources: `+ hdisk0  location  description`.
    fn device(&mut self, line: &str) -> Result<(), Unread> {
        let unread = || Unread::line(COMMAND, line);
        let Some(rest) = line.strip_prefix(['+', '-', '*']).filter(|rest| rest.starts_with(' '))
        else {
            let model = line.starts_with("Model ");
            if let Some((key, value)) = key_value(line).filter(|_| model) {
                add(&mut self.architecture, key, value);
            }
            // The words around the list, and vital product data.
            return Ok(());
        };
        let rest = rest.trim_start();
        if rest.starts_with('=') {
            return Ok(());
        }
        let (name, rest) = rest.split_once(char::is_whitespace).ok_or_else(unread)?;
        let wide = rest.starts_with("    ");
        let rest = rest.trim();
        // A location stands clear of the description; devices such as `sys0`
        // have none.
        let (location, description) = match rest.split_once("  ") {
            Some((location, description)) if !location.contains(' ') => {
                (some(location), description)
            }
            _ => match rest.split_once(' ') {
                Some((location, description)) if is_place(location) => {
                    (some(location), description)
                }
                _ if is_place(rest) && !wide => (some(rest), ""),
                _ => (Value::Null, rest),
            },
        };
        self.devices.push(json!({
            "mark": &line[..1],
            "name": name,
            "location": location,
            "description": some(description),
        }));
        Ok(())
    }
}

/// A physical location: `U9009.22A.78XXXXX-V7-C2-T1`.
fn is_place(word: &str) -> bool {
    word.starts_with('U') && word.contains(['.', '-']) && word.bytes().any(|b| b.is_ascii_digit())
}
