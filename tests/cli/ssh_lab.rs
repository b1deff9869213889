//! A lab that is reached by ssh, and plans for it.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::world::{Ran, World};

/// A lab that is reached by ssh; it goes with the value.
pub(crate) struct SshLab {
    pub(crate) world: World,
}

impl SshLab {
    /// The estate of `plan`, reached by ssh in the best way that there is, or in
    /// the one that the environment names; none, and why, where this machine
    /// cannot.
    pub(crate) fn up(plan: &str, scale: &str) -> Option<SshLab> {
        let way = std::env::var("NIMSHIFT_TEST_SSH");
        SshLab::up_by(way.as_deref().unwrap_or("auto"), plan, scale)
    }

    /// The same, by a way of its own.
    pub(crate) fn up_by(way: &str, plan: &str, scale: &str) -> Option<SshLab> {
        let world = World::new();
        world.write("lab.toml", plan);
        let made = world.run(&["lab", "up", "--plan", "lab.toml", "--time-scale", scale]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let by = format!("--ssh={way}");
        let ssh = if way == "auto" { "--ssh" } else { &by };
        let up = world.run(&["lab", "up", ssh]);
        if up.stderr.contains("is missing") {
            crate::skipped::skipped(&up.stderr);
            return None;
        }
        assert_eq!(up.code, 0, "{}", up.stderr);
        let lab = SshLab { world };
        let enters = lab.run(&["lab", "enter", "state/lab", "nim1", "--", "/usr/bin/true"]);
        if enters.stderr.contains("namespace") {
            crate::skipped::skipped(&enters.stderr);
            return None;
        }
        lab.world.write("ssh.toml", &over_ssh(&lab, plan));
        Some(lab)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.world.run(args)
    }

    /// Trouble of a host.
    pub(crate) fn trouble(&self, name: &str, host: &str, more: &[&str]) {
        let ran = self.run(&[&["lab", "fault", name, "--host", host], more].concat());
        assert_eq!(ran.code, 0, "{name} of {host}: {}", ran.stderr);
    }

    /// The migrations, as `status --json` tells them; none before there are any.
    pub(crate) fn status(&self) -> Vec<Json> {
        let ran = self.run(&["status", "--json"]);
        if ran.code != 0 {
            return Vec::new();
        }
        let status: Json = serde_json::from_str(&ran.stdout).unwrap();
        status["migrations"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for SshLab {
    fn drop(&mut self) {
        self.run(&["lab", "down"]);
    }
}

/// A plan for the lab in process, as one over ssh, by the driver that it has there.
/// What passes is tried again in seconds: the engine lives by real time there.
fn over_ssh(lab: &SshLab, plan: &str) -> String {
    let config = lab.world.state().join("lab/ssh/config");
    let mut text = String::new();
    for line in plan.lines() {
        let key = line.split('=').next().unwrap_or("").trim();
        match key {
            "kind" => {
                writeln!(text, "kind = \"ssh\"\nssh_config = \"{}\"", config.display()).unwrap();
                text.push_str("native_unverified = \"accept\"\n");
            }
            "[defaults]" if !plan.contains("driver =") => {
                text.push_str("[defaults]\ndriver = \"native\"\n");
            }
            "file" => {}
            "delay" => text.push_str("delay = \"1s\"\n"),
            "delay_max" => text.push_str("delay_max = \"20s\"\n"),
            _ => writeln!(text, "{line}").unwrap(),
        }
    }
    text
}
