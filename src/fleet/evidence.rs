//! Evidence beside the journal: files named by their digest.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::phases::EvidenceSink;

/// Keeps evidence in a directory, each text once.
#[derive(Debug)]
pub struct EvidenceFiles {
    dir: PathBuf,
}

impl EvidenceFiles {
    /// Keeps it in `dir`, which is made where it is not there.
    pub fn new(dir: PathBuf) -> EvidenceFiles {
        EvidenceFiles { dir }
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> std::io::Result<String> {
        let digest = Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(&digest);
        if path.exists() {
            return Ok(digest);
        }
        // Complete or not there at all: a crash in between leaves a file that
        // no entry names.
        let unfinished = self.dir.join(format!(".{name}.{}", std::process::id()));
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.dir)?.sync_all()?;
        Ok(digest)
    }
}

impl EvidenceSink for EvidenceFiles {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<String, String> {
        self.keep(name, bytes).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_kept_once_under_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let files = EvidenceFiles::new(dir.path().join("evidence"));
        let first = files.put("a.txt", b"what was there").unwrap();
        let second = files.put("b.txt", b"what was there").unwrap();
        assert_eq!(first, second);
        assert_eq!(fs::read(dir.path().join("evidence").join(&first)).unwrap(), b"what was there");
        assert_eq!(fs::read_dir(dir.path().join("evidence")).unwrap().count(), 1);
    }
}
