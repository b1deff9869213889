//! Journals that are not what was written: cut, flipped, gone, of a newer
//! program. No host is touched.

use std::fs;
use std::path::PathBuf;

use super::overnight::{running, signal};
use super::world::{World, plan};
use nimshift::journal::Entry;

/// A stopped night with a journal, its bytes, and the estate's digest.
struct Stopped {
    world: World,
    journal: PathBuf,
    bytes: Vec<u8>,
    digest: String,
    entries: Vec<Entry>,
}

impl Stopped {
    fn new() -> Stopped {
        let world = World::in_memory();
        world.write("plan.toml", &plan(&["lpar01", "lpar02"]));
        let args = ["run", "plan.toml", "--time-scale", "3000", "--on-stop", "wait"];
        let (mut child, said) = running(&world, &args, "phase 2 export");
        signal(&child, "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(5));
        drop(said);
        let journal = world.state().join("journal.db");
        let bytes = fs::read(&journal).unwrap();
        let digest = world.run(&["lab", "digest"]).stdout;
        let entries = world.entries();
        assert!(entries.len() > 10, "{entries:?}");
        Stopped { world, journal, bytes, digest, entries }
    }

    fn put(&self, bytes: &[u8]) {
        for beside in ["journal.db-wal", "journal.db-shm"] {
            let _ = fs::remove_file(self.world.state().join(beside));
        }
        fs::write(&self.journal, bytes).unwrap();
    }

    /// Every command that needs the journal refuses it, in words that hold
    /// `way_out`, and changes neither it nor a host.
    fn is_refused(&self, what: &str, way_out: &str) {
        let before = fs::read(&self.journal).ok();
        for args in [&["run", "plan.toml"][..], &["resume"], &["verify"]] {
            let ran = self.world.run(args);
            let told = format!("{what}: {args:?}: exit {}: {}{}", ran.code, ran.stdout, ran.stderr);
            assert_eq!(ran.code, 7, "{told}");
            let said = ran.stdout + &ran.stderr;
            assert!(said.contains("journal.db"), "{told}");
            assert!(said.contains(way_out), "{told}");
            assert!(fs::read(&self.journal).ok() == before, "{told}: the file was changed");
        }
        assert_eq!(self.world.run(&["lab", "digest"]).stdout, self.digest, "{what}");
    }

    /// The journal is put back, and the night ends.
    fn ends_well(&self) {
        self.put(&self.bytes);
        assert_eq!(self.world.entries(), self.entries);
        let ran = self.world.run(&["resume"]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        super::overnight::sound(&self.world);
    }
}

const BACKUP: &str = "backup made by `nimshift journal backup`";

#[test]
fn a_truncated_journal() {
    let stopped = Stopped::new();
    let len = stopped.bytes.len();
    for length in [0, 1, 100, 4095, 4096, len / 2, len - 4096, len - 1] {
        stopped.put(&stopped.bytes[..length]);
        stopped.is_refused(&format!("cut to {length} of {len} bytes"), BACKUP);
    }
    stopped.ends_well();
}

#[test]
fn a_journal_that_is_gone() {
    let stopped = Stopped::new();
    fs::remove_file(&stopped.journal).unwrap();
    stopped.is_refused("gone", BACKUP);
    assert!(!stopped.journal.exists());
    stopped.ends_well();
}

#[test]
fn a_journal_with_a_flipped_bit() {
    let stopped = Stopped::new();
    let flipped = |offset: usize| {
        let mut bytes = stopped.bytes.clone();
        bytes[offset] ^= 1 << 2;
        stopped.put(&bytes);
    };
    // Of the header: magic, page size, fixed fractions.
    for offset in [0, 16, 21, 22, 23] {
        flipped(offset);
        stopped.is_refused(&format!("a bit flipped at {offset}"), "backup");
    }
    let sound = |offset: usize| match stopped.world.run(&["verify"]).code {
        0 => {
            assert_eq!(stopped.world.entries(), stopped.entries, "flipped at {offset}");
            true
        }
        code => {
            assert_eq!(code, 7, "flipped at {offset}");
            false
        }
    };
    // Rows. The file holds leftovers of some beside the rows themselves.
    for text in ["\"event\":\"begin\"", "\"event\":\"succeeded\"", "\"state\":", "\"spot\":"] {
        let found = stopped.bytes.windows(text.len()).enumerate();
        let found = found.filter(|(_, bytes)| *bytes == text.as_bytes()).map(|(at, _)| at + 3);
        let refused = found.filter(|offset| {
            flipped(*offset);
            !sound(*offset)
        });
        let refused: Vec<usize> = refused.collect();
        assert!(!refused.is_empty(), "no flip in {text} is found");
        flipped(refused[0]);
        stopped.is_refused(&format!("a bit flipped in {text}"), "backup");
    }
    // Not every byte means something; one that does not changes nothing.
    for offset in (24..100).chain((100..stopped.bytes.len()).step_by(1777)) {
        flipped(offset);
        sound(offset);
    }
    stopped.ends_well();
}

#[test]
fn a_journal_of_a_newer_program() {
    let stopped = Stopped::new();
    let mut bytes = stopped.bytes.clone();
    // SQLite's user version.
    bytes[63] = 99;
    stopped.put(&bytes);
    stopped.is_refused("version 99", "use the newer nimshift");
    stopped.ends_well();
}
