//! Import: what becomes of a site's own lists, and in which words they are refused.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::fmt::Write as _;

use nimshift::base::limits;
use nimshift::domain::{DiskName, EstateKind, Plan, parse_plan};
use nimshift::import::{FILL_IN, Format, Head, ImportErrors, Imported, Ways, import};
use proptest::prelude::*;

const LSNIM: &[u8] = include_bytes!("../fixtures/import/lsnim.txt");
const CSV: &[u8] = include_bytes!("../fixtures/import/clients.csv");
const INI: &[u8] = include_bytes!("../fixtures/import/inventory.ini");
const YAML: &[u8] = include_bytes!("../fixtures/import/inventory.yml");
const BAD_CSV: &[u8] = include_bytes!("../fixtures/import/bad.csv");
const BAD_INI: &[u8] = include_bytes!("../fixtures/import/bad.ini");
const BAD_YAML: &[u8] = include_bytes!("../fixtures/import/bad.yml");

const GOOD: [(&str, &[u8], Format); 4] = [
    ("lsnim.txt", LSNIM, Format::Lsnim),
    ("clients.csv", CSV, Format::Csv),
    ("inventory.ini", INI, Format::AnsibleIni),
    ("inventory.yml", YAML, Format::AnsibleYaml),
];

/// All that a plan needs.
fn head() -> Head {
    Head {
        name: Some("imported".parse().unwrap()),
        kind: None,
        master: Some("nim1".parse().unwrap()),
        spot: Some("spot_7300_03".parse().unwrap()),
        lpp_source: Some("lpp_7300_03".parse().unwrap()),
        level: Some("7300-03".parse().unwrap()),
        disks: vec!["hdisk9".parse().unwrap()],
        accept_licenses: true,
    }
}

