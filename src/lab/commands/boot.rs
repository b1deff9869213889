//! Boot images, boot lists, and what boots.

use crate::base::Millis;
use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse, settle};
use crate::lab::power;
use crate::lab::software;
use crate::lab::tree::Node;
use crate::lab::world::{LvKind, World};

/// First words of a boot image: what tells it from any other file.
const IMAGE: &str = "AIX boot image ";

/// The level of the boot image that this text is, if it is a whole one.
pub(super) fn image_level(text: &str) -> Option<String> {
    let line = text.strip_prefix(IMAGE)?;
    let (level, rest) = line.split_once(' ')?;
    (rest.trim_end().ends_with("end")).then(|| level.to_owned())
}

/// `ms`, up to a quarter longer by the host's name.
pub(super) fn vary(host: &str, ms: Millis) -> Millis {
    let sum: u64 = host.bytes().map(u64::from).sum();
    ms + ms * (sum % 26) / 100
}

/// How much longer a minute's work takes on this host.
pub(crate) fn vary_ms(_: &World, call: &Call) -> Millis {
    vary(&call.host, 20_000) - 20_000
}

pub(crate) fn bosboot(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "ad:b:Dq").and_then(|flags| {
        flags.none(call)?;
        if !flags.has('a') {
            return Err(refuse(call, "An option is missing."));
        }
        let failed = |why: &str| {
            Reply::fail(1, format!("{why}\n0301-165 bosboot: WARNING! bosboot failed - do not attempt to boot device."))
        };
        if world.look(&call.host, &call.path("/usr/lib/boot/unix_64"), call.now).is_err() {
            return Err(failed("0301-154 bosboot: missing proto file: /usr/lib/boot/chrp.disk.proto"));
        }
        let list = world.text(&call.host, &call.path(&format!("/usr/{}", software::LIST)), call.now);
        let list = software::from_text(&list.unwrap_or_default());
        let Some(kernel) = list.iter().find(|fileset| fileset.name == "bos.mp64") else {
            return Err(failed("0301-154 bosboot: missing proto file"));
        };
        let level = software::version_release(&kernel.aix);
        let done = || Reply::ok("\nbosboot: Boot image is 49180 512 byte blocks.\n");
        if let Some(file) = flags.get('b') {
            let text = format!("{IMAGE}{level} end\n");
            world.put(&call.host, &call.path(file), Node::file(text), call.now).map_err(|error| {
                failed(&format!("0301-152 bosboot: not enough file space to create: {file}: {error}"))
            })?;
            return Ok(done());
        }
        if call.root != "/" {
            return Err(failed("0301-168 bosboot: The current boot logical volume, /dev/hd5, does not exist on the disk."));
        }
        let disk = flags.get('d').map_or_else(|| world.at(&call.host).boot_disk.clone(), |device| {
            device.trim_start_matches("/dev/").to_owned()
        });
        let host = world.at_mut(&call.host);
        let group = host.vg_of(&disk).map(|(name, _)| name.clone());
        let volumes = group.and_then(|group| host.vgs.get_mut(&group)).filter(|vg| vg.on);
        let boot = volumes.and_then(|vg| {
            vg.lvs.values_mut().find(|lv| lv.kind == LvKind::Boot && lv.pps.contains_key(&disk))
        });
        match boot {
            Some(lv) => {
                lv.boot_image = Some(level);
                Ok(done())
            }
            None => Err(failed("0301-150 bosboot: Invalid or no boot device specified!")),
        }
    }))
}

fn no_disk(call: &Call, disk: &str) -> Reply {
    Reply::fail(
        1,
        format!(
            "{}: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{disk}",
            call.name()
        ),
    )
}

pub(crate) fn bootinfo(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "s:B:bvKTp").and_then(|flags| {
        flags.none(call)?;
        let host = world.at(&call.host);
        let bare = |device: &str| device.trim_start_matches("/dev/").to_owned();
        if let Some(disk) = flags.get('s').map(bare) {
            let found = host.disks.get(&disk).ok_or_else(|| no_disk(call, &disk))?;
            return Ok(Reply::ok(format!("{}\n", found.size_mb)));
        }
        if let Some(disk) = flags.get('B').map(bare) {
            let found = host.disks.get(&disk).ok_or_else(|| no_disk(call, &disk))?;
            return Ok(Reply::ok(format!("{}\n", u8::from(!found.dlpar))));
        }
        match () {
            () if flags.has('b') => Ok(Reply::ok(format!("{}\n", host.boot_disk))),
            // Leftovers of multibos need not show here: that is their trouble.
            () if flags.has('v') => Ok(Reply::ok("hd5\n")),
            () if flags.has('K') => Ok(Reply::ok("64\n")),
            () if flags.has('T') || flags.has('p') => Ok(Reply::ok("chrp\n")),
            () => Err(refuse(call, "An option is missing.")),
        }
    }))
}

