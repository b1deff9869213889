//! A client through a whole disk migration, command by command, on the lab.

#[cfg(test)]
mod lab_night;

use lab_night::{CLIENT, Night, TARGET};
use nimshift::lab::{BootsFrom, CopyExpected, Expectation};

async fn migrated(cached: bool) -> Night {
    let night = Night::new();
    night.whole(cached).await;
    night
}

fn booted() -> Expectation {
    Expectation {
        client: CLIENT.to_owned(),
        settled: true,
        copy: CopyExpected::Running,
        boots_from: BootsFrom::Disks(vec!["hdisk1".to_owned()]),
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_migration_ends_in_a_booted_client_of_the_new_level() {
    let night = migrated(false).await;
    assert_eq!(night.say(CLIENT, &["oslevel", "-s"]), format!("{TARGET}\n"));
    assert_eq!(night.say(CLIENT, &["cat", "/etc/release"]), format!("AIX {TARGET}\n"));
    let passwd = night.say(CLIENT, &["cat", "/etc/passwd"]);
    assert!(passwd.contains("app:!:501:1:") && passwd.contains("root:!:0:0:"), "{passwd}");
    assert_eq!(passwd.matches("root:").count(), 1, "{passwd}");
    assert!(night.say(CLIENT, &["cat", "/etc/objrepos/CuAt"]).contains("hostname=lpar7"));
    let spv = night.say(CLIENT, &["lspv"]);
    let vgs: Vec<Vec<&str>> =
        spv.lines().map(|line| line.split_whitespace().skip(2).collect()).collect();
    assert_eq!(vgs, [vec!["old_rootvg"], vec!["rootvg", "active"]]);
    assert!(night.say(CLIENT, &["rpm", "-qa"]).contains("bash-5.2-1"));
    assert_eq!(night.lab.check(&[booted()]).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_cached_migration_ends_in_the_same_estate() {
    let plain = migrated(false).await;
    let cached = migrated(true).await;
    assert_eq!(cached.lab.check(&[booted()]).unwrap(), []);
    assert_eq!(cached.lab.image().unwrap(), plain.lab.image().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_old_disk_boots_again() {
    let night = migrated(false).await;
    night.run(CLIENT, &["bootlist -m normal hdisk0", "shutdown -Fr"]).await;
    night.wait(400).await;
    assert_eq!(night.say(CLIENT, &["oslevel", "-s"]), "7200-05-03-2148\n");
    let spv = night.say(CLIENT, &["lspv"]);
    assert!(spv.lines().nth(1).unwrap().contains("altinst_rootvg"), "{spv}");
    night.run(CLIENT, &["alt_rootvg_op -X altinst_rootvg"]).await;
    assert_eq!(night.lab.check(&[]).unwrap(), []);
    assert_eq!(night.lab.digest().unwrap(), Night::new().lab.digest().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_removed_leaves_the_first_image() {
    let night = Night::new();
    let first = night.lab.digest().unwrap();
    night.start_of(false).await;
    assert_ne!(night.lab.digest().unwrap(), first);
    assert_ne!(night.lab.check(&[]).unwrap(), []);
    night.undo().await;
    assert_eq!(night.lab.image().unwrap(), Night::new().lab.image().unwrap());
    assert_eq!(night.lab.digest().unwrap(), first);
}
