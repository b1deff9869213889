//! Over the OpenSSH client of this machine, with `sshd -i` for a connection:
//! real keys, real shared connections, and nothing that listens.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use nimshift::transport::{
    Command, HostId, Hosts, JobId, JobState, Output, Route, RouteWay, Script, SshSettings,
    SshTarget, Transport as _, TransportError,
};

use crate::support::{done, find, hosts, route, run, script, sh};

/// An ssh configuration, keys, and an sshd that is started for each connection.
struct Site {
    dir: TempDir,
    sshd: PathBuf,
}

impl Site {
    /// None, with a note, where OpenSSH is not installed.
    fn new() -> Option<Site> {
        let (Some(sshd), Some(_), Some(_)) = (find("sshd"), find("ssh"), find("ssh-keygen")) else {
            crate::skipped::skipped("install OpenSSH (openssh-client, openssh-server)");
            return None;
        };
        // As root it wants an empty directory.
        let _ = fs::create_dir_all("/run/sshd");
        let site = Site { dir: tempdir().unwrap(), sshd };
        for key in ["host", "other", "user", "stranger"] {
            let path = site.path(key);
            let args = ["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", &path];
            #[expect(clippy::disallowed_methods, reason = "a test runs a program of this machine")]
            let status = std::process::Command::new("ssh-keygen").args(args).status().unwrap();
            assert!(status.success());
        }
        fs::copy(site.path("user.pub"), site.path("authorized")).unwrap();
        let known = |key: &str| {
            let text = fs::read_to_string(site.path(&format!("{key}.pub"))).unwrap();
            text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
        };
        let lines = format!("good {}\nwrong {}\n", known("host"), known("other"));
        fs::write(site.path("known"), lines).unwrap();
        let user = std::env::var("PATH").unwrap_or_default();
        let server = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             LogLevel ERROR\nMaxSessions 10\nSetEnv PATH={user}\n",
            site.path("host"),
            site.path("authorized")
        );
        fs::write(site.path("server"), server).unwrap();
        site.pipe("cat");
        site.config("IdentityFile KEY/user\n");
        Some(site)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// What of the server's words comes through: `cat`, or less.
    fn pipe(&self, filter: &str) {
        let text = format!(
            "#!/bin/sh\necho connected >> '{}'\nexec 3<&0\n\
             {{ '{}' -i -f '{}' <&3 | {filter}; }} &\nexec >/dev/null\nwait\n",
            self.path("connections"),
            self.sshd.display(),
            self.path("server")
        );
        fs::write(self.path("proxy"), text).unwrap();
        fs::set_permissions(self.path("proxy"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn config(&self, more: &str) {
        let proxied = format!(
            "Host good wrong unknown\n  ProxyCommand {}\n\
             Host *\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  \
             IdentityAgent none\n  IdentitiesOnly yes\n  {}",
            self.path("proxy"),
            self.path("known"),
            more.replace("KEY", &self.dir.path().display().to_string())
        );
        fs::write(self.path("config"), proxied).unwrap();
    }

    fn settings(&self) -> SshSettings {
        SshSettings {
            config: Some(self.path("config").into()),
            control_dir: SshSettings::control_dir(&self.dir.path().join("cm")),
            connect_timeout: Duration::from_secs(20),
            ..SshSettings::default()
        }
    }

    fn route(&self, address: &str) -> Route {
        let target = SshTarget { address: address.to_owned(), ..SshTarget::default() };
        route(RouteWay::Ssh(target), Path::new("/bin/sh"), &self.dir.path().join("jobs"))
    }

    fn hosts(&self, addresses: &[&str]) -> Hosts {
        let routes = addresses.iter().map(|address| (HostId::new(*address), self.route(address)));
        hosts(routes, self.settings())
    }

    fn connections(&self) -> usize {
        fs::read_to_string(self.path("connections")).map_or(0, |text| text.lines().count())
    }

    /// Ends the shared connection, as whoever closes it would.
    fn close(&self, address: &str) {
        let control = format!("ControlPath={}/%C", self.path("cm"));
        let args = ["-F", &self.path("config"), "-o", &control, "-O", "exit", address];
        #[expect(clippy::disallowed_methods, reason = "a test runs a program of this machine")]
        let status = std::process::Command::new("ssh").args(args).output().unwrap().status;
        assert!(status.success());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Shared connections outlive their calls by a minute.
        for folder in ["cm", ".ssh/nimshift"] {
            let (address, control) = ("good", format!("ControlPath={}/%C", self.path(folder)));
            let args = ["-F", &self.path("config"), "-o", &control, "-O", "exit", address];
            #[expect(clippy::disallowed_methods, reason = "a test runs a program of this machine")]
            let _ = std::process::Command::new("ssh").args(args).output();
        }
    }
}

async fn exec(hosts: &Hosts, host: &str, command: Command) -> Result<Output, TransportError> {
    let limit = Duration::from_secs(60);
    hosts.exec(&HostId::new(host), &script([command]), limit).await
}

async fn end(hosts: &Hosts, host: &HostId, id: &JobId) -> JobState {
    let mut seen = 0;
    loop {
        match hosts.poll(host, id, seen, Duration::from_millis(50)).await.unwrap() {
            JobState::Running { output_bytes, .. } => seen = output_bytes,
            state => return state,
        }
    }
}

#[test]
fn calls_share_a_connection_and_255_is_a_status_like_any_other() {
    let Some(site) = Site::new() else { return };
    run(async {
        let hosts = site.hosts(&["good"]);
        let output = exec(&hosts, "good", sh("echo out; echo err >&2; exit 255")).await.unwrap();
        let command = &output.commands[0];
        assert_eq!((command.status, &*command.stdout, &*command.stderr), (255, "out\n", "err\n"));
        let ask = || exec(&hosts, "good", sh("echo again"));
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        for output in [a, b, c, d] {
            assert_eq!(output.unwrap().commands[0].stdout, "again\n");
        }
        assert_eq!(site.connections(), 1);
    });
}

#[test]
fn a_connection_that_was_closed_is_made_again() {
    let Some(site) = Site::new() else { return };
    run(async {
        let hosts = site.hosts(&["good"]);
        exec(&hosts, "good", sh("true")).await.unwrap();
        site.close("good");
        exec(&hosts, "good", sh("true")).await.unwrap();
        assert_eq!(site.connections(), 2);
    });
}

#[test]
fn a_job_outlives_its_connection() {
    let Some(site) = Site::new() else { return };
    run(async {
        let hosts = site.hosts(&["good"]);
        let (host, id) = (HostId::new("good"), JobId::new("s1.m1.copy.f0.1"));
        let go = site.path("go");
        let wait = sh(&format!("echo begun; until test -f '{go}'; do sleep 1; done; echo over"));
        let state = hosts.start(&host, &id, &script([wait])).await.unwrap();
        assert!(matches!(state, JobState::Running { .. }), "{state:?}");
        site.close("good");
        fs::write(&go, "").unwrap();
        let output = done(end(&hosts, &host, &id).await);
        assert_eq!(output.commands[0].stdout, "begun\nover\n");
        hosts.forget(&host, "s1.").await.unwrap();
        assert!(!site.dir.path().join("jobs").exists());
    });
}

#[test]
fn failures_to_connect_are_told_apart() {
    let Some(site) = Site::new() else { return };
    run(async {
        let hosts = site.hosts(&["wrong", "unknown"]);
        let error = exec(&hosts, "wrong", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::HostKey { .. }), "{error}");
        let error = exec(&hosts, "unknown", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::HostKey { .. }), "{error}");

        // A configuration that takes every key is overruled.
        site.config("IdentityFile KEY/user\n  StrictHostKeyChecking no\n");
        let hosts = site.hosts(&["unknown"]);
        let error = exec(&hosts, "unknown", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::HostKey { .. }), "{error}");

        site.config("IdentityFile KEY/stranger\n");
        let error = exec(&site.hosts(&["good"]), "good", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::Login { .. }), "{error}");

        site.config("NoSuchOption yes\n");
        let error = exec(&site.hosts(&["good"]), "good", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::Login { .. }), "{error}");
        assert!(error.needs_a_person() && !error.may_have_arrived());

