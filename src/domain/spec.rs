//! What one migration is asked to do: the part of a plan that is journaled with
//! it, so that a newer binary can finish an older night.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aim::Target;
use super::failure::MessageRule;
use super::name::{DiskName, HostName, NimName, VgName};
use super::phase::Phase;
use super::task::{Part, Task};

/// The format number of a journaled [`MigrationSpec`]. Introduced as 1 in 0.1.0.
pub const SPEC_FORMAT: u32 = 1;

/// What kind of hosts a plan talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EstateKind {
    /// The emulated estate that nimshift ships.
    Lab,
    /// Real hosts, reached from this machine by ssh.
    Ssh,
    /// Real hosts; this machine is the NIM master.
    Local,
}

/// Whether the bootlist is changed in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bootlist {
    /// The copy becomes the boot disk.
    #[default]
    Set,
    /// `-B`: the bootlist stays as it is.
    Keep,
}

/// nimadm's options, by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of nimadm")]
pub struct Options {
    /// `-d`: the target disks.
    pub disks: Vec<DiskName>,
    /// `-j`: the master's volume group for local disk caching.
    pub cache_vg: Option<VgName>,
    /// `-a`: pre-migration script (a NIM script resource).
    pub pre_script: Option<NimName>,
    /// `-z`: post-migration script.
    pub post_script: Option<NimName>,
    /// Whether the scripts may run twice in the same copy.
    pub scripts_repeatable: bool,
    /// `-b`: installp_bundle with further filesets.
    pub bundle: Option<NimName>,
    /// `-e`: exclude_files.
    pub exclude_files: Option<NimName>,
    /// `-i`: image_data.
    pub image_data: Option<NimName>,
    /// `-o`: bosinst_data.
    pub bosinst_data: Option<NimName>,
    /// `-m`: NFS mount options.
    pub mount_options: Option<String>,
    /// `-Y`: licences are accepted.
    pub accept_licenses: bool,
    /// `-U`: update within the same release.
    pub update: bool,
    /// `-F`: force the unlocking of a locked NIM client.
    pub force: bool,
    /// `-B` or not.
    pub bootlist: Bootlist,
    /// `-r`: reboot the client in the end.
    pub reboot: bool,
    /// `-P`: run these phases only.
    pub phases: Option<Vec<Phase>>,
    /// `-T`: a mksysb resource to migrate from.
    pub mksysb: Option<NimName>,
    /// `-O`: the file that a migrated mksysb is written to.
    pub output: Option<String>,
    /// `-N`: the name of the new mksysb resource.
    pub new_mksysb: Option<NimName>,
}

/// How often and how long a step is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts at one step, the first included.
    pub attempts: u32,
    /// The wait after the first attempt.
    pub delay_ms: u64,
    /// No wait is longer.
    pub delay_max_ms: u64,
    /// Up to so many hundredths of a wait are added or taken away by chance.
    pub jitter_percent: u32,
}

/// What follows a permanent failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailurePolicy {
    /// Evidence is taken, then all is undone.
    Rollback,
    /// All is kept as it is, for an operator.
    Hold,
}

/// What is done about the lease of another nimshift that is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeadLease {
    /// The client is refused.
    Refuse,
    /// It is taken over when it is old and its holder's jobs have ended.
    Take,
}

/// What becomes of the copy in a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CopyPolicy {
    /// It is removed.
    Remove,
    /// It is put to sleep, and stays as altinst_rootvg.
    Sleep,
    /// It stays awake on the client, to be looked at: no boot before it sleeps.
    Wake,
}

/// What follows when the client has booted the copy and is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootFailure {
    /// All is kept as it is, for an operator.
    Hold,
    /// The old disk is booted again.
    Backout,
}

/// Everything that a migration is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrationSpec {
    /// [`SPEC_FORMAT`] of the binary that wrote it.
    pub format: u32,
    /// The client, by its NIM name, which is its host name too. Where there is
    /// no client (see [`Task::has_client`]), the name of the migration.
    pub client: NimName,
    pub master: HostName,
    /// A migration, or an operation.
    #[serde(flatten)]
    pub task: Task,
    /// nimadm's options.
    pub options: Options,
    /// How steps are retried.
    pub retry: RetryPolicy,
    /// What follows a permanent failure.
    pub on_failure: FailurePolicy,
    /// What becomes of the copy in a rollback.
    pub failed_copy: CopyPolicy,
    /// What follows when the booted copy is not well.
    pub on_boot_failure: BootFailure,
    /// How long a rebooted client may take to answer, in ms.
    pub reboot_timeout_ms: u64,
    /// After how long another's lease of the client is taken over whose jobs have
    /// ended, in ms. Stored where it ever is. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_lease_after_ms: Option<u64>,
    /// Clients of a lower wave are begun before those of a higher one. Stored
    /// where it is not the first.
    #[serde(default = "first_wave", skip_serializing_if = "is_first_wave")]
    pub wave: u8,
    /// What the plan says of messages. Stored where there is something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageRule>,
    /// For a later part of a migration: what it takes over. Stored where there
    /// is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

