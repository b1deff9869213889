//! Phase 2: remove nimshift's files from the copy: durable jobs, and the lease with
//! its files.
//!
//! A list for `alt_disk_copy -e` would keep them out as well, but nimadm takes
//! only a NIM resource for one, and a clone with a list cannot be told from a
//! half-made one by its size. So they are removed, before anybody else sees the
//! copy.

use crate::aix::argv;
use crate::domain::{HostRole, Mode, Phase, Presence};
use crate::transport::{Command, Script};

use crate::phases::copy::CLIENT_ROOT;
use crate::phases::operations::cleanup_end::is_own;
use crate::phases::read::{Read, judged, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, STEP, StepDef, minutes};

pub(crate) const STEPS: &[StepDef] = &[CLEAN_COPY];

/// Paths that one command removes at most.
const PATHS_MAX: usize = 100;

/// Before the copy is exported.
const CLEAN_COPY: StepDef = StepDef {
    phase: Phase::Export,
    name: "clean-copy",
    about: "remove jobs and lease from the copy",
    host: HostRole::Client,
    drivers: Drivers::Both,
    timeout: minutes(10),
    applies: |spec| spec.task.mode() == Some(Mode::Disk),
    looks: |ctx| {
        let looks = directories(ctx).map(|directory| argv::ls(&directory));
        vec![look(HostRole::Client, looks)]
    },
    judge: |ctx, answers| {
        judged(paths(ctx, answers).map(|paths| {
            Finding::of(if paths.is_empty() { Presence::Present } else { Presence::Absent })
        }))
    },
    run: Some(|ctx, answers| {
        let [jobs, lease] = directories(ctx);
        let paths = paths(ctx, answers)
            .unwrap_or_else(|_| vec![format!("{jobs}/<jobs>"), format!("{lease}/lease")]);
        let remove = paths.chunks(PATHS_MAX).map(|paths| {
            Command::new(["rm", "-rf"].into_iter().chain(paths.iter().map(String::as_str)))
        });
        let is_there = |path: &String| answers.client().is_there(argv::ls(path)).unwrap_or(true);
        let there = directories(ctx).into_iter().filter(is_there);
        let empty = there.map(|path| Command::new(["rmdir", &path]).tolerated());
        Script::new(remove.chain(empty))
    }),
    ..STEP
};

/// Within the copy: where jobs are kept, and the lease.
fn directories(ctx: &Context<'_>) -> [String; 2] {
    [ctx.control.job_dir(), argv::LEASE_DIR].map(|path| format!("{CLIENT_ROOT}{path}"))
}

/// What is to be removed. Names that nimshift does not give stay, and so do marks
/// in the copy.
fn paths(ctx: &Context<'_>, answers: &Answers) -> Read<Vec<String>> {
    let said = answers.client();
    let [jobs, lease] = directories(ctx);
    let (in_jobs, in_lease) = (said.names(&jobs)?, said.names(&lease)?);
    let of_jobs = in_jobs.into_iter().filter(|name| is_of_jobs(name));
    let of_lease = in_lease.into_iter().filter(|name| is_own(name));
    Ok(of_jobs
        .map(|name| format!("{jobs}/{name}"))
        .chain(of_lease.map(|name| format!("{lease}/{name}")))
        .collect())
}

/// Whether `name` is one that durable jobs have in their directory.
fn is_of_jobs(name: &str) -> bool {
    let mut words = name.split('.');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_job = second.strip_prefix('m').is_some_and(is_number) && words.next().is_some();
    let kept = matches!(first, "b" | "bar" | "doctor" | "gone") && !second.is_empty();
    name == "boot" || is_job || kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_jobs_are_taken_for_them() {
        for name in [
            "s1.m7.01-take-lease.f0.1",
            "boot",
            "b.4711",
            "bar.s1.@s9.m1",
            "gone.12.s1.m1.x",
            "doctor.4711.1790000000000.1",
        ] {
            assert!(is_of_jobs(name), "{name}");
        }
        for name in ["", "notes", "bin", "m7", "s1.m7", "s1.mx.y", "boot.log", "b", "log"] {
            assert!(!is_of_jobs(name), "{name}");
        }
    }
}
