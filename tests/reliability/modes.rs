//! The sample plans of nimadm's modes, each carried out to its end, and what its
//! options do.

use std::path::Path;
use std::sync::Arc;

use nimshift::domain::{Driver, MigrationSpec, Plan, Task, parse_plan};
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

/// The image of one host.
fn host(world: &World, name: &str) -> serde_json::Value {
    world.lab.image().expect("an image")["hosts"][name].clone()
}

/// Restores `file` of the master's mksysb `location`, and gives its text.
fn from_mksysb(world: &World, location: &str, file: &str) -> String {
    let text = say(world, "nim1", &["cat", location]);
    let head = format!(" ./{file}\n");
    let at = text.find(&head).unwrap_or_else(|| panic!("{file} is not in {location}"));
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let length: usize = text[line..at].split(' ').nth(2).expect("a length").parse().expect("one");
    text[at + head.len()..at + head.len() + length].to_owned()
}

#[test]
fn a_client_to_a_mksysb_is_read_and_never_changed() {
    virtual_time(async || {
        let world = read("client-to-mksysb.toml").migrated("lpar01").await;
        assert_eq!(world.first_image["hosts"]["lpar01"], host(&world, "lpar01"));
        let file = "/export/nim/mksysb/lpar01_7300";
        assert_eq!(from_mksysb(&world, file, "etc/release"), "AIX 7300-02-01-2346\n");
        let passwd = from_mksysb(&world, file, "etc/passwd");
        assert!(passwd.contains("app:!:501:1:"), "the site's own users are kept: {passwd}");
        assert!(from_mksysb(&world, file, "image.data").contains("FS_NAME= /usr"));
        assert!(from_mksysb(&world, file, "bosinst.data").contains("PROMPT = no"));
        let all = say(&world, "nim1", &["cat", file]);
        assert!(all.contains("./home/app/.profile\n"));
        assert!(!all.contains("./home/oper") && !all.contains("./opt/freeware/bin"), "-e");
        assert!(!all.contains("nimshift"), "no marks are in the mksysb");
        let object = say(&world, "nim1", &["lsnim", "-l", "lpar01_7300"]);
        assert!(
            object.contains("oslevel_r  = 7300-02") || object.contains("= 7300-02"),
            "{object}"
        );
        assert_clean(&world, &[Expectation::untouched("lpar01")]);
    });
}

#[test]
fn a_mksysb_to_a_mksysb_needs_no_client_and_says_what_has_nothing_to_do() {
    virtual_time(async || {
        let sample = read("mksysb-to-mksysb.toml");
        let skipped = nimshift::phases::plan_steps(&sample.spec("lpar90")).skipped;
        let reasons: Vec<(u8, &str)> =
            skipped.iter().map(|(phase, why)| (phase.number(), why.as_str())).collect();
        assert_eq!(
            reasons,
            [
                (4, "no pre-migration script"),
                (8, "a mksysb has no boot volume: the SPOT boots what it is restored to"),
                (9, "the cache is kept until phase 11 has archived it"),
                (10, "the cache is kept until phase 11 has archived it"),
            ]
        );
        let world = sample.migrated("lpar90").await;
        for client in ["lpar01", "lpar02"] {
            assert_eq!(world.first_image["hosts"][client], host(&world, client));
        }
        let log = world.lab.log().expect("a log");
        assert!(log.iter().all(|entry| entry.host == "nim1"), "only the master is spoken to");
        let file = "/export/nim/mksysb/lpar90_7300";
        assert_eq!(from_mksysb(&world, file, "etc/release"), "AIX 7300-02-01-2346\n");
        assert_eq!(
            from_mksysb(&world, file, "home/app/data/orders.csv"),
            "id,host\n1,lpar90\n2,lpar90\n"
        );
        assert_eq!(from_mksysb(&world, file, "etc/post_check.done"), "");
        let image = from_mksysb(&world, file, "image.data");
        assert!(image.contains("SHRINK= yes"), "-i is the new image.data: {image}");
        assert!(ran(&world, "nim1", "/lpar90_alt/alt_inst/var -a size=768M"), "-i with SHRINK");
        assert_clean(&world, &[Expectation::untouched("lpar90")]);

        let world = sample.migrated("lpar90-plain").await;
        let image = from_mksysb(&world, "/export/nim/mksysb/lpar90_plain", "image.data");
        assert!(image.contains("FS_NAME= /home") && image.contains("LOGICAL_VOLUME= hd5"));
        assert!(!ran(&world, "nim1", "nim -o define"), "without -N there is only the file");
        assert_clean(&world, &[Expectation::untouched("lpar90-plain")]);
    });
}

