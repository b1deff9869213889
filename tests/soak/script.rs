//! What is to happen in a night, as its seed decides.

use std::fmt;

use nimshift::base::Millis;
use nimshift::domain::{BootFailure, CopyPolicy, FailurePolicy, MigrationSpec};
use nimshift::lab::{FaultKind, FaultSpec};

use super::dice::Dice;
use super::sample::{Golden, Sample};

/// Faults of a night.
const FAULTS_MAX: u64 = 10;

/// What a plan says of failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policies {
    failure: FailurePolicy,
    copy: CopyPolicy,
    boot: BootFailure,
}

/// What is to happen in a night.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) faults: Vec<FaultSpec>,
    /// After so many entries of its life the engine is killed; so long after
    /// that the next one begins.
    pub(crate) kills: Vec<(u64, Millis)>,
    /// Instead of the plan's own.
    policies: Option<Policies>,
}

impl Script {
    pub(crate) fn new(dice: &mut Dice, sample: &Sample, golden: &Golden) -> Script {
        let policies = dice.chance(50).then(|| Policies {
            failure: *dice.pick(&[FailurePolicy::Rollback, FailurePolicy::Hold]),
            copy: *dice.pick(&[CopyPolicy::Remove, CopyPolicy::Sleep, CopyPolicy::Wake]),
            boot: *dice.pick(&[BootFailure::Hold, BootFailure::Backout]),
        });
        let count = dice.within(1, FAULTS_MAX);
        let faults = (0..count).map(|_| fault(dice, sample, golden)).collect();
        let kills = match dice.within(1, 10) {
            1..=5 => 0,
            6..=8 => 1,
            _ => 3,
        };
        let kill =
            |dice: &mut Dice| (dice.within(1, golden.entries), dice.within(0, 2 * 3600) * 1000);
        let kills = (0..kills).map(|_| kill(dice)).collect();
        Script { faults, kills, policies }
    }

    /// What a plan asks for, with the policies of this night.
    pub(crate) fn specs(&self, sample: &Sample) -> Vec<MigrationSpec> {
        let mut specs = sample.plan.migrations.clone();
        if let Some(policies) = self.policies {
            for spec in &mut specs {
                spec.on_failure = policies.failure;
                spec.on_boot_failure = policies.boot;
                // A plan for nimadm may not ask for more: it removes a copy by itself.
                if !spec.task.uses_nimadm() {
                    spec.failed_copy = policies.copy;
                }
            }
        }
        specs
    }
}

fn fault(dice: &mut Dice, sample: &Sample, golden: &Golden) -> FaultSpec {
    let kind = *dice.pick(&FaultKind::ALL);
    let (host, line) = dice.pick(&golden.commands).clone();
    let hosts: Vec<&str> = sample.estate.client.iter().map(|one| one.name.as_str()).collect();
    let host = match dice.within(1, 10) {
        1 => None,
        2 if !hosts.is_empty() => Some((*dice.pick(&hosts)).to_owned()),
        _ => Some(host),
    };
    let words: Vec<&str> = line.split_whitespace().filter(|word| word.len() > 2).collect();
    let command = match dice.within(1, 10) {
        1 => None,
        2 | 3 => Some(line.clone()),
        4..=6 => line.split_whitespace().next().map(str::to_owned),
        _ if words.is_empty() => Some(line.clone()),
        _ => Some((*dice.pick(&words)).to_owned()),
    };
    let times = match dice.within(1, 10) {
        1..=6 => Some(1),
        7 | 8 => Some(u32::try_from(dice.within(2, 6)).expect("a number")),
        _ => None,
    };
    let skip =
        if dice.chance(60) { 0 } else { u32::try_from(dice.within(1, 8)).expect("a number") };
    let seconds =
        (kind == FaultKind::NetworkCut).then(|| *dice.pick(&[30, 300, 1_800, 7_200, 14_400]));
    let is_unseen = kind == FaultKind::MessageWithSuccess && {
        let struck = |line: &&String| command.as_ref().is_none_or(|part| line.contains(part));
        golden.commands.iter().map(|(_, line)| line).filter(struck).any(|line| leaves_no_sign(line))
    };
    let kind = if is_unseen { FaultKind::ExitStatus } else { kind };
    FaultSpec { kind, host, command, times, skip, seconds }
}

/// Whether nothing shows that such a command did nothing, should it say that all
/// went well: the steps without a witness are listed with the reason in
/// `src/phases/witness_tests.rs`.
fn leaves_no_sign(line: &str) -> bool {
    let leaves_more = line.starts_with("rm -rf /") && line.contains("_alt/alt_inst/home");
    line.contains("R:all")
        || line.contains("nimshift-script")
        // An empty directory, and what an exclude list names, harm nobody.
        || line.starts_with("rmdir")
        || leaves_more
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(policies) = self.policies {
            let Policies { failure, copy, boot } = policies;
            writeln!(f, "  policies: {failure:?}, copy {copy:?}, on_boot_failure {boot:?}")?;
        }
        for fault in &self.faults {
            let FaultSpec { kind, host, command, times, skip, seconds } = fault;
            write!(f, "  nimshift lab fault {}", kind.name())?;
            if let Some(host) = host {
                write!(f, " --host {host}")?;
            }
            if let Some(command) = command {
                write!(f, " --command '{command}'")?;
            }
            write!(f, " --times {} --skip {skip}", times.unwrap_or(0))?;
            if let Some(seconds) = seconds {
                write!(f, " --seconds {seconds}")?;
            }
            writeln!(f)?;
        }
        for (entry, ms) in &self.kills {
            writeln!(f, "  killed with entry {entry} of its life, resumed {} s later", ms / 1000)?;
        }
        Ok(())
    }
}
