//! Every command of the table.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::REGISTRY;
use crate::lab::build;
use crate::lab::call::{Line, Reply};
use crate::lab::estate::{EstateFile, PlainClient, PlainMaster};
use crate::lab::job::advance;
use crate::lab::run::{end_line, start_line};
use crate::lab::world::World;
use crate::transport::Command;

const NOW: u64 = 1_780_000_000_000;

fn world() -> World {
    let master =
        PlainMaster::new("nim1", "7300-02-01-2346", "spot", "lpp").with(&["cachevg"], &["pre"]);
    let client = PlainClient::new("lpar1", "7200-05-03-2148", &["hdisk1"]);
    build::world(&EstateFile::from_clients(&master, &[client]), NOW).unwrap()
}

fn run(world: &mut World, host: &str, argv: Vec<String>, pipe_to: Option<Vec<String>>) -> Reply {
    let line = Line { pipe_to, ..Line::of(&Command::new(argv), host, "/", NOW) };
    let begun = start_line(world, &line, "");
    end_line(world, line, &begun.effect)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn names_are_unique_and_every_command_tells_its_usage() {
    let names: BTreeSet<&str> = REGISTRY.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), REGISTRY.len());
    for row in REGISTRY {
        assert!(row.usage.starts_with(row.name), "{}", row.name);
        assert!(row.base_ms > 0, "{}", row.name);
    }
}

#[test]
fn every_command_answers_and_does_so_by_its_full_path_too() {
    for row in REGISTRY {
        for host in ["nim1", "lpar1"] {
            let bare = run(&mut world(), host, vec![row.name.to_owned()], None);
            let full = run(&mut world(), host, vec![format!("/usr/sbin/{}", row.name)], None);
            assert_eq!(bare, full, "{}", row.name);
            assert!(bare.status != 127, "{} {bare:?}", row.name);
            assert!(
                bare.status == 0 || !bare.err.is_empty() || row.name == "false",
                "{} {bare:?}",
                row.name
            );
        }
    }
}

#[test]
fn an_unknown_flag_is_refused_with_the_usage_and_changes_nothing() {
    // These take any words: they have no flags.
    let free = ["echo", "true", "false", "hostname", "uptime", "date", "c_rsh", "chroot"];
    for row in REGISTRY.iter().filter(|row| !free.contains(&row.name)) {
        let mut changed = world();
        let reply = run(&mut changed, "nim1", vec![row.name.to_owned(), "-%".to_owned()], None);
        assert_ne!(reply.status, 0, "{}", row.name);
        let told = reply.err.contains("Usage: ") || row.name == "test";
        assert!(told, "{}: {reply:?}", row.name);
        assert_eq!(
            crate::lab::image::image(&changed),
            crate::lab::image::image(&world()),
            "{}",
            row.name
        );
    }
}

#[test]
fn an_unknown_command_is_not_found() {
    for name in ["lsvpd", "/usr/sbin/lsvpd", "/ALT_MIG_SPOT/sbin/alt_disk_copy", "", "/"] {
        let reply = run(&mut world(), "lpar1", vec![name.to_owned()], None);
        assert_eq!((reply.status, reply.err), (127, format!("ksh: {name}:  not found\n")));
    }
}

#[test]
fn answers_have_the_layouts_of_aix() {
    let mut world = world();
    let mut say = |host: &str, line: &str| run(&mut world, host, words(line), None).out;
    let lspv = say("lpar1", "lspv");
    assert!(lspv.starts_with("hdisk0          00f7"), "{lspv}");
    assert!(lspv.contains("rootvg          active      \n"), "{lspv}");
    assert!(
        say("lpar1", "lsvg -l rootvg")
            .contains("hd2                 jfs2       32      32      1    open/syncd    /usr\n")
    );
    assert!(say("lpar1", "lsvg rootvg").contains(
        "VG STATE:           active                   PP SIZE:        128 megabyte(s)\n"
    ));
    assert!(
        say("lpar1", "df -m")
            .starts_with("Filesystem      MB blocks      Free %Used    Iused %Iused Mounted on\n")
    );
    let portable = say("lpar1", "df -kP /var/adm");
    let mut lines = portable.lines();
    let heading = "Filesystem    1024-blocks      Used Available Capacity Mounted on";
    assert_eq!(lines.next(), Some(heading));
    let row: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let number = |at: usize| row[at].parse::<u64>().unwrap();
    assert_eq!((row.len(), row[0], row[5]), (6, "/dev/hd9var", "/var"), "{portable}");
    assert_eq!(number(1), number(2) + number(3), "{portable}");
    assert_eq!(lines.next(), None);
    let named = say("lpar1", "host nim1");
    let address = named.strip_prefix("nim1 is ").unwrap().trim();
    assert_eq!(say("nim1", &format!("host {address}")), named);
    let stamp = say("lpar1", "date -u +%Y-%m-%dT%H:%M:%SZ");
    assert_eq!((stamp.len(), &stamp[10..11]), (21, "T"), "{stamp}");
    assert!(say("lpar1", "mount").contains("         /dev/hd2         /usr             jfs2   "));
    assert_eq!(
        say("lpar1", "bootlist -m normal -o"),
        "hdisk0 blv=hd5 pathid=0\nhdisk0 blv=hd5 pathid=1\n"
    );
    assert!(say("lpar1", "lsfs -c").contains("/usr:/dev/hd2:jfs2:::8388608:rw:yes:no\n"));
    assert!(say("lpar1", "lslpp -Lqc bos.rte").starts_with("bos.rte:bos.rte:7.2.5.3: : :C:F:"));
    assert!(say("lpar1", "lslpp -lc bos.rte").starts_with("#Fileset:Level:PTF Id:State:Type:Description:EFIX Locked\n/usr/lib/objrepos:bos.rte:7.2.5.3::COMMITTED:F:"));
    let lsnim = say("nim1", "lsnim -l lpar1");
    assert!(
        lsnim.starts_with("lpar1:\n   class          = machines\n   type           = standalone\n"),
        "{lsnim}"
    );
    assert!(say("nim1", "lsnim -l lpp").contains("   simages     = yes\n"));
    assert!(say("nim1", "showmount -e").contains("/export/nim/spot/usr (everyone)\n"));
    assert_eq!(say("lpar1", "getconf BOOT_DEVICE"), "hdisk0\n");
    assert_eq!(say("lpar1", "instfix -i"), "    All filesets for 7200-05_AIX_ML were found.\n");
    let spot =
        say("nim1", "nim -o lslpp -a lslpp_flags=-Lqc -a filesets=bos.alt_disk_install.rte spot");
    assert!(spot.contains("bos.alt_disk_install.rte:7.3.2.1:"), "{spot}");
    assert_eq!(say("nim1", "c_rsh lpar1 hostname"), "lpar1\n");
}

