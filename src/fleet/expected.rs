//! What the clients of a lab must show, by what their migrations have come to: for
//! `nimshift lab check`.

use crate::domain::{Bootlist, CopyIs, CopyPolicy, TaskKind};
use crate::journal::{JournalError, Reader};
use crate::lab::{BootsFrom, CopyExpected, Expectation, HostShow, LogEntry};
use crate::machine::State;
use crate::report::{self, MigrationView};

use super::current::current;
use super::left::before;

/// What must hold of the clients, by their latest migrations that have touched them.
pub fn lab_expectations(
    reader: &Reader,
    hosts: &[HostShow],
    log: &[LogEntry],
) -> Result<Vec<Expectation>, JournalError> {
    let mut expected = Vec::new();
    let views = report::views(reader)?;
    for latest in current(&views) {
        let view = before(&views, latest).unwrap_or(latest);
        let host = hosts.iter().find(|host| host.name == view.client);
        let one = expectation(view);
        let one = host.map(|host| as_booted(one.clone(), view, host)).unwrap_or(one);
        // What ended before the migration did was followed by that end.
        let since = views.iter().filter(|one| {
            let is_later = one.id > view.id && one.since_ms >= view.since_ms;
            one.client == view.client && is_later && !one.spec.task.is_migration()
        });
        let one = since.fold(one, |one, operation| after(one, view, operation));
        expected.push(host.map(|host| as_removed(one.clone(), view, host, log)).unwrap_or(one));
    }
    Ok(expected)
}

/// The disk that the copy is booted from, if there is one.
fn target(of: &MigrationView) -> Vec<String> {
    of.spec.options.disks.iter().take(1).map(ToString::to_string).collect()
}

/// The same, where a person has booted the copy that waited for it, or the old disk
/// after it.
fn as_booted(expected: Expectation, of: &MigrationView, host: &HostShow) -> Expectation {
    let disks = &of.spec.options.disks;
    let runs_copy = host.disks.iter().any(|(name, _, vg)| {
        vg.as_deref() == Some("rootvg") && disks.iter().any(|disk| disk.as_str() == name)
    });
    match expected.copy {
        CopyExpected::Asleep if runs_copy => Expectation {
            copy: CopyExpected::Running,
            boots_from: BootsFrom::Either(target(of)),
            ..expected
        },
        CopyExpected::Asleep if host.boots > 0 => {
            Expectation { boots_from: BootsFrom::Either(target(of)), ..expected }
        }
        // Once it was booted by the migration.
        CopyExpected::Running if !runs_copy && host.boots > 1 => Expectation {
            copy: CopyExpected::Asleep,
            boots_from: BootsFrom::Either(target(of)),
            ..expected
        },
        _ => expected,
    }
}

/// The same, where a person has removed the copy since, or the old system.
fn as_removed(
    expected: Expectation,
    of: &MigrationView,
    host: &HostShow,
    log: &[LogEntry],
) -> Expectation {
    let is_removal = |entry: &LogEntry| {
        let by_hand = entry.job.is_none() && entry.line.contains("alt_rootvg_op -X");
        // What a person has given up since has not ended by itself.
        let is_since = !expected.settled || entry.at_ms >= of.since_ms;
        by_hand && entry.host == of.client && is_since
    };
    let has = |vg: &str| host.disks.iter().any(|(.., of)| of.as_deref() == Some(vg));
    if !log.iter().any(is_removal) {
        return expected;
    }
    match expected.copy {
        CopyExpected::Asleep | CopyExpected::Kept if !has("altinst_rootvg") => {
            let boots_from = BootsFrom::Either(target(of));
            Expectation { copy: CopyExpected::None, boots_from, ..expected }
        }
        copy if !has("old_rootvg") && (copy == CopyExpected::Running || !expected.settled) => {
            Expectation { copy: CopyExpected::RunningAlone, ..expected }
        }
        _ => expected,
    }
}

/// What is expected when `operation` has followed.
fn after(expected: Expectation, of: &MigrationView, operation: &MigrationView) -> Expectation {
    let ran_copy = of.seen.as_ref().is_some_and(|seen| seen.is == CopyIs::Running);
    let runs_copy = expected.copy == CopyExpected::Running || ran_copy;
    if !matches!(operation.state, State::Migrated { .. }) {
        return expected;
    }
    match operation.spec.task.kind() {
        TaskKind::Cleanup if runs_copy || !of.spec.task.changes_client() => expected,
        TaskKind::Cleanup => Expectation::untouched(expected.client),
        // A woken old_rootvg goes to sleep under the name of a copy.
        TaskKind::Wake => Expectation { settled: false, ..expected },
        TaskKind::Sleep if runs_copy => Expectation { settled: false, ..expected },
        TaskKind::Sleep => Expectation { settled: true, copy: CopyExpected::Asleep, ..expected },
        TaskKind::Migrate | TaskKind::Sync => expected,
    }
}

fn expectation(view: &MigrationView) -> Expectation {
    if !view.spec.task.is_migration() {
        // One that is under way, or the client's only ones.
        let ended = view.state.is_terminal();
        let cleaned = ended && view.spec.task.kind() == TaskKind::Cleanup;
        return Expectation { settled: cleaned, ..Expectation::untouched(view.client.clone()) };
    }
    let options = &view.spec.options;
    let boots_copy = || BootsFrom::Disks(target(view));
    let whole = view.spec.is_whole();
    let (settled, copy, boots_from) = match &view.state {
        State::Migrated { .. } if !whole => (false, CopyExpected::None, BootsFrom::Baseline),
        State::Migrated { .. } if !view.spec.task.changes_client() => {
            (true, CopyExpected::None, BootsFrom::Baseline)
        }
        State::Migrated { .. } if options.reboot => (true, CopyExpected::Running, boots_copy()),
        State::Migrated { .. } if options.bootlist == Bootlist::Keep => {
            (true, CopyExpected::Asleep, BootsFrom::Either(target(view)))
        }
        State::Migrated { .. } => (true, CopyExpected::Asleep, boots_copy()),
        State::RolledBack { .. }
            if view.spec.task.changes_client() && view.spec.failed_copy == CopyPolicy::Sleep =>
        {
            (true, CopyExpected::Kept, BootsFrom::Baseline)
        }
        State::RolledBack { .. } if view.spec.failed_copy == CopyPolicy::Wake => {
            (false, CopyExpected::None, BootsFrom::Baseline)
        }
        // A part that was refused leaves what parts before it have made.
        State::Refused { .. } if view.spec.options.phases.is_some() => {
            (false, CopyExpected::None, BootsFrom::Baseline)
        }
        State::RolledBack { .. } | State::Refused { .. } | State::Skipped { .. } => {
            (true, CopyExpected::None, BootsFrom::Baseline)
        }
        _ => (false, CopyExpected::None, BootsFrom::Baseline),
    };
    Expectation { client: view.client.clone(), settled, copy, boots_from }
}
