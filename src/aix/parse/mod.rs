//! Captured output of AIX and NIM commands as JSON: one reader a layout, in a
//! table that the command line, the tests and the fuzzer iterate over.
//!
//! Readers are tolerant of what differs from host to host: trailing blanks,
//! shifted columns, carriage returns, banners before the data, optional lines.
//! They are strict about the rest: what cannot be read is an [`Unread`] that
//! quotes the line.
//!
//! The readers beside this module take what steps need, as types: `lsvg -l` and
//! `mount` are read by them here as well ([`crate::aix::logical_volumes`],
//! [`crate::aix::mounts`]), other layouts for steps and for JSON apart.

mod alt_mig;
mod devices;
mod disks;
mod errpt;
mod file_systems;
mod groups;
mod installp;
mod labels;
mod nfs;
mod nim;
mod prtconf;
mod registry;
mod software;
mod text;

use serde_json::Value;

use crate::base::limits::PARSE_BYTES_MAX;
use crate::base::{nearest, sanitize_line};

use super::unread::Unread;

pub use registry::{PARSERS, Parser, parsers_markdown};

/// A capture that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    pub value: Value,
    /// Messages of commands that stood in it, `0516-010 : …`, made fit to be
    /// shown.
    pub said: Vec<String>,
}

/// Why a capture was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// There is no such kind.
    #[error("there is no kind `{kind}`")]
    Kind {
        /// What was asked for.
        kind: String,
        /// The kind that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The capture is longer than one of this kind can be.
    #[error("it has {0} bytes, more than {PARSE_BYTES_MAX}")]
    TooLong(usize),
    /// There is nothing but messages.
    #[error("there is no output of `{command}`, but the message `{message}`")]
    Message { command: &'static str, message: String },
    /// It is not of the layout.
    #[error("{unread}{}", and(message.as_deref()))]
    Unread {
        /// What cannot be read.
        unread: Unread,
        /// A message that stood beside it.
        message: Option<String>,
    },
}

fn and(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!("; beside it stands `{message}`"))
}

/// Reads `bytes`, output of the command that `kind` names.
pub fn parse(kind: &str, bytes: &[u8]) -> Result<Capture, CaptureError> {
    let Some(parser) = PARSERS.iter().find(|parser| parser.kind == kind) else {
        let near = nearest(kind, PARSERS.iter().map(|parser| parser.kind));
        return Err(CaptureError::Kind { kind: sanitize_line(kind, 40), nearest: near });
    };
    if bytes.len() > PARSE_BYTES_MAX {
        return Err(CaptureError::TooLong(bytes.len()));
    }
    let text = text::clean(bytes);
    // In a log, messages are the data.
    let (text, said) =
        if parser.is_log { (text, Vec::new()) } else { text::without_messages(&text) };
    let said: Vec<String> = said.iter().map(|line| sanitize_line(line, 300)).collect();
    let message = said.first().cloned();
    let command = parser.command;
    match ((parser.read)(&text), message) {
        (Ok(value), None) => Ok(Capture { value, said }),
        (Ok(value), Some(_)) if !is_empty(&value) => Ok(Capture { value, said }),
        (Ok(_) | Err(Unread::Missing { .. }), Some(message)) => {
            Err(CaptureError::Message { command, message })
        }
        (Err(unread), message) => Err(CaptureError::Unread { unread, message }),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}
