//! The sample plans of nimadm's modes, each carried out to its end, and what its
//! options do.

use std::path::Path;
use std::sync::Arc;

use nimshift::domain::{MigrationSpec, Plan, parse_plan};
use nimshift::lab::{BootsFrom, CopyExpected, EstateFile, Expectation};

use super::world::{World, virtual_time};

/// A sample plan with its estate.
struct Sample {
    plan: Plan,
    estate: EstateFile,
}

fn read(name: &str) -> Sample {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let text = std::fs::read_to_string(folder.join(name)).expect("a plan");
    let plan = parse_plan(name, &text, false).expect("a right plan");
    let estate = plan.estate.file.as_ref().expect("a sample names its estate");
    let text = std::fs::read_to_string(folder.join(estate)).expect("an estate");
    Sample { plan, estate: EstateFile::parse(&text).expect("a right estate") }
}

impl Sample {
    fn spec(&self, client: &str) -> MigrationSpec {
        let found = self.plan.migrations.iter().find(|spec| spec.client.as_str() == client);
        found.expect("a client of the plan").clone()
    }

    /// The world after the migration of `client`.
    async fn migrated(&self, client: &str) -> World {
        self.carried_out(self.spec(client)).await
    }

    /// The world after `spec` was carried out, which must end well.
    async fn carried_out(&self, spec: MigrationSpec) -> World {
        let world = World::of(&self.estate, spec);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "migrated", "{:?}", world.last_cause());
        world.assert_replays("a sample");
        world
    }
}

/// What `command` says on `host`.
fn say(world: &World, host: &str, command: &[&str]) -> String {
    let words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let output = world.lab.exec_words(host, &words).expect("a host");
    assert_eq!(output.status, 0, "{command:?}: {}", output.stderr);
    output.stdout
}

fn assert_clean(world: &World, expected: &[Expectation]) {
    let violations = world.lab.check(expected).expect("a check");
    assert!(violations.is_empty(), "{violations:#?}");
}

fn expect(client: &str, copy: CopyExpected, boots_from: BootsFrom) -> Expectation {
    Expectation { client: client.to_owned(), settled: true, copy, boots_from }
}

/// Whether a command that holds `part` was begun on `host`.
fn ran(world: &World, host: &str, part: &str) -> bool {
    let log = world.lab.log().expect("a log");
    log.iter().any(|entry| entry.host == host && entry.line.contains(part))
}

#[test]
fn an_update_stays_within_the_release_and_makes_a_new_boot_image() {
    virtual_time(async || {
        let world = read("update.toml").migrated("lpar01").await;
        assert_eq!(say(&world, "lpar01", &["oslevel", "-s"]), "7300-03-00-2446\n");
        assert!(ran(&world, "nim1", "update_all"));
        assert!(ran(&world, "nim1", "/usr/sbin/bosboot"));
        assert!(!ran(&world, "nim1", "restore -xqf"), "the base is not restored");
        assert!(!ran(&world, "nim1", "merge_config"));
        let filesets = say(&world, "lpar01", &["lslpp", "-Lqc"]);
        assert!(!filesets.contains("bos.adt.debug"), "only what was installed is updated");
        let disk = BootsFrom::Disks(vec!["hdisk1".to_owned()]);
        assert_clean(&world, &[expect("lpar01", CopyExpected::Running, disk)]);
    });
}

#[test]
fn a_bundle_brings_its_filesets_and_no_others() {
    virtual_time(async || {
        let sample = read("update.toml");
        let spec = MigrationSpec {
            options: nimshift::domain::Options { reboot: true, ..sample.spec("lpar02").options },
            ..sample.spec("lpar02")
        };
        let world = sample.carried_out(spec).await;
        let filesets = say(&world, "lpar02", &["lslpp", "-Lqc"]);
        assert!(filesets.contains("bos.adt.debug"), "{filesets}");
        assert!(!filesets.contains("bos.adt.prof"), "{filesets}");
    });
}

#[test]
fn an_update_to_another_release_is_refused() {
    virtual_time(async || {
        let sample = read("update.toml");
        let mut estate = sample.estate.clone();
        "7200-05-03-2148".clone_into(&mut estate.client[0].level);
        let world = World::of(&estate, sample.spec("lpar01"));
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "refused");
        assert!(world.last_cause().contains("stays within the release"), "{}", world.last_cause());
        world.assert_untouched("refused");
    });
}