fn first_wave() -> u8 {
    1
}

fn is_first_wave(wave: &u8) -> bool {
    *wave == first_wave()
}

impl MigrationSpec {
    /// What is asked of `client`, of which no more is said.
    pub fn plain(
        client: NimName,
        master: HostName,
        task: Task,
        retry: RetryPolicy,
    ) -> MigrationSpec {
        MigrationSpec {
            format: SPEC_FORMAT,
            client,
            master,
            task,
            options: Options::default(),
            retry,
            on_failure: FailurePolicy::Rollback,
            failed_copy: CopyPolicy::Remove,
            on_boot_failure: BootFailure::Hold,
            reboot_timeout_ms: 1_800_000,
            dead_lease_after_ms: None,
            wave: 1,
            messages: Vec::new(),
            part: None,
        }
    }

    /// Where a migration is to end.
    ///
    /// # Panics
    /// Where it is an operation: for a client that only it knows, there is none.
    pub fn target(&self) -> &Target {
        &self.task.migrates().expect("a migration").target
    }

    /// Whether what a rollback would remove of the copy stays on the client.
    pub fn keeps_failed_copy(&self) -> bool {
        self.failed_copy != CopyPolicy::Remove && self.task.changes_client()
    }

    /// Whether a run comes as far as `phase`. With `-P`, steps of phases before those
    /// that are asked for are part of it, so that they are taken back with the rest.
    pub fn reaches(&self, phase: Phase) -> bool {
        self.options.phases.as_ref().is_none_or(|phases| phases.iter().max() >= Some(&phase))
    }

    /// Whether `phase` is asked for. Check, lease, baseline and SPOT are part of every
    /// run.
    pub fn asks_for(&self, phase: Phase) -> bool {
        self.options.phases.as_ref().is_none_or(|phases| phases.contains(&phase))
    }

    /// Whether the last phase is asked for, so that nothing is left for later.
    pub fn is_whole(&self) -> bool {
        self.asks_for(Phase::End)
    }

    /// The same for hosts on which nothing stands: all phases up to the last that
    /// is asked for.
    #[must_use]
    pub fn from_the_start(&self) -> MigrationSpec {
        let mut spec = self.clone();
        spec.part = None;
        let last = self.options.phases.as_ref().and_then(|phases| phases.iter().max());
        spec.options.phases = last
            .filter(|last| **last != Phase::End)
            .map(|last| Phase::ALL.into_iter().filter(|phase| phase <= last).collect());
        spec
    }

    /// What a later part of a migration takes over from the parts before it: what a
    /// cleanup knows of a copy makes it no part.
    pub fn earlier(&self) -> Option<&Part> {
        self.part.as_ref().filter(|_| self.task.is_migration())
    }

    /// The phases after those that are asked for.
    pub fn phases_left(&self) -> Vec<Phase> {
        let last = self.options.phases.as_ref().map_or(Some(&Phase::End), |all| all.iter().max());
        Phase::ALL.into_iter().filter(|phase| Some(phase) > last).collect()
    }

    /// Whether local disk caching is used.
    pub fn caches(&self) -> bool {
        self.options.cache_vg.is_some()
    }

    /// Whether the sizes of the copy come from an image.data: the mksysb's own,
    /// or the one of `-i`.
    pub fn has_image_data(&self) -> bool {
        self.task.reads_mksysb() || self.options.image_data.is_some()
    }

    /// Where the master keeps what belongs to this migration and not to the copy.
    pub fn work_directory(&self) -> String {
        format!("/var/adm/nimshift-{}", self.client)
    }

    /// The master's directory of the copy: `/lpar7_alt`. nimadm is not told the
    /// name of a migration that has no client, and goes by the mksysb's.
    pub fn master_top(&self) -> String {
        match &self.options.mksysb {
            Some(mksysb) if self.task.uses_nimadm() && !self.task.has_client() => {
                format!("/{mksysb}_alt")
            }
            _ => format!("/{}_alt", self.client),
        }
    }

    /// Where the master works on the copy: `/lpar7_alt/alt_inst`.
    pub fn master_root(&self) -> String {
        format!("{}/alt_inst", self.master_top())
    }
}
