//! What is asked of a client: a migration, or one of nimadm's operations beside
//! it. All of them are carried out, journaled and taken up again the same way.

use serde::{Deserialize, Serialize};

use super::aim::{Aim, Driver, Mode, Target};
use super::facts::Facts;
use super::name::NimName;
use super::ticket::MigrationId;

/// What a [`super::MigrationSpec`] asks for. An operation of a client that no plan and no
/// migration knows has no aim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredTask", into = "StoredTask")]
pub enum Task {
    /// The phases of a migration.
    Migrate(Aim),
    /// `-C`: nothing of a migration is left on client and master, whoever left it.
    Cleanup(Option<Aim>),
    /// `-W`: the copy is woken, exported and mounted on the master.
    Wake(Option<Aim>),
    /// `-S`: the copy is unmounted, unexported and put to sleep.
    Sleep(Option<Aim>),
    /// `-M`: `bos.alt_disk_install` is brought to one level on master and SPOT. There is
    /// no client.
    Sync(SoftwareSync),
}

/// What is brought to one level, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftwareSync {
    /// `-s`: the SPOT.
    pub spot: NimName,
    /// `-l`: the lpp_source.
    pub lpp_source: NimName,
    /// `-d`: another source beside the lpp_source: the higher one is taken.
    pub device: Option<String>,
    /// `-P`: the levels are only looked at.
    pub preview: bool,
}

/// Which task it is, whatever else is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKind {
    /// See [`Task::Migrate`].
    Migrate,
    /// See [`Task::Cleanup`].
    Cleanup,
    /// See [`Task::Wake`].
    Wake,
    /// See [`Task::Sleep`].
    Sleep,
    /// See [`Task::Sync`].
    Sync,
}

impl TaskKind {
    /// Its name: of an operation, the command's.
    pub fn name(self) -> &'static str {
        match self {
            TaskKind::Migrate => "migrate",
            TaskKind::Cleanup => "cleanup",
            TaskKind::Wake => "wake",
            TaskKind::Sleep => "sleep",
            TaskKind::Sync => "sync",
        }
    }
}

impl Task {
    /// Which it is.
    pub fn kind(&self) -> TaskKind {
        match self {
            Task::Migrate(_) => TaskKind::Migrate,
            Task::Cleanup(_) => TaskKind::Cleanup,
            Task::Wake(_) => TaskKind::Wake,
            Task::Sleep(_) => TaskKind::Sleep,
            Task::Sync(_) => TaskKind::Sync,
        }
    }

    /// Its name: of an operation, the command's.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Whether it is a migration and no operation.
    pub fn is_migration(&self) -> bool {
        self.migrates().is_some()
    }

    /// Whether it is an operation that is taken back where it fails.
    pub fn is_undoable(&self) -> bool {
        self.kind() == TaskKind::Wake
    }

    /// What a migration is to come to.
    pub fn migrates(&self) -> Option<&Aim> {
        if let Task::Migrate(aim) = self { Some(aim) } else { None }
    }

    /// What the migration is to come to that it is, or that is known of its client.
    pub fn aim(&self) -> Option<&Aim> {
        match self {
            Task::Migrate(aim) => Some(aim),
            Task::Cleanup(aim) | Task::Wake(aim) | Task::Sleep(aim) => aim.as_ref(),
            Task::Sync(_) => None,
        }
    }

    /// nimadm's mode, as far as it is known.
    pub fn mode(&self) -> Option<Mode> {
        self.aim().map(|aim| aim.mode)
    }

    /// Whether nimadm itself carries the phases out. Operations are nimshift's own, beside
    /// what it has made.
    pub fn uses_nimadm(&self) -> bool {
        self.aim().is_some_and(|aim| aim.driver == Driver::Nimadm)
    }

    /// The SPOT that it names, with its lpp_source.
    pub fn software(&self) -> Option<(&NimName, &NimName)> {
        match self {
            Task::Sync(sync) => Some((&sync.spot, &sync.lpp_source)),
            task => task.aim().map(|aim| (&aim.target.spot, &aim.target.lpp_source)),
        }
    }

