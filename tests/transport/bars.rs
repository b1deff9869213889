//! Jobs that have not ended, and jobs that are not begun any more, in every shell.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use nimshift::transport::{JobId, JobState, Transport as _, TransportError};

use crate::support::{Here, done, run, script, sh, shells};

fn fifo(path: &Path) {
    #[expect(clippy::disallowed_methods, reason = "a test runs a program of this machine")]
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn those_that_run_are_named() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        run(async {
            let unfinished = async |prefix: &str| {
                let found = here.hosts.unfinished(&here.host, prefix).await.unwrap();
                found.iter().map(ToString::to_string).collect::<Vec<_>>()
            };
            assert_eq!(unfinished("s1.").await, [""; 0], "no job was ever begun");
            assert!(!here.jobs.exists(), "a question changes nothing");
            let gate = dir.path().join("gate");
            fifo(&gate);
            here.start("s1.m1.a", &script([sh("true")])).await;
            done(here.end("s1.m1.a").await);
            let waits = script([sh(&format!("cat '{}'", gate.display()))]);
            here.start("s1.m2.b", &waits).await;
            here.start("s10.m2.b", &waits).await;
            assert_eq!(unfinished("s1.").await, ["s1.m2.b"]);
            assert_eq!(unfinished("s1.m1.").await, [""; 0]);
            for id in ["s1.m2.b", "s10.m2.b"] {
                while matches!(here.kill(id).await, JobState::Running { .. }) {}
            }
            assert_eq!(unfinished("s1").await, [""; 0]);
        });
    }
}

#[test]
fn what_is_barred_is_not_begun_and_what_runs_goes_on() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let effects = dir.path().join("effects");
        let job = script([sh(&format!("echo x >>'{}'", effects.display()))]);
        run(async {
            let bar = async |by: &str, bars: bool| {
                here.hosts.bar(&here.host, "s1.", by, bars).await.unwrap();
            };
            let start = async |id: &str| here.hosts.start(&here.host, &JobId::new(id), &job).await;
            start("s1.m1.a").await.unwrap();
            done(here.end("s1.m1.a").await);
            bar("s9.m1", true).await;
            bar("s8.m1", true).await;
            let error = start("s1.m1.b").await.unwrap_err();
            assert!(
                matches!(&error, TransportError::Barred { by, .. } if by.rsplit('.').next() == Some("m1"))
            );
            assert!(error.needs_a_person() && !error.may_have_arrived());
            assert_eq!(here.poll("s1.m1.b").await, JobState::Absent);
            // What had begun is known, and others are none of it.
            done(start("s1.m1.a").await.unwrap());
            start("s10.m1.b").await.unwrap();
            done(here.end("s10.m1.b").await);
            assert_eq!(fs::read_to_string(&effects).unwrap(), "x\nx\n");
            // Each takes away its own.
            bar("s9.m1", false).await;
            assert!(start("s1.m1.b").await.is_err());
            bar("s8.m1", false).await;
            start("s1.m1.b").await.unwrap();
            done(here.end("s1.m1.b").await);
            here.hosts.forget(&here.host, "s1").await.unwrap();
            assert!(!here.jobs.exists(), "nothing is left");
        });
    }
}

#[test]
fn one_that_was_staged_before_it_was_barred_ends_before_its_first_command() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let effects = dir.path().join("effects");
        let job = script([sh(&format!("echo x >>'{}'", effects.display()))]);
        run(async {
            here.start("s1.m1.a", &job).await;
            done(here.end("s1.m1.a").await);
            fs::remove_file(&effects).unwrap();
            // As it lies before its runner has claimed it, which is late.
            let folder = here.jobs.join("s1.m1.a");
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if ["claim", "done"].contains(&name.as_str()) || name.starts_with(['s', 'p']) {
                    fs::remove_file(&path).unwrap();
                }
            }
            here.hosts.bar(&here.host, "s1.", "s9.m1", true).await.unwrap();
            #[expect(clippy::disallowed_methods, reason = "the runner is what is tested")]
            let ran = std::process::Command::new(&shell).arg(folder.join("job")).status().unwrap();
            assert!(ran.success());
            assert!(!effects.exists(), "it did nothing");
            let error = here.hosts.start(&here.host, &JobId::new("s1.m1.a"), &job).await;
            assert!(matches!(error, Err(TransportError::Barred { .. })), "{error:?}");
            assert!(here.hosts.unfinished(&here.host, "s1.").await.unwrap().is_empty());
        });
    }
}

#[test]
fn those_that_stand_are_named() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        run(async {
            let stand = async || {
                let bars = here.hosts.bars(&here.host).await.unwrap().into_iter();
                let mut bars: Vec<_> = bars.map(|bar| (bar.prefix, bar.by)).collect();
                bars.sort();
                bars
            };
            assert_eq!(stand().await, []);
            assert!(!here.jobs.exists(), "a question changes nothing");
            let longest = "s1.m1.05-restore-bos.f10.1234567890";
            let bars = [("s1.", "s9.m1"), ("s1.m7.", "s9.m1"), (longest, longest)];
            for (prefix, by) in bars {
                here.hosts.bar(&here.host, prefix, by, true).await.unwrap();
            }
            let mut wanted = bars.map(|(prefix, by)| (prefix.to_owned(), by.to_owned()));
            wanted.sort();
            assert_eq!(stand().await, wanted);
        });
    }
}

#[test]
fn one_that_was_kept_from_beginning_is_kept_so_for_a_day() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let effects = dir.path().join("effects");
        let job = script([sh(&format!("echo x >>'{}'", effects.display()))]);
        run(async {
            assert_eq!(here.kill("s1.m1.a").await, JobState::NotBegun);
            here.start("s1.m1.b", &job).await;
            done(here.end("s1.m1.b").await);
            here.hosts.forget(&here.host, "s1.m1.").await.unwrap();
            assert!(!here.jobs.join("s1.m1.b").exists(), "what has ended is forgotten");
            // Its start comes late.
            assert_eq!(here.start("s1.m1.a", &job).await, JobState::NotBegun);
            assert_eq!(fs::read_to_string(&effects).unwrap(), "x\n");
            let claim = fs::File::options().append(true).open(here.jobs.join("s1.m1.a/claim"));
            let age = std::time::Duration::from_secs(25 * 3_600);
            #[expect(clippy::disallowed_methods, reason = "a file's age is what is tested")]
            let then = std::time::SystemTime::now() - age;
            claim.unwrap().set_modified(then).unwrap();
            here.hosts.forget(&here.host, "s7.m1.").await.unwrap();
            assert!(!here.jobs.exists(), "nothing is left");
        });
    }
}