        site.config("IdentityFile KEY/user\n");
        let hosts = site.hosts(&["no-such-host.invalid"]);
        let error = exec(&hosts, "no-such-host.invalid", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::Unresolved { .. }), "{error}");

        // A port that nobody listens on any more.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let target =
            SshTarget { address: "127.0.0.1".into(), port: Some(port), ..SshTarget::default() };
        let there = route(RouteWay::Ssh(target), Path::new("/bin/sh"), site.dir.path());
        let hosts = crate::support::hosts([(HostId::new("shut"), there)], site.settings());
        let error = exec(&hosts, "shut", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::Refused { .. }), "{error}");
        assert!(error.is_silence());

        let shellless = Route { shell: "/no/such/shell".to_owned(), ..site.route("good") };
        let hosts = crate::support::hosts([(HostId::new("good"), shellless)], site.settings());
        let error = exec(&hosts, "good", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::NoShell { .. }), "{error}");
        let error = exec(&hosts, "nobody", sh("true")).await.unwrap_err();
        assert_eq!(error, TransportError::UnknownHost(HostId::new("nobody")));
    });
}

#[test]
fn a_login_that_runs_something_else_is_no_shell() {
    let Some(site) = Site::new() else { return };
    run(async {
        let key = fs::read_to_string(site.path("user.pub")).unwrap();
        let menu = format!("command=\"echo This account is closed >&2; exit 1\" {key}");
        fs::write(site.path("authorized"), menu).unwrap();
        let error = exec(&site.hosts(&["good"]), "good", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::NoShell { .. }), "{error}");
        assert!(error.to_string().contains("This account is closed"), "{error}");
    });
}

