//! A lab that is reached by ssh, in a directory that goes with it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const CLIENTS: &str = "[master]\nname = \"nim1\"\n[target]\nspot = \"spot\"\nlpp_source = \"lpp\"\n\
    level = \"7300-02\"\n[defaults]\ndriver = \"native\"\ndisks = [\"hdisk1\"]\naccept_licenses = true\n\
    [[client]]\nname = \"lpar01\"\n[[client]]\nname = \"lpar02\"\nreboot = true\n";

/// How long anything may take that is waited for, on a machine that has much to do.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct World(tempfile::TempDir);

impl World {
    /// An estate that is not reached yet.
    pub(crate) fn new() -> World {
        let world = World(tempfile::tempdir().unwrap());
        let lab = format!("[batch]\nname = \"b\"\n[estate]\nkind = \"lab\"\n{CLIENTS}");
        let ssh = format!(
            "[batch]\nname = \"b\"\n[estate]\nkind = \"ssh\"\nssh_config = \"{}\"\n\
             native_unverified = \"accept\"\n[retry]\ndelay = \"1s\"\ndelay_max = \"2s\"\n{CLIENTS}",
            world.config().display()
        );
        fs::write(world.path("lab.toml"), lab).unwrap();
        fs::write(world.path("ssh.toml"), ssh).unwrap();
        world
    }

    /// A lab that is reached in that way; none where this machine cannot.
    pub(crate) fn up(way: &str) -> Option<World> {
        World::up_with(way, &[])
    }

    /// The same, made with more options.
    pub(crate) fn up_with(way: &str, more: &[&str]) -> Option<World> {
        let world = World::new();
        let by = format!("--ssh={way}");
        let up = world.run(&[&["lab", "up", "--plan", "lab.toml", &by], more].concat());
        let said = String::from_utf8_lossy(&up.stderr).into_owned();
        let lacks = said.contains("is missing") || said.contains("CAP_SYS_ADMIN");
        if !up.status.success() && lacks {
            crate::skipped::skipped(&said);
            return None;
        }
        assert!(up.status.success(), "{said}");
        let entered = world.run(&["lab", "enter", "state/lab", "lpar01", "--", "/usr/bin/true"]);
        let said = String::from_utf8_lossy(&entered.stderr).into_owned();
        if said.contains("namespace") {
            crate::skipped::skipped(&said);
            return None;
        }
        Some(world)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn lab(&self) -> PathBuf {
        self.path("state/lab")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("state/lab/ssh/config")
    }

    #[expect(clippy::disallowed_methods, reason = "the program is what is tested")]
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nimshift"));
        command.args(args).current_dir(self.0.path()).env("USER", "op").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs what must succeed. Gives its output.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn begin(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "a real ssh is what is tested")]
    pub(crate) fn client(&self, words: &[&str]) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.config()).args(words).stdin(Stdio::null());
        ssh
    }

    pub(crate) fn ssh(&self, host: &str, line: &str) -> (i32, String) {
        ended(self.client(&[host, line]).output().unwrap())
    }

    /// A connection of its own, with options.
    pub(crate) fn ssh_alone(&self, options: &[&str], host: &str, line: &str) -> (i32, String) {
        let options = options.iter().flat_map(|option| ["-o", option]);
        let words: Vec<&str> =
            ["-o", "ControlPath=none"].into_iter().chain(options).chain([host, line]).collect();
        ended(self.client(&words).output().unwrap())
    }

    /// One that goes on, with keepalives each second of which two may be missed.
    pub(crate) fn ssh_begin(&self, host: &str, line: &str) -> Child {
        let quick = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"];
        let words = [&["-o", "ControlPath=none"], quick.as_slice(), &[host, line]].concat();
        let mut client = self.client(&words);
        client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Processes whose environment names this lab.
    pub(crate) fn processes(&self) -> Vec<String> {
        let lab = self.0.path().canonicalize().unwrap().join("state/lab");
        let mark = format!("NIMSHIFT_LAB_MARK={}:", lab.display());
        processes()
            .into_iter()
            .filter(|pid| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                String::from_utf8_lossy(&environment).split('\0').any(|one| one.starts_with(&mark))
            })
            .map(|pid| pid.to_string())
            .collect()
    }

    /// What is to be gone after `lab down`, if it is not.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left: Vec<String> =
            self.processes().into_iter().map(|pid| format!("process {pid}")).collect();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let here = self.0.path().canonicalize().unwrap().display().to_string();
        left.extend(mounts.lines().filter(|line| line.contains(&here)).map(str::to_owned));
        if self.lab().join("ssh").exists() {
            left.push("files".to_owned());
        }
        left
    }

    /// What a file of the lab holds.
    pub(crate) fn json(&self, name: &str) -> Option<serde_json::Value> {
        serde_json::from_str(&fs::read_to_string(self.lab().join("ssh").join(name)).ok()?).ok()
    }

    pub(crate) fn keeper(&self) -> Option<i64> {
        self.json("keeper.json")?["keeper"]["pid"].as_i64()
    }

    pub(crate) fn init(&self, host: &str) -> Option<i64> {
        self.json(&format!("hosts/{host}/init.json"))?["init"]["pid"].as_i64()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.run(&["lab", "down"]);
    }
}

pub(crate) fn ended(output: Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

/// Numbers of all processes that run.
pub(crate) fn processes() -> Vec<i64> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Processes in a namespace, by what its link in `/proc` says.
pub(crate) fn processes_in(namespaces: &[PathBuf]) -> Vec<i64> {
    let kinds = ["net", "mnt", "pid"];
    let within = |pid: &i64| {
        let of = |kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
        kinds.iter().filter_map(|kind| of(kind)).any(|one| namespaces.contains(&one))
    };
    processes().into_iter().filter(|pid| runs(*pid)).filter(within).collect()
}

/// One that has ended is there until it is waited for.
fn runs(pid: i64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Namespaces of a process that are not those of this one.
pub(crate) fn namespaces_of(pid: i64) -> Vec<PathBuf> {
    let link = |pid: &dyn std::fmt::Display, kind: &str| {
        fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()
    };
    ["net", "mnt", "pid"]
        .into_iter()
        .filter(|kind| link(&pid, kind) != link(&"self", kind))
        .filter_map(|kind| link(&pid, kind))
        .collect()
}

/// Waits until something is so.
#[expect(clippy::disallowed_methods, reason = "processes are waited for")]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Ends a process as nothing can be prepared for.
pub(crate) fn kill(pid: i64) {
    let pid = i32::try_from(pid).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
}

pub(crate) fn exists(path: impl AsRef<OsStr>) -> bool {
    Path::new(&path).exists()
}
