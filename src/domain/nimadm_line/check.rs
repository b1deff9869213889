//! Whether the flags make sense together, and their values by themselves.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::error::{LineError, LineErrors};
use super::form::Form;
use super::line::{NimadmLine, Telling};
use super::scan::{Given, Scanned, scan};
use crate::base::{limits, sanitize_line};
use crate::domain::Mode;
use crate::domain::name::{DiskName, NimName, VgName};
use crate::domain::phase::{Phase, parse_phases};
use crate::domain::plan_file::{MountOptions, OutputPath, Word};
use crate::domain::spec::{Bootlist, Options};
use crate::domain::synopsis::{Breach, Flag};

const LICENCES: &str = "read them, and give -Y, or have ADM_ACCEPT_LICENSES=yes in the environment";

impl NimadmLine {
    /// Reads the words after `nimadm`, or tells all that is wrong with them. Licences
    /// count as accepted where `licences_by_environment` says that
    /// `ADM_ACCEPT_LICENSES=yes` is set.
    pub fn parse(args: &[String], licences_by_environment: bool) -> Result<NimadmLine, LineErrors> {
        let mut checker = Checker { scanned: scan(args), licences_by_environment };
        let form = checker.form();
        let line = checker.line(form, args);
        let mut errors = checker.scanned.errors;
        // In the order of the line; what is missing comes last.
        errors.sort_by_key(|error| error.word.unwrap_or(usize::MAX));
        errors.dedup();
        match line {
            Some(line) if errors.is_empty() => Ok(line),
            _ => Err(LineErrors { errors, form: (!args.is_empty()).then_some(form) }),
        }
    }
}

struct Checker {
    scanned: Scanned,
    licences_by_environment: bool,
}

impl Checker {
    fn wrong(&mut self, word: Option<usize>, what: impl Into<String>, help: impl Into<String>) {
        let (what, help) = (what.into(), help.into());
        self.scanned.errors.push(LineError { word, what, help });
    }

    /// The form that the flags ask for, with what breaks it.
    fn form(&mut self) -> Form {
        let asking: Vec<(usize, char, Form)> = self
            .scanned
            .flags
            .iter()
            .filter_map(|flag| Some((flag.word, flag.letter, Form::of_letter(flag.letter)?)))
            .collect();
        if let [(_, first, form), rest @ ..] = asking.as_slice() {
            let (first, form) = (*first, *form);
            if let [(word, second, _), ..] = rest {
                let what = format!("-{first} and -{second} exclude each other");
                self.wrong(Some(*word), what, "give one of them");
            }
            self.operation(form);
            return form;
        }
        let given: BTreeSet<Flag> =
            Flag::ALL.into_iter().filter(|flag| self.scanned.has(flag.letter())).collect();
        let mode = Mode::of(&given);
        self.migration(mode, given);
        Form::Migrate(mode)
    }

    fn word_of(&self, letter: char) -> Option<usize> {
        self.scanned.get(letter).map(|flag| flag.word)
    }

    fn operation(&mut self, form: Form) {
        for letter in form.needs().chars() {
            if !self.scanned.has(letter) {
                self.wrong(None, format!("{form} needs -{letter}"), need(letter));
            }
        }
        let flags = self.scanned.flags.clone();
        for Given { letter, word, .. } in flags {
            let known = form.needs().contains(letter) || form.takes().contains(letter);
            if !known && Form::of_letter(letter).is_none() {
                let what = format!("{form} does not take -{letter}");
                self.wrong(Some(word), what, format!("leave -{letter} out"));
            }
        }
        self.debugger();
    }

    fn migration(&mut self, mode: Mode, mut given: BTreeSet<Flag>) {
        if self.licences_by_environment {
            given.insert(Flag::AcceptLicenses);
        }
        let licensed = given.contains(&Flag::AcceptLicenses);
        for breach in mode.breaches(&given) {
            match breach {
                // The licences have a message of their own.
                Breach::Missing(_, Flag::AcceptLicenses) => {}
                Breach::Missing(_, flag) => {
                    self.wrong(None, breach.to_string(), need(flag.letter()));
                }
                Breach::Refused(_, flag) => {
                    let help = match flag {
                        Flag::NewMksysb => "leave it out, or add -O FILE".to_owned(),
                        flag => format!("leave {flag} out"),
                    };
                    self.wrong(self.word_of(flag.letter()), breach.to_string(), help);
                }
                Breach::Exclusive(first, second) => {
                    let word = self.word_of(first.letter()).max(self.word_of(second.letter()));
                    let help =
                        "such a client would boot its old disk again: leave one of the two out";
                    self.wrong(word, breach.to_string(), help);
                }
            }
        }
        if !licensed {
            self.wrong(None, "the software licences are not accepted", LICENCES);
        }
        if self.scanned.has('A') && mode.writes_mksysb() {
            self.wrong(self.word_of('A'), format!("{mode} does not take -A"), "leave -A out");
        }
        self.debugger();
    }

    /// `-E`, in every form.
    fn debugger(&mut self) {
        if let Some(word) = self.word_of('E') {
            let what = "-E is not supported: it stops in nimadm's debugger and waits for somebody \
             at the terminal";
            let help = "leave -E out: nimshift keeps what a failure printed, and \
                        `nimshift history CLIENT --all` shows it";
            self.wrong(Some(word), what, help);
        }
    }

