//! Whose client and whose copy it is: what a script asks before it changes
//! anything, in the same call, and what is asked when that was answered with no.
//!
//! A copy is known by the id of its volume group, which a copy that is made again
//! does not have, and by its disks' own ids.

use crate::aix::{self, PhysicalVolume, argv};
use crate::domain::{
    Cause, CopyDisk, CopyIdentity, Direction, DiskName, Facts, FailureClass, FailurePolicy,
    HostRole, Lease, Phase, Presence,
};
use crate::transport::Command;

use super::copy::{self, from_master};
use super::read::{HostAnswers, Read, holds, judged, look};
use super::step::{Answers, Context, Drivers, Finding, Is, Probe, STEP, StepDef};
use super::{alone, lease, nimadm};

pub(super) const STEPS: &[StepDef] = &[RECORD_COPY];

/// Whether a script of the step asks before it changes the client, or its copy, which
/// the master works in by NFS.
pub(super) fn is_guarded(ctx: &Context<'_>, def: &StepDef) -> bool {
    let in_copy = (Phase::PreScript..=Phase::BootImage).contains(&def.phase) && !ctx.spec.caches();
    let from_master = in_copy || def.is(Is::OfNimadm) || def.is(Is::ByRemoteShell);
    let changes_client =
        def.host == HostRole::Client || from_master && ctx.spec.task.changes_client();
    changes_client && ctx.facts.lease.is_some() && !def.is(Is::SeesToLease)
}

/// Whether the step makes the copy on the client's disks.
pub(super) fn makes_copy(ctx: &Context<'_>, def: &StepDef) -> bool {
    def.is(Is::MakesCopy) && ctx.spec.task.changes_client()
}

/// The commands that a script of the step begins with. The first that fails ends
/// it, before anything is changed. `stands` is whether there is a copy.
pub(super) fn guards(ctx: &Context<'_>, def: &StepDef, stands: bool) -> Vec<Command> {
    if !is_guarded(ctx, def) {
        return Vec::new();
    }
    let of_disk = |identity: &CopyIdentity, disk: &CopyDisk| {
        holds(argv::vg_of_disk(&disk.name), &identity.vg_id)
    };
    let copy = identity(ctx).filter(|_| stands).into_iter();
    let copy = copy.flat_map(|copy| copy.disks.iter().map(move |disk| of_disk(copy, disk)));
    let guards: Vec<Command> = lease::guard(ctx).into_iter().chain(copy).collect();
    match def.host {
        HostRole::Client => guards,
        HostRole::Master => from_master(ctx, guards).collect(),
    }
}

/// The identity of the copy, where it was recorded: in whatever round, for one that
/// goes back to its mounts only has the same copy. A later part has that of the part
/// before it, until it has looked for itself.
pub(super) fn identity<'a>(ctx: &Context<'a>) -> Option<&'a CopyIdentity> {
    let before = ctx.spec.earlier().and_then(|part| part.facts.copy.as_ref());
    ctx.facts.copy.as_ref().or(before).filter(|copy| !copy.disks.is_empty())
}

/// The copy of the part before a later part.
pub(super) fn of_before<'a>(ctx: &Context<'a>) -> Option<&'a CopyIdentity> {
    ctx.spec.part.as_ref()?.facts.copy.as_ref().filter(|copy| !copy.disks.is_empty())
}

/// What is known once the step that makes the copy was taken back: the next one has
/// another identity.
pub(super) fn forgotten(round: u32) -> CopyIdentity {
    CopyIdentity { round, vg_id: String::new(), disks: Vec::new(), failed: false }
}

/// Whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// The lease is ours, and so is the copy, if its identity is known. Whether
    /// something stands on its disks.
    Ours(bool),
    /// The lease is gone, or this one's.
    Lost(Option<Lease>),
    /// Somebody has booted the copy: the lease is on the disk that was left. Why
    /// nothing is changed.
    Booted(Cause),
    /// There is no copy where ours was.
    Gone(String),
    /// The copy is not the one that was made here.
    Others(String),
    /// The system that was migrated is not there any more.
    NoWayBack(String),
}

