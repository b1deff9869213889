//! Hosts of the lab as real processes: `lab up --ssh`, what its `ssh`
//! configuration calls, and this program under the name of an AIX command.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::base::{Millis, SystemClock};
use crate::lab::net::nfs::{self, Addresses, MountError, Spot};
use crate::lab::net::{self, Birth, Here, Link, NetError, Way};
use crate::lab::{Extent, Lab, Program, Session, Streams, Trouble};
use crate::transport::CommandOutput;

use super::args::{ColorChoice, LabNetCommand, SshWay};
use super::error::CliError;
use super::exit::{Ending, Exit};
use super::out::Out;

/// The way to take, on a machine that has what it needs; what is missing is said
/// before anything is made.
pub(super) fn way(way: SshWay) -> Result<Way, CliError> {
    let chosen = match way {
        SshWay::Namespaces => Way::Namespaces,
        SshWay::Proxy => Way::Proxy,
        SshWay::Auto => {
            let (chosen, why) = net::choose();
            if let Some(why) = why {
                Out::note(&format!("using proxy connections instead of namespaces: {why}"));
            }
            chosen
        }
    };
    net::check(chosen)?;
    Ok(chosen)
}

impl From<MountError> for CliError {
    fn from(error: MountError) -> CliError {
        CliError::new(Exit::Internal, format!("mount: {error}"))
    }
}

impl From<NetError> for CliError {
    fn from(error: NetError) -> CliError {
        let exit = match &error {
            NetError::Missing { .. }
            | NetError::NotUp(_)
            | NetError::IsUp(_)
            | NetError::Beyond { .. }
            | NetError::HostDown(_)
            | NetError::KeeperGone => Exit::Usage,
            _ => Exit::Internal,
        };
        let made = CliError::new(exit, format!("the lab's hosts: {error}"));
        match &error {
            NetError::IsUp(_) => made.help("`nimshift lab down` ends that"),
            NetError::KeeperGone => {
                made.help("that ends what is left of the hosts; the estate stays")
            }
            NetError::NotUp(_) => made.help("`nimshift lab up --ssh` makes its hosts reachable"),
            _ => made,
        }
    }
}

/// Makes hosts reachable: gives the configuration for `ssh -F`.
pub(super) fn up(lab: &Lab, dir: &Path, way: Way) -> Result<PathBuf, CliError> {
    Ok(net::up(lab, dir, way)?)
}

/// Ends hosts that are reached by ssh, if there are any.
pub(super) fn down(dir: &Path) -> Result<(), CliError> {
    Ok(net::down(dir)?)
}

/// Makes trouble for a host.
pub(super) fn make_trouble(
    lab: &Lab,
    dir: &Path,
    trouble: Trouble,
    host: &str,
    extent: &Extent,
) -> Result<(), CliError> {
    Ok(net::make_trouble(lab, dir, trouble, host, extent)?)
}

/// Ends all trouble that lasts.
pub(super) fn end_trouble(lab: &Lab, dir: &Path) -> Result<(), CliError> {
    Ok(net::end_trouble(lab, dir)?)
}

/// What the lab's hosts and their ssh call.
pub(super) fn run(out: &Out, command: &LabNetCommand) -> Result<Ending, CliError> {
    match command {
        LabNetCommand::Serve { lab, host } => serve(lab, host),
        LabNetCommand::Wire { lab, host } => Ok(wire(lab, host)),
        LabNetCommand::Keep { lab } => keep(lab),
        LabNetCommand::Host { lab, host, number } => birth(lab, host, *number),
        LabNetCommand::Enter { lab, host, command } => enter(lab, host, command),
        LabNetCommand::Nfs { lab, host, point, at, server, with_parent } => {
            nfs(out, lab, host, (point, at.as_deref()), *server, *with_parent)
        }
        LabNetCommand::Nfsd { lab, host, listen, mounts, hosts } => {
            nfsd(lab, host, *listen, mounts.as_deref(), hosts)
        }
    }
}

/// `lab serve`: one connection, for `ProxyCommand`.
fn serve(lab: &Path, host: &str) -> Result<Ending, CliError> {
    Ok(Ending::Status(i32::from(net::serve(lab, host)?)))
}

/// `lab enter`: a command within the root of a host.
fn enter(lab: &Path, host: &str, command: &[String]) -> Result<Ending, CliError> {
    if net::way(lab)? == Some(Way::Namespaces) {
        net::join(lab, host)?;
        return run_program(command);
    }
    net::enter(lab, host)?;
    Err(become_program(Path::new(&command[0]), command))
}

/// `lab nfs`: a mount, until it is unmounted.
fn nfs(
    out: &Out,
    lab: &Path,
    host: &str,
    (point, at): (&str, Option<&Path>),
    server: SocketAddr,
    with_parent: bool,
) -> Result<Ending, CliError> {
    let at = at.unwrap_or(Path::new(point)).to_owned();
    let (host, point) = (host.to_owned(), point.to_owned());
    let spot = Spot { host, point, at, server, with_parent };
    nfs::mount(lab, &spot, |word| out.line(word))?;
    Ok(Ending::Ours(Exit::Ok))
}

