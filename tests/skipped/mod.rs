//! Tests that this machine has not what it takes for.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Says that the calling test is skipped, and why, which says what is missing. It
/// is told once more when all tests have run. With `NIMSHIFT_TEST_ALL` it fails.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!("{test}: {why}\n");
    assert!(std::env::var_os("NIMSHIFT_TEST_ALL").is_none(), "skipped: {line}");
    // One list for one `cargo test`: it is the parent of all of its test programs.
    let cargo = std::os::unix::process::parent_id();
    let list = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("skipped.{cargo}"));
    let list = OpenOptions::new().create(true).append(true).open(list);
    list.and_then(|mut list| list.write_all(line.as_bytes())).expect("a list of what is skipped");
}
