//! The gate against a healthy client, and against one thing wrong at a time.

use crate::domain::{
    Control, Direction, Facts, FailureClass, HostRole, MigrationSpec, Phase, Presence, StepName,
    Task,
};
use crate::phases::step::{Context, Finding};
use crate::phases::{find, sample};
use crate::transport::CommandOutput;

const MASTER: [&str; 8] = [
    "lpar7:\n   class  = machines\n   type   = standalone\n   Cstate = ready for a NIM operation\n",
    "spot_7300_02:\n   type      = spot\n   Rstate    = ready for use\n   \
     location  = /export/nim/spot_7300_02/usr\n   oslevel_r = 7300-02\n",
    "lpp_7300_02:\n   type     = lpp_source\n   Rstate   = ready for use\n   simages  = yes\n",
    "7300-02-01-2346\n",
    "bos.alt_disk_install:bos.alt_disk_install.rte:7.3.2.1: : :C:F:Alternate Disk: : : : : : :0:0:/:\n\
     bos.mp64:bos.mp64:7.3.2.1: : :C:F:Kernel: : : : : : :0:0:/:\n",
    "bos.alt_disk_install:bos.alt_disk_install.rte:7.3.2.1: : :C:F:Alternate Disk: : : : : : :0:0:/:\n\
     bos.mp64:bos.mp64:7.3.2.1: : :C:F:Kernel: : : : : : :0:0:/:\n\
     bos.sysmgt:bos.sysmgt.sysbr:7.3.2.1: : :C:F:Backup: : : : : : :0:0:/:2346\n",
    "/export/nim/spot_7300_02 -ro\n",
    "bos.mp64:bos.mp64:7.3.2.0::I:T:::::N:Kernel::::\nbos.mp64:bos.mp64:7.3.2.1::I:T:::::N:Kernel::::\n",
];

const CLIENT: [&str; 10] = [
    "7200-05-03-2148\n",
    "hdisk0 00f7a1b2c3d4e5f6 rootvg active\nhdisk1 none None\nhdisk2 00f7a1b2c3d4e5f9 datavg active\n",
    "VOLUME GROUP: rootvg VG IDENTIFIER: 00f7a1b200004c0000000190aabbccdd\n\
     VG STATE: active PP SIZE: 128 megabyte(s)\nMAX LVs: 256 TOTAL PPs: 400\n\
     LVs: 12 FREE PPs: 300\nOPEN LVs: 9 USED PPs: 100\n",
    "rootvg:\nLV NAME TYPE LPs PPs PVs LV STATE MOUNT POINT\n\
     hd5 boot 1 1 1 closed/syncd N/A\nhd4 jfs2 8 8 1 open/syncd /\nhd2 jfs2 20 20 1 open/syncd /usr\n",
    "hd5\n",
    "51200\n",
    "1\n",
    "bos.mp64:bos.mp64:7.2.5.3: : :C:F:Kernel: : : : : : :0:0:/:\n",
    "ls: 0653-341 The file /var/adm/nimshift/lease does not exist.\n",
    "    PID     USER     ELAPSED COMMAND\n      1     root 10-00:00:00 /etc/init\n",
];

/// What the gate says where master and client answer so, in the order of its looks.
fn judge(spec: &MigrationSpec, master: &[&str], client: &[&str]) -> Finding {
    let def = find(Phase::Clone, &StepName::new("check-client")).unwrap();
    let ticket = def.first(Direction::Forward);
    let facts = Facts::default();
    let ctx = Context {
        spec,
        facts: &facts,
        ticket: &ticket,
        owner: "s1.m7",
        control: &Control::default(),
        now_ms: 0,
    };
    let said = |text: &&str| CommandOutput {
        status: i32::from(text.starts_with("0042-") || text.starts_with("ls: ")),
        stdout: (*text).to_owned(),
        ..CommandOutput::default()
    };
    let (mut master, mut client) = (master.iter().map(said), client.iter().map(said));
    let answers = sample::answers(&def.probe(&ctx), |role, _| match role {
        HostRole::Master => master.next().expect("an answer of the master"),
        HostRole::Client => client.next().expect("an answer of the client"),
    });
    (def.judge)(&ctx, &answers)
}

/// What the gate says when the answer `at` of the master or client is `text`.
fn with(spec: &MigrationSpec, on_master: bool, at: usize, text: &str) -> (FailureClass, String) {
    let (mut master, mut client) = (MASTER.to_vec(), CLIENT.to_vec());
    if on_master {
        master[at] = text;
    } else {
        client[at] = text;
    }
    let cause = judge(spec, &master, &client).blocked_by.expect("a bar");
    (cause.class, cause.text)
}

