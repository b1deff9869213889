//! Options of a command, as getopts reads them.

use super::call::{Call, Reply};

/// What was given on a command line.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    given: Vec<(char, String)>,
    /// What is no option.
    pub rest: Vec<String>,
}

impl Flags {
    /// Reads the call's arguments by `spec` (`ad:` is a switch and an option
    /// with a value).
    pub(crate) fn read(call: &Call, spec: &str) -> Result<Flags, Reply> {
        let mut flags = Flags::default();
        let mut args = call.args().iter();
        while let Some(arg) = args.next() {
            let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                flags.rest.push(arg.clone());
                continue;
            };
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                let Some(at) = spec.find(letter).filter(|_| letter != ':') else {
                    return Err(refuse(call, &format!("Not a recognized flag: {letter}")));
                };
                if spec[at + letter.len_utf8()..].starts_with(':') {
                    let attached = letters.as_str();
                    let value = if attached.is_empty() {
                        let missing =
                            || refuse(call, &format!("Option requires an argument: {letter}"));
                        args.next().cloned().ok_or_else(missing)?
                    } else {
                        attached.to_owned()
                    };
                    flags.given.push((letter, value));
                    break;
                }
                flags.given.push((letter, String::new()));
            }
        }
        Ok(flags)
    }

    /// Whether the option was given.
    pub(crate) fn has(&self, letter: char) -> bool {
        self.given.iter().any(|(given, _)| *given == letter)
    }

    /// The option's last value.
    pub(crate) fn get(&self, letter: char) -> Option<&str> {
        self.given.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| value.as_str())
    }

    /// All of the option's values.
    pub(crate) fn all(&self, letter: char) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(given, _)| *given == letter).map(|(_, v)| v.as_str())
    }

    /// The only operand.
    pub(crate) fn one(&self, call: &Call) -> Result<&str, Reply> {
        match self.rest.as_slice() {
            [one] => Ok(one),
            _ => Err(refuse(call, "Wrong number of arguments.")),
        }
    }

    /// Refuses operands.
    pub(crate) fn none(&self, call: &Call) -> Result<(), Reply> {
        if self.rest.is_empty() { Ok(()) } else { Err(refuse(call, "Wrong number of arguments.")) }
    }
}

/// A refusal: the command's usage is to follow.
pub(crate) fn refuse(call: &Call, why: &str) -> Reply {
    Reply { misused: true, ..Reply::fail(2, format!("{}: {why}", call.name())) }
}

/// Turns a result into a reply.
pub(crate) fn settle(result: Result<Reply, Reply>) -> Reply {
    result.unwrap_or_else(|reply| reply)
}
