//! The plan file as it is written: the one source of its keys, of the JSON
//! Schema, and of what the keys mean (the comments are the schema's descriptions).
//!
//! All fields are optional here, so that a file with errors can still be looked
//! at as far as it goes; `required` is what the schema, and with it the check,
//! go by. Texts that have an alphabet are read as [`Raw`] and parsed later, where
//! an error can name its line.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::default;
use super::words::{
    Address, DurationText, EstatePath, HostPath, Jump, MountOptions, OutputPath, PhaseKey, Raw,
    UserName,
};
use crate::base::limits;
use crate::domain::aim::Driver;
use crate::domain::failure::FailureClass;
use crate::domain::name::{BatchName, DiskName, HostName, Level, NimName, VgName};
use crate::domain::reach::Via;
use crate::domain::spec::{
    BootFailure, Bootlist, CopyPolicy, DeadLease, EstateKind, FailurePolicy,
};

/// A plan of nimshift: which NIM clients are migrated to which level, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "nimshift plan")]
pub(super) struct PlanFile {
    /// The batch as a whole.
    #[schemars(required)]
    pub(super) batch: Option<BatchTable>,
    /// The hosts that the plan talks to.
    #[schemars(required)]
    pub(super) estate: Option<EstateTable>,
    /// The NIM master.
    #[schemars(required)]
    pub(super) master: Option<MasterTable>,
    /// Where the clients are to end.
    #[schemars(required)]
    pub(super) target: Option<TargetTable>,
    /// Options of all clients that do not set their own.
    pub(super) defaults: Option<OptionKeys>,
    /// How much is done at once.
    pub(super) limits: Option<LimitsTable>,
    /// How a failed step is tried again.
    pub(super) retry: Option<RetryTable>,
    /// What follows a failure that trying again cannot help.
    pub(super) failure: Option<FailureTable>,
    /// What messages of AIX mean here, one `[[message]]` each: before the catalogue
    /// (`nimshift explain`), in this order.
    #[schemars(length(max = limits::MESSAGE_RULES_MAX))]
    pub(super) message: Option<Vec<MessageTable>>,
    /// The clients, one `[[client]]` each.
    #[schemars(required, length(min = 1, max = limits::CLIENTS_MAX))]
    pub(super) client: Option<Vec<ClientTable>>,
}

/// The batch as a whole.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct BatchTable {
    /// The name of the batch, in reports and in the journal: 1 to 40 letters,
    /// digits, `_` and `-`.
    #[schemars(required, extend("examples" = ["overnight"]))]
    pub(super) name: Option<Raw<BatchName>>,
}

/// The hosts that the plan talks to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct EstateTable {
    /// What kind of hosts they are. `lab` is the emulated estate that nimshift
    /// ships: no real host is touched. `ssh` are real hosts that this machine
    /// reaches by ssh; `local` are real hosts, and this machine is their NIM master.
    #[schemars(required)]
    pub(super) kind: Option<EstateKind>,
    /// The file that describes the lab, relative to the plan file. Without it a
    /// plain estate is made from the plan.
    #[schemars(extend("examples" = ["estates/overnight.toml"]))]
    pub(super) file: Option<Raw<EstatePath>>,
    /// Real hosts: how clients are reached that do not say. `ssh`: from this
    /// machine; the default with `kind = "ssh"`. `master`: by the master's own
    /// remote shell; the default with `kind = "local"`.
    pub(super) via: Option<Via>,
    /// Real hosts: the user of ssh, where the host has none of its own.
    #[schemars(extend("examples" = ["root"]))]
    pub(super) user: Option<Raw<UserName>>,
    /// Real hosts: the port of ssh, where the host has none of its own.
    #[schemars(range(min = 1, max = 65535), extend("examples" = [22]))]
    pub(super) port: Option<u16>,
    /// Real hosts: the host that ssh goes through to the clients, as
    /// `[USER@]HOST[:PORT]`; `master` is the NIM master.
    #[schemars(extend("examples" = ["master"]))]
    pub(super) jump: Option<Raw<Jump>>,
    /// Real hosts: the user of ssh becomes root by `sudo -n`.
    #[schemars(extend("default" = false))]
    pub(super) sudo: Option<bool>,
    /// Real hosts: the ssh configuration to use instead of the user's own,
    /// relative to the plan file.
    #[schemars(extend("examples" = ["ssh_config"]))]
    pub(super) ssh_config: Option<Raw<EstatePath>>,
    /// Real hosts: how long a connection may take, where the ssh configuration
    /// says nothing.
    #[schemars(extend("default" = default::CONNECT_TIMEOUT))]
    pub(super) connect_timeout: Option<Raw<DurationText>>,
    /// Real hosts: calls at once to one host. An sshd takes ten in a connection
    /// unless its MaxSessions says otherwise.
    #[schemars(range(min = 1, max = 64), extend("default" = default::SESSIONS))]
    pub(super) sessions: Option<u32>,
    /// Real hosts: where each host keeps the jobs that run on it. A directory of
    /// a local file system, for root alone.
    #[schemars(extend("default" = default::JOB_DIR))]
    pub(super) job_dir: Option<Raw<HostPath>>,
    /// Real hosts: the POSIX shell of each host.
    #[schemars(extend("default" = default::SHELL))]
    pub(super) shell: Option<Raw<HostPath>>,
    /// Real hosts: the master's program that takes a client's name and a command.
    #[schemars(extend("default" = default::REMOTE_SHELL))]
    pub(super) remote_shell: Option<Raw<HostPath>>,
    /// Real hosts: `accept` lets a plan have `driver = "native"` there. Its phase 5 is
    /// a stand-in for what IBM does not document, and has not run on AIX.
    pub(super) native_unverified: Option<Unverified>,
}

