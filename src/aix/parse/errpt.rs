//! `errpt`.

use serde_json::{Value, json};

use super::text::{Read, digits, each, lines, some};
use crate::aix::unread::Unread;

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
    let is_day = month != "00" && day != "00" && day <= last_day(month, year);
    is_day.then(|| format!("20{year}-{month}-{day}T{hour}:{minute}"))
}

/// The last day of a month of this century. A log of February is not held to
/// the century's own exception, which is 2100.
fn last_day(month: &str, year: &str) -> &'static str {
    let leap = year.parse::<u32>().is_ok_and(|year| year % 4 == 0);
    match month {
        "02" if leap => "29",
        "02" => "28",
        "04" | "06" | "09" | "11" => "30",
        _ => "31",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_no_month_has_is_no_time() {
        assert_eq!(time("0302091526").as_deref(), Some("2026-03-02T09:15"));
        assert_eq!(time("0229000024").as_deref(), Some("2024-02-29T00:00"));
        for stamp in ["0229000026", "0431000026", "1301000026", "0100000026", "0101240026"] {
            assert_eq!(time(stamp), None, "{stamp}");
        }
    }
}
