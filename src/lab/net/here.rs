//! The host that a process of the lab runs on, and which commands are real there.

use std::fs;
use std::path::{Path, PathBuf};

/// In a host's root: which host of which lab it is.
pub(super) const FILE: &str = "etc/nimshift-lab";

/// In a host's root: the machine's own root.
pub(super) const BASE: &str = "/lab/base";

/// In a host's root: the links.
pub(super) const FARM: &str = "/lab/farm";

/// Directories of a host that are real and not emulated: what keeps durable
/// jobs, and what the shells and programs below them need.
pub(super) const REAL: [&str; 6] =
    ["/var/adm/nimshift-jobs", "/var/nimshift", "/lab", "/proc", "/root", "/dev/null"];

/// Tools that a shell script needs and that the emulation has as well: they are
/// real when they are given real files, or none at all.
const BOTH: [&str; 20] = [
    "cat", "chmod", "cp", "cut", "dd", "df", "echo", "false", "find", "grep", "head", "ln", "ls",
    "mkdir", "mv", "printf", "rm", "rmdir", "touch", "true",
];

/// Those of [`BOTH`] that do something without a file.
const WITHOUT_FILE: [&str; 6] = ["cat", "dd", "echo", "false", "printf", "true"];

/// A host of a lab, as a process on it finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    pub lab: PathBuf,
    pub host: String,
    /// Where the machine's own files are.
    pub base: PathBuf,
}

impl Here {
    /// Where this process is: by its environment (`NIMSHIFT_LAB` and
    /// `NIMSHIFT_LAB_HOST`), or by a file of the host's root.
    pub fn find() -> Option<Here> {
        let text = fs::read_to_string(Path::new("/").join(FILE)).ok();
        if let Some(here) = text.as_deref().and_then(Here::read) {
            return Some(here);
        }
        let lab = std::env::var_os("NIMSHIFT_LAB")?;
        let host = std::env::var("NIMSHIFT_LAB_HOST").ok()?;
        Some(Here { lab: lab.into(), host, base: PathBuf::from("/") })
    }

    fn read(text: &str) -> Option<Here> {
        let mut lines = text.lines();
        let lab = lines.next()?.into();
        let host = lines.next()?.to_owned();
        Some(Here { lab, host, base: PathBuf::from(BASE) })
    }

    pub(super) fn text(lab: &Path, host: &str) -> String {
        format!("{BASE}{}\n{host}\n", lab.display())
    }

    /// The machine's own tool of that name.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        ["usr/bin", "bin"]
            .into_iter()
            .map(|folder| self.base.join(folder).join(name))
            .find(|path| path.exists())
    }
}

/// Whether `argv`, run in `cwd`, is the affair of the machine's own tool.
pub fn real_tool(argv: &[String], cwd: &str) -> bool {
    let Some((program, rest)) = argv.split_first() else { return false };
    let name = program.rsplit('/').next().unwrap_or(program);
    if name == "ps" {
        // What the emulation knows of a host's jobs, it shows in one layout.
        let known = |word: &String| {
            ["-e", "-p", "-o", "-eo", "pid,args", "pid,user,etime,args"].contains(&word.as_str())
                || word.parse::<u32>().is_ok()
        };
        return !rest.iter().all(known);
    }
    if !BOTH.contains(&name) {
        return false;
    }
    if matches!(name, "cut" | "echo" | "false" | "grep" | "head" | "printf" | "true") {
        return true;
    }
    let mut files = rest.iter().filter_map(|arg| file_of(name, arg)).peekable();
    if files.peek().is_none() {
        return WITHOUT_FILE.contains(&name);
    }
    files.any(|file| is_real(&crate::lab::tree::normal(cwd, file)))
}

/// The durable job that this process is part of: `NIMSHIFT_JOB`, or the
/// directory of the program `…/ID/job` among the shells that called it.
pub fn job_of_this_process() -> Option<String> {
    if let Ok(job) = std::env::var("NIMSHIFT_JOB") {
        return Some(job);
    }
    let mut pid = std::os::unix::process::parent_id();
    for _ in 0..12 {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).into_owned();
        let job = words.split('\0').find_map(|word| word.strip_suffix("/job"));
        if let Some(job) = job.and_then(|path| path.rsplit('/').next()) {
            return Some(job.to_owned());
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may hold anything: state, then the parent.
        pid = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
    }
    None
}

fn file_of<'a>(name: &str, arg: &'a str) -> Option<&'a str> {
    match name {
        "dd" => arg.strip_prefix("if=").or_else(|| arg.strip_prefix("of=")),
        _ if arg.starts_with('-') => None,
        _ => Some(arg),
    }
}

fn is_real(path: &str) -> bool {
    REAL.iter().any(|real| {
        path.strip_prefix(real).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(line: &str) -> bool {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        real_tool(&words, "/")
    }

    #[test]
    fn tools_are_real_where_their_files_are() {
        assert!(real("mkdir -p /var/adm/nimshift-jobs/m1-2"));
        assert!(real("/usr/bin/ln /var/adm/nimshift-jobs/a/p.1 /var/adm/nimshift-jobs/a/claim"));
        assert!(real("dd bs=512 skip=1 if=/var/adm/nimshift-jobs/a/out"));
        assert!(real("ps -p 17 -o args=") && real("ps -ef"), "processes are real");
        assert!(real("cat"), "it only hands on");
        assert!(real("printf %s\\n /image.data"), "it only speaks");
    }

    #[test]
    fn what_the_emulation_has_is_emulated() {
        assert!(!real("mkdir -p /var/adm/nimshift"), "the lease lies there");
        assert!(!real("ls -l /var/adm/nimshift/lease"));
        assert!(!real("ls /var/adm/nimshift-jobsheet"));
        assert!(!real("dd if=/lpar7_alt/alt_inst/tmp/nimshift-boot bs=4k"));
        assert!(!real("dd of=/dev/hd5 bs=4k"));
        assert!(!real("find . -print"));
        assert!(!real("tar -cf - -C /alt_inst ."));
        assert!(!real("ps -e -o pid,args") && !real("ps -p 17"), "emulated jobs are there");
        assert!(!real("lspv"));
        assert!(!real("rm -rf"), "its own message is as good as another");
    }
}