/// What a plan says of commands that have not been verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unverified {
    /// They are run none the less.
    Accept,
}

/// How a host is reached.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ReachTable {
    /// By what it is reached, instead of what `[estate]` says.
    pub(super) via: Option<Via>,
    /// Name, address, or alias of the ssh configuration, instead of the host's
    /// own name. With `via = "master"`, the name that the master knows it by.
    #[schemars(extend("examples" = ["10.1.1.21"]))]
    pub(super) address: Option<Raw<Address>>,
    /// The user of ssh.
    #[schemars(extend("examples" = ["root"]))]
    pub(super) user: Option<Raw<UserName>>,
    /// The port of ssh.
    #[schemars(range(min = 1, max = 65535), extend("examples" = [22]))]
    pub(super) port: Option<u16>,
    /// The host that ssh goes through, as `[USER@]HOST[:PORT]`; `master` is the
    /// NIM master.
    #[schemars(extend("examples" = ["master"]))]
    pub(super) jump: Option<Raw<Jump>>,
    /// The user of ssh becomes root by `sudo -n`.
    pub(super) sudo: Option<bool>,
}

/// The NIM master.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct MasterTable {
    /// The host name of the NIM master, as the clients resolve it.
    #[schemars(required, extend("examples" = ["nim1"]))]
    pub(super) name: Option<Raw<HostName>>,
    /// Real hosts: how the master is reached.
    pub(super) reach: Option<ReachTable>,
}

/// Where the clients are to end.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct TargetTable {
    /// The SPOT (nimadm `-s`).
    #[schemars(required, extend("examples" = ["spot_7300_02"]))]
    pub(super) spot: Option<Raw<NimName>>,
    /// The lpp_source (nimadm `-l`).
    #[schemars(required, extend("examples" = ["lpp_7300_02"]))]
    pub(super) lpp_source: Option<Raw<NimName>>,
    /// The level that a client must have in the end, as `oslevel -s` prints it
    /// or the beginning of that. A client that is there already is skipped.
    #[schemars(required, extend("examples" = ["7300-02"]))]
    pub(super) level: Option<Raw<Level>>,
}

