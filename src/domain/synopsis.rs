//! nimadm's synopses: which flags each of its modes needs, takes and refuses.
//!
//! Source: the synopsis lines of IBM's command page, 7.3 edition (reference
//! section 1.1). Knows nothing of plan files, so that a command line that takes
//! nimadm's flags is checked by the same table.

use std::collections::BTreeSet;
use std::fmt;

use super::aim::Mode;
use super::spec::{Bootlist, Options};

/// The first level that updates within a release, `-U` (reference section 1.1).
pub const UPDATES_SINCE: &str = "7300-03";

/// A flag of nimadm that nimshift knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// `-c`: the client.
    Client,
    /// `-s`: the SPOT.
    Spot,
    /// `-l`: the lpp_source.
    LppSource,
    /// `-d`: the target disks.
    Disks,
    /// `-j`: the volume group for local disk caching.
    CacheVg,
    /// `-a`: the pre-migration script.
    PreScript,
    /// `-z`: the post-migration script.
    PostScript,
    /// `-b`: further filesets.
    Bundle,
    /// `-e`: exclude_files.
    ExcludeFiles,
    /// `-i`: image_data.
    ImageData,
    /// `-o`: bosinst_data.
    BosinstData,
    /// `-m`: NFS mount options.
    MountOptions,
    /// `-Y`: licences are accepted.
    AcceptLicenses,
    /// `-U`: update within the same release.
    Update,
    /// `-F`: force the unlocking of the client.
    Force,
    /// `-B`: the bootlist stays as it is.
    KeepBootlist,
    /// `-r`: reboot in the end.
    Reboot,
    /// `-P`: these phases only.
    Phases,
    /// `-T`: migrate from a mksysb.
    Mksysb,
    /// `-O`: write a mksysb.
    Output,
    /// `-N`: define the written mksysb under this name.
    NewMksysb,
}

use Flag::{
    AcceptLicenses, BosinstData, Bundle, CacheVg, Client, Disks, ExcludeFiles, Force, ImageData,
    KeepBootlist, LppSource, Mksysb, MountOptions, NewMksysb, Output, Phases, PostScript,
    PreScript, Reboot, Spot, Update,
};

impl Flag {
    /// All flags.
    pub const ALL: [Flag; 21] = [
        Client,
        Spot,
        LppSource,
        Disks,
        CacheVg,
        PreScript,
        PostScript,
        Bundle,
        ExcludeFiles,
        ImageData,
        BosinstData,
        MountOptions,
        AcceptLicenses,
        Update,
        Force,
        KeepBootlist,
        Reboot,
        Phases,
        Mksysb,
        Output,
        NewMksysb,
    ];

    /// Its letter on nimadm's command line.
    pub fn letter(self) -> char {
        self.names().0
    }

