//! The command line of nimadm, and the script around it.

use crate::aix::argv::{Argv, NIMADM, words};
use crate::domain::{Bootlist, DiskName, MigrationSpec, NimName, Phase, VgName};
use crate::transport::{Command, Script};

use super::probe::{self, marks};
use crate::phases::copy::from_master;
use crate::phases::native::finish::bring_lease;
use crate::phases::native::mksysb;
use crate::phases::step::{Answers, Context, Is, StepDef};

/// nimadm's own log on the master.
pub(in crate::phases) fn log(spec: &MigrationSpec) -> String {
    let name = match &spec.options.mksysb {
        Some(mksysb) if !spec.task.has_client() => mksysb,
        _ => &spec.client,
    };
    format!("/var/adm/ras/alt_mig/{name}_alt_mig.log")
}

/// `nimadm` with every option of the plan, for one phase. `-r` is not among
/// them: the reboot is a step of its own.
pub(super) fn nimadm(spec: &MigrationSpec, phase: Phase) -> Argv {
    let (options, target) = (&spec.options, spec.target());
    let mut argv = words(&[NIMADM]);
    let mut give = |flag: &str, value: Option<&str>| {
        if let Some(value) = value {
            argv.extend(words(&[flag, value]));
        }
    };
    give("-T", options.mksysb.as_ref().map(NimName::as_str));
    give("-l", Some(target.lpp_source.as_str()));
    give("-c", spec.task.has_client().then_some(spec.client.as_str()));
    give("-O", options.output.as_deref());
    give("-s", Some(target.spot.as_str()));
    let disks: Vec<&str> = options.disks.iter().map(DiskName::as_str).collect();
    let disks = disks.join(" ");
    give("-d", spec.task.changes_client().then_some(disks.as_str()));
    give("-N", options.new_mksysb.as_ref().map(NimName::as_str));
    give("-a", options.pre_script.as_ref().map(NimName::as_str));
    give("-b", options.bundle.as_ref().map(NimName::as_str));
    give("-z", options.post_script.as_ref().map(NimName::as_str));
    give("-e", options.exclude_files.as_ref().map(NimName::as_str));
    give("-i", options.image_data.as_ref().map(NimName::as_str));
    give("-j", options.cache_vg.as_ref().map(VgName::as_str));
    give("-m", options.mount_options.as_deref());
    give("-o", options.bosinst_data.as_ref().map(NimName::as_str));
    give("-P", Some(&phase.number().to_string()));
    let switches = [
        ("-Y", options.accept_licenses),
        ("-U", options.update),
        ("-F", options.force),
        ("-B", spec.task.changes_client() && options.bootlist == Bootlist::Keep),
    ];
    argv.extend(switches.iter().filter(|(_, is)| *is).map(|(flag, _)| (*flag).to_owned()));
    argv
}

/// nimadm between the marks that its phase was begun, and that it ended well.
pub(super) fn run(ctx: &Context<'_>, answers: &Answers) -> Script {
    let (phase, marks) = (ctx.ticket.phase, marks(ctx));
    let mark = |by: &str, suffix: &str| {
        Command::new([by, &format!("{marks}/{:02}.{suffix}", phase.number())])
    };
    let mut commands = Vec::new();
    if phase == Phase::Clone {
        // Marks of an earlier copy mean nothing for a fresh one.
        commands.push(Command::new(["rm", "-rf", &marks]));
    }
    commands.push(Command::new(["mkdir", "-p", &marks]));
    commands.extend(reset(ctx, answers));
    if phase == Phase::Finish
        && ctx.spec.task.writes_mksysb()
        && probe::is_marked(ctx, answers, "begun").unwrap_or(false)
    {
        // What an attempt that was cut off has written.
        commands.extend(mksysb::remove_seen(ctx, answers, true));
    }
    // Without the mark, what this leaves would be taken for untouched, or for
    // somebody else's.
    commands.extend([mark("touch", "begun"), mark("ls", "begun")]);
    if phase == Phase::Finish && ctx.spec.task.changes_client() {
        commands.extend(from_master(ctx, bring_lease(ctx)));
    }
    commands.push(Command::new(nimadm(ctx.spec, phase)));
    commands.push(mark("touch", "done"));
    Script::new(commands)
}

