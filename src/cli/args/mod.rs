//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::domain::{DiskName, Form, HostName, Level, NimName, Phase, PhaseError, parse_phases};

mod import;
mod lab;

pub(super) use import::{ImportArgs, ImportCommand, ImportKind, InventoryFormat};
pub(super) use lab::{FaultArgs, LabCommand, ScaleArgs, SshWay};

const EXIT_CODES: &str = "\
Exit codes:
  0  all migrated, or nothing to do
  1  internal error; the journal cannot be written
  2  wrong command line, plan or order
  3  some failed and were rolled back, or were refused
  4  some need an operator
  5  stopped with work left
  6  another engine holds the state directory
  7  the journal is damaged

Where several hold, 5 goes before 4, and 4 before 3.";

/// Migrates fleets of AIX LPARs by NIM alternate disk migration: the twelve
/// phases of nimadm, each step journaled, retried, undone and resumed.
#[derive(Debug, Parser)]
#[command(name = "nimshift", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// Where journal, lock, evidence and the lab live.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "NIMSHIFT_STATE_DIR",
        default_value = "state"
    )]
    pub(super) state_dir: PathBuf,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorChoice,
    /// Tell more on stderr; twice: everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a plan: begin what is new, go on with what is unfinished.
    Run(RunArgs),
    /// Go on with everything that is unfinished.
    Resume(EngineArgs),
    /// Show how every client stands.
    Status(StatusArgs),
    /// Tell what happened to a client: every attempt, command and decision.
    History(HistoryArgs),
    /// Show what a plan would do. Changes nothing anywhere.
    Plan(PlanArgs),
    /// Check for all clients of a plan, many at once, whether their migrations may
    /// begin: what a run would refuse, before the night. Changes nothing anywhere.
    Preflight(PreflightArgs),
    /// Ask the real hosts of a plan whether a night could begin, and say what to do
    /// where it could not. Changes nothing but a job that it removes.
    Doctor(DoctorArgs),
    /// Make the client part of a plan from what a site has already.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Run a command line of nimadm, as it is: everything after `nimadm` (or
    /// after the options below) is nimadm's own.
    Nimadm(NimadmArgs),
    /// Take everything back, whatever was done.
    Rollback(RollbackArgs),
    /// Stand still once the step in flight has ended.
    Hold(OrderArgs),
    /// Go on after a hold.
    Release(OrderArgs),
    /// Try again at once what failed; begin anew what was taken back.
    Retry(RetryArgs),
    /// Stop, and take back what was done, unless the client has booted the copy.
    Cancel(EngineOrderArgs),
    /// Give up, leaving the hosts as they are.
    Abandon(OrderArgs),
    /// Make sure that nothing of a migration is left on a client and its master
    /// (nimadm -C).
    Cleanup(ClientsArgs),
    /// Wake a client's copy, export it and mount it on the master (nimadm -W).
    Wake(WakeArgs),
    /// Unmount a woken copy and put it to sleep (nimadm -S).
    Sleep(ClientsArgs),
    /// Bring bos.alt_disk_install to one level on the master and in a SPOT
    /// (nimadm -M).
    Sync(SyncArgs),
    /// Replay the whole journal and say what differs.
    Verify,
    /// Back up the journal, or export a client's history.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Look at and change the emulated estate.
    #[command(subcommand)]
    Lab(LabCommand),
    /// Tell what a message of AIX or NIM means: cause, class, fix, and how far
    /// that is trusted.
    Explain(ExplainArgs),
    /// Read captured output of an AIX or NIM command and print it as JSON.
    Parse(ParseArgs),
    /// Print the JSON Schema of the plan file.
    Schema,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page a command.
    Man {
        /// Where to write the pages.
        directory: Option<PathBuf>,
    },
}

/// How an engine runs.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct EngineArgs {
    /// What SIGINT and SIGTERM do to steps that run: `leave` them to go on on
    /// their hosts, to be found again by the next run, or `wait` for them. A
    /// second signal leaves at once.
    #[arg(long, value_name = "HOW", default_value = "leave")]
    pub(super) on_stop: OnStopChoice,
    /// No progress on stderr.
    #[arg(long)]
    pub(super) no_progress: bool,
}

