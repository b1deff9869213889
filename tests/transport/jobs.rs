//! Durable jobs, in every shell: at most once, found again, ended whole.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use nimshift::base::limits::OUTPUT_BYTES_MAX;
use nimshift::transport::{Command, JobId, JobState, Script, Transport as _, TransportError};

use crate::support::{Here, done, find, run, script, sh, shells};

/// A command that leaves a line in `file`: what was done, and how often.
fn effect(file: &Path) -> Command {
    sh(&format!("echo effect >> '{}'", file.display()))
}

fn effects(dir: &TempDir) -> usize {
    fs::read_to_string(dir.path().join("effects")).map_or(0, |text| text.lines().count())
}

#[expect(clippy::needless_pass_by_value, reason = "a test is written in its call")]
fn for_each_shell(test: impl AsyncFn(&Here, &TempDir)) {
    for shell in shells() {
        println!("in {}", shell.display());
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        run(test(&here, &dir));
    }
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// `shell` on a host whose `who -b` says what is in the file `boot`.
fn booted(shell: &Path, dir: &Path) -> PathBuf {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    executable(&bin.join("who"), &format!("#!/bin/sh\ncat '{}'\n", dir.join("boot").display()));
    let wrapped = dir.join("shell");
    let text = format!(
        "#!/bin/sh\nPATH='{}':$PATH; export PATH\nexec '{}' \"$@\"\n",
        bin.display(),
        shell.display()
    );
    executable(&wrapped, &text);
    boot(dir, "system boot Mar 02 07:15");
    wrapped
}

fn boot(dir: &Path, when: &str) {
    fs::write(dir.join("boot"), format!("   .        {when}\n")).unwrap();
}

fn runner(here: &Here, id: &str) -> String {
    let claim = fs::read_to_string(here.jobs.join(id).join("claim")).unwrap();
    claim.split_whitespace().next().unwrap().to_owned()
}

/// Runs a program of this machine.
fn call(program: &str, args: &[&str]) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a test runs a program of this machine")]
    let status = std::process::Command::new(program).args(args).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn a_job_runs_once_and_keeps_all_it_gave() {
    for_each_shell(async |here, dir| {
        let job = script([
            effect(&dir.path().join("effects")),
            sh("printf 'out without end'; echo err >&2; exit 3").tolerated(),
            sh("kill -TERM $$"),
            sh("echo never"),
        ]);
        here.start("s1.m1.a.f0.1", &job).await;
        let output = done(here.end("s1.m1.a.f0.1").await);
        let statuses: Vec<i32> = output.commands.iter().map(|command| command.status).collect();
        assert_eq!(statuses, [0, 3, 143]);
        assert_eq!(output.commands[1].stdout, "out without end");
        assert_eq!(output.commands[1].stderr, "err\n");
        assert_eq!(done(here.start("s1.m1.a.f0.1", &job).await), output);
        assert_eq!(effects(dir), 1);
        assert_eq!(here.poll("s1.m1.a.f0.2").await, JobState::Absent);
    });
}

#[test]
fn racing_starters_start_one_job() {
    for_each_shell(async |here, dir| {
        let job = script([effect(&dir.path().join("effects"))]);
        let id = JobId::new("race");
        let start = || here.hosts.start(&here.host, &id, &job);
        let (a, b, c, d) = tokio::join!(start(), start(), start(), start());
        for state in [a, b, c, d] {
            assert!(matches!(state.unwrap(), JobState::Running { .. } | JobState::Done(_)));
        }
        done(here.end("race").await);
        assert_eq!(effects(dir), 1);
    });
}

#[test]
fn a_poll_asks_its_host_once() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let (calls, gate) = (dir.path().join("calls"), dir.path().join("gate"));
        let counts = dir.path().join("shell");
        let text = format!(
            "#!/bin/sh\necho called >> '{}'\nexec '{}' \"$@\"\n",
            calls.display(),
            shell.display()
        );
        executable(&counts, &text);
        assert!(call("mkfifo", &[&gate.display().to_string()]));
        let here = Here::new(&counts, dir.path());
        run(async {
            let id = JobId::new("waits");
            let job = script([sh(&format!("cat '{}'", gate.display()))]);
            here.start(id.as_str(), &job).await;
            let asked = async |wait: Duration| {
                fs::write(&calls, "").unwrap();
                let state = here.hosts.poll(&here.host, &id, 0, wait).await.unwrap();
                assert!(matches!(state, JobState::Running { output_bytes: 0, .. }), "{state:?}");
                fs::read_to_string(&calls).unwrap().lines().count()
            };
            let once = asked(Duration::ZERO).await;
            assert_eq!(asked(Duration::from_millis(20)).await, once, "{}", shell.display());
            fs::write(&gate, "").unwrap();
            done(here.end(id.as_str()).await);
        });
    }
}

