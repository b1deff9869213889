//! The house rules that no compiler knows: layers, circles, owners of crates, sizes,
//! dead files.

#[path = "tidy/documented.rs"]
mod documented;
#[path = "tidy/lab_names.rs"]
mod lab_names;
#[path = "tidy/rings.rs"]
mod rings;
#[path = "tidy/scan.rs"]
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may import, besides itself (see `src/ARCHITECTURE.md`).
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("domain", &["base"]),
    ("machine", &["base", "domain"]),
    ("journal", &["base", "domain", "machine"]),
    ("transport", &["base"]),
    ("aix", &["base", "domain"]),
    ("phases", &["base", "domain", "transport", "aix"]),
    ("lab", &["base", "domain", "transport"]),
    ("engine", &["base", "domain", "machine", "journal", "transport", "phases"]),
    ("report", &["base", "domain", "machine", "journal", "phases"]),
    ("import", &["base", "domain", "aix"]),
    (
        "fleet",
        &[
            "base",
            "domain",
            "machine",
            "journal",
            "transport",
            "aix",
            "phases",
            "lab",
            "engine",
            "report",
        ],
    ),
    (
        "cli",
        &[
            "base",
            "domain",
            "machine",
            "journal",
            "transport",
            "aix",
            "phases",
            "lab",
            "engine",
            "report",
            "fleet",
            "import",
        ],
    ),
];

/// Crates that live in one place and nowhere else.
const OWNERS: &[(&str, &str)] = &[
    ("statig", "src/machine/"),
    ("rusqlite", "src/journal/"),
    ("fs2", "src/journal/lock.rs"),
    ("backoff", "src/base/series.rs"),
    ("csv", "src/import/sheet.rs"),
    ("getrandom", "src/transport/hosts.rs"),
    ("saphyr_parser", "src/import/yaml.rs"),
    ("fuser", "src/lab/net/nfs/"),
    ("nix", "src/lab/net/"),
    ("clap", "src/cli/"),
    ("indicatif", "src/cli/"),
];

/// A file that is longer is to be split by meaning.
const LINES_MAX: usize = 700;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("a path below the root").to_string_lossy().into_owned()
}