#[test]
fn a_mksysb_to_a_client_boots_there_as_the_machine_that_it_was_made_of() {
    virtual_time(async || {
        let sample = read("mksysb-to-client.toml");
        let world = sample.migrated("lpar01").await;
        assert_eq!(say(&world, "lpar01", &["oslevel", "-s"]), "7300-02-01-2346\n");
        let orders = say(&world, "lpar01", &["cat", "/home/app/data/orders.csv"]);
        assert_eq!(orders, "id,host\n1,lpar90\n2,lpar90\n");
        let disk = || BootsFrom::Disks(vec!["hdisk1".to_owned()]);
        assert_clean(&world, &[expect("lpar01", CopyExpected::Running, disk())]);

        let world = sample.migrated("lpar02").await;
        assert_clean(&world, &[expect("lpar02", CopyExpected::Asleep, disk())]);
        let copy = &host(&world, "lpar02")["vgs"]["altinst_rootvg"]["lvs"];
        let bosinst = copy["hd4"]["files"]["bosinst.data"].to_string();
        assert!(bosinst.contains("PROMPT = no"), "-o: {bosinst}");
        assert!(copy["applv"].is_null(), "the copy has what the mksysb has");
    });
}

#[test]
fn exclude_list_image_data_and_mount_options_shape_a_disk_migration() {
    virtual_time(async || {
        let world = World::new(super::world::Flavour::Shaped);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "migrated", "{}", world.last_cause());
        let root = &host(&world, "lpar01")["vgs"]["rootvg"]["lvs"];
        let old = &host(&world, "lpar01")["vgs"]["old_rootvg"]["lvs"];
        let has = |lvs: &serde_json::Value, path: &str| !lvs["hd1"]["files"][path].is_null();
        assert!(has(old, "oper/.profile") && !has(root, "oper/.profile"), "-e");
        assert!(has(root, "app/.profile"));
        assert_eq!(root["hd9var"]["pps"]["hdisk1"], 24, "-i");
        assert_eq!(old["hd9var"]["pps"]["hdisk0"], 16);
        let bosinst = root["hd4"]["files"]["bosinst.data"].to_string();
        assert!(bosinst.contains("PROMPT = no"), "-o: {bosinst}");
        assert!(ran(&world, "nim1", "mount -o rsize=65536 lpar01:/alt_inst/home"), "-m");
    });
}

#[test]
fn a_file_or_name_that_is_there_already_is_refused() {
    virtual_time(async || {
        let sample = read("mksysb-to-mksysb.toml");
        let mut spec = sample.spec("lpar90");
        spec.options.output = Some("/export/nim/mksysb/lpar90_7200".to_owned());
        spec.options.new_mksysb = spec.options.mksysb.clone();
        let world = World::of(&sample.estate, spec);
        world.live(Arc::new(world.plain_performer())).await;
        assert_eq!(world.state(), "refused");
        let cause = world.last_cause();
        assert!(cause.contains("is on the master already"), "{cause}");
        assert!(cause.contains("is defined in NIM already"), "{cause}");
        world.assert_untouched("refused");
    });
}

#[test]
fn sources_that_do_not_agree_are_refused_in_every_mode_and_nothing_is_changed() {
    virtual_time(async || {
        let sample = read("nimadm-driver.toml");
        for spec in &sample.plan.migrations {
            for driver in [Driver::Native, Driver::Nimadm] {
                let mut spec = spec.clone();
                let other = if spec.options.update { "lpp_7300_02" } else { "lpp_7300_03" };
                let Task::Migrate(aim) = &mut spec.task else { panic!("a migration") };
                aim.driver = driver;
                aim.target.lpp_source = other.parse().expect("a name");
                let world = World::of(&sample.estate, spec);
                let before = world.lab.digest().expect("a digest");
                world.live(Arc::new(world.plain_performer())).await;
                let cause = world.last_cause();
                assert_eq!(world.state(), "refused", "{cause}");
                let told = format!("in the lpp_source {other}, 7.3.");
                assert!(cause.contains(&told), "{cause}");
                assert!(cause.contains("nim -o cust -a fixes=update_all"), "{cause}");
                assert_eq!(world.lab.digest().expect("a digest"), before);
            }
        }
    });
}