/// Options of a client, by the flags of nimadm.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct OptionKeys {
    /// What carries the phases out: `native` are nimshift's own commands,
    /// `nimadm` is `nimadm -P` for each phase, with nimshift around it. The default
    /// is `native` on the lab, and `nimadm` on real hosts.
    pub(super) driver: Option<Driver>,
    /// The target disks (nimadm `-d`): free disks of the client that the copy
    /// of its rootvg goes to.
    #[schemars(
        length(min = 1, max = limits::DISKS_MAX),
        extend("uniqueItems" = true, "examples" = [["hdisk1"]])
    )]
    pub(super) disks: Option<Vec<Raw<DiskName>>>,
    /// A volume group of the master for local disk caching (nimadm `-j`): the
    /// master works on its own disks instead of over NFS.
    #[schemars(extend("examples" = ["nimadmvg"]))]
    pub(super) cache_vg: Option<Raw<VgName>>,
    /// A NIM script resource that runs in the copy before the migration, in
    /// phase 4 (nimadm `-a`).
    #[schemars(extend("examples" = ["pre_check"]))]
    pub(super) pre_script: Option<Raw<NimName>>,
    /// A NIM script resource that runs in the copy after the migration, in
    /// phase 7 (nimadm `-z`).
    #[schemars(extend("examples" = ["post_check"]))]
    pub(super) post_script: Option<Raw<NimName>>,
    /// Whether the scripts may run twice in the same copy, so that one that was
    /// cut off is started again instead of going back to a fresh clone.
    #[schemars(extend("default" = false))]
    pub(super) scripts_repeatable: Option<bool>,
    /// An installp_bundle resource with further filesets (nimadm `-b`).
    #[schemars(extend("examples" = ["extra_bundle"]))]
    pub(super) bundle: Option<Raw<NimName>>,
    /// An exclude_files resource: files that are not copied (nimadm `-e`).
    #[schemars(extend("examples" = ["no_dumps"]))]
    pub(super) exclude_files: Option<Raw<NimName>>,
    /// An image_data resource for the copy (nimadm `-i`).
    #[schemars(extend("examples" = ["image_7300"]))]
    pub(super) image_data: Option<Raw<NimName>>,
    /// A bosinst_data resource for the copy (nimadm `-o`).
    #[schemars(extend("examples" = ["bosinst_7300"]))]
    pub(super) bosinst_data: Option<Raw<NimName>>,
    /// NFS options of the master's mounts (nimadm `-m`).
    #[schemars(extend("examples" = ["rsize=65536,wsize=65536"]))]
    pub(super) mount_options: Option<Raw<MountOptions>>,
    /// The software licences are accepted (nimadm `-Y`). Must be `true` for
    /// every client, unless `ADM_ACCEPT_LICENSES=yes` is in the environment.
    #[schemars(extend("default" = false))]
    pub(super) accept_licenses: Option<bool>,
    /// An update within the same release instead of a migration (nimadm `-U`).
    /// Needs a target of 7300-03 or later.
    #[schemars(extend("default" = false))]
    pub(super) update: Option<bool>,
    /// Unlock the client's NIM object if an earlier run has left it locked
    /// (nimadm `-F`).
    #[schemars(extend("default" = false))]
    pub(super) force: Option<bool>,
    /// Whether the copy becomes the boot disk: `keep` leaves the bootlist as it
    /// is (nimadm `-B`).
    #[schemars(extend("default" = "set"))]
    pub(super) bootlist: Option<Bootlist>,
    /// Reboot the client in the end (nimadm `-r`). Not with `bootlist = "keep"`.
    #[schemars(extend("default" = false))]
    pub(super) reboot: Option<bool>,
    /// Run these phases only (nimadm `-P`): a text of numbers and ranges, or a
    /// list of numbers.
    #[schemars(extend("examples" = ["1-3,8"]))]
    pub(super) phases: Option<PhaseList>,
    /// A mksysb resource to migrate from (nimadm `-T`).
    pub(super) mksysb: Option<Raw<NimName>>,
    /// The file on the master that a migrated mksysb is written to (nimadm
    /// `-O`).
    pub(super) output: Option<Raw<OutputPath>>,
    /// The name of the mksysb resource that is made of it (nimadm `-N`).
    pub(super) new_mksysb: Option<Raw<NimName>>,
}

/// Phases as text, as `-P` takes them and with ranges, or as numbers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum PhaseList {
    /// Numbers and ranges, separated by commas or blanks.
    Text(String),
    /// Numbers.
    Numbers(
        #[schemars(length(min = 1), inner(range(min = 1, max = 12)), extend("uniqueItems" = true))]
        Vec<u8>,
    ),
}

/// How much is done at once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct LimitsTable {
    /// Migrations at once.
    #[schemars(
        range(min = 1, max = limits::MIGRATIONS_AT_ONCE_MAX),
        extend("default" = default::MIGRATIONS)
    )]
    pub(super) migrations: Option<u32>,
    /// Migrations at once in one phase, by the phase's name or number. A phase
    /// that is not named has no limit of its own.
    #[schemars(
        with = "BTreeMap<PhaseKey, PhaseLimit>",
        extend("examples" = [{ "clone": 4, "migrate-base": 3 }])
    )]
    #[serde(default)]
    pub(super) phases: BTreeMap<String, u32>,
}

/// Migrations at once in this phase.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it stands for its schema")]
pub(super) struct PhaseLimit(#[schemars(range(min = 1, max = limits::MIGRATIONS_AT_ONCE_MAX))] u32);

/// How a failed step is tried again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RetryTable {
    /// Attempts at one step, the first included.
    #[schemars(range(min = 1, max = limits::ATTEMPTS_MAX), extend("default" = default::ATTEMPTS))]
    pub(super) attempts: Option<u32>,
    /// The wait after the first attempt. It doubles with each further attempt.
    #[schemars(extend("default" = default::DELAY))]
    pub(super) delay: Option<Raw<DurationText>>,
    /// No wait is longer.
    #[schemars(extend("default" = default::DELAY_MAX))]
    pub(super) delay_max: Option<Raw<DurationText>>,
    /// Up to so many hundredths of a wait are added or taken away by chance, so
    /// that many clients do not try again at once.
    #[schemars(range(min = 0, max = 100), extend("default" = default::JITTER_PERCENT))]
    pub(super) jitter_percent: Option<u32>,
}

