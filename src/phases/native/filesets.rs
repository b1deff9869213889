//! Phase 6: filesets and RPMs of the copy are migrated.

use crate::aix;
use crate::aix::argv::{self, Argv};
use crate::domain::{Cause, Facts, FailureClass, HostRole, Phase, Repeat};
use crate::transport::{Command, Script};

use crate::phases::copy::baseline;
use crate::phases::marks;
use crate::phases::read::{Read, judged, last_words, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, STEP, StepDef, hours, minutes};

const FILESETS: &str = "install-filesets";
const RPMS: &str = "install-rpms";

/// By installp.
pub(crate) const INSTALL_FILESETS: StepDef = StepDef {
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
pub(crate) const INSTALL_RPMS: StepDef = StepDef {
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

/// No boot image is made of a copy that is not at its level.
pub(crate) const VERIFY_LEVEL: StepDef = StepDef {
    phase: Phase::MigrateFilesets,
    name: "verify-level",
    about: "verify the level of the copy",
    host: HostRole::Master,
    drivers: Drivers::Both,
    timeout: minutes(10),
    looks: |ctx| {
        vec![look(HostRole::Master, [argv::level_below(&ctx.spec.master_root()), agreement(ctx)])]
    },
    judge: |ctx, answers| judged(judge_level(ctx, answers)),
    ..STEP
};

/// Whether the copy's filesets agree.
fn agreement(ctx: &Context<'_>) -> Argv {
    argv::chroot(&ctx.spec.master_root(), &["/usr/bin/lppchk", "-v"])
}

fn judge_level(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.master();
    let level = said.read(argv::level_below(&ctx.spec.master_root()), aix::level)?;
    let wanted = &ctx.spec.target.level;
    let failed = |text: String, hint: &str| {
        Ok(Finding::blocked(Cause::new(FailureClass::Permanent, text).with_hint(hint)))
    };
    if !level.reaches(wanted) {
        let text = format!("the copy is at {level}, not at {wanted}");
        return failed(text, "the lpp_source may be incomplete: `instfix -i` in the copy");
    }
    let check = said.output(agreement(ctx))?;
    if !check.ok() {
        let words = last_words(check).unwrap_or_else(|| format!("status {}", check.status));
        return failed(format!("the copy's filesets are inconsistent: {words}"), "`lppchk -v`");
    }
    Ok(Finding::found(Facts { level: Some(level), ..Facts::default() }))
}
