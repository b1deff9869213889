//! The lab is AIX, and AIX knows nothing of nimshift: what it did by a name of
//! nimshift's own would make a night easier than it is.

use super::{code, files_below, relative, root};

/// Where the lab may have a name of nimshift's, and why; longer names first.
const KNOWN: &[(&str, &str, &str)] = &[
    ("src/lab/", "nimshift lab", "the lab's own commands and its own texts"),
    ("src/lab/net/", "NIMSHIFT_LAB", "the environment of the lab's own processes"),
    ("src/lab/net/here.rs", "etc/nimshift-lab", "the lab's own file in a host's root"),
    ("src/lab/net/", "var/adm/nimshift-jobs", "over ssh, jobs are real processes on real files"),
    (
        "src/lab/net/here.rs",
        "/var/nimshift",
        "as above: a real directory that tests of shells write to",
    ),
    ("src/lab/net/here.rs", "NIMSHIFT_JOB", "the log says which job ran a command"),
    ("src/lab/estate.rs", "$NIMSHIFT_PHASE", "a site's script, which nimshift calls with it"),
    ("src/lab/estate.rs", "$NIMSHIFT_CLIENT", "a site's script, which nimshift calls with it"),
    ("src/lab/check.rs", "/var/adm/nimshift-", "the check afterwards looks for what is left"),
    ("src/lab/check.rs", "/var/adm/nimshift", "the check afterwards looks for what is left"),
    ("src/lab/check.rs", "/tmp/nimshift-", "the check afterwards looks for what is left"),
];

/// Lines of `code` that have a name of nimshift's which the file `path` may not have.
fn rigged(path: &str, code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let may = |line: &str| {
        let known = KNOWN.iter().filter(|(place, ..)| path.starts_with(place));
        known.fold(line.to_owned(), |line, (_, name, _)| line.replace(name, ""))
    };
    let knows = |line: &&str| may(line).to_lowercase().contains("nimshift");
    code.lines().filter(knows).map(|line| format!("{path}: {}", line.trim())).collect()
}

#[test]
fn the_lab_does_nothing_by_a_name_of_nimshifts() {
    let planted = r#"let own = ["/ALT_MIG_SPOT", "/var/adm/nimshift"];"#;
    assert_eq!(rigged("src/lab/commands/alt_disk.rs", planted).len(), 1);
    assert!(rigged("src/lab/check.rs", planted).is_empty());
    let sources: Vec<(String, String)> = files_below(&root().join("src/lab"), ".rs")
        .iter()
        .map(|file| (relative(file), code(file)))
        .collect();
    let found: Vec<String> = sources.iter().flat_map(|(path, code)| rigged(path, code)).collect();
    assert!(found.is_empty(), "{found:#?}");
    for (place, name, _) in KNOWN {
        let is_used =
            sources.iter().any(|(path, code)| path.starts_with(place) && code.contains(name));
        assert!(is_used, "{place} does not have `{name}` any more: take it from the list");
    }
}
