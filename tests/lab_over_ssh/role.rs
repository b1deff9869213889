//! IBM's role for Ansible beside nimshift, by the command lines that it sends: to the
//! master by ssh, and through the master's `c_rsh` to the client. Whoever comes second
//! refuses, and nobody's finished copy is touched.

use nimshift::lab::Lab;
use serde_json::{Value, json};

use super::world::{World, ended, until};

/// Seconds of the lab in a real one.
const SCALE: &str = "1500";

/// The phases, and what is under way in them.
const PHASES: [(u8, &str); 5] = [
    (1, "alt_disk_copy -M 7.3 -P1 "),
    (3, "03-mount-filesystems."),
    (6, "06-install-filesets."),
    (9, "09-unmount-filesystems."),
    (11, "11-finish-clone."),
];

const NIMADM: &str = "nimadm -c lpar01 -l lpp -s spot -Y -d 'hdisk1'";

fn up() -> Option<World> {
    World::up_with("auto", &["--time-scale", SCALE])
}

fn on_client(world: &World, line: &str) -> (i32, String) {
    world.ssh("nim1", &format!("/usr/lpp/bos.sysmgt/nim/methods/c_rsh lpar01 '{line}'"))
}

/// What the role does with `force` before its nimadm.
fn force(world: &World) {
    let (_, disks) = on_client(world, "/usr/sbin/lspv");
    let row = disks.lines().find(|line| line.starts_with("hdisk1 ")).expect("the target disk");
    match row.split_whitespace().nth(2) {
        None | Some("None") => {}
        Some(vg @ ("altinst_rootvg" | "old_rootvg")) => {
            on_client(world, &format!("/usr/sbin/alt_rootvg_op -X {vg}"));
        }
        Some(vg) => {
            on_client(world, &format!("/usr/sbin/reducevg -df {vg} hdisk1"));
        }
    }
    on_client(world, "/usr/sbin/chpv -C hdisk1");
    world.ssh("nim1", "nim -Fo reset lpar01");
}

fn image(world: &World) -> Value {
    Lab::open(&world.lab()).unwrap().image().unwrap()
}

/// The copy as it stands, and whether the client boots from it.
fn copy(world: &World) -> Value {
    let client = &image(world)["hosts"]["lpar01"];
    json!({
        "copy": client["vgs"]["altinst_rootvg"],
        "bootlist": client["bootlist"],
        "id": world.ssh("lpar01", "getlvodm -j hdisk1").1,
    })
}

/// An engine that has the client in a phase, and dies there.
fn dies_in(world: &World, (phase, job): (u8, &str)) {
    let mut engine = world.begin(&["run", "ssh.toml", "--client", "lpar01"]);
    until(&format!("phase {phase}"), || world.done(&["lab", "log"]).contains(job));
    engine.kill().unwrap();
    engine.wait().unwrap();
}

/// Phases as nimadm takes them.
fn list(phases: std::ops::RangeInclusive<u8>) -> String {
    phases.map(|phase| phase.to_string()).collect::<Vec<_>>().join(",")
}

/// What became of it, where it is not as it must be.
fn told(world: &World) -> String {
    let (_, text) = ended(world.run(&["history", "lpar01", "--all"]));
    let from = text.len().saturating_sub(4_000);
    text.get(from..).unwrap_or(&text).to_owned()
}

#[test]
fn a_role_that_comes_second_refuses() {
    for phase in PHASES {
        let Some(world) = up() else { return };
        let first = image(&world);
        dies_in(&world, phase);
        let (status, text) = world.ssh("nim1", NIMADM);
        assert_ne!(status, 0, "{phase:?}: {text}");
        world.run(&["resume"]);
        let now = image(&world);
        let client = &now["hosts"]["lpar01"];
        if client["vgs"]["altinst_rootvg"].is_null() {
            // What nimadm takes away as it cleans up is the lab's guess.
            assert!(*client == first["hosts"]["lpar01"], "{phase:?}: {}", told(&world));
        } else {
            let asleep = client["vgs"]["altinst_rootvg"]["asleep"] == true;
            assert!(asleep, "{phase:?}: {}", told(&world));
            assert_eq!(client["bootlist"], json!(["hdisk1"]), "{phase:?}: {}", told(&world));
        }
        let mounts = |image: &Value| image["hosts"]["nim1"]["mounts"].clone();
        assert_eq!(mounts(&now), mounts(&first), "{phase:?}: {}", told(&world));
    }
}

