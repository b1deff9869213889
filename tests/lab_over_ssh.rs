//! The lab's hosts as real processes, through the machine's own `ssh` and
//! `sshd -i`. Skipped, with a note, where those are missing.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![expect(clippy::print_stderr, reason = "what is skipped is told")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const CLIENTS: &str = "[master]\nname = \"nim1\"\n[target]\nspot = \"spot\"\nlpp_source = \"lpp\"\n\
    level = \"7300-02\"\n[defaults]\ndisks = [\"hdisk1\"]\naccept_licenses = true\n\
    [[client]]\nname = \"lpar01\"\n[[client]]\nname = \"lpar02\"\nreboot = true\n";

struct World(tempfile::TempDir);

impl World {
    /// A lab that is reached by ssh; none where this machine cannot.
    fn up() -> Option<World> {
        let world = World(tempfile::tempdir().unwrap());
        let lab = format!("[batch]\nname = \"b\"\n[estate]\nkind = \"lab\"\n{CLIENTS}");
        let ssh = format!(
            "[batch]\nname = \"b\"\n[estate]\nkind = \"ssh\"\nssh_config = \"{}\"\n\
             [retry]\ndelay = \"1s\"\ndelay_max = \"2s\"\n{CLIENTS}",
            world.config().display()
        );
        std::fs::write(world.0.path().join("lab.toml"), lab).unwrap();
        std::fs::write(world.0.path().join("ssh.toml"), ssh).unwrap();
        let up = world.run(&["lab", "up", "--plan", "lab.toml", "--ssh=proxy"]);
        let said = String::from_utf8_lossy(&up.stderr).into_owned();
        if said.contains("is missing") {
            eprintln!("SKIPPED: {said}");
            return None;
        }
        assert!(up.status.success(), "{said}");
        let entered = world.run(&["lab", "enter", "state/lab", "lpar01", "--", "/usr/bin/true"]);
        let said = String::from_utf8_lossy(&entered.stderr).into_owned();
        if said.contains("namespace") {
            eprintln!("SKIPPED: {said}");
            return None;
        }
        Some(world)
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("state/lab/ssh/config")
    }

    #[expect(clippy::disallowed_methods, reason = "the program is what is tested")]
    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_nimshift"))
            .args(args)
            .current_dir(self.0.path())
            .env("USER", "op")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "a real ssh is what is tested")]
    fn ssh(&self, host: &str, line: &str) -> (i32, String) {
        let output = Command::new("ssh")
            .arg("-F")
            .arg(self.config())
            .args([host, line])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code().unwrap_or(-1), text)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.run(&["lab", "down"]);
    }
}

fn digest(world: &World) -> String {
    String::from_utf8(world.run(&["lab", "digest"]).stdout).unwrap()
}

#[test]
fn a_shell_finds_aix_and_its_own_files() {
    let Some(world) = World::up() else { return };
    assert_eq!(world.ssh("lpar01", "/usr/sbin/lsvg nosuch >/dev/null 2>&1; echo $?").1, "1\n");
    assert_eq!(world.ssh("lpar01", "oslevel -s | awk '{print NF}'").1, "1\n");
    let real = "mkdir -p /var/adm/nimshift-jobs/a && echo x >/var/adm/nimshift-jobs/a/f && \
                cat /var/adm/nimshift-jobs/a/f; ls /var/adm";
    let (_, text) = world.ssh("lpar01", real);
    assert!(text.starts_with("x\n") && !text.contains("nimshift-jobs"), "{text}");
    let rsh = "/usr/lpp/bos.sysmgt/nim/methods/c_rsh lpar02 'ls -d /etc'";
    assert_eq!(world.ssh("nim1", rsh), (0, "/etc\n".to_owned()));
    // An archive goes through a pipe between two processes.
    let copy = "mkdir /tmp/c && tar -cf - -C /home . | tar -xpf - -C /tmp; echo $?";
    assert_eq!(world.ssh("lpar01", copy).1, "0\n");
    assert_eq!(world.ssh("lpar01", "nosuchcommand 2>/dev/null").0, 127);
}

#[test]
fn a_night_over_ssh_ends_as_one_in_process() {
    let Some(world) = World::up() else { return };
    let ran = world.run(&["run", "ssh.toml"]);
    let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "{text}");
    let other = World(tempfile::tempdir().unwrap());
    std::fs::copy(world.0.path().join("lab.toml"), other.0.path().join("lab.toml")).unwrap();
    assert!(other.run(&["run", "lab.toml"]).status.success());
    assert_eq!(digest(&world), digest(&other), "{text}");
}

#[test]
fn down_leaves_nothing() {
    let Some(world) = World::up() else { return };
    assert_eq!(world.ssh("lpar01", "sleep 600 >/dev/null 2>&1 & echo on").1, "on\n");
    assert!(world.run(&["lab", "down"]).status.success());
    assert!(!Path::new(&world.config()).exists());
    let mark = format!("NIMSHIFT_LAB_MARK={}", world.0.path().canonicalize().unwrap().display());
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environment).contains(&mark), "{entry:?} goes on");
    }
}