#[test]
fn a_profile_that_talks_is_not_taken_for_output() {
    let Some(site) = Site::new() else { return };
    run(async {
        let key = fs::read_to_string(site.path("user.pub")).unwrap();
        let noisy = "echo Welcome; echo @0 end; echo dear >&2; sh -c \\\"$SSH_ORIGINAL_COMMAND\\\"";
        fs::write(site.path("authorized"), format!("command=\"{noisy}\" {key}")).unwrap();
        let output = exec(&site.hosts(&["good"]), "good", sh("echo out; echo err >&2")).await;
        let command = output.unwrap().commands.remove(0);
        assert_eq!((command.status, &*command.stdout, &*command.stderr), (0, "out\n", "err\n"));
    });
}

#[test]
fn a_connection_that_is_cut_leaves_the_outcome_unknown_and_the_start_single() {
    let Some(site) = Site::new() else { return };
    run(async {
        // Before there is a session: the request cannot have arrived.
        site.pipe("dd bs=1 count=200 2>/dev/null");
        let error = exec(&site.hosts(&["good"]), "good", sh("true")).await.unwrap_err();
        assert!(matches!(&error, TransportError::Unreachable { .. }), "{error}");
        // In the middle of what a command says.
        site.pipe("dd bs=1 count=60000 2>/dev/null");
        let much = sh(
            "i=0; while test $i -lt 4000; do echo 0123456789012345678901234567890123456789; i=$((i + 1)); done",
        );
        let error = exec(&site.hosts(&["good"]), "good", much).await.unwrap_err();
        assert!(matches!(&error, TransportError::Lost { .. }), "{error}");
        assert!(error.may_have_arrived());
        // Wherever a start is cut, it starts once.
        let effects = site.dir.path().join("effects");
        let job = Script::new([sh(&format!("echo effect >> '{}'", effects.display()))]);
        let host = HostId::new("good");
        for (round, bytes) in (2_600..4_200).step_by(200).enumerate() {
            let id = JobId::new(format!("cut.{round}"));
            site.pipe(&format!("dd bs=1 count={bytes} 2>/dev/null"));
            let _ = site.hosts(&["good"]).start(&host, &id, &job).await;
            site.pipe("cat");
            let hosts = site.hosts(&["good"]);
            hosts.start(&host, &id, &job).await.unwrap();
            done(end(&hosts, &host, &id).await);
            let lines = fs::read_to_string(&effects).unwrap().lines().count();
            assert_eq!(lines, round + 1, "cut after {bytes} bytes");
            site.close("good");
        }
    });
}

