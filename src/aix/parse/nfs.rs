//! `showmount -e` and `exportfs`.

use serde_json::{Value, json};

use super::text::{Read, lines, words};
use crate::aix::unread::Unread;

/// `showmount -e`, of one server or several.
pub(super) fn showmount(text: &str) -> Read {
    const COMMAND: &str = "showmount -e";
    let (mut server, mut begun, mut foreign) = (Value::Null, false, None);
    let mut found = Vec::new();
    for line in lines(text) {
        let lower = line.trim().to_ascii_lowercase();
        if let Some(name) = lower.strip_prefix("export list for ") {
            (server, begun) = (name.trim_end_matches(':').trim().into(), true);
        } else if lower.trim_start_matches("showmount: ").starts_with("no exported file systems") {
            begun = true;
        } else if line.trim_start().starts_with('/') {
            let row = row(&server, line).ok_or_else(|| Unread::line(COMMAND, line))?;
            found.push(row);
            begun = true;
        } else if begun {
            return Err(Unread::line(COMMAND, line));
        } else {
            foreign = foreign.or(Some(line));
        }
    }
    match foreign {
        _ if begun => Ok(Value::Array(found)),
        Some(line) => Err(Unread::line(COMMAND, line)),
        None => Err(Unread::missing(COMMAND, "export list")),
    }
}

fn row(server: &Value, line: &str) -> Option<Value> {
    let words = words(line);
    let (path, hosts) = words.split_first().filter(|(_, hosts)| !hosts.is_empty())?;
    let hosts = hosts.join(" ");
    let everyone = matches!(hosts.as_str(), "(everyone)" | "(everybody)" | "*");
    let hosts: Vec<&str> = if everyone { Vec::new() } else { list(&hosts, &[',', ' ']) };
    // Hosts are separated by commas: blanks alone are another layout.
    if hosts.len() > 1 && !line.contains(',') {
        return None;
    }
    Some(json!({ "server": server, "path": path, "everyone": everyone, "hosts": hosts }))
}

/// `exportfs`. Nothing exported is an empty list.
pub(super) fn exportfs(text: &str) -> Read {
    const COMMAND: &str = "exportfs";
    let (mut found, mut foreign, mut none) = (Vec::new(), None, false);
    for line in lines(text) {
        // Some levels say so in words.
        if line.trim_end().ends_with("nothing exported") {
            none = true;
            continue;
        }
        let words = words(line);
        match words.as_slice() {
            [path] if path.starts_with('/') => found.push(export(path, "")),
            [path, options] if path.starts_with('/') && options.starts_with('-') => {
                found.push(export(path, options.trim_start_matches('-')));
            }
            _ if found.is_empty() && !line.trim_start().starts_with('/') => {
                foreign = foreign.or(Some(line));
            }
            _ => return Err(Unread::line(COMMAND, line)),
        }
    }
    match foreign {
        Some(line) if found.is_empty() && !none => Err(Unread::line(COMMAND, line)),
        _ => Ok(Value::Array(found)),
    }
}

fn export(path: &str, options: &str) -> Value {
    let options = list(options, &[',']);
    let hosts = |key: &str| {
        let found = options.iter().find_map(|option| option.strip_prefix(key)?.strip_prefix('='));
        found.map(|hosts| list(hosts, &[':']))
    };
    json!({
        "path": path,
        "options": options,
        "access": hosts("access"),
        "root": hosts("root"),
    })
}

fn list<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    text.split(separators).filter(|part| !part.is_empty()).collect()
}
