//! The plan file: what is read, what is refused, and in which words.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use nimshift::base::limits;
use nimshift::domain::{
    Bootlist, DiskName, Driver, Plan, PlanErrors, parse_plan, parse_plan_bytes, plan_schema,
};
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

const OVERNIGHT: &str = include_str!("../fixtures/overnight.toml");

/// The plans that are wrong, by file name, in order.
fn bad_plans() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bad-plans");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn errors(text: &str) -> PlanErrors {
    parse_plan("plan.toml", text, false).expect_err("the plan is wrong")
}

/// A small plan with `options` in its only client.
fn plan_with(options: &str) -> String {
    format!(
        "[batch]\nname = \"b\"\n[estate]\nkind = \"lab\"\n[master]\nname = \"nim1\"\n\
         [target]\nspot = \"spot\"\nlpp_source = \"lpp\"\nlevel = \"7300-02\"\n\
         [[client]]\nname = \"lpar01\"\ndisks = [\"hdisk1\"]\naccept_licenses = true\n{options}\n"
    )
}

#[test]
fn every_bad_plan_is_refused_in_pinned_words() {
    let plans = bad_plans();
    assert!(plans.len() >= 24, "{} kinds of broken plan", plans.len());
    let mut shown = String::new();
    for (name, text) in &plans {
        let errors = parse_plan(name, text, false).expect_err(name);
        writeln!(shown, "{}\n{errors}\n", text.lines().next().unwrap()).unwrap();
    }
    insta::assert_snapshot!("bad_plans", shown);
}

#[test]
fn errors_of_one_file_come_all_at_once_by_line() {
    let plans = bad_plans();
    let errors = errors(&plans["many.toml"]);
    let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
    assert!(lines.len() >= 7, "{errors}");
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn every_error_has_a_way_out() {
    for (name, text) in bad_plans() {
        for error in &errors(&text) {
            assert!(!error.help.is_empty(), "{name}: {}", error.message);
            assert!(!error.message.ends_with('.'), "{name}: {}", error.message);
        }
    }
}

#[test]
fn the_sample_night_is_read() {
    let plan = parse_plan("overnight.toml", OVERNIGHT, false).unwrap();
    let told: Vec<String> = plan
        .migrations
        .iter()
        .map(|spec| {
            let disks: Vec<&str> = spec.options.disks.iter().map(DiskName::as_str).collect();
            let mut line = format!("{} {}", spec.client, disks.join("+"));
            let marks = [
                (spec.caches(), " -j"),
                (spec.options.reboot, " -r"),
                (spec.options.bootlist == Bootlist::Keep, " -B"),
                (spec.options.pre_script.is_some(), " -a"),
                (spec.options.post_script.is_some(), " -z"),
            ];
            line.extend(marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark));
            line
        })
        .collect();
    assert_eq!(
        told,
        [
            "lpar01 hdisk1",
            "lpar02 hdisk1 -r",
            "lpar03 hdisk1 -j",
            "lpar04 hdisk1 -j -r",
            "lpar05 hdisk1+hdisk2",
            "lpar06 hdisk1",
            "lpar07 hdisk1",
            "lpar08 hdisk1",
            "lpar09 hdisk1",
            "lpar10 hdisk1",
            "lpar11 hdisk1 -a -z",
            "lpar12 hdisk1 -B",
        ]
    );
    assert_eq!(plan.estate.file.as_deref(), Some("estates/overnight.toml"));
    assert_eq!(plan.limits.migrations, 6);
    let limits: Vec<(u8, u32)> =
        plan.limits.phases.iter().map(|(phase, limit)| (phase.number(), *limit)).collect();
    assert_eq!(limits, [(1, 4), (5, 3)]);
    let retry = plan.migrations[0].retry;
    assert_eq!((retry.attempts, retry.delay_ms, retry.delay_max_ms), (5, 30_000, 300_000));
    assert_eq!(plan.migrations[0].reboot_timeout_ms, 2_700_000);
}

#[test]
fn what_is_not_set_has_the_documented_value() {
    let plan = parse_plan("p", &plan_with(""), false).unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    insta::assert_snapshot!("defaults", serde_json::to_string_pretty(&json).unwrap());
}