#[test]
fn starters_that_are_cut_off_start_at_most_one_job() {
    for_each_shell(async |here, dir| {
        let job = script([effect(&dir.path().join("effects"))]);
        for round in 0..12_u64 {
            let id = JobId::new(format!("cut.{round}"));
            let start = here.hosts.start(&here.host, &id, &job);
            let _ = tokio::time::timeout(Duration::from_millis(2 * round), start).await;
            here.start(id.as_str(), &job).await;
            done(here.end(id.as_str()).await);
            assert_eq!(effects(dir), usize::try_from(round).unwrap() + 1, "round {round}");
        }
    });
}

#[test]
fn a_job_goes_on_when_nobody_asks_for_it() {
    for_each_shell(async |here, dir| {
        let gate = dir.path().join("gate");
        assert!(call("mkfifo", &[&gate.display().to_string()]));
        let wait = sh(&format!("echo begun; cat '{}'", gate.display()));
        let state = here.start("alone", &script([wait])).await;
        assert!(matches!(state, JobState::Running { .. }), "{state:?}");
        // Another process, which has never heard of the first.
        let other = Here::new(Path::new("/bin/sh"), dir.path());
        assert!(matches!(other.poll("alone").await, JobState::Running { .. }));
        fs::write(&gate, "through\n").unwrap();
        assert_eq!(done(other.end("alone").await).commands[0].stdout, "begun\nthrough\n");
    });
}

#[test]
fn a_runner_that_was_killed_leaves_a_lost_job_and_no_second_start() {
    for_each_shell(async |here, dir| {
        let gate = dir.path().join("gate");
        assert!(call("mkfifo", &[&gate.display().to_string()]));
        let wait = sh(&format!("cat '{}'", gate.display()));
        let job = script([effect(&dir.path().join("effects")), wait]);
        here.start("lost", &job).await;
        assert!(call("kill", &["-9", &runner(here, "lost")]));
        if find("fuser").is_some() {
            // What it began goes on: nothing may be begun beside it.
            assert!(matches!(here.poll("lost").await, JobState::Running { .. }));
        } else {
            crate::skipped::skipped("without fuser (psmisc) descendants are not looked for");
        }
        fs::write(&gate, "").unwrap();
        assert_eq!(here.end("lost").await, JobState::Lost);
        assert_eq!(here.start("lost", &job).await, JobState::Lost);
        assert_eq!(effects(dir), 1);
    });
}

#[test]
fn another_process_with_the_same_number_is_not_the_job() {
    for_each_shell(async |here, _| {
        let ours = std::process::id().to_string();
        for (id, claim) in [("reused", ours.as_str()), ("torn", ""), ("odd", "x\u{1}y")] {
            let dir = here.jobs.join(id);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("o.0"), "").unwrap();
            fs::write(dir.join("e.0"), "").unwrap();
            fs::write(dir.join("claim"), format!("{claim} - -\n")).unwrap();
            assert_eq!(here.poll(id).await, JobState::Lost, "{id}");
            assert_eq!(here.start(id, &script([sh("exit 0")])).await, JobState::Lost, "{id}");
        }
        // A directory that a starter has left half made is not a job.
        fs::create_dir_all(here.jobs.join("half")).unwrap();
        fs::write(here.jobs.join("half/j.1"), "exit 9").unwrap();
        assert_eq!(here.poll("half").await, JobState::Absent);
        here.start("half", &script([sh("exit 0")])).await;
        done(here.end("half").await);
    });
}

