//! The output of a job, read while it grows, in every shell.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use nimshift::base::limits::OUTPUT_PIECE_BYTES_MAX;
use nimshift::lab::{EstateFile, Lab, PlainClient, PlainMaster};
use nimshift::transport::{Command, HostId, JobId, OutputMark, OutputPiece, Script, Transport};

use crate::support::{Here, done, run, script, sh, shells};

/// Both streams of each command, as they were read.
type Streams = Vec<[Vec<u8>; 2]>;

fn take(streams: &mut Streams, mark: OutputMark, piece: &OutputPiece) {
    assert!(piece.stdout.len().max(piece.stderr.len()) <= OUTPUT_PIECE_BYTES_MAX);
    if piece.stdout.is_empty() && piece.stderr.is_empty() {
        return;
    }
    streams.resize(streams.len().max(mark.command + 1), [Vec::new(), Vec::new()]);
    streams[mark.command][0].extend_from_slice(&piece.stdout);
    streams[mark.command][1].extend_from_slice(&piece.stderr);
}

/// Reads from `mark` on until there is no more.
async fn rest(
    hosts: &dyn Transport,
    host: &HostId,
    id: &JobId,
    mut mark: OutputMark,
    streams: &mut Streams,
) {
    loop {
        let piece = hosts.output(host, id, mark).await.unwrap();
        take(streams, mark, &piece);
        mark = piece.next;
        if piece.is_last {
            return;
        }
    }
}

/// Bytes of all kinds, as no text has them.
fn bytes(size: usize) -> Vec<u8> {
    let mut state = 12_345_u32;
    let next = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        state.to_be_bytes()[1]
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn fifo(path: &Path) {
    #[expect(clippy::disallowed_methods, reason = "a test runs a program of this machine")]
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn what_grows_is_read_from_where_one_was_however_it_is_cut() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let (data, gate) = (dir.path().join("data"), dir.path().join("gate"));
        let wanted = bytes(3 * OUTPUT_PIECE_BYTES_MAX + 777);
        fs::write(&data, &wanted).unwrap();
        fifo(&gate);
        let (data, gate_text) = (data.display(), gate.display());
        let job = script([
            sh("printf 'one without end'; echo two >&2"),
            // Some, a pause of unknown length, and the rest.
            sh(&format!(
                "dd if='{data}' bs=1000 count=1; cat '{gate_text}' >/dev/null; \
                 dd if='{data}' bs=1000 skip=1; cat '{data}' >&2"
            ))
            .tolerated(),
            sh("exit 3"),
            sh("echo never"),
        ]);
        run(async {
            let id = JobId::new("s1.m1.a");
            let (hosts, host) = (&here.hosts, &here.host);
            let mut streams = Streams::new();
            let none = hosts.output(host, &id, OutputMark::default()).await.unwrap();
            assert!(none.is_last && none.stdout.is_empty(), "of a job that nobody knows");
            here.start("s1.m1.a", &job).await;
            let mut mark = OutputMark::default();
            while mark.command == 0 || streams.get(1).is_none_or(|of| of[0].len() < 1000) {
                let piece = hosts.output(host, &id, mark).await.unwrap();
                assert!(!piece.is_last, "it runs");
                take(&mut streams, mark, &piece);
                mark = piece.next;
            }
            fs::write(&gate, "").unwrap();
            // Cut off, and begun from every kind of place again.
            for seen in [0, 1, 511, 512, 513, 1000] {
                let mark = OutputMark { command: 1, stdout: seen, stderr: 0 };
                let mut again = Streams::new();
                rest(hosts, host, &id, mark, &mut again).await;
                let from = usize::try_from(seen).unwrap();
                assert!(again[1][0] == wanted[from..], "from {seen} in {}", shell.display());
            }
            rest(hosts, host, &id, mark, &mut streams).await;
            done(here.end("s1.m1.a").await);
            assert_eq!(streams.len(), 2);
            assert_eq!(streams[0], [b"one without end".to_vec(), b"two\n".to_vec()]);
            assert!(streams[1][0] == wanted, "stdout in {}", shell.display());
            assert!(streams[1][1].ends_with(&wanted), "stderr in {}", shell.display());
        });
    }
}

#[test]
fn the_output_of_a_job_that_was_killed_ends() {
    for shell in shells() {
        let dir = tempdir().unwrap();
        let here = Here::new(&shell, dir.path());
        let gate = dir.path().join("gate");
        fifo(&gate);
        run(async {
            let job = script([sh(&format!("echo said; cat '{}'", gate.display()))]);
            here.start("s1.m1.a", &job).await;
            while matches!(
                here.kill("s1.m1.a").await,
                nimshift::transport::JobState::Running { .. }
            ) {}
            let mut streams = Streams::new();
            let id = JobId::new("s1.m1.a");
            rest(&here.hosts, &here.host, &id, OutputMark::default(), &mut streams).await;
            assert!(streams.is_empty() || streams[0][0] == b"said\n");
        });
    }
}

#[test]
fn the_lab_tells_it_as_hosts_do() {
    let master = PlainMaster::new("nim1", "7300-02-01-2346", "spot", "lpp");
    let client = PlainClient::new("lpar01", "7200-05-03-2148", &["hdisk1"]);
    let estate = EstateFile::from_clients(&master, &[client]);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let clock = std::sync::Arc::new(nimshift::base::TokioClock::starting_at(0));
        let lab = Lab::in_memory(&estate, clock).unwrap();
        let (host, id) = (HostId::new("lpar01"), JobId::new("s1.m1.a"));
        let job = Script::new([
            Command::new(["echo", "one"]),
            Command::new(["ls", "/nosuch"]).tolerated(),
            Command::new(["false"]),
            Command::new(["echo", "never"]),
        ]);
        lab.start(&host, &id, &job).await.unwrap();
        let mut streams = Streams::new();
        rest(&lab, &host, &id, OutputMark::default(), &mut streams).await;
        assert_eq!(streams[0], [b"one\n".to_vec(), Vec::new()]);
        assert!(streams[1][1].starts_with(b"ls: 0653-341"), "{streams:?}");
        assert_eq!(streams.len(), 2);
    });
}