#[test]
fn a_client_overrides_key_by_key_and_can_go_without() {
    let text = "[retry]\nattempts = 3\ndelay = \"1s\"\n[failure]\npolicy = \"hold\"\n\
                [defaults]\ncache_vg = \"nimadmvg\"\nforce = true\n\
                [[client]]\nname = \"lpar02\"\ndisks = [\"hdisk2\"]\nwithout = [\"cache_vg\"]\n\
                accept_licenses = true\nforce = false\nlevel = \"7300-03\"\nphases = [8, 1]\n\
                retry = { attempts = 9 }\nfailure = { copy = \"sleep\" }\n";
    let plan = parse_plan("p", &format!("{}{text}", plan_with("")), false).unwrap();
    let [first, second] = plan.migrations.as_slice() else { panic!("two clients") };
    assert!(first.caches() && first.options.force);
    assert!(!second.caches() && !second.options.force);
    assert_eq!((second.retry.attempts, second.retry.delay_ms), (9, 1_000));
    assert_eq!(first.retry.attempts, 3);
    assert_eq!(second.target().level.as_str(), "7300-03");
    let own = serde_json::to_value(second).unwrap();
    assert_eq!(own["on_failure"], "hold");
    assert_eq!(own["failed_copy"], "sleep");
    assert_eq!(own["options"]["phases"], serde_json::json!(["clone", "boot-image"]));
}

#[test]
fn clients_are_begun_by_wave_and_then_in_the_order_of_the_file() {
    let mut text = plan_with("wave = 2");
    for (name, wave) in [("a", "wave = 99"), ("b", ""), ("c", "wave = 2"), ("d", "wave = 1")] {
        let keys = "disks = [\"hdisk1\"]\naccept_licenses = true";
        writeln!(text, "[[client]]\nname = \"{name}\"\n{keys}\n{wave}").unwrap();
    }
    let plan = parse_plan("p", &text, false).unwrap();
    let order: Vec<String> =
        plan.migrations.iter().map(|spec| format!("{} {}", spec.client, spec.wave)).collect();
    assert_eq!(order, ["b 1", "d 1", "lpar01 2", "c 2", "a 99"]);
    let stored: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(stored, plan);
    for wave in ["0", "100"] {
        let found = errors(&plan_with(&format!("wave = {wave}"))).to_string();
        assert!(found.contains("possible: 1 to 99"), "{found}");
    }
}

#[test]
fn a_longer_delay_moves_the_default_of_the_longest() {
    let retry = |settings: &str| {
        let text = plan_with(&format!("retry = {{ {settings} }}"));
        let retry = parse_plan("p", &text, false).unwrap().migrations[0].retry;
        (retry.delay_ms, retry.delay_max_ms)
    };
    assert_eq!(retry("delay = \"10m\""), (600_000, 600_000));
    assert_eq!(retry("delay_max = \"10s\""), (10_000, 10_000));
}

#[test]
fn the_environment_can_accept_the_licences() {
    let text = plan_with("").replace("accept_licenses = true\n", "");
    assert!(parse_plan("p", &text, false).is_err());
    let plan = parse_plan("p", &text, true).unwrap();
    assert!(plan.migrations[0].options.accept_licenses);
}

#[test]
fn a_wrong_default_is_said_once() {
    let mut text = OVERNIGHT.replace("[\"hdisk1\"]                #", "[\"hd isk\"] #");
    for number in 0..500 {
        writeln!(text, "[[client]]\nname = \"more{number}\"").unwrap();
    }
    assert_eq!(errors(&text).iter().count(), 1, "{}", errors(&text));
}

#[test]
fn what_is_too_large_or_no_text_is_refused() {
    let large = vec![b'#'; usize::try_from(limits::PLAN_BYTES_MAX).unwrap() + 1];
    let refused =
        |bytes: &[u8]| parse_plan_bytes("plan.toml", bytes, false).unwrap_err().to_string();
    assert_eq!(
        refused(&large),
        "plan.toml:1:1: the plan has 8388609 bytes, more than 8388608\n  \
         help: put its clients in several plans"
    );
    assert_eq!(
        refused(b"[batch]\nname = \"\xff\"\n"),
        "plan.toml:2:9: the plan is not UTF-8\n  help: save it as UTF-8 text"
    );
}

