//! What was heard of a program: its status lines, and what its commands said.

use std::collections::BTreeMap;
use std::time::Duration;

use super::frames::{Frame, Frames};
use crate::base::limits::{JOBS_NAMED_MAX, OUTPUT_BYTES_MAX};
use crate::base::{sanitize, sanitize_end, sanitize_line};
use crate::transport::command::{CommandOutput, Output};
use crate::transport::reach::JobState;

/// The two streams of a program.
#[derive(Debug)]
pub(in crate::transport) struct Heard {
    stdout: Frames,
    stderr: Frames,
    /// The last that came on stderr before the program began: what the
    /// connection said.
    before: Vec<u8>,
}

/// What all of it comes to.
#[derive(Debug)]
pub(in crate::transport) struct Reply {
    /// Whether the program began.
    pub(in crate::transport) has_begun: bool,
    /// Whether all was heard.
    pub(in crate::transport) is_whole: bool,
    /// What its commands said.
    pub(in crate::transport) output: Output,
    /// What it says of a job.
    pub(in crate::transport) job: Option<JobWord>,
    /// Jobs, or bars, that it names.
    pub(in crate::transport) jobs: Vec<String>,
    /// A piece of a job's two streams.
    pub(in crate::transport) piece: [Vec<u8>; 2],
    /// Words on stderr that no command said: the connection's.
    pub(in crate::transport) around: String,
    /// The status of the remote shell that a program was handed to.
    pub(in crate::transport) relay: Option<i32>,
    /// What that remote shell said.
    pub(in crate::transport) relay_said: String,
}

/// What a host says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transport) enum JobWord {
    /// Its state; the output of one that is done comes beside it.
    Is(JobState),
    /// It is done.
    Done,
    /// Jobs were removed, named, barred.
    Ready,
    /// It was not started: somebody has barred it.
    Barred(String),
    /// A piece of its output was read. Before that, its command had ended, or all
    /// of it had.
    Read { command_ended: bool, job_over: bool },
    /// The host could not do it, and has not.
    Failed(String),
}

/// Bytes of what the connection said that are kept.
const AROUND_BYTES_MAX: usize = 4_000;

impl Heard {
    pub(in crate::transport) fn new(nonce: &str) -> Heard {
        Heard { stdout: Frames::new(nonce), stderr: Frames::new(nonce), before: Vec::new() }
    }

    pub(in crate::transport) fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.push(bytes);
    }

    pub(in crate::transport) fn stderr(&mut self, bytes: &[u8]) {
        if !self.stderr.has("hello") {
            let room = AROUND_BYTES_MAX.saturating_sub(self.before.len());
            self.before.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        self.stderr.push(bytes);
    }

    /// Whether the program has begun.
    pub(in crate::transport) fn has_begun(&self) -> bool {
        self.stdout.has("hello")
    }

    /// Whether there is a stderr whose end has not come. Where a connection has one
    /// stream only, its marks come on stdout.
    pub(in crate::transport) fn lacks_stderr(&self) -> bool {
        self.stderr.has("hello") && !self.stderr.has("end")
    }

    /// Whether the program has said its last on stdout.
    pub(in crate::transport) fn has_ended(&self) -> bool {
        self.stdout.has("end")
    }

    /// The same on both streams: there is nothing to wait for.
    pub(in crate::transport) fn is_over(&self) -> bool {
        self.has_ended() && self.stderr.has("end")
    }

    pub(in crate::transport) fn finish(self) -> Reply {
        let is_whole = self.has_ended() && !self.lacks_stderr();
        let has_begun = self.has_begun();
        let (frames, _) = self.stdout.finish();
        let (errors, after) = self.stderr.finish();
        let (mut stdout, mut stderr) = (BTreeMap::new(), BTreeMap::new());
        let (mut job, mut relay, mut relay_said) = (None, None, String::new());
        let (mut jobs, mut piece) = (Vec::new(), [Vec::new(), Vec::new()]);
        for Frame { said, mark } in frames.iter().chain(&errors) {
            let mut words = mark.split(' ');
            let kind = words.next().unwrap_or_default();
            let index = words.next().and_then(|word| word.parse::<usize>().ok());
            match (kind, index) {
                ("o", Some(index)) => {
                    let status =
                        words.next().and_then(|word| word.parse::<i32>().ok()).unwrap_or(255);
                    let took_s = words.next().and_then(|word| word.parse::<u64>().ok());
                    stdout.insert(index, (status, took_s, said.as_slice()));
                }
                ("e", Some(index)) => {
                    stderr.insert(index, said.as_slice());
                }
                ("j" | "x", _) => job = job_word(mark),
                ("u", _) if jobs.len() < JOBS_NAMED_MAX => jobs.extend(mark.get(2..).map(plain)),
                ("po", _) => piece[0].clone_from(said),
                ("pe", _) => piece[1].clone_from(said),
                ("r", _) => {
                    relay = mark.get(2..).and_then(|status| status.parse().ok());
                    relay_said.push_str(&kept(said));
                }
                // On stderr, for nothing is said on stdout but by commands.
                ("end", _) => relay_said.push_str(&kept(said)),
                _ => {}
            }
        }
        let commands = stdout.into_iter().map(|(index, (status, took_s, out))| {
            let err: &[u8] = stderr.get(&index).copied().unwrap_or_default();
            let [shown_out, shown_err] = [out, err].map(String::from_utf8_lossy);
            let output = CommandOutput::bounded(status, &shown_out, &shown_err);
            let truncated = output.truncated || is_cut(out) || is_cut(err);
            CommandOutput { truncated, took_s, ..output }
        });
        let around = [&self.before[..], b"\n", &after[..]].concat();
        Reply {
            has_begun,
            is_whole,
            output: Output { commands: commands.collect() },
            job,
            jobs,
            piece,
            relay,
            relay_said,
            around: sanitize(&String::from_utf8_lossy(&around), AROUND_BYTES_MAX),
        }
    }
}

