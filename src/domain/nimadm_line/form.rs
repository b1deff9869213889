//! The eight forms, and which flags each of them takes.

use std::fmt;

use crate::domain::Mode;

/// One of nimadm's forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A migration.
    Migrate(Mode),
    /// `-C`: make sure that nothing of a migration is left.
    Cleanup,
    /// `-W`: wake the copy, export and mount it.
    Wake,
    /// `-S`: put it to sleep.
    Sleep,
    /// `-M`: bring the alt_disk filesets of master and SPOT to one level.
    Sync,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 8] = [
        Form::Migrate(Mode::Disk),
        Form::Cleanup,
        Form::Wake,
        Form::Sleep,
        Form::Sync,
        Form::Migrate(Mode::MksysbToClient),
        Form::Migrate(Mode::MksysbToMksysb),
        Form::Migrate(Mode::ClientToMksysb),
    ];

    /// The form that the letter `-C`, `-W`, `-S` or `-M` asks for.
    pub(super) fn of_letter(letter: char) -> Option<Form> {
        match letter {
            'C' => Some(Form::Cleanup),
            'W' => Some(Form::Wake),
            'S' => Some(Form::Sleep),
            'M' => Some(Form::Sync),
            _ => None,
        }
    }

    /// Its line of the command page.
    pub fn synopsis(self) -> &'static str {
        match self {
            Form::Migrate(Mode::Disk) => {
                "nimadm -l lpp_source -c client -s spot -d disks [-a pre] [-b bundle] [-z post] \
                 [-e exclude] [-i image_data] [-j vg] [-m mntopts] [-o bosinst_data] [-P phase] \
                 [-Y] [-U] [-F] [-A] [-D] [-V] [{-B | -r}]"
            }
            Form::Cleanup => "nimadm -C -c client -s spot [-F] [-D]",
            Form::Wake => "nimadm -W -c client -s spot -d disks [-m mntopts] [-z post] [-F] [-D]",
            Form::Sleep => "nimadm -S -c client -s spot [-F] [-D]",
            Form::Sync => "nimadm -M -s spot -l lpp_source [-d device] [-P] [-F]",
            Form::Migrate(Mode::MksysbToClient) => {
                "nimadm -T mksysb -c client -s spot -l lpp_source -d disks -j vg -Y [-U] [-a pre] \
                 [-b bundle] [-z post] [-i image_data] [-m mntopts] [-o bosinst_data] [-P phase] \
                 [-F] [-A] [-D] [-V] [{-B | -r}]"
            }
            Form::Migrate(Mode::MksysbToMksysb) => {
                "nimadm -T mksysb -O file -s spot -l lpp_source -j vg -Y [-U] [-N new_mksysb] \
                 [-a pre] [-b bundle] [-z post] [-i image_data] [-m mntopts] [-o bosinst_data] \
                 [-P phase] [-F] [-D] [-V]"
            }
            Form::Migrate(Mode::ClientToMksysb) => {
                "nimadm -c client -O file -s spot -l lpp_source -j vg -Y [-N new_mksysb] [-a pre] \
                 [-b bundle] [-z post] [-i image_data] [-m mntopts] [-o bosinst_data] [-P phase] \
                 [-e exclude] [-F] [-D] [-V]"
            }
        }
    }

    /// The letters that it needs, where it migrates nothing: for migrations
    /// [`Mode`] tells them.
    pub(super) fn needs(self) -> &'static str {
        match self {
            Form::Migrate(_) => "",
            Form::Cleanup | Form::Sleep => "cs",
            Form::Wake => "csd",
            Form::Sync => "sl",
        }
    }

    /// The letters that it can have besides.
    pub(super) fn takes(self) -> &'static str {
        match self {
            Form::Migrate(_) => "",
            Form::Cleanup => "CFDE",
            Form::Sleep => "SFDE",
            Form::Wake => "WmzFDE",
            Form::Sync => "MdPF",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Migrate(mode) => mode.fmt(f),
            Form::Cleanup => f.pad("a cleanup (-C)"),
            Form::Wake => f.pad("a wake (-W)"),
            Form::Sleep => f.pad("a sleep (-S)"),
            Form::Sync => f.pad("the synchronizing of software (-M)"),
        }
    }
}