#[test]
fn a_boot_is_seen_and_a_clock_that_jumps_is_none() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let wrapped = booted(&shell, dir.path());
        let here = Here::new(&wrapped, dir.path());
        run(async {
            let gate = dir.path().join("gate");
            assert!(call("mkfifo", &[&gate.display().to_string()]));
            let job = script([sh(&format!("cat '{}'", gate.display()))]);
            here.start("before", &job).await;
            // Its process is there, whatever `who -b` says now.
            boot(dir.path(), "system boot Mar 02 08:15");
            assert!(matches!(here.poll("before").await, JobState::Running { .. }));
            // What a journal says was begun, and the host says nothing of.
            assert_eq!(here.poll("other").await, JobState::Rebooted);
            assert!(call("kill", &["-9", &runner(&here, "before")]));
            fs::write(&gate, "").unwrap();
            assert_eq!(here.end("before").await, JobState::Lost);
            // The first job after a boot settles it.
            here.start("after", &script([sh("exit 0")])).await;
            done(here.end("after").await);
            assert_eq!(here.poll("other").await, JobState::Absent);
        });
    }
}

#[test]
fn a_job_is_ended_with_all_that_it_began() {
    for_each_shell(async |here, dir| {
        let pids = dir.path().join("pids");
        let tree = format!(
            "sh -c 'echo $$ >> {p}; sleep 300 & echo $! >> {p}; wait' & echo $! >> {p}; wait",
            p = pids.display()
        );
        here.start("tree", &script([sh(&tree), sh("echo never")])).await;
        while fs::read_to_string(&pids).map_or(0, |text| text.lines().count()) < 3 {
            tokio::task::yield_now().await;
        }
        let output = done(here.kill("tree").await);
        assert_eq!(output.commands.len(), 1, "{output:?}");
        assert_ne!(output.commands[0].status, 0);
        for pid in fs::read_to_string(&pids).unwrap().lines() {
            let gone =
                sh(&format!("kill -0 {pid} 2>/dev/null && ps -p {pid} -o args= | grep -v defunct"));
            assert_ne!(here.exec(&script([gone])).await.commands[0].status, 0, "{pid} lives");
        }
        // One that will not hear is told twice.
        let deaf = sh("trap '' TERM; echo deaf; while :; do sleep 1; done");
        here.start("deaf", &script([deaf])).await;
        let mut state = here.kill("deaf").await;
        assert!(matches!(state, JobState::Running { .. }), "{state:?}");
        state = here.kill("deaf").await;
        assert!(matches!(state, JobState::Lost | JobState::Done(_)), "{state:?}");
        assert_eq!(here.kill("never-begun").await, JobState::NotBegun);
    });
}

#[test]
fn a_job_that_is_ended_before_it_begins_never_begins() {
    for_each_shell(async |here, dir| {
        assert_eq!(here.kill("m1.barred").await, JobState::NotBegun);
        let job = script([effect(&dir.path().join("effects"))]);
        for _ in 0..2 {
            assert_eq!(here.start("m1.barred", &job).await, JobState::NotBegun);
        }
        assert_eq!(here.kill("m1.barred").await, JobState::NotBegun);
        assert_eq!(effects(dir), 0);
        here.hosts.forget(&here.host, "m1.").await.unwrap();
        assert_eq!(here.start("m1.barred", &job).await, JobState::NotBegun, "its start is late");
        assert_eq!(effects(dir), 0);
    });
}

#[test]
fn a_job_that_is_ended_after_a_boot_never_begins_and_may_have_run_before() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&booted(&shell, dir.path()), dir.path());
        run(async {
            here.start("m1.first", &script([sh("true")])).await;
            done(here.end("m1.first").await);
            boot(dir.path(), "system boot Mar 02 08:15");
            assert_eq!(here.poll("m1.late").await, JobState::Rebooted);
            assert_eq!(here.kill("m1.late").await, JobState::Lost);
            // The start that was on its way when the host went down.
            let job = script([effect(&dir.path().join("effects"))]);
            assert_eq!(here.start("m1.late", &job).await, JobState::Lost);
            assert_eq!(here.poll("m1.late").await, JobState::Lost);
            assert_eq!(effects(&dir), 0, "{}", shell.display());
        });
    }
}

