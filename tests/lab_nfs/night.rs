//! A night over ssh, in hosts that are namespaces: what the master has mounted
//! is there for its shell.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const PLAN: &str = "[master]\nname = \"nim1\"\n[target]\nspot = \"spot\"\nlpp_source = \"lpp\"\n\
    level = \"7300-02\"\n[defaults]\ndriver = \"native\"\ndisks = [\"hdisk1\"]\naccept_licenses = true\n\
    [[client]]\nname = \"lpar01\"\n[[client]]\nname = \"lpar02\"\n";

struct World(tempfile::TempDir);

impl World {
    fn up() -> Option<World> {
        if let Err(why) = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") {
            crate::skipped::skipped(&format!("/dev/fuse: {why}"));
            return None;
        }
        let world = World(tempfile::tempdir().unwrap());
        let config = world.lab().join("ssh/config");
        let ssh = format!(
            "kind = \"ssh\"\nssh_config = \"{}\"\nnative_unverified = \"accept\"\n[retry]\ndelay = \"1s\"\ndelay_max = \"2s\"",
            config.display()
        );
        for (file, estate) in [("lab.toml", "kind = \"lab\""), ("ssh.toml", &ssh)] {
            let plan = format!("[batch]\nname = \"b\"\n[estate]\n{estate}\n{PLAN}");
            fs::write(world.0.path().join(file), plan).unwrap();
        }
        world.does(&["lab", "up", "--plan", "lab.toml"]);
        let up = world.run(&["lab", "up", "--ssh=namespaces"]);
        let said = String::from_utf8_lossy(&up.stderr).into_owned();
        if said.contains("is missing") {
            crate::skipped::skipped(&said);
            return None;
        }
        assert!(up.status.success(), "{said}");
        Some(world)
    }

    fn lab(&self) -> PathBuf {
        self.0.path().join("state/lab")
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

    fn does(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        assert!(ran.status.success(), "{args:?}: {text}\n{}", self.log());
        text
    }

    #[expect(clippy::disallowed_methods, reason = "a real ssh is what is tested")]
    fn ssh(&self, host: &str, line: &str) -> String {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(self.lab().join("ssh/config")).args([host, line]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{host}: {line}: {text}\n{}", self.log());
        text
    }

    /// What the master's mounts have said.
    fn log(&self) -> String {
        fs::read_to_string(self.lab().join("ssh/hosts/nim1/nfs.log")).unwrap_or_default()
    }

    /// Mounts of the master's kernel.
    fn mounts(&self) -> usize {
        let count = self.ssh("nim1", "sed -n /aixnfs/p /proc/mounts | wc -l");
        count.trim().parse().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.run(&["lab", "down"]);
    }
}

/// Of a site: looks at the copy, and leaves something in it, by nothing but the
/// shell.
const SCRIPT: &str = "cd $R || exit 1; read line <etc/motd; echo \"$line\" >tmp/site; \
    echo site:!:990: >>etc/group; set -- etc/*; for f; do [ -f $f ] && n=$((n+1)); done; \
    while read l; do k=$((k+1)); done <etc/group; [ -x usr/bin/ksh ] && [ -h unix ] && echo $n $k";

#[test]
fn a_script_on_the_master_uses_the_copy_by_redirection() {
    let Some(world) = World::up() else { return };
    world.does(&["run", "ssh.toml", "-P", "1,2,3"]);
    assert_eq!(world.mounts(), 12, "{}", world.log());
    let before = world.ssh("lpar01", "wc -l </dev/null; cat /alt_inst/etc/group | wc -l");
    let lines: usize = before.lines().last().unwrap().trim().parse().unwrap();
    for client in ["lpar01", "lpar02"] {
        let script = format!("R=/{client}_alt/alt_inst; {SCRIPT}");
        let counted = world.ssh("nim1", &script);
        let (files, group) = counted.trim().split_once(' ').unwrap();
        assert!(files.parse::<usize>().unwrap() >= 6, "{counted}");
        assert_eq!(group.parse::<usize>().unwrap(), lines + 1, "{counted}");
        assert_eq!(world.ssh(client, "cat /alt_inst/tmp/site"), "Welcome to AIX Version 7.2!\n");
    }
    world.does(&["run", "ssh.toml", "-P", "4-12"]);
    assert_eq!(world.mounts(), 0, "{}", world.log());
    assert_eq!(world.log(), "", "nothing was in vain");
    for client in ["lpar01", "lpar02"] {
        let copy = world.lab().join(format!("hosts/{client}/fs/altinst_rootvg"));
        let found = |path: &str| {
            let mut volumes = fs::read_dir(&copy).unwrap().flatten();
            volumes.find_map(|volume| fs::read_to_string(volume.path().join(path)).ok())
        };
        assert_eq!(found("site").as_deref(), Some("Welcome to AIX Version 7.2!\n"));
        assert!(found("etc/group").unwrap().contains("site:!:990:"), "it outlives the migration");
    }
    world.does(&["lab", "check"]);
}

#[test]
fn down_ends_whoever_waits_for_a_host() {
    let Some(world) = World::up() else { return };
    world.does(&["run", "ssh.toml", "-P", "1,2,3"]);
    let mark = world.lab().canonicalize().unwrap().display().to_string();
    let processes = |word: &str| {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let lines = all.map(|entry| {
            let text = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let whole = [text("cmdline"), text("environ")].concat();
            String::from_utf8_lossy(&whole).into_owned()
        });
        lines.filter(|line| line.contains(&mark) && line.contains(word)).count()
    };
    assert_eq!(processes("\0nfs\0"), 12);
    world.does(&["lab", "fault", "link-cut", "--host", "lpar01", "--seconds", "600"]);
    world.ssh(
        "nim1",
        "cd /root; (read l </lpar01_alt/alt_inst/etc/motd; echo $l >out) >/dev/null 2>&1 &",
    );
    super::until("a mount that waits", || world.log().contains("lpar01 not responding"));
    assert!(!world.lab().join("ssh/hosts/nim1/root/root/out").exists());
    // The other client's files are there meanwhile.
    assert!(world.ssh("nim1", "read l </lpar02_alt/alt_inst/etc/motd; echo $l").contains("AIX"));
    world.does(&["lab", "down"]);
    super::until("the end of all processes", || processes("") == 0);
    assert!(!world.lab().join("ssh").exists());
}
