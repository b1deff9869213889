//! nimadm by itself, over the emulated hosts.

use std::collections::BTreeMap;

use crate::lab::build;
use crate::lab::call::{Call, Line, Reply};
use crate::lab::check::{BootsFrom, CopyExpected, Expectation, check};
use crate::lab::estate::{EstateFile, FileResourceSpec, MksysbSpec, PlainClient, PlainMaster};
use crate::lab::fault::{Fault, FaultKind, FaultSpec};
use crate::lab::image::image;
use crate::lab::job::{advance, start};
use crate::lab::quoting::split;
use crate::lab::run::run_one;
use crate::lab::world::{JobStage, World};
use crate::transport::{Command, Script};

const NOW: u64 = 1_780_000_000_000;
const HOUR: u64 = 3_600_000;
const LOG: &str = "/var/adm/ras/alt_mig/lpar1_alt_mig.log";
const DISK: &str = "nimadm -l lpp -c lpar1 -s spot -d hdisk1 -Y";

fn text(text: &str) -> String {
    text.to_owned()
}

fn estate(client: &str, target: &str) -> EstateFile {
    let master =
        PlainMaster::new("nim1", target, "spot", "lpp").with(&["cachevg"], &["pre", "post"]);
    let client = PlainClient::new("lpar1", client, &["hdisk1"]);
    let mut estate = EstateFile::from_clients(&master, &[client]);
    let resource = |name: &str, kind: &str, content: &str| FileResourceSpec {
        name: text(name),
        kind: text(kind),
        location: None,
        content: text(content),
    };
    estate.file_resource = vec![
        resource("no_oper", "exclude_files", "^./home/oper/\n"),
        resource("bosinst", "bosinst_data", "control_flow:\n    PROMPT = no\n"),
    ];
    estate.mksysb = vec![MksysbSpec {
        name: text("old"),
        level: text("7200-05-03-2148"),
        host: text("lpar9"),
        location: None,
        data_mb: BTreeMap::new(),
    }];
    estate
}

fn world() -> World {
    world_of(&estate("7200-05-03-2148", "7300-02-01-2346"))
}

fn world_of(estate: &EstateFile) -> World {
    build::world(estate, NOW).unwrap()
}

fn words(line: &str) -> Command {
    Command::new(split(line).unwrap())
}

/// A command line on the master.
fn call(line: &str, now: u64) -> Call {
    Line::of(&words(line), "nim1", "/", now).call
}

/// Runs a command line on the master at once.
fn run(world: &mut World, line: &str) -> Reply {
    let call = call(line, NOW);
    run_one(world, &call)
}

/// The same, which must succeed.
fn must(world: &mut World, line: &str) -> String {
    let reply = run(world, line);
    assert_eq!(reply.status, 0, "{line}: {}\n{}", reply.err, reply.out);
    reply.out
}

fn asleep() -> Expectation {
    Expectation {
        client: text("lpar1"),
        settled: true,
        copy: CopyExpected::Asleep,
        boots_from: BootsFrom::Disks(vec![text("hdisk1")]),
    }
}

fn assert_rests(world: &World, expected: Expectation) {
    let violations = check(world, &[expected]);
    assert!(violations.is_empty(), "{violations:#?}");
}

fn attribute(world: &World, key: &str) -> Option<String> {
    world.at("nim1").nim["lpar1"].get(key).map(str::to_owned)
}

#[test]
fn a_disk_migration_runs_through_its_twelve_phases() {
    let mut world = world();
    let out = must(&mut world, DISK);
    for phase in 1..=12 {
        assert!(out.contains(&format!("\nExecuting nimadm phase {phase}.\n")), "{out}");
    }
    let log = world.text("nim1", LOG, NOW).unwrap();
    assert!(log.starts_with("MASTER DATE: "), "{log}");
    for line in out.lines() {
        assert!(log.contains(line), "{line} is not in the log");
    }
    assert_rests(&world, asleep());
    assert_eq!(attribute(&world, "locked"), None);
    assert_eq!(attribute(&world, "Cstate").as_deref(), Some("ready for a NIM operation"));
    assert_eq!(attribute(&world, "Cstate_result").as_deref(), Some("success"));
}

/// The client boots the copy, and has what it had and the new level.
fn boots_the_copy(world: &mut World) {
    must(world, "c_rsh lpar1 'shutdown -Fr'");
    advance(world, NOW + HOUR, &mut Vec::new());
    let call = |line: &str| format!("c_rsh lpar1 '{line}'");
    let level = must_at(world, &call("oslevel -s"), NOW + HOUR);
    assert_eq!(level, "7300-02-01-2346\n");
    let passwd = must_at(world, &call("cat /etc/passwd"), NOW + HOUR);
    assert!(passwd.contains("app:!:501:1:"), "{passwd}");
}

