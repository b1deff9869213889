//! Phase 6, in the end: the copy is at its level, and has what the site had.

use crate::aix;
use crate::aix::argv::{self, Argv};
use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;
use crate::domain::{Cause, Facts, FailureClass, HostRole, Phase, SiteRows};

use super::site::{LINES, looks, read_kinds};
use crate::phases::read::{Read, judged, last_words, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, STEP, StepDef, minutes};

pub(crate) const STEPS: &[StepDef] = &[VERIFY_LEVEL, VERIFY_COPY];

/// No boot image is made of a copy that is not at its level.
const VERIFY_LEVEL: StepDef = StepDef {
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
    let wanted = &ctx.spec.target().level;
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

/// Before a script of phase 7, which may take away what it likes.
const VERIFY_COPY: StepDef = StepDef {
    phase: Phase::MigrateFilesets,
    name: "verify-copy",
    about: "verify that the copy kept the site's own settings",
    host: HostRole::Master,
    drivers: Drivers::Both,
    timeout: minutes(10),
    looks: |ctx| looks(ctx, 2 * LINES),
    judge: |ctx, answers| {
        judged((|| {
            let kinds = read_kinds(ctx, answers, 2 * LINES)?;
            let earlier = ctx.spec.part.as_ref().and_then(|part| part.facts.site.as_ref());
            // Phase 5 of one that an older version has begun has recorded nothing.
            let Some(site) = ctx.facts.site.as_ref().or(earlier) else {
                return Ok(Finding::found(Facts::default()));
            };
            let lost: Vec<String> = kinds
                .iter()
                .filter_map(|(kind, now)| lost(kind, site.kinds.get(*kind)?, now))
                .collect();
            if lost.is_empty() {
                return Ok(Finding::found(Facts::default()));
            }
            let text = format!("the migrated copy lacks {}", lost.join("; "));
            let cause = Cause::new(FailureClass::Permanent, sanitize_line(&text, CAUSE_BYTES_MAX));
            Ok(Finding::blocked(cause.with_hint(
                "look at the output of phase 5, which merges the configuration; `policy = \
                 \"hold\"` keeps the copy for inspection",
            )))
        })())
    },
    ..STEP
};

/// What is missing of a kind, in words.
fn lost(kind: &str, before: &SiteRows, now: &[String]) -> Option<String> {
    const NAMED: usize = 4;
    let (named, others) = before.missing_in(now);
    let count = named.len() + others;
    let shown: Vec<&str> = named.iter().take(NAMED).copied().collect();
    let more = if count > shown.len() { ", …" } else { "" };
    (count > 0).then(|| format!("{count} {kind} ({}{more})", shown.join(", ")))
}
