//! Which options of a client go together.

use std::collections::BTreeSet;

use super::file::{ClientTable, Droppable};
use super::reader::{At, Reader};
use crate::domain::name::Level;
use crate::domain::spec::{Bootlist, Mode};
use crate::domain::synopsis::{Breach, Flag, Synopsis, UPDATES_SINCE};

/// Checks the options of a client; the mode that they ask for.
pub(super) fn check(
    reader: &mut Reader<'_, '_>,
    index: usize,
    client: &ClientTable,
    level: Option<&Level>,
) -> Synopsis {
    let given = given(reader, index, client);
    let synopsis = Synopsis::of(&given);
    for breach in synopsis.breaches(&given) {
        say(reader, index, breach);
    }
    if !given.contains(&Flag::AcceptLicenses) {
        licences(reader, index, client);
    }
    if let Some(level) = level
        && client.options.update == Some(true)
    {
        update(reader, index, level);
    }
    for option in client.without.iter().flatten() {
        let key = dropped(*option);
        if reader.sets(index, key) {
            let what = format!(" names `{key}`, which the client sets itself");
            reader.wrong(At::Own(index, "without"), what, "remove one of the two");
        }
    }
    synopsis
}

/// The flags that nimadm would be given. A key that is set to something wrong
/// counts: what it lacks is said of it, and no second error follows.
fn given(reader: &Reader<'_, '_>, index: usize, client: &ClientTable) -> BTreeSet<Flag> {
    let without: Vec<&str> =
        client.without.iter().flatten().map(|option| dropped(*option)).collect();
    let set = |key: &str| {
        reader.sets(index, key) || (reader.defaults_set(key) && !without.contains(&key))
    };
    let options = &client.options;
    Flag::ALL
        .into_iter()
        .filter(|flag| match flag {
            // Of a mksysb made from a mksysb the name is only a name.
            Flag::Client => !(set(Flag::Mksysb.key()) && set(Flag::Output.key())),
            Flag::Spot | Flag::LppSource => true,
            Flag::AcceptLicenses => {
                options.accept_licenses == Some(true) || reader.licences_by_environment
            }
            Flag::Update => options.update == Some(true),
            Flag::Force => options.force == Some(true),
            Flag::Reboot => options.reboot == Some(true),
            Flag::KeepBootlist => options.bootlist == Some(Bootlist::Keep),
            other => set(other.key()),
        })
        .collect()
}

/// The flag that makes a mode what it is.
fn asker(synopsis: Synopsis) -> Flag {
    match synopsis {
        Synopsis::MksysbToClient | Synopsis::MksysbToMksysb => Flag::Mksysb,
        Synopsis::ClientToMksysb => Flag::Output,
        Synopsis::Disk => Flag::Disks,
    }
}

fn say(reader: &mut Reader<'_, '_>, index: usize, breach: Breach) {
    match breach {
        // The licences have a message of their own.
        Breach::Missing(_, Flag::AcceptLicenses) => {}
        Breach::Missing(synopsis, flag) if synopsis.mode() == Mode::Disk => {
            let what = format!(" has no `{}`", flag.key());
            let help = "add `disks = [\"hdisk1\"]` or the like: free disks of the client for the copy (-d)";
            reader.wrong(At::Client(index), what, help);
        }
        Breach::Missing(synopsis, flag) => {
            let at = At::Option(Some(index), asker(synopsis).key());
            let what = format!(": {synopsis} needs `{}` ({flag})", flag.key());
            reader.wrong(at, what, format!("add `{}` to the client or to [defaults]", flag.key()));
        }
        Breach::Refused(synopsis, flag) => {
            let help = match flag {
                Flag::NewMksysb => "remove it, or add `output` (-O)".to_owned(),
                _ => format!("remove `{}`", flag.key()),
            };
            let what = format!(": {synopsis} does not take it ({flag})");
            reader.wrong(At::Option(Some(index), flag.key()), what, help);
        }
        Breach::Exclusive(..) => {
            let own = ["reboot", "bootlist"].into_iter().find(|key| reader.sets(index, key));
            let what = ": `bootlist = \"keep\"` (-B) and `reboot = true` (-r) exclude each other";
            let help = "such a client would boot its old disk again: remove one of the two";
            reader.wrong(At::Option(Some(index), own.unwrap_or("reboot")), what, help);
        }
    }
}

fn licences(reader: &mut Reader<'_, '_>, index: usize, client: &ClientTable) {
    let help = "read them, and set `accept_licenses = true` in [defaults] (-Y), or have \
                ADM_ACCEPT_LICENSES=yes in the environment";
    let key = Flag::AcceptLicenses.key();
    let is_set = reader.sets(index, key) || reader.defaults_set(key);
    match client.options.accept_licenses {
        // Set to no truth value, which is said already.
        None if is_set => {}
        Some(_) => {
            let what = " must be `true`: the software licences are not accepted";
            reader.wrong(At::Option(Some(index), key), what, help);
        }
        None => {
            // Not of one client: the remedy is one line for all.
            let at = At::Key("defaults", key);
            reader.push(at, "the software licences are not accepted".to_owned(), help);
        }
    }
}

fn update(reader: &mut Reader<'_, '_>, index: usize, level: &Level) {
    let since: Level = UPDATES_SINCE.parse().expect("a level");
    if !level.reaches(&since) {
        let what = format!(" needs a target of {since} or later, not {level}");
        let help = "remove `update`: nimadm updates within a release only from that level on";
        reader.wrong(At::Option(Some(index), "update"), what, help);
    }
}

fn dropped(option: Droppable) -> &'static str {
    match option {
        Droppable::CacheVg => Flag::CacheVg.key(),
        Droppable::PreScript => Flag::PreScript.key(),
        Droppable::PostScript => Flag::PostScript.key(),
        Droppable::Bundle => Flag::Bundle.key(),
        Droppable::ExcludeFiles => Flag::ExcludeFiles.key(),
        Droppable::ImageData => Flag::ImageData.key(),
        Droppable::BosinstData => Flag::BosinstData.key(),
        Droppable::MountOptions => Flag::MountOptions.key(),
        Droppable::Phases => Flag::Phases.key(),
    }
}
