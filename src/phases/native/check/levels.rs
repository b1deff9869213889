//! Levels: of the client, the master, the SPOT and the lpp_source, and what goes with what.

use crate::aix::argv::{self, Argv};
use crate::aix::{self, FilesetLevel};
use crate::domain::{BuildWeek, Level, Target};
use crate::transport::Command;

use super::objections::Objections;
use crate::phases::read::{HostAnswers, Read};
use crate::phases::step::Context;

/// What the lpp_source's row of [`argv::LEVEL_FILESET`] is found by.
const LEVEL_ROW: &str = ":bos.mp64:";

/// What master and SPOT are asked for the levels of.
pub(super) const LEVELS: [&str; 3] = [argv::ALT_FILESET, argv::LEVEL_FILESET, argv::BUILD_FILESET];

/// The row by which the level of the lpp_source is told: its whole list can be longer
/// than what is kept of an output.
pub(super) fn installable(ctx: &Context<'_>) -> Command {
    Command::new(argv::showres(&ctx.spec.target().lpp_source))
        .piped_to(["grep", "-F", "-e", LEVEL_ROW])
}

/// What the client is asked for the levels of.
pub(super) const OWN_LEVELS: [&str; 2] = [argv::LEVEL_FILESET, argv::BUILD_FILESET];

/// What is migrated, and its level as far as it is known.
pub(super) fn source_level(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    client: HostAnswers<'_>,
    against: &mut Objections,
) -> (String, Option<Level>) {
    if ctx.spec.task.has_client() {
        let level = against.read("the client's level", client.level());
        if !ctx.spec.task.reads_mksysb() {
            return ("the client".to_owned(), level);
        }
    }
    let Some(name) = &ctx.spec.options.mksysb else { return ("nothing".to_owned(), None) };
    // What is wrong with the object itself is told with the other resources.
    let level =
        master.nim_object(name).ok().and_then(|object| object.get("oslevel_r")?.parse().ok());
    (format!("the mksysb {name}"), level)
}

pub(super) fn check_levels(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    what: &str,
    level: Option<&Level>,
    against: &mut Objections,
) {
    let target = &ctx.spec.target().level;
    if let Some(level) = level
        && level.same_release(target)
        && !ctx.spec.options.update
    {
        against.permanent(
            format!("{what} is at {level}, the release of the target"),
            "set `update = true` (-U) in the plan: that is an update within a release",
        );
    }
    if let Some(level) = level
        && !level.same_release(target)
        && ctx.spec.options.update
    {
        against.permanent(
            format!("{what} is at {level}: an update (-U) stays within the release"),
            "leave `update` out in the plan: that is a migration",
        );
    }
    if let Some(own) = against.read("the master's level", master.level())
        && !own.reaches(target)
    {
        against.permanent(
            format!("the master is at {own}, below the target {target}"),
            "update the master first",
        );
    }
    let of = |filesets: Argv| level_of(master, filesets, argv::ALT_FILESET);
    let own = against.read("the master's alt_disk fileset", of(argv::lslpp(&LEVELS)));
    let spot = argv::spot_lslpp(&ctx.spec.target().spot, &LEVELS);
    let spot = against.read("the SPOT's alt_disk fileset", of(spot));
    let hint = "`nimshift sync -s SPOT -l LPP_SOURCE` levels them, from an lpp_source that has the higher level";
    let name = argv::ALT_FILESET;
    match (own, spot) {
        (Some(Some(own)), Some(Some(spot))) if own != spot => {
            against.permanent(format!("{name} is {own} on the master, {spot} in the SPOT"), hint);
        }
        (Some(None), _) => against.permanent(format!("{name} is not on the master"), hint),
        (_, Some(None)) => against.permanent(format!("{name} is not in the SPOT"), hint),
        _ => {}
    }
}

/// The level of a fileset in a list that a command gave: the highest, where there
/// is a base and updates of it.
fn level_of(
    said: HostAnswers<'_>,
    filesets: impl Into<Command>,
    name: &str,
) -> Read<Option<FilesetLevel>> {
    let rows = said.read(filesets, aix::filesets)?;
    Ok(rows.into_iter().filter(|row| row.name == name).filter_map(|row| row.level).max())
}