/// `lab nfsd`: a host's server, and its mounter.
fn nfsd(
    lab: &Path,
    host: &str,
    listen: SocketAddr,
    mounts: Option<&Path>,
    hosts: &Path,
) -> Result<Ending, CliError> {
    let addresses = Addresses::read(hosts)
        .map_err(|error| CliError::file(Exit::Internal, "read", hosts, &error))?;
    let estate = Lab::open(lab)?;
    let server = Arc::new(nfs::Server::new(&estate, lab, host, addresses.clone())?);
    let listener = TcpListener::bind(listen).map_err(|error| {
        CliError::new(Exit::Internal, format!("cannot listen on {listen}: {error}"))
    })?;
    match mounts {
        None => server.serve(&listener),
        Some(root) => {
            std::thread::spawn(move || server.serve(&listener));
            nfs::Mounter::new(&estate, lab, host, root, (addresses, listen.port()))?.run()?;
        }
    }
    Ok(Ending::Ours(Exit::Ok))
}

/// Runs a program and waits: one that is to be in other process ids cannot be
/// this process.
#[expect(clippy::disallowed_methods, reason = "this process stands for what was asked for")]
fn run_program(argv: &[String]) -> Result<Ending, CliError> {
    let ended = std::process::Command::new(&argv[0]).args(&argv[1..]).status();
    let status = ended
        .map_err(|error| CliError::file(Exit::Internal, "run", Path::new(&argv[0]), &error))?;
    Ok(Ending::Status(net::exit_code(status)))
}

/// `lab wire`: one connection, for `ProxyCommand` with `ProxyUseFdpass`.
fn wire(lab: &Path, host: &str) -> Ending {
    match net::wire(lab, host) {
        Ok(status) => Ending::Status(i32::from(status)),
        Err(error) => {
            CliError::from(error).say(&Out::new(ColorChoice::Never));
            // As `ssh` ends when there is no connection.
            Ending::Status(255)
        }
    }
}

/// `lab keep`: the process that hosts as namespaces depend on.
fn keep(lab: &Path) -> Result<Ending, CliError> {
    net::keep(lab)?;
    Ok(Exit::Ok.into())
}

/// `lab host`: process 1 of a host.
fn birth(lab: &Path, host: &str, number: u16) -> Result<Ending, CliError> {
    net::run_host(&Birth { lab: lab.to_owned(), host: host.to_owned(), number })?;
    Ok(Exit::Ok.into())
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
            error.say(&Out::new(ColorChoice::Never));
            error.exit().code()
        }
    };
    Some(ExitCode::from(status))
}

/// Runs a command on a host. What it mounts and unmounts is so in the kernel too.
pub(super) fn exec(
    lab: &Lab,
    dir: &Path,
    host: &str,
    command: &[String],
) -> Result<CommandOutput, CliError> {
    let (name, argv) = (host.to_owned(), command.to_vec());
    let (env, cwd) = (Vec::new(), "/".to_owned());
    let unmounts =
        lab.unmounts(&Program { host: name, argv, env, cwd, job: None, refused: None })?;
    if let Some(unmounts) = &unmounts
        && !nfs::unmount(dir, unmounts)
    {
        let (status, stderr) = unmounts.busy();
        return Ok(CommandOutput { status, stderr, ..CommandOutput::default() });
    }
    let output = lab.exec_words(host, command)?;
    if let Some(unmounts) = &unmounts {
        nfs::settle(dir, unmounts);
    }
    net::follow(lab, dir)?;
    Ok(output)
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
    let mut program = Program {
        host: here.host.clone(),
        argv,
        env: std::env::vars_os()
            .map(|(name, value)| {
                (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
            })
            .collect(),
        cwd,
        job: net::job_of_this_process(),
        refused: None,
    };
    let unmounts = lab.unmounts(&program)?;
    if let Some(unmounts) = &unmounts
        && !nfs::unmount(&here.lab, unmounts)
    {
        program.refused = Some(unmounts.busy());
    }
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
                Out::note(&error.to_string());
                Session::Ended(1)
            }
        },
    };
    let ended = lab.run_program(&program, &mut streams)?;
    if let Some(unmounts) = &unmounts {
        nfs::settle(&here.lab, unmounts);
    }
    net::follow(&lab, &here.lab)?;
    if ended.lost {
        let now = SystemClock::read_ms() + 1;
        Link::change(&here.lab, &here.host, |link| link.closed_at_ms = now)?;
    }
    // This process may be one of those that end.
    for host in &ended.went_down {
        net::stop_host(&lab, &here.lab, host)?;
    }
    Ok(ended.status)
}
