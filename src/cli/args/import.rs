//! `nimshift import`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::domain::{BatchName, DiskName, HostName, Level, NimName};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ImportCommand {
    /// From the output of `lsnim -l`: its standalone machines.
    Lsnim {
        /// The file; `-` is standard input.
        #[arg(value_name = "FILE", required_unless_present = "from_master")]
        file: Option<PathBuf>,
        /// Ask the master that `--master` names: `lsnim -l -t standalone`.
        #[arg(long, requires = "master", conflicts_with = "file")]
        from_master: bool,
        #[command(flatten)]
        import: ImportArgs,
    },
    /// From a CSV file: the header names keys of the plan, a row is a client.
    Csv {
        /// The file; `-` is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        import: ImportArgs,
    },
    /// From an Ansible inventory.
    Ansible {
        /// The file; `-` is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Its format; by default its name and its first line decide.
        #[arg(long, value_name = "FORMAT")]
        format: Option<InventoryFormat>,
        /// Only hosts of these groups; the first group is wave 1.
        #[arg(long, value_name = "GROUP,...", value_delimiter = ',')]
        groups: Vec<String>,
        #[command(flatten)]
        import: ImportArgs,
    },
}

/// See [`ImportCommand::Ansible`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum InventoryFormat {
    /// INI.
    Ini,
    /// YAML.
    Yaml,
}

/// See [`ImportArgs::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ImportKind {
    /// The emulated estate.
    Lab,
    /// Real hosts, by ssh.
    Ssh,
    /// Real hosts; this machine is the NIM master.
    Local,
}

/// Known values of the plan, and where to write it.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// The name of the batch.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<BatchName>,
    /// The kind of hosts, for `[estate]`. Addresses of real hosts are imported.
    #[arg(long, value_name = "KIND")]
    pub(in crate::cli) kind: Option<ImportKind>,
    /// The NIM master.
    #[arg(long, value_name = "HOST")]
    pub(in crate::cli) master: Option<HostName>,
    /// The SPOT.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) spot: Option<NimName>,
    /// The lpp_source.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) lpp_source: Option<NimName>,
    /// The target level.
    #[arg(long, value_name = "LEVEL")]
    pub(in crate::cli) level: Option<Level>,
    /// Target disks of clients that name none.
    #[arg(long, value_name = "DISK,...", value_delimiter = ',')]
    pub(in crate::cli) disks: Vec<DiskName>,
    /// The software licences are accepted.
    #[arg(long)]
    pub(in crate::cli) accept_licenses: bool,
    /// Cut off domains: `lpar01.example.com` becomes `lpar01`.
    #[arg(long)]
    pub(in crate::cli) short_names: bool,
    /// Write the plan to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Overwrite the file.
    #[arg(long, requires = "output")]
    pub(in crate::cli) force: bool,
}
