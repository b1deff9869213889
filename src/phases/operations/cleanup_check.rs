//! Cleanup: whether it may begin, and what still runs.
//!
//! What nimshift itself has in flight does not come here: the command refuses it.

use std::time::Duration;

use crate::aix::argv::{self, words};
use crate::aix::{self, NimObject, Process};
use crate::domain::{Cause, FailureClass, HostRole, Phase, Presence, TaskKind};
use crate::transport::{Command, Script};

use super::cleanup_whose::{Standing, VgIs, standing, standing_looks};
use crate::phases::copy::{CLIENT_ROOT, is_below, master_top};
use crate::phases::lease::{self, is_alive};
use crate::phases::native::master;
use crate::phases::read::{HostAnswers, Read, judged, look};
use crate::phases::step::{Answers, Context, Finding, Is, Probe, STEP, Settle, StepDef};

pub(crate) const STEPS: &[StepDef] = &[CHECK, LEASE, MASTER_JOBS, CLIENT_JOBS];

/// The gate: nobody else may be at work on the client.
const CHECK: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-check",
    about: "check that nobody works on the client",
    host: HostRole::Master,
    task: TaskKind::Cleanup,
    gate: true,
    looks: |ctx| {
        let mut master = vec![argv::ls_l(&master::lease(ctx.spec))];
        if !ctx.spec.task.has_client() {
            return vec![look(HostRole::Master, master)];
        }
        master.extend([argv::lsnim(&ctx.spec.client), argv::processes()]);
        let lease = argv::ls_l(argv::LEASE);
        let client = [lease].into_iter().chain(standing_looks());
        vec![look(HostRole::Master, master), look(HostRole::Client, client)]
    },
    judge: |ctx, answers| judged(judge(ctx, answers)),
    ..STEP
};

/// What cleans up has the lease while it does: nobody else begins meanwhile, and
/// who is thought dead is barred before anything of its own is touched.
pub(crate) const LEASE: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-lease",
    about: "take the client's lease, bar who held it",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    is: &[Is::SeesToLease],
    applies: |spec| spec.task.has_client(),
    looks: lease::TAKE_LEASE.looks,
    judge: lease::TAKE_LEASE.judge,
    run: lease::TAKE_LEASE.run,
    ..STEP
};

fn judge(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let (master, client) = (answers.master(), answers.client());
    let mut holders = vec![master.lease_at(&master::lease(ctx.spec))?];
    if ctx.spec.task.has_client() {
        holders.push(client.lease()?);
    }
    if let Some(holder) = holders.into_iter().flatten().find(|holder| is_alive(ctx, holder)) {
        let cause = Cause::new(
            FailureClass::Permanent,
            format!("{} holds the lease of {}: another nimshift", holder.words(), ctx.spec.client),
        );
        return Ok(Finding::blocked(cause.with_hint(
            "order a rollback where its migration was started; `--force` takes the lease over if that \
             nimshift is gone",
        )));
    }
    if ctx.spec.task.has_client() {
        let object = master.nim_object(&ctx.spec.client)?;
        let running = master.processes()?;
        if let Some(bar) = busy(ctx, &object, &running) {
            return Ok(bar);
        }
        if let Some(bar) = not_to_be_touched(ctx, client)? {
            return Ok(bar);
        }
    }
    Ok(Finding::of(Presence::Present))
}

/// The bar where altinst_rootvg is what the client ran before it was migrated (woken
/// and put to sleep, it has that name, and it is the way back), or one of others that
/// is awake: somebody works in it.
fn not_to_be_touched(ctx: &Context<'_>, said: HostAnswers<'_>) -> Read<Option<Finding>> {
    let standing = standing(ctx, said)?.filter(|_| !ctx.spec.options.force);
    let Some(Standing { disk, id, whose, is_awake }) = standing else { return Ok(None) };
    let client = &ctx.spec.client;
    let (text, hint) = match whose {
        VgIs::Old => (
            format!("altinst_rootvg on {disk} is what {client} ran before it was migrated"),
            format!(
                "to keep it, give it its name back (on {client}, `alt_rootvg_op -v old_rootvg -d {disk}`); \
                 `--force` removes it"
            ),
        ),
        VgIs::Others if is_awake => (
            format!(
                "altinst_rootvg on {disk} is awake, and no migration here has made it (volume group {id})"
            ),
            format!(
                "wait until nobody works in it, or put it to sleep (`nimshift sleep {client}`); \
                 `nimshift cleanup {client} --force` removes it"
            ),
        ),
        VgIs::Others | VgIs::Ours => return Ok(None),
    };
    Ok(Some(Finding::blocked(Cause::new(FailureClass::Permanent, text).with_hint(hint))))
}

/// Whether the process that has locked the object still runs.
pub(crate) fn is_locked_by_living(object: &NimObject, running: &[Process]) -> bool {
    aix::lock_holder(object, running).is_some()
}

/// The bar where NIM itself is at work on the client.
fn busy(ctx: &Context<'_>, object: &NimObject, running: &[Process]) -> Option<Finding> {
    if ctx.spec.options.force {
        return None;
    }
    let client = &ctx.spec.client;
    if is_locked_by_living(object, running) {
        let process = object.get("locked").unwrap_or_default();
        let text = format!("{client} is locked in NIM by process {process}, which runs");
        let cause = Cause::new(FailureClass::Transient, text);
        return Some(Finding::blocked(cause.with_hint("wait for it; `--force` unlocks it")));
    }
    let state = object.get("Cstate").unwrap_or_default();
    if state.contains("BOS") {
        let text = format!("{client} is in an operation of its own in NIM: {state}");
        let cause = Cause::new(FailureClass::Permanent, text);
        return Some(Finding::blocked(
            cause.with_hint("end that installation; `--force` resets the client all the same"),
        ));
    }
    None
}

