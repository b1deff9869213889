//! The power fails at every operation on the disk: what was acknowledged is
//! there afterwards, and what is there is sound.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nimshift::journal::{Durability, Journal, OpenOptions};

use super::night::{Night, options};
use super::power_vfs::{Disk, Loss, Vfs};

const COUNT: u32 = 3;
const ROUNDS: usize = 7;

static VFS: AtomicU64 = AtomicU64::new(0);

fn vfs(disk: Disk) -> Vfs {
    Vfs::new(&format!("power{}", VFS.fetch_add(1, Ordering::Relaxed)), disk)
}

fn on(vfs: &Vfs, durability: Durability) -> OpenOptions {
    OpenOptions { vfs: Some(vfs.name.clone()), lock: false, durability, ..options() }
}

/// Runs a night until it is over or the power fails. Gives for each migration
/// the last entry that was acknowledged; `None` before the batch was.
fn run(vfs: &Vfs, durability: Durability) -> Option<Vec<u64>> {
    let dir = Path::new("/state");
    let mut night = Night::begin(dir, &on(vfs, durability), COUNT).ok()?;
    let mut kept = vec![0; COUNT as usize];
    for _ in 0..ROUNDS {
        let begun = (0..COUNT as usize).filter(|index| night.step(*index)).count();
        for ack in night.hear(begun) {
            let index = night.migrations.iter().position(|one| one.id == ack.migration).unwrap();
            if ack.result.is_err() {
                return Some(kept);
            }
            assert_eq!(ack.seq, kept[index] + 1);
            kept[index] = ack.seq;
        }
    }
    night.journal.close().unwrap();
    Some(kept)
}

/// Opens what the power left. Gives the number of entries of each migration,
/// or what is wrong.
fn found(disk: Disk) -> Result<Vec<u64>, String> {
    let vfs = vfs(disk);
    // Opening replays everything: the chain is whole, and the states are those
    // that the events lead to.
    let opened = Journal::open(Path::new("/state"), &on(&vfs, Durability::Full));
    let (journal, loaded) = opened.map_err(|error| error.to_string())?;
    journal.close().map_err(|error| error.to_string())?;
    Ok(loaded.iter().map(|one| one.seq).collect())
}

fn operations() -> u64 {
    let whole = vfs(Disk::default());
    assert!(run(&whole, Durability::Full).is_some());
    let disk = whole.disk.lock().unwrap();
    disk.operations()
}

/// What a power failure at operation `point` broke, over kinds of loss.
fn broken_at(point: u64, durability: Durability) -> Vec<String> {
    let mut disk = Disk::default();
    disk.fail_at(point);
    let vfs = vfs(disk);
    let kept = run(&vfs, durability);
    let losses =
        [Loss::All, Loss::None, Loss::Some(point), Loss::Torn(point + 1), Loss::Torn(point + 2)];
    let mut broken = Vec::new();
    for loss in losses {
        let left = vfs.disk.lock().unwrap().after_power_loss(loss);
        match (found(left), &kept) {
            (Ok(found), None) if found.is_empty() || found == [0; COUNT as usize] => {}
            (Ok(found), Some(kept)) => {
                let lost = found.len() != kept.len()
                    || found.iter().zip(kept).any(|(found, kept)| found < kept);
                if lost {
                    broken.push(format!("{point} {loss:?}: kept {kept:?}, found {found:?}"));
                }
            }
            (other, kept) => broken.push(format!("{point} {loss:?}: kept {kept:?}, {other:?}")),
        }
    }
    broken
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_fails() {
    let operations = operations();
    assert!(operations > 60, "only {operations} operations: the night is too short");
    for point in 0..=operations {
        assert_eq!(broken_at(point, Durability::Full), Vec::<String>::new());
    }
}

/// The test above can fail: without the sync at each commit it does.
#[test]
fn a_journal_that_does_not_sync_its_commits_would_be_caught() {
    let operations = operations();
    let lost = (0..=operations).any(|point| !broken_at(point, Durability::Lax).is_empty());
    assert!(lost, "no acknowledged entry was lost without syncs");
}

/// New tables, checksums of states, and an entry for each migration that is
/// unfinished: all of it is there afterwards, or all of it is made again.
#[test]
fn a_journal_of_an_older_version_is_taken_up_wherever_the_power_fails() {
    let fixture = std::fs::read("fixtures/journal/v1.db").unwrap();
    let older = || Disk::holding("/state/journal.db", fixture.clone());
    let taken = found(older()).unwrap();
    let whole = vfs(older());
    let open = |vfs: &Vfs| Journal::open(Path::new("/state"), &on(vfs, Durability::Full));
    drop(open(&whole).unwrap());
    let operations = whole.disk.lock().unwrap().operations();
    assert!(operations > 30, "only {operations} operations");
    for point in 0..=operations {
        let mut disk = older();
        disk.fail_at(point);
        let vfs = vfs(disk);
        drop(open(&vfs));
        for loss in [Loss::All, Loss::None, Loss::Some(point), Loss::Torn(point + 1)] {
            let left = vfs.disk.lock().unwrap().after_power_loss(loss);
            assert_eq!(found(left), Ok(taken.clone()), "{point} {loss:?}");
        }
    }
}
