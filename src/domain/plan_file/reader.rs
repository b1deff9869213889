//! A document that is read for its meaning: places, names, words, errors.

use std::fmt::Display;

use toml_span::Value;

use super::error::{Collector, Lines};
use super::source::{Seg, find, place};
use super::words::{Raw, Word};

/// Where something is set. `None` is the table for all clients.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// A key of a table.
    Key(&'static str, &'static str),
    /// A key of a rule for messages.
    Rule(usize, &'static str),
    /// The client itself.
    Client(usize),
    /// A key of a client alone.
    Own(usize, &'static str),
    /// A key of `[target]` or of the client.
    Target(usize, &'static str),
    /// An option of the client or of `[defaults]`.
    Option(Option<usize>, &'static str),
    /// One of several values of an option.
    Item(Option<usize>, &'static str, usize),
    /// A setting of a table that the client can have too.
    Setting(Option<usize>, &'static str, &'static str),
}

impl At {
    /// The places to look in, the nearest first.
    fn paths(self) -> Vec<Vec<Seg>> {
        let key = |key: &str| Seg::Key(key.to_owned());
        let client = |index| vec![key("client"), Seg::Index(index)];
        let with = |mut path: Vec<Seg>, last: &[Seg]| {
            path.extend_from_slice(last);
            path
        };
        let both = |index: Option<usize>, own: &[Seg], shared: Vec<Seg>| {
            let own = index.map(|index| with(client(index), own));
            own.into_iter().chain([shared]).chain(index.map(client)).collect()
        };
        match self {
            At::Key(table, name) => vec![vec![key(table), key(name)], vec![key(table)]],
            At::Rule(index, name) => {
                let rule = vec![key("message"), Seg::Index(index)];
                vec![with(rule.clone(), &[key(name)]), rule]
            }
            At::Client(index) => vec![client(index)],
            At::Own(index, name) => vec![with(client(index), &[key(name)]), client(index)],
            At::Target(index, name) => {
                both(Some(index), &[key(name)], vec![key("target"), key(name)])
            }
            At::Option(index, name) => both(index, &[key(name)], vec![key("defaults"), key(name)]),
            At::Item(index, name, item) => {
                let last = [key(name), Seg::Index(item)];
                both(index, &last, with(vec![key("defaults")], &last))
            }
            At::Setting(index, table, name) => {
                both(index, &[key(table), key(name)], vec![key(table), key(name)])
            }
        }
    }
}

/// Reads the meaning of a plan file.
pub(super) struct Reader<'a, 'de> {
    pub(super) lines: Lines<'a>,
    document: &'a Value<'de>,
    pub(super) licences_by_environment: bool,
    errors: &'a mut Collector,
}

impl<'a, 'de> Reader<'a, 'de> {
    pub(super) fn new(
        text: &'a str,
        document: &'a Value<'de>,
        licences_by_environment: bool,
        errors: &'a mut Collector,
    ) -> Reader<'a, 'de> {
        Reader { lines: Lines::of(text), document, licences_by_environment, errors }
    }

    /// What is wrong at `at`.
    pub(super) fn wrong(&mut self, at: At, what: impl Display, help: impl Into<String>) {
        let name = self.name(at);
        self.push(at, format!("{name}{what}"), help);
    }

    pub(super) fn push(&mut self, at: At, message: String, help: impl Into<String>) {
        let offset = self.offset(at);
        self.errors.push(offset, message, help);
    }

    /// Whether a key is written in the client's own table.
    pub(super) fn sets(&self, index: usize, key: &str) -> bool {
        let path = [Seg::Key("client".to_owned()), Seg::Index(index)];
        find(self.document, &path)
            .and_then(|client| client.as_table())
            .is_some_and(|client| client.contains_key(key))
    }

    /// Whether a key is written in a table of the document.
    pub(super) fn table_sets(&self, table: &str, key: &str) -> bool {
        find(self.document, &[Seg::Key(table.to_owned()), Seg::Key(key.to_owned())]).is_some()
    }

    /// Whether a key is written in `[defaults]`.
    pub(super) fn defaults_set(&self, key: &str) -> bool {
        find(self.document, &[Seg::Key("defaults".to_owned()), Seg::Key(key.to_owned())]).is_some()
    }

    /// The first of the places that is written in the file.
    fn path(&self, at: At) -> Vec<Seg> {
        at.paths().into_iter().find(|path| find(self.document, path).is_some()).unwrap_or_default()
    }

    /// Where it stands in the text.
    pub(super) fn offset(&self, at: At) -> usize {
        let path = self.path(at);
        if path.is_empty() {
            return 0;
        }
        find(self.document, &path).map_or(0, |value| value.span.start)
    }

    /// How messages call it: `spot` in [target], [[client]] `lpar01`.
    fn name(&self, at: At) -> String {
        let path = self.path(at);
        let last_key = path.iter().rposition(|seg| matches!(seg, Seg::Key(_)));
        match last_key.map(|last| (&path[last], &path[..last])) {
            Some((Seg::Key(key), home)) if !home.is_empty() => {
                format!("`{key}` in {}", place(self.document, home))
            }
            _ => place(self.document, &path),
        }
    }

    /// A text as what it is to become; an error if it is not that.
    pub(super) fn word<T>(&mut self, raw: Option<&Raw<T>>, at: At) -> Option<T>
    where
        T: Word,
        T::Err: Display,
    {
        match raw?.text.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                self.wrong(at, format_args!(": {error}"), T::FORM);
                None
            }
        }
    }

    /// As [`Reader::word`], of a word that may be absent: `None` is an error.
    #[expect(clippy::option_option, reason = "the outer one is the error")]
    pub(super) fn maybe<T>(&mut self, raw: Option<&Raw<T>>, at: At) -> Option<Option<T>>
    where
        T: Word,
        T::Err: Display,
    {
        match raw {
            None => Some(None),
            Some(_) => self.word(raw, at).map(Some),
        }
    }
}