#[test]
fn a_healthy_client_may_begin() {
    let finding = judge(&sample::spec(), &MASTER, &CLIENT);
    assert_eq!((finding.presence, finding.blocked_by), (Presence::Present, None));
    assert_eq!(finding.facts.unwrap().level.unwrap().as_str(), "7200-05-03-2148");
}

#[test]
fn each_thing_that_is_wrong_is_told() {
    let spec = sample::spec();
    let small = CLIENT[2].replace("USED PPs: 100", "USED PPs: 398");
    let stale = CLIENT[3].replace("hd2 jfs2 20 20 1 open/syncd", "hd2 jfs2 20 20 1 open/stale");
    let mirrored = CLIENT[3].replace("hd2 jfs2 20 20 1", "hd2 jfs2 20 40 2");
    let newer = format!(
        "{}bos.sysmgt:bos.sysmgt.sysbr:7.2.5.1: : :C:F:Backup: : : : : : :0:0:/:2420\n",
        CLIENT[7]
    );
    let long = CLIENT[3].replace("hd2 ", "averylongname ");
    let bos = CLIENT[3].replace("hd2 ", "bos_hd2 ");
    let shown = |text: &str, from: &str, to: &str| text.replace(from, to);
    let mp64 = |level: &str, was: &str| {
        shown(MASTER[4], &format!("bos.mp64:{was}"), &format!("bos.mp64:{level}"))
    };
    let table: [(bool, usize, String, &str); 30] = [
        (true, 0, "0042-053 lsnim: there is no NIM object named \"lpar7\"".into(), "lpar7 is not defined in NIM"),
        (true, 0, shown(MASTER[0], "standalone", "diskless"), "lpar7 is diskless in NIM"),
        (true, 0, shown(MASTER[0], "ready for a NIM operation", "BOS installation"), "lpar7 is not ready in NIM: BOS installation"),
        (true, 1, shown(MASTER[1], "7300-02", "7200-05"), "the SPOT spot_7300_02 is at 7200-05, not 7300-02"),
        (true, 1, "0042-053 lsnim: there is no".into(), "spot_7300_02 is not defined in NIM"),
        (true, 2, "0042-053 lsnim: there is no".into(), "lpp_7300_02 is not defined in NIM"),
        (true, 2, shown(MASTER[2], "yes", "no"), "the lpp_source lpp_7300_02 lacks simages"),
        (true, 3, "7300-01-04-2320\n".into(), "the master is at 7300-01-04-2320, below the target 7300-02"),
        (true, 4, mp64("7.3.1.4", "7.3.2.1"), "bos.mp64 is 7.3.1.4 on the master, below 7.3.2.1 in the SPOT spot_7300_02"),
        (true, 5, mp64("7.3.1.4", "7.3.2.1"), "bos.mp64 is 7.3.2.1 in the lpp_source lpp_7300_02, 7.3.1.4 in the SPOT spot_7300_02"),
        (true, 7, shown(MASTER[7], "7.3.2.1", "7.3.3.0"), "bos.mp64 is 7.3.3.0 in the lpp_source lpp_7300_02, 7.3.2.1 in the SPOT spot_7300_02"),
        (true, 7, String::new(), "the lpp_source lpp_7300_02 has no bos.mp64"),
        (false, 7, shown(CLIENT[7], "7.2.5.3", "7.3.2.4"), "bos.mp64 is 7.3.2.4 on the client, 7.3.2.1 in the lpp_source lpp_7300_02"),
        (true, 5, shown(MASTER[5], "rte:7.3.2.1", "rte:7.3.1.0"), "bos.alt_disk_install.rte is 7.3.2.1 on the master, 7.3.1.0 in the SPOT"),
        (true, 6, "/export/nim/spot_7300_0 -ro\n".into(), "the SPOT spot_7300_02 is not exported by the master"),
        (false, 0, "timedout\n".into(), "cannot read the client's level"),
        (false, 0, "7300-01-02-2320\n".into(), "the client is at 7300-01-02-2320, the release of the target"),
        (false, 1, "hdisk0 00f7a1b2c3d4e5f6 rootvg active\n".into(), "hdisk1 is not on the client"),
        (false, 1, "hdisk0 00f7a1b2c3d4e5f6 rootvg active\nhdisk1 00f7a1b2c3d4e5f7 datavg active\n".into(), "hdisk1 holds datavg, which is not nimshift's: it is left alone"),
        (false, 1, "hdisk1 00f7a1b2c3d4e5f6 rootvg active\n".into(), "the client runs from hdisk1"),
        (false, 1, "hdisk0 00f7a1b2c3d4e5f6 rootvg active\nhdisk1 00f7a1b2c3d4e5f7 altinst_rootvg\n".into(), "altinst_rootvg is on hdisk1 already"),
        (false, 1, "hdisk0 00f7a1b2c3d4e5f6 rootvg active\nhdisk1 none None\nhdisk3 00f7a1b2c3d4e5f8 old_rootvg\n".into(), "old_rootvg is on hdisk3 already"),
        (false, 2, small, "the target disks have 51200 MB, the copy needs 51444 MB"),
        (false, 3, stale, "hd2 has stale partitions"),
        (false, 3, long, "the name of averylongname is longer than 11 characters"),
        (false, 3, bos, "rootvg has bos_hd2, of multibos"),
        (false, 3, mirrored, "rootvg is mirrored (hd2 has 2 copies), and cannot be copied to 1 disk"),
        (false, 6, "0\n".into(), "firmware cannot boot from hdisk1: `bootinfo -B hdisk1` prints 0"),
        (false, 7, newer, "bos.sysmgt.sysbr on the client was built in week 2420 (YYWW), that of the target in week 2346"),
        (false, 4, "bos_hd5\n".into(), "the client was booted from bos_hd5, of multibos"),
    ];
    for (on_master, at, text, wanted) in table {
        let (class, told) = with(&spec, on_master, at, &text);
        assert_eq!(class, FailureClass::Permanent, "{told}");
        assert!(told.starts_with(wanted), "{told} instead of {wanted}");
        assert!(!told.contains("; "), "one thing is wrong, not several: {told}");
    }
}

