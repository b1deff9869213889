//! A command line of nimadm, as it stands in somebody's script: what it asks
//! for, or all that is wrong with it at once.
//!
//! Source: the synopses of IBM's command page (reference section 1.1) and
//! getopt's rules. Knows nothing of hosts: the level that a line leads to stands
//! in the SPOT that it names, and is found by others.

mod check;
mod error;
mod form;
mod line;
mod plan;
mod scan;

pub use error::{LineError, LineErrors};
pub use form::Form;
pub use line::{NimadmLine, Telling};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Mode;

    fn parse(line: &str) -> Result<NimadmLine, LineErrors> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        NimadmLine::parse(&words, false)
    }

    /// The same with other words: what is asked for.
    fn asked(line: &str) -> NimadmLine {
        NimadmLine { words: Vec::new(), ..parse(line).unwrap() }
    }

    #[test]
    fn words_can_be_grouped_and_stand_in_any_order() {
        let plain = asked("-c lpar7 -s spot -l lpp -d hdisk1 -Y -F -r -P 1,2,3");
        for line in [
            "-clpar7 -sspot -llpp -dhdisk1 -YFr -P1,2,3",
            "-YFrP 1-3 -d hdisk1 -l lpp -s spot -c lpar7",
            "-r -F -Y -Y -P 3,2,1 -dhdisk1 -llpp -sspot -clpar7 --",
        ] {
            assert_eq!(asked(line), plain, "{line}");
        }
        assert_eq!(plain.form, Form::Migrate(Mode::Disk));
        assert_eq!(plain.name().unwrap().as_str(), "lpar7");
    }

    #[test]
    fn the_client_of_a_cleanup_stands_where_it_did_in_5_2_too() {
        let plain = asked("-C -c lpar7 -s spot -F");
        assert_eq!(plain.form, Form::Cleanup);
        for line in ["-C lpar7 -s spot -F", "-s spot -FC lpar7", "-F -s spot -C lpar7"] {
            assert_eq!(asked(line), plain, "{line}");
        }
        assert!(parse("-C lpar7 -c lpar8 -s spot").is_err(), "two clients");
        assert!(parse("-Clpar7 -s spot").is_err(), "grouped flags, or a client: nobody can tell");
    }

    #[test]
    fn a_bare_p_looks_only_wherever_the_m_stands() {
        for line in [
            "-M -P -s spot -l lpp",
            "-P -M -s spot -l lpp",
            "-MPs spot -l lpp",
            "-s spot -l lpp -PM",
        ] {
            let line = asked(line);
            assert_eq!((line.form, line.preview), (Form::Sync, true));
        }
        let device = asked("-M -s spot -l lpp -d cd0");
        assert_eq!((device.device.as_deref(), device.preview), (Some("cd0"), false));
        assert_eq!(parse("-M -P 1 -s spot -l lpp").unwrap_err().errors.len(), 1);
    }

    #[test]
    fn every_flag_of_a_synopsis_is_taken_and_every_form_needs_a_spot() {
        for form in Form::ALL {
            assert!(form.synopsis().contains("-s spot"), "{form}");
            // Brackets and braces away, of alternatives the first.
            let text = form.synopsis().replace("| -r", "").replace(['[', ']', '{', '}'], "");
            let words: Vec<String> = text
                .split_whitespace()
                .skip(1)
                .map(|word| match word {
                    "file" => "/export/file".to_owned(),
                    "phase" => "1,2".to_owned(),
                    "disks" => "hdisk1 hdisk2".to_owned(),
                    word => word.to_owned(),
                })
                .collect();
            let line = NimadmLine::parse(&words, false).unwrap_or_else(|e| panic!("{form}:\n{e}"));
            assert_eq!(line.form, form);
        }
    }

    #[test]
    fn the_environment_accepts_licences_in_every_form() {
        let words: Vec<String> =
            "-T mk -O /new -s spot -l lpp -j vg".split(' ').map(str::to_owned).collect();
        assert!(NimadmLine::parse(&words, false).is_err());
        assert!(NimadmLine::parse(&words, true).unwrap().options.accept_licenses);
    }

    proptest! {
        #[test]
        fn no_words_panic(
            words in prop::collection::vec("(-{0,2}[lcsdabzeijmoPYUFADEVBrCWSMTON]{1,3})?[a-z0-9 ,/é-]{0,4}|.{0,6}", 0..12),
            licensed: bool,
        ) {
            match NimadmLine::parse(&words, licensed) {
                Ok(line) => prop_assert!(!line.text().is_empty()),
                Err(errors) => prop_assert!(!errors.errors.is_empty() && !errors.to_string().is_empty()),
            }
        }
    }
}