    /// The line, as far as all that it needs is there.
    fn line(&mut self, form: Form, args: &[String]) -> Option<NimadmLine> {
        let syncs = form == Form::Sync;
        let disks = if syncs { Some(Vec::new()) } else { self.disks() };
        let phases = if syncs { Some(None) } else { self.phases() };
        let device = if syncs { self.device() } else { Some(None) };
        let client: Option<Option<NimName>> = self.name('c');
        let (spot, lpp_source) = (self.name('s'), self.name('l'));
        let cache_vg: Option<Option<VgName>> = self.name('j');
        let (pre_script, post_script) = (self.name('a'), self.name('z'));
        let (bundle, exclude_files) = (self.name('b'), self.name('e'));
        let (image_data, bosinst_data) = (self.name('i'), self.name('o'));
        let (mksysb, new_mksysb) = (self.name('T'), self.name('N'));
        let mount_options: Option<Option<MountOptions>> = self.name('m');
        let output: Option<Option<OutputPath>> = self.name('O');
        let has = |letter| self.scanned.has(letter);
        Some(NimadmLine {
            form,
            client: client?,
            spot: spot??,
            lpp_source: lpp_source?,
            options: Options {
                disks: disks?,
                cache_vg: cache_vg?,
                pre_script: pre_script?,
                post_script: post_script?,
                scripts_repeatable: false,
                bundle: bundle?,
                exclude_files: exclude_files?,
                image_data: image_data?,
                bosinst_data: bosinst_data?,
                mount_options: mount_options?.map(|options| options.0),
                accept_licenses: has('Y') || self.licences_by_environment,
                update: has('U'),
                force: has('F'),
                bootlist: if has('B') { Bootlist::Keep } else { Bootlist::Set },
                reboot: has('r'),
                phases: phases?,
                mksysb: mksysb?,
                output: output?.map(|path| path.0),
                new_mksysb: new_mksysb?,
            },
            device: device?,
            preview: syncs && has('P'),
            telling: match (has('D'), has('V')) {
                (true, _) => Telling::Debug,
                (false, true) => Telling::Verbose,
                (false, false) => Telling::Plain,
            },
            unexplained: has('A'),
            words: args.to_vec(),
        })
    }

    /// The value of a flag, and where it stands.
    fn value(&self, letter: char) -> Option<(String, usize)> {
        let given = self.scanned.get(letter)?;
        Some((given.value.clone()?, given.word))
    }

    /// A value as its type has it. The outer option is whether it is right.
    #[expect(clippy::option_option, reason = "the outer one is the error")]
    fn name<T: Word>(&mut self, letter: char) -> Option<Option<T>>
    where
        T::Err: Display,
    {
        let Some((text, word)) = self.value(letter) else { return Some(None) };
        match text.parse() {
            Ok(value) => Some(Some(value)),
            Err(error) => {
                self.wrong(Some(word), format!("-{letter}: {error}"), T::FORM);
                None
            }
        }
    }

    fn disks(&mut self) -> Option<Vec<DiskName>> {
        let Some((text, word)) = self.value('d') else { return Some(Vec::new()) };
        let mut disks: Vec<DiskName> = Vec::new();
        let mut fits = true;
        for name in text.split_whitespace() {
            match name.parse::<DiskName>() {
                Ok(disk) if disks.contains(&disk) => {
                    let what = format!("-d: {disk} is named twice");
                    self.wrong(Some(word), what, "name each disk once");
                    fits = false;
                }
                Ok(disk) => disks.push(disk),
                Err(error) => {
                    let help = "several disks are separated by blanks: -d \"hdisk1 hdisk2\"";
                    let help = if name.contains(',') { help } else { DiskName::FORM };
                    self.wrong(Some(word), format!("-d: {error}"), help);
                    fits = false;
                }
            }
        }
        if disks.is_empty() && fits {
            self.wrong(Some(word), "-d names no disk", DiskName::FORM);
        }
        if disks.len() > limits::DISKS_MAX {
            let what = format!("-d: {} disks are more than {}", disks.len(), limits::DISKS_MAX);
            self.wrong(Some(word), what, "name fewer disks");
        }
        fits.then_some(disks)
    }

    #[expect(clippy::option_option, reason = "the outer one is the error")]
    fn phases(&mut self) -> Option<Option<Vec<Phase>>> {
        let Some((text, word)) = self.value('P') else { return Some(None) };
        match parse_phases(&text) {
            Ok(phases) => Some(Some(phases)),
            Err(error) => {
                let help =
                    "numbers from 1 to 12, separated by commas: -P 1,2,3; or a range: -P 4-8";
                self.wrong(Some(word), format!("-P: {error}"), help);
                None
            }
        }
    }

    /// A directory or a device with installation images.
    #[expect(clippy::option_option, reason = "the outer one is the error")]
    fn device(&mut self) -> Option<Option<String>> {
        let Some((text, word)) = self.value('d') else { return Some(None) };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        if text.is_empty() || !text.chars().all(plain) {
            let what =
                format!("-d: `{}` is neither a device nor a directory", sanitize_line(&text, 60));
            self.wrong(Some(word), what, "name one, such as `cd0` or `/export/images`");
            return None;
        }
        Some(Some(text))
    }
}

/// What a missing flag stands for.
fn need(letter: char) -> &'static str {
    match letter {
        'c' => "add -c and the NIM name of the client",
        's' => "add -s and the SPOT of the target level",
        'l' => "add -l and the lpp_source of the target level",
        'd' => "add -d and free disks of the client, such as -d \"hdisk1 hdisk2\"",
        'j' => "add -j and a volume group of the master, for the cache",
        'O' => "add -O and the file that the mksysb is to be written to",
        _ => "add it",
    }
}
