//! Phase 1: the lease of the client, which lets one migration at a time work on
//! it, and how the lease of another is taken over that is no more.
//!
//! A takeover begins with a claim, the link `lease.over.OWNER`: it names the
//! taker, fails where it exists, and so is made by one taker only. Then the
//! taker's lease is made beside the old one and renamed over it. Ended in
//! between, the claim tells who was taking over, and is held by it as a lease
//! is. What was claimed is checked in the same job: a taker that slept in
//! between claims nothing that others have given back meanwhile.

use crate::aix;
use crate::aix::argv::{self, Argv, words};
use crate::base::duration_text;
use crate::domain::{
    Cause, Direction, Facts, FailureClass, HostRole, Lease, MigrationSpec, Phase, Presence,
    TaskKind, UndoKind,
};
use crate::transport::{Command, Script};

use super::read::{Read, all_or_any, holds, judged, look};
use super::step::{Answers, Context, Drivers, Finding, Is, STEP, StepDef};

pub(super) const STEPS: &[StepDef] = &[TAKE_LEASE];

/// Names beside the lease: who takes over whose lease, and a lease that is made.
const CLAIM: &str = "lease.over.";
const FRESH: &str = "lease.new.";

/// Whether a file beside the lease is of a takeover.
pub(super) fn is_of_takeover(name: &str) -> bool {
    name.starts_with(CLAIM) || name.starts_with(FRESH)
}

/// Whether the lease of another may be taken over.
pub(super) fn takes_over(spec: &MigrationSpec) -> bool {
    spec.dead_lease_after_ms.is_some() || spec.task.kind() == TaskKind::Cleanup
}

/// The look at what a takeover leaves.
pub(super) fn list() -> Argv {
    argv::ls_l(argv::LEASE_DIR)
}

/// One migration at a time works on a client.
pub(super) const TAKE_LEASE: StepDef = StepDef {
    phase: Phase::Clone,
    name: "take-lease",
    about: "take the lease on the client",
    host: HostRole::Client,
    drivers: Drivers::Both,
    is: &[Is::TakesLease, Is::SeesToLease],
    undo: UndoKind::Reverse,
    applies: |spec| spec.task.changes_client(),
    looks: |ctx| {
        let directory = argv::ls(argv::LEASE_DIR);
        let looks = [argv::ls_l(argv::LEASE), directory];
        vec![look(HostRole::Client, looks.into_iter().chain(takes_over(ctx.spec).then(list)))]
    },
    judge: |ctx, answers| judged(judge(ctx, answers)),
    run: Some(|ctx, answers| {
        let mut commands = vec![Command::new(["mkdir", "-p", argv::LEASE_DIR])];
        match Held::read(ctx, answers) {
            Ok(Some(held)) if takes_over(ctx.spec) => commands.extend(held.take_over(ctx)),
            _ => {
                let lease = ctx.lease().to_string();
                commands.push(Command::new(["ln", "-s", &lease, argv::LEASE]));
            }
        }
        Script::new(commands)
    }),
    undo_run: Some(|ctx, answers| {
        let ours = guard_of(ctx, answers).filter(|_| !is_anothers(ctx, answers));
        Script::new(ours.into_iter().chain(give_back(ctx, answers)))
    }),
    judge_undo: Some(|ctx, answers| {
        judged((|| {
            // Somebody else's lease is not ours to drop.
            let lease = answers.client().lease()?;
            let is_held = lease.as_ref().is_some_and(|lease| lease.owner == ctx.owner);
            let other = lease.filter(|lease| lease.owner != ctx.owner);
            let finding = all_or_any(is_held, left(ctx, answers)?);
            Ok(Finding { takes_over_from: other.filter(|_| takes_over(ctx.spec)), ..finding })
        })())
    }),
    ..STEP
};

fn judge(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    let Some(lease) = said.lease()? else { return Ok(Finding::of(Presence::Absent)) };
    if lease.owner == ctx.owner {
        let text = said.link(argv::LEASE)?;
        return Ok(Finding::found(Facts {
            lease_over: lease.over,
            lease: text,
            ..Facts::default()
        }));
    }
    if !takes_over(ctx.spec) {
        return Ok(refused(ctx, &lease, None));
    }
    let Some(held) = Held::read(ctx, answers)? else { return Ok(Finding::of(Presence::Absent)) };
    if let Some(why) = held.keeps_it(ctx) {
        return Ok(refused(ctx, &held.holder, Some(why)));
    }
    let presence = if held.is_claimed { Presence::Partial } else { Presence::Absent };
    // Nobody bars the journal that it is of.
    let others = !is_of_this_journal(ctx, &held.holder);
    Ok(Finding { takes_over_from: others.then_some(held.holder), ..Finding::of(presence) })
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
    format!("wait for that migration; if it is gone for good, `nimshift cleanup --force {client}`")
}

