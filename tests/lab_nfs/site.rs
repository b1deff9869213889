//! A lab whose client exports and whose master mounts, in network namespaces of
//! their own with a cable between them.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const ESTATE: &str = r#"
[master]
name = "nim1"
level = "7300-02-01-2346"

[[client]]
name = "lpar01"
level = "7200-05-03-2148"
disk = [{ name = "hdisk0", size_mb = 32768, vg = "rootvg" }, { name = "hdisk1", size_mb = 32768 }]
filesystem = [
    { lv = "datalv", mount_point = "/data", size_mb = 512 },
    { lv = "smalllv", mount_point = "/small", size_mb = 128, data_mb = 126 },
]
"#;

/// How long anything may take here.
const LIMIT: Duration = Duration::from_secs(30);

/// A process that is ended with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Site {
    /// Ended first: with it end the mounts, and whoever waits for them.
    mounter: Option<Running>,
    server: Option<Running>,
    exporting: Running,
    mounting: Running,
    dir: tempfile::TempDir,
}

#[expect(clippy::disallowed_methods, reason = "the machine's programs are what is tested")]
fn command(program: &str) -> Command {
    let mut made = Command::new(program);
    made.stdin(Stdio::null());
    made
}

fn run(program: &str, args: &[&str]) -> Output {
    command(program).args(args).output().unwrap()
}

/// Looks until something is so.
#[expect(clippy::disallowed_methods, reason = "the machine's time is what passes here")]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "{what}: not after {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that keeps a network and a mount namespace.
fn namespaces() -> Running {
    let args = ["--net", "--mount", "--propagation", "private", "sleep", "3600"];
    let held = Running(command("unshare").args(args).spawn().unwrap());
    let name = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    until("a namespace", || {
        let its = name(&held.0.id().to_string());
        its.is_some() && its != name("self")
    });
    held
}