#[test]
fn a_client_is_reached_by_a_remote_shell_of_the_master() {
    let Some(site) = Site::new() else { return };
    run(async {
        // As c_rsh: a host, then a command; its input is the command's.
        let relay = site.path("c_rsh");
        let text = "#!/bin/sh\ncase $1 in\n\
            client) shift; exec /bin/sh -c \"$*\" ;;\n\
            down) echo '0042-006 c_rsh: (exec_nimsh_cmd) exec_cmd Connection refused' >&2; exit 1 ;;\n\
            cut) echo '0042-006 c_rsh: (exec_nimsh_cmd) recv Connection reset by peer' >&2; exit 6 ;;\n\
            barred) echo '0042-008 nimsh: Request denied - wrong cpuid' >&2; exit 1 ;;\n\
            mute) exit 0 ;;\nesac\n";
        fs::write(&relay, text).unwrap();
        fs::set_permissions(&relay, fs::Permissions::from_mode(0o755)).unwrap();
        let jobs = site.dir.path().join("jobs");
        let by = |through: &str, name: &str| {
            let way = RouteWay::Relay {
                through: HostId::new(through),
                program: vec![relay.clone()],
                name: name.to_owned(),
            };
            route(way, Path::new("/bin/sh"), &jobs)
        };
        for (master, way) in [
            ("good", site.route("good")),
            ("here", route(RouteWay::Local, Path::new("/bin/sh"), &jobs)),
        ] {
            let names = ["client", "down", "cut", "barred", "mute"];
            let clients = names.map(|name| (HostId::new(name), by(master, name)));
            let routes = clients.into_iter().chain([(HostId::new(master), way)]);
            let hosts = crate::support::hosts(routes, site.settings());
            let words = sh("printf '%s' \"it's $0\"; echo err >&2; exit 4");
            let command = exec(&hosts, "client", words).await.unwrap().commands.remove(0);
            assert_eq!((command.status, &*command.stdout), (4, "it's /bin/sh"));
            assert_eq!(command.stderr, "err\n");
            let (client, id) = (HostId::new("client"), JobId::new(format!("j.{master}")));
            hosts.start(&client, &id, &script([sh("echo job")])).await.unwrap();
            assert_eq!(done(end(&hosts, &client, &id).await).commands[0].stdout, "job\n");
            let error = exec(&hosts, "down", sh("true")).await.unwrap_err();
            assert!(matches!(&error, TransportError::Refused { .. }), "{error}");
            assert!(error.to_string().contains("0042-006"), "{error}");
            let error = exec(&hosts, "cut", sh("true")).await.unwrap_err();
            assert!(matches!(&error, TransportError::Lost { .. }), "{error}");
            let error = exec(&hosts, "barred", sh("true")).await.unwrap_err();
            assert!(matches!(&error, TransportError::Login { .. }), "{error}");
            let error = exec(&hosts, "mute", sh("true")).await.unwrap_err();
            assert!(matches!(&error, TransportError::NoShell { .. }), "{error}");
        }
    });
}

#[test]
fn a_call_that_takes_too_long_is_given_up() {
    let Some(site) = Site::new() else { return };
    run(async {
        let hosts = site.hosts(&["good"]);
        exec(&hosts, "good", sh("true")).await.unwrap();
        let limit = Duration::from_millis(300);
        let wait = script([sh("sleep 30")]);
        let error = hosts.exec(&HostId::new("good"), &wait, limit).await.unwrap_err();
        assert_eq!(error, TransportError::TimedOut { host: HostId::new("good"), limit });
        exec(&hosts, "good", sh("true")).await.unwrap();
    });
}

/// A plan whose master is well reached, and whose client has another host key.
fn plan(site: &Site) -> String {
    format!(
        "[batch]\nname = \"first\"\n[estate]\nkind = \"ssh\"\nssh_config = \"config\"\n\
         job_dir = \"{}\"\n[master]\nname = \"nim1\"\nreach = {{ address = \"good\" }}\n\
         [target]\nspot = \"spot\"\nlpp_source = \"lpp\"\nlevel = \"7300-02\"\n\
         [defaults]\ndisks = [\"hdisk1\"]\naccept_licenses = true\n\
         [[client]]\nname = \"lpar01\"\nreach = {{ address = \"wrong\" }}\n",
        site.path("jobs")
    )
}

#[test]
fn the_program_reaches_the_hosts_of_a_plan_and_says_what_is_wrong_with_them() {
    let Some(site) = Site::new() else { return };
    fs::write(site.path("plan.toml"), plan(&site)).unwrap();
    let program = |args: &[&str]| {
        #[expect(clippy::disallowed_methods, reason = "the program is what is tested")]
        std::process::Command::new(env!("CARGO_BIN_EXE_nimshift"))
            .args(args)
            .current_dir(site.dir.path())
            .env("HOME", site.dir.path())
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .unwrap()
    };
    let output = program(&["doctor", "--json", "plan.toml"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdict = |host: usize, check: &str| {
        let findings = told["hosts"][host]["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["check"] == check).cloned();
        found.unwrap_or_default()
    };
    assert_eq!(verdict(0, "login")["verdict"], "good", "{told:#}");
    assert_eq!(verdict(0, "job")["verdict"], "good", "{told:#}");
    // This machine is no AIX.
    assert_eq!(verdict(0, "system")["verdict"], "bad", "{told:#}");
    let login = verdict(1, "login");
    assert_eq!(login["verdict"], "bad", "{told:#}");
    assert!(login["text"].as_str().unwrap().contains("host key"), "{login}");
    assert!(!site.dir.path().join("jobs").exists(), "nothing is left on the host");

    // A night on them is refused at the gate, with the reason, and begins nothing.
    let output = program(&["run", "--no-progress", "plan.toml"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("host key"), "{said}");
    // What reaches them is journaled: no plan is needed to go on.
    let output = program(&["retry", "--no-progress", "lpar01"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}
