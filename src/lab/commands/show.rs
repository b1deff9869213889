//! What is installed.

use std::fmt::Write as _;

use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::software::{self, Fileset, LIST, RPM_LIST};
use crate::lab::world::World;

fn list(world: &World, call: &Call) -> Result<Vec<Fileset>, Reply> {
    let path = call.path(&format!("/usr/{LIST}"));
    let text = world
        .text(&call.host, &path, call.now)
        .map_err(|error| Reply::path(call, &path, &error))?;
    Ok(software::from_text(&text))
}

fn rpms(world: &World, call: &Call) -> Vec<String> {
    let path = call.path(&format!("/opt/{RPM_LIST}"));
    let text = world.text(&call.host, &path, call.now).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Names as lslpp takes them: exact, or with a star at the end.
fn wanted(name: &str, patterns: &[String]) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => pattern == name || pattern == "all",
        })
}

pub(crate) fn lslpp(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "Llcqwha").and_then(|flags| {
        if !(flags.has('L') || flags.has('l') || flags.has('w') || flags.has('h')) {
            return Err(refuse(call, "An option is missing."));
        }
        let list = list(world, call)?;
        let out = of_list(&list, &rpms(world, call), &flags, &flags.rest);
        let absent = flags
            .rest
            .iter()
            .find(|p| !p.contains('*') && *p != "all" && list.iter().all(|f| f.name != **p));
        match absent {
            Some(name) => Err(Reply {
                out: String::new(),
                ..Reply::fail(1, format!("lslpp: 0504-132  Fileset {name} not installed."))
            }),
            None => Ok(Reply::ok(out)),
        }
    }))
}

/// The listing of `lslpp` with these flags.
pub(super) fn of_list(
    list: &[Fileset],
    rpms: &[String],
    flags: &Flags,
    patterns: &[String],
) -> String {
    let mut out = String::new();
    let shown = list.iter().filter(|fileset| wanted(&fileset.name, patterns));
    let letter = |fileset: &Fileset| if fileset.state == "BROKEN" { "B" } else { "C" };
    if flags.has('L') && flags.has('c') {
        if !flags.has('q') {
            out.push_str("#Package Name:Fileset:Level:State:PTF Id:Fix State:Type:Description:Destination Dir.:Uninstaller:Message Catalog:Message Set:Message Number:Parent:Automatic:EFIX Locked:Install Path:Build Date\n");
        }
        for f in shown {
            let package = f.name.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
            let _ = writeln!(
                out,
                "{package}:{}:{}: : :{}:F:{}: : : : : : :0:0:/:{}",
                f.name,
                f.vrmf,
                letter(f),
                f.about,
                f.build()
            );
        }
        for rpm in rpms.iter().filter(|rpm| wanted(rpm, patterns)) {
            let name = rpm.rsplitn(3, '-').nth(2).unwrap_or(rpm);
            let version = rpm.strip_prefix(name).unwrap_or("").trim_start_matches('-');
            let _ = writeln!(
                out,
                "{name}:{rpm}:{version}: : :C:R:{name}: :/bin/rpm -e {name}: : : : :0: :/opt/freeware:Tue Mar  5 10:11:12 2024"
            );
        }
        return out;
    }
    if flags.has('c') {
        if !flags.has('q') {
            out.push_str("#Fileset:Level:PTF Id:State:Type:Description:EFIX Locked\n");
        }
        for f in shown {
            let _ = writeln!(
                out,
                "/usr/lib/objrepos:{}:{}::{}:F:{}:",
                f.name, f.vrmf, f.state, f.about
            );
            if f.name == "bos.rte" {
                let _ = writeln!(
                    out,
                    "/etc/objrepos:{}:{}::{}:F:{}:",
                    f.name, f.vrmf, f.state, f.about
                );
            }
        }
        return out;
    }
    if !flags.has('q') {
        out.push_str("  Fileset                      Level  State      Description\n  ----------------------------------------------------------------------------\nPath: /usr/lib/objrepos\n");
    }
    for f in shown {
        let _ = writeln!(out, "  {:<25} {:>8}  {:<10} {}", f.name, f.vrmf, f.state, f.about);
    }
    out
}

pub(crate) fn oslevel(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "srq").and_then(|flags| {
        flags.none(call)?;
        let level =
            software::level(&list(world, call)?).unwrap_or_else(|| "0000-00-00-0000".to_owned());
        let shown = match () {
            () if flags.has('s') => level,
            () if flags.has('r') => level.split('-').take(2).collect::<Vec<_>>().join("-"),
            () => format!("{}.0.0", software::version_release(&level)),
        };
        Ok(Reply::ok(format!("{shown}\n")))
    }))
}

pub(crate) fn instfix(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "ik:aqc").and_then(|flags| {
        let list = list(world, call)?;
        let short = |level: &str| level.split('-').take(2).collect::<Vec<_>>().join("-");
        let levels: std::collections::BTreeSet<String> =
            list.iter().map(|f| short(&f.aix)).collect();
        let mut out = String::new();
        for level in levels {
            let keyword = format!("{level}_AIX_ML");
            if flags.get('k').is_some_and(|wanted| wanted != keyword) {
                continue;
            }
            let all = list.iter().all(|f| short(&f.aix) >= level && f.state != "BROKEN");
            let begin = if all { "All" } else { "Not all" };
            let _ = writeln!(out, "    {begin} filesets for {keyword} were found.");
        }
        Ok(Reply::ok(out))
    }))
}

pub(crate) fn lppchk(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "vcflm:").and_then(|flags| {
        if !flags.has('v') {
            return Err(refuse(call, "An option is missing."));
        }
        let broken: Vec<String> = list(world, call)?
            .into_iter()
            .filter(|fileset| fileset.state == "BROKEN")
            .map(|fileset| format!("  {} {}  (not completely installed)", fileset.name, fileset.vrmf))
            .collect();
        if broken.is_empty() {
            return Ok(Reply::default());
        }
        Err(Reply::fail(1, format!("lppchk:  The following filesets need to be installed or corrected to bring\n         the system to a consistent state:\n\n{}", broken.join("\n"))))
    }))
}

pub(crate) fn emgr(_: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "lv:rL:").and_then(|flags| match flags.get('L') {
        Some(label) => Err(Reply::fail(
            1,
            format!("emgr: 0645-038 Could not find efix with label \"{label}\"."),
        )),
        None if flags.has('r') => Err(refuse(call, "An option is missing.")),
        None => Ok(Reply::ok("There is no efix data on this system.\n")),
    }))
}

pub(crate) fn rpm(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "qa").map(|_| {
        Reply::ok(rpms(world, call).into_iter().fold(String::new(), |all, rpm| all + &rpm + "\n"))
    }))
}