/// What is asked of the client; by nimadm, the mark that the copy was begun is on
/// the master.
pub(super) fn looks(ctx: &Context<'_>) -> Probe {
    let mut commands = vec![argv::ls_l(argv::LEASE), argv::lspv(), argv::ls(argv::LEASE_DIR)];
    commands.extend(ctx.spec.options.disks.iter().map(argv::vg_of_disk));
    match goes_back_to(ctx).filter(|_| identity(ctx).is_some()) {
        Some(disk) => commands.extend([argv::lsvg("rootvg"), argv::vg_of_disk(disk)]),
        None => commands.push(argv::show_bootlist()),
    }
    let mut looks = vec![look(HostRole::Client, commands)];
    if ctx.spec.task.uses_nimadm() {
        looks.push(look(HostRole::Master, [argv::ls(&nimadm::marks(ctx))]));
    }
    looks
}

pub(super) fn judge(ctx: &Context<'_>, answers: &Answers) -> Read<Whose> {
    let said = answers.client();
    let (holder, lspv) = (said.lease()?, said.lspv()?);
    if holder.as_ref().is_none_or(|holder| holder.owner != ctx.owner) {
        let mut rows = standing(ctx, &lspv).into_iter();
        let is_booted = holder.is_none() && rows.any(|row| row.is_in("rootvg"));
        let text =
            || format!("somebody has booted {} from the copy, {}", ctx.spec.client, nothing(ctx));
        return Ok(if is_booted {
            Whose::Booted(copy::booted(ctx, &text(), &lspv))
        } else {
            Whose::Lost(holder)
        });
    }
    judge_copy(ctx, answers)
}

/// Whose the copy is, by [`looks`].
pub(super) fn judge_copy(ctx: &Context<'_>, answers: &Answers) -> Read<Whose> {
    let said = answers.client();
    let lspv = said.lspv()?;
    let rows = standing(ctx, &lspv);
    let disks = || {
        let names: Vec<&str> = ctx.spec.options.disks.iter().map(DiskName::as_str).collect();
        names.join(" ")
    };
    // What the same course has taken back stays by the plan's policy, if at all.
    let is_taken_back = ctx.ticket.direction == Direction::Undo
        && ctx.facts.copy.as_ref().is_some_and(|copy| *copy == forgotten(ctx.ticket.round));
    if is_taken_back {
        return Ok(Whose::Ours(!rows.is_empty()));
    }
    let nothing_stood =
        ctx.facts.copy.as_ref().is_some_and(|copy| copy.failed && copy.disks.is_empty());
    if nothing_stood && rows.first().is_some_and(|row| !row.is_in("rootvg")) {
        let text = format!("nothing stood on {} when the step that makes it failed", disks());
        return Ok(Whose::Others(text));
    }
    let Some(copy) = identity(ctx) else {
        let is_begun = if ctx.spec.task.uses_nimadm() {
            answers.master().lists(&format!("{}/01.begun", nimadm::marks(ctx)))?
        } else {
            said.lists(argv::BEGUN)?
        };
        return Ok(match rows.first() {
            // Without phase 1, the copy is one that others have made for this run.
            _ if ctx.ticket.round == 0 && !ctx.spec.asks_for(Phase::Clone) => {
                Whose::Ours(!rows.is_empty())
            }
            Some(row) if !is_begun && !row.is_in("rootvg") => {
                Whose::Others(format!("no job of this migration started one on {}", disks()))
            }
            Some(row) if !row.is_in("rootvg") && boots_it(ctx, said)? => Whose::Others(boots(row)),
            row => Whose::Ours(row.is_some()),
        });
    };
    if rows.is_empty() {
        return Ok(Whose::Gone(format!("there is none on {} any more", disks())));
    }
    for row in rows {
        if !ctx.spec.options.disks.contains(&row.disk) {
            continue;
        }
        let id = said.read(argv::vg_of_disk(&row.disk), vg_id)?;
        let recorded = copy.disks.iter().find(|disk| disk.name == row.disk);
        if id != copy.vg_id || recorded.is_none_or(|disk| Some(&disk.pvid) != row.pvid.as_ref()) {
            let vg = row.vg.as_deref().unwrap_or_default();
            return Ok(Whose::Others(format!(
                "{vg} on {} is not the copy that was made here: it is volume group {id}, ours was {}",
                row.disk, copy.vg_id
            )));
        }
    }
    Ok(no_way_back(ctx, said, &lspv)?.map_or(Whose::Ours(true), Whose::NoWayBack))
}

