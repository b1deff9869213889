//! All steps of both drivers, in the order in which they run.

use std::time::Duration;

use crate::domain::{Driver, MigrationSpec, Phase, Repeat, StepName, StepSpec};

use super::operations::{cleanup_check, cleanup_client, cleanup_copy, cleanup_master};
use super::operations::{sleep, sync, wake};
use super::step::StepDef;
use super::{boot_image, bring, check, clean_copy, clone, end, export, filesets, finish, lease};
use super::{master, migrate, mksysb, mount, nimadm, parts, record, scripts, site, unmount, whose};

/// The `settle` of a step whose effect may take as long as the plan gives a
/// reboot.
pub(super) const AS_LONG_AS_THE_PLAN_SAYS: Duration = Duration::MAX;

static REGISTRY: [StepDef; 89] = [
    check::CHECK_CLIENT,
    check::CHECK_MKSYSB,
    parts::CHECK_PHASES,
    lease::TAKE_LEASE,
    master::TAKE_MASTER_LEASE,
    master::FETCH_IMAGE_DATA,
    record::RECORD_BASELINE,
    record::RECORD_MKSYSB,
    bring::BRING_FILES,
    clone::MOUNT_SPOT,
    clone::CLONE_ROOTVG,
    clone::MAKE_ROOTVG,
    nimadm::MARK_PHASES,
    nimadm::CLONE,
    whose::RECORD_COPY,
    clean_copy::CLEAN_COPY,
    export::EXPORT_FILESYSTEMS,
    export::MAKE_CACHE,
    nimadm::EXPORT,
    mount::MOUNT_FILESYSTEMS,
    mount::FILL_CACHE,
    mksysb::RESTORE_MKSYSB,
    nimadm::MOUNT,
    scripts::RUN_PRE_SCRIPT,
    nimadm::PRE_SCRIPT,
    site::RECORD_SITE,
    migrate::SAVE_CONFIG,
    migrate::EXPAND_FILESYSTEMS,
    migrate::RESTORE_BOS,
    migrate::MERGE_DEVICES,
    migrate::MERGE_CONFIG,
    bring::PUT_BOSINST_DATA,
    nimadm::MIGRATE_BASE,
    filesets::INSTALL_FILESETS,
    filesets::INSTALL_RPMS,
    nimadm::MIGRATE_FILESETS,
    filesets::VERIFY_LEVEL,
    site::VERIFY_COPY,
    scripts::RUN_POST_SCRIPT,
    nimadm::POST_SCRIPT,
    boot_image::MAKE_BOOT_IMAGE,
    nimadm::BOOT_IMAGE,
    unmount::RETURN_CACHE,
    unmount::UNMOUNT_FILESYSTEMS,
    nimadm::UNMOUNT,
    unmount::UNEXPORT_FILESYSTEMS,
    unmount::REMOVE_CACHE,
    nimadm::UNEXPORT,
    finish::FINISH_CLONE,
    nimadm::FINISH,
    finish::SET_BOOTLIST,
    mksysb::WRITE_IMAGE_DATA,
    mksysb::ARCHIVE_MKSYSB,
    mksysb::DEFINE_MKSYSB,
    nimadm::END,
    mksysb::DROP_CACHE,
    end::CLEAN_MASTER,
    master::RELEASE_MASTER,
    end::CLEAN_CLIENT,
    end::REBOOT,
    end::VERIFY_BOOT,
    cleanup_check::CHECK,
    lease::CLEANUP_LEASE,
    cleanup_check::MASTER_JOBS,
    cleanup_check::CLIENT_JOBS,
    cleanup_master::MOUNTS,
    cleanup_master::CACHES,
    cleanup_client::EXPORTS,
    cleanup_client::MOUNTS,
    cleanup_copy::BOOTLIST,
    cleanup_copy::COPY,
    cleanup_master::NIM,
    cleanup_client::LEFT_ALONE,
    cleanup_client::WORK,
    cleanup_master::WORK,
    wake::CHECK,
    wake::COPY,
    wake::RECORD,
    wake::EXPORTS,
    wake::MOUNTS,
    wake::POST_SCRIPT,
    sleep::CHECK,
    sleep::MOUNTS,
    sleep::EXPORTS,
    sleep::COPY,
    sync::CHECK,
    sync::MASTER,
    sync::SPOT,
    sync::COMPARE,
];