/// Jobs of a migration that go on without their engine.
const MASTER_JOBS: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-jobs-master",
    about: "end processes for the client on the master",
    host: HostRole::Master,
    task: TaskKind::Cleanup,
    settle: Settle::Within(Duration::from_secs(10)),
    looks: |_| vec![look(HostRole::Master, [argv::processes()])],
    judge: |ctx, answers| judge_jobs(answers.master(), |process| is_for_client(ctx, process)),
    run: Some(|ctx, answers| {
        end_jobs(ctx, answers.master(), |process| is_for_client(ctx, process))
    }),
    ..STEP
};

/// See [`MASTER_JOBS`].
const CLIENT_JOBS: StepDef = StepDef {
    phase: Phase::End,
    name: "cleanup-jobs-client",
    about: "end processes that use a copy on the client",
    host: HostRole::Client,
    task: TaskKind::Cleanup,
    settle: Settle::Within(Duration::from_secs(10)),
    applies: |spec| spec.task.has_client(),
    looks: |_| vec![look(HostRole::Client, [argv::processes()])],
    judge: |_, answers| judge_jobs(answers.client(), |process| is_on_copy(&process.args)),
    run: Some(|ctx, answers| end_jobs(ctx, answers.client(), |process| is_on_copy(&process.args))),
    ..STEP
};

/// Whether a process of the master works on the client's copy: by the copy's
/// directory, or as nimadm of that client.
pub(crate) fn is_for_client(ctx: &Context<'_>, process: &Process) -> bool {
    // This program itself, under the name nimadm.
    if ctx.control.on_master == Some(process.pid) {
        return false;
    }
    let top = master_top(ctx);
    let below = process.args.split([' ', '\'', '"', '=', ':']).any(|word| is_below(word, &top));
    below || (process.runs("nimadm") && process.has("-c", ctx.spec.client.as_str()))
}

/// Whether a process of the client works on a copy.
pub(crate) fn is_on_copy(args: &str) -> bool {
    let programs = ["alt_disk_copy", "alt_disk_mksysb", "alt_disk_install", "alt_rootvg_op"];
    let program = args.split_whitespace().next().unwrap_or_default();
    programs.contains(&program.rsplit('/').next().unwrap_or_default())
        || args
            .split([' ', '\'', '"', '='])
            .any(|word| is_below(word, CLIENT_ROOT) || word.starts_with("/ALT_MIG_"))
}

fn chosen_jobs(said: HostAnswers<'_>, is_ours: impl Fn(&Process) -> bool) -> Read<Vec<Process>> {
    let mut running = said.processes()?;
    running.retain(is_ours);
    Ok(running)
}

fn judge_jobs(said: HostAnswers<'_>, is_ours: impl Fn(&Process) -> bool) -> Finding {
    judged(chosen_jobs(said, is_ours).map(|left| gone(left.is_empty())))
}

fn end_jobs(
    ctx: &Context<'_>,
    said: HostAnswers<'_>,
    is_ours: impl Fn(&Process) -> bool,
) -> Script {
    // A dry run has asked nobody: it shows what the command looks like.
    let ids: Vec<String> = match chosen_jobs(said, is_ours) {
        Ok(left) => left.iter().map(|process| process.pid.to_string()).collect(),
        Err(_) => vec!["<process>".to_owned()],
    };
    let by_force = ctx.ticket.attempt > 1;
    Script::new(ids.iter().map(|pid| {
        let argv = if by_force { words(&["kill", "-9", pid]) } else { words(&["kill", pid]) };
        Command::new(argv).tolerated()
    }))
}

/// The finding of a step that makes sure that something is gone.
pub(crate) fn gone(is_gone: bool) -> Finding {
    Finding::of(if is_gone { Presence::Present } else { Presence::Absent })
}

/// A file or directory, and the files below it: what is looked at before it is
/// removed.
pub(crate) fn tree_looks(top: &str) -> Vec<argv::Argv> {
    vec![argv::ls_d(top), argv::files_below(top)]
}

/// Whether the directory `top` is there with nothing in it but directories, by
/// [`tree_looks`]. What holds files is left alone.
pub(crate) fn is_empty_tree(said: HostAnswers<'_>, top: &str) -> Read<bool> {
    if !said.is_there(argv::ls_d(top))? {
        return Ok(false);
    }
    let files = said.output(argv::files_below(top))?;
    Ok(files.ok() && files.stdout.trim().is_empty())
}

/// Looks of a role as the only ones.
pub(crate) fn only(role: HostRole, commands: impl IntoIterator<Item = argv::Argv>) -> Probe {
    vec![look(role, commands)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ours_by_what_it_works_on() {
        let table = [
            ("/ALT_MIG_SPOT/sbin/alt_disk_copy -M 7.3 -P1 -d hdisk1", true),
            ("tar -cUf - -C /alt_inst/usr .", true),
            ("/usr/sbin/alt_rootvg_op -S", true),
            ("tar -cf - /alt_install", false),
            ("vi /home/alt_inst", false),
        ];
        for (args, ours) in table {
            assert_eq!(is_on_copy(args), ours, "{args}");
        }
    }
}
