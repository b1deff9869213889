//! The sample plan of the nimadm driver: what it leaves. That it ends so however
//! often it is killed is shown with the other sample plans.

use std::path::Path;

use super::world::World;

#[test]
fn the_sample_plan_ends_well_and_leaves_nimadms_own_log() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/nimadm-driver.toml");
    let world = World::in_memory();
    let ran = world.run(&["run", path.to_str().unwrap(), "--time-scale", "4000"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let check = world.run(&["lab", "check"]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    let say = |host: &str, command: &[&str]| {
        let words: Vec<&str> = ["lab", "exec", host, "--"].iter().chain(command).copied().collect();
        let said = world.run(&words);
        assert_eq!(said.code, 0, "{command:?}: {}", said.stderr);
        said.stdout
    };
    let log = say("nim1", &["cat", "/var/adm/ras/alt_mig/lpar01_alt_mig.log"]);
    for phase in 1..=12 {
        assert!(log.contains(&format!("\nExecuting nimadm phase {phase}.\n")), "{log}");
    }
    assert_eq!(say("lpar01", &["oslevel", "-s"]), "7300-02-01-2346\n");
    assert_eq!(say("lpar01", &["cat", "/etc/post_check.done"]), "");
    assert!(say("lpar02", &["lspv"]).contains("altinst_rootvg              \n"), "-B");
    assert_eq!(say("lpar02", &["bootlist", "-m", "normal", "-o"]).lines().count(), 2);
    assert!(say("nim1", &["lsnim", "-l", "lpar04_7300"]).contains("= 7300-02"), "-N");
    // The orphan is told by its words; here there is none.
    assert!(!say("nim1", &["ps", "-eo", "pid,args"]).contains("nimadm"));
    let history = world.run(&["history", "lpar01"]).stdout;
    assert!(history.contains("nimadm -l lpp_7300_02 -c lpar01 -s spot_7300_02"), "{history}");
}
