//! Real hosts: this machine, hosts that ssh reaches, and clients that the NIM
//! master reaches by its own remote shell.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::command::{Output, Script};
use super::link::{Bounds, Links, Pass};
use super::process::{Invocation, Talk, Voice};
use super::reach::{
    Bar, HostId, JobId, JobState, OutputMark, OutputPiece, Transport, TransportError,
    TransportFuture,
};
use super::shell::{Ask, BLOCK, JobWord, Manner, Program, Reply, guard, last_line};
use super::ssh::{self, SshSettings, SshTarget};
use crate::base::ClockRef;
use crate::base::limits::{OUTPUT_PIECE_BYTES_MAX, REMOTE_CALL_TIMEOUT};

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// By what.
    pub way: RouteWay,
    /// The absolute path of a POSIX shell there.
    pub shell: String,
    /// The directory of the jobs there: local, and for root alone.
    pub job_dir: String,
}

/// By what a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteWay {
    /// It is this machine.
    Local,
    /// By `ssh`.
    Ssh(SshTarget),
    /// By a remote shell of another host, which takes the host's name and a
    /// command, and hands its input on: `c_rsh`, `rsh`.
    Relay {
        /// The host that has it: itself reached by `Local` or `Ssh`.
        through: HostId,
        /// The program and its first arguments.
        program: Vec<String>,
        /// The host's name as that host knows it.
        name: String,
    },
}

/// Hosts, and how they are reached.
pub struct Hosts {
    routes: RwLock<BTreeMap<HostId, Arc<Route>>>,
    ssh: SshSettings,
    links: Links,
    clock: ClockRef,
}

/// Looks at a job that has just begun, before it is left alone: most end at once.
const FIRST_LOOKS: [Duration; 4] = [
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
];

/// A word that nobody can know before.
fn nonce() -> String {
    let mut bytes = [0; 16];
    getrandom::getrandom(&mut bytes).expect("the system has random bytes");
    format!("{:032x}", u128::from_be_bytes(bytes))
}

impl Hosts {
    /// The hosts of `routes`.
    pub fn new(
        routes: BTreeMap<HostId, Route>,
        ssh: SshSettings,
        bounds: Bounds,
        clock: ClockRef,
    ) -> Hosts {
        let routes = routes.into_iter().map(|(host, route)| (host, Arc::new(route)));
        Hosts {
            routes: RwLock::new(routes.collect()),
            ssh,
            links: Links::new(bounds, Arc::clone(&clock)),
            clock,
        }
    }

    /// Reaches `host` by `route` from now on, whether it was known or not.
    pub fn learn(&self, host: &HostId, route: Route) {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.insert(host.clone(), Arc::new(route));
        // What is known of the connection is of another way.
        self.links.forget(host);
    }