fn imported(text: &[u8], format: Format, ways: &Ways) -> Imported {
    import("file", text, format, ways, &Head::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(text: &[u8], format: Format) -> ImportErrors {
    let head = Head { master: Some("nim1".parse().unwrap()), ..Head::default() };
    import("file", text, format, &Ways::default(), &head).unwrap_err()
}

fn plan(text: &[u8], format: Format, ways: &Ways) -> Plan {
    let imported = import("file", text, format, ways, &head()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(imported.open, 0, "{}", imported.text);
    let plan = parse_plan("plan.toml", &imported.text, false)
        .unwrap_or_else(|errors| panic!("{errors}\n{}", imported.text));
    assert_eq!(plan.migrations.len(), imported.clients);
    plan
}

/// Client, wave and disks, in the order in which they are begun.
fn told(plan: &Plan) -> Vec<String> {
    let told = plan.migrations.iter().map(|spec| {
        let disks: Vec<&str> = spec.options.disks.iter().map(DiskName::as_str).collect();
        format!("{} {} {}", spec.wave, spec.client, disks.join("+"))
    });
    told.collect()
}

#[test]
fn what_is_made_of_each_is_pinned() {
    for (name, text, format) in GOOD {
        let made = import(name, text, format, &Ways::default(), &Head::default());
        insta::assert_snapshot!(name, made.unwrap_or_else(|errors| panic!("{errors}")).text);
    }
}

#[test]
fn with_what_is_asked_for_it_is_a_plan() {
    for (name, text, format) in GOOD {
        let plan = plan(text, format, &Ways::default());
        assert_eq!(plan.name.as_str(), "imported", "{name}");
        assert!(plan.migrations.iter().all(|spec| spec.options.accept_licenses));
    }
    assert_eq!(
        told(&plan(LSNIM, Format::Lsnim, &Ways::default())),
        ["1 lpar01 hdisk9", "1 lpar02 hdisk9", "1 lpar03.example.com hdisk9"]
    );
    assert_eq!(
        told(&plan(CSV, Format::Csv, &Ways::default())),
        ["1 lpar01 hdisk1", "1 lpar03 hdisk9", "2 lpar02 hdisk2+hdisk3"]
    );
}

#[test]
fn of_real_hosts_the_addresses_are_taken_over() {
    let reached = |text: &[u8], format, kind| {
        let head = Head { kind: Some(kind), ..head() };
        let ways = Ways { short_names: true, ..Ways::default() };
        let made = import("file", text, format, &ways, &head).unwrap_or_else(|e| panic!("{e}"));
        let plan = parse_plan("plan.toml", &made.text, false)
            .unwrap_or_else(|errors| panic!("{errors}\n{}", made.text));
        assert_eq!(plan.estate.kind, kind);
        let hosts = plan.estate.real.expect("real hosts").hosts.into_iter();
        let reached = hosts.filter_map(|(name, reach)| Some(format!("{name} {}", reach.address?)));
        reached.collect::<Vec<_>>()
    };
    for kind in [EstateKind::Ssh, EstateKind::Local] {
        assert_eq!(
            reached(LSNIM, Format::Lsnim, kind),
            ["lpar02 lpar02-adm", "lpar03 lpar03.example.com"]
        );
        // Of two names, the inventory's is the one that Ansible reaches it by.
        assert_eq!(
            reached(INI, Format::AnsibleIni, kind),
            ["jump 10.1.0.5", "lpar03 lpar03.example.com"]
        );
        let sheet = b"name;reach_address\nlpar01;10.1.1.21\n";
        assert_eq!(reached(sheet, Format::Csv, kind), ["lpar01 10.1.1.21"]);
    }
}

#[test]
fn without_it_the_plan_is_refused_line_by_line() {
    let made = imported(LSNIM, Format::Lsnim, &Ways::default());
    let marked: Vec<usize> = (1..)
        .zip(made.text.lines())
        .filter(|(_, row)| row.contains(&format!("# {FILL_IN}: ")))
        .map(|(line, _)| line)
        .collect();
    assert_eq!(marked.len(), made.open);
    assert_eq!(made.open, 7);
    let errors = parse_plan("plan.toml", &made.text, false).unwrap_err();
    let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, marked, "{errors}\n{}", made.text);
}

#[test]
fn ansible_groups_are_waves_in_order_of_appearance() {
    let plan = plan(INI, Format::AnsibleIni, &Ways::default());
    assert_eq!(
        told(&plan),
        [
            "1 jump.example.com hdisk9",
            "1 lpar01 hdisk1",
            "1 lpar02 hdisk1",
            "1 lpar03 hdisk2+hdisk3",
            "2 lpar10 hdisk5+hdisk6",
            "2 lpar12 hdisk5+hdisk6",
            "2 lpar14 hdisk5+hdisk6",
            "9 lpar20 hdisk4",
        ]
    );
    let by_name = |name: &str| {
        plan.migrations.iter().find(|spec| spec.client.as_str() == name).unwrap().clone()
    };
    // In both groups: the first wave, and what either group says.
    let lpar01 = by_name("lpar01");
    assert!(lpar01.options.reboot && lpar01.caches());
    assert_eq!((lpar01.retry.attempts, by_name("lpar02").retry.attempts), (9, 5));
    assert_eq!(lpar01.target().spot.as_str(), "spot_7300_02");
    assert_eq!(by_name("jump.example.com").target().spot.as_str(), "spot_7300_03");
}

#[test]
fn chosen_groups_are_the_waves_and_others_are_left_out() {
    let groups = |names: &[&str]| Ways {
        groups: names.iter().map(|name| (*name).to_owned()).collect(),
        short_names: false,
    };
    let plan = plan(YAML, Format::AnsibleYaml, &groups(&["east", "west"]));
    assert_eq!(
        told(&plan),
        [
            "1 db01 hdisk7",
            "1 web01 hdisk1",
            "2 lpar01 hdisk1+hdisk2",
            "2 lpar02 hdisk1+hdisk2",
            "2 lpar03 hdisk4"
        ]
    );
    let made = imported(INI, Format::AnsibleIni, &groups(&["aix_prod"]));
    assert_eq!(made.clients, 5);
    assert!(
        made.text
            .contains("in none of these groups: jump.example.com, lpar02, lpar03.example.com.\n")
    );
    let errors = import("inv", INI, Format::AnsibleIni, &groups(&["aix_prd"]), &Head::default());
    let told = errors.unwrap_err().to_string();
    assert!(
        told.starts_with("inv: there is no group `aix_prd`\n  help: did you mean `aix_prod`?"),
        "{told}"
    );
}

#[test]
fn what_is_wrong_is_told_by_line_all_at_once() {
    insta::assert_snapshot!("bad.csv", refused(BAD_CSV, Format::Csv));
    insta::assert_snapshot!("bad.ini", refused(BAD_INI, Format::AnsibleIni));
    insta::assert_snapshot!("bad.yml", refused(BAD_YAML, Format::AnsibleYaml));
    for errors in [refused(BAD_CSV, Format::Csv), refused(BAD_INI, Format::AnsibleIni)] {
        assert!(errors.iter().all(|error| !error.help.is_empty() && error.line > 0), "{errors}");
    }
}

#[test]
fn what_a_group_gets_wrong_is_said_once() {
    let text = b"[aix]\nlpar[001:500]\n[aix:vars]\ncache_vg=no-1-such-name-is-right\n";
    assert_eq!(refused(text, Format::AnsibleIni).iter().count(), 1);
}

#[test]
fn variables_that_differ_are_not_chosen_among() {
    let text = |ours: &str| {
        format!(
            "[aix]\nlpar01 target_disk=hdisk4 {ours}\nlpar02 target_disk=hdisk5\n\
             [aix:vars]\ndisks=['hdisk5']\n"
        )
    };
    assert_eq!(
        refused(text("").as_bytes(), Format::AnsibleIni).to_string(),
        "file:2: `target_disk` and `disks` differ, in line 5\n  \
         help: set `nimshift_disks`, which overrides both"
    );
    let text = text("nimshift_disks=hdisk6");
    let plan = plan(text.as_bytes(), Format::AnsibleIni, &Ways::default());
    assert_eq!(told(&plan), ["1 lpar01 hdisk6", "1 lpar02 hdisk5"]);
}

#[test]
fn lines_of_a_csv_are_those_of_an_editor() {
    let text =
        "\u{feff}name,wave\r\n\r\nlpar01,\"1\"\r\nlpar02,x\r\n\"lpar\r\n03\",1\r\nlpar04,y\r\n";
    let lines: Vec<usize> =
        refused(text.as_bytes(), Format::Csv).iter().map(|error| error.line).collect();
    assert_eq!(lines, [4, 5, 7]);
}

#[test]
fn no_value_without_a_key_is_shown() {
    for (_, text, format) in GOOD {
        let made = imported(text, format, &Ways::default()).text;
        assert!(!made.contains("not-to-be-seen"), "{made}");
    }
    let errors = refused(b"[a]\nlpar01 password='not-to-be-seen\n", Format::AnsibleIni).to_string();
    assert!(!errors.contains("not-to-be-seen"), "{errors}");
}

#[test]
fn short_names_that_fall_together_are_an_error() {
    let ways = Ways { short_names: true, groups: Vec::new() };
    let made = imported(b"name\nlpar01.a.com\nlpar02\n", Format::Csv, &ways);
    assert!(made.text.contains("[[client]]\nname = \"lpar01\"\n"), "{}", made.text);
    let text = b"name\nlpar01.a.com\nlpar01.b.com\n";
    let errors = import("f", text, Format::Csv, &ways, &Head::default()).unwrap_err().to_string();
    assert!(errors.starts_with("f:3: `lpar01` is a client already, by line 2\n"), "{errors}");
}

#[test]
fn what_is_empty_too_large_or_no_text_is_refused() {
    let said = |text: &[u8], format| refused(text, format).to_string();
    for (_, _, format) in GOOD {
        assert!(refused(b"", format).iter().count() == 1);
        let large = vec![b'#'; limits::IMPORT_BYTES_MAX + 1];
        assert!(said(&large, format).contains("more than"), "{format:?}");
        assert!(said(b"a\n\xff\n", format).starts_with("file:2: not UTF-8"), "{format:?}");
    }
    let lost = "0042-053 lsnim: there is no NIM object named \"lpar01\"\n";
    assert!(said(lost.as_bytes(), Format::Lsnim).contains("no client found"));
    assert!(said(b"disks\nhdisk1\n", Format::Csv).contains("no column `name`"));
}

#[test]
fn a_few_lines_do_not_stand_for_more_than_memory_holds() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, name) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let list = vec![format!("*{before}"); 9].join(", ");
        writeln!(bomb, "{name}: &{name} [{list}]").unwrap();
    }
    let told = refused(bomb.as_bytes(), Format::AnsibleYaml).to_string();
    assert!(told.contains("aliases included"), "{told}");
    for deep in ["[".repeat(100_000), "a: {".repeat(100_000), "- ".repeat(100_000)] {
        let told = refused(deep.as_bytes(), Format::AnsibleYaml).to_string();
        assert!(told.contains("nested deeper") || told.contains("not YAML"), "{told}");
    }
    // Deep by way of aliases.
    let mut chain = "a0: &a0 {}\n".to_owned();
    for n in 1..1_000 {
        writeln!(chain, "a{n}: &a{n} {{hosts: {{h: *a{}}}}}", n - 1).unwrap();
    }
    assert!(refused(chain.as_bytes(), Format::AnsibleYaml).to_string().contains("nested deeper"));
    // Groups below each other, as deep as there may be groups.
    let mut ladder = String::new();
    for n in 0..limits::IMPORT_GROUPS_MAX + 5 {
        writeln!(ladder, "[g{n}:children]\ng{}", n + 1).unwrap();
    }
    assert!(refused(ladder.as_bytes(), Format::AnsibleIni).to_string().contains("groups"));
}

