//! `-M`: the fileset of alternate disks is brought to one level on the master
//! and in the SPOT.

use super::args::Args;
use super::at::{ALT_FILESET, alt_level, location, spot_list};
use super::op::{Op, must};
use crate::lab::call::Call;
use crate::lab::software;
use crate::lab::world::World;
use crate::transport::Command;

/// What has to be done for it; with `-P` only told.
pub(super) fn ops(world: &World, call: &Call, args: &Args) -> Result<Vec<Op>, String> {
    let lpp = args.lpp_source.as_deref().unwrap_or_default();
    let source = format!("{}/installp/ppc", location(world, lpp).unwrap_or_default());
    let list = spot_list(world, args);
    let own = alt_level(world, call, &format!("/usr/{}", software::LIST)).unwrap_or_default();
    let spot = alt_level(world, call, &list).unwrap_or_default();
    let offered = alt_level(world, call, &format!("{source}/.toc")).unwrap_or_default();
    let tell = |what: &str, level: &str| Op::Say(format!("{ALT_FILESET} {what}: {level}"));
    let mut ops = vec![
        tell("on the master", &own),
        tell(&format!("in {}", args.spot), &spot),
        tell(&format!("in {lpp}"), &offered),
    ];
    if own == spot {
        ops.push(Op::Say("The levels are the same.".to_owned()));
        return Ok(ops);
    }
    let highest = [&own, &spot, &offered].into_iter().max_by_key(|level| number(level));
    let highest = highest.cloned().unwrap_or_default();
    ops.push(Op::Say(format!("The levels differ; the highest is {highest}.")));
    if args.some_phases {
        return Ok(ops);
    }
    if highest != offered {
        return Err(format!("nimadm: {lpp} does not have {ALT_FILESET} at {highest}."));
    }
    if own != highest {
        let install = ["installp", "-acgXY", "-d", &source, ALT_FILESET];
        ops.push(must(Command::new(install), "nimadm: the master could not be updated."));
    }
    if spot != highest {
        ops.push(level_spot(world, call, &source, &list)?);
    }
    ops.push(Op::Say("The levels are the same.".to_owned()));
    Ok(ops)
}

/// A level as numbers: `7.3.2.10` is above `7.3.2.9`.
fn number(level: &str) -> Vec<u64> {
    level.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// The SPOT with the source's filesets of alternate disks.
fn level_spot(world: &World, call: &Call, source: &str, list: &str) -> Result<Op, String> {
    let read = |path: &str| {
        let text = world.text(&call.host, path, call.now);
        text.map(|text| software::from_text(&text))
            .map_err(|error| format!("nimadm: {path}: {error}"))
    };
    let mut new = read(&format!("{source}/.toc"))?;
    new.retain(|fileset| fileset.name.starts_with("bos.alt_disk_install"));
    let text = software::to_text(&software::merged(read(list)?, &new));
    Ok(Op::Put { host: call.host.clone(), path: list.to_owned(), text })
}