/// Another holds the client.
pub(super) fn refused(ctx: &Context<'_>, holder: &Lease, why: Option<String>) -> Finding {
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
            "wait for that migration; if it is gone for good, `nimshift retry --take-lease \
             {client}`"
        )
    };
    Finding::blocked(Cause::new(FailureClass::Permanent, text).with_hint(hint))
}

/// Whether the holder of a lease may be at work. One of our own journal is not:
/// then the client would be in flight here.
pub(super) fn is_alive(ctx: &Context<'_>, holder: &Lease) -> bool {
    let scope = |owner: &str| owner.rsplit_once('.').map(|(scope, _)| scope.to_owned());
    !ctx.spec.options.force && scope(&holder.owner) != scope(ctx.owner)
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
    fn read(ctx: &Context<'_>, answers: &Answers) -> Read<Option<Held>> {
        let Some(text) = answers.client().link(argv::LEASE)? else { return Ok(None) };
        let holder = Lease::read(&text);
        if holder.owner == ctx.owner {
            return Ok(None);
        }
        let claims = claims(ctx, answers)?;
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
        if ctx.spec.task.kind() == TaskKind::Cleanup {
            let alive = is_alive(ctx, &self.holder);
            return alive.then(|| "`--force` takes it over".to_owned());
        }
        let after = ctx.spec.dead_lease_after_ms.unwrap_or(u64::MAX);
        if self.holder.job_prefix().is_none() {
            return Some("it is not nimshift's, and is not taken over".to_owned());
        }
        if after == 0 || self.is_claimed {
            return None;
        }
        match self.holder.age_ms(ctx.now_ms) {
            None => Some("it has no date, and is not taken over automatically".to_owned()),
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

/// The links beside the lease, by [`list`].
fn links(ctx: &Context<'_>, answers: &Answers) -> Read<Vec<(String, String)>> {
    let said = answers.client();
    if !takes_over(ctx.spec) || !said.is_there(list())? {
        return Ok(Vec::new());
    }
    Ok(aix::links(&said.output(list())?.stdout))
}

/// Who has claimed whose lease.
fn claims(ctx: &Context<'_>, answers: &Answers) -> Read<Vec<(String, Lease)>> {
    let claim = |(name, target): (String, String)| {
        Some((name.strip_prefix(CLAIM)?.to_owned(), Lease::read(&target)))
    };
    Ok(links(ctx, answers)?.into_iter().filter_map(claim).collect())
}

/// Whether a file of a takeover is this migration's to remove: of its own, and,
/// where it holds the lease, of those before it.
fn is_to_drop(ctx: &Context<'_>, holds: bool, over: &str, by: &Lease) -> bool {
    by.owner == ctx.owner || (holds && over != ctx.owner)
}

/// Files of takeovers that are this migration's to remove.
fn leftovers(ctx: &Context<'_>, answers: &Answers) -> Read<Vec<String>> {
    let holds = answers.client().lease()?.is_some_and(|lease| lease.owner == ctx.owner);
    let mut names: Vec<String> = claims(ctx, answers)?
        .into_iter()
        .filter(|(over, by)| is_to_drop(ctx, holds, over, by))
        .map(|(over, _)| format!("{CLAIM}{over}"))
        .collect();
    let own = format!("{FRESH}{}", ctx.owner);
    let links = links(ctx, answers)?.into_iter();
    names.extend(links.map(|(name, _)| name).filter(|name| *name == own));
    Ok(names)
}

/// Whether anything of this migration's lease is there.
pub(super) fn left(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    Ok(answers.client().leased(ctx.owner)? || !leftovers(ctx, answers)?.is_empty())
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
pub(super) fn guard_of(ctx: &Context<'_>, answers: &Answers) -> Option<Command> {
    answers.client().lease().ok().flatten().and_then(|_| guard(ctx))
}

/// Drops the lease and its directory.
pub(super) fn give_back(ctx: &Context<'_>, answers: &Answers) -> [Command; 2] {
    let drop = Command::new(drop_lease(ctx, answers));
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

/// Whether the lease is there again: the undo of dropping it.
pub(super) fn judge_again(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    if ctx.facts.lease.is_none() {
        // It was begun without.
        return Ok(Finding::of(Presence::Absent));
    }
    Ok(match answers.client().lease()? {
        None => Finding::of(Presence::Present),
        Some(lease) if lease.owner == ctx.owner => Finding::of(Presence::Absent),
        Some(lease) => refused(ctx, &lease, Some("nothing is taken back beside it".to_owned())),
    })
}

fn is_anothers(ctx: &Context<'_>, answers: &Answers) -> bool {
    answers.client().lease().ok().flatten().is_some_and(|lease| lease.owner != ctx.owner)
}

/// Removes the lease, if it is not another's, and what a takeover has left.
fn drop_lease(ctx: &Context<'_>, answers: &Answers) -> Argv {
    let mut remove =
        if is_anothers(ctx, answers) { words(&["rm", "-f"]) } else { argv::drop_lease() };
    let names = leftovers(ctx, answers).unwrap_or_default();
    remove.extend(names.iter().map(|name| format!("{}/{name}", argv::LEASE_DIR)));
    remove
}
