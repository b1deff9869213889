//! `lsnim -l`.

use super::unread::{Unread, lines};

/// A NIM object with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NimObject {
    pub name: String,
    /// Attributes in the order shown. One that is not set is not there.
    pub attributes: Vec<(String, String)>,
}

impl NimObject {
    /// The attribute `key`, if it is set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Whether the value of `key` is what a command has said, in lines of its own.
pub(super) fn is_text(key: &str) -> bool {
    key == "err_info"
}

fn is_key(word: &str) -> bool {
    let word = word.trim();
    !word.is_empty() && !word.contains(char::is_whitespace)
}

/// The name of the object that a line begins: `lpar8:`.
pub(super) fn stanza_name(line: &str) -> Option<&str> {
    let name = line.strip_suffix(':')?;
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// Whether a line belongs to the object above it.
pub(super) fn is_indented(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// Reads the stanza of `name` from `lsnim -l NAME`.
pub fn nim_object(text: &str, name: &str) -> Result<NimObject, Unread> {
    let mut rows = lines(text).skip_while(|line| line.strip_suffix(':') != Some(name));
    if rows.next().is_none() {
        return Err(Unread::missing("lsnim -l", "stanza of that name"));
    }
    let mut attributes: Vec<(String, String)> = Vec::new();
    for line in rows {
        let is_moved_in = is_indented(line);
        match (line.split_once('='), attributes.last_mut()) {
            (Some((key, value)), _) if is_moved_in && is_key(key) => {
                attributes.push((key.trim().to_owned(), value.trim().to_owned()));
            }
            // An error's text may have several lines, at the margin or not.
            (_, Some((key, value))) if is_text(key) && stanza_name(line).is_none() => {
                value.push(' ');
                value.push_str(line.trim());
            }
            // The next stanza begins at the margin.
            _ if !is_moved_in => break,
            _ => return Err(Unread::line("lsnim -l", line)),
        }
    }
    if attributes.is_empty() {
        return Err(Unread::missing("lsnim -l", "attribute"));
    }
    Ok(NimObject { name: name.to_owned(), attributes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stanza_is_read_whatever_its_width() {
        let text = include_str!("../../fixtures/aix/lsnim-l/machine.txt");
        let object = nim_object(text, "lpar7").unwrap();
        assert_eq!(object.get("Cstate"), Some("ready for a NIM operation"));
        assert_eq!(object.get("if1"), Some("net_10_1 lpar7 0"));
        assert_eq!(object.get("locked"), None);
        let text = include_str!("../../fixtures/aix/lsnim-l/spot_and_mksysb.txt");
        let object = nim_object(text, "spot_7300_02").unwrap();
        assert_eq!(object.get("location"), Some("/export/nim/spot_7300_02/usr"));
        assert_eq!(object.get("creation_date"), None);
        assert_eq!(nim_object(text, "mk_lpar7").unwrap().get("release"), Some("2"));
    }

    #[test]
    fn an_error_of_several_lines_hides_nothing_after_it() {
        let text = include_str!("../../fixtures/aix/lsnim-l/err_info_lines.txt");
        let object = nim_object(text, "lpar7").unwrap();
        let told = object.get("err_info").unwrap();
        assert!(told.starts_with("mount: nim1") && told.ends_with("No route to host"), "{told}");
        assert_eq!(object.get("locked"), Some("7340412"));
        let two = format!("{text}lpar8:\n   class = machines\n");
        assert_eq!(nim_object(&two, "lpar7").unwrap(), object);
    }

    #[test]
    fn a_broken_stanza_is_an_error() {
        assert!(nim_object("lpar7:\n   class machines\n", "lpar7").is_err());
        assert!(nim_object("lpar7:\n", "lpar7").is_err());
        assert!(nim_object("0042-053 lsnim: there is no NIM object named \"x\"", "x").is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}(\n.{0,80}){0,4}", tail in any::<Vec<u8>>()) {
            for text in [text, String::from_utf8_lossy(&tail).into_owned()] {
                let _ = nim_object(&text, "x");
                let _ = nim_object(&format!("x:\n{text}"), "x");
            }
        }
    }
}
