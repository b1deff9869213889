//! Who gives orders here, for the audit trail.

use std::io::IsTerminal as _;

use crate::base::sanitize_line;

use super::state_dir::host_name;

/// A user at a host: `alice@control1 as root on pts/3`. Under `sudo` it is who
/// called it; under cron, where nothing says it, the owner of this process.
pub(super) fn operator() -> String {
    sanitize_line(&told(&|name| std::env::var(name).ok(), account(), terminal()), 100)
}

fn told(
    env: &dyn Fn(&str) -> Option<String>,
    account: Option<String>,
    terminal: Option<String>,
) -> String {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let account = set("USER").or_else(|| set("LOGNAME")).or(account);
    let account = account.unwrap_or_else(|| "somebody".to_owned());
    let host = host_name();
    let who = match set("SUDO_USER").filter(|caller| *caller != account) {
        Some(caller) => format!("{caller}@{host} as {account}"),
        None => format!("{account}@{host}"),
    };
    match terminal {
        Some(terminal) => format!("{who} on {terminal}"),
        None => who,
    }
}

/// The owner of this process: by name, or by number where none is known.
fn account() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let names = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_row = |row: &str| {
        let mut columns = row.split(':');
        let name = columns.next()?;
        (columns.nth(1)? == uid).then(|| name.to_owned())
    };
    Some(names.lines().find_map(of_row).unwrap_or_else(|| format!("uid {uid}")))
}

/// The terminal that this process reads from.
fn terminal() -> Option<String> {
    let path = std::io::stdin().is_terminal().then(|| std::fs::read_link("/proc/self/fd/0"))?;
    path.ok()?.strip_prefix("/dev").ok().map(|path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_called_sudo_is_told_and_under_cron_the_owner() {
        let host = host_name();
        let told = |set: &[(&str, &str)], terminal: Option<&str>| {
            let env = |name: &str| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            told(&env, Some("root".to_owned()), terminal.map(str::to_owned)).replace(&host, "h")
        };
        assert_eq!(told(&[("USER", "op")], None), "op@h");
        assert_eq!(
            told(&[("USER", "root"), ("SUDO_USER", "alice")], Some("pts/3")),
            "alice@h as root on pts/3"
        );
        // As cron and systemd call it.
        assert_eq!(told(&[("USER", "")], None), "root@h");
    }

    #[test]
    fn the_owner_of_a_process_has_a_name_or_a_number() {
        assert!(account().is_some_and(|account| !account.is_empty()));
    }
}
