//! What stands against a migration, all of it at once.

use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;
use crate::domain::{Cause, FailureClass};

use crate::phases::read::Read;

/// What stands against a migration.
#[derive(Default)]
pub(super) struct Objections(pub(super) Vec<Cause>);

impl Objections {
    pub(super) fn permanent(&mut self, text: impl Into<String>, hint: &str) {
        self.0.push(Cause::new(FailureClass::Permanent, text).with_hint(hint));
    }

    pub(super) fn transient(&mut self, text: impl Into<String>, hint: &str) {
        self.0.push(Cause::new(FailureClass::Transient, text).with_hint(hint));
    }

    /// What was read, or the finding that it cannot be.
    pub(super) fn read<T>(&mut self, what: &str, read: Read<T>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(why) => {
                self.permanent(format!("cannot read {what}: {why}"), "run the command by hand");
                None
            }
        }
    }

    /// One cause of all: permanent if one of them is.
    pub(super) fn cause(&self) -> Option<Cause> {
        let permanent = self.0.iter().any(|cause| cause.class == FailureClass::Permanent);
        let class = if permanent { FailureClass::Permanent } else { FailureClass::Transient };
        let texts: Vec<&str> = self.0.iter().map(|cause| cause.text.as_str()).collect();
        let mut hints: Vec<&str> = self.0.iter().filter_map(|c| c.hint.as_deref()).collect();
        hints.dedup();
        if texts.is_empty() {
            return None;
        }
        let text = sanitize_line(&texts.join("; "), CAUSE_BYTES_MAX);
        Some(Cause::new(class, text).with_hint(sanitize_line(&hints.join("; "), CAUSE_BYTES_MAX)))
    }
}
