//! What a migration would do, for people: nothing is asked of any host.
//!
//! What only a host could tell stands between `<` and `>`, or is assumed: the
//! usual file systems of rootvg. The commands are made by the steps themselves.

use crate::domain::{
    Baseline, BaselineDisk, BaselineFs, Control, Direction, DiskName, Facts, HostRole,
    MigrationSpec, Phase, StepName, Ticket,
};
use crate::transport::Script;

use super::order::hosts;
use super::registry::registry;
use super::step::{Answers, Context, StepDef};
use crate::phases::native::parts::is_assumed;

/// The file systems that a dry run assumes the client's rootvg to have.
const ASSUMED: [(&str, &str); 6] = [
    ("hd4", "/"),
    ("hd1", "/home"),
    ("hd10opt", "/opt"),
    ("hd3", "/tmp"),
    ("hd2", "/usr"),
    ("hd9var", "/var"),
];

/// A step of a migration, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepText {
    /// The phase.
    pub phase: Phase,
    /// The step.
    pub step: StepName,
    /// What it does.
    pub about: &'static str,
    /// The host of its effect.
    pub host: String,
    /// The commands that make it so; none where it only looks.
    pub run: Vec<String>,
    /// The commands that tell whether it is so, each behind its host.
    pub probe: Vec<String>,
    /// The commands that take it back.
    pub undo: Vec<String>,
}

/// What holds for all command lines of a description.
pub const ASSUMPTION: &str = "The commands assume a rootvg with the file systems /, /home, /opt, \
/tmp, /usr and /var, with nothing done yet; values that only a host knows are between < and >. A run probes first, and skips what is already done. Each script that changes the client begins with `ls -l /var/adm/nimshift/lease | grep -F -e ' -> <its text>'`, which ends it if the lease is no longer this migration's.";

/// The steps of a migration with their commands.
pub fn describe(spec: &MigrationSpec) -> Vec<StepText> {
    let facts = assumed(spec);
    registry()
        .iter()
        .filter(|def| def.is_in(spec) && !is_assumed(def, spec, &def.first(Direction::Forward)))
        .map(|def| describe_step(def, spec, &facts))
        .collect()
}

fn describe_step(def: &StepDef, spec: &MigrationSpec, facts: &Facts) -> StepText {
    let hosts = hosts(spec);
    let context = |ticket: &Ticket, act: &dyn Fn(&Context<'_>) -> Vec<String>| {
        act(&Context {
            spec,
            facts,
            ticket,
            owner: "<owner>",
            control: &Control::default(),
            now_ms: 0,
        })
    };
    let (forward, back) = (def.first(Direction::Forward), def.first(Direction::Undo));
    let nothing = Answers::default();
    StepText {
        phase: def.phase,
        step: def.step(),
        about: def.about,
        host: hosts.of(def.host).to_string(),
        run: context(&forward, &|ctx| {
            def.run.map(|run| lines(&run(ctx, &nothing))).unwrap_or_default()
        }),
        probe: context(&forward, &|ctx| {
            let looks = def.probe(ctx);
            let host = |role: &HostRole| hosts.of(*role).to_string();
            looks
                .iter()
                .flat_map(|(role, script)| {
                    lines(script).into_iter().map(move |line| format!("{}: {line}", host(role)))
                })
                .collect()
        }),
        undo: context(&back, &|ctx| {
            def.undo_run.map(|undo| lines(&undo(ctx, &nothing))).unwrap_or_default()
        }),
    }
}

fn lines(script: &Script) -> Vec<String> {
    script.commands.iter().map(|command| crate::base::redact(&command.shell_text())).collect()
}

