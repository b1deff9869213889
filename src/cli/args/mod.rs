//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::domain::{DiskName, Form, HostName, Level, NimName, Phase, PhaseError, parse_phases};

mod import;
mod lab;

pub(super) use import::{ImportArgs, ImportCommand, ImportKind, InventoryFormat};
pub(super) use lab::{FaultArgs, LabCommand, LabNetCommand, ScaleArgs, SshWay};

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

If several apply, 5 wins over 4, and 4 over 3.";

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
    /// Show more on stderr; twice: everything.
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
    /// Run a plan: start what is new, continue what is unfinished.
    Run(RunArgs),
    /// Continue everything that is unfinished.
    Resume(EngineArgs),
    /// Show the state of every client.
    Status(StatusArgs),
    /// Show what happened to a client: every attempt, command and decision.
    History(HistoryArgs),
    /// Show what a plan would do. Changes nothing.
    Plan(PlanArgs),
    /// Check in advance whether the migrations of a plan may start, many clients at once.
    /// Changes nothing.
    Preflight(PreflightArgs),
    /// Check the real hosts of a plan, and say what to fix before a run. Changes nothing,
    /// except for a test job that it removes.
    Doctor(DoctorArgs),
    /// Make the client part of a plan from an existing inventory.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Run a nimadm command line unchanged: everything after `nimadm` (and the options
    /// below) is nimadm's own.
    Nimadm(NimadmArgs),
    /// Take everything back, whatever was done.
    Rollback(RollbackArgs),
    /// Pause once the running step has ended.
    Hold(OrderArgs),
    /// Continue after a hold.
    Release(OrderArgs),
    /// Retry at once what failed; start again what was taken back.
    Retry(RetryArgs),
    /// Stop, and take back what was done, unless the client has booted the copy.
    Cancel(EngineOrderArgs),
    /// Give up, leaving the hosts as they are.
    Abandon(OrderArgs),
    /// Remove everything that a migration left on a client and its master (nimadm -C).
    Cleanup(CleanupArgs),
    /// Wake a client's copy, export it and mount it on the master (nimadm -W).
    Wake(WakeArgs),
    /// Unmount a woken copy and put it to sleep (nimadm -S).
    Sleep(ClientsArgs),
    /// Bring bos.alt_disk_install to one level on the master and in a SPOT
    /// (nimadm -M).
    Sync(SyncArgs),
    /// Replay the whole journal and report differences.
    Verify,
    /// Back up the journal, or export a client's history.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Show and change the emulated estate.
    #[command(subcommand)]
    Lab(LabCommand),
    /// Explain an AIX or NIM message: cause, class, fix, and how certain that is.
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
    /// Print the manual page, or write one page per command.
    Man {
        /// Where to write the pages.
        directory: Option<PathBuf>,
    },
}

/// How an engine runs.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct EngineArgs {
    /// What SIGINT and SIGTERM do with running steps: `leave` them running on their
    /// hosts, where the next run finds them, or `wait` for them. A second signal exits at
    /// once.
    #[arg(long, value_name = "HOW", default_value = "leave")]
    pub(super) on_stop: OnStopChoice,
    /// Show no progress on stderr.
    #[arg(long)]
    pub(super) no_progress: bool,
}

/// See [`EngineArgs::on_stop`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OnStopChoice {
    /// Wait for running steps.
    Wait,
    /// Leave them running on their hosts.
    #[default]
    Leave,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Run only these phases (nimadm -P): numbers separated by commas or blanks, and
    /// ranges: `1-3`, `4,5,6`. Earlier phases must be done on the hosts.
    #[arg(short = 'P', long, value_name = "LIST")]
    pub(super) phases: Option<PhasesArg>,
    /// Only this client; can be given several times.
    #[arg(long, value_name = "CLIENT")]
    pub(super) client: Vec<NimName>,
    /// Start nothing unless all clients to be started pass their checks; see `nimshift
    /// preflight`.
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
    /// Where to write CLIENT_alt_mig.log; by default `alt_mig` in the state directory.
    /// nimadm's own directory is /var/adm/ras/alt_mig.
    #[arg(long, value_name = "DIR", env = "NIMSHIFT_ALT_MIG_DIR")]
    pub(super) log_dir: Option<PathBuf>,
    /// The target level, where the SPOT's is not enough: it shows no service pack.
    #[arg(long, value_name = "LEVEL", env = "NIMSHIFT_NIMADM_LEVEL")]
    pub(super) level: Option<Level>,
    /// Do not wait for another engine that holds the state directory.
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Print the equivalent plan file, and run nothing.
    #[arg(long)]
    pub(super) show_plan: bool,
    /// What SIGINT and SIGTERM do with running steps; see `nimshift run --help`.
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
    /// As a versioned JSON document (docs/status-json.md).
    #[arg(long)]
    pub(super) json: bool,
    /// Show it again on every change, until everything is at rest.
    #[arg(long)]
    pub(super) watch: bool,
    /// Ask clients whose copy waits for a boot which disk they run from.
    #[arg(long, conflicts_with = "watch")]
    pub(super) ask: bool,
    /// Show all migrations of this batch, instead of the state of each client now.
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
    /// Follow until the client is at rest or no engine runs: new journal entries, and the
    /// output of the running step on its host.
    #[arg(long, conflicts_with = "json")]
    pub(super) follow: bool,
    /// As a versioned JSON document with every entry.
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
    /// As a versioned JSON document.
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
    /// As a versioned JSON document (docs/status-json.md).
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
    /// As a versioned JSON document.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// The clients.
    #[arg(value_name = "CLIENT", required_unless_present = "all")]
    pub(super) clients: Vec<NimName>,
    /// All clients that it applies to.
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
    /// Take over the client's lease from another nimshift that is gone for good. Refused
    /// while one of its jobs has not ended on the client or the master. Only for a
    /// migration that starts again.
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
    /// Take over the lease of another nimshift, and unlock the client in NIM, whoever
    /// locked it (nimadm -F).
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
pub(super) struct CleanupArgs {
    #[command(flatten)]
    pub(super) clients: ClientsArgs,
    /// Do not ask before a finished copy is removed that waits to be booted.
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct WakeArgs {
    /// The clients.
    #[arg(value_name = "CLIENT", required = true)]
    pub(super) clients: Vec<NimName>,
    /// The disks of the copy to wake (nimadm -d).
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
    /// The lpp_source to install a higher level from (nimadm -l).
    #[arg(short, long, value_name = "NAME")]
    pub(super) lpp_source: Option<NimName>,
    /// A directory of the master with more images, beside the lpp_source
    /// (nimadm -d).
    #[arg(short, long, value_name = "DIRECTORY")]
    pub(super) device: Option<String>,
    /// Only show the levels (nimadm -P).
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
    /// Let the messages of this plan override the catalogue.
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
    /// List the kinds.
    #[arg(long, conflicts_with = "kind")]
    pub(super) list: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Make a consistent copy of the journal, even during a run.
    Backup {
        /// The file to make.
        file: PathBuf,
    },
    /// Move batches that have ended to `archive.db` beside the journal, so that starting
    /// does not replay them. `status`, `history` and `verify` still read them; orders no
    /// longer reach them. Not possible while an engine runs.
    Archive {
        /// Keep batches in which something happened within this many days.
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
