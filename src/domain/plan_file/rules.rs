//! Which options of a client go together.

use std::collections::BTreeSet;

use super::file::{ClientTable, Droppable, PlanFile};
use super::reader::{At, Reader};
use crate::domain::aim::{Driver, Mode};
use crate::domain::name::Level;
use crate::domain::spec::{Bootlist, CopyPolicy, EstateKind};
use crate::domain::synopsis::{Breach, Flag, UPDATES_SINCE};

/// Checks the options of a client; the mode that they ask for.
pub(super) fn check(
    reader: &mut Reader<'_, '_>,
    index: usize,
    client: &ClientTable,
    level: Option<&Level>,
) -> Mode {
    let given = given(reader, index, client);
    let mode = Mode::of(&given);
    for breach in mode.breaches(&given) {
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
    if client.options.driver == Some(Driver::Nimadm) {
        driver(reader, index, client);
    }
    for option in client.without.iter().flatten() {
        let key = dropped(*option);
        if reader.sets(index, key) {
            let what = format!(" names `{key}`, which the client sets itself");
            reader.wrong(At::Own(index, "without"), what, "remove one of the two");
        }
    }
    mode
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
fn asker(mode: Mode) -> Flag {
    match mode {
        Mode::MksysbToClient | Mode::MksysbToMksysb => Flag::Mksysb,
        Mode::ClientToMksysb => Flag::Output,
        Mode::Disk => Flag::Disks,
    }
}

fn say(reader: &mut Reader<'_, '_>, index: usize, breach: Breach) {
    match breach {
        // The licences have a message of their own.
        Breach::Missing(_, Flag::AcceptLicenses) => {}
        Breach::Missing(Mode::Disk, flag) => {
            let what = format!(" has no `{}`", flag.key());
            let help = "add `disks = [\"hdisk1\"]` or the like: free disks of the client for the copy (-d)";
            reader.wrong(At::Client(index), what, help);
        }
        Breach::Missing(mode, flag) => {
            let at = At::Option(Some(index), asker(mode).key());
            let what = format!(": {mode} needs `{}` ({flag})", flag.key());
            reader.wrong(at, what, format!("add `{}` to the client or to [defaults]", flag.key()));
        }
        Breach::Refused(mode, Flag::Disks) if !reader.sets(index, Flag::Disks.key()) => {
            let what = format!(" has `disks` by [defaults]: {mode} does not take it (-d)");
            let help = "add `without = [\"disks\"]` to it";
            reader.wrong(At::Client(index), what, help);
        }
        Breach::Refused(mode, flag) => {
            let help = match flag {
                Flag::NewMksysb => "remove it, or add `output` (-O)".to_owned(),
                _ => format!("remove `{}`", flag.key()),
            };
            let what = format!(": {mode} does not take it ({flag})");
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

/// What a migration by nimadm cannot promise.
fn driver(reader: &mut Reader<'_, '_>, index: usize, client: &ClientTable) {
    let copy = client.failure.as_ref().and_then(|failure| failure.copy);
    if copy == Some(CopyPolicy::Sleep) {
        let what = ": `driver = \"nimadm\"`, the default on real hosts, does not keep a failed copy \
                    (`copy = \"sleep\"`)";
        let help = "nimadm removes it by itself: set `copy = \"remove\"` for the client, or \
                    `driver = \"native\"`";
        reader.wrong(At::Option(Some(index), "driver"), what, help);
    }
}

/// On real hosts the native driver has to be accepted by word.
pub(super) fn verified(reader: &mut Reader<'_, '_>, file: &PlanFile) {
    let Some(estate) = &file.estate else { return };
    if matches!(estate.kind, None | Some(EstateKind::Lab)) || estate.native_unverified.is_some() {
        return;
    }
    let set_by = |driver| driver == Some(Driver::Native);
    let defaults = file.defaults.as_ref().is_some_and(|defaults| set_by(defaults.driver));
    let clients = file.client.iter().flatten().enumerate();
    let at = defaults.then_some(At::Option(None, "driver"));
    let own = clients.filter(|(_, client)| set_by(client.options.driver));
    for at in at.into_iter().chain(own.map(|(index, _)| At::Option(Some(index), "driver"))) {
        let what = ": phase 5 of the native driver is a stand-in: IBM does not document how \
         nimadm migrates the base, and it has not run on AIX";
        let help = "leave `driver` out, so that IBM's nimadm carries the phases out; or, for systems \
                    that you can afford to lose, set `native_unverified = \"accept\"` in [estate]";
        reader.wrong(at, what, help);
    }
}

/// From a mksysb to a mksysb, nimadm works in a directory that it names by the
/// mksysb: two at once would meet there.
pub(super) fn work_apart(reader: &mut Reader<'_, '_>, clients: &[ClientTable]) {
    let mut seen = BTreeSet::new();
    for (index, client) in clients.iter().enumerate() {
        let options = &client.options;
        let (Some(mksysb), Some(_)) = (&options.mksysb, &options.output) else { continue };
        if options.driver == Some(Driver::Nimadm) && !seen.insert(mksysb.text.as_str()) {
            let what = ", which another client of the nimadm driver migrates to a mksysb too";
            let help = "nimadm would work on both in one directory: give one of the two \
                        `driver = \"native\"`, or a plan of its own";
            reader.wrong(At::Option(Some(index), "mksysb"), what, help);
        }
    }
}

/// Two mksysbs of one file or name would take each other's place; while a file is
/// written, its name ends with `.nimshift`.
pub(super) fn outputs_apart(reader: &mut Reader<'_, '_>, clients: &[ClientTable]) {
    let (mut files, mut names) = (BTreeSet::new(), BTreeSet::new());
    let help = "give each client a mksysb of its own";
    for (index, client) in clients.iter().enumerate() {
        let options = &client.options;
        if let Some(output) = &options.output {
            let path = output.text.as_str();
            let (part, whole) = (format!("{path}.nimshift"), path.trim_end_matches(".nimshift"));
            let is_taken = files.contains(&part) || whole != path && files.contains(whole);
            if !files.insert(path.to_owned()) || is_taken {
                let what = ", where another client's mksysb is written too";
                reader.wrong(At::Option(Some(index), "output"), what, help);
            }
        }
        if let Some(name) = &options.new_mksysb
            && !names.insert(name.text.as_str())
        {
            let what = ", the name of another client's mksysb too";
            reader.wrong(At::Option(Some(index), "new_mksysb"), what, help);
        }
    }
}

fn dropped(option: Droppable) -> &'static str {
    match option {
        Droppable::Disks => Flag::Disks.key(),
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
