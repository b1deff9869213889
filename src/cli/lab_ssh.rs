//! Hosts of the lab as real processes: `lab up --ssh`, what its `ssh`
//! configuration calls, and this program under the name of an AIX command.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::base::{Millis, SystemClock};
use crate::lab::net::{self, Here, Link, NetError, Way};
use crate::lab::{Lab, Program, Session, Streams};

use super::error::CliError;
use super::exit::Exit;
use super::lab::Ending;

/// How hosts are reached, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SshWay {
    /// Without root: an `sshd -i` for each connection, nothing listens.
    Proxy,
}

impl From<SshWay> for Way {
    fn from(way: SshWay) -> Way {
        match way {
            SshWay::Proxy => Way::Proxy,
        }
    }
}

impl From<NetError> for CliError {
    fn from(error: NetError) -> CliError {
        let exit = match &error {
            NetError::Missing { .. }
            | NetError::NotUp(_)
            | NetError::IsUp(_)
            | NetError::Beyond { .. } => Exit::Usage,
            _ => Exit::Internal,
        };
        let made = CliError::new(exit, format!("the lab's hosts: {error}"));
        match &error {
            NetError::IsUp(_) => made.help("`nimshift lab down` ends that"),
            NetError::NotUp(_) => made.help("`nimshift lab up --ssh` makes its hosts reachable"),
            _ => made,
        }
    }
}

/// `lab serve`: one connection, for `ProxyCommand`.
pub(super) fn serve(lab: &Path, host: &str) -> Result<Ending, CliError> {
    Ok(Ending::Status(i32::from(net::serve(lab, host)?)))
}

/// `lab enter`: a command within the root of a host.
pub(super) fn enter(lab: &Path, host: &str, command: &[String]) -> Result<Ending, CliError> {
    net::enter(lab, host, false)?;
    Err(become_program(Path::new(&command[0]), command))
}

/// Becomes another program; comes back only when that cannot be.
#[expect(clippy::disallowed_methods, reason = "this process becomes what was asked for")]
fn become_program(program: &Path, argv: &[String]) -> CliError {
    let mut command = std::process::Command::new(program);
    command.arg0(&argv[0]).args(&argv[1..]);
    let error = command.exec();
    CliError::file(Exit::Internal, "run", program, &error)
}

/// Runs as an AIX command, if that is what this program was called as: by
/// another name, on a host of a lab.
pub(super) fn as_aix() -> Option<ExitCode> {
    let argv: Vec<String> =
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let name = argv.first().map_or("", |program| program.rsplit('/').next().unwrap_or(""));
    if name.is_empty() || name == env!("CARGO_PKG_NAME") {
        return None;
    }
    let here = Here::find()?;
    let status = match run_aix(&here, argv) {
        Ok(status) => u8::try_from(status).unwrap_or(255),
        Err(error) => {
            error.say(&super::out::Out::new(super::args::ColorChoice::Never));
            error.exit().code()
        }
    };
    Some(ExitCode::from(status))
}

fn run_aix(here: &Here, argv: Vec<String>) -> Result<i32, CliError> {
    let cwd = std::env::current_dir().map_or("/".to_owned(), |dir| dir.display().to_string());
    if net::real_tool(&argv, &cwd) {
        let name = argv[0].rsplit('/').next().unwrap_or("");
        if let Some(tool) = here.tool(name) {
            return Err(become_program(&tool, &argv));
        }
    }
    let lab = Lab::open(&here.lab)?;
    let program = Program {
        host: here.host.clone(),
        argv,
        env: std::env::vars_os()
            .map(|(name, value)| {
                (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
            })
            .collect(),
        cwd,
        job: net::job_of_this_process(),
    };
    let (mut input, mut output, mut messages) =
        (std::io::stdin(), std::io::stdout(), std::io::stderr());
    // A link that cannot be changed leaves the network as it is.
    let mut cut = |ms: Millis| {
        let until = SystemClock::read_ms().saturating_add(ms);
        let _ = Link::change(&here.lab, &here.host, |link| link.silent_until_ms = until);
    };
    let mut streams = Streams {
        input: &mut input,
        output: &mut output,
        messages: &mut messages,
        on_cut: &mut cut,
        remote: &mut |client, line| match net::remote_shell(here, client, line) {
            Ok(session) => session,
            Err(error) => {
                super::out::Out::note(&error.to_string());
                Session::Ended(1)
            }
        },
    };
    let ended = lab.run_program(&program, &mut streams)?;
    net::follow(&lab, &here.lab)?;
    if ended.lost {
        let now = SystemClock::read_ms() + 1;
        Link::change(&here.lab, &here.host, |link| link.closed_at_ms = now)?;
    }
    // This process may be one of those that end.
    for host in &ended.went_down {
        net::stop_host(&here.lab, host)?;
    }
    Ok(ended.status)
}
