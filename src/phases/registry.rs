//! All steps of both drivers, in the order in which they run.

use std::sync::LazyLock;

use crate::domain::{MigrationSpec, Phase, StepName, StepSpec};

use super::operations::{
    cleanup_check, cleanup_copy, cleanup_end, cleanup_mounts, sleep, sync, wake,
};
use super::step::StepDef;
use super::{lease, nimadm, whose};
use crate::phases::native::{
    boot_image, bring, check, clean_copy, clone, end, export, filesets, finish, master, migrate,
    mksysb, mount, parts, record, scripts, site, unmount, verify,
};

/// The files of steps. Steps of one phase run in this order, and as their file has them.
const FILES: [&[StepDef]; 29] = [
    check::STEPS,
    parts::STEPS,
    lease::STEPS,
    master::STEPS,
    record::STEPS,
    site::STEPS,
    migrate::STEPS,
    bring::STEPS,
    clone::STEPS,
    clean_copy::STEPS,
    export::STEPS,
    mount::STEPS,
    scripts::STEPS,
    filesets::STEPS,
    boot_image::STEPS,
    unmount::STEPS,
    nimadm::STEPS,
    whose::STEPS,
    verify::STEPS,
    finish::STEPS,
    mksysb::STEPS,
    end::STEPS,
    cleanup_check::STEPS,
    cleanup_mounts::STEPS,
    cleanup_copy::STEPS,
    cleanup_end::STEPS,
    wake::STEPS,
    sleep::STEPS,
    sync::STEPS,
];

static REGISTRY: LazyLock<Vec<StepDef>> = LazyLock::new(|| {
    let mut steps = FILES.concat();
    steps.sort_by_key(|def| (def.task, def.phase));
    steps
});

/// All steps, in the order in which they run.
pub fn registry() -> &'static [StepDef] {
    &REGISTRY
}

/// The step of that name.
pub fn find(phase: Phase, step: &StepName) -> Option<&'static StepDef> {
    REGISTRY.iter().find(|def| def.phase == phase && def.name == step.as_str())
}

