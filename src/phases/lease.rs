//! Phase 1: the lease of the client, which lets one migration at a time work on
//! it, and how the lease of another is taken over that is no more.
//!
//! A takeover begins with a claim, the link `lease.over.OWNER`: it names the
//! taker, fails where it exists, and so is made by one taker only. Then the
//! taker's lease is made beside the old one and renamed over it. Ended in
//! between, the claim tells who was taking over, and is held by it as a lease
//! is. What was claimed is checked in the same job: a taker that slept in
//! between claims nothing that others have given back meanwhile.

use std::time::Duration;

use crate::aix;
use crate::aix::argv::{self, Argv, words};
use crate::base::duration_text;
use crate::domain::{
    Cause, Direction, Facts, FailureClass, HostRole, Lease, MigrationSpec, Phase, Presence, Repeat,
    StepName, Task, UndoKind,
};
use crate::transport::{Command, Script};

use super::operations::cleanup_check::is_alive;
use super::read::{Read, Said, all_or_any, holds, judged, look};
use super::step::{Answers, Context, Sight, StepDef};

/// Names beside the lease: who takes over whose lease, and a lease that is made.
const CLAIM: &str = "lease.over.";
const FRESH: &str = "lease.new.";

/// Whether a file beside the lease is of a takeover.
pub(super) fn is_of_takeover(name: &str) -> bool {
    name.starts_with(CLAIM) || name.starts_with(FRESH)
}

/// Whether the lease of another may be taken over.
pub(super) fn takes_over(spec: &MigrationSpec) -> bool {
    spec.dead_lease_after_ms.is_some() || spec.task == Task::Cleanup
}

/// The look at what a takeover leaves.
pub(super) fn list() -> Argv {
    words(&["ls", "-l", argv::LEASE_DIR])
}

/// One migration at a time works on a client.
pub(super) const TAKE_LEASE: StepDef = taking(Phase::Clone, "take-lease");

const fn taking(phase: Phase, name: &'static str) -> StepDef {
    StepDef {
        phase,
        name: StepName::new(name),
        about: "take the lease on the client",
        host: HostRole::Client,
        repeat: Repeat::Safe,
        undo: UndoKind::Reverse,
        gate: false,
        timeout: Duration::from_secs(5 * 60),
        stall: None,
        settle: Duration::ZERO,
        weight: 1,
        applies: |spec| spec.mode.changes_client(),
        looks: |ctx| {
            let directory = words(&["ls", argv::LEASE_DIR]);
            let looks = [words(&["ls", "-l", argv::LEASE]), directory];
            vec![look(HostRole::Client, looks.into_iter().chain(takes_over(ctx.spec).then(list)))]
        },
        judge: |ctx, answers| judged(judge(ctx, answers)),
        run: Some(|ctx, answers| {
            let mut commands = vec![Command::new(["mkdir", "-p", argv::LEASE_DIR])];
            match Held::read(ctx, Said::by(answers, 0)) {
                Ok(Some(held)) if takes_over(ctx.spec) => commands.extend(held.take_over(ctx)),
                _ => {
                    let lease = ctx.lease().to_string();
                    commands.push(Command::new(["ln", "-s", &lease, argv::LEASE]));
                }
            }
            Script::new(commands)
        }),
        undo_run: Some(|ctx, answers| {
            let said = Said::by(answers, 0);
            let ours = guard_of(ctx, said, 0).filter(|_| !is_anothers(ctx, said, 0));
            Script::new(ours.into_iter().chain(give_back(ctx, said, 0, 2)))
        }),
        judge_undo: Some(|ctx, answers| {
            let said = Said::by(answers, 0);
            judged((|| {
                // Somebody else's lease is not ours to drop.
                let lease = said.lease(0)?;
                let is_held = lease.as_ref().is_some_and(|lease| lease.owner == ctx.owner);
                let other = lease.filter(|lease| lease.owner != ctx.owner);
                let sight = all_or_any(is_held, left(ctx, said, 0, 1, 2)?);
                Ok(Sight { over: other.filter(|_| takes_over(ctx.spec)), ..sight })
            })())
        }),
    }
}

/// What cleans up has the lease while it does: nobody else begins meanwhile, and
/// who is thought dead is barred before anything of its own is touched.
pub(super) const CLEANUP_LEASE: StepDef = {
    let mut def = taking(Phase::End, "cleanup-lease");
    def.about = "take the client's lease, bar who held it";
    def.undo = UndoKind::Nothing;
    def.applies = |spec| spec.mode.has_client();
    def.undo_run = None;
    def.judge_undo = None;
    def
};

