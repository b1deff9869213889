//! The keeper is begun.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::keeper::patience_ms;
use crate::lab::net::layout::{Layout, NetError, io};
use crate::lab::net::{process, root};

/// The keeper's name in the mark that all processes of a lab have in their
/// environment. No host has it: names of hosts have no space.
const KEEPER: &str = "the keeper";

/// What a keeper says of itself.
const LINE_MAX: u64 = 4 << 10;

/// What the keeper needs beside its hosts' time.
const MARGIN_MS: u64 = 10_000;

/// Begins the keeper and waits until all hosts answer. Without its caller, the
/// keeper ends before that.
pub(in crate::lab::net) fn bring_up(layout: &Layout, hosts: usize) -> Result<(), NetError> {
    let path = layout.file("keeper.log");
    let log = File::create(&path).map_err(io(&path))?;
    let program = root::own_program()?;
    let mut command = process::command(&program);
    command
        .args(["lab", "keep"])
        .arg(layout.lab())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env(process::MARK, process::mark(layout.lab(), KEEPER))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log);
    let mut keeper = command.spawn().map_err(io(&program))?;
    let output = keeper.stdout.take();
    let (answer, asked) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        if let Some(output) = output {
            let _ = BufReader::new(output.take(LINE_MAX)).read_line(&mut line);
        }
        let _ = answer.send(line);
    });
    let wait = Duration::from_millis(patience_ms(hosts) + MARGIN_MS);
    let said = asked.recv_timeout(wait).unwrap_or_default();
    if said.trim() == "ready" {
        return Ok(());
    }
    let _ = keeper.kill();
    let _ = keeper.wait();
    let why = if said.trim().is_empty() { "it said nothing" } else { said.trim() };
    Err(NetError::Failed { command: "nimshift lab keep".to_owned(), why: why.to_owned() })
}
