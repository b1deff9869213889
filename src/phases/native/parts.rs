//! Single phases (`-P`): what must stand on the hosts before the first phase
//! that is asked for. Whoever has done what comes before it, it is the hosts that
//! are asked, and not the journal.

use crate::aix::{self, MountRow, argv};
use crate::domain::{
    Cause, Direction, FailureClass, HostRole, MigrationSpec, Phase, Presence, Repeat, Ticket,
    phases_text,
};

use crate::phases::copy::{ALT_VG, CLIENT_ROOT, master_top, mounts_below};
use crate::phases::native::{boot_image, mksysb};
use crate::phases::read::{HostAnswers, Read, judged, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, Probe, STEP, StepDef};
use crate::phases::whose;

pub(crate) const STEPS: &[StepDef] = &[CHECK_PHASES];

/// Whether a step is one that parts before have done, or others: it is neither
/// looked at nor run, and taken back with the rest. Once the copy has been thrown
/// away it is made again with all that follows.
pub(crate) fn is_assumed(def: &StepDef, spec: &MigrationSpec, ticket: &Ticket) -> bool {
    let prepares = def.phase == Phase::Clone && def.repeat != Repeat::AfterUndo;
    spec.task.is_migration()
        && ticket.direction == Direction::Forward
        && ticket.round == 0
        && !prepares
        && !spec.asks_for(def.phase)
}

/// The first phase that is asked for, where others come before it.
fn first(spec: &MigrationSpec) -> Option<Phase> {
    let phases = spec.options.phases.as_ref()?;
    phases.iter().min().copied().filter(|phase| *phase != Phase::Clone)
}

/// A phase between those asked for that cannot be left out.
fn gap(spec: &MigrationSpec) -> Option<Phase> {
    let phases = spec.options.phases.as_ref()?;
    let (first, last) = (phases.iter().min()?, phases.iter().max()?);
    Phase::ALL.into_iter().filter(|phase| (first..=last).contains(&phase)).find(|phase| {
        let optional = matches!(phase, Phase::PreScript | Phase::PostScript)
            || mksysb::idle(spec, *phase).is_some();
        !phases.contains(phase) && !optional
    })
}

/// The gate of a part.
const CHECK_PHASES: StepDef = StepDef {
    phase: Phase::Clone,
    name: "check-phases",
    about: "check that the earlier phases are done",
    host: HostRole::Master,
    drivers: Drivers::Both,
    gate: true,
    applies: |spec| first(spec).is_some() || gap(spec).is_some(),
    looks,
    judge: |ctx, answers| judged(judge(ctx, answers)),
    ..STEP
};

fn looks(ctx: &Context<'_>) -> Probe {
    let root = ctx.spec.master_root();
    let master = [
        argv::mounts(),
        argv::lsfs(),
        argv::level_below(&root),
        argv::base_below(&root),
        argv::ls_d(output(ctx)),
    ];
    let mut looks = vec![look(HostRole::Master, master)];
    if ctx.spec.task.changes_client() {
        let client = [argv::lspv(), argv::mounts(), argv::exports(), argv::boot_image_level()];
        looks.push(look(HostRole::Client, client));
    }
    looks
}

/// Where the mksysb is to be, or what is there anyway.
fn output<'a>(ctx: &Context<'a>) -> &'a str {
    ctx.spec.options.output.as_deref().unwrap_or("/")
}

/// What of a migration stands on its hosts.
#[expect(clippy::struct_excessive_bools, reason = "they are what is looked for")]
struct Standing {
    /// The copy is awake and mounted on the target disks of the client.
    awake: bool,
    /// It sleeps there.
    asleep: bool,
    /// All of it is exported.
    exported: bool,
    /// Any of it is exported.
    any_exported: bool,
    /// The master has it, or its cache, mounted.
    mounted: bool,
    /// There are mounts of it on the master.
    any_mounted: bool,
    /// There are cache file systems.
    cached: bool,
    /// There is a system in what the master has mounted.
    filled: bool,
    /// Its base is of the target's release.
    based: bool,
    /// It is at the target's level.
    migrated: bool,
    /// Its boot image is of the target's release.
    bootable: bool,
    /// The mksysb is written.
    written: bool,
}

impl Standing {
    fn read(ctx: &Context<'_>, answers: &Answers) -> Read<Standing> {
        let master = answers.master();
        let (top, root) = (master_top(ctx), ctx.spec.master_root());
        let mounts = master.mounts()?;
        let caches = master.lsfs()?;
        let below = mounts_below(&mounts, &top);
        let is_over = |path: &str| mounts.iter().any(|row| row.over == path);
        let mounted = is_over(&root) && is_over(&format!("{root}/usr"));
        let base = master.read(argv::base_below(&root), aix::filesets).unwrap_or_default();
        let base = base.iter().find(|row| row.name == "bos.rte").and_then(|row| row.level);
        let level = master.read(argv::level_below(&root), aix::level).ok();
        let target = &ctx.spec.target().level;
        let mut standing = Standing {
            awake: false,
            asleep: false,
            exported: false,
            any_exported: false,
            mounted,
            any_mounted: !below.is_empty(),
            cached: caches.iter().any(|row| row.mount_point.starts_with(&format!("{top}/"))),
            filled: mounted && base.is_some(),
            based: mounted
                && base.is_some_and(|base| base.version_release() == target.version_release()),
            migrated: mounted && level.is_some_and(|level| level.reaches(target)),
            bootable: false,
            written: ctx.spec.options.output.is_some()
                && master.is_there(argv::ls_d(output(ctx)))?,
        };
        if ctx.spec.task.changes_client() {
            standing.read_client(ctx, answers.client())?;
        }
        Ok(standing)
    }