/// See [`EngineArgs::on_stop`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OnStopChoice {
    /// Wait for steps that run.
    Wait,
    /// Leave them to go on on their hosts.
    #[default]
    Leave,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Run these phases only (nimadm -P): numbers separated by commas or blanks,
    /// and ranges: `1-3`, `4,5,6`. What comes before them must stand on the hosts.
    #[arg(short = 'P', long, value_name = "LIST")]
    pub(super) phases: Option<PhasesArg>,
    /// Only this client; can be given several times.
    #[arg(long, value_name = "CLIENT")]
    pub(super) client: Vec<NimName>,
    /// Begin nothing unless the checks of all clients that are to be begun find
    /// nothing against it; see `nimshift preflight`.
    #[arg(long)]
    pub(super) preflight: bool,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
    #[command(flatten)]
    pub(super) scale: ScaleArgs,
}

/// Phases, as `-P` takes them.
#[derive(Debug, Clone)]
pub(super) struct PhasesArg(pub(super) Vec<Phase>);

impl std::str::FromStr for PhasesArg {
    type Err = PhaseError;

    fn from_str(text: &str) -> Result<PhasesArg, PhaseError> {
        parse_phases(text).map(PhasesArg)
    }
}

/// Options of nimshift before a command line of nimadm; see `split` in
/// `nimadm.rs`.
#[derive(Debug, Args)]
#[command(after_help = forms_text(), override_usage = "\
nimshift nimadm [--log-dir DIR] [--level LEVEL] [--no-wait] [--show-plan] NIMADM'S FLAGS
       a link named `nimadm` takes nimadm's flags alone")]
pub(super) struct NimadmArgs {
    /// Where CLIENT_alt_mig.log is written; `alt_mig` in the state directory
    /// without it. nimadm's own place is /var/adm/ras/alt_mig.
    #[arg(long, value_name = "DIR", env = "NIMSHIFT_ALT_MIG_DIR")]
    pub(super) log_dir: Option<PathBuf>,
    /// The target level, where the SPOT does not tell enough: it shows no
    /// service pack.
    #[arg(long, value_name = "LEVEL", env = "NIMSHIFT_NIMADM_LEVEL")]
    pub(super) level: Option<Level>,
    /// Do not wait for another engine that holds the state directory.
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Print the plan file that asks for the same, and run nothing.
    #[arg(long)]
    pub(super) show_plan: bool,
    /// What SIGINT and SIGTERM do to steps that run; see `nimshift run --help`.
    #[arg(long, value_name = "HOW", default_value = "leave")]
    pub(super) on_stop: OnStopChoice,
}

/// All forms, for the help.
fn forms_text() -> String {
    let forms: Vec<&str> = Form::ALL.iter().map(|form| form.synopsis()).collect();
    format!(
        "nimadm's forms:\n  {}\n\nExit code 0 when all is done, above 0 otherwise; see `nimshift --help`.",
        forms.join("\n  ")
    )
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// As a versioned document (docs/status-json.md).
    #[arg(long)]
    pub(super) json: bool,
    /// Show it again whenever it changes, until everything is at rest.
    #[arg(long)]
    pub(super) watch: bool,
    /// Ask the clients whose copy waits for a boot what they run from.
    #[arg(long, conflicts_with = "watch")]
    pub(super) ask: bool,
    /// All migrations of this batch, and not how each client stands now.
    #[arg(long, value_name = "BATCH")]
    pub(super) batch: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The client.
    #[arg(value_name = "CLIENT")]
    pub(super) client: NimName,
    /// Its nth migration instead of its latest.
    #[arg(long, value_name = "N")]
    pub(super) number: Option<u32>,
    /// Show the output of all commands, not only of those that failed.
    #[arg(long, conflicts_with = "json")]
    pub(super) all: bool,
    /// Go on telling until the client is at rest or no engine runs: entries as they
    /// are journaled, and what the step in flight says on its host.
    #[arg(long, conflicts_with = "json")]
    pub(super) follow: bool,
    /// As a versioned document with every entry.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Only this client; can be given several times.
    #[arg(long, value_name = "CLIENT")]
    pub(super) client: Vec<NimName>,
    /// As a versioned document.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PreflightArgs {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Only this client; can be given several times.
    #[arg(long, value_name = "CLIENT")]
    pub(super) client: Vec<NimName>,
    /// As a versioned document (docs/status-json.md).
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Only this client and the master; can be given several times.
    #[arg(long, value_name = "CLIENT")]
    pub(super) client: Vec<NimName>,
    /// As a versioned document.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// The clients.
    #[arg(value_name = "CLIENT", required_unless_present = "all")]
    pub(super) clients: Vec<NimName>,
    /// All clients for which it means something.
    #[arg(long, conflicts_with = "clients")]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct EngineOrderArgs {
    #[command(flatten)]
    pub(super) order: OrderArgs,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    pub(super) order: OrderArgs,
    /// Take over the lease of another nimshift on the client, which is gone for
    /// good: refused while a job of its journal has not ended there or on the
    /// master. For a migration that begins anew.
    #[arg(long)]
    pub(super) take_lease: bool,
    /// With `--all`: do not ask before clients are rebooted.
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

/// Where an operation takes master and SPOT from, and the rest.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct OperationArgs {
    /// Take master, SPOT and options from this plan; without it, from the
    /// client's latest migration in the journal.
    #[arg(long, value_name = "PLAN")]
    pub(super) plan: Option<PathBuf>,
    /// The NIM master.
    #[arg(long, value_name = "HOST")]
    pub(super) master: Option<HostName>,
    /// The SPOT (nimadm -s).
    #[arg(short, long, value_name = "SPOT")]
    pub(super) spot: Option<NimName>,
    /// Take over the lease of another nimshift, unlock the client in NIM whoever
    /// has locked it (nimadm -F).
    #[arg(short = 'F', long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(super) struct ClientsArgs {
    /// The clients.
    #[arg(value_name = "CLIENT", required = true)]
    pub(super) clients: Vec<NimName>,
    #[command(flatten)]
    pub(super) operation: OperationArgs,
}