fn judge(ctx: &Context<'_>, answers: &Answers) -> Read<Sight> {
    let said = Said::by(answers, 0);
    let Some(lease) = said.lease(0)? else { return Ok(Sight::of(Presence::Absent)) };
    if lease.owner == ctx.owner {
        let text = said.link(0, argv::LEASE)?;
        return Ok(Sight::found(Facts { lease_over: lease.over, lease: text, ..Facts::default() }));
    }
    if !takes_over(ctx.spec) {
        return Ok(refused(ctx, &lease, None));
    }
    let Some(held) = Held::read(ctx, said)? else { return Ok(Sight::of(Presence::Absent)) };
    if let Some(why) = held.keeps_it(ctx) {
        return Ok(refused(ctx, &held.holder, Some(why)));
    }
    let presence = if held.is_claimed { Presence::Partial } else { Presence::Absent };
    // Nobody bars the journal that it is of.
    let others = !is_of_this_journal(ctx, &held.holder);
    Ok(Sight { over: others.then_some(held.holder), ..Sight::of(presence) })
}

/// Whether the holder is a migration of this journal, which has left its lease
/// behind.
pub(super) fn is_of_this_journal(ctx: &Context<'_>, holder: &Lease) -> bool {
    holder.job_prefix() == Lease::read(ctx.owner).job_prefix()
}

/// The owner, behind the scope of its journal, that is no migration: one that has not
/// begun, so that there is none to be tried again.
pub(super) const NOBODY: &str = ".-";

/// What is done about a lease where no migration is tried again, or that is not enough.
pub(super) fn wait_or_clean(ctx: &Context<'_>) -> String {
    let client = &ctx.spec.client;
    format!(
        "wait for that migration; where it is gone for good, `nimshift cleanup --force {client}`"
    )
}

/// Another holds the client.
pub(super) fn refused(ctx: &Context<'_>, holder: &Lease, why: Option<String>) -> Sight {
    let client = &ctx.spec.client;
    let text = format!("{} holds the client's lease", holder.words());
    let text = why.map_or_else(|| text.clone(), |why| format!("{text}: {why}"));
    let hint = if ctx.ticket.direction == Direction::Undo {
        format!(
            "wait for that migration, then `nimshift retry {client}`; `nimshift abandon {client}` leaves \
             the client to it"
        )
    } else if is_of_this_journal(ctx, holder) {
        format!("`nimshift cleanup {client}` drops it, then `nimshift retry {client}`")
    } else if ctx.owner.ends_with(NOBODY) {
        wait_or_clean(ctx)
    } else {
        format!(
            "wait for that migration; where it is gone for good, `nimshift retry --take-lease {client}`"
        )
    };
    Sight::barred(Cause::new(FailureClass::Permanent, text).with_hint(hint))
}

/// The lease of another.
struct Held {
    /// The lease as it stands, letter by letter.
    text: String,
    /// Who holds it by it, or by having claimed it.
    holder: Lease,
    /// Whether this migration has claimed it: the holder is who had it before.
    is_claimed: bool,
}

impl Held {
    /// None where nobody holds it, or this migration.
    fn read(ctx: &Context<'_>, said: Said<'_>) -> Read<Option<Held>> {
        let Some(text) = said.link(0, argv::LEASE)? else { return Ok(None) };
        let holder = Lease::read(&text);
        if holder.owner == ctx.owner {
            return Ok(None);
        }
        let claims = claims(ctx, said, 2)?;
        let mut held = Held { text, holder, is_claimed: false };
        // Each claims from another; more steps than claims would be a ring.
        for _ in 0..claims.len() {
            let claim = claims.iter().find(|(over, _)| *over == held.holder.owner);
            match claim {
                Some((_, by)) if by.owner == ctx.owner => {
                    held.is_claimed = true;
                    break;
                }
                Some((_, by)) => held.holder = by.clone(),
                None => break,
            }
        }
        Ok(Some(held))
    }

    /// Why it is not taken over.
    fn keeps_it(&self, ctx: &Context<'_>) -> Option<String> {
        if ctx.spec.task == Task::Cleanup {
            let alive = is_alive(ctx, &self.holder);
            return alive.then(|| "`--force` takes it over".to_owned());
        }
        let after = ctx.spec.dead_lease_after_ms.unwrap_or(u64::MAX);
        if self.holder.job_prefix().is_none() {
            return Some("it is none of nimshift's, and is not taken over".to_owned());
        }
        if after == 0 || self.is_claimed {
            return None;
        }
        match self.holder.age_ms(ctx.now_ms) {
            None => Some("it does not say since when, and is not taken over by itself".to_owned()),
            Some(age) if age < after => {
                Some(format!("it is taken over when it is {} old", duration_text(after)))
            }
            Some(_) => None,
        }
    }

    fn take_over(&self, ctx: &Context<'_>) -> Vec<Command> {
        let lease = ctx.lease().over(&self.holder).to_string();
        let claim = format!("{}/{CLAIM}{}", argv::LEASE_DIR, self.holder.owner);
        let fresh = format!("{}/{FRESH}{}", argv::LEASE_DIR, ctx.owner);
        let stands = format!(" -> {}", self.text);
        let mut commands = vec![holds(["ls", "-l", argv::LEASE], &stands)];
        if !self.is_claimed {
            commands.push(Command::new(["ln", "-s", &lease, &claim]));
        }
        commands.extend([
            Command::new(["rm", "-f", &fresh]),
            Command::new(["ln", "-s", &lease, &fresh]),
            Command::new(["mv", "-f", &fresh, argv::LEASE]),
        ]);
        commands
    }
}

