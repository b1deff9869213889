//! What a call to a host costs through our transport, against `ssh HOST true`
//! measured in the same run, on hosts of the lab that a real OpenSSH reaches.
//!
//! `cargo bench --bench ssh` prints two tables. `-- --quick` has fewer hosts and
//! rounds, `-- --namespaces` has hosts that are reached by TCP. Needs what
//! `nimshift lab up --ssh` needs.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::print_stderr, reason = "what cannot be measured is told")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nimshift::base::SystemClock;
use nimshift::transport::{
    Bounds, Command as Words, HostId, Hosts, JobId, JobState, Route, RouteWay, Script, SshSettings,
    SshTarget, Transport as _,
};

/// How many connections are made at once while all are made.
const CONNECT_AT_ONCE: usize = 8;

/// An estate whose hosts are reached by ssh.
struct World {
    dir: tempfile::TempDir,
    clients: Vec<String>,
}

impl World {
    fn up(clients: usize, way: &str) -> Option<World> {
        let dir = tempfile::tempdir().expect("a folder");
        let clients: Vec<String> = (1..=clients).map(|number| format!("lpar{number:03}")).collect();
        let mut plan = String::from(
            "[batch]\nname = \"b\"\n[estate]\nkind = \"lab\"\n[master]\nname = \"nim1\"\n[target]\n\
             spot = \"spot\"\nlpp_source = \"lpp\"\nlevel = \"7300-02\"\n[defaults]\n\
             disks = [\"hdisk1\"]\naccept_licenses = true\n",
        );
        for client in &clients {
            let _ = writeln!(plan, "[[client]]\nname = \"{client}\"");
        }
        std::fs::write(dir.path().join("plan.toml"), plan).expect("a plan");
        let world = World { dir, clients };
        let up = world.nimshift(&["lab", "up", "--plan", "plan.toml", &format!("--ssh={way}")]);
        if !up.status.success() {
            eprintln!("SKIPPED: {}", String::from_utf8_lossy(&up.stderr));
            return None;
        }
        Some(world)
    }

    fn nimshift(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_nimshift"))
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("nimshift")
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("state/lab/ssh/config")
    }

    /// What reaches the clients: by the same configuration, and so over the same
    /// shared connections.
    fn hosts(&self) -> Hosts {
        let route = |name: &String| {
            let target = SshTarget { address: name.clone(), ..SshTarget::default() };
            let route = Route {
                way: RouteWay::Ssh(target),
                shell: "/bin/sh".to_owned(),
                job_dir: "/var/adm/nimshift-jobs".to_owned(),
            };
            (HostId::new(name), route)
        };
        let ssh = SshSettings { config: Some(self.config()), ..SshSettings::default() };
        let routes = self.clients.iter().map(route).collect();
        Hosts::new(routes, ssh, Bounds::default(), Arc::new(SystemClock))
    }