/// Makes of a job that ran one that is staged, and whose runner comes late.
fn unrun(here: &Here, id: &str) {
    for entry in fs::read_dir(here.jobs.join(id)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ["claim", "done"].contains(&name.as_str()) || name.starts_with(['s', 'p']) {
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn a_job_that_ends_before_its_first_command_is_not_begun() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let job = script([effect(&dir.path().join("effects"))]);
        run(async {
            for what in ["stopped", "without-output"] {
                here.start(what, &job).await;
                done(here.end(what).await);
                unrun(&here, what);
                let folder = here.jobs.join(what);
                if what == "stopped" {
                    fs::write(folder.join("stop"), "").unwrap();
                } else {
                    fs::remove_file(folder.join("e.0")).unwrap();
                    fs::create_dir(folder.join("e.0")).unwrap();
                }
                fs::remove_file(dir.path().join("effects")).unwrap();
                let file = folder.join("job").display().to_string();
                assert!(call(&shell.display().to_string(), &[&file]));
                assert_eq!(here.poll(what).await, JobState::NotBegun, "{}", shell.display());
                assert_eq!(here.start(what, &job).await, JobState::NotBegun, "{what}");
                assert_eq!(effects(&dir), 0, "{}: {what}", shell.display());
            }
        });
    }
}

#[test]
fn jobs_are_forgotten_by_their_beginning_and_never_while_they_run() {
    for_each_shell(async |here, dir| {
        let gate = dir.path().join("gate");
        assert!(call("mkfifo", &[&gate.display().to_string()]));
        for id in ["s1.m1.a", "s1.m1.b", "s1.m10.a"] {
            here.start(id, &script([sh("echo x")])).await;
            done(here.end(id).await);
        }
        here.start("s1.m1.c", &script([sh(&format!("cat '{}'", gate.display()))])).await;
        here.hosts.forget(&here.host, "s1.m1.").await.unwrap();
        assert_eq!(here.poll("s1.m1.a").await, JobState::Absent);
        assert!(matches!(here.poll("s1.m1.c").await, JobState::Running { .. }));
        done(here.poll("s1.m10.a").await);
        fs::write(&gate, "").unwrap();
        done(here.end("s1.m1.c").await);
        here.hosts.forget(&here.host, "s1.").await.unwrap();
        assert!(!here.jobs.exists(), "nothing is left on the host");
    });
}

#[test]
fn a_host_that_cannot_hold_a_job_says_so_and_runs_nothing() {
    for_each_shell(async |here, dir| {
        fs::write(&here.jobs, "a file where the directory should be").unwrap();
        let job = script([effect(&dir.path().join("effects"))]);
        let id = JobId::new("nowhere");
        let error = here.hosts.start(&here.host, &id, &job).await.unwrap_err();
        assert!(matches!(&error, TransportError::Unable { .. }), "{error}");
        assert!(error.to_string().contains("no directory for the job"), "{error}");
        assert!(!error.may_have_arrived());
        assert_eq!(effects(dir), 0);
    });
}

#[test]
fn a_job_whose_files_cannot_be_made_is_refused_and_may_be_asked_for_again() {
    for_each_shell(async |here, dir| {
        let job = script([effect(&dir.path().join("effects"))]);
        for (turn, name) in ["o.0", "e.0"].into_iter().enumerate() {
            // A directory where a file should be: no shell can open it.
            let id = JobId::new(format!("refused.{turn}"));
            let there = here.jobs.join(id.as_str()).join(name);
            fs::create_dir_all(&there).unwrap();
            let error = here.hosts.start(&here.host, &id, &job).await.unwrap_err();
            assert!(matches!(&error, TransportError::Unable { .. }), "{name}: {error}");
            assert!(!error.may_have_arrived());
            assert_eq!((here.poll(id.as_str()).await, effects(dir)), (JobState::Absent, turn));
            fs::remove_dir(&there).unwrap();
            here.start(id.as_str(), &job).await;
            done(here.end(id.as_str()).await);
            assert_eq!(effects(dir), turn + 1);
        }
    });
}

#[test]
fn a_start_is_forestalled_on_a_full_disk_too_and_on_a_read_only_one_it_is_said() {
    for_each_shell(async |here, dir| {
        let Some(small) = Small::mounted(&here.jobs) else { return };
        let fill = format!("dd if=/dev/zero of='{}/fill' bs=1024 2>/dev/null", here.jobs.display());
        here.exec(&script([sh(&fill)])).await;
        // What it had been cannot be written down.
        assert_eq!(here.kill("late").await, JobState::Lost);
        fs::remove_file(here.jobs.join("fill")).unwrap();
        let job = script([effect(&dir.path().join("effects"))]);
        assert_eq!(here.start("late", &job).await, JobState::Lost);
        small.remount("ro");
        let error = here.hosts.kill(&here.host, &JobId::new("ro")).await.unwrap_err();
        assert!(error.to_string().contains("cannot be kept from it"), "{error}");
        assert_eq!(effects(dir), 0);
    });
}

/// A small file system at `path`, or a note that it cannot be had.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mounted(path: &'a Path) -> Option<Small<'a>> {
        fs::create_dir_all(path).unwrap();
        let there = path.display().to_string();
        if call("mount", &["-t", "tmpfs", "-o", "size=128k", "tmpfs", &there]) {
            return Some(Small(path));
        }
        crate::skipped::skipped("no file system can be mounted: run the tests as root");
        None
    }

    fn remount(&self, how: &str) {
        assert!(call("mount", &["-o", &format!("remount,{how}"), &self.0.display().to_string()]));
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        call("umount", &["-l", &self.0.display().to_string()]);
    }
}

