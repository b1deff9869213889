//! A migration and what is known of its hosts, for the tests of this layer.

use crate::domain::{
    Baseline, BaselineDisk, BaselineFs, BootFailure, Bootlist, CopyPolicy, Driver, Facts,
    FailurePolicy, MigrationSpec, Mode, Options, RetryPolicy, SPEC_FORMAT, Target, Task,
};

/// `lpar7` to 7300-02, plain, without reboot.
pub(crate) fn spec() -> MigrationSpec {
    MigrationSpec {
        format: SPEC_FORMAT,
        client: "lpar7".parse().unwrap(),
        master: "nim1".parse().unwrap(),
        mode: Mode::Disk,
        driver: Driver::Native,
        target: Target {
            spot: "spot_7300_02".parse().unwrap(),
            lpp_source: "lpp_7300_02".parse().unwrap(),
            level: "7300-02".parse().unwrap(),
        },
        options: Options {
            disks: vec!["hdisk1".parse().unwrap()],
            cache_vg: None,
            pre_script: None,
            post_script: None,
            scripts_repeatable: false,
            bundle: None,
            exclude_files: None,
            image_data: None,
            bosinst_data: None,
            mount_options: None,
            accept_licenses: true,
            update: false,
            force: false,
            bootlist: Bootlist::Set,
            reboot: false,
            phases: None,
            mksysb: None,
            output: None,
            new_mksysb: None,
        },
        retry: RetryPolicy { attempts: 3, delay_ms: 1000, delay_max_ms: 8000, jitter_percent: 0 },
        on_failure: FailurePolicy::Rollback,
        failed_copy: CopyPolicy::Remove,
        on_boot_failure: BootFailure::Hold,
        reboot_timeout_ms: 1_800_000,
        dead_lease_after_ms: None,
        wave: 1,
        messages: Vec::new(),
        task: Task::Migrate,
        part: None,
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
            exports: Vec::new(),
            mounts: Vec::new(),
            spot_location: "/export/nim/spot_7300_02/usr".into(),
            lpp_source_location: "/export/nim/lpp_7300_02".into(),
            pre_script_location: None,
            post_script_location: None,
            exclude_location: None,
            bosinst_location: None,
            mksysb_location: None,
            volumes: Vec::new(),
            pp_size_mb: 0,
            boot_time: "Mar 02 07:15".into(),
        }),
        level: None,
        asleep: None,
        lease_over: None,
        site: None,
        lease: None,
        booted: None,
        copy: None,
        systems: None,
        mksysb: None,
        left: Vec::new(),
    }
}