/// What is installed comes from the lpp_source, by programs of the SPOT, on the
/// master: all three fit together, and none takes the client back.
pub(super) fn check_agreement(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    client: HostAnswers<'_>,
    against: &mut Objections,
) {
    const NAME: &str = argv::LEVEL_FILESET;
    let Target { spot, lpp_source, .. } = ctx.spec.target();
    // One that is not there is told already.
    if master.output(installable(ctx)).is_ok_and(|output| output.text().contains("0042-053")) {
        return;
    }
    let what = format!("the level of the lpp_source {lpp_source}");
    let Some(of_lpp) = against.read(&what, level_of(master, installable(ctx), NAME)) else {
        return;
    };
    let Some(of_lpp) = of_lpp else {
        return against.permanent(
            format!("the lpp_source {lpp_source} has no {NAME}, which tells its level"),
            "`nim -o check -F` it, add the missing images",
        );
    };
    if let Ok(Some(of_spot)) = level_of(master, argv::spot_lslpp(spot, &LEVELS), NAME) {
        if of_spot != of_lpp {
            against.permanent(
                format!(
                    "{NAME} is {of_lpp} in the lpp_source {lpp_source}, {of_spot} in the SPOT {spot}"
                ),
                &format!(
                    "name a SPOT and an lpp_source of one level in the plan, or bring the SPOT to it: \
                     `nim -o cust -a fixes=update_all -a lpp_source={lpp_source} {spot}`"
                ),
            );
        }
        if let Ok(Some(own)) = level_of(master, argv::lslpp(&LEVELS), NAME)
            && own < of_spot
        {
            against.permanent(
                format!("{NAME} is {own} on the master, below {of_spot} in the SPOT {spot}"),
                "update the master first",
            );
        }
    }
    if ctx.spec.task.has_client()
        && !ctx.spec.task.reads_mksysb()
        && let Ok(Some(now)) = level_of(client, argv::lslpp(&OWN_LEVELS), NAME)
        && now > of_lpp
    {
        against.permanent(
            format!("{NAME} is {now} on the client, {of_lpp} in the lpp_source {lpp_source}"),
            "name an lpp_source in the plan that is at least as new as the client, which nimadm \
             cannot downgrade",
        );
    }
}

/// installp refuses a fileset that was built before the one that is installed (0503-465),
/// whatever the levels say: nimadm would end in it after the copy was made. What will be
/// installed is told by the SPOT, which has the filesets of the lpp_source; the level of the
/// plan is the least that is wanted.
pub(super) fn check_build(
    ctx: &Context<'_>,
    (master, client): (HostAnswers<'_>, HostAnswers<'_>),
    level: Option<&Level>,
    against: &mut Objections,
) {
    let Target { spot, level: target, lpp_source } = ctx.spec.target();
    let own = builds(client, argv::lslpp(&OWN_LEVELS).into());
    let new = builds(master, argv::spot_lslpp(spot, &LEVELS).into());
    let of = |all: &[(String, BuildWeek)], name: &str| {
        all.iter().filter(|(known, _)| known == name).map(|(_, week)| *week).max()
    };
    let both: Vec<(&str, BuildWeek, BuildWeek)> = OWN_LEVELS
        .iter()
        .filter_map(|name| Some((*name, of(&own, name)?, of(&new, name)?)))
        .collect();
    let levels = || Some(("AIX", level?.built()?, target.built()?));
    let newer = |(_, own, new): &&(&str, BuildWeek, BuildWeek)| own > new;
    let found = both.iter().find(newer).copied();
    let Some((name, own, new)) =
        found.or_else(|| levels().filter(|all| both.is_empty() && newer(&all)))
    else {
        return;
    };
    against.permanent(
        format!(
            "{name} on the client was built in week {own} (YYWW), that of the target in week {new}"
        ),
        &format!(
            "name a newer lpp_source than {lpp_source} in the plan, with its SPOT: one of a service \
             pack that was built in week {own} or later; installp refuses this one (0503-465)"
        ),
    );
}

/// When filesets were built, as far as that is told.
fn builds(said: HostAnswers<'_>, filesets: Command) -> Vec<(String, BuildWeek)> {
    let rows = said.read(filesets, aix::filesets).unwrap_or_default();
    rows.into_iter().filter_map(|row| Some((row.name, row.built?))).collect()
}