    fn read_client(&mut self, ctx: &Context<'_>, client: HostAnswers<'_>) -> Read<()> {
        let lspv = client.lspv()?;
        let mounts = client.mounts()?;
        let exports = client.exports()?;
        let copy: Vec<&MountRow> = mounts_below(&mounts, CLIENT_ROOT);
        let is_target = |disk| ctx.spec.options.disks.contains(disk);
        let rows = || lspv.iter().filter(|row| row.is_in(ALT_VG) && is_target(&row.disk));
        let is_over = |path: &str| copy.iter().any(|row| row.over == path);
        let whole = is_over(CLIENT_ROOT) && is_over(&format!("{CLIENT_ROOT}/usr"));
        self.awake = whole && rows().any(aix::PhysicalVolume::is_active);
        self.asleep = rows().any(|row| !row.is_active()) && copy.is_empty();
        self.exported = whole && copy.iter().all(|row| exports.contains(&row.over));
        self.any_exported = exports.iter().any(|path| path.starts_with(CLIENT_ROOT));
        // Of a copy that is not awake nothing can be read.
        self.bootable = boot_image::has_image(ctx, client).unwrap_or(false);
        Ok(())
    }
}

fn judge(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let standing = Standing::read(ctx, answers)?;
    if let Some(phase) = gap(ctx.spec) {
        let text = format!("phase {} is left out between others", phase.number());
        let from = first(ctx.spec).unwrap_or(Phase::Clone);
        return Ok(refused(text, goes_on(ctx, from)));
    }
    let Some(first) = first(ctx.spec) else { return Ok(Finding::of(Presence::Present)) };
    let lacking = missing(ctx.spec, first, &standing);
    if lacking.is_empty() {
        return Ok(Finding::of(Presence::Present));
    }
    let texts: Vec<String> =
        lacking.iter().map(|(phase, what)| format!("{what} (phase {})", phase.number())).collect();
    let text = format!("phase {} cannot be run: {}", first.number(), texts.join("; "));
    let hint = match goes_on_from(ctx.spec, first, &standing) {
        // What earlier parts have made, and others have undone, they do not make again.
        Phase::Clone if ctx.spec.part.is_some() => whose::anew(ctx),
        from => goes_on(ctx, from),
    };
    Ok(refused(text, hint))
}

/// The last phase before `first` that can be begun as things are. A script that has
/// run has left its mark, and is not run again.
fn goes_on_from(spec: &MigrationSpec, first: Phase, now: &Standing) -> Phase {
    let is_ready = |phase: &Phase| *phase < first && missing(spec, *phase, now).is_empty();
    match Phase::ALL.into_iter().rev().find(is_ready) {
        Some(Phase::MigrateBase) => Phase::PreScript,
        Some(Phase::BootImage) => Phase::PostScript,
        Some(phase) => phase,
        None => Phase::Clone,
    }
}

/// The order that does what is missing, and then what is asked for.
fn goes_on(ctx: &Context<'_>, from: Phase) -> String {
    let client = &ctx.spec.client;
    let last = ctx.spec.options.phases.iter().flatten().max();
    let phases: Vec<Phase> = Phase::ALL
        .into_iter()
        .filter(|one| *one >= from && last.is_none_or(|last| one <= last))
        .collect();
    let run = format!(
        "`nimshift run PLAN -P {} --client {client}` continues from what stands",
        phases_text(&phases)
    );
    match ctx.spec.part {
        Some(_) => format!("{run}; `nimshift rollback {client}` takes everything back"),
        None => run,
    }
}

fn refused(text: String, hint: String) -> Finding {
    Finding::blocked(Cause::new(FailureClass::Permanent, text).with_hint(hint))
}

/// What must be so before `first` and is not, each with the phase that does it.
fn missing(spec: &MigrationSpec, first: Phase, now: &Standing) -> Vec<(Phase, &'static str)> {
    use Phase::{
        BootImage, Clone, End, Export, Finish, MigrateBase, MigrateFilesets, Mount, PostScript,
        PreScript, Unexport, Unmount,
    };
    let on_client = spec.task.changes_client();
    let awake = (!on_client || now.awake, Clone, "there is no awake copy on the target disks");
    let offered = if spec.caches() {
        (now.cached && now.mounted, Export, "there is no cache on the master")
    } else {
        (now.exported, Export, "the copy is not exported")
    };
    let there = (now.mounted && now.filled, Mount, "the master has no copy mounted to work on");
    let based = (
        now.based || spec.options.update,
        MigrateBase,
        "the base of the copy is not of the target's release",
    );
    let migrated = (now.migrated, MigrateFilesets, "the copy is not at the target level");
    let bootable =
        (!on_client || now.bootable, BootImage, "the copy has no boot image of its release");
    let released = (!now.any_mounted, Unmount, "the master has the copy mounted");
    let taken_back = (!now.any_exported && !now.cached, Unexport, "exports or cache are left");
    let writes = spec.task.writes_mksysb();
    let wanted = match first {
        Clone => Vec::new(),
        Export => vec![awake],
        Mount => vec![awake, offered],
        PreScript | MigrateBase => vec![awake, offered, there],
        MigrateFilesets => vec![awake, there, based],
        PostScript | BootImage => vec![awake, there, migrated],
        Unmount | Unexport | Finish if writes => vec![there, migrated],
        Unmount if spec.caches() => vec![awake, there, migrated, bootable],
        Unmount => vec![awake, bootable],
        Unexport => vec![awake, bootable, released],
        Finish => vec![awake, bootable, released, taken_back],
        End if writes => vec![(now.written, Finish, "the mksysb is not written")],
        End => vec![(now.asleep, Finish, "there is no sleeping copy on the target disks")],
    };
    wanted.into_iter().filter(|(so, ..)| !so).map(|(_, phase, what)| (phase, what)).collect()
}