fn must_at(world: &mut World, line: &str, now: u64) -> String {
    let call = call(line, now);
    let reply = run_one(world, &call);
    assert_eq!(reply.status, 0, "{line}: {}", reply.err);
    reply.out
}

#[test]
fn each_phase_can_be_run_alone_and_the_copy_boots() {
    for cached in ["", " -j cachevg"] {
        let mut world = world();
        for phase in 1..=12 {
            if phase == 11 {
                // As a client that was cleaned between two runs has it.
                must(&mut world, "c_rsh lpar1 'umount /ALT_MIG_SPOT'");
            }
            let out = must(&mut world, &format!("{DISK} -a pre -z post{cached} -P {phase}"));
            assert_eq!(out.matches("Executing nimadm phase ").count(), 1, "{out}");
            assert_eq!(attribute(&world, "locked"), None, "after phase {phase}");
        }
        assert_rests(&world, asleep());
        boots_the_copy(&mut world);
    }
}

#[test]
fn a_list_of_phases_is_run_in_order() {
    let mut world = world();
    let out = must(&mut world, &format!("{DISK} -P '3,1 2'"));
    let order: Vec<&str> = out.lines().filter(|line| line.starts_with("Executing")).collect();
    assert_eq!(
        order,
        ["Executing nimadm phase 1.", "Executing nimadm phase 2.", "Executing nimadm phase 3."]
    );
    assert!(must(&mut world, "mount").contains("/lpar1_alt/alt_inst/usr"));
}

#[test]
fn all_modes_reach_their_end() {
    let mut world = world();
    let first = image(&world)["hosts"]["lpar1"].clone();
    let line = "nimadm -c lpar1 -O /export/nim/mksysb/new -s spot -l lpp -j cachevg -Y -N new_mksysb -e no_oper -o bosinst";
    must(&mut world, line);
    assert_eq!(image(&world)["hosts"]["lpar1"], first, "the client is read only");
    let archive = world.text("nim1", "/export/nim/mksysb/new", NOW).unwrap();
    assert!(archive.contains("AIX 7300-02-01-2346\n") && archive.contains("PROMPT = no"));
    assert!(archive.contains("./home/app/.profile\n") && !archive.contains("./home/oper/"));
    assert_eq!(world.at("nim1").nim["new_mksysb"].get("oslevel_r"), Some("7300-02"));
    assert_rests(&world, Expectation::untouched("lpar1"));

    must(&mut world, "nimadm -T old -O /export/nim/mksysb/old2 -s spot -l lpp -j cachevg -Y");
    let archive = world.text("nim1", "/export/nim/mksysb/old2", NOW).unwrap();
    assert!(archive.contains("AIX 7300-02-01-2346\n") && archive.contains("LOGICAL_VOLUME= hd5"));
    assert_rests(&world, Expectation::untouched("old"));

    must(&mut world, "nimadm -T old -c lpar1 -s spot -l lpp -d hdisk1 -j cachevg -Y");
    assert_rests(&world, asleep());
    boots_the_copy(&mut world);
}

#[test]
fn an_update_stays_within_the_release() {
    let mut world = world_of(&estate("7300-02-01-2346", "7300-03-00-2446"));
    let refused = run(&mut world, DISK);
    assert_eq!(refused.status, 1);
    assert!(refused.err.contains("is at 7.3 already"), "{}", refused.err);
    let out = must(&mut world, &format!("{DISK} -U"));
    assert!(!out.contains("Restoring base operating system"), "{out}");
    assert_rests(&world, asleep());
}

#[test]
fn wake_and_sleep_are_each_others_opposite() {
    let mut world = world();
    must(&mut world, DISK);
    must(&mut world, "bootlist -m normal hdisk0");
    must(&mut world, "c_rsh lpar1 'shutdown -Fr'");
    advance(&mut world, NOW + HOUR, &mut Vec::new());
    let at = |world: &mut World, line: &str| must_at(world, line, NOW + HOUR);
    at(&mut world, "c_rsh lpar1 'oslevel -s'");
    // It runs the migrated system now: the old one can be woken.
    at(&mut world, "nimadm -W -c lpar1 -s spot -d hdisk0 -z post");
    assert!(at(&mut world, "mount").contains("/lpar1_alt/alt_inst/usr"));
    assert!(at(&mut world, "c_rsh lpar1 exportfs").contains("/alt_inst/usr"));
    let refused = run(&mut world, "nimadm -W -c lpar1 -s spot -d hdisk0");
    assert_eq!(refused.status, 1);
    at(&mut world, "nimadm -S -c lpar1 -s spot");
    assert!(!at(&mut world, "mount").contains("_alt/"));
    assert!(!at(&mut world, "c_rsh lpar1 exportfs").contains("/alt_inst"));
    assert!(at(&mut world, "c_rsh lpar1 lspv").contains("altinst_rootvg              \n"));
}

