//! A migration's line as a plan file, so that a line and a plan are one thing
//! from here on: rules, defaults, journal.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::NimadmLine;
use crate::base::{limits, sanitize_line};
use crate::domain::name::{BatchName, Level};
use crate::domain::phase::Phase;
use crate::domain::spec::Options;

impl NimadmLine {
    /// The plan that asks for the same, but for `[estate]` and `[master]`. All
    /// values have alphabets without quotes and backslashes, and what JSON writes of
    /// them is TOML.
    pub fn plan_text(&self, batch: &BatchName, level: &Level) -> String {
        let mut text = format!(
            "# nimadm {}\n\n[batch]\nname = \"{batch}\"\n\n[target]\nspot = \"{}\"\n",
            sanitize_line(&self.text(), limits::ARGUMENT_BYTES_MAX),
            self.spot
        );
        if let Some(lpp_source) = &self.lpp_source {
            let _ = writeln!(text, "lpp_source = \"{lpp_source}\"");
        }
        let _ = writeln!(text, "level = \"{level}\"\n\n[[client]]");
        if let Some(name) = self.name() {
            let _ = writeln!(text, "name = \"{name}\"");
        }
        let (given, usual) = (json!(self.options), json!(Options::default()));
        for (key, mut value) in given.as_object().into_iter().flatten() {
            let numbers: Value;
            if let (Some(phases), "phases") = (&self.options.phases, key.as_str()) {
                numbers = phases.iter().map(|phase: &Phase| phase.number()).collect();
                value = &numbers;
            }
            if *value != usual[key] {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }
}