#[test]
fn a_full_disk_loses_no_status_and_a_read_only_one_takes_no_job() {
    for_each_shell(async |here, dir| {
        let Some(small) = Small::mounted(&here.jobs) else { return };
        let fill = format!("dd if=/dev/zero of='{}/fill' bs=1024 2>/dev/null", here.jobs.display());
        here.start("full", &script([sh(&format!("{fill}; exit 5"))])).await;
        assert_eq!(done(here.end("full").await).commands[0].status, 5);
        // Nothing more is begun there.
        let job = script([effect(&dir.path().join("effects"))]);
        let error = here.hosts.start(&here.host, &JobId::new("more"), &job).await.unwrap_err();
        assert!(matches!(&error, TransportError::Unable { .. }), "{error}");
        assert_eq!(effects(dir), 0);
        fs::remove_file(here.jobs.join("fill")).unwrap();
        here.start("more", &job).await;
        done(here.end("more").await);
        assert_eq!(effects(dir), 1);
        small.remount("ro");
        let error = here.hosts.start(&here.host, &JobId::new("ro"), &job).await.unwrap_err();
        assert!(matches!(&error, TransportError::Unable { .. }), "{error}");
        // What has ended is still told.
        assert_eq!(done(here.poll("full").await).commands[0].status, 5);
        assert_eq!(effects(dir), 1);
    });
}

#[test]
fn output_is_bounded_and_its_growth_is_seen() {
    for_each_shell(async |here, dir| {
        let gate = dir.path().join("gate");
        assert!(call("mkfifo", &[&gate.display().to_string()]));
        let much = "i=0; while [ $i -lt 400 ]; do printf '%01000d' 0; i=$((i + 1)); done";
        let job = Script::new([sh(&format!("{much}; echo; cat '{}'; exit 2", gate.display()))]);
        here.start("much", &job).await;
        let id = JobId::new("much");
        let mut seen = 0;
        while seen < 400_001 {
            let wait = Duration::from_millis(20);
            match here.hosts.poll(&here.host, &id, seen, wait).await.unwrap() {
                JobState::Running { output_bytes, .. } => {
                    assert!(output_bytes >= seen);
                    seen = output_bytes;
                }
                other => panic!("{other:?}"),
            }
        }
        fs::write(&gate, "the end\n").unwrap();
        let output = done(here.end("much").await);
        assert_eq!(output.commands[0].status, 2);
        let said = &output.commands[0].stdout;
        assert!(said.starts_with("[cut]") && said.len() <= OUTPUT_BYTES_MAX, "{}", said.len());
        assert!(output.commands[0].truncated, "it is told that a part is missing");
        assert_eq!(&said[said.len() - 10..], "0\nthe end\n");
    });
}

#[test]
fn a_job_that_runs_tells_for_how_long_by_its_host() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        run(async {
            here.start("m1.a", &script([sh("sleep 600")])).await;
            let ran = async || match here.poll("m1.a").await {
                JobState::Running { ran, .. } => ran.expect("this machine's ps tells it"),
                other => panic!("{other:?}"),
            };
            let first = ran().await;
            assert!(first < Duration::from_secs(60), "{first:?}");
            while ran().await == first {}
            assert!(ran().await > first);
            while matches!(here.kill("m1.a").await, JobState::Running { .. }) {}
        });
    }
}
