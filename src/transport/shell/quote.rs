//! Words for a shell: the one place that quotes.

/// `word` as people would write it, quoted where a shell would read it.
pub(in crate::transport) fn readable(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    quoted(word)
}

/// `word` in single quotes: no alias, no reserved word, no assignment, and
/// nothing that any shell would read.
pub(in crate::transport) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `words` in single quotes, separated by blanks.
pub(in crate::transport) fn all_quoted(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}
