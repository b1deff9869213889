//! Whatever hosts say, a step reads no answer to a question that its looks do not ask:
//! with debug assertions, that is a panic.

use proptest::prelude::*;

use super::copy::CLIENT_ROOT;
use super::registry::registry;
use super::sample;
use super::step::{Answers, Context, Probe};
use crate::domain::{
    Control, CopyDisk, CopyIdentity, CopyPolicy, Direction, Driver, Facts, HostRole, MigrationId,
    MigrationSpec, Mode, Part, Phase, TaskKind, Ticket,
};
use crate::transport::{Command, CommandOutput, Script};

const ID: &str = "00f7a1b200004c0000000190aabbccdd";

/// What `command` might say, `pick` among several ways.
fn plausible(ctx: &Context<'_>, command: &Command, pick: u8) -> CommandOutput {
    let words: Vec<&str> = command.argv.iter().map(String::as_str).collect();
    let last = words.last().copied().unwrap_or_default();
    let pick = usize::from(pick);
    let one_of = |all: &[&str]| all[pick % all.len()].to_owned();
    let text = match words.as_slice() {
        _ if pick.is_multiple_of(5) => String::new(),
        ["lspv"] => {
            let vgs = ["None", "altinst_rootvg active", "altinst_rootvg", "rootvg active"];
            let old = ["rootvg active", "old_rootvg"][usize::from(pick % 4 == 3)];
            let target = one_of(&vgs);
            format!("hdisk0 00f7a1b2c3d4e5f6 {old}\nhdisk1 00f7a1b2c3d4e5f7 {target}\n")
        }
        ["mount"] => mounts(ctx, pick),
        ["bootlist", ..] => one_of(&["hdisk0 blv=hd5 pathid=0\n", "hdisk1 blv=hd5 pathid=0\n"]),
        ["getconf", ..] => "hdisk0\n".to_owned(),
        ["getlvodm", ..] => format!("{ID}\n"),
        ["bootinfo", "-B", _] => one_of(&["1\n", "0\n"]),
        ["bootinfo", "-s", _] => "51200\n".to_owned(),
        ["who", "-b"] => "   .        system boot Mar 02 07:15\n".to_owned(),
        ["oslevel", "-s"] | ["chroot", _, "/usr/bin/oslevel", "-s"] => {
            one_of(&["7200-05-03-2148\n", "7300-02-01-2346\n"])
        }
        ["lsvg", "-l", _] => "rootvg:\nLV NAME TYPE LPs PPs PVs LV STATE MOUNT POINT\n\
             hd4 jfs2 8 8 1 open/syncd /\nhd2 jfs2 20 20 1 open/syncd /usr\n\
             alt_hd4 jfs2 8 8 1 open/syncd /alt_inst\nalt_hd2 jfs2 20 20 1 open/syncd /alt_inst/usr\n"
            .to_owned(),
        ["lsvg", _] => format!(
            "VOLUME GROUP: rootvg VG IDENTIFIER: {ID}\nVG STATE: active PP SIZE: 128 megabyte(s)\n\
             TOTAL PPs: 400\nFREE PPs: 300\nUSED PPs: 100\n"
        ),
        ["ls", "-l", "/var/adm/nimshift"] => {
            "lrwxrwxrwx 1 root system 5 Nov 01 12:00 lease.over.s2.m2 -> s1.m1\n".to_owned()
        }
        ["ls", "-l", path] => {
            let owner = one_of(&["s1.m1", "s2.m2,since=2026-11-25T19:00:00Z", "s1.m9"]);
            format!("lrwxrwxrwx 1 root system 9 Nov 01 12:00 {path} -> {owner}\n")
        }
        ["ls", "-lid", path] => format!("12 -rw-r--r-- 1 root system 55 Nov 01 12:00 {path}\n"),
        ["ls", "-d", path] => format!("{path}\n"),
        ["ls", _] => names(pick),
        ["ps", ..] => "    PID     USER     ELAPSED COMMAND\n      1     root 10-00:00:00 /etc/init\n\
             12 root 02:10 alt_disk_copy -d hdisk1\n"
            .to_owned(),
        ["lsnim", ..] => {
            let kind = one_of(&["standalone", "spot", "lpp_source", "script", "mksysb"]);
            format!(
                "{last}:\n   type = {kind}\n   location = /export/{last}\n   Rstate = ready for use\n   \
                 Cstate = ready for a NIM operation\n   simages = yes\n   oslevel_r = 7300-02\n"
            )
        }
        ["exportfs"] => "/alt_inst -rw=nim1\n/alt_inst/usr -rw=nim1\n".to_owned(),
        ["lsfs", "-c"] => format!(
            "#MountPoint:Device:Vfs:Nodename:Type:Size:Options:AutoMount:Acct\n\
             {}:/dev/fslv00:jfs2:::6291456:rw:no:no\n",
            [ctx.spec.master_root(), CLIENT_ROOT.to_owned()][pick % 2]
        ),
        ["df", ..] => df(ctx),
        ["lslpp" | "nim", ..] | ["chroot", _, "/usr/bin/lslpp", ..] => {
            ["bos.rte", "bos.mp64", "bos.alt_disk_install.rte"]
                .map(|name| format!("bos:{name}:7.3.2.1: : :C:F:Text: : : : : : :0:0:/:\n"))
                .concat()
        }
        _ => one_of(&["7.3\n", "/home/app\n", "root\n", "hd5\n"]),
    };
    let is_missing = text.is_empty() && pick.is_multiple_of(2);
    let stderr = if is_missing { "ls: 0653-341 The file does not exist.\n" } else { "" };
    CommandOutput {
        status: i32::from(is_missing),
        stdout: text,
        stderr: stderr.to_owned(),
        ..CommandOutput::default()
    }
}

