//! What is told of a copy is what stands: after operations, after boots by hand,
//! and after a migration that was refused for the copy of the one before.

use super::world::{World, plan};

/// What is done to the client.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// `nimshift …`, which ends with this code.
    Does(i32, &'static str),
    /// Commands of the client's administrator.
    ByHand(&'static str),
}

use Act::{ByHand, Does};

const BOOT_COPY: [Act; 2] = [ByHand("bootlist -m normal hdisk1"), ByHand("shutdown -Fr")];
const BOOT_OLD: Act = ByHand("bootlist -m normal hdisk0; shutdown -Fr");
const CLEANUP: Act = Does(0, "cleanup lpar1 --yes");
const SLEEP: Act = Does(0, "sleep lpar1");
const RUN: Act = Does(0, "run plan.toml --no-progress");

struct Scene {
    world: World,
    acts: Vec<Act>,
}

impl Scene {
    fn new(defaults: &str, failure: &str) -> Scene {
        let world = World::in_memory();
        let more = format!("{defaults}[failure]\n{failure}[[client]]");
        world.write("plan.toml", &plan(&["lpar1"]).replace("[[client]]", &more));
        let scene = Scene { world, acts: Vec::new() };
        scene.ran(0, "lab up --plan plan.toml --time-scale 1000000");
        scene
    }

    /// One whose client has a disk that no plan names.
    fn with_disks(defaults: &str) -> Scene {
        let scene = Scene::new(defaults, "");
        let disk = ["lab", "disk", "lpar1", "hdisk2", "--size-mb", "40960"];
        assert_eq!(scene.world.run(&disk).code, 0);
        scene
    }

    /// One whose night has failed in phase 8, with a copy that is kept.
    fn failed(copy: &str) -> Scene {
        let mut scene = Scene::new("", &format!("copy = \"{copy}\"\n"));
        let fault = ["lab", "fault", "disk-full", "--times", "0", "--command", "dd if="];
        assert_eq!(scene.world.run(&fault).code, 0);
        scene.act(Does(3, "run plan.toml --no-progress"));
        scene.ran(0, "lab fault --clear");
        scene
    }

    fn ran(&self, code: i32, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = self.world.run(&words);
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, code, "{:?}: `{line}`: {text}", self.acts);
        text
    }

    /// Does it, and holds all that is told against the estate.
    fn act(&mut self, act: Act) -> String {
        self.acts.push(act);
        let said = match act {
            Does(code, line) => self.ran(code, line),
            ByHand(lines) => lines
                .split("; ")
                .map(|line| self.ran(0, &format!("lab exec lpar1 -- {line}")))
                .collect(),
        };
        let row = self.row();
        // Back to the migration that has made what stands: those before it have none.
        let of_client = self.story("history lpar1 --json")["number"].as_u64().unwrap();
        for number in (1..=of_client).rev() {
            let line = format!("history lpar1 --number {number}");
            self.is_true(&self.ran(0, &line), &row);
            let told = self.story(&format!("{line} --json"));
            if told["operation"].is_null() && told["state"] != "refused" {
                break;
            }
        }
        if matches!(act, Does(..)) && said.contains(" left: ") {
            self.is_true(&said, &row);
        }
        if !told_as_unfinished(&self.ran(0, "status")) {
            self.ran(0, "lab check");
        }
        said
    }

    /// What a history says of its migration, as a document.
    fn story(&self, line: &str) -> serde_json::Value {
        let mut whole: serde_json::Value = serde_json::from_str(&self.ran(0, line)).unwrap();
        whole["migration"].take()
    }

    /// What stands, by the estate.
    fn row(&self) -> String {
        let shown = self.ran(0, "lab show");
        shown.lines().find(|line| line.starts_with("lpar1 ")).unwrap().to_owned()
    }

    fn is_true(&self, told: &str, row: &str) {
        let left = told.lines().rfind(|line| line.contains("left"));
        let left = left.unwrap_or_else(|| panic!("{:?}: {told}", self.acts));
        let claims = [
            ("altinst_rootvg on hdisk1", row.contains("hdisk1:altinst_rootvg")),
            ("from hdisk1", row.contains("hdisk1:rootvg")),
            ("old_rootvg", row.contains("old_rootvg")),
        ];
        for (claim, is_so) in claims {
            let what = format!("{:?}: `{claim}` is {is_so}:\n{row}\n{left}", self.acts);
            assert_eq!(left.contains(claim), is_so, "{what}");
            assert!(left.matches("bootlist").count() < 2, "{what}");
        }
        assert!(!left.contains("if it was made"), "{:?}: {told}", self.acts);
    }

    fn state(&self) -> String {
        let ran = self.world.run(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        status["migrations"][0]["state"].as_str().unwrap().to_owned()
    }
}

/// What has not ended is not held to anything.
fn told_as_unfinished(status: &str) -> bool {
    status.contains("undo stuck")
}

#[test]
fn a_copy_that_is_kept_is_told_until_it_is_taken_away() {
    for copy in ["sleep", "wake"] {
        let mut scene = Scene::failed(copy);
        for act in [SLEEP, CLEANUP, CLEANUP] {
            scene.act(act);
        }
        let mut scene = Scene::failed(copy);
        // The copy of the night before is in the way: nimshift's own order removes it.
        let said = scene.act(Does(3, "retry lpar1"));
        assert!(said.contains("`nimshift cleanup lpar1` removes it"), "{said}");
        for act in [CLEANUP, Does(0, "retry lpar1"), CLEANUP] {
            scene.act(act);
        }
        // What was cleaned up is begun by the plan, too.
        let mut scene = Scene::failed(copy);
        for act in [CLEANUP, RUN] {
            scene.act(act);
        }
        assert!(scene.row().contains("hdisk1:altinst_rootvg"), "{}", scene.row());
    }
}

#[test]
fn nothing_of_ours_is_left_in_a_copy_that_is_kept() {
    let scene = Scene::failed("wake");
    let found = scene.ran(0, "lab exec lpar1 -- ls /alt_inst/tmp");
    assert!(!found.contains("nimshift"), "{found}");
    // What a night of before has left there goes with the sleep.
    scene.ran(0, "lab exec lpar1 -- touch /alt_inst/tmp/nimshift-boot");
    scene.ran(0, "sleep lpar1");
    scene.ran(0, "lab check");
}

#[test]
fn who_boots_by_hand_is_told_to_run_what_runs() {
    for defaults in ["bootlist = \"keep\"\n", ""] {
        let mut scene = Scene::new(defaults, "");
        scene.act(RUN);
        for act in BOOT_COPY {
            scene.act(act);
        }
        // It took nothing away.
        scene.act(CLEANUP);
        assert_eq!(scene.state(), "migrated");
        let said = scene.act(RUN);
        assert!(said.contains("migrated already, runs the migrated system"), "{said}");
        scene.act(BOOT_OLD);
        let said = scene.ran(0, "status --ask");
        assert!(said.contains("1 copy ready"), "{said}");
        scene.act(CLEANUP);
        assert_eq!(scene.state(), "cleaned");
        // It is no copy of the night that is begun anew.
        scene.act(RUN);
    }
}

#[test]
fn who_boots_the_old_disk_again_has_a_copy() {
    let mut scene = Scene::new("reboot = true\n", "");
    scene.act(RUN);
    assert_eq!(scene.state(), "migrated");
    scene.act(BOOT_OLD);
    let said = scene.ran(0, "status --ask");
    assert!(said.contains("1 copy ready"), "{said}");
    for act in BOOT_COPY {
        scene.act(act);
    }
    let said = scene.ran(0, "status --ask");
    assert!(said.contains("1 migrated"), "{said}");
    scene.act(BOOT_OLD);
    scene.act(CLEANUP);
    assert_eq!(scene.state(), "cleaned");
}

/// Woken and put to sleep, the old system has the name of a copy.
#[test]
fn the_old_system_is_told_for_what_it_is_after_a_wake() {
    let scene = Scene::new("reboot = true\n", "");
    scene.ran(0, "run plan.toml --no-progress");
    for (order, how) in [("wake lpar1", "awake at /alt_inst"), ("sleep lpar1", "asleep")] {
        scene.ran(0, order);
        let left = |line: &str| {
            let told = scene.ran(0, line);
            told.lines().rfind(|line| line.contains("left on the hosts")).unwrap().to_owned()
        };
        let first = left("history lpar1 --number 1");
        assert!(first.contains("from hdisk1; the old system on hdisk0"), "{order}: {first}");
        for told in [first, left("history lpar1 --number 2"), left("history lpar1")] {
            assert!(told.contains("hdisk0") && told.contains(how), "{order}: {told}");
            assert_eq!(told.contains("awake"), how != "asleep", "{order}: {told}");
        }
    }
    // It is the only way back: a cleanup leaves it, until it is told to take it.
    let said = scene.ran(3, "cleanup lpar1");
    assert!(said.contains("hdisk0 is what lpar1 ran before it was migrated"), "{said}");
    let volumes = || scene.ran(0, "lab exec lpar1 -- lspv");
    assert!(volumes().contains("altinst_rootvg"), "{}", volumes());
    scene.ran(0, "lab exec lpar1 -- alt_rootvg_op -v old_rootvg -d hdisk0");
    scene.ran(0, "cleanup lpar1 --yes");
    assert!(volumes().contains("old_rootvg"), "{}", volumes());
}

#[test]
fn a_rollback_from_within_the_copy_tells_that_the_client_runs_it() {
    let mut scene = Scene::new("", "");
    scene.act(RUN);
    scene.act(ByHand("shutdown -Fr"));
    scene.act(Does(4, "rollback lpar1"));
    scene.act(Does(0, "abandon lpar1"));
}

/// The old system is removed when nothing is missing, as is printed: then there is
/// no way back, and nothing is tried.
#[test]
fn a_rollback_without_an_old_system_changes_nothing_and_says_so() {
    for (defaults, by_hand) in [("reboot = true\n", ""), ("", "shutdown -Fr")] {
        let scene = Scene::new(defaults, "");
        let of_aix = |line: &str| scene.ran(0, &format!("lab exec lpar1 -- {line}"));
        scene.ran(0, "run plan.toml --no-progress");
        if !by_hand.is_empty() {
            of_aix(by_hand);
        }
        of_aix("alt_rootvg_op -X old_rootvg");
        let before = scene.ran(0, "lab digest");
        for order in ["rollback lpar1 --yes", "retry lpar1", "rollback lpar1 --yes"] {
            let said = scene.ran(4, &format!("{order} --no-progress"));
            assert!(
                said.contains("the old system of lpar1 is gone: there is no way back"),
                "{said}"
            );
            assert!(said.contains("`nimshift abandon lpar1` keeps the migrated"), "{said}");
            assert!(!said.contains("bootlist") && !said.contains("was told"), "{said}");
            assert_eq!(scene.ran(0, "lab digest"), before, "{defaults}: {order}");
        }
        // What is told of it goes back to nothing, whether the client answers or not.
        let told = scene.ran(0, "abandon lpar1");
        scene.ran(0, "lab fault unreachable --host lpar1 --times 0");
        for told in [told, scene.ran(0, "history lpar1")] {
            assert!(told.contains("next: use lpar1 as it is"), "{told}");
            let next = told.lines().find(|line| line.contains("next: ")).unwrap();
            assert!(!next.contains("retry"), "{told}");
        }
    }
}

/// The lease stays with what is given up: it is told, and what takes it away does.
#[test]
fn what_is_given_up_tells_of_its_lease_and_of_what_takes_it_away() {
    let scene = Scene::new("", "policy = \"hold\"\n");
    let fault = ["lab", "fault", "disk-full", "--times", "0", "--command", "bosboot"];
    assert_eq!(scene.world.run(&fault).code, 0);
    scene.ran(4, "run plan.toml --no-progress");
    scene.ran(0, "lab fault --clear");
    let lease =
        || scene.world.run(&["lab", "exec", "lpar1", "--", "ls", "/var/adm/nimshift/lease"]);
    let said = scene.ran(0, "abandon lpar1");
    assert_eq!(lease().code, 0, "the hosts stay as they are");
    let left = said.lines().find(|line| line.contains("left: ")).unwrap();
    assert!(left.contains("the lease on the client"), "{said}");
    assert!(said.contains("next: `nimshift cleanup lpar1` removes what is left"), "{said}");
    scene.ran(0, "cleanup lpar1 --yes");
    assert_ne!(lease().code, 0, "the lease is taken away");
}

/// What a cleanup has seen is known: then nothing is begun to be taken back.
#[test]
fn a_rollback_to_an_old_system_that_is_known_to_be_gone_is_refused() {
    for (defaults, by_hand) in [("reboot = true\n", ""), ("", "shutdown -Fr")] {
        let mut scene = Scene::new(defaults, "");
        scene.act(RUN);
        if !by_hand.is_empty() {
            scene.act(ByHand(by_hand));
        }
        scene.ran(0, "lab exec lpar1 -- alt_rootvg_op -X old_rootvg");
        scene.ran(0, "cleanup lpar1 --yes");
        let (digest, entries) = (scene.ran(0, "lab digest"), scene.world.entries().len());
        let said = scene.ran(2, "rollback lpar1 --yes");
        assert!(said.contains("its old system is gone: there is no way back"), "{said}");
        assert_eq!(scene.ran(0, "lab digest"), digest, "{defaults}");
        assert_eq!(scene.world.entries().len(), entries, "{defaults}");
    }
}

/// Before a client is rebooted back its bootlist is set; where that fails, it was not
/// told to reboot, and is not waited for.
#[test]
fn a_bootlist_that_fails_is_told_and_no_reboot_is_waited_for() {
    let scene = Scene::new("reboot = true\n", "reboot_timeout = \"3h\"\n");
    scene.ran(0, "run plan.toml --no-progress");
    let booted = || scene.ran(0, "lab exec lpar1 -- who -b");
    let before = booted();
    let fault =
        ["lab", "fault", "disk-full", "--times", "0", "--command", "bootlist -m normal hdisk0"];
    assert_eq!(scene.world.run(&fault).code, 0);
    scene.ran(4, "rollback lpar1 --yes --no-progress");
    let told = scene.ran(0, "history lpar1");
    assert!(told.contains("bootlist -m normal hdisk0") && !told.contains("was told to"), "{told}");
    assert_eq!(booted(), before);
    scene.ran(0, "lab fault --clear");
    let said = scene.ran(0, "retry lpar1 --no-progress");
    assert!(said.contains("1 rolled back"), "{said}");
    assert_ne!(booted(), before);
}

#[test]
fn a_copy_that_is_booted_before_the_end_is_no_copy_that_waits() {
    let scene = Scene::new("", "");
    let fault = ["lab", "fault", "reboot", "--host", "lpar1", "--command", "umount /ALT_MIG_SPOT"];
    assert_eq!(scene.world.run(&fault).code, 0);
    // What lies on the old disk, out of reach, is told: it is no clean end.
    let said = scene.ran(0, "run plan.toml --no-progress");
    scene.is_true(&scene.ran(0, "history lpar1"), &scene.row());
    scene.is_true(&said, &scene.row());
    assert!(!said.contains("reboot pending") && said.contains("1 migrated"), "{said}");
    assert_eq!(scene.state(), "migrated");
}

/// The journal knows nothing of what people do to a copy by hand: the client is asked
/// before a plan leaves it alone, or does not.
#[test]
fn a_plan_is_sorted_by_what_stands_on_the_clients() {
    for defaults in ["bootlist = \"keep\"\n", ""] {
        let mut scene = Scene::new(defaults, "");
        scene.act(RUN);
        let digest = scene.ran(0, "lab digest");
        let said = scene.act(RUN);
        assert!(said.contains("lpar1: migrated already, "), "{said}");
        assert_eq!(scene.ran(0, "lab digest"), digest, "nothing was begun");
        scene.ran(0, "lab exec lpar1 -- alt_rootvg_op -X altinst_rootvg");
        assert!(scene.ran(0, "preflight plan.toml").contains("1 fine"));
        let said = scene.act(RUN);
        assert!(said.contains("its copy is gone: it is migrated again"), "{said}");
        assert!(scene.row().contains("hdisk1:altinst_rootvg"), "{said}");
        // What the first has made is told as gone, and what it did is not lost.
        let first = scene.ran(0, "history lpar1 --number 1");
        assert!(first.contains("left on the hosts: nothing"), "{first}");
        assert!(first.contains("clone-rootvg"), "{first}");
        assert_eq!(scene.story("history lpar1 --json")["number"], 2);
        // Booted by hand: it runs what it was migrated to, and is left alone.
        for act in BOOT_COPY {
            scene.act(act);
        }
        let digest = scene.ran(0, "lab digest");
        for line in ["run plan.toml --no-progress", "preflight plan.toml"] {
            let said = scene.ran(0, line);
            assert!(said.contains("migrated already, runs the migrated system"), "{said}");
        }
        assert_eq!(scene.ran(0, "lab digest"), digest, "nothing was begun");
        assert_eq!(scene.story("history lpar1 --json")["number"], 2);
    }
}

/// Who does not answer is sorted by the journal, and that is said.
#[test]
fn a_client_that_gives_no_answer_is_sorted_by_the_journal() {
    let mut scene = Scene::new("", "");
    scene.act(RUN);
    scene.ran(0, "lab exec lpar1 -- alt_rootvg_op -X altinst_rootvg");
    scene.ran(0, "lab fault unreachable --host lpar1 --times 0");
    let said = scene.ran(0, "run plan.toml --no-progress");
    assert!(said.contains("reboot pending (as last seen: it gave no answer)"), "{said}");
    assert!(said.contains("left: last seen at "), "{said}");
    scene.ran(0, "lab fault --clear");
    scene.act(RUN);
    assert!(scene.row().contains("hdisk1:altinst_rootvg"));
}

#[test]
fn what_others_have_made_in_place_of_a_copy_is_not_ours() {
    let mut scene = Scene::new("", "");
    scene.act(RUN);
    for line in ["alt_rootvg_op -X altinst_rootvg", "alt_disk_copy -d hdisk1"] {
        scene.ran(0, &format!("lab exec lpar1 -- {line}"));
    }
    let theirs = || scene.row().contains("hdisk1:altinst_rootvg");
    let told = scene.ran(0, "history lpar1");
    assert!(
        !told.lines().any(|line| line.contains("left on") && line.contains("altinst_rootvg")),
        "{told}"
    );
    assert!(scene.ran(0, "status --ask").contains("cleaned"));
    // It stands in the way of the next migration, which is refused for it.
    let said = scene.ran(3, "run plan.toml --no-progress");
    assert!(said.contains("1 refused") && theirs(), "{said}");
    let said = scene.ran(0, "cleanup lpar1 --yes");
    assert!(
        said.contains("left alone: altinst_rootvg on hdisk1, which no migration here has made"),
        "{said}"
    );
    assert!(theirs());
    scene.ran(0, "cleanup lpar1 --force");
    assert!(!theirs());
}

#[test]
fn a_rollback_boots_no_system_of_others_and_removes_none_for_it() {
    let (gone, clone) = ("alt_rootvg_op -X old_rootvg", "alt_disk_copy -d hdisk0");
    let by_us: [&[&str]; 2] = [&[gone], &[gone, clone, "bootlist -m normal hdisk1"]];
    let by_hand: [&[&str]; 2] =
        [&["shutdown -Fr", gone], &["shutdown -Fr", gone, clone, "shutdown -Fr"]];
    for (defaults, lines) in by_us
        .map(|lines| ("reboot = true\n", lines))
        .into_iter()
        .chain(by_hand.map(|lines| ("", lines)))
    {
        let scene = Scene::new(defaults, "");
        scene.ran(0, "run plan.toml --no-progress");
        for line in lines {
            scene.ran(0, &format!("lab exec lpar1 -- {line}"));
        }
        let before = scene.row();
        let said = scene.ran(4, "rollback lpar1 --yes");
        assert_eq!(scene.row(), before, "{lines:?}: {said}");
        assert!(said.contains("the old system of lpar1 is gone"), "{lines:?}: {said}");
        scene.ran(0, "abandon lpar1");
        assert_eq!(scene.row(), before, "{lines:?}");
    }
}

/// Part of a migration, of which the rest has nothing to do any more.
#[test]
fn what_a_skipped_part_finds_is_of_the_parts_before() {
    let mut scene = Scene::new("", "");
    scene.act(Does(0, "run plan.toml -P 1-11 --no-progress"));
    scene.act(ByHand("shutdown -Fr"));
    scene.act(RUN);
}

/// The volume groups of lpar1, each by its id, and its bootlist.
fn estate(world: &World) -> Vec<String> {
    let of_aix = |line: &str| {
        let words: Vec<&str> =
            ["lab", "exec", "lpar1", "--"].into_iter().chain(line.split(' ')).collect();
        world.run(&words).stdout
    };
    let lspv = of_aix("lspv");
    let group = |row: &str| {
        let disk = row.split_whitespace().next().unwrap().to_owned();
        format!("{row} {}", of_aix(&format!("getlvodm -j {disk}")))
    };
    lspv.lines().map(group).chain([of_aix("bootlist -m normal -o")]).collect()
}

/// Without `--force` a cleanup takes away what this journal has made, and nothing else:
/// on whatever disk the other stands, and whatever the journal has of the client.
#[test]
fn a_cleanup_removes_no_system_that_was_not_made_here() {
    let archive = "journal archive --keep-days 0";
    let scenes: [(&str, &str, &[&str], i32); 7] = [
        ("in no plan", "", &["exec alt_disk_copy -B -d hdisk2"], 0),
        ("booted next", "", &["exec alt_disk_copy -d hdisk2"], 0),
        ("awake", "", &["exec alt_disk_copy -B -d hdisk2", "exec alt_rootvg_op -W -d hdisk2"], 3),
        (
            "on another disk",
            "",
            &[
                "run plan.toml --no-progress",
                "exec alt_rootvg_op -X altinst_rootvg",
                "exec alt_disk_copy -d hdisk2",
            ],
            0,
        ),
        (
            "the run was refused for it",
            "",
            &["exec alt_disk_copy -B -d hdisk1", "! run plan.toml --no-progress"],
            0,
        ),
        (
            "refused after one of ours",
            "",
            &[
                "run plan.toml --no-progress",
                "exec alt_rootvg_op -X altinst_rootvg",
                "exec alt_disk_copy -d hdisk1",
                "! run plan.toml --no-progress",
            ],
            0,
        ),
        (
            "the old system, and its migration is in the archive",
            "reboot = true\n",
            &[
                "run plan.toml --no-progress",
                archive,
                "wake lpar1 -s spot",
                archive,
                "sleep lpar1",
                archive,
            ],
            3,
        ),
    ];
    for (what, defaults, lines, code) in scenes {
        let scene = Scene::with_disks(defaults);
        for line in lines {
            match (line.strip_prefix("exec "), line.strip_prefix("! ")) {
                (Some(line), _) => scene.ran(0, &format!("lab exec lpar1 -- {line}")),
                (_, Some(line)) => scene.ran(3, line),
                _ => scene.ran(0, line),
            };
        }
        let before = estate(&scene.world);
        let said = scene.ran(code, "cleanup lpar1 -s spot");
        assert_eq!(estate(&scene.world), before, "{what}: {said}");
        assert!(
            said.contains("altinst_rootvg on hdisk") && said.contains("--force"),
            "{what}: {said}"
        );
        let told = scene.ran(0, "history lpar1");
        assert!(code == 0 || !told.contains("left on the hosts: nothing"), "{what}: {told}");
        scene.ran(0, "cleanup lpar1 -s spot --force");
        assert!(!estate(&scene.world).concat().contains("altinst_rootvg"), "{what}");
    }
}

/// What was made here is known by its id when its migration is in the archive, too.
#[test]
fn a_cleanup_removes_what_was_made_here_though_it_is_archived() {
    let scene = Scene::failed("sleep");
    scene.ran(0, "journal archive --keep-days 0");
    assert!(scene.row().contains("hdisk1:altinst_rootvg"));
    scene.ran(0, "cleanup lpar1 --yes");
    assert!(!scene.row().contains("altinst_rootvg"), "{}", scene.row());
}

/// Another state directory has made the client ready for its window.
#[test]
fn a_cleanup_leaves_what_another_state_directory_has_made() {
    let scene = Scene::new("", "");
    scene.ran(0, "run plan.toml --no-progress");
    let before = estate(&scene.world);
    for entry in std::fs::read_dir(scene.world.state()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let said = scene.ran(0, "cleanup lpar1 -s spot");
    assert_eq!(estate(&scene.world), before, "{said}");
    assert!(said.contains("which no migration here has made"), "{said}");
}

/// It has changed nothing: what stands is told beside it, and is what orders reach.
#[test]
fn a_migration_that_was_refused_does_not_hide_the_one_before_it() {
    let scene = Scene::new("", "");
    scene.ran(0, "run plan.toml --no-progress");
    let higher = plan(&["lpar1"]).replace("small", "higher").replace("7300-02", "7300-03");
    scene.world.write("higher.toml", &higher);
    let digest = scene.ran(0, "lab digest");
    scene.ran(3, "run higher.toml --no-progress");
    let said = scene.ran(0, "status");
    assert!(said.contains("1 reboot pending, 1 refused"), "{said}");
    let said = scene.ran(0, "run plan.toml --no-progress");
    assert!(said.contains("lpar1: migrated already, reboot pending"), "{said}");
    assert!(said.contains("1 reboot pending") && !said.contains("refused"), "{said}");
    assert!(scene.ran(0, "preflight plan.toml").contains("migrated already, reboot pending"));
    assert_eq!(scene.ran(0, "lab digest"), digest);
    scene.ran(0, "lab check");
    let said = scene.ran(0, "rollback lpar1 --yes");
    assert!(said.contains("1 rolled back"), "{said}");
    assert!(!scene.row().contains("altinst_rootvg"), "{}", scene.row());
}

/// What a person has done as the program says is nothing that a night has left.
#[test]
fn a_check_of_the_lab_knows_what_people_have_removed_or_put_to_sleep() {
    let (old, copy) = ("exec alt_rootvg_op -X old_rootvg", "exec alt_rootvg_op -X altinst_rootvg");
    let scenes: [(&str, &[&str]); 3] = [
        ("", &[copy]),
        ("reboot = true\n", &[old]),
        ("reboot = true\n", &[old, "! rollback lpar1 --yes", "abandon lpar1"]),
    ];
    for (defaults, lines) in scenes {
        let scene = Scene::new(defaults, "");
        scene.ran(0, "run plan.toml --no-progress");
        for line in lines {
            match (line.strip_prefix("exec "), line.strip_prefix("! ")) {
                (Some(line), _) => scene.ran(0, &format!("lab exec lpar1 -- {line}")),
                (_, Some(line)) => scene.ran(4, line),
                _ => scene.ran(0, line),
            };
        }
        scene.ran(0, "lab check");
    }
    let scene = Scene::new("", "policy = \"hold\"\n");
    let fault = ["lab", "fault", "disk-full", "--times", "0", "--command", "bosboot"];
    assert_eq!(scene.world.run(&fault).code, 0);
    scene.ran(4, "run plan.toml --no-progress");
    scene.ran(0, "lab fault --clear");
    for line in ["sleep lpar1", "rollback lpar1", "lab check"] {
        scene.ran(0, line);
    }
}
