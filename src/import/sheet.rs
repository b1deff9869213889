//! CSV: a header row that names keys, and a row for each client.

use std::collections::BTreeMap;

use super::error::{Errors, quoted};
use super::found::{Found, Host, Setting};
use super::keys;
use super::value::Value;

/// Headers of the column of names, the first goes before the others.
const NAMES: [&str; 5] = ["name", "client", "nim_client", "hostname", "host"];

pub(super) fn read(text: &str, errors: &mut Errors) -> Found {
    let mut found = Found::default();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let lines = Lines::in_text(text);
    let mut columns = None;
    for row in reader.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, |position| lines.of(position));
                errors.push(line, format!("not CSV: {error}"), "save it as CSV with quotes");
                break;
            }
        };
        let line = row.position().map_or(0, |position| lines.of(position));
        if row.iter().all(str::is_empty) {
            continue;
        }
        match &columns {
            None => match Columns::of(&row, line, errors) {
                Some(these) => columns = Some(these),
                None => return found,
            },
            Some(columns) => columns.host(&row, line, &mut found, errors),
        }
    }
    found
}

/// Where lines begin. The reader's own count is one short after CRLF.
struct Lines<'a> {
    text: &'a [u8],
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn in_text(text: &'a str) -> Lines<'a> {
        let feeds = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(feeds.map(|(at, _)| at + 1)).collect();
        Lines { text: text.as_bytes(), starts }
    }

    /// The line of a row: of its first character after the end of the row before.
    fn of(&self, position: &csv::Position) -> usize {
        let at = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(self.text.len());
        let ends = self.text[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let at = at + ends.count();
        self.starts.partition_point(|start| *start <= at)
    }
}

/// The one of `,`, `;` and tab that the header has most of.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: u8| {
        let mut is_quoted = false;
        let outside = header.bytes().filter(|byte| {
            is_quoted ^= *byte == b'"';
            !is_quoted && *byte == delimiter
        });
        outside.count()
    };
    // The last of equals is taken: the comma.
    [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

struct Columns {
    name: usize,
    /// What each column is called, and the key of the plan that it is.
    all: Vec<(String, Option<String>)>,
}

impl Columns {
    fn of(header: &csv::StringRecord, line: usize, errors: &mut Errors) -> Option<Columns> {
        let names: Vec<String> =
            header.iter().map(|name| name.to_ascii_lowercase().replace([' ', '-'], "_")).collect();
        let Some(name) = NAMES.iter().find_map(|known| names.iter().position(|n| n == known))
        else {
            let help = "the first row names the columns; one of them is `name`, the NIM name";
            errors.push(line, "the header has no column `name`", help);
            return None;
        };
        let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
        let mut all = Vec::with_capacity(names.len());
        for (index, called) in names.into_iter().enumerate() {
            let key = if index == name { None } else { keys::of_flat(&called) };
            if let Some(key) = &key
                && let Some(first) = by_key.insert(key.clone(), index)
            {
                let what = format!("columns {} and {} are both `{key}`", first + 1, index + 1);
                errors.push(line, what, "remove one of the two");
            }
            all.push((called, key));
        }
        Some(Columns { name, all })
    }

    fn host(&self, row: &csv::StringRecord, line: usize, found: &mut Found, errors: &mut Errors) {
        if row.len() != self.all.len() {
            let what = format!("{} values in a row of {} columns", row.len(), self.all.len());
            let help = "put values that hold a delimiter in double quotes";
            errors.push(line, what, help);
            return;
        }
        let name = row.get(self.name).unwrap_or_default();
        if name.is_empty() {
            let what = format!("column {} has no name", quoted(&self.all[self.name].0));
            errors.push(line, what, "fill in the NIM name of the client, or remove the row");
            return;
        }
        let mut settings = BTreeMap::new();
        for (index, (cell, (called, key))) in row.iter().zip(&self.all).enumerate() {
            match key {
                _ if index == self.name || cell.is_empty() => {}
                Some(key) => {
                    let value = Value::text(cell);
                    let setting = Setting { value, line, called: called.clone() };
                    settings.insert(key.clone(), setting);
                }
                None => {
                    let why = match keys::near(called) {
                        Some(near) => format!("no key of a plan; `{near}` is one"),
                        None => "no key of a plan".to_owned(),
                    };
                    found.unmapped(called, line, why);
                }
            }
        }
        let name = name.to_owned();
        found.hosts.push(Host { name, line, settings, remarks: Vec::new() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_that_of_the_header() {
        assert_eq!(delimiter("name,disks\na;b;c;d"), b',');
        assert_eq!(delimiter("\"a,b,c\";name\n"), b';');
        assert_eq!(delimiter("name\tdisks\n"), b'\t');
        assert_eq!(delimiter("name\n"), b',');
        assert_eq!(delimiter(""), b',');
    }
}
