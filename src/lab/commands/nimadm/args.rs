//! nimadm's command line: its eight forms, each with the flags that it needs
//! and those that it takes.

use crate::lab::call::{Call, Reply};
use crate::lab::flags::{Flags, refuse};

/// Its synopses in short.
pub(crate) const USAGE: &str = "nimadm -l lpp_source -c client -s spot -d disks [options]
       nimadm -C | -S -c client -s spot [-F] [-D] [-E]
       nimadm -W -c client -s spot -d disks [-m mntopts] [-z post] [-F] [-D] [-E]
       nimadm -M -s spot -l lpp_source [-d device] [-P] [-F]
       nimadm -T mksysb -c client -s spot -l lpp_source -d disks -j vg -Y [options]
       nimadm -T mksysb -O file -s spot -l lpp_source -j vg -Y [-N new] [options]
       nimadm -c client -O file -s spot -l lpp_source -j vg -Y [-N new] [options]
Options: [-a pre] [-b bundle] [-z post] [-e exclude] [-i image_data] [-j vg] [-m mntopts]
       [-o bosinst_data] [-P phase] [-Y] [-U] [-F] [-A] [-D] [-E] [-V] [-B | -r]";

/// One of nimadm's synopses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// rootvg of a client to its own spare disks.
    Disk,
    /// `-C`: what a run has left is removed.
    Cleanup,
    /// `-W`: a copy is woken.
    Wake,
    /// `-S`: a woken copy is put to sleep.
    Sleep,
    /// `-M`: the fileset of alternate disks on master and SPOT.
    Sync,
    /// `-T` without `-O`.
    MksysbToClient,
    /// `-T` and `-O`.
    MksysbToMksysb,
    /// `-O` without `-T`.
    ClientToMksysb,
}

impl Form {
    /// Flags that the form needs, and those that it takes beside them.
    fn flags(self) -> (&'static str, &'static str) {
        match self {
            Form::Disk => ("lcsd", "abzeijmoPYUFADEVBr"),
            Form::Cleanup => ("Ccs", "FDE"),
            Form::Wake => ("Wcsd", "mzFDE"),
            Form::Sleep => ("Scs", "FDE"),
            Form::Sync => ("Msl", "dPF"),
            Form::MksysbToClient => ("TcsldjY", "UabzimoPFADEVBr"),
            Form::MksysbToMksysb => ("TOsljY", "UNabzimoPFDEV"),
            Form::ClientToMksysb => ("cOsljY", "NabzimoPeFDEV"),
        }
    }

    /// Whether it migrates.
    pub(super) fn migrates(self) -> bool {
        !matches!(self, Form::Cleanup | Form::Wake | Form::Sleep | Form::Sync)
    }

    /// Whether there is a copy on the client's disks.
    pub(super) fn has_copy(self) -> bool {
        !matches!(self, Form::MksysbToMksysb | Form::ClientToMksysb | Form::Sync)
    }

    /// Whether the result is a mksysb.
    pub(super) fn writes_mksysb(self) -> bool {
        matches!(self, Form::MksysbToMksysb | Form::ClientToMksysb)
    }
}

/// A command line that is one of the synopses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of nimadm")]
pub(super) struct Args {
    pub(super) form: Form,
    pub(super) client: Option<String>,
    pub(super) spot: String,
    pub(super) lpp_source: Option<String>,
    pub(super) disks: Vec<String>,
    pub(super) cache: Option<String>,
    pub(super) pre_script: Option<String>,
    pub(super) post_script: Option<String>,
    pub(super) bundle: Option<String>,
    pub(super) exclude: Option<String>,
    pub(super) image: Option<String>,
    pub(super) bosinst: Option<String>,
    pub(super) mount_options: Option<String>,
    pub(super) mksysb: Option<String>,
    pub(super) output: Option<String>,
    pub(super) new: Option<String>,
    /// `-P`; all of them without it.
    pub(super) phases: Vec<u8>,
    /// Whether `-P` was given.
    pub(super) some_phases: bool,
    pub(super) accepted: bool,
    pub(super) update: bool,
    pub(super) force: bool,
    pub(super) keep_bootlist: bool,
    pub(super) reboot: bool,
}

impl Args {
    /// Reads the call's words.
    pub(super) fn read(call: &Call) -> Result<Args, Reply> {
        Args::of(call).map_err(|refused| refused.with_usage(USAGE))
    }