/// Who has claimed whose lease, by `command`, which is [`list`].
fn claims(ctx: &Context<'_>, said: Said<'_>, command: usize) -> Read<Vec<(String, Lease)>> {
    if !takes_over(ctx.spec) || !said.is_there(command)? {
        return Ok(Vec::new());
    }
    let links = aix::links(&said.output(command)?.stdout);
    let claim = |(name, target): (String, String)| {
        Some((name.strip_prefix(CLAIM)?.to_owned(), Lease::read(&target)))
    };
    Ok(links.into_iter().filter_map(claim).collect())
}

/// Whether a file of a takeover is this migration's to remove: of its own, and,
/// where it holds the lease, of those before it.
fn is_to_drop(ctx: &Context<'_>, holds: bool, over: &str, by: &Lease) -> bool {
    by.owner == ctx.owner || (holds && over != ctx.owner)
}

/// Files of takeovers that are this migration's to remove, by the lease and
/// [`list`].
fn leftovers(ctx: &Context<'_>, said: Said<'_>, lease: usize, list: usize) -> Read<Vec<String>> {
    let holds = said.lease(lease)?.is_some_and(|lease| lease.owner == ctx.owner);
    let mut names: Vec<String> = claims(ctx, said, list)?
        .into_iter()
        .filter(|(over, by)| is_to_drop(ctx, holds, over, by))
        .map(|(over, _)| format!("{CLAIM}{over}"))
        .collect();
    if takes_over(ctx.spec) && said.is_there(list)? {
        let own = format!("{FRESH}{}", ctx.owner);
        let links = aix::links(&said.output(list)?.stdout);
        names.extend(links.into_iter().map(|(name, _)| name).filter(|name| *name == own));
    }
    Ok(names)
}

/// Whether anything of this migration's lease is there, by looks at the lease, at
/// the names in its directory, and by [`list`].
pub(super) fn left(
    ctx: &Context<'_>,
    said: Said<'_>,
    lease: usize,
    directory: usize,
    list: usize,
) -> Read<bool> {
    Ok(said.leased(lease, directory, ctx.owner)? || !leftovers(ctx, said, lease, list)?.is_empty())
}

/// Makes sure that the lease is still what it was when it was taken: the first
/// command of a script that changes the client. None where that was not
/// recorded.
pub(super) fn guard(ctx: &Context<'_>) -> Option<Command> {
    let text = format!(" -> {}", ctx.facts.lease.as_ref()?);
    Some(holds(["ls", "-l", argv::LEASE], &text))
}

/// As [`guard`], where the lease is seen to be there: by a step that drops it, and
/// that may have done so in an earlier attempt.
pub(super) fn guard_of(ctx: &Context<'_>, said: Said<'_>, lease: usize) -> Option<Command> {
    said.lease(lease).ok().flatten().and_then(|_| guard(ctx))
}

/// Drops the lease and its directory.
pub(super) fn give_back(
    ctx: &Context<'_>,
    said: Said<'_>,
    lease: usize,
    list: usize,
) -> [Command; 2] {
    let drop = Command::new(drop_lease(ctx, said, lease, list));
    [drop, Command::new(["rmdir", argv::LEASE_DIR]).tolerated()]
}

/// Takes the lease that was dropped in good order again, as it was: what is
/// taken back after that is taken back under it. It fails where another has
/// taken one meanwhile.
pub(super) fn take_again(ctx: &Context<'_>) -> Vec<Command> {
    let Some(text) = &ctx.facts.lease else { return Vec::new() };
    vec![
        Command::new(["mkdir", "-p", argv::LEASE_DIR]),
        Command::new(["ln", "-s", text, argv::LEASE]),
    ]
}

/// Whether the lease, by `command`, is there again: the undo of dropping it.
pub(super) fn judge_again(ctx: &Context<'_>, said: Said<'_>, command: usize) -> Read<Sight> {
    if ctx.facts.lease.is_none() {
        // It was begun without.
        return Ok(Sight::of(Presence::Absent));
    }
    Ok(match said.lease(command)? {
        None => Sight::of(Presence::Present),
        Some(lease) if lease.owner == ctx.owner => Sight::of(Presence::Absent),
        Some(lease) => refused(ctx, &lease, Some("nothing is taken back beside it".to_owned())),
    })
}

fn is_anothers(ctx: &Context<'_>, said: Said<'_>, lease: usize) -> bool {
    said.lease(lease).ok().flatten().is_some_and(|lease| lease.owner != ctx.owner)
}

/// Removes the lease, if it is not another's, and what a takeover has left.
fn drop_lease(ctx: &Context<'_>, said: Said<'_>, lease: usize, list: usize) -> Argv {
    let mut remove =
        if is_anothers(ctx, said, lease) { words(&["rm", "-f"]) } else { argv::drop_lease() };
    let names = leftovers(ctx, said, lease, list).unwrap_or_default();
    remove.extend(names.iter().map(|name| format!("{}/{name}", argv::LEASE_DIR)));
    remove
}
