//! What a command line asks for.

use super::form::Form;
use crate::domain::name::NimName;
use crate::domain::spec::Options;

/// How much is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// As usual.
    Plain,
    /// `-V`: more.
    Verbose,
    /// `-D`: everything.
    Debug,
}

/// What a command line of nimadm asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NimadmLine {
    /// Which of the eight forms it is.
    pub form: Form,
    /// `-c`: the client. From a mksysb to a mksysb, and for the synchronizing
    /// of software, there is none.
    pub client: Option<NimName>,
    /// `-s`: the SPOT. Every form has one.
    pub spot: NimName,
    /// `-l`: the lpp_source.
    pub lpp_source: Option<NimName>,
    /// The other flags of a migration; of a wake disks, mount options and
    /// post-script, and of every form `-F`.
    pub options: Options,
    /// `-d` beside `-M`: a further source to compare with.
    pub device: Option<String>,
    /// `-P` beside `-M`: look only.
    pub preview: bool,
    /// `-V`, `-D` or neither.
    pub telling: Telling,
    /// `-A`: nothing public tells its meaning.
    pub unexplained: bool,
    pub(super) words: Vec<String>,
}

impl NimadmLine {
    /// The words, as a shell would have to be given them.
    pub fn text(&self) -> String {
        let quoted = self.words.iter().map(|word| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
            let bare = !word.is_empty() && word.chars().all(plain);
            if bare { word.clone() } else { format!("\"{word}\"") }
        });
        quoted.collect::<Vec<_>>().join(" ")
    }

    /// The name of the migration in the journal: the client's, or where there is
    /// none, that of the mksysb that is migrated. NIM has no two objects of a
    /// name.
    pub fn name(&self) -> Option<&NimName> {
        self.client.as_ref().or(self.options.mksysb.as_ref())
    }
}