/// Where the copy is to be taken back: the disk of the system that it was made of.
fn goes_back_to<'a>(ctx: &Context<'a>) -> Option<&'a DiskName> {
    let baseline = ctx.facts.baseline.as_ref().filter(|one| !one.rootvg_id.is_empty())?;
    baseline.boot_disk.as_ref().filter(|_| ctx.ticket.direction == Direction::Undo)
}

/// Why there is no way back: neither what runs nor what is on the old disk is the
/// system that was migrated. Taking back would boot, or leave, another's.
fn no_way_back(
    ctx: &Context<'_>,
    said: HostAnswers<'_>,
    lspv: &[PhysicalVolume],
) -> Read<Option<String>> {
    let Some(disk) = goes_back_to(ctx) else { return Ok(None) };
    let baseline = copy::baseline(ctx)?;
    if said.read(argv::lsvg("rootvg"), aix::volume_group)?.id == baseline.rootvg_id {
        return Ok(None);
    }
    let Some(vg) = copy::old_row(baseline, lspv).and_then(|row| row.vg.as_deref()) else {
        return Ok(Some(format!("there is none on {disk} any more")));
    };
    let id = said.read(argv::vg_of_disk(disk), vg_id)?;
    let is_old = id == baseline.rootvg_id;
    Ok((!is_old).then(|| {
        format!("{vg} on {disk} is volume group {id}, the old rootvg was {}", baseline.rootvg_id)
    }))
}

/// Whether the client is set to boot from a target disk. No clone of ours does that,
/// and what has not been recorded yet is not finished: who has made a copy to boot
/// from, has made another.
fn boots_it(ctx: &Context<'_>, said: HostAnswers<'_>) -> Read<bool> {
    let bootlist = said.bootlist()?;
    let baseline = copy::baseline(ctx)?;
    let first = bootlist.first();
    let is_target = baseline.targets.iter().any(|disk| Some(&disk.name) == first);
    Ok(is_target && bootlist != baseline.bootlist)
}

fn boots(row: &PhysicalVolume) -> String {
    format!("the bootlist is set to it on {}, which no clone of this migration does", row.disk)
}

/// The target disks that an alternate rootvg, or the running one, is on.
fn standing<'a>(ctx: &Context<'_>, lspv: &'a [PhysicalVolume]) -> Vec<&'a PhysicalVolume> {
    let targets = ctx.facts.baseline.iter().flat_map(|baseline| &baseline.targets);
    let rows = targets.filter_map(|disk| copy::row_of(disk, lspv));
    rows.filter(|row| copy::is_system(row)).collect()
}

/// A volume group's id, as `getlvodm -j` prints it.
pub(super) fn vg_id(text: &str) -> Result<String, aix::Unread> {
    let fits: fn(&str) -> bool =
        |word| word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    aix::one_word("getlvodm -j", text, fits).map(str::to_owned)
}

/// What is asked of the master, to tell who it may be.
pub(super) fn who_looks(ctx: &Context<'_>) -> Probe {
    vec![look(HostRole::Master, [argv::lsnim(&ctx.spec.client), argv::processes()])]
}

/// Who it may be, by what NIM says and what runs on the master: by [`who_looks`].
pub(super) fn who(ctx: &Context<'_>, answers: &Answers) -> String {
    let said = answers.master();
    let (client, master) = (&ctx.spec.client, &ctx.spec.master);
    let mut told = Vec::new();
    if let Ok(object) = said.nim_object(client) {
        let state = |key: &str| object.get(key).map(|value| format!("{key} `{value}`"));
        let states: Vec<String> =
            ["Cstate", "prev_state", "info"].into_iter().filter_map(state).collect();
        told.push(format!("NIM says of {client}: {}", states.join(", ")));
    }
    let processes = said.processes().unwrap_or_default();
    if let Some(process) = alone::foreign(ctx, &processes) {
        told.push(format!("a nimadm of it runs on {master}, process {}", process.pid));
    }
    told.join("; ")
}