/// Whether its phase begins with `def` in what `spec` asks for.
pub(super) fn begins_phase(def: &StepDef, spec: &MigrationSpec) -> bool {
    let mut of_phase = REGISTRY.iter().filter(|other| other.phase == def.phase);
    of_phase.find(|other| other.is_in(spec)).is_some_and(|first| first.name == def.name)
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
        .map(|def| StepSpec { repeat: def.repeat_in(spec), ..def.spec() })
        .collect();
    if !spec.task.is_migration() {
        return MigrationPlan { steps, skipped: Vec::new() };
    }
    let is_idle =
        |phase: &Phase| !spec.asks_for(*phase) || !steps.iter().any(|step| step.phase == *phase);
    let skipped = Phase::ALL
        .into_iter()
        .filter(is_idle)
        .map(|phase| {
            let why = match phase {
                _ if !spec.asks_for(phase) => "left out by the plan's phases (-P)",
                Phase::PreScript => "no pre-migration script",
                Phase::PostScript => "no post-migration script",
                _ => mksysb::idle(spec, phase).unwrap_or("nothing to do"),
            };
            (phase, why.to_owned())
        })
        .collect();
    MigrationPlan { steps, skipped }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use std::time::Duration;

    use super::*;
    use crate::domain::{
        Bootlist, Control, Direction, Driver, Mode, Presence, Repeat, TaskKind, UndoKind,
    };
    use crate::phases::sample;
    use crate::phases::step::{Answers, Context};

    #[test]
    fn names_are_unique_and_every_phase_has_steps() {
        let names: BTreeSet<&str> = REGISTRY.iter().map(|def| def.name).collect();
        assert_eq!(names.len(), REGISTRY.len());
        let tasks: BTreeSet<TaskKind> = REGISTRY.iter().map(|def| def.task).collect();
        for task in tasks {
            let of_task = || REGISTRY.iter().filter(|def| def.task == task);
            // Who reads the name of a step's job knows what it is part of.
            let begin = format!("{}-", task.name());
            let is_so = |def: &StepDef| task == TaskKind::Migrate || def.name.starts_with(&begin);
            assert!(of_task().all(is_so), "{task:?}");
        }
        let phases: BTreeSet<Phase> = REGISTRY.iter().map(|def| def.phase).collect();
        assert_eq!(phases.len(), Phase::ALL.len());
    }

    #[test]
    fn every_step_has_what_its_kind_needs() {
        for def in registry() {
            let name = def.name;
            assert!(def.timeout > Duration::ZERO, "{name}");
            assert!(def.stall.is_none_or(|stall| stall < def.timeout), "{name}");
            assert!(!name.is_empty() && !def.about.is_empty(), "{name}");
            assert_eq!(def.undo == UndoKind::Nothing, def.undo_run.is_none(), "{name}");
            if def.run.is_none() {
                assert_eq!(def.undo, UndoKind::Nothing, "{name} only looks");
            }
            // Job ids hold scope, migration, phase and step within 80 characters.
            assert!(name.len() <= 24, "{name}");
        }
        assert!(REGISTRY[0].gate, "nothing comes before the gate");
    }

    #[test]
    fn a_host_that_says_nothing_is_never_taken_for_one_where_all_is_well() {
        let (plain, facts) = (sample::spec(), sample::facts());
        for def in registry() {
            let task = sample::task(def.task, plain.task.aim().cloned());
            let spec = MigrationSpec { task, ..plain.clone() };
            let ticket = def.first(Direction::Forward);
            let ctx = Context {
                spec: &spec,
                facts: &facts,
                ticket: &ticket,
                owner: "s1.m1",
                control: &Control::default(),
                now_ms: 0,
            };
            let finding = (def.judge)(&ctx, &Answers::default());
            let unsure = matches!(finding.presence, Presence::Unknown(_));
            assert!(unsure || finding.blocked_by.is_some(), "{}", def.name);
            if let Some(judge_undo) = def.judge_undo {
                let finding = judge_undo(&ctx, &Answers::default());
                assert!(matches!(finding.presence, Presence::Unknown(_)), "{}", def.name);
            }
        }
    }

    #[test]
    fn every_step_is_found_by_its_name() {
        for def in registry() {
            assert!(find(def.phase, &def.step()).is_some_and(|found| std::ptr::eq(found, def)));
        }
        assert!(find(Phase::End, &StepName::new("take-lease")).is_none());
    }

    fn names(spec: &MigrationSpec) -> Vec<String> {
        plan_steps(spec).steps.iter().map(|step| step.step.to_string()).collect()
    }

    /// All that a plan can have, in its order.
    #[test]
    fn steps_stand_in_their_order() {
        let of = |driver: Driver| registry().iter().filter(move |def| def.is_of(driver));
        let line = |def: &StepDef| {
            let gate = if def.gate { " (gate)" } else { "" };
            format!("{} {}{gate}\n", def.phase.number(), def.name)
        };
        let text = |driver| of(driver).map(line).collect::<String>();
        insta::assert_snapshot!("native", text(Driver::Native));
        insta::assert_snapshot!("nimadm", text(Driver::Nimadm));
    }

    #[test]
    fn scripts_that_are_not_asked_for_skip_their_phases() {
        let spec = sample::spec();
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

    /// What people are told of a phase, held against its steps.
    #[test]
    fn a_phase_is_told_by_what_it_does() {
        let told = |title: &str| match title {
            _ if title.starts_with("clone rootvg") => Some("clone-rootvg"),
            _ if title.starts_with("make a rootvg") => Some("make-rootvg"),
            _ if title.starts_with("export") => Some("export-filesystems"),
            _ if title.starts_with("make the cache") => Some("make-cache"),
            _ if title.starts_with("mount") => Some("mount-filesystems"),
            _ if title.starts_with("copy the client's data") => Some("fill-cache"),
            _ if title.starts_with("copy the cache") => Some("return-cache"),
            _ if title == "remove the cache" => Some("remove-cache"),
            _ if title == "remove the exports" => Some("unexport-filesystems"),
            _ if title.ends_with("set the bootlist") => Some("set-bootlist"),
            _ if title.starts_with("put the copy to sleep") => Some("finish-clone"),
            _ if title.starts_with("write the mksysb") => Some("archive-mksysb"),
            _ if title.starts_with("remove the cache,") => Some("drop-cache"),
            _ if title.ends_with("reboot the client") => Some("reboot"),
            _ => None,
        };
        let acting = ["clone-rootvg", "make-rootvg", "set-bootlist", "archive-mksysb", "reboot"];
        let modes = [Mode::Disk, Mode::ClientToMksysb, Mode::MksysbToMksysb, Mode::MksysbToClient];
        for (mode, cached) in
            modes.map(|mode| (mode, true)).into_iter().chain([(Mode::Disk, false)])
        {
            for (reboot, bootlist) in [(true, Bootlist::Set), (false, Bootlist::Keep)] {
                let mut spec = sample::spec_of(mode, Driver::Native);
                spec.options.cache_vg = cached.then(|| "cachevg".parse().unwrap());
                spec.options.reboot = reboot && mode.changes_client();
                spec.options.bootlist = bootlist;
                let plan = plan_steps(&spec);
                let phases = Phase::ALL.into_iter();
                let phases = phases.filter(|at| plan.skipped.iter().all(|(idle, _)| idle != at));
                for phase in phases {
                    let told = told(spec.title(phase));
                    let of_phase = plan.steps.iter().filter(|step| step.phase == phase);
                    let names: Vec<&str> = of_phase.map(|step| step.step.as_str()).collect();
                    assert!(told.is_none_or(|told| names.contains(&told)), "{mode:?} {phase}");
                    let untold = acting.into_iter().filter(|step| Some(*step) != told);
                    let untold: Vec<&str> = untold.filter(|step| names.contains(step)).collect();
                    assert!(untold.is_empty(), "{mode:?} {phase} does not tell of {untold:?}");
                }
            }
        }
    }

    #[test]
    fn a_restricted_run_prepares_looks_and_leaves_what_was_done_before() {
        let mut spec = sample::spec();
        spec.options.phases = Some(vec![Phase::BootImage]);
        let runs = |def: &&StepDef| {
            let ticket = def.first(Direction::Forward);
            !parts::is_assumed(def, &spec, &ticket)
        };
        let of_spec = || REGISTRY.iter().filter(|def| def.is_in(&spec));
        let run: Vec<&str> = of_spec().filter(runs).map(|def| def.name).collect();
        insta::assert_snapshot!("restricted", run.join("\n"));
        assert_eq!(of_spec().next_back().unwrap().name, "make-boot-image");
        let undone = of_spec().filter(|def| def.undo != UndoKind::Nothing);
        let undone: Vec<&str> = undone.map(|def| def.name).collect();
        assert_eq!(
            undone,
            ["take-lease", "mount-spot", "clone-rootvg", "export-filesystems", "mount-filesystems"]
        );
        let skipped = plan_steps(&spec).skipped;
        assert_eq!(skipped.len(), 11);
        assert!(skipped.iter().all(|(_, why)| why == "left out by the plan's phases (-P)"));
    }
}
