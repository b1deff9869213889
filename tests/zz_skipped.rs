//! The last of `cargo test`: which tests this machine has not what it takes for. Other
//! runners run it when they like; `NIMSHIFT_TEST_ALL=1` makes each such test fail.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

#[test]
fn what_was_skipped_is_told() {
    // As tests/skipped/mod.rs has written it.
    let name = format!("skipped.{}", std::os::unix::process::parent_id());
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let Ok(told) = std::fs::read_to_string(&list) else { return };
    std::fs::remove_file(&list).expect("the list is removed");
    let mut text = "\nSkipped, for this machine lacks what they take:\n".to_owned();
    let lines: BTreeSet<&str> = told.lines().collect();
    text.extend(lines.into_iter().flat_map(|line| ["  ", line, "\n"]));
    // Not by a macro: what those print is kept from who runs the tests.
    std::io::stderr().write_all(text.as_bytes()).expect("stderr");
}