    fn route(&self, host: &HostId) -> Result<Arc<Route>, TransportError> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.get(host).cloned().ok_or_else(|| TransportError::UnknownHost(host.clone()))
    }

    /// Asks a host. Where it is not reached, tries again within `limit`.
    async fn ask(
        &self,
        host: &HostId,
        ask: Ask<'_>,
        limit: Duration,
    ) -> Result<Reply, TransportError> {
        let route = self.route(host)?;
        let through = match &route.way {
            RouteWay::Relay { through, .. } => Some(through),
            RouteWay::Local | RouteWay::Ssh(_) => None,
        };
        let link = self.links.to(host, through);
        link.call(limit, |pass| self.call(host, &route, ask, pass)).await
    }

    /// One call.
    async fn call(
        &self,
        host: &HostId,
        route: &Route,
        ask: Ask<'_>,
        pass: Arc<Pass>,
    ) -> Result<Reply, TransportError> {
        let manner = route.manner();
        let unable = |why: String| TransportError::Unable { host: host.clone(), why };
        let program = Program::new(ask, &manner, nonce()).map_err(unable)?;
        let command = guard(&manner, &program.nonce);
        let reply = match &route.way {
            RouteWay::Relay { through, program: words, name } => {
                let outer = self.route(through)?;
                let argv: Vec<String> =
                    words.iter().cloned().chain([name.clone(), command]).collect();
                let relay = Program::relay(&program, &argv, &outer.manner(), nonce());
                let process = self.invocation(through, &outer, &relay.nonce).await?;
                let hears = |which| match which {
                    Voice::Own => pass.heard_gate(),
                    Voice::Within => pass.heard(),
                };
                let talk = self.talk(host, &process, &relay, Some(&program.nonce), &hears).await?;
                relayed(host, through, talk)?
            }
            RouteWay::Local | RouteWay::Ssh(_) => {
                let process = self.invocation(host, route, &program.nonce).await?;
                let talk = self.talk(host, &process, &program, None, &|_| pass.heard()).await?;
                begun(host, talk)?
            }
        };
        if reply.is_whole {
            return Ok(reply);
        }
        let why = last_line(&reply.around).unwrap_or_else(|| "it ended half way".to_owned());
        Err(TransportError::Lost { host: host.clone(), why })
    }

    async fn talk(
        &self,
        host: &HostId,
        process: &Invocation,
        program: &Program,
        within: Option<&str>,
        hears: &(dyn Fn(Voice) + Sync),
    ) -> Result<Talk, TransportError> {
        process.talk(program, within, hears).await.map_err(|error| {
            let program = process.program.to_string_lossy();
            TransportError::NoShell {
                host: host.clone(),
                why: format!("`{program}` cannot be started here: {error}"),
            }
        })
    }

    /// The process of this machine that a program for the host is sent to.
    async fn invocation(
        &self,
        host: &HostId,
        route: &Route,
        nonce: &str,
    ) -> Result<Invocation, TransportError> {
        let command = guard(&route.manner(), nonce);
        match &route.way {
            RouteWay::Ssh(target) => {
                let link = self.links.to(host, None);
                let gaps = link.gaps.get_or_try_init(|| self.gaps(host, target)).await?;
                Ok(self.ssh.reach(target, gaps, &command))
            }
            // A relay is reached through another host, by `call`.
            RouteWay::Local | RouteWay::Relay { .. } => Ok(Invocation {
                program: "/bin/sh".into(),
                args: vec!["-c".into(), format!("exec {command}").into()],
            }),
        }
    }

    /// What the ssh configuration leaves open for a target.
    async fn gaps(&self, host: &HostId, target: &SshTarget) -> Result<ssh::Gaps, TransportError> {
        let login = |why: String| TransportError::Login { host: host.clone(), why };
        let printed = self.ssh.ask_config(target).output().await.map_err(|error| {
            login(format!("`{}` cannot be started here: {error}", self.ssh.program.display()))
        })?;
        if printed.status.success() {
            return Ok(self.ssh.gaps(&String::from_utf8_lossy(&printed.stdout)));
        }
        let said = String::from_utf8_lossy(&printed.stderr);
        Err(login(last_line(&said).unwrap_or_else(|| "`ssh -G` failed".to_owned())))
    }

    /// Asks after a job.
    async fn ask_job(&self, host: &HostId, ask: Ask<'_>) -> Result<JobState, TransportError> {
        let reply = self.ask(host, ask, REMOTE_CALL_TIMEOUT).await?;
        match reply.job {
            Some(JobWord::Is(state)) => Ok(state),
            Some(JobWord::Done) => Ok(JobState::Done(reply.output)),
            Some(JobWord::Failed(why)) => Err(TransportError::Unable { host: host.clone(), why }),
            Some(JobWord::Barred(by)) => Err(TransportError::Barred { host: host.clone(), by }),
            Some(JobWord::Ready | JobWord::Read { .. }) | None => Err(mute(host)),
        }
    }

    /// Asks about jobs, for what is not the state of one.
    async fn ask_jobs(&self, host: &HostId, ask: Ask<'_>) -> Result<Reply, TransportError> {
        let reply = self.ask(host, ask, REMOTE_CALL_TIMEOUT).await?;
        match reply.job {
            Some(JobWord::Failed(why)) => Err(TransportError::Unable { host: host.clone(), why }),
            Some(_) => Ok(reply),
            None => Err(mute(host)),
        }
    }
}

/// A host has answered, and not what it was asked.
fn mute(host: &HostId) -> TransportError {
    TransportError::Lost { host: host.clone(), why: "it said nothing of the job".to_owned() }
}

impl Route {
    fn manner(&self) -> Manner {
        Manner { shell: self.shell.clone(), job_dir: self.job_dir.clone() }
    }
}

/// What was read in whole blocks, as it lies behind `mark`.
fn piece(
    mark: OutputMark,
    blocks: [Vec<u8>; 2],
    command_ended: bool,
    job_over: bool,
) -> OutputPiece {
    let seen = [mark.stdout, mark.stderr];
    let mut is_short = true;
    let mut at = 0;
    let streams = blocks.map(|mut bytes| {
        let before = usize::try_from(seen[at] % BLOCK as u64).unwrap_or(0).min(bytes.len());
        at += 1;
        bytes.drain(..before);
        if bytes.len() >= OUTPUT_PIECE_BYTES_MAX {
            bytes.truncate(OUTPUT_PIECE_BYTES_MAX);
            is_short = false;
        }
        bytes
    });
    OutputPiece::read(mark, streams, is_short, command_ended, job_over)
}

/// What a program said that was sent straight to its host.
fn begun(host: &HostId, talk: Talk) -> Result<Reply, TransportError> {
    if talk.reply.has_begun {
        return Ok(talk.reply);
    }
    Err(ssh::diagnose(host, talk.status, &talk.reply.around))
}