fn mounts(ctx: &Context<'_>, pick: usize) -> String {
    let head =
        "node mounted mounted over vfs date options\n---- ------- ------------ --- ---- ---\n";
    let row = |device: &str, over: &str| format!("  {device} {over} jfs2 Mar 02 07:15 rw\n");
    let tops = [String::new(), CLIENT_ROOT.to_owned(), ctx.spec.master_root()];
    let shown = if pick.is_multiple_of(3) { &tops[..1] } else { &tops[..] };
    let rows = shown.iter().flat_map(|top| {
        let alt = if top.is_empty() { "" } else { "alt_" };
        let root = if top.is_empty() { "/" } else { top };
        [
            row(&format!("/dev/{alt}hd4"), root),
            row(&format!("/dev/{alt}hd2"), &format!("{top}/usr")),
        ]
    });
    rows.fold(head.to_owned(), |text, row| text + &row)
}

fn df(ctx: &Context<'_>) -> String {
    let head = "Filesystem    1024-blocks      Free %Used    Iused %Iused Mounted on\n".to_owned();
    let tops = [String::new(), CLIENT_ROOT.to_owned(), ctx.spec.master_root()];
    let paths = tops.iter().flat_map(|top| {
        let root = if top.is_empty() { "/".to_owned() } else { top.clone() };
        [root, format!("{top}/usr")]
    });
    paths.fold(head, |text, path| text + &format!("/dev/x 524288 301120 43% 12011 15% {path}\n"))
}

/// Marks of all kinds, and names of others.
fn names(pick: usize) -> String {
    let own = ["clone.begun", "lease", "finish-clone.done", "clone-rootvg.done", "given-up"];
    let phases = (1..=12).flat_map(|n| [format!("{n:02}.begun"), format!("{n:02}.done")]);
    let steps =
        registry().iter().flat_map(|def| ["begun", "done"].map(|m| format!("{}.{m}", def.name)));
    let all = own.map(str::to_owned).into_iter().chain(phases).chain(steps);
    let is_shown = |name: &String| match pick % 3 {
        0 => true,
        1 => !name.contains(".done"),
        _ => name.as_str() == "etc",
    };
    all.chain(["etc".to_owned()])
        .filter(is_shown)
        .fold(String::new(), |text, name| text + &name + "\n")
}

