//! Captured output, read: every kind by its samples, by arbitrary bytes, and by
//! what the lab prints.
//!
//! A sample `fixtures/aix/KIND/NAME.txt` has beside it `NAME.json` with what it
//! says, or `NAME.err` with why it is refused. Both are written by hand or, with
//! `NIMSHIFT_WRITE_CAPTURES=1`, by the reader, to be looked over.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nimshift::aix::parse::{CaptureError, PARSERS, Parser, parse, parsers_markdown};
use proptest::prelude::*;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn samples(kind: &str) -> Vec<PathBuf> {
    let folder = root().join("fixtures/aix").join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|_| panic!("{kind} has no samples"))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    files
}

fn told(kind: &str, bytes: &[u8]) -> (&'static str, String) {
    match parse(kind, bytes) {
        Ok(capture) => {
            ("json", serde_json::to_string_pretty(&capture.value).expect("text for keys") + "\n")
        }
        Err(error) => ("err", format!("{error}\n")),
    }
}

fn check(kind: &str, file: &Path) {
    let bytes = fs::read(file).expect("a readable sample");
    let (ending, said) = told(kind, &bytes);
    let beside = file.with_extension(ending);
    if std::env::var_os("NIMSHIFT_WRITE_CAPTURES").is_some() {
        fs::write(&beside, &said).expect("a writable folder");
    }
    let wanted = fs::read_to_string(&beside)
        .unwrap_or_else(|_| panic!("{} is missing; it is read as\n{said}", beside.display()));
    assert_eq!(said, wanted, "{}", file.display());
    let other = file.with_extension(if ending == "err" { "json" } else { "err" });
    assert!(!other.exists(), "{} is of no use", other.display());
    // Blanks at the ends of lines, carriage returns and a banner change nothing.
    let text = String::from_utf8_lossy(&bytes);
    let with =
        |end: &str| text.lines().fold(String::new(), |all, line| all + line.trim_end() + end);
    let (trimmed, blanks) = (with("\n"), with("  \r\n"));
    assert_eq!(told(kind, trimmed.as_bytes()).1, said, "{} trimmed", file.display());
    assert_eq!(told(kind, blanks.as_bytes()).1, said, "{} padded", file.display());
    if ending == "json" && !text.trim().is_empty() {
        let banner = format!("*****\n* Authorised use only, ask: noc@example.com *\n\n{text}");
        assert_eq!(
            without_before(&told(kind, banner.as_bytes()).1),
            without_before(&said),
            "{kind} after a banner"
        );
    }
}

/// What nimadm's log says before its first phase takes a banner in.
fn without_before(json: &str) -> Value {
    let mut value: Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("{json}"));
    if let Some(object) = value.as_object_mut() {
        object.remove("before");
    }
    value
}

#[test]
fn every_sample_says_what_stands_beside_it() {
    for parser in PARSERS {
        let files = samples(parser.kind);
        let refused = files.iter().filter(|file| file.with_extension("err").exists()).count();
        for file in &files {
            check(parser.kind, file);
        }
        assert!(files.len() > refused, "{} has no good sample", parser.kind);
    }
}

#[test]
fn a_failure_behind_a_blank_line_is_seen() {
    let text = fs::read_to_string(root().join("fixtures/aix/installp/results.txt")).unwrap();
    let failed = |text: &str| parse("installp", text.as_bytes()).unwrap().value["failed"].clone();
    assert_ne!(failed(&text), Value::Array(Vec::new()));
    assert_eq!(failed(&text.replace('\n', "\n\n")), failed(&text));
}

#[test]
fn columns_of_two_tables_are_not_taken_for_those_of_one() {
    let text = "pvid            00f7a1b2c3d4e5f60000000000000000 Physical volume identifier False\n\
         queue_depth     20                               Queue DEPTH                False\n\
         alias4                 IPv4 Alias including Subnet Mask           True\n\
         netaddr  10.1.1.5      Internet Address                           True\n";
    assert!(parse("lsattr", text.as_bytes()).is_err());
    let empty = "alias4  IPv4 Alias including Subnet Mask True\nalias6  IPv6 Alias including Prefix Length True\n";
    assert!(parse("lsattr", empty.as_bytes()).is_err());
    let one = "unique_id 3E21F1815      FAStT03IBMfcp Unique device identifier False\n";
    assert_eq!(parse("lsattr", one.as_bytes()).unwrap().value[0]["value"], Value::Null);
}

