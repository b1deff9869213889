//! A folder of its own for a test, and the real program run in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nimshift::journal::{Entry, Reader};
use sha2::{Digest as _, Sha256};

/// What a run of the program gave.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder.
pub(crate) struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World { dir: tempfile::tempdir().unwrap() }
    }

    /// In memory, where the machine has such a folder: for what is killed, and
    /// needs no disk that keeps anything.
    pub(crate) fn in_memory() -> World {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        World { dir: dir.unwrap() }
    }

    /// Another folder with all that is in this one.
    pub(crate) fn copy(&self) -> World {
        let world = World::in_memory();
        copied(self.path(), world.path());
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// The program with `args`, not yet run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_nimshift")), args)
    }

    /// The same by another name of the program.
    #[expect(clippy::disallowed_methods, reason = "the program is what is tested")]
    pub(crate) fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NIMSHIFT_")) {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(self.path())
            .env("USER", "op")
            .env_remove("ADM_ACCEPT_LICENSES")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Command line, exit code and output in one text, without what differs
    /// from run to run.
    pub(crate) fn shown(&self, args: &[&str]) -> String {
        let Ran { code, stdout, stderr } = self.run(args);
        let mut text = format!("$ nimshift {}\nexit {code}\n", args.join(" "));
        for (name, part) in [("stdout", stdout), ("stderr", stderr)] {
            if !part.is_empty() {
                writeln!(text, "--- {name}\n{}", part.trim_end()).unwrap();
            }
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        text = text.replace(&self.path().display().to_string(), "[DIR]");
        match host.trim() {
            "" => text,
            host => text.replace(&format!("@{host}"), "@[HOST]"),
        }
    }

    /// All entries of the journal; none where there is no journal.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let Ok(reader) = Reader::open(&self.state()) else { return Vec::new() };
        let migrations = reader.migrations(None).unwrap();
        migrations.iter().flat_map(|one| reader.history(one.id).unwrap()).collect()
    }

    /// A digest for each file below the folder.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        collect(self.path(), self.path(), &mut found);
        found
    }
}

fn copied(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let new = to.join(path.file_name().unwrap());
        if path.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path).unwrap(), new).unwrap();
        } else if path.is_dir() {
            fs::create_dir(&new).unwrap();
            copied(&path, &new);
        } else {
            fs::copy(&path, new).unwrap();
        }
    }
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if path.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            found.insert(name, format!("link to {}", target.display()));
        } else if path.is_dir() {
            found.insert(name, "folder".to_owned());
            collect(root, &path, found);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(name, format!("{:x}", Sha256::digest(bytes)));
        }
    }
}

/// A plan for `clients`, on a plain lab.
pub(crate) fn plan(clients: &[&str]) -> String {
    let mut text =
        "[batch]\nname = \"small\"\n[estate]\nkind = \"lab\"\n[master]\nname = \"nim1\"\n\
         [target]\nspot = \"spot\"\nlpp_source = \"lpp\"\nlevel = \"7300-02\"\n\
         [defaults]\ndisks = [\"hdisk1\"]\naccept_licenses = true\n"
            .to_owned();
    for client in clients {
        write!(text, "[[client]]\nname = \"{client}\"\n").unwrap();
    }
    text
}
