//! `nimshift lab`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LabCommand {
    /// Make the estate: from a plan, or from an estate file.
    Up {
        /// The plan whose estate to make.
        #[arg(long, value_name = "PLAN", required_unless_present_any = ["estate", "ssh"])]
        plan: Option<PathBuf>,
        /// The estate file to make it from.
        #[arg(long, value_name = "FILE", conflicts_with = "plan")]
        estate: Option<PathBuf>,
        #[command(flatten)]
        scale: ScaleArgs,
        /// Make the hosts reachable by ssh, as real processes. Without a plan or an
        /// estate file: the hosts of the existing lab.
        #[arg(long, value_name = "WAY", num_args = 0..=1, require_equals = true,
              default_missing_value = "auto")]
        ssh: Option<SshWay>,
    },
    /// End the hosts that `lab up --ssh` made, and remove their processes
    /// and files. The estate stays.
    Down,
    #[command(flatten)]
    Net(LabNetCommand),
    /// Show hosts, disks, volume groups, mounts and exports.
    Show,
    /// Run a command on a host, and exit with its status.
    Exec {
        /// The host.
        host: String,
        /// Command and arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Add a disk to a host, or make one of its disks larger.
    Disk {
        /// The host.
        host: String,
        /// The disk, such as `hdisk1`.
        disk: crate::domain::DiskName,
        /// Its size in megabytes.
        #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(64..=16_777_216))]
        size_mb: u64,
    },
    /// Show pending faults, or add one.
    Fault(FaultArgs),
    /// List the commands that hosts ran, with the jobs they belong to.
    Log {
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Check that ended migrations left nothing behind. Exit code 1 if one did.
    Check,
    /// Print the digest of the estate: everything but times and process ids.
    Digest,
    /// Remove the estate.
    Reset {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// What the lab's hosts and their ssh call.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LabNetCommand {
    /// Serve a connection to a host on stdin and stdout.
    #[command(hide = true)]
    Serve {
        /// The lab's directory.
        lab: PathBuf,
        /// The host.
        host: String,
    },
    /// Connect to a host and hand the socket over on stdout.
    #[command(hide = true)]
    Wire {
        /// The lab's directory.
        lab: PathBuf,
        /// The host.
        host: String,
    },
    /// Keep hosts as namespaces, until killed.
    #[command(hide = true)]
    Keep {
        /// The lab's directory.
        lab: PathBuf,
    },
    /// Be process 1 of a host; for `lab keep`.
    #[command(hide = true)]
    Host {
        /// The lab's directory.
        lab: PathBuf,
        /// The host.
        host: String,
        /// Its number in the lab's network.
        number: u16,
    },
    /// Run a command of this machine within the root of a host.
    #[command(hide = true)]
    Enter {
        /// The lab's directory.
        lab: PathBuf,
        /// The host.
        host: String,
        /// Command and arguments.
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
    /// Mount for real what a host of the lab has mounted over NFS, and answer the
    /// kernel until it is unmounted.
    #[command(hide = true)]
    Nfs {
        /// The lab's directory.
        lab: PathBuf,
        /// The host.
        host: String,
        /// The mount point, as `mount` shows it there.
        point: String,
        /// Mount over this directory instead.
        #[arg(long, value_name = "DIR")]
        at: Option<PathBuf>,
        /// The address of the exporting host's server.
        #[arg(long, value_name = "ADDRESS:PORT")]
        server: std::net::SocketAddr,
        /// End when whoever started this ends.
        #[arg(long)]
        with_parent: bool,
    },
    /// Serve what a host of the lab exports, to mounts by `lab nfs`.
    #[command(hide = true)]
    Nfsd {
        /// The lab's directory.
        lab: PathBuf,
        /// The host.
        host: String,
        /// Where to listen.
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: std::net::SocketAddr,
        /// Also mount for real what the host has mounted over NFS, below this
        /// directory.
        #[arg(long, value_name = "DIR")]
        mounts: Option<PathBuf>,
        /// Where hosts are, as in `/etc/hosts`; whoever asks must come from there.
        #[arg(long, value_name = "FILE")]
        hosts: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct FaultArgs {
    /// The fault or trouble, by name: a fault hits later commands, a trouble hits one
    /// host at once. Without it, list pending faults.
    #[arg(value_name = "KIND")]
    pub(in crate::cli) kind: Option<String>,
    /// Only on this host.
    #[arg(long, requires = "kind")]
    pub(in crate::cli) host: Option<String>,
    /// Only for commands that contain this text.
    #[arg(long, value_name = "TEXT", requires = "kind")]
    pub(in crate::cli) command: Option<String>,
    /// How many times; 0: forever.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(in crate::cli) times: u32,
    /// Let this many matching commands succeed first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) skip: u32,
    /// How long it lasts: `network-cut` in seconds of the lab, `link-cut`,
    /// `sshd-kill` and `disk-fill` in seconds of this machine's clock.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) seconds: Option<u64>,
    /// How long `link-delay` delays data, in milliseconds; 0 ends it.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) ms: Option<u64>,
    /// The share of packets that `link-loss` loses; 0 ends it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(in crate::cli) percent: Option<u8>,
    /// Remove all pending faults, and end lasting troubles.
    #[arg(long, conflicts_with = "kind")]
    pub(in crate::cli) clear: bool,
}

/// How fast the lab's time goes.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct ScaleArgs {
    /// Lab only, when the estate is made: lab seconds per real second.
    #[arg(
        long,
        value_name = "N",
        env = "NIMSHIFT_LAB_TIME_SCALE",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub(in crate::cli) time_scale: Option<u32>,
}

/// How hosts are reached, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SshWay {
    /// Namespaces where this machine allows them, otherwise proxy.
    Auto,
    /// With root: namespaces with a network, and an `sshd` that listens in it.
    Namespaces,
    /// Without root: an `sshd -i` for each connection, nothing listens.
    Proxy,
}