#[test]
fn no_control_character_of_a_plan_reaches_the_terminal() {
    for text in
        ["\"\\u001b[31m\" = 1", "[\"a\\u0007b\"]", "[target]\nspot = \"\\u001b]0;x\\u0007\""]
    {
        let shown = errors(text).to_string();
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
}

#[test]
fn the_digest_is_of_what_is_asked_for() {
    let digest = |text: &str| parse_plan("p", text, false).unwrap().digest();
    let plan = digest(OVERNIGHT);
    assert_eq!(plan.len(), 64);
    let without_comments: String = OVERNIGHT
        .lines()
        .map(|line| line.split('#').next().unwrap().trim_end().to_owned() + "\n")
        .collect();
    assert_eq!(digest(&without_comments), plan);
    assert_ne!(digest(&OVERNIGHT.replace("migrations = 6", "migrations = 7")), plan);
    assert_ne!(digest(&OVERNIGHT.replace("lpar12", "lpar13")), plan);
}

#[test]
fn a_plan_survives_being_stored() {
    let plan = parse_plan("p", OVERNIGHT, false).unwrap();
    let stored = serde_json::to_string(&plan).unwrap();
    let loaded: Plan = serde_json::from_str(&stored).unwrap();
    assert_eq!(loaded, plan);
    assert_eq!(loaded.digest(), plan.digest());
}

// The schema, by a reader of schemas that shares nothing with the program's.

#[test]
fn the_schema_accepts_the_sample_and_refuses_what_is_wrong_by_its_shape() {
    let schema = plan_schema();
    assert_eq!(complaint(&schema, &json(&toml_span::parse(OVERNIGHT).unwrap())), None);
    for (name, text) in bad_plans() {
        let parsed = toml_span::parse(&text);
        let found = parsed.as_ref().ok().map(|document| complaint(&schema, &json(document)));
        let kind = text.split(": ").next().unwrap();
        match (kind, found) {
            ("# Not TOML", None)
            | ("# By its shape", Some(Some(_)))
            | ("# By its meaning", Some(None)) => {}
            (_, found) => panic!("{name}: {kind}, but the schema says {found:?}"),
        }
    }
}

fn json(value: &toml_span::Value<'_>) -> Json {
    use toml_span::value::ValueInner;
    match value.as_ref() {
        ValueInner::String(text) => Json::from(text.as_ref()),
        ValueInner::Integer(number) => Json::from(*number),
        ValueInner::Float(number) => Json::from(*number),
        ValueInner::Boolean(is) => Json::from(*is),
        ValueInner::Array(items) => items.iter().map(json).collect(),
        ValueInner::Table(table) => Json::Object(
            table.iter().map(|(key, value)| (key.name.to_string(), json(value))).collect(),
        ),
    }
}

/// The first keyword of `schema` that `value` breaks. A keyword that is not
/// known here fails the test.
fn complaint(schema: &Json, value: &Json) -> Option<String> {
    let keywords = schema.as_object().unwrap();
    keywords.iter().find_map(|(keyword, rule)| {
        let fits = match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "examples" | "format" => true,
            "type" => is_type(rule.as_str().unwrap(), value),
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "oneOf" => count_fitting(rule, value) == 1,
            "anyOf" => count_fitting(rule, value) > 0,
            "pattern" => value.as_str().is_none_or(|text| {
                regex::Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)
            }),
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
            "minItems" => items(value).len() as u64 >= rule.as_u64().unwrap(),
            "maxItems" => items(value).len() as u64 <= rule.as_u64().unwrap(),
            "uniqueItems" => {
                items(value).iter().enumerate().all(|(at, item)| !items(value)[..at].contains(item))
            }
            "items" => return items(value).iter().find_map(|item| complaint(rule, item)),
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|key| value.get(key.as_str().unwrap()).is_some()),
            "additionalProperties" => {
                assert_eq!(rule, &Json::Bool(false));
                keys(value).keys().all(|key| schema["properties"].get(key).is_some())
            }
            "properties" => {
                return keys(value)
                    .iter()
                    .filter_map(|(key, value)| Some((key, rule.get(key)?, value)))
                    .find_map(|(key, rule, value)| {
                        complaint(rule, value).map(|found| format!("{key}: {found}"))
                    });
            }
            other => panic!("the schema has a keyword that this test does not know: {other}"),
        };
        (!fits).then(|| format!("{keyword} {rule}"))
    })
}