    /// Whether there is a client at all.
    pub fn has_client(&self) -> bool {
        self.kind() != TaskKind::Sync && self.mode().is_none_or(Mode::has_client)
    }

    /// Whether a copy is made on disks of the client, or may be there.
    pub fn changes_client(&self) -> bool {
        self.kind() != TaskKind::Sync && self.mode().is_none_or(Mode::changes_client)
    }

    /// `-T`: whether the system comes from a mksysb.
    pub fn reads_mksysb(&self) -> bool {
        self.mode().is_some_and(Mode::reads_mksysb)
    }

    /// `-O`: whether the system goes to a mksysb.
    pub fn writes_mksysb(&self) -> bool {
        self.mode().is_some_and(Mode::writes_mksysb)
    }
}

/// A [`Task`] as it stands in the journal: there, each has a mode and a target.
#[derive(Serialize, Deserialize)]
struct StoredTask {
    mode: Mode,
    /// Stored where it is not the native one.
    #[serde(default, skip_serializing_if = "Driver::is_native")]
    driver: Driver,
    target: Target,
    /// Stored where it is an operation. Introduced in 0.1.0.
    #[serde(default, skip_serializing_if = "StoredKind::is_migration")]
    task: StoredKind,
}

/// See [`TaskKind`].
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum StoredKind {
    #[default]
    Migrate,
    Cleanup,
    Wake,
    Sleep,
    Sync {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        preview: bool,
    },
}

impl StoredKind {
    fn is_migration(&self) -> bool {
        *self == StoredKind::Migrate
    }
}

/// The level of a target that is none, and of a sync.
const NO_LEVEL: &str = "5300";

/// A SPOT or lpp_source of a target that is none.
const NO_NAME: &str = "unknown";

impl From<StoredTask> for Task {
    fn from(stored: StoredTask) -> Task {
        let StoredTask { mode, driver, target, task } = stored;
        let is_none = mode == Mode::Disk && target.level.as_str() == NO_LEVEL;
        let aim = Aim { mode, driver, target };
        let known = |aim: Aim| Some(aim).filter(|_| !is_none);
        match task {
            StoredKind::Migrate => Task::Migrate(aim),
            StoredKind::Cleanup => Task::Cleanup(known(aim)),
            StoredKind::Wake => Task::Wake(known(aim)),
            StoredKind::Sleep => Task::Sleep(known(aim)),
            StoredKind::Sync { device, preview } => {
                let Target { spot, lpp_source, .. } = aim.target;
                Task::Sync(SoftwareSync { spot, lpp_source, device, preview })
            }
        }
    }
}

impl From<Task> for StoredTask {
    fn from(task: Task) -> StoredTask {
        let name = |name: Option<&NimName>| {
            name.cloned().unwrap_or_else(|| NO_NAME.parse().expect("a name"))
        };
        let none = || Target {
            spot: name(task.software().map(|software| software.0)),
            lpp_source: name(task.software().map(|software| software.1)),
            level: NO_LEVEL.parse().expect("a level"),
        };
        let target = task.aim().map_or_else(none, |aim| aim.target.clone());
        let no_mode = if task.has_client() { Mode::Disk } else { Mode::MksysbToMksysb };
        let mode = task.mode().unwrap_or(no_mode);
        let driver = task.aim().map_or(Driver::Native, |aim| aim.driver);
        let task = match task {
            Task::Migrate(_) => StoredKind::Migrate,
            Task::Cleanup(_) => StoredKind::Cleanup,
            Task::Wake(_) => StoredKind::Wake,
            Task::Sleep(_) => StoredKind::Sleep,
            Task::Sync(SoftwareSync { device, preview, .. }) => {
                StoredKind::Sync { device, preview }
            }
        };
        StoredTask { mode, driver, target, task }
    }
}

/// What the later part of a migration takes over from the parts before it
/// (`-P 1-3`, then `-P 4-12`), and what a cleanup knows of the client's systems.
/// Introduced in 0.1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The first part: the lease on the client is in its name.
    pub first: MigrationId,
    /// What the parts before have found out: the client as it was before the
    /// first change.
    pub facts: Facts,
    /// For a cleanup: the ids of the volume groups that were made here as copies for
    /// the client, and were never its running system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<String>,
    /// For the same: those of what the client ran when it was migrated, which it may
    /// have to go back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran: Vec<String>,
}

