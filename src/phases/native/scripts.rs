//! Phases 4 and 7: the site's own scripts, within the copy.

use crate::aix::argv;
use crate::domain::{HostRole, Phase, Repeat};
use crate::transport::{Command, Script};

use crate::phases::copy::baseline;
use crate::phases::marks::{self, SCRIPT};
use crate::phases::read::judged;
use crate::phases::step::{Context, Is, STEP, StepDef, hours};

pub(crate) const STEPS: &[StepDef] = &[RUN_PRE_SCRIPT, RUN_POST_SCRIPT];

/// The step that runs the pre-migration script.
pub(crate) const PRE: &str = "run-pre-script";

/// The step that runs the post-migration script.
pub(crate) const POST: &str = "run-post-script";

/// Phase 4.
const RUN_PRE_SCRIPT: StepDef = StepDef {
    phase: Phase::PreScript,
    name: PRE,
    about: "run the pre-migration script in the copy",
    host: HostRole::Master,
    is: &[Is::SiteScript],
    repeat: Repeat::Never,
    timeout: hours(2),
    applies: |spec| spec.options.pre_script.is_some(),
    looks: marks::looks,
    judge: |ctx, answers| judged(marks::judge(ctx, answers, PRE)),
    run: Some(|ctx, _| {
        let location = baseline(ctx).ok().and_then(|b| b.pre_script_location.as_deref());
        run_script(ctx, PRE, location)
    }),
    ..STEP
};

/// Phase 7.
const RUN_POST_SCRIPT: StepDef = StepDef {
    phase: Phase::PostScript,
    name: POST,
    about: "run the post-migration script in the copy",
    host: HostRole::Master,
    is: &[Is::SiteScript],
    repeat: Repeat::Never,
    timeout: hours(2),
    applies: |spec| spec.options.post_script.is_some(),
    looks: marks::looks,
    judge: |ctx, answers| judged(marks::judge(ctx, answers, POST)),
    run: Some(|ctx, _| {
        let location = baseline(ctx).ok().and_then(|b| b.post_script_location.as_deref());
        run_script(ctx, POST, location)
    }),
    ..STEP
};

pub(crate) fn run_script(ctx: &Context<'_>, step: &str, location: Option<&str>) -> Script {
    let Some(location) = location else { return Script::default() };
    let root = ctx.spec.master_root();
    let there = format!("{root}{SCRIPT}");
    let run = Command::new(argv::chroot(&root, &[SCRIPT]))
        .with_env("NIMSHIFT_PHASE", ctx.ticket.phase.number().to_string())
        .with_env("NIMSHIFT_CLIENT", ctx.spec.client.as_str())
        .with_env("NIMSHIFT_MASTER", ctx.spec.master.as_str())
        .with_env("NIMSHIFT_ALT_ROOT", root)
        .with_env("NIMSHIFT_TICKET", ctx.ticket.to_string());
    // Of a client that only a wake knows there is no target.
    let run = match ctx.spec.task.aim() {
        Some(aim) => run.with_env("NIMSHIFT_TARGET_LEVEL", aim.target.level.as_str()),
        None => run,
    };
    let commands = [
        Command::new(["cp", location, &there]),
        Command::new(["chmod", "700", &there]),
        run,
        Command::new(["rm", "-f", &there]),
    ];
    marks::between(ctx, step, commands)
}