/// What is asked for, by the bits of `bits`.
fn spec(mode: Mode, driver: Driver, task: TaskKind, bits: u32) -> MigrationSpec {
    let is = |bit: u32| bits & (1 << bit) != 0;
    let name = |bit: u32, name: &str| is(bit).then(|| name.parse().unwrap());
    let mut spec = sample::spec_of(mode, driver);
    let is_known = task == TaskKind::Migrate || is(14);
    spec.task = sample::task(task, spec.task.aim().filter(|_| is_known).cloned());
    let options = &mut spec.options;
    options.cache_vg = (is(0) || mode != Mode::Disk).then(|| "cachevg".parse().unwrap());
    options.exclude_files = name(1, "excl");
    options.image_data = name(2, "image");
    options.pre_script = name(3, "pre");
    options.post_script = name(3, "post");
    options.bundle = name(3, "bundle");
    options.bosinst_data = name(4, "bosinst");
    options.update = is(5);
    options.reboot = is(6);
    options.force = is(7);
    options.phases = is(8).then(|| vec![Phase::MigrateBase, Phase::MigrateFilesets]);
    options.mksysb = mode.reads_mksysb().then(|| "old".parse().unwrap());
    options.output = mode.writes_mksysb().then(|| "/export/new".to_owned());
    options.new_mksysb = name(9, "new").filter(|_| mode.writes_mksysb());
    spec.failed_copy =
        [CopyPolicy::Remove, CopyPolicy::Sleep, CopyPolicy::Wake][(bits >> 10) as usize % 3];
    spec.dead_lease_after_ms = is(12).then_some(0);
    spec.part = is(13).then(|| Part::of(MigrationId(1), sample::facts()));
    spec
}

fn facts(bits: u32) -> Facts {
    let mut facts = sample::facts();
    let is = |bit: u32| bits & (1 << bit) != 0;
    let baseline = facts.baseline.as_mut().unwrap();
    baseline.exclude_location = is(0).then(|| "/export/excl".to_owned());
    baseline.bosinst_location = is(1).then(|| "/export/bosinst".to_owned());
    baseline.pre_script_location = Some("/export/pre".to_owned());
    baseline.post_script_location = Some("/export/post".to_owned());
    baseline.mksysb_location = Some("/export/old".to_owned());
    facts.lease = is(2).then(|| "s1.m1".to_owned());
    facts.asleep = is(3).then(|| "old_rootvg".to_owned());
    facts.booted = is(4).then(|| "Mar 01 07:15".to_owned());
    let (name, pvid) = ("hdisk1".parse().unwrap(), "00f7a1b2c3d4e5f7".parse().unwrap());
    let disks = if is(5) { vec![CopyDisk { name, pvid }] } else { Vec::new() };
    facts.copy =
        is(6).then(|| CopyIdentity { round: 0, vg_id: ID.to_owned(), disks, failed: is(7) });
    if is(8) {
        facts.baseline = None;
    }
    facts
}

/// Two answers to one question may differ, and only one of them is read.
fn asks_once(step: &str, probe: &Probe) {
    let asked = |(role, script): &'_ (HostRole, Script)| {
        script.commands.iter().map(|command| (*role, command.clone())).collect::<Vec<_>>()
    };
    let all: Vec<_> = probe.iter().flat_map(asked).collect();
    for (at, (role, command)) in all.iter().enumerate() {
        let again = all[..at].iter().any(|(other, one)| other == role && one.is_like(command));
        assert!(!again, "{step} asks the {role:?} twice: {}", command.shell_text());
    }
}