/// All steps, in the order in which they run.
pub fn registry() -> &'static [StepDef] {
    &REGISTRY
}

/// The step of that name.
pub fn find(phase: Phase, step: &StepName) -> Option<&'static StepDef> {
    REGISTRY.iter().find(|def| def.phase == phase && def.name == *step)
}

/// Steps of the native driver that the nimadm driver has too.
const SHARED: [&str; 20] = [
    "check-client",
    "check-mksysb",
    "check-phases",
    "take-lease",
    "take-master-lease",
    "fetch-image-data",
    "record-baseline",
    "record-mksysb",
    "record-copy",
    "clean-copy",
    "record-site",
    "verify-level",
    "verify-copy",
    "set-bootlist",
    "drop-cache",
    "clean-client",
    "clean-master",
    "release-master",
    "reboot",
    "verify-boot",
];

impl StepDef {
    /// Whether `driver` has it.
    pub(super) fn is_of(&self, driver: Driver) -> bool {
        let name = self.name.as_str();
        let of_nimadm = name == "mark-phases" || name.starts_with("nimadm-");
        match driver {
            Driver::Native => !of_nimadm,
            Driver::Nimadm => of_nimadm || SHARED.contains(&name),
        }
    }
}

/// Whether a run comes as far as a phase. With `-P`, steps of phases before
/// those that are asked for are part of it, so that they are taken back with the
/// rest; see [`parts::is_assumed`].
pub(super) fn chosen(spec: &MigrationSpec, phase: Phase) -> bool {
    spec.options.phases.as_ref().is_none_or(|phases| phases.iter().max() >= Some(&phase))
}

