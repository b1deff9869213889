//! Reads a crate's source as far as imports need it: which file declares what,
//! and which paths it names. Knows words and brackets, and no types: what a
//! method call reaches is not seen.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A file of the crate, as a module.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The path below `src`.
    pub(crate) file: String,
    /// Its name from the crate's root on: `lab`, `commands`.
    pub(crate) name: Vec<String>,
    /// Files below it, by name.
    pub(crate) children: BTreeMap<String, usize>,
    /// What it declares itself.
    items: BTreeSet<String>,
    pub(crate) uses: Vec<Use>,
    /// Paths of two words or more in its code, beside those of `use`.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// Every word of its code that begins a path, or is one.
    pub(crate) words: BTreeSet<String>,
}

/// One name that a `use` brings in; `*` for all names.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    pub(crate) is_public: bool,
}

/// All files of a crate, the root first. Files of tests are left out.
pub(crate) struct Crate {
    pub(crate) modules: Vec<Module>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Module(usize),
    /// Something that this module declares.
    Item(usize),
}

impl Crate {
    /// Reads `lib.rs` and all that it declares; `text` gives a file below `src`.
    pub(crate) fn read(text: &dyn Fn(&str) -> Option<String>) -> Crate {
        let mut read = Crate { modules: Vec::new() };
        let root = text("lib.rs").expect("a crate has its root");
        read.add("lib.rs".to_owned(), Vec::new(), &root, text);
        read
    }

    fn add(
        &mut self,
        file: String,
        name: Vec<String>,
        source: &str,
        text: &dyn Fn(&str) -> Option<String>,
    ) -> usize {
        let index = self.modules.len();
        let mut tokens = tokens(source);
        drop_tests(&mut tokens);
        let (module, declared) = Module::of(file, name, &tokens);
        let name = module.name.clone();
        self.modules.push(module);
        for child in declared {
            let mut below = name.clone();
            below.push(child.clone());
            let path = below.join("/");
            let found = [format!("{path}.rs"), format!("{path}/mod.rs")];
            let found = found.into_iter().find_map(|file| Some((text(&file)?, file)));
            let (source, file) = found.unwrap_or_else(|| panic!("there is no file of {path}"));
            let at = self.add(file, below, &source, text);
            self.modules[index].children.insert(child, at);
        }
        index
    }

    /// Where `path` leads, as it stands in the code of module `at`.
    pub(crate) fn resolve(&self, at: usize, path: &[String]) -> Option<Target> {
        self.follow(at, path, 0)
    }

    fn follow(&self, start: usize, path: &[String], depth: usize) -> Option<Target> {
        if depth > 16 {
            return None; // The name of a foreign crate, or a circle of `use`.
        }
        let mut at = start;
        for (index, word) in path.iter().enumerate() {
            let module = &self.modules[at];
            if let Some(child) = module.children.get(word) {
                at = *child;
                continue;
            }
            match word.as_str() {
                "crate" => at = 0,
                "self" => {}
                "super" => at = self.parent(at),
                _ if module.items.contains(word) => return Some(Target::Item(at)),
                _ => {
                    let rest = &path[index + 1..];
                    if let Some(found) = module.uses.iter().find(|found| found.name == *word) {
                        let path: Vec<String> = found.path.iter().chain(rest).cloned().collect();
                        return self.follow(at, &path, depth + 1);
                    }
                    let globs = module.uses.iter().filter(|found| found.name == "*");
                    let found = globs.filter_map(|glob| {
                        let path: Vec<String> = glob.path.iter().chain([word]).cloned().collect();
                        self.follow(at, &path, depth + 1)
                    });
                    // What nobody is seen to declare is taken as the module's own.
                    let own = (index > 0).then_some(Target::Item(at));
                    return found.into_iter().next().or(own);
                }
            }
        }
        Some(Target::Module(at))
    }

    fn parent(&self, at: usize) -> usize {
        let found =
            self.modules.iter().position(|module| module.children.values().any(|c| *c == at));
        found.unwrap_or(0)
    }
}

impl Module {
    /// The module that `tokens` make, and the files that it declares.
    fn of(file: String, name: Vec<String>, tokens: &[String]) -> (Module, Vec<String>) {
        let mut module = Module { file, name, ..Module::default() };
        let mut declared = Vec::new();
        let word = |index: usize| tokens.get(index).map_or("", String::as_str);
        let mut depth = 0_usize;
        let mut index = 0;
        while index < tokens.len() {
            match word(index) {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                "#" if word(index + 1) == "[" || word(index + 1) == "!" => {
                    index = end_of_brackets(tokens, index);
                    continue;
                }
                "use" => {
                    let is_public = index > 0 && matches!(word(index - 1), "pub" | ")");
                    let end = index + position(&tokens[index..], ";");
                    let tree = &tokens[index + 1..end];
                    read_use(tree, &mut Vec::new(), is_public, &mut module.uses);
                    index = end;
                }
                "mod" if depth == 0 && word(index + 2) == ";" => {
                    declared.push(word(index + 1).to_owned());
                    index += 2;
                }
                "mod" | "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const"
                | "static"
                    if depth == 0 && is_name(word(index + 1)) =>
                {
                    module.items.insert(word(index + 1).to_owned());
                    index += 1;
                }
                first if is_name(first) => {
                    let mut path = vec![first.to_owned()];
                    while word(index + 1) == "::" && is_name(word(index + 2)) {
                        path.push(word(index + 2).to_owned());
                        index += 2;
                    }
                    let follows = index + 1 >= 2 * path.len()
                        && matches!(word(index + 1 - 2 * path.len()), "." | "::");
                    if !follows {
                        module.words.insert(path[0].clone());
                        if path.len() > 1 {
                            module.paths.insert(path);
                        }
                    }
                }
                _ => {}
            }
            index += 1;
        }
        (module, declared)
    }
}