/// Has all steps of `spec` read what hosts say by `say`, and what nobody has said.
fn act(
    spec: &MigrationSpec,
    facts: &Facts,
    direction: Direction,
    mut say: impl FnMut(&Context<'_>, &Command) -> CommandOutput,
) {
    for def in registry().iter().filter(|def| def.is_in(spec)) {
        for attempt in [1, 2] {
            let ticket = Ticket { attempt, ..def.first(direction) };
            let control = &Control::default();
            let ctx = Context { spec, facts, ticket: &ticket, owner: "s1.m1", control, now_ms: 0 };
            let probe = def.probe(&ctx);
            asks_once(def.name, &probe);
            let asked = sample::answers(&probe, |_, command| say(&ctx, command));
            for answers in [&asked, &Answers::default()] {
                let _ = (def.judge)(&ctx, answers);
                let _ = def.judge_undo.map(|judge| judge(&ctx, answers));
                let _ = def.run.map(|run| run(&ctx, answers));
                let _ = def.undo_run.map(|undo| undo(&ctx, answers));
            }
        }
    }
}

/// `tests/real/first-contact.sh` asks a real AIX what the steps would ask it. Below a copy
/// nothing can be asked before there is one, nor the reader at the end of a pipe.
#[test]
fn first_contact_asks_what_probes_ask() {
    let script = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/first-contact.sh"));
    let one_blank = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let script = one_blank(script);
    let mut asked = std::collections::BTreeSet::new();
    let modes = [Mode::Disk, Mode::ClientToMksysb, Mode::MksysbToMksysb, Mode::MksysbToClient];
    for (mode, driver) in
        modes.into_iter().flat_map(|mode| [(mode, Driver::Native), (mode, Driver::Nimadm)])
    {
        for (task, bits) in
            [(TaskKind::Migrate, 0), (TaskKind::Migrate, 0x3fff), (TaskKind::Cleanup, 0x3fff)]
        {
            let spec = spec(mode, driver, task, bits);
            let facts = facts(0xff);
            act(&spec, &facts, Direction::Forward, |_, command| {
                let mut words = command.argv.iter().map(String::as_str);
                let program = words.next().unwrap_or_default();
                let flag = words.next().filter(|word| word.starts_with('-'));
                asked.insert(one_blank(&format!("{program} {}", flag.unwrap_or_default())));
                CommandOutput::default()
            });
        }
    }
    assert!(asked.len() > 20, "{asked:?}");
    let lacks: Vec<&String> = asked
        .iter()
        .filter(|words| !words.starts_with("chroot") && !script.contains(&**words))
        .collect();
    assert!(lacks.is_empty(), "first-contact.sh does not ask {lacks:?}");
}

proptest! {
    #[test]
    fn what_a_step_reads_its_looks_ask(
        mode in prop::sample::select(&[
            Mode::Disk, Mode::ClientToMksysb, Mode::MksysbToMksysb, Mode::MksysbToClient,
        ][..]),
        driver in prop::sample::select(&[Driver::Native, Driver::Nimadm][..]),
        task in prop::sample::select(&[
            TaskKind::Migrate, TaskKind::Migrate, TaskKind::Migrate, TaskKind::Cleanup,
            TaskKind::Wake, TaskKind::Sleep, TaskKind::Sync,
        ][..]),
        (of_spec, of_facts) in any::<(u32, u32)>(),
        back in any::<bool>(),
        picks in prop::collection::vec(1_u8.., 23),
    ) {
        let direction = if back { Direction::Undo } else { Direction::Forward };
        let mut picks = picks.iter().copied().cycle();
        let say = |ctx: &Context<'_>, command: &Command| {
            plausible(ctx, command, picks.next().unwrap_or_default())
        };
        act(&spec(mode, driver, task, of_spec), &facts(of_facts), direction, say);
    }

    #[test]
    fn no_answer_makes_a_step_panic(
        outputs in prop::collection::vec((0..3_i32, ".{0,60}(\n.{0,60}){0,3}"), 1..10),
        (of_spec, back) in any::<(u32, bool)>(),
    ) {
        let said = |(status, text): &(i32, String)| CommandOutput {
            status: *status,
            stdout: text.clone(),
            ..CommandOutput::default()
        };
        let direction = if back { Direction::Undo } else { Direction::Forward };
        let mut said = outputs.iter().map(said).cycle();
        let say = |_: &Context<'_>, _: &Command| said.next().unwrap_or_default();
        act(&spec(Mode::Disk, Driver::Native, TaskKind::Migrate, of_spec), &facts(0), direction, say);
    }
}

#[test]
#[should_panic(expected = "`lspv` is read of the Client, and the probe does not ask it")]
#[cfg(debug_assertions)]
fn what_was_not_asked_is_not_read() {
    let mut asked = Answers::default();
    asked.add(
        HostRole::Master,
        &Script::new([Command::new(["lspv"])]),
        crate::transport::Output::default(),
    );
    let _ = asked.client().lspv();
}
