//! Phase 6: filesets and RPMs of the copy are migrated.

use crate::aix::argv;
use crate::domain::{HostRole, Phase, Repeat};
use crate::transport::{Command, Script};

use crate::phases::copy::baseline;
use crate::phases::marks;
use crate::phases::read::{Read, judged, look};
use crate::phases::step::{Answers, Context, Finding, STEP, StepDef, hours};

pub(crate) const STEPS: &[StepDef] = &[INSTALL_FILESETS, INSTALL_RPMS];

const FILESETS: &str = "install-filesets";
const RPMS: &str = "install-rpms";

/// By installp.
const INSTALL_FILESETS: StepDef = StepDef {
    phase: Phase::MigrateFilesets,
    name: FILESETS,
    about: "install the filesets into the copy",
    host: HostRole::Master,
    repeat: Repeat::Never,
    timeout: hours(6),
    stall: Some(hours(2)),
    looks: |ctx| {
        let mut looks = marks::looks(ctx);
        let bundle = ctx.spec.options.bundle.iter();
        looks.push(look(HostRole::Master, bundle.map(argv::lsnim)));
        looks.retain(|(_, script)| !script.is_empty());
        looks
    },
    judge: |ctx, answers| judged(judge_filesets(ctx, answers)),
    run: Some(run_installp),
    ..STEP
};

fn judge_filesets(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let finding = marks::judge(ctx, answers, FILESETS)?;
    if ctx.spec.options.bundle.is_some() {
        bundle_file(ctx, answers)?;
    }
    Ok(finding)
}

/// Where the bundle's file lies on the master.
fn bundle_file(ctx: &Context<'_>, answers: &Answers) -> Read<String> {
    let Some(name) = &ctx.spec.options.bundle else { return Err("no bundle".to_owned()) };
    let location = answers.master().nim_object(name)?.get("location").map(str::to_owned);
    location.ok_or_else(|| format!("the bundle {name} has no location"))
}

fn run_installp(ctx: &Context<'_>, answers: &Answers) -> Script {
    let Ok(baseline) = baseline(ctx) else { return Script::default() };
    let root = ctx.spec.master_root();
    let images = format!("{}/installp/ppc", baseline.lpp_source_location);
    let flags = if ctx.spec.options.accept_licenses { "-acgNXY" } else { "-acgNX" };
    let installp = |what: &[&str]| {
        let mut argv = argv::words(&["installp", "-R", &root, flags, "-d", &images]);
        argv.extend(argv::words(what));
        Command::new(argv)
    };
    let mut commands = vec![
        // What an installation that was cut short has left.
        Command::new(["installp", "-C", "-R", &root]).tolerated(),
        if ctx.spec.options.update {
            update_all(&root, flags, &images)
        } else {
            installp(&["all"])
        },
    ];
    if let Some(name) = &ctx.spec.options.bundle {
        let file = bundle_file(ctx, answers).unwrap_or_else(|_| format!("<location of {name}>"));
        commands.push(installp(&["-f", &file]));
    }
    marks::between(ctx, FILESETS, commands)
}

/// Brings what is installed to the level of the source, and installs nothing
/// else: an update within a release.
fn update_all(root: &str, flags: &str, images: &str) -> Command {
    let flags = flags.trim_start_matches('-');
    Command::new(["geninstall", "-R", root, "-I", flags, "-d", images, "update_all"])
}

/// By geninstall.
const INSTALL_RPMS: StepDef = StepDef {
    phase: Phase::MigrateFilesets,
    name: RPMS,
    about: "install the RPMs into the copy",
    host: HostRole::Master,
    repeat: Repeat::Never,
    timeout: hours(2),
    stall: Some(hours(1)),
    looks: marks::looks,
    judge: |ctx, answers| judged(marks::judge(ctx, answers, RPMS)),
    run: Some(|ctx, _| {
        let Ok(baseline) = baseline(ctx) else { return Script::default() };
        let flags = if ctx.spec.options.accept_licenses { "acgXY" } else { "acgX" };
        let root = ctx.spec.master_root();
        let images = baseline.lpp_source_location.as_str();
        let install = ["geninstall", "-R", &root, "-I", flags, "-d", images, "R:all"];
        marks::between(ctx, RPMS, [Command::new(install)])
    }),
    ..STEP
};