/// Whether a phase is asked for. Check, lease, baseline and SPOT are part of
/// every run.
pub(super) fn asked(spec: &MigrationSpec, phase: Phase) -> bool {
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
        .filter(|def| def.is_in(spec))
        .map(|def| StepSpec { repeat: repeat_of(def, spec), ..def.spec() })
        .collect();
    if !spec.task.is_migration() {
        return MigrationPlan { steps, skipped: Vec::new() };
    }
    let is_idle =
        |phase: &Phase| !asked(spec, *phase) || !steps.iter().any(|step| step.phase == *phase);
    let skipped = Phase::ALL
        .into_iter()
        .filter(is_idle)
        .map(|phase| {
            let why = match phase {
                _ if !asked(spec, phase) => "left out by the plan's phases (-P)",
                Phase::PreScript => "no pre-migration script",
                Phase::PostScript => "no post-migration script",
                _ => mksysb::idle(spec.mode, phase).unwrap_or("nothing to do"),
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
    // To a mksysb, a fresh copy begins with a fresh cache.
    if def.name.as_str() == export::MAKE && spec.mode.writes_mksysb() {
        return Repeat::AfterUndo;
    }
    if is_script && spec.options.scripts_repeatable {
        return Repeat::Safe;
    }
    def.repeat
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Bootlist, Control, Direction, Presence, Task, Ticket, UndoKind};
    use crate::phases::sample;
    use crate::phases::step::{Answers, Context};
    use crate::transport::{CommandOutput, Output};

    fn task_of(def: &StepDef) -> &str {
        let first = def.name.as_str().split('-').next().unwrap();
        if Task::Migrate.has_step(def.name.as_str()) { "migrate" } else { first }
    }

    #[test]
    fn names_are_unique_and_phases_in_order() {
        let names: BTreeSet<&str> = REGISTRY.iter().map(|def| def.name.as_str()).collect();
        assert_eq!(names.len(), REGISTRY.len());
        for task in ["migrate", "cleanup", "wake", "sleep", "sync"] {
            let of_task = REGISTRY.iter().filter(|def| task_of(def) == task);
            assert!(of_task.map(|def| def.phase).is_sorted(), "{task}");
        }
        let phases: BTreeSet<Phase> = REGISTRY.iter().map(|def| def.phase).collect();
        assert_eq!(phases.len(), Phase::ALL.len());
    }

    #[test]
    fn every_step_has_what_its_kind_needs() {
        for def in &REGISTRY {
            let name = &def.name;
            assert!(def.timeout > Duration::ZERO, "{name}");
            assert!(def.stall.is_none_or(|stall| stall < def.timeout), "{name}");
            assert!(!def.about.is_empty(), "{name}");
            assert_eq!(def.undo == UndoKind::Nothing, def.undo_run.is_none(), "{name}");
            if def.run.is_none() {
                assert_eq!(def.undo, UndoKind::Nothing, "{name} only looks");
            }
            // Job ids hold scope, migration, phase and step within 80 characters.
            assert!(name.as_str().len() <= 24, "{name}");
        }
        let gates: Vec<&str> =
            REGISTRY.iter().filter(|def| def.gate).map(|def| def.name.as_str()).collect();
        assert_eq!(
            gates,
            [
                "check-client",
                "check-mksysb",
                "check-phases",
                "cleanup-check",
                "wake-check",
                "sleep-check",
                "sync-check"
            ]
        );
        assert!(REGISTRY[0].gate, "nothing comes before the gate");
    }

    fn judge_anything(outputs: &[(i32, String)], cached: bool, direction: Direction) {
        let mut spec = sample::spec();
        spec.options.cache_vg = cached.then(|| "cachevg".parse().unwrap());
        spec.options.pre_script = Some("pre".parse().unwrap());
        let facts = sample::facts();
        let said: Vec<CommandOutput> = outputs
            .iter()
            .map(|(status, text)| CommandOutput {
                status: *status,
                stdout: text.clone(),
                ..CommandOutput::default()
            })
            .collect();
        let answers = Answers(vec![Output { commands: said }; 2]);
        for def in &REGISTRY {
            let ticket = Ticket {
                phase: def.phase,
                step: def.name.clone(),
                direction,
                round: 0,
                attempt: 2,
            };
            let ctx = Context {
                spec: &spec,
                facts: &facts,
                ticket: &ticket,
                owner: "s1.m1",
                control: &Control::default(),
                now_ms: 0,
            };
            let _ = (def.judge)(&ctx, &answers);
            let _ = def.judge_undo.map(|judge| judge(&ctx, &answers));
            let _ = def.run.map(|run| run(&ctx, &answers));
            let _ = def.undo_run.map(|undo| undo(&ctx, &answers));
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_step_panic(
            outputs in prop::collection::vec((0..3_i32, ".{0,60}(\n.{0,60}){0,3}"), 0..10),
            cached: bool,
            back: bool,
        ) {
            let direction = if back { Direction::Undo } else { Direction::Forward };
            judge_anything(&outputs, cached, direction);
        }
    }

    #[test]
    fn a_host_that_says_nothing_is_never_taken_for_one_where_all_is_well() {
        let (spec, facts) = (sample::spec(), sample::facts());
        for def in &REGISTRY {
            let ticket = Ticket {
                phase: def.phase,
                step: def.name.clone(),
                direction: Direction::Forward,
                round: 0,
                attempt: 1,
            };
            let ctx = Context {
                spec: &spec,
                facts: &facts,
                ticket: &ticket,
                owner: "s1.m1",
                control: &Control::default(),
                now_ms: 0,
            };
            let sight = (def.judge)(&ctx, &Answers::default());
            let unsure = matches!(sight.presence, Presence::Unknown(_));
            assert!(unsure || sight.barred.is_some(), "{}", def.name);
            if let Some(judge_undo) = def.judge_undo {
                let sight = judge_undo(&ctx, &Answers::default());
                assert!(matches!(sight.presence, Presence::Unknown(_)), "{}", def.name);
            }
        }
    }

    #[test]
    fn every_step_is_found_by_its_name() {
        for def in &REGISTRY {
            assert!(find(def.phase, &def.name).is_some_and(|found| std::ptr::eq(found, def)));
        }
        assert!(find(Phase::End, &StepName::new("take-lease")).is_none());
    }

    fn names(spec: &MigrationSpec) -> Vec<String> {
        plan_steps(spec).steps.iter().map(|step| step.step.to_string()).collect()
    }

    #[test]
    fn a_plain_plan_has_its_steps() {
        let spec = sample::spec();
        assert_eq!(
            names(&spec),
            [
                "check-client",
                "take-lease",
                "record-baseline",
                "mount-spot",
                "clone-rootvg",
                "record-copy",
                "clean-copy",
                "export-filesystems",
                "mount-filesystems",
                "record-site",
                "save-config",
                "expand-filesystems",
                "restore-bos",
                "merge-devices",
                "merge-config",
                "install-filesets",
                "install-rpms",
                "verify-level",
                "verify-copy",
                "make-boot-image",
                "unmount-filesystems",
                "unexport-filesystems",
                "finish-clone",
                "set-bootlist",
                "clean-master",
                "clean-client",
            ]
        );
        assert_eq!(
            plan_steps(&spec).skipped,
            [
                (Phase::PreScript, "no pre-migration script".to_owned()),
                (Phase::PostScript, "no post-migration script".to_owned()),
            ]
        );
    }

    #[test]
    fn options_choose_steps() {
        let mut spec = sample::spec();
        spec.options.cache_vg = Some("cachevg".parse().unwrap());
        spec.options.pre_script = Some("pre".parse().unwrap());
        spec.options.scripts_repeatable = true;
        spec.options.reboot = true;
        let steps = names(&spec);
        for there in ["make-cache", "fill-cache", "return-cache", "remove-cache", "reboot"] {
            assert!(steps.iter().any(|step| step == there), "{there}");
        }
        for absent in ["export-filesystems", "mount-filesystems", "unexport-filesystems"] {
            assert!(!steps.iter().any(|step| step == absent), "{absent}");
        }
        let plan = plan_steps(&spec);
        let script = plan.steps.iter().find(|step| step.phase == Phase::PreScript).unwrap();
        assert_eq!(script.repeat, Repeat::Safe);
        spec.options.bootlist = Bootlist::Keep;
        assert!(!names(&spec).iter().any(|step| step == "set-bootlist"));
    }

    #[test]
    fn a_restricted_run_prepares_looks_and_leaves_what_was_done_before() {
        let mut spec = sample::spec();
        spec.options.phases = Some(vec![Phase::BootImage]);
        let runs = |def: &&StepDef| {
            let ticket = Ticket {
                phase: def.phase,
                step: def.name.clone(),
                direction: Direction::Forward,
                round: 0,
                attempt: 1,
            };
            !parts::is_assumed(def, &spec, &ticket)
        };
        let of_spec = || REGISTRY.iter().filter(|def| def.is_in(&spec));
        let run: Vec<&str> = of_spec().filter(runs).map(|def| def.name.as_str()).collect();
        assert_eq!(
            run,
            [
                "check-client",
                "check-phases",
                "take-lease",
                "record-baseline",
                "mount-spot",
                "record-copy",
                "make-boot-image",
            ]
        );
        assert_eq!(of_spec().next_back().unwrap().name.as_str(), "make-boot-image");
        let undone = of_spec().filter(|def| def.undo != UndoKind::Nothing);
        let undone: Vec<&str> = undone.map(|def| def.name.as_str()).collect();
        assert_eq!(
            undone,
            ["take-lease", "mount-spot", "clone-rootvg", "export-filesystems", "mount-filesystems"]
        );
        let skipped = plan_steps(&spec).skipped;
        assert_eq!(skipped.len(), 11);
        assert!(skipped.iter().all(|(_, why)| why == "left out by the plan's phases (-P)"));
    }
}
