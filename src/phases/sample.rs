//! A migration and what is known of its hosts, for the tests of this layer.

use crate::domain::{
    Aim, Baseline, BaselineDisk, BaselineFs, Driver, Facts, HostRole, MigrationSpec, Mode, Options,
    RetryPolicy, SoftwareSync, Target, Task, TaskKind,
};
use crate::transport::{Command, CommandOutput, Output};

use super::step::{Answers, Probe};

/// What hosts that answer as `say` have said to `looks`.
pub(crate) fn answers(
    looks: &Probe,
    mut say: impl FnMut(HostRole, &Command) -> CommandOutput,
) -> Answers {
    let mut answers = Answers::default();
    for (role, script) in looks {
        let commands = script.commands.iter().map(|command| say(*role, command)).collect();
        answers.add(*role, script, Output { commands });
    }
    answers
}

/// `lpar7` to 7300-02, plain, without reboot.
pub(crate) fn spec() -> MigrationSpec {
    spec_of(Mode::Disk, Driver::Native)
}

/// The same in another mode, by another driver.
pub(crate) fn spec_of(mode: Mode, driver: Driver) -> MigrationSpec {
    let target = Target {
        spot: "spot_7300_02".parse().unwrap(),
        lpp_source: "lpp_7300_02".parse().unwrap(),
        level: "7300-02".parse().unwrap(),
    };
    let retry = RetryPolicy { attempts: 3, delay_ms: 1000, delay_max_ms: 8000, jitter_percent: 0 };
    let options = Options {
        disks: vec!["hdisk1".parse().unwrap()],
        accept_licenses: true,
        ..Options::default()
    };
    let task = Task::Migrate(Aim { mode, driver, target });
    let plain =
        MigrationSpec::plain("lpar7".parse().unwrap(), "nim1".parse().unwrap(), task, retry);
    MigrationSpec { options, ..plain }
}

/// What is asked for by `kind`, of what `aim` is known, which a migration has.
pub(crate) fn task(kind: TaskKind, aim: Option<Aim>) -> Task {
    match kind {
        TaskKind::Migrate => Task::Migrate(aim.unwrap()),
        TaskKind::Cleanup => Task::Cleanup(aim),
        TaskKind::Wake => Task::Wake(aim),
        TaskKind::Sleep => Task::Sleep(aim),
        TaskKind::Sync => Task::Sync(SoftwareSync {
            spot: "spot_7300_02".parse().unwrap(),
            lpp_source: "lpp_7300_02".parse().unwrap(),
            device: Some("/dev/cd0".to_owned()),
            preview: false,
        }),
    }
}

/// What `record-baseline` would have found.
pub(crate) fn facts() -> Facts {
    let fs = |lv: &str, mount_point: &str, size_mb| BaselineFs {
        lv: lv.into(),
        mount_point: mount_point.into(),
        size_mb,
    };
    Facts {
        baseline: Some(Baseline {
            boot_disk: Some("hdisk0".parse().unwrap()),
            boot_pvid: Some("00f7a1b2c3d4e5f6".parse().unwrap()),
            bootlist: vec!["hdisk0".parse().unwrap()],
            rootvg_id: "00f7a1b200004c0000000190aabbccdd".into(),
            targets: vec![BaselineDisk {
                name: "hdisk1".parse().unwrap(),
                pvid: None,
                size_mb: 51_200,
            }],
            file_systems: vec![fs("hd4", "/", 512), fs("hd2", "/usr", 2560)],
            spot_location: "/export/nim/spot_7300_02/usr".into(),
            lpp_source_location: "/export/nim/lpp_7300_02".into(),
            boot_time: "Mar 02 07:15".into(),
            ..Baseline::default()
        }),
        ..Facts::default()
    }
}
