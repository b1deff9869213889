//! An estate in a directory: it goes on by itself, and several handles share it.

use std::time::Duration;

use nimshift::base::ClockRef;
use nimshift::lab::{FaultKind, FaultSpec, Lab};
use nimshift::transport::{HostId, JobId, JobState, Script, Transport};

use super::{CLIENT, MASTER, Night, command, estate};

/// Fast enough for a test, slow enough to see something run.
const SCALE: u32 = 20_000;

fn say(lab: &Lab, host: &str, line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    lab.exec_words(host, &words).unwrap().stdout
}

#[tokio::test]
async fn jobs_go_on_when_nobody_looks() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::create(dir.path(), &estate(&[CLIENT]), Some(SCALE)).unwrap();
    let (host, id) = (HostId::new(CLIENT), JobId::new("a.m1.01-clone-rootvg.f0.1"));
    let script =
        Script::new(["alt_disk_copy -P1 -d hdisk1", "touch /alt_inst/etc/marked"].map(command));
    let state = lab.start(&host, &id, &script).await.unwrap();
    assert!(matches!(state, JobState::Running { .. }), "{state:?}");
    let first = lab.clock().now_ms();
    drop(lab);
    let lab = Lab::open(dir.path()).unwrap();
    let clock: ClockRef = lab.clock();
    assert!(clock.now_ms() >= first && clock.now_ms() < first + 3_600_000 * 10);
    let mut seen = 0;
    let output = loop {
        match lab.poll(&host, &id, seen, Duration::from_secs(3600)).await.unwrap() {
            JobState::Running { output_bytes, .. } => seen = output_bytes,
            JobState::Done(output) => break output,
            other => panic!("{other:?}"),
        }
    };
    assert!(output.commands.len() == 2 && output.commands[1].ok(), "{output:?}");
    let tree = dir.path().join("hosts").join(CLIENT).join("fs/altinst_rootvg/alt_hd4");
    assert!(tree.join("etc/marked").is_file());
    assert!(std::fs::read_to_string(tree.join("etc/passwd")).unwrap().contains("app:!:501"));
    // The log has each command's start once, with its job.
    let log = lab.log().unwrap();
    let of_job = log.iter().filter(|entry| entry.job.as_deref() == Some(id.as_str()));
    assert_eq!(of_job.count(), 4);
    assert!(log.iter().zip(1..).all(|(entry, seq)| entry.seq == seq));
}

#[tokio::test]
async fn two_handles_see_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let one = Lab::create(dir.path(), &estate(&[CLIENT]), Some(1)).unwrap();
    let other = Lab::open(dir.path()).unwrap();
    for round in 0..5 {
        say(&one, CLIENT, &format!("mkdir /tmp/one{round}"));
        say(&other, MASTER, "lspv");
        say(&other, CLIENT, &format!("touch /tmp/one{round}/other"));
        assert_eq!(say(&one, CLIENT, &format!("ls /tmp/one{round}")), "other\n");
    }
    other.add_fault(FaultSpec::once(FaultKind::Slow, CLIENT)).unwrap();
    assert_eq!(one.faults().unwrap().len(), 1);
    one.clear_faults().unwrap();
    assert_eq!(other.faults().unwrap(), []);
    assert_eq!(one.log().unwrap(), other.log().unwrap());
    assert_eq!(one.log().unwrap().last().unwrap().seq, 20);
    assert_eq!(one.digest().unwrap(), other.digest().unwrap());
    assert_eq!(one.digest().unwrap(), Lab::open(dir.path()).unwrap().digest().unwrap());
}

#[tokio::test]
async fn many_handles_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(Lab::create(dir.path(), &estate(&[CLIENT, "lpar8"]), Some(1)).unwrap());
    let path = dir.path().to_owned();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let path = path.clone();
            std::thread::spawn(move || {
                let lab = Lab::open(&path).unwrap();
                for round in 0..10 {
                    say(
                        &lab,
                        [CLIENT, "lpar8"][round % 2],
                        &format!("touch /tmp/t{thread}.{round}"),
                    );
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let lab = Lab::open(&path).unwrap();
    let names = say(&lab, CLIENT, "ls /tmp") + &say(&lab, "lpar8", "ls /tmp");
    assert_eq!(names.matches('t').count() - 2 * "lost+found".matches('t').count(), 40, "{names}");
    assert_eq!(lab.log().unwrap().len(), 42);
}

#[tokio::test]
async fn what_is_on_disk_is_what_is_in_memory() {
    let night = Night::new();
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::create(dir.path(), &estate(&[CLIENT]), Some(1)).unwrap();
    let lines = [
        "alt_disk_copy -P1 -d hdisk1",
        "rm -rf /home/oper",
        "touch /home/oper",
        "ln -s nowhere /home/app/link",
        "chmod 700 /home/app/.profile",
        "alt_disk_copy -P3 -d hdisk1",
    ];
    for line in lines {
        say(&lab, CLIENT, line);
        say(&night.lab, CLIENT, line);
    }
    let reopened = Lab::open(dir.path()).unwrap();
    assert_eq!(reopened.image().unwrap(), night.lab.image().unwrap());
    assert!(
        dir.path().join("hosts").join(CLIENT).join("fs/altinst_rootvg/hd4/etc/passwd").is_file()
    );
}

#[tokio::test]
async fn an_estate_is_made_once_and_opened_only_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!Lab::exists(dir.path()));
    let absent = Lab::open(dir.path()).unwrap_err().to_string();
    assert!(absent.starts_with("there is no estate in"), "{absent}");
    drop(Lab::create(dir.path(), &estate(&[CLIENT]), None).unwrap());
    assert!(Lab::exists(dir.path()));
    let again = Lab::create(dir.path(), &estate(&[CLIENT]), None).unwrap_err().to_string();
    assert!(again.contains("already"), "{again}");
}
