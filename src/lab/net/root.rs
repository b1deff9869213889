//! The root directory of a host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::here::{self, BASE, FARM, REAL};
use super::layout::{Layout, NetError, Record, Way, io, make_dir, write};
use super::namespaces::Address;
use super::process;
use crate::lab::tree::is_within;

/// Tools of the machine that AIX has as well: what a shell script may use. All
/// others are not found, as on AIX.
const TOOLS: [&str; 54] = [
    "awk",
    "basename",
    "cksum",
    "cmp",
    "comm",
    "cut",
    "diff",
    "dirname",
    "env",
    "expr",
    "fold",
    "fuser",
    "grep",
    "egrep",
    "fgrep",
    "head",
    "id",
    "join",
    "kill",
    "logname",
    "mkfifo",
    "nice",
    "nohup",
    "od",
    "paste",
    "pr",
    "ps",
    "pwd",
    "sed",
    "sleep",
    "sort",
    "split",
    "stty",
    "sum",
    "sync",
    "tail",
    "tee",
    "time",
    "tr",
    "tsort",
    "tty",
    "umask",
    "uniq",
    "wc",
    "whoami",
    "xargs",
    "yes",
    "zcat",
    "compress",
    "uncompress",
    "ed",
    "file",
    "strings",
    "vi",
];

/// Shells that can stand for AIX's ksh, best first.
const SHELLS: [(&str, &str); 4] =
    [("ksh93", "bin"), ("ksh", "bin"), ("mksh", "bin"), ("bash", "bin")];

/// Directories of AIX that hold commands.
const COMMAND_DIRS: [&str; 14] = [
    "usr/sbin",
    "usr/bin",
    "usr/ucb",
    "bin",
    "sbin",
    "usr/lib/instl",
    "usr/lib/lpd",
    "usr/lib/ras",
    "usr/lpp/bosinst",
    "usr/lpp/bos.sysmgt/nim/methods",
    "usr/es/sbin",
    "usr/local/bin",
    "ALT_MIG_SPOT/sbin",
    "ALT_MIG_SPOT/usr/sbin",
];

/// Whether links to commands stand at or below that directory of a host. What is
/// mounted over it would hide them.
pub(super) fn holds_commands(point: &str) -> bool {
    COMMAND_DIRS.iter().any(|dir| is_within(&format!("/{dir}"), point))
}

/// The machine's shell that logins get.
pub(super) fn shell() -> Result<PathBuf, NetError> {
    SHELLS
        .iter()
        .flat_map(|(name, folder)| {
            ["/usr", ""].map(|top| Path::new("/").join(top).join(folder).join(name))
        })
        .find_map(|path| fs::canonicalize(path).ok())
        .ok_or_else(|| NetError::Missing {
            what: "a Korn shell".to_owned(),
            cure: "install Debian's package `ksh93u+m` or `mksh`".to_owned(),
        })
}

fn link(target: &Path, path: &Path) -> Result<(), NetError> {
    symlink(target, path).map_err(io(path))
}

/// A path of the machine, as a host sees it.
pub(super) fn seen(path: &Path) -> PathBuf {
    PathBuf::from(format!("{BASE}{}", path.display()))
}

/// The links that all hosts share.
pub(super) fn make_farm(
    layout: &Layout,
    program: &Path,
    names: &[&str],
    with: &Path,
) -> Result<(), NetError> {
    let farm = layout.file("farm");
    make_dir(&farm)?;
    // The emulated commands come first: a name is one of the two.
    for name in names {
        link(&seen(program), &farm.join(name))?;
    }
    for name in TOOLS.iter().filter(|name| !names.contains(name)) {
        let real = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(name));
        // Through Debian's alternatives: those links lead to the machine's /etc.
        if let Some(real) = real.into_iter().find_map(|path| fs::canonicalize(path).ok()) {
            link(&seen(&real), &farm.join(name))?;
        }
    }
    for name in ["sh", "ksh", "ksh93"] {
        link(&seen(with), &farm.join(name))?;
    }
    Ok(())
}

/// Makes the root of a host.
pub(super) fn make(
    layout: &Layout,
    record: &Record,
    host: &str,
    uid: (u32, u32),
) -> Result<(), NetError> {
    let root = layout.root(host);
    for dir in ["lab/base", "lab/farm", "proc", "dev", "etc/ssh", "tmp", "run/sshd", "usr/lib"] {
        make_dir(&root.join(dir))?;
    }
    for dir in REAL
        .iter()
        .filter(|dir| !["/lab", "/proc", "/dev/null", "/var/adm/nimshift-jobs"].contains(dir))
    {
        make_dir(&root.join(dir.trim_start_matches('/')))?;
    }
    for dir in COMMAND_DIRS {
        let path = root.join(dir);
        make_dir(path.parent().unwrap_or(&root))?;
        link(Path::new(FARM), &path)?;
    }
    // The machine's own libraries, beside AIX's directories of commands.
    for entry in fs::read_dir("/usr/lib").map_err(io(Path::new("/usr/lib")))?.flatten() {
        let path = root.join("usr/lib").join(entry.file_name());
        if !path.is_symlink() && !path.exists() {
            link(&seen(&entry.path()), &path)?;
        }
    }
    for dir in ["lib", "lib32", "lib64", "libx32"] {
        let real = Path::new("/").join(dir);
        if real.exists() {
            let merged = fs::read_link(&real).is_ok_and(|target| target == Path::new("usr/lib"));
            let target = if merged { PathBuf::from("usr/lib") } else { seen(&real) };
            link(&target, &root.join(dir))?;
        }
    }
    let (user, group) = uid;
    let etc = |name: &str, text: &str| write(&root.join("etc").join(name), text);
    etc(
        "passwd",
        &format!("root:x:{user}:{group}::/:/usr/bin/ksh\nsshd:x:102:65534::/run/sshd:/bin/false\n"),
    )?;
    etc("group", &format!("system:x:{group}:\nnogroup:x:65534:\n"))?;
    etc("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")?;
    etc("hosts", &hosts_file(record, host))?;
    write(&root.join(here::FILE), &here::Here::text(layout.lab(), host))
}

/// A host's `/etc/hosts`: in a network of their own, all hosts by name.
fn hosts_file(record: &Record, host: &str) -> String {
    match record.way {
        Way::Proxy => format!("127.0.0.1 localhost loopback {host}\n"),
        Way::Namespaces => {
            let named = record.hosts.iter().enumerate();
            let lines = named.filter_map(|(index, name)| {
                Address::of(index).map(|address| format!("{address} {name}\n"))
            });
            format!("127.0.0.1 localhost loopback\n{}", lines.collect::<String>())
        }
    }
}

/// Makes empty directories where the emulation has some, so that a shell can
/// `cd` to them. Whether they are there is the emulation's to say.
pub(super) fn follow(layout: &Layout, host: &str, dirs: impl IntoIterator<Item = String>) {
    let root = layout.root(host);
    for dir in dirs {
        let clean = dir.starts_with('/') && !dir.split('/').any(|part| part == "..");
        let path = root.join(dir.trim_start_matches('/'));
        if clean && !path.exists() && !path.is_symlink() {
            // A shell that cannot go there says so.
            let _ = fs::create_dir_all(&path);
        }
    }
}

/// The program that the links lead to: this one.
pub(super) fn own_program() -> Result<PathBuf, NetError> {
    std::env::current_exe().and_then(fs::canonicalize).map_err(io(Path::new("/proc/self/exe")))
}

/// `sshd`, which must be called by its whole path.
pub(super) fn sshd() -> Result<PathBuf, NetError> {
    process::program("sshd", "openssh-server")
}
