//! The sample plan of the nimadm driver: quietly, and killed again and again.

use std::path::Path;
use std::time::Duration;

use super::nights::{Chance, End, SCALE, args, commands, now, outcome, seed, start, unequal};
use super::world::World;

/// At least, of engines that ran.
const KILLS: usize = 10;

fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/nimadm-driver.toml");
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_sample_plan_ends_well_and_killed_as_if_it_had_not_been() {
    let mut chance = Chance(seed());
    let quiet = World::in_memory();
    let began = now();
    let ran = quiet.run(&["run", &sample(), "--time-scale", SCALE]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let whole_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    let (expected, once) = (outcome(&quiet), commands(&quiet));
    assert_eq!(expected.clients.len(), 6);
    let log = "/var/adm/ras/alt_mig/lpar01_alt_mig.log";
    let said = quiet.run(&["lab", "exec", "nim1", "--", "cat", log]).stdout;
    for phase in 1..=12 {
        assert!(said.contains(&format!("\nExecuting nimadm phase {phase}.\n")), "{said}");
    }
    let level = quiet.run(&["lab", "exec", "lpar01", "--", "oslevel", "-s"]).stdout;
    assert_eq!(level, "7300-02-01-2346\n");

    let world = World::in_memory();
    let (mut hit, mut starts) = (0, 0);
    let code = loop {
        let moment = chance.below(whole_ms / 6);
        starts += 1;
        let last = hit >= KILLS;
        let patience = if last { Duration::from_secs(120) } else { Duration::from_millis(moment) };
        match start(&world, &args(&world, &sample()), "", patience) {
            End::Killed => hit += 1,
            End::Ended(code, _) => break code,
        }
        assert!(!last && starts < 100, "the plan does not end after {hit} kills");
    };
    assert_eq!(code, 0, "after {hit} kills");
    assert!(hit >= 3, "only {hit} kills hit a running engine");
    assert_eq!(outcome(&world), expected, "after {hit} kills");
    assert_eq!(unequal(&world, &once), Vec::<String>::new(), "after {hit} kills");
}
