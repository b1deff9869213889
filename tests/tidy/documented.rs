//! What is public has a comment that says what it is for: types, their variants,
//! functions, constants. A field has one where its name does not say it.

use std::fs;

/// The item that a line declares, if it must be documented: what is public, by the
/// compiler's rule that only what can be reached is `pub`.
fn declared(line: &str, is_within: Option<Within>) -> Option<&str> {
    const ITEMS: [&str; 8] =
        ["fn ", "struct ", "enum ", "union ", "trait ", "type ", "const ", "static "];
    let text = line.trim_start();
    let is_member = line.len() - text.len() == 4;
    let starts_item = |text: &str| ITEMS.iter().any(|item| text.starts_with(item));
    match text.strip_prefix("pub ") {
        Some(rest) => {
            let rest = rest.strip_prefix("async ").unwrap_or(rest);
            starts_item(rest).then_some(rest)
        }
        None if is_within == Some(Within::Trait) && is_member => starts_item(text).then_some(text),
        None if is_within == Some(Within::Enum) && is_member => {
            text.starts_with(char::is_uppercase).then_some(text)
        }
        None => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Trait,
    Enum,
}

/// Numbers and texts of the lines that declare something without a comment.
fn undocumented(source: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut within = None;
    let (mut documented, mut in_attribute) = (false, false);
    for (index, line) in source.lines().enumerate() {
        let text = line.trim_start();
        match line {
            "}" => within = None,
            _ if line.starts_with("pub trait ") => within = Some(Within::Trait),
            _ if line.starts_with("pub enum ") => within = Some(Within::Enum),
            "#[cfg(test)]" => break,
            _ => {}
        }
        if text.starts_with("///") {
            documented = true;
        } else if in_attribute || text.starts_with("#[") {
            in_attribute = !text.ends_with(']');
        } else {
            // The head of a trait or an enum is no member of it.
            // What a macro declares is documented where the macro is used.
            let item = declared(line, within).filter(|item| !item.contains('$'));
            if let (Some(item), false) = (item, documented) {
                found.push((index + 1, item));
            }
            documented = false;
        }
    }
    found
}

#[test]
fn public_types_and_functions_are_documented() {
    let mut found = Vec::new();
    for file in crate::files_below(&crate::root().join("src"), ".rs") {
        let source = fs::read_to_string(&file).expect("readable source");
        for (line, item) in undocumented(&source) {
            found.push(format!("{}:{line}: {item}", crate::relative(&file)));
        }
    }
    assert!(found.is_empty(), "say in a comment what each is for: {found:#?}");
}

#[test]
fn a_planted_item_without_a_comment_is_found() {
    let source = "/// A.\n#[derive(Debug)]\npub struct A {\n    pub field: u8,\n}\n\
                  pub async fn b() {}\n/// C.\npub enum C {\n    /// D.\n    D,\n    E(u8),\n}\n\
                  impl A {\n    pub const fn f() {}\n    fn g() {}\n}\n/// T.\npub trait T {\n    fn h();\n}\n\
                  /// I.\n#[derive(\n    Debug,\n)]\npub struct I;\n#[cfg(test)]\nmod tests { pub fn k() {} }\n";
    let lines: Vec<usize> = undocumented(source).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [6, 11, 14, 19]);
}