    /// `ssh HOST true`, over the shared connection or over one of its own.
    async fn plain(&self, host: &str, is_shared: bool) {
        let mut command = tokio::process::Command::new("ssh");
        command.arg("-F").arg(self.config());
        if !is_shared {
            command.args(["-o", "ControlMaster=no", "-o", "ControlPath=none"]);
        }
        command.args([host, "true"]).stdin(Stdio::null()).stderr(Stdio::null());
        let status = command.status().await.expect("ssh");
        assert!(status.success(), "{host}: {status}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.nimshift(&["lab", "down"]);
    }
}

async fn exec(hosts: &Hosts, host: &HostId) {
    let script = Script::new([Words::new(["true"])]);
    let output = hosts.exec(host, &script, Duration::from_secs(60)).await.expect("an answer");
    assert!(output.get(0).is_some_and(nimshift::transport::CommandOutput::ok));
}

/// A durable job, until it has begun, and until it is known to have ended.
async fn job(hosts: &Hosts, host: &HostId, id: &JobId) -> [f64; 2] {
    let script = Script::new([Words::new(["true"])]);
    let begun = Instant::now();
    let mut state = hosts.start(host, id, &script).await.expect("a start");
    let started = milliseconds(begun);
    while let JobState::Running { output_bytes, .. } = state {
        let wait = Duration::from_millis(20);
        state = hosts.poll(host, id, output_bytes, wait).await.expect("a state");
    }
    assert!(matches!(state, JobState::Done(_)), "{state:?}");
    [started, milliseconds(begun)]
}

/// A question after a job that its host does not know.
async fn probe(hosts: &Hosts, host: &HostId) {
    let state = hosts.poll(host, &JobId::new("bench.m1.none"), u64::MAX, Duration::ZERO).await;
    assert!(matches!(state, Ok(JobState::Absent)), "{state:?}");
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

async fn timed(work: impl Future<Output = ()>) -> f64 {
    let begun = Instant::now();
    work.await;
    milliseconds(begun)
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// All of `work`, `at_once` of it at any time.
async fn all<F: Future<Output = ()> + 'static>(work: Vec<F>, at_once: usize) {
    let places = Arc::new(tokio::sync::Semaphore::new(at_once));
    let local = tokio::task::LocalSet::new();
    for one in work {
        let places = Arc::clone(&places);
        local.spawn_local(async move {
            let _place = places.acquire().await.expect("it is never closed");
            one.await;
        });
    }
    local.await;
}

async fn one_host(world: &World, rounds: usize) {
    let (hosts, name) = (world.hosts(), &world.clients[0]);
    let host = HostId::new(name);
    world.plain(name, true).await;
    exec(&hosts, &host).await;
    let mut figures = [const { Vec::new() }; 6];
    for round in 0..rounds {
        let id = JobId::new(format!("bench.m1.{round}"));
        figures[0].push(timed(world.plain(name, true)).await);
        figures[1].push(timed(exec(&hosts, &host)).await);
        figures[2].push(timed(probe(&hosts, &host)).await);
        let [started, ended] = job(&hosts, &host, &id).await;
        figures[3].push(started);
        figures[4].push(ended);
        figures[5].push(timed(world.plain(name, false)).await);
    }
    hosts.forget(&host, "bench.").await.expect("jobs that ended");
    let medians = figures.map(|mut figures| median(&mut figures));
    println!("one call to one host, medians of {rounds} rounds");
    println!("{:<52} {:>9} {:>7}", "", "ms", "ratio");
    let rows = [
        "ssh HOST true, shared connection (the floor)",
        "our exec of one command",
        "our question after a job",
        "our durable job, until it has begun",
        "our durable job, until it is known to have ended",
        "ssh HOST true, a connection of its own",
    ];
    for (what, figure) in rows.into_iter().zip(medians) {
        println!("{what:<52} {figure:>9.1} {:>7.2}", figure / medians[0]);
    }
}

async fn many_hosts(world: &Arc<World>, rounds: usize) {
    let hosts = Arc::new(world.hosts());
    let plain = |world: &Arc<World>| {
        let one = |name: &String| {
            let (world, name) = (Arc::clone(world), name.clone());
            async move { world.plain(&name, true).await }
        };
        world.clients.iter().map(one).collect::<Vec<_>>()
    };
    let probes = || {
        let one = |name: &String| {
            let (hosts, host) = (Arc::clone(&hosts), HostId::new(name));
            async move { probe(&hosts, &host).await }
        };
        world.clients.iter().map(one).collect::<Vec<_>>()
    };
    let clients = world.clients.len();
    all(plain(world), CONNECT_AT_ONCE).await;
    all(probes(), CONNECT_AT_ONCE).await;
    let mut figures = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        figures[0].push(timed(all(plain(world), clients)).await);
        figures[1].push(timed(all(plain(world), Bounds::default().in_all)).await);
        figures[2].push(timed(all(probes(), clients)).await);
    }
    let [floor, bounded, ours] = figures.map(|mut figures| median(&mut figures));
    println!("\n{clients} clients at once, shared connections, medians of {rounds} rounds");
    println!("{:<52} {:>9} {:>7}", "", "ms", "ratio");
    for (what, figure) in [
        ("ssh HOST true, all at once (the floor)", floor),
        ("ssh HOST true, as many at once as we allow", bounded),
        ("our status probes, all asked for at once", ours),
    ] {
        println!("{what:<52} {figure:>9.0} {:>7.2}", figure / floor);
    }
}

fn main() {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let (quick, way) = (has("--quick"), if has("--namespaces") { "namespaces" } else { "proxy" });
    let (clients, rounds, nights) = if quick { (20, 15, 3) } else { (200, 41, 7) };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    // A command of the lab reads its whole estate: what one call costs is measured
    // where that is small.
    let Some(world) = World::up(1, way) else { return };
    runtime.block_on(one_host(&world, rounds));
    drop(world);
    let Some(world) = World::up(clients, way) else { return };
    runtime.block_on(many_hosts(&Arc::new(world), nights));
}
