//! The twelve phases of nimadm, in their order and under their numbers.
//!
//! Source of names, numbers and order: IBM's "Alternate disk migration" page
//! (reference S2).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A phase of a migration.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// 1: rootvg is cloned to the target disks.
    Clone,
    /// 2: the copy's file systems are exported to the master, or its cache is made.
    Export,
    /// 3: the master mounts them, or fills its cache.
    Mount,
    /// 4: the pre-migration script runs in the copy.
    PreScript,
    /// 5: the base operating system is restored and configuration merged.
    MigrateBase,
    /// 6: filesets are migrated.
    MigrateFilesets,
    /// 7: the post-migration script runs in the copy.
    PostScript,
    /// 8: the copy gets a boot image.
    BootImage,
    /// 9: the master unmounts, after returning its cache.
    Unmount,
    /// 10: exports, or the cache, are removed.
    Unexport,
    /// 11: the copy is put to sleep and the bootlist set.
    Finish,
    /// 12: client and master are cleaned; the client is rebooted where asked.
    End,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Phase; 12] = [
        Phase::Clone,
        Phase::Export,
        Phase::Mount,
        Phase::PreScript,
        Phase::MigrateBase,
        Phase::MigrateFilesets,
        Phase::PostScript,
        Phase::BootImage,
        Phase::Unmount,
        Phase::Unexport,
        Phase::Finish,
        Phase::End,
    ];

    /// nimadm's number, 1 to 12.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The phase of nimadm's number `number`.
    pub fn from_number(number: u8) -> Option<Phase> {
        Phase::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The stable name, as in the journal and in plan files.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Clone => "clone",
            Phase::Export => "export",
            Phase::Mount => "mount",
            Phase::PreScript => "pre-script",
            Phase::MigrateBase => "migrate-base",
            Phase::MigrateFilesets => "migrate-filesets",
            Phase::PostScript => "post-script",
            Phase::BootImage => "boot-image",
            Phase::Unmount => "unmount",
            Phase::Unexport => "unexport",
            Phase::Finish => "finish",
            Phase::End => "end",
        }
    }

    /// The phase after this one.
    pub fn next(self) -> Option<Phase> {
        Phase::ALL.get(self as usize + 1).copied()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a list of phases was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhaseError {
    /// Nothing between two commas, or nothing at all.
    #[error("the list of phases is empty")]
    Empty,
    /// Not a number, nor a range of numbers.
    #[error("`{0}` is neither a phase number nor a range such as `4-8`")]
    NotANumber(String),
    /// A number that no phase has.
    #[error("phase {0} does not exist: phases are numbered 1 to 12")]
    OutOfRange(String),
    /// A range that runs backwards.
    #[error("the range `{0}` runs backwards")]
    Backwards(String),
}

/// Reads phases as `-P` takes them: numbers separated by commas or blanks, and
/// ranges, which are nimshift's own. The result is in order, without repeats.
pub fn parse_phases(text: &str) -> Result<Vec<Phase>, PhaseError> {
    let mut phases = Vec::new();
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (parse_phase(word, first)?, parse_phase(word, last)?);
        if last < first {
            return Err(PhaseError::Backwards(word.to_owned()));
        }
        phases.extend(Phase::ALL.iter().filter(|phase| (first..=last).contains(*phase)));
    }
    if phases.is_empty() {
        return Err(PhaseError::Empty);
    }
    phases.sort_unstable();
    phases.dedup();
    Ok(phases)
}

/// Phases as [`parse_phases`] reads them: `1-3,8`.
pub fn phases_text(phases: &[Phase]) -> String {
    let mut parts: Vec<(u8, u8)> = Vec::new();
    for number in phases.iter().map(|phase| phase.number()) {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let texts = parts.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(",")
}

fn parse_phase(word: &str, number: &str) -> Result<Phase, PhaseError> {
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PhaseError::NotANumber(crate::base::sanitize_line(word, 40)));
    }
    number
        .parse::<u8>()
        .ok()
        .and_then(Phase::from_number)
        .ok_or_else(|| PhaseError::OutOfRange(crate::base::sanitize_line(number, 40)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_stand_in_nimadms_order() {
        let numbers: Vec<u8> = Phase::ALL.iter().map(|phase| phase.number()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        for phase in Phase::ALL {
            assert_eq!(Phase::from_number(phase.number()), Some(phase));
        }
        assert_eq!(Phase::from_number(0), None);
        assert_eq!(Phase::from_number(13), None);
    }

    #[test]
    fn lists_blanks_and_ranges_are_read() {
        let numbers = |text: &str| {
            parse_phases(text).map(|phases| phases.iter().map(|p| p.number()).collect::<Vec<_>>())
        };
        assert_eq!(numbers("1,2 3"), Ok(vec![1, 2, 3]));
        assert_eq!(numbers("4-6,5,12"), Ok(vec![4, 5, 6, 12]));
        let round = |text: &str| phases_text(&parse_phases(text).unwrap());
        assert_eq!(
            (round("1,2 3,5"), round("4"), round("11-12,1")),
            ("1-3,5".into(), "4".into(), "1,11-12".into())
        );
        assert_eq!(numbers(" "), Err(PhaseError::Empty));
        assert_eq!(numbers("0"), Err(PhaseError::OutOfRange("0".into())));
        assert_eq!(numbers("13"), Err(PhaseError::OutOfRange("13".into())));
        assert_eq!(numbers("8-4"), Err(PhaseError::Backwards("8-4".into())));
        assert_eq!(numbers("x"), Err(PhaseError::NotANumber("x".into())));
        assert_eq!(numbers("1-"), Err(PhaseError::NotANumber("1-".into())));
    }
}
