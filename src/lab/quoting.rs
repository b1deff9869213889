//! A line of shell as words: quotes and variables.

/// `word` with what stands for its variables.
pub(crate) fn with_variables(word: &str, env: &[(String, String)]) -> String {
    let mut names: Vec<&(String, String)> = env.iter().collect();
    // The longest first: NAME must not be taken for a part of NAME_2.
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names.into_iter().fold(word.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
    })
}

/// Splits a command line by POSIX quoting. `None` when a quote is not closed.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let words = split(r#"tar -C '/a b' "x\"y" it\'s '' z"#).unwrap();
        assert_eq!(words, ["tar", "-C", "/a b", "x\"y", "it's", "", "z"]);
        assert_eq!(split("'open"), None);
    }

    #[test]
    fn the_longest_variable_is_taken() {
        let env = [("A".to_owned(), "1".to_owned()), ("AB".to_owned(), "2".to_owned())];
        assert_eq!(with_variables("$AB-${A}", &env), "2-1");
    }
}