#[test]
fn a_role_that_forces_its_way_has_its_copy_to_the_end() {
    let mut finished = Vec::new();
    for phase in PHASES {
        let Some(world) = up() else { return };
        dies_in(&world, phase);
        force(&world);
        // Over what nimshift has mounted on the master it comes to nothing.
        let (status, text) = world.ssh("nim1", NIMADM);
        let theirs = copy(&world);
        if status == 0 {
            finished.push(phase.0);
            assert_eq!(theirs["bootlist"], json!(["hdisk1"]), "{phase:?}: {text}");
        }
        world.run(&["resume"]);
        assert!(copy(&world) == theirs || status != 0, "{phase:?}: {}", told(&world));
        world.run(&["rollback", "lpar01", "--yes"]);
        world.run(&["resume"]);
        assert!(copy(&world) == theirs || status != 0, "{phase:?}: {}", told(&world));
    }
    assert!(finished.contains(&1) && finished.contains(&11), "{finished:?}");
}

#[test]
fn a_migration_that_comes_second_leaves_the_role_its_copy() {
    for (phase, _) in PHASES {
        let Some(world) = up() else { return };
        // A nimadm that is told its phases stops there, and goes on there.
        let (status, text) = world.ssh("nim1", &format!("{NIMADM} -P {}", list(1..=phase)));
        assert_eq!(status, 0, "to phase {phase}: {text}");
        let theirs = copy(&world);
        let (code, said) = ended(world.run(&["run", "ssh.toml", "--client", "lpar01"]));
        assert_ne!(code, 0, "phase {phase}: {said}");
        assert!(copy(&world) == theirs, "phase {phase}: {}", told(&world));
        let (status, text) = world.ssh("nim1", &format!("{NIMADM} -P {}", list(phase + 1..=12)));
        assert_eq!(status, 0, "from phase {phase} on: {text}");
        let theirs = copy(&world);
        assert_eq!(theirs["copy"]["asleep"], true, "phase {phase}");
        assert_eq!(theirs["bootlist"], json!(["hdisk1"]), "phase {phase}");
        let (code, said) = ended(world.run(&["run", "ssh.toml", "--client", "lpar01"]));
        assert_ne!(code, 0, "phase {phase}: {said}");
        assert!(copy(&world) == theirs, "phase {phase}: {}", told(&world));
    }
}

/// A disk that is in use for something else: `force` takes it, unless it is mounted.
#[test]
fn a_disk_that_the_role_takes_is_out_of_its_volume_group() {
    let Some(world) = up() else { return };
    let vgs = || image(&world)["hosts"]["lpar01"]["vgs"].clone();
    // As if it were data: varied on, and under no name of a migration's.
    for line in
        ["alt_disk_copy -B -d hdisk1", "alt_rootvg_op -v datavg -d hdisk1", "varyonvg datavg"]
    {
        assert_eq!(world.ssh("lpar01", line).0, 0, "{line}");
    }
    assert!(!vgs()["datavg"].is_null());
    let (status, text) = world.ssh("lpar01", "reducevg datavg hdisk1");
    assert!(status != 0 && text.contains("0516-016") && text.contains("0516-884"), "{text}");
    assert!(!vgs()["datavg"].is_null());
    force(&world);
    assert!(vgs()["datavg"].is_null());
    let (status, text) = world.ssh("lpar01", "reducevg -df rootvg hdisk0");
    assert!(status != 0 && text.contains("must be closed"), "what runs stays: {text}");
    assert!(!vgs()["rootvg"].is_null());
}
