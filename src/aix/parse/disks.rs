//! `lspv` and `lspv DISK`.

use serde_json::{Value, json};

use super::labels::{Labelled, objects};
use super::text::{Read, digits, is_device, rows, words};
use crate::aix::unread::Unread;

const STATES: [&str; 3] = ["active", "concurrent", "locked"];

/// `lspv`, with or without `-u`.
pub(super) fn lspv(text: &str) -> Read {
    rows("lspv", text, lspv_row, |line| {
        let first = words(line);
        first.first().is_some_and(|word| is_device(word)) && first.len() <= 6
    })
    .map(Value::Array)
}

fn lspv_row(line: &str) -> Option<Value> {
    let words = words(line);
    let [disk, pvid, vg, rest @ ..] = words.as_slice() else { return None };
    let hex = |word: &str, sizes: &[usize]| {
        sizes.contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit())
    };
    if *pvid != "none" && !hex(pvid, &[16, 32]) {
        return None;
    }
    let (state, rest) = match rest {
        [state, rest @ ..] if STATES.contains(state) => (Some(*state), rest),
        rest => (None, rest),
    };
    // `-u` adds an id of the device, which may have blanks in it, and a UUID.
    let (device_id, uuid) = match rest {
        [] => (None, None),
        [id, .., last] | [id @ last] if id.len() >= 16 || uuid_at_the_end(last).is_some() => {
            let from = id.as_ptr() as usize - line.as_ptr() as usize;
            let all = line.get(from..)?.trim_end();
            let uuid = uuid_at_the_end(all);
            let id = all.strip_suffix(uuid.unwrap_or_default())?.trim_end();
            // Where blanks were squeezed, an id with blanks is no longer what it was.
            let is_whole = !id.contains(' ') || id.contains("  ");
            (is_whole.then(|| id.to_owned()), uuid)
        }
        _ => return None,
    };
    if uuid.is_none() && rest.len() > 1 {
        return None;
    }
    Some(json!({
        "disk": disk,
        "pvid": (*pvid != "none").then_some(*pvid),
        "vg": (!matches!(*vg, "None" | "none")).then_some(*vg),
        "state": state,
        "udid": device_id.filter(|id| !id.is_empty()),
        "uuid": uuid,
    }))
}

/// The UUID that the text ends with, a blank before it or none: it has always 36 characters.
fn uuid_at_the_end(text: &str) -> Option<&str> {
    text.get(text.len().checked_sub(36)?..).filter(|end| is_uuid(end))
}

fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// `lspv DISK`, one or several.
pub(super) fn lspv_disk(text: &str) -> Read {
    const COMMAND: &str = "lspv DISK";
    let disk = |object: &Labelled| {
        let disk = object.get("PHYSICAL VOLUME").and_then(|value| value.split_whitespace().next());
        let Some(disk) = disk else { return Err(Unread::missing(COMMAND, "PHYSICAL VOLUME")) };
        let number = |key| object.number(COMMAND, key);
        Ok(json!({
            "disk": disk,
            "vg": object.word("VOLUME GROUP"),
            "pvid": object.word("PV IDENTIFIER"),
            "vg_identifier": object.word("VG IDENTIFIER"),
            "state": object.text("PV STATE"),
            "pp_size_mb": number("PP SIZE")?,
            "total_pps": number("TOTAL PPs")?,
            "free_pps": number("FREE PPs")?,
            "used_pps": number("USED PPs")?,
            "stale_partitions": number("STALE PARTITIONS")?,
            "logical_volumes": number("LOGICAL VOLUMES")?,
            "vg_descriptors": number("VG DESCRIPTORS")?,
            "free_distribution": distribution(object, "FREE DISTRIBUTION")?,
            "used_distribution": distribution(object, "USED DISTRIBUTION")?,
            "attributes": object.all(),
        }))
    };
    objects(COMMAND, "PHYSICAL VOLUME", text)?.iter().map(disk).collect()
}

fn distribution(object: &Labelled, key: &str) -> Read {
    let Some(value) = object.get(key) else { return Ok(Value::Null) };
    parts(value).ok_or_else(|| Unread::line("lspv DISK", &format!("{key}: {value}")))
}

/// `60..00..00..81..160` as a list of numbers.
pub(super) fn parts(value: &str) -> Option<Value> {
    if value.contains('?') {
        return Some(Value::Null);
    }
    let parts: Vec<&str> = value.split("..").collect();
    let all = parts.len() == 5 && parts.iter().all(|part| digits(part));
    all.then(|| parts.iter().map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>())?
        .map(Value::from)
}
