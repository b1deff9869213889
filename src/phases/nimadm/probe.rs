//! What is there of a phase: nimadm's marks, and what the native driver's probes
//! say of the same effect.

use crate::aix::{self, Process, argv};
use crate::domain::{Bootlist, Cause, FailureClass, HostRole, Mode, Phase, Presence, Residue};

use crate::phases::alone;
use crate::phases::copy::{self, ALT_VG, CopyState, client_paths, mounted};
use crate::phases::native::mksysb::in_the_way;
use crate::phases::native::{boot_image, clone, export, finish, mksysb, mount, unmount};
use crate::phases::read::{Read, all_or_any, judged, look};
use crate::phases::step::{Answers, Context, Finding, Probe, StepDef};

/// Where the phases of this migration are marked on the master.
pub(in crate::phases) fn marks(ctx: &Context<'_>) -> String {
    format!("{}/nimadm.{}", ctx.spec.work_directory(), ctx.owner)
}

/// What is looked at whatever the phase.
pub(super) fn base(ctx: &Context<'_>) -> Probe {
    let name = if ctx.spec.task.has_client() { &ctx.spec.client } else { &ctx.spec.target().spot };
    let mut master = vec![argv::ls(&marks(ctx)), argv::processes(), argv::lsnim(name)];
    master.extend(ctx.spec.options.output.iter().map(|path| argv::ls_lid(path)));
    let mut looks = vec![look(HostRole::Master, master)];
    if ctx.spec.task.changes_client() {
        let client = [argv::lspv(), argv::mounts(), argv::boot_image_level()];
        looks.push(look(HostRole::Client, client));
    }
    looks
}

/// The native steps whose effect the phase has.
pub(super) fn views(ctx: &Context<'_>) -> Vec<StepDef> {
    let spec = ctx.spec;
    let at_hand = if spec.caches() { export::MAKE_CACHE } else { mount::ON_MASTER };
    let changes_client = spec.task.changes_client();
    match ctx.ticket.phase {
        Phase::Clone if spec.task.mode() == Some(Mode::Disk) => {
            vec![clone::CLONE_ROOTVG, clone::MOUNT_SPOT]
        }
        Phase::Clone if changes_client => vec![clone::MAKE_ROOTVG, clone::MOUNT_SPOT],
        Phase::Clone | Phase::End => Vec::new(),
        Phase::Export if spec.caches() => vec![export::MAKE_CACHE],
        Phase::Export => vec![export::EXPORT_FILESYSTEMS],
        Phase::BootImage if changes_client => vec![at_hand, boot_image::MAKE_BOOT_IMAGE],
        Phase::Unmount if changes_client => vec![at_hand, unmount::UNMOUNT_FILESYSTEMS],
        Phase::Unexport if changes_client && spec.caches() => vec![unmount::REMOVE_CACHE],
        Phase::Unexport if changes_client => vec![unmount::UNEXPORT_FILESYSTEMS],
        Phase::Finish if changes_client => vec![finish::SET_BOOTLIST],
        Phase::Finish if spec.options.new_mksysb.is_some() => {
            vec![at_hand, mksysb::DEFINE_MKSYSB]
        }
        Phase::Mount
        | Phase::PreScript
        | Phase::MigrateBase
        | Phase::MigrateFilesets
        | Phase::PostScript
        | Phase::BootImage
        | Phase::Unmount
        | Phase::Unexport
        | Phase::Finish => vec![at_hand],
    }
}

pub(super) fn looks(ctx: &Context<'_>) -> Probe {
    let mut looks = base(ctx);
    looks.extend(views(ctx).iter().flat_map(|view| (view.looks)(ctx)));
    if fills_cache(ctx) {
        looks.extend(mount::filled_looks(ctx));
    }
    looks
}

/// Whether the phase copies a client into a cache: it is looked at both ends then
/// whether that is filled.
fn fills_cache(ctx: &Context<'_>) -> bool {
    ctx.ticket.phase == Phase::Mount && ctx.spec.caches() && !ctx.spec.task.reads_mksysb()
}

