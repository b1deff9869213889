//! A mount's questions to the host that it is a mount of.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::wire::{Answer, Handle, Op, Refusal, Reply, Request, receive, send};
use crate::base::{Millis, SystemClock};

/// How long a connection is tried.
const CONNECT: Duration = Duration::from_secs(1);

/// How long an answer is waited for at first, and at last.
const WAIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// What is waited between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The server refuses.
    Refused(Refusal),
    /// It has been silent for as long as a soft mount waits.
    TimedOut,
}

/// Options of a mount, as far as they say how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// For ever.
    Hard,
    /// So many milliseconds.
    Soft(Millis),
}

impl Patience {
    /// By the mount's options: `soft,timeo=TENTHS,retrans=COUNT`. What is not
    /// said is as AIX has it for TCP.
    pub(super) fn of(options: &str) -> Patience {
        let mut soft = false;
        let (mut timeo, mut retrans) = (100, 5);
        for option in options.split(',') {
            let number = |text: &str| text.parse::<u64>().unwrap_or(1).clamp(1, 100_000);
            match option.split_once('=') {
                None if option == "soft" => soft = true,
                None if option == "hard" => soft = false,
                Some(("timeo", text)) => timeo = number(text),
                Some(("retrans", text)) => retrans = number(text),
                _ => {}
            }
        }
        if soft { Patience::Soft(timeo * 100 * retrans) } else { Patience::Hard }
    }
}

/// The server of a mount, as it is reached from there.
pub(super) struct Asker {
    pub address: SocketAddr,
    pub server: String,
    /// The host that the mount is on.
    pub from: String,
    pub handle: Handle,
    pub mount: u64,
    pub patience: Patience,
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Line {
    stream: Option<TcpStream>,
    number: u64,
    wait: Duration,
}

impl Asker {
    /// Not yet connected.
    pub(super) fn new(
        (server, address): (String, SocketAddr),
        from: String,
        handle: Handle,
        mount: u64,
        patience: Patience,
    ) -> Asker {
        let line = Mutex::new(Line { stream: None, number: 0, wait: WAIT.0 });
        Asker { address, server, from, handle, mount, patience, line }
    }

    /// Asks until there is an answer, or for as long as the mount waits.
    pub(super) fn ask(&self, op: Op, content: &[u8]) -> Result<(Answer, Vec<u8>), NoAnswer> {
        self.ask_within(op, content, self.patience)
    }

    /// As [`Asker::ask`], with another patience.
    pub(super) fn ask_within(
        &self,
        op: Op,
        content: &[u8],
        patience: Patience,
    ) -> Result<(Answer, Vec<u8>), NoAnswer> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.number += 1;
        let request = Request {
            mount: self.mount,
            number: line.number,
            from: self.from.clone(),
            handle: self.handle.clone(),
            op,
        };
        let began = SystemClock::read_ms();
        let mut told = false;
        loop {
            if let Ok((reply, content)) = line.exchange(self.address, &request, content) {
                if told {
                    say(&format!("NFS server {} ok", self.server));
                }
                return reply.map(|answer| (answer, content)).map_err(NoAnswer::Refused);
            }
            line.stream = None;
            if let Patience::Soft(limit) = patience
                && SystemClock::read_ms().saturating_sub(began) >= limit
            {
                say(&format!("NFS server {} not responding: timed out", self.server));
                return Err(NoAnswer::TimedOut);
            }
            if !told {
                say(&format!("NFS server {} not responding still trying", self.server));
                told = true;
            }
            pause();
        }
    }
}

impl Line {
    fn exchange(
        &mut self,
        address: SocketAddr,
        request: &Request,
        content: &[u8],
    ) -> io::Result<(Reply, Vec<u8>)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect_timeout(&address, CONNECT)?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        // The next wait is longer, for a server that is slow and not away.
        stream.set_read_timeout(Some(self.wait))?;
        stream.set_write_timeout(Some(self.wait))?;
        self.wait = (self.wait * 2).min(WAIT.1);
        send(stream, request, content)?;
        let given = receive(stream)?;
        self.wait = WAIT.0;
        Ok(given)
    }
}

/// What AIX's kernel says on the console: here in the mount's log.
fn say(text: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), format!("{text}\n").as_bytes());
}

#[expect(clippy::disallowed_methods, reason = "a mount lives by the machine's time")]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_how_long_a_mount_waits() {
        assert_eq!(Patience::of("bg,hard,intr,sec=sys"), Patience::Hard);
        assert_eq!(Patience::of("soft,timeo=10,retrans=3"), Patience::Soft(3_000));
        assert_eq!(Patience::of("ro,soft"), Patience::Soft(50_000));
        assert_eq!(Patience::of("soft,timeo=x,retrans=0"), Patience::Soft(100));
        assert_eq!(Patience::of("soft,hard"), Patience::Hard);
    }
}
