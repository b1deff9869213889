//! Phase 1, before anything is changed: whether the migration may begin. All
//! that stands against it is told at once.

mod disks;
mod levels;
mod nim;
mod objections;
mod rootvg;
#[cfg(test)]
mod tests;

use crate::aix::PhysicalVolume;
use crate::aix::argv::{self, Argv};
use crate::domain::{Cause, Facts, FailureClass, HostRole, Phase};
use crate::transport::Command;

use crate::phases::copy::ALT_VG;
use crate::phases::lease::{is_of_this_journal, refused, takes_over, wait_or_clean};
use crate::phases::read::look;
use crate::phases::step::{Answers, Context, Drivers, Finding, Is, Probe, STEP, StepDef};
use disks::check_disks;
use levels::{
    LEVELS, OWN_LEVELS, check_agreement, check_build, check_levels, installable, source_level,
};
use nim::{check_machine, check_output, check_resources, further_objects, output_looks};
use objections::Objections;
use rootvg::{booted_from, check_cache, check_rootvg};

pub(crate) const STEPS: &[StepDef] = &[CHECK_CLIENT, CHECK_MKSYSB];

/// The gate.
const CHECK_CLIENT: StepDef = StepDef {
    phase: Phase::Clone,
    name: "check-client",
    about: "check that the client can be migrated",
    host: HostRole::Client,
    drivers: Drivers::Both,
    is: &[Is::SeesOtherLease],
    gate: true,
    applies: |spec| spec.task.has_client(),
    looks: gate_looks,
    judge: judge_gate,
    ..STEP
};

/// The gate where there is no client.
const CHECK_MKSYSB: StepDef = StepDef {
    phase: Phase::Clone,
    name: "check-mksysb",
    about: "check that the mksysb can be migrated",
    host: HostRole::Master,
    drivers: Drivers::Both,
    gate: true,
    applies: |spec| !spec.task.has_client(),
    looks: gate_looks,
    judge: judge_gate,
    ..STEP
};

fn gate_looks(ctx: &Context<'_>) -> Probe {
    let target = ctx.spec.target();
    let machine = ctx.spec.task.has_client().then_some(&ctx.spec.client);
    let first = [
        argv::lsnim(machine.unwrap_or(&target.spot)),
        argv::lsnim(&target.spot),
        argv::lsnim(&target.lpp_source),
        argv::level(),
        argv::lslpp(&LEVELS),
        argv::spot_lslpp(&target.spot, &LEVELS),
        argv::exports(),
    ];
    let mut further: Vec<Argv> =
        further_objects(ctx).into_iter().map(|(_, name)| argv::lsnim(name)).collect();
    further.extend(ctx.spec.options.cache_vg.iter().map(|vg| argv::lsvg(vg.as_str())));
    further.extend(output_looks(ctx));
    let commands = first.map(Command::from).into_iter().chain([installable(ctx)]);
    let master = look(HostRole::Master, commands.chain(further.into_iter().map(Command::from)));
    if machine.is_none() {
        return vec![master];
    }
    let mut client = vec![
        argv::level(),
        argv::lspv(),
        argv::lsvg("rootvg"),
        argv::lsvg_l("rootvg"),
        booted_from(),
    ];
    client.extend(ctx.spec.options.disks.iter().map(argv::disk_size));
    client.extend(ctx.spec.options.disks.iter().map(argv::bootable));
    client.push(argv::lslpp(&OWN_LEVELS));
    client.extend([argv::ls_l(argv::LEASE), argv::processes()]);
    vec![master, look(HostRole::Client, client)]
}

fn judge_gate(ctx: &Context<'_>, answers: &Answers) -> Finding {
    let (master, client) = (answers.master(), answers.client());
    let mut against = Objections::default();
    let task = &ctx.spec.task;
    // Before anything else: of what another has under way nothing is judged.
    let lease = task.changes_client().then(|| client.lease());
    let holder = lease.and_then(|lease| against.read("the client's lease", lease)).flatten();
    let holder = holder.filter(|holder| holder.owner != ctx.owner);
    if let Some(holder) = holder.as_ref().filter(|_| !takes_over(ctx.spec)) {
        let stands = |lspv: Vec<PhysicalVolume>| lspv.iter().any(|row| row.is_in(ALT_VG));
        let has_copy = client.lspv().is_ok_and(stands);
        // To take the lease over is not enough where a copy of the holder stands.
        if has_copy && !is_of_this_journal(ctx, holder) {
            let text = format!("{} holds the client's lease, and has a copy there", holder.words());
            let cause = Cause::new(FailureClass::Permanent, text);
            return Finding::blocked(cause.with_hint(wait_or_clean(ctx)));
        }
        return refused(ctx, holder, None);
    }
    let (what, level) = source_level(ctx, master, client, &mut against);
    if let Some(level) = &level
        && level.reaches(&ctx.spec.target().level)
    {
        let known = task.has_client() && !task.reads_mksysb();
        let what = if known { ctx.spec.client.to_string() } else { what };
        let text = format!("{what} is at {level} already");
        return Finding::blocked(Cause::new(FailureClass::AlreadyDone, text));
    }
    check_levels(ctx, master, &what, level.as_ref(), &mut against);
    if task.has_client() {
        check_machine(ctx, master, &mut against);
    }
    check_resources(ctx, master, &mut against);
    check_agreement(ctx, master, client, &mut against);
    check_output(ctx, master, &mut against);
    let mut room = None;
    if task.has_client() && !task.reads_mksysb() {
        let installs = [Phase::MigrateBase, Phase::MigrateFilesets];
        if installs.into_iter().any(|phase| ctx.spec.asks_for(phase)) {
            check_build(ctx, (master, client), level.as_ref(), &mut against);
        }
        room = check_rootvg(ctx, client, &mut against);
    }
    if task.changes_client() && ctx.spec.asks_for(Phase::Clone) {
        check_disks(ctx, client, room.as_ref(), holder.as_ref(), &mut against);
    }
    let level = level.filter(|_| !task.reads_mksysb());
    check_cache(ctx, master, room.as_ref(), &mut against);
    match against.cause() {
        Some(cause) => Finding { objections: against.0, ..Finding::blocked(cause) },
        None => Finding::found(Facts { level, ..Facts::default() }),
    }
}