/// Code without comments, line by line.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable source");
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_layer_imports_what_is_above_or_beside_it() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut broken = Vec::new();
    for file in files_below(&root().join("src"), ".rs") {
        let path = relative(&file);
        let mut parts = path.trim_start_matches("src/").split('/');
        let Some(layer) = parts.next().filter(|_| parts.next().is_some()) else {
            continue; // lib.rs and main.rs
        };
        let may = allowed.get(layer).unwrap_or_else(|| panic!("{layer} has no layer: add it"));
        for import in scan::rooms(&fs::read_to_string(&file).expect("readable source")) {
            if import != layer && allowed.contains_key(import.as_str()) && !may.contains(&&*import)
            {
                broken.push(format!("{path} imports crate::{import}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_import_scanner_sees_every_form() {
    let code = "use crate::base::Clock; use crate::{domain::{Phase, x}, machine}; my_crate::web;";
    let found: Vec<String> = scan::rooms(code).into_iter().collect();
    assert_eq!(found, ["base", "domain", "machine"]);
}

#[test]
fn crates_with_an_owner_are_used_by_it_alone() {
    let mut broken = Vec::new();
    for file in files_below(&root().join("src"), ".rs") {
        let path = relative(&file);
        let code = code(&file);
        for (name, owner) in OWNERS {
            let used = code.match_indices(&format!("{name}::")).any(|(start, _)| {
                !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if used && !path.starts_with(owner) {
                broken.push(format!("{path} uses {name}, which belongs to {owner}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Closing any descriptor of a file drops all locks of the process on it, those
/// of SQLite among them: the journal is opened by SQLite alone.
#[test]
fn nobody_opens_the_journal_but_sqlite() {
    const OPENS: [&str; 8] = [
        "File::open(",
        "File::create(",
        "File::options(",
        "OpenOptions::new()",
        "fs::read(",
        "fs::read_to_string(",
        "fs::copy(",
        "fs::write(",
    ];
    // The engine's lock; a directory that is synced.
    const OTHERS: [&str; 2] = ["src/journal/lock.rs", "src/journal/paths.rs"];
    let mut broken = Vec::new();
    for file in files_below(&root().join("src"), ".rs") {
        let path = relative(&file);
        let code = code(&file);
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        let is_journal = path.starts_with("src/journal/");
        for line in code.lines().filter(|line| OPENS.iter().any(|open| line.contains(open))) {
            let names_it = line.contains(".journal()") || line.contains("journal.db");
            if names_it || is_journal && !OTHERS.contains(&path.as_str()) {
                broken.push(format!("{path}: {}", line.trim()));
            }
        }
        if !is_journal && code.contains("\"journal.db") {
            broken.push(format!("{path} names the file journal.db"));
        }
    }
    assert!(broken.is_empty(), "open it by a connection of src/journal: {broken:#?}");
}

#[test]
fn files_fit_a_sitting() {
    let long: Vec<String> = files_below(&root().join("src"), ".rs")
        .iter()
        .map(|file| (relative(file), fs::read_to_string(file).expect("source").lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_module_is_named_for_nothing() {
    const NAMELESS: [&str; 7] =
        ["util.rs", "utils.rs", "common.rs", "helpers.rs", "errors.rs", "misc.rs", "imp.rs"];
    let found: Vec<String> = files_below(&root().join("src"), ".rs")
        .iter()
        .map(|file| relative(file))
        .filter(|path| NAMELESS.iter().any(|name| path.ends_with(&format!("/{name}"))))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

/// Words that the field has better ones for, with the room that had them.
const BANNED: &[(&str, &str, &str)] = &[
    ("src/phases/", "Looks", "Probe"),
    ("src/phases/", "Sight", "Finding"),
    ("src/phases/", "Said", "HostAnswers"),
    ("src/phases/", "Went", "JobEnd"),
    ("src/cli/", "Night", "EngineRun"),
    ("src/cli/", "Place", "StateDir"),
    ("src/cli/", "Open", "OpenJournal"),
    ("src/", "Trace", "Residue"),
    ("src/", "Dirty", "Left"),
];

/// The banned words that `code` of the file `path` has.
fn banned(path: &str, code: &str) -> Vec<String> {
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let here =
        BANNED.iter().filter(|(room, word, _)| path.starts_with(room) && words.contains(word));
    here.map(|(_, word, then)| format!("{path}: `{word}` is `{then}`")).collect()
}

#[test]
fn one_thing_has_one_name() {
    assert_eq!(
        banned("src/phases/x.rs", "fn f(said: Said)"),
        ["src/phases/x.rs: `Said` is `HostAnswers`"]
    );
    assert!(banned("src/phases/x.rs", "HostAnswers, LooksAlike").is_empty());
    let found: Vec<String> = files_below(&root().join("src"), ".rs")
        .iter()
        .flat_map(|file| banned(&relative(file), &code(file)))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// What nobody who speaks English would say, and what is said instead.
const AWKWARD: &[(&str, &str)] = &[
    ("take a place among", "count against"),
    ("that it was made from", "the clone"),
    ("has not the", "does not have the"),
    ("means nothing to it", "does not apply"),
    ("Not all is well", "Some checks failed"),
    ("cannot be told:", "cannot read"),
    ("but it did not happen", "but the check afterwards found no effect"),
    ("are to be filled in", "complete them"),
    ("were not held to it", "were not checked"),
    ("goes on without a person", "needs your order"),
    ("a person has to decide", "needs your order"),
    ("begun anew", "started again"),
    ("begins anew", "starts again"),
    ("the engine that runs", "the running engine"),
    ("wait for its end", "wait until it ends"),
];

/// The awkward words that `text` has, on however many lines.
fn awkward(path: &str, text: &str) -> Vec<String> {
    let words: Vec<&str> =
        text.split_whitespace().filter(|word| !["\\", "///", "//!", "//"].contains(word)).collect();
    let text = words.join(" ");
    let found = AWKWARD.iter().filter(|(now, _)| text.contains(now));
    found.map(|(now, then)| format!("{path}: \"{now}\": say \"{then}\"")).collect()
}

#[test]
fn what_is_said_is_said_in_plain_english() {
    assert_eq!(
        awkward("src/x.rs", "\"wait for \\\n    its end\""),
        ["src/x.rs: \"wait for its end\": say \"wait until it ends\""]
    );
    let mut files = files_below(&root().join("src"), ".rs");
    files.extend(files_below(&root().join("docs"), ".md"));
    files.push(root().join("README.md"));
    let said = |file: &PathBuf| awkward(&relative(file), &fs::read_to_string(file).unwrap());
    let found: Vec<String> = files.iter().flat_map(said).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn lints_are_expected_and_never_allowed() {
    let found: Vec<String> = files_below(&root().join("src"), ".rs")
        .iter()
        .filter(|file| code(file).contains("#[allow(") || code(file).contains("#![allow("))
        .map(|file| relative(file))
        .collect();
    assert!(found.is_empty(), "use #[expect(.., reason)]: {found:?}");
}

/// A fixture that nothing names, by its own name or its folder's, is dead.
#[test]
fn every_fixture_is_used() {
    let mut texts = String::new();
    for folder in ["src", "tests", "benches", "docs", ".ci"] {
        for ending in [".rs", ".md", "run"] {
            for file in files_below(&root().join(folder), ending) {
                texts.push_str(&fs::read_to_string(file).expect("readable text"));
            }
        }
    }
    texts.push_str(&fs::read_to_string(root().join("README.md")).unwrap_or_default());
    for file in files_below(&root().join("fixtures"), ".toml") {
        texts.push_str(&fs::read_to_string(file).expect("readable text"));
    }
    let dead: Vec<String> = files_below(&root().join("fixtures"), "")
        .iter()
        .filter(|file| {
            let name = file.file_name().expect("a file name").to_string_lossy();
            let stem = file.file_stem().expect("a file name").to_string_lossy();
            let folder = file.parent().map(relative).unwrap_or_default();
            let named = folder != "fixtures" && texts.contains(folder.as_str());
            !named && !texts.contains(&*name) && !texts.contains(&format!("{folder}/{stem}"))
        })
        .map(|file| relative(file))
        .collect();
    assert!(dead.is_empty(), "{dead:#?}");
}
