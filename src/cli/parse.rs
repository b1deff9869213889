//! `nimshift parse`: captured output of AIX and NIM commands, as JSON.

use std::io::Read as _;

use crate::aix::parse::{CaptureError, PARSERS, parse as read_capture};
use crate::base::limits::PARSE_BYTES_MAX;

use super::args::ParseArgs;
use super::error::CliError;
use super::exit::Exit;
use super::out::{Out, Paint};

/// `nimshift parse KIND < FILE`.
pub(super) fn parse(out: &Out, args: &ParseArgs) -> Result<Exit, CliError> {
    let Some(kind) = args.kind.as_ref().filter(|_| !args.list) else {
        for parser in PARSERS {
            out.line(&format!("{:<10} {:<20} {}", parser.kind, parser.command, parser.about));
        }
        return Ok(Exit::Ok);
    };
    // Refused before anything is waited for.
    if !PARSERS.iter().any(|parser| parser.kind == kind) {
        return Err(refused(kind, &read_capture(kind, b"").expect_err("it is not known")));
    }
    let mut bytes = Vec::new();
    let read = match &args.file {
        None => std::io::stdin().take(PARSE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes),
        Some(path) => std::fs::File::open(path)
            .and_then(|file| file.take(PARSE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        let name = args.file.as_ref().map_or("stdin".into(), |path| path.to_string_lossy());
        CliError::usage(format!("cannot read {name}")).because(&error)
    })?;
    let capture = read_capture(kind, &bytes).map_err(|error| refused(kind, &error))?;
    for message in &capture.said {
        out.labelled("warning", Paint::Yellow, &format!("beside the data stands `{message}`"));
    }
    out.json(&capture.value);
    Ok(Exit::Ok)
}

fn refused(kind: &str, error: &CaptureError) -> CliError {
    let help = match error {
        CaptureError::Kind { nearest: Some(near), .. } => format!("did you mean `{near}`?"),
        CaptureError::Kind { nearest: None, .. } => "`nimshift parse --list` names all".to_owned(),
        _ => return CliError::usage(format!("cannot parse this as {kind}")).because(error),
    };
    CliError::usage(error.to_string()).help(help)
}