fn kept(said: &[u8]) -> String {
    sanitize_end(&String::from_utf8_lossy(said), OUTPUT_BYTES_MAX)
}

/// Whether more was said than is kept.
fn is_cut(said: &[u8]) -> bool {
    said.len() > OUTPUT_BYTES_MAX
}

/// A name, as it may be shown.
fn plain(name: &str) -> String {
    sanitize_line(name, 200)
}

fn job_word(mark: &str) -> Option<JobWord> {
    let (kind, rest) = mark.split_once(' ')?;
    if kind == "x" {
        return Some(JobWord::Failed(sanitize_line(rest, 300)));
    }
    let mut words = rest.split(' ');
    Some(match words.next()? {
        "absent" => JobWord::Is(JobState::Absent),
        "rebooted" => JobWord::Is(JobState::Rebooted),
        "lost" => JobWord::Is(JobState::Lost),
        "unbegun" => JobWord::Is(JobState::NotBegun),
        "done" => JobWord::Done,
        "ready" => JobWord::Ready,
        "barred" => JobWord::Barred(plain(words.next().unwrap_or("another"))),
        "read" => JobWord::Read {
            command_ended: words.next() == Some("yes"),
            job_over: words.next() == Some("yes"),
        },
        "running" => {
            let output_bytes = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            let ran_s = words.next().and_then(|word| word.parse().ok());
            JobWord::Is(JobState::Running { output_bytes, ran: ran_s.map(Duration::from_secs) })
        }
        _ => return None,
    })
}

/// The last line of `text` that says something.
pub(in crate::transport) fn last_line(text: &str) -> Option<String> {
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(sanitize_line(line, 200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_whose_end_has_not_come_is_not_all_that_was_said() {
        let heard = |stdout: &str, stderr: &str| {
            let mut heard = Heard::new("n");
            heard.stdout(stdout.as_bytes());
            heard.stderr(stderr.as_bytes());
            heard.finish()
        };
        let out = "\n@n hello\nfine\n\n@n o 0 0 1\n\n@n end\n";
        let err = "\n@n hello\n0042-001 nim: it is not\n\n@n e 0\n\n@n end\n";
        assert!(heard(out, err).is_whole);
        for cut in ["\n@n hello\n".len(), err.len() - 1] {
            assert!(!heard(out, &err[..cut]).is_whole, "{cut}");
        }
        // A connection with one stream, and one without stderr.
        let both = "\n@n hello\n\n@n hello\n\n@n o 0 0 1\n\n@n e 0\n\n@n end\n\n@n end\n";
        assert!(heard(both, "").is_whole && heard(out, "").is_whole);
    }
}
