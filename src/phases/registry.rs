//! All steps of the native driver, in the order in which they run.

use std::time::Duration;

use crate::domain::{MigrationSpec, Phase, Repeat, StepName, StepSpec};

use super::step::StepDef;
use super::{boot_image, check, clone, end, export, filesets, finish, migrate, mount, record};
use super::{scripts, unmount};

/// The `settle` of a step whose effect may take as long as the plan gives a
/// reboot.
pub(super) const AS_LONG_AS_THE_PLAN_SAYS: Duration = Duration::MAX;

static REGISTRY: [StepDef; 30] = [
    check::CHECK_CLIENT,
    clone::TAKE_LEASE,
    record::RECORD_BASELINE,
    clone::MOUNT_SPOT,
    clone::CLONE_ROOTVG,
    export::EXPORT_FILESYSTEMS,
    export::MAKE_CACHE,
    mount::MOUNT_FILESYSTEMS,
    mount::FILL_CACHE,
    scripts::RUN_PRE_SCRIPT,
    migrate::SAVE_CONFIG,
    migrate::EXPAND_FILESYSTEMS,
    migrate::RESTORE_BOS,
    migrate::MERGE_DEVICES,
    migrate::MERGE_CONFIG,
    filesets::INSTALL_FILESETS,
    filesets::INSTALL_RPMS,
    filesets::VERIFY_LEVEL,
    scripts::RUN_POST_SCRIPT,
    boot_image::MAKE_BOOT_IMAGE,
    unmount::RETURN_CACHE,
    unmount::UNMOUNT_FILESYSTEMS,
    unmount::UNEXPORT_FILESYSTEMS,
    unmount::REMOVE_CACHE,
    finish::FINISH_CLONE,
    finish::SET_BOOTLIST,
    end::CLEAN_CLIENT,
    end::CLEAN_MASTER,
    end::REBOOT,
    end::VERIFY_BOOT,
];

/// All steps, in the order in which they run.
pub fn registry() -> &'static [StepDef] {
    &REGISTRY
}

/// The step of that name.
pub fn find(phase: Phase, step: &StepName) -> Option<&'static StepDef> {
    REGISTRY.iter().find(|def| def.phase == phase && def.name == *step)
}

/// Whether `-P` lets a phase run. Check, lease and baseline are part of every
/// run, and so is the cleaning of the client.
pub(super) fn chosen(spec: &MigrationSpec, phase: Phase) -> bool {
    spec.options.phases.as_ref().is_none_or(|phases| phases.contains(&phase))
}

/// What a migration will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationPlan {
    /// Its steps, in order.
    pub steps: Vec<StepSpec>,
    /// Phases that have nothing to do, each with the reason.
    pub skipped: Vec<(Phase, String)>,
}

/// The steps of a migration.
pub fn plan_steps(spec: &MigrationSpec) -> MigrationPlan {
    let steps: Vec<StepSpec> = REGISTRY
        .iter()
        .filter(|def| (def.applies)(spec))
        .map(|def| StepSpec { repeat: repeat_of(def, spec), ..def.spec() })
        .collect();
    let is_idle = |phase: &Phase| !steps.iter().any(|step| step.phase == *phase);
    let skipped = Phase::ALL
        .into_iter()
        .filter(is_idle)
        .map(|phase| {
            let why = match phase {
                _ if !chosen(spec, phase) => "left out by the plan's phases (-P)",
                Phase::PreScript => "no pre-migration script",
                Phase::PostScript => "no post-migration script",
                _ => "nothing to do",
            };
            (phase, why.to_owned())
        })
        .collect();
    MigrationPlan { steps, skipped }
}

/// How long the effect of a step may take to show after its job has ended.
pub(super) fn settle_of(def: &StepDef, spec: &MigrationSpec) -> Duration {
    if def.settle == AS_LONG_AS_THE_PLAN_SAYS {
        return Duration::from_millis(spec.reboot_timeout_ms);
    }
    def.settle
}

/// How a step is repeated: the plan may say that its scripts can be.
pub(super) fn repeat_of(def: &StepDef, spec: &MigrationSpec) -> Repeat {
    let is_script = [scripts::PRE, scripts::POST].contains(&def.name.as_str());
    if is_script && spec.options.scripts_repeatable {
        return Repeat::Safe;
    }
    def.repeat
}
