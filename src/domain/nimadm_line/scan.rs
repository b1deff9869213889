//! getopt's rules: grouped flags, values with and without a blank, `--`.
//!
//! No value of nimadm's begins with a hyphen, so that a flag where a value
//! should be is told as the missing value that it is.

use super::error::LineError;
use crate::base::{limits, sanitize_line};

/// The letters that take a value.
const VALUED: &str = "lcsdabzeijmoPTON";

/// The letters that take none. `-P` is one of them beside `-M`.
const BARE: &str = "YUFADEVBrCWSM";

/// A flag, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) letter: char,
    pub(super) value: Option<String>,
    /// Which word of the line, from 1.
    pub(super) word: usize,
}

/// A command line, taken apart.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) flags: Vec<Given>,
    pub(super) errors: Vec<LineError>,
}

impl Scanned {
    pub(super) fn has(&self, letter: char) -> bool {
        self.flags.iter().any(|flag| flag.letter == letter)
    }

    pub(super) fn get(&self, letter: char) -> Option<&Given> {
        self.flags.iter().find(|flag| flag.letter == letter)
    }

    fn wrong(&mut self, word: usize, what: String, help: &str) {
        self.errors.push(LineError { word: Some(word), what, help: help.to_owned() });
    }
}

/// Takes the words apart. Whether `-P` has a value depends on whether there is a
/// `-M` among the flags.
pub(super) fn scan(args: &[String]) -> Scanned {
    let syncs = scan_as(args, true);
    if syncs.has('M') { syncs } else { scan_as(args, false) }
}

fn scan_as(args: &[String], bare_phases: bool) -> Scanned {
    let mut scanned = Scanned::default();
    let mut at = 0;
    let mut ended = false;
    while let Some(arg) = args.get(at) {
        at += 1;
        let letters = match arg.strip_prefix('-') {
            Some("-") if !ended => {
                ended = true;
                continue;
            }
            Some(letters) if !ended && !letters.is_empty() => letters,
            _ => {
                operand(&mut scanned, arg, at, bare_phases);
                continue;
            }
        };
        if letters.starts_with('-') {
            let what = format!("`{}`: nimadm has no long options", sanitize_line(arg, 60));
            let help =
                "options of nimshift stand before nimadm's: `nimshift nimadm --log-dir DIR -c …`";
            scanned.wrong(at, what, help);
            continue;
        }
        let next = args.get(at).filter(|next| !next.starts_with('-'));
        at += usize::from(group(&mut scanned, letters, at, next, bare_phases));
    }
    scanned
}

/// Reads a word of flags; whether it took the next word as a value.
fn group(
    scanned: &mut Scanned,
    letters: &str,
    word: usize,
    next: Option<&String>,
    bare_phases: bool,
) -> bool {
    for (index, letter) in letters.char_indices() {
        let rest = &letters[index + letter.len_utf8()..];
        let valued = VALUED.contains(letter) && !(letter == 'P' && bare_phases);
        if valued {
            let value = if rest.is_empty() { next.map(String::as_str) } else { Some(rest) };
            if let Some(value) = value {
                push(scanned, letter, Some(value), word);
            } else {
                scanned.wrong(word, format!("-{letter} has no value"), "put it after the flag");
                // What is lacking is said: it does not count as not given.
                scanned.flags.push(Given { letter, value: None, word });
            }
            return rest.is_empty() && value.is_some();
        }
        if letter == 'P'
            && !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_digit() || b == b',')
        {
            let what = "-P with -M takes no phases: it only shows the levels".to_owned();
            scanned.wrong(word, what, "write `-P` alone");
            return false;
        }
        if letter == 'P' || BARE.contains(letter) {
            // nimadm of AIX 5.2 had the client as the value of -C.
            if letter == 'C' && rest.is_empty() && next.is_some() {
                push(scanned, 'C', None, word);
                push(scanned, 'c', next.map(String::as_str), word + 1);
                return true;
            }
            push(scanned, letter, None, word);
            continue;
        }
        let what = format!("nimadm has no flag -{}", sanitize_line(&letter.to_string(), 8));
        scanned.wrong(word, what, "`nimshift nimadm --help` shows all forms");
    }
    false
}

fn push(scanned: &mut Scanned, letter: char, value: Option<&str>, word: usize) {
    let value = value.map(str::to_owned);
    if value.as_ref().is_some_and(|value| value.len() > limits::ARGUMENT_BYTES_MAX) {
        scanned.wrong(word, format!("the value of -{letter} is too long"), "shorten it");
        scanned.flags.push(Given { letter, value: None, word });
        return;
    }
    let before = scanned.get(letter).map(|before| before.value.clone());
    match before {
        None => scanned.flags.push(Given { letter, value, word }),
        Some(before) if before == value => {}
        Some(before) => {
            let (before, value) = (before.unwrap_or_default(), value.unwrap_or_default());
            let what = format!(
                "-{letter} is given twice: `{}` and `{}`",
                sanitize_line(&before, 60),
                sanitize_line(&value, 60)
            );
            scanned.wrong(word, what, "leave one of the two out");
        }
    }
}

/// nimadm has none: it is a value that lost its flag, or its quotes.
fn operand(scanned: &mut Scanned, text: &str, word: usize, bare_phases: bool) {
    let help = match scanned.flags.last().map(|flag| flag.letter) {
        Some('d') => "several disks are one word: -d \"hdisk1 hdisk2\"",
        Some('P') if bare_phases => "-P with -M takes no phases: it only shows the levels",
        Some('P') => "several phases are one word: -P 1,2,3",
        Some('m') => "mount options are one word: -m rsize=65536,wsize=65536",
        _ => "each value stands after its flag",
    };
    scanned.wrong(word, format!("`{}` belongs to no flag", sanitize_line(text, 60)), help);
}
