//! `lsnim -l`: the standalone machines of a NIM master.

use std::collections::BTreeMap;

use super::error::Errors;
use super::found::{Found, Host, Setting};
use super::keys::ADDRESS;
use super::value::Value;
use crate::aix::{NimObject, nim_objects};
use crate::base::sanitize_line;

/// With `has_addresses`, the host name in `if1` is what a machine is reached by.
pub(super) fn read(text: &str, has_addresses: bool, errors: &mut Errors) -> Found {
    let mut found = Found::default();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for stanza in nim_objects(text) {
        let object = match stanza.object {
            Ok(object) => object,
            Err(error) => {
                let help = "give the output of `lsnim -l -t standalone` as it is";
                errors.push(stanza.line, error.to_string(), help);
                continue;
            }
        };
        match object.get("type") {
            Some("standalone") => found.hosts.push(host(&object, stanza.line, has_addresses)),
            kind => {
                let kind = sanitize_line(kind.unwrap_or("without a type"), 60);
                *others.entry(kind).or_default() += 1;
            }
        }
    }
    if !others.is_empty() {
        let told: Vec<String> = others.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        found
            .notes
            .push(format!("Left out, since they are no standalone machines: {}.", told.join(", ")));
    }
    found
}

fn host(object: &NimObject, line: usize, has_addresses: bool) -> Host {
    let mut remarks = Vec::new();
    let mut settings = BTreeMap::new();
    if let Some(lock) = object.get("locked") {
        remarks.push(format!("NIM holds a lock on it: locked = {lock}"));
    }
    if let Some(state) = object.get("Cstate").filter(|state| !state.starts_with("ready")) {
        remarks.push(format!("NIM says: Cstate = {state}"));
    }
    // Of `net_10_1 lpar7 0` the second word.
    let host_name = object.get("if1").and_then(|interface| interface.split_whitespace().nth(1));
    if let Some(host_name) = host_name.filter(|host| *host != object.name) {
        remarks.push(format!("its host name in NIM is {host_name}"));
        if has_addresses {
            let value = Value::Text(host_name.to_owned());
            let setting = Setting { value, line, called: "if1".to_owned() };
            settings.insert(ADDRESS.to_owned(), setting);
        }
    }
    Host { name: object.name.clone(), line, settings, remarks }
}
