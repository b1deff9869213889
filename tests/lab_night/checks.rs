//! What `Lab::check` finds, and what a digest does not depend on.

use nimshift::lab::{CopyExpected, Expectation, Lab};

use super::{CLIENT, MASTER, Night, SOURCE, estate};

/// Violations after these commands, run on a fresh estate.
async fn found(commands: &[(&str, &str)]) -> Vec<String> {
    let night = Night::new();
    for (host, line) in commands {
        night.run(host, &[line]).await;
    }
    told(&night.lab)
}

fn told(lab: &Lab) -> Vec<String> {
    lab.check(&[]).unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fresh_estate_has_nothing_left_on_it() {
    assert_eq!(found(&[]).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_leftover_is_found() {
    let spot = "mount -o ro,soft,intr nim1:/export/nim/spot73/usr /ALT_MIG_SPOT";
    let cases: [(&[(&str, &str)], &str); 9] = [
        (
            &[(CLIENT, "mkdir -p /var/adm/nimshift"), (CLIENT, "ln -s x /var/adm/nimshift/lease")],
            "/var/adm/nimshift of hd9var is left",
        ),
        (&[(CLIENT, "mkdir /ALT_MIG_SPOT")], "/ALT_MIG_SPOT of hd4 is left"),
        (&[(CLIENT, "mkdir /ALT_MIG_SPOT"), (CLIENT, spot)], "/ALT_MIG_SPOT is mounted"),
        (&[(CLIENT, "exportfs -i -o rw=nim1 /home")], "/home is exported"),
        (&[(MASTER, "mkdir -p /lpar7_alt/alt_inst")], "the directory /lpar7_alt is left"),
        (
            &[(MASTER, "crfs -v jfs2 -g cachevg -m /lpar7_alt/alt_inst/usr -a size=512M -A no")],
            "the cache file system fslv00 of cachevg is left",
        ),
        (&[(MASTER, "nim -o change -a locked=4711 lpar7")], "the NIM object lpar7 is locked"),
        (&[(CLIENT, "alt_disk_copy -P1 -d hdisk1")], "there is a copy where none should be"),
        (
            &[(CLIENT, "alt_disk_copy -P1 -d hdisk1"), (CLIENT, "alt_disk_copy -P3 -d hdisk1")],
            "the bootlist is `hdisk1`, not `hdisk0`",
        ),
    ];
    for (commands, wanted) in cases {
        let found = found(commands).await;
        assert!(found.iter().any(|line| line.contains(wanted)), "{commands:?}: {found:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_copy_sleeps_with_what_had_come_into_it_or_is_not_there() {
    let kept =
        [Expectation { copy: CopyExpected::Kept, ..Expectation::untouched(CLIENT.to_owned()) }];
    let night = Night::new();
    assert_eq!(night.lab.check(&kept).unwrap(), []);
    night.run(CLIENT, &["alt_disk_copy -P1 -d hdisk1"]).await;
    let marks = "/alt_inst/var/adm/nimshift";
    night.run(CLIENT, &[&format!("mkdir {marks}"), &format!("touch {marks}/x.begun")]).await;
    assert!(!night.lab.check(&kept).unwrap().is_empty(), "it is awake");
    night.run(CLIENT, &["alt_disk_copy -P3 -d hdisk1", "bootlist -m normal hdisk0"]).await;
    assert_eq!(night.lab.check(&kept).unwrap(), []);
    let whole = [Expectation { copy: CopyExpected::Asleep, ..kept[0].clone() }];
    assert_eq!(night.lab.check(&whole).unwrap().len(), 1, "a migrated copy is clean");
}

#[tokio::test(start_paused = true)]
async fn a_running_job_and_a_host_that_is_down_are_found() {
    let night = Night::new();
    night.begin(CLIENT, "alt_disk_copy -P1 -d hdisk1").await;
    assert!(told(&night.lab).iter().any(|line| line.contains("is still running")));
    night.begin(CLIENT, "shutdown -Fr").await;
    night.wait(60).await;
    assert!(told(&night.lab).contains(&"lpar7: it is not up".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_digest_does_not_depend_on_the_order_of_clients() {
    let clients = ["lpar1", "lpar2"];
    let mut digests = Vec::new();
    for order in [[0, 1], [1, 0]] {
        let night = Night::of(&estate(&clients));
        for index in order {
            let name = clients[index];
            night
                .run(name, &["alt_disk_copy -P1 -d hdisk1", "exportfs -i -o rw=nim1 /alt_inst"])
                .await;
            let point = format!("/{name}_alt/alt_inst");
            night
                .lines(
                    MASTER,
                    vec![format!("mkdir -p {point}"), format!("mount {name}:/alt_inst {point}")],
                )
                .await;
            // Looks and repeats change nothing.
            night.say(name, &["lspv"]);
            night.say(MASTER, &["mkdir", "-p", &point]);
        }
        digests.push(night.lab.digest().unwrap());
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test(start_paused = true)]
async fn a_digest_tells_one_file_from_another() {
    let (one, other) = (Night::new(), Night::new());
    one.run(CLIENT, &["touch /home/app/new"]).await;
    assert_ne!(one.lab.digest().unwrap(), other.lab.digest().unwrap());
    other.wait(86_400).await;
    other.run(CLIENT, &["touch /home/app/new"]).await;
    assert_eq!(one.lab.digest().unwrap(), other.lab.digest().unwrap());
    assert_eq!(one.say(CLIENT, &["oslevel", "-s"]).trim(), SOURCE);
}
