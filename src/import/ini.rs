//! Ansible inventories in INI.

use super::error::{Errors, quoted};
use super::inventory::{Inventory, UNGROUPED, Variable, Variables};
use super::value::{Value, literal};

enum Section {
    Hosts(usize),
    Children(usize),
    Variables(usize),
    /// Something is wrong with its header: its lines are not looked at.
    Broken,
}

pub(super) fn read(text: &str, errors: &mut Errors) -> Inventory {
    let mut inventory = Inventory::new();
    let mut section = Section::Hosts(UNGROUPED);
    for (line, row) in (1..).zip(text.lines().map(str::trim)) {
        if row.is_empty() || row.starts_with(['#', ';']) {
            continue;
        }
        // `[a:c]-db x=y` is a line of hosts.
        let bare = row.split('#').next().unwrap_or_default().trim_end();
        if bare.starts_with('[') && bare.ends_with(']') {
            section = header(row, line, &mut inventory, errors);
            continue;
        }
        match section {
            Section::Hosts(group) => hosts(row, line, group, &mut inventory, errors),
            Section::Children(parent) => {
                let name = bare;
                if name.is_empty() || name.contains(char::is_whitespace) {
                    let what = format!("not the name of a group: {}", quoted(row));
                    errors.push(line, what, "write one name of a group in a line");
                } else {
                    let child = inventory.group(name, line, errors);
                    inventory.nest(parent, child);
                }
            }
            Section::Variables(group) => match row.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    let variable = Variable { value: literal(value), line };
                    inventory.set(group, name.trim(), variable);
                }
                _ => {
                    let what = format!("not a variable: {}", quoted(name_only(row)));
                    errors.push(line, what, "write `name=value`");
                }
            },
            Section::Broken => {}
        }
    }
    for group in inventory.groups.iter().filter(|group| !group.is_defined) {
        let what = format!("group {} is named and not defined", quoted(&group.name));
        errors.push(group.line, what, format!("add a section [{}], or remove it", group.name));
    }
    inventory.settle(errors);
    inventory
}

/// What may be shown of a line that can hold a secret.
fn name_only(row: &str) -> &str {
    row.split(['=', ' ', '\t']).next().unwrap_or_default()
}

fn header(row: &str, line: usize, inventory: &mut Inventory, errors: &mut Errors) -> Section {
    let inner = row.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let inner = inner.filter(|(_, after)| after.trim().is_empty() || after.trim().starts_with('#'));
    let Some((inner, _)) = inner else {
        let what = format!("not the header of a section: {}", quoted(row));
        errors.push(line, what, "write `[group]`, `[group:children]` or `[group:vars]`");
        return Section::Broken;
    };
    let (name, kind) = inner.split_once(':').unwrap_or((inner, "hosts"));
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        let what = format!("not the name of a group: {}", quoted(inner));
        errors.push(line, what, "the name of a group has no blanks");
        return Section::Broken;
    }
    let group = inventory.group(name, line, errors);
    match kind.trim() {
        "hosts" => {
            inventory.groups[group].is_defined = true;
            Section::Hosts(group)
        }
        "children" => {
            inventory.groups[group].is_defined = true;
            Section::Children(group)
        }
        "vars" => Section::Variables(group),
        _ => {
            let what = format!("not the header of a section: {}", quoted(row));
            errors.push(line, what, "write `[group]`, `[group:children]` or `[group:vars]`");
            Section::Broken
        }
    }
}

fn hosts(row: &str, line: usize, group: usize, inventory: &mut Inventory, errors: &mut Errors) {
    let Some(words) = words(row) else {
        let what = format!("a quote is not closed in the line of {}", quoted(name_only(row)));
        errors.push(line, what, "close it in the same line");
        return;
    };
    let Some((pattern, pairs)) = words.split_first() else { return };
    let mut variables = Variables::new();
    for pair in pairs {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                let variable = Variable { value: literal(value), line };
                variables.insert(name.to_owned(), variable);
            }
            _ => {
                let what = format!("not a variable: {}", quoted(name_only(pair)));
                errors.push(line, what, "write `name=value`, with quotes around blanks");
            }
        }
    }
    let (pattern, port) = without_port(pattern);
    if let Some(port) = port {
        let variable = Variable { value: Value::text(port), line };
        variables.insert("ansible_port".to_owned(), variable);
    }
    inventory.add_hosts(group, pattern, line, &variables, errors);
}

/// `lpar01:2222` is a host and a port; a colon of a range is none of it.
fn without_port(pattern: &str) -> (&str, Option<&str>) {
    match pattern.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && !host.ends_with(':') =>
        {
            (host, Some(port))
        }
        _ => (pattern, None),
    }
}

/// The words of a line, as Python's `shlex` splits it: quotes, escapes, and
/// comments from `#` on. Nothing if a quote is not closed.
fn words(row: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = row.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => {
                let next = chars.next()?;
                let word = word.get_or_insert_default();
                if next != '"' && next != '\\' {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, '#') => break,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let split = |row| words(row).unwrap();
        assert_eq!(split("a b=\"c d\" e='f g'"), ["a", "b=c d", "e=f g"]);
        assert_eq!(split("a b=\\\"c # d"), ["a", "b=\"c"]);
        assert_eq!(split("a b=\"#1\" ''"), ["a", "b=#1", ""]);
        assert_eq!(words("a b=\"c"), None);
        assert_eq!(words("a \\"), None);
    }

    #[test]
    fn a_port_is_no_part_of_a_name() {
        assert_eq!(without_port("lpar01:2222"), ("lpar01", Some("2222")));
        assert_eq!(without_port("lpar[01:20]"), ("lpar[01:20]", None));
        assert_eq!(without_port("lpar[01:20]:22"), ("lpar[01:20]", Some("22")));
        assert_eq!(without_port("lpar01"), ("lpar01", None));
    }
}