#[test]
fn sync_brings_the_spot_to_the_masters_level() {
    let mut estate = estate("7200-05-03-2148", "7300-02-01-2346");
    estate.spot[0].alt_disk_level = Some(text("7300-01-01-2246"));
    let mut world = world_of(&estate);
    let refused = run(&mut world, DISK);
    assert!(refused.err.contains("bos.alt_disk_install.rte differ"), "{}", refused.err);
    let preview = must(&mut world, "nimadm -M -s spot -l lpp -P");
    assert!(preview.contains("The levels differ; the highest is 7.3.2.1."), "{preview}");
    assert_eq!(run(&mut world, DISK).status, 1, "a preview changes nothing");
    must(&mut world, "nimadm -M -s spot -l lpp");
    must(&mut world, DISK);
}

#[test]
fn refused_command_lines_change_nothing() {
    let lines = [
        "nimadm",
        "nimadm -l lpp -c lpar1 -s spot -d hdisk1",
        "nimadm -l lpp -c lpar1 -s spot -Y",
        "nimadm -l lpp -c lpar1 -d hdisk1 -Y",
        "nimadm -c lpar1 -s spot -d hdisk1 -Y",
        "nimadm -l lpp -c lpar1 -s spot -d ' ' -Y",
        "nimadm -l lpp -c lpar1 -s spot -d hdisk7 -Y",
        "nimadm -l lpp -c nobody -s spot -d hdisk1 -Y",
        "nimadm -l spot -c lpar1 -s spot -d hdisk1 -Y",
        "nimadm -l lpp -c lpar1 -s spot -d hdisk1 -Y -B -r",
        "nimadm -l lpp -c lpar1 -s spot -d hdisk1 -Y -P 13",
        "nimadm -l lpp -c lpar1 -s spot -d hdisk1 -Y -P 4-8",
        "nimadm -l lpp -c lpar1 -s spot -d hdisk1 -Y -P ''",
        "nimadm -l lpp -c lpar1 -s spot -d hdisk1 -Y -N new",
        "nimadm -l lpp -c lpar1 -s spot -d hdisk1 -Y -j novg",
        "nimadm -C -c lpar1",
        "nimadm -C -W -c lpar1 -s spot -d hdisk1",
        "nimadm -C -c lpar1 -s spot -d hdisk1",
        "nimadm -S -c lpar1 -s spot -z post",
        "nimadm -M -s spot",
        "nimadm -T old -c lpar1 -s spot -l lpp -d hdisk1 -Y",
        "nimadm -T old -O /x -c lpar1 -s spot -l lpp -j cachevg -Y",
        "nimadm -T old -O x -s spot -l lpp -j cachevg -Y",
        "nimadm -c lpar1 -O /x -s spot -l lpp -j cachevg -Y -r",
        "nimadm -c lpar1 -O /x -s spot -l lpp -j cachevg",
    ];
    let untouched = image(&world());
    for line in lines {
        let mut world = world();
        let reply = run(&mut world, line);
        assert!(reply.status > 0 && !reply.err.is_empty(), "{line}: {reply:?}");
        assert_eq!(image(&world), untouched, "{line}");
    }
}

#[test]
fn licences_can_be_accepted_by_the_environment() {
    let mut world = world();
    let env = vec![(text("ADM_ACCEPT_LICENSES"), text("yes"))];
    let call = Call { env, ..call(DISK.trim_end_matches(" -Y"), NOW) };
    let reply = run_one(&mut world, &call);
    assert_eq!(reply.status, 0, "{}", reply.err);
}

fn add_fault(world: &mut World, fault: FaultSpec) {
    std::sync::Arc::make_mut(&mut world.faults).push(Fault::new(fault));
}

#[test]
fn a_failure_is_cleaned_up_and_leaves_nothing() {
    let untouched = image(&world());
    for cached in ["", " -j cachevg"] {
        let faults = [
            ("installp -R", FaultKind::DiskFull, "0503-008"),
            ("umount /lpar1_alt", FaultKind::BusyUnmount, "0506-349"),
            ("-P1", FaultKind::Partial, "0505-187"),
            ("restore -xqf", FaultKind::Partial, "base operating system"),
        ];
        for (command, kind, said) in faults {
            let mut world = world();
            add_fault(&mut world, FaultSpec::once(kind, "nim1").on(command));
            let reply = run(&mut world, &format!("{DISK}{cached}"));
            assert_eq!(reply.status, 1, "{command}");
            assert!(reply.err.contains(said), "{command}: {}", reply.err);
            let told = "Cleaning up alt_disk_migration on client lpar1.";
            assert!(reply.out.contains(told), "{command}: {}", reply.out);
            assert_eq!(image(&world), untouched, "{command}{cached}");
            assert_eq!(attribute(&world, "Cstate_result").as_deref(), Some("failure"));
        }
    }
}