/// Whether the cache holds what was copied, as far as can be told.
fn is_filled(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    Ok(!fills_cache(ctx) || mount::is_filled(ctx, answers)?)
}

/// What the first of [`views`] sees: what the phase makes, or works in.
fn seen(ctx: &Context<'_>, answers: &Answers) -> Finding {
    match views(ctx).first() {
        Some(view) => (view.judge)(ctx, answers),
        None => Finding::of(Presence::Unknown("there is nothing to look at".to_owned())),
    }
}

/// Whether the phase is marked as `begun` or `done`.
pub(super) fn is_marked(ctx: &Context<'_>, answers: &Answers, suffix: &str) -> Read<bool> {
    let mark = format!("{}/{:02}.{suffix}", marks(ctx), ctx.ticket.phase.number());
    answers.master().lists(&mark)
}

/// Whether there are any marks.
pub(super) fn has_marks(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    Ok(!answers.master().names(&marks(ctx))?.is_empty())
}

/// The process that NIM's lock names, and whether it is one that lives.
fn lock(ctx: &Context<'_>, answers: &Answers) -> Read<Option<(String, Option<Process>)>> {
    let said = answers.master();
    let processes = said.processes()?;
    if !ctx.spec.task.has_client() {
        return Ok(None);
    }
    let object = said.nim_object(&ctx.spec.client)?;
    let holder = aix::lock_holder(&object, &processes).cloned();
    Ok(object.get("locked").map(|pid| (pid.to_owned(), holder)))
}

/// Whether a process that is gone has left the client's NIM object locked, or in
/// the midst of an operation.
pub(super) fn is_left_in_nim(ctx: &Context<'_>, answers: &Answers) -> Read<bool> {
    if !ctx.spec.task.has_client() {
        return Ok(false);
    }
    let object = answers.master().nim_object(&ctx.spec.client)?;
    let is_ready = object.get("Cstate") == Some("ready for a NIM operation");
    Ok(object.get("locked").is_some() || !is_ready)
}

/// Whether the lock is held at all.
pub(super) fn is_locked(ctx: &Context<'_>, answers: &Answers) -> bool {
    lock(ctx, answers).is_ok_and(|lock| lock.is_some())
}

/// The bar where a nimadm that is no job of ours works on the client: one that
/// an administrator has started, or whose job was lost. Nothing may be done
/// beside it.
pub(super) fn somebody_works(ctx: &Context<'_>, answers: &Answers) -> Read<Option<Finding>> {
    let processes = answers.master().processes()?;
    let holder = lock(ctx, answers)?.and_then(|(_, holder)| holder);
    let (client, master) = (&ctx.spec.client, &ctx.spec.master);
    Ok(match (alone::foreign(ctx, &processes), holder) {
        (Some(process), _) => Some(Finding::blocked(alone::works(ctx.spec, process))),
        (None, Some(process)) => {
            let text = format!("{client} is locked in NIM by {} on {master}", process.words());
            let hint = format!("wait until it has ended ({})", alone::shown(&process));
            Some(Finding::blocked(Cause::new(FailureClass::Transient, text).with_hint(hint)))
        }
        (None, None) => None,
    })
}

pub(super) fn judge(ctx: &Context<'_>, answers: &Answers) -> Finding {
    judged(read_sight(ctx, answers))
}