/// Why nothing is changed, where it is not ours; `who` is what is known of others.
pub(super) fn cause(ctx: &Context<'_>, whose: &Whose, who: &str) -> Option<Cause> {
    match whose {
        Whose::Ours(_) => None,
        Whose::Lost(holder) => Some(lost(ctx, holder.as_ref())),
        Whose::Booted(cause) => Some(cause.clone()),
        Whose::Gone(text) => {
            let text = format!("somebody else has removed the copy: {text}");
            let cause = Cause::new(FailureClass::Permanent, said_by(text, who));
            Some(if ctx.spec.on_failure == FailurePolicy::Hold {
                cause.with_hint(anew(ctx))
            } else {
                cause
            })
        }
        Whose::NoWayBack(text) => {
            let client = &ctx.spec.client;
            let text = format!("the old system of {client} is gone, {}: {text}", nothing(ctx));
            let hint = format!(
                "there is no way back by nimshift; `nimshift abandon {client}` keeps what it runs from"
            );
            Some(Cause::new(FailureClass::NeedsOperator, text).with_hint(hint))
        }
        Whose::Others(text) => {
            let client = &ctx.spec.client;
            let text = format!("somebody else has replaced the copy, {}: {text}", nothing(ctx));
            // What was to be taken back is taken back by trying again.
            let then = match ctx.ticket.direction {
                Direction::Forward => anew(ctx),
                Direction::Undo => format!("`nimshift retry {client}`"),
            };
            let hint = format!(
                "if that copy is not needed, remove it (on {client}, `alt_rootvg_op -X`), then \
                 {then}; `nimshift abandon {client}` leaves the client to them"
            );
            let cause = Cause::new(FailureClass::NeedsOperator, said_by(text, who));
            Some(cause.with_hint(hint))
        }
    }
}

/// The way out where the copy is lost to others: not every step can be tried again,
/// and a later part makes none.
pub(super) fn anew(ctx: &Context<'_>) -> String {
    let client = &ctx.spec.client;
    format!("`nimshift rollback {client}` takes back the rest, then `nimshift retry {client}`")
}

fn said_by(text: String, who: &str) -> String {
    if who.is_empty() { text } else { format!("{text} ({who})") }
}

