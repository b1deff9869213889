//! Connections to hosts of the lab that end, or go silent, at an exact byte.

use std::process::Stdio;

use super::nights::{now, outcome};
use super::ssh_lab::SshLab;
use super::world::{World, plan};

/// Bytes that the host has sent when its connection ends: before the greeting,
/// in the midst of the keys, of the login, and of what commands say.
const CUTS: [u64; 5] = [0, 600, 1_800, 3_500, 9_000];

/// The link of a host, as the file that each connection looks at.
fn set_link(lab: &SshLab, host: &str, text: &str) {
    let path = lab.world.state().join("lab/ssh/hosts").join(host).join("link");
    let new = path.with_extension("test");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// What a command that says much gives, without a shared connection.
fn ssh(lab: &SshLab, more: &[&str]) -> (Option<i32>, Vec<u8>, String) {
    let config = lab.world.state().join("lab/ssh/config");
    let mut command = lab.world.command_of(std::path::Path::new("ssh"), &["-F"]);
    command.arg(config).args(["-o", "ControlPath=none"]).args(more);
    command.args(["lpar01", "i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done"]);
    let output = command.output().unwrap();
    (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_connection_ends_or_goes_silent_at_an_exact_byte() {
    let Some(lab) = SshLab::up_by("proxy", &plan(&["lpar01"]), "1500") else { return };
    let (code, whole, said) = ssh(&lab, &[]);
    assert_eq!((code, whole.split(|byte| *byte == b'\n').count()), (Some(0), 4001), "{said}");
    for cut in CUTS {
        set_link(&lab, "lpar01", &format!("{{\"cut_after\":{cut}}}"));
        let (code, part, said) = ssh(&lab, &[]);
        assert_eq!(code, Some(255), "cut after {cut}: {said}");
        assert!(part.len() < whole.len() && whole.starts_with(&part), "cut after {cut}");
    }
    // A silent line is given up by ssh's own patience.
    set_link(&lab, "lpar01", "{\"stall_after\":9000}");
    let patience = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];
    let (code, part, said) = ssh(&lab, &patience);
    assert_eq!(code, Some(255), "{said}");
    assert!(said.contains("not responding"), "{said}");
    assert!(whole.starts_with(&part));
    set_link(&lab, "lpar01", "{\"delay_ms\":20}");
    assert_eq!(ssh(&lab, &[]).1, whole, "slow, and whole");
}

#[test]
fn a_migration_whose_connections_are_cut_at_exact_bytes_is_the_same() {
    let text = plan(&["lpar01"]).replace(
        "[defaults]\n",
        "[retry]\nattempts = 9\ndelay = \"1s\"\ndelay_max = \"2s\"\n[defaults]\n",
    );
    let quiet = World::in_memory();
    quiet.write("plan.toml", &text);
    assert_eq!(quiet.run(&["run", "plan.toml", "--time-scale", "4000"]).code, 0);
    let expected = outcome(&quiet);
    for cut in CUTS.into_iter().step_by(2) {
        let Some(lab) = SshLab::up_by("proxy", &text, "1500") else { return };
        set_link(&lab, "lpar01", &format!("{{\"cut_after\":{cut}}}"));
        let mut night = lab.world.command(&["run", "ssh.toml"]);
        let mut night = night.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // Until it has met the client's link, and has not got far.
        let began = now();
        while lab.status().iter().all(|one| one["retry_at_ms"].is_null()) {
            assert!(night.try_wait().unwrap().is_none(), "cut after {cut}: it ended");
            assert!(began.elapsed().as_secs() < 60, "cut after {cut}: no step failed");
        }
        set_link(&lab, "lpar01", "{}");
        let ended = night.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "cut after {cut}: {said}");
        assert_eq!(outcome(&lab.world), expected, "cut after {cut}");
    }
}