fn read_sight(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    if let Some(bar) = somebody_works(ctx, answers)? {
        return Ok(bar);
    }
    let phase = ctx.ticket.phase;
    let done = is_marked(ctx, answers, "done")?;
    let begun = is_marked(ctx, answers, "begun")?;
    let present =
        |is: bool| Ok(Finding::of(if done && is { Presence::Present } else { Presence::Absent }));
    let changes_client = ctx.spec.task.changes_client();
    match phase {
        Phase::Clone => return cloned(ctx, answers, done, begun),
        Phase::Finish if changes_client => return asleep(ctx, answers, done),
        Phase::Finish => return archived(ctx, answers, done, begun),
        Phase::End => return ended(ctx, answers, done),
        Phase::Unexport if changes_client => {
            let effect = seen(ctx, answers);
            return known(effect).and_then(|effect| present(effect.presence == Presence::Present));
        }
        // Past it the master's mounts are gone, as they should be.
        Phase::Unmount if changes_client && done => {
            let effect = known((unmount::UNMOUNT_FILESYSTEMS.judge)(ctx, answers))?;
            if effect.presence == Presence::Present {
                return Ok(effect);
            }
        }
        _ => {}
    }
    if changes_client && let Some(lost) = not_awake(ctx, answers)? {
        return Ok(lost);
    }
    let effect = known(seen(ctx, answers))?;
    if effect.blocked_by.is_some() {
        return Ok(effect);
    }
    let there = effect.presence == Presence::Present;
    match phase {
        Phase::Export => present(there),
        Phase::Mount if !ctx.spec.caches() => present(there),
        // Over NFS, what is unmounted in part is only unmounted further.
        Phase::Unmount if changes_client && !ctx.spec.caches() => present(false),
        _ if !there => Ok(lost(format!("the copy is not mounted on {} any more", ctx.spec.master))),
        Phase::BootImage if changes_client => {
            let image = known((boot_image::MAKE_BOOT_IMAGE.judge)(ctx, answers))?;
            present(image.presence == Presence::Present)
        }
        Phase::Unmount if changes_client => present(false),
        Phase::PreScript | Phase::PostScript if ctx.spec.options.scripts_repeatable => {
            present(true)
        }
        // What has changed the copy in part must not change it again.
        Phase::PreScript | Phase::MigrateBase | Phase::MigrateFilesets | Phase::PostScript
            if begun && !done =>
        {
            Ok(Finding::of(Presence::Partial))
        }
        Phase::Mount => present(is_filled(ctx, answers)?),
        _ => present(true),
    }
}

/// A finding that tells something.
fn known(finding: Finding) -> Read<Finding> {
    match (&finding.blocked_by, &finding.presence) {
        (None, Presence::Unknown(why)) => Err(why.clone()),
        _ => Ok(finding),
    }
}

/// The copy on the client, by its disks.
fn copy_state(ctx: &Context<'_>, answers: &Answers) -> Read<CopyState> {
    let lspv = answers.client().lspv()?;
    Ok(copy::copy_state(copy::baseline(ctx)?, &lspv))
}

/// A finding of a copy that only a fresh clone can bring back.
fn lost(why: String) -> Finding {
    Finding { gone: Some(Residue::CopyLost), ..Finding::of(Presence::Unknown(why)) }
}

/// What is seen where the copy is not awake on the client: it is gone, as after
/// nimadm's own clean-up, or its mounts are.
fn not_awake(ctx: &Context<'_>, answers: &Answers) -> Read<Option<Finding>> {
    let mounts = answers.client().mounts()?;
    let (there, wanted) = mounted(&mounts, &client_paths(ctx));
    match copy_state(ctx, answers)? {
        CopyState::Awake if there == wanted && wanted > 0 => Ok(None),
        CopyState::Awake => Ok(Some(lost(format!(
            "{there} of {wanted} file systems of the copy are mounted on {}",
            ctx.spec.client
        )))),
        state @ (CopyState::Foreign(_) | CopyState::Running) => Err(not_there(ctx, &state)),
        state => Ok(Some(lost(not_there(ctx, &state)))),
    }
}

fn not_there(ctx: &Context<'_>, state: &CopyState) -> String {
    let client = &ctx.spec.client;
    match state {
        CopyState::Free => {
            format!("the copy is gone from {client}: nimadm removes it when it cleans up by itself")
        }
        CopyState::Foreign(text) => text.clone(),
        CopyState::Running => format!("{client} runs from the target disk"),
        _ => format!("the copy on {client} is not as it should be before this phase"),
    }
}

