//! Phases 1 and 12: what a migration keeps on the master beside the copy, in a
//! directory of its own: its lease where no client holds one, and image.data.

use crate::aix::argv;
use crate::domain::{
    Cause, FailureClass, HostRole, Lease, MigrationSpec, NimName, Phase, Presence, UndoKind,
};
use crate::transport::{Command, Script};

use crate::phases::read::{Read, judged, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, Is, STEP, StepDef, minutes};

pub(crate) const STEPS: &[StepDef] = &[TAKE_MASTER_LEASE, FETCH_IMAGE_DATA];

/// Whether the migration has a directory of its own on the master.
pub(super) fn has_directory(spec: &MigrationSpec) -> bool {
    spec.task.writes_mksysb() || spec.has_image_data() || spec.task.uses_nimadm()
}

/// Where image.data lies on the master while the migration goes on.
pub(crate) fn image_data(spec: &MigrationSpec) -> String {
    format!("{}/image.data", spec.work_directory())
}

pub(crate) fn lease(spec: &MigrationSpec) -> String {
    format!("{}/lease", spec.work_directory())
}

/// What is done about another's lease there.
pub(crate) fn wait_or_remove(spec: &MigrationSpec) -> String {
    let lease = lease(spec);
    format!("wait for that migration; if none runs, remove {lease} on the master")
}

/// Where no client is changed, the lease is on the master.
const TAKE_MASTER_LEASE: StepDef = StepDef {
    phase: Phase::Clone,
    name: "take-master-lease",
    about: "take the lease on the master",
    host: HostRole::Master,
    drivers: Drivers::Both,
    is: &[Is::TakesLease],
    undo: UndoKind::Reverse,
    applies: |spec| spec.task.writes_mksysb(),
    looks: |ctx| {
        let lease = argv::ls_l(&lease(ctx.spec));
        let directory = argv::ls_d(&ctx.spec.work_directory());
        vec![look(HostRole::Master, [lease, directory])]
    },
    judge: |ctx, answers| {
        judged(holder(ctx, answers).map(|holder| {
            match holder {
                None => Finding::of(Presence::Absent),
                Some(holder) if holder.owner == ctx.owner => Finding::of(Presence::Present),
                Some(holder) => Finding::blocked(
                    Cause::new(
                        FailureClass::Permanent,
                        format!("{} holds the lease", holder.words()),
                    )
                    .with_hint(wait_or_remove(ctx.spec)),
                ),
            }
        }))
    },
    run: Some(|ctx, _| {
        Script::new([
            Command::new(["mkdir", "-p", &ctx.spec.work_directory()]),
            Command::new(["ln", "-s", &ctx.lease().to_string(), &lease(ctx.spec)]),
        ])
    }),
    undo_run: Some(|ctx, _| {
        Script::new([
            Command::new(["rm", "-f", &lease(ctx.spec)]),
            Command::new(["rmdir", &ctx.spec.work_directory()]).tolerated(),
        ])
    }),
    judge_undo: Some(|ctx, answers| {
        judged((|| {
            // Somebody else's lease is not ours to drop.
            let ours = holder(ctx, answers)?.is_none_or(|holder| holder.owner == ctx.owner);
            let left = ours && is_there(ctx, answers)?;
            Ok(Finding::of(if left { Presence::Present } else { Presence::Absent }))
        })())
    }),
    ..STEP
};

fn holder(ctx: &Context<'_>, answers: &Answers) -> Read<Option<Lease>> {
    answers.master().lease_at(&lease(ctx.spec))
}

/// Whether the migration's own directory is there.
pub(super) fn is_there(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    answers.master().is_there(argv::ls_d(&ctx.spec.work_directory()))
}

const FETCHED: &str = "image.data.done";

/// Out of the mksysb, or the resource of `-i`.
const FETCH_IMAGE_DATA: StepDef = StepDef {
    phase: Phase::Clone,
    name: "fetch-image-data",
    about: "fetch the image.data that describes the copy",
    host: HostRole::Master,
    drivers: Drivers::Both,
    undo: UndoKind::Reverse,
    timeout: minutes(30),
    applies: MigrationSpec::has_image_data,
    looks: |ctx| {
        let list = argv::ls(&ctx.spec.work_directory());
        vec![look(HostRole::Master, [list].into_iter().chain(source(ctx).map(argv::lsnim)))]
    },
    judge: |ctx, answers| {
        judged((|| {
            let names = answers.master().names(&ctx.spec.work_directory())?;
            location(ctx, answers)?;
            let has = |wanted: &str| names.iter().any(|name| name == wanted);
            Ok(Finding::of(match (has(FETCHED), has("image.data")) {
                (true, true) => Presence::Present,
                (false, false) => Presence::Absent,
                _ => Presence::Partial,
            }))
        })())
    },
    run: Some(|ctx, answers| {
        let directory = ctx.spec.work_directory();
        let from = location(ctx, answers).unwrap_or_else(|_| {
            source(ctx).map(|name| format!("<location of {name}>")).unwrap_or_default()
        });
        let fetch = match ctx.spec.options.image_data {
            Some(_) => Command::new(["cp", &from, &image_data(ctx.spec)]),
            None => Command::new(["restore", "-xqf", &from, "./image.data"]).within(&directory),
        };
        Script::new([
            Command::new(["mkdir", "-p", &directory]),
            fetch,
            Command::new(["touch", &format!("{directory}/{FETCHED}")]),
        ])
    }),
    undo_run: Some(|ctx, _| {
        let directory = ctx.spec.work_directory();
        Script::new([
            Command::new(["rm", "-f", &image_data(ctx.spec), &format!("{directory}/{FETCHED}")]),
            Command::new(["rmdir", &directory]).tolerated(),
        ])
    }),
    judge_undo: Some(|ctx, answers| {
        judged((|| {
            let (said, work) = (answers.master(), ctx.spec.work_directory());
            let names = said.names(&work)?;
            // An empty directory is ours too; one that holds the lease stays.
            let ours = names.is_empty() || names.iter().any(|name| name.starts_with("image.data"));
            let left = ours && said.is_there(argv::ls(&work))?;
            Ok(Finding::of(if left { Presence::Present } else { Presence::Absent }))
        })())
    }),
    ..STEP
};

/// The NIM object that image.data comes from.
fn source<'a>(ctx: &Context<'a>) -> Option<&'a NimName> {
    let options = &ctx.spec.options;
    options.image_data.as_ref().or(options.mksysb.as_ref())
}

fn location(ctx: &Context<'_>, answers: &Answers) -> Read<String> {
    let name = source(ctx).ok_or_else(|| "no image.data is asked for".to_owned())?;
    answers.master().location(name)
}
