//! A value as a source has it, before a key of the plan says what it must be.

/// A value. Scalars are texts: which of them are numbers or truth values is for
/// the key to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing: an empty cell, a null.
    Empty,
    /// A scalar.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping, in the order of the source.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The scalar `text`; nothing if it is blank.
    pub(super) fn text(text: &str) -> Value {
        match text.trim() {
            "" => Value::Empty,
            text => Value::Text(text.to_owned()),
        }
    }

    /// Whether a part of it is a template, which only Ansible can evaluate.
    pub(super) fn is_template(&self) -> bool {
        match self {
            Value::Empty => false,
            Value::Text(text) => text.contains("{{") || text.contains("{%"),
            Value::List(items) => items.iter().any(Value::is_template),
            Value::Map(pairs) => pairs.iter().any(|(_, value)| value.is_template()),
        }
    }
}

/// A value of an INI inventory, which Ansible reads as a Python literal where it
/// is one, and as a text where it is not.
pub(super) fn literal(text: &str) -> Value {
    let mut reader = Literal { rest: text.trim() };
    match reader.value(0) {
        Some(value) if reader.rest.trim().is_empty() => value,
        _ => Value::text(text),
    }
}

/// Deeper literals are texts.
const DEPTH_MAX: usize = 8;

struct Literal<'a> {
    rest: &'a str,
}

impl Literal<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            _ if depth > DEPTH_MAX => None,
            '[' => self.items(']', depth).map(Value::List),
            '(' => self.items(')', depth).map(Value::List),
            '{' => self.pairs(depth).map(Value::Map),
            quote @ ('\'' | '"') => self.quoted(quote).map(Value::Text),
            _ => self.word(),
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn items(&mut self, end: char, depth: usize) -> Option<Vec<Value>> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        loop {
            if self.take(end) {
                return Some(items);
            }
            items.push(self.value(depth + 1)?);
            if !self.take(',') {
                return self.take(end).then_some(items);
            }
        }
    }

    fn pairs(&mut self, depth: usize) -> Option<Vec<(String, Value)>> {
        self.rest = &self.rest[1..];
        let mut pairs = Vec::new();
        loop {
            if self.take('}') {
                return Some(pairs);
            }
            let Value::Text(key) = self.value(depth + 1)? else { return None };
            if !self.take(':') {
                return None;
            }
            pairs.push((key, self.value(depth + 1)?));
            if !self.take(',') {
                return self.take('}').then_some(pairs);
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let inner = &self.rest[1..];
        let end = inner.find(quote)?;
        // Escapes would have to be understood: such a text is left as it is.
        let text = &inner[..end];
        self.rest = &inner[end + 1..];
        (!text.contains('\\')).then(|| text.to_owned())
    }

    /// A number, a truth value or `None`.
    fn word(&mut self) -> Option<Value> {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || ",]){}:".contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" => Some(Value::Empty),
            "True" | "False" => Some(Value::Text(word.to_owned())),
            _ if !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) => {
                Some(Value::Text(word.to_owned()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Value {
        Value::List(words.iter().map(|word| Value::Text((*word).to_owned())).collect())
    }

    #[test]
    fn a_python_literal_is_read_and_anything_else_is_a_text() {
        assert_eq!(literal("['hdisk1', \"hdisk2\",]"), texts(&["hdisk1", "hdisk2"]));
        assert_eq!(literal("'hdisk1'"), Value::Text("hdisk1".to_owned()));
        assert_eq!(literal("None"), Value::Empty);
        assert_eq!(literal("  "), Value::Empty);
        let pair = ("disk_name".to_owned(), Value::Text("hdisk1".to_owned()));
        assert_eq!(literal("{'disk_name': 'hdisk1'}"), Value::Map(vec![pair]));
        for text in ["hdisk1 hdisk2", "[hdisk1]", "['a", "7300-02", "{{ spot }}", "[1] x"] {
            assert_eq!(literal(text), Value::Text(text.to_owned()));
        }
        let deep = "[".repeat(100_000);
        assert_eq!(literal(&deep), Value::Text(deep));
    }

    #[test]
    fn a_template_is_found_wherever_it_is() {
        assert!(literal("['{{ disk }}']").is_template());
        assert!(!literal("{'a': 'b'}").is_template());
    }
}
