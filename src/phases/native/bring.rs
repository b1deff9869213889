//! Phases 1 and 5: files of the site that shape the copy. `-e` and `-i` are
//! brought to the client, whose `alt_disk_copy` reads them; `-o` is put into the
//! copy.

use crate::aix::argv::{self, words};
use crate::domain::{HostRole, MigrationSpec, Mode, Phase, Presence, UndoKind};
use crate::transport::{Command, Script};

use crate::phases::copy::{baseline, master_paths, mounted, on_client};
use crate::phases::native::master::image_data;
use crate::phases::read::{Read, all_or_any, judged, look};
use crate::phases::step::{Answers, Context, Finding, Probe, STEP, StepDef, minutes};

pub(crate) const STEPS: &[StepDef] = &[BRING_FILES, PUT_BOSINST_DATA];

/// Where a client reads them.
const HERE: [&str; 2] = [argv::EXCLUDE, argv::IMAGE_DATA];

/// Files of the migration on the client beside lease and marks.
pub(crate) fn brings(spec: &MigrationSpec) -> bool {
    spec.task.changes_client() && (spec.has_image_data() || excludes(spec))
}

/// Whether the clone leaves files out.
pub(crate) fn excludes(spec: &MigrationSpec) -> bool {
    spec.task.mode() == Some(Mode::Disk) && spec.options.exclude_files.is_some()
}

/// Removes from the client what was brought there.
pub(crate) fn remove_brought() -> argv::Argv {
    words(&["rm", "-f", HERE[0], HERE[1], argv::CLONED])
}

/// From the master to the client.
const BRING_FILES: StepDef = StepDef {
    phase: Phase::Clone,
    name: "bring-files",
    about: "copy exclude list and image.data to the client",
    host: HostRole::Master,
    undo: UndoKind::Reverse,
    timeout: minutes(10),
    applies: |spec| brings(spec),
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
            let (said, [exclude, image]) = (answers.client(), HERE);
            let left = said.lists(exclude)? || said.lists(image)?;
            Ok(Finding::of(if left { Presence::Present } else { Presence::Absent }))
        })())
    }),
    ..STEP
};

/// What goes where.
fn files(ctx: &Context<'_>) -> Vec<(String, &'static str)> {
    let exclude = baseline(ctx).ok().and_then(|baseline| baseline.exclude_location.clone());
    let exclude = exclude.filter(|_| excludes(ctx.spec)).map(|from| (from, argv::EXCLUDE));
    let image = ctx.spec.has_image_data().then(|| (image_data(ctx.spec), argv::IMAGE_DATA));
    exclude.into_iter().chain(image).collect()
}

fn bring_looks(ctx: &Context<'_>) -> Probe {
    let files = files(ctx);
    let master = files.iter().map(|(from, _)| argv::cat(from));
    let client = files.iter().map(|(_, to)| argv::cat(to));
    let list = argv::ls(argv::LEASE_DIR);
    vec![
        look(HostRole::Master, [argv::mounts()].into_iter().chain(master)),
        look(HostRole::Client, [list].into_iter().chain(client)),
    ]
}

fn judge_brought(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let (master, client) = (answers.master(), answers.client());
    baseline(ctx)?;
    let files = files(ctx);
    if files.is_empty() {
        return Err("there is nothing to copy to the client".to_owned());
    }
    let (mut all, mut any) = (true, false);
    for (from, to) in files.iter().map(|(from, to)| (argv::cat(from), argv::cat(to))) {
        if !master.is_there(from.clone())? {
            return Err("a file to be copied to the client is not on the master".to_owned());
        }
        let there = client.is_there(to.clone())?;
        any |= there;
        all &= there && client.output(to)?.stdout == master.output(from)?.stdout;
    }
    Ok(all_or_any(all, any))
}

/// `-o`: how the copy would be installed from a mksysb of it.
const PUT_BOSINST_DATA: StepDef = StepDef {
    phase: Phase::MigrateBase,
    name: "put-bosinst-data",
    about: "put bosinst.data into the copy",
    host: HostRole::Master,
    applies: |spec| spec.options.bosinst_data.is_some(),
    looks: |ctx| {
        let files = [in_copy(ctx), bosinst_data(ctx)].map(|path| argv::cat(&path));
        vec![look(HostRole::Master, [argv::mounts()].into_iter().chain(files))]
    },
    judge: |ctx, answers| {
        judged((|| {
            let said = answers.master();
            let (there, wanted) = mounted(&said.mounts()?, &master_paths(ctx));
            if there < wanted || wanted == 0 {
                return Err(format!("{there} of {wanted} file systems of the copy are mounted"));
            }
            let (from, to) = (argv::cat(&bosinst_data(ctx)), argv::cat(&in_copy(ctx)));
            if !said.is_there(from.clone())? {
                return Err("the bosinst_data is not on the master".to_owned());
            }
            let same =
                said.is_there(to.clone())? && said.output(to)?.stdout == said.output(from)?.stdout;
            Ok(Finding::of(if same { Presence::Present } else { Presence::Absent }))
        })())
    },
    run: Some(|ctx, _| {
        let from = baseline(ctx).ok().and_then(|baseline| baseline.bosinst_location.as_deref());
        Script::new(from.map(|from| Command::new(["cp", from, &in_copy(ctx)])))
    }),
    ..STEP
};

fn bosinst_data(ctx: &Context<'_>) -> String {
    let location = baseline(ctx).ok().and_then(|baseline| baseline.bosinst_location.clone());
    location.unwrap_or_else(|| "<location of bosinst.data>".to_owned())
}

fn in_copy(ctx: &Context<'_>) -> String {
    format!("{}/bosinst.data", ctx.spec.master_root())
}