fn nothing(ctx: &Context<'_>) -> &'static str {
    match ctx.ticket.direction {
        Direction::Forward => "nothing was changed",
        Direction::Undo => "nothing was taken back",
    }
}

/// The lease is not ours any more.
pub(super) fn lost(ctx: &Context<'_>, holder: Option<&Lease>) -> Cause {
    let client = &ctx.spec.client;
    let by = match holder {
        Some(holder) => format!("{} holds it", holder.words()),
        None => "nobody holds it: it was dropped, as a forced cleanup does".to_owned(),
    };
    let what = nothing(ctx);
    let text = format!("the lease of {client} is not this migration's any more, {what}: {by}");
    let abandon = format!("`nimshift abandon {client}` leaves the client to others");
    let hint = match (holder, &ctx.facts.lease) {
        (None, Some(text)) => format!(
            "if nobody has started anything on {client} since, make it again there (`mkdir -p {}; \
             ln -s {text} {}`), then `nimshift retry {client}`; else {abandon}",
            argv::LEASE_DIR,
            argv::LEASE
        ),
        _ => abandon,
    };
    Cause::new(FailureClass::NeedsOperator, text).with_hint(hint)
}

/// `by` has taken the client over, and bars the jobs of this migration: it can begin
/// none any more, whatever is made again on the client. A cleanup lifts the bars.
pub(super) fn taken_over(ctx: &Context<'_>, by: &str, text: String) -> Cause {
    let client = &ctx.spec.client;
    let hint = format!(
        "`nimshift abandon {client}` leaves the client to {by}; when that one is done with it, \
         then `nimshift cleanup {client}`, then `nimshift retry {client}`"
    );
    Cause::new(FailureClass::NeedsOperator, text).with_hint(hint)
}

/// The copy, as soon as it is whole.
const RECORD_COPY: StepDef = StepDef {
    phase: Phase::Clone,
    name: "record-copy",
    is: &[Is::RecordsCopy],
    about: "record the identity of the copy",
    host: HostRole::Client,
    drivers: Drivers::Both,
    applies: |spec| spec.task.changes_client(),
    looks: |ctx| looks(ctx).into_iter().chain(who_looks(ctx)).collect(),
    judge: |ctx, answers| judged(judge_record(ctx, answers)),
    ..STEP
};

fn judge_record(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    let lspv = said.lspv()?;
    let rows = standing(ctx, &lspv);
    if let Some(row) = rows.first()
        && identity(ctx).is_none()
        && boots_it(ctx, said)?
    {
        return Ok(another(ctx, answers, boots(row)));
    }
    let Some(copy) = told_by(ctx, said, &rows)? else {
        let whose = Whose::Gone("there is none on the target disks".to_owned());
        let bar = cause(ctx, &whose, &who(ctx, answers)).map(Finding::blocked);
        return bar.ok_or_else(|| "there is no copy on the target disks".to_owned());
    };
    if let Some(before) =
        of_before(ctx).filter(|before| ctx.ticket.round == 0 && before.vg_id != copy.vg_id)
    {
        let text = format!(
            "it is volume group {}, that of the earlier part was {}",
            copy.vg_id, before.vg_id
        );
        return Ok(another(ctx, answers, text));
    }
    Ok(Finding::found(Facts { copy: Some(copy), ..Facts::default() }))
}

/// What the copy on `rows` is known by.
fn told_by(
    ctx: &Context<'_>,
    said: HostAnswers<'_>,
    rows: &[&PhysicalVolume],
) -> Read<Option<CopyIdentity>> {
    let mut found: Option<CopyIdentity> = None;
    for row in rows {
        if !ctx.spec.options.disks.contains(&row.disk) {
            return Err(format!("{} has another name now", row.disk));
        }
        let id = said.read(argv::vg_of_disk(&row.disk), vg_id)?;
        let pvid = row.pvid.clone().ok_or_else(|| format!("{} has no PVID", row.disk))?;
        let new = CopyIdentity { vg_id: id.clone(), ..forgotten(ctx.ticket.round) };
        let copy = found.get_or_insert(new);
        if copy.vg_id != id {
            return Err("the target disks belong to two volume groups".to_owned());
        }
        copy.disks.push(CopyDisk { name: row.disk.clone(), pvid });
    }
    Ok(found)
}

/// What the step has left that was to make the copy, and failed, by [`looks`]. What
/// the client is set to boot from is another's.
pub(super) fn left_by_failed(ctx: &Context<'_>, answers: &Answers) -> Read<CopyIdentity> {
    let said = answers.client();
    let lspv = said.lspv()?;
    let rows = standing(ctx, &lspv);
    let is_anothers = !rows.is_empty() && boots_it(ctx, said)?;
    let left = if is_anothers { None } else { told_by(ctx, said, &rows)? };
    Ok(CopyIdentity { failed: true, ..left.unwrap_or_else(|| forgotten(ctx.ticket.round)) })
}

/// The bar where the copy is somebody else's.
fn another(ctx: &Context<'_>, answers: &Answers, text: String) -> Finding {
    cause(ctx, &Whose::Others(text), &who(ctx, answers))
        .map_or_else(|| Finding::of(Presence::Present), Finding::blocked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_whole_or_not_at_all() {
        assert_eq!(vg_id("00f7a1b200004c00000001901\n").unwrap(), "00f7a1b200004c00000001901");
        assert!(vg_id("0516-320 getlvodm: not assigned\n").is_err());
        assert!(vg_id("").is_err());
    }
}
