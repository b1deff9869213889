//! The sample plans with their estates, and how their nights end when nothing
//! goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nimshift::domain::{Plan, parse_plan};
use nimshift::lab::EstateFile;
use serde_json::Value;

use super::night::Night;

/// A plan that the program comes with, and its hosts.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) plan: Plan,
    pub(crate) estate: EstateFile,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// All of them.
pub(crate) fn samples() -> Vec<Sample> {
    let files = std::fs::read_dir(fixtures()).expect("the fixtures");
    let mut plans: Vec<PathBuf> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    plans.sort();
    assert!(!plans.is_empty(), "there are sample plans");
    plans.iter().map(|path| sample(path)).collect()
}

fn sample(path: &Path) -> Sample {
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a plan");
    let plan = parse_plan(&name, &text, false).unwrap_or_else(|errors| panic!("{errors}"));
    let file = plan.estate.file.as_ref().expect("a sample plan names its estate");
    let text = std::fs::read_to_string(fixtures().join(file)).expect("an estate");
    let estate = EstateFile::parse(&text).expect("an estate that does");
    Sample { name, plan, estate }
}

/// A night of a sample in which nothing goes wrong.
pub(crate) struct Golden {
    /// The estate before it.
    pub(crate) first: Value,
    /// The estate after it.
    pub(crate) last: Value,
    /// The estate after that, when all clients have been rebooted.
    pub(crate) rebooted: Value,
    /// The state of each client's migration.
    pub(crate) states: BTreeMap<String, &'static str>,
    /// Every command that was run, by host: each kind of command once.
    pub(crate) commands: Vec<(String, String)>,
    /// How many entries there are in the journal.
    pub(crate) entries: u64,
}

impl Golden {
    /// Lives through it.
    pub(crate) fn of(sample: &Sample) -> Golden {
        let mut estate = sample.estate.clone();
        estate.fault.clear();
        let night = Night::new(sample, &estate, sample.plan.migrations.clone());
        let first = night.image();
        let ended = night.live(None);
        assert!(ended.is_at_rest(), "{}: {ended}", sample.name);
        let last = night.image();
        let views = night.views();
        let states = views.iter().map(|view| (view.client.clone(), view.state.name())).collect();
        let entries = night.entries();
        let mut kinds = BTreeSet::new();
        let mut commands = Vec::new();
        for entry in night.lab.log().expect("a log") {
            let kind: Vec<String> =
                entry.line.split_whitespace().take(2).map(str::to_owned).collect();
            if kinds.insert((entry.host.clone(), kind)) {
                commands.push((entry.host, entry.line));
            }
        }
        for client in &estate.client {
            night.lab.boot_host(&client.name, None).expect("a host");
        }
        night.rests();
        Golden { first, last, rebooted: night.image(), states, commands, entries }
    }
}