    fn of(call: &Call) -> Result<Args, Reply> {
        // With -M, -P is a switch.
        let syncs = call.args().iter().any(|word| word.starts_with("-M"));
        let phases = if syncs { "P" } else { "P:" };
        let spec = format!("l:c:s:d:a:b:z:e:i:j:m:o:YUFADEVBrCWSMT:O:N:{phases}");
        let flags = Flags::read(call, &spec)?;
        flags.none(call)?;
        let accepts =
            |(name, value): &(String, String)| name == "ADM_ACCEPT_LICENSES" && value == "yes";
        let accepted = flags.has('Y') || call.env.iter().any(accepts);
        let form = form(call, &flags)?;
        check(call, &flags, form, accepted)?;
        let text = |letter: char| flags.get(letter).map(str::to_owned);
        Ok(Args {
            form,
            client: text('c'),
            spot: text('s').unwrap_or_default(),
            lpp_source: text('l'),
            disks: split(flags.get('d').unwrap_or_default()),
            cache: text('j'),
            pre_script: text('a'),
            post_script: text('z'),
            bundle: text('b'),
            exclude: text('e'),
            image: text('i'),
            bosinst: text('o'),
            mount_options: text('m'),
            mksysb: text('T'),
            output: text('O'),
            new: text('N'),
            phases: read_phases(call, flags.get('P').filter(|_| !syncs))?,
            some_phases: flags.has('P'),
            accepted,
            update: flags.has('U'),
            force: flags.has('F'),
            keep_bootlist: flags.has('B'),
            reboot: flags.has('r'),
        })
    }

    /// What directories and logs are named by: the client, or the mksysb.
    pub(super) fn name(&self) -> &str {
        self.client.as_deref().or(self.mksysb.as_deref()).unwrap_or(&self.spot)
    }

    /// The master's directory of the copy.
    pub(super) fn top(&self) -> String {
        format!("/{}_alt", self.name())
    }

    /// Where the master works on the copy.
    pub(super) fn root(&self) -> String {
        format!("{}/alt_inst", self.top())
    }
}

fn split(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn form(call: &Call, flags: &Flags) -> Result<Form, Reply> {
    let modes: Vec<char> = "CWSM".chars().filter(|mode| flags.has(*mode)).collect();
    Ok(match (modes.as_slice(), flags.has('T'), flags.has('O')) {
        (['C'], false, false) => Form::Cleanup,
        (['W'], false, false) => Form::Wake,
        (['S'], false, false) => Form::Sleep,
        (['M'], false, false) => Form::Sync,
        ([], false, false) => Form::Disk,
        ([], true, false) => Form::MksysbToClient,
        ([], true, true) => Form::MksysbToMksysb,
        ([], false, true) => Form::ClientToMksysb,
        _ => return Err(refuse(call, "These flags exclude each other.")),
    })
}

fn check(call: &Call, flags: &Flags, form: Form, accepted: bool) -> Result<(), Reply> {
    let (needed, taken) = form.flags();
    for letter in "lcsdabzeijmoPYUFADEVBrCWSMTON".chars() {
        let given = if letter == 'Y' { accepted } else { flags.has(letter) };
        if needed.contains(letter) && !given {
            return Err(refuse(call, &format!("The flag -{letter} is missing.")));
        }
        let known = needed.contains(letter) || taken.contains(letter);
        if flags.has(letter) && !known {
            return Err(refuse(call, &format!("The flag -{letter} is not for this mode.")));
        }
    }
    if form == Form::Disk && !accepted {
        let why = "The software licenses are not accepted: use -Y, or ADM_ACCEPT_LICENSES=yes.";
        return Err(refuse(call, why));
    }
    if flags.has('B') && flags.has('r') {
        return Err(refuse(call, "The flags -B and -r exclude each other."));
    }
    if needed.contains('d') && split(flags.get('d').unwrap_or_default()).is_empty() {
        return Err(refuse(call, "There is no target disk."));
    }
    if flags.get('O').is_some_and(|path| !path.starts_with('/')) {
        return Err(refuse(call, "The file of -O must be an absolute path."));
    }
    Ok(())
}

/// Numbers from 1 to 12, separated by blanks or commas; no ranges.
fn read_phases(call: &Call, text: Option<&str>) -> Result<Vec<u8>, Reply> {
    let Some(text) = text else { return Ok((1..=12).collect()) };
    let read = |word: &String| word.parse::<u8>().ok().filter(|phase| (1..=12).contains(phase));
    let mut phases: Vec<u8> = Vec::new();
    for word in split(text) {
        let Some(phase) = read(&word) else {
            return Err(refuse(call, &format!("The phase {word} is not valid.")));
        };
        phases.push(phase);
    }
    if phases.is_empty() {
        return Err(refuse(call, "There is no phase."));
    }
    phases.sort_unstable();
    phases.dedup();
    Ok(phases)
}
