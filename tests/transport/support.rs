//! Hosts that are this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nimshift::base::SystemClock;
use nimshift::transport::{
    Bounds, Command, HostId, Hosts, JobId, JobState, Output, Route, RouteWay, Script, SshSettings,
    Transport as _,
};

/// The shells that programs must run in.
pub(crate) const SHELLS: [&str; 4] = ["dash", "bash", "ksh93", "mksh"];

/// A program of this machine.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/bin", "/bin"]);
    folders.map(|folder| Path::new(folder).join(name)).find(|file| file.is_file())
}

/// The shells that are installed; says which are not.
pub(crate) fn shells() -> Vec<PathBuf> {
    let found = SHELLS.iter().filter_map(|name| {
        let found = find(name);
        if found.is_none() {
            let package = if *name == "ksh93" { "ksh93u+m" } else { name };
            crate::skipped::skipped(&format!("not tried in {name}: install {package}"));
        }
        found
    });
    found.collect()
}

/// This machine as a host, with jobs in a directory of the test.
pub(crate) struct Here {
    pub(crate) hosts: Hosts,
    pub(crate) host: HostId,
    pub(crate) jobs: PathBuf,
}

impl Here {
    pub(crate) fn new(shell: &Path, dir: &Path) -> Here {
        let jobs = dir.join("jobs");
        let host = HostId::new("here");
        let route = route(RouteWay::Local, shell, &jobs);
        Here { hosts: hosts([(host.clone(), route)], SshSettings::default()), host, jobs }
    }

    pub(crate) async fn exec(&self, script: &Script) -> Output {
        self.hosts.exec(&self.host, script, Duration::from_secs(60)).await.unwrap()
    }

    pub(crate) async fn start(&self, id: &str, script: &Script) -> JobState {
        self.hosts.start(&self.host, &JobId::new(id), script).await.unwrap()
    }

    pub(crate) async fn poll(&self, id: &str) -> JobState {
        let id = JobId::new(id);
        self.hosts.poll(&self.host, &id, u64::MAX, Duration::ZERO).await.unwrap()
    }

    pub(crate) async fn kill(&self, id: &str) -> JobState {
        self.hosts.kill(&self.host, &JobId::new(id)).await.unwrap()
    }

    /// What a job came to. The transport waits, not the test.
    pub(crate) async fn end(&self, id: &str) -> JobState {
        let id = JobId::new(id);
        let mut seen = 0;
        loop {
            let wait = Duration::from_millis(50);
            match self.hosts.poll(&self.host, &id, seen, wait).await.unwrap() {
                JobState::Running { output_bytes, .. } => seen = output_bytes,
                state => return state,
            }
        }
    }
}

pub(crate) fn route(way: RouteWay, shell: &Path, jobs: &Path) -> Route {
    Route { way, shell: shell.display().to_string(), job_dir: jobs.display().to_string() }
}

pub(crate) fn hosts(routes: impl IntoIterator<Item = (HostId, Route)>, ssh: SshSettings) -> Hosts {
    let routes: BTreeMap<HostId, Route> = routes.into_iter().collect();
    Hosts::new(routes, ssh, Bounds::default(), Arc::new(SystemClock))
}

/// A command of shell text.
pub(crate) fn sh(text: &str) -> Command {
    Command::new(["/bin/sh", "-c", text])
}

pub(crate) fn script<const N: usize>(commands: [Command; N]) -> Script {
    Script::new(commands)
}

pub(crate) fn done(state: JobState) -> Output {
    match state {
        JobState::Done(output) => output,
        other => panic!("{other:?}"),
    }
}

/// A runtime for one test, as the program has it.
pub(crate) fn run<F: std::future::Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}