fn is_type(name: &str, value: &Json) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        other => panic!("a type that this test does not know: {other}"),
    }
}

fn count_fitting(variants: &Json, value: &Json) -> usize {
    items(variants).iter().filter(|variant| complaint(variant, value).is_none()).count()
}

fn items(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn keys(value: &Json) -> &Map<String, Json> {
    static NONE: std::sync::LazyLock<Map<String, Json>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

#[test]
fn every_number_has_a_greatest_value() {
    fn numbers(schema: &Json, path: &str) {
        if schema["type"] == "integer" {
            assert!(schema["maximum"].is_i64(), "{path}");
        }
        let children = schema.as_object().into_iter().flatten();
        let children = children.map(|(key, child)| (key.clone(), child));
        let elements = items(schema).iter().map(|child| ("[]".to_owned(), child));
        for (key, child) in children.chain(elements) {
            numbers(child, &format!("{path}/{key}"));
        }
    }
    numbers(&plan_schema(), "");
}

#[test]
fn a_value_of_any_kind_at_any_key_is_read_or_refused_in_words() {
    const VALUES: [&str; 14] = [
        "-1",
        "1",
        "9223372036854775807",
        "1.5",
        "true",
        "\"\"",
        "\"\\u001b\"",
        "[]",
        "[[]]",
        "[\"\"]",
        "[1, 1]",
        "[{}, {}]",
        "{}",
        "{ a = 1 }",
    ];
    let head = "[batch]\nname = \"b\"\n";
    for (table, keys) in tables(&plan_schema()) {
        let name = table.trim_matches(['[', ']']);
        for value in VALUES {
            for key in keys.iter().map(|(key, _)| key) {
                let text = format!("{table}\n{key} = {value}\n");
                assert!(errors(&text).iter().count() > 0, "{text}");
            }
            let text = if name == "batch" { String::new() } else { head.to_owned() };
            assert!(errors(&format!("{name} = {value}\n{text}")).iter().count() > 0);
        }
    }
}

// The reference of the keys.

/// Each table of the schema with its keys, as the reference calls it.
fn tables(schema: &Json) -> Vec<(String, Vec<(String, Json)>)> {
    let sorted = |schema: &Json| -> Vec<(String, Json)> {
        keys(&schema["properties"]).iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    sorted(schema)
        .into_iter()
        .map(|(name, table)| match table.get("items") {
            Some(one) => (format!("[[{name}]]"), sorted(one)),
            None => (format!("[{name}]"), sorted(&table)),
        })
        .collect()
}

#[test]
fn every_key_is_in_the_reference_and_nothing_else() {
    let reference = include_str!("../docs/plan-file.md");
    let mut missing = Vec::new();
    let mut rows = 0;
    for (table, keys) in tables(&plan_schema()) {
        let heading = format!("## `{table}`\n");
        let Some((_, section)) = reference.split_once(&heading) else {
            missing.push(table);
            continue;
        };
        let section = section.split("\n## ").next().unwrap();
        rows += section.lines().filter(|line| line.starts_with("| `")).count();
        // Options are described once, with the defaults.
        let options = keys_of("[defaults]");
        for (key, schema) in keys {
            if table == "[[client]]" && options.contains(&key) {
                rows += 1;
                continue;
            }
            let row = section.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
            match (row, schema.get("default")) {
                (None, _) => missing.push(format!("{key} of {table}")),
                (Some(_), Some(Json::Object(_)) | None) => {}
                (Some(row), Some(default)) => {
                    let default = default.to_string();
                    if !row.contains(&format!("`{default}`")) {
                        missing.push(format!("the default {default} of {key} of {table}"));
                    }
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    let keys: usize = tables(&plan_schema()).iter().map(|(_, keys)| keys.len()).sum();
    assert_eq!(rows, keys, "the reference has rows for keys that do not exist");
}

const REAL: &str = r#"
[batch]
name = "first"
[estate]
kind = "ssh"
user = "root"
jump = "master"
[master]
name = "nim1"
reach = { address = "10.1.1.5", port = 2222 }
[target]
spot = "spot_7300_02"
lpp_source = "lpp_7300_02"
level = "7300-02"
[defaults]
disks = ["hdisk1"]
accept_licenses = true
[[client]]
name = "lpar01"
[[client]]
name = "lpar02"
reach = { via = "master", address = "lpar02-boot" }
[[client]]
name = "lpar03"
reach = { jump = "ops@gate", user = "migrate", sudo = true }
"#;

#[test]
fn real_hosts_are_reached_as_the_plan_says() {
    let plan = parse_plan("first.toml", REAL, false).unwrap();
    let real = plan.estate.real.clone().unwrap();
    let said = |name: &str| {
        let reach = &real.hosts[name];
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        format!(
            "{:?} {} {} {} {} {}",
            reach.via,
            text(&reach.address),
            text(&reach.user),
            text(&reach.jump),
            text(&reach.master),
            reach.sudo
        )
    };
    assert_eq!(said("nim1"), "Ssh 10.1.1.5 root - - false");
    assert_eq!(said("lpar01"), "Ssh - root root@10.1.1.5:2222 - false");
    assert_eq!(said("lpar02"), "Master lpar02-boot - - nim1 false");
    assert_eq!(said("lpar03"), "Ssh - migrate ops@gate - true");
    // Another way to the same hosts is the same plan.
    let other = REAL.replace("jump = \"master\"", "port = 22");
    assert_eq!(parse_plan("first.toml", &other, false).unwrap().digest(), plan.digest());
    // On the master itself, clients are reached by its own remote shell.
    let local = REAL
        .replace("kind = \"ssh\"", "kind = \"local\"")
        .replace("jump = \"master\"", "")
        .replace("reach = { address = \"10.1.1.5\", port = 2222 }", "")
        .replace("reach = { jump = \"ops@gate\", user = \"migrate\", sudo = true }", "");
    let real = parse_plan("first.toml", &local, false).unwrap().estate.real.unwrap();
    assert_eq!(format!("{:?}", real.hosts["nim1"].via), "Here");
    assert_eq!(format!("{:?}", real.hosts["lpar01"].via), "Master");
}

#[test]
fn real_hosts_are_migrated_by_nimadm_unless_the_plan_accepts_what_is_unverified() {
    let drivers = |text: &str| {
        let plan = parse_plan("first.toml", text, false).unwrap();
        plan.migrations.iter().map(|spec| spec.task.aim().unwrap().driver).collect::<Vec<_>>()
    };
    let native = |text: &str| text.replace("[defaults]", "[defaults]\ndriver = \"native\"");
    let local = REAL
        .replace("kind = \"ssh\"", "kind = \"local\"")
        .replace("jump = \"master\"", "")
        .replace("reach = { address = \"10.1.1.5\", port = 2222 }", "")
        .replace("reach = { jump = \"ops@gate\", user = \"migrate\", sudo = true }", "");
    for real in [REAL, &local] {
        assert_eq!(drivers(real), [Driver::Nimadm; 3], "{real}");
        let refused = errors(&native(real)).to_string();
        assert!(refused.contains("phase 5 of the native driver is a stand-in"), "{refused}");
        // One client's own word counts as much as the default's.
        let own = real.replace("name = \"lpar02\"", "name = \"lpar02\"\ndriver = \"native\"");
        assert!(errors(&own).to_string().contains("[[client]] `lpar02`"), "{own}");
        let accepted = native(real).replace("[master]", "native_unverified = \"accept\"\n[master]");
        assert_eq!(drivers(&accepted), [Driver::Native; 3], "{accepted}");
        // It only permits: it chooses nothing.
        let permitted = real.replace("[master]", "native_unverified = \"accept\"\n[master]");
        assert_eq!(drivers(&permitted), [Driver::Nimadm; 3], "{permitted}");
    }
    assert_eq!(drivers(&plan_with("")), [Driver::Native]);
}

fn keys_of(table: &str) -> Vec<String> {
    let tables = tables(&plan_schema());
    let (_, keys) = tables.into_iter().find(|(name, _)| name == table).unwrap();
    keys.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn the_examples_of_the_reference_are_plans() {
    let reference = include_str!("../docs/plan-file.md");
    let examples: Vec<&str> = reference
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        parse_plan("docs/plan-file.md", example, false).unwrap();
    }
}

// Whatever stands in a file.

/// Pieces of plans, put together at random: deeper than random characters go.
const PIECES: [&str; 26] = [
    "[target]\n",
    "[[client]]\n",
    "[client]\n",
    "[client.retry]\n",
    "[defaults]\n",
    "name = ",
    "\"lpar01\"\n",
    "spot = ",
    "disks = ",
    "[\"hdisk1\", \"hdisk1\"]\n",
    "phases = ",
    "\"1-3\"\n",
    "[1, 99]\n",
    "{ clone = 1, 1 = 2 }\n",
    "[limits]\n",
    "retry.delay = ",
    "\"30s\"\n",
    "true\n",
    "-7\n",
    "without = ",
    "[\"cache_vg\"]\n",
    "mksysb = ",
    "bootlist = ",
    "\"keep\"\n",
    "\"\n",
    "[",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse_plan("p", &text, false);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_plan_bytes("p", &bytes, false);
    }

    #[test]
    fn no_pieces_of_a_plan_make_it_panic(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..30)
    ) {
        if let Err(errors) = parse_plan("p", &pieces.concat(), false) {
            prop_assert!(errors.iter().count() > 0);
        }
    }

    #[test]
    fn no_damage_to_the_sample_makes_it_panic(at in 0..OVERNIGHT.len(), with in any::<char>()) {
        let at = (0..=at).rev().find(|at| OVERNIGHT.is_char_boundary(*at)).unwrap();
        let mut text = OVERNIGHT.to_owned();
        text.insert(at, with);
        let _ = parse_plan("p", &text, false);
        text.truncate(at);
        let _ = parse_plan("p", &text, false);
    }

    #[test]
    fn what_was_written_is_read(wanted in proptest::collection::vec(wanted_client(), 1..20)) {
        let mut text = plan_with("");
        for (index, client) in wanted.iter().enumerate() {
            writeln!(text, "[[client]]\nname = \"c{index}\"\naccept_licenses = true").unwrap();
            writeln!(text, "disks = {:?}", client.disks()).unwrap();
            writeln!(text, "retry = {{ attempts = {}, delay = \"{}ms\", delay_max = \"1d\" }}",
                client.attempts, client.delay_ms).unwrap();
            writeln!(text, "phases = {:?}", client.phases).unwrap();
            let last = if client.cache { format!("cache_vg = \"vg_{index}\"") } else { "reboot = true".into() };
            writeln!(text, "{last}").unwrap();
        }
        let plan = parse_plan("p", &text, false).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(plan.migrations.len(), wanted.len() + 1);
        for (index, (client, spec)) in wanted.iter().zip(&plan.migrations[1..]).enumerate() {
            prop_assert_eq!(spec.client.as_str(), format!("c{index}"));
            let disks: Vec<String> = spec.options.disks.iter().map(ToString::to_string).collect();
            prop_assert_eq!(disks, client.disks());
            prop_assert_eq!(spec.retry.attempts, client.attempts);
            prop_assert_eq!(spec.retry.delay_ms, client.delay_ms);
            let phases: Vec<u8> =
                spec.options.phases.iter().flatten().map(|phase| phase.number()).collect();
            prop_assert_eq!(&phases, &client.phases);
            prop_assert_eq!(spec.caches(), client.cache);
            prop_assert_eq!(spec.options.reboot, !client.cache);
        }
    }
}

#[derive(Debug, Clone)]
struct WantedClient {
    disks: usize,
    attempts: u32,
    delay_ms: u64,
    phases: Vec<u8>,
    cache: bool,
}

impl WantedClient {
    fn disks(&self) -> Vec<String> {
        (1..=self.disks).map(|number| format!("hdisk{number}")).collect()
    }
}

fn wanted_client() -> impl Strategy<Value = WantedClient> {
    let phases = proptest::collection::btree_set(1..=12_u8, 1..12);
    (1..=16_usize, 1..=1000_u32, 0..86_400_000_u64, phases, any::<bool>()).prop_map(
        |(disks, attempts, delay_ms, phases, cache)| WantedClient {
            disks,
            attempts,
            delay_ms,
            phases: phases.into_iter().collect(),
            cache,
        },
    )
}
