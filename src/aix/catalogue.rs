//! AIX's and NIM's messages: what each means for a migration, and what to do.
//!
//! The data is `messages.toml`, which is compiled in. It is read once, at first
//! use; a test reads it too, so that a mistake in it does not leave the house.

use std::sync::OnceLock;

use toml_span::de_helpers::TableHelper;
use toml_span::{DeserError, Deserialize, Value};

use crate::domain::FailureClass;

const DATA: &str = include_str!("messages.toml");

/// How well an entry is founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Read in a public source.
    Read,
    /// Some of it was read; the rest is general knowledge of AIX.
    Part,
    /// General knowledge of AIX: confirm on a machine.
    General,
}

impl Trust {
    /// What it says of the entry, as a sentence without its full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Trust::Read => "read in a public source",
            Trust::Part => "read in part in a public source; the rest is general knowledge of AIX",
            Trust::General => "general knowledge of AIX: confirm it on a machine",
        }
    }
}

/// An entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The message ids; none where the words alone decide.
    pub ids: Vec<String>,
    /// The command that says it, where it is always the same.
    pub tool: String,
    /// Words in small letters, of which one must be in the line; none where the
    /// id alone decides.
    pub patterns: Vec<String>,
    pub class: FailureClass,
    /// Where the class depends on more than the line.
    pub remark: String,
    /// What it says, shortened.
    pub text: String,
    /// What is behind it; may be empty.
    pub cause: String,
    /// What to do; may be empty.
    pub hint: String,
    /// How well this is founded.
    pub trust: Trust,
    /// Where it was read.
    pub sources: Vec<String>,
    /// Lines that this entry must classify.
    pub samples: Vec<String>,
}

impl Entry {
    /// Whether one of the patterns, if there are any, is in `line`, which is in
    /// small letters.
    pub(super) fn fits(&self, line: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|words| line.contains(&**words))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize(value: &mut Value<'de>) -> Result<Entry, DeserError> {
        let mut table = TableHelper::new(value)?;
        let class = table.required_s::<String>("class");
        let trust = table.required_s::<String>("trust");
        let mut text = |key| table.optional::<String>(key).unwrap_or_default();
        let (tool, remark, cause, hint) =
            (text("tool"), text("remark"), text("cause"), text("hint"));
        let mut list = |key| table.optional::<Vec<String>>(key).unwrap_or_default();
        let (ids, patterns, sources) = (list("ids"), list("patterns"), list("sources"));
        let (text, samples) = (table.required("text"), table.required("samples"));
        table.finalize(None)?;
        let (class, trust, text, samples) = (class?, trust?, text?, samples?);
        let class = class_of(&class.value)
            .ok_or_else(|| expected("a class of failure", &class.value, class.span))?;
        let trust = trust_of(&trust.value)
            .ok_or_else(|| expected("read, part or general", &trust.value, trust.span))?;
        Ok(Entry { ids, tool, patterns, class, remark, text, cause, hint, trust, sources, samples })
    }
}

fn expected(what: &str, found: &str, span: toml_span::Span) -> DeserError {
    let kind = toml_span::ErrorKind::Custom(format!("`{found}` is not {what}").into());
    toml_span::Error { kind, span, line_info: None }.into()
}

fn class_of(word: &str) -> Option<FailureClass> {
    Some(match word {
        "transient" => FailureClass::Transient,
        "permanent" => FailureClass::Permanent,
        "already-done" => FailureClass::AlreadyDone,
        "informative" => FailureClass::Informative,
        "wrapper" => FailureClass::Wrapper,
        "needs-operator" => FailureClass::NeedsOperator,
        _ => return None,
    })
}

fn trust_of(word: &str) -> Option<Trust> {
    Some(match word {
        "read" => Trust::Read,
        "part" => Trust::Part,
        "general" => Trust::General,
        _ => return None,
    })
}

/// All entries, in the order of the file.
pub fn catalogue() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| read(DATA).expect("the catalogue is checked by a test"))
}

fn read(text: &str) -> Result<Vec<Entry>, DeserError> {
    let mut document = toml_span::parse(text)?;
    let mut table = TableHelper::new(&mut document)?;
    let entries = table.required("message");
    table.finalize(None)?;
    Ok(entries?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::aix::verdict::{matching, message_ids};

    #[test]
    fn the_catalogue_is_sound() {
        let entries = read(DATA).unwrap();
        let mut bare: BTreeSet<&str> = BTreeSet::new();
        for entry in &entries {
            let name = format!("{:?} {:?}", entry.ids, entry.patterns);
            assert!(!entry.ids.is_empty() || !entry.patterns.is_empty(), "{name}");
            assert!(!entry.samples.is_empty() && !entry.text.is_empty(), "{name}");
            assert_eq!(entry.sources.is_empty(), entry.trust == Trust::General, "{name}");
            for id in &entry.ids {
                assert_eq!(message_ids(id), [id.as_str()], "{name}");
                assert!(!bare.contains(id.as_str()), "{id} is decided before {name}");
                if entry.patterns.is_empty() {
                    bare.insert(id);
                }
            }
            for words in &entry.patterns {
                assert_eq!(*words, words.to_ascii_lowercase(), "{name}");
                assert!(words.len() >= 7, "`{words}` says too little");
            }
        }
    }

    #[test]
    fn every_sample_is_classified_by_its_own_entry() {
        for entry in catalogue() {
            for sample in &entry.samples {
                assert_eq!(matching(sample), Some(entry), "{sample}");
            }
            let ids: Vec<&str> = entry.samples.iter().flat_map(|line| message_ids(line)).collect();
            for id in &entry.ids {
                assert!(ids.contains(&id.as_str()), "{id} has no sample");
            }
        }
    }

    /// What the catalogue began with, a real line each (some rows have several),
    /// and what it must go on to mean.
    const REFERENCE: &str = include_str!("../../tests/golden/reference_messages.txt");

    #[test]
    fn no_row_of_the_reference_is_missing_or_means_another_thing() {
        assert_eq!(REFERENCE.lines().count(), 121);
        for row in REFERENCE.lines() {
            let (class, line) = row.split_once(' ').unwrap();
            let entry = matching(line).unwrap_or_else(|| panic!("{line} is not known"));
            assert_eq!(Some(entry.class), class_of(class), "{line}");
        }
    }

    #[test]
    fn a_mistake_in_the_file_is_told() {
        let entry = |class: &str| {
            format!(
                "[[message]]\nids = [\"0001-001\"]\nclass = \"{class}\"\ntext = \"x\"\ntrust = \"read\"\nsamples = []\n"
            )
        };
        assert_eq!(read(&entry("permanent")).unwrap().len(), 1);
        let wrong = read(&entry("final")).unwrap_err().to_string();
        assert!(wrong.contains("`final` is not a class of failure"), "{wrong}");
        assert!(read(&entry("permanent").replace("trust", "thrust")).is_err());
        assert!(read("").is_err());
    }
}