/// Resets the client's NIM object where a process that is gone has left it
/// locked, or in the midst of an operation.
pub(super) fn reset(ctx: &Context<'_>, answers: &Answers) -> Option<Command> {
    let left = probe::is_left_in_nim(ctx, answers).unwrap_or(false);
    left.then(|| Command::new(["nim", "-Fo", "reset", ctx.spec.client.as_str()]))
}

/// What shows on the master that nimadm goes on although it says nothing: its
/// log grows, or NIM's record of it changes.
pub(in crate::phases) fn signs_of_life(def: &StepDef, spec: &MigrationSpec) -> Option<Script> {
    if !spec.task.uses_nimadm() || !def.is(Is::OfNimadm) {
        return None;
    }
    let mut commands = vec![Command::new(["ls", "-l", &log(spec)]).tolerated()];
    if spec.task.has_client() {
        let state = ["lsnim", "-Z", "-a", "Cstate", "-a", "info", "-a", "Cstate_result"];
        let state = state.iter().copied().chain([spec.client.as_str()]);
        commands.push(Command::new(state).tolerated());
    }
    Some(Script::new(commands))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Driver, Mode};
    use crate::phases::sample;

    fn line(spec: &MigrationSpec, phase: Phase) -> String {
        Command::new(nimadm(spec, phase)).shell_text()
    }

    #[test]
    fn a_dry_run_shows_nimadm_and_what_takes_it_back() {
        let spec = sample::spec_of(Mode::Disk, Driver::Nimadm);
        let steps = crate::phases::describe(&spec);
        let of = |step: &str| steps.iter().find(|text| text.step.as_str() == step).unwrap();
        let run = &of("nimadm-migrate-base").run;
        assert!(run[3].starts_with("/usr/sbin/nimadm -l lpp_7300_02 -c lpar7 "), "{run:?}");
        assert!(run[1].ends_with("/05.begun'") && run[4].ends_with("/05.done'"), "{run:?}");
        let c_rsh = "/usr/lpp/bos.sysmgt/nim/methods/c_rsh lpar7";
        assert_eq!(
            of("nimadm-clone").undo[..3],
            [
                format!("{c_rsh} 'bootlist -m normal hdisk0'"),
                "/usr/sbin/nimadm -C -c lpar7 -s spot_7300_02".to_owned(),
                format!("{c_rsh} 'bootlist -m normal hdisk0'"),
            ]
        );
        assert!(steps.iter().all(|text| text.step.as_str() != "clone-rootvg"));
    }

    #[test]
    fn every_mode_has_its_command_line() {
        let mut spec = sample::spec_of(Mode::Disk, Driver::Nimadm);
        spec.options.reboot = true;
        assert_eq!(
            line(&spec, Phase::Clone),
            "/usr/sbin/nimadm -l lpp_7300_02 -c lpar7 -s spot_7300_02 -d hdisk1 -P 1 -Y"
        );
        spec.options.disks.push("hdisk2".parse().unwrap());
        spec.options.cache_vg = Some("cachevg".parse().unwrap());
        spec.options.pre_script = Some("pre".parse().unwrap());
        spec.options.bootlist = Bootlist::Keep;
        spec.options.update = true;
        spec.options.force = true;
        assert_eq!(
            line(&spec, Phase::End),
            "/usr/sbin/nimadm -l lpp_7300_02 -c lpar7 -s spot_7300_02 -d 'hdisk1 hdisk2' -a pre -j cachevg \
             -P 12 -Y -U -F -B"
        );
        let mut spec = sample::spec_of(Mode::MksysbToMksysb, Driver::Nimadm);
        spec.options.mksysb = Some("old".parse().unwrap());
        spec.options.output = Some("/x/new".to_owned());
        spec.options.new_mksysb = Some("new".parse().unwrap());
        spec.options.cache_vg = Some("cachevg".parse().unwrap());
        assert_eq!(
            line(&spec, Phase::Finish),
            "/usr/sbin/nimadm -T old -l lpp_7300_02 -O /x/new -s spot_7300_02 -N new -j cachevg -P 11 -Y"
        );
        assert_eq!(log(&spec), "/var/adm/ras/alt_mig/old_alt_mig.log");
    }
}
