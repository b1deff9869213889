//! Layer 8: the command line. One file a command; one error type that becomes
//! exit code, message and way out; one writer to the terminal.

mod args;
mod beside;
mod confirm;
mod doctor;
mod engine_run;
mod error;
mod estate;
mod exit;
mod explain;
mod follow;
mod handover;
mod history;
mod import;
mod interrupt;
mod journal;
mod lab;
mod lab_fault;
#[cfg(not(feature = "lab-net"))]
mod lab_no_net;
#[cfg(feature = "lab-net")]
mod lab_ssh;
mod left;
mod nimadm;
mod nimadm_hosts;
mod nimadm_log;
mod operation;
mod operator;
mod order;
mod out;
mod pages;
mod parse;
mod plan;
mod plan_file;
mod preflight;
mod progress;
mod real;
mod run;
mod sorted;
mod state_dir;
mod status;

use std::process::ExitCode;

use clap::Parser as _;

use crate::fleet::{Operation, OperatorOrder};
use crate::journal::RequestKind;

use args::{Cli, Command, EngineArgs, JournalCommand, OrderArgs};
use error::CliError;
use exit::Ending;
#[cfg(not(feature = "lab-net"))]
use lab_no_net as lab_ssh;
use order::{Order, Whom};
use out::Out;
use state_dir::StateDir;

pub use exit::Exit;

/// The command line as clap knows it: for tests, and for those who package it.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    #[cfg(feature = "lab-net")]
    if let Some(code) = lab_ssh::as_aix() {
        return code;
    }
    let (ours, theirs) = match nimadm::split(std::env::args_os().collect()) {
        Ok(split) => split,
        Err(error) => {
            error.say(&Out::new(args::ColorChoice::Auto));
            return error.exit().into();
        }
    };
    let cli = match Cli::try_parse_from(ours) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout, errors to stderr; a reader that is gone is
            // no error.
            let _ = error.print();
            let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code());
            return ExitCode::from(code);
        }
    };
    let out = Out::new(cli.global.color);
    trace(cli.global.verbose);
    match dispatch(&out, cli, &theirs) {
        Ok(Ending::Ours(exit)) => exit.into(),
        Ok(Ending::Status(status)) => ExitCode::from(u8::try_from(status).unwrap_or(255)),
        Err(error) => {
            error.say(&out);
            error.exit().into()
        }
    }
}

fn trace(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::ERROR,
        1 => tracing::Level::INFO,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .with_target(false)
        .init();
}

fn dispatch(out: &Out, cli: Cli, theirs: &[String]) -> Result<Ending, CliError> {
    let place = &StateDir::new(&cli.global.state_dir);
    let order = |kind, whom: Whom<'_>, engine: &EngineArgs| {
        let asked = OperatorOrder { kind, take_lease: false };
        Order { out, place, asked, engine, yes: false }.give(&whom)
    };
    let quiet = EngineArgs::default();
    let exit = match cli.command {
        Command::Run(args) => run::run(out, place, &args)?,
        Command::Resume(args) => run::resume(out, place, &args)?,
        Command::Status(args) => status::status(out, place, &args)?,
        Command::History(args) => history::history(out, place, &args)?,
        Command::Plan(args) => plan::plan(out, place, &args)?,
        Command::Preflight(args) => preflight::preflight(out, place, &args)?,
        Command::Doctor(args) => doctor::doctor(out, &args)?,
        Command::Import(command) => import::import(out, place, command)?,
        Command::Nimadm(args) => nimadm::nimadm(out, place, &args, theirs)?,
        Command::Rollback(args) => {
            let whom = if args.failed { Whom::Failed } else { Whom::Named(&args.clients) };
            let asked = OperatorOrder { kind: RequestKind::Rollback, take_lease: false };
            Order { out, place, asked, engine: &args.engine, yes: args.yes }.give(&whom)?
        }
        Command::Cleanup(args) => operation::cleanup(out, place, &args)?,
        Command::Wake(args) => operation::wake(out, place, args)?,
        Command::Sleep(args) => operation::of_clients(out, place, Operation::Sleep, &args)?,
        Command::Sync(args) => operation::sync(out, place, args)?,
        Command::Hold(args) => order(RequestKind::Hold, whom(&args), &quiet)?,
        Command::Release(args) => order(RequestKind::Release, whom(&args), &quiet)?,
        Command::Abandon(args) => order(RequestKind::Abandon, whom(&args), &quiet)?,
        Command::Retry(args) => {
            let asked = OperatorOrder { kind: RequestKind::Retry, take_lease: args.take_lease };
            let (engine, yes) = (&args.engine, args.yes);
            Order { out, place, asked, engine, yes }.give(&whom(&args.order))?
        }
        Command::Cancel(args) => order(RequestKind::Cancel, whom(&args.order), &args.engine)?,
        Command::Verify => journal::verify(out, place)?,
        Command::Journal(JournalCommand::Backup { file }) => journal::backup(out, place, &file)?,
        Command::Journal(JournalCommand::Archive { keep_days }) => {
            journal::archive(out, place, keep_days)?
        }
        Command::Journal(JournalCommand::Export { client }) => {
            journal::export(out, place, &client)?
        }
        Command::Lab(command) => return lab::lab(out, place, &command),
        Command::Explain(args) => explain::explain(out, &args)?,
        Command::Parse(args) => parse::parse(out, &args)?,
        Command::Schema => pages::schema(out),
        Command::Completions { shell } => pages::completions(out, shell),
        Command::Man { directory } => pages::man(out, directory.as_deref())?,
    };
    Ok(exit.into())
}

fn whom(args: &OrderArgs) -> Whom<'_> {
    if args.all { Whom::All } else { Whom::Named(&args.clients) }
}