/// Which disks have a boot record: those that a boot volume is on, whatever is in it.
pub(crate) fn ipl_varyon(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "i").and_then(|flags| {
        flags.none(call)?;
        if !flags.has('i') {
            return Err(refuse(call, "An option is missing."));
        }
        let host = world.at(&call.host);
        let heading =
            "PVNAME          BOOT DEVICE     PVID                            VOLUME GROUP ID\n";
        let rows = host.disks.iter().map(|(name, disk)| {
            let group = host.vg_of(name).map(|(_, vg)| vg);
            let boots = group.is_some_and(|vg| vg.boot_lv(name).is_some());
            let is_boot = if boots { "YES" } else { "NO" };
            let pvid = disk.pvid.as_deref().unwrap_or_default();
            let id = group.map_or("0", |vg| vg.id.as_str());
            format!("{name:<16}{is_boot:<16}{pvid:0<32}        {id:0<32}\n")
        });
        Ok(Reply::ok(format!("{heading}{}", rows.collect::<String>())))
    }))
}

/// Removes the standby BOS, and what is left of one.
pub(crate) fn multibos(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "RX").and_then(|flags| {
        if !flags.has('R') {
            return Err(refuse(call, "An option is missing."));
        }
        let host = world.at_mut(&call.host);
        host.multibos_leftovers = false;
        if let Some(rootvg) = host.vgs.get_mut("rootvg") {
            rootvg.lvs.retain(|name, _| !name.starts_with("bos_"));
        }
        Ok(Reply::default())
    }))
}

pub(crate) fn blvset(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "d:g:").and_then(|flags| {
        let (Some(device), Some("level")) = (flags.get('d'), flags.get('g')) else {
            return Err(refuse(call, "An option is missing."));
        };
        let host = world.at(&call.host);
        let by_disk = || {
            let disk = device.trim_start_matches("/dev/");
            let (_, vg) = host.vg_of(disk)?;
            vg.boot_lv(disk).map(|(_, lv)| lv)
        };
        let lv = host.device(device).map(|(_, _, lv)| lv).or_else(by_disk);
        match lv.filter(|lv| lv.kind == LvKind::Boot) {
            Some(lv) => Ok(Reply::ok(format!("{}\n", lv.boot_image.as_deref().unwrap_or("0.0")))),
            None => Err(Reply::fail(1, format!("blvset: 0514-061 Cannot open {device}."))),
        }
    }))
}

pub(crate) fn bootlist(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "m:oirvV").and_then(|flags| {
        if flags.get('m') != Some("normal") {
            return Err(refuse(call, "An option is missing."));
        }
        let host = world.at(&call.host);
        if flags.has('o') || flags.has('i') && flags.rest.is_empty() {
            let lines = host.bootlist.iter().map(|disk| {
                if !host.disks.contains_key(disk) {
                    return "-\n".to_owned();
                }
                // Two paths to each disk, as with two VIO servers.
                match host.vg_of(disk).and_then(|(_, vg)| vg.boot_lv(disk)) {
                    Some((lv, _)) => {
                        let lv = lv.trim_start_matches("alt_");
                        format!("{disk} blv={lv} pathid=0\n{disk} blv={lv} pathid=1\n")
                    }
                    None => format!("{disk} pathid=0\n{disk} pathid=1\n"),
                }
            });
            return Ok(Reply::ok(lines.collect::<String>()));
        }
        let mut list: Vec<String> = Vec::new();
        for word in flags.rest.iter().filter(|word| !word.contains('=')) {
            if !host.disks.contains_key(word) {
                return Err(Reply::fail(1, format!("0514-210 bootlist: Device {word} is not in the AVAILABLE state")));
            }
            if !list.contains(word) {
                list.push(word.clone());
            }
        }
        if list.is_empty() {
            return Err(refuse(call, "A device is missing."));
        }
        for disk in &list {
            if host.vg_of(disk).and_then(|(_, vg)| vg.boot_lv(disk)).is_none() {
                return Err(Reply::fail(1, format!("0514-221 bootlist: Unable to make boot list: no boot logical volume on {disk}")));
            }
        }
        world.at_mut(&call.host).bootlist = list;
        Ok(Reply::default())
    }))
}

pub(crate) fn getconf(world: &mut World, call: &Call) -> Reply {
    let host = world.at(&call.host);
    let args: Vec<&str> = call.args().iter().map(String::as_str).collect();
    match args.as_slice() {
        ["BOOT_DEVICE"] => Reply::ok(format!("{}\n", host.boot_disk)),
        ["KERNEL_BITMODE"] => Reply::ok("64\n"),
        ["DISK_SIZE", device] => match host.disks.get(device.trim_start_matches("/dev/")) {
            Some(disk) => Reply::ok(format!("{}\n", disk.size_mb)),
            None => Reply::fail(1, format!("getconf: Invalid argument ({device})")),
        },
        _ => refuse(call, "Invalid argument."),
    }
}

pub(crate) fn shutdown(world: &mut World, call: &Call) -> Reply {
    settle(Flags::read(call, "Frhmk").and_then(|flags| {
        flags.none(call)?;
        if !flags.has('r') || !flags.has('F') {
            return Err(refuse(call, "The lab knows a fast reboot only."));
        }
        power::reboot(world, &call.host, call.now);
        Ok(Reply::ok("\nSHUTDOWN PROGRAM\n"))
    }))
}