impl Site {
    /// None, with a note, where this machine cannot.
    pub(crate) fn up() -> Option<Site> {
        let skip = |why: &str| {
            crate::skipped::skipped(why);
            None
        };
        if let Err(why) = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") {
            return skip(&format!("/dev/fuse: {why}"));
        }
        match command("unshare").args(["--net", "--mount", "ip", "link"]).output() {
            Ok(tried) if tried.status.success() => {}
            Ok(tried) => return skip(&String::from_utf8_lossy(&tried.stderr)),
            Err(why) => return skip(&format!("unshare: {why}")),
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("estate.toml"), ESTATE).unwrap();
        fs::write(dir.path().join("hosts"), "10.77.0.1 lpar01\n10.77.0.2 nim1\n").unwrap();
        fs::create_dir_all(dir.path().join("root")).unwrap();
        let (exporting, mounting) = (namespaces(), namespaces());
        let mut site = Site { mounter: None, server: None, exporting, mounting, dir };
        let up = site.nimshift(&["lab", "up", "--estate", "estate.toml"]);
        assert!(up.status.success(), "{up:?}");
        let mounting = site.mounting.0.id().to_string();
        site.net(&["link", "add", "cable", "type", "veth", "peer", "cable", "netns", &mounting]);
        site.net(&["addr", "add", "10.77.0.1/24", "dev", "cable"]);
        site.net(&["link", "set", "cable", "up"]);
        let there = ["-t", &mounting, "-n", "ip"];
        for args in
            [&["addr", "add", "10.77.0.2/24", "dev", "cable"][..], &["link", "set", "cable", "up"]]
        {
            assert!(run("nsenter", &[&there[..], args].concat()).status.success());
        }
        site.start_server();
        site.start_mounter();
        Some(site)
    }

    fn net(&self, args: &[&str]) {
        let pid = self.exporting.0.id().to_string();
        let done = run("nsenter", &[&["-t", &pid, "-n", "ip"], args].concat());
        assert!(done.status.success(), "{args:?} {done:?}");
    }

    /// Takes the cable out, or puts it in.
    pub(crate) fn cable(&self, state: &str) {
        self.net(&["link", "set", "cable", state]);
    }

    pub(crate) fn start_server(&mut self) {
        let lab = self.lab().display().to_string();
        let pid = self.exporting.0.id().to_string();
        let args =
            ["-t", &pid, "-n", env!("CARGO_BIN_EXE_nimshift"), "lab", "nfsd", &lab, "lpar01"];
        let made = command("nsenter")
            .args(args)
            .args(["--listen=10.77.0.1:2049", &self.hosts_option()])
            .spawn()
            .unwrap();
        self.server = Some(Running(made));
    }

    pub(crate) fn stop_server(&mut self) {
        self.server = None;
    }

    pub(crate) fn start_mounter(&mut self) {
        let lab = self.lab().display().to_string();
        let pid = self.mounting.0.id().to_string();
        let mounts = format!("--mounts={}", self.root().display());
        let hosts = self.hosts_option();
        let args = ["-t", &pid, "-n", "-m", env!("CARGO_BIN_EXE_nimshift"), "lab", "nfsd", &lab];
        let more = ["nim1", "--listen=10.77.0.2:2049", &hosts, &mounts];
        let made = command("nsenter").args(args).args(more).spawn().unwrap();
        self.mounter = Some(Running(made));
        let socket = self.home().join("nfs.sock");
        until("a mounter", || socket.exists());
    }

    pub(crate) fn stop_mounter(&mut self) {
        self.mounter = None;
        let _ = fs::remove_file(self.home().join("nfs.sock"));
    }

    fn lab(&self) -> PathBuf {
        self.dir.path().join("state/lab")
    }

    fn hosts_option(&self) -> String {
        format!("--hosts={}", self.dir.path().join("hosts").display())
    }

    fn home(&self) -> PathBuf {
        self.lab().join("ssh/hosts/nim1")
    }

    /// Where the master's mount points are.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// What mounts have said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home().join("nfs.log")).unwrap_or_default()
    }

    fn nimshift(&self, args: &[&str]) -> Output {
        let mut made = command(env!("CARGO_BIN_EXE_nimshift"));
        made.args(args).current_dir(self.dir.path()).output().unwrap()
    }

    /// A command of the emulation.
    pub(crate) fn exec(&self, host: &str, line: &str) -> (i32, String) {
        let words: Vec<&str> = line.split(' ').collect();
        let output = self.nimshift(&[&["lab", "exec", host, "--"], words.as_slice()].concat());
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code().unwrap_or(-1), text)
    }

    /// A command of the emulation that must succeed.
    pub(crate) fn does(&self, host: &str, line: &str) -> String {
        let (status, text) = self.exec(host, line);
        assert_eq!(status, 0, "{line}: {text}\n{}", self.log());
        text
    }

    /// Lets the master mount a directory of the client, real and emulated.
    pub(crate) fn mount(&self, exported: &str, point: &str, options: &str) {
        fs::create_dir_all(self.root().join(point.trim_start_matches('/'))).unwrap();
        self.does("nim1", &format!("mkdir -p {point}"));
        let options = if options.is_empty() { String::new() } else { format!("-o {options} ") };
        self.does("nim1", &format!("mount {options}lpar01:{exported} {point}"));
        assert!(self.mounts().contains(&format!("lpar01:{exported}")), "{}", self.log());
    }

    /// Exports a directory of the client to the master, and mounts it there.
    pub(crate) fn export_and_mount(&self, exported: &str, point: &str, options: &str) {
        self.does("lpar01", &format!("exportfs -i -o rw=nim1,root=nim1 {exported}"));
        self.mount(exported, point, options);
    }

    /// NFS mounts that the master's kernel has.
    pub(crate) fn mounts(&self) -> String {
        let table = format!("/proc/{}/mountinfo", self.mounting.0.id());
        let table = fs::read_to_string(table).unwrap();
        table.split_inclusive('\n').filter(|line| line.contains(" fuse.")).collect()
    }

    /// Processes of this site that answer for mounts.
    fn daemon_pids(&self) -> Vec<String> {
        let mark = self.lab().display().to_string();
        let all = fs::read_dir("/proc").unwrap().flatten();
        let found = all.filter(|entry| {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            line.contains(&mark) && line.contains("\0nfs\0")
        });
        found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// How many there are.
    pub(crate) fn daemons(&self) -> usize {
        self.daemon_pids().len()
    }

    pub(crate) fn kill_daemons(&self) {
        for pid in self.daemon_pids() {
            run("kill", &["-KILL", &pid]);
        }
    }

    /// Begins a shell on the master, below its root, whose output goes to a file.
    pub(crate) fn begin(&self, script: &str) -> Shell {
        let count = fs::read_dir(self.dir.path()).unwrap().count();
        let path = self.dir.path().join(format!("out{count}"));
        let pid = self.mounting.0.id().to_string();
        let file = fs::File::create(&path).unwrap();
        let root = self.root().display().to_string();
        let whole = format!("cd {root} || exit 99\n{script}");
        let made = command("nsenter")
            .args(["-t", &pid, "-n", "-m", "sh", "-c", &whole])
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .env("LC_ALL", "C")
            .spawn()
            .unwrap();
        Shell { process: Running(made), path }
    }

    /// Runs a shell on the master to its end.
    pub(crate) fn sh(&self, script: &str) -> (i32, String) {
        self.begin(script).end()
    }

    /// A script that must succeed.
    pub(crate) fn shell(&self, script: &str) -> String {
        let (status, text) = self.sh(script);
        assert_eq!(status, 0, "{script}: {text}\n{}", self.log());
        text
    }

    /// `lab fault` with these words.
    pub(crate) fn fault(&self, words: &[&str]) {
        let done = self.nimshift(&[&["lab", "fault"], words].concat());
        assert!(done.status.success(), "{done:?}");
    }
}

pub(crate) struct Shell {
    process: Running,
    path: PathBuf,
}

impl Shell {
    /// Whether it goes on.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_none()
    }

    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).unwrap()).into_owned()
    }

    /// Its status and output.
    pub(crate) fn end(mut self) -> (i32, String) {
        until("the end of a shell", || !self.runs());
        let status = self.process.0.wait().unwrap();
        (status.code().unwrap_or(-1), self.said())
    }

    /// Ends it where it stands.
    pub(crate) fn kill(mut self) {
        let _ = self.process.0.kill();
    }
}
