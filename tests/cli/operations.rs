//! `cleanup`, `wake`, `sleep`, `sync` and single phases, by the real program.

use super::overnight::{sound, states};
use super::world::{World, plan};

const SCALE: [&str; 2] = ["--time-scale", "1000000"];

fn world() -> World {
    let world = World::in_memory();
    world.write("plan.toml", &plan(&["lpar1"]));
    let ran = world.run(&["lab", "up", "--plan", "plan.toml", SCALE[0], SCALE[1]]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    world
}

/// Runs the program, and gives what it said when it ended with `code`.
fn ran(world: &World, code: i32, args: &[&str]) -> String {
    let ran = world.run(args);
    assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
    format!("{}{}", ran.stdout, ran.stderr)
}

fn by_hand(world: &World, host: &str, line: &str) {
    let mut args = vec!["lab", "exec", host, "--"];
    args.extend(line.split_whitespace());
    ran(world, 0, &args);
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn cleanup_tells_item_by_item_what_was_done_and_what_was_clean() {
    let world = world();
    let before = ran(&world, 0, &["lab", "digest"]);
    by_hand(&world, "lpar1", "alt_disk_copy -d hdisk1");
    by_hand(&world, "lpar1", "mkdir -p /ALT_MIG_SPOT");
    ran(&world, 1, &["lab", "check"]);
    let said = ran(&world, 0, &["cleanup", "lpar1", "-s", "spot", "--force"]);
    says(
        &said,
        &[
            "cleanup: done",
            "jobs on the master: clean",
            "altinst_rootvg: lpar1# alt_rootvg_op -X altinst_rootvg",
            "bootlist: lpar1# bootlist -m normal hdisk0",
            "rmdir /ALT_MIG_SPOT",
        ],
    );
    sound(&world);
    assert_eq!(ran(&world, 0, &["lab", "digest"]), before);
    let again = ran(&world, 0, &["cleanup", "lpar1"]);
    says(&again, &["altinst_rootvg: clean", "mounts on the client: clean"]);
    let items = again.lines().filter(|line| line.starts_with("  "));
    assert!(
        items.clone().count() > 8 && items.clone().all(|item| item.ends_with(": clean")),
        "{again}"
    );
    // A finished cleanup is no migration: the plan begins.
    says(&ran(&world, 0, &["run", "plan.toml"]), &["1 client", "1 reboot pending"]);
    says(&ran(&world, 0, &["run", "plan.toml"]), &["migrated already"]);
    // A finished copy is not removed by a slip.
    let kept = ran(&world, 2, &["cleanup", "lpar1"]);
    says(&kept, &["`cleanup` removes the finished copy of lpar1", "`--yes` skips this question"]);
    assert_eq!(states(&world), [("lpar1".to_owned(), "reboot_pending".to_owned())]);
    ran(&world, 0, &["cleanup", "lpar1", "--yes"]);
    sound(&world);
    let said = ran(&world, 0, &["status"]);
    says(&said, &["cleaned", "cleanup: done", "1 cleaned"]);
    let since: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("lpar1 "))
        .filter_map(|line| line.split_whitespace().next_back())
        .collect();
    assert_eq!(since.len(), 2, "{said}");
    assert_eq!(since[0], since[1], "it has been cleaned since its cleanup: {said}");
    assert!(!said.contains("migrated"), "{said}");
    says(&ran(&world, 0, &["history", "lpar1", "--number", "2"]), &["left on the hosts: nothing"]);
    says(&ran(&world, 0, &["history", "lpar1"]), &["cleanup-copy"]);
    // What it has removed is made again.
    says(&ran(&world, 0, &["run", "plan.toml"]), &["1 reboot pending"]);
    sound(&world);
}

#[test]
fn alien_files_are_told_and_a_foreign_lease_is_left_unless_forced() {
    let world = world();
    by_hand(&world, "lpar1", "mkdir -p /alt_inst");
    by_hand(&world, "lpar1", "touch /alt_inst/todo");
    let said = ran(&world, 0, &["cleanup", "lpar1", "--plan", "plan.toml"]);
    says(&said, &["left alone: /alt_inst/todo on lpar1"]);
    by_hand(&world, "lpar1", "mkdir -p /var/adm/nimshift");
    by_hand(&world, "lpar1", "ln -s other.m1 /var/adm/nimshift/lease");
    let said = ran(&world, 3, &["cleanup", "lpar1"]);
    says(&said, &["other.m1 holds the lease", "--force", "rollback"]);
    ran(&world, 0, &["cleanup", "lpar1", "--force"]);
    sound(&world);
}

#[test]
fn operations_are_refused_for_what_is_in_flight_and_for_the_unknown() {
    let world = world();
    let text = plan(&["lpar1"]) + "[failure]\npolicy = \"hold\"\n";
    world.write("hold.toml", &text);
    ran(&world, 0, &["lab", "fault", "message-with-success", "--command=-P1", "--host", "lpar1"]);
    ran(&world, 4, &["run", "hold.toml"]);
    let said = ran(&world, 2, &["cleanup", "lpar1"]);
    says(&said, &["lpar1 is in flight", "nimshift rollback"]);
    says(&ran(&world, 2, &["wake", "lpar1"]), &["in flight"]);
    says(&ran(&world, 2, &["run", "plan.toml", "-P", "1-3"]), &["another plan"]);
    says(&ran(&world, 2, &["cleanup", "lpar9", "-s", "spot"]), &["no host lpar9"]);
    says(&ran(&world, 2, &["sync", "-s", "spot"]), &["lpp_source"]);
}

#[test]
fn a_script_that_nim_has_not_is_missed_before_the_copy_is_woken() {
    let world = world();
    by_hand(&world, "lpar1", "alt_disk_copy -B -d hdisk1");
    let before = ran(&world, 0, &["lab", "digest"]);
    let said = ran(&world, 3, &["wake", "lpar1", "-d", "hdisk1", "-z", "nosuch"]);
    says(&said, &["wake: refused", "the script nosuch is not defined in NIM", "`lsnim -t script`"]);
    assert!(!said.contains("newer"), "{}", said);
    assert_eq!(ran(&world, 0, &["lab", "digest"]), before);
    says(&ran(&world, 3, &["wake", "lpar1", "-z", "spot"]), &["spot is no script in NIM"]);
}

#[test]
fn wake_and_sleep_go_together() {
    let world = world();
    says(&ran(&world, 3, &["wake", "lpar1"]), &["neither altinst_rootvg nor"]);
    by_hand(&world, "lpar1", "alt_disk_copy -B -d hdisk1");
    says(
        &ran(&world, 0, &["wake", "lpar1", "-d", "hdisk1"]),
        &["wake: done", "nimshift sleep lpar1"],
    );
    let mounts = ran(&world, 0, &["lab", "exec", "nim1", "--", "mount"]);
    says(&mounts, &["/lpar1_alt/alt_inst/usr"]);
    let said = ran(&world, 0, &["sleep", "lpar1"]);
    says(&said, &["sleep: done"]);
    assert_eq!(said.lines().filter(|line| line.ends_with(" lpar1 sleep")).count(), 1, "{said}");
    sound(&world);
    ran(&world, 0, &["cleanup", "lpar1", "--force"]);
    sound(&world);
}

#[test]
fn a_copy_that_aix_would_not_wake_is_refused_before_anything_is_done() {
    let world = world();
    ran(&world, 0, &["run", "plan.toml"]);
    let entries = world.entries().len();
    let said = ran(&world, 2, &["wake", "lpar1"]);
    says(&said, &["0505-148", "lpar1: its copy is at 7300-02", "boot it first"]);
    assert_eq!(world.entries().len(), entries);
    // The old system is older than what runs then.
    ran(&world, 0, &["lab", "exec", "lpar1", "--", "shutdown", "-Fr"]);
    ran(&world, 0, &["wake", "lpar1"]);
    ran(&world, 0, &["sleep", "lpar1"]);
}

#[test]
fn sync_looks_and_levels() {
    let world = world();
    let said = ran(&world, 0, &["sync", "-s", "spot", "-l", "lpp", "-P"]);
    says(
        &said,
        &["sync: done", "  bos.alt_disk_install.rte is 7.3.2.1 on the master, 7.3.2.1 in the SPOT"],
    );
    says(&ran(&world, 0, &["sync", "-s", "spot", "-l", "lpp"]), &["master: clean", "spot: clean"]);
    says(&ran(&world, 3, &["sync", "-s", "lpp", "-l", "lpp"]), &["not of type spot"]);
    let missing = ran(&world, 3, &["sync", "-s", "NOSUCH", "-l", "lpp"]);
    says(&missing, &["NOSUCH is not defined in NIM", "`lsnim -t spot` lists what is"]);
}

/// A cleanup knows no SPOT, and a client is none.
#[test]
fn what_a_cleanup_names_is_no_spot() {
    let world = world();
    ran(&world, 0, &["cleanup", "lpar1"]);
    let unknown = "no SPOT is known here";
    says(&ran(&world, 2, &["sync"]), &[unknown]);
    ran(&world, 3, &["sync", "-s", "lpp", "-l", "lpp"]);
    ran(&world, 0, &["cleanup", "lpar1", "-s", "spot"]);
    says(&ran(&world, 2, &["sync"]), &[unknown]);
    says(&ran(&world, 0, &["status"]), &["cleanup: done"]);
    ran(&world, 0, &["sync", "-s", "spot", "-l", "lpp", "-P"]);
    says(&ran(&world, 0, &["sync"]), &["spot  sync: done"]);
    ran(&world, 0, &["run", "plan.toml"]);
    ran(&world, 0, &["cleanup", "lpar1", "--yes"]);
    says(&ran(&world, 0, &["sync", "-P"]), &["spot  sync: done"]);
}

#[test]
fn phases_are_run_one_by_one_as_far_as_the_hosts_stand() {
    let world = world();
    let said = ran(&world, 3, &["run", "plan.toml", "-P", "3"]);
    says(&said, &["phase 3 cannot be run", "no awake copy", "is not exported"]);
    sound(&world);
    let said = ran(&world, 0, &["run", "plan.toml", "-P", "1-3", "--client", "lpar1"]);
    says(&said, &["phases 1-3 done", "-P 4-12"]);
    let said = ran(&world, 0, &["status"]);
    says(&said, &["lpar1   phases 1-3 done", "\n1 phases 1-3 done"]);
    assert!(!said.contains("migrated"), "{said}");
    // What was refused has changed nothing; what stands is told all the same.
    let said = ran(&world, 3, &["run", "plan.toml", "-P", "8"]);
    says(&said, &["not at the target level", "left: the lease on the client", "altinst_rootvg"]);
    says(&ran(&world, 3, &["run", "plan.toml", "-P", "11"]), &["has no boot image"]);
    says(&ran(&world, 3, &["run", "plan.toml", "-P", "12"]), &["no sleeping copy"]);
    says(&ran(&world, 3, &["run", "plan.toml", "-P", "4,6"]), &["phase 5 is left out"]);
    says(&ran(&world, 2, &["run", "plan.toml", "-P", "8-4"]), &["backwards"]);
    says(&ran(&world, 0, &["run", "plan.toml", "-P", "4 5,6-8"]), &["phases 4-8 done"]);
    // The rest, whatever it is.
    says(
        &ran(&world, 0, &["run", "plan.toml"]),
        &["continues with phases 9-12", "1 reboot pending"],
    );
    sound(&world);
    assert_eq!(states(&world), [("lpar1".to_owned(), "reboot_pending".to_owned())]);
    says(&ran(&world, 0, &["run", "plan.toml"]), &["migrated already"]);
}

#[test]
fn a_part_is_taken_back_with_those_before_it() {
    let world = world();
    let before = ran(&world, 0, &["lab", "digest"]);
    ran(&world, 0, &["run", "plan.toml", "-P", "1-3"]);
    ran(&world, 0, &["run", "plan.toml", "-P", "4-6"]);
    ran(&world, 0, &["rollback", "lpar1"]);
    sound(&world);
    assert_eq!(ran(&world, 0, &["lab", "digest"]), before);
}

/// A plan with one migration, lpar90, from a mksysb to a mksysb.
fn mksysb_world() -> World {
    let world = World::in_memory();
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let read = |name: &str| std::fs::read_to_string(fixtures.join(name)).unwrap();
    std::fs::create_dir(world.path().join("estates")).unwrap();
    world.write("estates/mksysb.toml", &read("estates/mksysb.toml"));
    let all = read("mksysb-to-mksysb.toml");
    let mut parts = all.split("\n[[client]]");
    let (head, first) = (parts.next().unwrap(), parts.next().unwrap());
    let hold = "[failure]\npolicy = \"hold\"\n";
    world.write("plan.toml", &format!("{head}\n{hold}[[client]]{first}\n"));
    world
}

/// What preflight names for a SPOT that is behind does level it.
#[test]
fn a_spot_that_is_behind_is_leveled_by_what_is_printed() {
    let world = mksysb_world();
    let estate = world.path().join("estates/mksysb.toml");
    let text = std::fs::read_to_string(&estate).unwrap();
    let behind = "[[spot]]\nalt_disk_level = \"7300-01-01-2246\"\n";
    world.write("estates/mksysb.toml", &text.replacen("[[spot]]\n", behind, 1));
    ran(&world, 0, &["lab", "up", "--plan", "plan.toml", "--time-scale", "1000000"]);
    let told = world.run(&["preflight", "plan.toml"]);
    assert_eq!(told.code, 3, "{}{}", told.stdout, told.stderr);
    let hint = "`nimshift sync -s SPOT -l LPP_SOURCE` levels them";
    assert!(told.stdout.contains(hint), "{}", told.stdout);
    let look = ["sync", "-s", "spot_7300_02", "-l", "lpp_7300_02", "-P"];
    let told = world.run(&look);
    assert!(told.stdout.contains("the same without `--preview` levels them"), "{}", told.stdout);
    ran(&world, 0, &look[..5]);
    ran(&world, 0, &["preflight", "plan.toml"]);
}

/// The image of a client says nothing of the client.
#[test]
fn a_client_whose_image_alone_was_made_is_migrated_by_a_plan_for_its_disks() {
    let world = mksysb_world();
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let plan = std::fs::read_to_string(fixtures.join("client-to-mksysb.toml")).unwrap();
    world.write("image.toml", &plan);
    ran(&world, 0, &["lab", "up", "--plan", "image.toml", "--time-scale", "1000000"]);
    let made = ran(&world, 0, &["run", "image.toml", "--client", "lpar01"]);
    assert!(made.contains("1 client in") && made.contains(": 1 mksysb made"), "{made}");
    let disk = plan
        .replace("client-to-mksysb", "disk")
        .replace("cache_vg", "disks = [\"hdisk1\"]\ncache_vg");
    let head = disk.split("[[client]]").next().unwrap();
    world.write("disk.toml", &format!("{head}[[client]]\nname = \"lpar01\"\n"));
    let told = ran(&world, 0, &["run", "disk.toml"]);
    assert!(told.contains("lpar01: mksysb made; a new migration starts"), "{told}");
    assert!(told.contains(": 1 reboot pending"), "{told}");
    let bootlist =
        ran(&world, 0, &["lab", "exec", "lpar01", "--", "bootlist", "-m", "normal", "-o"]);
    assert!(bootlist.starts_with("hdisk1"), "{bootlist}");
    // What is there already is not made again.
    let told = ran(&world, 0, &["run", "disk.toml"]);
    assert!(told.contains("lpar01: migrated already, reboot pending"), "{told}");
    let refused = world.run(&["retry", "lpar01"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("`retry` does not apply: lpar01 is reboot pending"),
        "{}",
        refused.stderr
    );
}

/// An archive that was cut off has another name than the mksysb.
#[test]
fn a_half_written_mksysb_is_told_by_its_name_and_cleaned_up_after_an_abandon() {
    let world = mksysb_world();
    ran(&world, 0, &["lab", "up", "--plan", "plan.toml", SCALE[0], SCALE[1]]);
    ran(&world, 0, &["lab", "fault", "disk-full", "--command", "backup", "--times", "0"]);
    let half = "/export/nim/mksysb/lpar90_7300.nimshift";
    says(&ran(&world, 4, &["run", "plan.toml"]), &[&format!("{half}, the mksysb, in part")]);
    by_hand(&world, "nim1", &format!("ls {half}"));
    ran(&world, 0, &["lab", "fault", "--clear"]);
    ran(&world, 0, &["abandon", "lpar90"]);
    let told = ran(&world, 0, &["history", "lpar90"]);
    says(
        &told,
        &[
            &format!("{half}, the mksysb, in part"),
            "`nimshift cleanup lpar90` removes what is left",
        ],
    );
    let rm = format!("nim1# rm -f {half}");
    says(&ran(&world, 0, &["cleanup", "lpar90"]), &[&rm]);
    assert_ne!(world.run(&["lab", "exec", "nim1", "--", "ls", half]).code, 0, "it is gone");
    says(&ran(&world, 0, &["cleanup", "lpar90"]), &["work directory on the master: clean"]);
    says(&ran(&world, 0, &["retry", "lpar90"]), &["1 mksysb made"]);
    // A whole one is nobody's to clean up.
    ran(&world, 0, &["cleanup", "lpar90"]);
    by_hand(&world, "nim1", "ls /export/nim/mksysb/lpar90_7300");
}

#[test]
fn a_mksysb_is_told_as_its_master_has_it() {
    let world = mksysb_world();
    ran(&world, 0, &["run", "plan.toml", SCALE[0], SCALE[1]]);
    let there = "left on the hosts: the mksysb lpar90_7300 (/export/nim/mksysb/lpar90_7300)";
    let install = "next: install from the mksysb";
    says(&ran(&world, 0, &["history", "lpar90"]), &[there, install]);
    ran(&world, 0, &["lab", "fault", "unreachable", "--host", "nim1", "--times", "0"]);
    says(
        &ran(&world, 0, &["history", "lpar90"]),
        &["left on the hosts: last seen at 20", ", not asked since: the mksysb lpar90_7300"],
    );
    ran(&world, 0, &["lab", "fault", "--clear"]);
    by_hand(&world, "nim1", "rm /export/nim/mksysb/lpar90_7300");
    let object = "left on the hosts: the NIM object lpar90_7300, whose file is gone";
    let anew = "next: what was made is gone: `nimshift rollback lpar90`";
    says(&ran(&world, 0, &["history", "lpar90"]), &[object, anew]);
    by_hand(&world, "nim1", "nim -o remove lpar90_7300");
    says(&ran(&world, 0, &["history", "lpar90"]), &["left on the hosts: nothing", anew]);
    ran(&world, 0, &["rollback", "lpar90", "--yes"]);
    says(&ran(&world, 0, &["retry", "lpar90"]), &["1 mksysb made"]);
    says(&ran(&world, 0, &["history", "lpar90"]), &[there, install]);
    // What is finished is not removed unasked.
    let asked = "`rollback` removes 1 finished mksysb: /export/nim/mksysb/lpar90_7300 (lpar90)";
    says(&ran(&world, 2, &["rollback", "lpar90"]), &[asked, "`--yes` skips this question"]);
    says(&ran(&world, 0, &["history", "lpar90"]), &[there, install]);
    ran(&world, 0, &["rollback", "lpar90", "--yes"]);
    says(&ran(&world, 0, &["history", "lpar90"]), &["left on the hosts: nothing"]);
}