/// What `record-baseline` might find.
fn assumed(spec: &MigrationSpec) -> Facts {
    let disk = |name: &str| name.parse::<DiskName>().ok();
    // A disk that is not a target.
    let boot_disk = (0..=crate::base::limits::DISKS_MAX)
        .filter_map(|number| disk(&format!("hdisk{number}")))
        .find(|disk| !spec.options.disks.contains(disk));
    let (Some(boot_disk), Ok(boot_pvid)) = (boot_disk, "0000000000000000".parse()) else {
        return Facts::default();
    };
    let location = |name: &crate::domain::NimName| format!("<location of {name}>");
    let file_systems = ASSUMED
        .iter()
        .map(|(lv, mount_point)| BaselineFs {
            lv: (*lv).to_owned(),
            mount_point: (*mount_point).to_owned(),
            size_mb: 1024,
        })
        .collect();
    let targets = spec
        .options
        .disks
        .iter()
        .map(|disk| BaselineDisk { name: disk.clone(), pvid: None, size_mb: 0 })
        .collect();
    Facts {
        baseline: Some(Baseline {
            bootlist: vec![boot_disk.clone()],
            boot_disk: Some(boot_disk),
            boot_pvid: Some(boot_pvid),
            targets,
            file_systems,
            spot_location: location(&spec.target().spot),
            lpp_source_location: location(&spec.target().lpp_source),
            pre_script_location: spec.options.pre_script.as_ref().map(location),
            post_script_location: spec.options.post_script.as_ref().map(location),
            exclude_location: spec.options.exclude_files.as_ref().map(location),
            bosinst_location: spec.options.bosinst_data.as_ref().map(location),
            mksysb_location: spec.options.mksysb.as_ref().map(location),
            ..Baseline::default()
        }),
        lease: Some("<lease>".to_owned()),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phases::sample;

    #[test]
    fn every_step_that_acts_shows_its_commands() {
        for (cached, reboot) in [(false, false), (true, true)] {
            let mut spec = sample::spec();
            spec.options.cache_vg = cached.then(|| "cachevg".parse().unwrap());
            spec.options.reboot = reboot;
            spec.options.pre_script = Some("pre".parse().unwrap());
            spec.options.bundle = Some("more".parse().unwrap());
            for text in describe(&spec) {
                let def = crate::phases::find(text.phase, &text.step).unwrap();
                assert_eq!(text.run.is_empty(), def.run.is_none(), "{}", text.step);
                assert_eq!(text.undo.is_empty(), def.undo_run.is_none(), "{}", text.step);
                assert!(!text.probe.is_empty(), "{}", text.step);
            }
        }
    }

    #[test]
    fn the_commands_are_those_of_the_native_driver() {
        let steps = describe(&sample::spec());
        let of = |step: &str| steps.iter().find(|text| text.step.as_str() == step).unwrap();
        assert_eq!(
            of("clone-rootvg").run,
            [
                "rm -f /var/adm/nimshift/clone.begun",
                "touch /var/adm/nimshift/clone.begun",
                "ls /var/adm/nimshift/clone.begun",
                "/ALT_MIG_SPOT/sbin/alt_disk_copy -M 7.3 -P1 -d hdisk1"
            ]
        );
        assert_eq!(
            of("clone-rootvg").undo,
            [
                "bootlist -m normal hdisk0",
                "alt_rootvg_op -X altinst_rootvg",
                "bootlist -m normal hdisk0",
                "rm -f /var/adm/nimshift/clone.begun",
            ]
        );
        assert_eq!(
            of("export-filesystems").run[1],
            "exportfs -i -o rw=nim1,root=nim1,access=nim1 /alt_inst/home"
        );
        assert_eq!(
            of("mount-filesystems").run[3],
            "mount lpar7:/alt_inst/home /lpar7_alt/alt_inst/home"
        );
        assert_eq!(of("clone-rootvg").probe[0], "lpar7: lspv");
        assert_eq!(
            of("make-boot-image").run[1],
            "dd if=/lpar7_alt/alt_inst/tmp/nimshift-boot bs=4k | \
             /usr/lpp/bos.sysmgt/nim/methods/c_rsh lpar7 'dd of=/dev/alt_hd5 bs=4k'"
        );
    }
}