/// What follows a failure that trying again cannot help.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct FailureTable {
    /// `rollback` takes evidence and undoes everything; `hold` keeps everything
    /// as it is, for an operator.
    #[schemars(extend("default" = "rollback"))]
    pub(super) policy: Option<FailurePolicy>,
    /// What becomes of the copy in a rollback: `remove`; `sleep`, which keeps it as
    /// altinst_rootvg; or `wake`, which leaves it awake and mounted at /alt_inst on
    /// the client, so that it can be looked at (`nimshift sleep` before any boot).
    #[schemars(extend("default" = "remove"))]
    pub(super) copy: Option<CopyPolicy>,
    /// What follows when the client has booted the copy and is not well: `hold`
    /// waits for an operator, `backout` boots the old disk again.
    #[schemars(extend("default" = "hold"))]
    pub(super) on_boot_failure: Option<BootFailure>,
    /// How long a rebooted client may take to answer.
    #[schemars(extend("default" = default::REBOOT_TIMEOUT))]
    pub(super) reboot_timeout: Option<Raw<DurationText>>,
    /// What is done about the lease of another nimshift: `refuse` leaves the client
    /// to it; `take` takes it over when it is older than `dead_lease_after` and no
    /// job of its holder is unfinished.
    #[schemars(extend("default" = "refuse"))]
    pub(super) dead_lease: Option<DeadLease>,
    /// With `dead_lease = "take"`: how old the other's lease must be.
    #[schemars(extend("default" = default::DEAD_LEASE_AFTER))]
    pub(super) dead_lease_after: Option<Raw<DurationText>>,
}

/// What a message means. It has an `id`, a `pattern`, or both.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct MessageTable {
    /// The message id that must be in the line.
    #[schemars(extend("examples" = ["0516-404"]))]
    pub(super) id: Option<String>,
    /// Words that must be in the line, whatever their case.
    #[schemars(extend("examples" = ["quota exceeded"]))]
    pub(super) pattern: Option<String>,
    /// What it means: `transient` is tried again, `permanent` is not,
    /// `needs-operator` keeps everything for a person, `already-done` and
    /// `informative` are no failure, `wrapper` stands for the message inside it.
    #[schemars(required)]
    pub(super) class: Option<FailureClass>,
    /// What to do about it, for people.
    #[schemars(extend("examples" = ["ask the storage team"]))]
    pub(super) hint: Option<String>,
}

/// A client and its own options.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ClientTable {
    /// The NIM name of the client (nimadm `-c`), which is its host name too. From
    /// a mksysb to a mksysb there is none, and this is the migration's own name.
    #[schemars(required, extend("examples" = ["lpar01"]))]
    pub(super) name: Option<Raw<NimName>>,
    /// Its own SPOT instead of that of `[target]` (nimadm `-s`).
    #[schemars(extend("examples" = ["spot_7300_02"]))]
    pub(super) spot: Option<Raw<NimName>>,
    /// Its own lpp_source instead of that of `[target]` (nimadm `-l`).
    #[schemars(extend("examples" = ["lpp_7300_02"]))]
    pub(super) lpp_source: Option<Raw<NimName>>,
    /// Its own level instead of that of `[target]`.
    #[schemars(extend("examples" = ["7300-02"]))]
    pub(super) level: Option<Raw<Level>>,
    /// Clients of a lower wave are begun before those of a higher one; within a
    /// wave, in the order of the file.
    #[schemars(range(min = 1, max = limits::WAVE_MAX), extend("default" = default::WAVE))]
    pub(super) wave: Option<u8>,
    /// Options of `[defaults]` that this client goes without.
    #[schemars(extend("uniqueItems" = true, "examples" = [["cache_vg"]]))]
    pub(super) without: Option<Vec<Droppable>>,
    /// Real hosts: how the client is reached.
    pub(super) reach: Option<ReachTable>,
    /// Its own settings of `[retry]`; what is not set here is taken from there.
    pub(super) retry: Option<RetryTable>,
    /// Its own settings of `[failure]`; what is not set here is taken from there.
    pub(super) failure: Option<FailureTable>,
    #[serde(flatten)]
    pub(super) options: OptionKeys,
}

/// An option that can be dropped. Those that have an opposite value are not
/// among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Droppable {
    Disks,
    CacheVg,
    PreScript,
    PostScript,
    Bundle,
    ExcludeFiles,
    ImageData,
    BosinstData,
    MountOptions,
    Phases,
}