/// Pieces of all formats, put together at random.
const PIECES: [&str; 34] = [
    "lpar01",
    "lpar[01:03]",
    "[a]",
    "[a:vars]",
    "[b:children]",
    "\n",
    "\n",
    "\n",
    "  ",
    " ",
    "=",
    ":",
    "disks",
    "nimshift_disks",
    "wave",
    "name",
    ",",
    ";",
    "\"",
    "'",
    "all:\n  hosts:\n    ",
    "- ",
    "&x ",
    "*x",
    "<<: *x",
    "{",
    "}",
    "['a', 'b']",
    "type = standalone",
    "   class = machines",
    "#",
    "nim_alt_disk_migration_target_disk",
    "true",
    "\u{feff}",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in any::<String>()) {
        for (_, _, format) in GOOD {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let _ = import("f", bytes, format, &Ways::default(), &head());
            }
        }
    }

    #[test]
    fn what_is_made_of_any_pieces_is_a_plan_or_an_error(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40)
    ) {
        let text = pieces.concat();
        for (_, _, format) in GOOD {
            match import("f", text.as_bytes(), format, &Ways::default(), &head()) {
                Ok(made) => prop_assert!(parse_plan("p", &made.text, false).is_ok(), "{}", made.text),
                Err(errors) => prop_assert!(errors.iter().count() > 0),
            }
        }
    }

    #[test]
    fn no_damage_to_a_sample_makes_it_panic(which in 0..GOOD.len(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let (_, text, format) = GOOD[which];
        let at = at.index(text.len());
        let mut text = text.to_vec();
        text[at] = with;
        if let Ok(made) = import("f", &text, format, &Ways::default(), &head()) {
            prop_assert!(parse_plan("p", &made.text, false).is_ok(), "{}", made.text);
        }
    }
}
