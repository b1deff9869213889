//! A migration's line as a plan file, so that a line and a plan are one thing
//! from here on: rules, defaults, journal.

use std::fmt::Write as _;

use super::NimadmLine;
use crate::base::{limits, sanitize_line};
use crate::domain::name::{BatchName, DiskName, HostName, Level};
use crate::domain::phase::Phase;
use crate::domain::spec::{Bootlist, EstateKind};

impl NimadmLine {
    /// The plan that asks for the same, on the estate of `master`. All values
    /// have alphabets without quotes and backslashes.
    pub fn plan_text(
        &self,
        batch: &BatchName,
        estate: EstateKind,
        master: &HostName,
        level: &Level,
    ) -> String {
        let kind = match estate {
            EstateKind::Lab => "lab",
            EstateKind::Ssh => "ssh",
            EstateKind::Local => "local",
        };
        let mut text = format!(
            "# nimadm {}\n\n[batch]\nname = \"{batch}\"\n\n[estate]\nkind = \"{kind}\"\n\n\
             [master]\nname = \"{master}\"\n\n[target]\nspot = \"{}\"\n",
            sanitize_line(&self.text(), limits::ARGUMENT_BYTES_MAX),
            self.spot
        );
        let mut key = |name: &str, value: Option<&dyn std::fmt::Display>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{name} = \"{value}\"");
            }
        };
        key("lpp_source", some(self.lpp_source.as_ref()));
        key("level", Some(level));
        let _ = writeln!(text, "\n[[client]]");
        let mut key = |name: &str, value: Option<&dyn std::fmt::Display>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{name} = \"{value}\"");
            }
        };
        let options = &self.options;
        key("name", some(self.name()));
        key("cache_vg", some(options.cache_vg.as_ref()));
        key("pre_script", some(options.pre_script.as_ref()));
        key("post_script", some(options.post_script.as_ref()));
        key("bundle", some(options.bundle.as_ref()));
        key("exclude_files", some(options.exclude_files.as_ref()));
        key("image_data", some(options.image_data.as_ref()));
        key("bosinst_data", some(options.bosinst_data.as_ref()));
        key("mount_options", some(options.mount_options.as_ref()));
        key("mksysb", some(options.mksysb.as_ref()));
        key("output", some(options.output.as_ref()));
        key("new_mksysb", some(options.new_mksysb.as_ref()));
        if options.bootlist == Bootlist::Keep {
            key("bootlist", Some(&"keep"));
        }
        if !options.disks.is_empty() {
            let disks: Vec<&str> = options.disks.iter().map(DiskName::as_str).collect();
            let _ = writeln!(text, "disks = [\"{}\"]", disks.join("\", \""));
        }
        if let Some(phases) = &options.phases {
            let numbers: Vec<String> =
                phases.iter().map(|phase: &Phase| phase.number().to_string()).collect();
            let _ = writeln!(text, "phases = [{}]", numbers.join(", "));
        }
        for (name, is) in [
            ("accept_licenses", options.accept_licenses),
            ("update", options.update),
            ("force", options.force),
            ("reboot", options.reboot),
        ] {
            if is {
                let _ = writeln!(text, "{name} = true");
            }
        }
        text
    }
}

fn some<T: std::fmt::Display>(value: Option<&T>) -> Option<&dyn std::fmt::Display> {
    value.map(|value| value as &dyn std::fmt::Display)
}