#[test]
fn leftovers_of_multibos_are_found_in_phase_11() {
    let mut estate = estate("7200-05-03-2148", "7300-02-01-2346");
    estate.client[0].multibos_hidden = true;
    let mut world = world_of(&estate);
    let untouched = image(&world);
    let reply = run(&mut world, DISK);
    assert_eq!(reply.status, 1);
    assert!(reply.err.contains("alt_disk_copy: 0505-218 ATTENTION"), "{}", reply.err);
    assert!(reply.err.ends_with("0505-187 nimadm: Error cloning altinst_rootvg on client.\n"));
    assert_eq!(image(&world), untouched);
}

#[test]
fn single_phases_that_fail_keep_all_where_the_estate_says_so() {
    for keeps in [false, true] {
        let mut estate = estate("7200-05-03-2148", "7300-02-01-2346");
        estate.master.nimadm_keeps = keeps;
        let mut world = world_of(&estate);
        must(&mut world, &format!("{DISK} -P1,2,3"));
        add_fault(&mut world, FaultSpec::once(FaultKind::DiskFull, "nim1").on("restore"));
        assert_eq!(run(&mut world, &format!("{DISK} -P5")).status, 1);
        let copy = world.at("lpar1").vgs.contains_key("altinst_rootvg");
        assert_eq!(copy, keeps);
        assert_eq!(attribute(&world, "locked"), None);
        must(&mut world, "nimadm -C -c lpar1 -s spot");
        assert_rests(&world, Expectation::untouched("lpar1"));
    }
}

#[test]
fn a_phase_without_the_one_before_it_fails() {
    for (phase, said) in [(2, "is not mounted on client"), (4, "is not mounted on the NIM master")]
    {
        let mut world = world();
        let reply = run(&mut world, &format!("{DISK} -a pre -P {phase}"));
        assert_eq!(reply.status, 1);
        assert!(reply.err.contains(said), "{}", reply.err);
    }
}

/// Starts a job of the line on the master.
fn start_job(world: &mut World, line: &str) {
    let script = Script::new([words(line)]);
    start(world, "nim1", "j1", &script, NOW, &mut Vec::new());
}

#[test]
fn a_job_takes_its_time_and_tells_how_far_it_is() {
    let mut world = world();
    start_job(&mut world, DISK);
    advance(&mut world, NOW + 600_000, &mut Vec::new());
    assert_eq!(world.at("nim1").jobs["j1"].stage, JobStage::Running);
    let pid = attribute(&world, "locked").expect("a lock");
    let ps = must_at(&mut world, "ps -eo pid,args", NOW + 600_000);
    let process = ps.lines().find(|line| line.contains("nimadm")).expect("a process");
    assert!(process.contains(&pid) && process.contains("-c lpar1"), "{ps}");
    let info = "lsnim -Z -a Cstate -a info -a Cstate_result lpar1";
    let said = must_at(&mut world, info, NOW + 600_000);
    assert!(said.contains("lpar1:alt_disk_mig operation is being performed:"), "{said}");
    let bytes = world.at("nim1").jobs["j1"].bytes();
    assert!(bytes > 0);

    // A second one finds the lock, and is none.
    let second = run(&mut world, DISK);
    assert_eq!((second.status, second.err.as_str()), (1, "nimadm: the object is locked: lpar1\n"));

    advance(&mut world, NOW + HOUR, &mut Vec::new());
    let later = must_at(&mut world, info, NOW + HOUR);
    assert_ne!(said, later);
    assert!(world.at("nim1").jobs["j1"].bytes() > bytes);

    advance(&mut world, NOW + 12 * HOUR, &mut Vec::new());
    let job = &world.at("nim1").jobs["j1"];
    assert_eq!((job.stage, job.outputs[0].status), (JobStage::Done, 0));
    assert_rests(&world, asleep());
}

#[test]
fn a_job_that_is_killed_leaves_its_lock_and_a_forced_clean_up_clears_all() {
    let mut world = world();
    let untouched = image(&world);
    start_job(&mut world, DISK);
    advance(&mut world, NOW + HOUR, &mut Vec::new());
    let master = world.at_mut("nim1");
    let job = std::sync::Arc::make_mut(master.jobs.get_mut("j1").unwrap());
    assert_eq!(job.stage, JobStage::Running);
    job.stage = JobStage::Lost;
    assert!(attribute(&world, "locked").is_some());
    assert!(!must(&mut world, "ps -eo pid,args").contains("nimadm"));
    assert_eq!(run(&mut world, "nimadm -C -c lpar1 -s spot").status, 1);
    must(&mut world, "nimadm -C -F -c lpar1 -s spot");
    assert_eq!(image(&world), untouched);
}
