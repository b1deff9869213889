//! `errpt`.

use serde_json::{Value, json};

use super::super::unread::Unread;
use super::text::{Read, digits, each, lines, some};

/// `errpt`. An empty error log prints nothing at all.
pub(super) fn errpt(text: &str) -> Read {
    const COMMAND: &str = "errpt";
    let is_heading = |line: &str| line.trim_start().starts_with("IDENTIFIER");
    let mut all = lines(text).skip_while(|line| !is_heading(line));
    match (all.next(), lines(text).next()) {
        (Some(_), _) => each(COMMAND, all.filter(|line| !is_heading(line)), entry),
        (None, None) => Ok(Value::Array(Vec::new())),
        (None, Some(line)) => Err(Unread::line(COMMAND, line)),
    }
}

fn entry(line: &str) -> Option<Value> {
    let mut rest = line.trim();
    let mut word = || {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    let (identifier, timestamp, kind, class, resource) = (word(), word(), word(), word(), word());
    let fits = identifier.len() == 8
        && identifier.bytes().all(|b| b.is_ascii_hexdigit())
        && matches!(kind, "P" | "T" | "I" | "U")
        && matches!(class, "H" | "S" | "O" | "U")
        && !resource.is_empty();
    let time = time(timestamp)?;
    fits.then(|| {
        json!({
            "identifier": identifier,
            "timestamp": timestamp,
            "time": time,
            "type": kind,
            "class": class,
            "resource": resource,
            "description": some(rest),
        })
    })
}

/// `MMDDhhmmYY` as `20YY-MM-DDThh:mm`.
fn time(stamp: &str) -> Option<String> {
    if stamp.len() != 10 || !digits(stamp) {
        return None;
    }
    let part = |at: usize, max: u32| {
        let part = &stamp[at..at + 2];
        part.parse::<u32>().is_ok_and(|number| number <= max).then_some(part)
    };
    let (month, day, hour) = (part(0, 12)?, part(2, 31)?, part(4, 23)?);
    let (minute, year) = (part(6, 59)?, part(8, 99)?);
    (month != "00" && day != "00").then(|| format!("20{year}-{month}-{day}T{hour}:{minute}"))
}
