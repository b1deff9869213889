//! Words and statuses come through every shell as they are.

use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::tempdir;

use nimshift::transport::{Command, Script};

use crate::support::{Here, done, run, script, sh, shells};

/// Words that shells have their own mind about.
fn word() -> impl Strategy<Value = String> {
    let hard = prop::sample::select(vec![
        "'", "\"", "\\", "$", "`", "$(id)", "${x}", "*", "?", "[a-z]", "~", "#", ";", "&", "|",
        "<", ">", "(", ")", "{", "}", "!", "=", "%", "-n", "-e", "\n", "\t", " ", "\r", "if",
        "done", "a=b", "\\n", "\\c", "é", "日", "\u{1b}", "EOF", "@", "^", ":",
    ]);
    prop_oneof![
        prop::collection::vec(hard, 0..8).prop_map(|parts| parts.concat()),
        "[ -~\n\t]{0,40}",
    ]
}

/// The words as `printf` gives them back, each ended by a mark.
fn echo(words: &[String]) -> Command {
    let argv = ["printf".to_owned(), "%s\\001".to_owned()];
    Command::new(argv.into_iter().chain(words.iter().cloned()))
}

/// As a transport hands text on: without control characters.
fn shown(text: &str) -> String {
    let clean = text.replace("\r\n", "\n");
    let safe = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    clean.chars().map(safe).collect()
}

#[test]
fn words_come_through_as_they_are() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
        let words = prop::collection::vec(prop::collection::vec(word(), 1..6), 1..5);
        let outcome = runner.run(&words, |commands| {
            let script = Script::new(commands.iter().map(|words| echo(words)));
            let output = run(here.exec(&script));
            prop_assert_eq!(output.commands.len(), commands.len());
            for (command, words) in output.commands.iter().zip(&commands) {
                let all = words.join("\u{1}") + "\u{1}";
                prop_assert_eq!(&command.stdout, &shown(&all));
                prop_assert_eq!((command.status, command.stderr.as_str()), (0, ""));
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", shell.display()));
    }
}

#[test]
fn environment_and_directory_come_through_as_they_are() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let inside = dir.path().join("it's a $HOME");
        std::fs::create_dir(&inside).unwrap();
        let show = Command::new(["/bin/sh", "-c", "printf '%s|' \"$A\" \"$LC_ALL\"; pwd"])
            .with_env("A", "x'y\"z $(id)\n")
            .within(inside.display().to_string());
        let missing = Command::new(["pwd"]).within(format!("{}/no", inside.display()));
        let output = run(here.exec(&script([show, missing])));
        let wanted = format!("x'y\"z $(id)\n|C|{}\n", inside.display());
        assert_eq!(output.commands[0].stdout, wanted, "{}", shell.display());
        assert_ne!(output.commands[1].status, 0);
        assert!(output.commands[1].stderr.contains("no"), "{:?}", output.commands[1]);
    }
}

#[test]
fn statuses_are_the_same_in_every_shell() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let status = |command: Command| {
            let output = run(here.exec(&script([command])));
            output.commands[0].status
        };
        assert_eq!(status(sh("exit 7")), 7);
        assert_eq!(status(sh("exit 255")), 255);
        assert_eq!(status(sh("kill -TERM $$")), 143, "{}", shell.display());
        assert_eq!(status(sh("kill -KILL $$")), 137, "{}", shell.display());
        assert_eq!(status(Command::new(["no-such-program-here"])), 127, "{}", shell.display());
        assert_eq!(status(Command::new(["/etc/passwd"])), 126, "{}", shell.display());
        // A command that ends its shell ends no more than itself.
        assert_eq!(status(Command::new(["exit", "3"])), 3);
        assert_eq!(status(Command::new(["if"])), 127, "{}", shell.display());
    }
}

#[test]
fn a_pipe_has_the_first_status_that_is_not_good() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let pipe = |first: &str, second: &str| {
            let command = sh(first).piped_to(["/bin/sh", "-c", second]);
            run(here.exec(&script([command]))).commands.remove(0)
        };
        let through = pipe("echo one; echo two >&2", "sed s/one/three/; echo four >&2");
        assert_eq!((through.status, through.stdout.as_str()), (0, "three\n"));
        assert!(through.stderr.contains("two\n") && through.stderr.contains("four\n"));
        assert_eq!(pipe("exit 3", "cat").status, 3, "{}", shell.display());
        assert_eq!(pipe("exit 3", "exit 4").status, 3, "{}", shell.display());
        assert_eq!(pipe("true", "exit 4").status, 4, "{}", shell.display());
        assert_eq!(pipe("kill -TERM $$", "cat").status, 143, "{}", shell.display());
        assert_eq!(pipe("true", "kill -TERM $$").status, 143, "{}", shell.display());
        // Who was to tell the status was killed.
        assert_eq!(pipe("kill -KILL $PPID", "cat").status, 137, "{}", shell.display());
        assert_eq!(pipe("true", "kill -KILL $PPID").status, 137, "{}", shell.display());
        let big = pipe("dd if=/dev/zero bs=1024 count=300 2>/dev/null | tr '\\000' x", "wc -c");
        assert_eq!(big.stdout.trim(), "307200");
    }
}

