//! Phase 1, before anything is changed: whether the migration may begin. All
//! that stands against it is told at once.

use crate::aix::argv::{self, Argv, words};
use crate::aix::{self, FilesetLevel, LogicalVolume, NimObject, PhysicalVolume, VolumeGroup};
use crate::base::limits::CAUSE_BYTES_MAX;
use crate::base::sanitize_line;
use crate::domain::{Cause, Facts, FailureClass, HostRole, Lease, Level, NimName, Phase, Target};
use crate::transport::Command;

use crate::phases::copy::{ALT_VG, OLD_VG, foreign};
use crate::phases::lease::{is_of_this_journal, refused, takes_over, wait_or_clean};
use crate::phases::native::mksysb::in_the_way;
use crate::phases::native::record::disk_size;
use crate::phases::operations::cleanup_check::is_on_copy;
use crate::phases::read::{HostAnswers, Read, look};
use crate::phases::step::{Answers, Context, Drivers, Finding, Is, Probe, STEP, StepDef};

pub(crate) const STEPS: &[StepDef] = &[CHECK_CLIENT, CHECK_MKSYSB];

/// Room that a copy needs beyond what rootvg uses (reference 1.7, item 5).
const SPARE_MB: u64 = 500;

/// The longest name of a logical volume that `alt_` can stand before.
const LV_NAME_MAX: usize = 11;

/// The gate.
const CHECK_CLIENT: StepDef = StepDef {
    phase: Phase::Clone,
    name: "check-client",
    about: "check that the client can be migrated",
    host: HostRole::Client,
    drivers: Drivers::Both,
    is: &[Is::SeesOtherLease],
    gate: true,
    applies: |spec| spec.mode.has_client(),
    looks: gate_looks,
    judge: judge_gate,
    ..STEP
};

/// The gate where there is no client.
const CHECK_MKSYSB: StepDef = StepDef {
    phase: Phase::Clone,
    name: "check-mksysb",
    about: "check that the mksysb can be migrated",
    host: HostRole::Master,
    drivers: Drivers::Both,
    gate: true,
    applies: |spec| !spec.mode.has_client(),
    looks: gate_looks,
    judge: judge_gate,
    ..STEP
};

