//! A process of this machine that a program is sent to.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdout, Command};

use super::shell::{Heard, Program, Reply};

/// A program of this machine and its arguments.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
}

/// How a conversation ended.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) reply: Reply,
    /// What was heard of the program within, where it hands one on.
    pub(super) within: Option<Reply>,
    /// Exit status of the process; none where a signal ended it, or where it
    /// was not waited for.
    pub(super) status: Option<i32>,
}

/// How long a process may take to end that has said its last.
const LINGER: Duration = Duration::from_millis(500);

/// How long the end of a stream may come after that of the other.
const STDERR_WAIT: Duration = Duration::from_secs(15);

/// Who is heard.
#[derive(Debug, Clone, Copy)]
pub(super) enum Voice {
    /// The program that was sent.
    Own,
    /// The one that it hands on.
    Within,
}

impl Invocation {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).kill_on_drop(true);
        // A signal from the terminal is for us. Jobs of this machine would
        // otherwise die with it.
        command.process_group(0);
        command
    }

    /// Sends `text` and hears what is said, until all was said or the process
    /// ends. Dropped, it ends the process.
    ///
    /// `within` is the nonce of the program that this one hands on. `tell` is called
    /// when either begins to speak.
    pub(super) async fn talk(
        &self,
        program: &Program,
        within: Option<&str>,
        tell: &(dyn Fn(Voice) + Sync),
    ) -> io::Result<Talk> {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(mut input), Some(mut stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a pipe to the process is missing"));
        };
        let mut heard = Both { own: Heard::new(&program.nonce), within: within.map(Heard::new) };
        {
            let send = async {
                // A process that ends early tells why by its status and its words.
                let _ = input.write_all(program.text.as_bytes()).await;
                drop(input);
            };
            let hear = heard.all(&mut stdout, &mut stderr, tell);
            // Sending ends with the conversation, whether all was taken or not.
            tokio::pin!(send);
            tokio::pin!(hear);
            let mut is_sent = false;
            loop {
                tokio::select! {
                    biased;
                    () = &mut hear => break,
                    () = &mut send, if !is_sent => is_sent = true,
                }
            }
        }
        let ended = tokio::time::timeout(LINGER, child.wait()).await;
        let status = ended.ok().and_then(Result::ok).and_then(|status| status.code());
        let (reply, within) = (heard.own.finish(), heard.within.map(Heard::finish));
        Ok(Talk { reply, within, status })
    }

    /// What the process prints, without input.
    pub(super) async fn output(&self) -> io::Result<std::process::Output> {
        self.command().stdin(Stdio::null()).output().await
    }
}

/// A program, and the one that it hands on, on the same streams.
struct Both {
    own: Heard,
    within: Option<Heard>,
}

impl Both {
    async fn all(
        &mut self,
        stdout: &mut ChildStdout,
        stderr: &mut ChildStderr,
        tell: &(dyn Fn(Voice) + Sync),
    ) {
        let mut silent = [Voice::Own, Voice::Within].map(Some);
        let (mut out, mut err) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        let (mut out_open, mut err_open) = (true, true);
        // What a background process keeps open is not waited for.
        while (out_open || err_open) && !self.own.is_over() {
            let patience = if self.own.lacks_stderr() && err_open { STDERR_WAIT } else { LINGER };
            tokio::select! {
                biased;
                read = stdout.read(&mut out), if out_open => {
                    let size = read.unwrap_or(0);
                    out_open = size > 0;
                    self.each(|heard| heard.stdout(&out[..size]));
                }
                read = stderr.read(&mut err), if err_open => {
                    let size = read.unwrap_or(0);
                    err_open = size > 0;
                    self.each(|heard| heard.stderr(&err[..size]));
                }
                // The other stream may be held by a shared connection.
                () = tokio::time::sleep(patience), if self.own.has_ended() || !out_open => break,
            }
            for voice in silent.iter_mut().filter(|voice| voice.is_some_and(|it| self.speaks(it))) {
                voice.take().into_iter().for_each(tell);
            }
        }
    }

    fn speaks(&self, voice: Voice) -> bool {
        match voice {
            Voice::Own => self.own.has_begun(),
            Voice::Within => self.within.as_ref().is_some_and(Heard::has_begun),
        }
    }

    fn each(&mut self, mut take: impl FnMut(&mut Heard)) {
        take(&mut self.own);
        if let Some(within) = &mut self.within {
            take(within);
        }
    }
}
