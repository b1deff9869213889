//! No file of a room imports one that imports it, by whatever way round.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use crate::scan::{Crate, Module, Target, Use, tokens};

/// For each file, the files of its room that it imports, with the names taken.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What each file takes from the others of its room, tests left out.
fn imports(read: &Crate) -> Imports {
    let mut found = Imports::new();
    for (at, module) in read.modules.iter().enumerate() {
        let mut take = |target: Option<Target>, name: &str| {
            // A folder's name alone takes nothing: what is named through it does.
            let Some(Target::Item(from) | Target::Module(from)) = target.filter(|target| {
                !matches!(target, Target::Module(from) if !read.modules[*from].children.is_empty())
            }) else {
                return;
            };
            let other = &read.modules[from];
            if from != at && other.name.first() == module.name.first() {
                let names = found.entry(module.file.clone()).or_default();
                names.entry(other.file.clone()).or_default().insert(name.to_owned());
            }
        };
        for import in &module.uses {
            let target = read.resolve(at, &import.path);
            match target {
                // Of all names those that the file uses.
                Some(Target::Module(from)) if import.name == "*" => {
                    for word in &module.words {
                        take(read.resolve(from, std::slice::from_ref(word)), word);
                    }
                }
                _ if is_shown_only(read, module, import, target) => {}
                _ => take(target, &import.name),
            }
        }
        for path in &module.paths {
            take(read.resolve(at, path), &path.join("::"));
        }
    }
    found
}

/// Whether a folder's file only hands on what a file below it declares.
fn is_shown_only(read: &Crate, module: &Module, import: &Use, target: Option<Target>) -> bool {
    let is_below = |from: usize| read.modules[from].name.starts_with(&module.name);
    import.is_public
        && !module.children.is_empty()
        && matches!(target, Some(Target::Item(from) | Target::Module(from)) if is_below(from))
        && !module.words.contains(&import.name)
}

/// The circles: sets of files of which each imports each, at last.
fn rings(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reached = |start: &String| {
        let mut seen = BTreeSet::new();
        let mut next = vec![start];
        while let Some(file) = next.pop() {
            for other in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(other.clone()) {
                    next.push(other);
                }
            }
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|file| (file, reached(file))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (file, reaches) in &all {
        if reaches.contains(*file) && !found.iter().any(|ring| ring.contains(*file)) {
            let back = |other: &&String| all.get(other).is_some_and(|all| all.contains(*file));
            found.push(reaches.iter().filter(back).cloned().collect());
        }
    }
    found
}

/// A circle for people: which file takes what from which.
fn told(ring: &BTreeSet<String>, imports: &Imports) -> String {
    let mut text = String::new();
    for file in ring {
        for (other, names) in imports[file].iter().filter(|(other, _)| ring.contains(*other)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let _ = write!(text, "\n  src/{file} -> src/{other}: {}", names.join(", "));
        }
    }
    text
}

fn source(file: &str) -> Option<String> {
    fs::read_to_string(crate::root().join("src").join(file)).ok()
}

#[test]
fn no_file_of_a_room_imports_what_imports_it() {
    let imports = imports(&Crate::read(&source));
    let circles: String = rings(&imports).iter().map(|ring| told(ring, &imports) + "\n").collect();
    assert!(circles.is_empty(), "circle of imports:{circles}");
}

#[test]
fn no_path_climbs_by_more_than_one_super() {
    let mut found = String::new();
    for file in crate::files_below(&crate::root().join("src"), ".rs") {
        let tokens = tokens(&fs::read_to_string(&file).expect("readable source"));
        if tokens.windows(3).any(|three| three == ["super", "::", "super"]) {
            let file = crate::relative(&file);
            let room = file.split('/').nth(1).unwrap_or_default();
            let _ = write!(found, "\n  {file}: write `crate::{room}::…`");
        }
    }
    assert!(found.is_empty(), "`super::super`:{found}");
}

/// The files of the only circle in a crate of these files.
fn planted(files: &[(&str, &str)]) -> Vec<String> {
    let text = |file: &str| {
        let found = files.iter().find(|(name, _)| *name == file);
        found.map(|(_, text)| (*text).to_owned())
    };
    let found = rings(&imports(&Crate::read(&text)));
    assert!(found.len() < 2, "{found:?}");
    found.into_iter().flatten().collect()
}

#[test]
fn a_planted_circle_is_found_by_whatever_path_it_goes() {
    for (a, b) in [
        ("use super::b::B; pub struct A;", "use super::a::A; pub struct B;"),
        (
            "use crate::room::{b::B}; pub struct A;",
            "use crate::{room::a::{self, A}}; pub struct B;",
        ),
        ("use super::B; pub struct A;", "pub struct B; fn f() { super::a::g(); }"),
        (
            "pub fn f() { crate::room::B::new(); }",
            "use super::a; pub struct B(u8); fn g() { a::f() }",
        ),
        (
            "use super::*; pub fn f() -> B {}",
            "pub struct B; fn g<'a>(_: &'a str) { super::a::f(\"{\") }",
        ),
        (
            "use super::super::room::b as other; fn f(_: other::B) {}",
            "pub struct B; pub use super::a::f;",
        ),
    ] {
        let shown = "mod a; mod b; pub use b::B;";
        let files =
            [("lib.rs", "mod room;"), ("room/mod.rs", shown), ("room/a.rs", a), ("room/b.rs", b)];
        assert_eq!(planted(&files), ["room/a.rs", "room/b.rs"], "{a}");
    }
}

#[test]
fn a_folder_that_uses_its_files_is_not_used_by_them() {
    let folder = "mod a; pub use a::A; pub const N: u8 = 1; fn f() { a::g(); }";
    let of_a = "use super::N; pub struct A; pub fn g() {}";
    let files = [("lib.rs", "mod room;"), ("room/mod.rs", folder), ("room/a.rs", of_a)];
    assert_eq!(planted(&files), ["room/a.rs", "room/mod.rs"]);
    // It may show what a file declares, and a file may take what it declares.
    let shows = folder.replace("a::g();", "");
    let files = [("lib.rs", "mod room;"), ("room/mod.rs", &shows), ("room/a.rs", of_a)];
    assert_eq!(planted(&files), [""; 0]);
    // What it shows and uses by its bare name is used.
    let uses = folder.replace("a::g();", "A;");
    let files = [("lib.rs", "mod room;"), ("room/mod.rs", &uses), ("room/a.rs", of_a)];
    assert_eq!(planted(&files), ["room/a.rs", "room/mod.rs"]);
}

#[test]
fn tests_comments_and_texts_import_nothing() {
    let a = "pub struct A; // super::b::B\n#[cfg(test)] mod tests { use super::super::b::B; }";
    let b =
        "use super::a::A; const T: &str = r#\"\"super::a\"#; const C: char = '\"'; pub struct B;";
    let files = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod a; mod b;"),
        ("room/a.rs", a),
        ("room/b.rs", b),
    ];
    assert_eq!(planted(&files), [""; 0]);
}