#[test]
fn a_client_at_its_target_is_done_already() {
    let told = with(&sample::spec(), false, 0, "7300-02-01-2346\n");
    let text = "lpar7 is at 7300-02-01-2346 already".to_owned();
    assert_eq!(told, (FailureClass::AlreadyDone, text));
}

#[test]
fn a_lock_is_waited_for_or_forced() {
    let locked = format!("{}   locked = 4711\n", MASTER[0].replace("ready for a", "busy with a"));
    let mut spec = sample::spec();
    let (class, text) = with(&spec, true, 0, &locked);
    assert_eq!(class, FailureClass::Transient);
    assert_eq!(text, "lpar7 is locked in NIM by process 4711");
    spec.options.force = true;
    let mut master = MASTER.to_vec();
    master[0] = &locked;
    assert_eq!(judge(&spec, &master, &CLIENT).blocked_by, None);
}

#[test]
fn the_cache_must_have_room() {
    let mut spec = sample::spec();
    spec.options.cache_vg = Some("cachevg".parse().unwrap());
    let vg = |free: u64| {
        format!(
            "VOLUME GROUP: cachevg VG IDENTIFIER: 00f7a1b200004c0000000190aabbcc00\n\
             VG STATE: active PP SIZE: 128 megabyte(s)\nTOTAL PPs: 99\nFREE PPs: {free}\nUSED PPs: 9\n"
        )
    };
    // 28 partitions of 128 MB and 500 MB.
    for (free, fits) in [(32, true), (31, false)] {
        let vg = vg(free);
        let mut master = MASTER.to_vec();
        master.push(&vg);
        assert_eq!(judge(&spec, &master, &CLIENT).blocked_by.is_none(), fits, "{free}");
    }
    let mut master = MASTER.to_vec();
    master.push("0516-306 : Unable to find volume group cachevg\n");
    assert!(judge(&spec, &master, &CLIENT).blocked_by.is_some());
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let (mut master, mut client) = (MASTER.to_vec(), CLIENT.to_vec());
    master[3] = "7200-05-03-2148\n";
    client[4] = "bos_hd5\n";
    let cause = judge(&sample::spec(), &master, &client).blocked_by.unwrap();
    assert_eq!(cause.text.matches("; ").count(), 1, "{}", cause.text);
    assert!(cause.hint.unwrap().contains("multibos -RX"));
}

