//! What NIM knows: the machine, the resources, and what is to be made.

use crate::aix::NimObject;
use crate::aix::argv::{self, Argv};
use crate::domain::{Level, NimName, Phase};

use super::objections::Objections;
use crate::phases::native::mksysb::in_the_way;
use crate::phases::read::HostAnswers;
use crate::phases::step::Context;

/// The NIM objects beside client, SPOT and lpp_source, with their types.
pub(super) fn further_objects<'a>(ctx: &Context<'a>) -> Vec<(&'static str, &'a NimName)> {
    let options = &ctx.spec.options;
    let all = [
        ("script", &options.pre_script),
        ("script", &options.post_script),
        ("installp_bundle", &options.bundle),
        ("exclude_files", &options.exclude_files),
        ("image_data", &options.image_data),
        ("bosinst_data", &options.bosinst_data),
        ("mksysb", &options.mksysb),
    ];
    all.into_iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?))).collect()
}

/// What the master is asked about the mksysb that is to be made.
pub(super) fn output_looks(ctx: &Context<'_>) -> Vec<Argv> {
    if !ctx.spec.task.writes_mksysb() {
        return Vec::new();
    }
    let file = ctx.spec.options.output.iter();
    let file = file.flat_map(|path| [argv::ls_d(path), argv::ls_d(directory_of(path))]);
    file.chain(ctx.spec.options.new_mksysb.iter().map(argv::lsnim)).collect()
}

fn directory_of(path: &str) -> &str {
    let directory = path.rsplit_once('/').map_or("/", |(directory, _)| directory);
    if directory.is_empty() { "/" } else { directory }
}

pub(super) fn check_output(ctx: &Context<'_>, master: HostAnswers<'_>, against: &mut Objections) {
    if !ctx.spec.task.writes_mksysb() || !ctx.spec.asks_for(Phase::Finish) {
        return;
    }
    let options = &ctx.spec.options;
    if let Some(path) = &options.output {
        if against.read(path, master.is_there(argv::ls_d(path))) == Some(true) {
            against.0.push(in_the_way(path));
        }
        let directory = argv::ls_d(directory_of(path));
        if against.read(path, master.is_there(directory)) == Some(false) {
            against.permanent(
                format!("the directory of {path} is not on the master"),
                "make it, where there is room for a mksysb",
            );
        }
    }
    if let Some(name) = &options.new_mksysb
        && against.read(name.as_str(), master.is_defined(name)) == Some(true)
    {
        against.permanent(
            format!("{name} is defined in NIM already"),
            "`nim -o remove` it, or change `new_mksysb` (-N) in the plan",
        );
    }
}

fn object(master: HostAnswers<'_>, name: &NimName, against: &mut Objections) -> Option<NimObject> {
    if !against.read(name.as_str(), master.is_defined(name))? {
        against.permanent(
            format!("{name} is not defined in NIM"),
            "define it, or name another in the plan: `lsnim` on the master",
        );
        return None;
    }
    against.read(name.as_str(), master.nim_object(name))
}

pub(super) fn check_machine(ctx: &Context<'_>, master: HostAnswers<'_>, against: &mut Objections) {
    let client = &ctx.spec.client;
    let Some(object) = object(master, client, against) else { return };
    if object.get("type") != Some("standalone") {
        let kind = object.get("type").unwrap_or("of no type");
        against.permanent(format!("{client} is {kind} in NIM"), "it must be a standalone client");
    }
    let locked = object.get("locked");
    if let Some(process) = locked
        && !ctx.spec.options.force
    {
        against.transient(
            format!("{client} is locked in NIM by process {process}"),
            "wait for it; if it is gone, set `force = true` (-F) in the plan",
        );
    }
    match object.get("Cstate") {
        Some("ready for a NIM operation") => {}
        // The operation that holds the lock shows here too.
        _ if locked.is_some() => {}
        state => against.permanent(
            format!("{client} is not ready in NIM: {}", state.unwrap_or("no Cstate")),
            "`nim -Fo reset` it, and deallocate subclass=all",
        ),
    }
}

pub(super) fn check_resources(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    against: &mut Objections,
) {
    let target = ctx.spec.target();
    if let Some(spot) = object(master, &target.spot, against) {
        check_spot(ctx, master, &spot, against);
    }
    if let Some(lpp) = object(master, &target.lpp_source, against) {
        let name = &target.lpp_source;
        if lpp.get("type") != Some("lpp_source") {
            against.permanent(
                format!("{name} is not an lpp_source"),
                "name one in the plan: `lsnim -t lpp_source`",
            );
        } else if lpp.get("simages") != Some("yes") {
            against.permanent(
                format!("the lpp_source {name} lacks simages"),
                "`nim -o check -F` it, add the missing images",
            );
        }
        check_ready(name, &lpp, against);
    }
    for (kind, name) in further_objects(ctx) {
        let Some(found) = object(master, name, against) else { continue };
        if found.get("type").is_some_and(|found| found != kind) {
            against.permanent(
                format!("{name} is not of type {kind}"),
                "name one in the plan: `lsnim -l` it",
            );
        }
    }
}

fn check_ready(name: &NimName, object: &NimObject, against: &mut Objections) {
    if let Some(state) = object.get("Rstate").filter(|state| *state != "ready for use") {
        against.permanent(format!("{name} is not ready for use: {state}"), "`nim -Fo check` it");
    }
}

fn check_spot(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    spot: &NimObject,
    against: &mut Objections,
) {
    let (name, wanted) = (&ctx.spec.target().spot, &ctx.spec.target().level);
    if spot.get("type") != Some("spot") {
        against.permanent(format!("{name} is not a SPOT"), "name one in the plan: `lsnim -t spot`");
        return;
    }
    check_ready(name, spot, against);
    let hint = "name the SPOT of the target level in the plan";
    match spot.get("oslevel_r").map(str::parse::<Level>) {
        Some(Ok(level)) => {
            // `oslevel_r` ends with the technology level.
            let technology = wanted.as_str().get(..7).unwrap_or(wanted.as_str());
            let reached = technology.parse().is_ok_and(|wanted: Level| level.reaches(&wanted));
            if !reached || !level.same_release(wanted) {
                against.permanent(format!("the SPOT {name} is at {level}, not {wanted}"), hint);
            }
        }
        _ => against.permanent(format!("the SPOT {name} has no level in NIM"), hint),
    }
    let Some(exports) = against.read("the master's exports", master.exports()) else {
        return;
    };
    let location = spot.get("location").unwrap_or_default();
    let covers = |path: &String| {
        location
            .strip_prefix(path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || path == "/")
    };
    if location.is_empty() || !exports.iter().any(covers) {
        against.permanent(
            format!("the SPOT {name} is not exported by the master"),
            "export its location read-only to the client",
        );
    }
}