fn position(tokens: &[String], wanted: &str) -> usize {
    tokens.iter().position(|token| token == wanted).unwrap_or(tokens.len())
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The names of a `use`, without the word itself and its semicolon.
fn read_use(tree: &[String], before: &mut Vec<String>, is_public: bool, uses: &mut Vec<Use>) {
    let depth_before = before.len();
    let mut index = 0;
    let mut name = None;
    while index < tree.len() {
        match tree[index].as_str() {
            "::" => {}
            "as" => {
                name = tree.get(index + 1).cloned();
                index += 1;
            }
            "{" => {
                let end = end_of_brackets(tree, index);
                for part in parts(&tree[index + 1..end - 1]) {
                    read_use(part, before, is_public, uses);
                }
                before.truncate(depth_before);
                return;
            }
            "*" => name = Some("*".to_owned()),
            word => before.push(word.to_owned()),
        }
        index += 1;
    }
    let mut path = before.clone();
    before.truncate(depth_before);
    // `use a::{self}` brings in `a`.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(last) = path.last() {
        uses.push(Use { name: name.unwrap_or_else(|| last.clone()), path, is_public });
    }
}

/// What stands between commas that are in no brackets.
fn parts(tokens: &[String]) -> Vec<&[String]> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                found.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    found.push(&tokens[start..]);
    found.retain(|part| !part.is_empty());
    found
}

/// The place behind the brackets that open at or behind `start`.
fn end_of_brackets(tokens: &[String], start: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Takes out what is compiled for tests alone.
fn drop_tests(tokens: &mut Vec<String>) {
    let marks = ["#", "[", "cfg", "(", "test", ")", "]"];
    let is_mark = |rest: &[String]| rest.len() >= 7 && rest.iter().zip(marks).all(|(a, b)| a == b);
    let mut index = 0;
    while index < tokens.len() {
        if !is_mark(&tokens[index..]) {
            index += 1;
            continue;
        }
        let mut end = index;
        while end < tokens.len() {
            match tokens[end].as_str() {
                ";" | "," => {
                    end += 1;
                    break;
                }
                "{" => {
                    end = end_of_brackets(tokens, end);
                    break;
                }
                "(" | "[" => end = end_of_brackets(tokens, end),
                "}" | ")" => break,
                _ => end += 1,
            }
        }
        tokens.drain(index..end);
    }
}

/// Words and signs, without comments, texts, characters and lifetimes.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    flatten(source.parse().expect("source that the compiler reads"), &mut found);
    found
}

fn flatten(tree: TokenStream, found: &mut Vec<String>) {
    // The sign before is the first half of `::`, or of a lifetime.
    let (mut is_half, mut is_lifetime) = (false, false);
    for token in tree {
        let (was_half, was_lifetime) = (is_half, is_lifetime);
        (is_half, is_lifetime) = (false, false);
        match token {
            TokenTree::Group(group) => {
                let [open, close] = match group.delimiter() {
                    Delimiter::Parenthesis => ["(", ")"],
                    Delimiter::Brace => ["{", "}"],
                    Delimiter::Bracket => ["[", "]"],
                    Delimiter::None => ["", ""],
                };
                found.push(open.to_owned());
                flatten(group.stream(), found);
                found.push(close.to_owned());
            }
            TokenTree::Ident(_) if was_lifetime => {}
            TokenTree::Ident(word) => found.push(word.to_string()),
            TokenTree::Punct(sign) if sign.as_char() == '\'' => is_lifetime = true,
            TokenTree::Punct(sign) if sign.as_char() == ':' && was_half => {
                found.pop();
                found.push("::".to_owned());
            }
            TokenTree::Punct(sign) => {
                is_half = sign.as_char() == ':' && sign.spacing() == Spacing::Joint;
                found.push(sign.to_string());
            }
            TokenTree::Literal(_) => {}
        }
    }
}

/// The rooms that `crate::x` and `crate::{x, y::z}` name.
pub(crate) fn rooms(source: &str) -> BTreeSet<String> {
    let tokens = tokens(source);
    let mut found = BTreeSet::new();
    for index in 0..tokens.len().saturating_sub(2) {
        if tokens[index] == "crate" && tokens[index + 1] == "::" {
            let rest = &tokens[index + 2..];
            let named = match rest[0].as_str() {
                "{" => parts(&rest[1..end_of_brackets(rest, 0) - 1]),
                _ => vec![&rest[..1]],
            };
            found.extend(named.into_iter().map(|part| part[0].clone()));
        }
    }
    found
}
