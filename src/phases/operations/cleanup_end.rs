//! Cleanup behind the copy: the client in NIM, the lease, the migration's own
//! directories.

use crate::aix::NimObject;
use crate::aix::argv::{self, words};
use crate::domain::{HostRole, Phase, Presence, TaskKind};
use crate::transport::{Command, Script};

use super::cleanup_check::{gone, is_empty_tree, is_locked_by_living, only, tree_looks};
use crate::phases::copy::{CLIENT_ROOT, master_top};
use crate::phases::lease::{guard_of, is_alive, is_of_takeover};
use crate::phases::native::mksysb;
use crate::phases::read::{HostAnswers, Read, judged, look};
use crate::phases::step::{Answers, Context, Finding, Is, STEP, StepDef, minutes};

pub(crate) const STEPS: &[StepDef] = &[NIM, LEFT_ALONE, CLIENT_WORK, MASTER_WORK];

/// The client in NIM: unlocked, ready, with nothing allocated.
const NIM: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-nim",
    about: "reset the client in NIM, deallocate its resources",
    host: HostRole::Master,
    task: TaskKind::Cleanup,
    timeout: minutes(15),
    applies: |spec| spec.task.has_client(),
    looks: |ctx| only(HostRole::Master, [argv::lsnim(&ctx.spec.client), argv::processes()]),
    judge: |ctx, answers| {
        judged((|| {
            let said = answers.master();
            let object = said.nim_object(&ctx.spec.client)?;
            let running = said.processes()?;
            if is_locked_by_living(&object, &running) && !ctx.spec.options.force {
                return Err(format!("{} is locked in NIM", ctx.spec.client));
            }
            Ok(gone(is_at_rest(&object)))
        })())
    },
    run: Some(|ctx, _| {
        let client = ctx.spec.client.as_str();
        let all = words(&["nim", "-Fo", "deallocate", "-a", "subclass=all", client]);
        Script::new([
            Command::new(words(&["nim", "-Fo", "reset", client])),
            Command::new(all).tolerated(),
        ])
    }),
    ..STEP
};

/// Resources that show in a machine's stanza while they are allocated.
const ALLOCATED: [&str; 9] = [
    "spot",
    "lpp_source",
    "mksysb",
    "bosinst_data",
    "image_data",
    "exclude_files",
    "installp_bundle",
    "script",
    "boot",
];

fn is_at_rest(object: &NimObject) -> bool {
    object.get("locked").is_none()
        && object.get("Cstate") == Some("ready for a NIM operation")
        && ALLOCATED.iter().all(|resource| object.get(resource).is_none())
}

/// Looks for what belongs to nobody known: it is told, and never removed.
const LEFT_ALONE: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-left-alone",
    about: "look for files of others where a copy is mounted",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    applies: |spec| spec.task.has_client(),
    looks: |ctx| {
        let client = [CLIENT_ROOT, argv::SPOT_MOUNT].map(argv::files_below);
        let master = argv::files_below(&master_top(ctx));
        vec![look(HostRole::Client, client), look(HostRole::Master, [master])]
    },
    judge: |ctx, answers| {
        judged((|| {
            for top in [CLIENT_ROOT, argv::SPOT_MOUNT] {
                answers.client().output(argv::files_below(top))?;
            }
            answers.master().output(argv::files_below(&master_top(ctx)))?;
            Ok(Finding::of(Presence::Present))
        })())
    },
    ..STEP
};

/// What a migration keeps on the client, by name in its directory.
const OWN: [&str; 6] = [
    "lease",
    "clone.begun",
    "finish-clone.done",
    "exclude_files",
    "image.data",
    "clone-rootvg.done",
];

/// Whether a name in that directory is one that a migration gives.
pub(in crate::phases) fn is_own(name: &str) -> bool {
    OWN.contains(&name) || is_of_takeover(name)
}

/// The last step: the lease, whose holder is no more, and empty directories.
const CLIENT_WORK: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-work-client",
    about: "drop the dead lease, remove the migration's own files",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    is: &[Is::SeesToLease],
    applies: |spec| spec.task.has_client(),
    looks: |_| {
        let lease = argv::ls_l(argv::LEASE);
        let directory = argv::ls(argv::LEASE_DIR);
        let looks = [lease, directory].into_iter().chain(tree_looks(CLIENT_ROOT));
        only(HostRole::Client, looks)
    },
    judge: |ctx, answers| judged(judge_work(ctx, answers)),
    run: Some(|ctx, answers| {
        let said = answers.client();
        let mut commands: Vec<Command> = guard_of(ctx, answers).into_iter().collect();
        if has_work(said).unwrap_or(true) {
            // A dry run has asked nobody: it names all that may be there.
            let own = OWN.map(str::to_owned).to_vec();
            let mut names = said.names(argv::LEASE_DIR).unwrap_or(own);
            names.retain(|name| is_own(name));
            if !names.is_empty() {
                let mut remove = words(&["rm", "-f"]);
                remove.extend(names.iter().map(|name| format!("{}/{name}", argv::LEASE_DIR)));
                commands.push(Command::new(remove));
            }
            commands.push(Command::new(["rmdir", argv::LEASE_DIR]).tolerated());
        }
        if is_empty_tree(said, CLIENT_ROOT).unwrap_or(true) {
            commands.push(Command::new(argv::remove_empty(CLIENT_ROOT)).tolerated());
        }
        Script::new(commands)
    }),
    ..STEP
};

/// Whether the migration's own files, or its empty directory, are there.
fn has_work(said: HostAnswers<'_>) -> Read<bool> {
    if !said.is_there(argv::ls(argv::LEASE_DIR))? {
        return Ok(false);
    }
    let names = said.names(argv::LEASE_DIR)?;
    Ok(names.is_empty() || names.iter().any(|name| is_own(name)))
}

fn judge_work(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    if let Some(holder) = said.lease()?.filter(|holder| is_alive(ctx, holder)) {
        return Err(format!("{} has taken the lease meanwhile", holder.words()));
    }
    Ok(gone(!has_work(said)? && !is_empty_tree(said, CLIENT_ROOT)?))
}

/// The migration's own directory on the master, and a mksysb that is half written,
/// which only nimshift calls so. With the directory goes the lease.
const MASTER_WORK: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-work-master",
    about: "remove the migration's own directory on the master",
    host: HostRole::Master,
    task: TaskKind::Cleanup,
    looks: |ctx| {
        let paths = [ctx.spec.work_directory()].into_iter().chain(half_written(ctx));
        only(HostRole::Master, paths.map(|path| argv::ls_d(&path)))
    },
    judge: |ctx, answers| {
        let is_there = |path: &str| answers.master().is_there(argv::ls_d(path));
        let half = half_written(ctx).map_or(Ok(false), |path| is_there(&path));
        let work = is_there(&ctx.spec.work_directory());
        judged(work.and_then(|there| Ok(gone(!there && !half?))))
    },
    run: Some(|ctx, _| {
        let half = half_written(ctx).map(|path| Command::new(["rm", "-f", &path]));
        let work = Command::new(["rm", "-rf", &ctx.spec.work_directory()]);
        Script::new(half.into_iter().chain([work]))
    }),
    ..STEP
};

/// The mksysb of the plan while it is being written.
fn half_written(ctx: &Context<'_>) -> Option<String> {
    ctx.spec.options.output.as_ref().map(|_| mksysb::part(ctx))
}
