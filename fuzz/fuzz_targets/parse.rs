//! Every reader of captures; see docs/parse.md for the command.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nimshift::aix::parse::{PARSERS, parse};
use nimshift::aix::{classify, matching};

/// The kinds that are run: one, or all.
static KINDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let wanted = std::env::var("NIMSHIFT_FUZZ_KIND").ok();
    let kinds = PARSERS.iter().map(|parser| parser.kind);
    let kinds: Vec<&str> = kinds.filter(|kind| wanted.as_deref().is_none_or(|w| w == *kind)).collect();
    assert!(!kinds.is_empty(), "NIMSHIFT_FUZZ_KIND names no kind");
    kinds
});

fuzz_target!(|bytes: &[u8]| {
    for kind in KINDS.iter() {
        let _ = parse(kind, bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = (classify(&[], &text, 1), matching(&text));
});