#[test]
fn fields_are_those_that_are_documented() {
    for parser in PARSERS {
        let known: BTreeSet<&str> = parser.fields.iter().map(|(name, _)| *name).collect();
        let mut seen = BTreeSet::new();
        for file in samples(parser.kind) {
            let Ok(capture) = parse(parser.kind, &fs::read(file).unwrap()) else { continue };
            let shape = if capture.value.is_array() { "array" } else { "object" };
            assert_eq!(shape, parser.shape, "{}", parser.kind);
            let rows = capture.value.as_array().cloned().unwrap_or_else(|| vec![capture.value]);
            for row in rows {
                seen.extend(row.as_object().unwrap().keys().cloned());
            }
        }
        for field in &seen {
            let any = known.contains("*");
            assert!(any || known.contains(field.as_str()), "{}: {field}", parser.kind);
        }
        for field in known.iter().filter(|field| !["*", "inodes_free", "used"].contains(field)) {
            assert!(seen.contains(*field), "{}: no sample has {field}", parser.kind);
        }
    }
}

#[test]
fn the_page_lists_every_kind_as_it_is() {
    let path = root().join("docs/parse.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, after) = page.split_once("<!-- kinds -->\n").expect("a mark");
    if std::env::var_os("NIMSHIFT_WRITE_CAPTURES").is_some() {
        fs::write(&path, format!("{before}<!-- kinds -->\n{}", parsers_markdown())).unwrap();
        return;
    }
    assert_eq!(after, parsers_markdown(), "NIMSHIFT_WRITE_CAPTURES=1 writes it");
}

#[test]
fn kinds_are_unique_and_an_unknown_one_is_told() {
    let kinds: BTreeSet<&str> = PARSERS.iter().map(|parser| parser.kind).collect();
    assert_eq!(kinds.len(), PARSERS.len());
    let error = parse("lspvv", b"").unwrap_err();
    assert!(matches!(error, CaptureError::Kind { nearest: Some("lspv"), .. }), "{error}");
}

type Change = fn(&str) -> String;

/// What becomes of captures on their way: each variant, from the text of a good one.
const VARIANTS: [(&str, Change); 11] = [
    ("squeezed", |text| {
        by_line(text, |line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    }),
    ("indented", |text| by_line(text, |line| format!("    {line}"))),
    ("tab-indented", |text| by_line(text, |line| format!("\t{line}"))),
    ("wrapped", |text| {
        by_line(text, |line| {
            let chars: Vec<char> = line.chars().collect();
            chars
                .chunks(72)
                .map(|part| part.iter().collect::<String>())
                .collect::<Vec<_>>()
                .join("\n")
        })
    }),
    ("without its first line", |text| {
        text.split_once('\n').map_or("", |(_, rest)| rest).to_owned()
    }),
    ("every other line", |text| {
        text.lines().step_by(2).fold(String::new(), |all, line| all + line + "\n")
    }),
    ("prompt before", |text| format!("root@lpar7:/ # command -flag\n{text}")),
    ("prompt after", |text| format!("{text}root@lpar7:/ #\n")),
    ("CR-LF", |text| text.replace('\n', "\r\n")),
    ("cut off", |text| {
        let lines = text.lines().count();
        text.lines().take(lines * 2 / 3).fold(String::new(), |all, line| all + line + "\n")
    }),
    ("doubled", |text| format!("{text}{text}")),
];

fn by_line(text: &str, change: impl Fn(&str) -> String) -> String {
    text.lines().fold(String::new(), |all, line| all + &change(line) + "\n")
}

/// Of a log any part is read as a log.
const LOGS: [&str; 2] = ["alt_mig", "installp"];

/// Whether `got` says nothing else than `right`: it may say less.
fn agrees(right: &Value, got: &Value) -> bool {
    match (right, got) {
        (_, Value::Null) => true,
        (Value::Object(right), Value::Object(got)) => {
            got.iter().all(|(key, value)| match right.get(key) {
                // What a command has said goes on as far as there are lines of it, and says
                // nothing by its blanks.
                Some(Value::String(right)) if matches!(&**key, "err_info" | "info") => {
                    let bare = |text: &str| text.split_whitespace().collect::<String>();
                    value.as_str().is_none_or(|got| bare(right).starts_with(&bare(got)))
                }
                right => value.is_null() || right.is_some_and(|right| agrees(right, value)),
            })
        }
        (Value::Array(right), Value::Array(got)) => {
            got.iter().all(|value| right.iter().any(|r| agrees(r, value)))
        }
        // What was shown twice may be told twice.
        (right, Value::Array(got)) => got.iter().all(|value| agrees(right, value)),
        _ => right == got,
    }
}

/// A reader says what is there, less of it, or that it cannot read: never something else.
#[test]
fn no_variant_of_a_capture_is_read_as_something_else() {
    let mut wrong = Vec::new();
    println!("{:<24} {:>6} {:>6} {:>8} {:>6}", "variant", "right", "less", "refused", "wrong");
    for (name, change) in VARIANTS {
        let (mut same, mut less, mut refused, mut other) = (0, 0, 0, 0);
        for parser in PARSERS.iter().filter(|parser| !LOGS.contains(&parser.kind)) {
            for file in samples(parser.kind) {
                let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
                let Ok(right) = parse(parser.kind, text.as_bytes()) else { continue };
                match parse(parser.kind, change(&text).as_bytes()) {
                    Err(_) => refused += 1,
                    Ok(got) if got.value == right.value => same += 1,
                    Ok(got) if agrees(&right.value, &got.value) => less += 1,
                    Ok(got) => {
                        other += 1;
                        let file = file.strip_prefix(root()).unwrap().display();
                        wrong.push(format!("{file} {name}: {}", got.value));
                    }
                }
            }
        }
        println!("{name:<24} {same:>6} {less:>6} {refused:>8} {other:>6}");
    }
    assert!(wrong.is_empty(), "{} are read as something else:\n{}", wrong.len(), wrong.join("\n"));
}

/// A line that is cut anywhere is read as what is left, or refused; it never
/// panics.
#[test]
fn no_cut_sample_panics() {
    for parser in PARSERS {
        for file in samples(parser.kind) {
            let bytes = fs::read(file).expect("a readable sample");
            for end in 0..bytes.len() {
                let _ = parse(parser.kind, &bytes[..end]);
                let _ = parse(parser.kind, &bytes[end..]);
            }
        }
    }
}

/// Pieces of samples, so that arbitrary text gets past the headings.
fn pieces(kind: &str) -> Vec<String> {
    let mut pieces: Vec<String> =
        ["", " ", "\t", ":", "0516-010 : x", "é", "\u{1b}[1m", "-", "99999999999999999999"]
            .map(str::to_owned)
            .to_vec();
    for file in samples(kind) {
        let text = String::from_utf8_lossy(&fs::read(file).expect("a sample")).into_owned();
        pieces.extend(text.lines().map(|line| format!("{line}\n")));
        pieces.extend(text.split_whitespace().map(|word| format!("{word} ")));
    }
    pieces
}

fn arbitrary(parser: &Parser) -> impl Strategy<Value = Vec<u8>> + use<> {
    let piece = proptest::sample::select(pieces(parser.kind));
    let text = proptest::collection::vec(
        prop_oneof![4 => piece.prop_map(String::into_bytes), 1 => proptest::collection::vec(any::<u8>(), 0..12)],
        0..40,
    );
    text.prop_map(|parts| parts.concat())
}

/// The fuzzer of a plain toolchain: `PROPTEST_CASES` decides how long it runs.
#[test]
fn fuzz_parsers() {
    for parser in PARSERS {
        let mut runner = proptest::test_runner::TestRunner::default();
        let kind = parser.kind;
        let result = runner.run(&arbitrary(parser), |bytes| {
            if let Err(error) = parse(kind, &bytes) {
                let said = error.to_string();
                prop_assert!(said.len() < 1000 && !said.contains('\u{1b}'), "{}", said);
            }
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}