#[test]
fn a_script_ends_with_its_first_failure() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let commands = [sh("exit 1").tolerated(), sh("echo on"), sh("exit 2"), sh("echo no")];
        let output = run(here.exec(&script(commands)));
        let statuses: Vec<i32> = output.commands.iter().map(|command| command.status).collect();
        assert_eq!(statuses, [1, 0, 2], "{}", shell.display());
    }
}

#[test]
fn commands_have_no_input_and_their_output_is_bounded() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let much = sh(
            "i=0; while [ $i -lt 8000 ]; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; echo $i; i=$((i + 1)); done",
        );
        let output = run(here.exec(&script([Command::new(["cat"]), much, sh("echo after")])));
        assert_eq!(output.commands[0].stdout, "");
        let much = &output.commands[1].stdout;
        assert!(
            much.starts_with("[cut]") && much.ends_with("56789\n7999\n"),
            "{}",
            shell.display()
        );
        assert!(output.commands[1].stdout.len() <= 256 * 1024);
        assert_eq!(output.commands[2].stdout, "after\n");
        let cut: Vec<bool> = output.commands.iter().map(|command| command.truncated).collect();
        assert_eq!(cut, [false, true, false], "{}", shell.display());
    }
}

#[test]
fn what_a_command_is_given_to_read_comes_through_as_it_is() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let mut runner = TestRunner::new(Config { cases: 16, ..Config::default() });
        let line = prop_oneof![Just("NM_END".to_owned()), Just(String::new()), word()];
        let input = prop::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n") + "\n");
        let count = std::cell::Cell::new(0);
        let outcome = runner.run(&(input, 0..4_i32), |(input, status)| {
            // To the command, to the first of two, and in a job.
            let reads = Command::new(["cat"]).reading(input.lines());
            let input = reads.stdin.clone().unwrap();
            let fails = sh(&format!("cat; exit {status}")).reading(input.lines()).tolerated();
            let commands = script([reads, fails.piped_to(["cat"]), Command::new(["cat"])]);
            count.set(count.get() + 1);
            let id = format!("job{}", count.get());
            run(here.start(&id, &commands));
            for output in [run(here.exec(&commands)), done(run(here.end(&id)))] {
                let said: Vec<_> = output.commands.iter().map(|one| one.stdout.clone()).collect();
                prop_assert_eq!(said, [shown(&input), shown(&input), String::new()]);
                prop_assert_eq!(output.commands[1].status, status);
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", shell.display()));
    }
}

#[test]
fn a_host_tells_how_long_a_command_took() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let commands = script([sh("sleep 2"), sh("true")]);
        run(here.start("job", &commands));
        for output in [run(here.exec(&commands)), done(run(here.end("job")))] {
            let [slow, quick] = [0, 1].map(|index| output.commands[index].took_s);
            if shell.ends_with("dash") {
                assert_eq!((slow, quick), (None, None), "dash counts no seconds");
            } else {
                assert!(slow.is_some_and(|took| (1..60).contains(&took)), "{slow:?}");
                assert!(quick.is_some_and(|took| took < 60), "{}: {quick:?}", shell.display());
            }
        }
    }
}

#[test]
fn the_tool_is_clean_under_shellcheck() {
    let Some(program) = crate::support::find("shellcheck") else {
        crate::skipped::skipped("install shellcheck");
        return;
    };
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/src/transport/shell/tool.sh");
    #[expect(clippy::disallowed_methods, reason = "a test runs a program of this machine")]
    let checked = std::process::Command::new(program).args(["-s", "sh", tool]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// The script of first contact, with AIX commands that say what they say, in every shell: all
/// is asked, and no name or id of the host is in what is to be sent.
#[test]
#[expect(clippy::disallowed_methods, reason = "the script is what is tested")]
fn first_contact_asks_all_and_tells_no_names() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/first-contact.sh");
    for shell in shells() {
        let place = tempfile::tempdir().unwrap();
        let command = |name: &str, text: &str| {
            let path = place.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        command("oslevel", "echo 7200-05-03-2148");
        command("lspv", "echo 'hdisk0 00f6abcd12345678 rootvg active'");
        command("lsvg", "echo 'VG IDENTIFIER: 00f6abcd00004c0000000178aabbccdd'");
        command("exportfs", "echo /export -ro,access=10.1.2.3:lpar7.site.example; exit 1");
        let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap());
        let ran = std::process::Command::new(&shell)
            .args([script, "client", "hdisk1"])
            .current_dir(place.path())
            .env("PATH", path)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}: {ran:?}", shell.display());
        let told = std::fs::read_to_string(place.path().join("first-contact.client.txt")).unwrap();
        for word in ["7200-05-03-2148", "hdisk0 00000000000000", "access=192.0.2."] {
            assert!(told.contains(word), "{}: no {word} in\n{told}", shell.display());
        }
        let host = std::process::Command::new("hostname").output().unwrap().stdout;
        let host = String::from_utf8(host).unwrap();
        for secret in ["00f6abcd", "10.1.2.3", &format!("Linux {}", host.trim())] {
            assert!(!told.contains(secret), "{}: {secret} in\n{told}", shell.display());
        }
        assert_eq!(told.matches("\nstatus ").count(), told.matches("\n=== ").count());
        let refused = std::process::Command::new(&shell)
            .args([script, "client", "hdisk1; reboot"])
            .current_dir(place.path())
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}