#[derive(Debug, Args)]
pub(super) struct WakeArgs {
    /// The clients.
    #[arg(value_name = "CLIENT", required = true)]
    pub(super) clients: Vec<NimName>,
    /// The disks of the copy that is woken (nimadm -d).
    #[arg(short, long, value_name = "DISK,...", value_delimiter = ',')]
    pub(super) disks: Vec<DiskName>,
    /// NFS options of the master's mounts (nimadm -m).
    #[arg(short, long, value_name = "OPTIONS")]
    pub(super) mount_options: Option<String>,
    /// A NIM script that runs in the woken copy (nimadm -z).
    #[arg(short = 'z', long, value_name = "SCRIPT")]
    pub(super) post_script: Option<NimName>,
    #[command(flatten)]
    pub(super) operation: OperationArgs,
}

#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    /// The lpp_source that a higher level is installed from (nimadm -l).
    #[arg(short, long, value_name = "NAME")]
    pub(super) lpp_source: Option<NimName>,
    /// A directory of the master with more images, beside the lpp_source
    /// (nimadm -d).
    #[arg(short, long, value_name = "DIRECTORY")]
    pub(super) device: Option<String>,
    /// Only look at the levels (nimadm -P).
    #[arg(short = 'P', long)]
    pub(super) preview: bool,
    #[command(flatten)]
    pub(super) operation: OperationArgs,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The clients.
    #[arg(value_name = "CLIENT", required_unless_present = "failed")]
    pub(super) clients: Vec<NimName>,
    /// All clients that wait for an operator after a failure.
    #[arg(long, conflicts_with = "clients")]
    pub(super) failed: bool,
    /// Do not ask before clients are rebooted, or finished mksysbs removed.
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// A message id, a line of output, or `-` for lines from stdin.
    #[arg(value_name = "MESSAGE", required_unless_present = "list")]
    pub(super) message: Vec<String>,
    /// Take the messages of this plan before the catalogue.
    #[arg(long, value_name = "PLAN")]
    pub(super) plan: Option<PathBuf>,
    /// List the whole catalogue.
    #[arg(long, conflicts_with = "message")]
    pub(super) list: bool,
}

#[derive(Debug, Args)]
pub(super) struct ParseArgs {
    /// What was captured, such as `lspv` or `lsnim-l`.
    #[arg(value_name = "KIND", required_unless_present = "list")]
    pub(super) kind: Option<String>,
    /// The capture; without it, stdin is read.
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Name the kinds.
    #[arg(long, conflicts_with = "kind")]
    pub(super) list: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Make a consistent copy of the journal, also while a run goes on.
    Backup {
        /// The file to be made.
        file: PathBuf,
    },
    /// Move batches that have ended to `archive.db` beside the journal, so that a
    /// start does not replay them. `status`, `history` and `verify` still read
    /// them; orders do not reach them any more. Not while an engine runs.
    Archive {
        /// Batches stay in which something happened within so many days.
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        keep_days: u32,
    },
    /// Print a client's history as JSON lines.
    Export {
        /// The client.
        client: NimName,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn help_tells_every_exit_code() {
        for exit in Exit::ALL {
            let line = format!("  {}  {}", exit.code(), exit.meaning());
            assert!(EXIT_CODES.contains(&line), "{line}");
        }
    }
}