/// The NIM objects beside client, SPOT and lpp_source, with their types.
fn further_objects<'a>(ctx: &Context<'a>) -> Vec<(&'static str, &'a NimName)> {
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

/// What the lpp_source's row of [`argv::LEVEL_FILESET`] is found by.
const LEVEL_ROW: &str = ":bos.mp64:";

/// What master and SPOT are asked for the levels of.
const LEVELS: [&str; 2] = [argv::ALT_FILESET, argv::LEVEL_FILESET];

/// The row by which the level of the lpp_source is told: its whole list can be longer
/// than what is kept of an output.
fn installable(ctx: &Context<'_>) -> Command {
    Command::new(argv::showres(&ctx.spec.target.lpp_source))
        .piped_to(["grep", "-F", "-e", LEVEL_ROW])
}

/// What the master is asked about the mksysb that is to be made.
fn output_looks(ctx: &Context<'_>) -> Vec<Argv> {
    if !ctx.spec.mode.writes_mksysb() {
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

fn gate_looks(ctx: &Context<'_>) -> Probe {
    let target = &ctx.spec.target;
    let machine = ctx.spec.mode.has_client().then_some(&ctx.spec.client);
    let first = [
        argv::lsnim(machine.unwrap_or(&target.spot)),
        argv::lsnim(&target.spot),
        argv::lsnim(&target.lpp_source),
        argv::level(),
        argv::lslpp(&LEVELS),
        argv::spot_lslpp(&target.spot, &LEVELS),
        argv::exports(),
    ];
    let mut further: Vec<Argv> =
        further_objects(ctx).into_iter().map(|(_, name)| argv::lsnim(name)).collect();
    further.extend(ctx.spec.options.cache_vg.iter().map(|vg| argv::lsvg(vg.as_str())));
    further.extend(output_looks(ctx));
    let commands = first.map(Command::from).into_iter().chain([installable(ctx)]);
    let master = look(HostRole::Master, commands.chain(further.into_iter().map(Command::from)));
    if machine.is_none() {
        return vec![master];
    }
    let mut client = vec![
        argv::level(),
        argv::lspv(),
        argv::lsvg("rootvg"),
        argv::lsvg_l("rootvg"),
        booted_from(),
    ];
    client.extend(ctx.spec.options.disks.iter().map(argv::disk_size));
    client.push(argv::lslpp(&[argv::LEVEL_FILESET]));
    client.extend([argv::ls_l(argv::LEASE), argv::processes()]);
    vec![master, look(HostRole::Client, client)]
}

/// What stands against a migration.
struct Objections(Vec<Cause>);

impl Objections {
    fn permanent(&mut self, text: impl Into<String>, hint: &str) {
        self.0.push(Cause::new(FailureClass::Permanent, text).with_hint(hint));
    }

    fn transient(&mut self, text: impl Into<String>, hint: &str) {
        self.0.push(Cause::new(FailureClass::Transient, text).with_hint(hint));
    }

    /// What was read, or the finding that it cannot be.
    fn read<T>(&mut self, what: &str, read: Read<T>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(why) => {
                self.permanent(format!("cannot read {what}: {why}"), "run the command by hand");
                None
            }
        }
    }

    /// One cause of all: permanent if one of them is.
    fn cause(&self) -> Option<Cause> {
        let permanent = self.0.iter().any(|cause| cause.class == FailureClass::Permanent);
        let class = if permanent { FailureClass::Permanent } else { FailureClass::Transient };
        let texts: Vec<&str> = self.0.iter().map(|cause| cause.text.as_str()).collect();
        let mut hints: Vec<&str> = self.0.iter().filter_map(|c| c.hint.as_deref()).collect();
        hints.dedup();
        if texts.is_empty() {
            return None;
        }
        let text = sanitize_line(&texts.join("; "), CAUSE_BYTES_MAX);
        Some(Cause::new(class, text).with_hint(sanitize_line(&hints.join("; "), CAUSE_BYTES_MAX)))
    }
}

fn judge_gate(ctx: &Context<'_>, answers: &Answers) -> Finding {
    let (master, client) = (answers.master(), answers.client());
    let mut against = Objections(Vec::new());
    let mode = ctx.spec.mode;
    // Before anything else: of what another has under way nothing is judged.
    let lease = mode.changes_client().then(|| client.lease());
    let holder = lease.and_then(|lease| against.read("the client's lease", lease)).flatten();
    let holder = holder.filter(|holder| holder.owner != ctx.owner);
    if let Some(holder) = holder.as_ref().filter(|_| !takes_over(ctx.spec)) {
        let stands = |lspv: Vec<PhysicalVolume>| lspv.iter().any(|row| row.is_in(ALT_VG));
        let has_copy = client.lspv().is_ok_and(stands);
        // To take the lease over is not enough where a copy of the holder stands.
        if has_copy && !is_of_this_journal(ctx, holder) {
            let text = format!("{} holds the client's lease, and has a copy there", holder.words());
            let cause = Cause::new(FailureClass::Permanent, text);
            return Finding::blocked(cause.with_hint(wait_or_clean(ctx)));
        }
        return refused(ctx, holder, None);
    }
    let (what, level) = source_level(ctx, master, client, &mut against);
    if let Some(level) = &level
        && level.reaches(&ctx.spec.target.level)
    {
        let known = mode.has_client() && !mode.reads_mksysb();
        let what = if known { ctx.spec.client.to_string() } else { what };
        let text = format!("{what} is at {level} already");
        return Finding::blocked(Cause::new(FailureClass::AlreadyDone, text));
    }
    check_levels(ctx, master, &what, level.as_ref(), &mut against);
    if mode.has_client() {
        check_machine(ctx, master, &mut against);
    }
    check_resources(ctx, master, &mut against);
    check_agreement(ctx, master, client, &mut against);
    check_output(ctx, master, &mut against);
    let mut room = None;
    if mode.has_client() && !mode.reads_mksysb() {
        room = check_rootvg(ctx, client, &mut against);
    }
    if mode.changes_client() && ctx.spec.asks_for(Phase::Clone) {
        check_disks(ctx, client, room.as_ref(), holder.as_ref(), &mut against);
    }
    let level = level.filter(|_| !mode.reads_mksysb());
    check_cache(ctx, master, room.as_ref(), &mut against);
    match against.cause() {
        Some(cause) => Finding { objections: against.0, ..Finding::blocked(cause) },
        None => Finding::found(Facts { level, ..Facts::default() }),
    }
}

/// What is migrated, and its level as far as it is known.
fn source_level(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    client: HostAnswers<'_>,
    against: &mut Objections,
) -> (String, Option<Level>) {
    if ctx.spec.mode.has_client() {
        let level = against.read("the client's level", client.level());
        if !ctx.spec.mode.reads_mksysb() {
            return ("the client".to_owned(), level);
        }
    }
    let Some(name) = &ctx.spec.options.mksysb else { return ("nothing".to_owned(), None) };
    // What is wrong with the object itself is told with the other resources.
    let level =
        master.nim_object(name).ok().and_then(|object| object.get("oslevel_r")?.parse().ok());
    (format!("the mksysb {name}"), level)
}

fn check_output(ctx: &Context<'_>, master: HostAnswers<'_>, against: &mut Objections) {
    if !ctx.spec.mode.writes_mksysb() || !ctx.spec.asks_for(Phase::Finish) {
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

fn check_levels(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    what: &str,
    level: Option<&Level>,
    against: &mut Objections,
) {
    let target = &ctx.spec.target.level;
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
    let spot = argv::spot_lslpp(&ctx.spec.target.spot, &LEVELS);
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
fn check_agreement(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    client: HostAnswers<'_>,
    against: &mut Objections,
) {
    const NAME: &str = argv::LEVEL_FILESET;
    let Target { spot, lpp_source, .. } = &ctx.spec.target;
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
    if ctx.spec.mode.has_client()
        && !ctx.spec.mode.reads_mksysb()
        && let Ok(Some(now)) = level_of(client, argv::lslpp(&[NAME]), NAME)
        && now > of_lpp
    {
        against.permanent(
            format!("{NAME} is {now} on the client, {of_lpp} in the lpp_source {lpp_source}"),
            "name an lpp_source in the plan that is at least as new as the client, which nimadm \
             cannot downgrade",
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

fn check_machine(ctx: &Context<'_>, master: HostAnswers<'_>, against: &mut Objections) {
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

fn check_resources(ctx: &Context<'_>, master: HostAnswers<'_>, against: &mut Objections) {
    let target = &ctx.spec.target;
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
    let (name, wanted) = (&ctx.spec.target.spot, &ctx.spec.target.level);
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

/// What the client's rootvg takes.
struct Room {
    vg: VolumeGroup,
    volumes: Vec<LogicalVolume>,
}

impl Room {
    fn used_mb(&self) -> u64 {
        self.vg.used_pps.saturating_mul(self.vg.pp_size_mb)
    }
}

fn check_rootvg(
    ctx: &Context<'_>,
    client: HostAnswers<'_>,
    against: &mut Objections,
) -> Option<Room> {
    let vg = client.read(argv::lsvg("rootvg"), aix::volume_group);
    let vg = against.read("the size of rootvg", vg);
    let volumes = client.read(argv::lsvg_l("rootvg"), aix::logical_volumes);
    let volumes = against.read("the volumes of rootvg", volumes);
    // Only a copy on the client's own disks is in the way of multibos and names.
    let ours = ctx.spec.mode.changes_client();
    for lv in volumes.iter().flatten() {
        let name = &lv.name;
        if ours && name.starts_with("bos_") {
            against.permanent(
                format!("rootvg has {name}, of multibos"),
                "remove the standby BOS: `multibos -RX`",
            );
        } else if ours && name.len() > LV_NAME_MAX {
            against.permanent(
                format!("the name of {name} is longer than {LV_NAME_MAX} characters"),
                "rename it by `chlv -n`: the copy puts `alt_` before it",
            );
        }
        if lv.is_stale() {
            against.permanent(format!("{name} has stale partitions"), "`syncvg -l` it");
        }
    }
    match client.output(booted_from()) {
        Ok(output) if ours && output.stdout.contains("bos_hd5") => against.permanent(
            "the client was booted from bos_hd5, of multibos",
            "boot from hd5 and remove the standby BOS: `multibos -RX`",
        ),
        Ok(_) => {}
        Err(why) => against.permanent(why, "`bootinfo -v` on the client"),
    }
    Some(Room { vg: vg?, volumes: volumes? })
}

/// What the client was booted from.
fn booted_from() -> Argv {
    words(&["bootinfo", "-v"])
}

/// A copy that is there already: one that somebody is making is not to be removed.
fn check_copy(
    ctx: &Context<'_>,
    client: HostAnswers<'_>,
    row: &PhysicalVolume,
    holder: Option<&Lease>,
    against: &mut Objections,
) {
    let vg = row.vg.as_deref().unwrap_or_default();
    if let Some(holder) = holder {
        let words = holder.words();
        let text =
            format!("{vg} on {} belongs to a migration that is under way: {words}", row.disk);
        return against.permanent(text, &wait_or_clean(ctx));
    }
    let running = client.processes().unwrap_or_default();
    if let Some(process) = running.iter().find(|process| is_on_copy(&process.args)) {
        let args = sanitize_line(&process.args, 100);
        return against.permanent(
            format!("{vg} on {} is worked on: process {} ({args})", row.disk, process.pid),
            "wait until it has ended",
        );
    }
    // Only what may be a migration's is cleaned up.
    let remove = match vg {
        ALT_VG => {
            let client = &ctx.spec.client;
            format!(
                "`nimshift cleanup {client}` removes it (one of others, `nimshift cleanup {client} --force`)"
            )
        }
        vg => format!("remove it by `alt_rootvg_op -X {vg}`"),
    };
    let hint = format!("if it is no longer needed, {remove}");
    against.permanent(format!("{vg} is on {} already", row.disk), &hint);
}

fn check_disks(
    ctx: &Context<'_>,
    client: HostAnswers<'_>,
    room: Option<&Room>,
    holder: Option<&Lease>,
    against: &mut Objections,
) {
    let Some(lspv) = against.read("the client's disks", client.lspv()) else {
        return;
    };
    let disks = &ctx.spec.options.disks;
    for vg in [ALT_VG, OLD_VG] {
        if let Some(row) = lspv.iter().find(|row| row.is_in(vg)) {
            check_copy(ctx, client, row, holder, against);
        }
    }
    let mut total_mb = Some(0_u64);
    for disk in disks {
        match lspv.iter().find(|row| row.disk == *disk) {
            None => {
                against.permanent(
                    format!("{disk} is not on the client"),
                    "`cfgmgr`, or change `disks` in the plan",
                );
                total_mb = None;
                continue;
            }
            Some(row) => check_owner(row, against),
        }
        let size = client.read(argv::disk_size(disk), disk_size);
        let size = against.read(&format!("the size of {disk}"), size);
        total_mb = total_mb.zip(size).map(|(total, size)| total.saturating_add(size));
    }
    if let (Some(total), Some(room)) = (total_mb, room) {
        let wanted = room.used_mb().saturating_add(SPARE_MB);
        if total < wanted {
            against.permanent(
                format!("the target disks have {total} MB, the copy needs {wanted} MB"),
                "change `disks` in the plan: larger ones",
            );
        }
    }
}

fn check_owner(row: &PhysicalVolume, against: &mut Objections) {
    match row.vg.as_deref() {
        // Told once for the whole volume group.
        None | Some(ALT_VG | OLD_VG) => {}
        Some("rootvg") => {
            against.permanent(
                format!("the client runs from {}", row.disk),
                "change `disks` in the plan",
            );
        }
        Some(_) => against.permanent(foreign(row), "change `disks` in the plan"),
    }
}

fn check_cache(
    ctx: &Context<'_>,
    master: HostAnswers<'_>,
    room: Option<&Room>,
    against: &mut Objections,
) {
    let Some(vg) = &ctx.spec.options.cache_vg else { return };
    let what = format!("the cache volume group {vg}");
    let Some(cache) = against.read(&what, master.read(argv::lsvg(vg.as_str()), aix::volume_group))
    else {
        return;
    };
    let Some(room) = room.filter(|_| ctx.spec.asks_for(Phase::Export)) else { return };
    let mounted = room.volumes.iter().filter(|lv| lv.mount_point.is_some() && lv.is_file_system());
    let lps: u64 = mounted.map(|lv| lv.lps).sum();
    let wanted = lps.saturating_mul(room.vg.pp_size_mb).saturating_add(SPARE_MB);
    let free = cache.free_pps.saturating_mul(cache.pp_size_mb);
    if free < wanted {
        against.permanent(
            format!("{vg} has {free} MB free on the master, the cache needs {wanted} MB"),
            "add a disk to it, or run fewer cached migrations at once",
        );
    }
}
