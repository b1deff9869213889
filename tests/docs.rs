//! What the documentation and the messages of the program name is there: every
//! key and fault of the lab has its row, and every command that is named to an
//! administrator is one.
//!
//! Checked are: commands of nimshift by its own command line (subcommands, and
//! all flags and operands where there are any); commands of AIX by the lab, which
//! must know them and take their flags. Orders that a report names are carried
//! out in the state that names them by `tests/soak`.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod named;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nimshift::aix::catalogue;
use nimshift::base::{ClockRef, TokioClock};
use nimshift::lab::{EstateFile, FaultKind, Lab, PlainClient, PlainMaster, Trouble};

use named::{messages, quoted};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// What stands in backticks in the first column of a page's tables, below the
/// headings that have `heading` in them.
fn rows(page: &str, heading: &str) -> BTreeSet<String> {
    let mut within = false;
    let mut found = BTreeSet::new();
    for line in text(page).lines() {
        if line.starts_with('#') {
            within = line.contains(heading);
        } else if within && line.starts_with("| `") {
            let column = line.split('|').nth(1).unwrap_or_default();
            found.extend(column.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// The keys that a table of an estate file can have, as the reader names them.
fn keys(estate: &str) -> BTreeSet<String> {
    let error = EstateFile::parse(estate).unwrap_err().to_string();
    let (_, expected) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_of_an_estate_file_has_its_row() {
    let master = "[master]\nname = \"nim1\"\nlevel = \"7300-02-01-2346\"\n";
    let client = "[[client]]\nname = \"a\"\nlevel = \"7200-05-03-2148\"\n";
    let disk = "disk = [{ name = \"hdisk0\", size_mb = 32768, vg = \"rootvg\" }]\n";
    let within = |table: &str| format!("{master}[[{table}]]\nnone = 1\n");
    let tables = [
        ("The file itself", format!("none = 1\n{master}")),
        ("`[master]`", format!("{master}none = 1\n")),
        ("`[[master.cache_vg]]`", format!("{master}[[master.cache_vg]]\nnone = 1\n")),
        ("`[[spot]]`", within("spot")),
        ("`[[lpp_source]]`", within("lpp_source")),
        ("`[[script]]`", within("script")),
        ("`[[bundle]]`", within("bundle")),
        ("`[[file_resource]]`", within("file_resource")),
        ("`[[mksysb]]`", within("mksysb")),
        ("`[[client]]`", within("client")),
        ("`disk` of a client", format!("{master}{client}disk = [{{ none = 1 }}]\n")),
        ("`filesystem` of", format!("{master}{client}{disk}filesystem = [{{ none = 1 }}]\n")),
        ("`[[fault]]`", within("fault")),
    ];
    for (heading, estate) in &tables {
        assert_eq!(rows("docs/lab-estate.md", heading), keys(estate), "{heading}");
    }
    // No table of the file has been forgotten here.
    let of_file = keys(&tables[0].1);
    for table in of_file.iter().filter(|key| *key != "time_scale") {
        let told = tables.iter().any(|(heading, _)| heading.contains(&format!("[{table}]")));
        assert!(told, "{table} has no section");
    }
}

#[test]
fn every_fault_and_trouble_has_its_row() {
    let faults: BTreeSet<String> =
        FaultKind::ALL.iter().map(|kind| kind.name().to_owned()).collect();
    let told: BTreeSet<String> = rows("docs/lab-faults.md", "Faults of commands")
        .into_iter()
        .filter(|word| faults.contains(word))
        .collect();
    assert_eq!(told, faults);
    let troubles: BTreeSet<String> =
        Trouble::ALL.iter().map(|trouble| trouble.name().to_owned()).collect();
    let told: BTreeSet<String> = rows("docs/lab-faults.md", "Troubles of a host")
        .iter()
        .map(|row| row.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, troubles);
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let readme = text("README.md");
    for folder in ["docs", "docs/pictures"] {
        for page in fs::read_dir(root().join(folder)).unwrap() {
            let page = page.unwrap();
            let path = format!("{folder}/{}", page.file_name().into_string().unwrap());
            // A link, or a program that is named.
            let told = [format!("({path})"), format!("`{path}`")];
            let is_told = told.iter().any(|told| readme.contains(told));
            assert!(is_told || page.path().is_dir(), "{path} is linked from nowhere");
        }
    }
}

/// Every command that a message of the program names, and the catalogue's hints.
fn named() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for literal in messages() {
        found.extend(quoted(&literal).map(str::to_owned));
    }
    found.extend(catalogue().iter().flat_map(|entry| quoted(&entry.hint)).map(str::to_owned));
    found
}

/// A value for what a text leaves open: `{client}`, `CLIENT`, `…`.
fn filled(command: &str) -> Vec<String> {
    let words = command.split_whitespace().filter(|word| *word != "…");
    let mut after_phases = false;
    let value = |word: &str| match word {
        "{id}" => "0505-126".to_owned(),
        "{}" if std::mem::take(&mut after_phases) => "4-12".to_owned(),
        "-P" => {
            after_phases = true;
            "-P".to_owned()
        }
        word if word.starts_with('{') => "lpar01".to_owned(),
        word => word.to_owned(),
    };
    words.map(value).collect()
}

#[test]
fn every_command_of_ours_that_is_named_is_one() {
    let mut seen = 0;
    for named in named() {
        let Some(rest) = named.strip_prefix("nimshift ") else { continue };
        if rest.starts_with('{') {
            continue;
        }
        let words = filled(rest);
        if words[0].starts_with('-') {
            continue;
        }
        // What follows `nimadm` is nimadm's own.
        let ours = words.iter().position(|word| word == "nimadm").map_or(words.len(), |at| at + 1);
        let mut command = nimshift::cli::command();
        let mut depth = 0;
        for word in &words[..ours] {
            let Some(next) = command.find_subcommand(word).cloned() else { break };
            command = next;
            depth += 1;
        }
        assert!(depth > 0, "`{named}`: there is no such command");
        seen += 1;
        // A name alone, or a command as it is to be typed.
        let is_open = named.ends_with('…');
        if depth < ours && !is_open {
            let typed = ["nimshift".to_owned()].into_iter().chain(words[..ours].iter().cloned());
            let read = nimshift::cli::command().try_get_matches_from(typed);
            if let Err(error) = read {
                let is_help = error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(is_help, "`{named}`: {error}");
            }
        }
    }
    assert!(seen > 20, "{seen} commands are named");
}

/// Commands of AIX that are named, and that the lab does not emulate: what they
/// mend (odd devices and volume groups, NFS and inetd of a real host) is
/// not in the lab either.
const NOT_EMULATED: [&str; 19] = [
    "chlv",
    "chvg",
    "dump",
    "file",
    "fsck",
    "fuser",
    "importvg",
    "lqueryvg",
    "lspath",
    "nfso",
    "nimconfig",
    "redefinevg",
    "refresh",
    "rmdev",
    "rpcinfo",
    "synclvodm",
    "syncvg",
    "sysdumpdev",
    "ulimit",
];

#[tokio::test]
async fn every_command_of_aix_that_is_named_is_known_to_the_lab() {
    let master = PlainMaster::new("nim1", "7300-02-01-2346", "spot", "lpp").with(&["cachevg"], &[]);
    let client = PlainClient::new("lpar01", "7200-05-03-2148", &["hdisk1"]);
    let clock: ClockRef = std::sync::Arc::new(TokioClock::starting_at(1_780_000_000_000));
    let lab = Lab::in_memory(&EstateFile::from_clients(&master, &[client]), clock).unwrap();
    let (mut unknown, mut wrong) = (BTreeSet::new(), Vec::new());
    // Each command of a pipe or a list by itself.
    let each = |named: String| {
        named
            .replace("&&", ";")
            .split([';', '|'])
            .map(|one| one.trim().to_owned())
            .collect::<Vec<_>>()
    };
    for named in named().into_iter().flat_map(each) {
        let words = filled(&named);
        if words.is_empty() {
            continue;
        }
        // A command has flags or operands; a word alone may be anything. What is
        // set (`kind = "ssh"`) is a key of a plan.
        let is_command = words.len() > 1
            && words[1] != "="
            && words[0].chars().all(|c| c.is_ascii_lowercase() || c == '_')
            && !["cargo", "ssh", "uname", "system"].contains(&words[0].as_str());
        if !is_command || words[0] == "nimshift" || words.contains(&">".to_owned()) {
            continue;
        }
        // What the master is to run, and others after it.
        let host = if words[0] == "shutdown" { "lpar01" } else { "nim1" };
        let said = lab.exec_words(host, &words).unwrap();
        if said.status == 127 {
            unknown.insert(words[0].clone());
        } else if said.stderr.contains("Not a recognized flag") {
            wrong.push(format!("`{named}`: {}", said.stderr));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let excepted: BTreeSet<String> = NOT_EMULATED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(unknown, excepted);
}