/// How remote shells say that a connection has ended, which there was.
const BROKEN: [&str; 5] = ["reset", "broken", "closed", "aborted", "lost"];

/// What a program said that another host has handed on.
fn relayed(host: &HostId, through: &HostId, talk: Talk) -> Result<Reply, TransportError> {
    let Some(within) = talk.within.filter(|within| within.has_begun) else {
        if !talk.reply.has_begun {
            return Err(ssh::diagnose(through, talk.status, &talk.reply.around));
        }
        let words = &talk.reply.relay_said;
        let said = last_line(words).unwrap_or_else(|| "it said nothing".to_owned());
        let why = format!("by {through}: {said}");
        let host = host.clone();
        let lower = words.to_lowercase();
        return Err(match talk.reply.relay {
            // The remote shell has ended, and its command was never heard of.
            Some(127) => TransportError::NoShell { host, why },
            Some(_) if lower.contains("refused") => TransportError::Refused { host, why },
            Some(_) if lower.contains("denied") || lower.contains("permission") => {
                TransportError::Login { host, why }
            }
            Some(_) if lower.contains("unknown host") || lower.contains("not resolve") => {
                TransportError::Unresolved { host, why }
            }
            // A connection that broke may have carried the request.
            Some(status) if status != 0 && BROKEN.iter().any(|word| lower.contains(word)) => {
                TransportError::Lost { host, why }
            }
            Some(status) if status != 0 => TransportError::Unreachable { host, why },
            Some(_) => TransportError::NoShell { host, why },
            None => TransportError::Lost { host, why },
        });
    };
    Ok(within)
}

impl Transport for Hosts {
    fn exec<'a>(
        &'a self,
        host: &'a HostId,
        script: &'a Script,
        timeout: Duration,
    ) -> TransportFuture<'a, Output> {
        Box::pin(async move { Ok(self.ask(host, Ask::Exec(script), timeout).await?.output) })
    }

    fn start<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        script: &'a Script,
    ) -> TransportFuture<'a, JobState> {
        Box::pin(async move {
            let mut state = self.ask_job(host, Ask::Start(id.as_str(), script)).await?;
            for pause in FIRST_LOOKS {
                if !matches!(state, JobState::Running { .. }) {
                    break;
                }
                tokio::time::sleep(pause).await;
                // It has begun, whatever becomes of this look.
                let Ok(seen) = self.ask_job(host, Ask::Poll(id.as_str())).await else { break };
                state = seen;
            }
            Ok(state)
        })
    }

    fn poll<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        _: u64,
        wait: Duration,
    ) -> TransportFuture<'a, JobState> {
        Box::pin(async move {
            // The wait is here: a session that waited there would be one less for
            // the others. It comes first, for who polls has asked before: a host is
            // asked once a round.
            self.clock.sleep(wait).await;
            self.ask_job(host, Ask::Poll(id.as_str())).await
        })
    }

    fn kill<'a>(&'a self, host: &'a HostId, id: &'a JobId) -> TransportFuture<'a, JobState> {
        Box::pin(async move { self.ask_job(host, Ask::Kill(id.as_str())).await })
    }

    fn forget<'a>(&'a self, host: &'a HostId, prefix: &'a str) -> TransportFuture<'a, ()> {
        Box::pin(async move { self.ask_jobs(host, Ask::Forget(prefix)).await.map(|_| ()) })
    }

    fn output<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        mark: OutputMark,
    ) -> TransportFuture<'a, OutputPiece> {
        Box::pin(async move {
            let reply = self.ask_jobs(host, Ask::Output(id.as_str(), mark)).await?;
            let Some(JobWord::Read { command_ended, job_over }) = reply.job else {
                return Err(mute(host));
            };
            Ok(piece(mark, reply.piece, command_ended, job_over))
        })
    }

    fn bars<'a>(&'a self, host: &'a HostId) -> TransportFuture<'a, Vec<Bar>> {
        Box::pin(async move {
            let names = self.ask_jobs(host, Ask::Bars).await?.jobs;
            let bar = |name: &String| {
                let (prefix, by) = name.split_once('@')?;
                Some(Bar { prefix: prefix.to_owned(), by: by.to_owned() })
            };
            Ok(names.iter().filter_map(bar).collect())
        })
    }

    fn unfinished<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
    ) -> TransportFuture<'a, Vec<JobId>> {
        Box::pin(async move {
            let reply = self.ask_jobs(host, Ask::Unfinished(prefix)).await?;
            Ok(reply.jobs.into_iter().map(JobId::new).collect())
        })
    }

    fn bar<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
        by: &'a str,
        bars: bool,
    ) -> TransportFuture<'a, ()> {
        Box::pin(
            async move { self.ask_jobs(host, Ask::Bar { prefix, by, bars }).await.map(|_| ()) },
        )
    }
}