#[test]
fn of_what_another_has_under_way_nothing_is_judged() {
    let words = "-> s9.m3@control9,batch=night,since=2026-11-25T19:00:00Z";
    let held =
        format!("lrwxrwxrwx 1 root system 53 Nov 01 12:00 /var/adm/nimshift/lease {words}\n");
    let mut client = CLIENT.to_vec();
    client[1] =
        "hdisk0 00f7a1b2c3d4e5f6 rootvg active\nhdisk1 00f7a1b2c3d4e5f7 altinst_rootvg active\n";
    client[8] = &held;
    let cause = judge(&sample::spec(), &MASTER, &client).blocked_by.unwrap();
    assert!(
        cause.text.starts_with("s9.m3 on control9, batch night, since 2026-11-25"),
        "{cause:?}"
    );
    assert!(!format!("{cause:?}").contains("alt_rootvg_op"), "{cause:?}");
    // Where it may be taken over, the copy is still one that is being made.
    let spec = MigrationSpec { dead_lease_after_ms: Some(0), ..sample::spec() };
    let cause = judge(&spec, &MASTER, &client).blocked_by.unwrap();
    assert!(cause.text.contains("to a migration that is under way: s9.m3"), "{cause:?}");
    assert!(!format!("{cause:?}").contains("alt_rootvg_op"), "{cause:?}");
    // Without a lease, what runs tells it.
    client[8] = CLIENT[8];
    client[9] = "    PID     USER     ELAPSED COMMAND\n   4711     root       05:00 alt_disk_copy -d hdisk1\n";
    let cause = judge(&spec, &MASTER, &client).blocked_by.unwrap();
    assert!(cause.text.contains("is worked on: process 4711"), "{cause:?}");
    assert!(!format!("{cause:?}").contains("alt_rootvg_op -X"), "{cause:?}");
}

#[test]
fn a_mirror_is_kept_on_as_many_disks_or_given_up_by_an_image_data() {
    let mirrored = CLIENT[3].replace("20 20 1", "20 40 2").replace("8 8 1", "8 16 2");
    // 57 partitions of 128 MB in all; of one copy 29.
    let used = CLIENT[2].replace("USED PPs: 100", "USED PPs: 57");
    let mut spec = sample::spec();
    let mut client = CLIENT.to_vec();
    (client[2], client[3]) = (&used, &mirrored);
    let hint = judge(&spec, &MASTER, &client).blocked_by.unwrap().hint.unwrap();
    assert!(hint.contains("2 target disks") && hint.contains("COPIES=1"), "{hint}");
    let further = "image7:\n   type   = image_data\n   Rstate = ready for use\n";
    let mut master = MASTER.to_vec();
    master.push(further);
    spec.options.image_data = Some("image7".parse().unwrap());
    for (size, fits) in [("4212\n", true), ("4211\n", false)] {
        client[5] = size;
        assert_eq!(judge(&spec, &master, &client).blocked_by.is_none(), fits, "{size}");
    }
    spec.options.image_data = None;
    spec.options.disks.push("hdisk3".parse().unwrap());
    client[1] = "hdisk0 00f7a1b2c3d4e5f6 rootvg active\nhdisk1 none None\nhdisk3 none None\n";
    client[5] = "4000\n";
    client.splice(6..7, ["4000\n", "1\n", "1\n"]);
    assert_eq!(judge(&spec, &MASTER, &client).blocked_by, None);
}

#[test]
fn the_build_is_told_by_a_fileset_where_the_level_does_not_tell_it() {
    let row = |week: &str| {
        format!("bos.sysmgt:bos.sysmgt.sysbr:7.2.5.1: : :C:F:Backup: : : : : : :0:0:/:{week}\n")
    };
    for (week, begins) in [("2420", false), ("2346", true), ("0000", true)] {
        let filesets = format!("{}{}", CLIENT[7], row(week));
        let mut client = CLIENT.to_vec();
        (client[0], client[7]) = ("7200-05-00-0000\n", &filesets);
        let blocked = judge(&sample::spec(), &MASTER, &client).blocked_by;
        assert_eq!(blocked.is_none(), begins, "{week}: {blocked:?}");
        // A part that installs nothing goes on with what is in the copy.
        let mut part = sample::spec();
        part.options.phases = Some(vec![Phase::BootImage, Phase::Unmount]);
        assert_eq!(judge(&part, &MASTER, &client).blocked_by, None, "{week}");
    }
    // The level of the plan is the least that is wanted: what is built is what counts.
    let mut spec = sample::spec();
    let Task::Migrate(aim) = &mut spec.task else { panic!("a migration") };
    aim.target.level = "7300-02-00-2200".parse().unwrap();
    let mut client = CLIENT.to_vec();
    client[0] = "7200-05-03-2320\n";
    let filesets = format!("{}{}", CLIENT[7], row("2320"));
    client[7] = &filesets;
    assert_eq!(judge(&spec, &MASTER, &client).blocked_by, None);
}
