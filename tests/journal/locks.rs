//! The locks that SQLite holds for an engine stay, whatever else its process
//! does with the journal.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nimshift::journal::{
    Journal, JournalDir, NewRequest, Reader, RequestKind, Requests, backup, export, verify,
};

use super::night::{Night, options};

/// Whether this process holds a lock on `file`, as the kernel tells it.
fn holds_lock(file: &Path) -> bool {
    let inode = fs::metadata(file).unwrap().ino().to_string();
    let pid = std::process::id().to_string();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let of_inode = words.iter().any(|word| word.rsplit(':').next() == Some(&*inode));
        words.contains(&"POSIX") && words.contains(&&*pid) && of_inode
    })
}

fn assert_locked(dir: &Path, after: &str) {
    for name in ["journal.db", "journal.db-shm"] {
        assert!(holds_lock(&dir.join(name)), "{after}: no lock is left on {name}");
    }
}

#[test]
fn the_locks_of_an_engine_stay_whatever_its_process_looks_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let mut night = Night::begin(path, &options(), 2).unwrap();
    night.round();
    assert_locked(path, "a first opening");
    let id = night.migrations[0].id;
    night.journal.close().unwrap();
    let (journal, loaded) = Journal::open(path, &options()).unwrap();
    let mut night = Night::resume(journal, loaded);
    assert_locked(path, "another opening");
    night.round();
    let looks: [(&str, &dyn Fn()); 6] = [
        ("verify", &|| assert!(verify(path).is_ok())),
        ("a backup", &|| assert!(backup(path, &path.join("b.db")).is_ok())),
        ("an export", &|| export(path, id, &mut Vec::new()).unwrap()),
        ("a reader", &|| drop(Reader::open(path).unwrap().history(id).unwrap())),
        ("an order", &|| {
            let (client, migration, operator) = (None, None, "eve".to_owned());
            let kind = RequestKind::Release;
            Requests::post(path, &NewRequest { kind, client, migration, operator, at_ms: 1 })
                .unwrap();
        }),
        ("a second engine", &|| drop(Journal::open(path, &options()).unwrap_err())),
    ];
    for (name, look) in looks {
        look();
        assert!(JournalDir::new(path).has_journal());
        assert_locked(path, name);
    }
    // A journal that is found unsound by another opening of this process.
    let mut unlocked = options();
    unlocked.lock = false;
    drop(Journal::open(path, &unlocked).unwrap());
    assert_locked(path, "an engine without the lock");
}