impl Part {
    /// A later part of the migration that began as `first`, of which `facts` are known.
    pub fn of(first: MigrationId, facts: Facts) -> Part {
        Part { first, facts, made: Vec::new(), ran: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MigrationSpec, RetryPolicy};

    /// What an engine has stored for `task` of lpar1, with what it made up where it knew
    /// nothing. The digests of plans go by this order of keys.
    fn stored(mode: &str, target: [&str; 3], task: &str) -> String {
        let [spot, lpp_source, level] = target;
        format!(
            r#"{{"format":1,"client":"lpar1","master":"nim1","mode":"{mode}","target":{{"spot":"{spot}","lpp_source":"{lpp_source}","level":"{level}"}},{task}"options":{{"disks":[],"cache_vg":null,"pre_script":null,"post_script":null,"scripts_repeatable":false,"bundle":null,"exclude_files":null,"image_data":null,"bosinst_data":null,"mount_options":null,"accept_licenses":false,"update":false,"force":false,"bootlist":"set","reboot":false,"phases":null,"mksysb":null,"output":null,"new_mksysb":null}},"retry":{{"attempts":4,"delay_ms":1,"delay_max_ms":2,"jitter_percent":0}},"on_failure":"rollback","failed_copy":"remove","on_boot_failure":"hold","reboot_timeout_ms":1800000}}"#
        )
    }

    fn spec(task: Task) -> MigrationSpec {
        let retry = RetryPolicy { attempts: 4, delay_ms: 1, delay_max_ms: 2, jitter_percent: 0 };
        MigrationSpec::plain("lpar1".parse().unwrap(), "nim1".parse().unwrap(), task, retry)
    }

    fn is_read(text: &str, task: Task) {
        assert_eq!(serde_json::from_str::<MigrationSpec>(text).unwrap(), spec(task), "{text}");
    }

    fn goes_both_ways(text: &str, task: Task) {
        assert_eq!(serde_json::to_string(&spec(task.clone())).unwrap(), text);
        is_read(text, task);
    }

    #[test]
    fn what_is_not_known_is_stored_as_older_engines_read_it_and_not_read_back() {
        let aim = Aim {
            mode: Mode::ClientToMksysb,
            driver: Driver::Native,
            target: Target {
                spot: "spot73".parse().unwrap(),
                lpp_source: "lpp73".parse().unwrap(),
                level: "7300-02".parse().unwrap(),
            },
        };
        let known = |task| stored("client-to-mksysb", ["spot73", "lpp73", "7300-02"], task);
        goes_both_ways(&known(""), Task::Migrate(aim.clone()));
        let by_nimadm = known("").replace(r#""target""#, r#""driver":"nimadm","target""#);
        goes_both_ways(&by_nimadm, Task::Migrate(Aim { driver: Driver::Nimadm, ..aim.clone() }));
        goes_both_ways(&known(r#""task":"wake","#), Task::Wake(Some(aim)));
        let cleanup = r#""task":"cleanup","#;
        let none = stored("disk", [NO_NAME, NO_NAME, NO_LEVEL], cleanup);
        goes_both_ways(&none, Task::Cleanup(None));
        is_read(&stored("disk", ["lpar1", "lpar1", "5300"], cleanup), Task::Cleanup(None));
        let sync = SoftwareSync {
            spot: "spot73".parse().unwrap(),
            lpp_source: "lpp73".parse().unwrap(),
            device: Some("cd0".to_owned()),
            preview: true,
        };
        let task = r#""task":{"sync":{"device":"cd0","preview":true}},"#;
        let target = ["spot73", "lpp73", NO_LEVEL];
        goes_both_ways(&stored("mksysb-to-mksysb", target, task), Task::Sync(sync));
    }

    #[test]
    fn what_a_later_engine_has_added_is_refused() {
        let text = stored("disk", ["spot73", "lpp73", "7300-02"], r#""later":1,"#);
        let error = serde_json::from_str::<MigrationSpec>(&text).unwrap_err();
        assert!(error.to_string().contains("unknown field `later`"), "{error}");
    }
}
