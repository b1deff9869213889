//! Phases 1 and 5: files of the site that shape the copy. `-e` and `-i` are
//! brought to the client, whose `alt_disk_copy` reads them; `-o` is put into the
//! copy.

use std::time::Duration;

use crate::aix::argv::{self, words};
use crate::domain::{HostRole, MigrationSpec, Mode, Phase, Presence, Repeat, StepName, UndoKind};
use crate::transport::{Command, Script};

use super::copy::{baseline, master_paths, mounted, on_client};
use super::master::image_data;
use super::read::{Read, Said, all_or_any, is_named, judged, look};
use super::registry::chosen;
use super::step::{Answers, Context, Looks, Sight, StepDef};

/// Where a client reads them.
const HERE: [&str; 2] = [argv::EXCLUDE, argv::IMAGE_DATA];

/// Files of the migration on the client beside lease and marks.
pub(super) fn brings(spec: &MigrationSpec) -> bool {
    spec.mode.changes_client() && (spec.has_image_data() || excludes(spec))
}

/// Whether the clone leaves files out.
pub(super) fn excludes(spec: &MigrationSpec) -> bool {
    spec.mode == Mode::Disk && spec.options.exclude_files.is_some()
}

/// Removes from the client what was brought there.
pub(super) fn remove_brought() -> argv::Argv {
    words(&["rm", "-f", HERE[0], HERE[1], argv::CLONED])
}

/// From the master to the client.
pub(super) const BRING_FILES: StepDef = StepDef {
    phase: Phase::Clone,
    name: StepName::new("bring-files"),
    about: "bring exclude list and image.data to the client",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Reverse,
    gate: false,
    timeout: Duration::from_secs(600),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| chosen(spec, Phase::Clone) && brings(spec),
    looks: bring_looks,
    judge: |ctx, answers| judged(judge_brought(ctx, answers)),
    run: Some(|ctx, _| {
        let bring = |(from, to): &(String, &str)| {
            let write = on_client(ctx, words(&["dd", &format!("of={to}")]));
            Command::new(["cat", from.as_str()]).piped_to(write)
        };
        Script::new(files(ctx).iter().map(bring))
    }),
    undo_run: Some(|ctx, _| Script::new([Command::new(on_client(ctx, remove_brought()))])),
    judge_undo: Some(|_, answers| {
        judged((|| {
            let names = Said::by(answers, 1).names(0)?;
            let ours = |name: &String| HERE.iter().any(|path| is_named(path, name));
            let left = names.iter().any(ours);
            Ok(Sight::of(if left { Presence::Present } else { Presence::Absent }))
        })())
    }),
};

/// What goes where.
fn files(ctx: &Context<'_>) -> Vec<(String, &'static str)> {
    let exclude = baseline(ctx).ok().and_then(|baseline| baseline.exclude_location.clone());
    let exclude = exclude.filter(|_| excludes(ctx.spec)).map(|from| (from, argv::EXCLUDE));
    let image = ctx.spec.has_image_data().then(|| (image_data(ctx.spec), argv::IMAGE_DATA));
    exclude.into_iter().chain(image).collect()
}

fn bring_looks(ctx: &Context<'_>) -> Looks {
    let files = files(ctx);
    let master = files.iter().map(|(from, _)| words(&["cat", from]));
    let client = files.iter().map(|(_, to)| words(&["cat", to]));
    let list = words(&["ls", argv::LEASE_DIR]);
    vec![
        look(HostRole::Master, [words(&["mount"])].into_iter().chain(master)),
        look(HostRole::Client, [list].into_iter().chain(client)),
    ]
}

fn judge_brought(ctx: &Context<'_>, answers: &Answers) -> Read<Sight> {
    let (master, client) = (Said::by(answers, 0), Said::by(answers, 1));
    baseline(ctx)?;
    let count = files(ctx).len();
    if count == 0 {
        return Err("there is nothing to bring to the client".to_owned());
    }
    let (mut same, mut any) = (0, false);
    for command in 1..=count {
        if !master.is_there(command)? {
            return Err("what is to be brought to the client is not on the master".to_owned());
        }
        let there = client.is_there(command)?;
        any |= there;
        if there && client.output(command)?.stdout == master.output(command)?.stdout {
            same += 1;
        }
    }
    Ok(all_or_any(same == count, any))
}

/// `-o`: how the copy would be installed from a mksysb of it.
pub(super) const PUT_BOSINST_DATA: StepDef = StepDef {
    phase: Phase::MigrateBase,
    name: StepName::new("put-bosinst-data"),
    about: "put bosinst.data into the copy",
    host: HostRole::Master,
    repeat: Repeat::Safe,
    undo: UndoKind::Nothing,
    gate: false,
    timeout: Duration::from_secs(300),
    stall: None,
    settle: Duration::ZERO,
    weight: 1,
    applies: |spec| chosen(spec, Phase::MigrateBase) && spec.options.bosinst_data.is_some(),
    looks: |ctx| {
        let from = baseline(ctx).ok().and_then(|baseline| baseline.bosinst_location.as_deref());
        let commands = [
            words(&["mount"]),
            words(&["cat", &in_copy(ctx)]),
            words(&["cat", from.unwrap_or("<location of bosinst.data>")]),
        ];
        vec![look(HostRole::Master, commands)]
    },
    judge: |ctx, answers| {
        judged((|| {
            let said = Said::by(answers, 0);
            let mounts = said.read(0, crate::aix::mounts)?;
            let (there, wanted) = mounted(&mounts, &master_paths(ctx));
            if there < wanted || wanted == 0 {
                return Err(format!("{there} of {wanted} file systems of the copy are mounted"));
            }
            if !said.is_there(2)? {
                return Err("the bosinst_data is not on the master".to_owned());
            }
            let same = said.is_there(1)? && said.output(1)?.stdout == said.output(2)?.stdout;
            Ok(Sight::of(if same { Presence::Present } else { Presence::Absent }))
        })())
    },
    run: Some(|ctx, _| {
        let from = baseline(ctx).ok().and_then(|baseline| baseline.bosinst_location.as_deref());
        Script::new(from.map(|from| Command::new(["cp", from, &in_copy(ctx)])))
    }),
    undo_run: None,
    judge_undo: None,
};

fn in_copy(ctx: &Context<'_>) -> String {
    format!("{}/bosinst.data", ctx.spec.master_root())
}
