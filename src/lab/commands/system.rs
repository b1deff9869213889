//! What a host says of itself.

use std::fmt::Write as _;

use super::lvm::members;
use crate::base::{Millis, time_text};
use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::world::World;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Mar 02 07:15`.
pub(super) fn short_date(ms: Millis) -> String {
    let text = time_text(ms);
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    let name = MONTHS.get(month.saturating_sub(1)).unwrap_or(&"Jan");
    format!("{name} {} {}", text.get(8..10).unwrap_or("01"), text.get(11..16).unwrap_or("00:00"))
}

/// `Mon Mar  2 09:12:44 UTC 2026`, without the day of the week's own pains.
pub(super) fn long_date(ms: Millis) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let day = usize::try_from(ms / 86_400_000 % 7).unwrap_or(0);
    let text = time_text(ms);
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or("00").to_owned();
    let short = short_date(ms);
    format!("{} {} {} {} UTC {}", DAYS[day], &short[..3], part(8..10), part(11..19), part(0..4))
}

pub(crate) fn hostname(_: &mut World, call: &Call) -> Reply {
    Reply::ok(format!("{}\n", call.host))
}

pub(crate) fn uname(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "nsaMLvrp").map(|flags| {
        let host = world.at(&call.host);
        Reply::ok(match () {
            () if flags.has('n') => format!("{}\n", host.name),
            () if flags.has('M') => "IBM,9009-42A\n".to_owned(),
            () if flags.has('L') => format!("7 {}\n", host.name),
            () => "AIX\n".to_owned(),
        })
    }))
}

pub(crate) fn uptime(world: &mut World, call: &Call) -> Reply {
    let days = call.now.saturating_sub(world.at(&call.host).boot_ms) / 86_400_000;
    let time = time_text(call.now);
    Reply::ok(format!(
        "  {}   up {days} days,  0 users,  load average: 0.42, 0.40, 0.38\n",
        time.get(11..16).unwrap_or("")
    ))
}

pub(crate) fn who(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "b").and_then(|flags| {
        if !flags.has('b') {
            return Err(refuse(call, "An option is missing."));
        }
        Ok(Reply::ok(format!(
            "   .        system boot {}\n",
            short_date(world.at(&call.host).boot_ms)
        )))
    }))
}

/// The clocks of the estate show UTC.
pub(crate) fn date(_: &mut World, call: &Call) -> Reply {
    let args: Vec<&str> = call.args().iter().map(String::as_str).collect();
    match args.as_slice() {
        [] | ["-u"] => Reply::ok(format!("{}\n", long_date(call.now))),
        [format] | ["-u", format] if format.starts_with('+') => {
            match formatted(&format[1..], call.now) {
                Some(text) => Reply::ok(format!("{text}\n")),
                None => refuse(call, "The format is not valid."),
            }
        }
        _ => refuse(call, "Wrong arguments."),
    }
}

/// The conversions of numbers; none where there is another.
fn formatted(format: &str, ms: Millis) -> Option<String> {
    let text = time_text(ms);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        out.push_str(match chars.next()? {
            'Y' => text.get(0..4)?,
            'm' => text.get(5..7)?,
            'd' => text.get(8..10)?,
            'H' => text.get(11..13)?,
            'M' => text.get(14..16)?,
            'S' => text.get(17..19)?,
            'T' => text.get(11..19)?,
            'Z' => "UTC",
            '%' => "%",
            _ => return None,
        });
    }
    Some(out)
}

pub(crate) fn prtconf(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "").and_then(|flags| {
        flags.none(call)?;
        let host = world.at(&call.host);
        let mut out = format!(
            "System Model: IBM,9009-42A\nMachine Serial Number: 7AB12C0\nProcessor Type: PowerPC_POWER9\n\
             Processor Implementation Mode: POWER 9\nProcessor Version: PV_9_Compat\nNumber Of Processors: 2\n\
             Processor Clock Speed: 3800 MHz\nCPU Type: 64-bit\nKernel Type: 64-bit\nLPAR Info: 7 {}\n\
             Memory Size: 8192 MB\nGood Memory Size: 8192 MB\nPlatform Firmware level: VL950_099\n\
             Network Information\n\tHost Name: {}\n\nVolume Groups Information\n",
            host.name, host.name
        );
        let rule = format!("{} \n", "=".repeat(78));
        let inactive = host.vgs.iter().filter(|(_, vg)| !vg.on).map(|(name, _)| name.as_str());
        let inactive: Vec<&str> = inactive.collect();
        if !inactive.is_empty() {
            let _ = write!(out, "{rule}Inactive VGs\n{rule}{}\n", inactive.join("\n"));
        }
        let _ = write!(out, "{rule}Active VGs\n{rule}");
        for (name, vg) in host.vgs.iter().filter(|(_, vg)| vg.on) {
            let _ = write!(out, "{}{rule}", members(host, name, vg));
        }
        out.push_str("\nINSTALLED RESOURCE LIST\n\nThe following resources are installed on the machine.\n\
             +/- = Added or deleted from Resource List.\n*   = Diagnostic support not available.\n\n\
             \x20 Model Architecture: chrp\n\x20 Model Implementation: Multiple Processor, PCI bus\n\n");
        for (name, about) in [("sys0", "System Object"), ("sysplanar0", "System Planar")] {
            let _ = writeln!(out, "+ {name:<64}{about}");
        }
        for name in host.disks.keys() {
            let _ = writeln!(out, "+ {name:<17}{:<47}Virtual SCSI Disk Drive", "U9009.42A.7AB12C0-V7-C2-T1");
        }
        Ok(Reply::ok(out))
    }))
}

pub(crate) fn errpt(_: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "s:ad:").map(|_| Reply::default()))
}

pub(crate) fn lsdev(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "Cc:F:").and_then(|flags| {
        if !flags.has('C') || flags.get('c') != Some("disk") {
            return Err(refuse(call, "The lab lists disks only."));
        }
        let host = world.at(&call.host);
        let format = |name: &String| match flags.get('F') {
            None => format!("{name} Available          Virtual SCSI Disk Drive\n"),
            Some(form) => format!(
                "{}\n",
                form.replace("name", name)
                    .replace("status", "Available")
                    .replace("location", "")
                    .replace("description", "Virtual SCSI Disk Drive")
            ),
        };
        Ok(Reply::ok(host.disks.keys().map(format).collect::<String>()))
    }))
}

pub(crate) fn lsattr(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "El:a:F:O").and_then(|flags| {
        let Some(device) = flags.get('l') else {
            return Err(refuse(call, "An option is missing."));
        };
        let host = world.at(&call.host);
        let Some(disk) = host.disks.get(device) else {
            return Err(Reply::fail(255, format!("lsattr: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{device}")));
        };
        let pvid = disk.pvid.as_ref().map_or("none".to_owned(), |pvid| format!("{pvid}0000000000000000"));
        let rows = [
            ("pvid", pvid, "Physical volume identifier", "False"),
            ("queue_depth", "20".to_owned(), "Queue DEPTH", "True"),
            ("reserve_policy", "no_reserve".to_owned(), "Reserve Policy", "True"),
            ("size_in_mb", disk.size_mb.to_string(), "Size in Megabytes", "False"),
        ];
        let shown: Vec<_> = rows.iter().filter(|row| flags.get('a').is_none_or(|name| name == row.0)).collect();
        if shown.is_empty() {
            return Err(Reply::fail(255, "lsattr: 0514-528 The attribute is not valid for this device."));
        }
        let width = shown.iter().map(|row| row.1.len()).max().unwrap_or(0);
        let mut out = String::new();
        for (name, value, about, settable) in shown {
            let _ = match (flags.has('O'), flags.get('F')) {
                (true, _) => writeln!(out, "#{name}\n{value}"),
                (_, Some(_)) => writeln!(out, "{value}"),
                _ => writeln!(out, "{name:<14} {value:<width$} {about:<26} {settable}"),
            };
        }
        Ok(Reply::ok(out))
    }))
}

/// Members of the groups that the lab knows.
const SUBSYSTEMS: [(&str, &str, u32); 7] = [
    ("biod", "nfs", 5_243_264),
    ("nfsd", "nfs", 6_226_248),
    ("rpc.mountd", "nfs", 6_488_394),
    ("rpc.statd", "nfs", 5_767_570),
    ("rpc.lockd", "nfs", 6_029_714),
    ("nimsh", "nimclient", 7_340_416),
    ("nimesis", "nim", 7_602_562),
];

fn chosen(call: &Call) -> Result<Vec<(&'static str, &'static str, u32)>, Reply> {
    let flags = Flags::read(call, "s:g:a")?;
    let matches = |row: &&(&str, &str, u32)| {
        flags.get('s').is_none_or(|name| row.0 == name)
            && flags.get('g').is_none_or(|group| row.1 == group)
    };
    let rows: Vec<_> = SUBSYSTEMS.iter().filter(matches).copied().collect();
    match (flags.get('s').or(flags.get('g')), rows.is_empty()) {
        (None, _) if !flags.has('a') => Err(refuse(call, "An option is missing.")),
        (Some(name), true) => {
            Err(Reply::fail(1, format!("0513-085 The {name} Subsystem is not on file.")))
        }
        _ => Ok(rows),
    }
}

pub(crate) fn lssrc(_: &mut World, call: &Call) -> Reply {
    settle(chosen(call).map(|rows| {
        let mut out = String::from("Subsystem         Group            PID          Status \n");
        for (name, group, pid) in rows {
            let _ = writeln!(out, " {name:<16} {group:<16} {pid:<12} active");
        }
        Reply::ok(out)
    }))
}

pub(crate) fn startsrc(_: &mut World, call: &Call) -> Reply {
    settle(chosen(call).and_then(|rows| {
        let lines: Vec<String> = rows
            .iter()
            .map(|(name, _, _)| format!("0513-029 The {name} Subsystem is already active.\nMultiple instances are not supported."))
            .collect();
        Err(Reply::fail(1, lines.join("\n")))
    }))
}
