//! What a step's own marks say is believed only where something else would show
//! that they lie, or where nothing can.

use std::collections::BTreeMap;

use super::copy::CLIENT_ROOT;
use super::registry::{find, registry};
use super::sample;
use super::step::{Context, StepDef};
use crate::domain::{Control, Direction, Driver, MigrationSpec, Mode, Presence, StepName};
use crate::transport::{Command, CommandOutput};

/// How it would show that a step whose marks say that it is done is not.
#[derive(Debug)]
enum Witness {
    /// A later step looks at the effect itself.
    Step(&'static str),
    /// Nothing does, for this reason.
    None(&'static str),
}

use Witness::Step;

const SITES: &str = "what a script of the site is to do, only the site knows";

/// Every step that its marks alone tell of.
fn witnesses() -> BTreeMap<&'static str, Witness> {
    BTreeMap::from([
        ("run-pre-script", Witness::None(SITES)),
        ("save-config", Step("verify-copy")),
        ("merge-devices", Step("verify-copy")),
        ("merge-config", Step("verify-copy")),
        ("install-filesets", Step("verify-level")),
        (
            "install-rpms",
            Witness::None("where no RPM is newer it has nothing to do: its result shows nothing"),
        ),
        ("run-post-script", Witness::None(SITES)),
        (
            "return-cache",
            Witness::None("`df` shows that half of it is there; the files are not read again"),
        ),
    ])
}

/// A host on which nothing can be read but marks, all of which say that all is
/// done, and mounts, all of which are there.
fn only_marks(ctx: &Context<'_>, command: &Command, marked: bool) -> CommandOutput {
    let text = match command.argv.first().map(String::as_str) {
        Some("ls") if marked && !command.argv.iter().any(|word| word.starts_with('-')) => {
            registry()
                .iter()
                .flat_map(|def| ["begun", "done"].map(|m| format!("{}.{m}\n", def.name)))
                .collect()
        }
        Some("mount") => {
            let points = ["", "/usr"].map(|path| {
                [format!("{CLIENT_ROOT}{path}"), format!("{}{path}", ctx.spec.master_root())]
            });
            let row = |text: String, over: &String| {
                text + "         /dev/alt_x       " + over + "        jfs2   Mar 02 07:15 rw\n"
            };
            let rows = points.concat().iter().fold(String::new(), row);
            format!(
                "  node       mounted        mounted over    vfs       date        options\n-------- ---------------  ---------------  ------ ------------ ---------------\n{rows}"
            )
        }
        _ => String::new(),
    };
    let stderr = if text.is_empty() { "ls: 0653-341 The file does not exist.\n" } else { "" };
    CommandOutput {
        status: i32::from(text.is_empty()),
        stdout: text,
        stderr: stderr.to_owned(),
        ..CommandOutput::default()
    }
}

/// Whether marks alone make the step be there.
fn is_by_marks(def: &StepDef, spec: &MigrationSpec) -> bool {
    is_there(def, spec, true) && !is_there(def, spec, false)
}

fn is_there(def: &StepDef, spec: &MigrationSpec, marked: bool) -> bool {
    let facts = sample::facts();
    let ticket = def.first(Direction::Forward);
    let control = Control::default();
    let ctx = Context {
        spec,
        facts: &facts,
        ticket: &ticket,
        owner: "s1.m1",
        control: &control,
        now_ms: 0,
    };
    let say = |_, command: &Command| only_marks(&ctx, command, marked);
    (def.judge)(&ctx, &sample::answers(&def.probe(&ctx), say)).presence == Presence::Present
}

#[test]
fn every_step_that_its_marks_alone_tell_of_has_a_witness_or_a_reason() {
    let known = witnesses();
    let mut found = Vec::new();
    for mode in [Mode::Disk, Mode::ClientToMksysb, Mode::MksysbToMksysb, Mode::MksysbToClient] {
        let spec = sample::spec_of(mode, Driver::Native);
        for def in registry().iter().filter(|def| def.run.is_some() && def.task == spec.task.kind())
        {
            if is_by_marks(def, &spec) {
                found.push(def.name);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    let listed: Vec<&str> = known.keys().copied().collect();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    assert_eq!(found, sorted);
    for (step, witness) in known {
        match witness {
            Step(later) => {
                let place = |name: &str| registry().iter().position(|def| def.name == name);
                let (at, seen) = (place(step).unwrap(), place(later).unwrap());
                assert!(at < seen, "{later} looks after {step}");
                let def = &registry()[seen];
                assert!(def.run.is_none() && find(def.phase, &StepName::new(later)).is_some());
            }
            Witness::None(why) => assert!(why.len() > 20, "{step}"),
        }
    }
}