    /// Its key in a plan file.
    pub fn key(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (char, &'static str) {
        match self {
            Client => ('c', "name"),
            Spot => ('s', "spot"),
            LppSource => ('l', "lpp_source"),
            Disks => ('d', "disks"),
            CacheVg => ('j', "cache_vg"),
            PreScript => ('a', "pre_script"),
            PostScript => ('z', "post_script"),
            Bundle => ('b', "bundle"),
            ExcludeFiles => ('e', "exclude_files"),
            ImageData => ('i', "image_data"),
            BosinstData => ('o', "bosinst_data"),
            MountOptions => ('m', "mount_options"),
            AcceptLicenses => ('Y', "accept_licenses"),
            Update => ('U', "update"),
            Force => ('F', "force"),
            KeepBootlist => ('B', "bootlist"),
            Reboot => ('r', "reboot"),
            Phases => ('P', "phases"),
            Mksysb => ('T', "mksysb"),
            Output => ('O', "output"),
            NewMksysb => ('N', "new_mksysb"),
        }
    }

    /// The flags that nimadm would be given for these options; client, SPOT and
    /// lpp_source are not among them.
    pub fn of(options: &Options) -> BTreeSet<Flag> {
        let given = [
            (Disks, !options.disks.is_empty()),
            (CacheVg, options.cache_vg.is_some()),
            (PreScript, options.pre_script.is_some()),
            (PostScript, options.post_script.is_some()),
            (Bundle, options.bundle.is_some()),
            (ExcludeFiles, options.exclude_files.is_some()),
            (ImageData, options.image_data.is_some()),
            (BosinstData, options.bosinst_data.is_some()),
            (MountOptions, options.mount_options.is_some()),
            (AcceptLicenses, options.accept_licenses),
            (Update, options.update),
            (Force, options.force),
            (KeepBootlist, options.bootlist == Bootlist::Keep),
            (Reboot, options.reboot),
            (Phases, options.phases.is_some()),
            (Mksysb, options.mksysb.is_some()),
            (Output, options.output.is_some()),
            (NewMksysb, options.new_mksysb.is_some()),
        ];
        given.into_iter().filter(|(_, is)| *is).map(|(flag, _)| flag).collect()
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-{}", self.letter())
    }
}

/// How a set of flags breaks a synopsis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Breach {
    /// A flag that the mode needs is not given.
    #[error("{0} needs {1}")]
    Missing(Mode, Flag),
    /// A flag that the mode does not have is given.
    #[error("{0} does not take {1}")]
    Refused(Mode, Flag),
    /// Two flags exclude each other.
    #[error("{0} and {1} exclude each other")]
    Exclusive(Flag, Flag),
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 4] =
        [Mode::Disk, Mode::MksysbToClient, Mode::MksysbToMksysb, Mode::ClientToMksysb];

    /// The mode that a set of flags asks for.
    pub fn of(given: &BTreeSet<Flag>) -> Mode {
        match (given.contains(&Mksysb), given.contains(&Output)) {
            (false, false) => Mode::Disk,
            (true, false) => Mode::MksysbToClient,
            (true, true) => Mode::MksysbToMksysb,
            (false, true) => Mode::ClientToMksysb,
        }
    }

    /// What the mode needs. `-Y` is not needed for a disk migration by syntax:
    /// the environment can accept the licences too.
    pub fn needs(self) -> &'static [Flag] {
        match self {
            Mode::Disk => &[Client, Spot, LppSource, Disks],
            Mode::MksysbToClient => {
                &[Client, Spot, LppSource, Disks, CacheVg, AcceptLicenses, Mksysb]
            }
            Mode::MksysbToMksysb => &[Spot, LppSource, CacheVg, AcceptLicenses, Mksysb, Output],
            Mode::ClientToMksysb => &[Client, Spot, LppSource, CacheVg, AcceptLicenses, Output],
        }
    }

    /// What the mode does not take.
    pub fn refuses(self) -> &'static [Flag] {
        match self {
            Mode::Disk => &[Mksysb, Output, NewMksysb],
            Mode::MksysbToClient => &[ExcludeFiles, Output, NewMksysb],
            Mode::MksysbToMksysb => &[Client, Disks, ExcludeFiles, KeepBootlist, Reboot],
            Mode::ClientToMksysb => &[Disks, Update, KeepBootlist, Reboot, Mksysb],
        }
    }

    /// All that is wrong with a set of flags, in the order of [`Flag`].
    pub fn breaches(self, given: &BTreeSet<Flag>) -> Vec<Breach> {
        let has = |flag: &&Flag| given.contains(*flag);
        let missing = self.needs().iter().filter(|flag| !has(flag));
        let refused = self.refuses().iter().filter(has);
        let mut breaches: Vec<Breach> = missing
            .map(|flag| Breach::Missing(self, *flag))
            .chain(refused.map(|flag| Breach::Refused(self, *flag)))
            .collect();
        let both = given.contains(&KeepBootlist) && given.contains(&Reboot);
        if both && !self.refuses().contains(&Reboot) {
            breaches.push(Breach::Exclusive(KeepBootlist, Reboot));
        }
        breaches
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Disk => "disk migration",
            Mode::MksysbToClient => "migration from a mksysb to a client",
            Mode::MksysbToMksysb => "migration from a mksysb to a mksysb",
            Mode::ClientToMksysb => "migration from a client to a mksysb",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(letters: &str) -> BTreeSet<Flag> {
        letters
            .chars()
            .map(|letter| Flag::ALL.into_iter().find(|flag| flag.letter() == letter).unwrap())
            .collect()
    }

    fn breaches(letters: &str) -> Vec<String> {
        let given = flags(letters);
        Mode::of(&given).breaches(&given).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_flag_has_its_own_letter_and_key() {
        let letters: BTreeSet<char> = Flag::ALL.iter().map(|flag| flag.letter()).collect();
        let keys: BTreeSet<&str> = Flag::ALL.iter().map(|flag| flag.key()).collect();
        assert_eq!(letters.len(), Flag::ALL.len());
        assert_eq!(keys.len(), Flag::ALL.len());
    }

    #[test]
    fn the_synopses_of_the_command_page_are_clean() {
        // Every flag that the page shows for the mode, of -B and -r only one.
        for all in
            ["lcsdabzeijmoPYUFB", "TcsldjYUabzimoPFr", "TOsljYUNabzimoPF", "cOsljYNabzimoPeF"]
        {
            assert_eq!(breaches(all), Vec::<String>::new(), "{all}");
        }
    }

    #[test]
    fn what_a_synopsis_lacks_or_refuses_is_said() {
        assert_eq!(breaches("cslB"), ["disk migration needs -d"]);
        assert_eq!(breaches("csldBr"), ["-B and -r exclude each other"]);
        assert_eq!(breaches("csldN"), ["disk migration does not take -N"]);
        assert_eq!(
            breaches("Tcsld"),
            [
                "migration from a mksysb to a client needs -j",
                "migration from a mksysb to a client needs -Y",
            ]
        );
        assert_eq!(
            breaches("TOcsljYrB"),
            [
                "migration from a mksysb to a mksysb does not take -c",
                "migration from a mksysb to a mksysb does not take -B",
                "migration from a mksysb to a mksysb does not take -r",
            ]
        );
        assert_eq!(
            breaches("cOsljYdU"),
            [
                "migration from a client to a mksysb does not take -d",
                "migration from a client to a mksysb does not take -U",
            ]
        );
    }

    #[test]
    fn no_flag_is_needed_and_refused_at_once() {
        for mode in Mode::ALL {
            for flag in mode.needs() {
                assert!(!mode.refuses().contains(flag), "{mode}: {flag}");
            }
        }
    }
}