/// Phase 1.
fn cloned(ctx: &Context<'_>, answers: &Answers, done: bool, begun: bool) -> Read<Finding> {
    if !ctx.spec.task.changes_client() {
        return Ok(all_or_any(done, begun));
    }
    let copy = known(seen(ctx, answers))?;
    Ok(match copy.presence {
        Presence::Present if !done => Finding::of(Presence::Partial),
        _ => copy,
    })
}

/// Whether there is an altinst_rootvg on a disk that is no target.
pub(super) fn has_copy_elsewhere(ctx: &Context<'_>, answers: &Answers) -> bool {
    let lspv = answers.client().lspv().unwrap_or_default();
    let is_target = |disk| ctx.spec.options.disks.contains(disk);
    lspv.iter().any(|row| row.is_in(ALT_VG) && !is_target(&row.disk))
}

/// Phase 11, with a copy on the client. That nimadm has set the bootlist is seen by
/// the step that follows.
fn asleep(ctx: &Context<'_>, answers: &Answers, done: bool) -> Read<Finding> {
    let lspv = answers.client().lspv()?;
    let state = copy_state(ctx, answers)?;
    if let Some(bar) = copy::hands_off(ctx, &state, &lspv) {
        return Ok(bar);
    }
    if state == CopyState::Asleep(ALT_VG.to_owned()) {
        let presence = if done { Presence::Present } else { Presence::Partial };
        return Ok(Finding::of(presence));
    }
    if let Some(lost) = not_awake(ctx, answers)? {
        return Ok(lost);
    }
    let bootlist = answers.client().bootlist()?;
    let is_set = ctx.spec.options.bootlist == Bootlist::Set;
    if let Some(bar) = copy::boots_from_others(ctx, &bootlist)?.filter(|_| is_set) {
        return Ok(bar);
    }
    if !boot_image::has_image(ctx, answers.client())? {
        return Ok(boot_image::no_image(ctx));
    }
    Ok(Finding::of(Presence::Absent))
}

/// Phase 11, to a mksysb.
fn archived(ctx: &Context<'_>, answers: &Answers, done: bool, begun: bool) -> Read<Finding> {
    let path = ctx.spec.options.output.as_deref().unwrap_or_default();
    let there = answers.master().is_there(argv::ls_lid(path))?;
    if there && !begun {
        return Ok(Finding::blocked(in_the_way(path)));
    }
    let defined = match ctx.spec.options.new_mksysb {
        Some(_) => known((mksysb::DEFINE_MKSYSB.judge)(ctx, answers))?,
        None => Finding::of(Presence::Present),
    };
    if there && done && defined.presence == Presence::Present {
        let mut facts = defined.facts.unwrap_or_default();
        facts.mksysb.get_or_insert_default().file = mksysb::identity(ctx, answers);
        return Ok(Finding::found(facts));
    }
    let cache = known(seen(ctx, answers))?;
    if cache.presence != Presence::Present {
        let why = "the cache is gone: nimadm removes it when it cleans up by itself";
        return Ok(lost(why.to_owned()));
    }
    Ok(Finding { presence: Presence::Absent, ..defined })
}

/// Phase 12.
fn ended(ctx: &Context<'_>, answers: &Answers, done: bool) -> Read<Finding> {
    if ctx.spec.task.changes_client() {
        match copy_state(ctx, answers)? {
            CopyState::Asleep(_) => {}
            // Somebody has booted it; there is nothing for nimadm to end.
            CopyState::Running if !is_left_in_nim(ctx, answers)? => {
                return Ok(Finding::of(Presence::Present));
            }
            // Without phase 11 it is awake still.
            CopyState::Awake if !ctx.spec.reaches(Phase::Finish) => {}
            state => return Err(not_there(ctx, &state)),
        }
    }
    let clean = done && !is_left_in_nim(ctx, answers)?;
    Ok(Finding::of(if clean { Presence::Present } else { Presence::Absent }))
}
