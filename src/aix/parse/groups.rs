//! `lsvg VG`, `lsvg -l`, `lsvg -p` and `lsvg -M`.

use serde_json::{Value, json};

use super::disks::parts;
use super::labels::{Labelled, objects};
use super::text::{Read, lines, value_of, words};
use crate::aix::disks::{logical_volumes, tables};
use crate::aix::unread::Unread;

/// `lsvg VG`, one or several.
pub(super) fn lsvg(text: &str) -> Read {
    const COMMAND: &str = "lsvg VG";
    let group = |object: &Labelled| {
        let name = object.word("VOLUME GROUP");
        let identifier = object.word("VG IDENTIFIER");
        let id = identifier.as_str().unwrap_or_default();
        if name.is_null() {
            return Err(Unread::missing(COMMAND, "VOLUME GROUP"));
        }
        if id.is_empty() {
            return Err(Unread::missing(COMMAND, "VG IDENTIFIER"));
        }
        if id.len() < 16 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Unread::line(COMMAND, &format!("VG IDENTIFIER: {id}")));
        }
        if let Some(size) = object.get("PP SIZE")
            && !size.contains("megabyte")
        {
            return Err(Unread::line(COMMAND, &format!("PP SIZE: {size}")));
        }
        let number = |key| object.number(COMMAND, key);
        Ok(json!({
            "vg": name,
            "identifier": identifier,
            "state": object.text("VG STATE"),
            "permission": object.text("VG PERMISSION"),
            "pp_size_mb": object.count(COMMAND, "PP SIZE")?,
            "total_pps": object.count(COMMAND, "TOTAL PPs")?,
            "free_pps": object.count(COMMAND, "FREE PPs")?,
            "used_pps": object.count(COMMAND, "USED PPs")?,
            "max_lvs": number("MAX LVs")?,
            "lvs": number("LVs")?,
            "open_lvs": number("OPEN LVs")?,
            "total_pvs": number("TOTAL PVs")?,
            "active_pvs": number("ACTIVE PVs")?,
            "stale_pvs": number("STALE PVs")?,
            "stale_pps": number("STALE PPs")?,
            "vg_descriptors": number("VG DESCRIPTORS")?,
            "quorum": object.text("QUORUM"),
            "auto_on": object.text("AUTO ON"),
            "attributes": object.all(),
        }))
    };
    objects(COMMAND, "VOLUME GROUP", text)?.iter().map(group).collect()
}

/// A group's name, or null where the capture does not have it.
fn named(vg: &str) -> Value {
    super::text::some(vg)
}

/// `lsvg -l VG`.
pub(super) fn lsvg_l(text: &str) -> Read {
    logical_volumes(text).map(value_of)
}

/// `lsvg -p VG`.
pub(super) fn lsvg_p(text: &str) -> Read {
    tables("lsvg -p", text, ["PV_NAME", "PV"], member).map(Value::Array)
}

/// A row of `lsvg -p`.
pub(super) fn member(vg: Option<&str>, words: &[&str]) -> Option<Value> {
    let [disk, state, total, free, distribution] = words else { return None };
    Some(json!({
        "vg": vg,
        "disk": disk,
        "state": state,
        "total_pps": total.parse::<u64>().ok()?,
        "free_pps": free.parse::<u64>().ok()?,
        "free_distribution": parts(distribution)?,
    }))
}

/// `lsvg -M VG`.
pub(super) fn lsvg_m(text: &str) -> Read {
    const COMMAND: &str = "lsvg -M";
    let (mut vg, mut found, mut foreign) = ("", Vec::new(), None);
    for line in lines(text) {
        let words = words(line);
        if let Some(row) = partition(vg, &words) {
            found.push(row);
        } else if let [one] = words.as_slice()
            && !one.trim_end_matches(':').contains(':')
        {
            vg = one.trim_end_matches(':');
        } else if found.is_empty() && words.first().is_none_or(|word| run(word).is_none()) {
            foreign = foreign.or(Some(line));
        } else {
            return Err(Unread::line(COMMAND, line));
        }
    }
    match foreign {
        _ if !found.is_empty() => Ok(Value::Array(found)),
        Some(line) => Err(Unread::line(COMMAND, line)),
        None => Err(Unread::missing(COMMAND, "partition")),
    }
}

/// `hdisk0:1` or `hdisk0:300-799`.
fn run(word: &str) -> Option<(&str, u64, u64)> {
    let (disk, run) = word.split_once(':').filter(|(disk, _)| !disk.is_empty())?;
    let (first, last) = run.split_once('-').unwrap_or((run, run));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((disk, first, last))
}

fn partition(vg: &str, words: &[&str]) -> Option<Value> {
    let (place, rest) = words.split_first()?;
    let (disk, first, last) = run(place)?;
    let row = |lv: Value, lp: Value, copy: Value, stale: bool| {
        json!({
            "vg": named(vg), "disk": disk, "first_pp": first, "last_pp": last,
            "lv": lv, "lp": lp, "copy": copy, "stale": stale,
        })
    };
    let (volume, stale) = match rest {
        [] => return Some(row(Value::Null, Value::Null, Value::Null, false)),
        [volume] => (volume, false),
        [volume, "stale"] => (volume, true),
        _ => return None,
    };
    let mut fields = volume.split(':');
    let lv = fields.next().filter(|lv| !lv.is_empty())?;
    let lp: u64 = fields.next()?.parse().ok()?;
    // A mirror has its copy as third part, and may have the state as fourth.
    let (mut copy, mut stale) = (Value::Null, stale);
    for field in fields {
        match field {
            "stale" => stale = true,
            field if copy.is_null() => copy = field.parse::<u64>().ok()?.into(),
            _ => return None,
        }
    }
    (first == last).then(|| row(lv.into(), lp.into(), copy, stale))
}
