//! Clients that only their NIM master reaches: `c_rsh` of the lab over ssh is a
//! real shell on the client. Skipped, with a note, where ssh is missing.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![expect(clippy::print_stderr, reason = "what is skipped is told")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const RSH: &str = "/usr/lpp/bos.sysmgt/nim/methods/c_rsh";

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
             [retry]\ndelay = \"1s\"\ndelay_max = \"2s\"\n{CLIENTS}\
             reach = {{ via = \"master\" }}\n",
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

    /// Status, output and messages of `line` on a host, which is given `input`.
    #[expect(clippy::disallowed_methods, reason = "a real ssh is what is tested")]
    fn ssh(&self, host: &str, line: &str, input: &str) -> (i32, String, String) {
        let mut child = Command::new("ssh")
            .arg("-F")
            .arg(self.config())
            .args([host, line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// The same on lpar02, by the master.
    fn relayed(&self, line: &str, input: &str) -> (i32, String, String) {
        self.ssh("nim1", &format!("{RSH} lpar02 '{line}'"), input)
    }

    fn link(&self, host: &str, text: &str) {
        let path = self.0.path().join(format!("state/lab/ssh/hosts/{host}/link"));
        std::fs::write(path, text).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.run(&["lab", "down"]);
    }
}

#[test]
fn any_line_of_shell_is_run_on_the_client() {
    let Some(world) = World::up() else { return };
    let line = "cd /usr && hostname; for i in 1 2; do echo $i; done | tr 12 ab; cat; \
                echo \"to stderr\" >&2; exit 7";
    let (status, out, err) = world.relayed(line, "first\nlast\n");
    assert_eq!((status, out.as_str()), (7, "lpar02\na\nb\nfirst\nlast\n"), "{err}");
    assert_eq!(err, "to stderr\n");
    // Its files are its own, and those of the emulation.
    let real = "mkdir -p /var/nimshift/a && echo x >/var/nimshift/a/f && ls -d /etc";
    assert_eq!(world.relayed(real, "").1, "/etc\n");
    assert_eq!(world.ssh("lpar02", "cat /var/nimshift/a/f", "").1, "x\n");
    assert_ne!(world.ssh("lpar01", "cat /var/nimshift/a/f", "").0, 0);
    assert_eq!(world.relayed("kill -9 $$", "").0, 128 + 9);
    // An archive goes from a process of one host to one of the other.
    let copy = format!("tar -cf - -C /home . | {RSH} lpar02 'tar -xpf - -C /tmp'; echo $?");
    assert_eq!(world.ssh("nim1", &copy, "").1, "0\n");
}

#[test]
fn what_the_master_would_refuse_is_refused() {
    let Some(world) = World::up() else { return };
    let (status, _, err) = world.ssh("nim1", &format!("{RSH} nosuch hostname"), "");
    assert_eq!(status, 53, "{err}");
    assert!(err.starts_with("0042-053"), "{err}");
    let (status, _, err) = world.ssh("lpar01", &format!("{RSH} lpar02 hostname"), "");
    assert_eq!(status, 1, "{err}");
    assert!(err.starts_with("0042-137"), "{err}");
    // A link that says nothing for as long as anybody would wait.
    world.link("lpar02", "{\"silent_until_ms\": 9999999999999}");
    let (status, out, err) = world.relayed("hostname", "");
    assert_eq!((status, out.as_str()), (6, ""));
    assert!(err.contains("timed out"), "{err}");
    // One that breaks in the middle: what was begun goes on.
    world.link("lpar02", "{\"cut_after\": 4}");
    let line = "echo one; sleep 1; echo on >/var/nimshift/after";
    let (status, out, err) = world.relayed(line, "");
    assert_eq!((status, out.as_str()), (6, "one\n"));
    assert!(err.contains("reset by peer"), "{err}");
    world.link("lpar02", "{}");
    let seen = "n=0; while [ ! -s /var/nimshift/after ] && [ $n -lt 100 ]; do \
                sleep 0.1; n=$((n + 1)); done; cat /var/nimshift/after";
    assert_eq!(world.relayed(seen, "").1, "on\n");
}

#[test]
fn doctor_finds_a_fresh_lab_well() {
    let Some(world) = World::up() else { return };
    let asked = world.run(&["doctor", "ssh.toml"]);
    let text = String::from_utf8_lossy(&[asked.stdout, asked.stderr].concat()).into_owned();
    assert!(asked.status.success() && text.contains("All is well."), "{text}");
    // The clock of the estate runs faster than this machine's: that may be told.
    let others = |line: &&str| line.starts_with("  warn") && !line.contains(" clock ");
    assert_eq!(text.lines().find(others), None, "{text}");
}

#[test]
fn a_night_through_the_master_ends_as_one_in_process() {
    let Some(world) = World::up() else { return };
    let ran = world.run(&["run", "ssh.toml"]);
    let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "{text}");
    // Its jobs were the client's own, found again by their names.
    let log = String::from_utf8(world.run(&["lab", "log"]).stdout).unwrap();
    let on_client = log.lines().filter(|line| line.contains(" lpar02# "));
    assert!(on_client.clone().any(|line| line.contains(".01-clone-rootvg.f0.1)")), "{log}");
    let other = World(tempfile::tempdir().unwrap());
    std::fs::copy(world.0.path().join("lab.toml"), other.0.path().join("lab.toml")).unwrap();
    assert!(other.run(&["run", "lab.toml"]).status.success());
    let digest = |world: &World| world.run(&["lab", "digest"]).stdout;
    assert_eq!(digest(&world), digest(&other), "{text}");
}