#[test]
fn the_vocabulary_of_the_steps_is_known() {
    let steps = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/native-steps.md"));
    let known: BTreeSet<&str> = REGISTRY.iter().map(|row| row.name).collect();
    let commands = [
        "alt_disk_copy",
        "alt_rootvg_op",
        "blvset",
        "bootinfo",
        "bootlist",
        "bosboot",
        "c_rsh",
        "chfs",
        "chmod",
        "chpv",
        "chroot",
        "cp",
        "crfs",
        "cut",
        "dd",
        "df",
        "exportfs",
        "geninstall",
        "getconf",
        "head",
        "installp",
        "ipl_varyon",
        "ln",
        "lppchk",
        "ls",
        "lsfs",
        "lslpp",
        "lsnim",
        "lspv",
        "lsvg",
        "merge_config",
        "mkdir",
        "mount",
        "nim",
        "ODM_merge",
        "odmget",
        "oslevel",
        "restore",
        "rm",
        "rmdir",
        "rmfs",
        "shutdown",
        "tar",
        "touch",
        "umount",
        "who",
    ];
    for command in commands {
        assert!(steps.contains(command), "{command} is no command of the steps");
        assert!(known.contains(command), "{command}");
    }
}

/// Words that reach deep into commands.
const WORDS: [&str; 52] = [
    "-l",
    "-c",
    "-L",
    "-a",
    "-o",
    "-d",
    "-f",
    "-R",
    "-P1",
    "-P3",
    "-X",
    "-S",
    "-W",
    "-v",
    "-m",
    "normal",
    "-i",
    "-u",
    "-xqf",
    "-cUf",
    "-xpUf",
    "-",
    "-C",
    ".",
    "..",
    "/",
    "/usr",
    "/alt_inst",
    "/alt_inst/usr",
    "/tmp",
    "/tmp/x",
    "hdisk0",
    "hdisk1",
    "hdisk9",
    "rootvg",
    "altinst_rootvg",
    "lpar1",
    "nim1",
    "lpar1:/alt_inst",
    "size=+1G",
    "size=0",
    "all",
    "/export/nim/lpp/installp/ppc",
    "/export/nim/lpp/installp/ppc/bos",
    "lpar1 'ls -l /'",
    "rw=nim1",
    "of=/dev/hd5",
    "if=/etc/passwd",
    "/dev/alt_hd5",
    "-g",
    "level",
    "\u{0}é/'\"",
];

fn any_argv() -> impl Strategy<Value = Vec<String>> {
    let names: Vec<&'static str> = REGISTRY.iter().map(|row| row.name).collect();
    let word = prop_oneof![9 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned), 1 => any::<String>()];
    (proptest::sample::select(names), proptest::collection::vec(word, 0..6))
        .prop_map(|(name, rest)| std::iter::once(name.to_owned()).chain(rest).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_words_make_a_command_panic(
        lines in proptest::collection::vec((any_argv(), proptest::option::weighted(0.2, any_argv()), any::<bool>()), 1..12)
    ) {
        let mut world = world();
        for (argv, pipe_to, on_master) in lines {
            let host = if on_master { "nim1" } else { "lpar1" };
            run(&mut world, host, argv, pipe_to);
        }
        advance(&mut world, NOW + 3_600_000, &mut Vec::new());
        // Whatever was done, partitions add up.
        let wrong: Vec<String> = crate::lab::check::check(&world, &[])
            .into_iter()
            .map(|violation| violation.what)
            .filter(|what| what.contains("PPs") || what.contains("two volume groups"))
            .collect();
        prop_assert_eq!(wrong, Vec::<String>::new());
    }
}
