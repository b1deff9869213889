//! `lsnim -l` of many objects.

use super::nim::{NimObject, is_indented, is_text, nim_object, stanza_name};
use super::unread::Unread;

/// One stanza, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NimStanza {
    /// The line of its name, from 1; of what cannot be read, its own line.
    pub line: usize,
    /// The object, or why it cannot be read.
    pub object: Result<NimObject, Unread>,
}

/// Reads all stanzas of `lsnim -l`. What comes before the first is skipped; what
/// cannot be read after it is an error in its place.
pub fn nim_objects(text: &str) -> Vec<NimStanza> {
    let rows: Vec<(usize, &str)> =
        (1..).zip(text.lines().map(str::trim_end)).filter(|(_, row)| !row.is_empty()).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((line, row)) = rows.get(at).copied() {
        at += 1;
        let mut in_text = false;
        let belongs = |(_, row): &&(usize, &str)| {
            if is_indented(row) {
                let key = row.split_once('=').map(|(key, _)| key.trim());
                in_text = key.map_or(in_text, is_text);
                return true;
            }
            // What a command has said may go on at the margin.
            in_text && stanza_name(row).is_none()
        };
        let length = rows[at..].iter().take_while(belongs).count();
        let Some(name) = stanza_name(row).filter(|_| length > 0) else {
            if !found.is_empty() {
                found.push(NimStanza { line, object: Err(Unread::line("lsnim -l", row)) });
            }
            at += length;
            continue;
        };
        let stanza: Vec<&str> = rows[at - 1..at + length].iter().map(|(_, row)| *row).collect();
        let object = nim_object(&stanza.join("\n"), name);
        let broken = rows[at..at + length].iter().find(|(_, row)| !row.contains('='));
        let line = broken.filter(|_| object.is_err()).map_or(line, |(line, _)| *line);
        found.push(NimStanza { line, object });
        at += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_stanzas_are_read_with_their_lines() {
        let text = concat!(
            "Welcome to nim1:\n\n",
            include_str!("../../fixtures/aix/lsnim-l/machine.txt"),
            "\r\n",
            include_str!("../../fixtures/aix/lsnim-l/spot_and_mksysb.txt")
        );
        let told: Vec<(usize, String)> = nim_objects(text)
            .into_iter()
            .map(|stanza| (stanza.line, stanza.object.unwrap().name))
            .collect();
        let wanted = [(3, "lpar7"), (17, "spot_7300_02"), (33, "mk_lpar7")];
        assert_eq!(told, wanted.map(|(line, name)| (line, name.to_owned())));
    }

    #[test]
    fn an_error_of_several_lines_costs_no_object() {
        let odd = include_str!("../../fixtures/aix/lsnim-l/err_info_lines.txt");
        let all = nim_objects(&format!("{odd}lpar8:\n   class = machines\n"));
        let names: Vec<String> = all.into_iter().map(|row| row.object.unwrap().name).collect();
        assert_eq!(names, ["lpar7", "lpar8"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_in_its_place() {
        let text = "a:\n   class = machines\nlsnim: lost\nb:\nc:\n   type\n";
        let told: Vec<(usize, bool)> =
            nim_objects(text).iter().map(|stanza| (stanza.line, stanza.object.is_ok())).collect();
        assert_eq!(told, [(1, true), (3, false), (4, false), (6, false)]);
        assert!(nim_objects("0042-053 lsnim: there is no NIM object named \"x\"\n").is_empty());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>()) {
            for text in [text, String::from_utf8_lossy(&tail).into_owned()] {
                let _ = nim_objects(&text);
                let _ = nim_objects(&format!("x:\n a = b\n{text}"));
            }
        }
    }
}
