//! `odmget`: objects of the Object Data Manager, as stanzas.

use super::unread::{Unread, lines};

/// An attribute of a device, as a row of `CuAt` tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceAttribute {
    /// The device: `sys0`.
    pub device: String,
    /// The attribute: `maxuproc`.
    pub attribute: String,
    /// Its value, which can be empty.
    pub value: String,
}

/// Reads `odmget -q … CuAt`. No object is no stanza.
pub fn device_attributes(text: &str) -> Result<Vec<DeviceAttribute>, Unread> {
    let mut found: Vec<DeviceAttribute> = Vec::new();
    for line in lines(text) {
        if line.trim_end() == "CuAt:" {
            let (device, attribute, value) = Default::default();
            found.push(DeviceAttribute { device, attribute, value });
            continue;
        }
        let pair = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        let (Some((key, value)), Some(row)) = (pair, found.last_mut()) else {
            return Err(Unread::line("odmget CuAt", line));
        };
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        match (key, value) {
            ("name", Some(value)) => value.clone_into(&mut row.device),
            ("attribute", Some(value)) => value.clone_into(&mut row.attribute),
            ("value", Some(value)) => value.clone_into(&mut row.value),
            _ => {}
        }
    }
    if found.iter().any(|row| row.device.is_empty() || row.attribute.is_empty()) {
        return Err(Unread::missing("odmget CuAt", "name or attribute of an object"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYS0: &str = "\nCuAt:\n\tname = \"sys0\"\n\tattribute = \"maxuproc\"\n\tvalue = \"2048\"\n\
        \ttype = \"R\"\n\tgeneric = \"DU\"\n\trep = \"nr\"\n\tnls_index = 20\n\n\
        CuAt:\n\tname = \"sys0\"\n\tattribute = \"rootpath\"\n\tvalue = \"\"\n";

    #[test]
    fn attributes_are_read_by_stanza() {
        let rows = device_attributes(SYS0).unwrap();
        let told: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {}={}", row.device, row.attribute, row.value))
            .collect();
        assert_eq!(told, ["sys0 maxuproc=2048", "sys0 rootpath="]);
        assert_eq!(device_attributes(""), Ok(Vec::new()));
        for broken in ["name = \"sys0\"\n", "CuAt:\n\tattribute = \"x\"\n", "0514-516 no class"] {
            assert!(device_attributes(broken).is_err(), "{broken}");
        }
    }
}
