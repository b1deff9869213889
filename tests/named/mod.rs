//! What the program says to people: the texts of its sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Every text of the modules that speak to people, outside of their tests.
pub(crate) fn messages() -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    // The lab speaks for AIX.
    files.retain(|file| !file.starts_with(root.join("lab")));
    assert!(files.len() > 50, "the sources are found");
    files.iter().flat_map(|file| literals(&fs::read_to_string(file).unwrap())).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.to_string_lossy().ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// The texts of a source: what stands between quotes, outside of comments and of
/// its tests.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = Vec::new();
    let mut chars = code.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        // Not the quote as a character: '"'.
        if c == '"' && before != '\'' {
            let mut literal = String::new();
            while let Some(c) = chars.next().filter(|c| *c != '"') {
                if c != '\\' {
                    literal.push(c);
                } else if chars.next() == Some('\n') {
                    while chars.next_if(|c| c.is_whitespace()).is_some() {}
                } else {
                    literal.push(' ');
                }
            }
            found.push(literal);
        }
        before = c;
    }
    found
}

/// What stands between backticks in a text.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
